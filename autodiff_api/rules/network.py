"""Networks: losses, normalisations, activations, each with its backward as an op of its own.

A backward has a rule too, so derivatives go to any order. What the rules say at delicate points is PyTorch's: `relu`
has the derivative 0 at 0; a class that is ignored passes no gradient, and so does one that is out of bounds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..kernels.network import gelu_bend, moments, rows_of
from .kinds import Elementwise, General, Linear, Multilinear, Rule, zero
from .matrices import is_complex


class LayerNormGradients(NamedTuple):
    """What `nn.layer_norm_backward` returns."""

    x: Any
    weight: Any


def conjugate(x: Any, xp: Any) -> Any:
    """Return the complex conjugate of what may be complex."""
    return xp.conj(x) if is_complex(x, xp) else x


# --- layers ---


def linear_x(t: Any, weight: Any, xp: Any) -> Any:
    return xp.nn.linear(t, xp.matrix_transpose(weight))


def linear_weight(t: Any, x: Any, xp: Any) -> Any:
    lead = tuple(range(t.ndim - 1))
    if t.ndim > 2:  # as one product: XLA takes 1.5 times as long for one of transposed matrices
        return xp.tensordot(t, x, axes=(lead, lead))
    return xp.matmul(xp.matrix_transpose(rows_of(t, xp)), rows_of(x, xp))


def linear_bias(t: Any, xp: Any) -> Any:
    return xp.sum(t, axis=tuple(range(t.ndim - 1))) if t.ndim > 1 else t


# --- normalisation: J is the derivative of `normalize`, a symmetric matrix for each row ---


def slope(t: Any, x: Any, last: int, eps: float, xp: Any) -> Any:
    return xp.nn.normalize_backward(t, x, last=last, eps=eps)


def bend(a: Any, b: Any, x: Any, last: int, eps: float, xp: Any) -> Any:
    """Return the derivative of J b by x, along a: symmetric in both, and in what it is multiplied with."""
    axes = tuple(range(-last, 0))
    centred, scale = moments(x, last, eps, xp)
    y = centred * scale
    ja, jb = slope(a, x, last, eps, xp), slope(b, x, last, eps, xp)

    def mean(z: Any) -> Any:
        return xp.mean(z, axis=axes, keepdims=True)

    return -scale * (mean(y * a) * jb + mean(y * b) * ja + y * mean(a * jb))


def normalize_backward_vjp(t: Any, grad: Any, x: Any, last: int, eps: float, xp: Any) -> tuple[Any, Any]:
    return slope(t, x, last, eps, xp), bend(t, grad, x, last, eps, xp)


def normalize_backward_jvp(t: Any, grad: Any, x: Any, last: int, eps: float, xp: Any) -> Any:
    return slope(t[0], x, last, eps, xp) + bend(t[1], grad, x, last, eps, xp)


def over_rows(t: Any, last: int, xp: Any) -> Any:
    """Sum over all axes but the last ones."""
    return xp.sum(t, axis=tuple(range(t.ndim - last))) if t.ndim > last else t


def layer_norm_vjp(t: Any, x: Any, weight: Any, last: int, eps: float, xp: Any) -> tuple[Any, Any, Any]:
    grads = xp.nn.layer_norm_backward(t, x, weight, last=last, eps=eps)
    return grads[0], grads[1], over_rows(t, last, xp)


def layer_norm_jvp(t: Any, x: Any, weight: Any, last: int, eps: float, xp: Any) -> Any:
    return weight * slope(t[0], x, last, eps, xp) + t[1] * xp.nn.normalize(x, last=last, eps=eps) + t[2]


def layer_norm_backward_vjp(
    t: Any, grad: Any, x: Any, weight: Any, last: int, eps: float, xp: Any
) -> tuple[Any, Any, Any]:
    u = xp.zeros_like(x) if t[0] is None else t[0]
    v = xp.zeros_like(weight) if t[1] is None else t[1]
    moved = slope(u, x, last, eps, xp)
    to_grad = weight * moved + v * xp.nn.normalize(x, last=last, eps=eps)
    to_x = bend(u, grad * weight, x, last, eps, xp) + slope(grad * v, x, last, eps, xp)
    return to_grad, to_x, over_rows(grad * moved, last, xp)


def layer_norm_backward_jvp(
    t: Any, grad: Any, x: Any, weight: Any, last: int, eps: float, xp: Any
) -> LayerNormGradients:
    y = xp.nn.normalize(x, last=last, eps=eps)
    dx = slope(t[0] * weight + grad * t[2], x, last, eps, xp) + bend(t[1], grad * weight, x, last, eps, xp)
    return LayerNormGradients(dx, over_rows(t[0] * y + grad * slope(t[1], x, last, eps, xp), last, xp))


# --- softmax ---


def softmax_backward_vjp(t: Any, grad: Any, x: Any, axis: Any, xp: Any) -> tuple[Any, Any]:
    x, mean = conjugate(x, xp), conjugate(xp.sum(grad * x, axis=axis, keepdims=True), xp)
    grad = conjugate(grad, xp)
    return xp.nn.softmax_backward(t, x, axis=axis), t * (grad - mean) - grad * xp.sum(t * x, axis=axis, keepdims=True)


def softmax_backward_jvp(t: Any, grad: Any, x: Any, axis: Any, xp: Any) -> Any:
    means = xp.sum(grad * x, axis=axis, keepdims=True), xp.sum(grad * t[1], axis=axis, keepdims=True)
    return xp.nn.softmax_backward(t[0], x, axis=axis) + t[1] * (grad - means[0]) - x * means[1]


# --- losses: `nll_loss` is linear, and `cross_entropy` is it after `log_softmax` ---


def nll_loss_x(
    t: Any, target: Any, x_shape: tuple[int, ...], axis: int, ignore_index: int, reduction: str, xp: Any
) -> Any:
    return xp.nn.nll_loss_backward(
        t, target, classes=x_shape[axis], axis=axis, ignore_index=ignore_index, reduction=reduction
    )


def nll_loss_backward_grad(t: Any, target: Any, axis: int, ignore_index: int, reduction: str, xp: Any) -> Any:
    return xp.nn.nll_loss(t, target, axis=axis, ignore_index=ignore_index, reduction=reduction)


def cross_entropy_vjp(t: Any, x: Any, target: Any, axis: int, ignore_index: int, reduction: str, xp: Any) -> Any:
    return xp.nn.cross_entropy_backward(t, x, target, axis=axis, ignore_index=ignore_index, reduction=reduction)


def log_slope(t: Any, x: Any, axis: int, xp: Any) -> Any:
    """Return the derivative of `log_softmax` along t."""
    return t - xp.sum(xp.special.softmax(x, axis=axis) * t, axis=axis, keepdims=True)


def cross_entropy_jvp(t: Any, x: Any, target: Any, axis: int, ignore_index: int, reduction: str, xp: Any) -> Any:
    return nll_loss_backward_grad(log_slope(t, x, axis, xp), target, axis, ignore_index, reduction, xp)


def weighed(t: Any, grad: Any, x: Any, target: Any, axis: int, ignore_index: int, reduction: str, xp: Any) -> Any:
    """Return the derivative of softmax along t, each row as often as the loss counts it."""
    picked = nll_loss_x(grad, target, tuple(x.shape), axis, ignore_index, reduction, xp)
    p = xp.special.softmax(x, axis=axis)
    return -xp.sum(picked, axis=axis, keepdims=True) * xp.nn.softmax_backward(t, p, axis=axis)


def cross_entropy_backward_vjp(
    t: Any, grad: Any, x: Any, target: Any, axis: int, ignore_index: int, reduction: str, xp: Any
) -> tuple[Any, Any]:
    moved = cross_entropy_jvp(t, x, target, axis, ignore_index, reduction, xp)
    return moved, weighed(t, grad, x, target, axis, ignore_index, reduction, xp)


def cross_entropy_backward_jvp(
    t: Any, grad: Any, x: Any, target: Any, axis: int, ignore_index: int, reduction: str, xp: Any
) -> Any:
    moved = cross_entropy_vjp(t[0], x, target, axis, ignore_index, reduction, xp)
    return moved + weighed(t[1], grad, x, target, axis, ignore_index, reduction, xp)


RULES: dict[str, Rule] = {
    "nn.cross_entropy": General(vjp=cross_entropy_vjp, jvp=cross_entropy_jvp),
    "nn.cross_entropy_backward": General(
        vjp=cross_entropy_backward_vjp, jvp=cross_entropy_backward_jvp, args=("grad", "x")
    ),
    "nn.gelu": Elementwise(x=lambda t, x, approximate, xp: xp.nn.gelu_backward(t, x, approximate=approximate)),
    "nn.gelu_backward": Elementwise(
        grad=lambda t, x, approximate, xp: xp.nn.gelu_backward(t, x, approximate=approximate),
        x=lambda t, grad, x, approximate, xp: t * grad * gelu_bend(x, approximate, xp),
    ),
    "nn.layer_norm": General(vjp=layer_norm_vjp, jvp=layer_norm_jvp, args=("x", "weight", "bias")),
    "nn.layer_norm_backward": General(
        vjp=layer_norm_backward_vjp, jvp=layer_norm_backward_jvp, args=("grad", "x", "weight")
    ),
    "nn.linear": Multilinear(x=linear_x, weight=linear_weight, bias=linear_bias, added="bias"),
    "nn.nll_loss": Linear(x=nll_loss_x),
    "nn.nll_loss_backward": Linear(grad=nll_loss_backward_grad),
    "nn.normalize": General(vjp=slope, jvp=slope),
    "nn.normalize_backward": General(vjp=normalize_backward_vjp, jvp=normalize_backward_jvp, args=("grad", "x")),
    "nn.relu": Elementwise(x=lambda t, out, xp: xp.nn.relu_backward(t, out)),
    "nn.relu_backward": Elementwise(x1=lambda t, x2, xp: xp.nn.relu_backward(t, x2), x2=zero),
    "nn.softmax_backward": General(vjp=softmax_backward_vjp, jvp=softmax_backward_jvp, args=("grad", "x")),
}
CONSTANT: set[str] = set()
CLASSES = "axis=1, ignore_index=-100, reduction='mean'"
SIGNATURES: dict[str, str] = {
    "nn.cross_entropy": f"x, target, /, {CLASSES}",
    "nn.cross_entropy_backward": f"grad, x, target, /, {CLASSES}",
    "nn.gelu": "x, /, approximate='none'",
    "nn.gelu_backward": "grad, x, /, approximate='none'",
    "nn.layer_norm": "x, weight, bias=None, /, last=1, eps=1e-5",
    "nn.layer_norm_backward": "grad, x, weight, /, last=1, eps=1e-5",
    "nn.linear": "x, weight, bias=None, /",
    "nn.nll_loss": f"x, target, /, {CLASSES}",
    "nn.nll_loss_backward": f"grad, target, /, classes, {CLASSES}",
    "nn.normalize": "x, /, last=1, eps=1e-5",
    "nn.normalize_backward": "grad, x, /, last=1, eps=1e-5",
    "nn.relu": "x, /",
    "nn.relu_backward": "x1, x2, /",
    "nn.softmax_backward": "grad, x, /, axis=-1",
}
INPUTS = {
    "nn.cross_entropy": ("x", "target"),
    "nn.cross_entropy_backward": ("grad", "x", "target"),
    "nn.nll_loss": ("x", "target"),
    "nn.nll_loss_backward": ("grad", "target"),
}
RESULTS = {"nn.layer_norm_backward": LayerNormGradients}
BATCHES: dict[str, Any] = {}
