"""What some engines answer and others refuse, each in its own words, refused alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import ArgumentError, ShapeError


def tile(x: Any, repetitions: Any, /, *, xp: Any) -> Any:
    """Repeat `x`; refuse negative repetitions, which NumPy finds out late and XLA not at all.

    >>> import autodiff_api as ad
    >>> ad.tile(ad.tensor([1.0, 2.0]), (2,))
    tensor([1., 2., 1., 2.])
    """
    times = tuple(repetitions) if isinstance(repetitions, tuple | list) else (repetitions,)
    if any(n < 0 for n in times):
        raise ArgumentError(f"tile: repetitions must be 0 or more, got {repetitions}; flip turns an axis around")
    return xp._namespace.tile(x, times)


def triangle(name: str, x: Any, /, *, k: int = 0, xp: Any) -> Any:
    """Return a triangle of matrices; refuse what has fewer than two axes, of which NumPy makes a matrix."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: shape {tuple(x.shape)} has no matrices; give two axes or more, by reshape")
    return getattr(xp._namespace, name)(x, k=k)


GENERIC: dict[str, Callable[..., Any]] = {
    "tile": tile,
    "tril": partial(triangle, "tril"),
    "triu": partial(triangle, "triu"),
}
