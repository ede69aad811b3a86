"""What a sample is, and the numbers that samples are made of.

Samples are NumPy arrays in double precision; a law hands them to a backend in the dtype it is about. They are
drawn from a generator seeded with the op's name, so every run and every backend sees the same numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


class Dtype(str):
    """A dtype by its name, as an argument: each backend has its own."""

    __slots__ = ()


class SameDevice:
    """The device that the op's array is on, as an argument."""


@dataclass(frozen=True)
class Sample:
    """One call of a function: `args` and `kwargs`, with NumPy arrays where arrays go.

    Every floating-point array among them that the op has a formula for is differentiated.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    """What is special about it; a law's error shows it."""

    order: int | None = 2
    """How often the function is differentiable here, for differences: 0 at a kink. None: look at the value only."""

    through: Callable[[Any, Any], Any] | None = None
    """``through(xp, out)`` is what of the outputs is well defined, where a decomposition is free in sign or phase."""

    tangent: Callable[[Array], Array] | None = None
    """Turns any direction into one in which an argument may move: Hermitian matrices stay Hermitian."""

    refuses: str = ""
    """The derivative is an error, and its text says this."""

    traceable: bool = True
    """Whether the shapes of the results follow from the shapes of the arguments, so that a compiler can do it."""

    loss: float = 1.0
    """How many times less precise than most the function is here: a condition number."""

    @property
    def text(self) -> str:
        """Write the call for people: shapes and dtypes instead of numbers."""
        words = [_text(a) for a in self.args] + [f"{k}={_text(v)}" for k, v in self.kwargs.items()]
        return f"({', '.join(words)})" + (f" [{self.name}]" if self.name else "")


Maker: TypeAlias = "Callable[[Draw], Iterable[Sample]]"
"""Makes the samples of one op."""


class Draw:
    """Numbers for samples: a seeded generator and the shapes and places that samples want."""

    def __init__(self, name: str) -> None:
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def normal(self, *shape: int) -> Array:
        """Return normal numbers."""
        return np.asarray(self.rng.normal(size=shape))

    def complex(self, *shape: int) -> Array:
        """Return complex normal numbers."""
        return np.asarray(self.normal(*shape) + 1j * self.normal(*shape))

    def between(self, low: float, high: float, *shape: int) -> Array:
        """Return numbers between two bounds, a little away from both."""
        return np.asarray(low + (high - low) * self.rng.uniform(0.05, 0.95, size=shape))

    def off_axes(self, *shape: int) -> Array:
        """Return complex numbers in all four quadrants, away from the axes, where branch cuts are."""
        parts = self.rng.uniform(0.25, 0.85, size=(2, *shape)) * self.rng.choice([-1.0, 1.0], size=(2, *shape))
        return np.asarray(parts[0] + 1j * parts[1])

    def off_integers(self, *shape: int) -> Array:
        """Return numbers of either sign, away from integers and halves, where rounding jumps."""
        return np.asarray(
            self.rng.integers(-3, 3, size=shape)
            + self.rng.choice([0.1, 0.6], size=shape)
            + 0.2 * self.rng.random(shape)
        )

    def distinct(self, *shape: int) -> Array:
        """Return numbers well apart from each other and from 0, in random order: no ties, no kinks."""
        size = int(np.prod(shape, dtype=int))
        steps = np.arange(size) - size / 2 + 0.25
        return np.asarray(self.rng.permutation(0.5 * steps + self.rng.uniform(-0.1, 0.1, size=size)).reshape(shape))

    def integers(self, low: int, high: int, *shape: int) -> Array:
        """Return integers from `low` to `high`, the latter excluded."""
        return np.asarray(self.rng.integers(low, high, size=shape))


def transposed(x: Array) -> Array:
    """Return the same matrix, laid out by columns."""
    return np.swapaxes(np.ascontiguousarray(np.swapaxes(x, -1, -2)), -1, -2)


def by_columns(x: Array) -> bool:
    """Tell whether a matrix is laid out by columns, and not by rows."""
    return x.ndim > 1 and not x.flags.c_contiguous and np.swapaxes(x, -1, -2).flags.c_contiguous


def strided(x: Array) -> Array:
    """Return the same array, with gaps between the elements of the last axis."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype=x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def hermitian(t: Array) -> Array:
    """Return the Hermitian part of a matrix, or of each in a stack."""
    return (t + np.conj(np.swapaxes(t, -1, -2))) / 2


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        layout = "" if value.flags.c_contiguous else ", strided"
        return f"{value.dtype}{list(value.shape)}{layout}"
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_text, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
    return str(value) if isinstance(value, Dtype) else repr(value)
