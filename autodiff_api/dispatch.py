"""The functions of the package itself: each finds the namespace to work in, then is that namespace's function."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

from . import spellings
from .arrays import sizes
from .binding import namespace
from .levels import current
from .namespaces import EXTENSIONS, Namespace

CREATION = {"arange", "array", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "tensor", "zeros"}
SHAPED = {"empty", "ones", "zeros"}  # PyTorch's tutorials write ones(2, 2)


def find(name: str) -> tuple[Any, bool]:
    """Return what the package offers under a name, and whether it stays the same when the default backend changes.

    Raises AttributeError for a name that neither the standard nor PyTorch's users know.
    """
    if name == "__array_namespace_info__":
        return namespace().__array_namespace_info__, False
    if name.startswith("_"):
        raise AttributeError(f"module 'autodiff_api' has no attribute {name!r}")
    if name in spellings.METHODS:
        return spellings.method(name), True
    if name == "is_tensor":
        return spellings.is_tensor, True
    standard = spellings.FUNCTIONS.get(name) or spellings.DTYPES.get(name) or name
    if standard in CREATION:
        return creator(standard), True
    if standard in EXTENSIONS:
        return Extension(standard), True
    try:
        found = operator.attrgetter(standard)(namespace())
    except AttributeError:
        from difflib import get_close_matches  # late: this is rare, and 2 ms

        close = get_close_matches(name, names(), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"module 'autodiff_api' has no attribute {name!r}{hint}") from None
    if not callable(found) or isinstance(found, type):
        return found, False  # a constant or a dtype of the default backend
    return dispatcher(standard, found), True


def names() -> set[str]:
    """Return the names that `find` knows."""
    return {*dir(namespace()), *CREATION, *spellings.METHODS, *spellings.FUNCTIONS, *spellings.DTYPES}


def creator(name: str) -> Callable[..., Any]:
    """Return a creation function that makes tensors on the default backend, of the highest level in use.

    So what a function makes takes on in place what `vmap` or `jvp` gives it.
    """

    def create(*args: Any, **kwargs: Any) -> Any:
        if name in SHAPED and len(args) > 1:
            args = (sizes(args),)
        return getattr(current(namespace()), name)(*args, **kwargs)

    like = getattr(Namespace, name)
    signature = inspect.signature(like)
    create.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return _named(create, name, like)


def dispatcher(name: str, like: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that works in the namespace of the first tensor or array it is given."""
    bound = operator.attrgetter(name)

    def call(*args: Any, **kwargs: Any) -> Any:
        function = bound(namespace_of((*args, *kwargs.values())))
        if kwargs:  # PyTorch's dim and keepdim
            kwargs = {spellings.KEYWORDS.get(k, k): v for k, v in kwargs.items()}
        return function(*args, **kwargs)

    return _named(call, name.rpartition(".")[2], like)


class Extension:
    """`ad.linalg`, `ad.fft`: their functions find the namespace by their arguments too."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # `copy` asks before there is a `_name`
            raise AttributeError(name)
        found = dispatcher(f"{self._name}.{name}", getattr(getattr(namespace(), self._name), name))
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return dir(getattr(namespace(), self._name))


def namespace_of(args: Any) -> Namespace:
    """Return the namespace of the first tensor among arguments, else of a raw array, else the default one."""
    raw = None
    for x in args:
        for y in x if isinstance(x, list | tuple) else (x,):  # concat and stack take lists of arrays
            xp = getattr(type(y), "_xp", None)
            if isinstance(xp, Namespace):
                return xp
            if raw is None and hasattr(y, "__array_namespace__") and not isinstance(y, type):  # a dtype has one too
                raw = y
    return namespace(raw)


def _named(function: Callable[..., Any], name: str, like: Any) -> Callable[..., Any]:
    functools.update_wrapper(function, like)
    function.__name__ = function.__qualname__ = name
    return function
