"""Fourier transforms: NumPy's values, gradients by the adjoint law, PyTorch's to second order."""

from __future__ import annotations

import warnings

import array_api_strict
import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace
from autodiff_api.duals import namespace_over

NORMS = ("backward", "ortho", "forward")
ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MANY_AXES = ("fftn", "ifftn", "rfftn", "irfftn")
TAKES_REAL = ("rfft", "ihfft", "rfftn")

# The axis has 4, 5 or 1 elements; n is larger and smaller, odd and even, and what the default makes of it.
LINES = [
    {"n": n, "axis": axis, "norm": norm}
    for axis, norm in ((-1, "backward"), (0, "ortho"), (-2, "forward"))
    for n in (None, 1, 2, 3, 4, 5, 8, 9)
]
GRIDS = [
    {"s": s, "axes": axes, "norm": norm}
    for (s, axes), norm in zip(
        [
            (None, None), (None, (0,)), (None, (-1, 0)), (None, (1, -3, 2)), ((6, 3), (-1, -3)), ((2, 7), (0, 1)),
            ((3, 5, 6), (0, 1, 2)), ((3, 4, 2), (-1, -2, -3)), ((3, 1), (1, -1)),
        ],
        NORMS * 3,
        strict=True,
    )
]  # fmt: skip
CASES = [
    *((name, (4, 5), options) for name in ONE_AXIS for options in LINES),
    *((name, (3, 4, 5), options) for name in MANY_AXES for options in GRIDS),
    *((name, (3, 4), {"axes": axes}) for name in ("fftshift", "ifftshift") for axes in (None, 0, (-1, 0), (1,))),
]
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, _, options in CASES]
every_case = pytest.mark.parametrize(("name", "shape", "options"), CASES, ids=IDS)


def noise(shape, seed, complex_):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if complex_ else x


def inputs(name, shape):
    """Give what may be transformed: complex numbers, real ones where the transform is of those, or allows both."""
    return [noise(shape, 1, False)] if name in TAKES_REAL else [noise(shape, 2, True), noise(shape, 3, False)]


def inner(a, b):
    return np.real(np.sum(np.conj(a) * b))


@pytest.fixture(scope="module")
def strict():
    """A backend whose transforms insist on complex numbers."""
    return make_namespace(
        Backend(
            name="strict",
            namespace=array_api_strict,
            array_types=(type(array_api_strict.asarray(1.0)),),
            kernels={},
            devices=lambda: ["cpu"],
            place=lambda x, device: x,
            to_numpy=lambda x: np.from_dlpack(x),
        )
    )


def check_adjoint(xp, name, shape, options):
    """Check the value against NumPy's, and <w, A t> == <vjp(w), t>: a linear op's tangent is itself of t."""
    reference = getattr(np.fft, name)
    for value in inputs(name, shape):
        x = xp.asarray(value, requires_grad=True)
        y = getattr(xp.fft, name)(x, **options)
        np.testing.assert_allclose(y.numpy(force=True), reference(value, **options), rtol=1e-12, atol=1e-12)
        w, t = noise(y.shape, 4, "complex" in str(y.dtype)), noise(shape, 5, np.iscomplexobj(value))
        (g,) = ad.autograd.grad(y, x, xp.asarray(w))
        assert g.dtype == x.dtype
        assert inner(w, reference(t, **options)) == pytest.approx(inner(g.numpy(), t), rel=1e-10, abs=1e-12)


@every_case
def test_adjoint(backend, name, shape, options):
    check_adjoint(ad.namespace(backend), name, shape, options)


@every_case
def test_adjoint_in_the_standards_words_only(strict, name, shape, options):
    check_adjoint(strict, name, shape, options)


@every_case
def test_forward_mode(name, shape, options):
    xp = namespace_over(ad.get_backend("numpy"))
    for value in inputs(name, shape):
        t = noise(shape, 5, np.iscomplexobj(value))
        y = getattr(xp.fft, name)(xp.dual(value, t), **options)
        np.testing.assert_array_equal(y._tangent, getattr(np.fft, name)(t, **options))


@every_case
def test_parity_to_second_order(name, shape, options):
    """The gradient of a loss that is not quadratic, and the gradient of that, are PyTorch's."""
    torch = pytest.importorskip("torch")
    renamed = {{"axis": "dim", "axes": "dim"}.get(k, k): v for k, v in options.items()}

    def study(value, make, transform, real, grad, total):
        x = make(value)
        y = transform(x)
        size = real(y * y.conj()) + real(y) ** 3
        (g,) = grad(total(size * make(noise(y.shape, 6, False), False)), x, create_graph=True)
        (h,) = grad(total(real(g * make(noise(value.shape, 7, True), False)) ** 2), x)
        return y, g, h

    for value in inputs(name, shape):
        ours = study(
            value,
            lambda v, wanted=True: ad.tensor(v, requires_grad=wanted),
            lambda x: getattr(ad.fft, name)(x, **options),
            ad.real,
            ad.autograd.grad,
            ad.sum,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch resizes an output of its own
            theirs = study(
                value,
                lambda v, wanted=True: torch.tensor(v, requires_grad=wanted),
                lambda x: getattr(torch.fft, name)(x, **renamed),
                torch.real,
                torch.autograd.grad,
                torch.sum,
            )
        for found, wanted in zip(ours, theirs, strict=True):
            wanted = wanted.detach().resolve_conj().numpy()
            np.testing.assert_allclose(found.numpy(force=True), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [*ONE_AXIS, *MANY_AXES])
def test_single_precision_stays(backend, strict, name):
    """float32 gives complex64 and back, values and gradients, real input to a complex transform included."""
    for xp in (ad.namespace(backend), strict):
        x = xp.ones((4, 3), dtype=xp.float32, requires_grad=True)
        y = getattr(xp.fft, name)(x)
        assert y.dtype == (xp.float32 if name in ("irfft", "hfft", "irfftn") else xp.complex64)
        (g,) = ad.autograd.grad(xp.sum(xp.real(y)), x)
        assert g.dtype == xp.float32


@pytest.mark.parametrize("name", MANY_AXES)
def test_an_axis_is_named_once(backend, name):
    with pytest.raises(ad.ArgumentError, match=rf"fft.{name}: the axes \(1, -1\) name one twice"):
        getattr(ad.fft, name)(ad.ones((2, 3)), axes=(1, -1))


@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_no_axes(backend, shape):
    """A transform along no axis is the array, in complex numbers; where an axis is halved, there must be one."""
    x = ad.tensor(noise(shape, 1, False), requires_grad=True)
    for transform in (ad.fft.fftn, ad.fft.ifftn):
        y = transform(x, axes=())
        assert y.dtype == ad.complex128
        np.testing.assert_array_equal(y.numpy(force=True), x.numpy(force=True))
        np.testing.assert_array_equal(ad.autograd.grad(y, x, ad.ones_like(y))[0].numpy(), np.ones(shape))
    for transform in (ad.fft.rfftn, ad.fft.irfftn):
        with pytest.raises(ad.ArgumentError, match=rf"fft.{transform.__name__}: no axis to transform"):
            transform(x, axes=())


ASTRAY = [
    *((name, (2, 3), {"axis": 2}) for name in ONE_AXIS),
    *((name, (), {}) for name in ONE_AXIS),
    *((name, (2, 3), {"axes": (0, 2)}) for name in MANY_AXES),
    *((name, (2, 3), {"s": (1, 2, 3)}) for name in MANY_AXES),
    *((name, (2, 3), {"axes": 2}) for name in ("fftshift", "ifftshift")),
]


@pytest.mark.parametrize(("name", "shape", "options"), ASTRAY)
def test_an_axis_astray(backend, name, shape, options):
    with pytest.raises(ad.AxisError, match=rf"fft.{name}: ax[ei]s=.* does not fit shape \({'2, 3' * bool(shape)}\)"):
        getattr(ad.fft, name)(ad.ones(shape), **options)


@pytest.mark.parametrize("name", MANY_AXES)
def test_a_size_for_each_axis(backend, name):
    with pytest.raises(ad.ArgumentError, match=rf"fft.{name}: s=\(2,\) gives 1 sizes for 2 axes"):
        getattr(ad.fft, name)(ad.ones((2, 3)), s=(2,), axes=(0, 1))


@pytest.mark.parametrize("name", MANY_AXES)
def test_sizes_alone_are_of_the_last_axes(backend, name):
    x = ad.tensor(noise((2, 3, 4), 1, False), requires_grad=True)
    transform = getattr(ad.fft, name)
    np.testing.assert_array_equal(
        transform(x, s=(2, 6)).numpy(force=True), transform(x, s=(2, 6), axes=(1, 2)).numpy(force=True)
    )
    grads = [
        ad.autograd.grad(ad.sum(ad.real(transform(x, s=(2, 6), **more)) ** 2), x)[0]
        for more in ({}, {"axes": (-2, -1)})
    ]
    np.testing.assert_array_equal(grads[0].numpy(), grads[1].numpy())


def test_under_jit():
    jax = pytest.importorskip("jax")
    xp = ad.namespace("jax")

    def gradient(x):
        y = xp.fft.irfft(xp.fft.rfft(x, n=7) * 2, n=5)
        (g,) = ad.autograd.grad(xp.sum(y**2), x, create_graph=True)
        return ad.autograd.grad(xp.sum(g**2), x)[0]

    x = xp.asarray([1.0, 2.0, 4.0, 3.0], requires_grad=True)
    np.testing.assert_allclose(jax.jit(gradient)(x).numpy(), gradient(x).numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies(backend, name, n):
    xp = ad.namespace(backend)
    f = getattr(xp.fft, name)(n, d=0.5)
    np.testing.assert_allclose(f.numpy(), getattr(np.fft, name)(n, d=0.5))
    assert f.dtype == xp.float64
    assert getattr(xp.fft, name)(n, dtype=xp.float32).dtype == xp.float32
    assert getattr(xp.fft, name)(n, device="cpu", requires_grad=True).requires_grad
    np.testing.assert_array_equal(getattr(ad.fft, name)(n).numpy(), getattr(xp.fft, name)(n).numpy())
