"""Every function of nn.functional against PyTorch: values, gradients and second derivatives in float64."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import autodiff_api as ad


class Fixed(NamedTuple):
    """A floating-point input that PyTorch does not differentiate."""

    array: np.ndarray


rng = np.random.default_rng(0)
VECTOR = np.concatenate([rng.standard_normal(20) * 3, [0.0, -0.0, 1e-8, -1e-8, 25.0, -25.0]])
IMAGES = rng.standard_normal((4, 5, 2, 3))
LOGITS = rng.standard_normal((6, 5)) * 3
CLASSES = np.array([0, 4, 2, -100, 1, 2])
PIXELS = rng.integers(0, 5, (4, 2, 3))
CLASS_WEIGHT = Fixed(rng.random(5) + 0.5)
PROBABILITIES = rng.dirichlet(np.ones(5), 6)
HALVES = rng.random((6, 5))

# name of the case: function of (F, *inputs), inputs. Floating-point inputs are differentiated.
CASES = {
    "relu": (lambda F, x: F.relu(x), [VECTOR]),
    "sigmoid": (lambda F, x: F.sigmoid(x), [VECTOR]),
    "tanh": (lambda F, x: F.tanh(x), [VECTOR]),
    "softplus": (lambda F, x: F.softplus(x), [VECTOR]),
    "softplus-beta": (lambda F, x: F.softplus(x, beta=2.5, threshold=10), [VECTOR]),
    "gelu": (lambda F, x: F.gelu(x), [VECTOR]),
    "gelu-tanh": (lambda F, x: F.gelu(x, approximate="tanh"), [VECTOR]),
    "softmax": (lambda F, x: F.softmax(x, dim=-1), [LOGITS]),
    "softmax-first": (lambda F, x: F.softmax(x, 0), [LOGITS]),
    "softmax-middle": (lambda F, x: F.softmax(x, dim=1), [IMAGES]),
    "log_softmax": (lambda F, x: F.log_softmax(x, dim=-1), [LOGITS]),
    "log_softmax-middle": (lambda F, x: F.log_softmax(x, dim=1), [IMAGES]),
    "linear": (lambda F, x, w, b: F.linear(x, w, b), [LOGITS, rng.standard_normal((3, 5)), rng.standard_normal(3)]),
    "linear-batch": (lambda F, x, w: F.linear(x, w), [IMAGES, rng.standard_normal((7, 3))]),
    "linear-vector": (lambda F, x, w: F.linear(x, w), [LOGITS, rng.standard_normal(5)]),
    "layer_norm": (
        lambda F, x, w, b: F.layer_norm(x, (5,), w, b),
        [LOGITS, rng.standard_normal(5), rng.standard_normal(5)],
    ),
    "layer_norm-no-bias": (lambda F, x, w: F.layer_norm(x, (5,), w, eps=0.1), [LOGITS, rng.standard_normal(5)]),
    "layer_norm-bare": (lambda F, x: F.layer_norm(x, x.shape[1:]), [IMAGES]),
    "layer_norm-bias": (lambda F, x, b: F.layer_norm(x, (5,), None, b), [LOGITS, Fixed(rng.standard_normal(5))]),
    "layer_norm-images": (
        lambda F, x, w, b: F.layer_norm(x, w.shape, w, b),
        [IMAGES, rng.standard_normal(IMAGES.shape[2:]), rng.standard_normal(IMAGES.shape[2:])],
    ),
    "one_hot": (lambda F, c: F.one_hot(c, 5), [PIXELS]),
    "one_hot-inferred": (lambda F, c: F.one_hot(c), [PIXELS]),
    "dropout-eval": (lambda F, x: F.dropout(x, 0.5, False), [LOGITS]),
    "dropout-all": (lambda F, x: F.dropout(x, 1.0), [LOGITS]),
    "mse_loss": (lambda F, x, y: F.mse_loss(x, y), [LOGITS, HALVES]),
    "mse_loss-sum": (lambda F, x, y: F.mse_loss(x, y, reduction="sum"), [LOGITS, HALVES]),
    "mse_loss-none": (lambda F, x, y: F.mse_loss(x, y, reduction="none"), [LOGITS, HALVES]),
    "mse_loss-weight": (lambda F, x, y, w: F.mse_loss(x, y, weight=w), [LOGITS, HALVES, HALVES + 1]),
    "l1_loss": (lambda F, x, y: F.l1_loss(x, y), [LOGITS, HALVES]),
    "l1_loss-tie": (lambda F, x, y: F.l1_loss(x, y), [LOGITS, LOGITS]),
    "l1_loss-weight": (lambda F, x, y, w: F.l1_loss(x, y, weight=w), [LOGITS, HALVES, HALVES + 1]),
    "bce": (lambda F, x, y: F.binary_cross_entropy_with_logits(x, y), [LOGITS, HALVES]),
    "bce-at-0": (lambda F, x, y: F.binary_cross_entropy_with_logits(x, y), [LOGITS * 0, HALVES]),
    "bce-weights": (
        lambda F, x, y, w, p: F.binary_cross_entropy_with_logits(x, y, w, pos_weight=p, reduction="sum"),
        [LOGITS, HALVES, Fixed(HALVES + 1), CLASS_WEIGHT],
    ),
    "nll_loss": (lambda F, x, c: F.nll_loss(x, c), [LOGITS, CLASSES]),
    "nll_loss-pixels": (lambda F, x, c, w: F.nll_loss(x, c, w), [IMAGES, PIXELS, CLASS_WEIGHT]),
    "cross_entropy": (lambda F, x, c: F.cross_entropy(x, c), [LOGITS, CLASSES]),
    "cross_entropy-one": (lambda F, x, c: F.cross_entropy(x, c), [LOGITS[0], CLASSES[0]]),
    "cross_entropy-ignore": (lambda F, x, c: F.cross_entropy(x, c, ignore_index=2), [LOGITS, np.abs(CLASSES) % 5]),
    "cross_entropy-pixels": (lambda F, x, c: F.cross_entropy(x, c), [IMAGES, PIXELS]),
    "cross_entropy-probabilities": (lambda F, x, p: F.cross_entropy(x, p), [LOGITS, PROBABILITIES]),
    "cross_entropy-probability": (lambda F, x, p: F.cross_entropy(x, p), [LOGITS[0], PROBABILITIES[0]]),
} | {
    f"cross_entropy-{kind}-{reduction}-{smoothing}": (
        lambda F, x, y, w, r=reduction, s=smoothing: F.cross_entropy(x, y, w, reduction=r, label_smoothing=s),
        [LOGITS, target, CLASS_WEIGHT],
    )
    for kind, target in (("weighted", CLASSES), ("weighted-probabilities", PROBABILITIES))
    for reduction in ("mean", "sum", "none")
    for smoothing in (0.0, 0.1, 1.0)
}


def derivatives(lib, grad, function, inputs, tensor):
    """Return a function's value, its gradients and the gradients of a function of these, as arrays."""
    args = [tensor(x.array, False) if isinstance(x, Fixed) else tensor(x, x.dtype == float) for x in inputs]
    wrt = [x for x in args if x.requires_grad]
    out = function(lib, *args)
    results = [out]
    if not out.requires_grad:
        return [np.asarray(r.detach().numpy()) for r in results]
    cotangent = np.cos(np.arange(np.prod(out.shape, dtype=int), dtype=float)).reshape(tuple(out.shape))
    first = grad((out * tensor(cotangent, False)).sum(), wrt, create_graph=True)
    results += first
    total = sum(((g**3).sum() for g in first[1:]), (first[0] ** 3).sum())
    if total.requires_grad:
        second = grad(total, wrt, allow_unused=True)
        results += [x.detach() * 0 if g is None else g for g, x in zip(second, wrt, strict=True)]
    else:
        results += [x.detach() * 0 for x in wrt]
    return [r.detach().numpy(force=True) for r in results]


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_pytorch(backend, case):
    torch = pytest.importorskip("torch")
    function, inputs = CASES[case]
    expected = derivatives(
        torch.nn.functional,
        torch.autograd.grad,
        function,
        inputs,
        lambda x, g: torch.tensor(np.asarray(x), requires_grad=bool(g)),
    )
    found = derivatives(
        ad.nn.functional,
        ad.autograd.grad,
        function,
        inputs,
        lambda x, g: ad.tensor(np.asarray(x), requires_grad=bool(g)),
    )
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


LIMITS = {  # function, and (slope, offset) of the line it approaches on the left and on the right
    "relu": (lambda F, x: F.relu(x), (0, 0), (1, 0)),
    "sigmoid": (lambda F, x: F.sigmoid(x), (0, 0), (0, 1)),
    "tanh": (lambda F, x: F.tanh(x), (0, -1), (0, 1)),
    "softplus": (lambda F, x: F.softplus(x), (0, 0), (1, 0)),
    "gelu": (lambda F, x: F.gelu(x), (0, 0), (1, 0)),
    "gelu-tanh": (lambda F, x: F.gelu(x, approximate="tanh"), (0, 0), (1, 0)),
    "bce-1": (lambda F, x: F.binary_cross_entropy_with_logits(x, x * 0 + 1, reduction="none"), (-1, 0), (0, 0)),
    "bce-0": (lambda F, x: F.binary_cross_entropy_with_logits(x, x * 0, reduction="none"), (0, 0), (1, 0)),
}


@pytest.mark.parametrize("name", LIMITS)
def test_far_out_values_and_derivatives_are_the_limits(backend, name):
    """Nothing overflows on the way: a warning of NumPy's would be an error here."""
    function, left, right = LIMITS[name]
    for size in (300.0, 1000.0, 1e9, 1e160, 1e300):
        for x0, (slope, offset) in ((-size, left), (size, right)):
            x = ad.tensor(x0, requires_grad=True)
            y = function(ad.nn.functional, x)
            (dx,) = ad.autograd.grad(y, x, create_graph=True)
            assert y.item() == pytest.approx(slope * x0 + offset, rel=1e-15, abs=1e-100), x0
            assert dx.item() == pytest.approx(slope, rel=1e-15, abs=1e-100), x0
            if dx.requires_grad:
                (d2x,) = ad.autograd.grad(dx, x, allow_unused=True, materialize_grads=True)
                assert d2x.item() == pytest.approx(0, abs=1e-100), x0


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softplus"])
def test_infinite_inputs(backend, name):
    torch = pytest.importorskip("torch")
    ends = np.array([-np.inf, np.inf, np.nan])
    x, t = ad.tensor(ends, requires_grad=True), torch.tensor(ends, requires_grad=True)
    y, u = getattr(ad.nn.functional, name)(x), getattr(torch.nn.functional, name)(t)
    y.sum().backward()
    u.sum().backward()
    np.testing.assert_array_equal(y.detach().numpy(), u.detach().numpy())
    np.testing.assert_array_equal(x.grad.numpy()[:2], t.grad.numpy()[:2])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_far_apart_logits(backend, name):
    torch = pytest.importorskip("torch")
    rows = np.array([[1000.0, -1000.0, 0.0], [-1e300, 1e300, 1e300], [-np.inf, 0.0, 1.0], [800.0, 799.0, 0.0]])
    with np.errstate(over="ignore"):
        x, t = ad.tensor(rows, requires_grad=True), torch.tensor(rows, requires_grad=True)
        y, u = getattr(ad.nn.functional, name)(x, dim=1), getattr(torch.nn.functional, name)(t, dim=1)
        np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-13)
        y[:, 1].sum().backward()
        u[:, 1].sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-13, atol=1e-300)


def test_float32_agrees_to_its_own_precision(backend):
    torch = pytest.importorskip("torch")
    for case, (function, inputs) in CASES.items():
        if case.startswith(("one_hot", "dropout")):
            continue
        arrays = [x.array if isinstance(x, Fixed) else x for x in inputs]
        narrow = [x.astype(np.float32) if x.dtype == float else x for x in arrays]
        expected = function(torch.nn.functional, *(torch.tensor(np.asarray(x)) for x in narrow))
        found = function(ad.nn.functional, *(ad.tensor(np.asarray(x)) for x in narrow))
        assert found.numpy().dtype == np.float32, case
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-5, atol=2e-6, err_msg=case)
