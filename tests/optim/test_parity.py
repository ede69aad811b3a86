"""Every optimizer against PyTorch's, step for step in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autodiff_api as ad


def grid(**options):
    """Return every combination of the options' values."""
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


OPTIONS = [
    *[("SGD", o) for o in grid(lr=[0.1], momentum=[0, 0.9], weight_decay=[0, 0.05], maximize=[False, True])],
    *[("SGD", o) for o in grid(lr=[0.1], momentum=[0.7], dampening=[0.3], weight_decay=[0, 0.05])],
    *[("SGD", o) for o in grid(lr=[0.1], momentum=[0.7], nesterov=[True], maximize=[False, True])],
    ("SGD", {}),
    *[
        (name, o)
        for name in ("Adam", "AdamW")
        for o in grid(lr=[0.01], amsgrad=[False, True], weight_decay=[0, 0.1], maximize=[False, True])
    ],
    ("Adam", {}),
    ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("Adam", {"betas": (0.3, 0.5), "eps": 1e-3}),
    ("Adam", {"betas": (0.0, 0.0)}),
    ("AdamW", {}),
    *[
        ("RMSprop", o)
        for o in grid(momentum=[0, 0.8], centered=[False, True], weight_decay=[0, 0.1], maximize=[False, True])
    ],
    ("RMSprop", {"alpha": 0.4, "eps": 1e-3, "lr": 0.1}),
    ("RMSprop", {}),
]
NAMES = [f"{name}-{'-'.join(f'{k}={v}' for k, v in options.items())}" for name, options in OPTIONS]
STEPS = 20


def walk(lib, name, options, starts, gradients, tensor):
    """Return the parameters after every step, and the optimizer; one parameter has no gradient at first."""
    params = [tensor(start).requires_grad_() for start in starts]
    optimizer = getattr(lib.optim, name)(params, **options)
    places = []
    for number, step in enumerate(gradients):
        for index, (param, gradient) in enumerate(zip(params, step, strict=True)):
            param.grad = None if index == 1 and number < 3 else tensor(gradient)
        assert optimizer.step() is None
        places.append([param.detach().numpy().copy() for param in params])
    return places, optimizer


def numbers(dtype):
    rng = np.random.default_rng(0)
    shapes = [(3, 2), (4,), ()]

    def draw(shape):
        real = rng.standard_normal(shape)
        return np.asarray(real + 1j * rng.standard_normal(shape) if dtype is complex else real)

    return [draw(s) for s in shapes], [[draw(s) for s in shapes] for _ in range(STEPS)]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=NAMES)
def test_twenty_steps_agree_to_the_last_bits(name, options, backend):
    torch = pytest.importorskip("torch")
    starts, gradients = numbers(float)
    expected, theirs = walk(torch, name, options, starts, gradients, torch.tensor)
    found, ours = walk(ad, name, options, starts, gradients, ad.tensor)
    for step, (here, there) in enumerate(zip(found, expected, strict=True)):
        for one, other in zip(here, there, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14, err_msg=f"step {step}")
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert ours["state"].keys() == theirs["state"].keys()
    for number, state in theirs["state"].items():
        assert ours["state"][number].keys() == state.keys()
        for key, value in state.items():
            mine = ours["state"][number][key]
            np.testing.assert_allclose(np.asarray(mine), value.numpy(), rtol=1e-12, atol=1e-14, err_msg=key)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
        ("Adam", {"amsgrad": True}),
        ("RMSprop", {"centered": True, "momentum": 0.5}),
    ],
)
def test_complex_parameters(name, options, backend):
    torch = pytest.importorskip("torch")
    starts, gradients = numbers(complex)
    expected, _ = walk(torch, name, options, starts, gradients, torch.tensor)
    found, ours = walk(ad, name, options, starts, gradients, ad.tensor)
    for here, there in zip(found, expected, strict=True):
        for one, other in zip(here, there, strict=True):
            assert one.dtype == np.complex128
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    for state in ours.state_dict()["state"].values():
        kept = [value for key, value in state.items() if key != "step"]
        assert all(ad.isdtype(value.dtype, "complex floating") for value in kept) or backend == "jax"


def test_a_huge_gradient_is_forgotten_as_fast_as_the_betas_say():
    """Averages are formed so that 1e20 leaves nothing behind where nothing of it is to be kept."""
    torch = pytest.importorskip("torch")
    gradients = [[np.asarray(g)] for g in (1e20, 1e-3, 1e-3)]
    options = {"betas": (0.0, 0.0), "lr": 1.0}
    expected, _ = walk(torch, "Adam", options, [np.zeros(())], gradients, torch.tensor)
    found, _ = walk(ad, "Adam", options, [np.zeros(())], gradients, ad.tensor)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[-1][0] < -2.9


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_defaults_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.optim, name)([torch.ones(1)]).param_groups[0]
    ours = getattr(ad.optim, name)([ad.ones((1,))]).param_groups[0]
    assert set(ours) <= set(theirs)
    assert {key: theirs[key] for key in ours if key != "params"} == {k: v for k, v in ours.items() if k != "params"}


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_a_state_dict_of_pytorch_can_be_loaded(name, backend):
    """Train on with a PyTorch checkpoint: its tensors as NumPy arrays, its options as they are."""
    torch = pytest.importorskip("torch")
    options = {"lr": 0.1} if name == "Adam" else {"lr": 0.1, "momentum": 0.9}
    starts, gradients = numbers(float)
    _, theirs = walk(torch, name, options, starts, gradients, torch.tensor)
    saved = theirs.state_dict()
    saved["state"] = {
        number: {key: value.numpy() for key, value in state.items()} for number, state in saved["state"].items()
    }
    params = [ad.tensor(p.detach().numpy()).requires_grad_() for p in theirs.param_groups[0]["params"]]
    ours = getattr(ad.optim, name)(params)
    ours.load_state_dict(saved)
    for param, twin, gradient in zip(params, theirs.param_groups[0]["params"], gradients[0], strict=True):
        param.grad, twin.grad = ad.tensor(gradient), torch.tensor(gradient)
    ours.step()
    theirs.step()
    for param, twin in zip(params, theirs.param_groups[0]["params"], strict=True):
        np.testing.assert_allclose(param.detach().numpy(), twin.detach().numpy(), rtol=1e-12)
