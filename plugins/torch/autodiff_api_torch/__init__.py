"""PyTorch's tensors for autodiff_api, on the CPU and on accelerators: PyTorch computes, and its own autograd is off."""

from __future__ import annotations

from collections.abc import Iterator

from autodiff_api.backends import BackendSpec, hookimpl, requires

REQUIRES_PLUGIN_API = (1, 0)


@hookimpl
def autodiff_api_backends() -> Iterator[BackendSpec]:
    """Bring the backend ``torch``."""
    yield BackendSpec(
        name="torch",
        load="autodiff_api_torch.backend:BACKEND",
        claims=("torch",),
        probe=requires("torch", install='python -m pip install "autodiff-api[torch]"'),
    )
