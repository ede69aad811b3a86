"""The backends that tests run on, with 64-bit numbers, for those that ask for `backend`."""

from __future__ import annotations

import pytest

import autodiff_api as ad


@pytest.fixture(params=["numpy", "jax"])
def backend(request):
    """Make one backend the default, and let it compute in float64."""
    if request.param == "numpy":
        with ad.use_backend("numpy"):
            yield "numpy"
        return
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        with ad.use_backend("jax"):
            yield "jax"
    finally:
        jax.config.update("jax_enable_x64", before)
