"""A derivative that knows what the op's kernel kept: the same formula, in a namespace with one better function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from .backends.keeping import Keeping
from .rules.kinds import Derivative


class Except:
    """A namespace that is another but for the function at one path, such as "nn.layer_norm_backward"."""

    def __init__(self, other: Any, path: str, function: Callable[..., Any]) -> None:
        name, _, rest = path.partition(".")
        setattr(self, name, Except(getattr(other, name), rest, function) if rest else function)
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)


def with_kept(plain: Derivative, keeping: Keeping, lower: Any) -> Derivative:
    """Return a derivative whose saved values end with what was kept, or with None.

    A pass on raw arrays uses it. Any other, over tensors or many cotangents at once, computes as if there were nothing.
    """
    pick, pull, path, backward = plain.pick, plain.pull, keeping.backward_op, keeping.backward

    def pull_kept(t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        kept = saved[-1]
        return pull(t, saved, xp if kept is None or xp is not lower else Except(xp, path, partial(backward, kept)))

    return replace(
        plain,
        names=(*plain.names, "kept"),
        sources=(*plain.sources, None),
        pick=lambda *a: (*pick(*a), None),
        pull=pull_kept,
    )
