"""Reading and writing at a key. Slices and masks stay in chunks; what else a key may hold needs an array as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import array_api_compat.dask.array as xp
import dask.array as da
import numpy as np
from dask.delayed import delayed

from autodiff_api.rules import OPS

from .matrices import each

Kernel = Callable[..., Any]


def whole(function: Kernel, shape: tuple[int, ...], dtype: Any, *args: Any) -> Any:
    """Call a function of NumPy's arrays once, on all of them, when its result is wanted."""
    return da.from_delayed(delayed(function)(*args), shape=shape, dtype=dtype)


def sized(function: Kernel) -> Kernel:
    """Return a function whose results have the shapes that they turn out to have, which is computed at once."""

    @wraps(function)
    def kernel(*args: Any, **kwargs: Any) -> Any:
        out = function(*args, **kwargs)
        for part in out if isinstance(out, tuple) else (out,):
            if any(map(math.isnan, part.shape)):
                part.compute_chunk_sizes()
        return out

    return kernel


def getitem(x: Any, key: Any) -> Any:
    """Return ``x[key]``; what Dask stumbles over, masks of one number or of nothing, at once."""
    parts = key if isinstance(key, tuple) else (key,)
    masks = [np.shape(part) for part in parts if isinstance(part, bool) or getattr(part, "dtype", None) == np.bool_]
    if any(0 in shape or not shape for shape in masks):
        return da.from_array(np.asarray(x)[tuple([np.asarray(p) if hasattr(p, "dtype") else p for p in parts])])
    return sized(_getitem)(x, key, xp=WORDS)


_engine: Any = xp


class Words:
    """The namespace as the generic kernel of `getitem` needs it: places have as many elements as there are."""

    nonzero = staticmethod(sized(_engine.nonzero))

    def __getattr__(self, name: str) -> Any:
        return getattr(xp, name)


WORDS = Words()


def setitem(x: Any, key: Any, value: Any) -> Any:
    """Return a copy of `x`, of the same dtype, with ``x[key] = value``.

    >>> setitem(da.zeros(3), slice(1, None), 2.0).compute()
    array([0., 2., 2.])
    """
    key = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    value = as_dtype(value, x.dtype)
    if 0 in (*x.shape, *value.shape):
        return x
    if is_mask_of(x, key) and not np.ndim(value):
        return da.where(key, value, x)
    if is_slices(key):
        out = x.copy()
        out[key] = value
        return out
    return whole(set_in_copy, x.shape, x.dtype, x, key, value)


def set_in_copy(x: Any, key: Any, value: Any) -> Any:
    """Return a copy of NumPy's array, with ``x[key] = value``."""
    out = np.array(x)
    out[key] = value
    return out


def scatter_add(x: Any, key: Any, values: Any) -> Any:
    """Return a copy of `x` with `values` added at `key`; where `key` names a place twice, both are added.

    >>> scatter_add(da.zeros(3), np.asarray([0, 2, 0]), 1.0).compute()
    array([2., 0., 1.])
    """
    key = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    values = as_dtype(values, x.dtype)
    if 0 in (*x.shape, *values.shape):
        return x
    if is_mask_of(x, key) and not np.ndim(values):
        return da.where(key, x + values, x)
    if is_slices(key):
        return setitem(x, key, x[key] + values)
    return whole(add_in_copy, x.shape, x.dtype, x, key, values)


def add_in_copy(x: Any, key: Any, values: Any) -> Any:
    """Return a copy of NumPy's array, with `values` added at `key`."""
    out = np.array(x)
    np.add.at(out, key, values)
    return out


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Return elements of `x` along an axis, the only one if it is not named."""
    return da.take(x, indices, axis=0 if axis is None else axis)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Return elements of `x` by an array of places along an axis.

    >>> take_along_axis(da.asarray([[1.0, 2.0]]), da.asarray([[1, 0, 1]])).compute()
    array([[2., 1., 2.]])
    """

    def along(x: Any, indices: Any) -> Any:
        lead = np.broadcast_shapes(x.shape[:-1], indices.shape[:-1])
        x, indices = (np.broadcast_to(y, (*lead, y.shape[-1])) for y in (x, indices))
        return np.take_along_axis(x, indices, axis=-1)

    out = each(along, "(n),(m)->(m)", *[da.moveaxis(da.asarray(y), axis, -1) for y in (x, indices)])
    return da.moveaxis(out, -1, axis)


def as_dtype(value: Any, dtype: Any) -> Any:
    """Return a value as an array of a dtype."""
    return value.astype(dtype) if hasattr(value, "astype") else np.asarray(value, dtype=dtype)


def is_mask_of(x: Any, key: Any) -> bool:
    """Tell one truth value for each element."""
    truth = isinstance(key, bool) or getattr(key, "dtype", None) == np.bool_
    return bool(truth and np.shape(key) == x.shape)


def is_slices(key: Any) -> bool:
    """Tell a key of integers and of slices that go forward."""
    parts = key if isinstance(key, tuple) else (key,)
    plain = all(type(part) is int or part is ... or isinstance(part, slice) for part in parts)
    return plain and all((part.step or 1) > 0 for part in parts if isinstance(part, slice))


_getitem: Any = OPS["getitem"].kernel

KERNELS: dict[str, Kernel] = {
    "getitem": getitem,
    "scatter_add": scatter_add,
    "setitem": setitem,
    "take": take,
    "take_along_axis": take_along_axis,
}
