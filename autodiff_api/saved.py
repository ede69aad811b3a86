"""Saved values kept elsewhere: packed when a node is recorded, unpacked when a pass comes to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .errors import GraphError, HookError
from .graph import Absent, Node
from .modes import Mode, Switch, Watcher, mode, use_rare
from .values import is_array, mapped


class Packer(Watcher):
    """Packs what each node saves. With `pack` None nothing is packed, and nothing else may be: `message` says why."""

    def __init__(self, pack: Any = None, unpack: Any = None, message: str = "") -> None:
        self.pack, self.unpack, self.message = pack, unpack, message

    def recorded(self, node: Node) -> None:
        """Put what `pack` makes of a node's saved arrays in their place."""
        if self.pack is None or node.saved.__class__ is not tuple:
            return
        recipe, pack, parcels = node.recipe, self.pack, []
        make, custom = recipe.array._make, getattr(recipe, "opaque", False)

        def packed(value: Any) -> Parcel:
            parcels.append(Parcel(pack(make(value))))
            return parcels[-1]

        with unwatched():  # facts and static parameters have no source: they stay as they are
            entries = tuple(
                value if source is None and not custom else mapped(value, is_array, packed)
                for value, source in zip(node.saved, recipe.sources, strict=True)
            )
        if parcels:
            node.saved = Packed(entries, self.unpack)


class Parcel:
    """What `pack` made of one value."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


class Packed(Absent):
    """Stands in `Node.saved` where the values are packed."""

    __slots__ = ("entries", "unpack")

    def __init__(self, entries: tuple[Any, ...], unpack: Callable[[Any], Any]) -> None:
        self.entries, self.unpack = entries, unpack

    def values(self, node: Node, walk: Any) -> tuple[Any, ...]:
        """Unpack what a node saved; each pass does so anew."""
        array = node.recipe.array

        def value_of(parcel: Parcel) -> Any:
            tensor = self.unpack(parcel.content)
            if not isinstance(tensor, array):
                raise HookError(
                    "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                    f"{type(tensor).__name__}; return a tensor on backend {array._xp._backend.name!r}"
                )
            return tensor._value

        with unwatched():
            return tuple(mapped(e, lambda x: x.__class__ is Parcel, value_of) for e in self.entries)


class unwatched(Switch):
    """Neither record nor watch, while a user's function packs or unpacks."""

    def _changed(self, now: Mode) -> Mode:
        return replace(now, recording=False, watchers=())


class _Packing(Switch):
    """Let one packer see what is recorded, in place of the one before."""

    packer: Packer

    def _changed(self, now: Mode) -> Mode:
        use_rare()
        others = tuple(w for w in now.watchers if not isinstance(w, Packer))
        return replace(now, watchers=(*others, self.packer))


def innermost() -> Packer | None:
    """Return the packer that is at work here."""
    return next((w for w in mode().watchers if isinstance(w, Packer)), None)


class saved_tensors_hooks(_Packing):
    """Keep what `pack(tensor)` returns in place of each array that is saved for backward, till `unpack` is called.

    The innermost pair counts. `pack` receives a tensor without history, once for each array that a node saves;
    `unpack` receives what `pack` returned, in each pass that needs the array, and returns a tensor of the same
    backend, shape and dtype (HookError otherwise). Neither is recorded. A context manager and a decorator.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> with ad.autograd.graph.saved_tensors_hooks(lambda x: x.tolist(), ad.tensor):
    ...     y = x * x
    >>> y.sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        super().__init__()
        self.packer = Packer(pack_hook, unpack_hook)

    def _changed(self, now: Mode) -> Mode:
        if (forbidden := innermost()) is not None and forbidden.pack is None:
            raise GraphError(forbidden.message)
        return super()._changed(now)

    def _again(self) -> saved_tensors_hooks:
        return saved_tensors_hooks(self.packer.pack, self.packer.unpack)


class save_on_cpu(saved_tensors_hooks):
    """Keep what is saved for backward in the host's memory, and bring it back to its device when it is needed.

    `pin_memory` is accepted for PyTorch's sake: an array library has no such thing to say.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> with ad.autograd.graph.save_on_cpu():
    ...     y = x * x
    >>> y.sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pin_memory: bool = False) -> None:
        super().__init__(to_host, from_host)

    def _again(self) -> save_on_cpu:
        return save_on_cpu()


def to_host(tensor: Any) -> tuple[Any, Any, Any]:
    """Return a tensor's namespace, its device and its data as a NumPy array."""
    return tensor._xp, tensor.device, tensor._xp._backend.to_numpy(tensor._value)


def from_host(packed: tuple[Any, Any, Any]) -> Any:
    """Return the tensor that `to_host` took apart."""
    xp, device, data = packed
    return xp.asarray(data, device=device)


class disable_saved_tensors_hooks(_Packing):
    """Let an attempt to use :class:`saved_tensors_hooks` be an error (GraphError) that says `error_message`.

    >>> import autodiff_api as ad
    >>> with ad.autograd.graph.disable_saved_tensors_hooks("not here"):
    ...     with ad.autograd.graph.save_on_cpu():
    ...         pass
    Traceback (most recent call last):
    autodiff_api.errors.GraphError: not here
    """

    def __init__(self, error_message: str) -> None:
        super().__init__()
        self.packer = Packer(message=error_message)

    def _changed(self, now: Mode) -> Mode:
        if (active := innermost()) is not None and active.pack is not None:
            raise GraphError(f"{self.packer.message} (it was entered while saved_tensors_hooks was on)")
        return super()._changed(now)

    def _again(self) -> disable_saved_tensors_hooks:
        return disable_saved_tensors_hooks(self.packer.message)
