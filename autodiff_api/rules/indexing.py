"""Selecting elements: indexing, assignment, gathers, `where`, sorting."""

from __future__ import annotations

import math
from typing import Any

from . import batched_keys, batches
from .batching import EACH, Shifted
from .kinds import General, Linear, Rule
from .statistical import Shape, along


def blank(t: Any, shape: Shape, xp: Any) -> Any:
    """Return zeros of `shape` with the dtype, device and layout of `t`."""
    return xp.broadcast_to(xp.zeros_like(xp.sum(t)), shape)


def getitem_x(t: Any, x_shape: Shape, key: Any, xp: Any) -> Any:
    return xp.scatter_add(blank(t, x_shape, xp), key, t)


def setitem_x(t: Any, key: Any, xp: Any) -> Any:
    return xp.setitem(t, key, 0)


def written(t: Any, key: Any, shape: Shape, xp: Any) -> Any:
    """Return the cotangent of a value of `shape` that was written, or added, at a key.

    What a mask selects is summed in place if the value was the same for all of it: how much that is, a compiler and
    `vmap` can't know.
    """
    rest = t.ndim - key.ndim if "bool" in str(getattr(key, "dtype", "")) else -1
    if rest < 0 or (len(shape) > rest and shape[-rest - 1] != 1):
        return xp.getitem(t, key)
    chosen = xp.setitem(xp.zeros_like(t), key, 1)
    total = xp.sum(xp.where(chosen != 0, t, xp.zeros_like(t)), axis=tuple(range(key.ndim)))
    return total if len(shape) <= rest else xp.expand_dims(total, axis=0)


def take_x(t: Any, x_shape: Shape, indices: Any, axis: int | None, xp: Any) -> Any:
    if axis is None:  # the array was flattened first
        return xp.reshape(getitem_x(t, (math.prod(x_shape),), (indices,), xp), x_shape)
    return getitem_x(t, x_shape, along(axis, len(x_shape), indices), xp)


def take_along_axis_x(t: Any, x_shape: Shape, indices: Any, indices_device: Any, axis: int, xp: Any) -> Any:
    """Scatter to integer arrays that index `x[key]` as `take_along_axis` does."""
    key = [
        xp.reshape(xp.arange(n, dtype=indices.dtype, device=indices_device), along_one(i, n, t.ndim))
        for i, n in enumerate(x_shape)
    ]
    key[axis] = xp.broadcast_to(indices, t.shape)
    return getitem_x(t, x_shape, tuple(key), xp)


def along_one(axis: int, n: int, ndim: int) -> Shape:
    """Return the shape of an array with n elements on one axis and one on each other."""
    return (*(1,) * axis, n, *(1,) * (ndim - axis - 1))


def sort_order(x: Any, axis: int, descending: bool, xp: Any) -> Any:
    return xp.argsort(x, axis=axis, descending=descending, stable=True)


def sort_vjp(t: Any, x: Any, x_device: Any, axis: int, descending: bool, xp: Any) -> Any:
    """Send each cotangent back to where its element stood."""
    return take_along_axis_x(t, tuple(x.shape), sort_order(x, axis, descending, xp), x_device, axis, xp)


def sort_jvp(t: Any, x: Any, axis: int, descending: bool, xp: Any) -> Any:
    return xp.take_along_axis(t, sort_order(x, axis, descending, xp), axis=axis)


RULES: dict[str, Rule] = {
    "getitem": Linear(x=getitem_x),
    "scatter_add": Linear(x=lambda t: t, values=lambda t, key, values_shape, xp: written(t, key, values_shape, xp)),
    "setitem": Linear(x=setitem_x, value=lambda t, key, value_shape, xp: written(t, key, value_shape, xp)),
    "sort": General(vjp=sort_vjp, jvp=sort_jvp),
    "take": Linear(x=take_x),
    "take_along_axis": Linear(x=take_along_axis_x),
    "where": Linear(
        x1=lambda t, condition, xp: xp.where(condition, t, 0),
        x2=lambda t, condition, xp: xp.where(condition, 0, t),
    ),
}
CONSTANT: set[str] = {"argsort", "isin", "nonzero", "searchsorted"}
SIGNATURES = {
    "argsort": "x, /, *, axis=-1, descending=False, stable=True",
    "getitem": "x, key, /",
    "isin": "x1, x2, /, *, invert=False",
    "nonzero": "x, /",
    "scatter_add": "x, key, values, /",
    "searchsorted": 'x1, x2, /, *, side="left", sorter=None',
    "setitem": "x, key, value, /",
    "sort": "x, /, *, axis=-1, descending=False, stable=True",
    "take": "x, indices, /, *, axis=None",
    "take_along_axis": "x, indices, /, *, axis=-1",
    "where": "condition, x1, x2, /",
}
INPUTS = {
    "isin": ("x1", "x2"),
    "searchsorted": ("x1", "x2", "sorter"),
    "take": ("x", "indices"),
    "take_along_axis": ("x", "indices"),
    "where": ("condition", "x1", "x2"),
}
VIEWS = {"getitem"}
BATCHES = {
    "argsort": Shifted("axis"),
    "getitem": batched_keys.getitem,
    "isin": batches.isin,
    "nonzero": batches.nonzero,
    "scatter_add": batched_keys.scatter_add,
    "searchsorted": batches.searchsorted,
    "setitem": batched_keys.setitem,
    "sort": Shifted("axis"),
    "take": batches.take,
    "take_along_axis": batches.take_along_axis,
    "where": EACH,
}
