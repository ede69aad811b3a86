"""`zero_safe`: in a pass backward, what is zero stays zero, however steep the function that it comes to.

`where(x > 0, sqrt(x), 0)` has the derivative 0 at x = 0, and the cotangent that `where` sends to `sqrt` is 0 there. But
the slope of `sqrt` is infinite, and 0 * inf is nan. In safe mode an element-wise rule gives 0 where its cotangent is 0
and it would give nan; everything else stays as it is, so derivatives of derivatives do, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from .graph import Node, Recipe
from .modes import BareDecorator, Mode, Switch, Watcher, use_rare
from .rules import Elementwise

Pull = Callable[[Any, tuple[Any, ...], Any], Any]


def guard(pull: Pull) -> Pull:
    """Return a pull that gives 0 where it would give nan for a cotangent of 0."""

    def guarded(t: Any, saved: tuple[Any, ...], xp: Any) -> list[Any]:
        with zero_safe():  # what is recorded here is differentiated in its turn
            found = pull(t, saved, xp)
        zero = t == 0
        return [xp.where(zero & xp.isnan(g), xp.zeros_like(g), g) for g in found]

    return guarded


class Guarded(Recipe):
    """A recipe whose pulls are guarded."""

    __slots__ = ()

    def _narrow(self, targets: tuple[int, ...]) -> Pull:
        return guard(super()._narrow(targets))


@cache
def guarded(recipe: Recipe) -> Recipe:
    """Return the guarded form of a recipe of an element-wise op."""
    made: Recipe = object.__new__(Guarded)
    for name in Recipe.__slots__:
        setattr(made, name, getattr(recipe, name))
    made.pull, made.narrowed = guard(recipe.pull), {}
    made.parts = (made.targets, made.pull, *recipe.parts[2:])
    return made


class Enclosed:
    """The recipe of one call of a loop or of a user's function, with its pulls run in the mode."""

    def __init__(self, recipe: Any) -> None:
        self.recipe = recipe

    def __getattr__(self, name: str) -> Any:
        return getattr(self.recipe, name)

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a walk asks for."""
        targets, _, *rest = self.recipe.parts
        return (targets, self.pull, *rest)

    def pull(self, t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        """Return the cotangents of the targets."""
        with zero_safe():
            return self.recipe.pull(t, saved, xp)

    def pull_for(self, targets: tuple[int, ...]) -> Pull:
        """Return a `pull` that gives only some of the cotangents."""
        return zero_safe()(self.recipe.pull_for(targets))  # type: ignore[no-any-return]


def is_bare(node: Node) -> bool:
    """Tell whether a node's op is element-wise, and its recipe not guarded."""
    return isinstance(node.recipe.op.rule, Elementwise) and not isinstance(node.recipe, Guarded)


class Zeros(Watcher):
    """Guards what is recorded, and what a pass comes to."""

    def recorded(self, node: Any) -> None:
        """Guard a node for all passes to come."""
        if is_bare(node):
            node.recipe = guarded(node.recipe)
        elif not isinstance(recipe := node.recipe, Recipe):
            node.recipe = Enclosed(recipe)

    def around(self, walk: Any, node: Node, t: Any, targets: tuple[int, ...], pull: Pull) -> Pull:
        """Guard a node that was recorded outside."""
        return guard(pull) if is_bare(node) else pull


ZEROS = Zeros()


class zero_safe(Switch, metaclass=BareDecorator):
    """Let a gradient that is exactly zero stay zero where an element-wise operation's slope is infinite or nan.

    It holds for what is recorded in it, whenever the pass backward comes, and for every pass that runs in it. A context
    manager and a decorator, with and without parentheses. It works under a compiler: no value is looked at.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([0.0, 4.0], requires_grad=True)
    >>> with ad.autograd.zero_safe():
    ...     y = ad.where(x > 0, ad.sqrt(x), 0.0)
    >>> y.sum().backward()
    >>> x.grad
    tensor([0.00, 0.25])
    """

    def _changed(self, now: Mode) -> Mode:
        use_rare()
        return replace(now, watchers=(ZEROS, *(w for w in now.watchers if w is not ZEROS)))
