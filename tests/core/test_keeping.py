"""What a kernel keeps for its backward: used by an ordinary pass, unknown to every other, and gone with the graph."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import Keeping, get_backend
from autodiff_api.binding import make_namespace

NUMPY = get_backend("numpy")
VALUES = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]


class Spy:
    """A namespace of NumPy's whose kernels of `nn.gelu` keep an array, and say so."""

    def __init__(self):
        self.calls, self.kept, self.declines = [], [], False
        own = Keeping(forward=self.forward, backward_op="nn.gelu_backward", backward=self.backward)
        self.backend = replace(NUMPY, keeping={**NUMPY.keeping, "nn.gelu": own})
        self.xp = make_namespace(self.backend)

    def forward(self, x, /, approximate="none"):
        self.calls.append("keep")
        kept = np.full(1000, 7.0)
        self.kept.append(weakref.ref(kept))
        return NUMPY.kernels["nn.gelu"](x, approximate), None if self.declines else (kept, x)

    def backward(self, kept, grad, x, /, approximate="none"):
        self.calls.append("use")
        assert kept[0][0] == 7 and kept[1] is x
        return NUMPY.kernels["nn.gelu_backward"](grad, x, approximate)

    @property
    def alive(self):
        gc.collect()
        return sum(kept() is not None for kept in self.kept)

    def leaf(self):
        return self.xp.asarray(VALUES).requires_grad_()


@pytest.fixture
def spy():
    return Spy()


def gradient():
    """Return the gradient of gelu at VALUES, computed with nothing kept."""
    return NUMPY.kernels["nn.gelu_backward"](np.ones((2, 3)), np.asarray(VALUES))


def near(x, y):
    return np.allclose(np.asarray(x.detach().numpy() if hasattr(x, "detach") else x), y, rtol=1e-12)


def test_an_ordinary_pass_uses_it_and_frees_it(spy):
    x = spy.leaf()
    y = spy.xp.nn.gelu(x)
    assert spy.calls == ["keep"] and spy.alive == 1
    y.sum().backward()
    assert spy.calls == ["keep", "use"] and near(x.grad, gradient())
    assert spy.alive == 0  # though `y` and its graph are there


def test_it_goes_with_the_graph(spy):
    y = spy.xp.nn.gelu(spy.leaf())
    assert spy.alive == 1
    del y
    assert spy.alive == 0


def test_a_retained_graph_keeps_it(spy):
    x = spy.leaf()
    y = spy.xp.nn.gelu(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert spy.calls == ["keep", "use", "use"] and near(x.grad, 2 * gradient()) and spy.alive == 0


def test_nothing_is_kept_for_what_is_not_recorded(spy):
    with ad.no_grad():
        spy.xp.nn.gelu(spy.leaf())
    spy.xp.nn.gelu(spy.leaf().detach())
    spy.xp.nn.gelu(np.asarray(VALUES))
    assert spy.calls == []


def test_a_kernel_may_decline(spy):
    spy.declines = True
    x = spy.leaf()
    spy.xp.nn.gelu(x).sum().backward()
    assert spy.calls == ["keep"] and near(x.grad, gradient())


def test_part_of_a_graph(spy):
    x = spy.leaf()
    y = spy.xp.nn.gelu(x * 1.0)
    (g,) = ad.autograd.grad(y.sum(), [x])
    assert spy.calls == ["keep", "use"] and near(g, gradient()) and spy.alive == 0


def test_a_recorded_pass_does_without(spy):
    x = spy.leaf()
    (g,) = ad.autograd.grad(spy.xp.nn.gelu(x).sum(), [x], create_graph=True)
    assert "use" not in spy.calls and near(g, gradient())
    g.sum().backward()
    at = np.asarray(VALUES)
    density = np.exp(-at * at / 2) / np.sqrt(2 * np.pi)
    assert near(x.grad, (2 - at * at) * density)


def test_many_cotangents_do_without(spy):
    x = spy.leaf()
    y = spy.xp.nn.gelu(x)
    directions = spy.xp.asarray(np.stack([np.ones((2, 3)), 3 * np.ones((2, 3))]))
    (g,) = ad.autograd.grad(y, [x], directions, is_grads_batched=True)
    assert "use" not in spy.calls and near(g, np.stack([gradient(), 3 * gradient()]))


def test_a_freed_graph_is_recomputed_without(spy):
    x = spy.leaf()
    y = spy.xp.nn.gelu(x).sum()
    y.backward()
    with pytest.warns(ad.RecomputeWarning):
        y.backward()
    assert spy.calls == ["keep", "use"] and near(x.grad, 2 * gradient())


def test_nothing_is_hidden_from_hooks_of_saved_tensors(spy):
    packed = []
    with ad.autograd.graph.saved_tensors_hooks(lambda x: packed.append(x) or len(packed) - 1, packed.__getitem__):
        x = spy.leaf()
        y = spy.xp.nn.gelu(x)
    y.sum().backward()
    assert spy.calls == [] and len(packed) == 1 and near(x.grad, gradient())


def test_a_checkpoint_keeps_nothing(spy):
    x = spy.leaf()
    y = ad.utils.checkpoint.checkpoint(spy.xp.nn.gelu, x, use_reentrant=False)
    y.sum().backward()
    assert spy.calls == [] and near(x.grad, gradient())


@pytest.mark.parametrize("recorded", [True, False])
def test_with_anomalies_detected(spy, recorded):
    x = spy.leaf()
    with ad.autograd.set_detect_anomaly(recorded):
        y = spy.xp.nn.gelu(x).sum()
    with ad.autograd.detect_anomaly(check_nan=True):
        y.backward()
    assert spy.calls == ([] if recorded else ["keep", "use"]) and near(x.grad, gradient())


def test_zeros_that_stay_zero(spy):
    x = spy.leaf()
    y = spy.xp.nn.gelu(x).sum()
    with ad.autograd.zero_safe():
        y.backward()
    assert near(x.grad, gradient())


def test_hooks_of_nodes(spy):
    x = spy.leaf()
    y = spy.xp.nn.gelu(x)
    seen = []
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append(inputs))
    y.sum().backward()
    assert spy.calls == ["keep", "use"] and near(seen[0][0], gradient()) and near(x.grad, gradient())


def test_an_input_that_changes_in_place(spy):
    x = spy.leaf()
    z = x * 1.0
    y = spy.xp.nn.gelu(z)
    z.mul_(5.0)
    y.sum().backward()
    assert spy.calls == ["keep", "use"] and near(x.grad, gradient())


def test_transformations(spy):
    x = spy.xp.asarray(VALUES)
    assert near(ad.func.grad(lambda x: spy.xp.nn.gelu(x).sum())(x), gradient())
    rows = ad.func.vmap(ad.func.grad(lambda row: spy.xp.nn.gelu(row).sum()))(x)
    assert near(rows, gradient())
    _, tangent = ad.func.jvp(spy.xp.nn.gelu, (x,), (spy.xp.ones_like(x),))
    assert near(tangent, gradient())
    assert spy.alive == 0


def test_a_drawing_counts_it(spy):
    assert "7.8 KiB" in str(ad.summary(spy.xp.nn.gelu(spy.leaf())))  # 1000 numbers


@pytest.mark.parametrize("op", ["nn.gelu", "nn.gelu_backward"])
def test_a_strangers_kernel_goes_before_it(op, monkeypatch):
    """What keeps something belongs to the backend's own kernels of both ops, and goes with them."""
    from autodiff_api.backends import registry

    found = registry.Registry()
    plugins = found._plugins()
    monkeypatch.setattr(type(plugins), "kernels", lambda self, backend: ({op: lambda *args: None}, {}))
    monkeypatch.setattr(found, "_alone", False)
    assert "nn.gelu" not in found.get("numpy").keeping and "nn.layer_norm" in found.get("numpy").keeping


def test_what_is_no_pair_is_refused():
    with pytest.raises(TypeError, match="Keeping"):
        Keeping(forward=1, backward_op="nn.gelu_backward", backward=print)
    with pytest.raises(TypeError, match="keeping must be a mapping of op names to Keeping"):
        replace(NUMPY, keeping={"nn.gelu": print})


def test_what_a_narrowed_pull_takes():
    """Of several cotangents only some are wanted: what is kept is used all the same."""
    rng = np.random.default_rng(0)
    x, w, b = (ad.tensor(rng.standard_normal(s)).requires_grad_() for s in ((4, 3), (3,), (3,)))
    y = ad.namespace("numpy").nn.layer_norm(x * 1.0, w, b)
    assert y._node.saved[-1] is not None
    seed = ad.tensor(rng.standard_normal((4, 3)))
    whole = ad.autograd.grad(y, [x, w, b], seed, retain_graph=True)
    for i, leaf in enumerate((x, w, b)):
        (one,) = ad.autograd.grad(y, [leaf], seed, retain_graph=True)
        assert near(one, whole[i].numpy())


# --- compiled programs ---


def loss_and_slope(x, target):
    return ad.func.value_and_grad(lambda x: ad.nn.functional.cross_entropy(x, target))(x)


def test_a_program_joins_the_two():
    x, target = np.random.default_rng(0).standard_normal((4, 3)), np.asarray([0, 2, 1, 1])
    program = ad.compile(loss_and_slope)
    for classes in (target, target[::-1].copy(), np.asarray([0, -100, -100, 2])):  # what is ignored is not kept for
        loss, slope = program(x, classes)
        wanted = loss_and_slope(ad.tensor(x), ad.tensor(classes))
        assert near(loss, wanted[0].numpy()) and near(slope, wanted[1].numpy())
    lines = [line.strip() for line in program.source().splitlines()]
    (forward,) = [line for line in lines if "= cross_entropy_keeping(" in line]
    (backward,) = [line for line in lines if "= cross_entropy_backward_kept(kept, " in line]
    assert forward.split(" = ")[0].endswith(", kept") and lines.index(forward) < lines.index(backward)
    assert program.traces == 1


def test_a_program_joins_nothing_of_other_operands():
    def other(x, target):
        loss = ad.nn.functional.cross_entropy(2 * x, target)
        return loss, ad.namespace("numpy").nn.cross_entropy_backward(ad.tensor(1.0, dtype=ad.float64), x, target)

    x, target = np.random.default_rng(0).standard_normal((4, 3)), np.asarray([0, 2, 1, 1])
    program = ad.compile(other)
    found, wanted = program(x, target), other(ad.tensor(x), ad.tensor(target))
    assert near(found[0], wanted[0].numpy()) and near(found[1], wanted[1].numpy())
    assert "kept" not in program.source()


def test_a_program_with_two_backwards_keeps_once():
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)

    def both(x):
        y = ad.nn.functional.gelu(x)
        backward = ad.namespace("numpy").nn.gelu_backward
        return y, backward(y, x), backward(y * y, x)

    program = ad.compile(both)
    for found, wanted in zip(program(x), both(ad.tensor(x)), strict=True):
        assert np.allclose(found, wanted.numpy(), rtol=1e-5)
    assert program.source().count("gelu_keeping(") == 1 and program.source().count("gelu_backward_kept(kept, ") == 2
