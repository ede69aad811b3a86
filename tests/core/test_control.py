"""Loops and branches that compile: what JAX's give, in values and derivatives, in one node, on every backend."""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass
class Slot:
    h: object
    more: object


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


# --- in a graph ---


def scanned(w, xs):
    h, ys = ad.scan(lambda h, x: (ad.tanh(w * h + x), h.sum()), ad.zeros(3), xs)
    return h.sum() + (ys**2).sum()


def leaf(values=V):
    return ad.tensor(values, requires_grad=True)


def test_a_second_pass_recomputes_or_finds_what_was_retained(backend):
    w, xs = leaf(), ad.asarray(XS)
    y = scanned(w, xs)
    y.backward(retain_graph=True)
    first = w.grad.clone()
    y.backward()
    np.testing.assert_allclose(host(w.grad), 2 * host(first))
    with pytest.warns(ad.RecomputeWarning):
        y.backward()
    np.testing.assert_allclose(host(w.grad), 3 * host(first))


def test_gradients_of_gradients_by_autograd():
    w, xs = leaf(), ad.asarray(XS)
    assert ad.autograd.gradcheck(lambda w, xs: scanned(w, xs), (w, leaf(XS)))
    assert ad.autograd.gradgradcheck(lambda w: scanned(w, xs), (w,))


def test_nothing_is_recorded_where_nothing_is_wanted(backend):
    w = leaf()
    with ad.no_grad():
        assert not scanned(w, ad.asarray(XS)).requires_grad
    carry, ys = ad.scan(lambda c, x: (c + 1, (w * x, x)), 0, ad.asarray(XS))
    assert not carry.requires_grad and ys[0].requires_grad and not ys[1].requires_grad


def test_complex_numbers():
    z = leaf(V + 1j * V[::-1])
    xs = XS + 1j * XS[::-1]
    abs(ad.scan(lambda h, x: (z * h * x + x, None), z, xs)[0]).sum().backward()
    got, z.grad, h = z.grad, None, z
    for x in xs:
        h = z * h * x + x
    abs(h).sum().backward()
    np.testing.assert_allclose(got.numpy(), z.grad.numpy())


def test_hooks_on_what_is_closed_over_are_called_once():
    w, calls = leaf(), []
    v = w * 2
    for x in (v, w):
        x.register_hook(calls.append)
    ad.scan(lambda h, x: (ad.tanh(v * h + x * w), None), np.zeros(3), XS)[0].sum().backward()
    np.testing.assert_allclose(calls[1].numpy(), w.grad.numpy())
    assert len(calls) == 2


def test_what_is_saved_can_be_kept_elsewhere():
    w, shapes = leaf(), []
    with ad.autograd.graph.saved_tensors_hooks(lambda x: (shapes.append(tuple(x.shape)), x)[1], lambda x: x):
        h, _ = ad.scan(lambda h, x: (ad.tanh(w * h + x), None), np.zeros(3), XS)
    h.sum().backward()
    assert shapes == [(4, 3), (4, 3)]  # xs and the carries
    kept, w.grad = w.grad, None
    ad.checkpoint(lambda w: ad.scan(lambda h, x: (ad.tanh(w * h + x), None), np.zeros(3), XS)[0])(w).sum().backward()
    np.testing.assert_allclose(kept.numpy(), w.grad.numpy())


def test_a_function_is_remembered_as_it_was(backend):
    leaves = [leaf(i + 1.0) for i in range(3)]
    y = ad.asarray([1.0, 1.0])
    for w in leaves:
        _, y = ad.scan(lambda c, x: (c, x * w), 0.0, y)  # noqa: B023
    y.sum().backward()
    assert [float(w.grad) for w in leaves] == [12.0, 6.0, 4.0]
    u = leaf()
    y = scanned(u, ad.asarray(XS))
    y.backward(retain_graph=True)
    before, u.grad = u.grad, None
    with ad.no_grad():
        u.mul_(2)
    y.backward()
    np.testing.assert_allclose(host(u.grad), host(before))


def test_what_changed_where_nobody_looks_is_an_error():
    class Cell:
        weight = leaf()

    held = Cell()
    h, _ = ad.scan(lambda h, x: (ad.tanh(held.weight * h + x), None), np.zeros(3), XS)
    with ad.no_grad():
        held.weight.mul_(2)
    with pytest.raises(ad.GraphError, match="changed in place"):
        h.sum().backward()
    one, other = leaf(), leaf()

    def fickle(h, x):
        return ad.tanh(h * (one if float(x.detach().sum()) > 0 else other)), None

    h, _ = ad.scan(fickle, np.ones(3), XS)
    with pytest.raises(ad.GraphError, match=r"choose with cond or where"):
        h.sum().backward()


def test_chance_is_refused_where_the_pass_backward_would_draw_again():
    w = leaf(1.0)
    with pytest.raises(ad.GraphError, match="draws random numbers"):
        ad.scan(lambda c, x: (c * ad.rand(), None), w, length=3)
    ad.manual_seed(0)
    _, ys = ad.scan(lambda c, x: (c, ad.rand()), 1.0, length=3)  # without a gradient each step draws
    ad.manual_seed(0)
    assert ys.tolist() == [float(ad.rand()) for _ in range(3)]


def test_assignments_and_views_in_a_step(backend):
    def f(c, x):
        c = c * 1.0
        c[0] = c[0] * x[1]
        c += x
        part = c[1:]
        part *= x[0]
        return c, c[::-1]

    def unrolled(c):
        ys = []
        for x in XS:
            c, y = f(c, ad.asarray(x))
            ys.append(y)
        return c, ad.stack(ys)

    def gradient(run):
        w = leaf()
        c, ys = run(w)
        (c.sum() + (ys**2).sum()).backward()
        return host(w.grad)

    np.testing.assert_allclose(gradient(lambda c: ad.scan(f, c, ad.asarray(XS))), gradient(unrolled))


def test_transformations_inside_a_step(backend):
    def inner(w, x):
        return ad.vmap(lambda a: (a * w).sum())(ad.stack([x, x * 2])).sum() + (w**3).sum() * x[0]

    def f(w, x):
        return w - 0.1 * ad.grad(inner)(w, x), None

    def unrolled(w):
        for x in XS:
            w, _ = f(w, ad.asarray(x))
        return (w**2).sum()

    got = ad.grad(lambda w: (ad.scan(f, w, ad.asarray(XS))[0] ** 2).sum())(ad.asarray(V))
    np.testing.assert_allclose(host(got), host(ad.grad(unrolled)(ad.asarray(V))), rtol=1e-10)


# --- scan: forms and errors ---


def test_trees_come_back_as_they_went(backend):
    def f(carry, x):
        return Slot(carry.h + x["a"], (carry.more[0] * 2, None)), State(x["a"], [carry.h])

    carry, ys = ad.scan(f, Slot(ad.zeros(2), (1.0, None)), {"a": ad.ones((3, 2))}, reverse=True)
    assert isinstance(carry, Slot) and isinstance(ys, State)
    assert host(carry.h).tolist() == [3, 3] and float(carry.more[0]) == 8 and carry.more[1] is None
    assert host(ys.n[0]).tolist() == [[2, 2], [1, 1], [0, 0]]


def test_raw_arrays_in_raw_arrays_out():
    carry, ys = ad.scan(lambda c, x: (c + x, c), np.zeros(2), np.ones((3, 2)))
    assert type(carry) is type(ys) is np.ndarray
    assert type(ad.fori_loop(0, 3, lambda i, c: c + i, np.zeros(2))) is np.ndarray
    assert type(ad.while_loop(lambda c: c.sum() < 4, lambda c: c + 1, np.zeros(2))) is np.ndarray
    assert type(ad.cond(True, lambda x: x + 1, lambda x: x, np.zeros(2))) is np.ndarray


@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps(backend, steps):
    w = leaf()
    c, ys = ad.scan(lambda c, x: (c * x, c.sum() + x), w, ad.asarray(XS)[:steps])
    assert tuple(ys.shape) == (steps, 3)
    (c.sum() + ys.sum()).backward()
    assert host(w.grad).tolist() == ([1, 1, 1] if steps == 0 else (XS[0] + 3).tolist())


def test_numbers_take_the_form_of_arrays(backend):
    xs = ad.asarray(np.ones(3, dtype=np.float32))
    total, ys = ad.scan(lambda c, x: (c + x, c), 0.0, xs)
    assert total.dtype == ys.dtype == xs.dtype
    total, _ = ad.scan(lambda c, x: (c + x.sum(), None), 0, ad.asarray(XS))
    assert total.dtype == ad.asarray(XS).dtype
    n, _ = ad.scan(lambda c, x: (c + 1, None), 0, xs)
    assert n.dtype == ad.asarray(0).dtype and int(n) == 3
    flag, _ = ad.scan(lambda c, x: (True, None), ad.asarray(False), xs)
    assert bool(flag)


ERRORS = {
    "a carry of another dtype": (
        lambda: ad.scan(lambda c, x: ({"a": c["a"] + x}, None), {"a": np.zeros(3, dtype=np.float32)}, XS),
        ad.OutputError, r"carry\['a'\] must keep its shape and dtype .* float32\(3,\) .* float64\(3,\)",
    ),
    "a carry of another shape": (
        lambda: ad.while_loop(lambda c: c.sum() < 9, lambda c: c.sum(), np.zeros(3)),
        ad.OutputError, r"while_loop: carry must keep .* float64\(3,\) .* float64\(\)",
    ),
    "a carry of another structure": (
        lambda: ad.scan(lambda c, x: ((c, c), None), np.zeros(3), XS), ad.TreeError, "carry must keep its structure",
    ),
    "a carry with another key": (
        lambda: ad.scan(lambda c, x: ({"b": c["a"]}, None), {"a": 1.0}, XS), ad.TreeError, r"dict\('a': \*\)|a: \*",
    ),
    "no pair": (lambda: ad.scan(lambda c, x: c, 0.0, XS), ad.OutputError, "returns a pair"),
    "lengths that differ": (
        lambda: ad.scan(lambda c, x: (c, None), 0.0, (XS, XS[:2])), ad.ArgumentError, r"4 in xs\[0\], 2 in xs\[1\]",
    ),
    "another length": (lambda: ad.scan(lambda c, x: (c, None), 0.0, XS, 3), ad.ArgumentError, "3 in length, 4 in xs"),
    "no length": (lambda: ad.scan(lambda c, x: (c, None), 0.0), ad.ArgumentError, "length= must say"),
    "a negative length": (lambda: ad.scan(lambda c, x: (c, None), 0.0, length=-1), ad.ArgumentError, "length=-1"),
    "no axis": (lambda: ad.scan(lambda c, x: (c, None), 0.0, 1.0), ad.ArgumentError, "no axis of steps"),
    "a turn of none": (lambda: ad.scan(lambda c, x: (c, None), 0.0, XS, unroll=0), ad.ArgumentError, "unroll=0"),
    "no array": (lambda: ad.scan(lambda c, x: (c, "y"), 0.0, XS), ad.ArgumentTypeError, "got str"),
    "many truths": (lambda: ad.cond(np.ones(2) > 0, ad.sin, ad.cos, 1.0), ad.OperandError, r"one truth value .*\(2,\)"),
    "many truths of a loop": (
        lambda: ad.while_loop(lambda c: c < 9, lambda c: c + 1, np.zeros(2)), ad.OperandError, "with any",
    ),
    "a bound that is no integer": (
        lambda: ad.fori_loop(0, 2.5, lambda i, c: c, 0.0), ad.ArgumentTypeError, "integer for a bound, got float",
    ),
    "a negative bound": (
        lambda: ad.while_loop(lambda c: c < 9, lambda c: c, 0.0, max_steps=-1), ad.ArgumentError, "max_steps=-1",
    ),
    "branches of two dtypes": (
        lambda: ad.vmap(lambda p: ad.cond(p, lambda x: x, lambda x: x.astype(ad.float32), np.ones(2)))(V > 0),
        ad.OutputError, r"result is float64\(2,\) in one branch and float32\(2,\)",
    ),
    "branches of two structures": (
        lambda: ad.vmap(lambda p: ad.cond(p, lambda x: x, lambda x: (x, x), np.ones(2)))(V > 0),
        ad.OutputError, "one branch returned",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_names_the_leaf_and_both(case):
    run, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        run()


# --- cond, while_loop, fori_loop ---


def test_numpy_runs_one_branch_and_its_gradients_flow():
    a, b, ran = leaf(2.0), leaf(3.0), []

    def one(a, b):
        ran.append("one")
        return a * a

    def other(a, b):
        raise AssertionError

    y = ad.cond(a < b, one, other, a, b)
    assert ran == ["one"]
    y.backward()
    assert float(a.grad) == 4.0 and b.grad is None
    grads = ad.grad(lambda a, b: ad.cond(a < b, lambda a, b: a * a, lambda a, b: b, a, b), argnums=(0, 1))(2.0, 3.0)
    assert [float(g) for g in grads] == [4.0, 0.0]


def test_what_only_a_later_branch_uses_counts():
    def f(v):
        def step(c, x):
            return ad.cond(c.sum() > 3.5, lambda c: c * v, lambda c: c + 1, c), c

        return ad.scan(step, np.zeros(2), length=4)[0]

    v = np.asarray([1.0, 2.0])
    assert ad.grad(lambda v: f(v).sum())(v).tolist() == ad.jvp(f, (v,), (np.ones(2),))[1].tolist() == [4, 8]
    assert ad.vmap(f)(np.stack([v, v + 2])).tolist() == [[2, 8], [18, 32]]
    for transform, kind in ((ad.vmap, ad.BatchingError), (lambda g: lambda v: ad.jvp(g, (v,), (v,)), ad.GradientError)):
        with pytest.raises(kind, match="cond or where instead of if"):
            transform(lambda v: ad.scan(lambda c, x: (c * v.sum() if x > 1 else c, c), 1.0, np.arange(4))[1])(v)


def test_a_predicate_that_differs_takes_from_both(backend):
    xs = ad.asarray([-1.0, 0.5, 2.0])
    f = ad.vmap(lambda x: ad.cond(x > 0, lambda x: x * x, lambda x: -3 * x, x))
    assert host(f(xs)).tolist() == [3.0, 0.25, 4.0]
    g = ad.vmap(ad.grad(lambda x: ad.cond(x > 0, lambda x: x * x, lambda x: -3 * x, x)))
    assert host(g(xs)).tolist() == [-3.0, 1.0, 4.0]


def test_who_is_done_stands_still(backend):
    xs = ad.asarray([1.0, 3.0, 20.0])
    double = ad.vmap(lambda x: ad.while_loop(lambda c: c[1] < 10, lambda c: (c[0] + 1, c[1] * 2), (0, x)))
    steps, values = double(xs)
    assert host(steps).tolist() == [4, 2, 0] and host(values).tolist() == [16, 12, 20]
    g = ad.vmap(ad.grad(lambda x: ad.while_loop(lambda c: c < 10, lambda c: c * 2, x, max_steps=6)))
    assert host(g(xs)).tolist() == [16, 4, 1]


def test_without_a_bound_a_loop_goes_forward_only(backend):
    def f(x):
        return ad.while_loop(lambda c: c < 10, lambda c: c * x, x)

    x = leaf(2.0)
    y = f(x)
    assert float(y.detach()) == 16.0
    with pytest.raises(ad.GraphError, match=r"max_steps=, or use scan"):
        y.backward()
    assert x.grad is None
    assert float(ad.jvp(f, (2.0,), (1.0,))[1]) == 32.0
    n, z = ad.asarray([1, 3]), ad.asarray([1.0, 1.0])
    loop = ad.vmap(lambda n, z: ad.fori_loop(0, n, lambda i, c: c * 2 + i, z))
    assert host(loop(n, z)).tolist() == [2, 12]
    with pytest.raises(ad.GraphError, match="max_steps"):
        ad.grad(lambda z: loop(n, z).sum())(z)


def test_a_bound_ends_a_loop(backend):
    assert float(ad.while_loop(lambda c: c > 0, lambda c: c + 1, ad.asarray(1.0), max_steps=5)) == 6.0
    x = leaf(1.5)
    y = ad.while_loop(lambda c: c > 0, lambda c: c * x, x, max_steps=3)
    y.backward()
    assert float(y.detach()) == 1.5**4 and float(x.grad) == 4 * 1.5**3


def test_a_step_that_makes_no_sense_is_not_run():
    xs = np.ones(0)
    n, total = ad.while_loop(lambda c: c[0] < 0, lambda c: (c[0] + 1, c[1] + xs[int(c[0])]), (0, 0.0))
    assert int(n) == 0 and float(total) == 0.0


def test_loops_over_a_range(backend):
    assert int(ad.fori_loop(2, 5, lambda i, c: c + i, 0)) == 9
    assert float(ad.fori_loop(5, 2, lambda i, c: c * 0, 7.0)) == 7.0
    assert float(ad.fori_loop(ad.asarray(0), np.int64(3), lambda i, c: c + i, 0.5)) == 3.5
    x = leaf(1.5)
    ad.fori_loop(0, 3, lambda i, c: c * x, x).backward()
    assert float(x.grad) == 4 * 1.5**3


def test_bounds_that_are_traced(backend):
    jax = pytest.importorskip("jax")
    f = jax.jit(lambda n, x: ad.fori_loop(0, n, lambda i, c: c * 2 + i, x))
    assert float(f(3, 1.0)) == 12.0


def test_jax_differentiates_what_is_not_differentiated_here():
    jax = pytest.importorskip("jax")
    f = lambda x: ad.scan(lambda c, y: (c * x + y, None), x, jax.numpy.asarray([1.0, 2.0]))[0]  # noqa: E731
    assert float(jax.grad(f)(3.0)) == float(ad.grad(f)(jax.numpy.asarray(3.0))) == 28.0
