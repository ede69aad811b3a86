"""The one recorded graph: nodes, leaves, and what they know.

A :class:`Node` is an operation that was recorded, a :class:`Leaf` a tensor where gradients accumulate.
Nodes point to the nodes they came from and never forward, and never to a tensor: a graph without references
from outside is freed at once, without the garbage collector.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any
from weakref import ReferenceType, WeakSet, ref

from .backends.keeping import Keeping
from .keeping import with_kept
from .rules.kinds import Derivative, General, Op, derivative, expression, invoker_of

tick = count(1).__next__  # nodes are numbered as they are made, so "the latest first" is a topological order


class Many:
    """The shape and dtype of a node with several outputs: each is told by an `item` node of its own."""

    def __repr__(self) -> str:
        return "several"


MANY: Any = Many()


class Parts(tuple[Any, ...]):
    """The cotangent of a node with several outputs: one for each, or None where nothing depends on it."""

    __slots__ = ()
    shape = dtype = MANY

    def __add__(self, other: Any) -> Parts:
        return Parts(b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True))


class Nothing:
    """The cotangent that a custom function leaves out, by returning None: nothing arrives at that input."""

    shape = dtype = None

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Any = Nothing()


ITEM = Op(
    "item",
    "x, index, size, /",
    General(
        vjp=lambda t, index, size: Parts(t if i == index else None for i in range(size)),
        jvp=lambda t, index: t[index],
    ),
)


def take_item(x: Any, index: int, size: int, /) -> Any:
    """Return one output of several: the kernel of `ITEM`."""
    return x[index]


class Recipe:
    """An op's derivative bound to the namespace it computes in: what a node knows about its op."""

    __slots__ = (
        "array", "complexes", "conjugates", "invoke", "item", "keeping", "kernel", "lower", "names", "narrowed",
        "needs", "node", "op", "parts", "pick", "pull", "sources", "targets",
    )  # fmt: skip

    def __init__(
        self,
        op: Op,
        needs: tuple[bool, ...],
        kernel: Callable[..., Any],
        invoke: Callable[..., Any],
        lower: Any,
        array: Any,
        keeping: Keeping | None = None,
    ) -> None:
        self.op, self.needs, self.kernel, self.invoke, self.keeping = op, needs, kernel, invoke, keeping
        self.lower, self.array, self.complexes = lower, array, lower.complexes
        compiled = self._derivative(needs)
        self.pick, self.pull, self.conjugates = compiled.pick, compiled.pull, compiled.conjugates
        self.targets, self.names, self.sources = compiled.targets, compiled.names, compiled.sources
        holds = any(source is not None for source in self.sources)  # whether what it saves is worth freeing
        equal = () if lower.dtypes_are_single else self.complexes  # what comparing by identity would miss
        self.parts = (self.targets, self.pull, lower, *self.complexes, equal, self.conjugates, holds)  # for the walk
        self.node: Any = None if op.variadic else node_maker(op, self.names)(self, Node, tick)
        self.narrowed: dict[tuple[int, ...], Callable[..., Any]] = {}
        self.item: Recipe | None = None
        if op.result is not None:
            self.item = Recipe(ITEM, (True,), take_item, invoker_of(ITEM), lower, array)

    def pull_for(self, targets: tuple[int, ...]) -> Callable[..., Any]:
        """Return a `pull` that computes only some of the recorded targets' cotangents."""
        pull = self.narrowed.get(targets)
        if pull is None:
            pull = self.narrowed[targets] = self._narrow(targets)
        return pull

    def _derivative(self, needs: tuple[bool, ...]) -> Derivative:
        plain = derivative(self.op, needs)
        return plain if self.keeping is None else with_kept(plain, self.keeping, self.lower)

    def _narrow(self, targets: tuple[int, ...]) -> Callable[..., Any]:
        part = self._derivative(tuple(i in targets for i in range(len(self.needs))))
        places = [self.names.index(name) for name in part.names]
        return lambda t, s, xp: part.pull(t, tuple([s[i] for i in places]), xp)


@cache
def node_maker(op: Op, names: tuple[str, ...]) -> Callable[..., Any]:
    """Return a function that makes a recipe's `node(*inputs, out, params, edges, like)`: a new node that saves `names`.

    One that saves what a kernel kept takes that last.

    It is `new_node` and `pick` in one call, without attributes that are read to be handed on: 60 ns of 950. `like` is
    an edge whose shape is shared where it is the same: a tuple less to keep, and for the garbage collector to visit,
    is an eighth of the time that a chain of a million operations takes.
    """
    scope: dict[str, Any] = {}
    saved = "".join(f"{expression(name, op)}, " for name in names)
    arrays, kept = ", ".join(op.arrays), ", kept" if "kept" in names else ""
    exec(NODE_MAKER.format(arrays=arrays, saved=saved, kept=kept), scope)
    return scope["maker"]  # type: ignore[no-any-return]


NODE_MAKER = """
def maker(recipe, Node, tick):
    def node({arrays}, out, p, edges, like{kept}):
        shape = like.shape
        made = Node()
        made.recipe = recipe
        made.params = p
        made.edges = edges
        made.saved = ({saved})
        made.shape = shape if shape == out.shape else out.shape
        made.dtype = out.dtype
        made.seq = tick()
        made.hooks = None
        return made
    return node
"""


class Absent:
    """What stands in `Node.saved` while the values themselves are elsewhere."""

    __slots__ = ()

    def values(self, node: Node, walk: Any) -> tuple[Any, ...]:
        """Return what the node saved, for a walk that is about to differentiate it."""
        raise NotImplementedError

    def left(self, freed: Freed) -> Absent:
        """Return what stands in its place once a walk that frees has passed."""
        return freed

    def source(self, node: Node, ends: list[Callable[[], None]]) -> Node:
        """Return a node that has the constants and parameters of this one, to recompute it: mostly itself.

        What is to be called when all is recomputed is added to `ends`.
        """
        return node


@cache
def is_inexact(lower: Any, dtype: Any) -> bool:
    """Tell whether arrays of a dtype may have a gradient: of several outputs some may be integers."""
    return bool(lower.isdtype(dtype, ("real floating", "complex floating")))


class Freed(Absent):
    """What stands in `Node.saved` once a walk has dropped it; `done` once all its gradients are delivered."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False


class Hooks:
    """What is to be done when a node's total cotangent is known, and what users keep with a node."""

    __slots__ = ("after", "before", "behind", "metadata", "on", "retain")

    def __init__(self) -> None:
        self.on: dict[int, Callable[..., Any]] = {}  # tensor hooks, in order of registration
        self.before: dict[int, Callable[..., Any]] = {}  # node hooks: before it is differentiated
        self.behind: dict[int, Callable[..., Any]] = {}  # and after that
        self.after: dict[int, Callable[..., Any]] = {}  # post-accumulate hooks, on leaves only
        self.retain: ReferenceType[Any] | None = None  # the tensor that asked for its `.grad`
        self.metadata: dict[Any, Any] = {}


class HookHandle:
    """Remove a hook again: what the `register_..._hook` methods return."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks, self._key = hooks, tick()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Remove the hook; harmless when called twice or during backward."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Hookable:
    """What nodes and leaves let users do with them: hooks of their own, and notes."""

    __slots__ = ()
    hooks: Hooks | None

    def owner(self) -> Any:
        """Return the node that hooks and notes belong to."""
        return self

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for whatever a user wants to keep with this node."""
        return hooks_of(self.owner()).metadata

    def register_prehook(self, hook: Callable[[tuple[Any, ...]], Any]) -> HookHandle:
        """Call `hook(grad_outputs)` before a pass differentiates this node; a tuple that it returns replaces them.

        Hooks of the tensor itself come first. `grad_outputs` has an entry for each output of the operation: None
        where nothing depends on it. A None in the tuple that is returned stands for zeros. Returns a handle whose
        `remove()` takes the hook away again.
        """
        return HookHandle(hooks_of(self.owner()).before, hook)

    def register_hook(self, hook: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]) -> HookHandle:
        """Call `hook(grad_inputs, grad_outputs)` after a pass has differentiated this node.

        `grad_inputs` has an entry for each input of the operation, of its shape: None for what needs no gradient. A
        tuple that the hook returns replaces them; a None in it lets nothing pass. A leaf's `grad_inputs` is empty, and
        its hook comes after its `.grad`. Returns a handle whose `remove()` takes the hook away again.

        >>> import autodiff_api as ad
        >>> x = ad.tensor(2.0, requires_grad=True)
        >>> y = x * x
        >>> handle = y.grad_fn.register_hook(lambda grad_inputs, grad_outputs: print(grad_inputs, grad_outputs))
        >>> y.backward()
        (tensor(2.), tensor(2.)) (tensor(1.),)
        """
        return HookHandle(hooks_of(self.owner()).behind, hook)


class Node(Hookable):
    """A recorded operation: its op, static parameters, edges, saved values, and its output's shape and dtype.

    An edge is the node of an input that needs a gradient, or the constant itself.
    """

    __slots__ = ("__weakref__", "dtype", "edges", "hooks", "params", "recipe", "saved", "seq", "shape")

    recipe: Recipe
    params: Any
    edges: tuple[Any, ...]
    saved: Any
    shape: Any
    dtype: Any
    seq: int
    hooks: Hooks | None

    def name(self) -> str:
        """Return the op's name, as PyTorch writes it."""
        return str(self.owner().recipe.op.title)

    def owner(self) -> Any:
        """Return the node as users know it: of an output of several, the operation's."""
        return self if self.recipe.op is not ITEM else self.edges[0]

    @property
    def array(self) -> Any:
        """The tensor class of the output."""
        return self.recipe.array

    def items(self, values: Any) -> Any:
        """Return the tensors of an op with several outputs, given their values, connected to this node."""
        recipe, size, make = self.recipe.item, len(values), self.recipe.array._make
        assert recipe is not None
        nodes = [
            new_node(recipe, (i, size), (self,), (i, size), v.shape, v.dtype)
            if is_inexact(recipe.lower, v.dtype)
            else None
            for i, v in enumerate(values)
        ]
        return self.recipe.op.result(*map(make, values, nodes))  # type: ignore[misc]

    @property
    def next_functions(self) -> tuple[tuple[Node | Leaf | None, int], ...]:
        """The nodes of the inputs, each with the output it stands for; None for a constant."""
        return tuple(place_of(e) if isinstance(e, Edge) else (None, 0) for e in self.owner().edges)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def new_node(
    recipe: Recipe, params: Any, edges: tuple[Any, ...], saved: Any, shape: Any, dtype: Any, kind: type[Node] = Node
) -> Node:
    """Return a new node: made by a function, since to call a class that has an `__init__` costs 50 ns more."""
    node = kind()
    node.recipe = recipe
    node.params = params
    node.edges = edges
    node.saved = saved
    node.shape = shape
    node.dtype = dtype
    node.seq = tick()
    node.hooks = None
    return node


class Leaf(Hookable):
    """Where gradients accumulate. Holds the leaf's value, and its tensor only weakly."""

    __slots__ = ("__weakref__", "array", "changed", "dtype", "hooks", "seq", "shape", "tensor", "value")
    edges: tuple[Any, ...] = ()
    next_functions: tuple[Any, ...] = ()

    def __init__(self, tensor: Any, value: Any) -> None:
        self.tensor = ref(tensor)
        self.array = tensor._xp.array_class
        self.value = value
        self.shape, self.dtype = value.shape, value.dtype
        self.seq = tick()
        self.changed = 0  # when the value was last replaced in place
        self.hooks: Hooks | None = None

    def rebind(self, value: Any) -> None:
        """Follow an in-place change of the tensor, which `x.data = y` may give another shape and dtype."""
        self.value, self.changed = value, tick()
        self.shape, self.dtype = value.shape, value.dtype

    @property
    def variable(self) -> Any:
        """The tensor whose gradient is accumulated; None if it is gone."""
        return self.tensor()

    def register_hook(self, hook: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]) -> HookHandle:
        """Call `hook((), (grad,))` as soon as this leaf's gradient has been added to its `.grad`."""
        eager_leaves.add(self)
        return super().register_hook(hook)

    def name(self) -> str:
        """Return PyTorch's name for the place where a leaf's gradient is accumulated."""
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def place_of(node: Edge) -> tuple[Edge, int]:
    """Return a node as users know it, and which of its outputs is meant."""
    return (node.edges[0], node.params[0]) if isinstance(node, Node) and node.recipe.op is ITEM else (node, 0)


def move_retain(old: Any, new: Any, tensor: Any) -> None:
    """Let `retain_grad` follow a tensor to the node of its new version."""
    hooks = old.hooks if isinstance(old, Node) else None
    if hooks is not None and isinstance(new, Node) and hooks.retain is not None and hooks.retain() is tensor:
        hooks_of(new).retain, hooks.retain = hooks.retain, None


def sharers(tensor: Any) -> Any:
    """Return the tensors that share the data of one that is no view, itself included."""
    return tensor._sharers.tensors() if hasattr(tensor, "_sharers") else (tensor,)


Edge = Node | Leaf
eager_leaves: WeakSet[Leaf] = WeakSet()  # leaves with a post-accumulate hook: rare, so a walk asks here first


def hooks_of(node: Any) -> Hooks:
    """Return a node's hooks, made on first need."""
    if node.hooks is None:
        node.hooks = Hooks()
    hooks: Hooks = node.hooks
    return hooks
