"""Pooling on NumPy: what goes back, along memory whatever order the axes have.

Convolutions leave channels last in memory. Going forward, the generic kernels' slices do as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Key = tuple[slice, ...]


def in_memory(x: Any) -> list[int]:
    """Return the axes of an array in the order in which they lie in memory."""
    return sorted(range(x.ndim), key=lambda axis: -x.strides[axis])


def back(x: Any, order: Sequence[int]) -> Any:
    """Undo a permutation of axes."""
    return x.transpose(sorted(range(x.ndim), key=order.__getitem__))


def keys_of(window: Shape, out: Shape, stride: Shape, dilation: Shape, order: Sequence[int]) -> list[Key]:
    """Return for each place in a window the key of what all windows have there, in an array of permuted axes."""
    lead = [slice(None)] * (len(order) - len(window))
    axes = [
        [slice(i * d, i * d + (n - 1) * s + 1, s) for i in range(k)]
        for k, n, s, d in zip(window, out, stride, dilation, strict=True)
    ]
    return [tuple([(*lead, *place)[i] for i in order]) for place in product(*axes)]


def room(shape: Shape, padding: Any, order: Sequence[int]) -> tuple[list[int], Key]:
    """Return the shape of a padded array of permuted axes, and the key of what is not padding in it."""
    widths = [(0, 0)] * (len(shape) - len(padding)) + list(padding)
    sizes = [shape[i] + sum(widths[i]) for i in order]
    return sizes, tuple([slice(widths[i][0], widths[i][0] + shape[i]) for i in order])


def max_pool_backward(grad: Any, at: Any, /, *, window: Shape, stride: Shape, padding: Any, dilation: Shape) -> Any:
    """Return zeros but for the first largest element of each window of `at`, which gets that of `grad`.

    What lies apart is gathered first: comparing it in its place takes thrice the time. A choice is a mask of bits,
    which is twice as fast as `where`, and unlike a product leaves zeros beside an infinity.

    >>> at = np.asarray([1.0, 3.0, 2.0, 2.0])
    >>> max_pool_backward(np.ones(2), at, window=(2,), stride=(2,), padding=((0, 0),), dilation=(1,))
    array([0., 1., 1., 0.])
    """
    order = in_memory(at)
    sizes, inside = room(at.shape, padding, order)
    keys = keys_of(window, grad.shape[grad.ndim - len(window) :], stride, dilation, order)
    given, lying = np.ascontiguousarray(grad.transpose(order)), at.transpose(order)
    if at.size and np.isnan(np.maximum.reduce(at, axis=None)):
        lying = np.where(np.isnan(lying), np.inf, lying)
    if any(map(any, padding)):
        around = np.full(sizes, np.nan, dtype=at.dtype)  # which is never the largest
        around[inside] = lying
        lying = around
    parts = np.empty((len(keys), *given.shape), dtype=at.dtype)
    for part, key in zip(parts, keys, strict=True):
        part[...] = lying[key]
    total = np.zeros(sizes, dtype=grad.dtype)
    apart = all(s > d * (k - 1) for k, s, d in zip(window, stride, dilation, strict=True))
    for key, chosen in zip(keys, to_first(parts, given), strict=True):
        if apart:
            total[key] = chosen
        else:
            total[key] += chosen
    return back(total[inside], order)


def to_first(parts: Any, given: Any) -> Iterator[Any]:
    """Yield for each part `given` where the part has the first largest element, and zeros elsewhere."""
    best, bits = np.fmax.reduce(parts, axis=0), np.dtype(f"i{given.dtype.itemsize}")
    free, given_bits = np.ones(best.shape, dtype=bool), given.view(bits)
    for part in parts:
        wins = part == best
        wins &= free
        free ^= wins
        mask = wins.astype(bits)
        np.negative(mask, out=mask)
        mask &= given_bits
        yield mask.view(given.dtype)


def sum_pool_backward(grad: Any, /, *, shape: Shape, window: Shape, stride: Shape, padding: Any) -> Any:
    """Return for each element the sum of the windows that it is in.

    >>> sum_pool_backward(np.asarray([1.0, 2.0]), shape=(4,), window=(2,), stride=(2,), padding=((0, 0),))
    array([1., 1., 2., 2.])
    """
    order, lead = in_memory(grad), grad.ndim - len(shape)
    sizes, inside = room((*grad.shape[:lead], *shape), padding, order)
    total, given = np.zeros(sizes, dtype=grad.dtype), grad.transpose(order)
    for key in keys_of(window, grad.shape[lead:], stride, (1,) * len(window), order):
        total[key] += given
    return back(total[inside], order)


KERNELS: dict[str, Callable[..., Any]] = {
    "nn.max_pool_backward": max_pool_backward,
    "nn.sum_pool_backward": sum_pool_backward,
}
