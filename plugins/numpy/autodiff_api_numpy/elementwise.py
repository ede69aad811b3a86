"""Element-wise functions of large arrays in several of NumPy's calls, where one call of its own costs more.

The microseconds are those of 40,000 float32. What is special, infinite or near the ends of the range, is left to
NumPy's function or SciPy's: a look at the extremes of an intermediate result tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import special, standard

LARGE = 4096  # elements: below, one call costs less than several
INTEGERS = {"f": np.int32, "d": np.int64}
LOWEST = {"f": -87.0, "d": -708.0}  # where exp(-x) overflows

# Bernoulli numbers over factorials, B(2k) / (2k)!, for the tail of zeta (DLMF 25.11.5).
TAIL = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Limit numbers to an interval: of 8x8 float32, 15 µs by way of array-api-compat, and 1.

    >>> clip(np.asarray([-1.0, 2.0]), max=1)
    array([-1.,  1.])
    """
    if not all(limit is None or fits(limit, x) for limit in (min, max)):
        return standard.clip(x, min, max)
    out = x if min is None else np.maximum(x, min)
    return out if max is None else np.minimum(out, max)


def fits(limit: Any, x: Any) -> bool:
    """Tell whether a limit has the dtype of an array of floating-point numbers, or will take it."""
    return x.dtype.kind == "f" and (limit.__class__ in (float, int) or getattr(limit, "dtype", None) == x.dtype)


def expit(x: Any, /) -> Any:
    """Return 1 / (1 + exp(-x)): by SciPy 195 µs, and 40.

    >>> expit(np.asarray([0.0]))
    array([0.5])
    """
    kind = getattr(getattr(x, "dtype", None), "char", "")
    if kind not in LOWEST or x.size < 512 or not np.minimum.reduce(x, axis=None) > LOWEST[kind]:
        return special.KERNELS["special.expit"](x)
    out = np.negative(x)
    np.add(np.exp(out, out), 1, out)
    return np.reciprocal(out, out)


def zeta(x: Any, q: Any = None, /) -> Any:
    """Return the sum of (q + k)**-x over k = 0, 1 ...: for x = 2, the derivative of digamma, 7000 and 450 µs.

    >>> bool(abs(zeta(2.0, np.asarray(1.0)) - np.pi**2 / 6) < 1e-15)
    True
    """
    kind = getattr(getattr(q, "dtype", None), "char", "")
    if x.__class__ is not float or x not in (2.0, 3.0, 4.0) or kind not in INTEGERS or q.size < 512:
        return special.zeta(x, q)
    low, high = np.minimum.reduce(q, axis=None), np.maximum.reduce(q, axis=None)
    if not (low > 1e-4 and high < 1e4):
        return special.zeta(x, q)
    return whole_zeta(int(x), q)


def whole_zeta(s: int, q: Any) -> Any:
    """Return zeta for a whole number s >= 2: ten terms, and the formula of Euler and Maclaurin for the rest."""
    total: Any = 0
    for k in range(10):
        total += np.reciprocal(q + k) ** s
    r = np.reciprocal(q + 10)
    tail, factor, square = 0.5, s * r, r * r
    for j, coefficient in enumerate(TAIL):
        tail = tail + coefficient * factor
        factor = factor * square * ((s + 2 * j + 1) * (s + 2 * j + 2))
    total += r ** (s - 1) * (1 / (s - 1) + tail * r)
    return total


def hypot(x1: Any, x2: Any, /) -> Any:
    """Return the root of the sum of squares: 150 and 40 µs.

    >>> hypot(np.asarray([3.0, 0.0]), 4.0)
    array([5., 4.])
    """
    if np.size(x1) < LARGE:
        return np.hypot(x1, x2)
    with np.errstate(over="ignore", under="ignore"):
        out = x1 * x1 + x2 * x2
    if out.dtype.char not in INTEGERS or not is_normal(out):
        return np.hypot(x1, x2)
    return np.sqrt(out, out)


def logaddexp(x1: Any, x2: Any, /) -> Any:
    """Return log(exp(x1) + exp(x2)): 780 and 65 µs.

    >>> logaddexp(np.asarray([1000.0]), 1000.0)
    array([1000.69314718])
    """
    if np.size(x1) < LARGE:
        return np.logaddexp(x1, x2)
    with np.errstate(all="ignore"):
        out = np.subtract(x1, x2)
        if out.dtype.char not in INTEGERS:
            return np.logaddexp(x1, x2)
        np.negative(np.abs(out, out), out)
        np.log1p(np.exp(out, out), out)
        np.add(np.maximum(x1, x2), out, out)
    return out if np.isfinite(np.add.reduce(out, axis=None)) else np.logaddexp(x1, x2)


def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """Choose between the bits of numbers: 40 and 20 µs, and 11 where one of them is 0.

    >>> where(np.asarray([True, False]), 1.0, np.asarray([2.0, 3.0]))
    array([1., 3.])
    """
    like, other = (x1, x2) if hasattr(x1, "dtype") else (x2, x1)
    kind = INTEGERS.get(like.dtype.char) if np.size(like) >= 2 * LARGE else None
    if kind is None or getattr(condition, "dtype", like.dtype).char != "?" or condition.shape != like.shape:
        return np.where(condition, x1, x2)
    if other.__class__ in (float, int) and other == 0:
        bits = np.negative(condition.view(np.int8)) if like is x1 else np.subtract(condition.view(np.int8), 1)
        return np.bitwise_and(like.view(kind), bits).view(like.dtype)
    if kind is not np.int32 or getattr(other, "dtype", None) != like.dtype or other.shape != like.shape:
        return np.where(condition, x1, x2)
    out = np.bitwise_xor(x1.view(kind), x2.view(kind))
    np.bitwise_and(out, np.negative(condition.view(np.int8)), out)
    return np.bitwise_xor(out, x2.view(kind), out).view(like.dtype)


def is_normal(x: Any) -> bool:
    """Tell whether all numbers are finite and have all of their digits."""
    low, high = np.minimum.reduce(x, axis=None), np.maximum.reduce(x, axis=None)
    return bool(low >= np.finfo(x.dtype).tiny / np.finfo(x.dtype).eps and high < np.inf)


KERNELS: dict[str, Callable[..., Any]] = {"clip": clip, "hypot": hypot, "logaddexp": logaddexp, "where": where}
KERNELS |= {
    name: kernel
    for name, kernel in {"special.expit": expit, "special.zeta": zeta}.items()
    if name in special.KERNELS  # where SciPy is installed, for what is left to it
}
