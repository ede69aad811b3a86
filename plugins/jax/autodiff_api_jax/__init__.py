"""JAX arrays for autodiff_api."""

from __future__ import annotations

from collections.abc import Iterator

from autodiff_api.backends import BackendSpec, hookimpl, requires

REQUIRES_PLUGIN_API = (1, 0)


@hookimpl
def autodiff_api_backends() -> Iterator[BackendSpec]:
    """Bring the backend ``jax``."""
    yield BackendSpec(
        name="jax",
        load="autodiff_api_jax.backend:BACKEND",
        claims=("jax", "jaxlib"),
        probe=requires("jax", install='python -m pip install "autodiff-api[jax]"'),
    )
