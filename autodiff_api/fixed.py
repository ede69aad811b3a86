"""Arrays that never change: what dual numbers, and arrays with a hidden axis, have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .arrays import BINARY, COMPARE, UNARY, Array
from .backends import Backend, extra_ops
from .errors import GradientError
from .namespaces import Lower, Namespace, backend_name
from .rules import OPS, Op

Found = TypeVar("Found", bound=Namespace)


class Fixed(Array):
    """An array over a lower one that never changes: nothing is assigned to it, and it has no views."""

    __slots__ = ("_value",)
    _make: Any

    @classmethod
    def _create(cls, value: Any, requires_grad: bool) -> Any:
        if requires_grad:
            raise GradientError(f"a {cls.__name__} array records nothing; requires_grad belongs to a Tensor")
        return cls._make(value)

    @classmethod
    def _asarray(cls, obj: Any, *, dtype: Any, device: Any, copy: bool | None) -> Any:
        xp = cls._xp
        if cls._is_held(obj):
            return cls._stacked(obj, dtype, device)
        if not isinstance(obj, cls):
            own = isinstance(obj, xp._array_types)
            return xp._new(xp._lower.asarray(obj, dtype=dtype, copy=copy), device if own else xp._home(device))
        if dtype is not None and obj.dtype != dtype:
            obj = xp.astype(obj, dtype)
        return obj if device is None else xp.to_device(obj, device)

    @property
    def dtype(self) -> Any:
        """The data type of the elements."""
        return self._value.dtype

    def clone(self) -> Any:
        """Return a copy."""
        return self._xp.clone(self)

    def numpy(self, *, force: bool = False) -> Any:
        """Return the data as a NumPy array."""
        raise NotImplementedError

    def _one(self, wanted: str, remedy: str) -> Any:
        """Return the lower array, of which Python wants one number; an array that has more than one refuses."""
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        return array.astype(dtype) if dtype is not None else array.copy() if copy else array

    def __bool__(self) -> bool:
        return bool(self._one("one truth value (by `if`, `and`, `bool`)", "a branch on it is where(condition, x, y)"))

    def __index__(self) -> int:
        return int(self._one("one index", "an array takes it as it is: x[i], or take(x, i)").__index__())

    def __int__(self) -> int:
        return int(self._one("one integer", "compute with arrays, where it may differ"))

    def __float__(self) -> float:
        return float(self._one("one number", "compute with arrays, where it may differ"))

    def __complex__(self) -> complex:
        return complex(self._one("one number", "compute with arrays, where it may differ"))


def stand(
    kind: type[Found], cls: Any, bind: Callable[[Any, Op], Any], flatten: Any, unflatten: Any, backend: Backend
) -> Found:
    """Return a new namespace of a class of such arrays over a backend, which may be another array type's namespace.

    `flatten` and `unflatten` tell the engine's compiler what the arrays consist of.
    """
    ops: dict[str, Any] = {**OPS, **{op.name: op for op in extra_ops()}}
    lower = Lower(backend.namespace, backend.kernels, ops)
    name = f"autodiff_api.{cls.__name__.lower()}.{backend.name}"
    xp = kind(name, lower, backend, tuple(backend.array_types), ops)
    body = {"__slots__": (), "__module__": cls.__module__, "_xp": xp, "_public": cls, "_bind": classmethod(bind)}
    xp.array_class = type(cls.__name__, (cls,), body)
    if backend.register_array is not None:
        make = xp.array_class._make
        backend.register_array(xp.array_class, flatten, lambda rest, parts: unflatten(make, rest, parts))
    return xp


def plain_operators(cls: Any) -> None:
    """Give a bound class its operators; there are none in place, so that Python makes `x += y` a new array."""
    xp = cls._xp

    def operator(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
        function = getattr(xp, name)

        def foreign(other: Any) -> bool:
            return not isinstance(other, cls) and backend_name(other) is None and not _is_operand(xp, other)

        def forward(self: Any, other: Any) -> Any:
            return NotImplemented if foreign(other) else function(self, other)

        def reflected(self: Any, other: Any) -> Any:
            return NotImplemented if foreign(other) else function(other, self)

        return forward, reflected

    for dunder, name in BINARY.items():
        forward, reflected = operator(name)
        setattr(cls, f"__{dunder}__", forward)
        setattr(cls, f"__r{dunder}__", reflected)
    for dunder, name in COMPARE.items():
        setattr(cls, f"__{dunder}__", operator(name)[0])
    for dunder, name in UNARY.items():
        setattr(cls, f"__{dunder}__", _method(getattr(xp, name)))
    cls.__hash__ = object.__hash__


def _is_operand(xp: Namespace, other: Any) -> bool:
    return isinstance(other, (bool, int, float, complex, *xp._array_types))


def _method(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda self: function(self)
