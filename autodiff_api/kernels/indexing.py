"""Reading, assigning and adding at a key, for any namespace of the standard."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .arrays import device_of


def getitem(x: Any, key: Any, /, *, xp: Any) -> Any:
    """Return `x[key]`, also where the standard asks for an Ellipsis, or has no slices beside arrays."""
    parts = _complete(key, x.ndim)
    if not any(hasattr(part, "dtype") for part in parts):
        return x[parts]
    if any(_is_mask(part) for part in parts):
        if len(parts) == 1:
            return x[parts]
        parts = tuple([one for part in parts for one in (xp.nonzero(part) if _is_mask(part) else (part,))])
    named = [i for i, part in enumerate(parts) if _names(part)]
    apart = named[-1] - named[0] >= len(named)  # an Ellipsis for nothing parts them too, as in NumPy
    return _gather(x, _spelled_out(parts, x.ndim), apart, xp)


def _gather(x: Any, parts: Sequence[Any], apart: bool, xp: Any) -> Any:
    """Return `x[parts]`, in which integers and integer arrays stand beside slices, by one `take`.

    The axes that they name come first and are made one. What they make belongs in their place if they are neighbours,
    else it stays in front, as in NumPy.
    """
    y = x[tuple([slice(None) if _names(part) else part for part in parts])]
    named = [i for i, part in enumerate(parts) if _names(part)]
    rest = [i for i in range(len(parts)) if i not in named]
    index: Any = 0
    total = 1
    for i in reversed(named):
        n, part = y.shape[i], xp.asarray(parts[i])
        index = index + xp.where(part < 0, part + n, part) * total
        total *= n
    left = tuple([y.shape[i] for i in rest])
    y = xp.reshape(xp.permute_dims(y, (*named, *rest)), (total, *left))
    found = xp.reshape(xp.take(y, xp.reshape(index, (-1,)), axis=0), (*index.shape, *left))
    before, made = named[0], index.ndim
    if apart or not before:
        return found
    return xp.permute_dims(found, (*range(made, made + before), *range(made), *range(made + before, found.ndim)))


def _names(part: Any) -> bool:
    return hasattr(part, "dtype") or isinstance(part, int)


def _is_mask(part: Any) -> bool:
    return "bool" in str(getattr(part, "dtype", ""))


def _spelled_out(parts: tuple[Any, ...], ndim: int) -> list[Any]:
    """Return a key with slices for its Ellipsis and for what it leaves out."""
    fill = [slice(None)] * (ndim - sum(part is not None and part is not ... for part in parts))
    where = next((i for i, part in enumerate(parts) if part is ...), len(parts))
    return [*parts[:where], *fill, *parts[where + 1 :]]


def setitem(x: Any, key: Any, value: Any, /, *, xp: Any) -> Any:
    """Return a copy of `x` in which `x[key] = value`; None in the key, which the standard forbids, is undone."""
    out = xp.asarray(x, copy=True)
    if hasattr(value, "dtype"):
        value = xp.astype(value, x.dtype, copy=False)
    parts = _complete(key, x.ndim)
    if any(_is_integer_array(part, xp) or (_is_mask(part) and len(parts) > 1) for part in parts):
        return _set_each(x, key, value, xp)
    plain = tuple(part for part in parts if part is not None)
    if len(plain) < len(parts) and hasattr(value, "shape"):
        value = xp.reshape(xp.broadcast_to(value, x[parts].shape), x[plain].shape)
    out[plain] = value
    return out


def scatter_add(x: Any, key: Any, values: Any, /, *, xp: Any) -> Any:
    """Return a copy of `x` with `values` added at `key`; repeated indices add up.

    A key that names each element once is read, added to and assigned. Integer arrays may repeat: their
    positions are found by indexing an array of element numbers, sorted, and equal ones summed by doubling.
    """
    if not any(_is_integer_array(part, xp) for part in _complete(key, x.ndim)):
        return setitem(x, key, getitem(x, key, xp=xp) + values, xp=xp)
    size = math.prod(x.shape)
    numbers = getitem(element_numbers(x, xp), key, xp=xp)
    values = xp.broadcast_to(xp.astype(values, x.dtype), numbers.shape)
    totals = _sum_by_number(xp.reshape(numbers, (-1,)), xp.reshape(values, (-1,)), size, xp)
    return x + xp.reshape(totals, x.shape)


def _set_each(x: Any, key: Any, value: Any, xp: Any) -> Any:
    """Assign to places that integer arrays name, for which the standard has reading only."""
    numbers = getitem(element_numbers(x, xp), key, xp=xp)
    if not math.prod(numbers.shape):
        return xp.asarray(x, copy=True)
    value = xp.asarray(value, dtype=x.dtype) if not hasattr(value, "shape") else xp.astype(value, x.dtype)
    value = xp.reshape(xp.broadcast_to(value, numbers.shape), (-1,))
    order = xp.argsort(xp.reshape(numbers, (-1,)))  # stable: of equal places the last one's value stands
    found, place = _runs(xp.take(xp.reshape(numbers, (-1,)), order), math.prod(x.shape), xp)
    new = xp.take(xp.take(value, order), place)
    return xp.where(xp.reshape(found, x.shape), xp.reshape(new, x.shape), x)


def element_numbers(x: Any, xp: Any) -> Any:
    """Return an array of the shape of `x` that numbers its elements."""
    return xp.reshape(xp.arange(math.prod(x.shape), device=device_of(x)), x.shape)


def _runs(numbers: Any, size: int, xp: Any) -> tuple[Any, Any]:
    """Tell which of the numbers below `size` are among sorted `numbers`, and where the run of each ends."""
    wanted = xp.arange(size, dtype=numbers.dtype, device=device_of(numbers))
    last = xp.searchsorted(numbers, wanted, side="right") - 1
    safe = xp.where(last < 0, xp.zeros_like(last), last)
    return xp.take(numbers, safe) == wanted, safe


def _complete(key: Any, ndim: int) -> tuple[Any, ...]:
    """Return a key as a tuple, with the Ellipsis that the standard asks for when it is shorter than the shape."""
    parts = key if isinstance(key, tuple) else (key,)
    masked = any(isinstance(part, bool) or _is_mask(part) for part in parts)
    used = sum(part is not None for part in parts)
    return parts if masked or used >= ndim or any(part is ... for part in parts) else (*parts, ...)


def _is_integer_array(part: Any, xp: Any) -> bool:
    return hasattr(part, "dtype") and part.ndim > 0 and xp.isdtype(part.dtype, "integral")


def _sum_by_number(numbers: Any, values: Any, size: int, xp: Any) -> Any:
    """Sum the values of equal numbers: out[n] = values[numbers == n].sum(), for n < size."""
    if numbers.shape[0] == 0:
        return xp.zeros((size,), dtype=values.dtype, device=device_of(values))
    order = xp.argsort(numbers)
    numbers, sums, step = xp.take(numbers, order), xp.take(values, order), 1
    while step < numbers.shape[0]:  # an inclusive scan within each run of equal numbers
        same = numbers[step:] == numbers[:-step]
        late = sums[step:] + xp.where(same, sums[:-step], xp.zeros_like(sums[:-step]))
        sums = xp.concat([sums[:step], late])
        step *= 2
    found, place = _runs(numbers, size, xp)
    totals = xp.take(sums, place)
    return xp.where(found, totals, xp.zeros_like(totals))


GENERIC: dict[str, Callable[..., Any]] = {"getitem": getitem, "scatter_add": scatter_add, "setitem": setitem}
