"""Error functions and the normal distribution.

The tail of the normal distribution is one formula: for z >= 0

    P(Z > z) = exp(-z**2 / 2) * ratio(z),

with a rational function fitted to its relative error in 60-digit arithmetic on [0, 39], where it stays below
1e-16, and beyond that the asymptotic series (DLMF 7.12.1). All coefficients of the rational function are positive,
so nothing cancels.

Largest relative errors in float64, SciPy's beside them, and those in float32, as
`python tests/core/test_special_accuracy.py` prints them:

========  =====  =====  =====
erf       3e-16  2e-16  1e-07
erfc      8e-16  6e-14  3e-07
erfcinv   6e-16  5e-16  3e-07
erfcx     7e-16  5e-14  4e-07
erfinv    6e-16  3e-16  3e-07
log_ndtr  9e-16  2e-13  4e-07
ndtr      8e-16  2e-13  4e-07
ndtri     5e-16  4e-16  2e-07
========  =====  =====  =====
"""

from __future__ import annotations

import math
from typing import Any

from .numeric import Kernel, polynomial, real

NUMERATOR = (
    0.5,
    0.7737305455539272,
    0.592371661370839,
    0.2881248741609892,
    0.09715193306698744,
    0.023453434050004808,
    0.004053007713345834,
    0.0004850984970597283,
    3.6763615332862714e-05,
    1.3634226215202842e-06,
)
DENOMINATOR = (
    1.0,
    2.3453456519107116,
    2.556058408147627,
    1.7089779830022658,
    0.778613504607087,
    0.25349884835509634,
    0.05999816779760177,
    0.010251536437355062,
    0.0012193792026172533,
    9.215271766871773e-05,
    3.4175936933854004e-06,
)
"""Coefficients of `ratio`, lowest power first."""

FAR = 39.0
ASYMPTOTIC = (1.0, -1.0, 3.0, -15.0, 105.0, -945.0, 10395.0)

# erf(x) / x for |x| < 1/2, in x²: W. J. Cody, Rational Chebyshev approximations for the error function,
# Math. Comp. 23 (1969).
ERF_NUMERATOR = (
    3.20937758913846947e3,
    3.77485237685302021e2,
    1.13864154151050156e2,
    3.16112374387056560,
    1.85777706184603153e-1,
)
ERF_DENOMINATOR = (
    2.84423683343917062e3,
    1.28261652607737228e3,
    2.44024637934444173e2,
    2.36012909523441209e1,
    1.0,
)

# The normal quantile: M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988), PPND16: in the middle a function
# of q² for q = p - 1/2, outside of r = sqrt(-log(min(p, 1 - p))), up to r = 5 and beyond.
MIDDLE = (
    (
        3.3871328727963666080,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
TAIL = (
    (
        1.42343711074968357734,
        4.63033784615654529590,
        5.76949722146069140550,
        3.64784832476320460504,
        1.27045825245236838258,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187,
        1.67638483018380384940,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
FAR_TAIL = (
    (
        6.65790464350110377720,
        5.46378491116411436990,
        1.78482653991729133580,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


def rational(table: tuple[tuple[float, ...], tuple[float, ...]], x: Any) -> Any:
    """Return the quotient of two polynomials at `x`."""
    return polynomial(table[0], x) / polynomial(table[1], x)


def ratio(z: Any, xp: Any) -> Any:
    """Return exp(z**2 / 2) * P(Z > z) for z >= 0."""
    near = rational((NUMERATOR, DENOMINATOR), xp.where(z > FAR, FAR, z))
    far = xp.where(z > FAR, z, FAR)
    beyond = polynomial(ASYMPTOTIC, 1 / far / far) / (far * math.sqrt(2 * math.pi))
    return xp.where(z > FAR, beyond, near)


def exp_of_square(u: Any, scale: float, xp: Any) -> Any:
    """Return exp(scale * u**2), as exact as `exp`: the square of `u` rounded to sixteenths is exact."""
    u = xp.where(u > 64.0, 64.0, u)
    high = xp.round(u * 16) / 16
    return xp.exp(scale * (high * high)) * xp.exp(scale * ((u - high) * (u + high)))


def erfc(x: Any, /, *, xp: Any) -> Any:
    """Return 1 - erf(x), relatively exact where that is small."""
    u = xp.abs(x)
    tail = 2 * exp_of_square(u, -1.0, xp) * ratio(u * math.sqrt(2), xp)
    return xp.where(x < 0, 2 - tail, tail)


def erf(x: Any, /, *, xp: Any) -> Any:
    """Return the error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    u = xp.abs(x)
    small = xp.where(u > 0.5, xp.zeros_like(x), x)
    near = small * rational((ERF_NUMERATOR, ERF_DENOMINATOR), small * small)
    tail = 1 - erfc(u, xp=xp)
    return xp.where(u > 0.5, xp.where(x < 0, -tail, tail), near)


def erfcx(x: Any, /, *, xp: Any) -> Any:
    """Return exp(x**2) * erfc(x)."""
    u = xp.abs(x)
    tail = 2 * ratio(u * math.sqrt(2), xp)
    rising = exp_of_square(xp.where(x < 0, u, xp.zeros_like(u)), 1.0, xp)
    return xp.where(x < 0, 2 * rising - tail, tail)


def quantile(q: Any, tails: Any, xp: Any) -> Any:
    """Return the z >= 0 with P(Z <= z) = 1/2 + q and P(|Z| > z) = tails; nan where these are no probabilities."""
    outside = q > 0.425
    middle = xp.where(outside, xp.zeros_like(q), q)
    near = middle * rational(MIDDLE, 0.180625 - middle * middle)
    possible = xp.where((tails > 0) & (tails < 0.5), tails, 0.5)
    r = xp.sqrt(math.log(2) - xp.log(possible))
    distant = r > 5
    far = rational(FAR_TAIL, xp.where(distant, r, 5.0) - 5)
    far = xp.where(distant, far, rational(TAIL, xp.where(distant, 5.0, r) - 1.6))
    end = xp.where(tails == 0, math.inf, xp.full_like(far, math.nan))
    return xp.where(outside, xp.where(tails > 0, far, end), near)


def erfinv(x: Any, /, *, xp: Any) -> Any:
    """Return the inverse of erf on [-1, 1]; nan outside."""
    u = xp.abs(x)
    z = quantile(u / 2, 1 - u, xp) * math.sqrt(0.5)
    return xp.where(x < 0, -z, z)


def erfcinv(x: Any, /, *, xp: Any) -> Any:
    """Return the inverse of erfc on [0, 2]; nan outside."""
    upper = x > 1
    z = quantile(xp.abs(1 - x) / 2, xp.where(upper, 2 - x, x), xp) * math.sqrt(0.5)
    return xp.where(upper, -z, z)


def ndtri(x: Any, /, *, xp: Any) -> Any:
    """Return the quantile of the standard normal distribution, the inverse of `ndtr`; nan outside [0, 1]."""
    upper = x > 0.5
    z = quantile(xp.abs(x - 0.5), 2 * xp.where(upper, 1 - x, x), xp)
    return xp.where(upper, z, -z)


def ndtr(x: Any, /, *, xp: Any) -> Any:
    """Return P(Z <= x) for a standard normal Z, relatively exact in the lower tail."""
    z = xp.abs(x)
    tail = exp_of_square(z, -0.5, xp) * ratio(z, xp)
    return xp.where(x > 0, 1 - tail, tail)


def log_ndtr(x: Any, /, *, xp: Any) -> Any:
    """Return log P(Z <= x) for a standard normal Z, relatively exact in both tails."""
    positive = x > 0
    z = xp.where(positive, xp.zeros_like(x), -x)
    upper = xp.where(positive, x, xp.zeros_like(x))
    above = xp.log1p(-exp_of_square(upper, -0.5, xp) * ratio(upper, xp))
    return xp.where(positive, above, xp.log(ratio(z, xp)) - z * z / 2)


GENERIC: dict[str, Kernel] = {
    "special.erf": real(erf),
    "special.erfc": real(erfc),
    "special.erfcinv": real(erfcinv),
    "special.erfcx": real(erfcx),
    "special.erfinv": real(erfinv),
    "special.log_ndtr": real(log_ndtr),
    "special.ndtr": real(ndtr),
    "special.ndtri": real(ndtri),
}
