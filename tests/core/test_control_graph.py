"""Loops and branches in a recorded graph: passes that come again, hooks, what their functions close over."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import autodiff_api as ad

V = np.asarray([0.3, -0.2, 0.5])
XS = np.asarray([[0.9, -0.5, 0.3], [-1.1, 0.2, 0.4], [0.1, 0.8, -0.6], [0.7, 0.3, 0.2]])


def host(x):
    return np.asarray(x.detach() if isinstance(x, ad.Tensor) else x)


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


def test_a_graph_is_freed_at_once(backend):
    w = leaf()
    gc.collect()
    gc.disable()
    try:
        y = scanned(w, ad.asarray(XS))
        (g,) = ad.autograd.grad(y, w, create_graph=True)
        nodes = [weakref.ref(y.grad_fn), weakref.ref(g.grad_fn)]
        g.sum().backward()
        del y, g
        assert [node() for node in nodes] == [None, None]
    finally:
        gc.enable()


def test_many_cotangents_at_once_and_only_some_inputs(backend):
    def f(x, z):
        return ad.scan(lambda c, v: (c + v * z.sum(), c * v), 0.0, x)

    x, eye = leaf([1.0, 2.0]), ad.asarray(np.eye(2))
    _, ys = f(x, x)
    (rows,) = ad.autograd.grad(ys, x, eye, is_grads_batched=True, create_graph=True)
    assert host(rows).tolist() == [[0, 0], [8, 5]]
    (g,) = ad.autograd.grad((rows**2).sum(), x)
    jacobian = ad.jacrev(lambda x: f(x, x)[1])
    np.testing.assert_allclose(host(g), host(ad.grad(lambda x: (jacobian(x) ** 2).sum())(x.detach())))
    z = x * 2
    c, _ = f(x, z)
    (t,) = ad.autograd.grad(c, z, retain_graph=True)
    assert host(t).tolist() == [3, 3]
    assert [host(t).tolist() for t in ad.autograd.grad(c, [z, x])] == [[3, 3], [12, 12]]


class Crooked(ad.autograd.Function):
    """sin, with twice its derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return ad.sin(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g * ad.cos(x)


def test_custom_functions_and_checkpoints_in_a_step(backend):
    def loss(x, f):
        return ad.scan(lambda c, _: (f(c) * x, None), x, length=3)[0]

    x = ad.asarray(0.5)
    plain = ad.grad(loss)(x, lambda c: ad.sin(ad.exp(c)))
    np.testing.assert_allclose(host(ad.grad(loss)(x, ad.checkpoint(lambda c: ad.sin(ad.exp(c))))), host(plain))
    by_hand, c, slope = 0.0, 0.5, 1.0
    for _ in range(3):
        slope, c = 2 * np.cos(c) * slope * 0.5 + np.sin(c), np.sin(c) * 0.5
        by_hand = slope
    np.testing.assert_allclose(host(ad.grad(loss)(x, Crooked.apply)), by_hand)


def test_a_backend_without_control_flow_of_its_own(strict):
    w, xs = strict.asarray([0.1, 0.2], requires_grad=True), strict.asarray(XS[:, :2])
    h, ys = ad.scan(lambda h, x: (strict.tanh(w * h + x), h * 2), strict.zeros(2), xs)
    (strict.sum(h) + strict.sum(ys)).backward()
    v = ad.namespace("numpy").asarray([0.1, 0.2], requires_grad=True)
    h, ys = ad.scan(lambda h, x: (ad.tanh(v * h + x), h * 2), np.zeros(2), XS[:, :2])
    (h.sum() + ys.sum()).backward()
    np.testing.assert_allclose(w.grad.numpy(), v.grad.numpy())
    f = ad.vmap(lambda p, x: ad.cond(p > 0, lambda x: x + 1, lambda x: x, x))
    assert f(xs[:, 0], xs).numpy().tolist() == np.where(XS[:, :1] > 0, XS[:, :2] + 1, XS[:, :2]).tolist()


def test_a_step_stands_on_its_own_level_whoever_goes_back_through_it(backend):
    def f(w):
        return ad.scan(lambda c, _: (c * w * ad.grad(lambda a: a**2)(3.0), None), w, length=2)[0]  # 36 w**3

    y, pull = ad.vjp(f, ad.asarray(0.5))
    t, moved = ad.jvp(lambda t: pull(t)[0], (ad.asarray(1.0),), (ad.asarray(2.0),))
    assert [float(x) for x in (y, t, moved)] == [4.5, 27.0, 54.0]
