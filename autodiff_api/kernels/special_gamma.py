"""The gamma function and its relatives: digamma, polygamma, the zeta function of Hurwitz.

Small arguments are shifted by the recurrence gamma(x + 1) = x gamma(x), negative ones are reflected (DLMF 5.5),
large ones go to Stirling's series (DLMF 5.11).

Largest relative errors in float64, SciPy's beside them, and those in float32, as
`python tests/core/test_special_accuracy.py` prints them (for digamma and gammaln of negative
numbers, which have zeros there, relative to 1):

================  =====  =====  =====
digamma           3e-16  3e-16  2e-07
digamma, x < 0    8e-16  1e-13  4e-07
gamma             5e-16  6e-16  3e-07
gamma, x < 0      6e-16  6e-16  7e-06
gammaln           4e-16  7e-04  3e-07
gammaln, x < 0    5e-16  4e-16  5e-07
polygamma         6e-16  6e-16  4e-07
polygamma, x < 0  7e-15  2e-15  3e-06
zeta              3e-16  4e-16  2e-07
zeta, of one      2e-15  3e-13  1e-06
================  =====  =====  =====
"""

from __future__ import annotations

import math
from typing import Any

from .numeric import Kernel, from_nearest_integer, polynomial, promote, real, sin_pi

ZETA_MINUS_ONE = (
    0.6449340668482264,
    0.2020569031595943,
    0.08232323371113819,
    0.03692775514336993,
    0.01734306198444914,
    0.008349277381922827,
    0.00407735619794434,
    0.0020083928260822143,
    0.0009945751278180853,
    0.0004941886041194645,
    0.0002460865533080483,
    0.00012271334757848915,
    6.124813505870483e-05,
    3.058823630702049e-05,
    1.528225940865187e-05,
    7.637197637899763e-06,
    3.81729326499984e-06,
    1.908212716553939e-06,
    9.539620338727962e-07,
    4.769329867878064e-07,
    2.38450502727733e-07,
    1.1921992596531106e-07,
    5.960818905125948e-08,
    2.980350351465228e-08,
    1.4901554828365043e-08,
)
"""zeta(k) - 1 for k = 2, 3 ... 26."""

ONE_MINUS_EULER = 0.42278433509846713
NEAR_TWO = (ONE_MINUS_EULER, *((-1) ** k * z / k for k, z in enumerate(ZETA_MINUS_ONE, 2)))
"""Coefficients of log gamma(2 + d) / d, lowest power first (Abramowitz and Stegun, 6.1.33)."""

BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330,
    854513 / 138, -236364091 / 2730,
)  # fmt: skip
"""The Bernoulli numbers B2, B4 ... B24."""

STIRLING = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI[:8], 1))
DIGAMMA_TAIL = tuple(b / (2 * k) for k, b in enumerate(BERNOULLI[:8], 1))
ZETA_TAIL = tuple(b / math.factorial(2 * k) for k, b in enumerate(BERNOULLI, 1))
FROM = 8  # where Stirling's series begins

# digamma(x) / (x - root) on [1, 2], less its value at 3/2, in x - 1: J. Maddock, Boost.Math.
DIGAMMA_MEAN = 0.99558162689208984
DIGAMMA_NUMERATOR = (
    0.25479851061131551,
    -0.32555031186804491,
    -0.65031853770896507,
    -0.28919126444774784,
    -0.045251321448739056,
    -0.0020713321167745952,
)
DIGAMMA_DENOMINATOR = (
    1.0,
    2.0767117023730469,
    1.4606242909763515,
    0.43593529692665969,
    0.054151797245674225,
    0.0021284987017821144,
    -0.55789841321675513e-6,
)
ROOT = (1.4616321325302124, 1.2438149938918909e-08, 4.341643069426251e-25)  # a sum; the first is exact in float32


def reduced(x: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return d in [-1/2, 1/2], n and m with gamma(x) = gamma(2 + d) * n / m, for -1/2 <= x < FROM."""
    up, down, n = x, xp.ones_like(x), xp.ones_like(x)
    for _ in range(2):
        low = up < 1.5
        down = xp.where(low, down * up, down)
        up = xp.where(low, up + 1, up)
    for _ in range(FROM - 2):
        high = up >= 2.5
        up = xp.where(high, up - 1, up)
        n = xp.where(high, n * up, n)
    # Adding 1 to a small number would round it: what is left of it is looked up in x itself.
    return xp.where(x < 0.5, x, xp.where(x < 1.5, x - 1, up - 2)), n, down


def stirling(x: Any) -> Any:
    """Return log gamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for x >= FROM."""
    return polynomial(STIRLING, 1 / x / x) / x


def positive_gammaln(x: Any, xp: Any) -> Any:
    """Return log |gamma(x)| for x >= -1/2, relatively exact also near its zeros 1 and 2."""
    large = x >= FROM
    d, n, m = reduced(xp.where(large, 1.0, x), xp)
    m = xp.where(m == 0, xp.ones_like(m), xp.abs(m))
    near = d * polynomial(NEAR_TWO, d) + xp.log(n) - xp.log(m)
    y = xp.where(large, x, float(FROM))
    finite = xp.where(xp.isinf(y), float(FROM), y)
    far = (finite - 0.5) * (xp.log(finite) - 1) + (0.5 * math.log(2 * math.pi) - 0.5 + stirling(finite))
    return xp.where(xp.isinf(y) | (x == 0), math.inf, xp.where(large, far, near))


def gammaln(x: Any, /, *, xp: Any) -> Any:
    """Return log |gamma(x)|; inf at the poles 0, -1, -2 ..."""
    reflect = x < -0.5
    here = positive_gammaln(xp.where(reflect, 1 - x, x), xp)
    sine = xp.abs(sin_pi(xp.where(reflect, x, 0.5), xp))
    pole = sine == 0
    mirrored = xp.log(math.pi / xp.where(pole, xp.ones_like(sine), sine)) - xp.where(pole, xp.zeros_like(x), here)
    return xp.where(reflect, xp.where(pole, math.inf, mirrored), here)


def positive_gamma(x: Any, xp: Any) -> Any:
    """Return gamma(x) for x >= -1/2, exact at small integers."""
    large = x >= FROM
    d, n, m = reduced(xp.where(large, 1.0, x), xp)
    near = xp.exp(d * polynomial(NEAR_TWO, d)) * n / xp.where(m == 0, xp.ones_like(m), m)
    top = 171.624 if xp.finfo(x.dtype).bits > 32 else 35.04  # where gamma(x) overflows
    y = xp.where(large, xp.where(x > top, top, x), float(FROM))
    root = y ** (y / 2 - 0.25)  # the whole power would overflow before gamma(x) does
    far = root * xp.exp(-y) * xp.exp(stirling(y)) * math.sqrt(2 * math.pi) * root
    return xp.where(x > top, math.inf, xp.where(large, far, near))


def gamma(x: Any, /, *, xp: Any) -> Any:
    """Return the gamma function: inf with the sign of a zero at 0, nan at negative integers."""
    reflect = x < -0.5
    here = positive_gamma(xp.where(reflect, 1 - x, x), xp)
    sine = sin_pi(xp.where(reflect, x, 0.5), xp)
    pole = (sine == 0) | (x == -math.inf)
    mirrored = math.pi / (xp.where(pole, xp.ones_like(sine), sine) * here)
    value = xp.where(reflect, xp.where(pole, math.nan, mirrored), here)
    return xp.where(x == 0, xp.copysign(xp.full_like(x, math.inf), x), value)


def positive_digamma(x: Any, xp: Any) -> Any:
    """Return digamma(x) for x > 0, relatively exact also near its zero."""
    large, first = x >= 10, xp.where(x < 1, x + 1, x)
    y, total = xp.where(large, 1.0, first), xp.where(x < 1, -1 / xp.where(x < 1, x, 1.0), xp.zeros_like(x))
    for _ in range(8):
        high = y >= 2
        y = xp.where(high, y - 1, y)
        total = xp.where(high, total + 1 / y, total)
    slope = polynomial(DIGAMMA_NUMERATOR, y - 1) / polynomial(DIGAMMA_DENOMINATOR, y - 1) + DIGAMMA_MEAN
    near = (((y - ROOT[0]) - ROOT[1]) - ROOT[2]) * slope + total
    z = xp.where(large, x, 10.0)
    far = xp.log(z) - 0.5 / z - polynomial(DIGAMMA_TAIL, 1 / z / z) / z / z
    return xp.where(large, far, near)


def digamma(x: Any, /, *, xp: Any) -> Any:
    """Return the derivative of log gamma: -inf with the sign of a zero at 0, nan at negative integers."""
    reflect = x < 0
    here = positive_digamma(xp.where(x == 0, xp.ones_like(x), xp.where(reflect, 1 - x, x)), xp)
    turn = from_nearest_integer(xp.where(reflect, x, 0.25), xp)
    pole = (turn == 0) | (x == -math.inf)
    mirrored = here - math.pi / xp.tan(math.pi * xp.where(pole, 0.25, turn))
    value = xp.where(reflect, xp.where(pole, math.nan, mirrored), here)
    return xp.where(x == 0, xp.copysign(xp.full_like(x, math.inf), -x), value)


def euler_maclaurin(s: Any, q: Any, xp: Any, terms: int = 10) -> Any:
    """Return the sum of (q + k)**-s over k = 0, 1 ... for s > 1 and q > 0 (DLMF 25.11.5)."""
    total = q**-s
    for k in range(1, terms):
        total = total + (q + k) ** -s
    far = q + terms
    bounded = xp.where(s > 300.0, 300.0, s)  # beyond, the tail does not count, and its factors would overflow
    factor, tail = bounded / far, 0.5
    for j, coefficient in enumerate(ZETA_TAIL):
        tail = tail + coefficient * factor
        factor = factor * ((bounded + (2 * j + 1)) / far) * ((bounded + (2 * j + 2)) / far)
    return total + far ** (1 - s) * (1 / (s - 1) + tail / far)


def hurwitz(s: Any, q: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return the sum of (q + k)**-s over k = 0, 1 ..., and where that is valid, and where q is a pole.

    Negative q is for integers s only, by reflection.
    The sum over all integers has period 1 in q, so it is that of r = q - round(q); what it has too many is the sum
    from 1 - q.
    """
    whole, negative = xp.floor(s) == s, q < 0
    pole = (xp.floor(q) == q) & (q <= 0)
    valid = (s > 1) & ((q > 0) | (negative & whole)) & ~pole & ~xp.isinf(s)
    s, q = xp.where(valid, s, 2.0), xp.where(valid, q, 1.0)
    reflect = valid & negative
    parity = xp.where(xp.remainder(s, 2.0) == 0, xp.ones_like(s), -xp.ones_like(s))
    r = xp.where(reflect, from_nearest_integer(q, xp), 0.5)
    around = parity * xp.abs(r) ** -s
    around = xp.where(r > 0, xp.abs(r) ** -s, around)
    around = around + euler_maclaurin(s, 1 + r, xp) + parity * euler_maclaurin(s, 1 - r, xp)
    here = euler_maclaurin(s, xp.where(reflect, 1 - q, q), xp)
    value = xp.where(reflect, around - parity * here, here)
    return value, valid, pole


def zeta(x: Any, q: Any = None, /, *, xp: Any) -> Any:
    """Return the Hurwitz zeta function, the sum of (q + k)**-x over k = 0, 1 ...; Riemann's where `q` is None."""
    if q is None:
        return riemann(x, xp)
    value, valid, pole = hurwitz(x, q, xp)
    other = xp.where((x == 1) | (pole & (x > 1)), math.inf, xp.full_like(value, math.nan))
    other = xp.where((x == math.inf) & (q > 1), 0.0, other)
    return xp.where(valid, value, other)


def riemann(x: Any, xp: Any) -> Any:
    """Return Riemann's zeta function of real numbers, below 0 by reflection (DLMF 25.4.1)."""
    reflect = x < 0
    s = xp.where(reflect, 1 - x, x)
    s = xp.where((s == 1) | (s > 64), 64.0, s)  # zeta(64) is 1 in float64
    here = euler_maclaurin(s, xp.ones_like(s), xp)
    y = xp.where(reflect, x, -1.0)
    mirrored = 2 * (2 * math.pi) ** (y - 1) * sin_pi(y / 2, xp) * positive_gamma(1 - y, xp) * here
    return xp.where(x == 1, math.inf, xp.where(reflect, mirrored, here))


def polygamma(n: Any, x: Any, /, *, xp: Any) -> Any:
    """Return the n-th derivative of digamma, n = 0, 1 ... (a number or an array of them) (DLMF 5.15)."""
    (x,) = promote((x,), xp)
    special = xp.special
    if not hasattr(n, "dtype"):
        return special.digamma(x) if n == 0 else special.zeta(n + 1.0, x) * ((-1) ** (int(n) + 1) * factorial(n))
    n = xp.astype(n, x.dtype, copy=False)
    sign = xp.where(xp.remainder(n, 2.0) == 0, -xp.ones_like(n), xp.ones_like(n))
    order = xp.where(n == 0, xp.ones_like(n), n) + 1
    return xp.where(n == 0, special.digamma(x), sign * special.gamma(order) * special.zeta(order, x))


def factorial(n: float) -> float:
    """Return n! as a float, inf where that overflows."""
    return math.gamma(n + 1) if n < 171 else math.inf


def multigammaln(a: Any, d: int, /, *, xp: Any) -> Any:
    """Return the logarithm of the d-dimensional gamma function; nan where a <= (d - 1) / 2."""
    (a,), d = promote((a,), xp), int(d)
    total = 0.25 * d * (d - 1) * math.log(math.pi)
    terms = [xp.special.gammaln(a - i / 2) for i in range(d)]
    return xp.where(a > (d - 1) / 2, sum(terms[1:], terms[0] + total), math.nan)


GENERIC: dict[str, Kernel] = {
    "special.digamma": real(digamma),
    "special.gamma": real(gamma),
    "special.gammaln": real(gammaln),
    "special.multigammaln": multigammaln,
    "special.polygamma": polygamma,
    "special.psi": real(digamma),
    "special.zeta": real(zeta, 2),
}
