"""Laws of nn.functional that need no PyTorch: derivatives by differences, compilation, refusals, randomness."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.nn import functional as F
from autodiff_api.nn.functional.special import normal_cdf

rng = np.random.default_rng(1)
POINTS = rng.standard_normal((3, 4)) * 2
LABELS = np.array([1, 3, -100])
WEIGHT = np.array([0.5, 1.0, 2.0, 1.5])

FUNCTIONS = {
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "softplus": F.softplus,
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, "tanh"),
    "normal_cdf": normal_cdf,
    "softmax": lambda x: F.softmax(x, dim=-1),
    "log_softmax": lambda x: F.log_softmax(x, dim=0),
    "linear": lambda x: F.linear(x, ad.asarray(POINTS[:2]), ad.asarray([1.0, 2.0])),
    "layer_norm": lambda x: F.layer_norm(x, 4, ad.asarray(WEIGHT), ad.asarray(WEIGHT)),
    "layer_norm-bare": lambda x: F.layer_norm(x, (3, 4)),
    "cross_entropy": lambda x: F.cross_entropy(x, ad.asarray(LABELS)),
    "cross_entropy-weighted": lambda x: F.cross_entropy(x, ad.asarray(LABELS), ad.asarray(WEIGHT), label_smoothing=0.1),
    "nll_loss": lambda x: F.nll_loss(x, ad.asarray(LABELS), reduction="none"),
    "cross_entropy-probabilities": lambda x: F.cross_entropy(x, ad.asarray(abs(POINTS) / 10)),
    "mse_loss": lambda x: F.mse_loss(x, ad.asarray(POINTS[::-1])),
    "l1_loss": lambda x: F.l1_loss(x, ad.asarray(POINTS[::-1] + 0.1)),
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, ad.asarray(abs(POINTS) / 10)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient_is_the_quotient_of_differences(backend, name):
    function = FUNCTIONS[name]
    x = ad.tensor(POINTS, requires_grad=True)
    weights = ad.asarray(np.cos(np.arange(math.prod(function(x).shape)))).reshape(function(x).shape)
    (grad,) = ad.autograd.grad((function(x) * weights).sum(), x)
    for place in np.ndindex(POINTS.shape):
        step = np.zeros_like(POINTS)
        step[place] = 1e-6
        above, below = ((function(ad.asarray(POINTS + side * step)) * weights).sum().item() for side in (1, -1))
        assert grad[place].item() == pytest.approx((above - below) / 2e-6, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_mapped_it_is_a_loop_with_its_jacobians(backend, name):
    function, many = FUNCTIONS[name], np.stack([POINTS, 0.7 * POINTS[::-1], POINTS + 0.3])
    for wanted, found in (
        (function, ad.vmap(function)),
        (ad.jacrev(function), ad.vmap(ad.jacrev(function))),
        (ad.jacrev(function), ad.vmap(ad.jacfwd(function))),
    ):
        alone = [wanted(ad.asarray(x)).numpy() for x in many]
        np.testing.assert_allclose(found(ad.asarray(many)).numpy(), alone, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, c: F.cross_entropy(x, c),
        lambda x, c: F.cross_entropy(x, c, ad.asarray(WEIGHT), label_smoothing=0.1),
        lambda x, c: F.nll_loss(x, c, reduction="sum"),
        lambda x, c: F.one_hot(abs(c) % 4, 4) * x[..., 0:1],
    ],
)
@pytest.mark.parametrize("labels", [[1, 3, 0], [[1, -100, 3], [0, 2, 2], [3, 3, 1]]])
def test_labels_are_mapped_over_too(backend, function, labels):
    x, c = np.stack([POINTS, 0.7 * POINTS[::-1], POINTS + 0.3]), ad.asarray(np.asarray(labels))
    x = ad.asarray(x if c.ndim == 2 else x[0])
    for wanted, found in ((function, ad.vmap(function)), (ad.jacrev(function), ad.vmap(ad.jacrev(function)))):
        alone = [wanted(x[i], c[i]).numpy() for i in range(3)]
        np.testing.assert_allclose(found(x, c).numpy(), alone, rtol=1e-11, atol=1e-13)


def test_a_label_out_of_bounds_among_many_is_an_error():
    with pytest.raises(ad.errors.ArgumentIndexError):
        ad.vmap(F.cross_entropy)(POINTS, np.array([1, 9, 0]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_by_jax_with_its_gradient(name):
    jax = pytest.importorskip("jax")
    function = FUNCTIONS[name]

    def value_and_grad(x):
        x = x.detach().requires_grad_()
        y = function(x).sum()
        y.backward()
        return y.detach(), x.grad

    with ad.use_backend("jax"):
        x = ad.asarray(POINTS)
        for found, expected in zip(jax.jit(value_and_grad)(x), value_and_grad(x), strict=True):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "gelu", "softplus", "softmax"])
def test_raw_arrays_are_accepted(name):
    raw, tensor = FUNCTIONS[name](POINTS), FUNCTIONS[name](ad.asarray(POINTS))
    assert isinstance(raw, np.ndarray)
    np.testing.assert_array_equal(raw, tensor.numpy())


def test_normal_cdf_is_accurate_in_both_tails(backend):
    places = np.linspace(-12, 12, 481)
    found = normal_cdf(ad.asarray(places)).numpy()
    expected = np.array([math.erfc(-x * math.sqrt(0.5)) / 2 for x in places])
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert abs(found - expected).max() < 3e-16
    assert normal_cdf(ad.asarray([-60.0, 0.0, 60.0])).tolist() == [0.0, 0.5, 1.0]


def test_normal_cdf_asks_the_namespace_first():
    class Special:
        def ndtr(self, x):
            return x * 0 + 1.5

    class Mine(float):
        special = Special()

        def __array_namespace__(self):
            return self

    assert normal_cdf(Mine(0.5)) == 1.5


def test_half_precision_gelu(backend):
    xp = ad.namespace()
    x = np.linspace(-8, 8, 33)
    exact = F.gelu(ad.asarray(x)).numpy()
    half = F.gelu(xp.asarray(x, dtype=getattr(xp, "float16", None) or np.float16))
    assert "float16" in str(half.dtype)
    np.testing.assert_allclose(half.astype(xp.float64).numpy(), exact, rtol=2e-3, atol=1e-3)


def test_half_precision_layer_norm(backend):
    """The square of 300 is infinite in float16."""
    xp = ad.namespace()
    x = 300 * POINTS
    half = F.layer_norm(xp.asarray(x, dtype=getattr(xp, "float16", None) or np.float16), (4,))
    assert "float16" in str(half.dtype)
    np.testing.assert_allclose(half.astype(xp.float64).numpy(), F.layer_norm(ad.asarray(x), 4).numpy(), atol=2e-3)


@pytest.mark.parametrize("shape", [(3, 4), (300, 400)])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_in_single_precision_is_near_that_in_double(shape, approximate):
    """NumPy's kernel for float32 is another than that for float64, and works in blocks."""
    x = np.linspace(-12, 12, math.prod(shape)).reshape(shape)
    found = {}
    for dtype in (np.float32, np.float64):
        leaf = ad.tensor(x.astype(dtype), requires_grad=True)
        y = F.gelu(leaf, approximate)
        y.backward(ad.asarray(np.cos(x).astype(dtype)))
        assert y.dtype == leaf.grad.dtype == dtype
        found[dtype] = y.detach().numpy(), leaf.grad.numpy()
    for single, double in zip(found[np.float32], found[np.float64], strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [1.0, 30.0, 1000.0])
def test_softmax_of_rows_far_from_each_other(dtype, gap):
    """NumPy's kernel takes one greatest number for all rows where it can."""
    x = np.asarray([[0.0, 1.0, -np.inf], [3.0, 2.0, 1.0]], dtype=dtype) + dtype(gap) * np.asarray([[0], [1]], dtype)
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(F.softmax(ad.asarray(x), 1).numpy(), e / e.sum(1, keepdims=True), rtol=4e-6)


def test_no_loss_of_classes_is_negative():
    x = np.asarray([[0.0, -30.0], [-40.0, -5.0]], dtype=np.float32)
    loss = F.cross_entropy(ad.asarray(x), ad.asarray([0, 1]), reduction="none")
    assert loss.tolist() == pytest.approx([9.4e-14, 6.3e-16], abs=1e-12)
    assert (loss >= 0).all()


def test_axis_is_named_once():
    x = ad.asarray(POINTS)
    assert F.softmax(x, axis=0).tolist() == F.softmax(x, dim=0).tolist() == F.softmax(x, 0).tolist()
    with pytest.raises(ValueError, match=r"softmax\(\) was given no axis"):
        F.softmax(x)
    with pytest.raises(ad.ArgumentError, match=r"log_softmax\(\) was given both dim and axis"):
        F.log_softmax(x, 0, axis=0)


def test_softmax_dtype(backend):
    xp = ad.namespace()
    x = xp.asarray([1, 2, 3])
    assert F.softmax(x, dim=0, dtype=xp.float32).dtype == xp.float32
    assert F.log_softmax(xp.asarray([1.0, 2.0]), dim=0, dtype=xp.float32).dtype == xp.float32


def test_class_out_of_bounds_is_refused(backend):
    logits = ad.asarray(POINTS)
    for label in (4, -1):
        with pytest.raises(IndexError, match=r"Target is out of bounds in cross_entropy\(\).*\[0, 4\)"):
            F.cross_entropy(logits, ad.asarray([0, label, 1]))
    with pytest.raises(ad.ArgumentIndexError, match="Class values must be smaller than num_classes=3"):
        F.one_hot(ad.asarray([0, 3]), 3)
    with pytest.raises(ad.ArgumentIndexError, match="Class values must be non-negative"):
        F.one_hot(ad.asarray([0, -3]), 3)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64"])
def test_classes_of_any_integer_dtype(backend, dtype):
    """-100 must not be taken for 156, nor 300 for 44."""
    xp = ad.namespace()
    logits = xp.asarray(rng.standard_normal((2, 300)))
    labels = xp.asarray([156, 44], dtype=getattr(xp, dtype))
    assert F.cross_entropy(logits, labels).item() == F.cross_entropy(logits, xp.asarray([156, 44])).item()
    hot = F.one_hot(labels, 301)
    assert hot.dtype == labels.dtype
    assert hot.numpy().argmax(axis=1).tolist() == [156, 44]
    assert hot.numpy().sum() == 2


def test_class_out_of_bounds_is_nan_where_nobody_can_look():
    jax = pytest.importorskip("jax")
    with ad.use_backend("jax"):
        loss = jax.jit(lambda x, y: F.cross_entropy(x, y, reduction="none"))
        found = loss(ad.asarray(POINTS), ad.asarray([1, 4, -100])).tolist()
    assert math.isfinite(found[0])
    assert math.isnan(found[1])
    assert found[2] == 0


def test_ignored_elements_pass_no_gradient_even_from_infinite_logits(backend):
    x = ad.tensor([[0.0, 1.0], [-math.inf, 1.0]], requires_grad=True)
    F.cross_entropy(x, ad.asarray([0, -100])).backward()
    assert x.grad[1].tolist() == [0.0, 0.0]
    assert np.isfinite(x.grad.numpy()).all()


REFUSALS = [
    (lambda x: F.relu([1.0]), TypeError, r"relu\(\) needs a tensor, got list"),
    (lambda x: F.gelu(x, approximate="erf"), ValueError, r"gelu\(\) got approximate='erf'. Choose"),
    (
        lambda x: F.layer_norm(x, (3,)),
        RuntimeError,
        r"Given normalized_shape=\[3\], expected input with shape \[\*, 3\]",
    ),
    (lambda x: F.layer_norm(x, ()), RuntimeError, r"It names the last axes of the input, one at least"),
    (lambda x: F.layer_norm(x, (4,), x), RuntimeError, r"weight of shape \[3, 4\] and normalized_shape = \[4\]"),
    (lambda x: F.layer_norm(x, (4,), None, x), RuntimeError, r"bias of shape \[3, 4\] and normalized_shape = \[4\]"),
    (
        lambda x: F.layer_norm(x.long(), (4,)),
        TypeError,
        r"layer_norm\(\) needs a real floating-point tensor, got int64",
    ),
    (lambda x: F.dropout(x, 1.5), ValueError, "dropout probability has to be between 0 and 1, but got 1.5"),
    (lambda x: F.one_hot(x), TypeError, r"one_hot\(\) expected an integer tensor of classes"),
    (lambda x: F.mse_loss(x, x, reduction="avg"), ValueError, "'avg' is not a valid value for reduction"),
    (lambda x: F.mse_loss(x, x, weight=x[0]), ValueError, "Weights and input must have the same size"),
    (lambda x: F.cross_entropy(x, x, reduction="avg"), ValueError, "'avg' is not a valid value for reduction"),
    (lambda x: F.cross_entropy(x, ad.asarray([0, 1])), ValueError, r"Expected target shape \(3,\)"),
    (lambda x: F.cross_entropy(x, x[:, 0]), TypeError, r"cross_entropy\(\) expected an integer tensor of classes"),
    (lambda x: F.cross_entropy(x, x.long()), TypeError, "Expected floating point type for target"),
    (lambda x: F.cross_entropy(x, x, ignore_index=1), ValueError, "ignore_index is not supported"),
    (lambda x: F.cross_entropy(x, x, label_smoothing=2.0), ValueError, "label_smoothing must be between"),
    (lambda x: F.cross_entropy(x[0, 0], x[0, 0]), ValueError, "needs an input with a class axis"),
    (lambda x: F.nll_loss(x, ad.asarray([0, 1, 1]), x[0, :2]), ValueError, "for all 4 classes or no classes"),
    (lambda x: F.binary_cross_entropy_with_logits(x, x[0]), ValueError, r"Target size \(\(4,\)\) must be"),
]


@pytest.mark.parametrize(("call", "builtin", "text"), REFUSALS)
def test_refusals_name_fact_place_and_remedy(call, builtin, text):
    with pytest.raises(builtin, match=text) as caught:
        call(ad.asarray(POINTS))
    assert isinstance(caught.value, ad.AutodiffError)


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss])
def test_broadcasting_losses_warn(loss):
    with pytest.warns(UserWarning, match=r"target size \(\(4,\)\).*different to the input size \(\(3, 4\)\)") as caught:
        loss(ad.asarray(POINTS), ad.asarray(POINTS[0]))
    assert caught[0].filename == __file__


def test_dropout_scales_what_it_keeps(backend):
    x = ad.tensor(np.ones(10_000), requires_grad=True)
    y = F.dropout(x, 0.25, generator=ad.Generator(0))
    values, counts = np.unique(y.detach().numpy(), return_counts=True)
    np.testing.assert_allclose(values, [0.0, 4 / 3])
    assert abs(counts[0] / 10_000 - 0.25) < 0.02
    assert abs(y.mean().item() - 1) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_dropout_is_reproducible_and_off_in_evaluation():
    x = ad.asarray(POINTS)
    first, again = (F.dropout(x, generator=ad.Generator(3)).tolist() for _ in range(2))
    ad.manual_seed(3)
    assert first == again == F.dropout(x).tolist()
    assert F.dropout(x) is not x
    assert F.dropout(x, training=False) is x
    assert F.dropout(x, 0.0) is x
