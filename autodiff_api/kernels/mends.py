"""What engines get wrong at infinities and zeros, corrected: the standard's word on special values.

Each calls the namespace's own function and replaces only the special values, so that what is not special stays the
engine's to the last bit. `docs/reference/mends.md` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def expm1(x: Any, /, *, xp: Any) -> Any:
    """Subtract 1 from exp(x); of a complex zero or infinity as `exp` has it, where most engines make nan + nan j."""
    own = xp._namespace.expm1(x)
    if x.dtype not in xp.complexes:
        return own
    return xp.where(xp.isfinite(x) & (x != 0), own, xp.exp(x) - 1)


def floor_divide(x1: Any, x2: Any, /, *, xp: Any) -> Any:
    """Round x1 / x2 down; an infinity on either side, or a zero before the bar, makes it the quotient itself.

    Engines give nan for inf // 2, and -1 for 1 // -inf, where the standard has -0.
    """
    own = xp._namespace.floor_divide(x1, x2)
    if not xp.isdtype(own.dtype, "real floating"):
        return own
    x1, x2 = (x if hasattr(x, "dtype") else xp.full_like(own, x) for x in (x1, x2))
    return xp.where(xp.isinf(x1) | xp.isinf(x2) | (x1 == 0), xp.divide(x1, x2), own)


def isin(x1: Any, x2: Any, /, *, invert: bool = False, xp: Any) -> Any:
    """Tell which elements of `x1` are in `x2`, or aren't; array-api-strict forgets to invert."""
    found = xp._namespace.isin(x1, x2)
    return xp.logical_not(found) if invert else found


def sign(x: Any, /, *, xp: Any) -> Any:
    """Return the sign of each element; of a zero +0, where JAX and array-api-strict (complex) keep -0."""
    return xp.where(x == 0, xp.zeros_like(x), xp._namespace.sign(x))


def tanh(x: Any, /, *, xp: Any) -> Any:
    """Return the hyperbolic tangent; at an infinite real part +-1, and a zero with the sign of the imaginary part."""
    own = xp._namespace.tanh(x)
    if x.dtype not in xp.complexes:
        return own
    re, im = xp.real(x), xp.imag(x)
    limit = xp.complex(xp.sign(re), xp.copysign(xp.zeros_like(im), im))
    return xp.where(xp.isinf(re), limit, own)


GENERIC: dict[str, Callable[..., Any]] = {
    "expm1": expm1,
    "floor_divide": floor_divide,
    "isin": isin,
    "sign": sign,
    "tanh": tanh,
}
