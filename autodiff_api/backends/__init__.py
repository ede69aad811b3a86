"""Backends and the plugins that bring them.

Import a backend's namespace by its name, ``from autodiff_api.backends import jax as xp``; to write a
plugin, begin with :mod:`autodiff_api.backends.hookspecs`.
"""

from __future__ import annotations

from typing import Any

from autodiff_api.backends.backend import Availability, Backend, BackendSpec, Kernel, requires
from autodiff_api.backends.defaults import (
    default_device,
    device,
    devices,
    get_default_device,
    set_default_device,
    use_device,
)
from autodiff_api.backends.hookspecs import PLUGIN_API, Op, hookimpl
from autodiff_api.backends.keeping import Keeping
from autodiff_api.backends.registry import (
    backend_of,
    declare_op,
    default_backend,
    extra_ops,
    get_backend,
    list_backends,
    set_default_backend,
    use_backend,
)
from autodiff_api.errors import BackendNotFoundError

__all__ = [
    "PLUGIN_API",
    "Availability",
    "Backend",
    "BackendSpec",
    "Keeping",
    "Kernel",
    "Op",
    "backend_of",
    "declare_op",
    "default_backend",
    "default_device",
    "device",
    "devices",
    "extra_ops",
    "get_backend",
    "get_default_device",
    "hookimpl",
    "list_backends",
    "requires",
    "set_default_backend",
    "set_default_device",
    "use_backend",
    "use_device",
]


def __getattr__(name: str) -> Any:
    """Return the namespace of the backend called `name`."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Late, because it is the one import that points up: a backend's namespace is made of tensors.
    import autodiff_api

    try:
        return autodiff_api.namespace(name)
    except BackendNotFoundError as error:
        raise AttributeError(str(error)) from error


def __dir__() -> list[str]:
    """List the public names and the installed backends."""
    return sorted({*__all__, *(record.backend for record in list_backends() if record.backend)})
