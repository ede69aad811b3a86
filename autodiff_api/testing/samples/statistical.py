"""Samples of reductions and cumulative functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from .sample import Array, Draw, Dtype, Maker, Sample, strided, transposed

Place: TypeAlias = "Callable[..., Array]"

ZEROS = np.asarray([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0]])
TIES = np.asarray([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])


def distinct(draw: Draw, *shape: int) -> Array:
    return draw.distinct(*shape)


def normal(draw: Draw, *shape: int) -> Array:
    return draw.normal(*shape)


def booleans(draw: Draw, *shape: int) -> Array:
    return np.asarray(draw.integers(0, 2, *shape) > 0)


def reduction(
    place: Place,
    complex: bool = False,
    dtype: bool = False,
    several: bool = True,
    empty: bool = True,
    kinks: Array | None = None,
    integer: bool = True,
) -> Maker:
    """Make the samples of a reduction.

    `several`: `axis` may be a tuple; `empty`: an empty sum has a value; `dtype`: it has that parameter.
    """

    def make(draw: Draw) -> Iterator[Sample]:
        yield Sample((place(draw, 2, 3),))
        yield Sample((place(draw, 2, 3),), {"axis": 0})
        yield Sample((place(draw, 2, 3),), {"axis": -1, "keepdims": True})
        yield Sample((transposed(place(draw, 2, 3)),), {"axis": 1}, name="by columns")
        yield Sample((strided(place(draw, 2, 3)),), {"keepdims": True}, name="with gaps")
        yield Sample((place(draw),), name="0-d")
        yield Sample((place(draw, 0, 3),), {"axis": 1}, name="zero size")
        if several:
            yield Sample((place(draw, 2, 3, 2),), {"axis": (0, 2)})
            yield Sample((place(draw, 2, 3, 2),), {"axis": (-1, 0), "keepdims": True})
        if empty:
            yield Sample((place(draw, 0, 3),), {"axis": 0}, name="nothing to reduce")
        if dtype:
            yield Sample((place(draw, 2, 3).astype("float32"),), {"dtype": Dtype("float64")}, order=0, loss=1e6)
        if complex:
            yield Sample((draw.off_axes(2, 3),), {"axis": 1}, name="complex")
            yield Sample((draw.off_axes(2, 3),), {"keepdims": True}, name="complex")
        if kinks is not None:
            yield Sample((kinks,), {"axis": -1}, name="kinks", order=0)
        if integer:
            yield Sample((draw.integers(-4, 5, 2, 3),), {"axis": 0}, name="integers", order=None)

    return make


def spread(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `std` and `var`."""
    yield from reduction(normal, empty=False, integer=False)(draw)
    yield Sample((draw.normal(2, 3),), {"axis": 1, "correction": 1.0})
    yield Sample((draw.normal(2, 3),), {"correction": 0.5, "keepdims": True})
    yield Sample((np.asarray([[2.0, 2.0, 2.0]]),), {"axis": 1}, name="kinks: constants", order=0)


def cumulative(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `cumulative_sum` and `cumulative_prod`."""
    yield Sample((draw.normal(3),))
    yield Sample((draw.normal(3),), {"include_initial": True})
    yield Sample((draw.normal(2, 3),), {"axis": 0})
    yield Sample((draw.normal(2, 3),), {"axis": -1, "include_initial": True})
    yield Sample((transposed(draw.normal(2, 3)),), {"axis": 1}, name="by columns")
    yield Sample((draw.normal(2, 3, 2),), {"axis": 1})
    yield Sample((draw.normal(0, 3),), {"axis": 1}, name="zero size")
    yield Sample((draw.normal(0, 3),), {"axis": 0, "include_initial": True}, name="nothing to add up")
    yield Sample((draw.normal(1),), name="one element")
    yield Sample((draw.normal(7),), name="seven elements")
    yield Sample((draw.off_axes(3),), name="complex")
    yield Sample((draw.off_axes(2, 3),), {"axis": 0, "include_initial": True}, name="complex")
    yield Sample((draw.normal(3).astype("float32"),), {"dtype": Dtype("float64")}, order=0, loss=1e6)
    yield Sample((ZEROS,), {"axis": 1}, name="zeros")
    yield Sample((draw.integers(-4, 5, 3),), name="integers", order=None)


def product(draw: Draw) -> Iterator[Sample]:
    yield from reduction(normal, complex=True, dtype=True)(draw)
    yield Sample((ZEROS,), {"axis": 1}, name="zeros")
    yield Sample((ZEROS[0] * 1j,), name="complex zeros")
    yield Sample((draw.normal(2, 3, 2),), {"axis": (1,)}, name="middle axis")
    yield Sample((draw.between(0.8, 1.2, 39, 27),), {"axis": 1}, name="long rows, of which others go by pairs")


MAKERS: dict[str, Maker] = {
    "all": reduction(booleans),
    "any": reduction(booleans),
    "argmax": reduction(distinct, several=False, empty=False),
    "argmin": reduction(distinct, several=False, empty=False),
    "count_nonzero": reduction(booleans),
    "cumulative_prod": cumulative,
    "cumulative_sum": cumulative,
    "max": reduction(distinct, empty=False, kinks=TIES),
    "mean": reduction(normal, complex=True, empty=False, integer=False),
    "min": reduction(distinct, empty=False, kinks=TIES),
    "prod": product,
    "std": spread,
    "sum": reduction(normal, complex=True, dtype=True),
    "var": spread,
}
