"""Groups, state, closures, errors and compiled steps of the optimizers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import optim

KINDS = {
    "SGD": lambda p: optim.SGD(p, lr=0.003, momentum=0.5),
    "Adam": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True),
}


def leaf(*values):
    return ad.tensor([float(v) for v in values], requires_grad=True)


def loss_of(p):
    return ((p - 3) ** 4).sum() + p.sin().sum()


def train(optimizer, params, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        sum((loss_of(p) for p in params[1:]), loss_of(params[0])).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_every_optimizer_descends(backend, kind):
    p = leaf(0, 1, 5)
    before = loss_of(p).item()
    train(KINDS[kind]([p]), [p], 60)
    assert loss_of(p).item() < before / 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_keeps_the_leaf_and_records_nothing(backend, kind):
    p = leaf(1, 2)
    optimizer = KINDS[kind]([p])
    held, shared = p, p.detach()
    train(optimizer, [p], 2)
    assert p is held
    assert p.is_leaf
    assert p.requires_grad
    assert shared.tolist() == p.tolist()
    tensors = [value for state in optimizer.state.values() for key, value in state.items() if key != "step"]
    assert tensors
    for value in tensors:
        assert not value.requires_grad
        assert ad.namespace(value) is ad.namespace(p)
        assert (value.shape, value.dtype, value.device) == (p.shape, p.dtype, p.device)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_not_kept_as_state(kind):
    """PyTorch code zeroes gradients in place: no buffer may be the gradient itself."""
    p, q = leaf(1, 2), leaf(1, 2)
    one, other = KINDS[kind]([p]), KINDS[kind]([q])
    for _ in range(3):
        p.grad, q.grad = ad.asarray([1.0, -2.0]), ad.asarray([1.0, -2.0])
        one.step()
        other.step()
        p.grad.zero_()
    assert p.tolist() == q.tolist()


def test_float32_stays_float32(backend):
    xp = ad.namespace()
    for kind in KINDS.values():
        p = xp.asarray([1.0, 2.0], dtype=xp.float32).requires_grad_()
        optimizer = kind([p])
        optimizer.param_groups[0]["lr"] = xp.asarray(0.1, dtype=xp.float64)
        train(optimizer, [p])
        assert p.dtype == xp.float32


def test_parameters_without_a_gradient_are_left_alone():
    p, q = leaf(1), leaf(1)
    optimizer = optim.AdamW([p, q], weight_decay=0.5)
    p.grad = ad.asarray([1.0])
    optimizer.step()
    assert q.tolist() == [1.0]
    assert p.tolist() != [1.0]
    assert list(optimizer.state) == [p]


def test_zero_grad():
    p = leaf(1)
    optimizer = optim.SGD([p])
    loss_of(p).backward(create_graph=False)
    grad = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is grad
    assert grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is None


def test_zeroed_gradients_have_no_history():
    p = leaf(2)
    p.grad = p * 2
    assert p.grad.requires_grad
    optim.SGD([p]).zero_grad(set_to_none=False)
    assert not p.grad.requires_grad
    assert p.grad.tolist() == [0.0]


def test_closure_runs_with_recording_and_its_value_is_returned():
    p = leaf(2)
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with ad.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert p.tolist() == [0.0]


# Groups


def test_groups_have_their_own_options():
    p, q, r = leaf(1), leaf(1), leaf(1)
    optimizer = optim.SGD([{"params": [p]}, {"params": q, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": (x for x in [r]), "maximize": True})
    for x in (p, q, r):
        x.grad = ad.asarray([1.0])
    optimizer.step()
    assert [x.item() for x in (p, q, r)] == pytest.approx([0.9, 0.5, 1.1])
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5, 0.1]
    optimizer.param_groups[0]["lr"] = 0.2
    optimizer.step()
    assert p.item() == pytest.approx(0.7)


def test_repr_is_readable():
    text = repr(optim.SGD([{"params": [leaf(1)]}, {"params": [leaf(2)], "lr": 0.5}], lr=0.1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.1\n    maximize: False\n")
    assert "Parameter Group 1\n    dampening: 0\n    lr: 0.5\n" in text
    assert text.endswith("\n)")


REFUSALS = [
    (lambda p: optim.SGD([p], lr=-1), ValueError, r"Invalid learning rate: -1 in SGD\(\)"),
    (lambda p: optim.Adam([p], lr=float("nan")), ValueError, r"Invalid learning rate: nan in Adam\(\)"),
    (lambda p: optim.SGD([p], momentum=-1), ValueError, "Invalid momentum value: -1"),
    (lambda p: optim.SGD([p], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
    (lambda p: optim.SGD([p], nesterov=True), ValueError, "Nesterov momentum requires a momentum and zero"),
    (lambda p: optim.SGD([p], nesterov=True, momentum=0.9, dampening=0.1), ValueError, "and dampening=0.1"),
    (lambda p: optim.Adam([p], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
    (lambda p: optim.AdamW([p], betas=(0.9, -1)), ValueError, r"at index 1: -1 in AdamW\(\)"),
    (lambda p: optim.Adam([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
    (lambda p: optim.RMSprop([p], alpha=-1), ValueError, "Invalid alpha value: -1"),
    (lambda p: optim.SGD([{"params": [p], "lr": -2}]), ValueError, "Invalid learning rate: -2"),
    (lambda p: optim.SGD([]), ValueError, "optimizer got an empty parameter list"),
    (lambda p: optim.SGD(p), TypeError, "should be an iterable of Tensors or dicts"),
    (lambda p: optim.SGD([p * 2]), ValueError, "can't optimize a non-leaf Tensor.*Multiply"),
    (lambda p: optim.SGD([3]), TypeError, "can only optimize Tensors, but one of the params is int"),
    (lambda p: optim.SGD([{"params": {p}}]), TypeError, "the ordering of tensors in sets will change"),
    (lambda p: optim.SGD([{"lr": 1}]), ValueError, 'param_group has no "params"'),
    (lambda p: optim.SGD([p]).add_param_group([p]), TypeError, "param_group must be a dict, but got list"),
    (lambda p: optim.SGD([p]).add_param_group({"params": [p]}), ValueError, "in more than one parameter group"),
    (lambda p: optim.SGD([p, p]), ValueError, "or twice in one"),
    (lambda p: optim.SGD([p]).load_state_dict({"state": {}, "param_groups": []}), ValueError, "different number of"),
    (
        lambda p: optim.SGD([p]).load_state_dict(optim.SGD([leaf(1), leaf(2)]).state_dict()),
        ValueError,
        "doesn't match the size of optimizer's group: group 0 has 2 parameters",
    ),
]


@pytest.mark.parametrize(("call", "builtin", "text"), REFUSALS)
def test_refusals_name_fact_place_and_remedy(call, builtin, text):
    with pytest.raises(builtin, match=text) as caught:
        call(leaf(1))
    assert isinstance(caught.value, ad.AutodiffError)


def test_a_refused_group_changes_nothing():
    p = leaf(1)
    optimizer = optim.SGD([p])
    with pytest.raises(ad.ArgumentError):
        optimizer.add_param_group({"params": [leaf(2)], "lr": -1})
    assert len(optimizer.param_groups) == 1


def test_an_optimizer_says_how_it_moves():
    p = leaf(1)
    p.grad = ad.asarray([1.0])
    with pytest.raises(NotImplementedError, match=r"Optimizer doesn't say .* Define update\(\)"):
        optim.Optimizer([p], {}).step()

    class SignDescent(optim.Optimizer):
        def update(self, param, grad, state, options):
            return param - options["lr"] * ad.sign(grad), state

    SignDescent([p], {"lr": 0.25}).step()
    assert p.tolist() == [0.75]


# State


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [lambda s: s, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_loaded_state_dict_continues(backend, kind, copied):
    p, q = leaf(0, 1), leaf(4)
    first = KINDS[kind]([{"params": [p]}, {"params": [q], "lr": 0.01}])
    train(first, [p, q])
    saved = copied(first.state_dict())
    p2, q2 = (ad.tensor(x.tolist(), requires_grad=True) for x in (p, q))
    second = KINDS[kind]([{"params": [p2]}, {"params": [q2]}])
    second.load_state_dict(saved)
    assert second.param_groups[1]["lr"] == 0.01
    assert second.param_groups[1]["params"] == [q2]
    train(first, [p, q])
    train(second, [p2, q2])
    assert [p2.tolist(), q2.tolist()] == [p.tolist(), q.tolist()]


def test_a_state_dict_does_not_change_later():
    p = leaf(1, 2)
    optimizer = KINDS["Adam"]([p])
    train(optimizer, [p])
    saved = optimizer.state_dict()
    before = saved["state"][0]["exp_avg"].tolist()
    train(optimizer, [p])
    assert saved["state"][0]["exp_avg"].tolist() == before
    assert saved["state"][0]["step"] == 3
    saved["state"][0]["step"] = saved["param_groups"][0]["lr"] = 99
    assert optimizer.state[p]["step"] == 6
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_a_loaded_state_is_a_copy():
    p, q = leaf(1, 2), leaf(1, 2)
    one, other = KINDS["Adam"]([p]), KINDS["Adam"]([q])
    train(one, [p])
    other.load_state_dict(one.state_dict())
    one.state[p]["exp_avg"].zero_()
    assert other.state[q]["exp_avg"].all()


def test_a_state_dict_goes_to_another_backend():
    pytest.importorskip("jax")
    p = leaf(1, 2)
    optimizer = KINDS["Adam"]([p])
    train(optimizer, [p])
    with ad.use_backend("jax"):
        q = leaf(1, 2)
        other = KINDS["Adam"]([q])
        other.load_state_dict(optimizer.state_dict())
        train(other, [q])
        moved = other.state_dict()["state"][0]["exp_avg"]
    assert ad.namespace(moved).__name__ == "autodiff_api.jax"
    assert moved.dtype == q.dtype


def test_a_state_of_another_shape_is_refused_and_nothing_loaded():
    p, q = leaf(1, 2), leaf(1)
    one, other = KINDS["Adam"]([p]), KINDS["Adam"]([q])
    train(one, [p])
    train(other, [q])
    before = other.state_dict()["state"][0]["exp_avg"].tolist()
    with pytest.raises(RuntimeError, match=r"size mismatch for exp_avg: .* \(2,\), its parameter \(1,\)"):
        other.load_state_dict(one.state_dict())
    assert other.state_dict()["state"][0]["exp_avg"].tolist() == before


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copied_optimizer_moves_the_copied_parameters(backend, twin):
    p = leaf(1, 2)
    optimizer = KINDS["Adam"]([p])
    train(optimizer, [p])
    q, other = twin((p, optimizer))
    assert other.param_groups[0]["params"][0] is q
    train(optimizer, [p])
    train(other, [q])
    assert p.tolist() == q.tolist()
    assert p is not q


# Whole or not at all


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_fails_changes_nothing(kind, monkeypatch):
    params = [leaf(1), leaf(2), leaf(3)]
    optimizer = KINDS[kind](params)
    train(optimizer, params, 1)
    values, state = [p.tolist() for p in params], copy.deepcopy(optimizer.state_dict()["state"])
    update = optimizer.update

    def broken(param, grad, kept, options):
        if param is params[2]:
            raise KeyboardInterrupt
        return update(param, grad, kept, options)

    monkeypatch.setattr(optimizer, "update", broken)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert [p.tolist() for p in params] == values
    assert str(optimizer.state_dict()["state"]) == str(state)
    monkeypatch.undo()
    optimizer.step()
    assert all(p.tolist() != v for p, v in zip(params, values, strict=True))


# Kernels


def moved(optimizer, params, gradients):
    """Return the parameters and the state after steps along these gradients."""
    for step in gradients:
        for param, gradient in zip(params, step, strict=True):
            param.grad = ad.asarray(gradient)
        optimizer.step()
    kept = optimizer.state_dict()["state"]
    state = [(key, np.asarray(value)) for each in kept.values() for key, value in sorted(each.items())]
    return [p.detach().numpy() for p in params], state


VARIANTS = [
    *[("SGD", o) for o in ({}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1})],
    ("SGD", {"momentum": 0.9, "nesterov": True, "maximize": True}),
    ("SGD", {"weight_decay": 0.1}),
    *[("Adam", o) for o in ({}, {"betas": (0.3, 0.0)}, {"amsgrad": True, "weight_decay": 0.1, "maximize": True})],
    ("AdamW", {"weight_decay": 0.5}),
    *[("RMSprop", o) for o in ({}, {"momentum": 0.9}, {"alpha": 0.3, "centered": True, "weight_decay": 0.1})],
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=str)
def test_a_kernel_moves_as_the_formula_does(backend, kind, options, dtype):
    """Of gradients in any layout; a learning rate that is a tensor goes by the formula, on tensors."""
    rng = np.random.default_rng(0)
    shapes = [(5, 3), (4,), ()]
    starts = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
    gradients = [[np.asarray(rng.standard_normal(s[::-1]).T, dtype) for s in shapes] for _ in range(4)]
    found = []
    for lr in (0.1, ad.asarray(0.1, dtype=getattr(ad.namespace(), dtype))):
        params = [ad.tensor(start, requires_grad=True) for start in starts]
        found.append(moved(getattr(optim, kind)(params, lr=lr, **options), params, gradients))
    (values, state), (wanted, wanted_state) = found
    near = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-14}
    for one, other in zip(values, wanted, strict=True):
        assert one.dtype == dtype
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, **near)
    assert [(key, value.dtype, value.shape) for key, value in state] == [
        (key, value.dtype, value.shape) for key, value in wanted_state
    ]
    for (_, one), (_, other) in zip(state, wanted_state, strict=True):
        np.testing.assert_allclose(one, other, **near)


def test_a_step_leaves_alone_what_others_hold(backend):
    """A kernel never writes into memory that it was given, nor into what it gave out."""
    for kind in KINDS.values():
        p = leaf(1, 2, 3)
        optimizer = kind([p])
        held = []
        for _ in range(3):
            p.grad = ad.asarray([1.0, -2.0, 0.5])
            arrays = [
                p._value,
                p.grad._value,
                *(v._value for k, v in optimizer.state.get(p, {}).items() if k != "step"),
            ]
            held += [(array, np.array(array)) for array in arrays]
            optimizer.step()
        for array, before in held:
            np.testing.assert_array_equal(np.asarray(array), before)


def test_a_subclass_that_moves_otherwise_is_asked(backend):
    class Twice(optim.SGD):
        def update(self, param, grad, state, options):
            return super().update(param, 2 * grad, state, options)

    p = leaf(1)
    p.grad = ad.asarray([1.0])
    Twice([p], lr=0.25).step()
    assert p.tolist() == [0.5]


def test_options_that_change_at_every_step(backend):
    """They are constants of what an engine compiles, which it stops to do when they don't stand still."""
    p, q = leaf(1, 2), leaf(1, 2)
    one, other = optim.Adam([p], lr=0.1), optim.Adam([q], lr=ad.asarray(0.1))
    for number in range(40):
        for optimizer, param in ((one, p), (other, q)):
            param.grad = ad.asarray([1.0, -2.0])
            optimizer.param_groups[0]["betas"] = (0.9 - number / 100, 0.999)
            optimizer.step()
    np.testing.assert_allclose(p.tolist(), q.tolist(), rtol=1e-5)


# Compiled


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_step_is_an_eager_one(kind):
    """Values and state go in and out; the options are constants of the program, the step count is not."""
    jax = pytest.importorskip("jax")

    def step(value, state):
        p = value.detach().requires_grad_()
        optimizer = KINDS[kind]([p])
        saved = optimizer.state_dict()
        optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})
        loss_of(p).backward()
        optimizer.step()
        return p.detach(), optimizer.state_dict()["state"]

    compiled = jax.jit(step)
    with ad.use_backend("jax"):
        p = leaf(0, 1, 5)
        optimizer = KINDS[kind]([p])
        value, state = p.detach().clone(), {}
        for _ in range(5):
            value, state = compiled(value, state)
            train(optimizer, [p], 1)
            np.testing.assert_allclose(value.numpy(), p.detach().numpy(), rtol=1e-5, atol=1e-5)
    if kind != "SGD":
        assert int(state[0]["step"]) == 5
