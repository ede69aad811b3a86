"""Fourier transforms as every namespace should have them: the namespace's own, called with what it accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..errors import ArgumentError


def once(name: str, x: Any, axes: Sequence[int] | None) -> None:
    """Refuse axes that name one twice, which the standard leaves open and engines answer differently."""
    if axes is not None and len({axis % max(x.ndim, 1) for axis in axes}) < len(axes):
        raise ArgumentError(f"fft.{name}: the axes {tuple(axes)} name one twice; transform once for each time")


def transform(name: str, x: Any, /, *, axes: Sequence[int] | None = None, xp: Any, **options: Any) -> Any:
    """Call the namespace's own transform; where it insists on complex numbers, as the standard allows, cast `x`."""
    own = getattr(xp._namespace.fft, name)
    if axes is not None:
        once(name, x, axes)
        options["axes"] = axes
    try:
        return own(x, **options)
    except TypeError:
        if not xp.isdtype(x.dtype, "real floating"):
            raise
        return own(xp.astype(x, xp.result_type(x.dtype, xp._namespace.complex64)), **options)


def rfftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: Any = "backward", xp: Any) -> Any:
    """Call the namespace's own `rfftn`."""
    once("rfftn", x, axes)
    return xp._namespace.fft.rfftn(x, s=s, axes=axes, norm=norm)


GENERIC: dict[str, Callable[..., Any]] = {
    "fft.fft": partial(transform, "fft"),
    "fft.fftn": partial(transform, "fftn"),
    "fft.hfft": partial(transform, "hfft"),
    "fft.ifft": partial(transform, "ifft"),
    "fft.ifftn": partial(transform, "ifftn"),
    "fft.irfft": partial(transform, "irfft"),
    "fft.irfftn": partial(transform, "irfftn"),
    "fft.rfftn": rfftn,
}
