"""Generic kernels: what rules need and the standard lacks, written in the standard.

Each takes the namespace to compute in as the keyword `xp`. A backend's plugin offers a better one under the
same name; these are the fallback, and what the law "kernel = generic" compares with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def clone(x: Any, /, *, xp: Any) -> Any:
    """Return a copy of `x`."""
    return xp.asarray(x, copy=True)


def getitem(x: Any, key: Any, /, *, xp: Any) -> Any:
    """Return `x[key]`, with the Ellipsis that the standard asks for in a key shorter than the shape."""
    return x[_complete(key)]


def setitem(x: Any, key: Any, value: Any, /, *, xp: Any) -> Any:
    """Return a copy of `x` in which `x[key] = value`."""
    out = xp.asarray(x, copy=True)
    out[_complete(key)] = value
    return out


def scatter_add(x: Any, key: Any, values: Any, /, *, xp: Any) -> Any:
    """Return a copy of `x` with `values` added at `key`; repeated indices add up.

    A key that names each element once is read, added to and assigned. Integer arrays may repeat: their
    positions are found by indexing an array of element numbers, sorted, and equal ones summed by doubling.
    """
    if not _has_integer_array(key, xp):
        return setitem(x, key, x[_complete(key)] + values, xp=xp)
    size = _size(x.shape)
    numbers = xp.reshape(xp.arange(size, device=x.device), x.shape)[key]
    values = xp.broadcast_to(xp.astype(values, x.dtype), numbers.shape)
    totals = _sum_by_number(xp.reshape(numbers, (-1,)), xp.reshape(values, (-1,)), size, xp)
    return x + xp.reshape(totals, x.shape)


def _complete(key: Any) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    basic = all(part is None or isinstance(part, int | slice) and not isinstance(part, bool) for part in parts)
    return (*parts, ...) if basic else key


def _sum_by_number(numbers: Any, values: Any, size: int, xp: Any) -> Any:
    """Sum the values of equal numbers: out[n] = values[numbers == n].sum(), for n < size."""
    if numbers.shape[0] == 0:
        return xp.zeros((size,), dtype=values.dtype, device=values.device)
    order = xp.argsort(numbers)
    numbers, sums, step = xp.take(numbers, order), xp.take(values, order), 1
    while step < numbers.shape[0]:  # an inclusive scan within each run of equal numbers
        same = numbers[step:] == numbers[:-step]
        late = sums[step:] + xp.where(same, sums[:-step], xp.zeros_like(sums[:-step]))
        sums = xp.concat([sums[:step], late])
        step *= 2
    wanted = xp.arange(size, dtype=numbers.dtype, device=numbers.device)
    last = xp.searchsorted(numbers, wanted, side="right") - 1  # where the run of each number ends
    safe = xp.where(last < 0, xp.zeros_like(last), last)
    found = xp.take(numbers, safe) == wanted
    totals = xp.take(sums, safe)
    return xp.where(found, totals, xp.zeros_like(totals))


def _has_integer_array(key: Any, xp: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return any(hasattr(p, "dtype") and xp.isdtype(p.dtype, "integral") and p.ndim for p in parts)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def to_device(x: Any, device: Any, /, *, stream: Any = None, xp: Any) -> Any:
    """Return `x` on `device`."""
    return x.to_device(device) if stream is None else x.to_device(device, stream=stream)


GENERIC: dict[str, Callable[..., Any]] = {
    "clone": clone,
    "getitem": getitem,
    "scatter_add": scatter_add,
    "setitem": setitem,
    "to_device": to_device,
}
