"""Reductions and cumulative functions."""

from __future__ import annotations

import math
from typing import Any

from .batches import argument
from .batching import ALONG, Shifted
from .kinds import General, Linear, Rule

Shape = tuple[int, ...]


def reduced_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes that a reduction runs over, as non-negative numbers."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(a % ndim for a in axes)


def unreduce(t: Any, shape: Shape, axis: Any, keepdims: bool, xp: Any) -> Any:
    """Give a reduction's result its reduced axes back, with length 1."""
    if keepdims or not shape:
        return t
    axes = reduced_axes(axis, len(shape))
    return xp.reshape(t, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def count(shape: Shape, axis: Any) -> int:
    """Return how many elements of an array of `shape` go into each result."""
    return math.prod(shape[a] for a in reduced_axes(axis, len(shape)))


def sum_x(t: Any, x_shape: Shape, axis: Any, keepdims: bool, xp: Any) -> Any:
    return xp.broadcast_to(unreduce(t, x_shape, axis, keepdims, xp), x_shape)


def mean_x(t: Any, x_shape: Shape, axis: Any, keepdims: bool, xp: Any) -> Any:
    return sum_x(t / (count(x_shape, axis) or math.nan), x_shape, axis, keepdims, xp)


def extreme_weights(x: Any, out: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    """Return d out / d x of `max` or `min`: ties share equally, a nan takes the blame for a nan."""
    mask = x == unreduce(out, x.shape, axis, keepdims, xp)
    ones = xp.astype(mask, x.dtype)
    weights = ones / xp.sum(ones, axis=axis, keepdims=True)
    return xp.where(x != x, math.nan, xp.where(mask, weights, xp.zeros_like(x)))


def extreme_vjp(t: Any, x: Any, out: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return unreduce(t, x.shape, axis, keepdims, xp) * extreme_weights(x, out, axis, keepdims, xp)


def extreme_jvp(t: Any, x: Any, out: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return xp.sum(t * extreme_weights(x, out, axis, keepdims, xp), axis=axis, keepdims=keepdims)


def product_of_others(x: Any, axis: Any, xp: Any) -> Any:
    """Return, for each element, the product of the others along `axis`: exact at zeros, no division."""
    axes = reduced_axes(axis, x.ndim)
    order = tuple(i for i in range(x.ndim) if i not in axes) + axes
    moved = xp.permute_dims(x, order)
    kept = moved.shape[: x.ndim - len(axes)]
    flat = xp.reshape(moved, (*kept, count(x.shape, axis)))
    others = xp.reshape(others_in_row(flat, xp), moved.shape)
    return xp.permute_dims(others, tuple(order.index(i) for i in range(x.ndim)))


def others_in_row(x: Any, xp: Any) -> Any:
    """Return the product of the others along the last axis: for long rows of pairs first, then of their halves."""
    n, half = x.shape[-1], x.shape[-1] // 2
    if n <= 16 or math.prod(x.shape) <= 1024:
        before = xp.cumulative_prod(x, axis=-1, include_initial=True)[..., :-1]
        after = xp.cumulative_prod(xp.flip(x, axis=-1), axis=-1, include_initial=True)[..., :-1]
        return before * xp.flip(after, axis=-1)
    first, second, odd = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    others = others_in_row(xp.concat([first * second, odd], axis=-1), xp)
    pairs = others[..., :half]
    return xp.concat([pairs * second, pairs * first, others[..., half:]], axis=-1)


def prod_vjp(t: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return unreduce(t, x.shape, axis, keepdims, xp) * xp.conj(product_of_others(x, axis, xp))


def prod_jvp(t: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return xp.sum(t * product_of_others(x, axis, xp), axis=axis, keepdims=keepdims)


def deviation(x: Any, axis: Any, correction: float, xp: Any) -> Any:
    """Return (x - mean) / (n - correction), nan where nothing is left to divide by."""
    return (x - xp.mean(x, axis=axis, keepdims=True)) / ((count(x.shape, axis) - correction) or math.nan)


def var_vjp(t: Any, x: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    return unreduce(t, x.shape, axis, keepdims, xp) * (2 * deviation(x, axis, correction, xp))


def var_jvp(t: Any, x: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    return xp.sum(t * (2 * deviation(x, axis, correction, xp)), axis=axis, keepdims=keepdims)


def std_slope(x: Any, out: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    std = unreduce(out, x.shape, axis, keepdims, xp)
    safe = xp.where(std == 0, xp.ones_like(std), std)  # constants: the subgradient of least norm, 0
    slope = deviation(x, axis, correction, xp) / safe
    return xp.where(std == 0, xp.zeros_like(x), slope)


def std_vjp(t: Any, x: Any, out: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    return unreduce(t, x.shape, axis, keepdims, xp) * std_slope(x, out, axis, correction, keepdims, xp)


def std_jvp(t: Any, x: Any, out: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    return xp.sum(t * std_slope(x, out, axis, correction, keepdims, xp), axis=axis, keepdims=keepdims)


def along(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """Return the key that takes `part` of one axis and all of the others."""
    return (*(slice(None),) * (axis % ndim), part, ...)


def cumulative_sum_x(t: Any, axis: int | None, include_initial: bool, xp: Any) -> Any:
    axis = 0 if axis is None else axis
    if include_initial:  # the leading zero depends on nothing
        t = t[along(axis, t.ndim, slice(1, None))]
    return xp.flip(xp.cumulative_sum(xp.flip(t, axis=axis), axis=axis), axis=axis)


def affine_scan(a: Any, b: Any, axis: int, xp: Any) -> Any:
    """Solve s[i] = b[i] + a[i] * s[i-1], s[-1] = 0, without a division.

    Composing the maps of neighbours gives those of s[1], s[3] ...; what is between follows (Blelloch, 1990).
    """
    n, half = b.shape[axis], b.shape[axis] // 2
    if n < 2:
        return b
    first, late = along(axis, b.ndim, slice(None, 1)), along(axis, b.ndim, slice(2, None, 2))
    even, odd = along(axis, b.ndim, slice(None, 2 * half, 2)), along(axis, b.ndim, slice(1, None, 2))
    odds = affine_scan(a[odd] * a[even], b[odd] + a[odd] * b[even], axis, xp)
    before = odds if n % 2 else odds[along(axis, b.ndim, slice(None, -1))]
    evens = xp.concat([b[first], b[late] + a[late] * before], axis=axis)
    last = along(axis, b.ndim, slice(half, None))
    pairs = xp.stack([evens[along(axis, b.ndim, slice(None, half))], odds], axis=axis % b.ndim + 1)
    shape = tuple(2 * half if i == axis % b.ndim else m for i, m in enumerate(b.shape))
    return xp.concat([xp.reshape(pairs, shape), evens[last]], axis=axis)


def cumulative_prod_vjp(t: Any, x: Any, axis: int | None, include_initial: bool, xp: Any) -> Any:
    """Return E * R: E the product before each element, R[i] = t[i] + x[i+1] * R[i+1] what it multiplies."""
    axis = 0 if axis is None else axis
    if x.shape[axis] == 0:
        return xp.zeros_like(x)
    if include_initial:
        t = t[along(axis, t.ndim, slice(1, None))]
    x = xp.conj(x)
    last, rest = along(axis, x.ndim, slice(-1, None)), along(axis, x.ndim, slice(1, None))
    following = xp.concat([x[rest], xp.zeros_like(x[last])], axis=axis)
    tail = xp.flip(affine_scan(xp.flip(following, axis=axis), xp.flip(t, axis=axis), axis, xp), axis=axis)
    return products_before(x, axis, xp) * tail


def products_before(x: Any, axis: int, xp: Any) -> Any:
    products = xp.cumulative_prod(x, axis=axis, include_initial=True)
    return products[along(axis, x.ndim, slice(None, -1))]


def cumulative_prod_jvp(t: Any, x: Any, axis: int | None, include_initial: bool, xp: Any) -> Any:
    axis = 0 if axis is None else axis
    tangent = affine_scan(x, t * products_before(x, axis, xp), axis, xp)
    if not include_initial:
        return tangent
    initial = xp.zeros_like(xp.sum(tangent, axis=axis, keepdims=True))  # a slice of no elements would have none
    return xp.concat([initial, tangent], axis=axis)


RULES: dict[str, Rule] = {
    "cumulative_prod": General(vjp=cumulative_prod_vjp, jvp=cumulative_prod_jvp),
    "cumulative_sum": Linear(x=cumulative_sum_x),
    "max": General(vjp=extreme_vjp, jvp=extreme_jvp),
    "mean": Linear(x=mean_x),
    "min": General(vjp=extreme_vjp, jvp=extreme_jvp),
    "prod": General(vjp=prod_vjp, jvp=prod_jvp),
    "std": General(vjp=std_vjp, jvp=std_jvp),
    "sum": Linear(x=sum_x),
    "var": General(vjp=var_vjp, jvp=var_jvp),
}

CONSTANT: set[str] = {"all", "any", "argmax", "argmin", "count_nonzero"}

REDUCTION = "x, /, *, axis=None, keepdims=False"
SUM = "x, /, *, axis=None, dtype=None, keepdims=False"
SPREAD = "x, /, *, axis=None, correction=0.0, keepdims=False"
CUMULATIVE = "x, /, *, axis=None, dtype=None, include_initial=False"
SIGNATURES = {
    "all": REDUCTION,
    "any": REDUCTION,
    "argmax": REDUCTION,
    "argmin": REDUCTION,
    "count_nonzero": REDUCTION,
    "cumulative_prod": CUMULATIVE,
    "cumulative_sum": CUMULATIVE,
    "max": REDUCTION,
    "mean": REDUCTION,
    "min": REDUCTION,
    "prod": SUM,
    "std": SPREAD,
    "sum": SUM,
    "var": SPREAD,
}
BATCHES = {
    "all": ALONG,
    "any": ALONG,
    "argmax": argument,
    "argmin": argument,
    "count_nonzero": ALONG,
    "cumulative_prod": Shifted("axis", none="only"),
    "cumulative_sum": Shifted("axis", none="only"),
    "max": ALONG,
    "mean": ALONG,
    "min": ALONG,
    "prod": ALONG,
    "std": ALONG,
    "sum": ALONG,
    "var": ALONG,
}
