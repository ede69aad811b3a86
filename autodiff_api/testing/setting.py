"""Where laws are tried: a backend's arrays in one precision on one device; and a sample's call made there."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .. import duals
from ..backends import Backend
from ..binding import make_namespace
from ..namespaces import Namespace, as_backend
from ..rules import Op
from ..rules.kinds import signature_of
from .samples import Array, Dtype, SameDevice, Sample, by_columns, strided, transposed
from .samples.composites import CONSTANT
from .standard import FUNCTIONS

SINGLE = {"float64": "float32", "complex128": "complex64"}
DOUBLE = {narrow: wide for wide, narrow in SINGLE.items()}
PRECISION = {"float32": 2e-5, "complex64": 2e-5, "float64": 1e-11, "complex128": 1e-11}


class Setting:
    """A backend's tensors in one precision: `dtype` is "float32", "float64", "complex64" or "complex128".

    `rounded` numbers are such as the single precision below it has. `xp` is the namespace of tensors, `lower` of raw
    arrays, `dual` of dual numbers over those, and `tensors_over_duals` of tensors over dual numbers.
    """

    def __init__(self, xp: Namespace, dtype: str = "float64", device: Any = None, rounded: bool = False) -> None:
        self.xp, self.dtype, self.device, self.rounded = xp, dtype, device, rounded
        self.backend: Backend = xp._backend
        self.lower = xp._lower
        self.single = dtype in DOUBLE

    @cached_property
    def dual(self) -> Any:
        """The namespace of dual numbers over the backend's arrays."""
        return _over(self.xp, duals.namespace_over, self.backend)

    @cached_property
    def tensors_over_duals(self) -> Any:
        """The namespace of tensors over dual numbers: a second derivative in one pass."""
        return _over(self.dual, make_namespace, as_backend(self.dual))

    def cast(self, x: Array) -> Array:
        """Return a sample's array in this precision, as NumPy has it."""
        name = SINGLE.get(x.dtype.name)
        if name is None or not (self.single or self.rounded):
            return x
        return _keeping_layout(x, name) if self.single else x.astype(name).astype(x.dtype)

    def raw(self, x: Array) -> Any:
        """Return an array of the backend with the elements of `x`, laid out as they are there if it can be."""
        lower = self.lower
        if self.backend.immutable:  # how its arrays are laid out is such an engine's own affair
            return self._placed(np.array(x, order="C"))
        if by_columns(x):
            return lower.matrix_transpose(self._placed(np.array(np.swapaxes(x, -1, -2), order="C")))
        if x.flags.c_contiguous or not x.size:
            return self._placed(np.array(x, order="C"))
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype=x.dtype)
        wide[..., ::2] = x
        return lower.kernel("getitem")(self._placed(wide), (..., slice(None, None, 2)))

    def _placed(self, x: Array) -> Any:
        raw = self.lower.asarray(x)
        return raw if self.device is None else self.backend.place(raw, self.device)

    @cached_property
    def where(self) -> Any:
        """The device of an array placed here, as arrays report it; None if none was asked for."""
        if self.device is None:
            return None
        return getattr(self._placed(np.zeros(1, dtype="float32")), "device", self.device)

    def host(self, x: Any) -> Array:
        """Return any array of this backend, of whatever type, as NumPy's."""
        while hasattr(x, "_value"):
            x = x._value
        return np.asarray(self.backend.to_numpy(x))

    def supports(self, name: str) -> bool:
        """Tell whether the backend has a dtype."""
        return name in dtypes_of(self.xp)


def dtypes_of(xp: Namespace) -> tuple[str, ...]:
    """Return the names of the dtypes that a backend says it has, in the standard's order."""
    return tuple(xp.__array_namespace_info__().dtypes())


_made: dict[tuple[int, str], Any] = {}
_kept: list[Any] = []  # so that an id stays one object's


def _over(below: Any, make: Callable[[Any], Any], backend: Any) -> Any:
    key = (id(below), make.__name__)
    if key not in _made:
        _kept.append(below)
        _made[key] = make(backend)
    return _made[key]


def _keeping_layout(x: Array, dtype: str) -> Array:
    if x.flags.c_contiguous:
        return x.astype(dtype)
    if by_columns(x):
        return transposed(x.astype(dtype))
    return strided(x.astype(dtype))


class Call:
    """A function and one of its samples, to be made in a setting.

    `leaves` are the arrays that it is differentiated by, as NumPy has them. `call(xp, leaves)` makes the call with
    these put in their places and returns the tuple of what came out, after the sample's `through`.
    """

    def __init__(self, setting: Setting, name: str, sample: Sample) -> None:
        self.setting, self.name, self.sample = setting, name, sample
        self.op: Op | None = setting.xp._ops.get(name)
        self._places: list[int] = []  # the ids of the leaves among the arguments
        self.leaves: list[Array] = []
        for parameter, value in self._parameters():
            if self._is_differentiable(parameter):
                for x in arrays_in(value):
                    if x.dtype.kind in "fc":
                        self._places.append(id(x))
                        self.leaves.append(setting.cast(x))

    @property
    def signature(self) -> inspect.Signature:
        """What the function takes."""
        text = FUNCTIONS.get(self.name) or (self.op and self.op.signature)
        if text:
            return inspect.signature(signature_of(text))
        return inspect.signature(operator.attrgetter(self.name)(self.setting.xp))

    def _parameters(self) -> Iterator[tuple[str, Any]]:
        bound = self.signature.bind(*self.sample.args, **self.sample.kwargs)
        return iter(bound.arguments.items())

    def _is_differentiable(self, parameter: str) -> bool:
        op = self.op
        return op is None or op.rule is None or bool(self.sample.refuses) or parameter in op.rule.formulas

    @property
    def is_constant(self) -> bool:
        """Whether the function never has a gradient."""
        return self.name in CONSTANT if self.op is None else self.op.rule is None

    def function(self, xp: Any) -> Callable[..., Any]:
        """Return the function in a namespace."""
        return operator.attrgetter(self.name)(xp)  # type: ignore[no-any-return]

    def __call__(self, xp: Any, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Make the call and return what is well defined of its outputs."""
        out = self.plain(xp, leaves)
        if self.sample.through is not None:
            out = self.sample.through(xp, out)
        return tuple(out) if isinstance(out, tuple | list) else (out,)

    def plain(self, xp: Any, leaves: Sequence[Any]) -> Any:
        """Make the call and return just what it returns."""
        args, kwargs = self.arguments(xp, leaves)
        return self.function(xp)(*args, **kwargs)

    def arguments(self, xp: Any, leaves: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the sample's arguments for a namespace: its dtypes, constants as its arrays, leaves in place."""
        given = dict(zip(self._places, leaves, strict=True))
        convert = self._convert
        args = [convert(xp, a, given) for a in self.sample.args]
        return args, {k: convert(xp, v, given) for k, v in self.sample.kwargs.items()}

    def _convert(self, xp: Any, value: Any, given: dict[int, Any]) -> Any:
        if isinstance(value, np.ndarray):
            found = given.get(id(value))
            return self.constant(xp, value) if found is None else found
        if isinstance(value, Dtype):
            name = SINGLE.get(value, str(value)) if self.setting.single else str(value)
            return getattr(xp, name)
        if isinstance(value, SameDevice):
            return getattr(self.constant(xp, np.zeros(1)), "device", self.setting.backend.devices()[0])
        if isinstance(value, list | tuple):
            return type(value)([self._convert(xp, v, given) for v in value])
        return value

    def constant(self, xp: Any, x: Array) -> Any:
        """Return a sample's array as an array of a namespace."""
        return lift(xp, self.setting.raw(self.setting.cast(x)))

    def raws(self) -> list[Any]:
        """Return the leaves as raw arrays of the backend."""
        return [self.setting.raw(x) for x in self.leaves]


def arrays_in(value: Any) -> Iterator[Array]:
    """Yield the NumPy arrays among arguments: in lists, and in keys."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from arrays_in(part)


def lift(xp: Any, raw: Any) -> Any:
    """Return a raw array as an array of a namespace: a tensor, a dual number, a tensor of dual numbers."""
    return xp.array_class._make(lift(xp._lower._namespace, raw)) if isinstance(xp, Namespace) else raw
