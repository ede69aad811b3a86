"""Order statistics: median, quantile, percentile."""

from __future__ import annotations

import math
from typing import Any

from ..axes import all_axes
from ..errors import ArgumentError, ArgumentTypeError
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
        return quantiles("median", xp, x, 0.5, axis, "midpoint", keepdims)

    def percentile(self, x: Any, /, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False) -> Any:
        """Return quantiles, with `q` in percent."""
        xp: Any = self
        if isinstance(q, float | int) and not 0 <= q <= 100:
            raise ArgumentError(f"percentile: q must be from 0 to 100, not {q}")
        q = q if isinstance(q, float | int) else xp.asarray(q)
        return quantiles("percentile", xp, x, q / 100, axis, method, keepdims)

    def quantile(self, x: Any, /, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False) -> Any:
        """Return the elements below which the fractions `q` lie; nan where any element is, or `q` is not in [0, 1].

        `q` is a number or an array, whose axes come first in the result. Between two elements `method` takes the
        "lower", the "higher", the "nearest", their "midpoint", or, by default, goes from one to the other ("linear").

        >>> import autodiff_api as ad
        >>> ad.quantile(ad.tensor([1.0, 2.0, 4.0]), ad.tensor([0.5, 0.75]))
        tensor([2., 3.])
        """
        xp: Any = self
        if isinstance(q, float | int) and not 0 <= q <= 1:
            raise ArgumentError(f"quantile: q must be from 0 to 1, not {q}")
        return quantiles("quantile", xp, x, q, axis, method, keepdims)


def quantiles(name: str, xp: Any, x: Any, q: Any, axis: Any, method: str, keepdims: bool) -> Any:
    """Return the quantiles of `x` for the function called `name`."""
    if method not in METHODS:
        raise ArgumentError(f"{name}: method must be one of {', '.join(METHODS)}, not {method!r}")
    x = floating(xp, x)
    if xp.isdtype(x.dtype, "complex floating"):
        raise ArgumentTypeError(f"{name}: complex numbers have no order; take it of their abs, real or imag")
    x, kept = gathered(xp, x, all_axes(name, axis, x.shape), keepdims)
    shape = () if isinstance(q, float | int) else tuple(xp.asarray(q).shape)
    if not x.shape[-1]:
        return xp.full((*shape, *kept), xp.nan, dtype=x.dtype)
    if isinstance(q, float | int):
        return xp.reshape(at_one(xp, x, q, method), kept)
    q = q if isinstance(q, xp.array_class) else xp.asarray(q, device=x.device)
    result = ranked(xp, xp.sort(x, axis=-1), xp.reshape(q, (-1,)), method)
    return xp.reshape(xp.moveaxis(result, -1, 0), (*shape, *kept))


def gathered(xp: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> tuple[Any, tuple[int, ...]]:
    """Return `x` with the given axes as one, the last, and the shape of a result without them."""
    others = tuple(i for i in range(x.ndim) if i not in axes)
    kept = tuple(1 if i in axes else m for i, m in enumerate(x.shape) if keepdims or i not in axes)
    if (*others, *axes) != tuple(range(x.ndim)):
        x = xp.permute_dims(x, (*others, *axes))
    if len(axes) != 1:
        x = xp.reshape(x, (*x.shape[: len(others)], math.prod(x.shape[len(others) :])))
    return x, kept


def at_one(xp: Any, x: Any, q: float, method: str) -> Any:
    """Return what stands at one fraction that is known: only two elements, and the last, are taken from `x`."""
    n = x.shape[-1]
    place = q * (n - 1)
    low, high = math.floor(place), math.ceil(place)
    if method in ("lower", "higher", "nearest"):
        low = high = {"lower": low, "higher": high, "nearest": round(place)}[method]
    order = xp.argsort(x, axis=-1)
    y = xp.take_along_axis(x, xp.concat([order[..., i : i + 1] for i in (low, high, n - 1)], axis=-1), axis=-1)
    below, above, last = (y[..., i] for i in range(3))
    if low != high:
        part = place - low if method == "linear" else 0.5
        below = below * (1 - part) + above * part
    return xp.where(xp.isnan(last), last, below)  # nan is the last in order


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
