"""Functions behind layers: `linear`, `dropout`, `one_hot`."""

from __future__ import annotations

from autodiff_api.errors import ArgumentError
from autodiff_api.random import Generator, default_generator, drawn

from .common import Array, as_index, namespace_of, refuse_where


def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """Return input @ weight.mT + bias.

    Shapes: input (..., in), weight (out, in) or (in,), bias (out,) or ().

    >>> import autodiff_api as ad
    >>> linear(ad.tensor([1.0, 2.0]), ad.tensor([[1.0, 1.0], [0.0, 3.0]]), ad.tensor([0.5, 0.5]))
    tensor([3.5, 6.5])
    """
    xp = namespace_of(input, "linear")
    product = xp.matmul(input, weight if weight.ndim == 1 else weight.mT)
    return product if bias is None else product + bias


def dropout(input: Array, p: float = 0.5, training: bool = True, *, generator: Generator | None = None) -> Array:
    """Zero each element with probability `p` and scale the others by 1 / (1 - p).

    Returns `input` itself when not `training`. The mask is drawn on the host from `generator`, the default
    one if none is given: under a JAX trace it becomes a constant of the compiled program, the same at
    every call. Where that matters draw a mask outside and pass it in as an argument.

    >>> import autodiff_api as ad
    >>> dropout(ad.ones(5), p=0.5, generator=ad.Generator(0))
    tensor([2., 0., 0., 0., 2.])
    """
    check_probability(p)
    if not training or p == 0:
        return input
    xp = namespace_of(input, "dropout")
    source, scale = generator or default_generator, 0.0 if p == 1 else 1 / (1 - p)
    mask = drawn(xp, lambda shape: (source.random(shape) >= p) * scale, input.shape, input.dtype, input.device)
    return input * mask


def check_probability(p: float) -> None:
    """Refuse a probability of dropout outside [0, 1]."""
    if not 0 <= p <= 1:
        raise ArgumentError(
            f"dropout probability has to be between 0 and 1, but got {p}. 0 keeps everything, 1 nothing."
        )


def one_hot(input: Array, num_classes: int = -1) -> Array:
    """Return an array of 0s with a 1 where the last, new axis equals the class.

    `input` has an integer dtype, which the result keeps, and any shape. `num_classes=-1` takes the
    largest class plus one, which needs values: not possible in a compiled function.
    Raises `ArgumentIndexError` for a class outside [0, num_classes); where no values can be seen the row
    is all 0s.

    >>> import autodiff_api as ad
    >>> one_hot(ad.tensor([0, 2]), num_classes=3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    xp = namespace_of(input, "one_hot")
    index = as_index(input, "one_hot")
    if num_classes == -1:
        num_classes = int(xp.max(index)) + 1
    refuse_where(index < 0, "Class values must be non-negative in one_hot(). Check the labels.")
    refuse_where(
        index >= num_classes,
        f"Class values must be smaller than num_classes={num_classes} in one_hot(). "
        "Raise num_classes or check the labels.",
    )
    classes = xp.arange(num_classes, dtype=index.dtype, device=input.device)
    return xp.astype(xp.expand_dims(index, axis=-1) == classes, input.dtype)
