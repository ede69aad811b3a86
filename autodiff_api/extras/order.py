"""Order statistics: median, quantile, percentile."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError
from .sums import floating

METHODS = ("higher", "linear", "lower", "midpoint", "nearest")


class Order:
    """Functions of the elements in order. Equal ones keep theirs, as in `sort`, so ties have one derivative."""

    def median(self, x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return the middle element along axes, or the mean of the two in the middle; nan where any is nan.

        PyTorch's `median` is the lower of the two: `quantile(x, 0.5, method="lower")`.

        >>> import autodiff_api as ad
        >>> ad.median(ad.tensor([3.0, 1.0, 2.0, 4.0]))
        tensor(2.5)
        """
        xp: Any = self
        return xp.quantile(x, 0.5, axis, method="midpoint", keepdims=keepdims)

    def percentile(self, x: Any, /, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False) -> Any:
        """Return quantiles, with `q` in percent."""
        xp: Any = self
        q = q if isinstance(q, float | int) else xp.asarray(q)
        return xp.quantile(x, q / 100, axis, method=method, keepdims=keepdims)

    def quantile(self, x: Any, /, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False) -> Any:
        """Return the elements below which the fractions `q` lie; nan where any element is, or `q` is not in [0, 1].

        `q` is a number or an array, whose axes come first in the result. Between two elements `method` takes the
        "lower", the "higher", the "nearest", their "midpoint", or, by default, goes from one to the other ("linear").

        >>> import autodiff_api as ad
        >>> ad.quantile(ad.tensor([1.0, 2.0, 4.0]), ad.tensor([0.5, 0.75]))
        tensor([2., 3.])
        """
        xp: Any = self
        if method not in METHODS:
            raise ArgumentError(f"quantile: method must be one of {', '.join(METHODS)}, not {method!r}")
        if isinstance(q, float | int) and not 0 <= q <= 1:
            raise ArgumentError(f"quantile: q must be from 0 to 1, not {q}")
        x, kept = gathered(xp, floating(xp, x), axis, keepdims)
        q = q if isinstance(q, xp.array_class) else xp.asarray(q, device=x.device)
        if not x.shape[-1]:
            return xp.full((*q.shape, *kept), xp.nan, dtype=x.dtype)
        result = ranked(xp, xp.sort(x, axis=-1), xp.reshape(q, (-1,)), method)
        return xp.reshape(xp.moveaxis(result, -1, 0), (*q.shape, *kept))


def gathered(xp: Any, x: Any, axis: Any, keepdims: bool) -> tuple[Any, tuple[int, ...]]:
    """Return `x` with the given axes as one, the last, and the shape of a result without them."""
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    others = [i for i in range(x.ndim) if i not in axes]
    n = 1
    for a in axes:
        n *= x.shape[a]
    moved = xp.reshape(xp.permute_dims(x, (*others, *axes)), (*(x.shape[i] for i in others), n))
    kept = tuple(1 if i in axes else m for i, m in enumerate(x.shape) if keepdims or i not in axes)
    return moved, kept


def ranked(xp: Any, x: Any, q: Any, method: str) -> Any:
    """Return what stands at the fractions `q` (a vector) of the last axis of `x`, which is in order."""
    n = x.shape[-1]
    q = floating(xp, q)
    valid = xp.greater_equal(q, 0) & xp.less_equal(q, 1)
    place = xp.where(valid, q, 0) * (n - 1)
    low, high = xp.floor(place), xp.ceil(place)
    if method in ("lower", "higher", "nearest"):
        low = high = {"lower": low, "higher": high, "nearest": xp.round(place)}[method]
    index = xp.asarray(0).dtype
    below, above = (xp.take(x, xp.astype(i, index), axis=-1) for i in (low, high))
    if method in ("linear", "midpoint"):
        at = xp.equal(low, high)  # there is no part of what lies above, which may be infinite
        part = xp.where(at, 0, place - low if method == "linear" else 0.5 * xp.ones_like(place))
        part = xp.astype(part, x.dtype, copy=False)
        below = below * (1 - part) + xp.where(at, 0, above) * part
    last = x[..., n - 1 :]
    below = xp.where(xp.isnan(last), last, below)  # nan is the last in order
    return xp.where(valid, below, xp.nan)
