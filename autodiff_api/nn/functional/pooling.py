"""Pooling with PyTorch's names, defaults and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from autodiff_api.errors import ArgumentError, ShapeError

from .common import Array, namespace_of
from .convolution import Sizes, per_axis, positive
from .special import network

Pairs = tuple[tuple[int, int], ...]


def max_pool1d(
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """Return the largest element of each window along the last axis.

    Shapes: input (N, C, L) or (C, L). `stride` is `kernel_size` if it is not given; what is padded never counts;
    `ceil_mode` lets a last window reach beyond the end. The gradient goes to the first of several largest elements. A
    nan is larger than any number. With `return_indices` there is a second array: where each was, counted through the
    last axis, or the last two or three. Raises `ArgumentError` for arguments, and `ShapeError` for shapes, that don't
    fit.

    >>> import autodiff_api as ad
    >>> max_pool1d(ad.tensor([[[1.0, 3.0, 2.0, 5.0, 4.0]]]), 2, ceil_mode=True)
    tensor([[[3., 5., 4.]]])
    """
    given = kernel_size, stride, padding, dilation, ceil_mode, return_indices
    return max_pool("max_pool1d", 1, input, *given)


def max_pool2d(
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """Return the largest element of each window along the last two axes, of (N, C, H, W) or (C, H, W).

    Arguments as in `max_pool1d`; a number stands for both axes.

    >>> import autodiff_api as ad
    >>> max_pool2d(ad.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    tensor([[[4.]]])
    """
    given = kernel_size, stride, padding, dilation, ceil_mode, return_indices
    return max_pool("max_pool2d", 2, input, *given)


def max_pool3d(
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """Return the largest element of each window along the last three axes, of (N, C, D, H, W) or (C, D, H, W).

    Arguments as in `max_pool1d`; a number stands for all axes.

    >>> import autodiff_api as ad
    >>> max_pool3d(ad.ones((1, 4, 4, 4)), (2, 4, 1)).shape
    (1, 2, 1, 4)
    """
    given = kernel_size, stride, padding, dilation, ceil_mode, return_indices
    return max_pool("max_pool3d", 3, input, *given)


def avg_pool1d(
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of each window along the last axis.

    Shapes and arguments as in `max_pool1d`. What is padded counts as zeros, unless `count_include_pad` is False; what
    `ceil_mode` adds never counts.

    >>> import autodiff_api as ad
    >>> avg_pool1d(ad.tensor([[[1.0, 3.0, 2.0, 5.0]]]), 2, padding=1)
    tensor([[[0.5, 2.5, 2.5]]])
    """
    return avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Return the mean of each window along the last two axes, of (N, C, H, W) or (C, H, W).

    Arguments as in `avg_pool1d`; `divisor_override` divides every sum, whatever it is the sum of.

    >>> import autodiff_api as ad
    >>> avg_pool2d(ad.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    tensor([[[2.5]]])
    """
    given = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return avg_pool("avg_pool2d", 2, input, *given)


def avg_pool3d(
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Return the mean of each window along the last three axes, of (N, C, D, H, W) or (C, D, H, W).

    Arguments as in `avg_pool2d`.

    >>> import autodiff_api as ad
    >>> avg_pool3d(ad.ones((1, 4, 4, 4)), (2, 4, 1)).shape
    (1, 2, 1, 4)
    """
    given = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return avg_pool("avg_pool3d", 3, input, *given)


def max_pool(
    name: str,
    n: int,
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> Array:
    """Return the largest element of each window along the last `n` axes; `name` is the function that was called."""
    apart = positive(name, n, "dilation", dilation)
    window, steps, around = windows(name, n, input, kernel_size, stride, padding, apart, ceil_mode)
    given = {"window": window, "stride": steps, "padding": around, "dilation": apart}
    out = network("max_pool", input, name)(input, **given)
    if not return_indices:
        return out
    xp, sizes = namespace_of(input, name), tuple(input.shape[-n:])
    places = xp.broadcast_to(xp.reshape(xp.arange(prod(sizes), device=input.device), sizes), input.shape)
    return out, network("max_pool_select", input, name)(places, input, **given)


def avg_pool(
    name: str,
    n: int,
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """Return the mean of each window along the last `n` axes; `name` is the function that was called."""
    if divisor_override == 0:
        raise ArgumentError(f"{name}(): the divisor must not be zero, got divisor_override=0.")
    window, steps, around = windows(name, n, input, kernel_size, stride, padding, (1,) * n, ceil_mode)
    total = network("sum_pool", input, name)(input, window=window, stride=steps, padding=around)
    if divisor_override is not None:
        return total / divisor_override
    sizes, own = tuple(input.shape[-n:]), per_axis(name, n, "padding", padding)
    counts = [
        lengths(size, k, s, pad, extra, count_include_pad)
        for size, k, s, pad, (_, extra) in zip(sizes, window, steps, own, around, strict=True)
    ]
    if all(len(set(c)) == 1 for c in counts):
        return total * (1 / prod(c[0] for c in counts))
    xp = namespace_of(input, name)
    for axis, count in enumerate(counts):
        shares = xp.asarray([1 / c for c in count], dtype=input.dtype, device=input.device)
        total = total * xp.reshape(shares, (len(count), *(1,) * (n - 1 - axis)))
    return total


def lengths(size: int, window: int, stride: int, pad: int, extra: int, count_padding: bool) -> list[int]:
    """Return how many elements of each window along an axis count; `extra` is what is added at the end in all."""
    count = (size + pad + extra - window) // stride + 1
    low, high = (-pad, size + pad) if count_padding else (0, size)
    starts = [i * stride - pad for i in range(count)]
    return [min(start + window, high) - max(start, low) for start in starts]


def windows(
    name: str,
    n: int,
    input: Array,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sequence[int],
    ceil_mode: bool,
) -> tuple[tuple[int, ...], tuple[int, ...], Pairs]:
    """Return the window, the stride, and what to add before and after each axis."""
    namespace_of(input, name)
    window = positive(name, n, "kernel_size", kernel_size)
    steps = window if stride is None else positive(name, n, "stride", stride)
    own = per_axis(name, n, "padding", padding)
    if input.ndim not in (n + 1, n + 2):
        raise ShapeError(f"{name}(): Expected {n + 1}D or {n + 2}D (batch mode) input, but got: {list(input.shape)}")
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    if any(not 0 <= 2 * pad <= span for pad, span in zip(own, spans, strict=True)):
        raise ArgumentError(f"{name}(): pad should be at most half of the window of {spans}, got padding={padding}.")
    sizes = tuple(input.shape[-n:])
    axes = zip(sizes, spans, steps, own, strict=True)
    around = tuple([(pad, reach(size, span, step, pad, ceil_mode)) for size, span, step, pad in axes])
    if any(size + sum(widths) < span for size, widths, span in zip(sizes, around, spans, strict=True)):
        raise ShapeError(
            f"{name}(): Output size is too small for input of size {list(input.shape)} and windows of {spans}"
        )
    return window, steps, around


def reach(size: int, span: int, stride: int, pad: int, ceil_mode: bool) -> int:
    """Return what to add after an axis: its padding, or more for a last window that starts inside."""
    rest = (size + 2 * pad - span) % stride
    if not ceil_mode or not rest:
        return pad
    start = size + 2 * pad - span - rest + stride - pad  # of one more window
    return pad + stride - rest if start < size else pad
