"""Samples of selecting: every form of `x[key]`, assignment, gathers, `where`, sorting, searching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .sample import Draw, Maker, Sample, strided, transposed

MASK = np.asarray([[True, False, True], [False, False, True]])
ROW_MASK = np.asarray([True, False])

# key, and whether the shape of x[key] follows from shapes; for x of shape (2, 3)
KEYS: list[tuple[str, Any, bool]] = [
    ("an integer", 1, True),
    ("a negative integer", -1, True),
    ("one integer each", (0, -2), True),
    ("a slice", slice(1, None), True),
    ("steps", (slice(None), slice(None, None, 2)), True),
    ("backwards", (slice(None), slice(None, None, -1)), True),
    ("backwards in steps", (0, slice(2, None, -2)), True),
    ("nothing", (slice(2, None), slice(None)), True),
    ("an ellipsis", (..., 0), True),
    ("only an ellipsis", ..., True),
    ("new axes", (None, slice(None), None, 1), True),
    ("an integer array", np.asarray([1, 0, 1]), True),
    ("no indices", np.asarray([], dtype=int), True),
    ("integer arrays", (np.asarray([1, 0, 1]), np.asarray([2, -1, 2])), True),
    ("integer arrays, broadcast", (np.asarray([[1], [1]]), np.asarray([0, 2])), True),
    ("a slice and integers", (slice(None), np.asarray([2, 2, 0])), True),
    ("a mask", MASK, False),
    ("a mask of rows", ROW_MASK, False),
    ("a mask of nothing", np.zeros((2, 3), dtype=bool), False),
]


def getitem(draw: Draw) -> Iterator[Sample]:
    for name, key, traceable in KEYS:
        yield Sample((draw.normal(2, 3), key), name=name, traceable=traceable)
    yield Sample((draw.normal(), ()), name="0-d")
    yield Sample((draw.normal(0, 3), (slice(None), 1)), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), (slice(None), slice(0, 2))), name="by columns")
    yield Sample((strided(draw.normal(2, 3)), (0,)), name="with gaps")
    yield Sample((draw.complex(2, 3), (slice(None), np.asarray([0, 0]))), name="complex")
    yield Sample((draw.integers(0, 9, 2, 3), 1), name="integers", order=None)


def setitem(draw: Draw) -> Iterator[Sample]:
    for name, key, traceable in KEYS:
        if any(part is None for part in (key if isinstance(key, tuple) else (key,))):
            continue  # the standard has no None in a key that is assigned to
        if "integer array" in name or "slice and" in name:
            key = _distinct(key)  # which of two equal places is written last is nobody's promise
        x = draw.normal(2, 3)
        yield Sample((x, key, draw.normal(*x[key].shape)), name=name, traceable=traceable)
    yield Sample((draw.normal(2, 3), (slice(None), 1), draw.normal()), name="0-d value")
    yield Sample((draw.normal(2, 3), (slice(None), slice(1, None)), draw.normal(2, 1)), name="broadcast value")
    yield Sample((draw.normal(2, 3), MASK, draw.normal()), name="a mask, one value")
    yield Sample((draw.normal(2, 3), 0, 1.5), name="a number")
    yield Sample((draw.normal(), (), draw.normal()), name="0-d")
    yield Sample((draw.normal(0, 3), (slice(None), 1), 2.0), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), (0, ...), strided(draw.normal(3))), name="strided")
    yield Sample((draw.complex(2, 3), 1, draw.complex(3)), name="complex")
    yield Sample((draw.complex(2, 3), 1, draw.normal(3)), name="real into complex")
    yield Sample((draw.normal(2, 3), 1, draw.normal(3).astype("float32")), name="mixed precision", order=0, loss=1e6)
    yield Sample((draw.integers(0, 9, 2, 3), 1, 7), name="integers", order=None)


def scatter_add(draw: Draw) -> Iterator[Sample]:
    for name, key, traceable in KEYS:
        x = draw.normal(2, 3)
        yield Sample((x, key, draw.normal(*x[key].shape)), name=name, traceable=traceable)
    yield Sample((draw.normal(2, 3), (slice(None), np.asarray([0, 0, 0])), draw.normal(2, 3)), name="thrice one column")
    yield Sample((draw.normal(2, 3), (slice(None), 1), draw.normal()), name="broadcast values")
    yield Sample((draw.normal(0, 3), (slice(None), 1), draw.normal(0)), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), (0, ...), strided(draw.normal(3))), name="strided")
    yield Sample((draw.complex(3), np.asarray([0, 2, 0]), draw.complex(3)), name="complex")


def take(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), np.asarray([2, 0, 2])), {"axis": 1})
    yield Sample((draw.normal(2, 3), np.asarray([1])), {"axis": 0})
    yield Sample((draw.normal(2, 3, 2), np.asarray([2, 2])), {"axis": -2})
    yield Sample((draw.normal(3), np.asarray([0, 1, 0])), name="one axis, not named")
    yield Sample((draw.normal(2, 3), np.asarray([], dtype=int)), {"axis": 0}, name="no indices")
    yield Sample((draw.normal(0, 3), np.asarray([1, 2])), {"axis": 1}, name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), strided(np.asarray([1, 1]))), {"axis": 0}, name="strided")
    yield Sample((draw.complex(2, 3), np.asarray([2, 0, 2])), {"axis": 1}, name="complex")
    yield Sample((draw.integers(0, 9, 3), np.asarray([1, 1])), {"axis": 0}, name="integers", order=None)


def take_along_axis(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), np.asarray([[2, 0, 2], [1, 1, 0]])))
    yield Sample((draw.normal(2, 3), np.asarray([[1, 0, 1]])), {"axis": 0})
    yield Sample((draw.normal(2, 3), np.asarray([[1], [2]])), {"axis": 1}, name="fewer")
    yield Sample((draw.normal(1, 3), np.asarray([[1, 1], [2, 0]])), {"axis": 1}, name="broadcast array")
    yield Sample((draw.normal(2, 3, 2), draw.integers(0, 3, 2, 2, 2)), {"axis": 1})
    yield Sample((draw.normal(0, 3), np.zeros((0, 2), dtype=int)), {"axis": -1}, name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), transposed(np.asarray([[2, 0, 2], [1, 1, 0]]))), name="by columns")
    yield Sample((draw.complex(2, 3), np.asarray([[2, 0, 2], [1, 1, 0]])), name="complex")


def where(draw: Draw) -> Iterator[Sample]:
    yield Sample((MASK, draw.normal(2, 3), draw.normal(2, 3)))
    yield Sample((ROW_MASK[:, None], draw.normal(3), draw.normal(2, 1)), name="broadcast")
    yield Sample((MASK, draw.normal(2, 3), 1.5), name="number on the right")
    yield Sample((MASK, 0.75, draw.normal()), name="number on the left, 0-d")
    yield Sample((np.asarray(True), draw.normal(2, 3), draw.normal()), name="0-d condition")
    yield Sample((MASK[:0], draw.normal(0, 3), draw.normal(3)), name="zero size")
    yield Sample((transposed(MASK), transposed(draw.normal(2, 3)), strided(draw.normal(2, 3))), name="strided")
    yield Sample((MASK, draw.complex(2, 3), draw.complex(3)), name="complex")
    yield Sample((MASK, draw.normal(2, 3), draw.complex(3)), name="real and complex")
    yield Sample((MASK, draw.normal(3).astype("float32"), draw.normal(3)), name="mixed precision", order=0, loss=1e6)
    yield Sample((MASK, draw.integers(0, 9, 2, 3), draw.integers(0, 9, 3)), name="integers", order=None)


def sort(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.distinct(2, 3),))
    yield Sample((draw.distinct(2, 3),), {"axis": 0})
    yield Sample((draw.distinct(2, 3),), {"descending": True})
    yield Sample((draw.distinct(2, 3),), {"axis": 1, "descending": True, "stable": True})
    yield Sample((draw.distinct(5),), {"stable": False})
    yield Sample((draw.distinct(0, 3),), name="zero size")
    yield Sample((transposed(draw.distinct(2, 3)),), {"axis": 0}, name="by columns")
    yield Sample((strided(draw.distinct(2, 3)),), name="with gaps")
    yield Sample((np.asarray([2.0, 1.0, 2.0, 1.0]),), name="kinks: ties", order=0)
    yield Sample((np.asarray([2.0, 1.0, 2.0, 1.0]),), {"descending": True}, name="kinks: ties", order=0)
    yield Sample((draw.integers(0, 5, 2, 3),), name="integers", order=None)


def nonzero(draw: Draw) -> Iterator[Sample]:
    yield Sample((np.asarray([0.0, 1.5, -2.0, 0.0]),), traceable=False)
    yield Sample((MASK,), name="booleans", traceable=False)
    yield Sample((np.zeros((0, 3)),), name="zero size", traceable=False)


def searchsorted(draw: Draw) -> Iterator[Sample]:
    x = np.asarray([-1.0, 0.5, 0.5, 2.0])
    yield Sample((x, np.asarray([0.5, -3.0, 9.0])))
    yield Sample((x, np.asarray([0.5, -3.0, 9.0])), {"side": "right"})
    yield Sample((x, np.asarray([[0.5], [1.0]])), {"side": "left"})
    yield Sample((x[::-1].copy(), np.asarray([0.5, 1.0])), {"sorter": np.asarray([3, 2, 1, 0])}, name="sorter")
    yield Sample((x, np.zeros(0)), name="zero size")


def isin(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.integers(0, 5, 2, 3), draw.integers(0, 3, 2)))
    yield Sample((draw.integers(0, 5, 2, 3), draw.integers(0, 3, 2)), {"invert": True})
    yield Sample((draw.integers(0, 5, 0), draw.integers(0, 3, 2)), name="zero size")


def _distinct(key: Any) -> Any:
    """Return a key of the same form in which no place is named twice; the indices are into (2, 3)."""
    if not isinstance(key, tuple):
        return np.asarray([1, 0]) if key.size else key
    first, second = key
    if isinstance(first, slice):
        return first, np.asarray([2, 0])
    return (np.asarray([1, 0]), np.asarray([2, -1])) if first.ndim == 1 else (np.asarray([[1], [0]]), second)


MAKERS: dict[str, Maker] = {
    "argsort": sort,
    "getitem": getitem,
    "isin": isin,
    "nonzero": nonzero,
    "scatter_add": scatter_add,
    "searchsorted": searchsorted,
    "setitem": setitem,
    "sort": sort,
    "take": take,
    "take_along_axis": take_along_axis,
    "where": where,
}
