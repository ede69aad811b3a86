"""Special functions: values, derivatives to third order, delicate points, on kernels of every kind."""

from __future__ import annotations

import math
import subprocess
import sys

import array_api_compat.numpy
import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace
from autodiff_api.rules import OPS

INF, NAN = math.inf, math.nan
RNG = np.random.default_rng(0)
NAMES = sorted(name.removeprefix("special.") for name in OPS if name.startswith("special."))


def between(low, high, *shape):
    return RNG.uniform(low, high, shape or (5,))


# For each function, arguments where it is smooth; arrays are differentiated unless a rule refuses that.
SAMPLES = {
    "beta": [(between(0.5, 3), between(0.5, 3)), (between(8, 12), between(0.5, 20, 3, 1)), (2.0, between(0.3, 4))],
    "betaln": [(between(0.5, 3), between(0.5, 3)), (between(8, 12), between(0.5, 20, 3, 1)), (between(1, 2), 0.5)],
    "digamma": [(between(0.2, 4),), (between(-3.8, -3.2),), (between(8, 20),)],
    "entr": [(between(0.2, 3),)],
    "erf": [(between(-3, 3),), (between(-0.4, 0.4),)],
    "erfc": [(between(-3, 3),), (between(4, 6),)],
    "erfcinv": [(between(0.1, 0.4),), (between(0.4, 1.9),)],
    "erfcx": [(between(-2, 3),), (between(5, 15),), (between(30, 60),)],
    "erfinv": [(between(-0.8, 0.8),), (between(0.85, 0.93),)],
    "expit": [(between(-3, 3),), (between(-40, -30),)],
    "gamma": [(between(0.2, 4),), (between(-2.8, -2.2),), (between(8, 12),)],
    "gammainc": [(1.5, between(0.3, 3)), (np.asarray([0.5, 2.0, 40.0]), np.asarray([0.4, 5.0, 38.0]))],
    "gammaincc": [(1.5, between(0.3, 3)), (np.asarray([0.5, 2.0, 40.0]), np.asarray([0.4, 5.0, 38.0]))],
    "gammaln": [(between(0.2, 4),), (between(-2.8, -2.2),), (between(8, 20),)],
    "i0": [(between(-3, 3),), (between(18, 22),)],
    "i0e": [(between(0.2, 3),), (between(-22, -18),)],
    "i1": [(between(-3, 3),), (between(18, 22),), (np.asarray([0.0, 0.1]),)],
    "i1e": [(between(0.2, 3),), (between(-22, -18),)],
    "kl_div": [(between(0.2, 2), between(0.2, 2)), (2.0, between(0.2, 2)), (between(0.2, 2, 3, 1), between(0.2, 2))],
    "log_expit": [(between(-3, 3),), (between(20, 30),)],
    "log_ndtr": [(between(-3, 3),), (between(-40, -30),), (between(5, 8),)],
    "log_softmax": [(between(-1, 1, 2, 3),), (between(-1, 1, 2, 3), 0), (between(-1, 1, 2, 3, 2), (0, 2))],
    "logit": [(between(0.1, 0.9),), (np.asarray([0.5, 0.51]),)],
    "logsumexp": [
        (between(-1, 1, 2, 3),), (between(-1, 1, 2, 3), 1), (between(-1, 1, 2, 3), (0, 1), None, True),
        (between(-1, 1, 2, 3), 0, between(0.5, 2, 3)), (between(-1, 1, 3), -1, np.asarray([[1.0, 2.0, -0.1]])),
    ],
    "multigammaln": [(between(2, 5), 1), (between(2, 5), 3)],
    "ndtr": [(between(-3, 3),), (between(-12, -8),)],
    "ndtri": [(between(0.05, 0.95),), (between(0.001, 0.01),)],
    "polygamma": [(0, between(0.5, 3)), (1, between(0.5, 3)), (3, between(-2.8, -2.2)), (np.asarray([0, 1, 2]), 1.7)],
    "psi": [(between(0.2, 4),)],
    "rel_entr": [(between(0.2, 2), between(0.2, 2)), (between(0.2, 2), 0.5), (between(0.2, 2, 3, 1), between(0.2, 2))],
    "sinc": [(between(-0.9, 0.9),), (between(1.1, 4),), (np.asarray([0.0, 1e-4]),)],
    "softmax": [(between(-1, 1, 2, 3),), (between(-1, 1, 2, 3), 0), (between(-1, 1, 2, 3, 2), (0, 2))],
    "xlog1py": [(between(-2, 2), between(-0.6, 2)), (1.5, between(0, 2)), (np.asarray([0.0, 0.0]), between(0.5, 2, 2))],
    "xlogy": [(between(-2, 2), between(0.3, 2)), (1.5, between(0.5, 2)), (np.asarray([0.0, 0.0]), between(0.5, 2, 2))],
    "zeta": [(2.5, between(0.5, 3)), (3.0, between(-2.8, -2.2)), (2.0, between(20, 40))],
}  # fmt: skip
CASES = [(name, i) for name in SAMPLES for i in range(len(SAMPLES[name]))]
CONSTANT = {"gammainc": 0, "gammaincc": 0, "polygamma": 0, "zeta": 0}  # the place of a parameter without a derivative


def bare(name, namespace):
    """Return a namespace of tensors with no kernel but the generic ones."""
    backend = Backend(
        name=name,
        namespace=namespace,
        array_types=(type(namespace.asarray(1.0)),),
        kernels={},
        devices=lambda: ["cpu"],
        place=lambda x, device: x,
        to_numpy=np.asarray,
    )
    return make_namespace(backend)


@pytest.fixture(scope="module", params=["strict", "numpy without SciPy"])
def generic(request):
    """Namespaces that have nothing but the generic kernels."""
    if request.param == "strict":
        return bare("strict", pytest.importorskip("array_api_strict"))
    return bare("generic", array_api_compat.numpy)


@pytest.fixture(scope="module", params=["numpy", "jax", "torch", "strict", "numpy without SciPy"])
def xp(request):
    if request.param == "numpy without SciPy":
        yield bare("generic", array_api_compat.numpy)
    elif request.param == "strict":
        yield bare("strict", pytest.importorskip("array_api_strict"))
    elif request.param == "numpy":
        yield ad.namespace("numpy")
    elif request.param == "torch":
        torch = pytest.importorskip("torch")
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        yield ad.namespace("torch")
        torch.set_default_dtype(before)
    else:
        jax = pytest.importorskip("jax")
        with jax.enable_x64(True):
            yield ad.namespace("jax")


def to_numpy(x):
    return x.numpy(force=True)


def call(xp, name, args, dtype=None):
    def convert(a):
        return xp.asarray(a, dtype=dtype if a.dtype.kind == "f" else None) if isinstance(a, np.ndarray) else a

    return getattr(xp.special, name)(*map(convert, args))


def reference(name, args):
    from scipy import special

    return getattr(special, name)(*args)


# --- values ---


def test_every_function_is_sampled():
    assert list(SAMPLES) == NAMES
    assert len(NAMES) == 35


@pytest.mark.parametrize(("name", "i"), CASES)
def test_values(xp, name, i):
    args = SAMPLES[name][i]
    found, wanted = to_numpy(call(xp, name, args)), reference(name, args)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=2e-13, atol=2e-15)


@pytest.mark.parametrize(("name", "i"), CASES)
def test_single_precision(xp, name, i):
    args = SAMPLES[name][i]
    single = [a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    wanted = reference(name, [a.astype(float) if isinstance(a, np.ndarray) else a for a in single])
    found = to_numpy(call(xp, name, args, xp.float32))
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    assert found.dtype == (np.float32 if arrays else np.float64)
    np.testing.assert_allclose(found, wanted, rtol=3e-5, atol=1e-6)


EDGES = {  # where SciPy and the limit agree
    "beta": [(0.0, 1.0), (-1.0, 2.0), (-2.0, 1.0), (-0.5, -0.5), (-1.5, 2.0), (1e10, 2.0), (-200.5, 3.0), (NAN, 1.0)],
    "betaln": [(0.0, 1.0), (-1.0, 2.0), (-2.0, 1.0), (-1.5, 2.0), (1e300, 1e300), (INF, 1.0), (1e300, -0.5)],
    "digamma": [0.0, -0.0, -1.0, INF, -INF, NAN, 1e-300, 1e300, 1.5],
    "entr": [0.0, -1.0, INF, NAN, 1.0],
    "erf": [0.0, INF, -INF, NAN, 1e-300, 7.0],
    "erfc": [0.0, INF, -INF, NAN, 26.0, 30.0],
    "erfcinv": [0.0, 1.0, 2.0, -0.1, 2.1, NAN, 1e-300, 1e-17],
    "erfcx": [0.0, INF, -26.0, NAN, 1e200],
    "erfinv": [0.0, 1.0, -1.0, 1.1, NAN, 1e-300, 1 - 1e-16],
    "expit": [0.0, 800.0, -800.0, INF, -INF, NAN, -700.0],
    "gamma": [0.0, -0.0, -1.0, INF, -INF, NAN, 171.6, 171.7, -171.5, -200.5, 1e-300],
    "gammainc": [(0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (INF, 1.0), (1.0, INF), (INF, INF), (-1.0, 1.0), (1.0, -1.0)],
    "gammaincc": [(0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (INF, 1.0), (1.0, INF), (2.0, 1e300), (-1.0, 1.0), (1.0, -1.0)],
    "gammaln": [0.0, -1.0, INF, NAN, 1.0, 2.0, 1e-300, 1e300],
    "i0": [0.0, NAN, 700.0],
    "i0e": [0.0, INF, -INF, NAN, 1e300],
    "i1": [0.0, NAN, 700.0, -700.0, 1e-300],
    "i1e": [0.0, INF, -INF, NAN, 1e-300],
    "kl_div": [(0.0, 0.0), (0.0, 2.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -1.0), (NAN, 1.0), (-1.0, NAN)],
    "log_expit": [800.0, -800.0, INF, -INF, NAN, 40.0],
    "log_ndtr": [-40.0, 40.0, -1e10, INF, -INF, NAN, 0.0],
    "logit": [0.0, 1.0, -1.0, 2.0, 0.5, NAN, 1e-300],
    "ndtr": [-40.0, 40.0, INF, -INF, NAN, 0.0, -37.0],
    "ndtri": [0.0, 1.0, -0.1, 1.1, NAN, 0.5, 1e-300],
    "rel_entr": [(0.0, 0.0), (0.0, 2.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -1.0), (NAN, 1.0), (0.0, INF), (1e300, 1e-300)],
    "sinc": [0.0, 0.5, 1e-300],
    "xlog1py": [(0.0, -1.0), (0.0, -2.0), (0.0, NAN), (1.0, -1.0), (0.0, INF)],
    "xlogy": [(0.0, 0.0), (0.0, -1.0), (0.0, NAN), (1.0, 0.0), (0.0, INF)],
    "zeta": [(2.0, 0.0), (2.0, -1.0), (1.0, 3.0), (0.5, 3.0), (2.0, INF), (2.5, -1.5), (200.0, 0.5), (3.0, -1.5)],
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own at poles, as from np.log(0)
def test_edges(xp, name):
    args = [np.asarray(a) for a in np.asarray(EDGES[name]).T.reshape(-1, len(EDGES[name]))]
    np.testing.assert_allclose(to_numpy(call(xp, name, args)), reference(name, args), rtol=1e-12, atol=1e-300)


def test_near_a_zero(generic):
    """A generic kernel is as exact, relatively, as anywhere."""
    special = generic.special
    for zero, slope in ((1.0, -0.5772156649015329), (2.0, 0.42278433509846713)):
        for step in (2.0**-40, -(2.0**-40)):
            assert to_numpy(special.gammaln(generic.asarray(zero + step))) == pytest.approx(slope * step, rel=1e-11)
    assert to_numpy(special.digamma(generic.asarray(1.4616321449683623))) == pytest.approx(-9.2412655217e-17, rel=1e-9)


def test_riemann_zeta(xp):
    for s in (-3.5, -2.0, 0.0, 0.5, 1.0, 2.0, 30.0, 100.0):
        np.testing.assert_allclose(
            to_numpy(call(xp, "zeta", [np.asarray(s)])), reference("zeta", [s]), rtol=1e-12, atol=1e-17
        )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_infinite_logarithms_of_sums(xp):
    def value(name, *args):
        return to_numpy(call(xp, name, [np.asarray(a) if isinstance(a, list) else a for a in args])).tolist()

    assert value("logsumexp", [-INF, -INF]) == -INF
    assert value("logsumexp", [INF, 1.0, -INF]) == INF
    assert value("logsumexp", [INF, 1.0], None, [0.0, 1.0]) == 1.0
    assert math.isnan(value("logsumexp", [0.0, 1.0], None, [1.0, -1.0]))
    assert value("logsumexp", [1e300, 1e300]) == 1e300
    assert value("softmax", [-INF, 0.0, 0.0]) == [0.0, 0.5, 0.5]
    assert value("log_softmax", [-INF, 0.0]) == [-INF, 0.0]
    assert value("log_softmax", [1e300, 0.0]) == [0.0, -1e300]
    assert to_numpy(xp.special.logsumexp(xp.zeros((2, 0)), axis=1)).tolist() == [-INF, -INF]
    with pytest.raises(ad.ArgumentError, match="return_sign"):
        call(xp, "logsumexp", [np.asarray([1.0])], None)
        xp.special.logsumexp(xp.asarray([1.0]), return_sign=True)


def test_integers_become_the_default_float(xp):
    for name in ("expit", "gammaln", "sinc", "erf"):
        found = to_numpy(getattr(xp.special, name)(xp.asarray([1, 2, 3])))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, reference(name, [np.asarray([1.0, 2.0, 3.0])]), atol=1e-15)


def test_complex_numbers_are_refused_by_generic_kernels(generic):
    with pytest.raises(TypeError, match="real numbers"):
        generic.special.erf(generic.asarray([1j]))


def test_half_precision_stays(xp):
    if not hasattr(xp._lower._namespace, "float16"):
        return  # no dtype of the standard
    x = xp.asarray(np.asarray([0.5, 1.5], dtype=np.float16))
    for name in ("erf", "digamma", "i0", "ndtr"):
        found = to_numpy(getattr(xp.special, name)(x))
        assert found.dtype == np.float16
        np.testing.assert_allclose(found.astype(float), reference(name, [np.asarray([0.5, 1.5])]), rtol=1e-3)


# --- derivatives ---


def derivatives(xp, name, args, order):
    """Return F(s) = [<w, f(x + s v)>, its derivative by the rules, and so on to `order`] and the length of a step."""
    moving = [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and i != CONSTANT.get(name)]
    if name == "logsumexp":
        moving = [i for i in moving if i in (0, 2)]
    directions = {i: np.cos(np.arange(args[i].size)).reshape(args[i].shape) for i in moving}
    smallest = min([1.0] + [float(abs(args[i][args[i] != 0]).min()) for i in moving if np.any(args[i] != 0)])

    def at(s):
        leaves = {i: xp.asarray(args[i] + s * directions[i], requires_grad=True) for i in moving}
        values = [leaves.get(i, xp.asarray(a) if isinstance(a, np.ndarray) else a) for i, a in enumerate(args)]
        out = getattr(xp.special, name)(*values)
        weights = np.sin(1 + np.arange(math.prod(out.shape))).reshape(out.shape)
        scalar, found = xp.sum(out * xp.asarray(weights)), []
        for _ in range(order):
            found.append(float(scalar.detach()))
            grads = ad.autograd.grad(scalar, list(leaves.values()), create_graph=True, allow_unused=True)
            parts = [xp.sum(g * xp.asarray(directions[i])) for i, g in zip(leaves, grads, strict=True) if g is not None]
            scalar = sum(parts[1:], parts[0])
        return [*found, float(scalar.detach())]

    return at, 0.02 * smallest if smallest < 0.9 else 0.01


DIFFERENTIABLE = [
    (n, i)
    for n, i in CASES
    if any(isinstance(a, np.ndarray) and j != CONSTANT.get(n) for j, a in enumerate(SAMPLES[n][i]))
]


@pytest.mark.parametrize(("name", "i"), DIFFERENTIABLE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_derivatives_to_third_order(name, i):
    """Each order by the rules is the central difference, of fourth order, of the one before."""
    at, h = derivatives(ad.namespace("numpy"), name, SAMPLES[name][i], 3)
    h /= 16
    points = np.asarray([at(k * h) for k in (-2, -1, 1, 2)])
    slopes = (points[0] - 8 * points[1] + 8 * points[2] - points[3]) / (12 * h)
    wanted, found = slopes[:-1], np.asarray(at(0.0)[1:])
    size = np.maximum(abs(wanted), abs(points).max(axis=0)[:-1])
    np.testing.assert_allclose(found / size, wanted / size, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "i"), DIFFERENTIABLE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_derivatives_speak_only_the_standard(name, i):
    """On array-api-strict, with generic kernels alone, the first two orders are those on NumPy with SciPy's."""
    strict = bare("strict", pytest.importorskip("array_api_strict"))
    wanted = derivatives(ad.namespace("numpy"), name, SAMPLES[name][i], 2)[0](0.0)
    found = derivatives(strict, name, SAMPLES[name][i], 2)[0](0.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["erfinv", "gammainc", "i1e", "kl_div", "log_ndtr", "logsumexp", "polygamma", "softmax"]
)
def test_derivatives_under_jit(name):
    jax = pytest.importorskip("jax")
    args = SAMPLES[name][0]
    with jax.enable_x64(True):
        xp = ad.namespace("jax")
        place = max(i for i, a in enumerate(args) if isinstance(a, np.ndarray))

        def slope(x):
            x = x.detach().requires_grad_()
            out = getattr(xp.special, name)(*args[:place], x, *args[place + 1 :])
            (g,) = ad.autograd.grad(xp.sum(out * out), x, create_graph=True)
            return g, ad.autograd.grad(xp.sum(g), x)[0]

        args = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
        for found, wanted in zip(jax.jit(slope)(args[place]), slope(args[place]), strict=True):
            np.testing.assert_allclose(to_numpy(found), to_numpy(wanted), rtol=1e-9, atol=1e-12)


def test_parameters_without_a_derivative_say_so():
    xp = ad.namespace("numpy")
    a, x = xp.asarray([1.5], requires_grad=True), xp.asarray([2.0], requires_grad=True)
    for name in CONSTANT:
        with pytest.raises(ad.GradientError, match=rf"special\.{name} with respect to `[anx]` is not implemented"):
            xp.sum(getattr(xp.special, name)(a, x)).backward()


# --- delicate points ---

DELICATE = [  # function, arguments, the gradient of the sum in each of them; None where there is none
    ("digamma", [0.0], [INF]),
    ("entr", [0.0], [INF]),
    ("entr", [-1.0], [NAN]),
    ("erf", [40.0], [0.0]),
    ("erfcinv", [0.0], [-INF]),
    ("erfcx", [1e200], [0.0]),
    ("erfinv", [1.0], [INF]),
    ("erfinv", [-1.0], [INF]),
    ("expit", [-800.0], [0.0]),
    ("expit", [40.0], [math.exp(-40.0)]),
    ("gammainc", [0.5, 0.0], [None, INF]),
    ("gammainc", [1.0, 0.0], [None, 1.0]),
    ("gammainc", [2.0, 0.0], [None, 0.0]),
    ("gammainc", [2.0, INF], [None, 0.0]),
    ("i0", [0.0], [0.0]),
    ("i0e", [0.0], [0.0]),
    ("i1", [0.0], [0.5]),
    ("i1e", [0.0], [0.5]),
    ("kl_div", [0.0, 0.0], [0.0, 1.0]),
    ("kl_div", [0.0, 2.0], [-INF, 1.0]),
    ("kl_div", [-1.0, 2.0], [NAN, NAN]),
    ("log_expit", [800.0], [0.0]),
    ("log_expit", [-800.0], [1.0]),
    ("log_ndtr", [-40.0], [40.02496884720726]),
    ("log_ndtr", [40.0], [0.0]),
    ("log_ndtr", [-1e8], [1e8]),
    ("log_ndtr", [-INF], [INF]),
    ("log_softmax", [[1e300, 0.0]], [[-2.0, 2.0]]),
    ("log_softmax", [[-INF, 0.0]], [[1.0, -1.0]]),
    ("logit", [0.0], [INF]),
    ("logit", [1.0], [INF]),
    ("logit", [1e-300], [1e300]),
    ("logsumexp", [[-INF, -INF]], [[0.5, 0.5]]),
    ("logsumexp", [[INF, INF, 1.0]], [[0.5, 0.5, 0.0]]),
    ("logsumexp", [[INF, 0.0]], [[1.0, 0.0]]),
    ("logsumexp", [[-INF, 0.0, 0.0]], [[0.0, 0.5, 0.5]]),
    ("logsumexp", [[1000.0, 1000.0]], [[0.5, 0.5]]),
    ("ndtri", [0.0], [INF]),
    ("rel_entr", [0.0, 0.0], [0.0, 0.0]),
    ("rel_entr", [0.0, 2.0], [-INF, 0.0]),
    ("rel_entr", [1.0, -2.0], [NAN, NAN]),
    ("sinc", [0.0], [0.0]),
    ("softmax", [[-INF, 0.0, 0.0]], [[0.0, 0.25, -0.25]]),
    ("xlog1py", [0.0, -1.0], [-INF, 0.0]),
    ("xlog1py", [0.0, 1.0], [math.log(2), 0.0]),
    ("xlogy", [0.0, 0.0], [-INF, 0.0]),
    ("xlogy", [0.0, 2.0], [math.log(2), 0.0]),
    ("xlogy", [2.0, 0.0], [-INF, INF]),
]
SECOND = [  # function, arguments, the second derivative in the last of them
    ("erfinv", [0.0], 0.0),
    ("gammainc", [1.0, 0.0], -1.0),
    ("gammainc", [2.0, 0.0], 1.0),
    ("i0", [0.0], 0.5),
    ("i1", [0.0], 0.0),
    ("log_ndtr", [-40.0], -0.9993773316214086),
    ("log_ndtr", [40.0], 0.0),
    ("log_ndtr", [-1e6], -1.0),
    ("logit", [0.5], 0.0),
    ("logsumexp", [[-INF, 0.0]], 0.0),
    ("logsumexp", [[INF, 0.0]], 0.0),
    ("sinc", [0.0], -(math.pi**2) / 3),
    ("softmax", [[-INF, 0.0]], 0.0),
    ("xlogy", [2.0, 0.5], -8.0),
    ("xlogy", [0.0, 2.0], 0.0),
]


def first_derivatives(xp, name, args):
    """Return the arguments as leaves and the gradient of the sum, weighted to 1 and 2 in turn, as tensors."""
    skip = CONSTANT.get(name)
    leaves = [xp.asarray(np.asarray(a), requires_grad=i != skip) for i, a in enumerate(args)]
    out = getattr(xp.special, name)(*leaves)
    total = xp.sum(out * xp.asarray(1.0 + np.arange(math.prod(out.shape)).reshape(out.shape) % 2))
    moving = [x for x in leaves if x.requires_grad]
    return moving, ad.autograd.grad(total, moving, create_graph=True)


@pytest.mark.parametrize(("name", "args", "wanted"), DELICATE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_delicate_points(xp, name, args, wanted):
    _, grads = first_derivatives(xp, name, args)
    for g, w in zip(grads, [w for w in wanted if w is not None], strict=True):
        np.testing.assert_allclose(to_numpy(g), w, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("name", "args", "wanted"), SECOND)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_delicate_points_in_second_order(xp, name, args, wanted):
    """No nan comes out of a branch that was not taken."""
    leaves, grads = first_derivatives(xp, name, args)
    (second,) = ad.autograd.grad(xp.sum(grads[-1]), leaves[-1:])
    np.testing.assert_allclose(np.sum(to_numpy(second)), wanted, rtol=1e-9, atol=1e-15)


def test_third_order_at_zero():
    """The series near 0 are right in every order: i1'''(0) = 3/8, sinc''''(0) = pi**4 / 5."""
    xp = ad.namespace("numpy")
    for name, order, wanted in (("i1", 3, 3 / 8), ("i1", 5, 5 / 16), ("sinc", 4, math.pi**4 / 5)):
        x = xp.asarray(0.0, requires_grad=True)
        y = getattr(xp.special, name)(x)
        for _ in range(order):
            (y,) = ad.autograd.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(wanted, rel=1e-13)


TORCH = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "expit", "gammaln", "i0", "i0e", "i1", "i1e", "log_ndtr",
    "logit", "ndtr", "ndtri", "sinc", "xlog1py", "xlogy", "gammainc", "gammaincc",
]  # fmt: skip


@pytest.mark.parametrize("name", TORCH)
def test_gradients_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    xp, args = ad.namespace("numpy"), [np.asarray(a) for a in SAMPLES[name][0]]
    leaves, grads = first_derivatives(xp, name, args)
    skip = CONSTANT.get(name)
    theirs = [torch.tensor(a, requires_grad=i != skip) for i, a in enumerate(args)]
    out = getattr(torch.special, name)(*theirs)
    weights = torch.tensor(1.0 + np.arange(out.numel()) % 2).reshape(out.shape)
    moving = [x for x in theirs if x.requires_grad]
    wanted = torch.autograd.grad((out * weights).sum(), moving, create_graph=True)
    for g, w in zip(grads, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(g), w.detach().numpy(), rtol=1e-9, atol=1e-12)
    second = ad.autograd.grad(sum(xp.sum(g * g) for g in grads), leaves)
    wanted = torch.autograd.grad(sum((g * g).sum() for g in wanted), moving)
    for g, w in zip(second, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(g), w.numpy(), rtol=1e-8, atol=1e-11)


# --- SciPy beside it ---


def run(code, **environment):
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_scipy_special_takes_tensors():
    """With its switch for array-API arrays SciPy dispatches to `xp.special`, or computes in the namespace."""
    code = """
import numpy as np, autodiff_api as ad
from scipy import special
xp = ad.namespace("numpy")
for name, args in [("erf", [0.5]), ("gammaln", [2.5]), ("expit", [0.5]), ("entr", [0.5]), ("ndtri", [0.3]),
                   ("psi", [1.5]),
                   ("i1", [0.7]), ("xlogy", [0.5, 2.0]), ("rel_entr", [0.5, 2.0]), ("betaln", [1.5, 2.5]),
                   ("logsumexp", [[0.5, 1.5]]), ("softmax", [[0.5, 1.5]]), ("log_softmax", [[0.5, 1.5]])]:
    results = []
    for library in (special, xp.special):
        leaves = [xp.asarray(a, requires_grad=True) for a in args]
        out = getattr(library, name)(*leaves)
        assert isinstance(out, ad.Tensor), name
        grads = ad.autograd.grad(xp.sum(out * xp.asarray([1.0, 2.0]) if name.endswith("max") else out), leaves)
        results.append([out.tolist(), *[g.tolist() for g in grads]])
    np.testing.assert_allclose(*[np.hstack(r) for r in results], rtol=1e-12)
    print(name)
"""
    assert len(run(code, SCIPY_ARRAY_API="1")) == 13


def test_scipy_is_imported_by_the_first_function_that_needs_it():
    code = """
import sys, autodiff_api as ad
x = ad.namespace("numpy").asarray([0.5, 1.5], requires_grad=True)
ad.special.softmax(x), ad.special.logsumexp(x), ad.special.sinc(x)
print("scipy" in sys.modules)
ad.special.erf(x)
print("scipy" in sys.modules)
"""
    assert run(code) == ["False", "True"]


def test_nothing_needs_scipy():
    code = """
import sys
sys.modules["scipy"] = None
import autodiff_api as ad
x = ad.namespace("numpy").asarray([0.5], requires_grad=True)
y = ad.special.gammaln(x) + ad.special.erfinv(x) + ad.special.gammainc(1.5, x)
y.backward()
print(y.item(), x.grad.item())
"""
    value, slope = map(float, run(code))
    gammainc = 0.1987480430987992
    assert value == pytest.approx(math.log(math.pi) / 2 + 0.4769362762044699 + gammainc, rel=1e-14)
    from scipy import special

    slopes = special.psi(0.5), math.sqrt(math.pi) / 2 * math.exp(0.4769362762044699**2), 0.5**0.5 * math.exp(-0.5)
    assert slope == pytest.approx(slopes[0] + slopes[1] + slopes[2] / special.gamma(1.5), rel=1e-13)


def test_the_package_finds_the_namespace_by_its_argument(backend):
    x = ad.asarray([0.5, 1.5], requires_grad=True)
    y = ad.special.gammaln(x)
    assert ad.namespace(y) is ad.namespace(backend)
    assert y.grad_fn.name() == "SpecialGammaln"
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), reference("digamma", [[0.5, 1.5]]))
    with pytest.raises(AttributeError, match=r"special\.bessel"):
        ad.special.bessel  # noqa: B018


@pytest.mark.parametrize(
    ("name", "args"),
    [("erf", (1.0,)), ("erf", (1,)), ("gammaln", (3.0,)), ("logsumexp", (1.0,)), ("softmax", (1.0,)), ("zeta", (2.0,))],
)
def test_of_a_python_number(backend, name, args):
    """It is a tensor of the default dtype, whatever computes it."""
    scipy = pytest.importorskip("scipy.special")
    y = getattr(ad.special, name)(*args)
    assert y.shape == () and y.dtype == ad.asarray(1.0).dtype
    assert float(y) == pytest.approx(float(getattr(scipy, name)(*args)))
