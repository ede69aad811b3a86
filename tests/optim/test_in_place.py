"""Large parameters move where they are, unless somebody could see it; whole or not at all."""

from __future__ import annotations

import copy
import ctypes
import tracemalloc

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import optim
from autodiff_api.optim import moves

SIZE = 1 << 19
KINDS = {
    "Adam": {"lr": 0.1},
    "Adam all": {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1, "maximize": True, "betas": (0.3, 0.0)},
    "AdamW": {"lr": 0.1, "weight_decay": 0.5},
    "RMSprop": {"lr": 0.1},
    "RMSprop all": {"lr": 0.1, "momentum": 0.9, "centered": True, "weight_decay": 0.1},
    "SGD": {"lr": 0.1},
    "SGD dampened": {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
    "SGD maximizing": {"lr": 0.1, "maximize": True},
    "SGD momentum": {"lr": 0.1, "momentum": 0.9},
    "SGD nesterov": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True, "weight_decay": 0.1},
}
RNG = np.random.default_rng(0)
START = RNG.standard_normal(SIZE, dtype=np.float32).reshape(-1, 64)
GRADS = [RNG.standard_normal(SIZE, dtype=np.float32).reshape(-1, 64) for _ in range(3)]


@pytest.fixture(autouse=True)
def _on_numpy():
    with ad.use_backend("numpy"):
        yield


def large(dtype=np.float32):
    return ad.tensor(START.astype(dtype), requires_grad=True)


def optimizer_of(kind, params):
    return getattr(optim, kind.partition(" ")[0])(params, **KINDS[kind])


def memory(p):
    """Return where a parameter's numbers lie."""
    return p.detach().numpy().__array_interface__["data"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_takes_no_memory_for_a_second_model(kind):
    params = [large() for _ in range(4)]
    optimizer = optimizer_of(kind, params)
    peaks = []
    for grad in GRADS:
        for p in params:
            p.grad = ad.asarray(grad)
        tracemalloc.start()
        optimizer.step()
        peaks.append(tracemalloc.get_traced_memory()[1] / (4 * START.nbytes))
        tracemalloc.stop()
    assert max(peaks[1:]) < 0.2


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_as_in_other_memory(kind, dtype, layout):
    p, q = large(dtype), large(dtype)
    alone, seen = optimizer_of(kind, [p]), optimizer_of(kind, [q])
    twin = q.detach()
    for number, grad in enumerate(GRADS):
        p.grad = ad.asarray(np.asarray(grad, dtype, order=layout))
        q.grad = ad.asarray(np.asarray(grad, dtype, order=layout))
        before, other = memory(p), memory(q)
        alone.step()
        seen.step()
        assert (memory(p) == before, memory(q) == other) == (True, False)
        assert p.dtype == q.dtype
        held, wanted = alone.state.get(p, {}), seen.state.get(q, {})
        assert list(held) == list(wanted)
        assert held.get("step", number + 1) == wanted.get("step", number + 1) == number + 1
        for key in held.keys() - {"step"}:
            np.testing.assert_allclose(held[key].numpy(), wanted[key].numpy(), rtol=1e-6)
        np.testing.assert_allclose(p.detach().numpy(), twin.numpy(), rtol=1e-6, atol=1e-7)
        del held  # who holds the state of a parameter sees it


HOLDERS = {  # who holds something that a step replaces, and what the holder sees
    "array": lambda p, o: (held := p.detach().numpy(), lambda: held),
    "another parameter": lambda p, o: (other := ad.nn.Parameter(p), lambda: other.detach().numpy()),
    "part of an array": lambda p, o: (held := p.detach().numpy()[1:], lambda: held),
    "graph": lambda p, o: (loss := (p * p).sum(), lambda: ad.autograd.grad(loss, p, retain_graph=True)[0].numpy()),
    "gradient": lambda p, o: (setattr(p, "grad", g := ad.asarray(GRADS[0])), lambda: g.numpy()),
    "state": lambda p, o: (kept := o.state_dict()["state"][0], lambda: kept["momentum_buffer"].numpy()),
    "dictionary of state": lambda p, o: (kept := o.state[p], lambda: kept["momentum_buffer"].numpy()),
    "array of state": lambda p, o: (held := o.state[p]["momentum_buffer"].numpy(), lambda: held),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_others_hold_stays(holder):
    p = large()
    optimizer = optimizer_of("SGD momentum", [p])
    p.grad = ad.asarray(GRADS[0])
    optimizer.step()
    _held, seen = HOLDERS[holder](p, optimizer)
    before = seen().copy()
    optimizer.step()
    np.testing.assert_array_equal(seen(), before)


def test_who_shares_the_data_sees_the_step():
    p = large()
    optimizer = optimizer_of("SGD", [p])
    first, snapshot, whole = p.detach()[0], {"p": p.detach()}, p.detach().reshape((-1,))
    for grad in GRADS:
        p.grad = ad.asarray(grad)
        optimizer.step()
        now = p.detach().numpy()
        np.testing.assert_array_equal(first.numpy(), now[0])
        np.testing.assert_array_equal(snapshot["p"].numpy(), now)
        np.testing.assert_array_equal(whole.numpy(), now.reshape(-1))


def test_a_gradient_that_is_a_parameter_is_what_it_was_before_the_step():
    p, q = large(), large()
    optimizer = optim.SGD([p, q], lr=0.5)
    p.grad, q.grad = ad.asarray(GRADS[0]), p.detach()
    optimizer.step()
    np.testing.assert_array_equal(q.detach().numpy(), START - START * np.float32(0.5))


def test_a_freed_graph_knows_that_its_leaf_has_changed():
    p = large()
    optimizer = optimizer_of("SGD", [p])
    loss = (p * p).sum()
    loss.backward()
    optimizer.step()
    with pytest.raises(ad.GraphError, match="was changed in place since"):
        loss.backward()


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_fails_changes_nothing(kind):
    params = [large(), large()]
    optimizer = optimizer_of(kind, params[:1])
    optimizer.add_param_group({"params": params[1:]})
    for p in params:
        p.grad = ad.asarray(GRADS[0])
    optimizer.step()
    before, state = [p.tolist() for p in params], copy.deepcopy(optimizer.state_dict()["state"])
    optimizer.param_groups[1]["lr"] = object()
    with pytest.raises(TypeError):
        optimizer.step()
    assert [p.tolist() for p in params] == before
    assert str(optimizer.state_dict()["state"]) == str(state)


def test_a_signal_comes_before_a_step_or_after_it(monkeypatch):
    """Ctrl-C while parameters are computed where they are: it is raised when all of them are."""
    params = [large(), large()]
    optimizer = optimizer_of("Adam", params)
    found = moves.in_place_of

    def interrupted(update, xp):
        kernel = found(update, xp)

        def pressed(*args):
            calls, state = kernel(*args)
            return [*calls[:1], (ctypes.pythonapi.PyErr_SetInterrupt,), *calls[1:]], state

        return pressed

    monkeypatch.setattr(moves, "in_place_of", interrupted)
    for p in params:
        p.grad = ad.asarray(GRADS[0])
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert [optimizer.state[p]["step"] for p in params] == [1, 1]
    for p in params:
        assert p.detach().numpy()[0, 0] == pytest.approx(START[0, 0] - 0.1 * np.sign(GRADS[0][0, 0]), rel=1e-4)
    assert params[0].tolist() == params[1].tolist()
    assert all(p._node.changed for p in params)


def test_numbers_that_overflow_stop_no_step():
    p = large()
    optimizer = optimizer_of("Adam", [p])
    p.grad = ad.full(p.shape, 1e30, dtype=ad.float32)
    with np.errstate(all="raise"):
        optimizer.step()
    assert optimizer.state[p]["exp_avg_sq"].numpy().max() == np.inf
