"""JAX's kernels of the chapter `convolution`: XLA's convolution and its transposes, and the generic ones, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .words import composed, program

Kernel = Callable[..., Any]
Shape = tuple[int, ...]

GEOMETRY = ("stride", "padding", "dilation", "groups")


def product(x: Any, weight: Any, stride: Shape, padding: Any, dilation: Shape, groups: int) -> Any:
    """Return XLA's convolution, whose arrays must have one dtype."""
    dtype = jnp.result_type(x, weight)
    return jax.lax.conv_general_dilated(
        x.astype(dtype),
        weight.astype(dtype),
        stride,
        padding,
        rhs_dilation=dilation,
        feature_group_count=groups,
    )


def conv(x: Any, weight: Any, bias: Any = None, /, *, stride: Shape, padding: Any, dilation: Shape, groups: int) -> Any:
    """Return the sum over windows of x times the weight, plus the bias."""
    out = product(x, weight, stride, padding, dilation, groups)
    return out if bias is None else out + bias


def conv_input(
    grad: Any, weight: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int
) -> Any:
    """Return the transpose of `conv` in x, whose spatial shape is given."""
    dtype = jnp.result_type(grad, weight)
    x = jax.ShapeDtypeStruct((grad.shape[0], weight.shape[1] * groups, *shape), dtype)
    back = jax.linear_transpose(lambda x: product(x, weight, stride, padding, dilation, groups), x)
    return back(grad.astype(dtype))[0]


def conv_weight(
    x: Any, grad: Any, /, *, shape: Shape, stride: Shape, padding: Any, dilation: Shape, groups: int
) -> Any:
    """Return the transpose of `conv` in the weight, whose spatial shape is given."""
    dtype = jnp.result_type(x, grad)
    weight = jax.ShapeDtypeStruct((grad.shape[1], x.shape[1] // groups, *shape), dtype)
    back = jax.linear_transpose(lambda weight: product(x, weight, stride, padding, dilation, groups), weight)
    return back(grad.astype(dtype))[0]


# XLA's own are no faster than the generic ones: reduce_window takes 140 µs instead of 60 for 64x16x8x8, its transpose
# 360 instead of 310, and dot_product_attention 660 instead of 500 for 8x4x64x32, its transpose 1030 instead of 910.
COMPOSED = (
    "nn.attention",
    "nn.attention_backward",
    "nn.max_pool",
    "nn.max_pool_backward",
    "nn.max_pool_select",
    "nn.sum_pool",
    "nn.sum_pool_backward",
)
KERNELS: dict[str, Kernel] = {
    **{name: composed(name) for name in COMPOSED},
    "nn.conv": program(conv, GEOMETRY),
    "nn.conv_input": program(conv_input, ("shape", *GEOMETRY)),
    "nn.conv_weight": program(conv_weight, ("shape", *GEOMETRY)),
}
