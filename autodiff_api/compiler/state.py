"""State of a compiled function: modules, optimizers and tensors that it changes, taken in and given out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..arrays import Array
from ..binding import bound_class
from ..errors import ArgumentTypeError
from ..graph import Leaf
from ..nn import Module, Parameter
from ..optim import Optimizer
from ..tensors import Tensor
from ..trees import Tree, flatten, unflatten
from ..views import ViewMixin
from .emit import Names
from .reading import Reader, kind, typed
from .writes import Writer

LEARNING_RATE = "lr"  # the option that changes from step to step: a number of the program, and no constant in it


class State:
    """What `compile(f, state=...)` was given: a tree of modules, optimizers and tensors."""

    def __init__(self, given: Any) -> None:
        leaves, _ = flatten(given)
        self.modules = [x for x in leaves if isinstance(x, Module)]
        self.optimizers = [x for x in leaves if isinstance(x, Optimizer)]
        self.tensors = [x for x in leaves if isinstance(x, Tensor)]
        for x in leaves:
            if not isinstance(x, Module | Optimizer | Tensor):
                raise ArgumentTypeError(
                    f"compile: state holds {type(x).__name__}; it is made of modules, optimizers and tensors, alone or "
                    "in lists, tuples and dicts. Pass anything else as an argument"
                )
        for x in self.tensors:
            if isinstance(x, ViewMixin) or not x.is_leaf:
                raise ArgumentTypeError(
                    f"compile: state holds a tensor of shape {x.shape} that was computed from another; pass the tensor "
                    "that it was computed from, or a detached clone"
                )

    def look(self) -> Look:
        """Return what there is now."""
        registries = [
            r for module in self.modules for part in module.modules() for r in (part._parameters, part._buffers)
        ]
        found = [x for r in registries for x in r.values() if x is not None]
        found += [p for optimizer in self.optimizers for p in optimizer._params()]
        entries = [dict(registry) for registry in registries]
        tensors = list({id(x): x for x in [*found, *self.tensors]}.values())
        kept = [[optimizer.state.get(p, {}) for p in optimizer._params()] for optimizer in self.optimizers]
        rates = [[group.get(LEARNING_RATE) for group in optimizer.param_groups] for optimizer in self.optimizers]
        leaves, tree = flatten((kept, rates))
        return Look(tensors, registries, entries, leaves, tree)

    def facts(self) -> Any:
        """Return what a program depends on, beside shapes and dtypes: modes of modules, options of optimizers."""
        return (
            tuple([part.training for module in self.modules for part in module.modules()]),
            tuple([
                tuple([(k, typed(v)) for k, v in group.items() if k not in ("params", LEARNING_RATE)])
                for optimizer in self.optimizers for group in optimizer.param_groups
            ]),
        )  # fmt: skip

    def read(self, reader: Reader, look: Look) -> None:
        """Write down how to read what `look` saw: first that nothing else has changed, then the arrays."""
        name = reader.thing
        for module in self.modules:
            for part in module.modules():
                reader.check(f"{name(part)}.training is {part.training}")
        modules = [part._modules for module in self.modules for part in module.modules() if part._modules]
        for registry in (*modules, *look.registries):
            reader.check(f"len({name(registry)}) == {len(registry)}")
            for key, x in registry.items():
                reader.check(f"{name(registry)}.get({key!r}) is {name(x)}")
        for x in look.tensors:
            x._grad = x._grad_or_none()
            reader.array(name(x), x, x._value)
            reader.check(f"{name(x)}._grad is {'not ' if x._grad is not None else ''}None")
        for x in look.tensors:
            if x._grad is not None:
                reader.array(f"{name(x)}._grad", x._grad, x._grad._value)
        leaves = iter(look.known)
        states, rates = look.tree.children
        for optimizer, tree in zip(self.optimizers, states.children, strict=True):
            reader.check(f"len({name(optimizer)}.param_groups) == {len(optimizer.param_groups)}")
            state = reader.take(f"{name(optimizer)}.state")
            if not optimizer.state:
                reader.check(f"not {state}")
                continue
            for p, child in zip(optimizer._params(), tree.children, strict=True):
                reader.tree(f"{state}.get({name(p)}, {name({})})", child, leaves, read_known(reader))
        for optimizer, tree in zip(self.optimizers, rates.children, strict=True):
            for k, (group, child) in enumerate(zip(optimizer.param_groups, tree.children, strict=True)):
                there = reader.take(f"{name(optimizer)}.param_groups[{k}]")
                reader.check(f"len({there}) == {len(group)} and len({there}['params']) == {len(group['params'])}")
                for key, value in group.items():
                    if key not in ("params", LEARNING_RATE):
                        reader.fact(f"{there}[{key!r}]", value)
                reader.tree(f"{there}.get({LEARNING_RATE!r})", child, leaves, reader.leaf)


def read_known(reader: Reader) -> Callable[[str, Any], None]:
    """Return what reads a leaf of an optimizer's state: arrays, and counts of steps."""

    def leaf(expression: str, x: Any) -> None:
        if not is_count(x):
            reader.leaf(expression, x)
            return
        count = reader.take(expression)
        reader.check(f"{count}.__class__ is int or getattr({count}, 'shape', None) == ()")
        reader.values.append(count)
        reader.given.append(count)

    return leaf


def is_count(x: Any) -> bool:
    """Tell a count of steps: a Python integer, which comes out of an engine's compiler as an array without axes."""
    return x.__class__ is int or (not isinstance(x, Array) and getattr(x, "shape", None) == ())


class Look(NamedTuple):
    """State at one moment: its tensors, where modules keep them, and what optimizers know."""

    tensors: list[Any]
    registries: list[dict[str, Any]]
    entries: list[dict[str, Any]]  # what was in them
    known: list[Any]  # the leaves of what the optimizers keep, and of their learning rates
    tree: Tree

    def inputs(self) -> list[Any]:
        """Return tensors, their gradients, and the rest, as a flat function takes them."""
        grads = [x._grad_or_none() for x in self.tensors]
        return [*self.tensors, *[g for g in grads if g is not None], *self.known]

    def labels(self) -> list[str]:
        """Return a name for each of `inputs`, by what it is."""
        grads = [x for x, there in zip(self.tensors, self.facts()[0], strict=True) if there]
        return [
            *["p" if isinstance(x, Parameter) else "state" for x in self.tensors],
            *["grad" for _ in grads],
            *["known" for _ in self.known],
        ]

    def kinds(self) -> tuple[Any, ...]:
        """Return what a program depends on of `inputs`."""
        arrays = self.inputs()[: len(self.tensors) + sum(self.facts()[0])]
        return (*map(kind, arrays), *["count" if is_count(x) else kind(x) for x in self.known])

    @property
    def kept(self) -> list[int]:
        """Which of `inputs` are arrays that optimizers keep."""
        first = len(self.tensors) + sum(self.facts()[0])
        return [first + k for k, x in enumerate(self.known) if isinstance(x, Array)]

    def facts(self) -> Any:
        """Return what it looks like from outside."""
        grads = tuple([x._grad_or_none() is not None for x in self.tensors])
        return grads, tuple([x.requires_grad for x in self.tensors])


class Visit:
    """The state while a function runs on traced arrays: its own objects, holding what is traced."""

    def __init__(self, state: State, look: Look) -> None:
        self.state, self.look = state, look
        self.names = Names()  # of the code that goes in and out
        self.changes: list[str] = []  # which writes what the function changes
        self.write: Callable[[Sequence[Any]], None] = lambda outputs: None
        self.given: list[Any] = []  # while the function runs: the tensors that are traced, their gradients, and what
        self.grads: list[Any] = []  # these hold
        self.old_grads: list[Any] = []
        self.replaced: set[int] = set()  # which of the inputs are not needed any more, when the function has run
        self.went_back = False  # whether the function itself went backward, to a gradient of the state

    @contextmanager
    def inside(self, given: Sequence[Any]) -> Iterator[None]:
        """Let the state hold the tensors given, in the order of `Look.inputs`; then let it be as it was."""
        look, optimizers = self.look, self.state.optimizers
        before = [_Before(x) for x in look.tensors]
        entries = [dict(registry) for registry in look.registries]
        known = [optimizer.state for optimizer in optimizers]
        rates = [[group.get(LEARNING_RATE) for group in optimizer.param_groups] for optimizer in optimizers]
        try:
            for registry, entry in zip(look.registries, look.entries, strict=True):  # a buffer may be another by now
                registry.update(entry)
            self._fill(list(given))
            yield
        finally:
            self.given, self.grads, self.old_grads = [], [], []  # which would keep the arrays of today
            for was in before:
                was.restore()
            for registry, entry in zip(look.registries, entries, strict=True):
                registry.clear()
                registry.update(entry)
            for optimizer, state, rate in zip(optimizers, known, rates, strict=True):
                optimizer.state = state
                _set_rates(optimizer, rate)

    def _fill(self, given: list[Any]) -> None:
        look, grads, count = self.look, self.look.facts()[0], len(self.look.tensors)
        rest = iter(given[count:])
        self.given = given[:count]
        self.grads = [next(rest) if there else None for there in grads]
        self.old_grads = [None if grad is None else grad._value for grad in self.grads]
        for x, t, grad in zip(look.tensors, self.given, self.grads, strict=True):
            _hold(x, t, grad)
        kept, rates = unflatten(look.tree, rest)
        for optimizer, states, rate in zip(self.state.optimizers, kept, rates, strict=True):
            optimizer.state = {p: s for p, s in zip(optimizer._params(), states, strict=True) if s}
            _set_rates(optimizer, rate)

    def outputs(self, first: int, make: Callable[[Any], Any]) -> list[Any]:
        """Return what the function changed, as outputs of the flat function from number `first` on.

        `write` then puts them where they belong; `make` makes tensors of those that are to be tensors.
        """
        found: list[Any] = []
        writer, self.went_back, self.replaced = Writer(self.names, make), False, set()

        def number(x: Any) -> int:
            found.append(x)
            return first + len(found) - 1

        for k, (x, t, was) in enumerate(zip(self.look.tensors, self.given, self.grads, strict=True)):
            if x._value is not t._value:
                self.replaced.add(k)
                writer.value(x, number(x._as_now().detach()))
            grad = x._grad_or_none()
            if grad is not was:
                self.went_back = self.went_back or grad is not None
                writer.grad(x, None if grad is None else number(grad._as_now()))
            elif grad is not None and grad._value is not self.old_grads[k]:  # added to, in place
                self.went_back = True
                writer.sum(x, number(grad._as_now()))
        own = {id(x) for x in self.look.tensors}
        for registry in self.look.registries:
            for key, x in registry.items():
                if x is not None and id(x) not in own:
                    writer.entry(registry, key, number(x))
        self.replaced.update(self.look.kept)
        for optimizer in self.state.optimizers:
            leaves, tree = flatten([optimizer.state.get(p, {}) for p in optimizer._params()])
            places = [number(x) if isinstance(x, Array) else None for x in leaves]
            makes = [None if isinstance(x, Array) and x.shape == () and not x._is_float() else make for x in leaves]
            if leaves or optimizer.state or self.look.kept:  # what is left, or was there before
                writer.known(optimizer, tree, leaves, places, makes)
        self.changes, self.write = writer.lines, writer.function()
        return found


class _Before:
    """A tensor as it was before it held what is traced."""

    SLOTS = ("_frozen", "_grad", "_sharers")

    def __init__(self, x: Any) -> None:
        self.x, self.kind, self.value, self.node = x, x.__class__, x._value, x._node
        self.more = {name: getattr(x, name) for name in self.SLOTS if hasattr(x, name)}

    def restore(self) -> None:
        x = self.x
        x.__class__, x._value, x._node = self.kind, self.value, self.node
        for name in self.SLOTS:
            if name in self.more:
                setattr(x, name, self.more[name])
            elif hasattr(x, name):
                delattr(x, name)


def _hold(x: Any, t: Any, grad: Any) -> None:
    """Let a tensor of the state be the traced one: a leaf of its own, or what a derivative is taken by."""
    for name in ("_frozen", "_sharers"):
        if hasattr(x, name):
            delattr(x, name)
    needs, hooks = x._node is not None, getattr(x._node, "hooks", None)
    x.__class__ = bound_class(x._public, t._xp)
    x._value, x._grad = t._value, grad
    x._node = t._node
    if needs and x._node is None:
        x._node = Leaf(x, x._value)
        x._node.hooks = hooks


def _set_rates(optimizer: Any, rates: Sequence[Any]) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if rate is not None:
            group[LEARNING_RATE] = rate
