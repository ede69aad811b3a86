"""Nodes that no table of rules knows: their recipe is made for one call, and calls what a user wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any

from ..errors import GraphError
from ..graph import ITEM, Edge, Node, Recipe, new_node, take_item
from ..rules.kinds import Op, invoker_of


class Named(Op):
    """An op that only has a name: that of a custom function's node."""

    @property
    def title(self) -> str:
        """The name as it is."""
        return self.name


@cache
def named(name: str) -> Named:
    """Return the op of custom functions of one name."""
    return Named(name, "arrays, /", inputs=("arrays",))


@cache
def _item(array: Any) -> Recipe:
    return Recipe(ITEM, (True,), take_item, invoker_of(ITEM), array._xp._lower, array)


class Opaque:
    """What a node has for a recipe if its derivative is a function that a user wrote.

    `array` is the tensor class of the output; `targets` are the edges that need a gradient.
    """

    opaque = True  # once freed, it is gone
    conjugates = False
    names: tuple[str, ...] = ()

    def __init__(self, name: str, array: Any, edges: Sequence[Any], saved: int) -> None:
        self.op, self.array, self.lower = named(name), array, array._xp._lower
        self.complexes = self.lower.complexes
        self.needs = needs = tuple([isinstance(edge, Edge) for edge in edges])
        self.targets = tuple([i for i, need in enumerate(needs) if need])
        self.sources = ("own",) * saved  # connected to the graph by `pull`, and not by the walk

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a walk wants to know; made when it asks, since a method that is kept keeps its object in a cycle."""
        equal = () if self.lower.dtypes_are_single else self.complexes
        return (self.targets, self.pull, self.lower, *self.complexes, equal, False, bool(self.sources))

    def lift(self, node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what a pass that is recorded gets of what was saved."""
        return saved

    @property
    def item(self) -> Recipe:
        """The recipe of the nodes that stand for one output of several."""
        return _item(self.array)

    def pull(self, t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        """Return the cotangents of the targets."""
        return self.pull_for(self.targets)(t, saved, xp)

    def pull_for(self, targets: tuple[int, ...]) -> Callable[..., Any]:
        """Return a `pull` that gives only some of the cotangents."""
        return partial(self._pull, targets)

    def _pull(self, targets: tuple[int, ...], t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        raise NotImplementedError


class Refusal(Opaque):
    """The derivative of what can't be differentiated a second time."""

    def __init__(self, message: str, array: Any, edges: Sequence[Any]) -> None:
        super().__init__("Error", array, edges, 0)
        self.message = message

    def _pull(self, targets: tuple[int, ...], t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        raise GraphError(self.message)


def refused(message: str, outputs: Iterable[Any], edges: Iterable[Any]) -> tuple[Any, ...]:
    """Return tensors that raise `message` when a pass backward comes to them."""
    edges = tuple(edges)
    made = []
    for x in outputs:
        if x is not None and x._is_float():
            array = x._xp.array_class
            recipe: Any = Refusal(message, array, edges)
            x = array._make(x._value, new_node(recipe, (), edges, (), x.shape, x.dtype))
        made.append(x)
    return tuple(made)
