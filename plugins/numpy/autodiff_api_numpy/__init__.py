"""NumPy arrays for autodiff_api."""

from __future__ import annotations

from collections.abc import Iterator

from autodiff_api.backends import BackendSpec, hookimpl

REQUIRES_PLUGIN_API = (1, 0)


@hookimpl
def autodiff_api_backends() -> Iterator[BackendSpec]:
    """Bring the backend ``numpy``."""
    yield BackendSpec(name="numpy", load="autodiff_api_numpy.backend:BACKEND", claims=("numpy",))
