"""Tensors inside the engine's own compiler: a whole `loss.backward()` under `jax.jit`."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad

jax = pytest.importorskip("jax")
jnp = jax.numpy


@pytest.fixture(scope="module")
def xp():
    return ad.namespace("jax")


def test_backward_inside_jit_equals_jax_grad(xp):
    def loss_jax(w, b, x):
        return jnp.mean(jnp.tanh(x @ w + b) ** 2)

    @jax.jit
    def step(w, b, x):
        loss = xp.mean(xp.tanh(x @ w + b) ** 2)
        loss.backward()
        return loss, w.grad, b.grad

    w, b, x = (np.random.default_rng(0).normal(size=s).astype("float32") for s in [(3, 4), (4,), (5, 3)])
    loss, gw, gb = step(xp.asarray(w, requires_grad=True), xp.asarray(b, requires_grad=True), xp.asarray(x))
    value, (ew, eb) = jax.value_and_grad(loss_jax, (0, 1))(w, b, x)
    np.testing.assert_allclose(loss.detach(), value, rtol=1e-6)
    np.testing.assert_allclose(gw, ew, rtol=1e-5)
    np.testing.assert_allclose(gb, eb, rtol=1e-5)


def test_tensors_go_through_jit_as_pytrees(xp):
    x = xp.asarray([1.0, 2.0], requires_grad=True)
    same = jax.jit(lambda t: t)(x)
    assert isinstance(same, ad.Tensor) and same.requires_grad and same.is_leaf
    plain = jax.jit(lambda t: t * 2)(x.detach())
    assert isinstance(plain, ad.Tensor) and not plain.requires_grad
    view = jax.jit(lambda t: t)(xp.zeros((2, 2))[0])
    assert view.tolist() == [0.0, 0.0]
    assert len(jax.tree.leaves({"a": x})) == 1
    assert jax.tree.map(lambda leaf: leaf * 2, [x])[0].tolist() == [2.0, 4.0]


def test_in_place_and_views_inside_jit(xp):
    @jax.jit
    def program(w):
        buffer = xp.zeros((3,))
        buffer[0:2] = w * w
        view = buffer[1:]
        buffer *= 2
        view[0] = view[0] * w[0]
        xp.sum(buffer).backward()
        return w.grad, buffer

    gradient, buffer = program(xp.asarray([3.0, 2.0], requires_grad=True))
    assert buffer.tolist() == [18.0, 24.0, 0.0]  # 2 w0², 2 w1² w0, 0
    assert gradient.tolist() == [12.0 + 8.0, 24.0]  # 4 w0 + 2 w1², 4 w1 w0


def test_masks_inside_jit(xp):
    @jax.jit
    def program(x):
        y = x * 1
        y[y < 0] = 0.0
        xp.sum(y * x).backward()
        return x.grad

    assert program(xp.asarray([-1.0, 2.0], requires_grad=True)).tolist() == [0.0, 4.0]


def test_no_retrace_for_the_same_shapes(xp):
    traces = []

    @jax.jit
    def step(w):
        traces.append(1)
        xp.sum(w * w).backward()
        return w.grad

    for value in (1.0, 2.0, 3.0):
        assert step(xp.asarray([value], requires_grad=True)).tolist() == [2 * value]
    assert len(traces) == 1


def test_an_optimizer_step_inside_jit(xp):
    @jax.jit
    def step(w, x):
        optimizer = ad.optim.SGD([w], lr=0.1)
        xp.sum((w * x) ** 2).backward()
        optimizer.step()
        return w

    w = step(xp.asarray([1.0, 2.0], requires_grad=True), xp.asarray([1.0, 1.0]))
    np.testing.assert_allclose(np.asarray(w.detach()), [0.8, 1.6], rtol=1e-6)
    assert w.requires_grad


def test_repr_of_a_traced_tensor_says_so(xp):
    texts = []
    jax.jit(lambda t: texts.append(repr(t)) or t)(xp.zeros((2,)))
    assert "Tracer" in texts[0] and "shape=(2,)" in texts[0]
