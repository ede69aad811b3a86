"""Adding at places that may be named twice."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

FEW = 64  # numbers that are added: below, `np.add.at` costs less than to prepare something better
MANY = 16384  # from here on SciPy's product with a sparse matrix costs less, whatever it takes to make the matrix


def scatter_add(x: Any, key: Any, values: Any) -> Any:
    """Return a copy of `x` with `values` added at `key`; where `key` names a place twice, both are added.

    `np.add.at` is fast on one axis only, by numbers of one dtype: 200 rows of 200 float32 take it 370 µs, and 90 by
    the numbers of their elements. As a product with a sparse matrix 5000 rows of 64 take 130 µs, instead of 580.

    >>> scatter_add(np.zeros(3), np.asarray([0, 2, 0]), 1.0)
    array([2., 0., 1.])
    """
    parts = key if isinstance(key, tuple) else (key,)
    named = [i for i, part in enumerate(parts) if _is_integer_array(part)]
    if not named:  # slices and masks name no place twice
        out = np.array(x)
        out[key] += values
        return out
    values = np.asarray(values, dtype=x.dtype)
    if values.size > FEW or x.ndim == 1:
        parts = tuple([part for part in parts if part is not ...]) if parts[-1] is ... else parts
        if len(named) == 1 and all(part == slice(None) for part in parts if part.__class__ is slice):
            if named[0] == len(parts) - 1 and all(part.__class__ is slice for part in parts[:-1]):
                return _along(x, named[0], np.asarray(parts[-1]), values)
        elif len(named) == len(parts) == x.ndim:
            return _each(x, parts, values)
    out = np.array(x)
    np.add.at(out, key, values)
    return out


def _along(x: Any, axis: int, index: Any, values: Any) -> Any:
    """Add where an index array stands on one axis, beside full slices."""
    shape, n = x.shape, x.shape[axis]
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    values = np.broadcast_to(values, (*shape[:axis], *index.shape, *shape[axis + 1 :]))
    index = _checked(index.reshape(-1), n, axis)
    values = values.reshape(before, index.size, after)
    sparse = _scipy() if values.size >= MANY and before * after > 1 and x.dtype.kind in "fc" else None
    if sparse is not None and x.dtype.char not in "eg":
        ones, ends = np.ones(index.size, dtype=x.dtype), np.arange(index.size + 1)
        columns = values.transpose(1, 0, 2).reshape(index.size, before * after)
        sums = sparse((ones, index, ends), shape=(index.size, n)).T @ columns
        sums = sums.reshape(n, before, after).transpose(1, 0, 2).reshape(shape)
        return sums if _is_blank(x) else x + sums
    if before * after > 1:
        index = (np.arange(before)[:, None, None] * n + index[:, None]) * after + np.arange(after)
    return _flat(x, index, values)


def _each(x: Any, parts: Any, values: Any) -> Any:
    """Add where an index array stands on every axis."""
    numbers: Any = 0
    for axis, part in enumerate(parts):
        numbers = numbers * x.shape[axis] + _checked(np.asarray(part), x.shape[axis], axis)
    return _flat(x, numbers, np.broadcast_to(values, numbers.shape))


def _flat(x: Any, numbers: Any, values: Any) -> Any:
    """Add at elements by their numbers."""
    out = np.array(x, order="C")
    np.add.at(out.reshape(-1), numbers.reshape(-1), values.reshape(-1))
    return out


def _checked(index: Any, n: int, axis: int) -> Any:
    """Return an index without negative numbers; raise IndexError for what is out of bounds."""
    if not index.size:
        return index.astype(np.intp)
    low, high = np.minimum.reduce(index, axis=None), np.maximum.reduce(index, axis=None)
    if low < -n or high >= n:
        wrong = low if low < -n else high
        raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {n}")
    return np.where(index < 0, index + n, index) if low < 0 else index


def _is_blank(x: Any) -> bool:
    """Tell whether an array is one zero, broadcast: what a gradient is added to."""
    return not any(x.strides) and x.size > 0 and x.flat[0] == 0


def _is_integer_array(part: Any) -> bool:
    return isinstance(part, (np.ndarray, list)) and np.asarray(part).dtype.kind in "iu"


@cache
def _scipy() -> Callable[..., Any] | None:
    """Return SciPy's sparse matrix, loaded when a large sum first asks for it; None without SciPy."""
    try:
        from scipy.sparse import csr_array
    except ImportError:
        return None
    return csr_array  # type: ignore[no-any-return]


KERNELS: dict[str, Callable[..., Any]] = {"scatter_add": scatter_add}
