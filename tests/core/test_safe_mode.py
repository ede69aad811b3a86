"""`zero_safe`: what is zero in a pass backward stays zero, and nothing else changes."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.rules import OPS, Elementwise

zero_safe = ad.autograd.zero_safe


def array(x):
    return np.asarray(x.detach() if isinstance(x, ad.Tensor) else x)


# A function, where it has the value 0 and the slope 0 by its `where`, and a point where its slope is infinite or nan.
TRAPS = {
    "acos": (ad.acos, -1.0),
    "acosh": (lambda x: ad.acosh(x + 1), 0.0),
    "asin": (ad.asin, -1.0),
    "atanh": (ad.atanh, -1.0),
    "divide": (lambda x: 1.0 / x, 0.0),
    "log": (ad.log, 0.0),
    "log1p": (ad.log1p, -1.0),
    "log2 of exp of log": (lambda x: ad.log2(ad.exp(ad.log(x))), 0.0),
    "overflow": (lambda x: ad.exp(ad.exp(x)), 20.0),
    "pow": (lambda x: x**0.5, 0.0),
    "pow of arrays": (lambda x: x ** ad.full_like(x, 0.5), 0.0),
    "reciprocal": (ad.reciprocal, 0.0),
    "sqrt": (ad.sqrt, 0.0),
    "sqrt of a negative number": (ad.sqrt, -1.0),
    "x log x": (lambda x: x * ad.log(x), 0.0),
    "xlogy": (lambda x: ad.special.xlogy(x, x), 0.0),
}
POINTS = [0.5, 0.25]


def masked(function, bad):
    return lambda x: ad.sum(ad.where(x == bad, 0.0, function(x)))


def values(bad):
    return ad.tensor([bad, *POINTS])


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("name", TRAPS)
def test_gradient_and_second_derivative(name, backend):
    function, bad = TRAPS[name]
    f, x = masked(function, bad), values(bad)
    plain = array(ad.grad(f)(x))
    assert np.isnan(plain[0])  # the trap
    hessian = array(ad.hessian(f)(x))
    for safe in (zero_safe(ad.grad(f)), ad.grad(zero_safe(f)), zero_safe(ad.grad(zero_safe(f)))):
        g = array(safe(x))
        assert g[0] == 0.0
        np.testing.assert_array_equal(g[1:], plain[1:])
    for safe in (zero_safe(ad.hessian(f)), ad.hessian(zero_safe(f))):
        h = array(safe(x))
        assert (h[0] == 0.0).all() and (h[:, 0] == 0.0).all()
        np.testing.assert_array_equal(h[1:, 1:], hessian[1:, 1:])


def test_backward_of_a_broadcast_operand(backend):
    """One number meets many: those whose gradient is zero add nothing to its gradient."""
    for block in (lambda f: zero_safe(f), lambda f: f):
        x, y = ad.tensor(2.0, requires_grad=True), ad.tensor([0.0, 4.0], requires_grad=True)

        def work(x=x, y=y):
            z = ad.where(y > 0, x / y, 0.0)
            z.sum().backward()

        block(work)()
        if block(work) is not work:
            assert x.grad.item() == 0.25 and y.grad.tolist() == [0.0, -0.125]
        else:
            assert np.isnan(x.grad.item())


def test_what_is_infinite_by_itself_stays_so(backend):
    x = ad.tensor([0.0, 4.0])
    assert array(zero_safe(ad.grad(lambda x: ad.sum(ad.sqrt(x))))(x)).tolist() == [np.inf, 0.25]
    nan = array(zero_safe(ad.grad(lambda x: ad.sum(ad.sqrt(x - 5))))(x))
    assert np.isnan(nan).all()


def test_a_zero_cotangent_keeps_its_derivative(backend):
    """At h = 0 the cotangent of h in h²/2 is 0, but the second derivative is h'² all the same."""

    def f(x):
        return ad.sum(ad.sin(x) ** 2 / 2)

    x = ad.tensor([0.0, 1.0])
    for safe in (zero_safe(ad.hessian(f)), ad.hessian(zero_safe(f))):
        np.testing.assert_allclose(array(safe(x)), [[1.0, 0.0], [0.0, np.cos(2.0)]], atol=1e-15)


@pytest.mark.parametrize("name", sorted(n for n, op in OPS.items() if isinstance(op.rule, Elementwise)))
def test_no_other_gradient_changes(name):
    """Where no nan is, the mode changes nothing: for every element-wise operation, zeros among the cotangents."""
    op = OPS[name]
    function = operator.attrgetter(name)(ad.namespace())
    rng = np.random.default_rng(0)
    args = [ad.tensor(rng.uniform(1.1, 1.9, 3), requires_grad=True) for _ in op.arrays]
    if name in ("acos", "asin", "atanh", "special.erfinv", "special.erfcinv", "special.logit", "special.ndtri"):
        args = [ad.tensor(rng.uniform(0.1, 0.9, 3), requires_grad=True)]
    statics = {"special.polygamma": (2,), "special.multigammaln": (1,)}.get(name, ())
    wanted = [x for x, n in zip(args, op.arrays, strict=True) if n in op.rule.formulas]
    given = [x if n in op.rule.formulas else x.detach() for x, n in zip(args, op.arrays, strict=True)]
    if name == "special.polygamma":
        given, statics = [2, *given[-1:]], ()

    def gradients():
        y = function(*given, *statics)
        t = ad.astype(ad.tensor([0.0, 1.0, -2.0]), y.dtype)
        return [array(g) for g in ad.autograd.grad(y, wanted, t)]

    for mine, other in zip(zero_safe(gradients)(), gradients(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_how_it_is_used():
    x = ad.tensor([0.0, 4.0], requires_grad=True)

    @zero_safe
    def bare(x):
        return ad.where(x > 0, ad.sqrt(x), 0.0)

    @zero_safe()
    def with_parentheses(x):
        return ad.where(x > 0, ad.sqrt(x), 0.0)

    def forward_only():
        with zero_safe():
            return bare.__wrapped__(x)

    for y in (bare(x), with_parentheses(x), forward_only()):
        assert ad.autograd.grad(ad.sum(y), x)[0].tolist() == [0.0, 0.25]
    y = bare.__wrapped__(x)
    with zero_safe():
        assert ad.autograd.grad(ad.sum(y), x, retain_graph=True)[0].tolist() == [0.0, 0.25]
    assert np.isnan(ad.autograd.grad(ad.sum(y), x)[0][0].item())


def test_gradients_of_some_inputs(backend):
    x, y = ad.tensor([0.0, 4.0], requires_grad=True), ad.tensor([2.0, 2.0], requires_grad=True)
    z = zero_safe(lambda: ad.where(x > 0, y / x, 0.0))()
    assert ad.autograd.grad(ad.sum(z), x, retain_graph=True)[0].tolist() == [0.0, -0.125]
    assert ad.autograd.grad(ad.sum(z), y)[0].tolist() == [0.0, 0.25]


@pytest.mark.parametrize("name", TRAPS)
def test_a_recorded_pass_is_safe_as_well(name):
    """What was recorded in the mode is safe to any order, wherever its derivatives are recorded."""
    function, bad = TRAPS[name]
    x = ad.tensor([bad, *POINTS], requires_grad=True)
    y = zero_safe(masked(function, bad))(x)
    (g,) = ad.autograd.grad(y, x, create_graph=True)
    (h,) = ad.autograd.grad(ad.sum(g), x, create_graph=True)
    (k,) = ad.autograd.grad(ad.sum(h), x)
    assert [d[0].item() for d in (g, h, k)] == [0.0, 0.0, 0.0]
    assert np.isfinite(array(k)).all()


def test_complex(backend):
    z = ad.tensor([0.0 + 0.0j, 3.0 + 4.0j])

    def f(z):
        return ad.sum(ad.real(ad.where(z == 0, 0.0 * z, ad.log(z))))

    plain, safe = array(ad.grad(f)(z)), array(zero_safe(ad.grad(f))(z))
    assert np.isnan(plain[0]) and safe[0] == 0 and safe[1] == plain[1]


def test_with_checkpoint_and_vmap(backend):
    def f(x):
        return ad.sum(ad.where(x > 0, ad.sqrt(x), 0.0))

    x = ad.tensor([[0.0, 4.0], [1.0, 0.0]])
    expected = [[0.0, 0.25], [0.5, 0.0]]
    assert array(zero_safe(ad.vmap(ad.grad(f)))(x)).tolist() == expected
    assert array(ad.vmap(ad.grad(zero_safe(f)))(x)).tolist() == expected
    assert array(ad.vmap(ad.grad(ad.checkpoint(zero_safe(f))))(x)).tolist() == expected
    assert array(ad.vmap(ad.grad(zero_safe(ad.checkpoint(f))))(x)).tolist() == expected


def test_loops_and_custom_functions(backend):
    """The pass through the body of a node of its own is safe, too, wherever that body is differentiated."""

    class Inner(ad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return ad.where(x > 5, ad.sqrt(x - 1.0), 0.0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            x = x.detach().requires_grad_()
            with ad.enable_grad():
                y = ad.where(x > 5, ad.sqrt(x - 1.0), 0.0)
            return ad.autograd.grad(y, x, g)[0]

    def scanned(c):
        return ad.scan(lambda c, x: (ad.where(x > 5, ad.sqrt(c - 1.0), 1.0 * x), None), c, ad.ones(3))[0]

    for work in (scanned, Inner.apply):
        assert np.isnan(ad.grad(work)(ad.tensor(1.0)).item())
        assert ad.grad(zero_safe(work))(ad.tensor(1.0)).item() == 0.0
        assert zero_safe(ad.grad(work))(ad.tensor(1.0)).item() == 0.0


def test_a_detected_anomaly_is_gone():
    def f(x):
        return ad.sum(ad.where(x > 0, ad.sqrt(x), 0.0))

    x = ad.tensor([0.0, 4.0])
    with ad.autograd.detect_anomaly():
        with pytest.raises(ad.AnomalyError):
            ad.grad(f)(x)
        with zero_safe():
            ad.grad(f)(x)
        ad.grad(zero_safe(f))(x)
    with zero_safe(), ad.autograd.detect_anomaly():
        ad.grad(f)(x)


def test_under_jit():
    jax = pytest.importorskip("jax")
    xp = ad.namespace("jax")

    def f(x):
        return xp.sum(xp.where(x > 0, xp.sqrt(x), 0.0))

    x = xp.asarray([0.0, 4.0])
    assert array(jax.jit(zero_safe(ad.grad(f)))(x)).tolist() == [0.0, 0.25]
    assert array(jax.jit(ad.grad(zero_safe(f)))(x)).tolist() == [0.0, 0.25]


def test_in_the_standard_alone(strict):
    x = strict.asarray([0.0, 4.0], requires_grad=True)
    with zero_safe():
        strict.sum(strict.where(x > 0, strict.sqrt(x), 0.0)).backward()
    assert x.grad.tolist() == [0.0, 0.25]
