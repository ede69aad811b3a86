"""Levels: a transformation leaves nothing behind, and whatever is of another one stays apart from it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import levels

X = np.asarray([0.5, 1.25, -0.75])

TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {  # (f, x) -> what a transformation of f gives at x
    "grad": lambda f, x: ad.grad(f)(x),
    "grad of grad": lambda f, x: ad.grad(lambda a: ad.grad(f)(a).sum())(x),
    "grad of jvp": lambda f, x: ad.grad(lambda a: ad.jvp(f, (a,), (x,))[1])(x),
    "hessian": lambda f, x: ad.hessian(f)(x),
    "hvp": lambda f, x: ad.hvp(f, x, x)[1],
    "jacfwd": lambda f, x: ad.jacfwd(f)(x),
    "jacrev": lambda f, x: ad.jacrev(f)(x),
    "jvp": lambda f, x: ad.jvp(f, (x,), (x,))[1],
    "jvp of vmap": lambda f, x: ad.jvp(ad.vmap(f), (x[None],), (x[None],))[1],
    "linearize": lambda f, x: ad.linearize(f, x)[1](x),
    "vhp": lambda f, x: ad.vhp(f, x, x)[1],
    "vjp": lambda f, x: ad.vjp(f, x)[1](x[0])[0],
    "vmap": lambda f, x: ad.vmap(f)(x[None]),
    "vmap of grad": lambda f, x: ad.vmap(ad.grad(f))(x[None]),
}
everywhere = pytest.mark.parametrize("name", TRANSFORMS)


def cubes(x: Any) -> Any:
    return (x**3).sum()


class Interruption(Exception):
    pass


@everywhere
def test_an_exception_leaves_nothing_behind(backend, name):
    w = ad.asarray(X, requires_grad=True)

    def fails(x):
        y = (x * w).sum()
        if y.shape == ():
            raise Interruption
        return y

    with pytest.raises(Interruption):
        TRANSFORMS[name](fails, w)
    assert levels.TOPS.get() == {} and ad.is_grad_enabled() and w.grad is None
    np.testing.assert_array_equal(w.detach(), X)
    TRANSFORMS[name](cubes, X)


@everywhere
def test_nothing_is_kept_without_the_garbage_collector(name):
    w = ad.asarray(X, requires_grad=True)
    kept: list[Any] = []

    def watched(x):
        for step in (lambda y: y * w, ad.sin):
            x = step(x)
            kept.append(weakref.ref(x))
        return x.sum()

    gc.collect()
    gc.disable()
    try:
        TRANSFORMS[name](watched, X)
        assert kept and all(ref() is None for ref in kept)
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["grad", "jvp", "jacrev", "vmap", "vmap of grad", "linearize"])
def test_long_chains(name):
    def chain(x):
        for _ in range(20_000):
            x = x * 1.00001
        return x.sum()

    factor = 1.00001**20_000
    wanted = factor * (X.sum() if name in ("jvp", "linearize", "vmap") else np.ones(3))
    np.testing.assert_allclose(np.squeeze(np.asarray(TRANSFORMS[name](chain, X))), wanted)


# --- what has a history outside ---


@everywhere
def test_results_keep_the_graph_of_what_the_function_closes_over(backend, name):
    w = ad.asarray(X, requires_grad=True)
    x = ad.namespace(backend)._backend.namespace.asarray(X)

    def total(v):
        return ad.sum(ad.asarray(TRANSFORMS[name](lambda a: (v * a**3).sum(), x)))

    y = total(w)
    assert y.requires_grad and w.grad is None
    y.backward()
    slopes = [float(total(ad.asarray(X + d)) - total(ad.asarray(X))) for d in np.eye(3)]  # it is linear in v
    np.testing.assert_allclose(np.asarray(w.grad), slopes, atol=1e-12)


@everywhere
def test_results_keep_the_graph_of_arguments(backend, name):
    w = ad.asarray(X, requires_grad=True)
    ad.sum(TRANSFORMS[name](cubes, w)).backward()
    step = 1e-6
    values = [[float(ad.sum(TRANSFORMS[name](cubes, ad.asarray(X + s * d)))) for s in (step, -step)] for d in np.eye(3)]
    slopes = [(after - before) / (2 * step) for after, before in values]
    np.testing.assert_allclose(np.asarray(w.grad), slopes, rtol=1e-6, atol=1e-7)


@everywhere
@pytest.mark.parametrize("mode", [ad.no_grad, ad.inference_mode], ids=["no_grad", "inference_mode"])
def test_where_nothing_is_recorded(backend, name, mode):
    """The transformation is as it always is, and its result has no history."""
    w = ad.asarray(X, requires_grad=True)
    wanted = TRANSFORMS[name](lambda a: (w * a**3).sum(), w)
    with mode():
        made_here = ad.asarray(X)
        for x in (w, made_here, w.detach().clone()):
            got = TRANSFORMS[name](lambda a: (w * a**3).sum(), x)
            np.testing.assert_allclose(np.asarray(got), np.asarray(wanted.detach()))
            assert not getattr(got, "requires_grad", False)


@everywhere
def test_a_function_that_does_not_record(backend, name):
    """What is computed under no_grad is a constant to reverse mode, and moves in forward mode, as in PyTorch."""

    def f(x):
        with ad.no_grad():
            weight = x**2
        return (x * weight).sum()

    value = {"grad": X**2, "jacfwd": 3 * X**2, "jvp": (3 * X**3).sum(), "hessian": np.diag(2 * X)}.get(name)
    if value is not None:
        np.testing.assert_allclose(np.asarray(TRANSFORMS[name](f, ad.asarray(X))), value)


NESTED: dict[str, Callable[[Any], Any]] = {
    "grad": lambda a: ad.grad(lambda b: a * b * b)(2.0),
    "jacrev": lambda a: ad.jacrev(lambda b: a * b * b)(2.0),
    "linearize": lambda a: ad.linearize(lambda b: a * b * b, 2.0)[1](1.0),
    "vjp": lambda a: ad.vjp(lambda b: a * b * b, 2.0)[1](1.0)[0],
}


@pytest.mark.parametrize("name", NESTED)
def test_inner_constants_are_no_history(backend, name):
    """A fresh leaf of an inner call that is over is nothing that the outer result could depend on."""
    for outer in (ad.grad, ad.jacrev):
        got = outer(NESTED[name])(3.0)
        assert float(got) == 4.0 and not isinstance(got, ad.Tensor)


# --- what is at the same time ---


def test_threads():
    def work(i):
        x = X + i
        for _ in range(10):
            f = lambda a: (a**3 * (i + 1)).sum()  # noqa: E731
            results.append(np.allclose(ad.hessian(f)(x), np.diag(6 * x * (i + 1))))
            results.append(np.allclose(ad.vmap(ad.grad(f))(x[None]), 3 * x**2 * (i + 1)))
            results.append(np.allclose(ad.jvp(f, (x,), (x,))[1], (3 * x**3).sum() * (i + 1)))

    results: list[bool] = []
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 120 and all(results)


def test_a_thread_inside_a_function():
    def f(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(ad.sin(x) * x))
        thread.start()
        thread.join()
        return found[0].sum()

    wanted = np.cos(X) * X + np.sin(X)
    for transform in (ad.grad, ad.jacfwd, ad.jacrev):
        np.testing.assert_allclose(transform(f)(X), wanted)


def test_generators_and_coroutines():
    def steps(x):
        for _ in range(2):
            yield ad.jvp(ad.sin, (x,), (x,))[1]
            yield ad.grad(cubes)(x)

    paused = steps(X)
    first = next(paused)
    inside = ad.jvp(lambda x: sum(y.sum() for y in steps(x)), (X,), (X,))[1]
    assert inside == pytest.approx(2 * ((np.cos(X) - np.sin(X) * X + 6 * X) * X).sum())
    np.testing.assert_allclose([first, *paused], [np.cos(X) * X, 3 * X**2] * 2)

    async def one(i):
        x = X + i
        await asyncio.sleep(0)
        product = ad.hvp(cubes, x, x)[1]
        await asyncio.sleep(0)
        return np.allclose(product, 6 * x * x)

    async def several():
        return await asyncio.gather(*[one(i) for i in range(4)])

    assert asyncio.run(several()) == [True] * 4


# --- what does not belong together ---


def test_an_array_kept_from_another_transformation_is_refused(backend):
    kept: list[Any] = []

    def keeps(x):
        kept.append(x * 2)
        return x.sum()

    x = ad.asarray(X)
    ad.vmap(keeps)(x[None])
    for use in (lambda: ad.grad(lambda a: (a * kept[0]).sum())(x), lambda: ad.jvp(lambda a: a * kept[0], (x,), (x,))):
        with pytest.raises(ad.BackendMismatchError, match="belongs to a transformation"):
            use()
    with pytest.raises(ad.BatchingError):
        np.asarray(kept[0])
    assert levels.TOPS.get() == {}


def test_an_array_kept_from_grad_is_a_tensor_as_any(backend):
    kept: list[Any] = []

    def keeps(x):
        kept.append(x * 2)
        return x.sum()

    x = ad.asarray(X)
    ad.grad(keeps)(x)
    np.testing.assert_allclose(np.asarray(ad.grad(lambda a: (a * kept[0].detach()).sum())(x)), 2 * X)


def test_a_tensor_from_outside_does_not_take_values_from_inside(backend):
    buffer = ad.zeros(3)

    def f(x):
        buffer[0] = x[0]
        return (x * buffer).sum()

    x = ad.asarray(X)
    for name in ("jvp", "vmap", "jacfwd"):
        with pytest.raises(ad.InplaceError, match="make it an argument of the function"):
            TRANSFORMS[name](f, x)
    assert buffer.tolist() == [0.0] * 3

    def g(x, buffer):
        buffer[0] = x[0]
        return (x * buffer).sum()

    for transform in (ad.grad, ad.jacfwd, ad.jacrev):
        np.testing.assert_allclose(np.asarray(transform(g)(x, ad.ones(3))), [2 * X[0], 1, 1])


@everywhere
def test_a_buffer_that_the_function_makes_takes_values_of_any_level(backend, name):
    def filled(x):
        buffer, other = ad.zeros(3), x.__array_namespace__().zeros(3)
        for i in range(3):
            buffer[i] = x[i] ** 3
        other[:] = buffer
        return other.sum()

    x = ad.asarray(X)
    np.testing.assert_allclose(np.asarray(TRANSFORMS[name](filled, x)), np.asarray(TRANSFORMS[name](cubes, x)))


@pytest.mark.parametrize("name", ["grad", "hessian", "jacfwd", "jacrev", "jvp", "vmap"])
def test_no_derivative_is_lost_to_numpy(backend, name):
    """NumPy's copy of an array has no derivative and no hidden axis: it is refused, unless it was asked for."""
    x = ad.asarray(X)
    for leave in (np.asarray, lambda a: a.numpy()):
        with pytest.raises((ad.GradientError, ad.BatchingError)):
            TRANSFORMS[name](lambda a, leave=leave: ad.asarray(leave(a)).sum() * a[0], x)
    if name != "vmap":
        frozen = TRANSFORMS[name](lambda a: (a * ad.asarray(a.detach().numpy())).sum(), x)
        np.testing.assert_allclose(np.asarray(frozen), np.asarray(TRANSFORMS[name](lambda a: (a * x).sum(), x)))


def test_mixed_backends_are_refused():
    jnp = pytest.importorskip("jax").numpy
    w = ad.namespace("numpy").asarray(X, dtype="float32")
    x = jnp.asarray(X, dtype="float32")
    for use in (
        lambda: ad.grad(lambda a: (a * w).sum())(x),
        lambda: ad.jvp(lambda a: a * a, (x,), (w,)),
        lambda: ad.vmap(lambda a: a * w)(x[None]),
    ):
        with pytest.raises(ad.BackendMismatchError, match="backend 'numpy' met a tensor of backend 'jax'"):
            use()


# --- compilers ---


@everywhere
def test_inside_jit(name):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        x = jax.numpy.asarray(X)
        got = jax.jit(lambda a: TRANSFORMS[name](cubes, a))(x)
        assert isinstance(got, jax.Array)
        np.testing.assert_allclose(got, TRANSFORMS[name](cubes, X), rtol=1e-12)


def test_of_what_is_jitted():
    """Tangents and hidden axes go through a compiled function; a history can't, and says so."""
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        x, compiled = jax.numpy.asarray(X), jax.jit(cubes)
        for name in ("jvp", "jacfwd", "vmap"):
            np.testing.assert_allclose(TRANSFORMS[name](compiled, x), TRANSFORMS[name](cubes, X), rtol=1e-12)
        for name in ("grad", "jacrev", "hessian", "vjp"):
            with pytest.raises(ad.GradientError, match=r"transform inside, as in jit\(grad\(f\)\)"):
                TRANSFORMS[name](compiled, x)
        with pytest.raises(ad.GradientError, match="map over trees"):
            ad.grad(lambda t: jax.tree.map(lambda a: (a**2).sum(), t)["a"])({"a": x})
