"""Modules: named parameters, buffers and submodules, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from autodiff_api.tensors import Tensor

from .parameter import Parameter
from .placement import floating, move_parameter, moved
from .registry import Registry
from .state import IncompatibleKeys, clear_gradients, load

M = TypeVar("M", bound="Module")


class Module(Registry):
    """Base of everything with parameters: assign parameters and modules as attributes.

    A subclass calls `super().__init__()` first and defines `forward`.

    >>> import autodiff_api as ad
    >>> class Line(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = ad.nn.Parameter(ad.tensor(2.0))
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> Line()(ad.tensor([1.0, 2.0]))
    tensor([2., 4.], grad_fn=<Multiply>)
    >>> Line().state_dict()
    {'slope': tensor(2.)}
    """

    training: bool

    def __init__(self) -> None:
        super().__init__()
        self.training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; every subclass defines its own.

        Raises `NotImplementedError` where none does.
        """
        name = type(self).__name__
        raise NotImplementedError(f'Module [{name}] is missing the required "forward" function. Define it.')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call `forward`."""
        return self.forward(*args, **kwargs)

    # Looking in: walks in order of registration, each thing once

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it, each with its dotted name."""
        seen: set[int] = set()
        pending: list[tuple[str, Module]] = [(prefix, self)]
        while pending:
            path, module = pending.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            children = module._modules.items()
            below = [(join(path, name), child) for name, child in children if child is not None]
            pending.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules right below this one, with their names."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the modules right below this one."""
        return (module for _, module in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter with its dotted name; a shared one under its first name only."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every parameter, a shared one once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield every buffer with its dotted name; a shared one under its first name only."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield every buffer, a shared one once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]:
            for name, member in module.__dict__[registry].items():
                if member is None or (remove_duplicate and id(member) in seen):
                    continue
                seen.add(id(member))
                yield join(path, name), member

    # Saving

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """Return every parameter and persistent buffer by its dotted name, detached.

        As in PyTorch the tensors share their values with the module, so a later step changes them too:
        `copy.deepcopy` keeps what they are now. `keep_vars=True` gives the parameters themselves.
        """
        own = self._saved(prefix)
        return own if keep_vars else {name: tensor.detach() for name, tensor in own.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy the values of a state dict into the parameters and buffers; all or nothing.

        Values may be tensors of any backend and device or NumPy arrays, and are cast to the module's dtypes.
        `strict=False` loads what is there and returns the names that didn't match.
        Raises `StateDictError`, with every reason, where the state dict doesn't fit.

        >>> import autodiff_api as ad
        >>> first, second = ad.nn.Linear(2, 1), ad.nn.Linear(2, 1)
        >>> second.load_state_dict(first.state_dict())
        <All keys matched successfully>
        """
        return load(type(self).__name__, self._saved(""), state_dict, strict)

    def _saved(self, prefix: str) -> dict[str, Tensor]:
        """Return what belongs in a state dict; a shared tensor is there under each of its names."""
        saved: dict[str, Tensor] = {}
        for path, module in self.named_modules(remove_duplicate=False):
            members = {**module._parameters, **module._buffers}
            for name, member in members.items():
                if member is not None and name not in module._unsaved:
                    saved[prefix + join(path, name)] = member
        return saved

    # Changing

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call `fn` on every module, those below first, and return this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Set `training`, which `Dropout` looks at, here and below."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Leave training mode, here and below."""
        return self.train(False)

    def to(self: M, *targets: Any, dtype: Any = None, device: Any = None) -> M:
        """Move every parameter and buffer to a device and/or a floating-point dtype, and return the module.

        `targets` are a device, a dtype of the backend, or a tensor that has both. Integers keep their dtype.
        Parameters stay the same objects, so an optimizer goes on with them.

        >>> import autodiff_api as ad
        >>> ad.nn.Linear(2, 1).to(ad.float32).weight.dtype == ad.float32
        True
        """
        held = [*self.parameters(), *self.buffers()]
        if held:
            dtype, device = floating(held[0].__array_namespace__(), targets, dtype, device)
        for parameter in self.parameters():
            move_parameter(parameter, dtype, device)
        for module in self.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = moved(buffer, dtype, device)
        return self

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Set `requires_grad` of every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set every parameter's `grad` to None, or to zeros."""
        clear_gradients(self.parameters(), set_to_none)

    # Describing

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the module's own line."""
        return ""

    def __repr__(self) -> str:
        below = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        extra = self.extra_repr()
        if below:
            lines = [*(extra.splitlines() if extra else ()), *below]
            return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"
        return f"{type(self).__name__}({extra})"


def join(path: str, name: str) -> str:
    """Return the dotted name of `name` in the module at `path`."""
    return f"{path}.{name}" if path else name


def indented(text: str) -> str:
    """Return `text` with all but its first line two columns further right."""
    return text.replace("\n", "\n  ")
