"""Indexing: NumPy's, which the standard and what is around it take for granted, in PyTorch's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

T = torch.Tensor
Key = Any
PLAIN = (int, slice, type(None), type(Ellipsis))


def parts_of(key: Key) -> tuple[Any, ...]:
    """Return the parts of a key, a Python number for each of NumPy's."""
    parts = key if isinstance(key, tuple) else (key,)
    return tuple([part.item() if isinstance(part, (np.bool_, np.integer)) else part for part in parts])


def is_basic(parts: tuple[Any, ...]) -> bool:
    """Tell whether PyTorch means by these what NumPy does: numbers, slices that go forwards, and what adds axes."""
    return all(p.__class__ in PLAIN and (p.__class__ is not slice or (p.step or 1) > 0) for p in parts)


def is_backwards(part: Any) -> bool:
    """Tell whether a part is a slice with a negative step, which PyTorch has not."""
    return isinstance(part, slice) and part.step is not None and part.step < 0


def axes_of(part: Any) -> int:
    """Count the axes that a part uses up."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, T) and part.dtype is torch.bool else 1


def forwards(x: Any, parts: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Return an array and a key without slices that go backwards: what these select is selected, and turned round."""
    axis, rest = 0, []
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - sum(map(axes_of, parts))
        if is_backwards(part):
            if axis >= x.ndim:
                raise IndexError(f"too many indices for an array of {x.ndim} axes")
            at = range(*part.indices(x.shape[axis]))
            ahead = slice(at[-1], at[0] + 1, -part.step) if at else slice(0, 0)
            x = x[(slice(None),) * axis + (ahead,)].flip(axis)
            part = slice(None)
        rest.append(part)
        axis += axes_of(part)
    return x, tuple(rest)


def advanced(x: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a key of which PyTorch makes what NumPy does: its arrays are int64, or masks of the array's own shape.

    PyTorch takes uint8 for a mask, and an integer beside arrays for no array, which puts the axes elsewhere.
    """
    found: list[Any] = []
    arrays = False
    for part in parts:
        if isinstance(part, T) and part.dtype is torch.bool and 0 in part.shape:
            found.extend(torch.nonzero(part, as_tuple=True))
        elif isinstance(part, T) and part.dtype not in (torch.bool, torch.int64):
            found.append(part.to(torch.int64))
        else:
            found.append(part)
        arrays = arrays or (isinstance(part, T) and part.ndim > 0)
    if arrays:
        found = [torch.asarray([p], device=x.device) if p.__class__ is int else p for p in found]
    return tuple(found)


def getitem(x: Any, key: Key) -> Any:
    """Return ``x[key]``.

    >>> getitem(torch.arange(4), slice(None, None, -2))
    tensor([3, 1])
    """
    parts = parts_of(key)
    if is_basic(parts):
        return x[parts]
    check_integers(x, parts)
    x, parts = forwards(x, parts)
    return x[advanced(x, parts)]


def check_integers(x: Any, parts: tuple[Any, ...]) -> None:
    """Raise for an integer out of bounds, before it becomes an array of one."""
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - sum(map(axes_of, parts))
        if part.__class__ is int and axis < x.ndim and not -x.shape[axis] <= part < x.shape[axis]:
            raise IndexError(f"index {part} is out of bounds for axis {axis} with size {x.shape[axis]}")
        axis += axes_of(part)


def is_mask_of(x: Any, parts: tuple[Any, ...]) -> bool:
    """Tell whether a key is one mask of the shape of `x`."""
    mask = parts[0] if len(parts) == 1 else None
    return isinstance(mask, T) and mask.dtype is torch.bool and mask.shape == x.shape


def positions(x: Any, parts: tuple[Any, ...]) -> Any:
    """Return where in the elements of `x`, one after the other, are those that a key names."""
    return getitem(torch.arange(x.numel(), device=x.device).reshape(x.shape), parts)


def fitting(x: Any, value: Any, shape: Any) -> Any:
    """Return values of the dtype of `x`, broadcast to a shape; of too many axes leading ones are dropped."""
    value = torch.as_tensor(value, dtype=x.dtype, device=x.device if not isinstance(value, T) else None)
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    return value.broadcast_to(shape)


def setitem(x: Any, key: Key, value: Any) -> Any:
    """Return a copy of `x`, of the same dtype, with ``x[key] = value``.

    >>> setitem(torch.zeros(3), slice(1, None), 2.0)
    tensor([0., 2., 2.])
    """
    parts, out = parts_of(key), x.clone(memory_format=torch.contiguous_format)
    if is_basic(parts):
        chosen = out[parts]
        chosen.copy_(fitting(x, value, chosen.shape))
        return out
    if is_mask_of(x, parts) and not getattr(value, "shape", ()):
        return torch.where(parts[0], fitting(x, value, ()), x)
    at = positions(x, parts)
    out.view(-1)[at.reshape(-1)] = fitting(x, value, at.shape).reshape(-1)
    return out


def scatter_add(x: Any, key: Key, values: Any) -> Any:
    """Return a copy of `x` with `values` added at `key`; where `key` names a place twice, both are added.

    >>> scatter_add(torch.zeros(3), torch.asarray([0, 2, 0]), 1.0)
    tensor([2., 0., 1.])
    """
    parts, out = parts_of(key), x.clone(memory_format=torch.contiguous_format)
    if is_basic(parts):
        chosen = out[parts]
        chosen.add_(fitting(x, values, chosen.shape))
        return out
    first, *rest = parts
    if isinstance(first, T) and first.dtype is not torch.bool and first.numel() and rest in ([], [...]):
        rows = torch.where(first < 0, first + x.shape[0], first).reshape(-1).to(torch.int64)
        shape = (*first.shape, *x.shape[1:])
        return out.index_add_(0, rows, fitting(x, values, shape).reshape(-1, *x.shape[1:]))
    at = positions(x, parts)
    out.view(-1).index_add_(0, at.reshape(-1), fitting(x, values, at.shape).reshape(-1))
    return out


KERNELS: dict[str, Callable[..., Any]] = {"getitem": getitem, "scatter_add": scatter_add, "setitem": setitem}
