"""Walks over the recorded graph: going backward, recomputing what was freed, finding what leads where.

Every walk is a loop. Nodes carry a number that grows as they are made, so a heap of the nodes that have a
cotangent waiting, the latest first, is the whole of the scheduling.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from .arrays import Array
from .errors import GraphError, PluginContractError, RecomputeWarning
from .graph import MANY, NOTHING, Absent, Edge, Freed, Leaf, Node, Recipe, eager_leaves
from .hooks import HookCalls
from .modes import mode
from .places import user_level
from .rules.kinds import to_dtype

SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved "
    "tensors after calling backward."
)


class Walk(HookCalls):
    """One pass backward: from cotangents of some nodes to cotangents of leaves (and of nodes asked for).

    `keep` retains saved values; `create` records the pass itself, which then computes with tensors; `wanted`
    limits it to what leads to these nodes. `finish(leaf, t)` is called early for a
    leaf with a post-accumulate hook, when its cotangent is complete. `over` is a namespace of another array type
    over the one that the pass would compute in: that of the cotangents, when many are carried back at once.
    """

    join: Callable[[Any, Any], Any] | None = None  # adds cotangents, where they may lie in different ways

    def __init__(
        self,
        keep: bool,
        create: bool = False,
        wanted: Iterable[Edge] | None = None,
        finish: Callable[[Leaf, Any], None] | None = None,
        over: Any = None,
    ) -> None:
        self.keep, self.create, self.finish, self.over = keep, create, finish, over
        self.wanted = None if wanted is None else set(wanted)
        self.found: dict[Edge, Any] = {}  # what was asked for
        self.retained: list[tuple[Any, Any]] = []  # (tensor, its cotangent) for retain_grad
        self.freed = Freed()
        self.watchers = mode().watchers
        self.notes: dict[Any, Any] = {}  # what watchers and hooks keep for the time of this pass
        self.ends: list[Callable[[], None]] = []  # to be called when it is over, whatever happened

    def run(self, seeds: list[tuple[Edge, Any]]) -> dict[Edge, Any]:
        """Carry the seeds back and return the cotangents found, hooks applied."""
        self.roots = [node for node, _ in seeds]
        backend = self.roots[0].array._xp._backend if seeds else None
        self.join = None if backend is None or backend.layout_of is None else partial(joined, backend)
        self.needed = needed = None if self.wanted is None else leading_to(self.roots, self.wanted)
        uses = self._uses_of_eager_leaves()
        pending: dict[Edge, Any] = {}
        heap: list[tuple[int, Node]] = []
        for node, t in seeds:
            if needed is not None and node not in needed:
                continue
            if node in pending:
                pending[node] = pending[node] + t if self.join is None else self.join(pending[node], t)
            else:
                pending[node] = t
                if isinstance(node, Node):
                    heappush(heap, (-node.seq, node))
        try:
            self._loop(pending, heap, needed, uses)
            for leaf, t in pending.items():
                self._complete(leaf, t)
        finally:
            for end in self.ends:
                end()
        return self.found

    def _loop(
        self,
        pending: dict[Edge, Any],
        heap: list[tuple[int, Node]],
        needed: set[Edge] | None,
        uses: dict[Leaf, int] | None,
    ) -> None:
        """Visit nodes, latest first: when the latest is due, all that use it have been visited."""
        keep, create, freed, over, watched = self.keep, self.create, self.freed, self.over, bool(self.watchers)
        join = self.join
        while heap:
            node: Any = heappop(heap)[1]
            t = pending.pop(node)
            while node is not None:
                hooks = node.hooks
                if hooks is not None:
                    t = self.on(node, t)
                edges = node.edges
                recipe = node.recipe
                targets, pull, xp, c64, c128, equal, conjugates, holds = recipe.parts
                if needed is not None:
                    if node in self.wanted:  # type: ignore[operator]
                        self.found[node] = t
                    targets = tuple([i for i in targets if edges[i] in needed])
                    if not targets:
                        break
                    pull = recipe.pull_for(targets)
                saved = node.saved
                if saved.__class__ is not tuple:
                    saved = self.fetch(node, heap)
                elif holds and not keep:
                    node.saved = freed
                if watched or hooks is not None:
                    t, pull = self._around(node, t, targets, pull)
                if create:
                    saved, xp = lift(node, saved), recipe.array._xp
                if over is not None:
                    saved, xp = tuple([held(value, over) for value in saved]), over
                dtype = node.dtype
                if conj := (dtype is c64 or dtype is c128 or (equal and dtype in equal)) and conjugates:
                    t = xp.conj(t)
                cotangents = pull(t, saved, xp)
                follow = None
                k = 0  # counted by hand: `zip` costs 100 ns a node
                for i in targets:
                    edge = edges[i]
                    g = cotangents[k]
                    k += 1
                    if conj or edge.dtype is not dtype or g.dtype is not dtype or g.shape != edge.shape:
                        if g is NOTHING:
                            continue  # what else arrives there is complete at the end, at the latest
                        g = settle(g, edge, xp, recipe)
                    if edge is follow:
                        t = t + g if join is None else join(t, g)
                    elif edge in pending:
                        # Popped, it is held by nobody else, if it was unshared: NumPy then adds to large ones in place.
                        pending[edge] = pending.pop(edge) + g if join is None else join(pending[edge], g)
                    elif edge.__class__ is Leaf:
                        pending[edge] = g
                    elif follow is None:
                        follow, t = edge, g
                    else:
                        pending[edge] = g
                        heappush(heap, (-edge.seq, edge))
                    if uses is not None and edge in uses:
                        uses[edge] -= 1
                        if not uses[edge]:
                            self._complete(edge, pending.pop(edge))
                # In a chain the next node is the one just reached: it needs neither the heap nor the table.
                if follow is not None and heap and heap[0][0] < -follow.seq:
                    pending[follow] = t
                    heappush(heap, (-follow.seq, follow))
                    follow = None
                node = follow

    def fetch(self, node: Node, heap: Sequence[tuple[int, Node]] = ()) -> tuple[Any, ...]:
        """Return what a node saved, wherever it is; in the heap are nodes whose turn comes later."""
        while (saved := node.saved).__class__ is Freed:  # again, if another thread has freed it meanwhile
            restore([node, *(waiting for _, waiting in heap)], saved)
        values: tuple[Any, ...] = saved if saved.__class__ is tuple else saved.values(node, self)
        if not self.keep and node.recipe.parts[-1]:  # it holds something
            node.saved = saved.left(self.freed) if isinstance(saved, Absent) else self.freed
        return values

    def will_visit(self, node: Edge) -> bool:
        """Tell whether this pass makes a cotangent for a node."""
        if "reached" not in self.notes:
            self.notes["reached"] = set(reachable(self.roots)) if self.needed is None else self.needed
        return node in self.notes["reached"]

    def _around(self, node: Node, t: Any, targets: tuple[int, ...], pull: Any) -> tuple[Any, Any]:
        """Let hooks change a node's cotangent, and stand beside its `pull` with whoever watches."""
        if node.hooks is not None:
            t = self.before(node, t)
        for watcher in self.watchers:
            pull = watcher.around(self, node, t, targets, pull)
        if node.hooks is not None and node.hooks.behind:
            pull = self._followed(node, t, targets, pull)
        return t, pull

    def _followed(self, node: Node, outputs: Any, targets: tuple[int, ...], pull: Any) -> Any:
        """Return a pull that lets a node's hooks see, and replace, the cotangents of its inputs."""
        edges, recipe = node.edges, node.recipe

        def followed(t: Any, saved: tuple[Any, ...], xp: Any) -> list[Any]:
            inputs: list[Any] = [None] * len(edges)
            for i, g in zip(targets, pull(t, saved, xp), strict=True):
                inputs[i] = None if g is NOTHING else settle(g, edges[i], xp, recipe)
            inputs = self.behind(node, inputs, outputs)
            back = [
                NOTHING if inputs[i] is None else inputs[i] for i in targets
            ]  # the loop settles them again, so a conjugate is due once more
            return [xp.conj(g) if recipe.conjugates and g.dtype in recipe.complexes else g for g in back]

        return followed

    def _complete(self, leaf: Any, t: Any) -> None:
        """Take the total cotangent of a leaf."""
        accumulates = self.finish is not None
        if leaf.hooks is not None:
            t = self.on(leaf, t)
            if accumulates:
                t = self.before(leaf, t)
        t = laid_out(t, leaf.value, leaf.array._xp._backend)
        if accumulates and leaf in eager_leaves:
            self.finish(leaf, t)  # type: ignore[misc]
            self.behind(leaf, (), t)
        else:
            self.found[leaf] = t

    def _uses_of_eager_leaves(self) -> dict[Leaf, int] | None:
        """Count the edges to each leaf that must be finished early; None when there is no such leaf."""
        if self.finish is None or not eager_leaves:
            return None
        uses: dict[Leaf, int] = {}
        for node in reachable(self.roots):
            if isinstance(node, Node):
                for i in node.recipe.targets:
                    edge = node.edges[i]
                    if edge.__class__ is Leaf and edge in eager_leaves:
                        uses[edge] = uses.get(edge, 0) + 1
        return uses


def settle(g: Any, edge: Edge, xp: Any, recipe: Recipe) -> Any:
    """Finish a formula's result: conjugate it back, and bring it to its edge's shape and dtype.

    What was broadcast going forward is summed, what was promoted is cast, a real input gets the real part.
    """
    if recipe.conjugates and g.dtype in recipe.complexes:
        g = xp.conj(g)
    if g.shape != edge.shape:
        g = unbroadcast(g, edge.shape, xp, recipe)
    return to_dtype(g, edge.dtype, xp)


def unbroadcast(g: Any, shape: tuple[int, ...], xp: Any, recipe: Recipe) -> Any:
    """Sum a cotangent over the axes that broadcasting added or stretched."""
    given = g.shape
    extra = len(given) - len(shape)
    if extra > 0 and given[extra:] == shape:  # as that of a bias: half of what the rest costs
        return xp.sum(g, axis=tuple(range(extra)))
    if extra < 0:  # an assigned value may have leading ones: x[0] = [[1, 2]]
        g = xp.reshape(g, (1,) * -extra + tuple(g.shape))
    if any(n not in (1, m) for n, m in zip(reversed(shape), reversed(g.shape))):  # noqa: B905 (lengths differ)
        raise PluginContractError(
            f"the rule of {recipe.op.name} made a cotangent of shape {tuple(g.shape)} for an input of shape "
            f"{tuple(shape)}; a rule must return the input's shape or one that it broadcasts to"
        )
    if extra > 0:
        g = xp.sum(g, axis=tuple(range(extra)))
    stretched = tuple(i for i, (n, m) in enumerate(zip(shape, g.shape, strict=True)) if n == 1 and m != 1)
    return xp.sum(g, axis=stretched, keepdims=True) if stretched else g


def joined(backend: Any, t: Any, g: Any) -> Any:
    """Add two cotangents of one array, which an engine may refuse because they lie over a mesh in different ways."""
    try:
        return t + g
    except Exception:
        same = laid_out(g, raw(t), backend)
        if same is g:
            raise
    return t + same


def raw(x: Any) -> Any:
    """Return the engine's array at the bottom of any other."""
    while isinstance(x, Array):
        x = x._value
    return x


def laid_out(t: Any, like: Any, backend: Any) -> Any:
    """Return a cotangent that lies over a mesh of devices as the value does that it belongs to."""
    there = None if backend.layout_of is None else backend.layout_of(like)
    if there is None:
        return t
    x = raw(t)
    if x.shape != like.shape or backend.layout_of(x) == there:  # the other shape: many cotangents at once
        return t
    return t._xp.to_device(t, there) if isinstance(t, Array) else backend.place(t, there)


def held(value: Any, xp: Any) -> Any:
    """Return a saved value as what another array type computes with: an engine's array as a constant of it."""
    if isinstance(value, tuple | list):
        parts = [held(part, xp) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if not hasattr(value, "dtype") or isinstance(value, Array | type):
        return value
    below = xp._lower._namespace
    return xp.array_class._make(held(value, below) if hasattr(below, "array_class") else value)


def lift(node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """Turn saved values into tensors connected to the graph, so that a formula can itself be recorded."""
    own = getattr(node.recipe, "lift", None)  # what is no op of the tables knows better what it saved
    if own is not None:
        return own(node, saved)  # type: ignore[no-any-return]
    make, edges = node.recipe.array._make, node.edges
    lifted = []
    for source, value in zip(node.recipe.sources, saved, strict=True):
        if source == "out":
            value = make(value, node) if node.shape is not MANY else node.items(value)
        elif source == "all":
            value = [make(v, e if isinstance(e, Edge) else None) for v, e in zip(value, edges, strict=True)]
        elif isinstance(source, int) and hasattr(value, "dtype"):
            edge = edges[source]
            value = make(value, edge if isinstance(edge, Edge) else None)
        lifted.append(value)
    return tuple(lifted)


# --- other walks ---


def reachable(roots: Iterable[Edge]) -> Iterator[Edge]:
    """Yield every node and leaf that leads to `roots`, each once, in no particular order."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        yield node
        for edge in node.edges:
            if isinstance(edge, Edge) and edge not in seen:
                seen.add(edge)
                stack.append(edge)


def leading_to(roots: Iterable[Edge], wanted: set[Edge]) -> set[Edge]:
    """Return the nodes on some path from `roots` back to `wanted`, ends included."""
    needed = set(wanted)
    for node in sorted(reachable(roots), key=lambda n: n.seq):
        if isinstance(node, Node) and any(isinstance(e, Edge) and e in needed for e in node.edges):
            needed.add(node)
    return needed


def restore(roots: Iterable[Node], freed: Freed) -> None:
    """Recompute what a walk has freed, for `roots` (all that it has yet to visit) and what they came from.

    A freed graph is a checkpointed graph: the leaves and the constants are still on its edges.
    """
    warn = freed.done  # not when a failed walk freed it: that is no mistake of the user's
    nodes = sorted((n for n in reachable(roots) if isinstance(n, Node)), key=lambda n: n.seq)
    values: dict[Node, Any] = {}
    ends: list[Callable[[], None]] = []
    if warn and any(getattr(n.recipe, "opaque", False) for n in nodes):
        raise GraphError(SECOND_TIME)
    for node in nodes:
        recipe = node.recipe
        source = node.saved.source(node, ends) if isinstance(node.saved, Absent) else node
        pairs = zip(node.edges, source.edges, strict=True)
        inputs = [_value_of(e if isinstance(e, Edge) else c, node, values) for e, c in pairs]
        out = values[node] = recipe.invoke(recipe.kernel, inputs, source.params)
        if node.saved.__class__ is Freed:
            node.saved = recipe.pick(*inputs, out, source.params)
    for end in ends:
        end()
    if warn:
        warnings.warn(
            "Trying to backward through the graph a second time: its saved values had been freed and were "
            "recomputed. Specify retain_graph=True in the first call if you need to go backward again.",
            RecomputeWarning,
            stacklevel=user_level(),
        )


def _value_of(edge: Any, user: Node, values: dict[Node, Any]) -> Any:
    if isinstance(edge, Node):
        return values[edge]
    if edge.__class__ is not Leaf:
        return edge
    if edge.changed > user.seq:
        raise GraphError(
            f"Trying to backward through the graph a second time, but a leaf of shape {tuple(edge.shape)} that "
            f"{user.name()} used was changed in place since, so the freed values can't be recomputed. Specify "
            "retain_graph=True in the first call, or run the forward pass again."
        )
    return edge.value
