"""The PyTorch backend: the laws, the same gradients as PyTorch's own autograd, and nothing of that underneath.

Kernel by kernel it is tested with the other backends, in test_kernels.py, tests/core/test_special.py and tests/storing.
All dtypes are a command: python -m autodiff_api conformance torch
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import numpy as np
import pytest

import autodiff_api as ad
import autodiff_api.nn.functional as F
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.laws import LAWS

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def checks():
    return Checks(ad.namespace("torch"), dtypes=("float64",))


@pytest.mark.parametrize("law", LAWS)
def test_a_law(checks, law):
    """Of all functions together: a process for each would look for PyTorch's threads as long as this takes."""
    outcomes = {name: checks.check(name, law, "float64") for name in checks.functions}
    assert {name: o.text for name, o in outcomes.items() if o.state not in ("pass", "none")} == {}
    assert sum(o.state == "pass" for o in outcomes.values()) > 30


@pytest.fixture
def xp():
    return ad.namespace("torch")


# --- as PyTorch's own autograd has it ---


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


IMAGES, KERNEL, BIAS = numbers(2, 4, 6, 5), numbers(6, 2, 3, 2), numbers(6)
ROWS, SCALE = numbers(3, 7), numbers(7)
HEADS = [numbers(2, 3, 5, 4) for _ in range(3)]
CLASSES = np.asarray([1, -100, 6])
FUNCTIONS = {
    "conv2d": (lambda f, x, w, b: f.conv2d(x, w, b, stride=(2, 1), padding=1, dilation=(1, 2), groups=2), (
        IMAGES, KERNEL, BIAS)),
    "conv1d": (lambda f, x, w: f.conv1d(x, w, padding="same"), (numbers(2, 3, 8), numbers(4, 3, 3))),
    "conv3d": (lambda f, x, w: f.conv3d(x, w, stride=2), (numbers(1, 2, 4, 5, 4), numbers(3, 2, 2, 2, 3))),
    "cross_entropy": (lambda f, x: f.cross_entropy(x, target(f)), (ROWS,)),
    "cross_entropy, each": (lambda f, x: f.cross_entropy(x, target(f), reduction="none"), (ROWS,)),
    "gelu": (lambda f, x: f.gelu(x), (ROWS,)),
    "gelu by tanh": (lambda f, x: f.gelu(x, approximate="tanh"), (ROWS,)),
    "layer_norm": (lambda f, x, w, b: f.layer_norm(x, (7,), w, b), (ROWS, SCALE, SCALE[::-1].copy())),
    "layer_norm alone": (lambda f, x: f.layer_norm(x, (3, 7)), (ROWS,)),
    "linear": (lambda f, x, w: f.linear(x, w), (ROWS, numbers(4, 7))),
    "log_softmax": (lambda f, x: f.log_softmax(x, dim=0), (ROWS,)),
    "relu": (lambda f, x: f.relu(x), (ROWS,)),
    "softmax": (lambda f, x: f.softmax(x, dim=-1), (ROWS,)),
    "attention": (lambda f, *x: f.scaled_dot_product_attention(*x), HEADS),
    "causal attention": (lambda f, *x: f.scaled_dot_product_attention(*x, is_causal=True), HEADS),
}  # fmt: skip


def target(f):
    return ad.namespace("torch").asarray(CLASSES) if f is F else torch.asarray(CLASSES)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_pytorchs_own_autograd(xp, name):
    """Also the gradients of gradients, which are computed by the rules and not by PyTorch's backward.

    PyTorch's own attention on the CPU has none, unless it is told to compute op by op.
    """
    function, arrays = FUNCTIONS[name]
    found, wanted = [], []
    for f, made, grad, out in (
        (F, lambda a: xp.asarray(a).requires_grad_(), ad.autograd.grad, found),
        (torch.nn.functional, lambda a: torch.tensor(a, requires_grad=True), torch.autograd.grad, wanted),
    ):
        inputs = [made(a) for a in arrays]
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH) if f is not F else nullcontext():
            y = function(f, *inputs)
        first = grad((y * y).sum(), inputs, create_graph=True)
        second = grad(sum((g * g).sum() for g in first), inputs)
        out += [y, *first, *second]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-4, atol=2e-4)
        assert not ours._value.requires_grad and ours._value.grad_fn is None


def test_training_eagerly_and_compiled_is_training_in_pytorch():
    x, y = numbers(32, 7), RNG.integers(0, 3, 32)
    theirs = torch.nn.Sequential(torch.nn.Linear(7, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    start = {name: value.numpy().copy() for name, value in theirs.state_dict().items()}
    step = torch.optim.Adam(theirs.parameters(), lr=0.05)
    wanted = []
    for _ in range(5):
        step.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(torch.asarray(x)), torch.asarray(y))
        loss.backward()
        step.step()
        wanted.append(loss.item())
    for compiled in (False, True):
        with ad.use_backend("torch"):
            model = ad.nn.Sequential(ad.nn.Linear(7, 8), ad.nn.ReLU(), ad.nn.Linear(8, 3))
            model.load_state_dict({name: ad.asarray(value) for name, value in start.items()})
            optimizer = ad.optim.Adam(model.parameters(), lr=0.05)

            def once(x, y, model=model, optimizer=optimizer):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                return loss

            run = ad.compile(once, state=(model, optimizer)) if compiled else once
            assert [run(ad.asarray(x), ad.asarray(y)).item() for _ in range(5)] == pytest.approx(wanted, rel=1e-4)


# --- what comes from PyTorch and from NumPy ---


def test_a_tensor_of_pytorchs_is_a_constant(xp):
    x, raw = xp.asarray([1.0, 2.0]).requires_grad_(), torch.asarray([3.0, 4.0])
    for y in (x * raw, raw * x):
        assert isinstance(y, ad.Tensor)
        assert ad.autograd.grad(y.sum(), x)[0].tolist() == [3.0, 4.0]


def test_a_history_of_pytorchs_is_not_lost_unseen(xp):
    x, raw = xp.asarray([1.0, 2.0]).requires_grad_(), torch.ones(2, requires_grad=True)
    for use in (lambda: x * raw, lambda: raw * x, lambda: xp.asarray(raw), lambda: xp.stack([x, raw])):
        with pytest.raises(ad.GradientError, match=r"torch.Tensor of shape \(2,\).*x.detach\(\)"):
            use()
    assert (x * raw.detach()).tolist() == [1.0, 2.0]


def test_any_array_of_numpys_is_taken(xp):
    frozen = np.broadcast_to(np.float32(2), (3,))
    backwards, foreign = np.arange(3.0)[::-1], np.arange(3.0).astype(">f8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (frozen, backwards, foreign, np.float64(1.5), np.asarray(2)):
            for copy in (None, True):
                out = xp.asarray(given, copy=copy)
                assert out.tolist() == given.tolist()
                assert str(out.dtype) == f"torch.{given.dtype.newbyteorder('=').name}"
            with pytest.raises(ValueError, match="can't be shared"):
                xp.asarray(frozen, copy=False)
    shared = np.zeros(2)
    x = xp.asarray(shared, copy=False)
    shared[0] = 1.0
    assert x.tolist() == [1.0, 0.0]
    assert xp.asarray(np.asarray(1.0), dtype=xp.complex64).item() == 1


def test_what_pytorch_only_stores_is_not_offered(xp):
    with pytest.raises(AttributeError, match="stores uint32 and hardly computes with it; use int32 or int64"):
        xp.uint32  # noqa: B018
    assert xp.asarray(np.asarray([1], dtype=np.uint32)).tolist() == [1]


def test_bfloat16(xp):
    x = xp.asarray(torch.asarray([1.5, -2.0], dtype=torch.bfloat16)).requires_grad_()
    (x * x).sum().backward()
    assert x.grad.dtype is torch.bfloat16
    assert x.grad.numpy().dtype == np.float32 and x.grad.tolist() == [3.0, -4.0]
    assert "bfloat16" in repr(x)


def test_refusals_are_those_of_every_backend(xp):
    x = xp.ones((2, 3))
    with pytest.raises(ad.ShapeError, match=r"matmul: operands of shapes \(2, 3\) and \(2, 3\)"):
        x @ x
    with pytest.raises(ad.AxisError, match="sum: axis=2 does not fit"):
        x.sum(axis=2)
    with pytest.raises(ad.LinAlgError, match="singular"):
        xp.linalg.inv(xp.zeros((2, 2)))
    with pytest.raises(ad.OperandError, match=r"reshape of shapes \(2, 3\)"):
        x.reshape((7,))
    with pytest.raises(ad.ShapeError, match="can't assign"):
        x[0] = xp.ones(2)
    with pytest.raises(IndexError, match="out of bounds"):
        x[:, 3]
    with pytest.raises(ad.DataError, match="dict"):
        xp.asarray({})


# --- devices ---


def test_devices(xp):
    assert str(ad.devices("torch")[0]) == "cpu"
    with pytest.raises(ad.DeviceNotFoundError, match="PyTorch has no device 'warp'"):
        xp.ones(2, device="warp")


@pytest.mark.skipif(len(ad.devices("torch")) < 2, reason="PyTorch finds no accelerator here")
def test_training_on_an_accelerator(xp):
    device = ad.devices("torch")[1]
    x = xp.asarray(numbers(8, 3), device=device)
    w = xp.asarray(numbers(3), device="cpu").requires_grad_()
    loss = F.gelu(x @ w.to_device(device)).sum()
    loss.backward()
    assert str(loss.device) == str(device) and str(w.grad.device) == "cpu"
    cpu = F.gelu(x.detach().to_device("cpu") @ w).sum()
    assert ad.autograd.grad(cpu, w)[0].tolist() == pytest.approx(w.grad.tolist(), rel=1e-4)
    ad.synchronize(loss)
    with pytest.raises(ad.DeviceMismatchError):
        x @ w
