"""PyTorch's spellings at the package: each is the standard's function, and PyTorch has it under that name."""

from __future__ import annotations

import pytest

import autodiff_api as ad
from autodiff_api import spellings

NAMES = [*spellings.DTYPES, *spellings.FUNCTIONS, *sorted(spellings.METHODS), "device", "is_tensor", "softmax"]


@pytest.mark.parametrize("name", NAMES)
def test_every_spelling_is_pytorchs_and_ours(name):
    assert getattr(ad, name) is not None
    assert name in dir(ad)
    torch = pytest.importorskip("torch")
    assert hasattr(torch, name) or hasattr(torch.Tensor, name)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_code_in_pytorchs_words(backend):
    pytest.importorskip(backend)
    with ad.use_backend(backend):
        device = ad.device("cpu")
        x = ad.linspace(-1, 1, 4, device=device, dtype=ad.float, requires_grad=True)
        y = ad.cat([ad.sigmoid(x), ad.mul(x, 2.0)], dim=0)
        z = ad.sum(ad.clamp(y, min=-0.5).unsqueeze(0), dim=1, keepdim=True)
        assert z.shape == (1, 1) and ad.is_tensor(z) and not ad.is_tensor(1.0)
        z.backward()
        with ad.no_grad():
            s = ad.sigmoid(x)
            expected = s * (1 - s) + ad.tensor([0.0, 0.0, 2.0, 2.0], dtype=ad.float32)
            expected[1] += 0.0 if x[1].item() * 2 < -0.5 else 2.0
        assert ad.allclose(x.grad, expected)


def test_dtypes_follow_the_default_backend():
    pytest.importorskip("jax")
    assert ad.double == ad.namespace("numpy").float64
    with ad.use_backend("jax"):
        assert ad.float == ad.namespace("jax").float32


def test_a_name_that_nobody_knows():
    with pytest.raises(AttributeError, match="no_such_function"):
        ad.no_such_function  # noqa: B018
