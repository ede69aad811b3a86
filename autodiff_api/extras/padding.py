"""Padding: constants, or the array continued beyond its edges."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..axes import one_axis
from ..errors import ArgumentError, ArgumentTypeError

Pairs = list[tuple[Any, Any]]
SCALARS = (bool, int, float, complex)
GATHERED = 8  # from so many runs on, one gather is cheaper


def mirrored(i: int, n: int) -> int:
    """Return where the element numbered `i` of an array reflected about its last and first elements stands."""
    period = max(2 * (n - 1), 1)
    return min(i % period, period - i % period) % n


def repeated(i: int, n: int) -> int:
    """Return the same for an array reflected about its edges: the end elements come twice."""
    return min(i % (2 * n), 2 * n - 1 - i % (2 * n))


SOURCES: dict[str, Callable[[int, int], int]] = {  # mode: which element, of n, continues the array at place i
    "edge": lambda i, n: min(max(i, 0), n - 1),
    "reflect": mirrored,
    "symmetric": repeated,
    "wrap": lambda i, n: i % n,
}


class Padding:
    """Functions that enlarge arrays."""

    def pad(self, x: Any, /, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
        """Lengthen axes at both ends, with constants or, by the other modes, with elements of the array.

        `pad_width` and `constant_values` are one number for all ends, (before, after) for all axes, or such a pair
        for each axis. A dictionary names axes: {axis: (before, after)}. The modes are NumPy's: "constant",
        "edge", "reflect", "symmetric", "wrap".

        >>> import autodiff_api as ad
        >>> ad.pad(ad.tensor([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
        tensor([3., 2., 1., 2., 3., 2.])
        """
        xp: Any = self
        x = xp.asarray(x)
        if mode != "constant" and mode not in SOURCES:
            raise ArgumentError(f"pad: mode must be one of constant, {', '.join(SOURCES)}, not {mode!r}")
        widths = by_axis("pad_width", pad_width, x.shape)
        if not all(hasattr(n, "__index__") for pair in widths for n in pair):
            raise ArgumentTypeError(f"pad: pad_width is in integers, not {pad_width}")
        widths = [(operator.index(a), operator.index(b)) for a, b in widths]
        if any(n < 0 for pair in widths for n in pair):
            raise ArgumentError(f"pad: pad_width must not be negative, got {pad_width}; cut with a slice")
        if mode == "constant":
            return surrounded(xp, x, widths, by_axis("constant_values", constant_values, x.shape))
        for axis, (before, after) in enumerate(widths):
            n = x.shape[axis]
            if before or after:
                if not n:
                    raise ArgumentError(f"pad: axis {axis} is empty, so mode {mode!r} has nothing to continue it with")
                x = continued(xp, x, axis, runs(mode, n, before, after))
        return x


def by_axis(what: str, given: Any, shape: tuple[int, ...]) -> Pairs:
    """Return NumPy's short forms written out: a pair (before, after) for each axis.

    >>> by_axis("pad_width", {-1: (1, 2)}, (3, 4))
    [(0, 0), (1, 2)]
    """
    if isinstance(given, Mapping):
        known = {one_axis("pad", axis, shape): pair for axis, pair in given.items()}
        given = [known.get(axis, 0) for axis in range(len(shape))]
        given = [pair if isinstance(pair, Sequence) else (pair, pair) for pair in given]
    elif type(given).__module__ == "numpy":
        given = given.tolist()
    elif getattr(given, "ndim", 0):
        given = [list(part) if part.ndim else part for part in given]
    if not isinstance(given, Sequence):
        return [(given, given)] * len(shape)
    pairs = [tuple(p) if isinstance(p, Sequence) else p for p in given]
    if all(not isinstance(p, tuple) for p in pairs):
        pairs = [tuple(pairs)]
    pairs = [p * 2 if len(p) == 1 else p for p in pairs if isinstance(p, tuple)]
    pairs = pairs * len(shape) if len(pairs) == 1 else pairs
    if len(pairs) != len(shape) or any(len(p) != 2 for p in pairs):
        raise ArgumentError(
            f"pad: {what} must be one number, a pair (before, after), or one for each of the {len(shape)} axes; got "
            f"{given}"
        )
    return pairs


def surrounded(xp: Any, x: Any, widths: Pairs, constants: Pairs) -> Any:
    """Put constants around an array: at once where all are one number, else axis by axis."""
    numbers = {c if isinstance(c, SCALARS) else None for pair in constants for c in pair}
    if len(numbers) == 1 and None not in numbers:
        shape = tuple(a + n + b for n, (a, b) in zip(x.shape, widths, strict=True))
        key = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))
        return xp.setitem(xp.full(shape, numbers.pop(), dtype=x.dtype, device=x.device), key, x)
    for axis, pair in enumerate(widths):
        ends = []
        for n, value in zip(pair, constants[axis], strict=True):
            shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
            value = value if isinstance(value, xp.array_class) else xp.asarray(value, dtype=x.dtype, device=x.device)
            ends.append(xp.broadcast_to(xp.astype(value, x.dtype, copy=False), shape))
        x = xp.concat([ends[0], x, ends[1]], axis=axis)
    return x


class Run(NamedTuple):
    """Elements that stand in a row: from `start`, `step` apart (1, -1, or 0 for the same one), `length` of them."""

    start: int
    step: int
    length: int

    @property
    def slice(self) -> slice:
        """The elements; of repeated ones, the one."""
        stop = self.start + self.step * self.length if self.step else self.start + 1
        return slice(self.start, None if stop < 0 else stop, self.step or 1)


@lru_cache(maxsize=256)
def runs(mode: str, n: int, before: int, after: int) -> tuple[Run, ...]:
    """Return where the elements of a padded axis come from, as few runs.

    >>> runs("reflect", 3, 2, 1)
    (Run(start=2, step=-1, length=2), Run(start=0, step=1, length=3), Run(start=1, step=0, length=1))
    """
    found: list[Run] = []
    for part in (range(-before, 0), range(n), range(n, n + after)):
        places = [SOURCES[mode](i, n) for i in part]
        while places:
            step = places[1] - places[0] if len(places) > 1 else 0
            count = next((i for i in range(2, len(places)) if places[i] - places[i - 1] != step), len(places))
            found.append(Run(places[0], step, count))
            places = places[count:]
    return tuple(found)


def continued(xp: Any, x: Any, axis: int, parts: tuple[Run, ...]) -> Any:
    """Put an axis together from runs of its elements, which costs less than to gather them, there and back."""
    n, lead = x.shape[axis], (slice(None),) * axis
    if len(parts) > GATHERED:
        places = [run.start + run.step * i for run in parts for i in range(run.length)]
        return xp.take(x, xp.asarray(places, device=x.device), axis=axis)
    pieces = []
    for run in parts:
        piece = x if run == (0, 1, n) else x[(*lead, run.slice, ...)]
        if not run.step and run.length > 1:
            piece = xp.broadcast_to(piece, (*x.shape[:axis], run.length, *x.shape[axis + 1 :]))
        pieces.append(piece)
    return xp.concat(pieces, axis=axis)
