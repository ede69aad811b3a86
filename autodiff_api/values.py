"""Values in whatever holds them: found in tuples, and at the bottom of stacked array types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def is_array(x: Any) -> bool:
    """Tell an array, of any type, from a number, a text, a dtype's class, and a tuple of arrays."""
    return hasattr(x, "dtype") and hasattr(x, "shape") and not isinstance(x, tuple | type)


def mapped(x: Any, kind: Callable[[Any], bool], function: Callable[[Any], Any]) -> Any:
    """Apply a function to a value, or to those in a list or tuple of values, if it is of a kind.

    >>> mapped((1, [2.0, 3]), lambda x: isinstance(x, float), str)
    (1, ['2.0', 3])
    """
    if kind(x):
        return function(x)
    if not isinstance(x, tuple | list):
        return x
    items = [mapped(item, kind, function) for item in x]
    return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)


def arrays_in(x: Any) -> Iterator[Any]:
    """Yield the arrays in a value, or in a list or tuple of values."""
    if is_array(x):
        yield x
    elif isinstance(x, tuple | list):
        for item in x:
            yield from arrays_in(item)


def engine_arrays(x: Any) -> Iterator[Any]:
    """Yield the engine's own arrays that an array of ours stands on: its values, and its tangents."""
    below = getattr(x, "_value", None)
    if below is None:
        yield x
        return
    yield from engine_arrays(below)
    if getattr(x, "_tangent", None) is not None:
        yield from engine_arrays(x._tangent)
