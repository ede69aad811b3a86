"""Generic kernels of the chapter `network`, in the standard."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

ROOT = math.sqrt(2 / math.pi)
CUBIC = 0.044715


def rows_of(x: Any, xp: Any) -> Any:
    """Return an array as a matrix: all axes but the last in one."""
    return x if x.ndim == 2 else xp.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def linear(x: Any, weight: Any, bias: Any = None, /, *, xp: Any) -> Any:
    """Return x @ weight.mT + bias."""
    product = xp.matmul(x, xp.matrix_transpose(weight))
    return product if bias is None else product + bias


def relu(x: Any, /, *, xp: Any) -> Any:
    """Return x where it is positive, and 0 elsewhere; a nan stays nan."""
    return xp.where(x <= 0, 0, x)


def relu_backward(x1: Any, x2: Any, /, *, xp: Any) -> Any:
    """Return the cotangent x1 where the output x2 is positive, and 0 elsewhere."""
    return xp.where(x2 <= 0, 0, x1)


# --- gelu: x times the normal distribution function, or PyTorch's approximation of that by a tanh ---


def near_tanh(x: Any, xp: Any) -> tuple[Any, Any, Any, Any]:
    """Return the tanh of the approximation, its derivative by the inside, and the inside's first two derivatives.

    Beyond 10 the tanh is 1 to the last bit and its derivative 0, while the cube might overflow.
    """
    z = xp.clip(x, -10.0, 10.0)
    tanh = xp.tanh(ROOT * (z + CUBIC * (z * z * z)))
    return tanh, 1 - tanh * tanh, ROOT * (1 + 3 * CUBIC * (z * z)), 6 * ROOT * CUBIC * z


def density(x: Any, xp: Any) -> Any:
    """Return the normal density."""
    return xp.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu(x: Any, /, approximate: str = "none", *, xp: Any) -> Any:
    """Return x * P(Z < x) for a standard normal Z."""
    if approximate == "none":
        return x * xp.special.ndtr(x)
    return x * 0.5 * (1 + near_tanh(x, xp)[0])


def gelu_backward(grad: Any, x: Any, /, approximate: str = "none", *, xp: Any) -> Any:
    """Return `grad` times the derivative of `gelu`."""
    if approximate == "none":
        return grad * (xp.special.ndtr(x) + x * density(x, xp))
    tanh, steep, inside, _ = near_tanh(x, xp)
    return grad * 0.5 * (1 + tanh + x * (steep * inside))


def gelu_bend(x: Any, approximate: str, xp: Any) -> Any:
    """Return the second derivative of `gelu`."""
    if approximate == "none":
        z = xp.clip(x, -40.0, 40.0)  # where the density is 0, and a square does not overflow
        return density(z, xp) * (2 - z * z)
    tanh, steep, inside, turn = near_tanh(x, xp)
    return steep * inside + 0.5 * x * (steep * turn - 2 * tanh * (steep * inside * inside))


# --- normalisation over the last axes ---


def moments(x: Any, last: int, eps: float, xp: Any) -> tuple[Any, Any]:
    """Return x less its mean over the last axes, and one over its standard deviation there."""
    axes = tuple(range(-last, 0))
    centred = x - xp.mean(x, axis=axes, keepdims=True)
    return centred, 1 / xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True) + eps)


def normalize(x: Any, /, last: int = 1, eps: float = 1e-5, *, xp: Any) -> Any:
    """Return x with mean 0 and variance 1 over its last axes."""
    centred, scale = moments(x, last, eps, xp)
    return centred * scale


def normalize_backward(grad: Any, x: Any, /, last: int = 1, eps: float = 1e-5, *, xp: Any) -> Any:
    """Return the cotangent of `normalize`; the derivative is symmetric, so it is the tangent too."""
    axes = tuple(range(-last, 0))
    centred, scale = moments(x, last, eps, xp)
    y = centred * scale
    along = xp.mean(y * grad, axis=axes, keepdims=True)
    return scale * (grad - xp.mean(grad, axis=axes, keepdims=True) - y * along)


def layer_norm(x: Any, weight: Any, bias: Any = None, /, last: int = 1, eps: float = 1e-5, *, xp: Any) -> Any:
    """Return `normalize(x)` times `weight`, plus `bias`."""
    out = normalize(x, last, eps, xp=xp) * weight
    return out if bias is None else out + bias


def layer_norm_backward(
    grad: Any, x: Any, weight: Any, /, last: int = 1, eps: float = 1e-5, *, xp: Any
) -> tuple[Any, Any]:
    """Return the cotangents of x and of `weight`."""
    terms = grad * normalize(x, last, eps, xp=xp)
    to_weight = xp.sum(terms, axis=tuple(range(x.ndim - last))) if x.ndim > last else terms
    return normalize_backward(grad * weight, x, last, eps, xp=xp), to_weight


# --- softmax and the losses of classes ---


def softmax_backward(grad: Any, x: Any, /, axis: Any = -1, *, xp: Any) -> Any:
    """Return the cotangent of a softmax whose output is x; for real numbers the tangent too."""
    return x * (grad - xp.sum(grad * x, axis=axis, keepdims=True))


def sorted_out(target: Any, classes: int, ignore_index: int, xp: Any) -> tuple[Any, Any, Any]:
    """Return which elements count, which of them are out of bounds, and an index in bounds for all."""
    outside = (target < 0) | (target >= classes)
    kept = target != ignore_index
    return kept, kept & outside, xp.where(outside, 0, target)


def nll_loss(
    x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean", *, xp: Any
) -> Any:
    """Return minus the entries of x that `target` names along an axis: nan where it is out of bounds."""
    kept, lost, index = sorted_out(target, x.shape[axis], ignore_index, xp)
    picked = xp.squeeze(xp.take_along_axis(x, xp.expand_dims(index, axis=axis), axis=axis), axis=axis)
    # Selected, not multiplied: an ignored element with x = -inf would give -inf * 0 = nan.
    loss = xp.where(kept, xp.where(lost, math.nan, -picked), 0.0)
    if reduction == "none":
        return loss
    return xp.sum(loss) if reduction == "sum" else xp.sum(loss) / xp.sum(xp.astype(kept, loss.dtype))


def nll_loss_backward(
    grad: Any,
    target: Any,
    /,
    classes: int,
    axis: int = 1,
    ignore_index: int = -100,
    reduction: str = "mean",
    *,
    xp: Any,
) -> Any:
    """Return the cotangent of x in `nll_loss`: minus `grad`, or its share, where `target` points, and 0 elsewhere."""
    kept, lost, index = sorted_out(target, classes, ignore_index, xp)
    if reduction == "mean":
        grad = grad / xp.sum(xp.astype(kept, grad.dtype))
    share = xp.expand_dims(xp.where(kept & ~lost, -grad, 0.0), axis=axis)
    along = xp.reshape(
        xp.arange(classes, dtype=index.dtype, device=getattr(index, "device", None)),
        tuple(classes if i == axis % share.ndim else 1 for i in range(share.ndim)),
    )
    return xp.where(xp.expand_dims(index, axis=axis) == along, share, 0.0)


def cross_entropy(
    x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean", *, xp: Any
) -> Any:
    """Return `nll_loss` of `log_softmax`."""
    return nll_loss(xp.special.log_softmax(x, axis=axis), target, axis, ignore_index, reduction, xp=xp)


def cross_entropy_backward(
    grad: Any, x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean", *, xp: Any
) -> Any:
    """Return the cotangent of x in `cross_entropy`."""
    picked = nll_loss_backward(grad, target, x.shape[axis], axis, ignore_index, reduction, xp=xp)
    return picked - xp.special.softmax(x, axis=axis) * xp.sum(picked, axis=axis, keepdims=True)


GENERIC: dict[str, Callable[..., Any]] = {
    "nn.cross_entropy": cross_entropy,
    "nn.cross_entropy_backward": cross_entropy_backward,
    "nn.gelu": gelu,
    "nn.gelu_backward": gelu_backward,
    "nn.layer_norm": layer_norm,
    "nn.layer_norm_backward": layer_norm_backward,
    "nn.linear": linear,
    "nn.nll_loss": nll_loss,
    "nn.nll_loss_backward": nll_loss_backward,
    "nn.normalize": normalize,
    "nn.normalize_backward": normalize_backward,
    "nn.relu": relu,
    "nn.relu_backward": relu_backward,
    "nn.softmax_backward": softmax_backward,
}
