"""What a backend says of itself, put to the test: its types, devices, copies, and what it says it can't do."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import numpy as np

from autodiff_api.kernels.arrays import device_of

from .checks import Checks
from .setting import Setting
from .standard import DTYPES, FUNCTIONS


def broken_promises(checks: Checks) -> list[str]:
    """Return what is not as the backend's :class:`~autodiff_api.backends.Backend` says, each as a sentence."""
    found = []
    for promise in (_types, _round_trips, _devices, _inspection, _kernels):
        try:
            found += list(promise(checks))
        except Exception as error:
            found.append(f"{promise.__name__.strip('_')}: {type(error).__name__}: {error}")
    return [f"backend {checks.backend.name!r}: {text}" for text in found]


def _types(checks: Checks) -> Iterator[str]:
    raw = checks.backend.namespace.asarray(1.5)
    if not isinstance(raw, checks.backend.array_types):
        yield f"its namespace makes a {type(raw).__module__}.{type(raw).__name__}, which `array_types` does not name"


def _round_trips(checks: Checks) -> Iterator[str]:
    setting = Setting(checks.xp, checks.dtypes[0], checks.device)
    for x in (np.asarray([[1.5, -2.0]], dtype="float32"), np.zeros((0, 2), dtype="float32"), np.asarray([3, 1])):
        y = setting.host(setting.raw(x))
        if y.shape != x.shape or not np.array_equal(x, y):
            yield f"`to_numpy(asarray(x))` of x = {x.tolist()} is {y.tolist()}"


def _devices(checks: Checks) -> Iterator[str]:
    backend = checks.backend
    devices = list(backend.devices())
    if not devices:
        yield "`devices()` lists none"
    raw: Any = backend.namespace.asarray(1.5, dtype=backend.namespace.float32)
    for device in devices:
        for name in (device, str(device)):
            if device_of(backend.place(raw, name)) != device_of(backend.place(raw, device)):
                yield f"`place(x, {name!r})` puts x elsewhere than `place` with the device itself"


def _inspection(checks: Checks) -> Iterator[str]:
    for name in checks.supported:
        if name not in (*DTYPES, "float16", "bfloat16") and not hasattr(checks.xp, name):
            yield f"it says it has the dtype {name}, which its namespace lacks"
    for name in FUNCTIONS:
        if name not in checks.known and not checks.offers(name):
            yield f"its namespace has no function {name}; give it a kernel of that name"


def _kernels(checks: Checks) -> Iterator[str]:
    backend = checks.backend
    for name in backend.kernels:
        if not checks.offers(name) and not name.startswith("optim."):
            nearest = get_close_matches(name, (*FUNCTIONS, *checks.known), n=1)
            guess = f" (did you mean {nearest[0]!r}?)" if nearest else ""
            whose = f", of plugin {backend.borrowed[name]}" if name in backend.borrowed else ""
            yield f"no function is called like its kernel {name!r}{whose}{guess}"
