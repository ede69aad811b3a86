"""Linear algebra at its delicate points, as a table: singular matrices, equal eigenvalues, arbitrary bases.

One convention on every backend, with and without `create_graph`, eager and under jit. Where a loss depends on what is
arbitrary there is no number: nan, or an error if the values can be seen.
"""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import duals
from autodiff_api.errors import GradientError
from autodiff_api.rules.eigenvalues import order_of

NAN = float("nan")
EYE, ZEROS, NANS = np.eye(2), np.zeros((2, 2)), np.full((2, 2), NAN)
SINGULAR = np.asarray([[1.0, 2.0], [2.0, 4.0]])
TALL = np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
W = np.asarray([[1.0, 2.0], [3.0, 5.0]])
RNG = np.random.default_rng(3)
BASIS = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
OTHER = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
PAIRS = (BASIS * [1.0, 1.0, 2.0, 2.0]) @ BASIS.T  # two pairs of eigenvalues, equal but for rounding
PAIRS = (PAIRS + PAIRS.T) / 2
RANK_2, RANK_3 = BASIS[:, :2] @ OTHER[:2], BASIS[:, :3] @ OTHER[:3]
EQUAL_PAIRS = BASIS @ np.diag([2.0, 2.0, 1.0, 1.0]) @ OTHER


def through_eigh(loss, f=None):
    """Return a loss of V f(L) Vᵀ."""

    def apply(xp, x):
        w, v = xp.linalg.eigh(x)
        return loss(xp, xp.matmul(v * (f or (lambda xp, w: xp.exp(w)))(xp, w), xp.matrix_transpose(v)))

    return apply


def through_svd(loss, f=lambda s: s):
    """Return a loss of U f(S) Vᵀ."""

    def apply(xp, x):
        u, s, vh = xp.linalg.svd(x, full_matrices=False)
        return loss(xp, xp.matmul(u * f(s), vh))

    return apply


def total(xp, x):
    return xp.sum(x)


def squares(xp, x):
    return xp.sum(x**2)


def weighted(xp, x):
    return xp.sum(x * xp.asarray(W))


def polar_gradient(x, w):
    """Return the gradient of sum(w * U Vᵀ): U K Vᵀ with K[i, j] = (Uᵀ w V - Vᵀ wᵀ U)[i, j] / (s[i] + s[j])."""
    u, s, vh = np.linalg.svd(x)
    inner = u.T @ w @ vh.T
    return u @ ((inner - inner.T) / (s[:, None] + s)) @ vh


def norm(ord):
    return lambda xp, x: xp.linalg.matrix_norm(x, ord=ord)


def minor(x, i, j):
    """Return the signed determinant of what is left without a row and a column."""
    return (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1))


def cofactors(x):
    return np.asarray([[minor(x, i, j) for j in range(len(x))] for i in range(len(x))])


# case: (function of the namespace and a matrix, the matrix, the gradient)
TABLE = {
    "det, singular": (lambda xp, x: xp.linalg.det(x), SINGULAR, [[4.0, -2.0], [-2.0, 1.0]]),
    "det, zeros": (lambda xp, x: xp.linalg.det(x), ZEROS, ZEROS),
    "det, rank 3 of 4": (lambda xp, x: xp.linalg.det(x), RANK_3, cofactors(RANK_3)),
    "det, rank 2 of 4": (lambda xp, x: xp.linalg.det(x), RANK_2, np.zeros((4, 4))),
    "slogdet, singular": (lambda xp, x: xp.linalg.slogdet(x)[1], SINGULAR, NANS),
    "slogdet, zeros": (lambda xp, x: xp.linalg.slogdet(x)[1], ZEROS, NANS),
    "slogdet's sign, singular": (lambda xp, x: xp.linalg.slogdet(x)[0], SINGULAR, ZEROS),
    "eigvalsh of eye, weighted": (
        lambda xp, x: xp.sum(xp.linalg.eigvalsh(x) * xp.asarray([1.0, 2.0])),
        EYE,
        [[1.0, 0.0], [0.0, 2.0]],
    ),
    "eigvals of eye, weighted": (
        lambda xp, x: xp.sum(xp.real(xp.linalg.eigvals(x)) * xp.asarray([1.0, 2.0])),
        EYE,
        [[1.0, 0.0], [0.0, 2.0]],
    ),
    "svdvals of eye": (lambda xp, x: xp.sum(xp.linalg.svdvals(x)), EYE, EYE),
    "svdvals of zeros": (lambda xp, x: xp.sum(xp.linalg.svdvals(x)), ZEROS, ZEROS),
    "svdvals of rank 1": (lambda xp, x: xp.sum(xp.linalg.svdvals(x)), SINGULAR, SINGULAR / 5),
    "eigh of eye, trace of V exp(L) Vᵀ": (through_eigh(lambda xp, x: xp.linalg.trace(x)), EYE, np.e * EYE),
    "eigh of eye, squares of V exp(L) Vᵀ": (through_eigh(squares), EYE, 2 * np.e**2 * EYE),
    "eigh of equal pairs, squares of V L Vᵀ": (through_eigh(squares, lambda xp, w: w), PAIRS, 2 * PAIRS),
    "eigh of eye, sum of V": (lambda xp, x: xp.sum(xp.linalg.eigh(x)[1]), EYE, NANS),
    "eigh of eye, sum of L": (lambda xp, x: xp.sum(xp.linalg.eigh(x)[0]), EYE, EYE),
    "eigh of equal pairs, sum of V": (lambda xp, x: xp.sum(xp.linalg.eigh(x)[1]), PAIRS, np.full((4, 4), NAN)),
    "svd of eye, squares of U S Vᵀ": (through_svd(squares), EYE, 2 * EYE),
    "svd of eye, a skew part of U S Vᵀ": (
        through_svd(lambda xp, x: x[0, 1] - x[1, 0]),
        EYE,
        [[0.0, 1.0], [-1.0, 0.0]],
    ),
    "svd of eye, U Vᵀ": (through_svd(weighted, lambda s: 1.0), EYE, [[0.0, -0.5], [0.5, 0.0]]),
    "svd of equal pairs, U Vᵀ": (
        through_svd(lambda xp, x: xp.sum(x * xp.asarray(RANK_2)), lambda s: 1.0),
        EQUAL_PAIRS,
        polar_gradient(EQUAL_PAIRS, RANK_2),
    ),
    "svd of eye, sum of U": (lambda xp, x: xp.sum(xp.linalg.svd(x)[0]), EYE, NANS),
    "svd of a singular matrix, U S Vᵀ": (through_svd(weighted), SINGULAR, W),
    "svd of zeros, U S Vᵀ": (through_svd(weighted), ZEROS, NANS),
    "qr of dependent columns": (lambda xp, x: xp.sum(xp.linalg.qr(x)[1]), np.asarray([[0.0, 1.0], [0.0, 1.0]]), NANS),
    "qr, complete, through R": (
        lambda xp, x: xp.linalg.qr(x, mode="complete")[1][0, 0] ** 2,
        TALL,
        [[2.0, 0.0], [6.0, 0.0], [10.0, 0.0]],
    ),
    "svd, full, through S": (lambda xp, x: xp.sum(xp.linalg.svd(x)[1] ** 2), TALL, 2 * TALL),
    "cholesky: the symmetric part": (lambda xp, x: xp.linalg.cholesky(x)[1, 0], EYE, [[0.0, 0.5], [0.5, 0.0]]),
    "eigh: the symmetric part": (
        lambda xp, x: xp.linalg.eigh(x)[1][0, 0] * xp.linalg.eigh(x)[1][1, 0],
        np.diag([1.0, 2.0]),
        [[0.0, -0.5], [-0.5, 0.0]],
    ),
    "matrix_norm fro at zeros": (norm("fro"), ZEROS, ZEROS),
    "matrix_norm nuc at zeros": (norm("nuc"), ZEROS, ZEROS),
    "matrix_norm nuc at eye": (norm("nuc"), EYE, EYE),
    "matrix_norm nuc of rank 1": (norm("nuc"), SINGULAR, SINGULAR / 5),
    "matrix_norm 2 at eye: ties share": (norm(2), EYE, EYE / 2),
    "matrix_norm 2 at zeros": (norm(2), ZEROS, ZEROS),
    "matrix_norm -2 at eye: ties share": (norm(-2), EYE, EYE / 2),
    "matrix_norm -2 of rank 1": (norm(-2), SINGULAR, ZEROS),
    "matrix_norm 1: columns share": (norm(1), [[1.0, -2.0], [1.0, 0.0]], [[0.5, -0.5], [0.5, 0.0]]),
    "matrix_norm inf: rows share": (norm(np.inf), [[1.0, 1.0], [-2.0, 0.0]], [[0.5, 0.5], [-0.5, 0.0]]),
    "matrix_norm -1 at zeros": (norm(-1), ZEROS, ZEROS),
    "matrix_norm -inf": (norm(-np.inf), [[1.0, 1.0], [-3.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]),
    "matrix_norm fro of tiny elements": (norm("fro"), EYE * 1e-200, EYE * 2**-0.5),
    "matrix_power 0": (lambda xp, x: xp.sum(xp.linalg.matrix_power(x, 0)), SINGULAR, ZEROS),
    "matrix_power 3 of a singular matrix": (
        lambda xp, x: xp.linalg.trace(xp.linalg.matrix_power(x, 3)),
        SINGULAR,
        3 * SINGULAR.T @ SINGULAR.T,
    ),
}


# Going forward no rule sees the loss: where a direction mixes vectors of equal values, their tangents are nan.
UNSEEN = [case for case in TABLE if case.startswith(("eigh of e", "svd of")) and "sum of L" not in case]


@pytest.fixture(scope="module")
def xp():
    return ad.namespace("numpy")


def host(x):
    while hasattr(x, "_value"):
        x = x._value
    return np.asarray(x)


def gradient(backend, case, create_graph):
    f, point, _ = TABLE[case]
    xp = ad.namespace(backend)
    x = xp.asarray(np.asarray(point), requires_grad=True)
    return host(ad.autograd.grad(f(xp, x), x, create_graph=create_graph)[0])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", TABLE)
def test_delicate_gradient(backend, case, create_graph):
    np.testing.assert_allclose(gradient(backend, case, create_graph), TABLE[case][2], rtol=1e-12, atol=2e-13)


def both(f, g):
    return lambda xp, x: f(xp, x) + g(xp, x)


def sum_of_squares(decompose):
    """Return a loss of the eigenvalues or singular values alone."""
    return lambda xp, x: xp.sum(getattr(xp.linalg, decompose)(x) ** 2)


def with_squared_values(f=lambda xp, w: xp.exp(w)):
    """Return the sum of V f(L) Vᵀ, and of the squares of L, from one decomposition."""

    def apply(xp, x):
        w, v = xp.linalg.eigh(x)
        return xp.sum(xp.matmul(v * f(xp, w), xp.matrix_transpose(v))) + xp.sum(w**2)

    return apply


def with_values(xp, x):
    """Return the sum of U S Vᵀ, and of S, from one decomposition."""
    u, s, vh = xp.linalg.svd(x)
    return xp.sum(xp.matmul(u * s, vh)) + xp.sum(s)


SYMMETRIC = (W + W.T) / 2
ONES = np.ones((2, 2))
TRUE = {  # what the cotangents of values and vectors, of first order, need not tell
    "V exp(L) Vᵀ": (through_eigh(weighted), EYE, np.e * SYMMETRIC),
    "V L² Vᵀ": (through_eigh(weighted, lambda xp, w: w**2), EYE, 2 * SYMMETRIC),
    "V exp(L) Vᵀ and L": (with_squared_values(), EYE, np.e * ONES + 2 * EYE),
    "V exp(L) Vᵀ, and L of another": (
        both(through_eigh(weighted), sum_of_squares("eigvalsh")),
        EYE,
        np.e * SYMMETRIC + 2 * EYE,
    ),
    "V L² Vᵀ and L": (with_squared_values(lambda xp, w: w**2), EYE, 2 * ONES + 2 * EYE),
    "U S Vᵀ": (through_svd(weighted), EYE, W),
    "U S Vᵀ and S": (with_values, EYE, ONES + EYE),
}


@pytest.mark.parametrize("case", TRUE)
def test_the_derivative_or_nan(backend, case):
    """Between vectors of equal values: the true derivative, or nan where a rule can't see it. No wrong number."""
    f, point, expected = TRUE[case]
    xp = ad.namespace(backend)
    x = xp.asarray(point, requires_grad=True)
    found = host(ad.autograd.grad(f(xp, x), x)[0])
    np.testing.assert_allclose(found, np.where(np.isnan(found), found, expected), rtol=1e-12)


def top_vector(xp, x):
    """Return a loss of one eigenvector that is alone, beside others that are not."""
    v = xp.linalg.eigh(x)[1][:, -1]
    return xp.sum(xp.asarray(RANK_3) * v[:, None] * v[None, :])


SECOND = {  # a loss, a matrix with equal eigenvalues, and whether the rules can see its second derivative
    "trace of V exp(L) Vᵀ": (through_eigh(lambda xp, x: xp.linalg.trace(x)), np.eye(4), False),
    "sum of exp(L)": (lambda xp, x: xp.sum(xp.exp(xp.linalg.eigvalsh(x))), np.eye(4), False),
    "V L³ Vᵀ": (through_eigh(lambda xp, x: xp.sum(x * xp.asarray(RANK_3)), lambda xp, w: w**3), PAIRS, False),
    "U Vᵀ": (through_svd(lambda xp, x: xp.sum(x * xp.asarray(RANK_3)), lambda s: 1.0), EQUAL_PAIRS, False),
    "one vector": (top_vector, (BASIS * [1.0, 1.0, 2.0, 3.0]) @ BASIS.T, True),
}


@pytest.mark.parametrize("case", SECOND)
def test_the_second_derivative_or_nan(case):
    """A limit at one point does not give the slope there: nan, unless the loss has nothing to do with it."""
    f, point, seen = SECOND[case]
    xp, (t, v) = ad.namespace("numpy"), np.random.default_rng(0).normal(size=(2, *point.shape))
    t, v = t + t.T, v + v.T

    def rate(a):
        x = xp.asarray(a, requires_grad=True)
        return x, ad.autograd.grad(f(xp, x), x, create_graph=True)[0]

    x, g = rate(point)
    (h,) = ad.autograd.grad(xp.sum(g * xp.asarray(v)), x)
    found = np.sum(host(h) * t)
    assert np.isnan(found) != seen
    if seen:
        high, low = (np.sum(host(rate(point + s * 1e-5 * t)[1]) * v) for s in (1, -1))
        assert found == pytest.approx((high - low) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("case", TABLE)
def test_delicate_tangents(backend, case):
    f, point, expected = TABLE[case]
    base = ad.get_backend(backend)
    dxp, raw, point = duals.namespace_over(base), base.namespace.asarray, np.asarray(point)
    found = np.zeros(point.size)
    for i in range(point.size):
        unit = np.reshape(np.eye(point.size)[i], point.shape)
        found[i] = host(f(dxp, dxp.dual(raw(point), raw(unit)))._tangent)
    expected = np.reshape(np.asarray(expected), (-1,))
    if case in UNSEEN:
        assert np.isnan(found).any() or not np.isnan(expected).any()
        expected = np.where(np.isnan(found), found, expected)
        found = np.where(np.isnan(expected), expected, found)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=2e-13)


@pytest.mark.parametrize("case", TABLE)
def test_delicate_gradient_under_jit(case):
    jax = pytest.importorskip("jax")
    f, point, expected = TABLE[case]
    xp = ad.namespace("jax")

    def run(x):
        x = xp.asarray(x, requires_grad=True)
        return ad.autograd.grad(f(xp, x), x)[0]._value

    with jax.enable_x64(True):
        found = jax.jit(run)(np.asarray(point))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=2e-13)


SQUARE = np.asarray([[1.0, 2.0 + 1j], [0.5j, 4.0]])

# case: (function of the namespace and a matrix, the matrix, what the error says)
REFUSED = {
    "svd, full, through an extra column": (
        lambda xp, x: xp.sum(xp.linalg.svd(x)[0] ** 2 * xp.asarray([1.0, 2.0, 3.0])),
        TALL,
        "beyond the singular values",
    ),
    "svd, full, through an extra row": (lambda xp, x: xp.linalg.svd(x)[2][2, 0] ** 2, TALL.T, "full_matrices=False"),
    "qr, complete, through an extra column": (
        lambda xp, x: xp.sum(xp.linalg.qr(x, mode="complete")[0][:, 2] ** 4),
        TALL,
        "mode='reduced'",
    ),
    "eig, a phase": (lambda xp, x: xp.imag(xp.sum(xp.linalg.eig(x)[1])), SQUARE, "linalg.eig.*phase"),
    "eigh, a phase": (
        lambda xp, x: xp.real(xp.sum(xp.linalg.eigh(x)[1])),
        SQUARE + np.conj(SQUARE.T),
        "linalg.eigh.*phase",
    ),
    "svd, a phase": (lambda xp, x: xp.real(xp.sum(xp.linalg.svd(x)[0])), SQUARE, "linalg.svd.*phase"),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_arbitrary_is_refused(backend, case, create_graph):
    f, point, text = REFUSED[case]
    xp = ad.namespace(backend)
    x = xp.asarray(point, requires_grad=True)
    with pytest.raises(GradientError, match=text):
        ad.autograd.grad(f(xp, x), x, create_graph=create_graph)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_arbitrary_is_nan_under_jit(case):
    jax = pytest.importorskip("jax")
    f, point, _ = REFUSED[case]
    xp = ad.namespace("jax")

    def run(x):
        x = xp.asarray(x, requires_grad=True)
        return ad.autograd.grad(f(xp, x), x)[0]._value

    with jax.enable_x64(True):
        assert np.isnan(jax.jit(run)(point)).any()


def test_extra_columns_that_nothing_depends_on(backend):
    """A cotangent of exact zeros there is as good as none."""
    xp = ad.namespace(backend)
    x = xp.asarray(TALL, requires_grad=True)
    u, q = xp.linalg.svd(x)[0], xp.linalg.qr(x, mode="complete")[0]
    loss = xp.sum(u[:, :2] ** 2 * xp.asarray([1.0, 2.0])) + xp.sum(q[:, 0] ** 3)
    (g,) = ad.autograd.grad(loss, x)
    y = xp.asarray(TALL, requires_grad=True)
    u, q = xp.linalg.svd(y, full_matrices=False)[0], xp.linalg.qr(y)[0]
    (wanted,) = ad.autograd.grad(xp.sum(u**2 * xp.asarray([1.0, 2.0])) + xp.sum(q[:, 0] ** 3), y)
    np.testing.assert_allclose(host(g), host(wanted), rtol=1e-10, atol=1e-12)


SKEWED = np.linalg.solve(RNG.normal(size=(4, 4)) + 3 * np.eye(4), np.eye(4))
SCALES = [(a, b) for a in (1e-9, 1.0, 1e9) for b in (1e-9, 1.0, 1e9)]


def defined(xp, x, b):
    """Return losses of matrices with equal values that do not depend on a basis."""
    return b * through_eigh(squares, lambda xp, w: w)(xp, x), b * through_svd(squares)(xp, x)


@pytest.mark.parametrize(("a", "b"), SCALES)
def test_nothing_depends_on_the_unit(xp, a, b):
    """Whether values are equal, and whether a loss depends on their vectors, is asked beside the largest."""
    for i in range(2):
        x = xp.asarray(a * PAIRS, requires_grad=True)
        (g,) = ad.autograd.grad(defined(xp, x, b)[i], x)
        np.testing.assert_allclose(host(g), 2 * a * b * PAIRS, rtol=1e-9, atol=1e-12 * a * b)
    for name in ("eigh", "svd", "eig"):
        x = xp.asarray(a * PAIRS, requires_grad=True)
        loss = b * xp.sum(xp.abs(getattr(xp.linalg, name)(x)[int(name != "svd")]) * xp.asarray(RANK_3))
        (g,) = ad.autograd.grad(loss, x)
        assert np.isnan(host(g)).any(), name
    x = xp.asarray(a * np.outer([1.0, 2.0, 3.0], [1.0, 1.0]), requires_grad=True)
    (g,) = ad.autograd.grad(b * through_svd(lambda xp, y: xp.sum(y * xp.asarray(TALL)))(xp, x), x)
    assert np.isnan(host(g)).any()  # what a vector without a value turns into is not told


@pytest.mark.parametrize(("a", "b"), SCALES)
@pytest.mark.parametrize("name", ["eig", "eigh", "svd"])
def test_close_values_are_not_equal(xp, name, a, b):
    """A gap of a millionth is one, in any unit: the gradient is that of the unit 1."""

    def gradient(a, b):
        values = np.diag([1.0, 1.0 + 1e-6, 2.0, 3.0])
        point = SKEWED @ values @ np.linalg.inv(SKEWED) if name == "eig" else BASIS @ values @ BASIS.T
        x = xp.asarray(a * point, requires_grad=True)
        out = getattr(xp.linalg, name)(x)
        v, w = (out[0], out[1]) if name == "svd" else (out[1], out[0])
        order = np.argsort(np.abs(host(w)))
        projected = xp.abs(v[:, int(order[0])]) ** 2
        loss = b * (xp.sum(projected * xp.asarray([1.0, 2.0, 3.0, 4.0])) + xp.sum(xp.abs(w) ** 2) / a**2)
        return host(ad.autograd.grad(loss, x)[0]) * a / b

    wanted = gradient(1.0, 1.0)
    assert np.max(np.abs(wanted)) > 1e3
    np.testing.assert_allclose(gradient(a, b), wanted, rtol=1e-4, atol=1e-4 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_second_derivative_of_det_at_any_rank(n, kind):
    """d² det / dx[i,j] dx[k,l] is what is left without two rows and columns: no inverse, no division."""
    xp, i1 = ad.namespace("numpy"), 1j if kind == "complex" else 0.0
    for rank in range(n + 1):
        left, right = (RNG.normal(size=(n, rank)) + i1 * RNG.normal(size=(n, rank)) for _ in range(2))
        point, v = left @ right.T, RNG.normal(size=(n, n))
        x = xp.asarray(point, requires_grad=True)
        (g,) = ad.autograd.grad(xp.real(xp.linalg.det(x)), x, create_graph=True)
        np.testing.assert_allclose(np.conj(host(g)), cofactors(point), atol=1e-12)
        (h,) = ad.autograd.grad(xp.sum(xp.real(g) * xp.asarray(v)), x, materialize_grads=True)
        rate = sum(v[i, j] * moved_minor(point, i, j) for i in range(n) for j in range(n))
        np.testing.assert_allclose(np.conj(host(h)), rate, atol=1e-12)


def moved_minor(x, i, j):
    """Return the gradient of a signed minor by each element of x."""
    g = np.zeros_like(x)
    rows, columns = ([k for k in range(len(x)) if k != out] for out in (i, j))
    if rows:
        g[np.ix_(rows, columns)] = (-1) ** (i + j) * cofactors(x[np.ix_(rows, columns)])
    return g


@pytest.mark.parametrize("point", [np.eye(3), BASIS[:3, :3], np.diag([1.0, 1.0, -2.0]), BASIS])
def test_third_derivative_of_det(point):
    """Also where singular values are equal."""
    xp = ad.namespace("numpy")
    a, b, c = RNG.normal(size=(3, *point.shape))
    x = xp.asarray(point, requires_grad=True)
    y = xp.linalg.det(x)
    for t in (a, b, c):
        (g,) = ad.autograd.grad(y, x, create_graph=True)
        y = xp.sum(g * xp.asarray(t))
    signs = [(i, j, k) for i in (1, -1) for j in (1, -1) for k in (1, -1)]
    h = 1e-2
    cube = sum(i * j * k * np.linalg.det(point + h * (i * a + j * b + k * c)) for i, j, k in signs) / (8 * h**3)
    assert y.item() == pytest.approx(cube, rel=1e-3)


def test_eigenvalues_that_come_in_another_order():
    """LAPACK may find eigenvalues in one order and eigenvalues with vectors in another, from some 100 rows on."""
    xp, n = ad.namespace("numpy"), 200
    point, weights = RNG.normal(size=(n, n)), RNG.normal(size=n)
    x = xp.asarray(point, requires_grad=True)
    found = xp.linalg.eigvals(x)
    w, v = np.linalg.eig(point)
    order = np.argmin(np.abs(host(found)[:, None] - w), axis=0)
    wanted = np.real(np.linalg.inv(v).conj().T @ np.diag(weights[order]) @ v.conj().T)
    (g,) = ad.autograd.grad(xp.sum(xp.real(found) * xp.asarray(weights)), x)
    np.testing.assert_allclose(host(g), wanted, atol=1e-8)
    for values in (w[::-1], np.roll(w, 3)):
        matrix = order_of(values, w, xp._lower)
        np.testing.assert_array_equal(matrix @ w, values)
        np.testing.assert_array_equal(np.sum(matrix, axis=0), np.ones(n))
    equal = np.asarray([2.0, 1.0, 1.0 + 1e-16], dtype=complex)
    np.testing.assert_array_equal(order_of(equal, equal, xp._lower), np.eye(3))
    with pytest.raises(GradientError, match="another order"):
        order_of(equal, np.asarray([2.0, 1.0, 3.0], dtype=complex), xp._lower)


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
def test_nothing_to_decompose(backend, shape):
    """Matrices without rows, and stacks without matrices, have gradients of their shape."""
    xp = ad.namespace(backend)
    names = (
        "adjugate", "cholesky", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matrix_norm", "pinv", "qr",
        "slogdet", "svd", "svdvals",
    )  # fmt: skip
    for name in names:
        if name == "matrix_norm" and backend == "jax" and shape[-1] == 0:
            continue
        x = xp.asarray(np.zeros(shape), requires_grad=True)
        out = getattr(xp.linalg, name)(x)
        outs = out if isinstance(out, tuple) else (out,)
        loss = sum(xp.sum(xp.abs(o)) for o in outs)
        (g,) = ad.autograd.grad(loss, x, create_graph=True)
        assert g.shape == shape, name


def test_the_rank_is_relative(backend):
    """Singular values count beside the largest: one tolerance for all matrices of a stack, or one for each."""
    xp = ad.namespace(backend)
    x = xp.asarray(np.stack([np.diag([10.0, 1.0, 1e-20]), np.zeros((3, 3))]), requires_grad=True)
    assert xp.linalg.matrix_rank(x).tolist() == [2, 0]
    assert xp.linalg.matrix_rank(x, rtol=0.5).tolist() == [1, 0]
    assert xp.linalg.matrix_rank(x, rtol=xp.asarray([0.05, 0.5])).tolist() == [2, 0]
    assert not xp.linalg.matrix_rank(x).requires_grad
