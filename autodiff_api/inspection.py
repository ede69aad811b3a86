"""What a namespace says of itself: its devices and dtypes, and the limits of a dtype, in Python's own numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

CAPABILITIES = {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}


class FloatLimits(NamedTuple):
    """The limits of a floating-point dtype (of its parts, if it is complex), as Python floats."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


class IntegerLimits(NamedTuple):
    """The limits of an integer dtype, as Python integers."""

    bits: int
    max: int
    min: int
    dtype: Any


def float_limits(lower: Any, dtype: Any) -> FloatLimits:
    """Return the limits of a floating-point dtype of a lower namespace."""
    found = lower.finfo(dtype)
    eps, largest, smallest, normal = (float(getattr(found, n)) for n in ("eps", "max", "min", "smallest_normal"))
    return FloatLimits(int(found.bits), eps, largest, smallest, normal, _named(lower, found.dtype))


def integer_limits(lower: Any, dtype: Any) -> IntegerLimits:
    """Return the limits of an integer dtype of a lower namespace."""
    found = lower.iinfo(dtype)
    return IntegerLimits(int(found.bits), int(found.max), int(found.min), _named(lower, found.dtype))


def _named(lower: Any, dtype: Any) -> Any:
    """Return a dtype that may be given by its name, as in some engines' limits."""
    return getattr(lower, dtype) if isinstance(dtype, str) else dtype


class Inspection:
    """The answers of a backend to the standard's questions, in the standard's own forms."""

    def __init__(self, lower: Any, backend: Any, chosen: Any = None) -> None:
        self._lower, self._backend, self._engine = lower, backend, lower._namespace.__array_namespace_info__()
        self._chosen = chosen  # the device that a user wants new arrays on

    def capabilities(self) -> dict[str, Any]:
        """Return what the backend can do: "boolean indexing", "data-dependent shapes", "max dimensions".

        >>> import autodiff_api as ad
        >>> ad.namespace("numpy").__array_namespace_info__().capabilities()["data-dependent shapes"]
        True
        """
        return {**CAPABILITIES, **self._engine.capabilities()}

    def default_device(self) -> Any:
        """Return the device of arrays that are made without naming one."""
        x = self._lower.empty((), dtype=self._lower.bool)
        return getattr(x, "device", self._backend.devices()[0]) if self._chosen is None else self._chosen

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """Return the dtypes of arrays that are made without naming one, by kind."""
        device = self._chosen if device is None else device
        return dict(self._engine.default_dtypes(device=device_of(self._lower, self._backend, device)))

    def devices(self) -> tuple[Any, ...]:
        """Return the devices that arrays can be on."""
        return tuple(self._backend.devices())

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """Return the dtypes that a device has, by name; of one kind, or of a tuple of kinds."""
        return dict(self._engine.dtypes(device=device_of(self._lower, self._backend, device), kind=kind))


def device_of(lower: Any, backend: Any, device: Any) -> Any:
    """Return the engine's own object for a device, or a layout over several, which may be given by its name.

    None stays None.
    """
    if not isinstance(device, str):
        return device
    return getattr(backend.place(lower.empty((), dtype=lower.bool), device), "device", device)
