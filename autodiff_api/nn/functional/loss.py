"""Losses with PyTorch's names, defaults and numbers.

`reduction` is "mean" (the default), "sum" or "none" everywhere. PyTorch's deprecated `size_average` and
`reduce` don't exist here, so what follows `weight` is passed by name.
"""

from __future__ import annotations

import warnings
from math import prod

from autodiff_api.errors import ArgumentError, ArgumentTypeError

from .activation import log1pexp, log_softmax
from .common import Array, as_index, check_reduction, has_nan, namespace_of, reduced, refuse_where
from .special import network


def mse_loss(input: Array, target: Array, *, reduction: str = "mean", weight: Array | None = None) -> Array:
    """Return the mean of (input - target)**2, weighted if there is a `weight`.

    Warns where the shapes differ: they broadcast, which is seldom meant.

    >>> import autodiff_api as ad
    >>> mse_loss(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
    tensor(2.)
    """
    warn_of_broadcast(input, target, "mse_loss")
    difference = input - target
    return weighted(difference * difference, weight, reduction, "mse_loss")


def l1_loss(input: Array, target: Array, *, reduction: str = "mean", weight: Array | None = None) -> Array:
    """Return the mean of abs(input - target), weighted if there is a `weight`.

    Warns where the shapes differ: they broadcast, which is seldom meant.

    >>> import autodiff_api as ad
    >>> l1_loss(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
    tensor(1.)
    """
    warn_of_broadcast(input, target, "l1_loss")
    return weighted(abs(input - target), weight, reduction, "l1_loss")


def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """Return the binary cross entropy of probabilities `target` and logits `input`.

    That is -(pos_weight * target * log(s) + (1 - target) * log(1 - s)) with s = sigmoid(input), computed
    so that no logit is too large. `input` and `target` have one shape; `weight` and `pos_weight` broadcast.
    Raises `ArgumentError` where the shapes differ.

    >>> import autodiff_api as ad
    >>> binary_cross_entropy_with_logits(ad.tensor([0.0, 1000.0]), ad.tensor([1.0, 1.0]))
    tensor(0.3466)
    """
    name = "binary_cross_entropy_with_logits"
    if target.shape != input.shape:
        raise ArgumentError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape}) in {name}(). "
            "Reshape one of them."
        )
    surprise = log1pexp(-input)  # -log(sigmoid(input))
    if pos_weight is not None:
        surprise = surprise * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input + surprise
    return reduced(loss if weight is None else loss * weight, reduction, name)


def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Return the cross entropy of logits `input` and classes or class probabilities `target`.

    Shapes: input (C,), (N, C) or (N, C, d1, ...); target the same without C (integer classes in [0, C), or
    `ignore_index`) or just the same (probabilities, floating); weight (C,). The mean over classes is
    weighted by `weight` and leaves ignored elements out; the mean over probabilities is a plain one.
    Raises `ArgumentIndexError` for a class out of bounds; a compiled function, which cannot look,
    returns nan for it.

    >>> import autodiff_api as ad
    >>> cross_entropy(ad.tensor([[0.0, 0.0], [1000.0, 0.0]]), ad.tensor([1, 0]))
    tensor(0.3466)
    """
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing} in cross_entropy().")
    axis = class_axis(input, weight, "cross_entropy")
    if weight is None and label_smoothing == 0 and target.shape != input.shape:
        return plain_loss("cross_entropy", input, target, axis, ignore_index, reduction)
    log_p = log_softmax(input, dim=axis)
    if target.shape == input.shape:
        return probability_loss(log_p, target, weight, ignore_index, reduction, label_smoothing)
    return class_loss(log_p, target, weight, ignore_index, reduction, label_smoothing, "cross_entropy")


def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """Return the negative log likelihood of classes `target` under log-probabilities `input`.

    Shapes, means and errors as in `cross_entropy`, which is this after `log_softmax`.

    >>> import autodiff_api as ad
    >>> nll_loss(ad.tensor([[-1.0, -2.0]]), ad.tensor([1]))
    tensor(2.)
    """
    axis = class_axis(input, weight, "nll_loss")
    if weight is None:
        return plain_loss("nll_loss", input, target, axis, ignore_index, reduction)
    return class_loss(input, target, weight, ignore_index, reduction, 0.0, "nll_loss")


def plain_loss(name: str, input: Array, target: Array, axis: int, ignore_index: int, reduction: str) -> Array:
    """Return the loss for integer classes that all weigh the same: one operation."""
    check_reduction(reduction, name)
    target = classes_of(input, target, axis, name)
    known = target if hasattr(target, "_xp") and not hasattr(input, "_xp") else input  # raw beside a tensor: a constant
    loss = network(name, known, name)(input, target, axis, ignore_index, reduction)
    if has_nan(loss):  # which a class out of bounds leaves: only then is it worth a look at the classes
        checked_classes(input, target, axis, ignore_index, name)
    return loss


def class_loss(
    log_p: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
    name: str,
) -> Array:
    """Return the loss for integer classes: picks log_p[..., target] along the class axis."""
    axis = class_axis(log_p, weight, name)
    xp = namespace_of(log_p, name)
    kept, index, lost = checked_classes(log_p, target, axis, ignore_index, name)
    share = 1.0 if weight is None else take(weight, index)
    picked = xp.squeeze(xp.take_along_axis(log_p, xp.expand_dims(index, axis=axis), axis=axis), axis=axis)
    loss = -picked * share
    if smoothing > 0:
        spread = -xp.sum(log_p * along(weight, log_p.ndim, axis), axis=axis)
        loss = (1 - smoothing) * loss + smoothing / log_p.shape[axis] * spread
    # Selected, not multiplied: an ignored element with log_p = -inf would give -inf * 0 = nan.
    loss = xp.where(kept, xp.where(lost, float("nan"), loss), 0.0)
    if reduction != "mean":
        return reduced(loss, reduction, name)
    count = xp.astype(kept, loss.dtype)
    return xp.sum(loss) / xp.sum(count * share)


def probability_loss(
    log_p: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, smoothing: float
) -> Array:
    """Return the loss for class probabilities, which have the shape of `log_p`."""
    name = "cross_entropy"
    xp = namespace_of(log_p, name)
    if not xp.isdtype(target.dtype, "real floating"):
        raise ArgumentTypeError(
            f"Expected floating point type for target with class probabilities in {name}(), got "
            f"{target.dtype}. "
            "Cast it; or for integer classes leave the class axis out."
        )
    if ignore_index >= 0:
        raise ArgumentError(
            f"ignore_index is not supported for floating point target in {name}(). "
            "Give ignored elements the probability 0 for every class."
        )
    axis = class_axis(log_p, weight, name)
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / log_p.shape[axis]
    loss = -xp.sum(log_p * target * along(weight, log_p.ndim, axis), axis=axis)
    return reduced(loss, reduction, name)


def checked_classes(log_p: Array, target: Array, axis: int, ignore_index: int, name: str) -> tuple[Array, Array, Array]:
    """Return which elements count, an index in bounds for all, and which classes were out of bounds."""
    xp = namespace_of(log_p, name)
    target, classes = classes_of(log_p, target, axis, name), log_p.shape[axis]
    kept = target != ignore_index
    outside = (target < 0) | (target >= classes)
    lost = kept & outside
    refuse_where(
        lost,
        f"Target is out of bounds in {name}(): every class must be in [0, {classes}) or be "
        f"ignore_index={ignore_index}. Check the labels, or the size of the last layer.",
    )
    return kept, xp.where(outside, 0, target), lost


def classes_of(log_p: Array, target: Array, axis: int, name: str) -> Array:
    """Return integer classes that have the shape of `log_p` without its class axis."""
    expected = log_p.shape[:axis] + log_p.shape[axis + 1 :]
    if target.shape != expected:
        raise ArgumentError(
            f"Expected target shape {expected} for input shape {log_p.shape} in {name}(), got "
            f"{target.shape}. "
            "A target of classes has no class axis."
        )
    return as_index(target, name)


def class_axis(input: Array, weight: Array | None, name: str) -> int:
    """Return the class axis of `input` (0 of one axis, else 1); refuse shapes that don't fit."""
    if input.ndim == 0:
        raise ArgumentError(f"{name}() needs an input with a class axis, got shape (). Reshape it to (1,).")
    axis = 0 if input.ndim == 1 else 1
    if weight is not None and weight.shape != (input.shape[axis],):
        raise ArgumentError(
            f"weight tensor should be defined either for all {input.shape[axis]} classes or no classes "
            f"but got weight tensor of shape {weight.shape} in {name}()."
        )
    return axis


def along(weight: Array | None, ndim: int, axis: int) -> Array:
    """Return class weights shaped to broadcast along `axis`, or the number 1."""
    if weight is None:
        return 1.0
    shape = tuple(-1 if i == axis else 1 for i in range(ndim))
    return namespace_of(weight, "cross_entropy").reshape(weight, shape)


def take(weight: Array, index: Array) -> Array:
    """Return the weight of each class in `index`, of any shape."""
    xp = namespace_of(weight, "cross_entropy")
    return xp.reshape(xp.take(weight, xp.reshape(index, (prod(index.shape),))), index.shape)


def weighted(loss: Array, weight: Array | None, reduction: str, name: str) -> Array:
    """Apply `weight` as PyTorch does: its mean divides by the sum of the weights."""
    if weight is None:
        return reduced(loss, reduction, name)
    xp = namespace_of(loss, name)
    check_reduction(reduction, name)
    if weight.shape != loss.shape:
        raise ArgumentError(
            f"Weights and input must have the same size in {name}(), got {weight.shape} and {loss.shape}. "
            "Broadcast the weights first."
        )
    loss = loss * weight
    if reduction == "mean":
        return xp.sum(loss) / xp.sum(weight)
    return reduced(loss, reduction, name)


def warn_of_broadcast(input: Array, target: Array, name: str) -> None:
    """Warn, as PyTorch does, where a loss is about to broadcast."""
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) in "
            f"{name}(). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )
