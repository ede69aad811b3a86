"""The NumPy backend: NumPy in the standard's words, with the kernels of this folder."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from autodiff_api.backends import Backend
from autodiff_api.errors import DeviceNotFoundError

from . import (
    attention,
    convolution,
    elementwise,
    linalg,
    network,
    optim,
    optim_in_place,
    reductions,
    scatter,
    special,
    standard,
)
from .into import INTO
from .kernels import KERNELS


def place(x: Any, device: Any, *, stream: None = None) -> Any:
    """Return `x`: it is on the CPU, where NumPy's arrays are."""
    if str(device) != "cpu":
        raise DeviceNotFoundError(f"NumPy has no device {device!r}, only 'cpu'; another backend may have it")
    return x


# A backward pass frees what the forward pass allocated, and glibc gives the top of its heap back to the system
# at every 128 KiB, to be faulted in again by the next forward pass. Freeing one large block, never touched, makes
# it keep up to 64 MiB instead: a chain of 200 operations on 100x100 float32 goes from 18 to 7 µs an operation.
np.empty(33_000_000, dtype=np.int8)

BACKEND = Backend(
    name="numpy",
    namespace=standard,
    array_types=(np.ndarray, np.generic),
    kernels={
        **KERNELS,
        **convolution.KERNELS,
        **linalg.KERNELS,
        **network.KERNELS,
        **optim.KERNELS,
        **optim_in_place.KERNELS,
        **reductions.KERNELS,
        **scatter.KERNELS,
        **special.KERNELS,
        **elementwise.KERNELS,
        "to_device": place,
    },
    into=INTO,
    keeping={**attention.KEEPING, **network.KEEPING},
    devices=lambda: ["cpu"],
    place=place,
    to_numpy=np.asarray,
    quiet=partial(np.errstate, all="ignore"),
)
