"""The namespaces that the standard is held up to: NumPy's, JAX's with 64-bit numbers, and array-api-strict's."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace


@functools.cache
def strict():
    """Return a namespace over array-api-strict, a backend with no kernel of its own."""
    import array_api_strict

    backend = Backend(
        name="strict",
        namespace=array_api_strict,
        array_types=(type(array_api_strict.asarray(0)),),
        kernels={},
        devices=lambda: [array_api_strict.Device(name) for name in ("CPU_DEVICE", "device1", "device2", "no_float64")],
        place=lambda x, device: x.to_device(device),
        to_numpy=np.from_dlpack,
    )
    return make_namespace(backend)


@pytest.fixture(params=["numpy", "jax", "strict"])
def xp(request):
    if request.param == "strict":
        pytest.importorskip("array_api_strict")
        yield strict()
        return
    if request.param == "jax":
        jax = pytest.importorskip("jax")
        with jax.enable_x64(True):
            yield ad.namespace("jax")
        return
    yield ad.namespace("numpy")
