"""Means, products and running totals, without NumPy's layers of Python, or several numbers at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import standard
from .kernels import sum_

WIDE = 128  # numbers side by side


def mean(x: Any, *, axis: Any = None, keepdims: Any = False) -> Any:
    """Return the mean of elements: 3.5 and 2 µs for 8x8 float32.

    >>> mean(np.asarray([1.0, 2.0]))
    np.float64(1.5)
    """
    n = counted(x, axis)
    return sum_(x, axis=axis, keepdims=keepdims) / n if n else standard.mean(x, axis=axis, keepdims=keepdims)


def var(x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: Any = False) -> Any:
    """Return the mean square of deviations: 12 and 6 µs for 8x8 float32.

    >>> var(np.asarray([1.0, 3.0]))
    np.float64(1.0)
    """
    n = counted(x, axis)
    if n <= correction:
        return standard.var(x, axis=axis, correction=correction, keepdims=keepdims)
    away = x - sum_(x, axis=axis, keepdims=True) / n
    away *= away
    return sum_(away, axis=axis, keepdims=keepdims) / (n - correction)


def std(x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: Any = False) -> Any:
    """Return the root of `var`."""
    return np.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def counted(x: Any, axis: Any) -> int:
    """Return how many elements go into each result; 0 where NumPy knows better how to compute it."""
    if x.dtype.char not in "fd":
        return 0
    if axis is None:
        return x.size  # type: ignore[no-any-return]
    return x.shape[axis] if axis.__class__ is int else math.prod([x.shape[a] for a in axis])


def prod(x: Any, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Any:
    """Return the product of elements, of all of them in columns first: 35 and 11 µs for 40,000 float32.

    >>> prod(np.asarray([2.0, 3.0, 4.0]))
    np.float64(24.0)
    """
    if axis is None and np.size(x) > 8 * WIDE and x.flags.c_contiguous:
        flat, whole = x.reshape(-1), x.size // WIDE * WIDE
        columns = np.multiply.reduce(flat[:whole].reshape(-1, WIDE), axis=0, dtype=dtype)
        out = np.multiply.reduce(np.concat([columns, flat[whole:]]), dtype=dtype)
        return out.reshape((1,) * x.ndim) if keepdims else out
    return np.multiply.reduce(x, axis, dtype, keepdims=keepdims)


def cumulative(op: Any, x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Return running totals along an axis, before the last one in blocks: 140 and 60 µs for 200x200 float32.

    >>> cumulative(np.add, np.asarray([1.0, 2.0, 3.0]), include_initial=True)
    array([0., 1., 3., 6.])
    """
    if axis is None:
        if x.ndim != 1:
            raise ValueError("name the axis of a running total over an array of several axes")
        axis = 0
    if axis < 0:
        axis += x.ndim
    if not include_initial:
        return running(op, x, axis, dtype)
    start = op.reduce(x[(*(slice(None),) * axis, slice(0, 0))], axis=axis, dtype=dtype, keepdims=True)
    return np.concat([start, running(op, x, axis, dtype)], axis=axis)


def running(op: Any, x: Any, axis: int, dtype: Any) -> Any:
    """Return running totals: those of each block, and then the totals of the blocks before it."""
    n, after = x.shape[axis], math.prod(x.shape[axis + 1 :])
    if n < 32 or after < 64 or x.dtype.kind not in "fc" or dtype not in (None, x.dtype):
        return op.accumulate(x, axis=axis, dtype=dtype)
    before, block = math.prod(x.shape[:axis]), math.isqrt(n)
    blocks = -(-n // block)
    out = np.full((before, blocks * block, after), op.identity, dtype=x.dtype)
    out[:, :n] = x.reshape(before, n, after)
    parts = out.reshape(before, blocks, block, after)
    for i in range(1, block):
        op(parts[:, :, i - 1], parts[:, :, i], out=parts[:, :, i])
    totals = op.accumulate(parts[:, :-1, -1], axis=1)
    op(parts[:, 1:], totals[:, :, None], out=parts[:, 1:])
    return out[:, :n].reshape(x.shape)


KERNELS: dict[str, Callable[..., Any]] = {
    "cumulative_prod": partial(cumulative, np.multiply),
    "cumulative_sum": partial(cumulative, np.add),
    "mean": mean,
    "prod": prod,
    "std": std,
    "var": var,
}
