"""`Traced`: what is computed becomes a program. An array holds its value of today, and its place in the program.

What does not depend on the program's inputs has no place: it is a constant, and computed once, while tracing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .arrays import Array
from .backends import Backend
from .errors import BackendMismatchError, CompileError
from .fixed import Fixed, plain_operators, stand
from .keys import index_value, plain_key
from .namespaces import Bound, Namespace
from .places import Place, user_places
from .program import Program, Variable, deepest, is_number, own_all, variables_in
from .rules import Op
from .rules.kinds import binder_of

new = object.__new__
# What two Python numbers make, before they meet an array.
NUMBERS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "multiply": operator.mul,
    "negative": operator.neg,
    "positive": operator.pos,
    "pow": operator.pow,
    "remainder": operator.mod,
    "subtract": operator.sub,
}


class Traced(Fixed):
    """An array of the namespace below, and the variable that it is in a program; None for a constant.

    >>> import autodiff_api as ad, numpy as np
    >>> txp = namespace_over(ad.namespace("numpy")._backend)
    >>> program = Program()
    >>> x = txp.traced(np.asarray([1.0, 2.0]), program)
    >>> (x * x + 1)._value
    array([2., 5.])
    >>> [i.op.name for i in program.instructions]
    ['multiply', 'add']
    """

    __slots__ = ("_place",)
    _place: Variable | None

    @classmethod
    def _make(cls, value: Any, place: Variable | None = None) -> Any:
        traced = new(cls)
        traced._value, traced._place = value, place
        return traced

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return getattr(self._value, "shape", ())

    @property
    def dtype(self) -> Any:
        """The data type of the elements; of a Python number the default one of its kind."""
        value = self._value
        return self._xp._lower.asarray(value).dtype if is_number(value) else value.dtype

    def detach(self) -> Any:
        """Return the same data: there is no derivative here."""
        return self

    def numpy(self, *, force: bool = False) -> Any:
        """Return the data of a constant as a NumPy array; an error for what is only known when the program runs."""
        return self._xp._backend.to_numpy(self._one("its values (by `numpy`, `item`, `tolist`)", "compute with arrays"))

    def _one(self, wanted: str, remedy: str) -> Any:
        if self._place is not None:
            choice = "" if "where" in remedy else ", and a choice by where(condition, x, y)"
            raise unknown(f"{wanted} of an array of shape {tuple(self.shape)}", f"{remedy}{choice}")
        return self._value

    def _fact(self) -> str:
        return "" if self._place is None else "traced"

    def __repr__(self) -> str:
        return f"traced({self._value})" if self._place is None else f"traced({self._place})"


def unknown(wanted: str, remedy: str, place: Place | None = None) -> CompileError:
    """Return the error for a function that is being compiled and wants what only a run of it knows."""
    place = place or next(reversed(user_places()), None)
    return CompileError(
        f"compile: the function asks for {wanted}, which is not known before the compiled program runs"
        f"{'' if place is None else f':{chr(10)}{place}'}\n"
        f"Remedies: {remedy}; or name the argument that it depends on in static_argnums or static_argnames, so that "
        "each of its values has a program of its own"
    )


# Ops whose result has as many elements as the values of their arguments say, and what is computed instead.
SIZED_BY_VALUES = {
    "nonzero": "where(condition, x, y) keeps every element",
    "repeat": "give the number of repeats as a Python integer",
}


def bind(cls: Any, op: Op) -> Callable[..., Any]:
    """Return the function of an op for traced arrays of a bound class."""
    bound, sort = Bound(op, cls._xp), binder_of(op)
    value_of = index_value(cls) if "key" in op.parameters else None
    write = Writer(cls, bound)

    def call(*args: Any, **kwargs: Any) -> Any:
        arrays, statics = sort(*args, **kwargs)
        values, places = [], []
        for x in arrays:
            if isinstance(x, cls):
                value, place = x._value, x._place
            else:
                value, place = bound.constant(x), None
                if value is NotImplemented:
                    return bound.hand_on(x, args, kwargs)
            values.append(value)
            places.append(value if place is None else place)
        placed = statics
        refuse_arrays(op, statics if value_of is None else ())
        if value_of is not None:
            try:
                placed = tuple([plain_key(s, partial(place_in_key, value_of)) for s in statics])
                statics = tuple([plain_key(s, value_of) for s in statics])
            except BackendMismatchError:
                return bound.hand_on_key(statics[0], args)
        return write(values, places, statics, placed)

    return call


def refuse_arrays(op: Op, statics: tuple[Any, ...]) -> None:
    """Refuse an array of the program, or a number, that says what shape a result has, or which axis is meant."""
    for name, value in zip(op.statics, statics, strict=False):
        for x in value if isinstance(value, tuple | list) else (value,):
            if isinstance(x, Array):
                raise unknown(f"the `{name}` of {op.name}", "give Python numbers that the program is made for")


def place_in_key(value_of: Callable[[Any], Any], part: Any) -> Any:
    """Return what stands in an instruction for one part of a key."""
    place = getattr(part, "_place", None)
    if place is None:
        return value_of(part)
    if "bool" in str(place.dtype):
        raise unknown("the elements that a mask chooses", "where(mask, x, y) keeps every element, and so the shape")
    return place


class Writer:
    """Does one op, and writes it down."""

    __slots__ = ("array", "bound", "numbers", "takes_numbers")

    def __init__(self, array: Any, bound: Bound) -> None:
        self.array, self.bound = array, bound
        self.numbers = NUMBERS.get(bound.op.name)
        self.takes_numbers = bound.op.parameters == ("x1", "x2") or bound.op.name == "where"

    def __call__(self, values: list[Any], places: list[Any], statics: tuple[Any, ...], placed: tuple[Any, ...]) -> Any:
        """Return what the op makes of `values`, in the place of what its instruction makes of `places`."""
        bound = self.bound
        kernel, invoke, program = bound.kernel, bound.invoke, deepest((places, placed))
        numbers = [is_number(v) for v in values]
        if program is not None and any(numbers):
            if all(numbers) and self.numbers is not None:
                kernel, invoke = self.numbers, _plainly
            elif all(numbers) or not self.takes_numbers:
                for i, (value, place) in enumerate(zip(values, places, strict=True)):
                    if place.__class__ is Variable and place.weak:
                        made = number_as_array(self.array, value, place)
                        values[i], places[i] = made._value, made._place
        if bound.op.name in SIZED_BY_VALUES:
            _refuse_size(bound.op, places, placed)
        out = invoke(kernel, values, statics)
        several = isinstance(out, tuple | list)
        if program is not None:
            places, placed = own_all(places, values, program), own_all(placed, statics, program)
        made = self._placed(out if several else (out,), program, kernel, places, placed, several)
        if not several:
            return made[0]
        return bound.op.result(*made) if bound.op.result else tuple(made)

    def _placed(
        self, parts: Any, program: Program | None, kernel: Any, places: list[Any], placed: Any, several: bool
    ) -> list[Any]:
        make = self.array._make
        if program is None:
            return [make(part) for part in parts]
        outputs = program.write(self.bound.op, kernel, places, placed, tuple(parts) if several else parts[0])
        return [make(part, variable) for part, variable in zip(parts, outputs, strict=True)]


def _plainly(function: Callable[..., Any], values: Sequence[Any], statics: tuple[Any, ...]) -> Any:
    return function(*values)


AS_ARRAY = Op("asarray", "x, /")


def number_as_array(array: Any, value: Any, place: Variable | None) -> Any:
    """Return a Python number of the program as an array of the default dtype of its kind."""
    function = array._xp._lower.asarray
    out = function(value)
    if place is None:
        return array._make(out)
    return array._make(out, place.program.write(AS_ARRAY, function, [place], (), out)[0])


def _refuse_size(op: Op, places: list[Any], placed: tuple[Any, ...]) -> None:
    if op.name == "repeat" and not variables_in((places[1:], placed)):
        return
    raise unknown(f"the size of what {op.name} returns", SIZED_BY_VALUES[op.name])


def namespace_over(backend: Backend) -> Namespace:
    """Return a new namespace of traced arrays over a backend."""
    xp = stand(TracedNamespace, Traced, bind, _flatten, lambda make, place, parts: make(*parts, place), backend)
    plain_operators(xp.array_class)
    return xp


def _flatten(x: Any) -> tuple[tuple[Any], Any]:
    return (x._value,), x._place


class TracedNamespace(Namespace):
    """The namespace of traced arrays: the standard's, and how to make one."""

    _lowest = 1

    def traced(self, value: Any, program: Program) -> Any:
        """Return a new input of a program, which is a lower array or a Python number today."""
        return self.array_class._make(value, program.input(value))

    def array_of(self, x: Any) -> Any:
        """Return a Python number of a program as an array."""
        return number_as_array(self.array_class, x._value, x._place)

    def _like(self, name: str, x: Any, dtype: Any, device: Any, requires_grad: bool, *fill: Any) -> Any:
        if isinstance(x, self.array_class) and is_number(x._value):
            dtype, x = dtype or x.dtype, self._lower.asarray(x._value)
        return super()._like(name, x, dtype, device, requires_grad, *fill)

    def _constants(self, name: str, x: Any) -> Any:
        if isinstance(x, self.array_class) and x._place is not None:
            raise unknown(f"how many different elements there are (by {name})", "sort(x) keeps all of them")
        return super()._constants(name, x)
