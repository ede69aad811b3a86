"""Modules of convolution and pooling: PyTorch's arguments, state and beginnings."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn

rng = np.random.default_rng(4)

MODULES = {
    "Conv1d": (lambda nn: nn.Conv1d(2, 4, 3, 2, 1, groups=2), (3, 2, 9)),
    "Conv2d": (lambda nn: nn.Conv2d(2, 3, (3, 2), padding="same", dilation=(2, 1)), (3, 2, 6, 5)),
    "Conv2d without a bias": (lambda nn: nn.Conv2d(2, 3, 2, 1, 1, bias=False), (2, 4, 5)),
    "Conv3d": (lambda nn: nn.Conv3d(1, 2, 2, padding=(0, 1, 0)), (2, 1, 3, 4, 3)),
    "MaxPool2d": (lambda nn: nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 2, 6, 5)),
    "AvgPool2d": (lambda nn: nn.AvgPool2d((2, 3), padding=1, count_include_pad=False), (2, 2, 6, 5)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", MODULES)
def test_agrees_with_pytorch(backend, name):
    torch = pytest.importorskip("torch")
    make, shape = MODULES[name]
    theirs, ours = make(torch.nn).double(), make(nn)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    results = []
    x = rng.standard_normal(shape)
    for lib, module in ((ad, ours), (torch, theirs)):
        leaf = lib.tensor(x, requires_grad=True)
        y = module(leaf)
        (y * y).sum().backward()
        results.append([y.detach().numpy(), leaf.grad.numpy(), *(p.grad.numpy() for p in module.parameters())])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_a_convolution_starts_as_pytorchs_does(backend):
    layer = nn.Conv2d(40, 50, (3, 5), groups=2, generator=ad.Generator(0))
    bound = (20 * 15) ** -0.5
    assert layer.weight.shape == (50, 20, 3, 5)
    for p in layer.parameters():
        values = p.detach().numpy()
        assert 0.9 * bound < abs(values).max() <= bound
        assert p.is_leaf
        assert p.requires_grad
    assert layer.weight.detach().numpy().std() == pytest.approx(bound / 3**0.5, rel=0.05)
    again = nn.Conv2d(40, 50, (3, 5), groups=2, generator=ad.Generator(0))
    assert again.weight.tolist() == layer.weight.tolist()


def test_a_convolution_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="divisible by groups=2"):
        nn.Conv1d(3, 4, 2, groups=2)


def test_a_convolutional_network_learns(backend):
    """To tell a bright spot on the left from one on the right."""
    ad.manual_seed(0)
    images = np.zeros((40, 1, 6, 6), dtype=np.float32)
    labels = np.arange(40) % 2
    images[np.arange(40), 0, rng.integers(0, 6, 40), 3 * labels + rng.integers(0, 3, 40)] = 1
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2))
    optimizer = ad.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(ad.tensor(images)), ad.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
