"""PyTorch's kernels of the chapters `network` and `convolution`: what its own autograd calls, forward and backward.

Each takes what PyTorch's function takes, mostly floating-point tensors of one dtype, and leaves the rest to the generic
kernel. Times are those of the generic kernels and of these, in microseconds, with PyTorch 2.13 on one thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from autodiff_api.backends import Keeping

from .words import generic

Kernel = Callable[..., Any]
Shape = tuple[int, ...]
aten: Any = torch.ops.aten
native: Any = torch  # whose types leave some functions out


def alike(x: Any, *others: Any) -> bool:
    """Tell whether arrays have one dtype, of real floating-point numbers; what is None is left out."""
    return x.dtype.is_floating_point and all(y is None or y.dtype is x.dtype for y in others)


# --- element by element ---


def relu_backward(x1: Any, x2: Any, /) -> Any:
    """Return the cotangent x1 where the output x2 is positive, and 0 elsewhere: 45 and 6.5 for 128x256."""
    return aten.threshold_backward(x1, x2, 0) if alike(x1, x2) else generic("nn.relu_backward")(x1, x2)


def gelu(x: Any, /, approximate: str = "none") -> Any:
    """Return x * P(Z < x) for a standard normal Z: 710 and 22 for 128x256."""
    if alike(x):  # oneDNN, by which float32 is computed, doesn't take what is broadcast
        return F.gelu(x.contiguous(), approximate=approximate)
    return generic("nn.gelu")(x, approximate)


def gelu_backward(grad: Any, x: Any, /, approximate: str = "none") -> Any:
    """Return `grad` times the derivative of `gelu`: 790 and 43 for 128x256."""
    if alike(grad, x) and grad.shape == x.shape:
        if approximate == "tanh":  # beyond, the derivative is 0 or 1; PyTorch's own makes nan of a cube that overflows
            x = x.clamp(-30.0, 30.0)
        return aten.gelu_backward(grad.contiguous(), x.contiguous(), approximate=approximate)
    return generic("nn.gelu_backward")(grad, x, approximate)


# --- normalisation over the last axes ---


def ends(x: Any, last: int, *others: Any) -> tuple[int, ...] | None:
    """Return the shape of the last axes of `x`, if others are as PyTorch's layer norm takes them; else None."""
    shape = tuple(x.shape[x.ndim - last :])
    fits = alike(x, *others) and all(y is None or tuple(y.shape) == shape for y in others)
    return shape if fits and x.numel() else None


def layer_norm(x: Any, weight: Any, bias: Any = None, /, last: int = 1, eps: float = 1e-5) -> Any:
    """Return x with mean 0 and variance 1 over its last axes, times `weight`, plus `bias`: 46 and 14 for 128x256."""
    return layer_norm_keeping(x, weight, bias, last, eps)[0]


def layer_norm_keeping(x: Any, weight: Any, bias: Any = None, /, last: int = 1, eps: float = 1e-5) -> tuple[Any, Any]:
    """Return what `layer_norm` does, and the means and scales of rows."""
    shape = ends(x, last, weight, bias)
    if shape is None:
        return generic("nn.layer_norm")(x, weight, bias, last, eps), None
    out, mean, scale = native.native_layer_norm(x, shape, weight, bias, eps)
    return out, (mean, scale)


def layer_norm_backward(grad: Any, x: Any, weight: Any, /, last: int = 1, eps: float = 1e-5) -> tuple[Any, Any]:
    """Return the cotangents of x and of `weight`: 130 and 30 for 128x256."""
    return layer_norm_backward_kept(layer_norm_keeping(x, weight, None, last, eps)[1], grad, x, weight, last, eps)


def layer_norm_backward_kept(
    kept: Any, grad: Any, x: Any, weight: Any, /, last: int = 1, eps: float = 1e-5
) -> tuple[Any, Any]:
    """Return what `layer_norm_backward` does, from what `layer_norm_keeping` kept."""
    shape = ends(x, last, weight)
    of_x: Any
    if kept is None or shape is None or grad.dtype is not x.dtype or grad.shape != x.shape:
        of_x, of_weight = generic("nn.layer_norm_backward")(grad, x, weight, last, eps)
        return of_x, of_weight
    of_x, of_weight, _ = aten.native_layer_norm_backward(grad, x, shape, *kept, weight, None, [True, True, False])
    return of_x, of_weight


def normalize(x: Any, /, last: int = 1, eps: float = 1e-5) -> Any:
    """Return x with mean 0 and variance 1 over its last axes."""
    return layer_norm(x, None, None, last, eps) if ends(x, last) is not None else generic("nn.normalize")(x, last, eps)


def normalize_backward(grad: Any, x: Any, /, last: int = 1, eps: float = 1e-5) -> Any:
    """Return the cotangent of `normalize`."""
    shape = ends(x, last)
    if shape is None or grad.dtype is not x.dtype or grad.shape != x.shape:
        return generic("nn.normalize_backward")(grad, x, last, eps)
    _, mean, scale = native.native_layer_norm(x, shape, None, None, eps)
    return aten.native_layer_norm_backward(grad, x, shape, mean, scale, None, None, [True, False, False])[0]


# --- softmax and the losses of classes ---


def softmax_backward(grad: Any, x: Any, /, axis: Any = -1) -> Any:
    """Return the cotangent of a softmax whose output is x: 19 and 10 for 128x256."""
    if axis.__class__ is int and alike(grad, x) and grad.shape == x.shape:
        return aten._softmax_backward_data(grad, x, axis, x.dtype)
    return generic("nn.softmax_backward")(grad, x, axis)


def counting(target: Any, classes: int, ignore_index: int) -> tuple[Any, Any, Any]:
    """Return which elements count, which of them are out of bounds, and an index in bounds for all."""
    target = target.to(torch.int64)
    outside = (target < 0) | (target >= classes)
    kept = target != ignore_index
    return kept, kept & outside, target.masked_fill(outside, 0)


def reduced(loss: Any, kept: Any, reduction: str) -> Any:
    """Return losses as they are, their sum, or their mean over what counts."""
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / kept.sum()


def cross_entropy(x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Return minus the logarithm of the softmax of the scores that `target` names; nan where it names none.

    PyTorch's own raises IndexError there, on CUDA in a way that ends the process's use of the device.

    >>> cross_entropy(torch.asarray([[0.0, 50.0]]), torch.asarray([0]), reduction="none").tolist()
    [50.0]
    """
    return cross_entropy_keeping(x, target, axis, ignore_index, reduction)[0]


def cross_entropy_keeping(
    x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Any, Any]:
    """Return what `cross_entropy` does, and the logarithms."""
    kept, lost, index = counting(target, x.shape[axis], ignore_index)
    logs = torch.log_softmax(x, axis)
    loss = -logs.gather(axis, index.unsqueeze(axis)).squeeze(axis)
    loss = loss.masked_fill(lost, math.nan).masked_fill(~kept, 0.0)
    return reduced(loss, kept, reduction), logs


def cross_entropy_backward(
    grad: Any, x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return the cotangent of x in `cross_entropy`: what the softmax has too much."""
    return cross_entropy_backward_kept(torch.log_softmax(x, axis), grad, x, target, axis, ignore_index, reduction)


def cross_entropy_backward_kept(
    logs: Any, grad: Any, x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return what `cross_entropy_backward` does, from the logarithms."""
    kept, lost, index = counting(target, x.shape[axis], ignore_index)
    if reduction == "mean":
        grad = grad / kept.sum()
    share = torch.where(kept & ~lost, grad, 0.0).unsqueeze(axis)
    return (torch.exp(logs) * share).scatter_add_(axis, index.unsqueeze(axis), -share)


# --- convolution ---


def even(padding: Sequence[Sequence[int]]) -> list[int] | None:
    """Return how much is padded on both sides of each axis; None if that is not the same."""
    return [low for low, _ in padding] if all(low == high for low, high in padding) else None


def around(x: Any, padding: Sequence[Sequence[int]]) -> Any:
    """Return an array with zeros around its last axes."""
    return F.pad(x, [width for pair in reversed(padding) for width in pair])


def takes(window: Sequence[int], *arrays: Any) -> bool:
    """Tell whether PyTorch has a convolution for these: of one to three axes, and of one dtype."""
    return 1 <= len(window) <= 3 and alike(*arrays) and all(x is None or x.numel() for x in arrays)


def conv(x: Any, weight: Any, bias: Any = None, /, *, stride: Shape, padding: Any, dilation: Shape, groups: int) -> Any:
    """Return the sum over windows of x times the weight, plus the bias: 2900 and 410 for 64x16x8x8 and 32x16x3x3."""
    if not takes(padding, x, weight, bias):
        return generic("nn.conv")(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    width, none = even(padding), [0] * len(padding)
    if width is None:
        x, width = around(x, padding), none
    bias = None if bias is None else bias.reshape(-1)
    return native.convolution(x, weight, bias, stride, width, dilation, False, none, groups)


def conv_input(
    grad: Any, weight: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int
) -> Any:
    """Return the transpose of `conv` in x, whose spatial shape is given: 4400 and 370."""
    channels = weight.shape[1] * groups
    if not takes(padding, grad, weight):
        return generic("nn.conv_input")(
            grad, weight, shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
    sizes = [n + low + high for n, (low, high) in zip(shape, padding, strict=True)]
    x, none = grad.new_empty((grad.shape[0], channels, *sizes)), [0] * len(padding)
    only = [True, False, False]
    out = aten.convolution_backward(grad, x, weight, None, stride, none, dilation, False, none, groups, only)[0]
    return out[(..., *[slice(low, low + n) for n, (low, _) in zip(shape, padding, strict=True)])]


def conv_weight(
    x: Any, grad: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int
) -> Any:
    """Return the transpose of `conv` in the weight, whose spatial shape is given: 1400 and 420."""
    if not takes(padding, x, grad):
        return generic("nn.conv_weight")(
            x, grad, shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
    weight, none = x.new_empty((grad.shape[1], x.shape[1] // groups, *shape)), [0] * len(padding)
    only, x = [False, True, False], around(x, padding)
    return aten.convolution_backward(grad, x, weight, None, stride, none, dilation, False, none, groups, only)[1]


# Pooling is not here: PyTorch's own takes 134 and the generic one 75, for 64x16x8x8 and windows of 2x2.


def attention(query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float) -> Any:
    """Return for each row of `query` the mean of the rows of `value`, weighted by how `key` answers.

    670 and 380 for 8x4x64x32, without the weights as an array.
    """
    one_batch = query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
    if one_batch and query.numel() and alike(query, key, value) and (mask is None or mask.ndim <= query.ndim):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    return generic("nn.attention")(query, key, value, mask, scale=scale)


KEEPING: dict[str, Keeping] = {
    "nn.cross_entropy": Keeping(
        forward=cross_entropy_keeping, backward_op="nn.cross_entropy_backward", backward=cross_entropy_backward_kept
    ),
    "nn.layer_norm": Keeping(
        forward=layer_norm_keeping, backward_op="nn.layer_norm_backward", backward=layer_norm_backward_kept
    ),
}
KERNELS: dict[str, Kernel] = {
    "nn.attention": attention,
    "nn.conv": conv,
    "nn.conv_input": conv_input,
    "nn.conv_weight": conv_weight,
    "nn.cross_entropy": cross_entropy,
    "nn.cross_entropy_backward": cross_entropy_backward,
    "nn.gelu": gelu,
    "nn.gelu_backward": gelu_backward,
    "nn.layer_norm": layer_norm,
    "nn.layer_norm_backward": layer_norm_backward,
    "nn.linear": F.linear,
    "nn.normalize": normalize,
    "nn.normalize_backward": normalize_backward,
    "nn.relu": torch.relu,
    "nn.relu_backward": relu_backward,
    "nn.softmax_backward": softmax_backward,
}
