"""The operators of arrays that never change: dual numbers, and arrays with a hidden axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arrays import BINARY, COMPARE, UNARY
from .namespaces import Namespace, backend_name


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
