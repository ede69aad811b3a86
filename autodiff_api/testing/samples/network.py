"""Samples of the chapter `network`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .elementwise import ANYWHERE, either_sign, unary
from .sample import Array, Draw, Maker, Sample, strided, transposed


def classes(draw: Draw, count: int, *shape: int) -> Array:
    return draw.integers(0, count, *shape)


def losses(draw: Draw) -> Iterator[tuple[Array, Array, dict[str, Any], str]]:
    """Yield scores, classes and options of a loss of classes."""
    for reduction in ("mean", "sum", "none"):
        yield draw.normal(3, 4), classes(draw, 4, 3), {"reduction": reduction}, ""
    yield draw.normal(2, 4, 3), classes(draw, 4, 2, 3), {}, "classes in the middle"
    yield draw.normal(4), classes(draw, 4), {"axis": 0}, "one"
    yield draw.normal(2, 3, 4), classes(draw, 4, 2, 3), {"axis": -1, "reduction": "none"}, "classes last"
    yield draw.normal(3, 4), np.asarray([1, -100, 3]), {}, "ignored"
    yield draw.normal(3, 4), np.asarray([0, 2, 3]), {"ignore_index": 2, "reduction": "none"}, "ignored by number"
    yield draw.normal(0, 4), classes(draw, 4, 0), {"reduction": "sum"}, "zero size"
    yield transposed(draw.normal(3, 4)), classes(draw, 4, 3), {}, "by columns"
    yield strided(draw.normal(3, 4)), classes(draw, 4, 3), {}, "with gaps"


def loss(draw: Draw) -> Iterator[Sample]:
    for x, target, options, name in losses(draw):
        yield Sample((x, target), options, name=name)
    yield Sample((draw.normal(3, 4), np.asarray([1, 4, -7])), {"reduction": "none"}, name="out of bounds", order=None)


def loss_of_logits(draw: Draw) -> Iterator[Sample]:
    yield from loss(draw)
    yield Sample((np.add(draw.normal(3, 4), [[0], [900], [-900]]), np.asarray([0, 1, 2])), name="far apart", loss=1e3)


def gradient_like(draw: Draw, target: Array, options: dict[str, Any]) -> Array:
    return draw.normal(*target.shape) if options.get("reduction") == "none" else draw.normal()


def nll_loss_backward(draw: Draw) -> Iterator[Sample]:
    for x, target, options, name in losses(draw):
        count = {"classes": x.shape[options.get("axis", 1)]}
        yield Sample((gradient_like(draw, target, options), target), {**count, **options}, name=name)


def cross_entropy_backward(draw: Draw) -> Iterator[Sample]:
    for x, target, options, name in losses(draw):
        yield Sample((gradient_like(draw, target, options), x, target), options, name=name)


def gelu(draw: Draw) -> Iterator[Sample]:
    yield from unary(ANYWHERE, complex=False, kinks=[0.0, 30.0, -30.0])(draw)
    yield Sample((draw.normal(2, 3),), {"approximate": "tanh"}, name="by tanh")
    yield Sample((draw.between(3.0, 12.0, 2, 3),), {"approximate": "tanh"}, name="by tanh, far out", order=None)


def gelu_backward(draw: Draw) -> Iterator[Sample]:
    for approximate in ("none", "tanh"):
        yield Sample((draw.normal(2, 3), draw.normal(2, 3)), {"approximate": approximate})
    yield Sample((draw.normal(), draw.normal()), name="0-d")
    yield Sample((draw.normal(0, 3), draw.normal(0, 3)), name="zero size")
    yield Sample((draw.normal(2, 3), transposed(draw.normal(2, 3))), name="by columns")


def relu_backward(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), draw.distinct(2, 3)))
    yield Sample((draw.normal(2, 1), draw.distinct(3)), name="broadcast")
    yield Sample((draw.normal(), draw.distinct()), name="0-d")
    yield Sample((draw.normal(0, 3), draw.distinct(0, 3)), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), strided(draw.distinct(2, 3))), name="strided")
    yield Sample(
        (np.asarray([1.0, np.inf, np.nan, 2.0]), np.asarray([np.nan, 0.0, -1.0, 0.0])), name="kinks", order=None
    )


def layers(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `linear`."""
    yield Sample((draw.normal(4, 3), draw.normal(2, 3), draw.normal(2)))
    yield Sample((draw.normal(4, 3), draw.normal(2, 3)), name="no bias")
    yield Sample((draw.normal(2, 2, 3), draw.normal(2, 3), draw.normal(2)), name="more axes")
    yield Sample((draw.normal(3), draw.normal(2, 3), draw.normal(2)), name="a vector")
    yield Sample((draw.normal(0, 3), draw.normal(2, 3), draw.normal(2)), name="zero size")
    yield Sample((transposed(draw.normal(4, 3)), transposed(draw.normal(2, 3)), draw.normal(2)), name="by columns")
    yield Sample((draw.normal(2, 0, 3), draw.normal(2, 3), draw.normal(2)), name="no rows")
    yield Sample((draw.complex(4, 3), draw.complex(2, 3), draw.complex(2)), name="complex")


def rows(draw: Draw) -> Iterator[tuple[Array, dict[str, Any], str]]:
    """Yield what to normalise, and options."""
    yield draw.normal(2, 4), {}, ""
    yield draw.normal(2, 3, 2), {"last": 2}, "two axes"
    yield draw.normal(4), {"eps": 0.1}, "one row"
    yield draw.normal(0, 3), {}, "zero size"
    yield 20 + 3 * draw.normal(3, 2, 4), {}, "more axes"
    yield transposed(draw.normal(3, 4)), {}, "by columns"
    yield strided(draw.normal(2, 3)), {}, "with gaps"


def normalize(draw: Draw) -> Iterator[Sample]:
    for x, options, name in rows(draw):
        yield Sample((x,), options, name=name, loss=10)


def normalize_backward(draw: Draw) -> Iterator[Sample]:
    for x, options, name in rows(draw):
        yield Sample((draw.normal(*x.shape), x), options, name=name, loss=10)


def of_last(draw: Draw, x: Array, options: dict[str, Any]) -> Array:
    return draw.normal(*x.shape[x.ndim - options.get("last", 1) :])


def layer_norm(draw: Draw) -> Iterator[Sample]:
    for x, options, name in rows(draw):
        yield Sample((x, of_last(draw, x, options), of_last(draw, x, options)), options, name=name, loss=10)
    yield Sample((draw.normal(2, 4), draw.normal(4)), name="no bias", loss=10)


def layer_norm_backward(draw: Draw) -> Iterator[Sample]:
    for x, options, name in rows(draw):
        yield Sample((draw.normal(*x.shape), x, of_last(draw, x, options)), options, name=name, loss=10)


def softmax_backward(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), draw.between(0.1, 0.9, 2, 3)))
    yield Sample((draw.normal(2, 3), draw.between(0.1, 0.9, 2, 3)), {"axis": 0})
    yield Sample((draw.normal(2, 3, 2), draw.between(0.1, 0.9, 2, 3, 2)), {"axis": (0, 2)})
    yield Sample((draw.normal(2, 3), draw.between(0.1, 0.9, 2, 3)), {"axis": None}, name="all axes")
    yield Sample((draw.normal(0, 3), draw.between(0.1, 0.9, 0, 3)), name="zero size")
    yield Sample((draw.normal(2, 3), transposed(draw.between(0.1, 0.9, 2, 3))), name="by columns")
    yield Sample((draw.complex(2, 3), draw.complex(2, 3)), name="complex")


MAKERS: dict[str, Maker] = {
    "nn.cross_entropy": loss_of_logits,
    "nn.cross_entropy_backward": cross_entropy_backward,
    "nn.gelu": gelu,
    "nn.gelu_backward": gelu_backward,
    "nn.layer_norm": layer_norm,
    "nn.layer_norm_backward": layer_norm_backward,
    "nn.linear": layers,
    "nn.nll_loss": loss,
    "nn.nll_loss_backward": nll_loss_backward,
    "nn.normalize": normalize,
    "nn.normalize_backward": normalize_backward,
    "nn.relu": unary(either_sign(0.1, 2.0), complex=False, kinks=[0.0]),
    "nn.relu_backward": relu_backward,
    "nn.softmax_backward": softmax_backward,
}
