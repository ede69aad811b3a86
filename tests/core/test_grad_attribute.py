"""What may be assigned to `.grad`, where PyTorch has nothing to compare with."""

import pytest

import autodiff_api as ad


def test_a_gradient_is_on_the_device_of_its_tensor(strict):
    x = strict.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"attempting to assign a gradient of device .*device1"):
        x.grad = strict.ones(2, device="device1")
    assert x.grad is None
    x.grad = strict.ones(2)


def test_a_gradient_is_of_the_backend_of_its_tensor(strict):
    x = ad.namespace("numpy").ones(2, requires_grad=True)
    with pytest.raises(ad.BackendMismatchError, match="'strict' met a tensor of backend 'numpy'"):
        x.grad = strict.ones(2)
