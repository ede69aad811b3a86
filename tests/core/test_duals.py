"""Dual arrays: forward mode by the same rules, and every order of nesting with tensors."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import duals
from autodiff_api.arrays import Array
from autodiff_api.binding import make_namespace
from autodiff_api.namespaces import as_backend

V, T = np.asarray([0.5, 1.0, 2.0]), np.asarray([1.0, 0.0, -2.0])


def f(xp, x):
    return xp.sum(xp.sin(x) * x**2 / (1 + x))


@pytest.fixture
def base(backend):
    return ad.namespace(backend)._backend


def host(x):
    while isinstance(x, Array):
        x = x._value
    return np.asarray(x, dtype=float)


def test_a_tangent_is_a_directional_derivative(base):
    xp = duals.namespace_over(base)
    x = xp.dual(base.namespace.asarray(V), base.namespace.asarray(T))
    h, npx = 1e-5, ad.namespace("numpy")
    wanted = (float(f(npx, npx.asarray(V + h * T))) - float(f(npx, npx.asarray(V - h * T)))) / (2 * h)
    assert float(host(f(xp, x)._tangent)) == pytest.approx(wanted, rel=1e-5)


def test_hessian_vector_products_three_ways(base):
    """Forward over forward, forward over reverse and reverse over forward agree."""
    raw = base.namespace.asarray
    once = duals.namespace_over(base)

    tensors = make_namespace(as_backend(once))
    x = tensors.array_class._make(once.dual(raw(V), raw(T))).requires_grad_()
    f(tensors, x).backward()
    forward_over_reverse = host(x.grad._value._tangent)

    xp = ad.namespace(base.name)
    y = xp.asarray(V, requires_grad=True)
    over_tensors = duals.namespace_over(as_backend(xp))
    z = f(over_tensors, over_tensors.dual(y, xp.asarray(T)))
    (reverse_over_forward,) = ad.autograd.grad(z._tangent, y)
    np.testing.assert_allclose(host(reverse_over_forward), forward_over_reverse, rtol=1e-4)

    twice = duals.namespace_over(as_backend(once))
    for i in range(3):
        unit = raw(np.eye(3)[i])
        w = twice.dual(once.dual(raw(V), unit), once.dual(raw(T)))
        assert host(f(twice, w)._tangent._tangent) == pytest.approx(forward_over_reverse[i], rel=1e-4)


def test_what_stands_still_has_no_tangent(base):
    xp = duals.namespace_over(base)
    x = xp.dual(base.namespace.asarray(V), base.namespace.asarray(T))
    assert (xp.asarray(V) * 2)._tangent is None
    assert xp.astype(x, xp.int32)._tangent is None
    assert xp.argsort(x)._tangent is None
    assert x.detach()._tangent is None
    assert xp.greater(x, 1)._tangent is None
    assert (x + base.namespace.asarray(V))._tangent is not None


def test_broadcasting_dtypes_and_lists(base):
    xp = duals.namespace_over(base)
    raw = base.namespace.asarray
    x = xp.dual(raw(V), raw(T))
    y = x[:, None] * xp.asarray([[1.0, 2.0]]) + x[0]
    assert y._tangent.shape == y.shape == (3, 2)
    np.testing.assert_allclose(host(y._tangent), T[:, None] * [[1.0, 2.0]] + T[0])
    pair = xp.asarray([x[0], x[2]])
    np.testing.assert_allclose(host(pair._tangent), T[[0, 2]])
    z = x * 1j
    assert z._tangent.dtype == z.dtype
    np.testing.assert_allclose(host(xp.abs(z)._tangent), T)


def test_operators_beside_numbers_and_in_place(base):
    xp = duals.namespace_over(base)
    x = xp.dual(base.namespace.asarray(V), base.namespace.asarray(T))
    y = x
    y += 1.0
    np.testing.assert_allclose(host(y._tangent), T)
    assert y is not x
    np.testing.assert_allclose(host((2 / x)._tangent), -2 * T / V**2, rtol=1e-6)
    np.testing.assert_allclose(host((-x)._tangent), -T)
    np.testing.assert_allclose(host((2**x)._tangent), np.log(2) * 2**V * T, rtol=1e-6)
    with pytest.raises(TypeError):
        x + "1"
    with pytest.raises(ad.GradientError, match="tangent"):
        np.asarray(x)
    with pytest.raises(BufferError, match="detach"):
        xp.from_dlpack(x)


def test_under_jit():
    jax = pytest.importorskip("jax")
    base = ad.get_backend("jax")
    xp = duals.namespace_over(base)

    def push(x, t):
        y = f(xp, xp.dual(x, t))
        return y._value, y._tangent

    plain, compiled = push(jax.numpy.asarray(V), jax.numpy.asarray(T)), jax.jit(push)(V, T)
    np.testing.assert_allclose(plain, compiled, rtol=1e-6)
    through = jax.jit(lambda x: f(xp, x))(xp.dual(jax.numpy.asarray(V), jax.numpy.asarray(T)))
    np.testing.assert_allclose(through._tangent, compiled[1], rtol=1e-6)


def test_a_function_that_names_its_namespace_takes_duals_too(base):
    """What tensors' functions don't know, they hand on to the array type that stands higher."""
    xp = ad.namespace(base.name)
    x = xp.asarray(V, requires_grad=True)
    over = duals.namespace_over(as_backend(xp))
    z = over.dual(x, xp.asarray(T))
    for y in (
        xp.sum(xp.sin(z) * xp.asarray(V) + xp.concat([z, x])[:3] - xp.clip(x, 0.0, z) + 2 * z[1:2]),
        xp.linalg.vector_norm(xp.asarray(z)) + xp.max(xp.sort(x * z)) + xp.where(xp.less(z, 1), z, 0.0)[0],
        xp.einsum("i,i", z, xp.ones_like(z)),
        x @ z,
    ):
        assert isinstance(y, over.array_class)
        assert y._tangent is not None
    assert xp.result_type(z, x) == x.dtype
    assert not isinstance(xp.argmax(z), ad.Tensor)
    tensors = make_namespace(as_backend(duals.namespace_over(base)))
    high = tensors.asarray(V)
    assert isinstance(xp.sin(high), tensors.array_class)
    once = duals.namespace_over(base)
    z = once.dual(base.namespace.asarray(V), base.namespace.asarray(T))
    assert (z * x.detach())._tangent is not None  # a constant
    assert isinstance(xp.multiply(x.detach(), z), once.array_class)
    with pytest.raises(TypeError, match="belongs to a transformation met one of another"):
        z * x  # whose gradient would be lost
