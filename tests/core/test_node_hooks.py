"""Hooks of nodes, hooks of several tensors, and places in the graph: what PyTorch does with the same program."""

from __future__ import annotations

import gc
import weakref
from contextlib import nullcontext

import numpy as np
import pytest

import autodiff_api as ad

graph = ad.autograd.graph


@pytest.fixture(params=["numpy", "jax", "torch"])
def library(request):
    """Run a test with this library on each backend, and with PyTorch itself, in double precision."""
    if request.param == "torch":
        torch = pytest.importorskip("torch")
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        yield torch
        torch.set_default_dtype(default)
        return
    exact = pytest.importorskip("jax").enable_x64(True) if request.param == "jax" else nullcontext()
    with exact, ad.use_backend(request.param):
        yield ad


def leaf(xp, values):
    return xp.tensor(values, requires_grad=True)


def lists(grads):
    return [None if g is None else g.tolist() for g in grads]


# --- hooks of a node ---


def test_hooks_see_the_gradients_in_order(library):
    xp, log = library, []
    a, b = leaf(xp, [1.0, 2.0]), leaf(xp, [3.0, 4.0])
    z = a * b
    z.grad_fn.register_hook(lambda inputs, outputs: log.append(("hook", lists(inputs), lists(outputs))))
    z.grad_fn.register_prehook(lambda outputs: log.append(("prehook", lists(outputs))))
    z.register_hook(lambda g: log.append(("tensor", g.tolist())))
    (2 * z).sum().backward()
    assert log == [
        ("tensor", [2.0, 2.0]),
        ("prehook", [[2.0, 2.0]]),
        ("hook", [[6.0, 8.0], [2.0, 4.0]], [[2.0, 2.0]]),
    ]


def test_what_hooks_return_replaces_the_gradients(library):
    xp = library
    a, b = leaf(xp, [1.0, 2.0]), leaf(xp, [3.0, 4.0])
    z = a * b
    z.grad_fn.register_prehook(lambda outputs: (outputs[0] * 10,))
    z.grad_fn.register_prehook(lambda outputs: (outputs[0] + 1,))
    z.grad_fn.register_hook(lambda inputs, outputs: (inputs[0], inputs[1] * 0))
    z.grad_fn.register_hook(lambda inputs, outputs: (-inputs[0], inputs[1]))
    z.sum().backward()
    assert a.grad.tolist() == [-33.0, -44.0] and b.grad.tolist() == [0.0, 0.0]


def test_none_lets_nothing_pass(library):
    xp = library
    a, b = leaf(xp, [1.0, 2.0]), leaf(xp, [3.0, 4.0])
    z = a * b
    z.grad_fn.register_hook(lambda inputs, outputs: (None, inputs[1]))
    z.sum().backward()
    assert a.grad is None and b.grad.tolist() == [1.0, 2.0]


def test_none_from_a_prehook_is_zeros(backend):
    """PyTorch leaves `a.grad` as None here."""
    a = leaf(ad, [1.0, 2.0])
    z = a * a
    z.grad_fn.register_prehook(lambda outputs: (None,))
    z.sum().backward()
    assert a.grad.tolist() == [0.0, 0.0]


def test_a_constant_has_no_gradient(library):
    xp, seen = library, []
    x = leaf(xp, [1.0])
    y = 3 * x
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append(sorted(lists(inputs), key=str)))
    y.backward()
    assert seen == [[None, [3.0]]] or seen == [[[3.0], None]]


def test_handles_remove_hooks(library):
    xp, calls = library, []
    x = leaf(xp, [1.0])
    y = x * x
    handles = [
        y.grad_fn.register_hook(lambda *a: calls.append(1)),
        y.grad_fn.register_prehook(lambda *a: calls.append(2)),
    ]
    y.backward(retain_graph=True)
    for handle in handles:
        handle.remove()
        handle.remove()
    y.backward()
    assert calls == [2, 1]


@pytest.mark.parametrize(
    ("register", "hook", "error", "words"),
    [
        ("register_hook", lambda i, o: i[0], TypeError, "expected tuple, but hook returned"),
        ("register_hook", lambda i, o: (i[0],) * 3, RuntimeError, "incorrect number of values .got 3, but expected 2"),
        (
            "register_hook",
            lambda i, o: (i[0], i[0]),
            RuntimeError,
            "can't replace a None gradient with a non-None value",
        ),
        ("register_prehook", lambda o: o[0], TypeError, "expected tuple, but hook returned"),
        ("register_prehook", lambda o: (o[0], o[0]), RuntimeError, "incorrect number of values .got 2, but expected 1"),
    ],
)
def test_a_wrong_result_is_an_error_and_changes_nothing(library, register, hook, error, words):
    xp = library
    x, w = leaf(xp, [1.0]), leaf(xp, [1.0])
    y = x * 2
    getattr(y.grad_fn, register)(hook)
    with pytest.raises(error, match=words):
        (w + y).backward()
    if xp is ad:
        assert x.grad is None and w.grad is None


@pytest.mark.parametrize("register", ["register_hook", "register_prehook"])
def test_a_result_of_another_shape_or_kind_is_an_error(register, backend):
    x = leaf(ad, [1.0, 2.0])
    y = ad.exp(x)
    for wrong in (ad.tensor([1.0]), ad.astype(ad.tensor([1.0, 2.0]), ad.float32), 3.0):
        with getattr(y.grad_fn, register)(lambda *a, wrong=wrong: (wrong,)):  # noqa: SIM117
            with pytest.raises((RuntimeError, TypeError), match="a hook on Exp"):
                y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert x.grad is not None


def test_hooks_of_a_leaf(library):
    xp, log = library, []
    x = leaf(xp, [1.0, 2.0])
    y = x * 2
    ((accumulator, _), *_) = y.grad_fn.next_functions
    assert "AccumulateGrad" in accumulator.name()
    accumulator.register_prehook(lambda outputs: (outputs[0] * 10,))
    accumulator.register_hook(lambda inputs, outputs: log.append((inputs, lists(outputs), x.grad.tolist())))
    y.sum().backward()
    assert log == [((), [[20.0, 20.0]], [20.0, 20.0])] and x.grad.tolist() == [20.0, 20.0]
    assert xp.autograd.grad((x * 2).sum(), x)[0].tolist() == [2.0, 2.0] and len(log) == 1


def test_only_what_is_visited_has_its_hooks_called(library):
    xp, log = library, []
    a, b = leaf(xp, [1.0]), leaf(xp, [2.0])
    u, v = a * 2, b * 2
    u.grad_fn.register_hook(lambda *g: log.append("u"))
    v.grad_fn.register_hook(lambda *g: log.append("v"))
    xp.autograd.grad(u * v, a, retain_graph=True)
    assert log == ["u"]
    w = u * v
    w.grad_fn.register_prehook(lambda g: log.append("w"))
    xp.autograd.grad(w.exp() if hasattr(w, "exp") else xp.exp(w), w)
    assert log == ["u"]  # the gradient of `w` is asked for, and `w` itself not differentiated


def test_several_outputs_are_one_node(library):
    xp, log = library, []
    a = leaf(xp, [[2.0, 0.0], [0.0, 3.0]])
    values, vectors = xp.linalg.eigh(a)
    assert values.grad_fn is vectors.grad_fn
    values.grad_fn.register_hook(lambda inputs, outputs: log.append((lists(inputs), lists(outputs))))
    values.grad_fn.register_prehook(lambda outputs: (outputs[0] * 2, outputs[1]))
    values.sum().backward()
    assert log == [([[[2.0, 0.0], [0.0, 2.0]]], [[2.0, 2.0], None])]


def test_next_functions_tell_which_output(library):
    xp = library
    a = leaf(xp, [[2.0, 0.0], [0.0, 3.0]])
    _, vectors = xp.linalg.eigh(a)
    ((node, number),) = xp.exp(vectors).grad_fn.next_functions
    assert node is vectors.grad_fn and number == 1
    ((accumulator, number),) = node.next_functions
    assert accumulator.name().endswith("AccumulateGrad") and number == 0
    (first, second) = (a * 3).grad_fn.next_functions
    assert first[0] is accumulator and second == (None, 0)


def test_metadata_is_kept_with_the_node(library):
    y = leaf(library, [1.0]) * 2
    assert y.grad_fn.metadata == {}
    y.grad_fn.metadata["note"] = 1
    assert y.grad_fn.metadata == {"note": 1}
    y.backward()
    assert y.grad_fn.metadata["note"] == 1


def test_hooks_run_in_a_recorded_pass(backend):
    x = leaf(ad, [2.0, 3.0])
    y = x**3
    y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] * x, *inputs[1:]))
    (g,) = ad.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [24.0, 81.0]  # 3 x^2 * x
    np.testing.assert_allclose(ad.autograd.grad(g.sum(), x)[0].tolist(), [36.0, 81.0])  # 9 x^2


def test_complex_gradients_are_shown_as_they_are(library):
    xp, seen = library, []
    x = leaf(xp, [1.0 + 2.0j])
    y = x * x
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append([*lists(inputs), *lists(outputs)]))
    y.grad_fn.register_hook(lambda inputs, outputs: inputs)
    y.sum().backward(xp.tensor(1.0 + 1.0j))
    assert x.grad.tolist() == [2 * (1 - 2j) * (1 + 1j)]
    assert seen == [[[(1 - 2j) * (1 + 1j)]] * 2 + [[1 + 1j]]]


def test_a_hook_sees_gradients_of_the_inputs_shapes(backend):
    """PyTorch shows them before they are summed over what was broadcast."""
    seen = []
    a, b = leaf(ad, [1.0, 2.0]), leaf(ad, [[1.0], [2.0], [3.0]])
    z = a * b
    z.grad_fn.register_hook(lambda inputs, outputs: seen.append([g.shape for g in inputs]))
    z.sum().backward()
    assert seen == [[(2,), (3, 1)]]


# --- hooks of several tensors ---


def test_all_gradients_at_once(library):
    xp, log = library, []
    a, b = leaf(xp, [1.0, 2.0]), leaf(xp, [3.0, 4.0])
    c, d = a * b, a * b
    xp.autograd.graph.register_multi_grad_hook((a, b, c, d), lambda grads: log.append([g is not None for g in grads]))
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    xp.autograd.backward([c.sum(), d.sum()])
    assert log == [[True, True, True, False], [True, False, True, False], [True, True, True, True]]


def test_all_gradients_at_once_in_grad(backend):
    """PyTorch refuses leaves here."""
    log = []
    a, b = leaf(ad, [1.0, 2.0]), leaf(ad, [3.0, 4.0])
    c = a * b
    graph.register_multi_grad_hook((a, b, c), lambda grads: log.append(lists(grads)))
    ad.autograd.grad(c.sum(), a)
    assert log == [[[3.0, 4.0], None, [1.0, 1.0]]]


def test_the_first_gradient(library):
    xp, log = library, []
    a = leaf(xp, [1.0, 2.0])
    c = a * 2
    d = c * 3
    handle = xp.autograd.graph.register_multi_grad_hook((a, c, d), lambda g: log.append(g.tolist()), mode="any")
    d.sum().backward(retain_graph=True)
    d.sum().backward(retain_graph=True)
    assert log == [[1.0, 1.0]] * 2
    handle.remove()
    d.sum().backward()
    assert len(log) == 2


def test_multi_hook_handles_and_modes(library):
    xp, log = library, []
    a, b = leaf(xp, [1.0]), leaf(xp, [2.0])
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        xp.autograd.graph.register_multi_grad_hook((a, b), log.append, mode="some")
    with xp.autograd.graph.register_multi_grad_hook((a, b), lambda grads: log.append(lists(grads))):
        (a * b).backward()
    (a * b).backward()
    assert log == [[[2.0], [1.0]]]


def test_a_pass_inside_a_hook_is_another_pass(library):
    xp, log = library, []
    a, b = leaf(xp, [1.0]), leaf(xp, [2.0])
    inner = a * b

    def hook(grads):
        log.append(lists(grads))
        if len(log) == 1:
            inner.backward()

    xp.autograd.graph.register_multi_grad_hook((a, b), hook)
    (a * b * 5).backward()
    assert log == [[[10.0], [5.0]], [[2.0], [1.0]]]


# --- places in the graph ---


def test_an_edge_stands_for_its_tensor(library):
    xp, g = library, library.autograd.graph
    x, b = leaf(xp, [1.0, 2.0]), leaf(xp, [[1.0, 2.0], [3.0, 4.0]])
    y = x * b
    z = y.sum()
    inside, last, start = g.get_gradient_edge(y), g.get_gradient_edge(z), g.get_gradient_edge(x)
    assert isinstance(last, g.GradientEdge) and last.node is z.grad_fn and last.output_nr == 0
    assert lists(xp.autograd.grad(z, inside, retain_graph=True)) == [[[1.0, 1.0], [1.0, 1.0]]]
    assert lists(xp.autograd.grad(last, [start, b], retain_graph=True)) == [[4.0, 6.0], [[1.0, 2.0], [1.0, 2.0]]]
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        xp.autograd.grad(inside, x)
    t = xp.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert lists(xp.autograd.grad(g.GradientEdge(y.grad_fn, 0), x, t, retain_graph=True)) == [[1.0, 0.0]]
    z.backward(inputs=[start])
    assert x.grad.tolist() == [4.0, 6.0] and b.grad is None


def test_an_edge_as_an_input_of_backward_stores_nothing(library):
    xp, g = library, library.autograd.graph
    x = leaf(xp, [1.0, 2.0])
    y = x * 2
    y.sum().backward(inputs=[g.get_gradient_edge(y)], retain_graph=True)
    assert x.grad is None
    g_root = g.get_gradient_edge(y.sum())
    xp.autograd.backward([g_root])
    assert x.grad.tolist() == [2.0, 2.0]


def test_edges_of_several_outputs(library):
    xp, g = library, library.autograd.graph
    a = leaf(xp, [[2.0, 0.0], [0.0, 3.0]])
    values, vectors = xp.linalg.eigh(a)
    edge = g.get_gradient_edge(values)
    assert (edge.node, edge.output_nr) == (values.grad_fn, 0)
    assert g.get_gradient_edge(vectors).output_nr == 1
    assert lists(xp.autograd.grad((values * values).sum(), edge, retain_graph=True)) == [[4.0, 6.0]]
    assert lists(xp.autograd.grad(edge, a, xp.tensor([1.0, 1.0]))) == [[[1.0, 0.0], [0.0, 1.0]]]


def test_no_edge_without_a_gradient(library):
    with pytest.raises(RuntimeError, match="not possible to get the gradient edge for a Tensor that does not require"):
        library.autograd.graph.get_gradient_edge(library.tensor([1.0]))


def test_an_edge_lets_the_data_go():
    x = leaf(ad, [1.0, 2.0])
    y = x + 1  # saves nothing
    dies = weakref.ref(y._value)
    edge = graph.get_gradient_edge(y)
    z = y * 2
    del y
    gc.collect()
    assert dies() is None and lists(ad.autograd.grad(z.sum(), edge)) == [[2.0, 2.0]]


def test_an_edge_of_several_outputs_must_come_from_its_tensor():
    values, _ = ad.linalg.eigh(leaf(ad, [[2.0, 0.0], [0.0, 3.0]]))
    with pytest.raises(ad.GradientError, match="get_gradient_edge"):
        ad.autograd.grad(values.sum(), graph.GradientEdge(values.grad_fn, 0))
