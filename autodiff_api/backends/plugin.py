"""The installed plugins, as package metadata tells of them; nothing is imported yet."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import Distribution, EntryPoints, distributions
from typing import Any

from autodiff_api.backends import builtin
from autodiff_api.backends.backend import BackendSpec
from autodiff_api.backends.loading import describe
from autodiff_api.errors import BackendError

logger = logging.getLogger("autodiff_api")


@dataclass(eq=False)
class Plugin:
    """One entry point of one distribution: where it comes from, what it offers, how it fared."""

    entry_point: str
    distribution: str
    version: str
    load: Callable[[], Any]
    hooks: list[str] = field(default_factory=list)
    specs: list[BackendSpec] = field(default_factory=list)
    blocked: str = ""
    error: BackendError | None = None

    def __str__(self) -> str:
        """Name the plugin as every message does."""
        return f"{self.distribution}=={self.version} (entry point {self.entry_point!r})"

    @property
    def first_party(self) -> bool:
        """Whether the host's own distribution brings it."""
        return _normalized(self.distribution) == builtin.DISTRIBUTION

    def fail(self, kind: type[BackendError], what: str, cause: BaseException | None = None, update: str = "") -> None:
        """Leave the plugin out because of `what`, and say so once; `update` names what to update.

        The report is logged, not issued as a warning: under ``-W error`` a warning would let a stranger's
        plugin stop the program.
        """
        why = f": {describe(cause)}" if cause is not None else ""
        alias = self.entry_point if self.first_party else self.distribution
        self.error = kind(
            f"plugin {self} was left out: {what}{why}. "
            f"Update {update or self.distribution}, or turn it off with AUTODIFF_API_DISABLE_PLUGINS={alias}"
        )
        self.error.__cause__ = cause
        logger.warning("%s", self.error)


def installed() -> list[Plugin]:
    """List every entry point of the group, and NumPy's plugin whether or not it has one.

    The host's own come first, then the others by the names of their distributions; those that
    ``AUTODIFF_API_PLUGINS`` or ``AUTODIFF_API_DISABLE_PLUGINS`` rules out say so.
    """
    plugins: dict[tuple[str, str], Plugin] = {}
    seen: set[str] = set()
    for distribution in distributions():
        found = {(_normalized(p.distribution), p.entry_point): p for p in _plugins_of(distribution)}
        names = {name for name, _ in found}
        if not names & seen:  # of a distribution that is there twice, the first on sys.path is what Python imports
            plugins.update(found)
            seen |= names
    numpy = Plugin(builtin.NAME, builtin.DISTRIBUTION, "unpackaged", builtin.plugin_module)
    plugins.setdefault((builtin.DISTRIBUTION, builtin.NAME), numpy).load = builtin.plugin_module

    allow, deny = _names("AUTODIFF_API_PLUGINS"), _names("AUTODIFF_API_DISABLE_PLUGINS") or set()
    for key, plugin in plugins.items():
        names = {key[0], _normalized(key[1])}
        if names & deny:
            plugin.blocked = "AUTODIFF_API_DISABLE_PLUGINS names it"
        elif allow is not None and not names & allow and key != (builtin.DISTRIBUTION, builtin.NAME):
            plugin.blocked = "AUTODIFF_API_PLUGINS does not name it"
    return [plugins[key] for key in sorted(plugins, key=lambda key: (not plugins[key].first_party, key))]


def _plugins_of(distribution: Distribution) -> Iterator[Plugin]:
    """Yield the entry points of one distribution; if they can't be read, a plugin that fails to load."""
    name = version = "unknown"
    try:
        if builtin.GROUP not in (distribution.read_text("entry_points.txt") or ""):
            return
        name, version = str(distribution.metadata["Name"]), str(distribution.version)
        points = EntryPoints(distribution.entry_points).select(group=builtin.GROUP)
    except Exception as error:
        yield Plugin("unreadable", name, version, partial(_raise, error))
    else:
        yield from (Plugin(point.name, name, version, point.load) for point in points)


def _raise(error: Exception) -> None:
    raise error


def _names(variable: str) -> set[str] | None:
    value = os.environ.get(variable)
    return None if value is None else {_normalized(name.strip()) for name in value.split(",") if name.strip()}


def _normalized(name: str) -> str:
    """Spell a distribution's name the one way that all its spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()
