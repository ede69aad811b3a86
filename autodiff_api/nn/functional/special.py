"""The normal distribution's cumulative distribution function, for which the standard has no function."""

from __future__ import annotations

from typing import Any

from autodiff_api.kernels import GENERIC

from .common import Array, namespace_of


def normal_cdf(x: Array) -> Array:
    """Return P(Z <= x) for a standard normal Z, accurate in both tails.

    `x` has a real floating dtype and any shape. Differentiable to any order. Raw arrays, whose namespace may have no
    special functions, are computed by the generic kernel.

    >>> import autodiff_api as ad
    >>> normal_cdf(ad.tensor([-1.0, 1.0]))
    tensor([0.1587, 0.8413])
    """
    xp = namespace_of(x, "normal_cdf")
    special: Any = getattr(xp, "special", None)
    if hasattr(special, "ndtr"):
        return special.ndtr(x)
    return GENERIC["special.ndtr"](x, xp=xp)
