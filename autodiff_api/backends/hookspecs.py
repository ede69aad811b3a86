"""The plugin contract: three hooks, and nothing else that a plugin must know.

A plugin is an importable module that its distribution names in an entry point::

    [project.entry-points."autodiff_api.backends"]
    mylib = "autodiff_api_mylib"

The module says which version of this contract it was written for, and implements the hooks it wants::

    from autodiff_api.backends import BackendSpec, hookimpl

    REQUIRES_PLUGIN_API = (1, 0)

    @hookimpl
    def autodiff_api_backends():
        yield BackendSpec(name="mylib", load="autodiff_api_mylib.backend:BACKEND", claims=("mylib",))

Keep that module light: it is imported whenever plugins are looked for, the engine only when it is used.
A hook may take fewer arguments than its specification below, so arguments can be added without breaking
a plugin. Hooks run when something is looked up, never while an operation is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from autodiff_api.backends.backend import Backend, BackendSpec, Kernel

SPOKEN = ((1, 0),)
"""The versions of this contract that the host speaks: (major, minor), the newest first.

A plugin's ``REQUIRES_PLUGIN_API`` must have the major of one of them and no higher minor. A new hook, a new hook
argument or a new optional field raises the minor; whatever breaks an existing plugin raises the major. The major before
stands behind the newest, with its last minor, for at least one minor release of the host: its plugins work, and are
reported. `docs/how-to/write-a-backend.md` has the whole policy.
"""
PLUGIN_API = SPOKEN[0]
"""The newest of them."""


def autodiff_api_backends() -> Iterable[BackendSpec]:
    """Yield a :class:`BackendSpec` for each backend that this plugin brings."""
    raise NotImplementedError


def autodiff_api_kernels(backend: Backend) -> Mapping[str, Kernel] | None:
    """Return kernels for `backend`, by the name of the op, or None if there are none for this one.

    `backend` is loaded and may be anybody's: look at ``backend.name``. Asked once, when it is loaded. What is returned
    replaces the backend's own kernels of these names, in compiled programs too; from two plugins that offer the same
    kernel the first in order of their distributions' names is taken, and the other reported.
    ``backend.kernels[name]``, or the function of ``backend.namespace``, is what there was, for arguments that a kernel
    leaves to it.
    """
    raise NotImplementedError


def autodiff_api_ops() -> Iterable[Op]:
    """Yield an op, with its rule, for each operation this plugin adds to every namespace."""
    raise NotImplementedError


class Op(Protocol):
    """What the host reads of an op; :mod:`autodiff_api.rules` has the class that plugins use."""

    @property
    def name(self) -> str:
        """Give the name under which namespaces offer the op."""


HookFunction = TypeVar("HookFunction", bound=Callable[..., Any])


def hookimpl(function: HookFunction) -> HookFunction:
    """Mark `function` as a plugin's implementation of the hook of the same name.

    >>> @hookimpl
    ... def autodiff_api_ops():
    ...     return ()
    >>> autodiff_api_ops.autodiff_api_hook
    True
    """
    # Our own mark instead of pluggy.HookimplMarker: NumPy's plugin must not cost an import of pluggy.
    function.autodiff_api_hook = True  # type: ignore[attr-defined]
    return function
