"""Samples of functions that are no ops themselves but said in other ops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .sample import Draw, Maker, Sample, strided, transposed


def broadcast_arrays(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 1), draw.normal(3)))
    yield Sample((draw.normal(), draw.normal(2, 3), draw.normal(1, 3)))
    yield Sample((draw.normal(0, 3), draw.normal(1)), name="zero size")
    yield Sample((draw.complex(2, 1), draw.normal(3)), name="complex")


def diff(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(4),))
    yield Sample((draw.normal(2, 4),), {"axis": 0})
    yield Sample((draw.normal(2, 4),), {"n": 2})
    yield Sample((draw.normal(2, 3),), {"axis": -1, "prepend": draw.normal(2, 1), "append": draw.normal(2, 2)})
    yield Sample((draw.normal(0, 3),), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)),), name="by columns")
    yield Sample((draw.complex(3),), name="complex")
    yield Sample((draw.integers(0, 9, 4),), name="integers", order=None)


def meshgrid(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2), draw.normal(3)))
    yield Sample((draw.normal(2), draw.normal(3), draw.normal(2)), {"indexing": "ij"})
    yield Sample((draw.normal(0), strided(draw.normal(3))), name="zero size")
    yield Sample((draw.complex(2), draw.complex(3)), name="complex")


def unstack(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3),))
    yield Sample((draw.normal(2, 3),), {"axis": -1})
    yield Sample((draw.normal(2, 0),), name="zero size")
    yield Sample((draw.complex(2, 3),), name="complex")


def unique(draw: Draw) -> Iterator[Sample]:
    yield Sample((np.asarray([3.0, 1.0, 3.0, 2.0]),), traceable=False)
    yield Sample((np.asarray([[3, 1], [1, 3]]),), name="integers", traceable=False)
    yield Sample((np.zeros(0),), name="zero size", traceable=False)


CONSTANT = {
    "isclose",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
}  # no gradient, though no ops either
MAKERS: dict[str, Maker] = {
    "broadcast_arrays": broadcast_arrays,
    "diff": diff,
    "meshgrid": meshgrid,
    "unique_all": unique,
    "unique_counts": unique,
    "unique_inverse": unique,
    "unique_values": unique,
    "unstack": unstack,
}
