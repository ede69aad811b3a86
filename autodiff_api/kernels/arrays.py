"""Copies, devices and complex numbers from their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def clone(x: Any, /, *, xp: Any) -> Any:
    """Return a copy of `x`."""
    return xp.asarray(x, copy=True)


def complex_(re: Any, im: Any, /, *, xp: Any) -> Any:
    """Return re + 1j * im; a plugin's kernel also gets right what is infinite, where 1j * inf makes a nan."""
    return re + im * 1j


def device_of(x: Any) -> Any:
    """Return where an array is; None where its engine does not say."""
    return getattr(x, "device", None)


def to_device(x: Any, device: Any, /, *, stream: Any = None, xp: Any) -> Any:
    """Return `x` on `device`."""
    return x.to_device(device) if stream is None else x.to_device(device, stream=stream)


GENERIC: dict[str, Callable[..., Any]] = {"clone": clone, "complex": complex_, "to_device": to_device}
