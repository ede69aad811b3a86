"""Every composition of three transformations agrees with JAX's composition of the same three, in float64."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff_api as ad

jax = pytest.importorskip("jax")
jnp = jax.numpy

X = np.asarray([0.5, 1.25, -0.75])
REFERENCE = Path(__file__).with_name("nesting_by_jax.npz")


def products(xp: Any, x: Any) -> Any:
    return xp.sin(x) * x[0] + xp.matmul(x[:, None] * x[None, :], xp.exp(x) / 4)


def pieces(xp: Any, x: Any) -> Any:
    return xp.where(x > 0, x**2, xp.sin(x)) * xp.max(x) + xp.concat([x[1:], x[:1]]) / (1 + x**2)


def scans(xp: Any, x: Any) -> Any:
    return xp.cumulative_sum(xp.tanh(x) * xp.sort(x)) * xp.linalg.vector_norm(x)


FUNCTIONS = {f.__name__: f for f in (products, pieces, scans)}


def stretched_ours(xp: Any) -> Callable[[Any], Any]:
    """Return the sine with a derivative of its own, twice as steep: who does not use the rule is found out."""

    @ad.custom_jvp
    def stretched(y: Any) -> Any:
        return xp.sin(y)

    stretched.defjvp(lambda primals, tangents: (stretched(*primals), 2 * xp.cos(primals[0]) * tangents[0]))
    return stretched


def stretched_theirs() -> Callable[[Any], Any]:
    @jax.custom_jvp
    def stretched(y: Any) -> Any:
        return jnp.sin(y)

    stretched.defjvp(lambda primals, tangents: (stretched(*primals), 2 * jnp.cos(primals[0]) * tangents[0]))
    return stretched


def transformations(lib: Any, xp: Any, checkpoint: Any, custom: Any) -> dict[str, Callable[[Any], Any]]:
    """Return each transformation as a map from a function of x to another function of x."""
    return {
        "checkpoint": lambda f: checkpoint(f),
        "custom": lambda f: lambda x: custom(f(x)),
        "grad": lambda f: lib.grad(lambda x: xp.sum(f(x) * f(x))),
        "jacfwd": lambda f: lib.jacfwd(f),
        "jacrev": lambda f: lib.jacrev(f),
        "jvp": lambda f: lambda x: lib.jvp(f, (x,), (xp.cos(x) + 1,))[1],
        "vmap": lambda f: lambda x: lib.vmap(f)(xp.stack([x, x * x[0], xp.sin(x)])),
    }


NAMES = ("checkpoint", "custom", "grad", "jacfwd", "jacrev", "jvp", "vmap")
COMPOSITIONS = [(f, *names) for f in FUNCTIONS for names in product(NAMES, repeat=3)]
QUICK = {"xla_backend_optimization_level": 0}  # compiling is all of the time that these take


def composed(parts: tuple[str, ...], table: Any, xp: Any) -> Callable[[Any], Any]:
    """Return a function under three transformations, the first of them innermost."""
    f: Any = lambda x: FUNCTIONS[parts[0]](xp, x)  # noqa: E731
    for name in parts[1:]:
        f = table[name](f)
    return f


def by_jax(parts: tuple[str, ...]) -> Any:
    """Return JAX's value of a composition."""
    table = transformations(jax, jnp, jax.checkpoint, stretched_theirs())
    with jax.enable_x64(True):
        x = jnp.asarray(X)
        return np.asarray(jax.jit(composed(parts, table, jnp)).lower(x).compile(compiler_options=QUICK)(x))


def check(parts: tuple[str, ...], got: Any, wanted: Any) -> None:
    told = " of ".join(reversed(parts))
    assert got.shape == wanted.shape, told
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9, err_msg=told)


@pytest.fixture(scope="module")
def reference() -> Any:
    """Return JAX's values of all compositions, which take it half an hour: `python tests/core/test_nesting.py`."""
    with np.load(REFERENCE) as file:
        return dict(file)


def test_the_reference_is_what_jax_says_today(reference: Any) -> None:
    assert set(reference) == {"|".join(parts) for parts in COMPOSITIONS}
    for parts in random.sample(COMPOSITIONS, 12):  # others each time
        check(parts, reference["|".join(parts)], by_jax(parts))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("outermost", NAMES)
def test_three_deep_on_numpy(reference: Any, outermost: str, function: str) -> None:
    xp = ad.namespace("numpy")
    table = transformations(ad, xp, ad.checkpoint, stretched_ours(xp))
    for inner in product(NAMES, repeat=2):
        parts = (function, *inner, outermost)
        check(parts, np.asarray(composed(parts, table, xp)(X)), reference["|".join(parts)])


@pytest.mark.parametrize("outermost", NAMES)
def test_three_deep_under_jit(reference: Any, outermost: str) -> None:
    """One of the functions in turn for each composition: compiling takes a quarter of a second."""
    xp = ad.namespace("jax")
    table = transformations(ad, xp, ad.checkpoint, stretched_ours(xp))
    functions = cycle(FUNCTIONS)
    with jax.enable_x64(True):
        x = jnp.asarray(X)
        for inner, function in zip(product(NAMES, repeat=2), functions, strict=False):
            parts = (function, *inner, outermost)
            got = jax.jit(composed(parts, table, xp)).lower(x).compile(compiler_options=QUICK)(x)
            check(parts, np.asarray(got), reference["|".join(parts)])


CONFUSIONS: dict[str, Callable[[Any, Any], Any]] = {
    "grad in grad": lambda lib, x: lib.grad(lambda x: x * lib.grad(lambda y: x + y)(1.0))(x),
    "grad in jvp": lambda lib, x: lib.jvp(lambda x: x * lib.grad(lambda y: x + y)(1.0), (x,), (1.0,))[1],
    "grad of products in jvp": lambda lib, x: lib.jvp(lambda x: x * lib.grad(lambda y: x * y * y)(2.0), (x,), (1.0,))[
        1
    ],
    "jacrev in jacfwd": lambda lib, x: lib.jacfwd(lambda x: x * lib.jacrev(lambda y: x * y)(x * 2))(x),
    "jvp in grad": lambda lib, x: lib.grad(lambda x: x * lib.jvp(lambda y: x + y, (1.0,), (1.0,))[1])(x),
    "jvp in jvp": lambda lib, x: lib.jvp(lambda x: x * lib.jvp(lambda y: x * y, (1.0,), (1.0,))[1], (x,), (1.0,))[1],
    "jvp of the outer in the inner": lambda lib, x: lib.jvp(
        lambda x: lib.jvp(lambda y: x * y * y, (x,), (1.0,))[1], (x,), (1.0,)
    )[1],
    "three deep": lambda lib, x: lib.grad(
        lambda x: x * lib.jvp(lambda y: y * lib.grad(lambda z: x * y * z**2)(y), (x,), (x,))[1]
    )(x),
}


@pytest.mark.parametrize("name", CONFUSIONS)
def test_no_perturbation_is_taken_for_another(backend: str, name: str) -> None:
    f = CONFUSIONS[name]
    x = ad.namespace(backend)._backend.namespace.asarray(1.5)
    with jax.enable_x64(True):
        wanted = float(f(jax, jnp.asarray(1.5)))
    assert float(f(ad, x)) == pytest.approx(wanted, rel=1e-12)


if __name__ == "__main__":
    np.savez_compressed(REFERENCE, **{"|".join(parts): by_jax(parts) for parts in COMPOSITIONS})
