"""Samples of functions that move elements about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .sample import Draw, Dtype, Maker, SameDevice, Sample, strided, transposed


def moved(*calls: tuple[tuple[int, ...], tuple[Any, ...], dict[str, Any]], integer: bool = True) -> Maker:
    """Make samples of a function of one array from (shape, other arguments, keywords); `integer`: it takes those."""

    def make(draw: Draw) -> Iterator[Sample]:
        for shape, args, kwargs in calls:
            yield Sample((draw.normal(*shape), *args), kwargs, name="zero size" if 0 in shape else "")
        shape, args, kwargs = calls[0]
        yield Sample((draw.complex(*shape), *args), kwargs, name="complex")
        if len(shape) > 1:
            yield Sample((transposed(draw.normal(*shape)), *args), kwargs, name="by columns")
        yield Sample((strided(draw.normal(*shape)), *args), kwargs, name="with gaps")
        if integer:
            yield Sample((draw.integers(0, 9, *shape), *args), kwargs, name="integers", order=None)

    return make


def astype(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), Dtype("float64")), name="same dtype")
    yield Sample((draw.normal(2, 3), Dtype("complex128")), name="real to complex")
    yield Sample((draw.normal(2, 3), Dtype("float32")), name="narrower", order=0, loss=1e9)
    yield Sample((draw.normal(2, 3).astype("float32"), Dtype("float64")), name="wider", order=0, loss=1e6)
    yield Sample((draw.normal(3), Dtype("complex64")), {"copy": True}, name="narrower complex", order=0, loss=1e9)
    yield Sample((draw.complex(3), Dtype("complex128")), {"copy": False}, name="no copy")
    yield Sample((draw.normal(0, 3), Dtype("complex128")), name="zero size")
    yield Sample((draw.off_integers(3), Dtype("int64")), name="to integers", order=None)
    yield Sample((draw.integers(0, 2, 3), Dtype("bool")), name="to booleans", order=None)
    yield Sample((draw.integers(0, 9, 3), Dtype("float32")), name="from integers", order=None)


def concat(draw: Draw) -> Iterator[Sample]:
    yield Sample(([draw.normal(2, 3), draw.normal(1, 3)],))
    yield Sample(([draw.normal(2, 3), draw.normal(2, 1), draw.normal(2, 0)],), {"axis": 1}, name="one is empty")
    yield Sample(([draw.normal(2, 3), draw.normal(3)],), {"axis": None}, name="flattened")
    yield Sample(((draw.normal(2, 3, 2), draw.normal(2, 3, 1)),), {"axis": -1}, name="tuple")
    yield Sample(([draw.normal(3)],), name="one array")
    yield Sample(([transposed(draw.normal(2, 3)), strided(draw.normal(2, 3))],), name="strided")
    yield Sample(([draw.normal(2, 3), draw.complex(1, 3)],), name="real and complex")
    yield Sample(([draw.normal(3).astype("float32"), draw.normal(3)],), name="mixed precision", order=0, loss=1e6)
    yield Sample(([draw.integers(0, 9, 3), draw.integers(0, 9, 2)],), name="integers", order=None)


def stack(draw: Draw) -> Iterator[Sample]:
    yield Sample(([draw.normal(2, 3), draw.normal(2, 3)],))
    yield Sample(([draw.normal(2, 3), draw.normal(2, 3)],), {"axis": -1})
    yield Sample(((draw.normal(3), draw.normal(3), draw.normal(3)),), {"axis": 1}, name="tuple")
    yield Sample(([draw.normal(), draw.normal()],), name="0-d")
    yield Sample(([draw.normal(0, 3)],), {"axis": 1}, name="zero size")
    yield Sample(([draw.complex(3), draw.complex(3)],), name="complex")
    yield Sample(([transposed(draw.normal(2, 3)), strided(draw.normal(2, 3))],), name="strided")
    yield Sample(([draw.integers(0, 9, 3), draw.integers(0, 9, 3)],), name="integers", order=None)


def repeat(draw: Draw) -> Iterator[Sample]:
    yield from moved(((2, 3), (2,), {"axis": 1}), ((2, 3), (3,), {}), ((0, 3), (2,), {"axis": 0}), ((), (2,), {}))(draw)
    yield Sample((draw.normal(2, 3), 0), {"axis": 0}, name="not at all")
    yield Sample((draw.normal(2, 3), np.asarray([2, 0, 1])), {"axis": -1}, name="each its own", traceable=False)
    yield Sample((draw.normal(2, 2), np.asarray([2, 0, 1, 1])), name="each its own, flattened", traceable=False)
    yield Sample((draw.complex(3), np.asarray([2, 0, 1])), {"axis": 0}, name="complex", traceable=False)


def triangle(draw: Draw) -> Iterator[Sample]:
    calls: list[tuple[tuple[int, ...], tuple[Any, ...], dict[str, Any]]] = [
        ((2, 3), (), {}), ((3, 3), (), {"k": 1}), ((3, 2), (), {"k": -1}), ((2, 3, 3), (), {}), ((2, 3), (), {"k": 9}),
        ((0, 3), (), {}),
    ]  # fmt: skip
    return iter(moved(*calls)(draw))


MAKERS: dict[str, Maker] = {
    "astype": astype,
    "broadcast_to": moved(
        ((2, 3), ((2, 2, 3),), {}), ((1, 3), ((2, 3),), {}), ((), ((2, 3),), {}), ((2, 1), ((2, 0),), {}),
        ((2, 3), ((2, 3),), {}), ((0, 3), ((2, 0, 3),), {}), ((3,), (), {"shape": (2, 3)}),
    ),
    "clone": moved(((2, 3), (), {}), ((), (), {}), ((0, 3), (), {})),
    "concat": concat,
    "expand_dims": moved(
        ((2, 3), (0,), {}), ((2, 3), (-1,), {}), ((2, 3), (), {"axis": 1}), ((2, 3), ((0, 2),), {}),
        ((2, 3), ((-1, 1),), {}), ((0, 3), (1,), {}), ((), (0,), {}),
    ),
    "flip": moved(
        ((2, 3), (), {}), ((2, 3), (), {"axis": 1}), ((2, 3, 2), (), {"axis": (0, -1)}), ((0, 3), (), {"axis": 0}),
    ),
    "matrix_transpose": moved(((2, 3), (), {}), ((2, 3, 2), (), {}), ((0, 3), (), {})),
    "moveaxis": moved(
        ((2, 3, 2), (0, 2), {}), ((2, 3, 2), (-1, 0), {}), ((2, 3, 2), ((0, 1), (-1, 0)), {}), ((0, 3), (0, 1), {}),
    ),
    "permute_dims": moved(
        ((2, 3), ((1, 0),), {}), ((2, 3, 2), ((2, 0, 1),), {}), ((2, 3, 2), ((-1, 0, 1),), {}),
        ((2, 3), (), {"axes": (1, 0)}), ((0, 3), ((1, 0),), {}), ((), ((),), {}),
    ),
    "repeat": repeat,
    "reshape": moved(
        ((2, 3), ((3, 2),), {}), ((2, 3), ((-1,),), {}), ((2, 3), (), {"shape": (6,), "copy": True}),
        ((), ((1, 1),), {}), ((0, 3), ((3, 0),), {}), ((1,), ((),), {}),
    ),
    "roll": moved(
        ((2, 3), (1,), {"axis": 1}), ((2, 3), (-2,), {}), ((2, 3), ((1, 2),), {"axis": (0, 1)}),
        ((2, 3), (), {"shift": 4, "axis": -1}), ((0, 3), (1,), {"axis": 0}), ((2, 3), (1,), {"axis": (0, 1)}),
    ),
    "squeeze": moved(
        ((1, 3), (0,), {}), ((1, 3, 1), ((0, -1),), {}), ((3, 1), (), {"axis": 1}), ((1, 0, 3), (0,), {}),
    ),
    "stack": stack,
    "tile": moved(
        ((2, 3), ((2, 1),), {}), ((2, 3), ((2,),), {}), ((3,), ((2, 2),), {}), ((2, 3), ((2, 1, 2),), {}),
        ((), ((2,),), {}), ((0, 3), ((2, 2),), {}), ((2, 3), ((0, 1),), {}),
    ),
    "to_device": moved(((2, 3), (SameDevice(),), {}), ((0, 3), (SameDevice(),), {})),
    "tril": triangle,
    "triu": triangle,
}  # fmt: skip
