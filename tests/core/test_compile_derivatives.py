"""`compile`: derivatives inside of compiled functions, and of them; transformations, control flow, custom functions."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.autograd import Function


def leaf(*values):
    return ad.asarray(list(values), dtype=ad.float64, requires_grad=True)


def plain(*values):
    return ad.asarray(list(values), dtype=ad.float64)


def same(a, b, rtol=1e-10):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=1e-12)


def f(x):
    return ad.sum(ad.tanh(x) * x**3 + ad.exp(-x))


def g(x, y):
    return {"product": ad.sin(x) * y, "sum": (ad.sum(x + y * y), None)}


X, Y = (0.5, -1.0, 2.0), (1.5, 0.25, -0.75)
INSIDE = {
    "grad": lambda h: ad.grad(h),
    "value_and_grad": lambda h: lambda x: ad.value_and_grad(h)(x)[1],
    "hessian": lambda h: ad.hessian(h),
    "jacrev": lambda h: ad.jacrev(ad.grad(h)),
    "jacfwd": lambda h: ad.jacfwd(h),
    "vjp": lambda h: lambda x: ad.vjp(h, x)[1](ad.asarray(2.0, dtype=ad.float64))[0],
    "jvp": lambda h: lambda x: ad.jvp(h, (x,), (x * 2,))[1],
    "vmap": lambda h: ad.vmap(lambda t: t * h(t * t)),
    "hvp": lambda h: lambda x: ad.hvp(h, (x,), (x,))[1],
    "grad of grad": lambda h: lambda x: ad.grad(lambda y: ad.sum(ad.grad(h)(y) ** 2))(x),
}


@pytest.mark.parametrize("name", INSIDE)
def test_transformations_inside_a_compiled_function(backend, name):
    function = INSIDE[name](f)
    program = ad.compile(function)
    for x in (plain(*X), plain(*Y)):
        found, expected = (np.asarray(z[0] if isinstance(z, tuple) else z) for z in (program(x), function(x)))
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert program.traces == 1


@pytest.mark.parametrize("name", INSIDE)
def test_transformations_of_a_compiled_function(backend, name):
    """The derivative is a program too, and made once."""
    program = ad.compile(f)
    of_eager, of_compiled = INSIDE[name](f), INSIDE[name](program)
    counts = []
    for x in (plain(*X), plain(*Y), plain(*X)):
        found, expected = (np.asarray(z[0] if isinstance(z, tuple) else z) for z in (of_compiled(x), of_eager(x)))
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        counts.append(program.traces)
    assert counts[0] >= 1
    assert len(set(counts)) == 1


@pytest.mark.parametrize("name", ["grad", "hessian", "vmap", "jvp"])
def test_compiled_transformations_of_compiled_functions(backend, name):
    function, program = INSIDE[name](f), ad.compile(INSIDE[name](ad.compile(f)))
    for x in (plain(*X), plain(*Y)):
        same(program(x), function(x))
    assert program.traces == 1


def test_backward_through_a_compiled_function(backend):
    program = ad.compile(g)
    counts = []
    for x, y in ((leaf(*X), leaf(*Y)), (leaf(*Y), leaf(*X)), (leaf(*X), leaf(*X))):
        found, (a, b) = [], (x.detach().requires_grad_(), y.detach().requires_grad_())
        for function, p, q in ((program, x, y), (g, a, b)):
            out = function(p * 1.0, q)
            assert out["product"].requires_grad
            assert out["product"].grad_fn is not None
            (ad.sum(out["product"] ** 2) + out["sum"][0]).backward()
            found.append(out["product"])
        same(*found)
        same(x.grad, a.grad)
        same(y.grad, b.grad)
        counts.append(program.traces)
    assert len(set(counts)) == 1


def test_backward_by_some_arguments_only(backend):
    """Which argument needs a gradient is a fact of the program."""
    program = ad.compile(lambda x, y: ad.sum(x * y * y))
    for grads in ((True, False), (False, True), (True, True), (False, False), (True, False)):
        x, y = (plain(*values).requires_grad_(need) for values, need in zip((X, Y), grads, strict=True))
        out = program(x, y)
        assert out.requires_grad == any(grads)
        if any(grads):
            out.backward()
        assert [t.grad is not None for t in (x, y)] == list(grads)
        if grads[0]:
            same(x.grad, y.detach() ** 2)
        if grads[1]:
            same(y.grad, 2 * x.detach() * y.detach())


def test_backward_twice_and_the_graph_of_a_gradient(backend):
    program = ad.compile(f)
    x = leaf(*X)
    out = program(x)
    out.backward(retain_graph=True)
    first = x.grad.clone()
    out.backward()
    same(x.grad, 2 * first)
    (dx,) = ad.autograd.grad(program(x), x, create_graph=True)
    (ddx,) = ad.autograd.grad(ad.sum(dx), x)
    z = plain(*X)
    same(ddx, ad.sum(ad.hessian(f)(z), axis=0))
    with pytest.raises(ad.GraphError):
        out.backward()


def test_no_grad_and_inference_mode_outside(backend):
    program, x = ad.compile(f), leaf(*X)
    with ad.no_grad():
        assert not program(x).requires_grad
    assert program(x).requires_grad
    with ad.inference_mode():
        assert not program(x).requires_grad
    assert program(x).requires_grad
    with ad.no_grad():
        assert not program(x).requires_grad


def test_no_grad_and_detach_inside(backend):
    @ad.compile
    def program(x):
        with ad.no_grad():
            scale = ad.sum(x * x)
        return ad.sum(x * scale) + ad.sum(x.detach() * x), scale

    x = leaf(1.0, 2.0)
    for _ in range(2):
        x.grad = None
        out, scale = program(x)
        assert not scale.requires_grad
        out.backward()
        assert x.grad.tolist() == [6.0, 7.0]


def test_an_output_that_is_an_input_or_a_constant_or_integer(backend):
    program = ad.compile(lambda x: (x, x * 2, ad.ones(2), ad.argmax(x), x > 0))
    x = leaf(1.0, 2.0)
    for _ in range(2):
        x.grad = None
        found = program(x)
        assert [y.requires_grad for y in found] == [True, True, False, False, False]
        (ad.sum(found[0]) + ad.sum(found[1])).backward()
        assert x.grad.tolist() == [3.0, 3.0]


def test_a_compiled_function_in_a_compiled_function(backend):
    inner = ad.compile(lambda x, n: x * n + 1, static_argnums=1)
    outer = ad.compile(lambda x: ad.sum(inner(x, 2) * inner(x, 3)))
    x = leaf(*X)
    for _ in range(2):
        x.grad = None
        out = outer(x)
        out.backward()
        z = x.detach()
        same(out, ad.sum((2 * z + 1) * (3 * z + 1)))
        same(x.grad, 2 * (3 * z + 1) + 3 * (2 * z + 1))
    if backend == "numpy":
        assert "multiply" in outer.source()


@pytest.mark.parametrize("transform", ["none", "grad", "vmap"])
def test_control_flow_as_data(backend, transform):
    def scanned(x):
        total, steps = ad.scan(lambda c, a: (ad.sin(c + a), c * a), x[0] * 0.0, x)
        chosen = ad.cond(total > 0.3, lambda t: t * 2, lambda t: t * t, total)
        return ad.sum(steps) + chosen

    def looped(x):
        return ad.sum(ad.fori_loop(0, 3, lambda i, y: y * 1.5 + i, x))

    for function in (scanned, looped):
        whole = {"none": lambda h: h, "grad": ad.grad, "vmap": lambda h: ad.vmap(lambda t: h(ad.stack([t, t * t])))}
        eager, program = whole[transform](function), ad.compile(whole[transform](function))
        for x in (plain(*X), plain(*Y)):
            same(program(x), eager(x))
        assert program.traces == 1


def test_a_while_loop_ends_where_the_values_say(backend):
    def function(x):
        return ad.while_loop(lambda s: ad.sum(s[0]) < 100.0, lambda s: (s[0] * 2.0, s[1] + 1), (x, ad.asarray(0)))

    program = ad.compile(function)
    for scale in (1.0, 10.0, 200.0):
        (x, n), (y, m) = program(ad.ones(2) * scale), function(ad.ones(2) * scale)
        same(x, y)
        assert n.item() == m.item()
    assert program.traces == 1


class Cube(Function):
    """x³, with a derivative that says that it was used: three times too large."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, t):
        (x,) = ctx.saved_tensors
        return 9 * x**2 * t


def test_custom_functions_inside(backend):
    inside = ad.compile(lambda x: ad.grad(lambda y: ad.sum(Cube.apply(y)))(x))
    outside = ad.compile(lambda x: ad.sum(Cube.apply(x)))
    for values in (X, Y):
        same(inside(plain(*values)), 9 * plain(*values) ** 2)
        x = leaf(*values)
        outside(x).backward()
        same(x.grad, 9 * x.detach() ** 2)


def test_custom_rules_inside(backend):
    @ad.custom_jvp
    def h(x):
        return ad.sin(x)

    h.defjvp(lambda primals, tangents: (ad.sin(primals[0]), 5 * tangents[0]))
    program = ad.compile(lambda x: ad.jvp(h, (x,), (ad.ones(3, dtype=ad.float64),))[1])
    for values in (X, Y):
        assert program(plain(*values)).tolist() == [5.0, 5.0, 5.0]


def test_checkpoint_inside(backend):
    def function(x):
        return ad.sum(ad.checkpoint(lambda y: ad.exp(ad.sin(y)), x) ** 2)

    program, derivative = ad.compile(function), ad.compile(ad.grad(function))
    for values in (X, Y):
        x = leaf(*values)
        program(x).backward()
        expected = ad.grad(function)(plain(*values))
        same(x.grad, expected)
        same(derivative(plain(*values)), expected)


def test_a_loop_of_gradient_descent_is_traced_once(backend):
    @ad.compile
    def step(params, data):
        loss, grads = ad.value_and_grad(lambda p: ad.mean((data @ p["w"] + p["b"]) ** 2))(params)
        return {k: params[k] - 0.1 * grads[k] for k in params}, loss

    params = {"w": plain(*X), "b": plain(0.5)[0]}
    data = ad.reshape(plain(*X, *Y), (2, 3))
    losses = []
    for _ in range(5):
        params, loss = step(params, data)
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert step.traces == 1
