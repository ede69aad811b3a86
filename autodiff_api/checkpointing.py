"""`checkpoint`: a function that is recorded without what it saves, and run again when a pass comes to it.

While the function runs, a watcher notes each node. When it is done, what the nodes have saved is dropped, and the
constants on their edges too. A pass that meets such a node asks its segment, which runs the function again with the
arguments and variables that it had, pairs the new nodes with the old by their order, and hands over what they saved.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from contextvars import copy_context
from hashlib import blake2b
from threading import RLock
from typing import Any, NamedTuple
from weakref import ReferenceType, ref

from .backends import backend_of
from .errors import ArgumentError, CheckpointError, GraphError
from .freezing import FrozenCall
from .graph import Absent, Freed, Leaf, Node, tick
from .modes import MODE, Mode, Watcher, mode, replace_mode, use_rare
from .places import user_places
from .random import default_generator
from .saved import Packer
from .trees import flatten
from .values import arrays_in, engine_arrays, is_array

CHECKS = ("default", "none", "values")
SAME_EACH_TIME = (
    "a checkpointed function must do the same each time that it is called with the same arguments: it may not depend "
    "on what is changed in between, nor on chance that preserve_rng_state does not cover"
)


class Options(NamedTuple):
    """What `checkpoint` was asked for, beside the function."""

    preserve_rng_state: bool = True
    determinism_check: str = "default"
    context_fn: Callable[[], tuple[Any, Any]] | None = None


class Mark(NamedTuple):
    """What is noted of a recorded operation, to know it again."""

    name: str
    needs: tuple[bool, ...]
    shape: Any
    dtype: Any
    values: bytes = b""

    def __str__(self) -> str:
        shape = tuple(self.shape) if isinstance(self.shape, tuple) else self.shape
        wanted = ", ".join(f"input {i}" for i, need in enumerate(self.needs) if need)
        return f"{self.name} (shape {shape}, dtype {self.dtype}, gradient of {wanted})"


class Segment:
    """One call of a checkpointed function: what it recorded, in order, and how to call it again."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any, options: Options) -> None:
        self.options = options
        self.call = FrozenCall(function, args, kwargs)
        self.context = copy_context()
        self.random = default_generator.get_state() if options.preserve_rng_state else None
        self.forward, self.recompute = (options.context_fn or _no_contexts)()
        self.marks: list[Mark] = []  # of what was recorded, in order
        self.nodes: list[ReferenceType[Node]] = []
        self.ended = 0
        self.result = b""
        self.found: dict[int, Node] = {}  # those recorded again, until a pass takes them
        self.lock = RLock()

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call the function for the first time, and drop what it saved."""
        use_rare()
        token = MODE.set(watched_by(Notes(self), [w for w in mode().watchers if not is_packer(w)]))
        try:
            with self.forward:
                result = function(*args, **kwargs)
        finally:
            MODE.reset(token)
        self.result = self.digest(flatten(result)[0])
        self.ended = tick()
        for i, reference in enumerate(self.nodes):
            if (node := reference()) is not None:
                drop(node, self, i)
        return result

    def digest(self, values: Any) -> bytes:
        """Return a fingerprint of all arrays in a list, if values are to be compared."""
        return digest(arrays_in(values)) if self.options.determinism_check == "values" else b""

    def mark(self, node: Node) -> Mark:
        """Return what is noted of a node."""
        recipe = node.recipe
        values = node.saved if node.saved.__class__ is tuple else ()
        return Mark(recipe.op.title, recipe.needs, node.shape, node.dtype, self.digest(values))

    def take(self, i: int, needed: set[Any] | None, keep: bool) -> Node:
        """Return the new node in place of number `i`: of a new call of the function, unless one is at hand.

        `needed` limits what is kept of a new call; `keep` leaves the node to be taken again.
        """
        with self.lock:
            if i not in self.found:
                alive = [(k, node) for k, reference in enumerate(self.nodes) if (node := reference()) is not None]
                repeat = Repeat(self, {k for k, node in alive if needed is None or node in needed})
                self.context.copy().run(self._repeat, repeat)
                self.found.update(repeat.kept)
            return self.found[i] if keep else self.found.pop(i)

    def _repeat(self, repeat: Repeat) -> None:
        """Call the function again, in the context of the first call."""
        outer = [w for w in mode().watchers if not is_packer(w) and not isinstance(w, Notes | Repeat)]
        MODE.set(watched_by(repeat, outer))
        before = default_generator.get_state()
        try:
            if self.random is not None:
                default_generator.set_state(self.random)
            with self.recompute:
                result = self.call.again()
        finally:
            if self.random is not None:
                default_generator.set_state(before)
        repeat.finish(self.digest(flatten(result)[0]))

    def forget(self) -> None:
        """Let go of what a pass has recorded again and not taken."""
        self.found.clear()


def _no_contexts() -> tuple[Any, Any]:
    return nullcontext(), nullcontext()


def watched_by(watcher: Watcher, others: Iterable[Watcher]) -> Mode:
    """Return the mode now, with these watchers."""
    return replace_mode(mode(), watchers=(*others, watcher))


def is_packer(watcher: Watcher) -> bool:
    """Tell whether a watcher packs what is saved: a checkpoint saves nothing, so it has nothing to pack."""
    return isinstance(watcher, Packer) and watcher.pack is not None


class Notes(Watcher):
    """Notes what the first call records."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def recorded(self, node: Node) -> None:
        """Note a node."""
        self.segment.marks.append(self.segment.mark(node))
        self.segment.nodes.append(ref(node))


class Repeat(Watcher):
    """Compares what another call records with the first, and keeps the nodes that are wanted."""

    def __init__(self, segment: Segment, wanted: set[int]) -> None:
        self.segment, self.wanted = segment, wanted
        self.kept: dict[int, Node] = {}
        self.count = 0
        self.began = tick()
        self.checks = segment.options.determinism_check != "none"
        self.error: CheckpointError | None = None  # which the function may catch, but shall not hide

    def recorded(self, node: Node) -> None:
        """Compare a node with the first of its number, and keep it if it is wanted."""
        i, marks = self.count, self.segment.marks
        self.count += 1
        if i in self.wanted:
            self.kept[i] = node
        if self.checks:
            self._compare(i, marks[i] if i < len(marks) else None, self.segment.mark(node))
            self._refuse_changed(node)

    def _compare(self, i: int, first: Mark | None, again: Mark) -> None:
        if first == again:
            return
        if first is None:
            fact = f"A different number of operations was recorded: {i} during the forward pass, then also {again}"
        elif first[:-1] != again[:-1]:
            fact = (
                f"Recomputed values have different metadata than during the forward pass: operation {i} was {first}, "
                f"and now is {again}"
            )
        else:
            fact = f"Recomputed values differ from those of the forward pass: operation {i}, {again}, saved others"
        self._fail(fact, user_places())

    def _refuse_changed(self, node: Node) -> None:
        segment = self.segment
        for edge in node.edges:
            if edge.__class__ is Leaf and segment.ended < edge.changed < self.began and edge not in segment.call.leaves:
                fact = f"A leaf of shape {tuple(edge.shape)} that {node.name()} uses was changed in place in between"
                self._fail(fact, user_places())

    def finish(self, result: bytes) -> None:
        """Compare what the whole call did with the first."""
        if self.error is not None:
            raise self.error
        marks = self.segment.marks
        if self.count < len(marks) and (self.checks or not self.wanted <= set(self.kept)):
            fact = f"A different number of operations was recorded: {len(marks)} during the forward pass"
            self._fail(f"{fact}, and now {self.count}; the first that is missing was {marks[self.count]}", [])
        if self.checks and result != self.segment.result:
            self._fail("Recomputed values differ from those of the forward pass: the function returned others", [])

    def _fail(self, fact: str, places: list[Any]) -> None:
        where = f"\n{places[-1]}\n" if places else ". "
        self.error = CheckpointError(f"checkpoint: {fact}{where}{SAME_EACH_TIME[0].upper()}{SAME_EACH_TIME[1:]}.")
        raise self.error


class Dropped(Absent):
    """Stands in `Node.saved` where a checkpoint has dropped what was saved; `facts` if there was nothing to drop."""

    __slots__ = ("facts", "index", "segment")

    def __init__(self, segment: Segment, index: int, facts: tuple[Any, ...] | None) -> None:
        self.segment, self.index, self.facts = segment, index, facts

    def values(self, node: Node, walk: Any) -> tuple[Any, ...]:
        """Return what the node that was recorded again has saved."""
        if self.facts is not None:
            return self.facts
        if self.segment not in walk.notes and not walk.keep:
            walk.notes[self.segment] = True
            walk.ends.append(self.segment.forget)
        needed = walk.needed if walk.needed is not None and node in walk.needed else None
        values: tuple[Any, ...] = walk.fetch(self.segment.take(self.index, needed, walk.keep))
        return values

    def left(self, freed: Freed) -> Absent:
        """Stay: what a pass has used can be recorded again."""
        return self

    def source(self, node: Node, ends: list[Callable[[], None]]) -> Node:
        """Return the node that was recorded again."""
        ends.append(self.segment.forget)
        again = self.segment.take(self.index, None, keep=False)
        return again.saved.source(again, ends) if isinstance(again.saved, Absent) else again


def drop(node: Node, segment: Segment, i: int) -> None:
    """Let a node forget the arrays that it holds: what it saved, constants on its edges and in its parameters."""
    held = [e for e in node.edges if is_array(e) and not isinstance(e, Node | Leaf)]
    saves = node.recipe.parts[-1] or any(True for _ in arrays_in(node.saved))
    indexed = any(True for _ in arrays_in(node.params))
    if not (held or saves or indexed):
        return
    node.saved = Dropped(segment, i, None if saves else node.saved)
    if held:
        node.edges = tuple(e if isinstance(e, Node | Leaf) or not is_array(e) else None for e in node.edges)
    if indexed:
        node.params = ()


def digest(arrays: Iterable[Any]) -> bytes:
    """Return a fingerprint of arrays: equal for equal bits."""
    total = blake2b(digest_size=16)
    for array in arrays:
        for raw in engine_arrays(array):
            backend = backend_of(raw)
            if backend is None:
                raise GraphError(f"checkpoint: can't compare values of {type(raw).__name__}, which no backend claims")
            host = backend.to_numpy(raw)
            total.update(f"{host.shape} {host.dtype}".encode())
            total.update(host.tobytes())
    return total.digest()


def checkpoint(
    function: Any = None,
    /,
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    determinism_check: str = "default",
    context_fn: Callable[[], tuple[Any, Any]] | None = None,
    debug: bool = False,
    **kwargs: Any,
) -> Any:
    """Trade time for memory: record a function without what it saves, and run it again in the pass backward.

    `checkpoint(f)` is a function that does so, as JAX has it (and a decorator); `checkpoint(f, *args, **kwargs)` calls
    it, as PyTorch has it. A chain of n operations in √n checkpoints needs memory for some 2 √n. The second run sees
    the arguments, the tensors and other variables that `f` mentions, the modes and the default generator's numbers
    (unless `preserve_rng_state` is false) as the first did. It must record the same operations, of the same shapes and
    dtypes, or CheckpointError says where they part; `determinism_check="values"` compares the values, too, to the bit,
    and "none" nothing. `context_fn` returns two context managers, for the first run and for others. `use_reentrant`
    and `debug` are accepted for PyTorch's sake: here there is one way, and an error says all. Gradients of any order
    and all transformations go through. Where nothing is recorded, `f` is just called.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([0.0, 1.0], requires_grad=True)
    >>> y = ad.checkpoint(lambda x: ad.exp(ad.sin(x)))(x)
    >>> y.sum().backward()
    >>> x.grad
    tensor([1.0000, 1.2534])
    """
    options = Options(preserve_rng_state, determinism_check, context_fn)
    if determinism_check not in CHECKS:
        raise ArgumentError(f"checkpoint: determinism_check={determinism_check!r}; it is one of {', '.join(CHECKS)}")
    if function is None:
        return functools.partial(_checkpointed, options=options)
    wrapped = _checkpointed(function, options)
    return wrapped(*args, **kwargs) if args or kwargs else wrapped


def _checkpointed(function: Callable[..., Any], options: Options) -> Callable[..., Any]:
    @functools.wraps(function, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        if not mode().recording:
            return function(*args, **kwargs)
        return Segment(function, args, kwargs, options).run(function, args, kwargs)

    return call
