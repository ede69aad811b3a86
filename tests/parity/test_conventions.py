"""The value of every delicate derivative, by the tables in autodiff_api/testing/conventions.py.

One convention on every backend, in both modes, with and without `create_graph`, eager and compiled.
"""

import contextlib
import warnings

import numpy as np
import pytest

from autodiff_api import duals
from autodiff_api.testing.conventions import FIRST, FORWARD, REFUSED, SECOND, as_markdown, singular_logabsdet

METHODS = {  # of tensors only
    "relu at 0": (lambda xp, x: x.relu(), [[0.0, 1.0]], [[0.0, 1.0]]),
    "sigmoid at ±1000": (lambda xp, x: x.sigmoid(), [[-1000.0, 1000.0]], [[0.0, 0.0]]),
}


ELEMENTWISE = {"log at 0, -1", "pow(0, 1), (0, 2), (0, .5), (0, -1): dx"}  # several points in one array


@contextlib.contextmanager
def quietly():
    """Let NumPy say what it likes about the value (log of 0); of the derivative it has nothing to say."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def gradients(ad, f, xs, **options):
    with quietly():
        y = f(ad, *xs)
    return ad.autograd.grad(y, xs, ad.ones_like(y), allow_unused=True, materialize_grads=True, **options)


def agree(found, expected, case):
    for g, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(g), np.asarray(e), rtol=1e-12, atol=1e-15, err_msg=case)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", [*FIRST, *METHODS])
def test_delicate_derivative(ad, case, create_graph):
    """The gradient is the table's, all arguments requiring grad."""
    f, points, expected = (FIRST | METHODS)[case]
    xs = [ad.tensor(p, requires_grad=True) for p in points]
    agree([g.numpy(force=True) for g in gradients(ad, f, xs, create_graph=create_graph)], expected, case)


@pytest.mark.parametrize("case", [case for case, (_, points, _) in FIRST.items() if len(points) > 1])
def test_delicate_derivative_of_one_argument(numpy_ad, case):
    """The gradient by one argument does not depend on whether the others require grad."""
    ad = numpy_ad
    f, points, expected = FIRST[case]
    for k, e in enumerate(expected):
        xs = [ad.tensor(p, requires_grad=(j == k)) for j, p in enumerate(points)]
        with quietly():
            y = f(ad, *xs)
        if y.requires_grad:
            (g,) = ad.autograd.grad(y, xs[k], ad.ones_like(y))
            np.testing.assert_allclose(g.numpy(force=True), np.asarray(e), rtol=1e-12, atol=1e-15)
        else:
            assert not np.any(np.asarray(e))


def directions(x):
    """Yield each real and imaginary unit vector, with the place where it is not 0."""
    for place in np.ndindex(x.shape):
        for unit in (1.0, 1j) if x.dtype.kind == "c" else (1.0,):
            t = np.zeros(x.shape, dtype=x.dtype)
            t[place] = unit
            yield place, t


@pytest.mark.parametrize("case", FIRST)
def test_delicate_derivative_going_forward(ad, case):
    """The tangent of the sum along each direction is the gradient's; an element's own where it depends on no other."""
    f, points, _ = FIRST[case]
    backend = ad.namespace()._backend
    xp, raw = duals.namespace_over(backend), ad.namespace()._lower.asarray
    arrays = [np.asarray(p, dtype=complex if "j" in repr(p) else float) for p in points]
    for k, (x, gradient) in enumerate(zip(arrays, FORWARD.get(case, FIRST[case][2]), strict=True)):
        for place, t in directions(x):
            xs = [xp.dual(raw(y), raw(t) if j == k else None) for j, y in enumerate(arrays)]
            with quietly():
                y = f(xp, *xs)
                found = np.zeros(y.shape) if y._tangent is None else np.asarray(y._tangent)
            if case in ELEMENTWISE:  # elsewhere 0 may meet an infinity
                found = found[place]
            elif case not in FORWARD and not np.all(np.isfinite(np.asarray(gradient)[t == 0])):
                continue
            slope = np.real(np.conj(np.asarray(gradient)[place]) * t[place])
            np.testing.assert_allclose(np.sum(found), slope, rtol=1e-12, atol=1e-15, err_msg=case)


@pytest.mark.parametrize("case", FIRST)
def test_delicate_derivative_compiled(jax_ad, case):
    """Under `jax.jit` it is the same."""
    import jax

    f, points, expected = FIRST[case]
    create = jax_ad.namespace().array_class._create

    def run(*values):
        return [g._value for g in gradients(jax_ad, f, [create(v, True) for v in values])]

    agree(jax.jit(run)(*map(np.asarray, points)), expected, case)


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


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_refused_derivative(ad, case, create_graph):
    f, points, text = REFUSED[case]
    xs = [ad.tensor(p, requires_grad=True) for p in points]
    with pytest.raises(RuntimeError, match=text):
        gradients(ad, f, xs, create_graph=create_graph)


@pytest.mark.parametrize("create_graph", [False, True])
def test_logabsdet_of_a_singular_matrix(ad, create_graph):
    """Its gradient is not finite: never a finite wrong number."""
    x = ad.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    (g,) = gradients(ad, singular_logabsdet, [x], create_graph=create_graph)
    assert not np.any(np.isfinite(g.numpy(force=True)))


def test_the_page_has_every_row():
    page = as_markdown()
    assert all(f"| {case.replace('|', chr(92) + '|')} |" in page for case in (*FIRST, *SECOND, *REFUSED))


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
