"""Element-wise functions: one line of mathematics each."""

from __future__ import annotations

import math
from typing import Any

from .batching import EACH
from .kinds import Elementwise, General, Rule, zero

LN2, LN10 = math.log(2.0), math.log(10.0)


def is_array(x: Any) -> bool:
    """Tell an array from a Python scalar, which binary functions accept as one operand."""
    return hasattr(x, "dtype")


def zero_where(mask: Any, value: Any, xp: Any) -> Any:
    """Replace `value` by an exact 0 where `mask` holds."""
    return xp.where(mask, 0, value)


def atan2_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:  # x2 / r², scaled so that neither square overflows
    r = xp.hypot(x1, x2)
    return zero_where(r == 0, t * (x2 / r) / r, xp)


def atan2_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return -atan2_x1(t, x2, x1, xp)


def copysign_x1(t: Any, x1: Any, out: Any, xp: Any) -> Any:
    same = xp.signbit(x1) == xp.signbit(out)
    return zero_where(x1 == 0, xp.where(same, t, -t), xp)


def hypot_x1(t: Any, x1: Any, out: Any, xp: Any) -> Any:
    return zero_where(out == 0, t * (x1 / out), xp)


def logaddexp_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    """Return t / (1 + exp(x2 - x1)): from the difference, since exp(x1 - out) is lost in the rounding of `out`."""
    both = (x1 == x2) & ((x1 == math.inf) | (x1 == -math.inf))
    return t * xp.special.expit(zero_where(both, x1 - x2, xp))


def share_of_larger(t: Any, mine: Any, other: Any, xp: Any) -> Any:
    """Give `t` to the strictly larger argument, half to each at a tie, nan to a nan."""
    share = xp.where(mine > other, t, xp.where(mine == other, t / 2, 0))
    return xp.where(mine != mine, math.nan, share)


def maximum_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return share_of_larger(t, x1, x2, xp)


def maximum_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return share_of_larger(t, x2, x1, xp)


def minimum_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return share_of_larger(t, -x1, -x2, xp)


def minimum_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return share_of_larger(t, -x2, -x1, xp)


def pow_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    if not is_array(x2):
        return xp.zeros_like(t) if x2 == 0 else t * (x2 * x1 ** (x2 - 1))
    power = xp.where(x2 == 0, xp.ones_like(x2), x2 - 1)
    return zero_where(x2 == 0, t * (x2 * x1**power), xp)


def pow_x2(t: Any, x1: Any, x2: Any, out: Any, xp: Any) -> Any:
    # In the output's dtype: (-1) ** 1j needs the complex logarithm.
    base = xp.astype(x1, out.dtype, copy=False) if is_array(x1) else xp.full_like(out, x1)
    zero = base == 0
    if not xp.isdtype(x2.dtype, "complex floating"):
        zero = zero & (x2 >= 0)  # below 0 the power is infinite, and so is its slope
    log = xp.log(xp.where(zero, xp.ones_like(base), base))  # 0**y: log(0) would make 0 * -inf = nan
    return zero_where(zero, t * (out * log), xp)


def clip_x(t: Any, x: Any, min: Any, max: Any, xp: Any) -> Any:  # the closed interval passes
    inside = True if min is None else x >= min
    inside = inside if max is None else (x <= max) & inside
    return t if inside is True else xp.where(inside, t, 0)


def clip_min(t: Any, x: Any, min: Any, max: Any, xp: Any) -> Any:
    below = x < min
    below = below if max is None else below & (min <= max)
    return xp.where(below, t, 0)


def clip_max(t: Any, x: Any, min: Any, max: Any, xp: Any) -> Any:
    above = x > max
    above = above if min is None else above | (min > max)
    return xp.where(above, t, 0)


def sign_x(t: Any, x: Any, out: Any, xp: Any) -> Any:
    """Turn `t` into its part across the ray through x, over |x| (complex); zero for real dtypes.

    z/|z| moves only when the angle does: d(z/|z|) = (t - s Re(s* t)) / |z| with s = z/|z|.
    """
    if not xp.isdtype(x.dtype, "complex floating"):
        return xp.zeros_like(t)
    along = xp.astype(xp.real(xp.conj(out) * t), t.dtype)
    return zero_where(x == 0, (t - out * along) / xp.abs(x), xp)


def complex_vjp(t: Any, xp: Any) -> Any:
    return xp.real(t), xp.imag(t)


def complex_jvp(t: Any, xp: Any) -> Any:
    return xp.complex(*t)


RULES: dict[str, Rule] = {
    "abs": Elementwise(x=lambda t, x, xp: t * xp.conj(xp.sign(x))),
    "acos": Elementwise(x=lambda t, x, xp: -t / xp.sqrt(1 - x * x)),
    "acosh": Elementwise(x=lambda t, x, xp: t / (xp.sqrt(x - 1) * xp.sqrt(x + 1))),
    "add": Elementwise(x1=lambda t: t, x2=lambda t: t),
    "asin": Elementwise(x=lambda t, x, xp: t / xp.sqrt(1 - x * x)),
    "asinh": Elementwise(x=lambda t, x, xp: t / xp.sqrt(1 + x * x)),
    "atan": Elementwise(x=lambda t, x: t / (1 + x * x)),
    "atan2": Elementwise(x1=atan2_x1, x2=atan2_x2),
    "atanh": Elementwise(x=lambda t, x: t / (1 - x * x)),
    "ceil": Elementwise(x=zero),
    "clip": Elementwise(x=clip_x, min=clip_min, max=clip_max),
    "complex": General(vjp=complex_vjp, jvp=complex_jvp, args=("re", "im")),
    "conj": Elementwise(x=lambda t, xp: xp.conj(t)),
    "copysign": Elementwise(x1=copysign_x1, x2=zero),
    "cos": Elementwise(x=lambda t, x, xp: -t * xp.sin(x)),
    "cosh": Elementwise(x=lambda t, x, xp: t * xp.sinh(x)),
    "divide": Elementwise(x1=lambda t, x2: t / x2, x2=lambda t, x2, out: -t * (out / x2)),
    "exp": Elementwise(x=lambda t, out: t * out),
    "expm1": Elementwise(x=lambda t, out: t * (out + 1)),
    "floor": Elementwise(x=zero),
    "floor_divide": Elementwise(x1=zero, x2=zero),
    "hypot": Elementwise(x1=hypot_x1, x2=lambda t, x2, out, xp: hypot_x1(t, x2, out, xp)),
    "imag": Elementwise(x=lambda t: t * -1j),
    "log": Elementwise(x=lambda t, x: t / x),
    "log10": Elementwise(x=lambda t, x: t / (x * LN10)),
    "log1p": Elementwise(x=lambda t, x: t / (1 + x)),
    "log2": Elementwise(x=lambda t, x: t / (x * LN2)),
    "logaddexp": Elementwise(x1=logaddexp_x1, x2=lambda t, x1, x2, xp: logaddexp_x1(t, x2, x1, xp)),
    "maximum": Elementwise(x1=maximum_x1, x2=maximum_x2),
    "minimum": Elementwise(x1=minimum_x1, x2=minimum_x2),
    "multiply": Elementwise(x1=lambda t, x2: t * x2, x2=lambda t, x1: t * x1),
    "negative": Elementwise(x=lambda t: -t),
    "nextafter": Elementwise(x1=lambda t: t, x2=zero),
    "positive": Elementwise(x=lambda t: t),
    "pow": Elementwise(x1=pow_x1, x2=pow_x2),
    "real": Elementwise(x=lambda t: t),
    "reciprocal": Elementwise(x=lambda t, out: -t * (out * out)),
    "remainder": Elementwise(x1=lambda t: t, x2=lambda t, x1, x2, xp: -t * xp.floor_divide(x1, x2)),
    "round": Elementwise(x=zero),
    "sign": General(vjp=sign_x, jvp=sign_x),
    "sin": Elementwise(x=lambda t, x, xp: t * xp.cos(x)),
    "sinh": Elementwise(x=lambda t, x, xp: t * xp.cosh(x)),
    "sqrt": Elementwise(x=lambda t, out: t / (2 * out)),
    "square": Elementwise(x=lambda t, x: t * (2 * x)),
    "subtract": Elementwise(x1=lambda t: t, x2=lambda t: -t),
    "tan": Elementwise(x=lambda t, out: t * (1 + out * out)),
    "tanh": Elementwise(x=lambda t, out: t * (1 - out * out)),
    "trunc": Elementwise(x=zero),
}

CONSTANT = {
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "not_equal", "signbit",
}  # fmt: skip

UNARY = {"bitwise_invert", "isfinite", "isinf", "isnan", "logical_not", "signbit"} | {
    name for name, rule in RULES.items() if "x" in rule.formulas
}
SIGNATURES = {name: "x, /" if name in UNARY else "x1, x2, /" for name in {*RULES, *CONSTANT}} | {
    "clip": "x, /, min=None, max=None",
    "complex": "re, im, /",
}
VIEWS = {"imag", "real"}
BATCHES = dict.fromkeys(SIGNATURES, EACH)
