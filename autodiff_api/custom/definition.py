"""What a custom function consists of, whoever wrote it, and how its methods' results are read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..errors import GraphError
from ..tensors import Tensor
from .context import FunctionCtx, ctx_class


@dataclass(frozen=True, eq=False)
class Definition:
    """The methods of a custom function.

    `forward(*args)` with `setup(ctx, inputs, output)`, or `forward(ctx, *args)` where `setup` is None;
    `backward(ctx, *grads)`; perhaps `jvp(ctx, *tangents)` and `vmap(info, in_dims, *args)`. A function that `renews`
    computes again what it saved, in a `backward` that is recorded: until then nobody need record how it came about.
    """

    name: str
    forward: Callable[..., Any]
    setup: Callable[..., Any] | None
    backward: Callable[..., Any]
    jvp: Callable[..., Any] | None = None
    vmap: Callable[..., Any] | None = None
    renews: bool = False

    @cached_property
    def arity(self) -> int:
        """How many arguments a `forward` without `ctx` takes, all of them by position; -1 if it takes others too."""
        parameters = inspect.signature(self.forward).parameters.values()
        return len(parameters) if all(p.kind <= p.POSITIONAL_OR_KEYWORD for p in parameters) else -1

    def context(self, needs: Sequence[bool], recorded: bool) -> FunctionCtx:
        """Return a fresh context for one call."""
        ctx = ctx_class(f"{self.name}Backward")()
        ctx.needs_input_grad, ctx._recorded = tuple(needs), recorded
        return ctx


NONE: dict[int, int] = {}  # never changed


class Outcome(NamedTuple):
    """What a call returned: its outputs, whether it was one and no tuple, and which output is which changed input."""

    outputs: tuple[Any, ...]
    single: bool
    dirty: dict[int, int] = NONE

    @classmethod
    def of(cls, returned: Any, dirty: dict[int, int] | None = None) -> Outcome:
        """Read what `forward` returned."""
        single = not isinstance(returned, tuple)
        return cls((returned,) if single else tuple(returned), single, NONE if dirty is None else dirty)

    def returned(self, outputs: Sequence[Any] | None = None) -> Any:
        """Return the outputs, or others in their place, as `forward` returned them."""
        outputs = self.outputs if outputs is None else outputs
        return outputs[0] if self.single else tuple(outputs)


def changed(ctx: FunctionCtx, args: Sequence[Any], outputs: Sequence[Any]) -> dict[int, int]:
    """Return which output is which of the inputs that were marked dirty; GraphError for one that is no output."""
    if not ctx.dirty_tensors:
        return NONE
    found = {}
    for x in ctx.dirty_tensors:
        i = place(x, args)
        k = place(x, outputs)
        if i is not None and k is None:
            raise GraphError(
                "Some elements marked as dirty during the forward method were not returned as output. The inputs "
                f"that are modified inplace must all be outputs of the Function ({ctx.name()})."
            )
        if i is not None and k is not None:
            found[k] = i
    return found


def place(x: Any, among: Sequence[Any]) -> int | None:
    """Return where this very object stands among others."""
    for i, y in enumerate(among):
        if y is x:
            return i
    return None


def node_of(x: Any) -> Any:
    """Return the node of a tensor; None for anything else."""
    return x._node if isinstance(x, Tensor) else None
