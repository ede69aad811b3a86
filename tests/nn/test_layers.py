"""The modules that come with the library."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn

rng = np.random.default_rng(2)
X = rng.standard_normal((6, 5))


def test_linear_starts_as_pytorchs_does(backend):
    layer = nn.Linear(400, 300, generator=ad.Generator(0))
    for p in layer.parameters():
        values = p.detach().numpy()
        assert abs(values).max() <= 400**-0.5
        assert abs(values).max() > 0.99 * 400**-0.5
        assert abs(values.mean()) < 0.005
        assert values.std() == pytest.approx(400**-0.5 / 3**0.5, rel=0.05)
        assert p.is_leaf
        assert p.requires_grad
    assert layer.weight.shape == (300, 400)
    assert layer.bias.shape == (300,)


def test_linear_is_reproducible_and_the_same_on_every_backend(backend):
    first = nn.Linear(3, 2, generator=ad.Generator(5))
    ad.manual_seed(5)
    assert first.weight.tolist() == nn.Linear(3, 2).weight.tolist()
    with ad.use_backend("numpy"):
        assert first.weight.tolist() == nn.Linear(3, 2, generator=ad.Generator(5)).weight.tolist()


def test_linear_options(backend):
    xp = ad.namespace()
    layer = nn.Linear(3, 2, bias=False, dtype=xp.float32)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    assert layer.weight.dtype == xp.float32
    assert nn.Linear(3, 2, device=layer.weight.device).weight.device == layer.weight.device
    assert nn.Linear(0, 2)(xp.zeros((4, 0))).shape == (4, 2)


def build(lib, state=None):
    """Return a classifier of all the layers that are not random, with the same parameters in both libraries."""
    model = lib.nn.Sequential(
        lib.nn.Flatten(),
        lib.nn.Linear(5, 7),
        lib.nn.GELU(),
        lib.nn.Linear(7, 6),
        lib.nn.Tanh(),
        lib.nn.Linear(6, 6),
        lib.nn.Sigmoid(),
        lib.nn.ReLU(),
        lib.nn.GELU(approximate="tanh"),
        lib.nn.Linear(6, 3),
    )
    if state is not None:
        model.load_state_dict(state)
    return model


@pytest.mark.parametrize("loss", ["MSELoss", "CrossEntropyLoss"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_classifier_agrees_with_pytorch(backend, loss, reduction):
    torch = pytest.importorskip("torch")
    theirs = build(torch).double()
    ours = build(ad, {name: value.numpy() for name, value in theirs.state_dict().items()})
    target = np.array([0, 2, 1, 1, 0, 2]) if loss == "CrossEntropyLoss" else rng.standard_normal((6, 3))
    results = []
    for lib, model in ((ad, ours), (torch, theirs)):
        value = getattr(lib.nn, loss)(reduction=reduction)(model(lib.tensor(X)), lib.tensor(target))
        value.backward()
        results.append([value.item(), *(p.grad.numpy() for p in model.parameters())])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)


def test_cross_entropy_loss_keeps_its_weight_as_a_buffer():
    weight = ad.asarray([1.0, 2.0, 0.5])
    loss = nn.CrossEntropyLoss(weight, ignore_index=1, label_smoothing=0.2)
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []
    x, y = ad.asarray(X[:, :3]), ad.asarray([0, 1, 2, 2, 0, 1])
    expected = nn.functional.cross_entropy(x, y, weight, ignore_index=1, label_smoothing=0.2)
    assert loss(x, y).item() == expected.item()


def test_sequential_is_a_sequence():
    model = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert len(model) == 3
    assert [type(m) for m in model] == [nn.ReLU, nn.Tanh, nn.Sigmoid]
    assert model[-1] is model[2]
    assert list(dict(model[1:].named_children())) == ["1", "2"]
    assert model.append(nn.GELU()) is model
    assert [name for name, _ in model.named_children()] == ["0", "1", "2", "3"]
    named = nn.Sequential({"act": nn.ReLU(), "out": nn.Linear(2, 1)})
    assert list(named.state_dict()) == ["out.weight", "out.bias"]
    assert named.act is named[0]
    assert nn.Sequential()(3) == 3


def test_dropout_only_in_training():
    layer = nn.Dropout(0.5, generator=ad.Generator(0))
    x = ad.ones((1000,))
    assert 300 < (layer(x) == 0).sum().item() < 700
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="between 0 and 1, but got -1"):
        nn.Dropout(-1)


@pytest.mark.parametrize("dims", [(1, -1), (0, -1), (0, 1), (2, 2), (-2, -1)])
def test_flatten(backend, dims):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((2, 3, 4, 5))
    found, expected = nn.Flatten(*dims)(ad.asarray(x)), torch.nn.Flatten(*dims)(torch.tensor(x))
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_flatten_of_nothing():
    assert nn.Flatten()(ad.zeros((0, 2, 3))).shape == (0, 6)
    assert nn.Flatten(0)(ad.asarray(1.0)).shape == (1,)
    with pytest.raises(ValueError, match="no axis 1 to flatten in an input of 1 axes"):
        nn.Flatten()(ad.zeros((3,)))


def test_losses_check_their_reduction_at_once():
    with pytest.raises(ValueError, match=r"'avg' is not a valid value for reduction in MSELoss\(\)"):
        nn.MSELoss(reduction="avg")
