"""Attributes that register themselves: what makes `self.weight = Parameter(...)` a part of a module."""

from __future__ import annotations

from typing import Any, ClassVar

from autodiff_api.errors import ArgumentTypeError, ModuleAttributeError, ModuleNameError
from autodiff_api.tensors import Tensor

from .parameter import Parameter


class Registry:
    """Base of `Module`: holds parameters, buffers and submodules under attribute names.

    Each name is in one of the three registries at most, and then not among the plain attributes.
    """

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _unsaved: set[str]

    KINDS: ClassVar[dict[str, tuple[str, type]]]

    def __init__(self) -> None:
        # Not by assignment: __setattr__ looks into the registries.
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, _unsaved=set())

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a new name; None reserves the name."""
        self._register("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that moves and is saved with the module but is no parameter; None reserves the name.

        One that is not `persistent` is left out of `state_dict`.
        """
        self._register("_buffers", name, tensor)
        if not persistent:
            self._unsaved.add(name)

    def add_module(self, name: str, module: Any) -> None:
        """Add a submodule under a new name; None reserves the name."""
        self._register("_modules", name, module)

    register_module = add_module

    def _register(self, registry: str, name: str, value: Any) -> None:
        """Put `value` under a name that must be free."""
        kind = self.KINDS[registry][0]
        self._require_registries(kind)
        if not isinstance(name, str):
            raise ArgumentTypeError(f"{kind} name should be a string, got {type(name).__name__}.")
        if not name or "." in name:
            raise ModuleNameError(
                f"{kind} name can't be empty or contain '.', got {name!r} in {type(self).__name__}. "
                "Dots separate modules in a state dict: use '_' instead."
            )
        if hasattr(self, name) and name not in self.__dict__[registry]:
            raise ModuleNameError(
                f"attribute {name!r} already exists in {type(self).__name__}. Name the {kind} otherwise."
            )
        self._put(registry, name, value)
        self._unsaved.discard(name)

    def _put(self, registry: str, name: str, value: Any) -> None:
        """Put `value` in this registry, so that the name is found nowhere else."""
        kind, expected = self.KINDS[registry]
        if value is not None and not isinstance(value, expected):
            raise ArgumentTypeError(
                f"cannot assign {type(value).__name__!r} object to {kind} {name!r} of {type(self).__name__} "
                f"({expected.__name__} or None required). Wrap it, or delete the {kind} first."
            )
        for other in (self.__dict__, *(self.__dict__[other] for other in self.KINDS if other != registry)):
            other.pop(name, None)
        if registry != "_buffers":
            self._unsaved.discard(name)
        self.__dict__[registry][name] = value

    def _require_registries(self, kind: str) -> None:
        if "_unsaved" not in self.__dict__:
            raise ModuleAttributeError(
                f"cannot assign {kind}s before Module.__init__() call. "
                f"Begin {type(self).__name__}.__init__ with super().__init__()."
            )

    def _registry_of(self, name: str) -> str | None:
        """Return the registry that holds `name`, if one does."""
        own = self.__dict__
        for registry in self.KINDS:
            if registry in own and name in own[registry]:
                return registry
        return None

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            registry: str | None = "_parameters"
        elif isinstance(value, Registry):
            registry = "_modules"
        else:
            registry = self._registry_of(name)
        if registry is None:
            object.__setattr__(self, name, value)
        else:
            self._require_registries(self.KINDS[registry][0])
            self._put(registry, name, value)

    def __getattr__(self, name: str) -> Any:  # called only for what is no plain attribute
        own = self.__dict__
        for registry in REGISTRIES:
            if registry in own and name in (members := own[registry]):
                return members[name]
        raise ModuleAttributeError(f"{type(self).__name__!r} object has no attribute {name!r}. Assign it in __init__.")

    def __delattr__(self, name: str) -> None:
        registry = self._registry_of(name)
        if registry is None:
            object.__delattr__(self, name)
        else:
            del self.__dict__[registry][name]
            self._unsaved.discard(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for r in self.KINDS for name in self.__dict__.get(r, ()))})


Registry.KINDS = {
    "_parameters": ("parameter", Parameter),
    "_buffers": ("buffer", Tensor),
    "_modules": ("module", Registry),
}
REGISTRIES = tuple(Registry.KINDS)
