"""Complex numbers as pairs of real ones: an optimizer moves the two parts of a parameter independently."""

from __future__ import annotations

from .types import Array, Group, State, Update


def by_parts(update: Update, param: Array, grad: Array, state: State, options: Group) -> tuple[Array, State]:
    """Return what `update` makes of the parts of complex numbers, put together again."""
    parts = {key: value if key == "step" else to_pairs(value) for key, value in state.items()}
    moved, new = update(to_pairs(param), to_pairs(grad), parts, options)
    return from_pairs(moved), {key: value if key == "step" else from_pairs(value) for key, value in new.items()}


def to_pairs(x: Array) -> Array:
    """Return the real and imaginary parts of a complex tensor along a new last axis."""
    xp = x.__array_namespace__()
    return xp.stack([xp.real(x), xp.imag(x)], axis=-1)


def from_pairs(x: Array) -> Array:
    """Return the complex tensor whose parts lie along the last axis of `x`."""
    return x[..., 0] + 1j * x[..., 1]
