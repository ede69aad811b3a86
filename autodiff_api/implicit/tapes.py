"""A function recorded once at one level, on a leaf of its own, with all that it closes over found in the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..custom.nodes import Opaque
from ..func.reverse import recorded
from ..func.within import Within
from ..graph import Edge, Leaf, Node, new_node, tick
from ..levels import lift
from ..modes import MODE, mode, rare_used, replace_mode
from ..modes import recorded as show
from ..namespaces import Namespace
from ..tensors import Tensor
from .towers import is_batched


class Tape:
    """A function of one tensor, recorded: `result`, and the nodes `outside` that it depends on besides `source`.

    Nodes are numbered as they are made, so what is older than the recording comes from outside: arguments, and
    whatever the function closes over.
    """

    def __init__(self, function: Callable[[Any], Any], source: Any) -> None:
        self.xp: Namespace = source._xp
        self.source = source
        start = tick()
        self.result = recorded(function, source)
        inside: set[Edge] = set()
        outside: set[Edge] = set()
        stack = [] if self.result._node is None else [self.result._node]
        while stack:
            node = stack.pop()
            if node is source._node or node in inside:
                continue
            if node.seq < start or isinstance(node, Leaf):
                outside.add(node)
                continue
            inside.add(node)
            stack += [e for e in node.edges if isinstance(e, Edge)]
        self.outside = sorted(outside, key=lambda node: node.seq)

    def back(self, seed: Any, create: bool, over: Any) -> dict[Edge, Any]:
        """Carry a cotangent of the result back, in the array type that it is of."""
        root = self.result._node
        if root is None:
            return {}
        walk = Within(True, create, over=over)
        token = MODE.set(replace_mode(mode(), recording=True)) if create else None
        try:
            with self.xp._quiet():
                return walk.back([(root, seed)], [self.source._node, *self.outside])
        finally:
            if token is not None:
                MODE.reset(token)

    def transposed(self, u: Any, create: bool) -> Any:
        """Return the transposed derivative by the source, applied to a tensor of this level or a higher one."""
        t = self.carried(u, create).get(self.source._node)
        return u._xp.zeros_like(u) if t is None else t

    def carried(self, u: Any, create: bool) -> dict[Edge, Any]:
        """Carry a cotangent back, a tensor of this level or a higher one, and so are those that arrive."""
        here = isinstance(u, self.xp.array_class)
        create = create and mode().recording
        found = self.back(u._value if here and not create else u, create, None if here else u._xp)
        return {node: lift(t, u._xp) for node, t in found.items()}


class Result(Opaque):
    """The recipe of a node that stands for a solution, and keeps it as long as the node is there."""

    opaque = False
    kernel: Any = None

    def __init__(self, name: str, x: Any, edges: list[Edge]) -> None:
        super().__init__(name, x._xp.array_class, edges, 0)
        self.value = x._value

    def connected(self, x: Any, edges: list[Edge]) -> Any:
        """Return the solution, connected."""
        recipe: Any = self
        node = new_node(recipe, (), tuple(edges), (self.value,), x.shape, x.dtype)
        if rare_used:
            show(node)
        return self.array._make(self.value, node)

    def tensor(self, t: Any, xp: Any) -> tuple[Any, bool]:
        """Return a cotangent of a pass as a tensor, and whether its first axis are many, out of sight in the pass."""
        many = False
        if isinstance(xp, Namespace) and is_batched(xp):
            t, many = t._value, t._hidden
        return t if isinstance(t, Tensor) else self.array._make(t), many

    def lift(self, node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the solution for a pass that is recorded: connected, and by that it is known."""
        return (self.array._make(self.value, node),)

    def invoke(self, kernel: Any, inputs: Any, params: Any) -> Any:
        """Return the solution again, to recompute what depends on it."""
        return self.value
