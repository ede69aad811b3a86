"""Transformations of functions: what goes in and what comes out, beside JAX's of the same name."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.arrays import Array
from autodiff_api.trees import flatten, matching, tree_map

jax = pytest.importorskip("jax")
jnp = jax.numpy

X = np.asarray([0.5, 1.25, -0.75])
Pair = namedtuple("Pair", ("left", "right"))


def total(xp: Any) -> Callable[[Any], Any]:
    return lambda x: xp.sum(xp.sin(x) * x**2)


def waves(xp: Any) -> Callable[[Any], Any]:
    return lambda x: xp.sin(x) * x[0] + xp.cos(x[1]) * xp.ones(2)[:, None]


# Programs that mean the same with `lib` and `xp` as JAX and its NumPy: (lib, xp, x) -> a tree of arrays.
PROGRAMS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "grad": lambda lib, xp, x: lib.grad(total(xp))(x),
    "grad, a tuple of one argnum": lambda lib, xp, x: lib.grad(lambda a, b: xp.sum(a * b * b), (1,))(x, x * 2),
    "grad, all argnums": lambda lib, xp, x: lib.grad(lambda a, b: xp.sum(a * b * b), (1, 0))(x, x * 2),
    "grad, aux": lambda lib, xp, x: lib.grad(lambda a: (xp.sum(a**2), {"twice": a * 2, "n": 3}), has_aux=True)(x),
    "grad, empty": lambda lib, xp, x: lib.grad(lambda a: xp.sum(a**2))(x[:0]),
    "grad, a constant function": lambda lib, xp, x: lib.grad(lambda a: 3.0)(x),
    "grad, integers beside": lambda lib, xp, x: lib.grad(lambda a, i: xp.sum(xp.take(a, i)))(x, np.asarray([0, 0, 2])),
    "grad, keywords": lambda lib, xp, x: lib.grad(lambda a, *, n, b: xp.sum(a**n * b))(x, n=3, b=x),
    "grad, negative argnums": lambda lib, xp, x: lib.grad(lambda a, b: xp.sum(a * b * b), -1)(x, x * 2),
    "grad, no argument is used": lambda lib, xp, x: lib.grad(lambda a, b: xp.sum(a**2), (0, 1))(x, {"b": x}),
    "grad, trees": lambda lib, xp, x: lib.grad(lambda t: xp.sum(t["a"] * t["p"].left) + t["p"].right[0] ** 2)(
        {"a": x, "p": Pair(x * 2, (2.0, 3.0)), "none": None}
    ),
    "hessian": lambda lib, xp, x: lib.hessian(total(xp))(x),
    "hessian of several": lambda lib, xp, x: lib.hessian(lambda a, b: xp.sum(a * a * b) + xp.sum(b**3), (0, 1))(x, x),
    "hessian of trees": lambda lib, xp, x: lib.hessian(lambda t: xp.sum(t["a"] ** 2 * t["b"]))({"a": x, "b": x[:1]}),
    "hessian, many outputs": lambda lib, xp, x: lib.hessian(lambda a: {"w": waves(xp)(a), "s": a[0] ** 3})(x),
    "hessian, aux": lambda lib, xp, x: lib.hessian(lambda a: (xp.sum(a**3), a * 2), has_aux=True)(x),
    "jacfwd": lambda lib, xp, x: lib.jacfwd(waves(xp))(x),
    "jacfwd, aux": lambda lib, xp, x: lib.jacfwd(lambda a: (waves(xp)(a), a * 2), has_aux=True)(x),
    "jacfwd, complex": lambda lib, xp, x: lib.jacfwd(lambda z: z**2 * z[0], **holomorphic(lib))(x + 1j * x[::-1]),
    "jacfwd, empty": lambda lib, xp, x: lib.jacfwd(lambda a: a * 2)(x[:0]),
    "jacfwd, trees": lambda lib, xp, x: lib.jacfwd(lambda t, b: (t["a"] * b, [xp.sum(b)]), (0, 1))({"a": x}, x * 2),
    "jacfwd, a constant output": lambda lib, xp, x: lib.jacfwd(lambda a: (a * 2, xp.ones(2)))(x),
    "jacrev": lambda lib, xp, x: lib.jacrev(waves(xp))(x),
    "jacrev, aux": lambda lib, xp, x: lib.jacrev(lambda a: (waves(xp)(a), a * 2), has_aux=True)(x),
    "jacrev, complex": lambda lib, xp, x: lib.jacrev(lambda z: z**2 * z[0], **holomorphic(lib))(x + 1j * x[::-1]),
    "jacrev, empty": lambda lib, xp, x: lib.jacrev(lambda a: a * 2)(x[:0]),
    "jacrev, trees": lambda lib, xp, x: lib.jacrev(lambda t, b: (t["a"] * b, [xp.sum(b)]), (0, 1))({"a": x}, x * 2),
    "jacrev, a constant output": lambda lib, xp, x: lib.jacrev(lambda a: (a * 2, xp.ones(2)))(x),
    "jvp": lambda lib, xp, x: lib.jvp(waves(xp), (x,), (x * 2,)),
    "jvp of a vjp function": lambda lib, xp, x: lib.jvp(
        lib.vjp(waves(xp), x)[1], (x[:2, None] * x,), (x[:2, None] + x,)),
    "jvp, aux": lambda lib, xp, x: lib.jvp(lambda a: (a**2, {"aux": a}), (x,), (x,), has_aux=True),
    "jvp, a constant output": lambda lib, xp, x: lib.jvp(lambda a: (a**2, xp.ones(2)), (x,), (x,)),
    "jvp, scalars": lambda lib, xp, x: lib.jvp(lambda a, b: a * b, (x[0], 3.0), (1.0, x[1])),
    "jvp, trees": lambda lib, xp, x: lib.jvp(
        lambda t, b: {"s": t[0] * b["b"]}, ([x], {"b": x}), ([x * 2], {"b": x * 3})
    ),
    "linearize": lambda lib, xp, x: second(lib.linearize(waves(xp), x), x * 2),
    "linearize, mapped": lambda lib, xp, x: lib.vmap(lib.linearize(waves(xp), x)[1])(x[:, None] * x),
    "linearize, at a point by which it is differentiated": lambda lib, xp, x: lib.grad(
        lambda p: xp.sum(lib.vmap(lib.linearize(lambda a: xp.sin(a) * a[0], p)[1])(p[:, None] * p) ** 2)
    )(x),
    "linearize, trees": lambda lib, xp, x: second(
        lib.linearize(lambda a, t: {"s": a * t["b"]}, x, {"b": x}), x, {"b": x}
    ),
    "value_and_grad": lambda lib, xp, x: lib.value_and_grad(total(xp))(x),
    "value_and_grad, aux": lambda lib, xp, x: lib.value_and_grad(lambda a: (xp.sum(a**2), a), has_aux=True)(x),
    "vjp": lambda lib, xp, x: second(lib.vjp(waves(xp), x), x[:2, None] * x),
    "vjp function, differentiated": lambda lib, xp, x: lib.jacfwd(lib.vjp(waves(xp), x)[1])(x[:2, None] * x),
    "vjp function, mapped": lambda lib, xp, x: lib.vmap(lib.vjp(lambda a: xp.sin(a) * a[0], x)[1])(x[:, None] * x),
    "vjp function, mapped and differentiated": lambda lib, xp, x: lib.vmap(
        lib.grad(lambda t: xp.sum(lib.vjp(lambda a: xp.sin(a) * a[0], x)[1](t)[0] ** 2))
    )(x[:, None] * x),
    "vjp function made outside, mapped and differentiated": lambda lib, xp, x: within(
        lib.vjp(lambda a: xp.sin(a) * a[0], x)[1],
        lambda pull: lib.vmap(lib.grad(lambda t: xp.sum(pull(t)[0] ** 2)))(x[:, None] * x),
    ),
    "vjp, at a point that moves": lambda lib, xp, x: lib.jvp(
        lambda p: lib.vjp(lambda a: xp.sin(a) * a[0], p)[1](p)[0], (x,), (x,)
    ),
    "vjp, aux": lambda lib, xp, x: lib.vjp(lambda a: (a**2, {"aux": a}), x, has_aux=True)[::2],
    "vjp, trees": lambda lib, xp, x: second(
        lib.vjp(lambda a, t: {"s": a * t["b"], "n": None}, x, {"b": x}), {"s": x, "n": None}
    ),
    "vmap": lambda lib, xp, x: lib.vmap(waves(xp))(x[:2, None] * x),
    "vmap of grad": lambda lib, xp, x: lib.vmap(lib.grad(total(xp)))(x[:2, None] * x),
    "vmap of vmap": lambda lib, xp, x: lib.vmap(lib.vmap(lambda a, b: a * b, (None, 0)), (0, None))(x, x * 2),
    "vmap, axes": lambda lib, xp, x: lib.vmap(waves(xp), -1, 1)(x[:, None] * x[:2]),
    "vmap, a constant": lambda lib, xp, x: lib.vmap(lambda a: (xp.ones(2), 3.0))(x),
    "vmap, empty": lambda lib, xp, x: lib.vmap(lambda a: a * 2)(x[:0, None] * x),
    "vmap, one for all": lambda lib, xp, x: lib.vmap(lambda a, b: (a * b, b * 2), (0, None), (0, None))(x, x),
    "vmap, trees": lambda lib, xp, x: lib.vmap(
        lambda t, b: {"p": Pair(t["a"] * b, t["b"])}, ({"a": 0, "b": None}, 1), {"p": Pair(0, 1)}
    )({"a": x, "b": x[:2]}, x[:2, None] * x),
}  # fmt: skip


def holomorphic(lib: Any) -> dict[str, bool]:
    return {"holomorphic": True} if lib is jax else {}


def within(value: Any, function: Callable[[Any], Any]) -> Any:
    return function(value)


def second(pair: Any, *args: Any) -> Any:
    """Return a value, and what the function beside it gives."""
    value, function = pair
    return value, function(*args)


def agree(ours: Any, theirs: Any) -> None:
    """Compare trees, leaf by leaf; JAX sorts the keys of a dict."""
    leaves, built = flatten(ours)
    for got, expected in zip(leaves, matching(built, theirs, "JAX's"), strict=True):
        assert np.shape(got) == np.shape(expected)
        np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_in_jax(backend, name):
    """Raw arrays go in, and raw arrays come out; of tensors it gives tensors."""
    program, xp = PROGRAMS[name], ad.namespace(backend)
    with jax.enable_x64(True):
        wanted = program(jax, jnp, jnp.asarray(X))
    raw = program(ad, xp, xp._backend.namespace.asarray(X))
    agree(raw, wanted)
    assert not any(isinstance(leaf, Array) for leaf in flatten(raw)[0])
    tensors = program(ad, xp, xp.asarray(X))
    agree(tensors, wanted)
    found = [leaf for leaf in flatten(tensors)[0] if not isinstance(leaf, int)]
    assert all(isinstance(leaf, ad.Tensor) and not leaf.requires_grad for leaf in found)


# --- what goes in ---

POINTS: dict[str, Callable[[Any], Any]] = {  # one transformation each: a function of (f, x) that applies it at x
    "grad": lambda f: lambda x: ad.grad(f)(x),
    "hessian": lambda f: lambda x: ad.hessian(f)(x),
    "hvp": lambda f: lambda x: ad.hvp(f, x, x),
    "jacfwd": lambda f: lambda x: ad.jacfwd(f)(x),
    "jacrev": lambda f: lambda x: ad.jacrev(f)(x),
    "jvp": lambda f: lambda x: ad.jvp(f, (x,), (x,)),
    "linearize": lambda f: lambda x: second(ad.linearize(f, x), x),
    "value_and_grad": lambda f: lambda x: ad.value_and_grad(f)(x),
    "vhp": lambda f: lambda x: ad.vhp(f, x, x),
    "vjp": lambda f: lambda x: second(ad.vjp(f, x), x[0]),
    "vmap": lambda f: lambda x: ad.vmap(f)(x[None]),
    "vmap of grad": lambda f: lambda x: ad.vmap(ad.grad(f))(x[None]),
}
everywhere = pytest.mark.parametrize("name", POINTS)


@everywhere
def test_a_function_may_change_its_argument_and_the_caller_does_not_see_it(backend, name):
    def careless(x):
        x[0] = 10.0 * x[1]
        view = x[1:]
        view *= 2
        return (x**3).sum()

    def careful(x):
        return ad.concat([10.0 * x[1:2], 2 * x[1:]]).__pow__(3).sum()

    xp = ad.namespace(backend)
    transform = POINTS[name]
    for x in (xp._backend.namespace.asarray(X), xp.asarray(X), xp.asarray(X, requires_grad=True)):
        agree(detached(transform(careless)(x)), detached(transform(careful)(x)))
        np.testing.assert_array_equal(x.detach() if isinstance(x, ad.Tensor) else x, X)


def detached(tree: Any) -> Any:
    return tree_map(lambda x: x.detach() if isinstance(x, ad.Tensor) else x, tree)


@everywhere
def test_single_precision_stays_so(backend, name):
    x = ad.namespace(backend)._backend.namespace.asarray(X, dtype="float32")
    got = POINTS[name](lambda a: (ad.sin(a) * 2.0 * a).sum())(x)
    assert {str(leaf.dtype) for leaf in flatten(got)[0]} == {"float32"}


def test_numbers(backend):
    value, slope = ad.value_and_grad(lambda x: x**3)(2.0)
    assert (float(value), float(slope)) == (8.0, 12.0)
    assert float(ad.grad(lambda x: (x * x.conj()).real, has_aux=False)(1 + 2j).imag) == 4.0
    assert [float(g) for g in ad.grad(lambda a, b: a * b, (0, 1))(2.0, 3.0)] == [3.0, 2.0]
    assert ad.jacfwd(lambda x: x * ad.ones(2))(2.0).shape == (2,)
    assert ad.hessian(lambda x: x**3)(2.0).shape == ()


def test_leaves_that_are_no_numbers_are_passed_on(backend):
    def f(options, x):
        return (x**2).sum() * options["scale"] if options["kind"] == "square" else x.sum()

    x = np.asarray(X)
    np.testing.assert_allclose(np.asarray(ad.grad(f, 1)({"kind": "square", "scale": 3.0}, x)), 6 * X)
    found = ad.grad(f)({"kind": "square", "scale": 3.0}, x)
    assert found["kind"] is None and float(found["scale"]) == pytest.approx((X**2).sum())


@pytest.mark.parametrize("transform", [ad.jacfwd, ad.jacrev], ids=["jacfwd", "jacrev"])
@pytest.mark.parametrize("output", ["bool", "int64"])
def test_outputs_that_do_not_move_have_zero_entries_of_the_input_s_dtype(backend, transform, output):
    got = transform(lambda x: (ad.astype(x > 0, getattr(ad, output)), x[0]))(ad.asarray(X))
    assert got[0].shape == (3, 3) and got[0].dtype == ad.float64 and got[0].tolist() == [[0.0] * 3] * 3
    assert got[1].tolist() == [1.0, 0.0, 0.0]


# --- what stays ---


def test_vjp_and_linearize_keep_the_point_when_its_owner_writes_into_the_array():
    x = X.copy()
    _, pull = ad.vjp(lambda a: a**3, x)
    _, push = ad.linearize(lambda a: a**3, x)
    x[:] = 100.0
    np.testing.assert_allclose(pull(np.ones(3))[0], 3 * X**2)
    np.testing.assert_allclose(push(np.ones(3)), 3 * X**2)
    np.testing.assert_allclose(pull(np.ones(3))[0], 3 * X**2)


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 100])
def test_chunks_change_nothing(backend, chunk_size):
    for f, x in ((lambda a: ad.sin(a) * a[0], X), (lambda z: z * ad.conj(z[::-1]) + z.real, X + 1j * X[::-1])):
        x = ad.asarray(x)
        for transform in (ad.jacfwd, ad.jacrev):
            np.testing.assert_allclose(
                np.asarray(transform(f, chunk_size=chunk_size)(x)), np.asarray(transform(f)(x)), atol=1e-14
            )


COMPLEX: dict[str, Callable[[Any], Any]] = {
    "abs": lambda z: abs(z),
    "complex of real": lambda z: z.real * 1j + z.imag**2,
    "conj": lambda z: z * ad.conj(z[::-1]),
    "exp": lambda z: ad.exp(z) * z[0],
    "imag": lambda z: (z**2).imag,
    "several": lambda z: {"a": z[0] * z, "b": abs(z) ** 2},
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_jacobians_agree(backend, name):
    """Forward and reverse mode give one matrix, whether or not the function is holomorphic."""
    z = ad.asarray(X + 1j * X[::-1])
    agree(ad.jacfwd(COMPLEX[name])(z), ad.jacrev(COMPLEX[name])(z))


def test_a_complex_jacobian_s_row_of_a_real_output_is_its_gradient(backend):
    z = ad.asarray(X + 1j * X[::-1], requires_grad=True)
    f = COMPLEX["imag"]
    f(z)[1].backward()
    np.testing.assert_allclose(np.asarray(ad.jacfwd(f)(z.detach()))[1], np.asarray(z.grad))


def test_products_with_the_hessian(backend):
    def f(x, t):
        return ad.sum(ad.sin(x) * x**2) * t["s"] ** 2

    x, t = ad.asarray(X), {"s": ad.asarray(2.0)}
    v, u = ad.asarray(X[::-1].copy()), {"s": ad.asarray(3.0)}
    full = ad.hessian(f, (0, 1))(x, t)
    wanted = full[0][0] @ v + full[0][1]["s"] * u["s"], {"s": full[1]["s"][0] @ v + full[1]["s"][1]["s"] * u["s"]}
    for product in (ad.hvp, ad.vhp):
        value, got = product(f, (x, t), (v, u))
        agree(got, wanted)
        assert float(value) == pytest.approx(float(f(x, t)))
        _, alone = product(lambda x: f(x, t), x, v)
        np.testing.assert_allclose(np.asarray(alone), np.asarray(full[0][0] @ v))
        assert float(product(lambda s: s**3, 2.0)[1]) == 12.0


def test_stop_gradient(backend):
    x = ad.asarray(X)
    f = lambda t: ad.sum(t["x"] * ad.stop_gradient({"y": t["x"] ** 2, "n": None})["y"])  # noqa: E731
    for g in (ad.grad(f)({"x": x})["x"], ad.jacfwd(f)({"x": x})["x"], ad.jacrev(f)({"x": x})["x"]):
        np.testing.assert_allclose(np.asarray(g), X**2)
    assert ad.stop_gradient([1.0, "text"]) == [1.0, "text"]


# --- what is refused ---

REFUSED: dict[str, tuple[type[Exception], str, Callable[[Any], Any]]] = {
    "a class for an argument": (ad.GradientError, "argument 0 is str, by which", lambda x: ad.grad(abs)("text")),
    "a bool": (ad.GradientError, "argument 0 is bool, by which", lambda x: ad.grad(abs)(True)),
    "a complex gradient": (RuntimeError, "expected a real output, got complex", lambda x: ad.grad(abs_i)(x[0])),
    "a cotangent of another shape": (RuntimeError, "cotangent 0 has shape ()", lambda x: ad.vjp(abs, x)[1](1.0)),
    "a cotangent that is complex": (RuntimeError, "which is real", lambda x: ad.vjp(abs, x)[1](x * 1j)),
    "a cotangent, built otherwise": (TypeError, "tuple(0: *, 1: *)", lambda x: ad.vjp(lambda a: (a, a), x)[1](x)),
    "a generator": (TypeError, "got generator", lambda x: ad.grad(lambda a: (v for v in a))(x)),
    "a list of results": (RuntimeError, "got list(0: *)", lambda x: ad.grad(lambda a: [a.sum()])(x)),
    "a tangent of another shape": (RuntimeError, "tangent 0 has shape ()", lambda x: ad.jvp(abs, (x,), (1.0,))),
    "a tangent that is missing": (ValueError, "1 primals and 0 tangents", lambda x: ad.jvp(abs, (x,), ())),
    "an integer": (RuntimeError, "argument 0 has dtype int", lambda x: ad.grad(abs)(3)),
    "an integer in a tree": (RuntimeError, "argument 1['n'] has dtype int", lambda x: ad.grad(max, 1)(x, {"n": 3})),
    "argnums beyond": (ValueError, "argnums=2, but", lambda x: ad.grad(abs, 2)(x)),
    "argnums by keyword": (ValueError, "with 0 positional arguments", lambda x: ad.grad(lambda a: a.sum())(a=x)),
    "argnums of another type": (TypeError, "argnums='x'; it is", lambda x: ad.grad(abs, "x")(x)),
    "argnums twice": (ValueError, "argnums=(0, -1) names an argument twice", lambda x: ad.grad(abs, (0, -1))(x)),
    "chunks of none": (ValueError, "chunk_size=0; it must be 1 or more", lambda x: ad.jacrev(abs, chunk_size=0)(x)),
    "many elements": (RuntimeError, "a scalar, got shape (3,)", lambda x: ad.grad(abs)(x)),
    "no aux": (RuntimeError, "a pair (output, aux), got Tensor", lambda x: ad.grad(lambda a: a, has_aux=True)(x)),
    "none": (RuntimeError, "got NoneType()", lambda x: ad.grad(lambda a: None)(x)),
    "primals that are no tuple": (TypeError, "jvp: primals and tangents are tuples", lambda x: ad.jvp(abs, x, x)),
    "text": (TypeError, "output['s']: expected an array or a number, got str", lambda x: ad.jacrev(says)(x)),
    "v left out": (ValueError, "v may be left out only for one", lambda x: ad.hvp(lambda a: a.sum(), x)),
}  # fmt: skip


def abs_i(x: Any) -> Any:
    return abs(x) * 1j


def says(x: Any) -> Any:
    return {"s": "text"}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(backend, name):
    kind, told, call = REFUSED[name]
    x = ad.asarray(X, requires_grad=True)
    with pytest.raises(kind) as caught:
        call(x)
    assert told in str(caught.value) and isinstance(caught.value, ad.AutodiffError)
    assert x.grad is None
