"""Fourier transforms: linear, each the transpose of its like.

The matrix of a transform is symmetric: `fft` is its own transpose, norm included, and `fit` undoes the cropping or
padding to `n` that came before. `rfft` and `ihfft` leave out rows of that matrix. In `hfft` and `irfft` a column stands
for two conjugate frequencies: transposed, they are `rfft` and `ihfft` with those counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .batches import fftn
from .batching import Shifted
from .indexing import blank
from .kinds import Linear, Rule
from .statistical import Shape, along


def fit(t: Any, shape: Shape, xp: Any) -> Any:
    """Crop `t` or pad it with zeros at the end, axis by axis, to `shape`."""
    for axis, n in enumerate(shape):
        have = t.shape[axis]
        if n < have:
            t = t[along(axis, t.ndim, slice(None, n))]
        elif n > have:
            missing = (*t.shape[:axis], n - have, *t.shape[axis + 1 :])
            t = xp.concat([t, blank(t, missing, xp)], axis=axis)
    return t


def places(x_shape: Shape, s: Sequence[int] | None, axes: Sequence[int] | None) -> tuple[int, ...]:
    """Return the axes that an n-dimensional transform runs over."""
    return tuple(axes) if axes is not None else tuple(range(-len(x_shape if s is None else s), 0))


def length(x_shape: Shape, n: int | None, axis: int) -> int:
    """Return the length that a transform's input is fitted to; -1 says the axis's own, as None does."""
    return x_shape[axis] if n is None or n == -1 else n


def twofold(t: Any, n: int, axis: int, xp: Any) -> Any:
    """Double the frequencies that stand for their conjugates too: all but zero and, for even `n`, the highest."""
    last = t.shape[axis] - (n % 2 == 0)
    parts = [t[along(axis, t.ndim, part)] for part in (slice(None, 1), slice(1, last), slice(last, None))]
    return xp.concat([parts[0], 2 * parts[1], parts[2]], axis=axis)


def fftn_x(t: Any, x_shape: Shape, s: Any, axes: Any, norm: Any, xp: Any) -> Any:
    return fit(xp.fft.fftn(t, axes=places(x_shape, s, axes), norm=norm), x_shape, xp)


def hfft_x(t: Any, x_shape: Shape, axis: int, norm: Any, xp: Any) -> Any:
    return fit(twofold(xp.fft.rfft(t, axis=axis, norm=norm), t.shape[axis], axis, xp), x_shape, xp)


def ifftn_x(t: Any, x_shape: Shape, s: Any, axes: Any, norm: Any, xp: Any) -> Any:
    return fit(xp.fft.ifftn(t, axes=places(x_shape, s, axes), norm=norm), x_shape, xp)


def ihfft_x(t: Any, x_shape: Shape, n: int | None, axis: int, norm: Any, xp: Any) -> Any:
    return fit(xp.fft.ifft(t, n=length(x_shape, n, axis), axis=axis, norm=norm), x_shape, xp)


def irfft_x(t: Any, x_shape: Shape, axis: int, norm: Any, xp: Any) -> Any:
    return fit(twofold(xp.fft.ihfft(t, axis=axis, norm=norm), t.shape[axis], axis, xp), x_shape, xp)


def irfftn_x(t: Any, x_shape: Shape, s: Any, axes: Any, norm: Any, xp: Any) -> Any:
    *others, last = places(x_shape, s, axes)
    t = twofold(xp.fft.ihfft(t, axis=last, norm=norm), t.shape[last], last, xp)
    return fit(xp.fft.ifftn(t, axes=tuple(others), norm=norm) if others else t, x_shape, xp)


def rfft_x(t: Any, x_shape: Shape, n: int | None, axis: int, norm: Any, xp: Any) -> Any:
    return fit(xp.fft.fft(t, n=length(x_shape, n, axis), axis=axis, norm=norm), x_shape, xp)


def rfftn_x(t: Any, x_shape: Shape, s: Any, axes: Any, norm: Any, xp: Any) -> Any:
    axes = places(x_shape, s, axes)
    n = length(x_shape, None if s is None else s[-1], axes[-1])
    sizes = (*(t.shape[a] for a in axes[:-1]), n)
    return fit(xp.fft.fftn(t, s=sizes, axes=axes, norm=norm), x_shape, xp)


RULES: dict[str, Rule] = {
    "fft.fft": Linear(x=lambda t, x_shape, axis, norm, xp: fit(xp.fft.fft(t, axis=axis, norm=norm), x_shape, xp)),
    "fft.fftn": Linear(x=fftn_x),
    "fft.fftshift": Linear(x=lambda t, axes, xp: xp.fft.ifftshift(t, axes=axes)),
    "fft.hfft": Linear(x=hfft_x),
    "fft.ifft": Linear(x=lambda t, x_shape, axis, norm, xp: fit(xp.fft.ifft(t, axis=axis, norm=norm), x_shape, xp)),
    "fft.ifftn": Linear(x=ifftn_x),
    "fft.ifftshift": Linear(x=lambda t, axes, xp: xp.fft.fftshift(t, axes=axes)),
    "fft.ihfft": Linear(x=ihfft_x),
    "fft.irfft": Linear(x=irfft_x),
    "fft.irfftn": Linear(x=irfftn_x),
    "fft.rfft": Linear(x=rfft_x),
    "fft.rfftn": Linear(x=rfftn_x),
}
CONSTANT: set[str] = set()

ONE_AXIS = 'x, /, *, n=None, axis=-1, norm="backward"'
MANY_AXES = 'x, /, *, s=None, axes=None, norm="backward"'
SHIFT = "x, /, *, axes=None"
SIGNATURES = {
    "fft.fft": ONE_AXIS,
    "fft.fftn": MANY_AXES,
    "fft.fftshift": SHIFT,
    "fft.hfft": ONE_AXIS,
    "fft.ifft": ONE_AXIS,
    "fft.ifftn": MANY_AXES,
    "fft.ifftshift": SHIFT,
    "fft.ihfft": ONE_AXIS,
    "fft.irfft": ONE_AXIS,
    "fft.irfftn": MANY_AXES,
    "fft.rfft": ONE_AXIS,
    "fft.rfftn": MANY_AXES,
}
BATCHES = {
    "fft.fft": Shifted("axis"),
    "fft.fftn": fftn,
    "fft.fftshift": Shifted("axes"),
    "fft.hfft": Shifted("axis"),
    "fft.ifft": Shifted("axis"),
    "fft.ifftn": fftn,
    "fft.ifftshift": Shifted("axes"),
    "fft.ihfft": Shifted("axis"),
    "fft.irfft": Shifted("axis"),
    "fft.irfftn": fftn,
    "fft.rfft": Shifted("axis"),
    "fft.rfftn": fftn,
}
