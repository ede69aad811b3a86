"""Finds backends by name and by array, loads the one that is asked for, and knows which is the default."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

from autodiff_api.backends import builtin
from autodiff_api.backends.backend import Backend
from autodiff_api.backends.hookspecs import Op
from autodiff_api.backends.loading import open_backend
from autodiff_api.errors import BackendNotFoundError

if TYPE_CHECKING:
    from autodiff_api.backends.host import Plugins
    from autodiff_api.backends.listing import Record


class Registry:
    """The backends of a process: plugins are looked for once, each backend is loaded once."""

    def __init__(self) -> None:
        """Start empty: nothing is looked for before it is needed."""
        # Reentrant, because a plugin may ask for another backend while its own is loaded.
        self._lock = threading.RLock()
        self._loaded: dict[str, Backend] = {}
        self._owners: dict[type, str | None] = {}
        self._found: Plugins | None = None
        self._alone: bool | None = None
        self._declared: dict[str, Op] = {}

    def get(self, name: str) -> Backend:
        """Return the backend called `name`; import its engine if that is not done."""
        backend = self._loaded.get(name)
        if backend is None:
            with self._lock:
                backend = self._loaded.get(name) or self._load(name)
                self._loaded[name] = backend
        return backend

    def of(self, array: object) -> Backend | None:
        """Return the backend that `array` is a raw array of, or None."""
        kind = type(array)
        try:
            name = self._owners[kind]
        except KeyError:
            with self._lock:
                name = self._owners[kind] = self._owner(kind)
        if name is None:
            return None
        backend = self.get(name)
        return backend if isinstance(array, backend.array_types) else None

    def ops(self) -> list[Op]:
        """Return the ops that plugins add, the first of each name, and those that were declared."""
        with self._lock:
            brought = [] if self._numpy_is_alone() else self._plugins().ops
            return [*(op for op in brought if op.name not in self._declared), *self._declared.values()]

    def declare(self, op: Op) -> None:
        """Add an op, in place of one of the same name that was declared before."""
        with self._lock:
            self._declared[op.name] = op

    def records(self, probe: bool = False) -> list[Record]:
        """List the backends of every installed plugin; with `probe`, load each and list its devices."""
        from autodiff_api.backends.listing import records  # late, as in _plugins

        with self._lock:
            return records(self._plugins(), self.get if probe else None)

    def _plugins(self) -> Plugins:
        if self._found is None:
            # Late, because it imports pluggy and importlib.metadata, which NumPy alone can do without.
            from autodiff_api.backends.host import Plugins

            self._found = Plugins()
        return self._found

    def _numpy_is_alone(self) -> bool:
        """Whether no plugin but its own can concern NumPy, so that none need be looked for."""
        if self._alone is None:
            self._alone = not builtin.needs_discovery()
        return self._alone

    def _load(self, name: str) -> Backend:
        if name == builtin.NAME and self._numpy_is_alone():
            return open_backend(builtin.spec(), f"{builtin.DISTRIBUTION} (entry point {name!r})")
        plugins = self._plugins()
        found = plugins.bringing(name)
        if found is None:
            raise _not_found(name, plugins)
        plugin, spec = found
        backend = open_backend(spec, str(plugin))
        kernels, lenders = plugins.kernels(backend)
        if plugin.error is not None:
            raise plugin.error
        # What the backend computes in another way beside the kernel that was replaced would be the old kernel's.
        into = {n: k for n, k in backend.into.items() if n not in kernels}
        own = {n: k for n, k in backend.keeping.items() if kernels.keys().isdisjoint((n, k.backward_op))}
        return replace(
            backend,
            kernels={**backend.kernels, **kernels},
            into=into,
            keeping=own,
            borrowed={**backend.borrowed, **lenders},
        )

    def _owner(self, kind: type) -> str | None:
        """Return the name of the backend that claims `kind`, or else a class that it derives from."""
        modules = [base.__module__.partition(".")[0] for base in kind.__mro__]
        modules = [name for name in modules if name not in sys.stdlib_module_names and name != "autodiff_api"]
        if not modules:
            return None
        if self._numpy_is_alone() and modules[0] in builtin.spec().claims:
            return builtin.NAME
        return next((name for name in map(self._plugins().claiming, modules) if name), None)


def _not_found(name: str, plugins: Plugins) -> BackendNotFoundError:
    from difflib import get_close_matches  # late, as in _plugins

    names = sorted({spec.name for plugin in plugins.all for spec in plugin.specs})
    nearest = get_close_matches(str(name), names, n=1)
    guess = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    source = ", which AUTODIFF_API_BACKEND asks for" if os.environ.get("AUTODIFF_API_BACKEND") == name else ""
    broken = [str(plugin) for plugin in plugins.all if plugin.error is not None]
    perhaps = f", perhaps one of the broken {', '.join(broken)}" if broken else ""
    return BackendNotFoundError(
        f"no installed plugin offers the backend {name!r}{source}{guess}{perhaps}. "
        f"Installed: {', '.join(names)}. First-party backends are extras, as in "
        'python -m pip install "autodiff-api[jax]"; others come with a distribution of their own. '
        "`python -m autodiff_api plugins` shows what was found"
    )


_registry = Registry()
_current: ContextVar[str | None] = ContextVar("autodiff_api.backend", default=None)
_default = os.environ.get("AUTODIFF_API_BACKEND") or builtin.NAME


def get_backend(name: str) -> Backend:
    """Return the backend called `name`; import its engine on the first call.

    Raises a BackendError that says what to do: BackendNotFoundError, BackendUnavailableError,
    DuplicateBackendError, PluginLoadError, PluginVersionError or PluginContractError.

    >>> get_backend("numpy").name
    'numpy'
    """
    return _registry.get(name)


def backend_of(array: object) -> Backend | None:
    """Return the backend that `array` is a raw array of, or None; import no other.

    >>> import numpy as np
    >>> backend_of(np.ones(3)).name
    'numpy'
    >>> backend_of([1.0, 2.0])
    """
    return _registry.of(array)


def list_backends(*, probe: bool = False) -> list[Record]:
    """List the installed backends; with `probe`, import their engines and list their devices.

    >>> [record.state for record in list_backends() if record.backend == "numpy"]
    ['ok']
    """
    return _registry.records(probe)


def extra_ops() -> list[Op]:
    """Return the ops that plugins add to every namespace, and those that the program declared itself."""
    return _registry.ops()


def declare_op(op: Op) -> None:
    """Add an op to those of :func:`extra_ops`."""
    _registry.declare(op)


def default_backend() -> str:
    """Return the name of the backend that new arrays are made on.

    It is the innermost :func:`use_backend`'s, else :func:`set_default_backend`'s, else
    ``AUTODIFF_API_BACKEND``, else NumPy's.

    >>> with use_backend("numpy"):
    ...     default_backend()
    'numpy'
    """
    return _current.get() or _default


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Make `name` the default backend in a ``with`` block or, as a decorator, in a function.

    Other threads and asyncio tasks don't see it. Raises as :func:`get_backend` does, on entering.
    """
    get_backend(name)
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


def set_default_backend(name: str) -> None:
    """Make `name` the default backend of the process, wherever no :func:`use_backend` is open."""
    global _default
    get_backend(name)
    _default = name
