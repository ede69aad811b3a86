"""Special functions, by the names of `scipy.special`.

The rules are closed: each derivative is again made of functions with a rule, so all orders follow. Where a quotient
would cancel near 0, the series is taken: a polynomial, right in every order. What the rules say at delicate points,
by the principles of all rules:

- `xlogy(x, y)`, `xlog1py(x, y)` at x = 0: dx is the logarithm, also -inf; dy is 0, also where y is singular, since
  the function is 0 for every y.
- `rel_entr` and `kl_div` at (0, 0), where they are inf for every other x: dx is 0, the subgradient of least norm.
  At negative numbers, where the functions are inf: nan.
- `entr` at 0: inf. `i0e` at 0, a cusp: 0.
- `logsumexp` whose result is infinite: the largest terms share equally, as the arguments of `logaddexp` do.
"""

from __future__ import annotations

import math
from typing import Any

from ..kernels.numeric import polynomial
from .batches import logsumexp
from .batching import EACH, Shifted
from .elementwise import is_array
from .kinds import Elementwise, General, Rule
from .matrices import is_complex
from .statistical import unreduce

SQRT_PI = math.sqrt(math.pi)
SQRT_2PI = math.sqrt(2 * math.pi)

# Lowest power first. In 1/x²: x² sqrt(pi) times the derivative of erfcx (DLMF 7.12.1). In x²/4: I1(x)/x (10.25.2).
# In x²: the derivative of sinc, over x.
ERFCX_FAR = tuple(-((-1) ** k) * math.prod(range(1, 2 * k + 2, 2)) / 2**k for k in range(16))
I1_NEAR = tuple(0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(11))
SINC_NEAR = tuple((-1) ** k * math.pi ** (2 * k) * 2 * k / math.factorial(2 * k + 1) for k in range(1, 17))


def lift(x: Any, t: Any, xp: Any) -> Any:
    """Return an argument that may be a Python scalar as an array like `t`."""
    return x if is_array(x) else xp.full_like(t, x)


def erfcx_x(t: Any, x: Any, out: Any, xp: Any) -> Any:
    far = x > 10
    w = 1 / xp.where(far, x, 10.0) ** 2
    return t * xp.where(far, w * polynomial(ERFCX_FAR, w) / SQRT_PI, 2 * x * out - 2 / SQRT_PI)


def log_ndtr_x(t: Any, x: Any, out: Any, xp: Any) -> Any:
    """Return t times the density over `ndtr`: by erfcx in the lower tail, where both vanish."""
    lower = x < 0
    z, upper = xp.where(lower, x, 0.0), xp.where(lower, 0.0, x)
    above = xp.exp(-(upper * upper) / 2 - xp.where(lower, 0.0, out)) / SQRT_2PI
    return t * xp.where(lower, 2 / SQRT_2PI / xp.special.erfcx(z * -math.sqrt(0.5)), above)


def i1_over_x(x: Any, out: Any, scale: Any, xp: Any) -> Any:
    """Return out / x for out = scale * I1(x), by the series near 0."""
    near = xp.abs(x) < 1
    series = polynomial(I1_NEAR, xp.where(near, x, 0.0) ** 2 / 4)
    return xp.where(near, series * scale, out / xp.where(near, 1.0, x))


def i1_x(t: Any, x: Any, out: Any, xp: Any) -> Any:
    return t * (xp.special.i0(x) - i1_over_x(x, out, 1.0, xp))


def i1e_x(t: Any, x: Any, out: Any, xp: Any) -> Any:
    decay = xp.exp(-xp.abs(x))
    return t * (xp.special.i0e(x) - xp.sign(x) * out - i1_over_x(x, out, decay, xp))


def sinc_x(t: Any, x: Any, out: Any, xp: Any) -> Any:
    near = xp.abs(x) < 1
    small = xp.where(near, x, 0.0)
    turn = x - 2 * xp.round(x / 2)
    far = (xp.cos(math.pi * turn) - out) / xp.where(near, 1.0, x)
    return t * xp.where(near, small * polynomial(SINC_NEAR, small * small), far)


def gamma_density(t: Any, a: Any, x: Any, xp: Any) -> Any:
    """Return t * x**(a - 1) exp(-x) / gamma(a), by logarithms except at 0, where the power knows its derivatives."""
    a, x = lift(a, t, xp), lift(x, t, xp)
    origin, end = x == 0, x == math.inf
    inner, zero = xp.where(origin | end, 1.0, x), xp.where(origin, x, 1.0)
    density = xp.exp((a - 1) * xp.log(inner) - inner - xp.special.gammaln(a))
    at_zero = zero ** (a - 1) * xp.exp(-zero) / xp.special.gamma(a)
    return t * xp.where(end, 0.0, xp.where(origin, at_zero, density))


def over(x: Any, y: Any, xp: Any) -> Any:
    """Return x / y, and 0 for 0 / 0."""
    neither = (x == 0) & (y == 0)
    return xp.where(neither, x, x / xp.where(neither, 1.0, y))


def xlogy_x1(t: Any, x2: Any, xp: Any) -> Any:
    return t * xp.log(lift(x2, t, xp))


def xlogy_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return t * over(lift(x1, t, xp), x2, xp)


def xlog1py_x1(t: Any, x2: Any, xp: Any) -> Any:
    return t * xp.log1p(lift(x2, t, xp))


def xlog1py_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return t * over(lift(x1, t, xp), 1 + x2, xp)


def log_quotient(x: Any, y: Any, more: float, xp: Any) -> Any:
    """Return log(x / y) + more, and 0 at (0, 0)."""
    origin = (x == 0) & (y == 0)
    value = xp.log(xp.where(origin, 1.0, x)) - xp.log(xp.where(origin, 1.0, y))
    return xp.where(origin, 0.0, value + more)


def quotient(x: Any, y: Any, xp: Any) -> Any:
    """Return x / y, 0 for 0 / 0, and nan for negative numbers."""
    return xp.where((x < 0) | (y < 0), math.nan, over(x, y, xp))


def rel_entr_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return t * log_quotient(x1, lift(x2, t, xp), 1.0, xp)


def rel_entr_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return -t * quotient(lift(x1, t, xp), x2, xp)


def kl_div_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return t * log_quotient(x1, lift(x2, t, xp), 0.0, xp)


def kl_div_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return t * (1 - quotient(lift(x1, t, xp), x2, xp))


def betaln_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return t * (xp.special.digamma(x1) - xp.special.digamma(x1 + x2))


def multigammaln_a(t: Any, a: Any, d: Any, xp: Any) -> Any:
    slopes = [xp.special.digamma(a - i / 2) for i in range(int(d))]
    return t * sum(slopes[1:], slopes[0])


def conjugate(x: Any, xp: Any) -> Any:
    """Return the complex conjugate of what may be complex."""
    return xp.conj(x) if is_complex(x, xp) else x


def softmax_jvp(t: Any, out: Any, axis: Any, xp: Any) -> Any:
    return out * (t - xp.sum(t * out, axis=axis, keepdims=True))


def softmax_vjp(t: Any, out: Any, axis: Any, xp: Any) -> Any:
    return softmax_jvp(t, conjugate(out, xp), axis, xp)  # the Jacobian is symmetric


def log_softmax_vjp(t: Any, out: Any, axis: Any, xp: Any) -> Any:
    return t - conjugate(xp.exp(out), xp) * xp.sum(t, axis=axis, keepdims=True)


def log_softmax_jvp(t: Any, out: Any, axis: Any, xp: Any) -> Any:
    return t - xp.sum(xp.exp(out) * t, axis=axis, keepdims=True)


def exp_shares(a: Any, b: Any, out: Any, axis: Any, keepdims: bool, xp: Any) -> tuple[Any, Any]:
    """Return exp(a - logsumexp(a, b=b)) and `b`, of one shape; an infinite result belongs to the terms that make it."""
    a = xp.astype(a, out.dtype, copy=False)
    if b is None:
        b = xp.ones_like(a)
    a, b = xp.broadcast_arrays(a, xp.astype(b, out.dtype, copy=False))
    a = xp.where((b == 0) & xp.isinf(a), -math.inf, a)
    total = unreduce(out, tuple(a.shape), axis, keepdims, xp)
    limit = xp.isinf(total)
    ties = xp.astype(limit & (a == total), out.dtype)
    number = xp.sum(b * ties, axis=axis, keepdims=True)
    shares = ties / xp.where(limit, number, 1.0)
    terms = xp.exp(xp.where(limit, 0.0, a - total))
    terms = terms / xp.sum(b * terms, axis=axis, keepdims=True)  # 1, but for the rounding of a large `out`
    return xp.where(limit, shares, terms), b


def logsumexp_vjp(t: Any, a: Any, b: Any, out: Any, axis: Any, keepdims: bool, xp: Any) -> tuple[Any, Any]:
    shares, factors = exp_shares(a, b, out, axis, keepdims, xp)
    t = unreduce(t, tuple(shares.shape), axis, keepdims, xp)
    return t * conjugate(factors * shares, xp), t * conjugate(shares, xp)


def logsumexp_jvp(t: Any, a: Any, b: Any, out: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    shares, factors = exp_shares(a, b, out, axis, keepdims, xp)
    moves = t[0] * factors if b is None else t[0] * factors + t[1]
    return xp.sum(moves * shares, axis=axis, keepdims=keepdims)


DIGAMMA = Elementwise(x=lambda t, x, xp: t * xp.special.polygamma(1, x))

RULES: dict[str, Rule] = {
    "special.beta": Elementwise(
        x1=lambda t, x1, x2, out, xp: out * betaln_x1(t, x1, x2, xp),
        x2=lambda t, x1, x2, out, xp: out * betaln_x1(t, x2, x1, xp),
    ),
    "special.betaln": Elementwise(x1=betaln_x1, x2=lambda t, x1, x2, xp: betaln_x1(t, x2, x1, xp)),
    "special.digamma": DIGAMMA,
    "special.entr": Elementwise(x=lambda t, x, xp: -t * (1 + xp.log(x))),
    "special.erf": Elementwise(x=lambda t, x, xp: t * (2 / SQRT_PI * xp.exp(-x * x))),
    "special.erfc": Elementwise(x=lambda t, x, xp: -t * (2 / SQRT_PI * xp.exp(-x * x))),
    "special.erfcinv": Elementwise(x=lambda t, out, xp: -t * (SQRT_PI / 2 * xp.exp(out * out))),
    "special.erfcx": Elementwise(x=erfcx_x),
    "special.erfinv": Elementwise(x=lambda t, out, xp: t * (SQRT_PI / 2 * xp.exp(out * out))),
    "special.expit": Elementwise(x=lambda t, x, out, xp: t * (out * xp.special.expit(-x))),
    "special.gamma": Elementwise(x=lambda t, x, out, xp: t * (out * xp.special.digamma(x))),
    "special.gammainc": Elementwise(x=gamma_density),
    "special.gammaincc": Elementwise(x=lambda t, a, x, xp: -gamma_density(t, a, x, xp)),
    "special.gammaln": Elementwise(x=lambda t, x, xp: t * xp.special.digamma(x)),
    "special.i0": Elementwise(x=lambda t, x, xp: t * xp.special.i1(x)),
    "special.i0e": Elementwise(x=lambda t, x, out, xp: t * (xp.special.i1e(x) - xp.sign(x) * out)),
    "special.i1": Elementwise(x=i1_x),
    "special.i1e": Elementwise(x=i1e_x),
    "special.kl_div": Elementwise(x1=kl_div_x1, x2=kl_div_x2),
    "special.log_expit": Elementwise(x=lambda t, x, xp: t * xp.special.expit(-x)),
    "special.log_ndtr": Elementwise(x=log_ndtr_x),
    "special.log_softmax": General(vjp=log_softmax_vjp, jvp=log_softmax_jvp),
    "special.logit": Elementwise(x=lambda t, x: t / (x * (1 - x))),
    "special.logsumexp": General(vjp=logsumexp_vjp, jvp=logsumexp_jvp, args=("a", "b")),
    "special.multigammaln": Elementwise(a=multigammaln_a),
    "special.ndtr": Elementwise(x=lambda t, x, xp: t * (xp.exp(-x * x / 2) / SQRT_2PI)),
    "special.ndtri": Elementwise(x=lambda t, out, xp: t * (SQRT_2PI * xp.exp(out * out / 2))),
    "special.polygamma": Elementwise(x=lambda t, n, x, xp: t * xp.special.polygamma(n + 1, x)),
    "special.psi": DIGAMMA,
    "special.rel_entr": Elementwise(x1=rel_entr_x1, x2=rel_entr_x2),
    "special.sinc": Elementwise(x=sinc_x),
    "special.softmax": General(vjp=softmax_vjp, jvp=softmax_jvp),
    "special.xlog1py": Elementwise(x1=xlog1py_x1, x2=xlog1py_x2),
    "special.xlogy": Elementwise(x1=xlogy_x1, x2=xlogy_x2),
    "special.zeta": Elementwise(q=lambda t, x, q, xp: -t * (x * xp.special.zeta(x + 1, q))),
}
CONSTANT: set[str] = set()
SIGNATURES = dict.fromkeys(RULES, "x, /") | {
    "special.beta": "x1, x2, /",
    "special.betaln": "x1, x2, /",
    "special.gammainc": "a, x, /",
    "special.gammaincc": "a, x, /",
    "special.kl_div": "x1, x2, /",
    "special.log_softmax": "x, /, axis=None",
    "special.logsumexp": "a, /, axis=None, b=None, keepdims=False, return_sign=False",
    "special.multigammaln": "a, /, d",
    "special.polygamma": "n, x, /",
    "special.rel_entr": "x1, x2, /",
    "special.softmax": "x, /, axis=None",
    "special.xlog1py": "x1, x2, /",
    "special.xlogy": "x1, x2, /",
    "special.zeta": "x, q=None, /",
}
INPUTS = {
    "special.gammainc": ("a", "x"),
    "special.gammaincc": ("a", "x"),
    "special.polygamma": ("n", "x"),
    "special.zeta": ("x", "q"),
}
BATCHES = {
    **dict.fromkeys(SIGNATURES, EACH),
    "special.log_softmax": Shifted("axis"),
    "special.logsumexp": logsumexp,
    "special.softmax": Shifted("axis"),
}
