"""The functions that PyTorch lacks, or says otherwise than the standard, also through array-api-compat."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import prod
from operator import index
from typing import Any, NamedTuple

import array_api_compat.torch as compat
import numpy as np
import torch

Kernel = Callable[..., Any]


# --- arrays from elsewhere ---


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """Return `obj` as a tensor.

    >>> asarray(np.arange(3)[::-1])
    tensor([2, 1, 0])
    """
    if isinstance(obj, np.ndarray | np.generic):
        return of_numpy(np.asarray(obj), dtype, device, copy)
    try:
        return compat.asarray(obj, dtype=dtype, device=device, copy=copy)
    except RuntimeError as error:  # "Could not infer dtype of dict"
        raise TypeError(str(error)) from error


def of_numpy(obj: Any, dtype: Any, device: Any, copy: bool | None) -> Any:
    """Return an array of NumPy's as a tensor; what PyTorch has no likeness of is copied.

    That is memory that must not be written into, strides that go backwards, and numbers of the other byte order.
    `torch.asarray` refuses some of it, warns of some, and does not copy a single number where it must.
    """
    alike = obj.flags.writeable and min(obj.strides, default=0) >= 0 and obj.dtype.isnative
    tensor = torch.from_numpy(obj if alike else obj.astype(obj.dtype.newbyteorder("=")))
    out = tensor.to(device=device or tensor.device, dtype=dtype or tensor.dtype)
    if copy and alike and out is tensor:
        return out.clone()
    if copy is False and not (alike and out is tensor):
        raise ValueError(f"asarray: this array of NumPy's, {obj.dtype}, can't be shared with PyTorch as it is: copy it")
    return out


def creator(native: Kernel) -> Kernel:
    """Return a function that makes an array of a shape, of whatever can be a size: of a tensor PyTorch takes none."""

    @wraps(native)
    def create(shape: Any, *args: Any, **options: Any) -> Any:
        sizes = tuple(map(index, shape)) if isinstance(shape, tuple | list) else (index(shape),)
        return native(sizes, *args, **options)

    return create


def isdtype(dtype: Any, kind: Any) -> bool:
    """Tell whether a dtype is of a kind; TypeError for what is no dtype of PyTorch's."""
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"isdtype: expected a torch.dtype, got {type(dtype).__name__}")
    return compat.isdtype(dtype, kind)


# --- reductions: without array-api-compat's look at the arguments ---


def sum_(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Return the sum of elements."""
    if axis == ():
        return compat.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)
    return torch.sum(x, axis, keepdims, dtype=dtype)


def mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean of elements."""
    return x.clone() if axis == () else torch.mean(x, axis, keepdims)


def max_(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the largest elements."""
    return x.clone() if axis == () else torch.amax(x, () if axis is None else axis, keepdims)


def min_(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the smallest elements."""
    return x.clone() if axis == () else torch.amin(x, () if axis is None else axis, keepdims)


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Return how many elements are not zero."""
    return (x != 0).to(torch.int64) if axis == () else compat.count_nonzero(x, axis=axis, keepdims=keepdims)


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """Return where `x2` goes in `x1`; PyTorch wants one dtype, and warns of what doesn't lie in one piece."""
    dtype = compat.result_type(x1, x2)
    x1, x2 = (torch.as_tensor(x, dtype=dtype, device=x1.device).contiguous() for x in (x1, x2))
    return torch.searchsorted(x1, x2, side=side, sorter=sorter)


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Return the standard deviation; a correction may be any number, of which PyTorch takes integers."""
    return torch.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Return the variance; of no more elements than the correction it is a quotient by 0, of which PyTorch warns."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if x.numel() and prod([x.shape[a] for a in axes]) > correction:
        return compat.var(x, axis=axis, correction=correction, keepdims=keepdims)
    apart = torch.abs(x - mean(x, axis=axis, keepdims=True))
    return sum_(apart * apart, axis=axis, keepdims=keepdims) / 0.0


# --- shapes, and what is taken ---


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Return elements along an axis, or of all in a row."""
    return compat.take(x.reshape(-1) if axis is None else x, indices, axis=axis)


def expand_dims(x: Any, /, axis: Any) -> Any:
    """Return `x` with new axes of length 1."""
    return torch.unsqueeze(x, axis) if axis.__class__ is int else compat.expand_dims(x, axis)


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """Return `x` with elements moved along axes, and in again at the other end."""
    if isinstance(axis, tuple) and not isinstance(shift, tuple):
        shift = (shift,) * len(axis)
    return torch.roll(x, shift, axis)


# --- special values ---


def acos(x: Any, /) -> Any:
    """Return the inverse cosine, whose imaginary part has the other sign than that of `x`, also where it is a zero.

    >>> acos(torch.asarray([0j])).imag
    tensor([-0.])
    """
    out = torch.acos(x)
    return torch.complex(out.real, torch.copysign(out.imag, -x.imag)) if x.dtype.is_complex else out


def log1p(x: Any, /) -> Any:
    """Return log(1 + x); of an infinity the real part is one, whatever the other part is.

    >>> log1p(torch.asarray([complex(torch.nan, torch.inf)])).real
    tensor([inf])
    """
    out = torch.log1p(x)
    if not x.dtype.is_complex:
        return out
    infinite = torch.isinf(x.real) | torch.isinf(x.imag)
    return torch.complex(torch.where(infinite, torch.inf, out.real), torch.where(infinite, torch.angle(x), out.imag))


# --- what is there once ---


class Uniques(NamedTuple):
    """What `unique_all` gives."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class Counts(NamedTuple):
    """What `unique_counts` gives."""

    values: Any
    counts: Any


class Inverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Any
    inverse_indices: Any


def in_order(x: Any) -> Any:
    """Return the indices that sort a vector, equal ones as they come; complex numbers by their real parts first."""
    if not x.dtype.is_complex:
        return torch.argsort(x, stable=True)
    by_imag = torch.argsort(x.imag, stable=True)
    return by_imag[torch.argsort(x.real[by_imag], stable=True)]


def unique_all(x: Any, /) -> Uniques:
    """Return the distinct elements, where each is first, which each element is, and how many there are of each.

    A nan is not equal to another.

    >>> unique_all(torch.asarray([3.0, 1.0, 3.0])).counts
    tensor([1, 2])
    """
    flat = x.reshape(-1)
    order = in_order(flat)
    ordered = flat[order]
    first = torch.ones_like(order, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    begin = torch.nonzero(first)[:, 0]
    inverse = torch.empty_like(order)
    inverse[order] = torch.cumsum(first, 0) - 1
    counts = torch.diff(begin, append=begin.new_tensor([len(order)]))
    return Uniques(ordered[begin], order[begin], inverse.reshape(x.shape), counts)


def unique_counts(x: Any, /) -> Counts:
    """Return the distinct elements, and how many there are of each."""
    found = unique_all(x)
    return Counts(found.values, found.counts)


def unique_inverse(x: Any, /) -> Inverse:
    """Return the distinct elements, and which each element is."""
    found = unique_all(x)
    return Inverse(found.values, found.inverse_indices)


def unique_values(x: Any, /) -> Any:
    """Return the distinct elements."""
    return unique_all(x).values


KERNELS: dict[str, Kernel] = {
    "acos": acos,
    "asarray": asarray,
    "broadcast_to": torch.broadcast_to,
    "count_nonzero": count_nonzero,
    "expand_dims": expand_dims,
    "isdtype": isdtype,
    "log1p": log1p,
    "max": max_,
    "mean": mean,
    "min": min_,
    "permute_dims": torch.permute,
    "roll": roll,
    "searchsorted": searchsorted,
    "std": std,
    "sum": sum_,
    "take": take,
    "unique_all": unique_all,
    "unique_counts": unique_counts,
    "unique_inverse": unique_inverse,
    "unique_values": unique_values,
    "var": var,
    **{name: creator(getattr(compat, name)) for name in ("empty", "full", "ones", "zeros")},
}
