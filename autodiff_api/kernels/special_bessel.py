"""Modified Bessel functions of the first kind, of orders 0 and 1.

Up to 20 the power series, whose terms are all positive (DLMF 10.25.2), beyond the asymptotic one (DLMF 10.40.1).

Largest relative errors in float64, SciPy's beside them, and those in float32, as
`python tests/core/test_special_accuracy.py` prints them:

===  =====  =====  =====
i0   8e-16  3e-16  5e-07
i0e  9e-16  7e-16  5e-07
i1   9e-16  1e-15  5e-07
i1e  8e-16  1e-15  5e-07
===  =====  =====  =====
"""

from __future__ import annotations

import math
from typing import Any

from .numeric import Kernel, polynomial, real

SWITCH = 20.0
TERMS = 44


def asymptotic(order: int, terms: int = 32) -> tuple[float, ...]:
    """Return the coefficients of sqrt(2 pi x) exp(-x) I(x) in 1/x."""
    coefficients = [1.0]
    for k in range(1, terms):
        coefficients.append(coefficients[-1] * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k))
    return tuple(coefficients)


FAR = {0: asymptotic(0), 1: asymptotic(1)}


def bessel(x: Any, order: int, scale: bool, xp: Any) -> Any:
    """Return I(x) for x >= 0, times exp(-x) if `scale` holds."""
    large = x > SWITCH
    near = xp.where(large, SWITCH, x)
    q = near * near / 4
    total = xp.ones_like(q)
    for k in range(TERMS, 0, -1):
        total = 1 + total * (q / (k * (k + order)))
    total = total * (near / 2) ** order if order else total
    far = xp.where(large, x, SWITCH)
    beyond = polynomial(FAR[order], 1 / far) / xp.sqrt(2 * math.pi * far)
    if scale:
        return xp.where(large, beyond, total * xp.exp(-near))
    half = xp.exp(far / 2)  # exp(x) overflows before I(x) does
    return xp.where(large, beyond * half * half, total)


def signed(value: Any, x: Any, xp: Any) -> Any:
    """Return the odd function of `x` with these values at |x|."""
    return xp.where(x < 0, -value, value)


def i0(x: Any, /, *, xp: Any) -> Any:
    """Return the modified Bessel function of order 0."""
    return bessel(xp.abs(x), 0, False, xp)


def i0e(x: Any, /, *, xp: Any) -> Any:
    """Return exp(-|x|) i0(x)."""
    return bessel(xp.abs(x), 0, True, xp)


def i1(x: Any, /, *, xp: Any) -> Any:
    """Return the modified Bessel function of order 1."""
    return signed(bessel(xp.abs(x), 1, False, xp), x, xp)


def i1e(x: Any, /, *, xp: Any) -> Any:
    """Return exp(-|x|) i1(x)."""
    return signed(bessel(xp.abs(x), 1, True, xp), x, xp)


GENERIC: dict[str, Kernel] = {
    "special.i0": real(i0),
    "special.i0e": real(i0e),
    "special.i1": real(i1),
    "special.i1e": real(i1e),
}
