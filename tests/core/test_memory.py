"""Graphs are freed at once, whatever their depth, without the garbage collector."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref

import pytest

import autodiff_api as ad


@pytest.fixture
def no_gc():
    """Switch the garbage collector off, after a collection."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def small_graph():
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    view = (x * 3)[0:1]
    view.retain_grad()
    y = ad.sum(ad.exp(view) * x[1])
    return x, y


def test_dropping_the_output_frees_the_graph(no_gc):
    x, y = small_graph()
    nodes = [weakref.ref(n) for n in walk(y._node)]
    assert len(nodes) > 5 and all(r() is not None for r in nodes)
    leaf = weakref.ref(x._node)
    del y
    assert [r() for r in nodes if r() is not None and r() is not leaf()] == []
    del x
    assert leaf() is None


def walk(node):
    seen, stack = set(), [node]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [n for n, _ in node.next_functions]
    return seen


@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_makes_no_cycle(no_gc, create_graph):
    """With create_graph too: a gradient's graph holds its leaves weakly, so x.grad does not keep x alive."""
    x, y = small_graph()
    y.backward(create_graph=create_graph)
    dies = weakref.ref(x)
    del x, y
    assert dies() is None


def test_nothing_is_left_to_collect(no_gc):
    def work():
        x, y = small_graph()
        (g,) = ad.autograd.grad(y, x, create_graph=True)
        ad.sum(g * g).backward()
        x.detach()[0] = 5.0

    work()
    gc.collect()
    for _ in range(50):
        work()
    assert gc.collect() == 0


def test_a_million_operations_go_backward_and_are_freed(no_gc):
    x = ad.tensor([1.0], requires_grad=True)
    y, one = x, ad.tensor([1.0])
    for _ in range(1_000_000):
        y = y + one
    y.backward()
    assert x.grad.item() == 1.0
    last = weakref.ref(y._node)
    del y
    assert last() is None


def test_a_hundred_thousand_views_and_a_double_backward():
    x = ad.tensor([[1.0, 2.0]], requires_grad=True)
    y = x
    for _ in range(50_000):
        y = ad.permute_dims(y, (1, 0)) * 1.0
        y = ad.permute_dims(y, (1, 0))
    (g,) = ad.autograd.grad(ad.sum(y * y), x, create_graph=True)
    (h,) = ad.autograd.grad(ad.sum(g), x)
    assert h.tolist() == [[2.0, 2.0]]


def test_a_deep_chain_of_views_reads_and_writes():
    base = ad.zeros((2, 3))
    view = base
    for _ in range(20_000):
        view = view.mT
    view[0, 0] = 5.0
    assert base.tolist() == [[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    base += 1
    assert view.tolist() == base.tolist()


def test_a_freed_chain_is_recomputed_iteratively():
    x = ad.tensor([0.5], requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.0000001
    y = y * y
    y.backward()
    first = x.grad.item()
    with pytest.warns(ad.RecomputeWarning, match="retain_graph=True"):
        y.backward()
    assert x.grad.item() == 2 * first


@pytest.mark.parametrize(
    "take", [lambda y: y.detach(), lambda y: y.data, lambda y: y[0:1].detach(), lambda y: y.mT.detach()]
)
def test_a_detached_tensor_does_not_keep_the_graph(no_gc, take):
    """`losses.append(loss.detach())` is how users let a graph go."""
    x = ad.tensor([[1.0, 2.0]], requires_grad=True)
    y = ad.exp(x)
    node = weakref.ref(y._node)
    kept = take(y)
    del y
    assert node() is None and kept.size


def test_detaching_in_every_step_leaves_nothing_behind():
    x = ad.tensor([1.0], requires_grad=True)
    for _ in range(10_000):
        x.detach()
    assert len(x._sharers._refs) < 20
    d = x.detach()
    with ad.no_grad():
        x += 1
    assert d.tolist() == [2.0]
    d[0] = 5.0
    assert x.tolist() == [5.0] and x.is_leaf


LARGE = 1 << 16  # of float64: twice the size from which NumPy may add in place


def peak_of(function):
    """Return the most memory that a call takes, in large arrays."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (8 * LARGE)


@pytest.mark.skipif(sys.platform != "linux", reason="NumPy adds to a temporary in place on Linux only")
def test_cotangents_that_nobody_else_holds_are_added_in_place():
    """The sum so far and what is to be added: no second sum, however often the leaf was used."""
    x = ad.zeros(LARGE, dtype=ad.float64, requires_grad=True)
    scales = [ad.full(LARGE, i, dtype=ad.float64) for i in range(1, 6)]
    y, seed = sum(x * scale for scale in scales), ad.ones(LARGE, dtype=ad.float64)
    assert peak_of(lambda: y.backward(seed)) < 2.5
    assert x.grad[0] == 15


@pytest.mark.parametrize("holder", ["hook", "node hook", "retain_grad", "seed", "view", "leaf"])
def test_cotangents_that_others_hold_stay(holder):
    """What a hook, a user, another leaf or a view of it was given is not what the walk adds to."""
    x, twin = (ad.zeros(LARGE, dtype=ad.float64, requires_grad=True) for _ in range(2))
    seed, held = ad.ones(LARGE, dtype=ad.float64), []
    late = x * 3  # differentiated last: adds 3 to the 1 that x is given at first
    y = x + (twin.reshape((2, -1)).reshape((-1,)) if holder == "view" else twin)
    if holder == "hook":
        y.register_hook(held.append)
    elif holder == "node hook":
        y.grad_fn.register_hook(lambda inputs, outputs: held.extend((*inputs, *outputs)))
    elif holder == "retain_grad":
        y.retain_grad()
    ad.autograd.backward([y, late], [seed, seed])
    held += [seed, twin.grad] + ([y.grad] if holder == "retain_grad" else [])
    assert ad.all(x.grad == 4)
    assert all(ad.all(t == 1) for t in held)


@pytest.mark.skipif(sys.platform != "linux", reason="NumPy adds to a temporary in place on Linux only")
def test_a_gradient_is_added_to_where_it_was_computed():
    """Of a second pass: the gradients that it computes, and no sum beside them."""
    leaves = [ad.zeros(LARGE, dtype=ad.float64, requires_grad=True) for _ in range(4)]
    scale, seed = ad.full(LARGE, 3.0, dtype=ad.float64), ad.ones(LARGE, dtype=ad.float64)

    def go():
        ad.autograd.backward([x * scale for x in leaves], [seed] * 4)

    go()
    assert peak_of(go) < 8.5  # as many products as gradients
    assert all(ad.all(x.grad == 6) for x in leaves)
    held = []
    leaves[0].register_hook(held.append)
    go()
    assert ad.all(held[0] == 3) and ad.all(leaves[0].grad == 9)
