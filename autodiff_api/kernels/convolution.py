"""Generic kernels of the chapter `convolution`, in the standard.

Each walks over the places in a window. At one place, the elements of all windows are a slice of the padded array, which
may have any number of spatial axes, the last ones; so no kernel knows how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

Shape = tuple[int, ...]
Key = tuple[Any, ...]


def filled(x: Any, shape: Shape, value: float, xp: Any) -> Any:
    """Return an array of one value with the dtype of x, and where x is; while it is traced it can't say where."""
    nothing = xp.sum(x[(slice(0, 0), ...)], dtype=x.dtype)
    return xp.broadcast_to(xp.full_like(nothing, value), shape)


def padded(x: Any, padding: Sequence[Sequence[int]], value: float, xp: Any) -> Any:
    """Return an array with a value around its last axes: so much before each, and after."""
    for axis, widths in enumerate(padding, start=x.ndim - len(padding)):
        if any(widths):
            low, high = (filled(x, (*x.shape[:axis], n, *x.shape[axis + 1 :]), value, xp) for n in widths)
            x = xp.concat([low, x, high], axis=axis)
    return x


def cropped(x: Any, padding: Sequence[Sequence[int]]) -> Any:
    """Return an array without its padding."""
    sizes = x.shape[x.ndim - len(padding) :]
    return x[(..., *[slice(low, n - high) for (low, high), n in zip(padding, sizes, strict=True)])]


def padded_zeros(x: Any, shape: Shape, padding: Sequence[Sequence[int]], xp: Any) -> Any:
    """Return zeros of a shape, of which the last axes grow by the padding."""
    lead = len(shape) - len(padding)
    sizes = [n + low + high for n, (low, high) in zip(shape[lead:], padding, strict=True)]
    return filled(x, (*shape[:lead], *sizes), 0, xp)


def out_shape(sizes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Shape:
    """Return how many windows there are along each axis of a padded array."""
    return tuple([(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, window, stride, dilation, strict=True)])


def places(window: Shape, out: Shape, stride: Shape, dilation: Shape) -> Iterator[tuple[Shape, Key]]:
    """Yield each place in a window, and the key of what all windows have there."""
    for place in product(*map(range, window)):
        starts = [p * d for p, d in zip(place, dilation, strict=True)]
        slices = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, stride, strict=True)]
        yield place, (..., *slices)


# --- convolution ---


def by_group(x: Any, groups: int, xp: Any) -> Any:
    """Return (N, C, *) as (N, groups, C / groups, positions)."""
    n, c, *sizes = x.shape
    return xp.reshape(x, (n, groups, c // groups, math.prod(sizes)))


def factor(weight: Any, place: Shape, groups: int, xp: Any) -> Any:
    """Return what a weight has at one place in the window, as (groups, O / groups, C / groups)."""
    return xp.reshape(weight[(..., *place)], (groups, weight.shape[0] // groups, weight.shape[1]))


def conv(
    x: Any, weight: Any, bias: Any = None, /, *, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    """Return the sum over the places in a window of x there times the weight there."""
    x, window = padded(x, padding, 0, xp), tuple(weight.shape[2:])
    out = out_shape(x.shape[2:], window, stride, dilation)
    total: Any = 0
    for place, key in places(window, out, stride, dilation):
        total = total + xp.matmul(factor(weight, place, groups, xp), by_group(x[key], groups, xp))
    total = xp.reshape(total, (x.shape[0], weight.shape[0], *out))
    return total if bias is None else total + bias


def conv_input(
    grad: Any, weight: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    """Return the transpose of `conv` in x, whose spatial shape is given."""
    n, window, channels = grad.shape[0], tuple(weight.shape[2:]), weight.shape[1] * groups
    rows = by_group(grad, groups, xp)
    total = padded_zeros(grad, (n, channels, *shape), padding, xp)
    total = xp.astype(total, xp.result_type(grad, weight), copy=False)
    for place, key in places(window, tuple(grad.shape[2:]), stride, dilation):
        part = xp.matmul(xp.matrix_transpose(factor(weight, place, groups, xp)), rows)
        total = xp.scatter_add(total, key, xp.reshape(part, (n, channels, *grad.shape[2:])))
    return cropped(total, padding)


def conv_weight(
    x: Any, grad: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    """Return the transpose of `conv` in the weight, whose spatial shape is given."""
    x, rows = padded(x, padding, 0, xp), by_group(grad, groups, xp)
    parts = []
    for _, key in places(shape, tuple(grad.shape[2:]), stride, dilation):
        columns = xp.matrix_transpose(by_group(x[key], groups, xp))
        parts.append(xp.sum(xp.matmul(rows, columns), axis=0))
    return xp.reshape(xp.stack(parts, axis=-1), (grad.shape[1], x.shape[1] // groups, *shape))


# --- pooling ---


def lowest(x: Any, xp: Any) -> Any:
    """Return what is below every other number of a dtype."""
    return -xp.inf if xp.isdtype(x.dtype, "real floating") else xp.iinfo(x.dtype).min


def max_pool(x: Any, /, *, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    """Return the largest element of each window; nan if there is one."""
    x = padded(x, padding, lowest(x, xp), xp)
    out = out_shape(x.shape[x.ndim - len(window) :], window, stride, dilation)
    best = None
    for _, key in places(window, out, stride, dilation):
        best = x[key] if best is None else xp.maximum(best, x[key])
    return best if math.prod(window) > 1 else xp.asarray(best, copy=True)  # never a part of x itself


def winners(at: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Iterator[tuple[Key, Any]]:
    """Yield the key of each place, and in which windows the first largest element is there.

    A nan is larger than any number. What is padded never wins: it equals nothing, not even an infinity.
    """
    at = xp.where(xp.isnan(at), xp.inf, at)
    best = max_pool(at, window=window, stride=stride, padding=padding, dilation=dilation, xp=xp)
    at, free = padded(at, padding, xp.nan, xp), xp.ones_like(best, dtype=xp.bool)
    for _, key in places(window, tuple(best.shape[best.ndim - len(window) :]), stride, dilation):
        wins = (at[key] == best) & free
        free = free & ~wins
        yield key, wins


def max_pool_select(x: Any, at: Any, /, *, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    """Return the element of each window of x at the place where that of `at` is the largest."""
    x, total = padded(x, padding, 0, xp), None
    for key, wins in winners(at, window, stride, padding, dilation, xp):
        part = xp.where(wins, x[key], xp.zeros_like(x[key]))
        total = part if total is None else total + part
    return total


def max_pool_backward(
    grad: Any, at: Any, /, *, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any
) -> Any:
    """Return the transpose of `max_pool_select` in x."""
    total = padded_zeros(grad, tuple(at.shape), padding, xp)
    for key, wins in winners(at, window, stride, padding, dilation, xp):
        total = xp.scatter_add(total, key, xp.where(wins, grad, xp.zeros_like(grad)))
    return cropped(total, padding)


def sum_pool(x: Any, /, *, window: Shape, stride: Shape, padding: Any, xp: Any) -> Any:
    """Return the sum of each window."""
    x, near = padded(x, padding, 0, xp), (1,) * len(window)
    out = out_shape(x.shape[x.ndim - len(window) :], window, stride, near)
    total: Any = 0
    for _, key in places(window, out, stride, near):
        total = total + x[key]
    return total


def sum_pool_backward(grad: Any, /, *, shape: Shape, window: Shape, stride: Shape, padding: Any, xp: Any) -> Any:
    """Return the transpose of `sum_pool`, whose spatial shape is given."""
    lead = grad.ndim - len(window)
    total = padded_zeros(grad, (*grad.shape[:lead], *shape), padding, xp)
    for _, key in places(window, tuple(grad.shape[lead:]), stride, (1,) * len(window)):
        total = xp.scatter_add(total, key, grad)
    return cropped(total, padding)


# --- attention ---


def weights_of(query: Any, key: Any, mask: Any, scale: float, xp: Any) -> Any:
    """Return softmax(scale * query keyᵀ) over what the mask lets through; zeros in a row where that is nothing."""
    scores = xp.matmul(query * scale, xp.matrix_transpose(key))
    if mask is not None:
        scores = xp.where(mask, scores, -xp.inf)
    top = xp.max(scores, axis=-1, keepdims=True)
    e = xp.exp(scores - xp.where(top == -xp.inf, xp.zeros_like(top), top))
    total = xp.sum(e, axis=-1, keepdims=True)
    return e / xp.where(total == 0, xp.ones_like(total), total)


def attention(query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float, xp: Any) -> Any:
    """Return for each row of `query` the mean of the rows of `value`, weighted by how `key` answers."""
    return xp.matmul(weights_of(query, key, mask, scale, xp), value)


def attention_backward(
    grad: Any, query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float, xp: Any
) -> tuple[Any, Any, Any]:
    """Return the cotangents of query, key and value, of as many axes as `grad`: not summed where these were broadcast.

    The weights are computed again, which costs less than keeping them: they are the largest array there is.
    """
    p = weights_of(query, key, mask, scale, xp)
    d = xp.matmul(grad, xp.matrix_transpose(value))
    s = p * (d - xp.sum(d * p, axis=-1, keepdims=True)) * scale
    of_key, of_value = xp.matmul(xp.matrix_transpose(s), query), xp.matmul(xp.matrix_transpose(p), grad)
    return xp.matmul(s, key), of_key, of_value


GENERIC: dict[str, Callable[..., Any]] = {
    "nn.attention": attention,
    "nn.attention_backward": attention_backward,
    "nn.conv": conv,
    "nn.conv_input": conv_input,
    "nn.conv_weight": conv_weight,
    "nn.max_pool": max_pool,
    "nn.max_pool_backward": max_pool_backward,
    "nn.max_pool_select": max_pool_select,
    "nn.sum_pool": sum_pool,
    "nn.sum_pool_backward": sum_pool_backward,
}
