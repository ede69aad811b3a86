"""Convolutions, pooling and attention, each with its backward as an op of its own.

A convolution is one of three ops that are each other's transposes: `sum(grad * conv(x, weight))` is linear in its
three arrays, and the op that takes two of them is its derivative by the third. So any order of any of them is one of
them. The same holds of a sum over windows and its transpose, and of the two ops that carry values from where `at` is
largest, and back.

Shapes are PyTorch's: x (N, C, *spatial), weight (O, C / groups, *kernel), grad (N, O, *out), bias (O, 1, ...).
`stride` and `dilation` have a number for each spatial axis, `padding` a pair: how much before it, and after.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import batched_networks
from .batching import Stacked
from .kinds import General, Linear, Multilinear, Rule
from .statistical import Shape


def conv_of_x(t: Any, weight: Any, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any) -> Any:
    return xp.nn.conv(t, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv_of_weight(t: Any, x: Any, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any) -> Any:
    return xp.nn.conv(x, t, stride=stride, padding=padding, dilation=dilation, groups=groups)


def input_of(
    grad: Any, weight: Any, x_shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    """Return the cotangent of x: what the other two of the three make."""
    spatial = tuple(x_shape[2:])
    return xp.nn.conv_input(
        grad, weight, shape=spatial, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def weight_of(
    x: Any, grad: Any, weight_shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    """Return the cotangent of the weight: what the other two of the three make."""
    kernel = tuple(weight_shape[2:])
    return xp.nn.conv_weight(x, grad, shape=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv_x(
    t: Any, weight: Any, x_shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    return input_of(t, weight, x_shape, stride, padding, dilation, groups, xp)


def conv_weight(
    t: Any, x: Any, weight_shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    return weight_of(x, t, weight_shape, stride, padding, dilation, groups, xp)


def conv_input_weight(
    t: Any, grad: Any, weight_shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    return weight_of(t, grad, weight_shape, stride, padding, dilation, groups, xp)


def conv_weight_x(
    t: Any, grad: Any, x_shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int, xp: Any
) -> Any:
    return input_of(grad, t, x_shape, stride, padding, dilation, groups, xp)


def conv_bias(t: Any, xp: Any) -> Any:
    return xp.reshape(xp.sum(t, axis=(0, *range(2, t.ndim))), (t.shape[1], *(1,) * (t.ndim - 2)))


# --- pooling ---


def max_pool_vjp(t: Any, x: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    return xp.nn.max_pool_backward(t, x, window=window, stride=stride, padding=padding, dilation=dilation)


def max_pool_jvp(t: Any, x: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    return xp.nn.max_pool_select(t, x, window=window, stride=stride, padding=padding, dilation=dilation)


def select_vjp(t: Any, at: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    return max_pool_vjp(t, at, window, stride, padding, dilation, xp), xp.zeros_like(at)


def select_jvp(t: Any, at: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    return max_pool_jvp(t[0], at, window, stride, padding, dilation, xp)


def backward_vjp(t: Any, at: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    return max_pool_jvp(t, at, window, stride, padding, dilation, xp), xp.zeros_like(at)


def backward_jvp(t: Any, at: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape, xp: Any) -> Any:
    return max_pool_vjp(t[0], at, window, stride, padding, dilation, xp)


def sum_pool_x(t: Any, x_shape: Shape, window: Shape, stride: Shape, padding: Any, xp: Any) -> Any:
    spatial = tuple(x_shape[len(x_shape) - len(window) :])
    return xp.nn.sum_pool_backward(t, shape=spatial, window=window, stride=stride, padding=padding)


def sum_pool_backward_grad(t: Any, window: Shape, stride: Shape, padding: Any, xp: Any) -> Any:
    return xp.nn.sum_pool(t, window=window, stride=stride, padding=padding)


# --- attention ---


def times(x: Any, y: Any, xp: Any) -> Any:
    return xp.matmul(x, y)


def crossed(x: Any, y: Any, xp: Any) -> Any:
    """Return x yᵀ: of the rows of both."""
    return xp.matmul(x, xp.matrix_transpose(y))


def inner(x: Any, y: Any, xp: Any) -> Any:
    """Return xᵀ y."""
    return xp.matmul(xp.matrix_transpose(x), y)


def weights_of(query: Any, key: Any, mask: Any, scale: float, xp: Any) -> Any:
    """Return softmax(scale * query keyᵀ) over what the mask lets through; zeros in a row where that is nothing."""
    scores = crossed(query, key, xp) * scale
    if mask is None:
        return xp.special.softmax(scores, axis=-1)
    return xp.where(mask, xp.special.softmax(xp.where(mask, scores, -xp.inf), axis=-1), 0.0)


def through_softmax(t: Any, p: Any, xp: Any) -> Any:
    """Apply the Jacobian of a softmax with the values p, which is symmetric."""
    return p * (t - xp.sum(t * p, axis=-1, keepdims=True))


def attention_vjp(t: Any, query: Any, key: Any, value: Any, mask: Any, scale: float, xp: Any) -> Any:
    return xp.nn.attention_backward(t, query, key, value, mask, scale=scale)


def attention_jvp(t: Any, query: Any, key: Any, value: Any, mask: Any, scale: float, xp: Any) -> Any:
    q, k, v = t
    p = weights_of(query, key, mask, scale, xp)
    moved = through_softmax((crossed(q, key, xp) + crossed(query, k, xp)) * scale, p, xp)
    return times(moved, value, xp) + times(p, v, xp)


def attention_backward_vjp(
    t: Any, grad: Any, query: Any, key: Any, value: Any, mask: Any, scale: float, xp: Any
) -> tuple[Any, ...]:
    """Return the cotangents of (grad, query, key, value), of (s k, sᵀ q, pᵀ grad) with the names below.

    p = softmax(z), z = scale * query keyᵀ, d = grad valueᵀ, and s = scale * p (d - sum(d p)).
    """
    q, k, v = (xp.zeros_like(x) if part is None else part for part, x in zip(t, (query, key, value), strict=True))
    p, d = weights_of(query, key, mask, scale, xp), crossed(grad, value, xp)
    s = through_softmax(d, p, xp) * scale
    of_s = (crossed(q, key, xp) + crossed(query, k, xp)) * scale
    total = xp.sum(of_s * p, axis=-1, keepdims=True)
    of_d = p * (of_s - total)
    of_p = crossed(grad, v, xp) + of_s * (d - xp.sum(d * p, axis=-1, keepdims=True)) - d * total
    of_z = through_softmax(of_p, p, xp) * scale
    return (
        times(p, v, xp) + times(of_d, value, xp),
        times(s, k, xp) + times(of_z, key, xp),
        inner(s, q, xp) + inner(of_z, query, xp),
        inner(of_d, grad, xp),
    )


def attention_backward_jvp(
    t: Any, grad: Any, query: Any, key: Any, value: Any, mask: Any, scale: float, xp: Any
) -> tuple[Any, ...]:
    """Return the tangents of (s key, sᵀ query, pᵀ grad), by the product rule; the names are those of the vjp."""
    g, q, k, v = t
    p, d = weights_of(query, key, mask, scale, xp), crossed(grad, value, xp)
    s = through_softmax(d, p, xp) * scale
    p_moved = through_softmax((crossed(q, key, xp) + crossed(query, k, xp)) * scale, p, xp)
    d_moved = crossed(g, value, xp) + crossed(grad, v, xp)
    mean, mean_moved = (xp.sum(x, axis=-1, keepdims=True) for x in (d * p, d_moved * p + d * p_moved))
    s_moved = (p_moved * (d - mean) + p * (d_moved - mean_moved)) * scale
    return (
        times(s_moved, key, xp) + times(s, k, xp),
        inner(s_moved, query, xp) + inner(s, q, xp),
        inner(p_moved, grad, xp) + inner(p, g, xp),
    )


class AttentionGradients(NamedTuple):
    """What `nn.attention_backward` returns."""

    query: Any
    key: Any
    value: Any


ATTENTION = AttentionGradients._fields

RULES: dict[str, Rule] = {
    "nn.attention": General(vjp=attention_vjp, jvp=attention_jvp, args=ATTENTION),
    "nn.attention_backward": General(vjp=attention_backward_vjp, jvp=attention_backward_jvp, args=("grad", *ATTENTION)),
    "nn.conv": Multilinear(x=conv_x, weight=conv_weight, bias=conv_bias, added="bias"),
    "nn.conv_input": Multilinear(grad=conv_of_x, weight=conv_input_weight),
    "nn.conv_weight": Multilinear(x=conv_weight_x, grad=conv_of_weight),
    "nn.max_pool": General(vjp=max_pool_vjp, jvp=max_pool_jvp),
    "nn.max_pool_backward": General(vjp=backward_vjp, jvp=backward_jvp, args=("grad", "at")),
    "nn.max_pool_select": General(vjp=select_vjp, jvp=select_jvp, args=("x", "at")),
    "nn.sum_pool": Linear(x=sum_pool_x),
    "nn.sum_pool_backward": Linear(grad=sum_pool_backward_grad),
}
CONSTANT: set[str] = set()
SIGNATURES = {
    "nn.attention": "query, key, value, mask=None, /, *, scale",
    "nn.attention_backward": "grad, query, key, value, mask=None, /, *, scale",
    "nn.conv": "x, weight, bias=None, /, *, stride, padding, dilation, groups",
    "nn.conv_input": "grad, weight, /, *, shape, stride, padding, dilation, groups",
    "nn.conv_weight": "x, grad, /, *, shape, stride, padding, dilation, groups",
    "nn.max_pool": "x, /, *, window, stride, padding, dilation",
    "nn.max_pool_backward": "grad, at, /, *, window, stride, padding, dilation",
    "nn.max_pool_select": "x, at, /, *, window, stride, padding, dilation",
    "nn.sum_pool": "x, /, *, window, stride, padding",
    "nn.sum_pool_backward": "grad, /, *, shape, window, stride, padding",
}
INPUTS = {
    "nn.attention": (*ATTENTION, "mask"),
    "nn.attention_backward": ("grad", *ATTENTION, "mask"),
}
RESULTS = {"nn.attention_backward": AttentionGradients}
BATCHES = {
    "nn.attention": batched_networks.attention,
    "nn.attention_backward": batched_networks.attention_backward,
    "nn.conv": batched_networks.conv,
    "nn.conv_input": batched_networks.conv_input,
    "nn.conv_weight": batched_networks.conv_weight,
    "nn.max_pool": Stacked(1),
    "nn.max_pool_backward": batched_networks.max_pool_backward,
    "nn.max_pool_select": batched_networks.max_pool_select,
    "nn.sum_pool": Stacked(1),
    "nn.sum_pool_backward": Stacked(1),
}
