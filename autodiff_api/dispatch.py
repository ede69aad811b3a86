"""The functions of the package itself: each finds the namespace to work in, then is that namespace's function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .arrays import sizes
from .binding import namespace
from .namespaces import Namespace

CREATION = {"arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "tensor", "zeros"}
SHAPED = {"empty", "ones", "zeros"}  # PyTorch's tutorials write ones(2, 2)


def creator(name: str) -> Callable[..., Any]:
    """Return a creation function that makes tensors on the default backend."""

    def create(*args: Any, **kwargs: Any) -> Any:
        if name in SHAPED:
            args = (sizes(args) if len(args) != 1 else args[0],)
        return getattr(namespace(), name)(*args, **kwargs)

    return _named(create, name, getattr(Namespace, name))


def dispatcher(name: str, like: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that works in the namespace of the first tensor or array it is given."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(namespace_of((*args, *kwargs.values())), name)(*args, **kwargs)

    return _named(call, name, like)


def namespace_of(args: Any) -> Namespace:
    """Return the namespace of the first tensor among arguments, else of a raw array, else the default one."""
    raw = None
    for x in args:
        xp = getattr(type(x), "_xp", None)
        if isinstance(xp, Namespace):
            return xp
        if isinstance(x, list | tuple) and x and not isinstance(x[0], int):
            found = next((type(y)._xp for y in x if isinstance(getattr(type(y), "_xp", None), Namespace)), None)
            if found is not None:
                return found  # type: ignore[no-any-return]
        elif raw is None and hasattr(x, "__array_namespace__"):
            raw = x
    return namespace(raw)


def _named(function: Callable[..., Any], name: str, like: Any) -> Callable[..., Any]:
    functools.update_wrapper(function, like)
    function.__name__ = function.__qualname__ = name
    return function
