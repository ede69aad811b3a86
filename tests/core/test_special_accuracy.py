"""The generic kernels of special functions against mpmath.

`python tests/core/test_special_accuracy.py` prints the largest relative errors in float64, SciPy's beside them, and
those in float32; the docstrings of the kernels quote them.
"""

from __future__ import annotations

import array_api_compat.numpy
import numpy as np
import pytest

from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace

mp = pytest.importorskip("mpmath")


class Domain:
    """Random points of a domain, the same in every run."""

    def __init__(self, n):
        self.rng, self.n = np.random.default_rng(0), n

    def flat(self, low, high):
        return self.rng.uniform(low, high, self.n)

    def decades(self, low, high):
        return 10 ** self.rng.uniform(low, high, self.n)


def cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def log_cdf(x):
    return mp.log1p(-cdf(-x)) if x > 0 else mp.log(cdf(x))


def inverse(function, slope, name):
    """Return the inverse of a function by Newton's method, from SciPy's value."""

    def solve(y):
        from scipy import special

        x = mp.mpf(float(getattr(special, name)(float(y))))
        for _ in range(4):
            x -= (function(x) - y) / slope(x)
        return x

    return solve


def log_gamma(x):
    return mp.re(mp.loggamma(x))


def near(point, d):
    """Return points on both sides of one, down to 1e-12 away."""
    return np.concatenate([point + d.decades(-12, -1), point - d.decades(-12, -1)])


def both_signs(x):
    return np.concatenate([x, -x])


def slope_of_erf(x):
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


# name: mpmath's function, the arguments, the largest error allowed: relative, or beside 1 in a place of zeros.
TABLE = {
    "beta": (mp.beta, lambda d: [d.decades(-3, 2.3), d.decades(-3, 2.3)], 5e-14),
    "betaln": (
        lambda a, b: log_gamma(a) + log_gamma(b) - log_gamma(a + b),
        lambda d: [d.decades(-3, 8), d.decades(-3, 8)],
        2e-14,
    ),
    "digamma": (mp.digamma, lambda d: [np.concatenate([d.flat(0, 12), d.decades(-300, 300), near(1.4616, d)])], 2e-15),
    "digamma, x < 0": (mp.digamma, lambda d: [d.flat(-30, 0)], 2e-15),
    "erf": (mp.erf, lambda d: [both_signs(np.concatenate([d.flat(0, 6), d.decades(-20, 0)]))], 2e-15),
    "erfc": (mp.erfc, lambda d: [np.concatenate([d.flat(-6, 26.5), d.decades(-20, 0)])], 2e-15),
    "erfcinv": (
        inverse(mp.erfc, lambda x: -slope_of_erf(x), "erfcinv"),
        lambda d: [np.concatenate([d.flat(0, 2), d.decades(-300, 0)])],
        2e-15,
    ),
    "erfcx": (
        lambda x: mp.exp(x * x) * mp.erfc(x),
        lambda d: [np.concatenate([d.flat(-26, 40), d.decades(0, 5)])],
        2e-15,
    ),
    "erfinv": (
        inverse(mp.erf, slope_of_erf, "erfinv"),
        lambda d: [both_signs(np.concatenate([d.flat(0, 1), d.decades(-20, 0), 1 - d.decades(-15, -1)]))],
        2e-15,
    ),
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), lambda d: [d.flat(-700, 100)], 1e-15),
    "gamma": (mp.gamma, lambda d: [np.concatenate([d.flat(0, 171.6), d.flat(0, 20)])], 2e-15),
    "gamma, x < 0": (mp.gamma, lambda d: [d.flat(-165, 0)], 3e-15),
    "gammainc": (
        lambda a, x: mp.gammainc(a, 0, x, regularized=True),
        lambda d: [(a := d.decades(-3, 3.5)), a * d.flat(0.3, 2)],
        4e-13,
    ),
    "gammaincc": (
        lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True),
        lambda d: [(a := d.decades(-3, 3.5)), a * d.flat(0.3, 2)],
        4e-13,
    ),
    "gammaln": (
        log_gamma,
        lambda d: [np.concatenate([d.flat(0, 10), d.decades(-300, 300), near(1, d), near(2, d)])],
        2e-15,
    ),
    "gammaln, x < 0": (log_gamma, lambda d: [d.flat(-30, 0)], 2e-15),
    "i0": (lambda x: mp.besseli(0, x), lambda d: [both_signs(np.concatenate([d.flat(0, 40), d.flat(0, 700)]))], 3e-15),
    "i0e": (
        lambda x: mp.exp(-abs(x)) * mp.besseli(0, x),
        lambda d: [both_signs(np.concatenate([d.flat(0, 40), d.decades(-10, 3)]))],
        3e-15,
    ),
    "i1": (lambda x: mp.besseli(1, x), lambda d: [both_signs(np.concatenate([d.flat(0, 40), d.flat(0, 700)]))], 3e-15),
    "i1e": (
        lambda x: mp.exp(-abs(x)) * mp.besseli(1, x),
        lambda d: [both_signs(np.concatenate([d.flat(0, 40), d.decades(-10, 3)]))],
        3e-15,
    ),
    "kl_div": (lambda x, y: x * mp.log(x / y) - x + y, lambda d: [d.decades(-1, 1), d.decades(2, 3)], 2e-15),
    "log_expit": (
        lambda x: -mp.log1p(mp.exp(-x)),
        lambda d: [np.concatenate([d.flat(-800, 700), d.flat(-5, 5)])],
        1e-15,
    ),
    "log_ndtr": (log_cdf, lambda d: [np.concatenate([d.flat(-60, 38), -d.decades(0, 4)])], 2e-15),
    "logit": (
        lambda x: mp.log(x / (1 - x)),
        lambda d: [np.concatenate([d.flat(0, 1), d.decades(-300, 0), near(0.5, d), 1 - d.decades(-15, -1)])],
        1e-15,
    ),
    "ndtr": (cdf, lambda d: [d.flat(-37, 10)], 2e-15),
    "ndtri": (
        inverse(cdf, mp.npdf, "ndtri"),
        lambda d: [np.concatenate([d.flat(0, 1), d.decades(-300, 0)])],
        2e-15,
    ),
    "polygamma": (lambda n, x: mp.polygamma(int(n), x), lambda d: [np.floor(d.flat(1, 9)), d.decades(-2, 3)], 1e-14),
    "polygamma, x < 0": (
        lambda n, x: mp.polygamma(int(n), x),
        lambda d: [np.floor(d.flat(1, 5)), d.flat(-20, 0)],
        2e-14,
    ),
    "rel_entr": (lambda x, y: x * mp.log(x / y), lambda d: [d.decades(-3, 3), d.decades(-3, 3)], 1e-15),
    "sinc": (
        lambda x: mp.sinpi(x) / (mp.pi * x),
        lambda d: [np.concatenate([d.flat(-10, 10), d.decades(0, 8)])],
        1e-15,
    ),
    "zeta": (mp.zeta, lambda d: [1 + d.decades(-10, 2), d.decades(-2, 2)], 2e-14),
    "zeta, of one": (mp.zeta, lambda d: [d.flat(-20, 40)], 1e-14),
}  # fmt: skip


def generic():
    backend = Backend(
        name="generic",
        namespace=array_api_compat.numpy,
        array_types=(np.ndarray, np.generic),
        kernels={},
        devices=lambda: ["cpu"],
        place=lambda x, device: x,
        to_numpy=np.asarray,
    )
    return make_namespace(backend)._lower.special


def errors(name, special, n):
    """Return the largest errors: of the generic kernel and of SciPy in float64, of the generic one in float32."""
    from scipy import special as scipy

    function, points, _ = TABLE[name]
    args = points(Domain(n))
    base, _, place = name.partition(",")
    zeros = place == " x < 0" and base in ("digamma", "gammaln")
    kernel = getattr(special, base)
    with np.errstate(all="ignore"):
        found = [kernel(*args), getattr(scipy, base)(*args)]
        single = [a.astype(np.float32) for a in args]
        less, more = kernel(*single), kernel(*[a.astype(np.float64) for a in single])
        fine = (abs(more) > np.finfo(np.float32).tiny) & (abs(more) < np.finfo(np.float32).max)
        in_single = abs(less - more) / (np.maximum(abs(more), 1) if zeros else abs(more))
    largest = [0.0, 0.0]
    with mp.workdps(50):
        for row, *values in zip(zip(*args, strict=True), *found, strict=True):
            exact = function(*[mp.mpf(float(v)) for v in row])
            if 1e-300 < abs(exact) < np.finfo(np.float64).max:
                size = max(abs(exact), 1) if zeros else abs(exact)
                now = [float(abs(mp.mpf(float(v)) - exact) / size) for v in values]
                largest = [max(pair) for pair in zip(largest, now, strict=True)]
    return *largest, float(in_single[fine].max())


@pytest.mark.parametrize("name", TABLE)
def test_accuracy(name):
    double, _, single = errors(name, generic(), 25)
    assert double < TABLE[name][2]
    assert single < (1e-4 if name.startswith("beta") else 2e-5)


if __name__ == "__main__":
    for name in TABLE:
        double, scipy, single = errors(name, generic(), 300)
        print(f"{name:18} {double:8.0e} {scipy:8.0e} {single:8.0e}")
