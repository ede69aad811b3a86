"""Convolutions, pooling and attention against PyTorch: values, gradients, second derivatives and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn

from .test_functional_parity import Fixed, derivatives

rng = np.random.default_rng(3)


def normal(*shape):
    return rng.standard_normal(shape)


X1, X2, X3 = normal(2, 4, 7), normal(2, 4, 6, 5), normal(2, 2, 4, 3, 5)
W1, W2, W3 = normal(6, 4, 3), normal(6, 4, 3, 2), normal(3, 2, 2, 3, 2)
TIES = np.round(rng.random((2, 3, 6, 5)) * 2) / 2
Q, K, V = normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 2)
SEEN = rng.random((4, 6)) > 0.4
NOTHING = np.where(np.arange(4)[:, None] == 2, False, SEEN)

CONV2D = [
    {"stride": 2},
    {"stride": (2, 1), "padding": (1, 0)},
    {"padding": 2, "dilation": (2, 1)},
    {"padding": "same"},
    {"padding": "same", "dilation": (1, 3)},
    {"padding": "valid"},
    {"stride": 3, "padding": 1, "dilation": 2},
]
POOL2D = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": (1, 3), "padding": 1, "ceil_mode": True},
]
MEANS = [{"count_include_pad": False}, {"divisor_override": 3}, {}]

CASES = {
    "conv1d": (lambda F, x, w: F.conv1d(x, w), [X1, W1]),
    "conv1d-bias": (lambda F, x, w, b: F.conv1d(x, w, b, 2, 1), [X1, W1, normal(6)]),
    "conv1d-unbatched": (lambda F, x, w, b: F.conv1d(x, w, b), [X1[0], W1, normal(6)]),
    "conv1d-groups": (lambda F, x, w: F.conv1d(x, w, groups=2), [X1, W1[:, :2]]),
    "conv1d-depthwise": (lambda F, x, w: F.conv1d(x, w, padding=1, groups=4), [X1, W1[:4, :1]]),
    "conv2d-bias": (lambda F, x, w, b: F.conv2d(x, w, b), [X2, W2, normal(6)]),
    "conv2d-groups": (lambda F, x, w: F.conv2d(x, w, stride=2, padding=1, groups=2), [X2, W2[:, :2]]),
    "conv2d-point": (lambda F, x, w: F.conv2d(x, w), [X2, W2[:, :, :1, :1]]),
    "conv2d-unbatched": (lambda F, x, w: F.conv2d(x, w, padding=1), [X2[0], W2]),
    "conv3d": (lambda F, x, w, b: F.conv3d(x, w, b, padding=(1, 0, 1)), [X3, W3, normal(3)]),
    "conv3d-strides": (lambda F, x, w: F.conv3d(x, w, stride=(2, 1, 2), dilation=(1, 1, 2)), [X3, W3]),
    "max_pool1d": (lambda F, x: F.max_pool1d(x, 3, 2, 1), [X1]),
    "max_pool1d-dilation": (lambda F, x: F.max_pool1d(x, 2, dilation=2, ceil_mode=True), [X1[0]]),
    "max_pool2d-dilation": (lambda F, x: F.max_pool2d(x, (2, 3), 1, 1, (3, 2)), [X2]),
    "max_pool3d": (lambda F, x: F.max_pool3d(x, 2, 1), [X3]),
    "avg_pool1d": (lambda F, x: F.avg_pool1d(x, 3, 2, 1, True, False), [X1]),
    "avg_pool3d": (lambda F, x: F.avg_pool3d(x, 2, (1, 2, 2), 1, True, False), [X3]),
    "attention": (lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v), [Q, K, V]),
    "attention-one": (lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v), [Q[0, 0], K[0, 0], V[0, 0]]),
    "attention-scale": (lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.3), [Q, K, V]),
    "attention-causal": (lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [Q, K, V]),
    "attention-bool": (lambda F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, m), [Q, K, V, SEEN]),
    "attention-nothing": (lambda F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, m), [Q, K, V, NOTHING]),
    "attention-float": (
        lambda F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, m),
        [Q, K, V, normal(2, 1, 4, 6)],
    ),
    "attention-infinite": (
        lambda F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, m),
        [Q, K, V, Fixed(np.where(NOTHING, 0.5, -np.inf))],
    ),
    "attention-groups": (
        lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        [normal(2, 6, 4, 5), K, V],
    ),
    **{f"conv2d-{i}": (lambda F, x, w, o=o: F.conv2d(x, w, **o), [X2, W2]) for i, o in enumerate(CONV2D)},
    **{f"max_pool2d-{i}": (lambda F, x, o=o: F.max_pool2d(x, **o), [X2]) for i, o in enumerate(POOL2D)},
    **{f"max_pool2d-ties-{i}": (lambda F, x, o=o: F.max_pool2d(x, **o), [TIES]) for i, o in enumerate(POOL2D)},
    **{
        f"avg_pool2d-{i}-{j}": (lambda F, x, o=o, m=m: F.avg_pool2d(x, **o, **m), [X2])
        for i, o in enumerate(POOL2D)
        for j, m in enumerate(MEANS)
    },
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection", "ignore:Using padding='same'")
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_pytorch(backend, case):
    torch = pytest.importorskip("torch")
    function, inputs = CASES[case]
    results = []
    for lib, F in ((torch, torch.nn.functional), (ad, ad.nn.functional)):
        make = lambda x, g, lib=lib: lib.tensor(np.asarray(x), requires_grad=bool(g))  # noqa: E731
        results.append(derivatives(F, lib.autograd.grad, function, inputs, make))
    for found, expected in zip(results[1], results[0], strict=True):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_the_first_of_equal_elements_and_a_nan(backend):
    torch = pytest.importorskip("torch")
    rows = np.array([[[1.0, 1.0, np.nan, 2.0, -np.inf, -np.inf, 3.0, np.inf]]])
    grads = []
    for lib in (ad, torch):
        x = lib.tensor(rows, requires_grad=True)
        y = lib.nn.functional.max_pool1d(x, 2, padding=1)
        y.sum().backward()
        grads.append((y.detach().numpy(), x.grad.numpy()))
    np.testing.assert_array_equal(*(y for y, _ in grads))
    np.testing.assert_array_equal(*(g for _, g in grads))


@pytest.mark.parametrize("options", POOL2D)
def test_where_the_largest_were(backend, options):
    torch = pytest.importorskip("torch")
    x = ad.tensor(TIES, requires_grad=True)
    out, places = nn.functional.max_pool2d(x, **options, return_indices=True)
    expected = torch.nn.functional.max_pool2d(torch.tensor(TIES), **options, return_indices=True)
    np.testing.assert_array_equal(out.detach().numpy(), expected[0].numpy())
    np.testing.assert_array_equal(places.numpy(), expected[1].numpy())
    assert out.requires_grad and not places.requires_grad
    assert len(nn.MaxPool2d(2, return_indices=True)(x)) == 2


def test_an_infinite_gradient_stays_where_it_belongs(backend):
    x = ad.tensor([[[1.0, 2.0, 3.0, 4.0]]], requires_grad=True)
    nn.functional.max_pool1d(x, 2).backward(ad.tensor([[[np.inf, np.nan]]]))
    assert x.grad.numpy()[0, 0, [0, 2]].tolist() == [0.0, 0.0]


REFUSED = {
    "channels": (lambda F, x, w: F.conv2d(x, w[:, :3]), "to have 3 channels, but got 4"),
    "groups": (lambda F, x, w: F.conv2d(x, w[:5, :2], groups=2), "divisible by 2 at dimension 0"),
    "no groups": (lambda F, x, w: F.conv2d(x, w, groups=0), "groups"),
    "room": (lambda F, x, w: F.conv2d(x[:, :, :2], w), "Kernel size can't be greater than actual input size"),
    "axes": (lambda F, x, w: F.conv2d(x[0, 0], w), r"Expected 3D \(unbatched\) or 4D \(batched\) input to"),
    "stride": (lambda F, x, w: F.conv2d(x, w, stride=0), "stride"),
    "strides": (lambda F, x, w: F.conv2d(x, w, stride=(1, 2, 3)), "stride"),
    "same": (lambda F, x, w: F.conv2d(x, w, stride=2, padding="same"), "not supported for strided convolutions"),
    "word": (lambda F, x, w: F.conv2d(x, w, padding="full"), "padding"),
    "negative": (lambda F, x, w: F.conv2d(x, w, padding=-1), "negative padding is not supported"),
    "bias": (lambda F, x, w: F.conv2d(x, w, w[:2, 0, 0, 0]), "expected bias to be 1-dimensional with 6 elements"),
    "pad": (lambda F, x, w: F.max_pool2d(x, 2, padding=2), "pad should be at most half of"),
    "small": (lambda F, x, w: F.max_pool2d(x, 8), "Output size is too small"),
    "pool axes": (lambda F, x, w: F.max_pool2d(x[0, 0], 2), "D"),
    "divisor": (lambda F, x, w: F.avg_pool2d(x, 2, divisor_override=0), "divisor"),
    "heads": (lambda F, x, w: F.scaled_dot_product_attention(x[0, 0, 0], x, x), "at least 2 dimensional"),
    "integers": (lambda F, x, w: F.scaled_dot_product_attention(x, x, x, (x > 0)[0, 0].long()), "attn_mask"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_pytorchs(backend, name):
    torch = pytest.importorskip("torch")
    call, words = REFUSED[name]
    for lib in (torch, ad):
        with pytest.raises((RuntimeError, ValueError, TypeError), match=words):
            call(lib.nn.functional, lib.tensor(X2), lib.tensor(W2))


def test_attention_drops_weights_out(backend):
    ad.manual_seed(0)
    q, v = ad.tensor(Q), ad.ones((2, 3, 4, 1), dtype=ad.float64)
    sums = nn.functional.scaled_dot_product_attention(q, q, v, dropout_p=0.5).numpy()
    assert len(np.unique(sums)) > 3
    np.testing.assert_array_equal(nn.functional.scaled_dot_product_attention(q, q, v, dropout_p=1.0).numpy(), 0)


def test_raw_arrays_come_out_raw():
    y = nn.functional.conv2d(X2, W2)
    assert type(y) is np.ndarray
    np.testing.assert_allclose(y, nn.functional.conv2d(ad.tensor(X2), ad.tensor(W2)).numpy())
    assert type(nn.functional.avg_pool2d(X2, 2, padding=1, count_include_pad=False)) is np.ndarray
    assert type(nn.functional.scaled_dot_product_attention(Q, K, V)) is np.ndarray
