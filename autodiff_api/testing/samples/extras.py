"""Samples of functions beyond the standard, each said in other functions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .elementwise import ANYWHERE, constant
from .linalg import matmul
from .linalg import outer as outer_products
from .manipulation import concat as concat_samples
from .manipulation import moved
from .sample import Draw, Maker, Sample, strided, transposed
from .statistical import cumulative as cumulative_samples


def array(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3),))
    yield Sample(([draw.normal(3), draw.normal(3)],), name="a list of arrays")
    yield Sample((draw.complex(3),), name="complex")


def average(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3),))
    yield Sample((draw.normal(2, 3),), {"axis": 1, "weights": draw.between(0.5, 2.0, 3)})
    yield Sample((draw.normal(2, 3),), {"axis": 0, "keepdims": True})
    yield Sample((draw.normal(2, 3), None, draw.between(0.5, 2.0, 2, 3)), name="all weighted")


def cumulative(draw: Draw) -> Iterator[Sample]:
    for sample in cumulative_samples(draw):
        if "include_initial" not in sample.kwargs:
            yield sample


def dot(draw: Draw) -> Iterator[Sample]:
    for sample in matmul(draw):
        if max(np.ndim(x) for x in sample.args) <= 2:
            yield sample
    yield Sample((draw.normal(), draw.normal(3)), name="0-d")
    yield Sample((draw.normal(2, 2, 3), draw.normal(2, 3, 2)), name="more axes")


def einsum(draw: Draw) -> Iterator[Sample]:
    x, y = draw.normal(2, 3), draw.normal(3, 2)
    yield Sample(("ij,jk->ik", x, y), name="product")
    yield Sample(("ij,jk", x, y), name="no arrow")
    yield Sample(("ij->ji", x), name="transpose")
    yield Sample(("ij->", x), name="sum")
    yield Sample(("ii->i", draw.normal(3, 3)), name="diagonal")
    yield Sample(("ii", draw.normal(3, 3)), name="trace")
    yield Sample(("i,j,k->ijk", draw.normal(2), draw.normal(3), draw.normal(2)), name="outer")
    yield Sample(("ij,jk,kl->il", x, y, draw.normal(2, 3)), name="chain")
    yield Sample(("...ij,...jk->...ik", draw.normal(2, 2, 3), y), name="ellipsis")
    yield Sample(("ij,ij->i", x, transposed(draw.normal(2, 3))), name="by columns")
    yield Sample(("ij,jk->ik", draw.normal(0, 3), y), name="zero size")
    yield Sample(("ij,jk->ik", draw.complex(2, 3), draw.complex(3, 2)), name="complex")


def index_add(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), 1, np.asarray([2, 0, 2, 1]), draw.normal(2, 4)))
    yield Sample((draw.normal(3), 0, np.asarray([1]), draw.normal(1)), {"alpha": 0.5})
    yield Sample((draw.complex(3, 2), -2, np.asarray([0, 0]), draw.complex(2, 2)), name="complex")


def interp(draw: Draw) -> Iterator[Sample]:
    places, values = np.asarray([-1.0, 0.2, 1.5]), draw.normal(3)
    yield Sample((np.asarray([-0.7, 0.5, 1.2]), places, values))
    yield Sample((np.asarray([-3.0, 0.5, 9.0]), places, values), name="outside")
    yield Sample((np.asarray(0.5), places, values), name="0-d")


def kron(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), draw.normal(3, 2)))
    yield Sample((draw.normal(2), draw.normal(3)))
    yield Sample((draw.complex(2, 1), draw.complex(2, 2)), name="complex")


def nan_to_num(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3),))
    yield Sample((np.asarray([1.0, np.nan, np.inf, -np.inf]),), name="delicate", order=0)


def order_statistics(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `median`."""
    yield Sample((draw.distinct(5),))
    yield Sample((draw.distinct(2, 4),), {"axis": 1})
    yield Sample((draw.distinct(2, 3),), {"axis": (0, 1), "keepdims": True})
    yield Sample((transposed(draw.distinct(2, 3)),), {"axis": 0}, name="by columns")


def pad(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), 1))
    yield Sample((draw.normal(2, 3), ((1, 0), (2, 1))), {"constant_values": 0.5})
    for mode in ("edge", "reflect", "symmetric", "wrap"):
        yield Sample((draw.normal(2, 3), ((0, 1), (2, 1))), {"mode": mode})
    yield Sample((draw.complex(3), 1), name="complex")


def quantile(draw: Draw, scale: float = 1.0) -> Iterator[Sample]:
    for method in ("linear", "lower", "higher", "nearest", "midpoint"):
        yield Sample((draw.distinct(5), 0.31 * scale), {"method": method})
    yield Sample((draw.distinct(2, 4), 0.6 * scale), {"axis": 1, "keepdims": True})
    yield Sample((draw.distinct(5), np.asarray([0.1, 0.63]) * scale), name="several")


def percentile(draw: Draw) -> Iterator[Sample]:
    return quantile(draw, 100.0)


def segment_sum(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(4, 2), np.asarray([2, 0, 2, 0]), 3))
    yield Sample((draw.normal(2, 3), np.asarray([[1, 0, 1], [1, 1, 0]])), {"num_segments": 2}, name="two axes")
    yield Sample((draw.complex(3), np.asarray([0, 0, 1]), 2), name="complex")
    yield Sample((draw.normal(0, 2), np.asarray([], dtype=int), 2), name="zero size")


def trapezoid(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(4),))
    yield Sample((draw.normal(2, 3),), {"dx": 0.5, "axis": 0})
    yield Sample((draw.normal(2, 3), np.asarray([0.0, 0.5, 2.0])), name="points")
    yield Sample((draw.complex(3),), name="complex")


def joined(draw: Draw) -> Iterator[Sample]:
    """Make the samples of functions that join arrays."""
    yield Sample(([draw.normal(3), draw.normal(3)],))
    yield Sample(([draw.normal(2, 3), draw.normal(2, 3)],))
    yield Sample(([strided(draw.normal(2, 3)), draw.complex(2, 3)],), name="complex, with gaps")


def concatenate(draw: Draw) -> Iterator[Sample]:
    return iter(concat_samples(draw))


def outer(draw: Draw) -> Iterator[Sample]:
    yield from outer_products(draw)
    yield Sample((draw.normal(2, 2), draw.normal(3)), name="flattened")


MAKERS: dict[str, Maker] = {
    "array": array,
    "array_split": moved(((5,), (2,), {}), ((2, 3), (2,), {"axis": 1}), ((4,), ([1, 3],), {})),
    "atleast_1d": moved(((2, 3), (), {}), ((), (), {})),
    "atleast_2d": moved(((3,), (), {}), ((), (), {}), ((2, 2, 3), (), {})),
    "average": average,
    "column_stack": joined,
    "concatenate": concatenate,
    "cumprod": cumulative,
    "cumsum": cumulative,
    "dot": dot,
    "einsum": einsum,
    "hstack": joined,
    "index_add": index_add,
    "interp": interp,
    "isclose": constant(ANYWHERE, ANYWHERE, numbers=True),
    "kron": kron,
    "median": order_statistics,
    "nan_to_num": nan_to_num,
    "outer": outer,
    "pad": pad,
    "percentile": percentile,
    "quantile": quantile,
    "segment_sum": segment_sum,
    "swapaxes": moved(((2, 3), (0, 1), {}), ((2, 3, 2), (-1, 0), {})),
    "trapezoid": trapezoid,
    "vstack": joined,
}
