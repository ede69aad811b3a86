"""The backend of array-api-strict: the standard's words, and nothing that only some engine has.

It is no faster than NumPy, which it wraps, but it refuses whatever the standard does not promise: arrays of two
devices in one call, dtypes that must not mix, keys that need not be understood. What works here speaks the standard. So
it has no kernels to speak of: the namespace and the generic kernels do all of it.

Its devices are imagined, and some are a lesson: ``device2`` makes float32 where nothing is said, ``no_float64`` has no
float64. A fifth, ``no_x64``, has no integers of 64 bits either. It is not listed, since array-api-strict 2.6.1 itself
can't compute there what makes indices (``argmax``, ``argsort``, ``nonzero``); who names it gets it.
"""

from __future__ import annotations

from typing import Any

import array_api_strict as xp
import numpy as np

from autodiff_api.backends import Backend
from autodiff_api.errors import DeviceNotFoundError

DEVICES = [xp.Device(name) for name in ("CPU_DEVICE", "device1", "device2", "no_float64")]
NAMES = {name: d for d in (*DEVICES, xp.Device("no_x64")) for name in (str(d), str(d).split("'")[1])}


def place(x: Any, device: Any, /, *, stream: None = None) -> Any:
    """Move `x` to `device`: one of array-api-strict's, by its name or as it prints itself.

    >>> x = xp.asarray([1.0])
    >>> place(x, "device1").device
    array_api_strict.Device('device1')
    >>> place(x, xp.Device("device1")).device == place(x, "array_api_strict.Device('device1')").device
    True
    """
    there = NAMES.get(device) if isinstance(device, str) else device
    if not isinstance(there, xp.Device):
        names = ", ".join(map(str, DEVICES))
        raise DeviceNotFoundError(f"array-api-strict has no device {device!r}, only {names}")
    return x.to_device(there, stream=stream)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Cast `x` where it is, or on `device`; array-api-strict goes to its first device where None is written out."""
    out = xp.astype(x, dtype, copy=copy)
    return out if device is None else place(out, device)


def to_numpy(x: Any) -> Any:
    """Return `x` as NumPy's; what is on the first device is not copied."""
    return np.from_dlpack(place(x, DEVICES[0]))


BACKEND = Backend(
    name="strict",
    namespace=xp,
    array_types=(type(xp.asarray(1.0)),),
    kernels={"astype": astype, "to_device": place},
    devices=lambda: DEVICES,
    place=place,
    to_numpy=to_numpy,
)
