"""Fourier transforms as every namespace should have them: the namespace's own, called with what it accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..axes import axis_error
from ..errors import ArgumentError


def places(name: str, x: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> tuple[int, ...]:
    """Return the axes to transform, the last ones for sizes without axes.

    Refuses those that name one axis twice, which the standard leaves open and engines answer differently, and no
    axes at all where one of them is to be halved.
    """
    if axes is None:
        axes = range(-x.ndim if s is None else -len(s), 0)
    axes = tuple(axes)
    if not all(-x.ndim <= axis < x.ndim for axis in axes):
        raise axis_error(f"fft.{name}", f"axes={axes}", [x.shape], x.ndim)
    if len({axis % x.ndim for axis in axes}) < len(axes):
        raise ArgumentError(f"fft.{name}: the axes {axes} name one twice; transform once for each time")
    if s is not None and len(s) != len(axes):
        raise ArgumentError(f"fft.{name}: s={tuple(s)} gives {len(s)} sizes for {len(axes)} axes; give one for each")
    if not axes and "r" in name:
        raise ArgumentError(f"fft.{name}: no axis to transform in shape {tuple(x.shape)}; name one, which is halved")
    return axes


def complexed(x: Any, xp: Any) -> Any:
    """Return `x` as complex numbers of its precision."""
    return xp.astype(x, xp.result_type(x.dtype, xp._namespace.complex64))


def transform(name: str, x: Any, /, *, xp: Any, **options: Any) -> Any:
    """Call the namespace's own transform; where it insists on complex numbers, as the standard allows, cast `x`."""
    own = getattr(xp._namespace.fft, name)
    try:
        return own(x, **options)
    except TypeError:
        if not xp.isdtype(x.dtype, "real floating"):
            raise
        return own(complexed(x, xp), **options)


def transform_n(name: str, x: Any, /, *, s: Any = None, axes: Any = None, xp: Any, **options: Any) -> Any:
    """Call the namespace's own n-dimensional transform in the same way."""
    axes = places(name, x, s, axes)
    return transform(name, x, s=s, axes=axes, xp=xp, **options) if axes else complexed(x, xp)


GENERIC: dict[str, Callable[..., Any]] = {
    "fft.fft": partial(transform, "fft"),
    "fft.fftn": partial(transform_n, "fftn"),
    "fft.hfft": partial(transform, "hfft"),
    "fft.ifft": partial(transform, "ifft"),
    "fft.ifftn": partial(transform_n, "ifftn"),
    "fft.irfft": partial(transform, "irfft"),
    "fft.irfftn": partial(transform_n, "irfftn"),
    "fft.rfftn": partial(transform_n, "rfftn"),
}
