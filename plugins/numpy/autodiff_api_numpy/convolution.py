"""NumPy's kernels of the chapter `convolution`: windows as rows of a matrix, and one product of matrices.

Channels lie last in memory here, whatever order the axes have: a row of a window is then one piece, the product's rows
are the result, and what acts on each channel runs along memory. Arrays that come lying so are used as they lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from . import attention, pooling

Shape = tuple[int, ...]
Key = tuple[Any, ...]
ROWS = 1 << 18  # elements in a matrix of windows: 1 MiB of float32, which is in the cache when it is multiplied


def channels_last(x: Any) -> Any:
    """Return (N, C, *) as (N, *, C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def channels_second(x: Any) -> Any:
    """Return (N, *, C) as (N, C, *)."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def padded(x: Any, padding: Any, value: float = 0) -> Any:
    """Return an array (N, *, C) with a value around its spatial axes, in one piece."""
    if not any(map(any, padding)):
        return np.ascontiguousarray(x)
    sizes = [n + low + high for n, (low, high) in zip(x.shape[1:-1], padding, strict=True)]
    out = np.full((x.shape[0], *sizes, x.shape[-1]), value, dtype=x.dtype)
    out[inside(x.shape[1:-1], padding)] = x
    return out


def inside(sizes: Shape, padding: Any) -> Key:
    """Return the key of what is not padding, in an array (N, *, C)."""
    return slice(None), *[slice(low, low + n) for n, (low, _) in zip(sizes, padding, strict=True)]


def places(window: Shape, out: Shape, stride: Shape, dilation: Shape) -> Iterator[tuple[Shape, Key]]:
    """Yield each place in a window, and the key of what all windows have there in an array (N, *, C)."""
    for place in product(*map(range, window)):
        starts = [p * d for p, d in zip(place, dilation, strict=True)]
        slices = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, stride, strict=True)]
        yield place, (slice(None), *slices)


def windows(x: Any, window: Shape, out: Shape, stride: Shape, dilation: Shape, groups: int) -> Any:
    """Return the windows of a padded array (N, *, C) as matrices: (groups, N * windows, places * C / groups).

    With few channels a row has many short pieces; then the columns are written, place by place, and the matrix lies by
    columns: 25 µs instead of 39 for 64 images of 8x8.
    """
    n, c = x.shape[0], x.shape[-1] // groups
    rows = n * math.prod(out)
    if c < 4:
        found: Any = np.empty((groups, *window, c, n, *out), dtype=x.dtype)
        split = x.reshape(*x.shape[:-1], groups, c).transpose(x.ndim - 1, x.ndim, *range(x.ndim - 1))
        for place, key in places(window, out, stride, dilation):
            found[(slice(None), *place)] = split[(slice(None), slice(None), *key)]
        return found.reshape(groups, math.prod(window) * c, rows).mT
    steps = x.strides[1:-1]
    starts = [a * s for a, s in zip(steps, stride, strict=True)]
    apart = [a * d for a, d in zip(steps, dilation, strict=True)]
    shape, strides = (groups, n, *out, *window, c), (c * x.itemsize, x.strides[0], *starts, *apart, x.itemsize)
    return np.ndarray(shape, x.dtype, x, 0, strides).reshape(groups, rows, math.prod(window) * c)


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of n images, each for so many of them as make matrices of windows of some MiB; of one at least."""
    step = max(1, ROWS // max(size, 1))
    return (slice(i, min(i + step, n)) for i in range(0, n, step))


def as_matrix(weight: Any, groups: int) -> Any:
    """Return a weight as matrices (groups, places * C / groups, O / groups)."""
    o, c, *window = weight.shape
    split = weight.reshape(groups, o // groups, c, *window).transpose(0, *range(3, weight.ndim + 1), 2, 1)
    return split.reshape(groups, math.prod(window) * c, o // groups)


def by_group(x: Any, groups: int) -> Any:
    """Return an array (N, *, C) as (groups, N * positions, C / groups)."""
    return x.reshape(-1, groups, x.shape[-1] // groups).transpose(1, 0, 2)


def conv(x: Any, weight: Any, bias: Any = None, /, *, stride: Shape, padding: Any, dilation: Shape, groups: int) -> Any:
    """Return the sum over windows of x times the weight, plus the bias.

    >>> conv(np.ones((1, 1, 4)), np.ones((1, 1, 2)), stride=(1,), padding=((0, 1),), dilation=(1,), groups=1)
    array([[[2., 2., 2., 1.]]])
    """
    dtype = np.result_type(x, weight) if bias is None else np.result_type(x, weight, bias)
    x, window, matrix = padded(channels_last(x), padding), weight.shape[2:], as_matrix(weight, groups)
    size = out_shape(x.shape[1:-1], window, stride, dilation)
    out = np.empty((len(x), *size, len(weight)), dtype=dtype)
    for some in blocks(len(x), math.prod(size) * matrix.shape[1] * groups):
        rows = windows(x[some], window, size, stride, dilation, groups)
        np.matmul(rows, matrix, out=by_group(out[some], groups))
        if bias is not None:
            out[some] += bias.reshape(-1)
    return channels_second(out)


def conv_input(
    grad: Any, weight: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int
) -> Any:
    """Return the transpose of `conv` in x, whose spatial shape is given: one product for each place in the window."""
    grad, window, c = np.ascontiguousarray(channels_last(grad)), weight.shape[2:], weight.shape[1]
    sizes = [n + low + high for n, (low, high) in zip(shape, padding, strict=True)]
    total = np.zeros((len(grad), *sizes, c * groups), dtype=np.result_type(grad, weight))
    split = weight.reshape(groups, -1, *weight.shape[1:]).transpose(*range(3, weight.ndim + 1), 0, 1, 2)
    factors = np.ascontiguousarray(split)
    for some in blocks(len(grad), math.prod(grad.shape[1:-1]) * math.prod(window) * c * groups):
        rows, there = by_group(grad[some], groups), total[some]
        part = np.empty((*grad[some].shape[:-1], c * groups), dtype=total.dtype)
        for place, key in places(window, grad.shape[1:-1], stride, dilation):
            np.matmul(rows, factors[place], out=by_group(part, groups))
            there[key] += part
    return channels_second(total[inside(shape, padding)])


def conv_weight(
    x: Any, grad: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int
) -> Any:
    """Return the transpose of `conv` in the weight, whose spatial shape is given."""
    x, grad = padded(channels_last(x), padding), np.ascontiguousarray(channels_last(grad))
    size, o, c = grad.shape[1:-1], grad.shape[-1] // groups, x.shape[-1] // groups
    total: Any = np.zeros((groups, math.prod(shape) * c, o), dtype=np.result_type(x, grad))
    for some in blocks(len(x), math.prod(size) * total.shape[1] * groups):
        rows = windows(x[some], shape, size, stride, dilation, groups)
        total += np.matmul(rows.mT, by_group(grad[some], groups))
    split = total.reshape(groups, *shape, c, o).transpose(0, -1, -2, *range(1, len(shape) + 1))
    return split.reshape(groups * o, c, *shape)


def out_shape(sizes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Shape:
    """Return how many windows there are along each axis of a padded array."""
    return tuple([(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, window, stride, dilation, strict=True)])


KERNELS: dict[str, Callable[..., Any]] = {
    **attention.KERNELS,
    **pooling.KERNELS,
    "nn.conv": conv,
    "nn.conv_input": conv_input,
    "nn.conv_weight": conv_weight,
}
