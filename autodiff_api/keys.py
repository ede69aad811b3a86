"""Index keys, taken apart: what a kernel receives holds raw arrays and plain numbers only."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any

import numpy as np

from .arrays import Array
from .namespaces import mismatch

BOUNDS = (int, type(None))  # the types of what a plain slice stands between


def is_basic(key: Any) -> bool:
    """Tell whether a key is made of integers, slices, None and Ellipsis: then indexing is a view."""
    if key.__class__ is tuple:
        return all(is_basic(part) for part in key)
    if key.__class__ is int or key.__class__ is slice or key is None or key is Ellipsis:
        return True
    if hasattr(key, "ndim"):  # an integer that a compiler traces: which one is not known yet
        return key.ndim == 0 and "int" in str(key.dtype)
    return not isinstance(key, bool) and hasattr(key, "__index__")


def is_plain(key: Any) -> bool:
    """Tell whether a key is made of integers, slices between integers, None and Ellipsis: no array, nothing traced."""
    for part in key if key.__class__ is tuple else (key,):
        kind = part.__class__
        if kind is slice:
            if not _plain_slice(part):
                return False
        elif kind is not int and part is not None and part is not Ellipsis:
            return False
    return True


def plain_key(key: Any, value_of: Callable[[Any], Any]) -> Any:
    """Return a key in which tensors are replaced by their values, and lists by index arrays."""
    if key.__class__ is int or (key.__class__ is slice and _plain_slice(key)):
        return key
    if key.__class__ is tuple:
        parts = [plain_key(part, value_of) for part in key]
        return key if all(map(is_, parts, key)) else tuple(parts)
    if isinstance(key, slice):
        return slice(*[None if v is None else v.__index__() for v in (key.start, key.stop, key.step)])
    return value_of(key)


def _plain_slice(key: slice) -> bool:
    return key.start.__class__ in BOUNDS and key.stop.__class__ in BOUNDS and key.step.__class__ in BOUNDS


def index_value(cls: Any) -> Callable[[Any], Any]:
    """Return a function that takes one part of a key apart: the value of an array, an array for a list."""

    def value_of(part: Any) -> Any:
        if isinstance(part, cls):
            part = part._value
        elif isinstance(part, Array) and not isinstance(part, cls._xp._array_types):
            if part._xp.above(cls) is not cls._xp:
                raise mismatch("indexing", cls._xp, part)
            part = part._as_now()._value  # from outside a transformation: a constant in it
        elif isinstance(part, list):
            lower = cls._xp._lower
            part = lower.asarray(part)
            return part if 0 not in part.shape else lower.astype(part, lower.int32)  # [] would be floats
        if getattr(part, "shape", None) == () and _is_concrete_integer(part):
            return part.__index__()
        return part.copy() if isinstance(part, np.ndarray) else part  # its owner may write into it later

    return value_of


def _is_concrete_integer(value: Any) -> bool:
    if "bool" in str(getattr(value, "dtype", "")):  # of which Dask has an index
        return False
    try:
        value.__index__()
    except Exception:  # a bool, a float, or a tracer, whose index is not known yet
        return False
    return True
