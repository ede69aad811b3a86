"""The incomplete gamma functions.

Where a < 30, or x is far from a: the power series of P below x = a (DLMF 8.7.1), the continued fraction of Q above
it (DLMF 8.9.2), and for Q at small a and x a difference that does not cancel. For larger a, within half of a:
Temme's uniform expansion (DLMF 8.12).

Largest relative errors in float64, SciPy's beside them, and those in float32, as
`python tests/core/test_special_accuracy.py` prints them, down
to results of 1e-300:

=========  =====  =====  =====
gammainc   1e-13  2e-12  1e-05
gammaincc  2e-13  3e-12  2e-05
=========  =====  =====  =====
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from .numeric import Kernel, polynomial, real
from .special_error import erfc
from .special_gamma import NEAR_TWO, gamma, gammaln, stirling

LARGE = 30.0
TERMS = 60  # what the series needs at x = a = 30, and the continued fraction at x = 2
ROWS, COLUMNS = 11, 24  # of Temme's expansion, for 1e-17 at a = 30 and |x - a| = a / 2
ATANH = tuple(1 / (2 * k + 3) for k in range(17))


@cache
def temme() -> tuple[tuple[float, ...], ...]:
    """Return the coefficients of Temme's expansion, a row for each power of 1/a, in powers of eta (DLMF 8.12.10).

    N. M. Temme, Math. Comp. 29 (1975): with 1 + alpha_1 eta + alpha_2 eta**2 ... = x / a,
    d[0][n] = (n + 2) alpha_(n + 2) and d[k][n] = (-1)**k g_k d[0][n] + (n + 2) d[k - 1][n + 2],
    where g_k = (2 k + 1)!! alpha_(2 k + 1) are the coefficients of Stirling's series for gamma.
    """
    from fractions import Fraction  # late: half a millisecond at every start

    size = COLUMNS + 2 * ROWS
    alpha = [Fraction(0), Fraction(1)]
    for n in range(2, size + 2):
        alpha.append((alpha[n - 1] - sum(j * alpha[j] * alpha[n + 1 - j] for j in range(2, n))) / (n + 1))
    first = [Fraction(-1, 3), *((n + 2) * alpha[n + 2] for n in range(1, size))]
    rows = [first]
    for k in range(1, ROWS):
        g = math.prod(range(1, 2 * k + 2, 2)) * alpha[2 * k + 1]
        pairs = zip(first, rows[-1][2:], strict=False)
        rows.append([(-1) ** k * g * c + (n + 2) * d for n, (c, d) in enumerate(pairs)])
    return tuple(tuple(map(float, row[: COLUMNS - 2 * k])) for k, row in enumerate(rows))


def deviation(a: Any, x: Any, xp: Any) -> Any:
    """Return s - log(1 + s) for s = x / a - 1, relatively exact also near x = a."""
    s = (x - a) / a
    near = xp.abs(s) <= 0.5
    small = xp.where(near, s, 0.0)
    r = small / (2 + small)  # log(1 + s) = 2 atanh(r), and s = 2 r + r s
    close = r * (small - 2 * r * r * polynomial(ATANH, r * r))
    return xp.where(near, close, s - xp.log(xp.where(near, 1.0, x / a)))


def weight(a: Any, x: Any, xp: Any) -> Any:
    """Return x**a exp(-x) / gamma(a + 1)."""
    large = a >= 8
    small = xp.where(large, 1.0, a)
    bounded = xp.where(x > 1e4, 1e4, x)  # a power of more would overflow, while exp(-x) is 0
    direct = bounded**small * xp.exp(-bounded) / gamma(small + 1, xp=xp)
    big = xp.where(large, a, 8.0)
    far = xp.exp(-big * deviation(big, x, xp)) * xp.exp(-stirling(big)) / xp.sqrt(2 * math.pi * big)
    return xp.where(large, far, direct)


def series(a: Any, x: Any, xp: Any) -> Any:
    """Return the sum over n of x**n / ((a + 1) ... (a + n))."""
    total = xp.ones_like(x)
    for n in range(TERMS, 0, -1):
        total = 1 + total * (x / (a + n))
    return total


def fraction(a: Any, x: Any) -> Any:
    """Return the continued fraction of gamma(a, x) / (x**a exp(-x))."""
    tail = x + (2 * TERMS + 1 - a)
    for n in range(TERMS, 0, -1):
        tail = x + (2 * n - 1 - a) + n * (a - n) / tail
    return 1 / tail


def complement(a: Any, x: Any, xp: Any) -> Any:
    """Return Q(a, x) for a < 2 and x < 2, relatively exact where it is small."""
    small = a < 0.5
    d = xp.where(small, a, 0.0)
    log_gamma = xp.where(small, d * polynomial(NEAR_TWO, d) - xp.log1p(d), gammaln(xp.where(small, 1.0, a) + 1, xp=xp))
    power = a * xp.log(x) - log_gamma
    total, term = xp.zeros_like(x), xp.ones_like(x)
    for n in range(1, 26):
        term = term * (-x / n)
        total = total + term / (a + n)
    return -xp.expm1(power) - a * xp.exp(power) * total


def uniform(a: Any, x: Any, xp: Any) -> tuple[Any, Any]:
    """Return P(a, x) and Q(a, x) for a >= LARGE and |x - a| <= a / 2."""
    half = deviation(a, x, xp)
    eta = xp.sqrt(2 * half)
    eta = xp.where(x < a, -eta, eta)
    total = xp.zeros_like(eta)
    for row in reversed(temme()):
        total = total / a + polynomial(row, eta)
    rest = xp.exp(-a * half) * total / xp.sqrt(2 * math.pi * a)
    z = eta * xp.sqrt(a / 2)
    return erfc(-z, xp=xp) / 2 - rest, erfc(z, xp=xp) / 2 + rest


def both(a: Any, x: Any, xp: Any) -> tuple[Any, Any]:
    """Return P(a, x) and Q(a, x): P by its series, Q by its fraction, one of them from the other."""
    valid = (a > 0) & (x > 0) & ~xp.isinf(a) & ~xp.isinf(x)
    a, x = xp.where(valid, a, 1.0), xp.where(valid, x, 1.0)
    middle = (a >= LARGE) & (xp.abs(x - a) <= a / 2)
    p, q = uniform(xp.where(middle, a, LARGE), xp.where(middle, x, LARGE), xp)
    b, y = xp.where(middle, 1.0, a), xp.where(middle, 1.0, x)
    above, small = y > b, y < 2
    common = weight(b, y, xp)
    low = ~above | small
    by_series = common * series(xp.where(low, b, 1.0), xp.where(low, y, 1.0), xp)
    by_fraction = common * b * fraction(xp.where(low, 1.0, b), xp.where(low, 3.0, y))
    close = small & (b < 2)
    by_difference = complement(xp.where(close, b, 0.5), xp.where(close, y, 1.0), xp)
    q_outside = xp.where(close, by_difference, xp.where(above, by_fraction, 1 - by_series))
    p_outside = xp.where(low, by_series, 1 - by_fraction)
    return xp.where(middle, p, p_outside), xp.where(middle, q, q_outside)


def edge(a: Any, x: Any, p: Any, upper: bool, xp: Any) -> Any:
    """Put in the limits: P is 0 at x = 0 or a = inf, 1 at a = 0 or x = inf; nan where both or outside."""
    zero = (x == 0) | (a == math.inf)
    one = (a == 0) | (x == math.inf)
    value = xp.where(zero, 1.0 if upper else 0.0, xp.where(one, 0.0 if upper else 1.0, p))
    return xp.where((zero & one) | ~((a >= 0) & (x >= 0)), math.nan, value)


def gammainc(a: Any, x: Any, /, *, xp: Any) -> Any:
    """Return P(a, x), the integral of t**(a - 1) exp(-t) / gamma(a) from 0 to x."""
    return edge(a, x, both(a, x, xp)[0], False, xp)


def gammaincc(a: Any, x: Any, /, *, xp: Any) -> Any:
    """Return Q(a, x) = 1 - P(a, x), relatively exact where it is small."""
    return edge(a, x, both(a, x, xp)[1], True, xp)


GENERIC: dict[str, Kernel] = {"special.gammainc": real(gammainc, 2), "special.gammaincc": real(gammaincc, 2)}
