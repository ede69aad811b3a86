"""The value of every delicate derivative of elementwise functions, reductions and `where`, as a table.

One convention on every backend, with and without `create_graph`. Differentiable: the gradient. Convex: the
subgradient of least norm. Defined only as a limit: by continuity, inf allowed. Undefined: nan, never a silent
wrong number.
"""

import contextlib
import warnings

import numpy as np
import pytest

INF, NAN = float("inf"), float("nan")

# case: (function of the namespace and the arguments, the arguments, the gradient of the sum by each of them)
TABLE = {
    "abs at 0.0, -0.0": (lambda xp, x: xp.abs(x), [[0.0, -0.0]], [[0.0, 0.0]]),
    "abs at 0j": (lambda xp, x: xp.abs(x), [0j], [0j]),
    "abs at 3+4j": (lambda xp, x: xp.abs(x), [3 + 4j], [0.6 + 0.8j]),
    "|z|² at 3+4j": (lambda xp, x: xp.real(x) ** 2 + xp.imag(x) ** 2, [3 + 4j], [6 + 8j]),
    "real part of sign(z) at 3+4j": (lambda xp, x: xp.real(xp.sign(x)), [3 + 4j], [0.128 - 0.096j]),
    "sqrt at 0": (lambda xp, x: xp.sqrt(x), [0.0], [INF]),
    "x**.5 at 0": (lambda xp, x: x**0.5, [0.0], [INF]),
    "0*sqrt(x) at 0": (lambda xp, x: 0.0 * xp.sqrt(x), [0.0], [NAN]),
    "sqrt(x²) at 0": (lambda xp, x: xp.sqrt(x**2), [0.0], [NAN]),
    "sqrt(sum x²) at 0": (lambda xp, x: xp.sqrt(xp.sum(x**2)), [[0.0, 0.0]], [[NAN, NAN]]),
    "pow(0,0)": (lambda xp, x, y: xp.pow(x, y), [0.0, 0.0], [0.0, 0.0]),
    "x**0.0 at 0": (lambda xp, x: x**0.0, [0.0], [0.0]),
    "x**0 at 0": (lambda xp, x: x**0, [0.0], [0.0]),
    "0**y at y>0": (lambda xp, y: 0.0**y, [[0.5, 2.0]], [[0.0, 0.0]]),
    "pow(0,y) at y>0": (lambda xp, x, y: xp.pow(x, y), [[0.0, 0.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]]),
    "pow(0, 1), (0, 2), (0, .5), (0, -1): dx": (
        lambda xp, x: xp.pow(x, xp.asarray([1.0, 2.0, 0.5, -1.0])),
        [[0.0, 0.0, 0.0, 0.0]],
        [[1.0, 0.0, INF, -INF]],
    ),
    "pow(-2, 3): dx": (lambda xp, x: xp.pow(x, 3.0), [-2.0], [12.0]),
    "where(x>0, sqrt(x), 0) at 0": (lambda xp, x: xp.where(x > 0, xp.sqrt(x), 0.0), [0.0], [NAN]),
    "where(x>0, 1/x, 0) at 0": (lambda xp, x: xp.where(x > 0, 1 / x, 0.0), [0.0], [NAN]),
    "where(x>0, log(x), 0) at -1": (lambda xp, x: xp.where(x > 0, xp.log(x), 0.0), [-1.0], [0.0]),
    "max, ties": (lambda xp, x: xp.max(x), [[1.0, 3.0, 3.0, 2.0]], [[0.0, 0.5, 0.5, 0.0]]),
    "min, ties": (lambda xp, x: xp.min(x), [[1.0, 3.0, 1.0, 2.0]], [[0.5, 0.0, 0.5, 0.0]]),
    "max, ties along an axis": (
        lambda xp, x: xp.max(x, axis=1),
        [[[2.0, 2.0, 1.0], [0.0, 0.0, 0.0]]],
        [[[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]],
    ),
    "max over nan": (lambda xp, x: xp.max(x), [[1.0, NAN, 2.0]], [[0.0, NAN, 0.0]]),
    "min over nan": (lambda xp, x: xp.min(x), [[1.0, NAN, 2.0]], [[0.0, NAN, 0.0]]),
    "max of inf": (lambda xp, x: xp.max(x), [[1.0, INF, INF]], [[0.0, 0.5, 0.5]]),
    "maximum(2,2)": (lambda xp, x, y: xp.maximum(x, y), [2.0, 2.0], [0.5, 0.5]),
    "minimum(2,2)": (lambda xp, x, y: xp.minimum(x, y), [2.0, 2.0], [0.5, 0.5]),
    "maximum(nan,1)": (lambda xp, x, y: xp.maximum(x, y), [NAN, 1.0], [NAN, 0.0]),
    "minimum(1,nan)": (lambda xp, x, y: xp.minimum(x, y), [1.0, NAN], [0.0, NAN]),
    "maximum(inf,inf)": (lambda xp, x, y: xp.maximum(x, y), [INF, INF], [0.5, 0.5]),
    "clip at the lower bound": (lambda xp, x, lo, hi: xp.clip(x, lo, hi), [1.0, 1.0, 2.0], [1.0, 0.0, 0.0]),
    "clip at the upper bound": (lambda xp, x, lo, hi: xp.clip(x, lo, hi), [2.0, 1.0, 2.0], [1.0, 0.0, 0.0]),
    "clip at numbers": (lambda xp, x: xp.clip(x, -1.0, 1.0), [[-1.0, 1.0, 1.5, 0.0]], [[1.0, 1.0, 0.0, 1.0]]),
    "clip beyond": (lambda xp, x, lo, hi: xp.clip(x, lo, hi), [[0.0, 3.0], 1.0, 2.0], [[0.0, 0.0], 1.0, 1.0]),
    "sort of [2,1,2], weighted": (
        lambda xp, x: xp.sort(x) * xp.asarray([1.0, 2.0, 3.0]),
        [[2.0, 1.0, 2.0]],
        [[2.0, 1.0, 3.0]],
    ),
    "prod of [0,2,3]": (lambda xp, x: xp.prod(x), [[0.0, 2.0, 3.0]], [[6.0, 0.0, 0.0]]),
    "prod of [0,0,3]": (lambda xp, x: xp.prod(x), [[0.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]]),
    "prod of complex [0,2j]": (lambda xp, x: xp.real(xp.prod(x)), [[0j, 2j]], [[-2j, 0j]]),
    "cumulative_prod of [2,0,3]": (lambda xp, x: xp.cumulative_prod(x), [[2.0, 0.0, 3.0]], [[1.0, 8.0, 0.0]]),
    "cumulative_prod of [0,0,3]": (lambda xp, x: xp.cumulative_prod(x), [[0.0, 0.0, 3.0]], [[1.0, 0.0, 0.0]]),
    "logaddexp(-inf,-inf)": (lambda xp, x, y: xp.logaddexp(x, y), [-INF, -INF], [0.5, 0.5]),
    "logaddexp(inf,inf)": (lambda xp, x, y: xp.logaddexp(x, y), [INF, INF], [0.5, 0.5]),
    "logaddexp(inf,0)": (lambda xp, x, y: xp.logaddexp(x, y), [INF, 0.0], [1.0, 0.0]),
    "logaddexp(0,-inf)": (lambda xp, x, y: xp.logaddexp(x, y), [0.0, -INF], [1.0, 0.0]),
    "logaddexp(1000,0)": (lambda xp, x, y: xp.logaddexp(x, y), [1000.0, 0.0], [1.0, 0.0]),
    "atan2(0,0)": (lambda xp, x, y: xp.atan2(x, y), [0.0, 0.0], [0.0, 0.0]),
    "hypot(0,0)": (lambda xp, x, y: xp.hypot(x, y), [0.0, 0.0], [0.0, 0.0]),
    "hypot(1e200,1e200)": (lambda xp, x, y: xp.hypot(x, y), [1e200, 1e200], [2**-0.5, 2**-0.5]),
    "hypot(3,0)": (lambda xp, x, y: xp.hypot(x, y), [3.0, 0.0], [1.0, 0.0]),
    "std of constants": (lambda xp, x: xp.std(x), [[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]]),
    "std of constants, correction 1": (lambda xp, x: xp.std(x, correction=1), [[2.0, 2.0]], [[0.0, 0.0]]),
    "std of one element, correction 1": (lambda xp, x: xp.std(x, correction=1), [[2.0]], [[NAN]]),
    "var of one element, correction 1": (lambda xp, x: xp.var(x, correction=1), [[2.0]], [[NAN]]),
    "std of one element, correction 0": (lambda xp, x: xp.std(x), [[2.0]], [[0.0]]),
    "var of one element, correction 0": (lambda xp, x: xp.var(x), [[2.0]], [[0.0]]),
    "log at 0, -1": (lambda xp, x: xp.log(x), [[0.0, -1.0]], [[INF, -1.0]]),
    "log1p at -1": (lambda xp, x: xp.log1p(x), [-1.0], [INF]),
    "1/x at 0": (lambda xp, x: 1 / x, [0.0], [-INF]),
    "reciprocal at 0": (lambda xp, x: xp.reciprocal(x), [0.0], [-INF]),
    "asin at 1": (lambda xp, x: xp.asin(x), [1.0], [INF]),
    "acos at 1": (lambda xp, x: xp.acos(x), [1.0], [-INF]),
    "acosh at 1": (lambda xp, x: xp.acosh(x), [1.0], [INF]),
    "atanh at 1": (lambda xp, x: xp.atanh(x), [1.0], [INF]),
    "remainder(5,3), (6,3)": (
        lambda xp, x, y: xp.remainder(x, y),
        [[5.0, 6.0], [3.0, 3.0]],
        [[1.0, 1.0], [-1.0, -2.0]],
    ),
    "floor_divide at 0": (lambda xp, x, y: xp.floor_divide(x, y), [0.0, 1.0], [0.0, 0.0]),
    "floor at 0": (lambda xp, x: xp.floor(x), [0.0], [0.0]),
    "ceil at 0": (lambda xp, x: xp.ceil(x), [0.0], [0.0]),
    "round at 0, .5": (lambda xp, x: xp.round(x), [[0.0, 0.5]], [[0.0, 0.0]]),
    "trunc at 0": (lambda xp, x: xp.trunc(x), [0.0], [0.0]),
    "sign at 0": (lambda xp, x: xp.sign(x), [0.0], [0.0]),
    "copysign(0,1)": (lambda xp, x, y: xp.copysign(x, y), [0.0, 1.0], [0.0, 0.0]),
    "copysign(2,-1)": (lambda xp, x, y: xp.copysign(x, y), [2.0, -1.0], [-1.0, 0.0]),
    "nextafter": (lambda xp, x, y: xp.nextafter(x, y), [1.0, 2.0], [1.0, 0.0]),
    "relu at 0": (lambda xp, x: x.relu(), [[0.0, 1.0]], [[0.0, 1.0]]),
    "sigmoid at ±1000": (lambda xp, x: x.sigmoid(), [[-1000.0, 1000.0]], [[0.0, 0.0]]),
    "tanh at ±1000": (lambda xp, x: xp.tanh(x), [[-1000.0, 1000.0]], [[0.0, 0.0]]),
    "exp at -1000": (lambda xp, x: xp.exp(x), [-1000.0], [0.0]),
    "expm1 at 0": (lambda xp, x: xp.expm1(x), [0.0], [1.0]),
    "mean of nothing, into a sum": (lambda xp, x: xp.sum(x) * 2.0, [np.zeros(0)], [np.zeros(0)]),
    **{
        f"vector_norm {ord} at 0": (
            lambda xp, x, ord=ord: xp.linalg.vector_norm(x, ord=ord),
            [[0.0, -0.0, 0.0]],
            [[0.0, 0.0, 0.0]],
        )
        for ord in (2, 3, 1.5, 1, INF, -INF, 0.5)
    },
    "vector_norm 1 at [0, 2]": (lambda xp, x: xp.linalg.vector_norm(x, ord=1), [[0.0, 2.0]], [[0.0, 1.0]]),
    "vector_norm inf at [2, -2]": (lambda xp, x: xp.linalg.vector_norm(x, ord=INF), [[2.0, -2.0]], [[0.5, -0.5]]),
    "vector_norm 2 at [1e-200, 1e-200]": (
        lambda xp, x: xp.linalg.vector_norm(x),
        [[1e-200, 1e-200]],
        [[2**-0.5, 2**-0.5]],
    ),
    "x/x at 0": (lambda xp, x: x / x, [0.0], [NAN]),
    "sum over repeated subscripts": (lambda xp, x: x[xp.asarray([0, 0, 1])], [[1.0, 2.0]], [[2.0, 1.0]]),
}

# case: (function of one vector, the vector, the matrix of second derivatives of the sum)
SECOND = {
    "abs at 0": (lambda xp, x: xp.abs(x), [0.0], [[0.0]]),
    "x**2 at 0": (lambda xp, x: x**2, [0.0], [[2.0]]),
    "x**2.0 at 0": (lambda xp, x: x**2.0, [0.0], [[2.0]]),
    "x**3 at 0": (lambda xp, x: x**3, [0.0], [[0.0]]),
    "x**1 at 0": (lambda xp, x: x**1, [0.0], [[0.0]]),
    "square at 0": (lambda xp, x: xp.square(x), [0.0], [[2.0]]),
    "prod of [0,2,3]": (
        lambda xp, x: xp.prod(x),
        [0.0, 2.0, 3.0],
        [[0.0, 3.0, 2.0], [3.0, 0.0, 0.0], [2.0, 0.0, 0.0]],
    ),
    "prod of [0,0,3]": (
        lambda xp, x: xp.prod(x),
        [0.0, 0.0, 3.0],
        [[0.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ),
    "cumulative_prod of [2,0,3]": (
        lambda xp, x: xp.cumulative_prod(x),
        [2.0, 0.0, 3.0],
        [[0.0, 4.0, 0.0], [4.0, 0.0, 2.0], [0.0, 2.0, 0.0]],
    ),
    "cumulative_prod of [0,0,3]": (
        lambda xp, x: xp.cumulative_prod(x),
        [0.0, 0.0, 3.0],
        [[0.0, 4.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ),
    "max, ties": (lambda xp, x: xp.max(x), [3.0, 3.0], [[0.0, 0.0], [0.0, 0.0]]),
    "max² , ties": (lambda xp, x: xp.max(x) ** 2, [3.0, 3.0], [[0.5, 0.5], [0.5, 0.5]]),
    "maximum, tie": (lambda xp, x: xp.maximum(x[0], x[1]) ** 2, [3.0, 3.0], [[0.5, 0.5], [0.5, 0.5]]),
    "clip at a bound": (lambda xp, x: xp.clip(x, -1.0, 1.0) ** 2, [1.0], [[2.0]]),
    "log at -1": (lambda xp, x: xp.log(x), [-1.0], [[-1.0]]),
    "logaddexp(0,0)": (lambda xp, x: xp.logaddexp(x[0], x[1]), [0.0, 0.0], [[0.25, -0.25], [-0.25, 0.25]]),
    "where(x>0, x**2, 0) at -1": (lambda xp, x: xp.where(x > 0, x**2, 0.0), [-1.0], [[0.0]]),
    "remainder": (lambda xp, x: xp.remainder(x[0], x[1]) ** 2, [5.0, 3.0], [[2.0, -2.0], [-2.0, 2.0]]),
}


@contextlib.contextmanager
def quietly():
    """Let NumPy say what it likes about the value (log of 0); of the derivative it has nothing to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", TABLE)
def test_delicate_derivative(ad, case, create_graph):
    """The gradient is the table's, all arguments requiring grad."""
    f, points, expected = TABLE[case]
    xs = [ad.tensor(p, requires_grad=True) for p in points]
    with quietly():
        y = f(ad, *xs)
    grads = ad.autograd.grad(
        y, xs, ad.ones_like(y), create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    for g, e in zip(grads, expected, strict=True):
        np.testing.assert_allclose(g.numpy(force=True), np.asarray(e), rtol=1e-12, atol=0, err_msg=case)


@pytest.mark.parametrize("case", [case for case, (_, points, _) in TABLE.items() if len(points) > 1])
def test_delicate_derivative_of_one_argument(numpy_ad, case):
    """The gradient by one argument does not depend on whether the others require grad."""
    ad = numpy_ad
    f, points, expected = TABLE[case]
    for k, e in enumerate(expected):
        xs = [ad.tensor(p, requires_grad=(j == k)) for j, p in enumerate(points)]
        with quietly():
            y = f(ad, *xs)
        if y.requires_grad:
            (g,) = ad.autograd.grad(y, xs[k], ad.ones_like(y))
            np.testing.assert_allclose(g.numpy(force=True), np.asarray(e), rtol=1e-12, atol=0)
        else:
            assert not np.any(np.asarray(e))


@pytest.mark.parametrize("case", SECOND)
def test_delicate_second_derivative(ad, case):
    """The matrix of second derivatives is the table's, and symmetric."""
    f, point, expected = SECOND[case]
    x = ad.tensor(point, requires_grad=True)
    with quietly():
        y = ad.sum(f(ad, x))
    (g,) = ad.autograd.grad(y, x, create_graph=True)
    options = {"retain_graph": True, "materialize_grads": True}
    rows = [
        ad.autograd.grad(g[k], x, **options)[0].tolist() if g.requires_grad else [0.0] * len(point)
        for k in range(len(point))
    ]
    np.testing.assert_allclose(rows, expected, rtol=1e-12, atol=1e-15)


def test_float_to_int_to_float(ad):
    """A cast to an integer dtype ends differentiation; back at a float nothing requires grad."""
    x = ad.tensor([1.5, 2.5], requires_grad=True)
    assert not ad.astype(ad.astype(x, ad.int64), ad.float64).requires_grad


@pytest.mark.parametrize("name", ["int8", "int64", "uint8", "bool"])
def test_integers_do_not_require_grad(ad, name):
    """PyTorch's text, on every road that could set the flag."""
    text = "Only Tensors of floating point and complex dtype can require gradients"
    dtype = getattr(ad, name)
    for make in (
        lambda: ad.zeros(2, dtype=dtype, requires_grad=True),
        lambda: ad.asarray([1, 0], dtype=dtype, requires_grad=True),
        lambda: ad.tensor([1, 0], dtype=dtype, requires_grad=True),
    ):
        with pytest.raises(RuntimeError, match=text):
            make()


def test_unused_leaf(ad):
    """Its `.grad` stays None, and grad() raises unless told otherwise."""
    x, y = ad.tensor([1.0], requires_grad=True), ad.tensor([1.0], requires_grad=True)
    z = x * 2.0
    z.backward()
    assert y.grad is None
    with pytest.raises(RuntimeError, match="allow_unused=True"):
        ad.autograd.grad(x * 2.0, y)
    assert ad.autograd.grad(x * 2.0, y, allow_unused=True) == (None,)
