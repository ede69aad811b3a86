"""What is particular to the JAX plugin: tracing, float64, and tensors as pytrees."""

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import backend_of, get_backend

jax = pytest.importorskip("jax")
jnp = jax.numpy
X = jnp.arange(12.0).reshape(4, 3)


@pytest.fixture(scope="module")
def backend():
    return get_backend("jax")


@pytest.mark.parametrize("kernel", ["setitem", "scatter_add"])
@pytest.mark.parametrize("value", [2.0, jnp.float32(2.0), jnp.arange(3.0)], ids=["float", "0-d", "row"])
def test_masks_under_jit(backend, kernel, value):
    def change(x, value):
        return backend.kernels[kernel](x, x[:, 0] > 2, value)

    np.testing.assert_array_equal(jax.jit(change)(X, value), change(X, value))
    np.testing.assert_array_equal(change(X, value)[0], X[0])
    assert not np.array_equal(change(X, value)[1], X[1])


@pytest.mark.parametrize("key", [lambda i: i, lambda i: (slice(None), i % 3), lambda i: (..., i[0])])
def test_traced_indices(backend, key):
    i = jnp.asarray([1, 2, 1])
    for name, values in (("getitem", ()), ("setitem", (7.0,)), ("scatter_add", (7.0,))):

        def use(x, i, kernel=backend.kernels[name], values=values):
            return kernel(x, key(i), *values)

        np.testing.assert_array_equal(jax.jit(use)(X, i), use(X, i))


def test_tracers_are_its_arrays(backend):
    seen = []
    jax.jit(lambda x: seen.append(backend_of(x)) or x)(X)
    jax.vmap(lambda x: seen.append(backend_of(x)) or x)(X)
    jax.grad(lambda x: seen.append(backend_of(x)) or x)(1.0)
    assert seen == [backend] * 3
    assert backend_of(X) is backend
    assert backend_of(jax.devices()[0]) is None


ASKS = {
    "asarray": lambda xp: xp.asarray([1.0], dtype=xp.float64),
    "zeros": lambda xp: xp.zeros(3, dtype=xp.float64),
    "full": lambda xp: xp.full(3, 1.0, dtype=xp.float64),
    "linspace": lambda xp: xp.linspace(0.0, 1.0, 3, dtype=xp.float64),
    "astype": lambda xp: xp.astype(xp.ones(3), xp.float64),
    "sum": lambda xp: xp.sum(xp.ones(3), dtype=xp.float64),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("name", ["jax.numpy", "autodiff_api.jax"])
def test_float64_by_name_is_never_silently_float32(name, ask):
    xp = jnp if name == "jax.numpy" else ad.namespace("jax")
    jax.clear_caches()  # what is compiled already does not warn again
    with jax.enable_x64(False), pytest.warns(UserWarning, match=r"float64 .*not available.*enable_x64"):
        assert ASKS[ask](xp).dtype == jnp.float32
    with jax.enable_x64(True):
        assert ASKS[ask](xp).dtype == jnp.float64


def test_float64_data_become_float32_as_in_jax():
    with jax.enable_x64(False):
        assert ad.namespace("jax").asarray(np.ones(3)).dtype == jnp.float32


def test_backward_inside_jit(backend):
    xp = ad.namespace("jax")

    @backend.compile
    def gradient(w, x):
        w = w.detach().requires_grad_()
        loss = xp.sum(xp.exp(w * x))
        loss.backward()
        return loss, w.grad

    loss, grad = gradient(xp.asarray([1.0, 2.0]), xp.asarray([0.5, 1.0]))
    backend.synchronize(grad)
    assert isinstance(grad, ad.Tensor)
    np.testing.assert_allclose(grad.numpy(), [0.5 * np.exp(0.5), np.exp(2.0)], rtol=1e-6)
    np.testing.assert_allclose(loss.item(), np.exp(0.5) + np.exp(2.0), rtol=1e-6)


def test_tensors_are_pytrees():
    x = ad.namespace("jax").ones(3)
    leaves, structure = jax.tree_util.tree_flatten({"x": x})
    assert [type(leaf) for leaf in leaves] == [type(x._value)]
    assert isinstance(jax.tree_util.tree_unflatten(structure, leaves)["x"], ad.Tensor)


def test_placement_by_sharding(backend):
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    assert backend.place(X, sharding).sharding == sharding
