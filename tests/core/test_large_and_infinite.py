"""Derivatives far out, where a formula that is right on paper loses all its digits, or its sign of infinity."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad

INF, NAN = np.inf, np.nan


def gradients(y, leaves, **options):
    return [np.asarray(g.detach()) for g in ad.autograd.grad(y, leaves, **options)]


CASES = {  # function, arguments, gradient by each
    "logaddexp of equals": (lambda xp, x, y: xp.logaddexp(x, y), (1e300, 1e300), (0.5, 0.5)),
    "logaddexp beside a small difference": (
        lambda xp, x, y: xp.logaddexp(x, y),
        (1e16, 1e16 - 2),
        (0.880797, 0.119203),
    ),
    "logaddexp far below": (lambda xp, x, y: xp.logaddexp(x, y), (-50.0, 0.0), (np.exp(-50), 1.0)),
    "logaddexp beside a number": (lambda xp, x: xp.logaddexp(x, 0.5), (0.5,), (0.5,)),
    "logsumexp of equals": (lambda xp, x, y: xp.special.logsumexp(xp.stack([x, y])), (1e17, 1e17), (0.5, 0.5)),
    "remainder of infinity": (lambda xp, x, y: xp.remainder(x, y), (INF, 2.0), (1.0, -INF)),
    "0 to a negative power": (lambda xp, y: xp.pow(xp.zeros_like(y), y), (-1.0,), (-INF,)),
    "0 to the power nan": (lambda xp, y: xp.pow(xp.zeros_like(y), y), (NAN,), (NAN,)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, about values that are infinite on purpose
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_slopes(backend, case, create_graph):
    f, points, expected = CASES[case]
    xp = ad.namespace(backend)
    leaves = [xp.asarray(p, requires_grad=True) for p in points]
    found = gradients(f(xp, *leaves), leaves, create_graph=create_graph)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_second_derivative_of_logaddexp_at_a_tie(backend):
    xp = ad.namespace(backend)
    x = xp.asarray(3.0, requires_grad=True)
    (g,) = ad.autograd.grad(xp.logaddexp(x, xp.asarray(3.0)), x, create_graph=True)
    assert gradients(g, x)[0] == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["logsumexp", "log_softmax", "softmax"])
def test_complex_exponentials(name):
    """Against differences: the gradient of a real loss, in the real and imaginary parts."""
    xp = ad.namespace("numpy")
    z, w = np.asarray([0.5 + 0.3j, 1.2 - 0.2j, 0.1j]), np.asarray([1.0 - 2j, 0.5j, 2.0])

    def loss(x):
        out = getattr(xp.special, name)(x)
        return xp.sum(xp.real(xp.asarray(w[: out.size].reshape(out.shape)) * out))

    x = xp.asarray(z, requires_grad=True)
    (g,) = gradients(loss(x), x)
    for i in range(3):
        for unit in (1.0, 1j):
            e = np.eye(3)[i] * unit * 1e-6
            slope = (float(loss(xp.asarray(z + e))) - float(loss(xp.asarray(z - e)))) / 2e-6
            assert np.real(np.conj(g[i]) * unit) == pytest.approx(slope, abs=1e-8)
