"""A function made into a program for one kind of arguments: the way in, the trace, and the way out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from sys import getrefcount
from typing import Any

from .. import levels
from ..arrays import Array
from ..errors import CompileError
from ..graph import Freed
from ..modes import enable_grad, mode
from ..namespaces import Namespace
from ..program import is_number
from ..tensors import Tensor
from ..traced import Traced
from ..trees import Tree, flatten, paths, unflatten
from ..values import is_array
from ..walks import reachable
from .emit import Names
from .engines import Donation, Options, Run
from .pure import Pure, raw
from .reading import OTHER, Reader, Static, Unreadable, is_input, put_together, written_as
from .state import Visit


class Entry:
    """A function made into a program for one kind of arguments.

    `call` takes further arguments of this kind, once there is a program, and gives OTHER for any others.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        leaves: list[Any],
        tree: Tree,
        visit: Visit,
        xp: Namespace,
        options: Options,
    ) -> None:
        self.function, self.tree, self.visit, self.xp = function, tree, visit, xp
        self.template = [None if is_input(x) else x.value if isinstance(x, Static) else x for x in leaves]
        self.places = [i for i, x in enumerate(leaves) if is_input(x)]
        self.needs = [isinstance(leaves[i], Tensor) and leaves[i].requires_grad for i in self.places]
        self.raw = not any(isinstance(x, Array) for x in leaves) and not visit.look.tensors
        labels = [*_labels(tree, self.places), *visit.look.labels()]
        self.pure = Pure(name, self.flat, xp, labels, options)
        self.result: tuple[list[Any], Tree] = [], tree  # leaves, or which output each is; and their structure
        self.recording = mode().recording
        self.moving: list[int] | None = None  # the outputs that have a history; not known before the first trace
        self.engine = xp._backend.compile is not None and options.engine is None  # which compiles by itself
        self.reader = self._reader(leaves)
        self.call: Callable[[Any, Any], Any] = lambda args, kwargs: OTHER  # before there is a program
        self.direct: Run | None = None  # the program, once it is there, for arrays on the ground
        self.settled = False  # whether `call` was written
        self.donation = self._donation() if self.engine else None

    def _donation(self) -> Donation:
        """Return which parts of the state the program may overwrite: those that it gives back anew."""
        first, look = len(self.places), self.visit.look
        trained = {id(p) for optimizer in self.visit.state.optimizers for p in optimizer._params()}
        guess = [k for k, x in enumerate(look.tensors) if x.requires_grad and id(x) in trained]

        def known() -> set[int]:
            return set() if self.moving else {first + k for k in self.visit.replaced}

        return Donation({first + k for k in (*guess, *look.kept)}, known)

    def _unshared(self, values: list[Any], named: int = 0) -> list[Any]:
        """Copy what is to be overwritten but has other owners, such as a detached parameter; `named` are variables."""
        if self.donation is not None:
            for k in self.donation.places:
                if getrefcount(values[k]) > self.owners[k] + named:
                    values[k] = self.xp._lower.clone(values[k])
        return values

    @functools.cached_property
    def owners(self) -> dict[int, int]:
        """How many references there are to an array of the state that nobody else has."""
        first, alone = len(self.places), [object()]
        leaves = {first + k for k, x in enumerate(self.visit.look.tensors) if x.requires_grad}  # which hold it too
        places = self.donation.places if self.donation is not None else ()
        return {k: getrefcount(alone[0]) + 1 + (k in leaves) for k in places}

    def _reader(self, leaves: Sequence[Any]) -> Reader | None:
        """Return what reads further arguments of this kind; None where a transformation or a strange tree is."""
        if not all(x._xp is self.xp for x in leaves if isinstance(x, Array)):
            return None
        reader = Reader(self.visit.names, self.xp._backend.number if self.engine else None)
        (positional, keywords), now = self.tree.children, mode()
        modes = reader.take(f"{reader.thing(mode)}()")
        reader.check(f"{modes}.recording is {now.recording} and {modes}.inference is {now.inference}")
        rest = iter(leaves)
        try:
            reader.check(f"len(args) == {len(positional.keys)} and len(kwargs) == {len(keywords.keys)}")
            for key, child in zip(positional.keys, positional.children, strict=True):
                reader.tree(f"args[{key}]", child, rest, reader.leaf)
            for key, child in zip(keywords.keys, keywords.children, strict=True):
                reader.tree(f"kwargs.get({key!r}, {reader.thing(OTHER)})", child, rest, reader.leaf)
            self.visit.state.read(reader, self.visit.look)
        except Unreadable:
            return None
        return reader

    def settle(self) -> None:
        """Write down how to call it from now on: as it is, or within a graph."""
        self.settled = True
        if self.reader is None:
            return
        if not (self.moving and self.recording):
            self.call = self._way(trusting=self.engine)
            return
        lines = [
            *self.reader.looks(),
            f"return {self.reader.thing(self.run, 'run_in_graph')}([{', '.join(self.reader.given)}])",
        ]
        self.call = written_as("args, kwargs", lines, self.visit.names)

    def beware(self) -> None:
        """Look at shapes and dtypes from now on: there were others than those of this kind."""
        if self.reader is not None:
            self.call = self._way()

    def _way(self, trusting: bool = False) -> Callable[[Any, Any], Any]:
        """Return the way in, the program, and the way out."""
        reader, names = self.reader, self.visit.names
        assert reader is not None
        values = ", ".join(reader.values)
        if self.donation is not None and self.donation.places:
            values = f"*{reader.thing(partial(self._unshared, named=1), 'unshared')}([{values}])"
        way = [f"outputs = {reader.thing(self.direct, 'program')}({values})", *self.visit.changes]
        return written_as("args, kwargs", [*reader.looks(trusting), *way, f"return {self._together(names)}"], names)

    def _together(self, names: Names) -> str:
        """Return the expression that puts the result together."""
        leaves, tree = self.result
        make = None if self.raw else self.xp.array_class._make
        return put_together(names, tree, leaves, lambda x: x.number if x.__class__ is Output else None, make)

    def flat(self, tensors: list[Any]) -> list[Any]:
        """Run the function on tensors, and return those among its results, and what it changed."""
        count = len(self.places)
        leaves = list(self.template)
        given = [t._as_now() for t in tensors[:count]]
        for i, t, need in zip(self.places, given, self.needs, strict=True):
            leaves[i] = t.requires_grad_() if need and t._node is None else t
        xp = levels.current(self.xp)
        recorded = enable_grad() if self.recording else nullcontext()  # a program may be made in the middle of a pass
        with recorded, self.visit.inside(tensors[count:]):
            args, kwargs = unflatten(self.tree, leaves)
            found, tree = flatten(self.function(*args, **kwargs))
            outputs = [x for x in found if is_array(x)]
            numbers = iter(range(len(outputs)))
            self.result = [Output(next(numbers)) if is_array(x) else x for x in found], tree
            outputs = [settled(levels.lift(x, xp)) for x in outputs]
            changes = self.visit.outputs(len(outputs), self.xp.array_class._make)
        for t, was, label in zip(given, tensors, self.pure.labels, strict=False):
            refuse_change(t, was, label)
        if self.moving is None:
            done = self.visit.went_back  # or to gradients that it has cleared since
            self.moving = [] if done else [k for k, x in enumerate(outputs) if x._node and not self._went_back(x)]
        return [*outputs, *changes]

    def _went_back(self, x: Any) -> bool:
        """Tell whether the function has gone backward from a result, to its state."""
        if not self.visit.look.tensors:
            return False
        return any(isinstance(getattr(node, "saved", None), Freed) for node in reachable([x._node]))

    def run(self, inputs: list[Any]) -> Any:
        """Run the program and write what it changes."""
        on_ground = all(x._xp is self.xp for x in inputs if isinstance(x, Array))
        if on_ground and not (self.moving and mode().recording):
            values = self._unshared(raw(inputs))
            self.direct, outputs = self.pure.program(values, self.donation)
            if not (self.moving and mode().recording):  # which the first trace has told
                if not self.settled:
                    self.settle()
                self.visit.write(outputs)
                return self.built(outputs)
        tensors = self.pure.apply(inputs, self.moving if on_ground else None)
        if not self.settled:
            self.settle()
        self.visit.write([levels.lowest(y) for y in tensors])
        leaves, tree = self.result
        return unflatten(tree, [tensors[x.number] if x.__class__ is Output else x for x in leaves])

    @functools.cached_property
    def built(self) -> Callable[[Sequence[Any]], Any]:
        """What puts the result together."""
        names = Names()
        return written_as("outputs", [f"return {self._together(names)}"], names)


def refuse_change(t: Any, was: Any, label: str) -> None:
    """Refuse a function that changes an argument, which would be lost."""
    what = "changed" if t._value is not was._value else "went backward to" if t._grad_or_none() is not None else ""
    if what:
        raise CompileError(
            f"compile: the function {what} its argument {label}, of shape {tuple(t.shape)}, and a program can't write "
            "that; name the tensor in state=, or return what is new (its gradient by autograd.grad or ad.grad)"
        )


def settled(x: Any) -> Any:
    """Return a result as it is now; a Python number as an array."""
    if isinstance(x._value, Traced) and is_number(x._value._value):
        return x._xp.array_class._make(x._value._xp.array_of(x._value))
    return x._as_now()


class Output:
    """A leaf of the result that is an output of the program."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _labels(tree: Tree, places: Sequence[int]) -> list[str]:
    """Return what the inputs are called where they come from."""
    named = paths(tree)
    return [named[i].replace("[0]", "x", 1) if named[i].startswith("[0]") else named[i] for i in places]
