"""The backends that tests run on, with 64-bit numbers, for those that ask for `backend`."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import count

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace

_tests = count(1)


@pytest.fixture(autouse=True)
def forgetful_compiler():
    """Let JAX forget now and then what it compiled: every function for every shape would come to gigabytes."""
    yield
    if next(_tests) % 250 == 0 and "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(params=["numpy", "jax"])
def backend(request):
    """Make one backend the default, and let it compute in float64."""
    if request.param == "numpy":
        with ad.use_backend("numpy"):
            yield "numpy"
        return
    jax = pytest.importorskip("jax")
    before = jax.config.values["jax_enable_x64"]  # what holds everywhere: jax.enable_x64 may hold here
    jax.config.update("jax_enable_x64", True)
    try:
        with ad.use_backend("jax"):
            yield "jax"
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.fixture(scope="session")
def strict():
    """A backend with no kernels to speak of: proof that rules and generic kernels speak only the standard."""
    namespace = pytest.importorskip("array_api_strict")

    def astype(x, dtype, /, *, copy=True, device=None):
        return namespace.astype(x, dtype, copy=copy)  # with device=None written out it would go to the default one

    backend = Backend(
        name="strict",
        namespace=namespace,
        array_types=(type(namespace.asarray(1.0)),),
        kernels={"astype": astype},
        devices=lambda: [namespace.Device("CPU_DEVICE"), namespace.Device("device1")],
        place=lambda x, device: namespace.asarray(x, device=_device_of(namespace, device)),
        to_numpy=lambda x: np.from_dlpack(x.to_device(namespace.Device("CPU_DEVICE"))),
    )
    return make_namespace(backend)


def _device_of(namespace, device):
    return namespace.Device(device) if isinstance(device, str) else device


def pytest_terminal_summary(terminalreporter):
    """Say how many rows of the table of behaviours (`parity/behaviours`) agree with PyTorch."""
    counts = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for backend, kind in (value for name, value in report.user_properties if name == "behaviour"):
                counts.update([(backend, "all"), (backend, kind if outcome == "passed" else "failed")])
    backends = [backend for backend, kind in counts if kind == "all"]
    if backends:
        agreed = [f"{counts[backend, 'agreed']} / {counts[backend, 'all']} on {backend}" for backend in backends]
        purpose = max(counts[backend, "on purpose"] for backend in backends)
        terminalreporter.line(f"behaviours: agreed {', '.join(agreed)} ({purpose} differ on purpose)")
