"""Samples of products of vectors and matrices, and of norms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .manipulation import moved
from .sample import Draw, Dtype, Maker, Sample, strided, transposed


def matmul(draw: Draw) -> Iterator[Sample]:
    shapes = [
        ((2, 3), (3, 2)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (2, 3, 2)), ((2, 2, 3), (3, 2)),
        ((2, 3), (2, 3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 1, 2, 3), (2, 3, 2)),
    ]  # fmt: skip
    for one, two in shapes:
        yield Sample((draw.normal(*one), draw.normal(*two)))
    for one, two in [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((0, 2, 3), (3,))]:
        yield Sample((draw.normal(*one), draw.normal(*two)), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), strided(draw.normal(3, 2))), name="strided")
    yield Sample((draw.complex(2, 3), draw.complex(3, 2)), name="complex")
    yield Sample((draw.complex(3), draw.complex(3, 2)), name="complex vector")
    yield Sample((draw.complex(2, 3), draw.complex(3)), name="complex, vector")
    yield Sample((draw.normal(2, 3), draw.complex(3)), name="real and complex")
    yield Sample((draw.normal(2, 3).astype("float32"), draw.normal(3, 2)), name="mixed precision", order=0, loss=1e6)
    yield Sample((draw.integers(0, 9, 2, 3), draw.integers(0, 9, 3)), name="integers", order=None)


def tensordot(draw: Draw) -> Iterator[Sample]:
    x, y = draw.normal(2, 3, 2), draw.normal(3, 2, 2)
    yield Sample((x, y))
    yield Sample((x, draw.normal(2, 3)), {"axes": 1})
    yield Sample((draw.normal(2, 3), draw.normal(2)), {"axes": 0})
    yield Sample((x, y), {"axes": ((0, 1), (1, 0))})
    yield Sample((x, y), {"axes": ((1,), (0,))})
    yield Sample((x, y), {"axes": ((-1, 0), (-1, -2))}, name="negative axes")
    yield Sample((draw.normal(0, 3), draw.normal(3, 2)), {"axes": 1}, name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), strided(draw.normal(3, 2))), {"axes": 1}, name="strided")
    yield Sample((draw.complex(2, 3), draw.complex(3, 2)), {"axes": 1}, name="complex")
    yield Sample((draw.normal(2, 3), draw.complex(3, 2)), {"axes": 1}, name="real and complex")


def vecdot(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), draw.normal(2, 3)))
    yield Sample((draw.normal(2, 3), draw.normal(3)), name="broadcast")
    yield Sample((draw.normal(2, 1, 3), draw.normal(2, 3)), name="broadcast")
    yield Sample((draw.normal(2, 3), draw.normal(2, 3)), {"axis": -2})
    yield Sample((draw.normal(0, 3), draw.normal(3)), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), strided(draw.normal(2, 3))), name="strided")
    yield Sample((draw.complex(2, 3), draw.complex(2, 3)), name="complex")
    yield Sample((draw.complex(2, 3), draw.normal(3)), name="complex and real")
    yield Sample((draw.normal(3), draw.complex(2, 3)), name="real and complex")


def cross(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(3), draw.normal(3)))
    yield Sample((draw.normal(2, 3), draw.normal(3)), name="broadcast")
    yield Sample((draw.normal(3, 2), draw.normal(3, 2)), {"axis": -2})
    yield Sample((draw.normal(0, 3), draw.normal(0, 3)), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), strided(draw.normal(2, 3))), name="strided")
    yield Sample((draw.complex(2, 3), draw.complex(3)), name="complex")


def outer(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2), draw.normal(3)))
    yield Sample((draw.normal(0), draw.normal(3)), name="zero size")
    yield Sample((strided(draw.normal(2)), draw.normal(3)), name="with gaps")
    yield Sample((draw.complex(2), draw.complex(3)), name="complex")
    yield Sample((draw.normal(2), draw.complex(3)), name="real and complex")


def trace(draw: Draw) -> Iterator[Sample]:
    yield from moved(
        ((3, 3), (), {}), ((2, 3), (), {"offset": 1}), ((3, 2), (), {"offset": -1}), ((2, 3, 3), (), {}),
        ((0, 3, 3), (), {}), ((2, 3), (), {"offset": 7}),
    )(draw)  # fmt: skip
    yield Sample((draw.normal(3, 3).astype("float32"),), {"dtype": Dtype("float64")}, order=0, loss=1e6)


def vector_norm(draw: Draw) -> Iterator[Sample]:
    x = draw.distinct(2, 3)
    yield Sample((x,))
    for order in (1, 3, 1.5, 0.5, -1, 0, np.inf, -np.inf):
        yield Sample((x,), {"ord": order, "axis": 1})
    yield Sample((x,), {"axis": 0, "keepdims": True})
    yield Sample((draw.distinct(2, 3, 2),), {"axis": (0, -1), "ord": 3})
    yield Sample((draw.distinct(2, 3, 2),), {"keepdims": True})
    yield Sample((np.asarray(-2.0),), name="0-d")
    yield Sample((draw.normal(0, 3),), {"axis": 1}, name="zero size")
    yield Sample((transposed(x),), {"axis": 0}, name="by columns")
    for order in (2, 1, 3, np.inf):
        yield Sample((draw.off_axes(2, 3),), {"ord": order, "axis": -1}, name="complex")
    zeros = np.asarray([[0.0, 0.0, 0.0], [2.0, 0.0, -2.0]])
    for order in (2, 1, 3, np.inf):
        yield Sample((zeros,), {"ord": order, "axis": 1}, name="kinks: zeros and ties", order=0)


MAKERS: dict[str, Maker] = {
    "linalg.cross": cross,
    "linalg.diagonal": moved(
        ((3, 3), (), {}), ((2, 3), (), {"offset": 1}), ((3, 2), (), {"offset": -1}), ((2, 3, 3), (), {}),
        ((0, 3, 3), (), {}), ((2, 3), (), {"offset": 3}),
    ),
    "linalg.outer": outer,
    "linalg.trace": trace,
    "linalg.vector_norm": vector_norm,
    "matmul": matmul,
    "tensordot": tensordot,
    "vecdot": vecdot,
}  # fmt: skip
