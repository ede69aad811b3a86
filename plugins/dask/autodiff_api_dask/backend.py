"""The Dask backend: array_api_compat.dask.array, and what it lacks or says otherwise than the standard.

All of it is lazy: an operation, a pass backward and an optimizer's step add tasks to a graph, which is computed when a
value is asked for: `item()`, `numpy()`, `if x > 0`, `ad.synchronize`, or Dask's own functions on raw arrays. Printing
asks for none. A shape that depends on values is computed at once: how many elements a mask leaves, or how many there
are without repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import array_api_compat.dask.array as xp
import dask.array as da
import numpy as np
from dask.base import persist

from autodiff_api.backends import Backend

from . import indexing, matrices
from .indexing import sized, whole
from .matrices import of_nothing

Kernel = Callable[..., Any]


def place(x: Any, device: Any, /, *, stream: None = None) -> Any:
    """Return `x` in the chunks that `device` says, as Dask's `rechunk` takes them; ``cpu`` leaves it as it is.

    So does None, the device of a Dask array, which has no such attribute.

    >>> place(da.ones(4), 2).chunks
    ((2, 2),)
    """
    return x if device is None or isinstance(device, str) else x.rechunk(device)


def to_numpy(x: Any) -> Any:
    """Compute `x`."""
    return np.asarray(x.compute())


def computed(arrays: list[Any]) -> None:
    """Compute arrays together; from now on they are what was computed, and no graph of tasks."""
    for x, now in zip(arrays, persist(*arrays), strict=True):
        x.dask = now.dask  # of the same keys


def extreme(lazily: Kernel, at_once: Kernel) -> Kernel:
    """Return a reduction that gives nothing where nothing is wanted; Dask asks for the largest of no elements."""

    def reduced(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        if 0 in x.shape:
            return of_nothing(partial(at_once, axis=axis, keepdims=keepdims), x)
        return lazily(x, axis=axis, keepdims=keepdims)

    return reduced


def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Any:
    """Return `x` in another shape."""
    if 0 in x.shape:
        return of_nothing(partial(np.reshape, shape=shape), x)
    out = da.reshape(x, shape)
    return out.copy() if copy else out


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """Return a matrix with ones on its k-th diagonal; Dask's own makes some shapes wrong."""
    columns = da.arange(n_rows if n_cols is None else n_cols)
    return (da.arange(n_rows)[:, None] + k == columns).astype(np.float64 if dtype is None else dtype)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """Return the array behind a DLPack producer."""
    return da.from_array(np.from_dlpack(x, copy=copy))


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Any:
    """Return numbers at equal distances; the last one is `stop`, where Dask rounds."""
    return da.from_array(np.linspace(start, stop, num, dtype=dtype, endpoint=endpoint))


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Return sums of products over axes of both, in the dtype of both; Dask's sums have a wider one."""
    return da.tensordot(x1, x2, axes=axes).astype(np.result_type(x1.dtype, x2.dtype))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Return `x` with elements repeated along an axis, or all of them in a row.

    How often, if it is an array, is computed at once: the shape depends on it.
    """
    if axis is None:
        x, axis = da.ravel(x), 0
    return da.take(x, np.repeat(np.arange(x.shape[axis]), np.asarray(repeats)), axis=axis)


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """Return `x` with elements moved along axes, and in again at the other end."""
    if isinstance(axis, tuple) and not isinstance(shift, tuple):
        shift = (shift,) * len(axis)
    return da.roll(x, shift, axis=axis)


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """Return where `x2` goes in `x1`."""
    x2 = da.asarray(x2)
    return whole(np.searchsorted, x2.shape, np.dtype(np.int64), x1 if sorter is None else da.take(x1, sorter), x2, side)


SIZED = ("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values")  # by what the values are

BACKEND = Backend(
    name="dask",
    namespace=xp,
    array_types=(da.Array,),
    kernels={
        "eye": eye,
        "from_dlpack": from_dlpack,
        "linspace": linspace,
        "max": extreme(da.max, np.max),
        "min": extreme(da.min, np.min),
        "repeat": repeat,
        "reshape": reshape,
        "roll": roll,
        "searchsorted": searchsorted,
        "tensordot": tensordot,
        "to_device": place,
        **{name: sized(getattr(xp, name)) for name in SIZED},
        **indexing.KERNELS,
        **matrices.KERNELS,
    },
    devices=lambda: ["cpu"],
    place=place,
    to_numpy=to_numpy,
    synchronize=computed,
    layout_of=lambda x: getattr(x, "chunks", None),
    lazy=True,
)
