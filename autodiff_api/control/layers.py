"""How arrays of one level are said in arrays of the level below.

A compiled loop carries the same arrays in every step. What a dual or a batched array is made of depends on what it was
computed from: so a step is tried first, and then every step carries as many parts as the trial found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..batched import Batched, BatchedNamespace
from ..duals import DualNamespace
from ..errors import BatchingError, GradientError
from ..levels import lift
from ..namespaces import Lower, Namespace
from ..traced import TracedNamespace
from . import programs

Arrays = list[Any]
Flags = list[bool]


LATER = (
    "the function of a loop or branch gives a result that {}, but when it was tried that result did not: choose with "
    "cond or where instead of if"
)


class Engine(NamedTuple):
    """What is under all array types: functions of raw arrays, and the engine's own control flow, if it has any."""

    xp: Lower
    control: Mapping[str, Callable[..., Any]]


Level = Namespace | Engine


def below(xp: Namespace) -> Level:
    """Return the level under a namespace; a program that is being written is as good as an engine."""
    under = xp._lower._namespace
    if isinstance(under, Namespace) and not isinstance(under, TracedNamespace):
        return under
    return Engine(xp._lower, control_of(xp))


def control_of(xp: Namespace) -> Mapping[str, Callable[..., Any]]:
    """Return the control flow of what is right under a namespace, an engine's or a program's."""
    return programs.CONTROL if isinstance(xp._lower._namespace, TracedNamespace) else xp._backend.control


def engine_of(level: Level) -> Engine:
    """Return the engine under all levels."""
    while not isinstance(level, Engine):
        level = below(level)
    return level


class Layer:
    """A namespace over another level. A flag says of an array whether it has more than a value that all share."""

    def __init__(self, xp: Namespace) -> None:
        self.xp, self.low = xp, below(xp)

    def flag(self, x: Any) -> bool:
        """Tell whether an array needs more than its plain value."""
        raise NotImplementedError

    def parts(self, x: Any, flag: bool, stacked: bool) -> Arrays:
        """Return what an array consists of, below; of many arrays in one if `stacked`, the first axis theirs."""
        raise NotImplementedError

    def whole(self, parts: Any, flag: bool, stacked: bool) -> Any:
        """Return the array that the next of these parts make."""
        raise NotImplementedError

    def flags(self, arrays: Iterable[Any]) -> Flags:
        """Return the flag of each array."""
        return [self.flag(x) for x in arrays]

    def split(self, arrays: Iterable[Any], flags: Flags, stacked: bool = False) -> Arrays:
        """Return the parts of all arrays."""
        return [p for x, flag in zip(arrays, flags, strict=True) for p in self.parts(x, flag, stacked)]

    def join(self, parts: Iterable[Any], flags: Flags, stacked: bool = False) -> Arrays:
        """Return the arrays that these parts make."""
        rest = iter(parts)
        return [self.whole(rest, flag, stacked) for flag in flags]

    def raised(self, arrays: Sequence[Any], flags: Flags) -> Arrays:
        """Return the same arrays, with all that their flags demand."""
        return self.join(self.split(arrays, flags), flags)

    def through(self, function: Callable[[Arrays], Arrays], flags: Flags, results: Flags) -> Callable[..., Arrays]:
        """Return a function of arrays of this level as a function of their parts."""
        return lambda parts: self.split(function(self.join(parts, flags)), results)


class Moving(Layer):
    """Dual numbers: a value, and a tangent if it moves. Below, both are arrays of what tangents are computed in."""

    def __init__(self, xp: DualNamespace) -> None:
        super().__init__(xp)
        self.tangents = xp._tangents
        self.many = isinstance(self.tangents, Namespace)  # many tangents in one array, of another type than the value
        if self.many:
            self.low = self.tangents

    def flag(self, x: Any) -> bool:
        """Tell whether an array moves."""
        return x._tangent is not None

    def parts(self, x: Any, flag: bool, stacked: bool) -> Arrays:
        """Return an array's value, and its tangent."""
        value = lift(x._value, self.tangents) if self.many else x._value
        if not flag:
            if x._tangent is not None:
                raise GradientError(LATER.format("has a derivative"))
            return [value]
        return [value, self.tangents.zeros_like(value) if x._tangent is None else x._tangent]

    def whole(self, parts: Any, flag: bool, stacked: bool) -> Any:
        """Return the dual number of the next value, and of the tangent after it."""
        value = next(parts)
        return self.xp.array_class._make(value._value if self.many else value, next(parts) if flag else None)


class Hidden(Layer):
    """Batched arrays. A hidden axis stands first, but behind the axis of steps where arrays are stacked."""

    size = 0  # of the hidden axis

    def flag(self, x: Any) -> bool:
        """Tell whether an array has the hidden axis."""
        if x._hidden:
            self.size = x._value.shape[0]
        return bool(x._hidden)

    def parts(self, x: Any, flag: bool, stacked: bool) -> Arrays:
        """Return an array with its hidden axis, which it gets if it has none."""
        xp, value = self.xp._lower, x._value
        if x._hidden and not flag:
            raise BatchingError(LATER.format("differs inside vmap"))
        if flag and not x._hidden:
            value = xp.broadcast_to(value, (self.size, *value.shape))
        return [xp.moveaxis(value, 1, 0) if flag and stacked else value]

    def whole(self, parts: Any, flag: bool, stacked: bool) -> Any:
        """Return the batched array of the next part."""
        value = next(parts)
        return self.xp.array_class._make(self.xp._lower.moveaxis(value, 1, 0) if flag and stacked else value, flag)


def layer_of(xp: Namespace) -> Layer | None:
    """Return how a namespace is said in the level below; None for tensors, which are their value and a history."""
    if isinstance(xp, BatchedNamespace):
        return Hidden(xp)
    return Moving(xp) if isinstance(xp, DualNamespace) else None


def on_values(xp: Namespace, function: Callable[[Arrays], Arrays]) -> Callable[[Arrays], Arrays]:
    """Return a function of tensors as a function of their values."""
    make = xp.array_class._make
    return lambda values: [y._value for y in function([make(v) for v in values])]


def values(tensors: Iterable[Any]) -> Arrays:
    """Return what tensors hold."""
    return [x._value for x in tensors]


def differs(x: Any) -> bool:
    """Tell whether an array has another value for each that a function is mapped over, on whichever level."""
    while hasattr(type(x), "_xp"):
        if isinstance(x, Batched) and x._hidden:
            return True
        x = x._value
    return False
