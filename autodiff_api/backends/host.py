"""Runs the plugins: imports, registers and asks them one by one, and keeps their failures apart.

A plugin that fails, in whatever way, is reported once and left out; the host and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

import pluggy

from autodiff_api.backends import builtin, hookspecs
from autodiff_api.backends.backend import Backend, BackendSpec, Kernel, is_kernel_table
from autodiff_api.backends.hookspecs import Op
from autodiff_api.backends.loading import FAULTS
from autodiff_api.backends.plugin import Plugin, installed, logger
from autodiff_api.errors import (
    BackendUnavailableError,
    DuplicateBackendError,
    PluginContractError,
    PluginLoadError,
    PluginVersionError,
)

Answer = TypeVar("Answer")


class Plugins:
    """The installed plugins: admitted once, then asked through their hooks."""

    def __init__(self) -> None:
        """Find the plugins, import those that the environment allows, and collect their backends' cards."""
        self._manager = _Manager("autodiff_api")
        self._manager.add_hookspecs(hookspecs)
        self.all = installed()
        for plugin in self.all:
            if plugin.blocked:
                self._manager.set_blocked(str(plugin))
            else:
                self._admit(plugin)
        for plugin, specs in self._ask("autodiff_api_backends", _checked_specs):
            plugin.specs = specs
        for name in dict.fromkeys(spec.name for plugin in self.all for spec in plugin.specs):
            if len(self._offers(name)) > 1:
                logger.warning("%s", self.duplicate(name))

    def bringing(self, name: str) -> tuple[Plugin, BackendSpec] | None:
        """Return who brings the backend `name`, or None if nobody does.

        A name that the host's own distribution offers is the host's; otherwise two offers are a
        DuplicateBackendError, because nobody could tell which one was meant. If the plugin that would bring
        it is broken, its error is raised; if it is blocked, a BackendUnavailableError.
        """
        offers = self._offers(name)
        if offers and (len(offers) == 1 or offers[0][0].first_party):
            return offers[0]
        if offers:
            raise self.duplicate(name)
        for plugin in self.all:
            if name not in {plugin.entry_point, *(spec.name for spec in plugin.specs)}:
                continue
            if plugin.error is not None:
                raise plugin.error.with_traceback(None)
            if plugin.blocked:
                raise BackendUnavailableError(
                    f"the backend {name!r} of plugin {plugin} is not used: {plugin.blocked}; change it there"
                )
        return None

    def claiming(self, module: str) -> str | None:
        """Return the name of the first backend that claims the arrays of the top-level `module`, or None."""
        specs = (spec for plugin in self.all for spec in plugin.specs)
        return next((spec.name for spec in specs if module in spec.claims), None)

    def kernels(self, backend: Backend) -> tuple[dict[str, Kernel], dict[str, str]]:
        """Collect the kernels that plugins offer for `backend`, and say of each who offers it."""
        answers = self._ask("autodiff_api_kernels", _checked_kernels, backend=backend)
        first = _first_offers(f"kernel for {backend.name!r}", answers)
        return {name: kernel for name, (_, kernel) in first.items()}, {
            name: str(who) for name, (who, _) in first.items()
        }

    @cached_property
    def ops(self) -> list[Op]:
        """The ops that plugins add."""
        return [op for _, op in _first_offers("op", self._ask("autodiff_api_ops", _checked_ops)).values()]

    def _admit(self, plugin: Plugin) -> None:
        """Import and register `plugin`; if that goes wrong, leave no trace of it but its error."""
        try:
            module = plugin.load()
            required: Any = getattr(module, "REQUIRES_PLUGIN_API", None)
        except FAULTS as error:
            return plugin.fail(PluginLoadError, "importing it failed", error)
        newest = hookspecs.SPOKEN[0]
        if not _is_spoken(required):
            problem = f"it has REQUIRES_PLUGIN_API = {required!r} and the host speaks {_or(hookspecs.SPOKEN)}"
            newer = _is_version(required) and required > newest
            return plugin.fail(PluginVersionError, problem, update=builtin.DISTRIBUTION if newer else "")
        try:
            self._manager.register(module, name=str(plugin))
            self._manager.check_pending()
        except FAULTS as error:
            if self._manager.has_plugin(str(plugin)):
                self._manager.unregister(name=str(plugin))
            return plugin.fail(PluginLoadError, "its hooks don't fit the contract", error)
        plugin.hooks = sorted(caller.name for caller in self._manager.get_hookcallers(module) or ())
        if not plugin.hooks:
            plugin.fail(PluginContractError, "it implements no hook; is any marked with @hookimpl?")
        elif required[0] < newest[0]:
            text = "plugin %s has REQUIRES_PLUGIN_API = %r; a coming release speaks %r only. Update %s"
            logger.warning(text, plugin, required, newest, plugin.distribution)

    def _ask(self, hook: str, check: Callable[[Any], Answer], **arguments: Any) -> Iterator[tuple[Plugin, Answer]]:
        """Call `hook` on each plugin by itself and yield what `check` makes of its answer.

        The implementations are called here rather than by pluggy, which gives up at the first that raises.
        """
        caller = getattr(self._manager.hook, hook)
        implementations = {impl.plugin_name: impl for impl in caller.get_hookimpls()}
        for plugin in self.all:
            impl = implementations.get(str(plugin))
            if impl is None or plugin.error is not None:
                continue
            try:
                # A generator raises when `check` reads it: that must be inside.
                answer = check(impl.function(*(arguments[name] for name in impl.argnames)))
            except FAULTS as error:
                plugin.fail(PluginLoadError, f"{hook} failed", error)
            else:
                yield plugin, answer

    def _offers(self, name: str) -> list[tuple[Plugin, BackendSpec]]:
        healthy = (plugin for plugin in self.all if plugin.error is None)
        return [(plugin, spec) for plugin in healthy for spec in plugin.specs if spec.name == name]

    def duplicate(self, name: str) -> DuplicateBackendError:
        """Make the error that several plugins bring the backend `name`."""
        plugins = [plugin for plugin, _ in self._offers(name)]
        verdict = f"{plugins[0]} is used" if plugins[0].first_party else "none of them is used"
        return DuplicateBackendError(
            f"the backend {name!r} is offered by {' and by '.join(map(str, plugins))}; {verdict}. "
            "Uninstall all but one, or name a distribution in AUTODIFF_API_DISABLE_PLUGINS"
        )


class _Manager(pluggy.PluginManager):
    """pluggy, with our own marks: a hook is what is called one here, an implementation what says so."""

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> pluggy.HookspecOpts | None:
        if not name.startswith("autodiff_api_"):
            return None
        return pluggy.HookspecOpts(firstresult=False, historic=False, warn_on_impl=None, warn_on_impl_args=None)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if not getattr(getattr(plugin, name, None), "autodiff_api_hook", False):
            return None
        return pluggy.HookimplOpts(
            wrapper=False, hookwrapper=False, optionalhook=False, tryfirst=False, trylast=False, specname=None
        )


def _is_version(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, int) for part in value)


def _is_spoken(required: Any) -> bool:
    """Tell whether the host speaks the plugin API that `required` names: a major it knows, and no higher minor."""
    return _is_version(required) and any(required[0] == major and required[1] <= n for major, n in hookspecs.SPOKEN)


def _or(versions: Iterable[tuple[int, int]]) -> str:
    return " or ".join(map(str, versions))


def _first_offers(what: str, answers: Iterator[tuple[Plugin, dict[str, Any]]]) -> dict[str, tuple[Plugin, Any]]:
    """Keep the first offer of each name, with who made it, and report the others."""
    kept: dict[str, tuple[Plugin, Any]] = {}
    for plugin, offers in answers:
        for name, offer in offers.items():
            first, _ = kept.setdefault(name, (plugin, offer))
            if first is not plugin:
                logger.warning("plugin %s offers %s %r, but %s came first", plugin, what, name, first)
    return kept


def _checked_specs(answer: Any) -> list[BackendSpec]:
    specs = list(answer)
    for spec in specs:
        if not isinstance(spec, BackendSpec):
            raise TypeError(f"it must yield BackendSpecs, not {spec!r}")
    if len({spec.name for spec in specs}) < len(specs):
        raise ValueError("it yields the same backend twice")
    return specs


def _checked_kernels(answer: Any) -> dict[str, Kernel]:
    if answer is None:
        return {}
    if not is_kernel_table(answer):
        raise TypeError(f"it must return a mapping of op names to functions, not {answer!r}")
    return dict(answer)


def _checked_ops(answer: Any) -> dict[str, Op]:
    ops = list(answer)
    for op in ops:
        if not isinstance(getattr(op, "name", None), str):
            raise TypeError(f"it must yield ops, which have a name, not {op!r}")
    return {op.name: op for op in ops}
