"""Turns the card of a backend into the backend."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from autodiff_api.backends.backend import Availability, Backend, BackendSpec
from autodiff_api.errors import BackendUnavailableError, PluginContractError, PluginLoadError

# What somebody else's code can throw at us. KeyboardInterrupt is the user's and passes.
FAULTS = (Exception, SystemExit)


def open_backend(spec: BackendSpec, plugin: str) -> Backend:
    """Import the engine of `spec` and return its backend; every error names `plugin`.

    Raises BackendUnavailableError if the engine is missing or does not work here, PluginLoadError if the
    plugin fails, PluginContractError if what it gives is not that backend.
    """
    require_available(spec, plugin)
    what = f"the backend {spec.name!r} of plugin {plugin}"
    try:
        backend = (spec.load if callable(spec.load) else _resolve(spec.load))()
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f"{what} is installed, but its engine does not work here: {describe(error)}. "
            "Import the engine by itself to see more"
        ) from error
    except FAULTS as error:
        raise PluginLoadError(f"{what} failed to load: {describe(error)}. Update the plugin") from error
    if not (isinstance(backend, Backend) and backend.name == spec.name):
        raise PluginContractError(f"{what} must be a Backend of that name, not {backend!r}")
    return backend


def require_available(spec: BackendSpec, plugin: str) -> None:
    """Raise BackendUnavailableError, with what to install, if the probe of `spec` says so."""
    what = f"the backend {spec.name!r} of plugin {plugin}"
    try:
        availability = spec.probe()
    except FAULTS as error:
        raise PluginLoadError(f"the probe of {what} failed: {describe(error)}. Update the plugin") from error
    if not isinstance(availability, Availability):
        raise PluginContractError(f"the probe of {what} must return an Availability, not {availability!r}")
    if not availability.ok:
        remedy = f". Install it: {availability.install}" if availability.install else ""
        raise BackendUnavailableError(f"{what} can't be used here: {availability.reason}{remedy}")


def describe(error: BaseException) -> str:
    """Say on one line what kind of error it is and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _resolve(path: str) -> Callable[[], object]:
    """Import ``module:attribute``; a Backend that is there already is its own result."""
    module, attribute = path.split(":")
    value = getattr(import_module(module), attribute)
    return value if callable(value) else lambda: value
