"""An operation declared in one statement is like any other: on every backend, in every mode, under every law."""

from __future__ import annotations

import inspect
import warnings
from typing import NamedTuple

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.binding import make_namespace
from autodiff_api.rules import Elementwise, General, Linear, Multilinear
from autodiff_api.rules.kinds import zero
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.laws import LAWS
from autodiff_api.testing.samples import Sample

X = np.asarray([0.3, -0.7, 1.1])


PENDING = {}
MADE = {}


def later(**options):
    """Declare an op for the tests of this file only: other files have tests of every op that they find."""

    def decorate(kernel):
        PENDING[kernel] = options
        return lambda *args, **kwargs: MADE[kernel.__name__](*args, **kwargs)

    return decorate


@pytest.fixture(scope="module", autouse=True)
def declared():
    for kernel, options in PENDING.items():
        MADE[kernel.__name__] = ad.op(**options)(kernel)


def some(*shapes, **statics):
    """Return a maker of samples: a call with arrays of some shapes, and one without static arguments."""

    def maker(draw):
        yield Sample(tuple(draw.normal(*shape) for shape in shapes), statics)
        yield Sample(tuple(draw.normal(*shape) for shape in shapes))

    return maker


@later(
    rule=Elementwise(x=lambda t, x, beta, xp: t * xp.special.expit(beta * x)),
    samples=some((2, 3), beta=2.0),
)
def ours_softplus(x, /, *, beta=1.0, xp):
    """Return log(1 + exp(beta x)) / beta."""
    return xp.logaddexp(beta * x, xp.zeros_like(x)) / beta


@later(
    rule=Elementwise(x1=lambda t, x1, out: t * x1 / out, x2=lambda t, x2, out: t * x2 / out),
    samples=some((2, 3), (3,)),
)
def ours_length(x1, x2, /, *, xp):
    return xp.sqrt(x1 * x1 + x2 * x2)


@later(rule=Linear(x=lambda t, k, xp: xp.roll(t, -k)), samples=some((4,), k=1))
def ours_rotate(x, /, *, k=2, xp):
    return xp.roll(x, k)


@later(
    rule=Multilinear(
        a=lambda t, w, b, xp: t * (w * b)[..., None] * xp.ones_like(b)[..., None],
        w=lambda t, a, b, xp: xp.sum(t * a, axis=-1) * b,
        b=lambda t, a, w, xp: xp.sum(t * a, axis=-1) * w,
    ),
    samples=some((2, 3), (2,), (2,)),
)
def ours_weighted(a, w, b, /, *, xp):
    return a * (w * b)[..., None]


class Polar(NamedTuple):
    radius: object
    angle: object
    quadrant: object


def polar_vjp(t, x, y, out, xp):
    r, a = (xp.zeros_like(out.radius) if part is None else part for part in t[:2])
    squared = out.radius**2
    return r * x / out.radius - a * y / squared, r * y / out.radius + a * x / squared


def polar_jvp(t, x, y, out):
    dx, dy = t
    squared = out.radius**2
    return (dx * x + dy * y) / out.radius, (dy * x - dx * y) / squared, None


@later(rule=General(polar_vjp, polar_jvp, ("x", "y")), result=Polar)
def ours_polar(x, y, /, *, xp):
    quadrant = xp.astype(x < 0, xp.int32) + 2 * xp.astype(y < 0, xp.int32)
    return Polar(xp.sqrt(x * x + y * y), xp.atan2(y, x), quadrant)


@later(rule=None)
def ours_even(x, /, *, xp):
    return xp.remainder(x, 2) == 0


@later()
def ours_unknown(x, y, /, *, xp):
    return x * y


DECLARED = {"ours_length", "ours_rotate", "ours_softplus", "ours_weighted"}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", sorted(DECLARED))
def test_laws_hold_for_it(name, law, backend):
    outcome = Checks.of(backend, dtypes=["float64"]).check(name, law, "float64")
    assert outcome.state in ("pass", "none"), outcome.text


def test_on_a_backend_that_has_only_the_standard(strict):
    x = strict.asarray(X, requires_grad=True)
    assert ad.autograd.gradcheck(lambda x: ours_softplus(x, beta=3.0), (x,))
    assert ad.autograd.gradgradcheck(lambda x: ours_softplus(x, beta=3.0), (x,))


def test_what_the_function_is(backend):
    function = MADE["ours_softplus"]
    assert str(inspect.signature(function)) == "(x, /, *, beta=1.0)"
    assert function.__doc__ == "Return log(1 + exp(beta x)) / beta."
    assert function.__name__ == "ours_softplus"
    x = ad.asarray(X, requires_grad=True)
    xp = ad.namespace(x)
    wanted = np.log1p(np.exp(2 * X)) / 2
    for y in (ours_softplus(x, beta=2.0), ad.ours_softplus(x, beta=2.0), xp.ours_softplus(x, beta=2.0)):
        np.testing.assert_allclose(y.numpy(force=True), wanted, rtol=1e-6)
        assert y.grad_fn.name() == "OursSoftplus"
    raw = xp._backend.namespace.asarray(X)
    np.testing.assert_allclose(ours_softplus(raw).numpy(), np.log1p(np.exp(X)), rtol=1e-6)
    assert "ours_softplus" in dir(xp) and "ours_softplus" in dir(ad)
    assert "standard" not in xp.ours_softplus.__doc__
    with pytest.raises(TypeError):
        ours_softplus(x, gamma=2.0)


def test_every_transformation(backend):
    def plain(x):
        return ad.log(1 + ad.exp(2.0 * x)) / 2.0

    def ours(x):
        return ours_softplus(x, beta=2.0)

    x = ad.namespace(backend)._backend.namespace.asarray(X)
    for transform in (
        lambda f: ad.grad(lambda x: f(x).sum()),
        lambda f: ad.jacfwd(ad.grad(lambda x: f(x).sum())),
        lambda f: ad.jacrev(f),
        lambda f: lambda x: ad.jvp(f, (x,), (x,))[1],
        lambda f: ad.vmap(lambda s: f(s * x).sum()),
        lambda f: ad.vmap(ad.grad(lambda s: f(s * x).sum())),
        lambda f: ad.vmap(ours_rotate) if f is ours else ad.vmap(lambda s: s + 0),
    ):
        np.testing.assert_allclose(
            np.asarray(transform(ours)(x)), np.asarray(transform(plain)(x)), rtol=1e-6, atol=1e-9
        )


def test_several_outputs_of_several_inputs(backend):
    x, y = ad.asarray(X, requires_grad=True), ad.asarray(X[::-1].copy(), requires_grad=True)
    out = ours_polar(x, y)
    assert isinstance(out, Polar) and [o.requires_grad for o in out] == [True, True, False]
    assert ad.autograd.gradcheck(lambda x, y: ours_polar(x, y)[:2], (x, y), check_forward_ad=True)
    assert ad.autograd.gradgradcheck(lambda x, y: ours_polar(x, y)[:2], (x, y))
    assert ad.autograd.gradcheck(lambda x: ours_polar(x, y.detach()).angle, (x,))
    with ad.no_grad():
        assert not ours_polar(x, y).radius.requires_grad
    np.testing.assert_allclose(
        ad.vmap(lambda x: ours_polar(x, y.detach()).angle)(x.detach()[:, None] * y.detach()).numpy(),
        np.arctan2(X[::-1], X[:, None] * X[::-1]),
    )


def test_a_zero_derivative_is_stated_and_a_missing_one_is_an_error_at_backward(backend):
    x = ad.asarray([1.0, 2.0], requires_grad=True)
    assert not ours_even(x).requires_grad and ours_even(x).tolist() == [False, True]
    y = ours_unknown(x, x)
    assert y.requires_grad and y.tolist() == [1, 4]
    with pytest.raises(RuntimeError, match=r"ours_unknown with respect to `x` .*add-a-rule") as caught:
        y.sum().backward()
    assert isinstance(caught.value, ad.GradientError)
    with pytest.raises(ad.GradientError, match="ours_unknown"):
        ad.jvp(lambda x: ours_unknown(x, x), (x.detach(),), (x.detach(),))
    np.testing.assert_allclose(ad.vmap(ours_unknown)(x.detach(), x.detach()).numpy(), [1, 4])
    assert ours_unknown(x.detach(), 3.0).tolist() == [3, 6]


def test_a_kernel_for_one_backend():
    jax = pytest.importorskip("jax")
    calls = []

    def kernel(x, /, *, power=2):
        calls.append(type(x))
        return x**power

    @ad.op(rule=Elementwise(x=lambda t, x, power: t * power * x ** (power - 1)), kernels={"numpy": kernel})
    def ours_power(x, /, *, power=2, xp):
        return xp.pow(x, xp.asarray(power, dtype=x.dtype))

    x = ad.namespace("numpy").asarray([2.0, 3.0], requires_grad=True)
    ours_power(x, power=3).sum().backward()
    assert x.grad.tolist() == [12, 27] and calls == [np.ndarray]
    assert ours_power(ad.namespace("jax").asarray([2.0])).tolist() == [4] and len(calls) == 1
    assert ad.jvp(ours_power, (np.asarray([2.0]),), (np.asarray([1.0]),))[1].tolist() == [4] and len(calls) == 2
    assert ours_power(jax.numpy.asarray([3.0])).tolist() == [9]
    fresh = make_namespace(ad.get_backend("numpy"))
    assert fresh.ours_power(fresh.asarray([2.0])).tolist() == [4] and len(calls) == 3


def test_declared_again_it_is_the_new_one(backend):
    def declare(factor):
        @ad.op(rule=Elementwise(x=lambda t: factor * t), name="ours_again")
        def kernel(x, /, *, xp):
            return factor * x

        return kernel

    x = ad.asarray([1.0], requires_grad=True)
    old = declare(2.0)
    assert old(x).tolist() == ad.namespace(x).ours_again(x).tolist() == ad.ours_again(x).tolist() == [2]
    assert ad.vmap(old)(x.detach()).tolist() == [2]
    new = declare(3.0)
    for f in (old, new, ad.namespace(x).ours_again, ad.ours_again):
        x.grad = None
        f(x).sum().backward()
        assert f(x).tolist() == [3] and x.grad.tolist() == [3]
    assert ad.vmap(new)(x.detach()).tolist() == [3]


def test_it_compiles():
    jax = pytest.importorskip("jax")
    grad = ad.grad(lambda x: ours_softplus(x, beta=2.0).sum())
    x = jax.numpy.asarray(X)
    np.testing.assert_allclose(jax.jit(grad)(x), grad(x), rtol=1e-5)


BAD = {
    "a constant": (lambda: ad.op(name="pi")(lambda x, *, xp: x), "'pi' is there already"),
    "a formula of nothing": (
        lambda: ad.op(rule=Elementwise(y=zero))(lambda x, *, xp: x),
        "speaks of 'y', which stands for nothing; there are x",
    ),
    "a formula's parameter": (
        lambda: ad.op(rule=Elementwise(x=lambda t, z: t))(lambda x, *, xp: x),
        "formula 'x' of ours_bad has a parameter 'z'",
    ),
    "a method": (lambda: ad.op(name="asarray")(lambda x, *, xp: x), "'asarray' is there already"),
    "any arguments": (lambda: ad.op(lambda *x, xp: x), "can't have a parameter"),
    "default": (lambda: ad.op(lambda x, k=[], *, xp: x), "make it a number"),
    "no name": (lambda: ad.op(name="a b")(lambda x, *, xp: x), "no name of a function"),
    "no xp": (lambda: ad.op(lambda x: x), "must take the namespace"),
    "nothing": (lambda: ad.op(lambda *, xp: 1), "no parameters but xp"),
    "the standard's": (lambda: ad.op(name="exp")(lambda x, *, xp: x), "'exp' is there already"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_not_be_declared_is_refused_at_once(name):
    declare, message = BAD[name]

    def renamed(kernel):
        kernel.__name__ = "ours_bad"
        return kernel

    op, ad.op = ad.op, lambda *a, **k: op(*map(renamed, a), **k) if a else lambda f: op(**k)(renamed(f))
    try:
        with warnings.catch_warnings(), pytest.raises(ad.AutodiffError, match=message):
            declare()
    finally:
        ad.op = op
    assert not hasattr(ad, "ours_bad")
