"""A function that one node of the graph stands for: what it depends on, and how a pass goes back through it.

It is recorded once, on leaves of its own, to see which results depend on which inputs, and on what it closes over:
those are the nodes that are older than the recording. A pass backward records it again and ends at these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..arrays import Array
from ..custom.nodes import Opaque
from ..errors import GraphError
from ..func.reverse import alias, recorded
from ..func.within import Within
from ..graph import MANY, Edge, Leaf, Node, new_node, tick
from ..levels import lift
from ..modes import mode, no_grad, rare_used
from ..modes import recorded as show
from ..namespaces import Namespace
from ..saved import unwatched
from .layers import Arrays, Engine, Level, below
from .runs import Run, tried


def quiet(xp: Namespace) -> AbstractContextManager[None]:
    """Return what keeps the forward pass of a node from being recorded, unless levels below want to record it."""
    return no_grad() if isinstance(below(xp), Engine) else nullcontext()


class Pass:
    """Where one pass backward computes: on the values below, on tensors that record it, or on another array type."""

    def __init__(self, xp: Namespace, given: Any, create: bool) -> None:
        self.xp, self.create = xp, create
        under = below(xp)
        self.level: Level = under if given is xp._lower else given
        beneath = xp._lower._namespace
        self.held = beneath.array_class if isinstance(beneath, Namespace) else ()  # what its tensors hold
        self.over = None if given is xp._lower or given is xp else given
        self.functions = self.level.xp if isinstance(self.level, Engine) else self.level

    def up(self, x: Any) -> Any:
        """Return a saved value as an array of this pass."""
        return x if self.over is None else lift(x, self.over)

    def tensor(self, x: Any) -> Any:
        """Return a saved value again, as the tensor that it was."""
        if self.create:
            while not isinstance(x, self.xp.array_class):
                x = x._value
            return x
        while isinstance(x, Array) and not isinstance(x, self.held):
            x = x._value
        return self.xp.array_class._make(x)

    def zeros(self, x: Any) -> Any:
        """Return zeros for what a cotangent of `x`, a node or an array of this pass, would be."""
        if isinstance(x, Edge):
            return self.functions.zeros(tuple(x.shape), dtype=x.dtype)
        return self.functions.zeros_like(x)


def closes_over_history(function: Callable[[Arrays], Arrays], inputs: Sequence[Any]) -> bool:
    """Tell whether results have a history although the inputs have none: then what the function closes over has."""
    with unwatched():
        outputs, _ = tried(recorded, function, [x._xp.array_class._make(x._value) for x in inputs])
    return any(y._node is not None for y in outputs)


class Body:
    """A function of tensors of one namespace that a node stands for.

    `reached` says of each result what it depends on: inputs, by their number, and nodes from outside, which are
    `captured`. `made` is when the node was: what the function closes over must not change after that.
    """

    def __init__(self, xp: Namespace, function: Callable[[Arrays], Arrays], inputs: Sequence[Any]) -> None:
        self.xp, self.function, self.born, self.made = xp, function, tick(), 0
        fresh = {i: self._leaf(x) for i, x in enumerate(inputs) if x._is_float()}
        leaves = {x._node: i for i, x in fresh.items()}
        make = xp.array_class._make
        given = [alias(fresh[i]) if i in fresh else make(x._value) for i, x in enumerate(inputs)]
        with Run(trial=True) as run, unwatched():
            outputs, self.by_chance = tried(recorded, function, given)
        self.shapes = [(tuple(y.shape), y.dtype) for y in outputs]
        self.reached = [self._reached(y._node, leaves) for y in outputs]
        found = {e for edges in self.reached for e in edges if not isinstance(e, int)}
        self.captured: list[Edge] = sorted(found, key=lambda e: e.seq)
        self.loose = [e for e in self.captured if isinstance(e, Leaf) and e not in run.held]

    def _leaf(self, x: Any) -> Any:
        leaf = self.xp.array_class._make(x._value)
        leaf._node = Leaf(leaf, x._value)
        return leaf

    def _source(self, x: Any) -> Any:
        """Return what a cotangent is wanted of: a node on the way of the history, if that is recorded, or a leaf."""
        return alias(x) if x._node is not None and mode().recording else self._leaf(x)

    def _reached(self, root: Edge | None, leaves: dict[Edge, int]) -> set[Any]:
        """Return what a result depends on: the numbers of leaves, and nodes that are older than this body."""
        found: set[Any] = set()
        seen, stack = set(), [] if root is None else [root]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.seq < self.born:
                found.add(node)
            elif node in leaves:
                found.add(leaves[node])
            else:
                stack += [e for e in node.edges if isinstance(e, Edge)]
        return found

    def depends(self, moving: Iterable[int]) -> list[bool]:
        """Tell of each result whether it has a gradient, if the inputs with these numbers have one."""
        inputs = set(moving)
        return [any(not isinstance(e, int) or e in inputs for e in reached) for reached in self.reached]

    def keep(self, node: Node) -> None:
        """Be the body of a node; GraphError if running again would be something else."""
        self.made = node.seq
        if self.by_chance:
            raise GraphError(
                "the function of a loop or branch draws random numbers: it runs again in the pass backward, where they "
                "would be others, and an engine that compiles it draws once for all steps. Draw them before, and hand "
                "them in: as xs, some for each step"
            )

    def pull(
        self,
        at: Pass,
        inputs: Sequence[Any],
        cotangents: Sequence[Any],
        places: Sequence[int],
        captured: Sequence[Edge],
    ) -> tuple[Arrays, Arrays]:
        """Return the cotangents of the inputs at `places`, and of what is captured; all are arrays of the pass.

        A cotangent of None is zero, and so it is among the results.
        """
        start = tick()
        given = [at.tensor(x) for x in inputs]
        sources = {i: self._source(given[i]) for i in places}
        with Run(again=True):
            outputs = recorded(self.function, [alias(sources[i]) if i in sources else x for i, x in enumerate(given)])
        create = at.create and mode().recording
        bare = at.create and not create and at.over is None  # tensors below a node that is recorded: their values do
        seeds = [
            (y._node, t._value if bare else t)
            for y, t in zip(outputs, cotangents, strict=True)
            if t is not None and y._node is not None
        ]
        stops = [*(sources[i]._node for i in places), *captured]
        ends = {*stops, *self.captured, *(x._node for x in given if x._node is not None)}
        self._check([node for node, _ in seeds], ends, start)
        found = Within(create, create, over=at.over).back(seeds, ends)
        make = self.xp.array_class._make
        back = [make(t) if bare and t is not None else t for t in map(found.get, stops)]
        return back[: len(places)], back[len(places) :]

    def _check(self, roots: Sequence[Edge], ends: set[Edge], start: int) -> None:
        """Raise GraphError if what was recorded since `start` does not end where it did in the forward pass."""
        for leaf in self.loose:
            if leaf.changed > self.made > 0:
                raise _astray(leaf)
        seen, stack = set(ends), [node for node in roots if node not in ends]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.seq < start and (node.seq < self.born or node.seq > self.made > 0):
                raise _astray(node)
            for edge in node.edges:
                if isinstance(edge, Edge) and edge not in seen:
                    stack.append(edge)


def _astray(node: Edge) -> GraphError:
    return GraphError(
        f"the function of a loop or branch was run again for the pass backward, and used a tensor of shape "
        f"{tuple(node.shape)} that it had not used, or that was changed in place since. Go backward before you change "
        "what it closes over, choose with cond or where instead of if, or hand the tensor in as an argument"
    )


class Bodied(Opaque):
    """The recipe of a node whose derivative is a pass through a body. It saves what its forward pass computed."""

    opaque = False  # once freed, it is computed again

    def __init__(self, name: str, xp: Namespace, edges: Sequence[Any], saved: int) -> None:
        super().__init__(name, xp.array_class, edges, saved)
        self.xp, self.edges, self.kernel = xp, tuple(edges), None

    def output(self, node: Node, i: int, value: Any) -> Any:
        """Return output `i` as a tensor that is connected to the node."""
        known = (i, self.size)
        return self.array._make(value, new_node(self.item, known, (node,), known, value.shape, value.dtype))

    @property
    def size(self) -> int:
        """The number of outputs."""
        raise NotImplementedError

    def node(self, saved: tuple[Any, ...]) -> Node:
        """Return the node of the call."""
        recipe: Any = self
        node = new_node(recipe, (), self.edges, saved, MANY, MANY)
        if rare_used:
            show(node)
        return node
