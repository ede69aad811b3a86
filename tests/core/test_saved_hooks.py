"""Saved values packed and unpacked by a user's functions: PyTorch's hooks, compared with PyTorch's own."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import autodiff_api as ad

graph = ad.autograd.graph

# What each function saves, in PyTorch too: the number of calls of `pack` must agree.
PROGRAMS = {
    "exp": lambda xp, x, y: xp.exp(x),
    "square of one": lambda xp, x, y: x * x,
    "product": lambda xp, x, y: x * y,
    "sum saves nothing": lambda xp, x, y: xp.sum(x + y),
    "matmul": lambda xp, x, y: x @ y,
    "chain": lambda xp, x, y: xp.sum(xp.sin(x @ y) * xp.exp(x) / y),
    "where": lambda xp, x, y: xp.where(x > 0, x * y, y),
    "scalar": lambda xp, x, y: (x * 3.0) ** 2,
}
X, Y = np.asarray([[1.0, -2.0], [0.5, 3.0]]), np.asarray([[2.0, 1.0], [4.0, -1.0]])


def leaves(make):
    return [make(v) for v in (X, Y)]


def our_leaves():
    return leaves(lambda v: ad.tensor(v, requires_grad=True))


def gradients(xp, program, x, y, hooks):
    with hooks:
        z = program(xp, x, y)
    return [None if g is None else g.tolist() for g in xp.autograd.grad(z.sum(), [x, y], allow_unused=True)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_pack_and_unpack_are_called_as_in_pytorch(name, backend):
    torch = pytest.importorskip("torch")
    calls = {}

    def hooks(of, who):
        log = calls[who] = []

        def pack(x):
            assert who == "theirs" or not x.requires_grad
            log.append(("pack", tuple(x.shape)))
            return x.detach().tolist()

        def unpack(packed):
            log.append(("unpack", np.shape(packed)))
            return of(packed)

        return pack, unpack

    ours = gradients(ad, PROGRAMS[name], *our_leaves(), graph.saved_tensors_hooks(*hooks(ad.tensor, "ours")))
    plain = gradients(ad, PROGRAMS[name], *our_leaves(), ad.enable_grad())
    assert ours == plain

    def tensor(packed):
        return torch.tensor(np.asarray(packed))

    theirs = gradients(
        torch,
        PROGRAMS[name],
        *leaves(lambda v: torch.tensor(v, requires_grad=True)),
        torch.autograd.graph.saved_tensors_hooks(*hooks(tensor, "theirs")),
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_allclose(mine, other, rtol=1e-14)
    # PyTorch saves masks and scalars of its own, and the sine's cosine elsewhere: never fewer than we do.
    for kind in ("pack", "unpack"):
        mine, other = ([shape for what, shape in calls[who] if what == kind] for who in ("ours", "theirs"))
        assert 0 < len(mine) <= len(other) or mine == other == []


def test_the_innermost_pair_counts():
    log = []

    def pair(name):
        return graph.saved_tensors_hooks(lambda x: (log.append(name), x)[1], lambda x: x)

    y, _ = our_leaves()
    with pair("outer"):
        y = ad.sin(y)
        with pair("inner"):
            y = ad.sin(y)
        y = ad.sin(y)
    ad.sin(y).sum().backward()
    assert log == ["outer", "inner", "outer"]


def test_what_is_packed_is_let_go_and_each_pass_unpacks_anew(backend):
    unpacked = []
    x, _ = our_leaves()
    with graph.saved_tensors_hooks(lambda v: v.tolist(), lambda p: (unpacked.append(1), ad.tensor(p))[1]):
        y = ad.exp(x * 2)
        (value := weakref.ref(y._value)) if backend == "numpy" else None
        z = ad.sum(y)
    del y
    gc.collect()
    if backend == "numpy":
        assert value() is None
    z.backward(retain_graph=True)
    first = x.grad.tolist()
    z.backward(retain_graph=True)
    assert len(unpacked) == 2 and x.grad.tolist() == [[2 * v for v in row] for row in first]


def test_without_retain_graph_a_second_pass_recomputes():
    x, _ = our_leaves()
    with graph.saved_tensors_hooks(lambda v: v.tolist(), ad.tensor):
        z = ad.sum(ad.exp(x))
    z.backward()
    first = x.grad.tolist()
    with pytest.warns(ad.RecomputeWarning):
        z.backward()
    assert x.grad.tolist() == [[2 * v for v in row] for row in first]


def test_several_outputs_and_lists_of_arrays(backend):
    a = ad.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)

    def loss():
        values, vectors = ad.linalg.eigh(a)
        return ad.sum(ad.concat([values, vectors[:, 0] ** 2, ad.prod(a, axis=0)]))

    (plain,) = ad.autograd.grad(loss(), a)
    shapes = []
    with graph.saved_tensors_hooks(lambda v: (shapes.append(v.shape), v.tolist())[1], ad.tensor):
        z = loss()
    assert {(2,), (2, 2)} <= set(shapes)
    np.testing.assert_allclose(ad.autograd.grad(z, a)[0].tolist(), plain.tolist(), rtol=1e-13)


@pytest.mark.parametrize("library", ["ours", "torch"])
def test_what_a_custom_function_saves_is_packed(library):
    xp = ad if library == "ours" else pytest.importorskip("torch")
    log = []

    class Scaled(xp.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, None, y)
            return x * y, x + y

        @staticmethod
        def backward(ctx, g, h):
            x, none, y = ctx.saved_tensors
            assert none is None
            return g * y + h, g * x + h

    x, y = (xp.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    with xp.autograd.graph.saved_tensors_hooks(
        lambda v: (log.append("pack"), v.detach().tolist())[1], lambda p: (log.append("unpack"), xp.tensor(p) * 10)[1]
    ):
        u, v = Scaled.apply(x, y)
    (u + v).sum().backward()
    assert log == ["pack", "pack", "unpack", "unpack"]
    assert x.grad.tolist() == [31.0, 41.0] and y.grad.tolist() == [11.0, 21.0]


def test_double_backward(backend):
    x, y = our_leaves()

    def second(z):
        (g,) = ad.autograd.grad(ad.sum(z), x, create_graph=True)
        return ad.autograd.grad(ad.sum(g * g), [x, y])

    plain = second(ad.exp(x * y))
    with graph.saved_tensors_hooks(lambda v: v.tolist(), ad.tensor):
        packed = second(ad.exp(x * y))
    for mine, other in zip(packed, plain, strict=True):
        np.testing.assert_allclose(mine.tolist(), other.tolist(), rtol=1e-13)


def test_neither_function_is_recorded_or_watched():
    x, _ = our_leaves()
    w = ad.tensor(2.0, requires_grad=True)

    def pack(v):
        assert not ad.is_grad_enabled()
        return w * v

    with graph.saved_tensors_hooks(pack, lambda v: v / w):
        z = ad.sum(ad.exp(x))
    z.backward()
    assert w.grad is None
    np.testing.assert_allclose(x.grad.tolist(), np.exp(X))


def test_what_a_hook_records_is_not_packed():
    x, _ = our_leaves()
    packed = []

    def pack(v):
        packed.append(v)
        with ad.enable_grad():
            ad.exp(v.requires_grad_())
        return v

    with graph.saved_tensors_hooks(pack, lambda v: v.detach()):
        z = ad.sum(ad.exp(x))
        s = x + 1
    z.backward()
    assert len(packed) == 1 and s.grad_fn.saved.__class__ is tuple  # what saves nothing stays as it is


def test_a_packed_tensor_may_be_changed():
    """In PyTorch this is an error, since it would change the values in use; here they are no one else's."""
    x, _ = our_leaves()
    with graph.saved_tensors_hooks(lambda v: v.mul_(2), lambda v: v / 2):
        z = x * x
    z.sum().backward()
    assert z.tolist() == (X * X).tolist() and x.grad.tolist() == (2 * X).tolist()


def test_unpack_must_return_a_tensor():
    torch = pytest.importorskip("torch")
    x, _ = our_leaves()
    with graph.saved_tensors_hooks(lambda v: v, lambda v: 3):
        z = ad.sum(x * x)
    t = torch.ones(2, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda v: v, lambda v: 3):
        u = (t * t).sum()
    words = "Output of saved tensor unpack_hook expected to be a Tensor but got result of type"
    for out in (z, u):
        with pytest.raises(TypeError, match=words):
            out.backward()
    assert x.grad is None and isinstance(x, ad.Tensor)


@pytest.mark.parametrize("failing", ["pack", "unpack"])
def test_an_exception_in_a_hook_leaves_all_as_it_was(failing):
    def fail(v):
        raise KeyError("mine")

    x, y = our_leaves()
    hooks = (fail, ad.tensor) if failing == "pack" else (lambda v: v.tolist(), fail)
    with pytest.raises(KeyError, match="mine"):
        with graph.saved_tensors_hooks(*hooks):
            z = ad.sum(x * y)
        (y.sum() + z).backward()
    assert x.grad is None and y.grad is None
    assert ad.autograd.grad(ad.sum(x * y), x)[0].tolist() == Y.tolist()


@pytest.mark.parametrize("library", ["ours", "torch"])
def test_disabling(library):
    g = graph if library == "ours" else pytest.importorskip("torch").autograd.graph
    hooks = g.saved_tensors_hooks(lambda v: v, lambda v: v)
    with g.disable_saved_tensors_hooks("not in here"), pytest.raises(RuntimeError, match="not in here"), hooks:
        pass
    with (
        g.saved_tensors_hooks(lambda v: v, lambda v: v),
        pytest.raises(RuntimeError, match="not in here"),
        g.disable_saved_tensors_hooks("not in here"),
    ):
        pass
    with g.saved_tensors_hooks(lambda v: v, lambda v: v):
        pass  # and now they may be used again


def test_save_on_cpu(backend):
    x, y = our_leaves()
    with graph.save_on_cpu(pin_memory=True):
        z = ad.exp(x * y)
    assert all(isinstance(data, np.ndarray) for _, _, data in (e.content for e in z.grad_fn.saved.entries))
    z.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), Y * np.exp(X * Y))
    assert x.grad.device == x.device


def test_as_decorators():
    packed = []

    @graph.saved_tensors_hooks(lambda v: (packed.append(v), v)[1], lambda v: v)
    def f(x):
        return ad.exp(x)

    x, _ = our_leaves()
    f(x)
    f(x)
    assert len(packed) == 2
    graph.save_on_cpu()(f)(x)
    assert len(packed) == 3  # the innermost counts: f's own


def test_threads_have_their_own():
    from threading import Thread

    packed = []
    x, _ = our_leaves()
    with graph.saved_tensors_hooks(lambda v: (packed.append(v), v)[1], lambda v: v):
        thread = Thread(target=lambda: ad.exp(x))
        thread.start()
        thread.join()
    assert packed == []


def test_with_transformations(backend):
    xp = ad.namespace(backend)

    def f(x):
        with graph.saved_tensors_hooks(lambda v: [v], lambda p: p[0]):
            return ad.sum(ad.exp(x) * ad.sin(x))

    x = xp.asarray([0.3, 1.2])
    v = xp.asarray([1.0, -2.0])

    def plain(x):
        return ad.sum(ad.exp(x) * ad.sin(x))

    for transform in (
        ad.grad,
        lambda f: lambda x: ad.jvp(ad.grad(f), (x,), (v,))[1],
        lambda f: ad.grad(lambda x: ad.sum(ad.grad(f)(x))),
    ):
        np.testing.assert_allclose(transform(f)(x).tolist(), transform(plain)(x).tolist(), rtol=1e-13)


def test_under_jit():
    jax = pytest.importorskip("jax")
    xp = ad.namespace("jax")

    @jax.jit
    def step(x):
        with graph.saved_tensors_hooks(lambda v: v * 1, lambda v: v):
            z = xp.sum(xp.exp(x))
        z.backward()
        return x.grad

    assert step(xp.asarray([0.0, 1.0], requires_grad=True)).tolist() == pytest.approx([1.0, np.e])
