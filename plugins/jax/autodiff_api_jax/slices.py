"""Adding at slices as padding, which XLA fuses with its neighbours; a scatter it does not."""

from __future__ import annotations

from typing import Any

import jax.lax
import jax.numpy as jnp


def padded(shape: tuple[int, ...], key: Any, values: Any) -> Any:
    """Return zeros of `shape` with `values` at a key of integers and slices; None for any other key.

    >>> padded((5,), slice(1, None, 2), jnp.asarray([1.0, 2.0]))
    Array([0., 1., 0., 2., 0.], dtype=float32)
    """
    parts = _completed(shape, key)
    if parts is None or values.ndim > sum(not isinstance(p, int) for p in parts):
        return None
    places = iter(shape)
    inner: list[int] = []  # the shape that the key gives
    counts: list[int] = []  # how many places it takes along each axis
    reverse: list[int] = []
    widths: list[tuple[int, int, int]] = []
    for part in parts:
        if part is None:
            inner.append(1)
            continue
        n = next(places)
        if isinstance(part, int):
            start, count, step = part % n, 1, 1
        else:
            count = len(range(*part.indices(n)))
            start, _, step = part.indices(n)
            inner.append(count)
            if step < 0:
                start, step = start + (count - 1) * step, -step
                reverse.append(len(widths))
        counts.append(count)
        last = start + (count - 1) * step
        widths.append((start, n - 1 - last, step - 1) if count else (0, n, 0))
    values = jnp.broadcast_to(values, tuple(inner)).reshape(counts)
    if reverse:
        values = jax.lax.rev(values, reverse)
    return jax.lax.pad(values, jnp.zeros((), values.dtype), widths)


def _completed(shape: tuple[int, ...], key: Any) -> list[Any] | None:
    """Return a key as a list with a part for every axis, if it has plain parts only and they are in range."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if not all(type(p) in (int, slice) or p is None or p is ... for p in parts):
        return None
    fill = [slice(None)] * (len(shape) - sum(type(p) in (int, slice) for p in parts))
    if ... in parts:
        at = parts.index(...)
        parts[at : at + 1] = fill
    else:
        parts += fill
    axes = [p for p in parts if p is not None]
    if ... in parts or len(axes) != len(shape):
        return None
    fits = all(-n <= p < n for p, n in zip(axes, shape, strict=True) if type(p) is int)
    return parts if fits else None
