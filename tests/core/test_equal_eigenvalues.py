"""Functions of a matrix with equal eigenvalues or singular values: the true derivative, or nan."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad

RNG = np.random.default_rng(4)
Q, P = (np.linalg.qr(RNG.normal(size=(4, 4)))[0] for _ in range(2))
ROTATED = Q @ np.diag([1.0, 2.0, 2.0, 3.0]) @ Q.T
W = RNG.normal(size=(4, 4))
MATRICES = {"eye": np.eye(4), "two equal": ROTATED, "all equal": 2 * np.eye(4)}


def gradient(backend, a, loss, create_graph=False):
    xp = ad.namespace(backend)
    x = xp.asarray(a, requires_grad=True)
    (g,) = ad.autograd.grad(loss(xp, x), x, create_graph=create_graph)
    return np.asarray(g.detach())


def slope_of_function(a, f, h=1e-3):
    """Return d sum(W * V f(L) Vᵀ) / da, from differences between symmetric matrices (of fourth order)."""

    def value(x):
        w, v = np.linalg.eigh(x)
        return np.sum(W[: len(a), : len(a)] * ((v * f(w)) @ v.T))

    g = np.zeros_like(a)
    for i in range(len(a)):
        for j in range(len(a)):
            e = np.zeros_like(a)
            e[i, j] += h / 2
            e[j, i] += h / 2
            g[i, j] = (8 * (value(a + e) - value(a - e)) - (value(a + 2 * e) - value(a - 2 * e))) / (12 * h)
    return g


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("function", ["exp", "square", "sin"])
def test_the_derivative_of_a_function_of_a_matrix(backend, name, function, create_graph):
    a = MATRICES[name]

    def loss(xp, x):
        w, v = xp.linalg.eigh(x)
        return xp.sum(xp.asarray(W) * ((v * getattr(xp, function)(w)) @ v.mT))

    wanted = slope_of_function(a, getattr(np, function))
    np.testing.assert_allclose(gradient(backend, a, loss, create_graph), wanted, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_put_together_again_by_its_svd(backend, name):
    def loss(xp, x):
        u, s, vh = xp.linalg.svd(x, full_matrices=False)
        return xp.sum(xp.asarray(W) * ((u * s) @ vh))

    a = MATRICES[name] @ P
    np.testing.assert_allclose(gradient(backend, a, loss), W, atol=1e-12)


@pytest.mark.parametrize("name", MATRICES)
def test_what_depends_on_the_basis_is_nan(backend, name):
    def vectors(xp, x):
        return xp.sum(xp.linalg.eigh(x).eigenvectors)

    def mixed(xp, x):  # two functions at once: no one ratio
        w, v = xp.linalg.eigh(x)
        return xp.sum(xp.asarray(W) * ((v * xp.exp(w)) @ v.mT) + xp.asarray(W @ W) * ((v * w**3) @ v.mT))

    for loss in (vectors, mixed):
        assert np.isnan(gradient(backend, MATRICES[name], loss)).any()


def test_symmetric_functions_of_eigenvalues_and_vectors_of_others(backend):
    """A trace, and a loss of a vector whose eigenvalue is its own, do not mind that other values are equal."""

    def loss(xp, x):
        w, v = xp.linalg.eigh(x)
        return xp.sum(w**3) + (v[:, 3] @ xp.asarray(W) @ v[:, 3])

    def by_hand(a):
        w, v = np.linalg.eigh(a)
        return np.sum(w**3) + v[:, 3] @ W @ v[:, 3]

    g, t, h = gradient(backend, ROTATED, loss), (W + W.T) / 2, 1e-5
    wanted = (by_hand(ROTATED + h * t) - by_hand(ROTATED - h * t)) / (2 * h)
    assert np.sum(g * t) == pytest.approx(wanted, rel=1e-6)


def test_where_a_function_is_zero_its_derivative_is_not_seen(backend):
    """The cotangents of log at 1 show nothing of what is between two vectors: nan, and no silent 0."""

    def by_eigh(xp, x):
        w, v = xp.linalg.eigh(x)
        return xp.sum(xp.asarray(W) * ((v * xp.log(w)) @ v.mT))

    def by_svd(xp, x):
        u, s, vh = xp.linalg.svd(x, full_matrices=False)
        return xp.sum(xp.asarray(W) * ((u * xp.log(s)) @ vh))

    pair = Q @ np.diag([1.0, 1.0, 2.0, 3.0]) @ Q.T
    for a in (np.eye(4), pair):
        assert np.isnan(gradient(backend, a, by_eigh)).any()
        assert np.isnan(gradient(backend, a @ P, by_svd)).any()


@pytest.mark.parametrize("seed", range(3))
def test_no_values_are_equal_in_a_large_matrix_of_single_precision(seed):
    a = np.random.default_rng(seed).normal(size=(200, 200)).astype("float32")
    exact = a.astype("float64")

    def through_values(xp, x):
        return xp.sum(xp.log(xp.linalg.svdvals(x)))

    def through_vectors(xp, x):
        return xp.sum(xp.abs(xp.linalg.eigh(x).eigenvectors) ** 3)

    def through_smallest(xp, x):
        return xp.linalg.matrix_norm(x, ord=-2)

    def through_both(xp, x):
        return xp.sum(xp.abs(xp.linalg.svd(x, full_matrices=False).U) ** 3)

    for loss, points in (
        (through_values, (a, exact)),
        (through_smallest, (a, exact)),
        (through_both, (a, exact)),
        (through_vectors, (a + a.T, exact + exact.T)),
    ):
        single, double = (gradient("numpy", point, loss) for point in points)
        assert single.dtype == np.float32
        assert np.max(np.abs(single - double)) < 2e-2 * np.max(np.abs(double)), loss.__name__
