"""Lists the installed backends, for people and for tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from autodiff_api.backends.backend import Backend, BackendSpec
from autodiff_api.backends.host import Plugins
from autodiff_api.backends.loading import FAULTS, describe, require_available
from autodiff_api.backends.plugin import Plugin
from autodiff_api.errors import BackendError, BackendUnavailableError, DuplicateBackendError

State = Literal["ok", "blocked", "broken", "unavailable", "duplicate"]


@dataclass(frozen=True)
class Record:
    """What is known of one backend of one plugin."""

    backend: str
    """The backend's name; where that is not known, the entry point's; empty if the plugin brings none."""

    distribution: str
    version: str
    entry_point: str
    state: State
    devices: tuple[str, ...] | None = None
    """Names of its devices; None unless the backend was probed and works."""

    reason: str = ""


def records(plugins: Plugins, probe: Callable[[str], Backend] | None = None) -> list[Record]:
    """List every backend of `plugins`; `probe`, if it is given, loads each that may work."""
    return [record for plugin in plugins.all for record in _of_plugin(plugins, plugin, probe)]


def _of_plugin(plugins: Plugins, plugin: Plugin, probe: Callable[[str], Backend] | None) -> Iterator[Record]:
    origin = (plugin.distribution, plugin.version, plugin.entry_point)
    if plugin.blocked:
        yield Record(plugin.entry_point, *origin, "blocked", reason=plugin.blocked)
    elif plugin.error is not None:
        yield Record(plugin.entry_point, *origin, "broken", reason=str(plugin.error))
    elif not plugin.specs:
        yield Record("", *origin, "ok", reason=f"implements {', '.join(plugin.hooks)}")
    else:
        for spec in plugin.specs:
            yield Record(spec.name, *origin, *_state(plugins, plugin, spec, probe))


def _state(
    plugins: Plugins, plugin: Plugin, spec: BackendSpec, probe: Callable[[str], Backend] | None
) -> tuple[State, tuple[str, ...] | None, str]:
    try:
        if plugins.bringing(spec.name) != (plugin, spec):
            return "duplicate", None, f"{plugins.duplicate(spec.name)}"
        require_available(spec, str(plugin))
        return "ok", tuple(map(str, probe(spec.name).devices())) if probe else None, ""
    except DuplicateBackendError as error:
        return "duplicate", None, str(error)
    except BackendUnavailableError as error:
        return "unavailable", None, str(error)
    except BackendError as error:
        return "broken", None, str(error)
    except FAULTS as error:
        return "unavailable", None, f"its devices can't be listed: {describe(error)}"
