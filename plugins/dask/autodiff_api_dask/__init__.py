"""Arrays of Dask for autodiff_api: lazy, larger than memory, on as many machines as Dask has workers."""

from __future__ import annotations

from collections.abc import Iterator

from autodiff_api.backends import BackendSpec, hookimpl, requires

REQUIRES_PLUGIN_API = (1, 0)


@hookimpl
def autodiff_api_backends() -> Iterator[BackendSpec]:
    """Bring the backend ``dask``."""
    yield BackendSpec(
        name="dask",
        load="autodiff_api_dask.backend:BACKEND",
        claims=("dask",),
        probe=requires("dask", install='python -m pip install "autodiff-api[dask]"'),
    )
