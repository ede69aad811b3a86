"""Special functions, and operations of networks, of tensors and of raw arrays, whose namespaces have none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from autodiff_api.backends import backend_of
from autodiff_api.binding import namespace
from autodiff_api.kernels import GENERIC
from autodiff_api.namespaces import Lower, Namespace
from autodiff_api.rules import OPS

from .common import Array, namespace_of


def special(name: str, x: Array, function: str) -> Callable[..., Any]:
    """Return the special function `name` for an array: its namespace's, its backend's kernel, or the generic one.

    Raises `ArgumentTypeError`, in the name of `function`, when `x` is not an array of the standard.
    """
    xp = namespace_of(x, function)
    found = getattr(getattr(xp, "special", None), name, None)
    if found is None and backend_of(x) is not None:
        found = getattr(namespace(x)._lower.special, name)
    return found or partial(GENERIC[f"special.{name}"], xp=xp)


def network(name: str, x: Array, function: str) -> Callable[..., Any]:
    """Return the operation `nn.name` for an array: its namespace's, its backend's kernel, or the generic one.

    Raises `ArgumentTypeError`, in the name of `function`, when `x` is not an array of the standard.
    """
    xp = namespace_of(x, function)
    if not isinstance(xp, Namespace):
        xp = wide(xp) if backend_of(x) is None else namespace(x)._lower
    return getattr(xp.nn, name)  # type: ignore[no-any-return]


@cache
def wide(xp: Any) -> Any:
    """Return a namespace that no backend claims, with the generic kernels of what the standard lacks."""
    return Lower(xp, {}, OPS)


def normal_cdf(x: Array) -> Array:
    """Return P(Z <= x) for a standard normal Z, accurate in both tails.

    `x` has a real floating dtype and any shape. Differentiable to any order.

    >>> import autodiff_api as ad
    >>> normal_cdf(ad.tensor([-1.0, 1.0]))
    tensor([0.1587, 0.8413])
    """
    return special("ndtr", x, "normal_cdf")(x)
