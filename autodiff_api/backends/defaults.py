"""Devices: which there are, and on which one new arrays are made."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any, Self

from autodiff_api.backends.registry import default_backend, get_backend

_NONE: Mapping[str, Any] = MappingProxyType({})
_chosen: ContextVar[Mapping[str, Any]] = ContextVar("autodiff_api.devices", default=_NONE)  # by the backend's name
_default: dict[str, Any] = {}


def devices(backend: str | None = None) -> tuple[Any, ...]:
    """Return the devices of a backend, or of the default one; ``str(device)`` names each.

    Raises as :func:`get_backend` does.

    >>> devices("numpy")
    ('cpu',)
    """
    return tuple(get_backend(backend or default_backend()).devices())


def found(device: Any, backend: str) -> Any:
    """Return the engine's own object for a device of a backend, or a layout over several, given by name or as it is.

    Raises DeviceNotFoundError for a name that the backend doesn't know.
    """
    if not isinstance(device, str):
        return device
    engine = get_backend(backend)
    return engine.place(engine.namespace.empty((), dtype=engine.namespace.bool), device).device


class use_device:
    """Make a device the one that new arrays of a backend are on, in a ``with`` block or, as a decorator, in a function.

    The backend is the default one, unless `backend` names another; arrays of others stay where they would be. A
    function that is given ``device=``, or an array to be like, or tensors to compute with, does as they say. Other
    threads and asyncio tasks don't see it. Raises DeviceNotFoundError, on entering, for a name that there is not.

    >>> import autodiff_api as ad
    >>> with ad.use_device("cpu", backend="numpy"):
    ...     ad.namespace("numpy").zeros(2).device
    'cpu'
    """

    def __init__(self, device: Any, backend: str | None = None) -> None:
        self.device, self.backend = device, backend
        self._tokens: list[Token[Mapping[str, Any]]] = []

    def __enter__(self) -> Self:
        name = self.backend or default_backend()
        self._tokens.append(_chosen.set({**_chosen.get(), name: found(self.device, name)}))
        return self

    def __exit__(self, *error: object) -> None:
        _chosen.reset(self._tokens.pop())

    def __call__(self, function: Any) -> Any:
        """Return the function, called with this device."""
        from functools import wraps

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with use_device(self.device, self.backend):
                return function(*args, **kwargs)

        return call


def set_default_device(device: Any, backend: str | None = None) -> None:
    """Make a device the one that new arrays of a backend are on, wherever no :func:`use_device` is open.

    The backend is the default one, unless `backend` names another. None leaves it to the engine again.

    >>> set_default_device("cpu", backend="numpy")
    >>> set_default_device(None, backend="numpy")
    """
    name = backend or default_backend()
    _default[name] = found(device, name)


def get_default_device(backend: str | None = None) -> Any:
    """Return the device that new arrays of a backend, or of the default one, are made on.

    >>> get_default_device("numpy")
    'cpu'
    """
    name = backend or default_backend()
    chosen = default_device(name)
    return chosen if chosen is not None else get_backend(name).namespace.empty(()).device


def default_device(backend: str) -> Any:
    """Return the device that was chosen for new arrays of a backend; None leaves it to the engine."""
    chosen = _chosen.get()
    return chosen[backend] if backend in chosen else _default.get(backend)


class device(str):
    """A device's name, which is also a ``with`` block of :func:`use_device`: PyTorch's ``torch.device``.

    >>> device("cuda", 1), device("cpu") == "cpu"
    ('cuda:1', True)
    """

    __slots__ = ("_uses",)
    _uses: list[use_device]

    def __new__(cls, type: Any, index: int | None = None) -> Any:
        """Return the name; a device of an engine's own is returned as it is."""
        if not isinstance(type, str):
            return type
        name = super().__new__(cls, type if index is None else f"{type}:{index}")
        name._uses = []
        return name

    @property
    def type(self) -> str:
        """What kind of device it is."""
        return self.partition(":")[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """Which of its kind it is, if that is said."""
        number = self.partition(":")[2]
        return int(number) if number else None

    def __enter__(self) -> Self:
        self._uses.append(use_device(str(self)).__enter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._uses.pop().__exit__()
