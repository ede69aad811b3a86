"""The beta function and its logarithm.

Where arguments are large, log gamma(x) - log gamma(x + y) is taken term by term in Stirling's series, since the
values themselves would cancel (DLMF 5.11).

Largest relative errors in float64, SciPy's beside them, and those in float32, as
`python tests/core/test_special_accuracy.py` prints them:

======  =====  =====  =====
beta    2e-14  2e-13  6e-06
betaln  2e-15  9e-10  5e-07
======  =====  =====  =====
"""

from __future__ import annotations

import math
from typing import Any

from .numeric import Kernel, real, sin_pi
from .special_gamma import FROM, gamma, gammaln, stirling


def is_pole(x: Any, xp: Any) -> Any:
    """Tell where `x` is 0, -1, -2 ..."""
    return (x <= 0) & (xp.floor(x) == x)


def away_from_poles(a: Any, b: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return a sign, a' and b' with beta(a, b) = sign * beta(a', b').

    If a is 0, -1, -2 ... and b a positive integer with a + b <= 0, the poles cancel: (-1)**b beta(1 - a - b, b).
    """

    def mirrored(pole: Any, whole: Any) -> Any:
        return is_pole(pole, xp) & ~xp.isinf(pole) & (whole > 0) & (xp.floor(whole) == whole) & (pole + whole <= 0)

    first, second = mirrored(a, b), mirrored(b, a)
    odd = xp.remainder(xp.where(first, b, xp.where(second, a, 0.0)), 2.0) == 1
    rest = 1 - a - b
    return xp.where(odd, -1.0, xp.ones_like(rest)), xp.where(first, rest, a), xp.where(second, rest, b)


def large_betaln(big: Any, small: Any, xp: Any) -> Any:
    """Return log |beta(big, small)| for big >= FROM and FROM - big <= small <= big."""
    both = small >= FROM
    y, z = xp.where(both, small, float(FROM)), xp.where(both, 1.0, small)
    balanced = 0.5 * (math.log(2 * math.pi) - xp.log(y)) - small * xp.log1p(big / y) + stirling(y)
    uneven = gammaln(z, xp=xp) - small * (xp.log(big + small) - 1)
    shared = stirling(big) - stirling(big + small) - (big - 0.5) * xp.log1p(small / big)
    return shared + xp.where(both, balanced, uneven)


def betaln(a: Any, b: Any, /, *, xp: Any) -> Any:
    """Return log |beta(a, b)|: inf at the poles, -inf where one argument is."""
    _, a, b = away_from_poles(a, b, xp)
    small, big = xp.minimum(a, b), xp.maximum(a, b)
    poles, infinite = is_pole(small, xp) | is_pole(big, xp), xp.isinf(big)
    large = (big >= FROM) & (big + small >= FROM)
    direct, expanded = ~(poles | large), large & ~infinite
    x, y = xp.where(direct, big, 1.0), xp.where(direct, small, 1.0)
    near = gammaln(x, xp=xp) + gammaln(y, xp=xp) - gammaln(x + y, xp=xp)
    far = large_betaln(xp.where(expanded, big, float(FROM)), xp.where(expanded, small, 1.0), xp)
    end = xp.where(small > 0, xp.where(xp.isinf(small), math.nan, xp.full_like(far, -math.inf)), near)
    return xp.where(poles, math.inf, xp.where(infinite, end, xp.where(large, far, near)))


def sign_of_gamma(x: Any, xp: Any) -> Any:
    """Return the sign of gamma(x)."""
    return xp.where((x < 0) & (sin_pi(x, xp) < 0), -1.0, xp.ones_like(x))


def beta(a: Any, b: Any, /, *, xp: Any) -> Any:
    """Return gamma(a) gamma(b) / gamma(a + b); by logarithms where the rounding of a + b would show."""
    sign, a, b = away_from_poles(a, b, xp)
    top = 170.0 if xp.finfo(a.dtype).bits > 32 else 34.0
    poles, zero = is_pole(a, xp) | is_pole(b, xp), is_pole(a + b, xp)
    direct = (xp.abs(a) < top) & (xp.abs(b) < top) & (a + b > -top) & (a + b < FROM) & ~poles & ~zero
    x, y = xp.where(direct, a, 1.0), xp.where(direct, b, 1.0)
    product = gamma(x, xp=xp) / gamma(x + y, xp=xp) * gamma(y, xp=xp)
    signs = sign_of_gamma(a, xp) * sign_of_gamma(b, xp) * sign_of_gamma(a + b, xp)
    other = signs * xp.exp(betaln(xp.where(direct, 1.0, a), xp.where(direct, 1.0, b), xp=xp))
    value = xp.where(direct, product, xp.where(zero, 0.0, other))
    return sign * xp.where(poles, math.inf, value)


GENERIC: dict[str, Kernel] = {"special.beta": real(beta, 2), "special.betaln": real(betaln, 2)}
