"""Arrays of array-api-strict for autodiff_api: the referee, which knows the standard and not a word more."""

from __future__ import annotations

from collections.abc import Iterator

from autodiff_api.backends import BackendSpec, hookimpl, requires

REQUIRES_PLUGIN_API = (1, 0)


@hookimpl
def autodiff_api_backends() -> Iterator[BackendSpec]:
    """Bring the backend ``strict``."""
    yield BackendSpec(
        name="strict",
        load="autodiff_api_strict.backend:BACKEND",
        claims=("array_api_strict",),
        probe=requires("array_api_strict", install='python -m pip install "autodiff-api[strict]"'),
    )
