"""Where the elements of a view lie in memory, as if its root were contiguous: for any backend, whatever it does itself.

Strides are in elements. Those of an axis of length 1, or of an array without elements, mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any, TypeAlias

Sizes: TypeAlias = tuple[int, ...]


@lru_cache
def contiguous(shape: Sizes) -> Sizes:
    """Return the strides of an array whose elements lie in order.

    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    return tuple([prod(shape[i + 1 :]) for i in range(len(shape))])


def regrouped(shape: Sizes, strides: Sizes, wanted: Sizes) -> Sizes | None:
    """Return the strides of the same elements in the same order, in another shape; None if it needs a copy.

    Neighbouring axes that lie like one are one run of elements; each axis wanted must be cut from one run.

    >>> regrouped((4, 6), (12, 1), (2, 2, 6)), regrouped((4, 6), (12, 1), (24,))
    ((24, 12, 1), None)
    """
    whole = contiguous(shape)
    if strides == whole or 0 in shape:
        return contiguous(wanted)
    runs: list[tuple[int, int]] = []  # how many elements, and how far apart
    for n, stride in zip(shape, strides, strict=True):
        if runs and runs[-1][1] == n * stride:
            runs[-1] = (runs[-1][0] * n, stride)
        elif n != 1:
            runs.append((n, stride))
    found = []
    room, stride = 1, 1
    for n in reversed(wanted):
        if room == 1 and n != 1:
            room, stride = runs.pop()
        if room % n:
            return None
        found.append(stride)
        room, stride = room // n, stride * n
    return tuple(reversed(found))


def _item(shown: Sizes, shape: Sizes, strides: Sizes, key: Any) -> Sizes:
    if key.__class__ is slice:
        return (strides[0] * (1 if key.step is None else key.step), *strides[1:])
    parts = key if isinstance(key, tuple) else (key,)
    left = len(shape) - sum([part is not None and part is not Ellipsis for part in parts])
    found: list[int] = []
    axis = 0
    for part in parts:
        if part is None:
            found.append(1)
        elif part is Ellipsis:
            found += strides[axis : axis + left]
            axis += left
        else:
            if isinstance(part, slice):
                found.append(strides[axis] * (1 if part.step is None else part.step))
            axis += 1
    return (*found, *strides[axis:])


def _axes(axis: Any, ndim: int) -> list[int]:
    """Return axes, given as one or several, counted from the first."""
    return [a % ndim for a in (axis if isinstance(axis, Sequence) else (axis,))]


def _broadcast(shown: Sizes, shape: Sizes, strides: Sizes, to: Any) -> Sizes:
    more = len(shown) - len(shape)
    return (*(0,) * more, *(0 if n != m else s for n, m, s in zip(shape, shown[more:], strides, strict=True)))


def _expanded(shown: Sizes, shape: Sizes, strides: Sizes, axis: Any) -> Sizes:
    made, rest = _axes(axis, len(shown)), iter(strides)
    return tuple([1 if i in made else next(rest) for i in range(len(shown))])


def _moved(shown: Sizes, shape: Sizes, strides: Sizes, source: Any, destination: Any) -> Sizes:
    sources, places = _axes(source, len(shape)), _axes(destination, len(shape))
    rest = iter([s for i, s in enumerate(strides) if i not in sources])
    return tuple([strides[sources[places.index(i)]] if i in places else next(rest) for i in range(len(shape))])


def _reshaped(shown: Sizes, shape: Sizes, strides: Sizes, wanted: Any, copy: Any) -> Sizes:
    return regrouped(shape, strides, shown) or contiguous(shown)


def _squeezed(shown: Sizes, shape: Sizes, strides: Sizes, axis: Any) -> Sizes:
    gone = _axes(axis, len(shape))
    return tuple([s for i, s in enumerate(strides) if i not in gone])


# Each function: (the view's shape, its base's, the base's strides, static arguments of the op) -> the view's strides.
STRIDES: dict[str, Callable[..., Sizes]] = {
    "broadcast_to": _broadcast,
    "expand_dims": _expanded,
    "getitem": _item,
    "imag": lambda shown, shape, strides: strides,
    "linalg.diagonal": lambda shown, shape, strides, offset: (*strides[:-2], strides[-2] + strides[-1]),
    "matrix_transpose": lambda shown, shape, strides: (*strides[:-2], strides[-1], strides[-2]),
    "moveaxis": _moved,
    "permute_dims": lambda shown, shape, strides, axes: tuple([strides[a] for a in axes]),
    "real": lambda shown, shape, strides: strides,
    "reshape": _reshaped,
    "squeeze": _squeezed,
}
