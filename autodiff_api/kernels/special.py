"""Special functions that are short in the standard's words: logistic, entropies, logarithms of sums.

The others are in files of their own, by subject; `GENERIC` collects them all. Relative errors, by
`python tests/core/test_special_accuracy.py`, are below 3e-16.
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import ArgumentError
from . import special_bessel, special_beta, special_error, special_gamma, special_incomplete
from .numeric import Kernel, promote, real, sin_pi


def expit(x: Any, /, *, xp: Any) -> Any:
    """Return 1 / (1 + exp(-x)), relatively exact where it is small."""
    decay = xp.exp(-xp.abs(x))
    return xp.where(x < 0, decay, 1.0) / (1 + decay)


def logit(x: Any, /, *, xp: Any) -> Any:
    """Return log(x / (1 - x)), relatively exact also near 1/2; nan outside [0, 1]."""
    near = xp.abs(x - 0.5) < 0.25
    middle = xp.where(near, 2 * x - 1, 0.0)
    return xp.where(near, 2 * xp.atanh(middle), xp.log(xp.where(near, 0.5, x) / (1 - xp.where(near, 0.5, x))))


def log_expit(x: Any, /, *, xp: Any) -> Any:
    """Return log(expit(x)) without overflow."""
    return xp.where(x < 0, x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


def xlogy(x: Any, y: Any, /, *, xp: Any) -> Any:
    """Return x * log(y), and 0 where x = 0."""
    none = (x == 0) & (y == y)
    return xp.where(none, 0.0, x * xp.log(xp.where(none, 1.0, y)))


def xlog1py(x: Any, y: Any, /, *, xp: Any) -> Any:
    """Return x * log(1 + y), and 0 where x = 0."""
    none = (x == 0) & (y == y)
    return xp.where(none, 0.0, x * xp.log1p(xp.where(none, 0.0, y)))


def entr(x: Any, /, *, xp: Any) -> Any:
    """Return -x * log(x), 0 at 0, and -inf below."""
    outside = x <= 0
    inside = -x * xp.log(xp.where(outside, 1.0, x))
    return xp.where(x < 0, -math.inf, xp.where(outside, 0.0, inside))


def log_ratio(x: Any, y: Any, xp: Any) -> Any:
    """Return log(x / y) for positive x and y, relatively exact near 0, also where the quotient overflows."""
    quotient = x / y
    close, fine = (quotient > 0.5) & (quotient < 2), (quotient > 0) & ~xp.isinf(quotient)
    apart = xp.where(fine, xp.log(xp.where(fine, quotient, 1.0)), xp.log(x) - xp.log(y))
    return xp.where(close, xp.log1p(xp.where(close, (x - y) / y, 0.0)), apart)


def rel_entr(x: Any, y: Any, /, *, xp: Any) -> Any:
    """Return x * log(x / y) for positive x and y, 0 where x = 0 and y >= 0, inf elsewhere."""
    none, outside = (x == 0) & (y >= 0), ((x < 0) & (y == y)) | ((y < 0) & (x == x)) | ((x > 0) & (y == 0))
    plain = none | outside
    value = x * log_ratio(xp.where(plain, 1.0, x), xp.where(plain, 1.0, y), xp)
    return xp.where(none, 0.0, xp.where(outside, math.inf, value))


def kl_div(x: Any, y: Any, /, *, xp: Any) -> Any:
    """Return x * log(x / y) - x + y for positive x and y, y where x = 0 and y >= 0, inf elsewhere."""
    return rel_entr(x, y, xp=xp) + xp.where((x >= 0) & (y > 0), y - x, 0.0)


def sinc(x: Any, /, *, xp: Any) -> Any:
    """Return sin(pi x) / (pi x), 1 at 0, exactly 0 at the other integers."""
    origin = x == 0
    return xp.where(origin, 1.0, sin_pi(x, xp) / (math.pi * xp.where(origin, 1.0, x)))


def largest(x: Any, axis: Any, xp: Any) -> Any:
    """Return the largest real part along axes, kept with length 1; 0 where it is infinite, or there are no elements."""
    if 0 in x.shape:
        return xp.sum(xp.real(x), axis=axis, keepdims=True)
    m = top(x, axis, xp)
    return xp.where(xp.isinf(m), xp.zeros_like(m), m)


def top(x: Any, axis: Any, xp: Any) -> Any:
    """Return the largest real part along axes, kept with length 1."""
    return xp.max(xp.real(x) if xp.isdtype(x.dtype, "complex floating") else x, axis=axis, keepdims=True)


def softmax(x: Any, axis: Any = None, *, xp: Any) -> Any:
    """Return exp(x) over its sum along `axis` (a number, several, or None for all)."""
    e = xp.exp(x - top(x, axis, xp))
    return e / xp.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None, *, xp: Any) -> Any:
    """Return log(softmax(x)) without overflow."""
    shifted = x - top(x, axis, xp)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, *, xp: Any
) -> Any:
    """Return log(sum(b * exp(a))) along `axis`; nan where the sum is negative.

    A term whose factor in `b` is 0 does not count, however large.
    """
    one_output(return_sign)
    a, b = promote((a, b), xp, complex_too=True)
    if b is not None:
        a = xp.where(b == 0, -math.inf, a)
    m = largest(a, axis, xp)
    e = xp.exp(a - m)
    total = xp.sum(e if b is None else b * e, axis=axis, keepdims=keepdims)
    return xp.log(total) + xp.reshape(m, total.shape)


def one_output(return_sign: bool) -> None:
    """Refuse `return_sign`, which asks for a second output."""
    if return_sign:
        raise ArgumentError(
            "logsumexp with return_sign=True has two outputs and is no single operation here; take out the largest "
            "exponent, s = sum(b * exp(a - m)), and use log(abs(s)) + m and sign(s)"
        )


GENERIC: dict[str, Kernel] = {
    **special_bessel.GENERIC,
    **special_beta.GENERIC,
    **special_error.GENERIC,
    **special_gamma.GENERIC,
    **special_incomplete.GENERIC,
    "special.entr": real(entr),
    "special.expit": real(expit),
    "special.kl_div": real(kl_div, 2),
    "special.log_expit": real(log_expit),
    "special.log_softmax": real(log_softmax, complex_too=True),
    "special.logit": real(logit),
    "special.logsumexp": logsumexp,
    "special.rel_entr": real(rel_entr, 2),
    "special.sinc": real(sinc),
    "special.softmax": real(softmax, complex_too=True),
    "special.xlog1py": real(xlog1py, 2),
    "special.xlogy": real(xlogy, 2),
}
