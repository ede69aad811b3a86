"""Functions that move elements about without changing them."""

from __future__ import annotations

import math
from typing import Any

from . import batches
from .batching import EACH, MATRIX, Shifted
from .kinds import Linear, Rule
from .statistical import Shape, along

Pieces = list[Any]


def concat_pieces(t: Any, arrays_shape: tuple[Shape, ...], axis: int | None, xp: Any) -> Pieces:
    if axis is None:  # the arrays were flattened first
        sizes = [math.prod(s) for s in arrays_shape]
        return [xp.reshape(p, s) for p, s in zip(_split(t, sizes, 0), arrays_shape, strict=True)]
    return _split(t, [s[axis] for s in arrays_shape], axis)


def _split(t: Any, sizes: list[int], axis: int) -> Pieces:
    pieces, start = [], 0
    for n in sizes:
        pieces.append(t[along(axis, t.ndim, slice(start, start + n))])
        start += n
    return pieces


def stack_pieces(t: Any, arrays_shape: tuple[Shape, ...], axis: int) -> Pieces:
    return [t[along(axis, t.ndim, i)] for i in range(len(arrays_shape))]


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the permutation that undoes `axes`."""
    positive = [a % len(axes) for a in axes]
    return tuple(positive.index(i) for i in range(len(axes)))


def repeat_x(t: Any, x_shape: Shape, repeats: Any, axis: int | None, xp: Any) -> Any:
    shape = x_shape if axis is not None else (math.prod(x_shape),)
    axis = 0 if axis is None else axis % len(x_shape)
    if getattr(repeats, "shape", ()) in ((), (1,)):  # each as often as the others
        times = t.shape[axis] // max(shape[axis], 1)
        split = (*shape[: axis + 1], times, *shape[axis + 1 :])
        return xp.reshape(xp.sum(xp.reshape(t, split), axis=axis + 1), x_shape)
    source = xp.repeat(xp.cumulative_sum(xp.ones_like(repeats)) - 1, repeats)  # which element each came from
    target = xp.broadcast_to(xp.zeros_like(xp.sum(t)), shape)
    key = along(axis, len(shape), source)
    return xp.reshape(xp.scatter_add(target, key, t), x_shape)


def tile_x(t: Any, x_shape: Shape, repetitions: int | tuple[int, ...], xp: Any) -> Any:
    repetitions = (repetitions,) if isinstance(repetitions, int) else repetitions
    ndim = max(len(x_shape), len(repetitions))
    shape = (1,) * (ndim - len(x_shape)) + x_shape
    times = (1,) * (ndim - len(repetitions)) + tuple(repetitions)
    split = tuple(n for pair in zip(times, shape, strict=True) for n in pair)
    return xp.reshape(xp.sum(xp.reshape(t, split), axis=tuple(range(0, 2 * ndim, 2))), x_shape)


def roll_x(t: Any, shift: Any, axis: Any, xp: Any) -> Any:
    back = tuple(-s for s in shift) if isinstance(shift, tuple) else -shift
    return xp.roll(t, back, axis=axis)


RULES: dict[str, Rule] = {
    "astype": Linear(x=lambda t: t),
    "broadcast_to": Linear(x=lambda t: t),
    "clone": Linear(x=lambda t: t),
    "concat": Linear(arrays=concat_pieces),
    "expand_dims": Linear(x=lambda t, x_shape, xp: xp.reshape(t, x_shape)),
    "flip": Linear(x=lambda t, axis, xp: xp.flip(t, axis=axis)),
    "moveaxis": Linear(x=lambda t, source, destination, xp: xp.moveaxis(t, destination, source)),
    "permute_dims": Linear(x=lambda t, axes, xp: xp.permute_dims(t, inverse(axes))),
    "repeat": Linear(x=repeat_x),
    "reshape": Linear(x=lambda t, x_shape, xp: xp.reshape(t, x_shape)),
    "roll": Linear(x=roll_x),
    "squeeze": Linear(x=lambda t, x_shape, xp: xp.reshape(t, x_shape)),
    "stack": Linear(arrays=stack_pieces),
    "tile": Linear(x=tile_x),
    "to_device": Linear(x=lambda t, x_device, xp: xp.to_device(t, x_device)),
    "tril": Linear(x=lambda t, k, xp: xp.tril(t, k=k)),
    "triu": Linear(x=lambda t, k, xp: xp.triu(t, k=k)),
}
CONSTANT: set[str] = set()
SIGNATURES = {
    "astype": "x, dtype, /, *, copy=True, device=None",
    "broadcast_to": "x, /, shape",
    "clone": "x, /",
    "concat": "arrays, /, *, axis=0",
    "expand_dims": "x, /, axis",
    "flip": "x, /, *, axis=None",
    "moveaxis": "x, source, destination, /",
    "permute_dims": "x, /, axes",
    "repeat": "x, repeats, /, *, axis=None",
    "reshape": "x, /, shape, *, copy=None",
    "roll": "x, /, shift, *, axis=None",
    "squeeze": "x, /, axis",
    "stack": "arrays, /, *, axis=0",
    "tile": "x, repetitions, /",
    "to_device": "x, device, /, *, stream=None",
    "tril": "x, /, *, k=0",
    "triu": "x, /, *, k=0",
}
INPUTS = {"repeat": ("x", "repeats")}
VIEWS = {"broadcast_to", "expand_dims", "moveaxis", "permute_dims", "reshape", "squeeze"}
BATCHES = {
    "astype": EACH,
    "broadcast_to": batches.broadcast_to,
    "clone": EACH,
    "concat": batches.concat,
    "expand_dims": batches.expand_dims,
    "flip": Shifted("axis"),
    "moveaxis": Shifted("source", "destination"),
    "permute_dims": batches.permute_dims,
    "repeat": batches.repeat,
    "reshape": batches.reshape,
    "roll": batches.roll,
    "squeeze": Shifted("axis"),
    "stack": batches.stack,
    "tile": batches.tile,
    "to_device": EACH,
    "tril": MATRIX,
    "triu": MATRIX,
}
