"""Loops and branches that compile: what JAX's give, in values and derivatives, in one node, on every backend."""

from __future__ import annotations

import re
import tracemalloc
from collections import namedtuple

import numpy as np
import pytest

import autodiff_api as ad

V = np.asarray([0.3, -0.2, 0.5])
W = np.asarray([[0.2, -0.4, 0.1], [0.5, 0.3, -0.2], [-0.1, 0.6, 0.4]])
XS = np.asarray([[0.9, -0.5, 0.3], [-1.1, 0.2, 0.4], [0.1, 0.8, -0.6], [0.7, 0.3, 0.2]])
State = namedtuple("State", "a n")


# --- functions of a vector, said once in the words that we share with JAX: `m` has the loops, `np` the functions ---


def rnn(m, xp, v, w, xs):
    def f(h, x):
        h = xp.tanh(w @ h + x * v)
        return h, (h * v).sum()

    h, ys = m.scan(f, v * 0.5, xs)
    return h + ys.sum()


def from_a_constant(m, xp, v, w, xs):
    return m.scan(lambda h, x: (xp.tanh(w @ h + x * v), None), xs[0], xs, reverse=True)[0]


def with_trees(m, xp, v, w, xs):
    def f(carry, x):
        a, n = carry
        return State(a * x["p"][0] + xp.tanh(x["q"]).sum(), n + 1), {"y": [a * x["q"], None], "n": n}

    carry, ys = m.scan(f, State(v[0], 0), {"p": xp.stack([v, v * 2.0]), "q": xs[:2]}, unroll=2)
    return v * carry.a * carry.n + ys["y"][0].sum() * ys["n"][-1]


def nested(m, xp, v, w, xs):
    def outer(c, x):
        d, e = m.scan(lambda d, z: (d * z + v.sum() * 0.1, d), c[0], x)
        return c * d * 0.3, e.sum()

    c, e = m.scan(outer, v, xs)
    return c + e.sum()


def counted(m, xp, v, w, xs):
    return m.fori_loop(1, 4, lambda i, c: xp.tanh(c * v) + i * 0.1 + xs[i], v)


def branching(m, xp, v, w, xs):
    one = m.cond(v.sum() > 0.2, lambda a: xp.tanh(a) * v, lambda a: a * a * a + v, v * 2.0)
    return one + m.cond(v[0] > 9.0, lambda a: a * v, lambda a: a**3, v)


def cond_in_scan(m, xp, v, w, xs):
    def f(h, x):
        h = m.cond(x.sum() > 0, lambda h: xp.tanh(w @ h), lambda h: h * v, h)
        return h, h

    h, ys = m.scan(f, v, xs)
    return h + ys.sum()


def scan_in_cond(m, xp, v, w, xs):
    return m.cond(v[0] < 10.0, lambda a: m.scan(lambda c, x: (c * x + v, None), a, xs)[0], lambda a: a, v)


def branch_that_moves(m, xp, v, w, xs):
    return m.scan(lambda c, x: (m.cond(c.sum() > 0.4, lambda c: c * v, lambda c: c + x * x, c), c), v, xs)[0]


def repeated(m, xp, v, w, xs):
    return m.while_loop(lambda c: (c[1] ** 2).sum() < 20.0, lambda c: (c[0] + 1, c[1] * 1.5 + v * 0.3), (0, v))[1]


FUNCTIONS = (
    branch_that_moves, branching, cond_in_scan, counted, from_a_constant, nested, repeated, rnn, scan_in_cond,
    with_trees,
)  # fmt: skip
BOUND = 12  # more steps than `repeated` takes


class Bounded:
    """Our loops, `while_loop` with a bound."""

    scan, cond, fori_loop = staticmethod(ad.scan), staticmethod(ad.cond), staticmethod(ad.fori_loop)
    while_loop = staticmethod(lambda *args: ad.while_loop(*args, max_steps=BOUND))


def theirs(f):
    """Return a function of the table with JAX's own loops; a while loop that can't go backward there is unrolled."""
    import jax
    import jax.numpy as jnp

    def unrolled(cond, body, carry):
        for _ in range(BOUND):
            new, go = body(carry), cond(carry)
            carry = jax.tree.map(lambda a, b, go=go: jnp.where(go, a, b), new, carry)
        return carry

    class Loops:
        scan, cond = staticmethod(jax.lax.scan), staticmethod(jax.lax.cond)
        fori_loop, while_loop = staticmethod(jax.lax.fori_loop), staticmethod(unrolled)

    return lambda v: f(Loops, jnp, v, jnp.asarray(W), jnp.asarray(XS))


def ours(f, backend):
    xp = ad.namespace(backend)
    w, xs = xp.asarray(W), xp.asarray(XS)
    return lambda v: f(Bounded, ad, v, w, xs)


TRANSFORMS = {
    "grad": lambda g, xp, f: g.grad(lambda v: (f(v) ** 2).sum()),
    "jacfwd": lambda g, xp, f: lambda v: g.jacfwd(f)(v).sum(0),
    "jacrev": lambda g, xp, f: lambda v: g.jacrev(f)(v).sum(0),
    "jvp": lambda g, xp, f: lambda v: g.jvp(f, (v,), (v * 0.0 + 0.7,))[1],
    "vmap": lambda g, xp, f: lambda v: g.vmap(f)(xp.stack([v, v * 0.5, -v])).sum(0),
}


def composed(names, g, xp, f):
    for name in reversed(names):
        f = TRANSFORMS[name](g, xp, f)
    return f


def host(x):
    return np.asarray(x.detach() if isinstance(x, ad.Tensor) else x)


DEEP = [
    ("grad", "grad"), ("grad", "vmap"), ("vmap", "grad"), ("jvp", "grad"), ("grad", "jvp"), ("jacfwd", "jacrev"),
    ("jacrev", "jacfwd"), ("vmap", "jvp"), ("jvp", "vmap"), ("vmap", "vmap"),
]  # fmt: skip
DEEPEST = [("grad", "vmap", "grad"), ("vmap", "grad", "jvp"), ("jvp", "jacrev", "vmap")]


@pytest.mark.parametrize("names", [(), *((name,) for name in TRANSFORMS)], ids="-".join)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_it_is_what_jax_gives(f, names):
    compare("numpy", f, names)


@pytest.mark.parametrize("names", [(), ("grad",), ("jvp",), ("vmap",)], ids="-".join)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_it_is_what_jax_gives_where_it_compiles(f, names):
    compare("jax", f, names)


@pytest.mark.parametrize("names", DEEP, ids="-".join)
@pytest.mark.parametrize("f", [cond_in_scan, nested, repeated, rnn])
def test_transformations_of_transformations_on_numpy(f, names):
    compare("numpy", f, names)


@pytest.mark.parametrize("names", [("grad", "grad"), ("vmap", "grad"), ("jvp", "grad")], ids="-".join)
@pytest.mark.parametrize("f", [cond_in_scan, repeated])
def test_transformations_of_transformations_that_compile(f, names):
    compare("jax", f, names)


@pytest.mark.parametrize("names", DEEPEST, ids="-".join)
@pytest.mark.parametrize("f", [branch_that_moves, rnn])
def test_three_transformations(f, names):
    compare("numpy", f, names)


def compare(backend, f, names):
    jax = pytest.importorskip("jax")
    before = jax.config.values["jax_enable_x64"]
    jax.config.update("jax_enable_x64", True)
    try:
        with ad.use_backend(backend):
            want = np.asarray(composed(names, jax, jax.numpy, theirs(f))(jax.numpy.asarray(V)))
            got = composed(names, ad, ad, ours(f, backend))(V if backend == "numpy" else jax.numpy.asarray(V))
    finally:
        jax.config.update("jax_enable_x64", before)
    assert host(got).dtype == want.dtype
    np.testing.assert_allclose(host(got), want, rtol=1e-10, atol=1e-12)


# --- one node, and what it costs ---


def cell(w, u):
    return lambda h, x: (ad.tanh(h @ w + x @ u), None)


def weights(xp, d=6):
    rng = np.random.default_rng(0)
    return [xp.asarray(rng.normal(size=(d, d)) * 0.3, requires_grad=True) for _ in range(2)]


def test_an_rnn_of_2000_steps_has_the_gradient_of_the_unrolled_one():
    xp = ad.namespace("numpy")
    xs = np.random.default_rng(1).normal(size=(2000, 6))
    w, u = weights(xp)
    h, _ = ad.scan(cell(w, u), np.zeros(6), xs)
    h.sum().backward()
    scanned = w.grad.numpy(), u.grad.numpy()
    w.grad = u.grad = None
    h, step = xp.zeros(6), cell(w, u)
    for x in xs:
        h, _ = step(h, xp.asarray(x))
    h.sum().backward()
    np.testing.assert_allclose(scanned[0], w.grad.numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(scanned[1], u.grad.numpy(), rtol=1e-10, atol=1e-12)


def nodes_of(y):
    seen, stack = {}, [y.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and id(node) not in seen:
            seen[id(node)] = node
            stack += [n for n, _ in node.next_functions]
    return sorted(node.name() for node in seen.values())


def test_a_scan_is_one_node(backend):
    xp = ad.namespace(backend)
    w, u = weights(xp)
    h, _ = ad.scan(cell(w, u), xp.zeros(6), xp.ones((50, 6)))
    assert nodes_of(h) == ["AccumulateGrad", "AccumulateGrad", "Scan"]
    (g,) = ad.autograd.grad((h**2).sum(), w, create_graph=True)
    assert nodes_of(g).count("Scan") == 2  # forward, and backward


def test_choices_and_bounded_loops_are_one_node():
    pytest.importorskip("jax")
    x = ad.namespace("jax").asarray(2.0, requires_grad=True)
    assert nodes_of(ad.cond(x > 1, lambda x: ad.sin(ad.exp(x)), lambda x: x, x)) == ["AccumulateGrad", "Cond"]
    y = ad.while_loop(lambda y: y < 100.0, lambda y: y * y, x, max_steps=9)
    assert nodes_of(y) == ["AccumulateGrad", "Scan"]


def test_the_pass_backward_keeps_one_carry_for_each_step():
    xp = ad.namespace("numpy")
    w, _ = weights(xp, 64)
    xs = np.random.default_rng(1).normal(size=(400, 64))

    def step(h, x):
        for _ in range(5):  # ten intermediate arrays of the carry's size
            h = ad.tanh(h @ w + x)
        return h, None

    def peak():
        tracemalloc.start()
        h, _ = ad.scan(step, np.zeros(64), xs)
        h.sum().backward()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak()
    assert peak() < 5 * 400 * 64 * 8  # of carries, and of xs


def test_compiling_takes_no_longer_for_more_steps():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def loss(w, xs):
        return ad.scan(lambda h, x: (ad.tanh(h @ w + x), None), jnp.zeros(6), xs)[0].sum()

    def reference(w, xs):
        return jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), None), jnp.zeros(6), xs)[0].sum()

    texts = []
    w = jnp.asarray(np.random.default_rng(0).normal(size=(6, 6)) * 0.3)
    for steps in (20, 2000):
        xs = jnp.asarray(np.random.default_rng(1).normal(size=(steps, 6)))
        compiled = jax.jit(ad.grad(loss)).lower(w, xs)
        texts.append(re.sub(r"\d+", "N", compiled.as_text()))
        got = compiled.compile()(w, xs)
        np.testing.assert_allclose(got, jax.jit(jax.grad(reference))(w, xs), rtol=1e-4, atol=1e-6)
    assert texts[0] == texts[1] and "while" in texts[0]


def test_the_engine_gets_the_loop_and_numpy_none():
    jax = pytest.importorskip("jax")
    xs = jax.numpy.ones(7)
    text = str(jax.make_jaxpr(lambda x: ad.scan(lambda c, x: (c * x, None), x, xs)[0])(2.0))
    assert "scan[" in text and "length=7" in text
    text = str(jax.make_jaxpr(lambda x: ad.while_loop(lambda c: c < 9.0, lambda c: c * 2, x))(2.0))
    assert "while[" in text
    text = str(jax.make_jaxpr(lambda x: ad.cond(x < 9.0, ad.sin, ad.cos, x))(2.0))
    assert "cond[" in text
    assert not ad.namespace("numpy")._backend.control
