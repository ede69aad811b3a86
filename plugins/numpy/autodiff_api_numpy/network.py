"""NumPy's kernels of the chapter `network`: few calls, and little memory but the result's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_api.backends import Keeping
from autodiff_api.rules import OPS

from . import activations
from .kernels import counting, ones
from .special import exponentials, log_softmax, softmax

GENERIC: dict[str, Any] = {name: op.kernel for name, op in OPS.items() if name.startswith("nn.")}


def linear(x: Any, weight: Any, bias: Any = None, /) -> Any:
    """Return x @ weight.T + bias: one product of matrices, however many axes x has.

    >>> linear(np.ones((2, 3)), np.eye(3)[:2], np.asarray([0.0, 1.0]))
    array([[1., 2.],
           [1., 2.]])
    """
    if x.ndim <= 2:
        out = x.dot(weight.T)
    else:
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        out = rows.dot(weight.T).reshape(*x.shape[:-1], weight.shape[0])
    if bias is None:
        return out
    if out.dtype != bias.dtype:
        return out + bias
    out += bias
    return out


# --- normalisation: matrices whose rows are what is normalised ---


def moments(x: Any, last: int, eps: float) -> tuple[Any, Any, Any]:
    """Return rows less their means, these, and one over their standard deviations.

    A sum over a row is a product with a vector, and a row times a number for each is one with an outer product:
    NumPy's own sums and broadcasts call a loop for each row.
    """
    width = math.prod(x.shape[x.ndim - last :])
    rows = x.reshape(-1, width)
    means = rows.dot(np.full(width, 1 / width, dtype=x.dtype))
    centred = np.subtract(rows, means[:, None], order="C")
    scale = np.vecdot(centred, centred)
    scale /= width
    scale += eps
    return centred, means, np.reciprocal(np.sqrt(scale, out=scale), out=scale)


def takes(*arrays: Any) -> bool:
    """Tell whether arrays have one dtype that products of matrices are fast for, and elements."""
    dtype = arrays[0].dtype
    return dtype.char in "fd" and all(x is None or (x.dtype == dtype and x.size > 0) for x in arrays)


def normalize(x: Any, /, last: int = 1, eps: float = 1e-5) -> Any:
    """Return x with mean 0 and variance 1 over its last axes.

    >>> normalize(np.asarray([1.0, 3.0]), eps=0.0)
    array([-1.,  1.])
    """
    if not takes(x):
        return GENERIC["nn.normalize"](x, last, eps, xp=np)
    out, _, scale = moments(x, last, eps)
    out *= scale[:, None]
    return out.reshape(x.shape)


def normalize_backward(grad: Any, x: Any, /, last: int = 1, eps: float = 1e-5) -> Any:
    """Return the cotangent of x in `normalize`.

    >>> normalize_backward(np.asarray([1.0, 2.0, 1.0]), np.asarray([-1.0, 0.0, 1.0]), eps=0.0).round(3)
    array([-0.408,  0.816, -0.408])
    """
    if not takes(grad, x):
        return GENERIC["nn.normalize_backward"](grad, x, last, eps, xp=np)
    return layer_norm_backward(grad, x, np.ones(x.shape[x.ndim - last :], dtype=x.dtype), last, eps)[0]


def layer_norm(x: Any, weight: Any, bias: Any = None, /, last: int = 1, eps: float = 1e-5) -> Any:
    """Return `normalize(x)` times `weight`, plus `bias`.

    >>> layer_norm(np.asarray([1.0, 3.0]), np.asarray([2.0, 2.0]), np.asarray([1.0, 1.0]), eps=0.0)
    array([-1.,  3.])
    """
    return layer_norm_keeping(x, weight, bias, last, eps)[0]


def layer_norm_keeping(x: Any, weight: Any, bias: Any = None, /, last: int = 1, eps: float = 1e-5) -> tuple[Any, Any]:
    """Return what `layer_norm` does, and what is kept: a row's mean, and one over its standard deviation."""
    if not takes(x, weight, bias):
        return GENERIC["nn.layer_norm"](x, weight, bias, last, eps, xp=np), None
    out, *kept = moments(x, last, eps)
    out *= kept[1][:, None].dot(weight.reshape(1, -1))
    out = out.reshape(x.shape)
    return out if bias is None else np.add(out, bias, out=out), kept


def layer_norm_backward(grad: Any, x: Any, weight: Any, /, last: int = 1, eps: float = 1e-5) -> tuple[Any, Any]:
    """Return the cotangents of x and of `weight` in `layer_norm`.

    >>> layer_norm_backward(np.ones(3), np.asarray([-1.0, 0.0, 1.0]), np.ones(3), eps=0.0)[0]
    array([0., 0., 0.])
    """
    if not takes(grad, x, weight):
        return GENERIC["nn.layer_norm_backward"](grad, x, weight, last, eps, xp=np)  # type: ignore[no-any-return]
    centred, _, scale = moments(x, last, eps)
    return layer_norm_slopes(grad, x.shape, weight, centred, scale)


def layer_norm_backward_kept(
    kept: Any, grad: Any, x: Any, weight: Any, /, last: int = 1, eps: float = 1e-5
) -> tuple[Any, Any]:
    """Return what `layer_norm_backward` does, from what `layer_norm_keeping` kept."""
    if not takes(grad, x, weight):
        return layer_norm_backward(grad, x, weight, last, eps)
    means, scale = kept
    centred = np.subtract(x.reshape(scale.size, -1), means[:, None], order="C")
    return layer_norm_slopes(grad, x.shape, weight, centred, scale)


def layer_norm_slopes(grad: Any, shape: tuple[int, ...], weight: Any, centred: Any, scale: Any) -> tuple[Any, Any]:
    """Return the cotangents of x and of `weight`, given the rows of x less their means, which it writes into."""
    grad, factors = grad.reshape(centred.shape), weight.reshape(-1)
    products = grad * centred
    mean = grad.dot(factors)
    mean *= scale / factors.size
    along = products.dot(factors)
    along *= scale**3 / factors.size
    out = scale[:, None].dot(factors[None, :])
    out *= grad
    centred *= along[:, None]
    out -= centred
    out -= mean[:, None]
    return out.reshape(shape), scale.dot(products).reshape(weight.shape)


def softmax_backward(grad: Any, x: Any, /, axis: Any = -1) -> Any:
    """Return the cotangent of a softmax whose output is x.

    >>> softmax_backward(np.asarray([1.0, 0.0]), np.asarray([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    if not (takes(grad, x) and axis in (-1, x.ndim - 1)):
        return GENERIC["nn.softmax_backward"](grad, x, axis, xp=np)
    out = grad - np.vecdot(grad, x)[..., None]
    out *= x
    return out


# --- losses of classes: a matrix with a row of scores for each ---


def counted(x: Any, target: Any, axis: int, ignore_index: int) -> Any:
    """Return scores as rows and the flat places of the classes in them; None if a class does not count, or is astray.

    Those rare cases are the generic kernel's.
    """
    classes = x.shape[axis]
    if x.dtype.char not in "fd" or not x.size or 0 <= ignore_index < classes:
        return None
    rows = x if x.ndim == 2 and axis in (1, -1) else np.moveaxis(x, axis, -1).reshape(-1, classes)
    try:
        return rows, np.ravel_multi_index((counting(target.size), target.reshape(-1)), rows.shape)
    except (TypeError, ValueError):
        return None


def reduced(losses: Any, target: Any, reduction: str) -> Any:
    """Return the losses of rows as PyTorch's `reduction` has them."""
    if reduction == "none":
        return losses.reshape(target.shape)
    total = losses.dot(ones(losses.size, losses.dtype))
    return total if reduction == "sum" else total / losses.size


def share_of(grad: Any, target: Any, reduction: str) -> Any:
    """Return the cotangent of the loss of a row: a number, or one for each."""
    return grad.reshape(-1) if reduction == "none" else grad / target.size if reduction == "mean" else grad


def nll_loss(x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Return minus the entries of x that `target` names along an axis.

    >>> nll_loss(np.asarray([[-1.0, -2.0]]), np.asarray([1]), reduction="none")
    array([2.])
    """
    found = counted(x, target, axis, ignore_index)
    if found is None:
        return GENERIC["nn.nll_loss"](x, target, axis, ignore_index, reduction, xp=np)
    rows, at = found
    return reduced(-rows.take(at), target, reduction)


def nll_loss_backward(
    grad: Any, target: Any, /, classes: int, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return the cotangent of x in `nll_loss`.

    >>> nll_loss_backward(np.asarray(1.0), np.asarray([1]), 2)
    array([[ 0., -1.]])
    """
    out = np.zeros((target.size, classes), dtype=grad.dtype)
    found = counted(out, target, 1, ignore_index)
    if found is None:
        return GENERIC["nn.nll_loss_backward"](grad, target, classes, axis, ignore_index, reduction, xp=np)
    out.reshape(-1)[found[1]] = -share_of(grad, target, reduction)
    return like_target(out, target, axis)


def like_target(rows: Any, target: Any, axis: int) -> Any:
    """Return rows of scores with the axes of `target`, and that of the classes among them."""
    if target.ndim == 1 and axis in (1, -1):
        return rows
    return np.moveaxis(rows.reshape(*target.shape, rows.shape[1]), -1, axis)


def cross_entropy(x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Return `nll_loss` of `log_softmax`, which is not made.

    >>> cross_entropy(np.asarray([[0.0, 0.0]]), np.asarray([1]), reduction="none")
    array([0.69314718])
    """
    return cross_entropy_keeping(x, target, axis, ignore_index, reduction)[0]


def cross_entropy_keeping(
    x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Any, Any]:
    """Return what `cross_entropy` does, and what is kept: exponentials, their sums, and the places of the classes."""
    found = counted(x, target, axis, ignore_index)
    if found is None:
        return nll_loss(log_softmax(x, axis), target, axis, ignore_index, reduction), None
    e, sums, picked = exponentials(*found)
    losses = np.log(sums)
    losses -= picked
    return reduced(losses, target, reduction), (e, sums, found[1])


def cross_entropy_backward(
    grad: Any, x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return the cotangent of x in `cross_entropy`: what the softmax has too much.

    >>> cross_entropy_backward(np.asarray(1.0), np.asarray([[0.0, 0.0]]), np.asarray([1]))
    array([[ 0.5, -0.5]])
    """
    found = counted(x, target, axis, ignore_index) if grad.dtype == x.dtype else None
    if found is None:
        out = nll_loss_backward(grad, target, x.shape[axis], axis, ignore_index, reduction)
        return out - softmax(x, axis) * np.add.reduce(out, axis, keepdims=True)
    kept = (*exponentials(found[0])[:2], found[1])
    return cross_entropy_backward_kept(kept, grad, x, target, axis, ignore_index, reduction)


def cross_entropy_backward_kept(
    kept: Any, grad: Any, x: Any, target: Any, /, axis: int = 1, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return what `cross_entropy_backward` does, from what `cross_entropy_keeping` kept."""
    if grad.dtype != x.dtype:
        return cross_entropy_backward(grad, x, target, axis, ignore_index, reduction)
    e, sums, at = kept
    share = share_of(grad, target, reduction)
    out = e * np.divide(share, sums)[:, None]
    out.reshape(-1)[at] -= share
    return like_target(out, target, axis)


KEEPING: dict[str, Keeping] = activations.KEEPING | {
    "nn.cross_entropy": Keeping(
        forward=cross_entropy_keeping,
        backward_op="nn.cross_entropy_backward",
        backward=cross_entropy_backward_kept,
    ),
    "nn.layer_norm": Keeping(
        forward=layer_norm_keeping, backward_op="nn.layer_norm_backward", backward=layer_norm_backward_kept
    ),
}
KERNELS: dict[str, Callable[..., Any]] = activations.KERNELS | {
    "nn.cross_entropy": cross_entropy,
    "nn.cross_entropy_backward": cross_entropy_backward,
    "nn.layer_norm": layer_norm,
    "nn.layer_norm_backward": layer_norm_backward,
    "nn.linear": linear,
    "nn.nll_loss": nll_loss,
    "nn.nll_loss_backward": nll_loss_backward,
    "nn.normalize": normalize,
    "nn.normalize_backward": normalize_backward,
    "nn.softmax_backward": softmax_backward,
}
