"""Activation functions with PyTorch's names, defaults and numbers.

Every function is written in the standard, so it runs on every backend, compiled or not. Whatever an
element's size, no intermediate overflows and no derivative becomes nan.
"""

from __future__ import annotations

from typing import Any

from autodiff_api.errors import ArgumentError

from .common import Array, namespace_of, one_axis
from .special import network, special


def relu(input: Array) -> Array:
    """Return `input` where it is positive and 0 elsewhere; the derivative at 0 is 0.

    Any shape and real dtype. A nan stays nan.

    >>> import autodiff_api as ad
    >>> relu(ad.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return network("relu", input, "relu")(input)


def sigmoid(input: Array) -> Array:
    """Return 1 / (1 + exp(-input)), element by element.

    >>> import autodiff_api as ad
    >>> sigmoid(ad.tensor([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return special("expit", input, "sigmoid")(input)


def tanh(input: Array) -> Array:
    """Return the hyperbolic tangent of each element.

    >>> import autodiff_api as ad
    >>> tanh(ad.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """
    return namespace_of(input, "tanh").tanh(input)


def softplus(input: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Return log(1 + exp(beta * input)) / beta, and `input` itself where beta * input > threshold.

    >>> import autodiff_api as ad
    >>> softplus(ad.tensor([-1000.0, 30.0])).tolist()
    [0.0, 30.0]
    """
    xp = namespace_of(input, "softplus")
    scaled = input * beta
    return xp.where(scaled > threshold, input, log1pexp(scaled) / beta)


def log1pexp(x: Array) -> Array:
    """Return log(1 + exp(x)), with all its derivatives, where exp(x) would overflow too."""
    return -special("log_expit", x, "log1pexp")(-x)


def gelu(input: Array, approximate: str = "none") -> Array:
    """Return input * P(Z < input) for a standard normal Z.

    `approximate="tanh"` takes PyTorch's cheaper formula, which is off by up to 5e-4.
    Raises `ArgumentError` for any other word but "none".

    >>> import autodiff_api as ad
    >>> gelu(ad.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu() got approximate={approximate!r}. Choose 'none' (exact) or 'tanh' (faster).")
    return network("gelu", input, "gelu")(input, approximate)


def softmax(input: Array, dim: int | None = None, *, axis: int | None = None, dtype: Any = None) -> Array:
    """Return exp(input) scaled to sum to one along an axis.

    The axis is named by PyTorch's `dim` or the standard's `axis`; one of them is required. `dtype` casts
    the input first.

    >>> import autodiff_api as ad
    >>> softmax(ad.tensor([[0.0, 0.0], [1000.0, 0.0]]), dim=1).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    along = one_axis(dim, axis, "softmax")
    return special("softmax", input, "softmax")(cast(input, dtype), axis=along)


def log_softmax(input: Array, dim: int | None = None, *, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the logarithm of `softmax`, exact also where the softmax itself would round to 0.

    >>> import autodiff_api as ad
    >>> log_softmax(ad.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    along = one_axis(dim, axis, "log_softmax")
    return special("log_softmax", input, "log_softmax")(cast(input, dtype), axis=along)


def cast(input: Array, dtype: Any) -> Array:
    """Return `input` in a dtype, if one is given."""
    return input if dtype is None else namespace_of(input, "softmax").astype(input, dtype)
