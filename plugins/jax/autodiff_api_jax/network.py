"""JAX's kernels of the chapter `network`: XLA's own operations where they say it in fewer, else the generic kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from .words import composed, plain, program, where


def gelu(x: Any, /, approximate: str = "none") -> Any:
    """Return x * P(Z < x) for a standard normal Z.

    >>> gelu(jnp.asarray([0.0, 40.0])).tolist()
    [0.0, 40.0]
    """
    return x * below(x) if approximate == "none" else plain("nn.gelu")(x, approximate)


def gelu_backward(grad: Any, x: Any, /, approximate: str = "none") -> Any:
    """Return `grad` times the derivative of `gelu`.

    >>> gelu_backward(jnp.ones(1), jnp.zeros(1)).tolist()
    [0.5]
    """
    if approximate != "none":
        return plain("nn.gelu_backward")(grad, x, approximate)
    return grad * (below(x) + x * (jnp.exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi)))


def below(x: Any) -> Any:
    """Return P(Z < x), exact to one rounding of 1; erfc is relatively exact, and takes twice as long."""
    return 0.5 + 0.5 * lax.erf(math.sqrt(0.5) * x)


def places(x: Any, target: Any, axis: int, ignore_index: int) -> tuple[Any, Any, Any]:
    """Return where scores are those of the target, which elements count, and which of them are out of bounds."""
    axis %= x.ndim
    target = target.astype(jnp.promote_types(target.dtype, jnp.int32))
    others = tuple([a for a in range(x.ndim) if a != axis])
    hit = lax.broadcasted_iota(target.dtype, x.shape, axis) == lax.broadcast_in_dim(target, x.shape, others)
    kept = target != ignore_index
    return hit, kept, kept & ((target < 0) | (target >= x.shape[axis]))


def exponentials(x: Any, axis: int) -> tuple[Any, Any, Any]:
    """Return x less its maximum, the exponentials of that, and their sums."""
    shifted = x - jnp.max(x, axis=axis, keepdims=True)
    e = jnp.exp(shifted)
    return shifted, e, jnp.sum(e, axis=axis, keepdims=True)


def cross_entropy(x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Return minus the logarithm of the softmax of the scores that `target` names.

    >>> cross_entropy(jnp.asarray([[0.0, 50.0]]), jnp.asarray([0]), reduction="none").tolist()
    [50.0]
    """
    hit, kept, lost = places(x, target, axis, ignore_index)
    shifted, _, total = exponentials(x, axis)
    picked = jnp.sum(where(hit, shifted, 0.0), axis=axis)
    loss = where(kept, where(lost, math.nan, jnp.log(jnp.squeeze(total, axis=axis)) - picked), 0.0)
    if reduction == "none":
        return loss
    return jnp.sum(loss) if reduction == "sum" else jnp.sum(loss) / jnp.sum(kept.astype(loss.dtype))


def cross_entropy_backward(
    grad: Any, x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return the cotangent of x in `cross_entropy`: what the softmax has too much.

    >>> cross_entropy_backward(jnp.asarray(1.0), jnp.zeros((1, 2)), jnp.asarray([1])).tolist()
    [[0.5, -0.5]]
    """
    hit, kept, lost = places(x, target, axis, ignore_index)
    if reduction == "mean":
        grad = grad / jnp.sum(kept.astype(grad.dtype))
    share = jnp.expand_dims(where(kept & ~lost, -grad, 0.0), axis)
    _, e, total = exponentials(x, axis)
    return where(hit, share, 0.0) - e / total * share


OWN = {
    "nn.cross_entropy": program(cross_entropy, ("axis", "ignore_index", "reduction")),
    "nn.cross_entropy_backward": program(cross_entropy_backward, ("axis", "ignore_index", "reduction")),
    "nn.gelu": program(gelu, ("approximate",)),
    "nn.gelu_backward": program(gelu_backward, ("approximate",)),
}
COMPOSED = (
    "nn.layer_norm",
    "nn.layer_norm_backward",
    "nn.linear",
    "nn.nll_loss",
    "nn.nll_loss_backward",
    "nn.normalize",
    "nn.normalize_backward",
    "nn.relu",
    "nn.relu_backward",
    "nn.softmax_backward",
)
KERNELS: dict[str, Callable[..., Any]] = OWN | {name: composed(name) for name in COMPOSED}
