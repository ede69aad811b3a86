"""Convolutions with PyTorch's names, defaults and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from autodiff_api.errors import ArgumentError, ShapeError

from .common import Array, namespace_of
from .special import network

Sizes: TypeAlias = "int | Sequence[int]"


def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """Return the cross-correlation of `input` with `weight` along one axis.

    Shapes: input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,); the result has O channels and
    (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1 elements in each. `padding` is a number, "valid" (none) or
    "same" (as long as the input). Raises `ShapeError` where shapes don't fit, and `ArgumentError` for other arguments.

    >>> import autodiff_api as ad
    >>> conv1d(ad.tensor([[[1.0, 2.0, 4.0, 8.0]]]), ad.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2., 4.]]])
    """
    return conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """Return the cross-correlation of `input` with `weight` along two axes.

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O,). What `conv1d` says of the rest
    holds for each axis; a number stands for both.

    >>> import autodiff_api as ad
    >>> conv2d(ad.ones((1, 1, 3, 3)), ad.ones((1, 1, 3, 3)), padding="same")
    tensor([[[[4., 6., 4.],
              [6., 9., 6.],
              [4., 6., 4.]]]])
    """
    return conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """Return the cross-correlation of `input` with `weight` along three axes.

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O,). The rest is as in
    `conv1d`, for each axis.

    >>> import autodiff_api as ad
    >>> conv3d(ad.ones((1, 2, 4, 4, 4)), ad.ones((3, 2, 2, 2, 2)), stride=2).shape
    (1, 3, 2, 2, 2)
    """
    return conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv(
    name: str,
    n: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Array:
    """Return the cross-correlation along the last `n` axes; `name` is the function that was called."""
    xp = namespace_of(input, name)
    check_ranks(name, n, input, weight)
    steps, apart = (positive(name, n, what, given) for what, given in (("stride", stride), ("dilation", dilation)))
    kernel = tuple(weight.shape[2:])
    around = paddings(name, n, padding, kernel, steps, apart)
    check_channels(name, input, weight, bias, groups, n)
    check_room(name, tuple(input.shape[-n:]), around, [d * (k - 1) + 1 for k, d in zip(kernel, apart, strict=True)])
    x = input if input.ndim == n + 2 else xp.expand_dims(input, axis=0)
    if bias is not None:
        bias = xp.reshape(bias, (bias.shape[0], *(1,) * n))
    run = network("conv", input, name)
    out = run(x, weight, bias, stride=steps, padding=around, dilation=apart, groups=groups)
    return out if input.ndim == n + 2 else xp.squeeze(out, axis=0)


def per_axis(name: str, n: int, what: str, given: Sizes) -> tuple[int, ...]:
    """Return a number for each of `n` axes."""
    found = tuple(map(int, given)) if isinstance(given, Sequence) else (int(given),) * n
    if len(found) == 1:
        return found * n
    if len(found) != n:
        raise ArgumentError(f"{name}() takes a number for {what}, or {n} of them, got {what}={given}.")
    return found


def positive(name: str, n: int, what: str, given: Sizes) -> tuple[int, ...]:
    """Return a positive number for each of `n` axes."""
    found = per_axis(name, n, what, given)
    if min(found) < 1:
        raise ArgumentError(f"{name}() needs a positive {what}, got {what}={given}.")
    return found


def paddings(
    name: str, n: int, given: Sizes | str, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Return how much to add before each axis, and after it; of an odd number more comes after it."""
    if given == "valid":
        return ((0, 0),) * n
    if given == "same":
        if set(stride) != {1}:
            raise ArgumentError(f"{name}(): padding='same' is not supported for strided convolutions, stride={stride}.")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple([(t // 2, t - t // 2) for t in totals])
    if isinstance(given, str):
        raise ArgumentError(f"{name}() got padding={given!r}. Give numbers, 'valid' or 'same'.")
    found = per_axis(name, n, "padding", given)
    if min(found) < 0:
        raise ArgumentError(f"{name}(): negative padding is not supported, got padding={given}.")
    return tuple([(p, p) for p in found])


def check_ranks(name: str, n: int, input: Array, weight: Array) -> None:
    """Refuse arrays of another number of axes."""
    if input.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}(), but got input of size: "
            f"{list(input.shape)}"
        )
    if weight.ndim != n + 2:
        raise ShapeError(f"{name}() needs a weight of {n + 2} axes, (O, C / groups, *kernel), got {weight.shape}.")


def check_channels(name: str, input: Array, weight: Array, bias: Array | None, groups: int, n: int) -> None:
    """Refuse channels that don't fit each other, the groups or the bias."""
    o, c, channels = weight.shape[0], weight.shape[1], input.shape[-n - 1]
    if groups < 1:
        raise ArgumentError(f"{name}(): non-positive groups is not supported, got groups={groups}.")
    if o % groups or o < groups:
        raise ShapeError(
            f"Given groups={groups} in {name}(), expected weight to be divisible by {groups} at dimension 0, but got "
            f"weight of size {list(weight.shape)} instead"
        )
    if channels != c * groups:
        raise ShapeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(input.shape)} to have "
            f"{c * groups} channels, but got {channels} channels instead, in {name}()"
        )
    if bias is not None and tuple(bias.shape) != (o,):
        raise ShapeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {o} elements, but got "
            f"bias of size {list(bias.shape)} instead, in {name}()"
        )


def check_room(name: str, sizes: Sequence[int], padding: Sequence[Sequence[int]], spans: Sequence[int]) -> None:
    """Refuse windows that are longer than the padded input."""
    padded = [size + sum(widths) for size, widths in zip(sizes, padding, strict=True)]
    if any(span > size for span, size in zip(spans, padded, strict=True)):
        raise ShapeError(
            f"Calculated padded input size per channel: {tuple(padded)}. Kernel size: {tuple(spans)}. Kernel size "
            f"can't be greater than actual input size, in {name}()"
        )
