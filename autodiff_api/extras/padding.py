"""Padding: constants, or the array continued beyond its edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ArgumentError

Pairs = list[tuple[Any, Any]]


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
        for each axis. The modes are NumPy's: "constant", "edge", "reflect", "symmetric", "wrap".

        >>> import autodiff_api as ad
        >>> ad.pad(ad.tensor([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
        tensor([3., 2., 1., 2., 3., 2.])
        """
        xp: Any = self
        x = xp.asarray(x)
        if mode != "constant" and mode not in SOURCES:
            raise ArgumentError(f"pad: mode must be one of constant, {', '.join(SOURCES)}, not {mode!r}")
        widths = by_axis("pad_width", pad_width, x.ndim)
        if any(n < 0 for pair in widths for n in pair):
            raise ArgumentError(f"pad: pad_width must not be negative, got {pad_width}; cut with a slice")
        constants = by_axis("constant_values", constant_values, x.ndim)
        for axis, (before, after) in enumerate(widths):
            n = x.shape[axis]
            if not before and not after:
                continue
            if mode == "constant":
                x = xp.concat(_with_ends(xp, x, axis, (before, after), constants[axis]), axis=axis)
            elif not n:
                raise ArgumentError(f"pad: axis {axis} is empty, so mode {mode!r} has nothing to continue it with")
            else:
                places = [SOURCES[mode](i, n) for i in range(-before, n + after)]
                x = xp.take(x, xp.asarray(places, device=x.device), axis=axis)
        return x


def by_axis(what: str, given: Any, ndim: int) -> Pairs:
    """Return NumPy's short forms written out: a pair (before, after) for each axis."""
    if not isinstance(given, Sequence):
        return [(given, given)] * ndim
    pairs = [tuple(p) if isinstance(p, Sequence) else p for p in given]
    if all(not isinstance(p, tuple) for p in pairs):
        pairs = [tuple(pairs)]
    pairs = [p * 2 if len(p) == 1 else p for p in pairs if isinstance(p, tuple)]
    pairs = pairs * ndim if len(pairs) == 1 else pairs
    if len(pairs) != ndim or any(len(p) != 2 for p in pairs):
        raise ArgumentError(
            f"pad: {what} must be one number, a pair (before, after), or one for each of the {ndim} axes; got {given}"
        )
    return pairs


def _with_ends(xp: Any, x: Any, axis: int, widths: tuple[int, int], values: tuple[Any, Any]) -> list[Any]:
    """Return the parts of an axis in order: constants, the array, constants."""
    ends = []
    for n, value in zip(widths, values, strict=True):
        shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
        value = value if isinstance(value, xp.array_class) else xp.asarray(value, dtype=x.dtype, device=x.device)
        ends.append(xp.broadcast_to(xp.astype(value, x.dtype, copy=False), shape))
    return [ends[0], x, ends[1]]
