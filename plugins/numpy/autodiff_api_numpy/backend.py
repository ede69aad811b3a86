"""The NumPy backend: array-api-compat's namespace, with the kernels of this folder."""

from __future__ import annotations

from functools import partial
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from autodiff_api.backends import Backend
from autodiff_api.errors import DeviceNotFoundError

from .kernels import KERNELS


def place(x: Any, device: Any, *, stream: None = None) -> Any:
    """Return `x`: it is on the CPU, where NumPy's arrays are."""
    if str(device) != "cpu":
        raise DeviceNotFoundError(f"NumPy has no device {device!r}, only 'cpu'; another backend may have it")
    return x


BACKEND = Backend(
    name="numpy",
    namespace=xp,
    array_types=(np.ndarray, np.generic),
    kernels={**KERNELS, "to_device": place},
    devices=lambda: ["cpu"],
    place=place,
    to_numpy=np.asarray,
    quiet=partial(np.errstate, all="ignore"),
)
