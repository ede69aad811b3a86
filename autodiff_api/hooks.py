"""Hooks called: by a pass, with the cotangents that it carries, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

from .errors import GraphError, HookError
from .graph import Edge, Parts
from .modes import no_grad

current: ContextVar[Any] = ContextVar("autodiff_api.walk", default=None)  # the pass whose hook is being called


class HookCalls:
    """The part of a pass that calls hooks. `create` and `over` are the pass's own, `retained` what it collects."""

    create: bool
    over: Any
    retained: list[tuple[Any, Any]]

    def array_of(self, node: Any) -> Any:
        """Return the tensor class that hooks at a node see."""
        return node.array if self.over is None else self.over._tensors.array_class

    def shown(self, node: Any, t: Any) -> Any:
        """Return a cotangent at a node as hooks see it: a tensor, or the tuple of those of several outputs."""
        if t.__class__ is Parts:
            return tuple(self.shown(node, part) for part in t)
        return t if t is None or (self.create and self.over is None) else self.array_of(node)._make(t)

    def taken(self, tensor: Any) -> Any:
        """Return a hook's tensor as the pass carries it."""
        return tensor if tensor is None or (self.create and self.over is None) else tensor._value

    def _called(self, hook: Callable[..., Any], *args: Any) -> Any:
        token = current.set(self)
        try:
            with nullcontext() if self.create else no_grad():
                return hook(*args)
        finally:
            current.reset(token)

    def on(self, node: Edge, t: Any) -> Any:
        """Call the hooks of a tensor with its total cotangent, note it for `retain_grad`, and return it."""
        hooks = node.hooks
        assert hooks is not None
        if hooks.on:
            tensor = self.shown(node, t)
            for hook in list(hooks.on.values()):
                replaced = self._called(hook, tensor)
                if replaced is not None:
                    check_cotangent(replaced, node, self.array_of(node))
                    tensor = replaced
            t = self.taken(tensor)
        if hooks.retain is not None:
            tensor = hooks.retain()
            if tensor is not None:
                self.retained.append((tensor, t))
        return t

    def before(self, node: Edge, t: Any) -> Any:
        """Call a node's pre-hooks and return the cotangent that they leave."""
        hooks = node.hooks
        assert hooks is not None
        if not hooks.before:
            return t
        several = t.__class__ is Parts
        outputs = self.shown(node, t if several else Parts((t,)))
        for hook in list(hooks.before.values()):
            replaced = checked(self._called(hook, outputs), outputs, node, hook)
            pairs = zip(replaced, outputs, strict=True)
            outputs = tuple(old._xp.zeros_like(old) if new is None and old is not None else new for new, old in pairs)
        taken = Parts(map(self.taken, outputs))
        return taken if several else taken[0]

    def behind(self, node: Edge, inputs: Sequence[Any], t: Any) -> list[Any]:
        """Call a node's hooks with the cotangents of its inputs and outputs; return those of the inputs."""
        hooks = node.hooks
        assert hooks is not None
        outputs = self.shown(node, t if t.__class__ is Parts else Parts((t,)))
        grads = tuple(self.shown(node, g) for g in inputs)
        for hook in list(hooks.behind.values()):
            grads = checked(self._called(hook, grads, outputs), grads, node, hook)
        return [self.taken(g) for g in grads]


def check_cotangent(g: Any, node: Edge, array: Any) -> None:
    """Refuse what a tensor hook returned if it does not have the gradient's class, shape and dtype."""
    if not isinstance(g, array):
        raise HookError(
            f"a tensor hook on {node.name()}: expected a tensor of the same backend, or None, but hook returned "
            f"{type(g).__name__!r}"
        )
    if tuple(g.shape) != tuple(node.shape) or g.dtype != node.dtype:
        raise GraphError(
            f"a tensor hook on {node.name()} returned shape {tuple(g.shape)}, dtype {g.dtype}, where the gradient "
            f"has shape {tuple(node.shape)}, dtype {node.dtype}; return one like the gradient that it received"
        )


def checked(replaced: Any, given: tuple[Any, ...], node: Edge, hook: Callable[..., Any]) -> tuple[Any, ...]:
    """Return what a node's hook makes of a tuple of gradients: one or None for each; None leaves them."""
    if replaced is None:
        return given
    place = f"a hook on {node.name()}"
    if not isinstance(replaced, tuple):
        raise HookError(f"{place}: expected tuple, but hook returned {type(replaced).__name__!r}")
    if len(replaced) != len(given):
        name = getattr(hook, "__name__", type(hook).__name__)
        raise GraphError(
            f"{place}: hook {name!r} has returned an incorrect number of values "
            f"(got {len(replaced)}, but expected {len(given)})"
        )
    return tuple(_replacement(new, old, place) for new, old in zip(replaced, given, strict=True))


def _replacement(new: Any, old: Any, place: str) -> Any:
    if old is None:
        if new is not None:
            raise GraphError(f"{place}: can't replace a None gradient with a non-None value")
        return None
    if new is None:
        return None
    if not isinstance(new, old._xp.array_class):
        raise HookError(f"{place}: expected a tensor of the same backend, but hook returned {type(new).__name__!r}")
    if tuple(new.shape) != tuple(old.shape) or new.dtype != old.dtype:
        raise GraphError(
            f"{place} returned a gradient of shape {tuple(new.shape)}, dtype {new.dtype} in place of one of shape "
            f"{tuple(old.shape)}, dtype {old.dtype}; return one like that which it received"
        )
    return new


# --- hooks on several tensors ---


class Handles:
    """Remove several hooks at once."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles

    def remove(self) -> None:
        """Remove them all; harmless when called twice or during backward."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Handles:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable[[Any], Any], *, mode: str = "all") -> Handles:
    """Call `fn` once in each pass, when the gradients of these tensors are known.

    With mode "all", `fn` receives a list with the gradient of each tensor, as soon as all are known that the pass
    computes: None for those it does not. With mode "any" it receives the first one that is known. Whatever `fn`
    returns is ignored. Returns a handle whose `remove()` takes the hooks away again. A tensor that requires no
    gradient is an error (GradientError) with "all", and left out with "any".

    >>> import autodiff_api as ad
    >>> a, b = ad.tensor(2.0, requires_grad=True), ad.tensor(3.0, requires_grad=True)
    >>> handle = ad.autograd.graph.register_multi_grad_hook((a, b), print)
    >>> (a * b).backward()
    [tensor(3.), tensor(2.)]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = [x for x in tensors if mode == "all" or x.requires_grad]
    key = object()  # of what this hook keeps in a pass

    def hook_of(i: int) -> Callable[[Any], None]:
        def all_known(grad: Any) -> None:
            walk = current.get()
            if key not in walk.notes:
                walk.notes[key] = [None] * len(nodes), sum(map(walk.will_visit, nodes))
            grads, missing = walk.notes[key]
            grads[i] = grad
            walk.notes[key] = grads, missing - 1
            if missing == 1:
                fn(grads)

        def first_known(grad: Any) -> None:
            if current.get().notes.setdefault(key, i) == i:
                fn(grad)

        return all_known if mode == "all" else first_known

    handles = [x.register_hook(hook_of(i)) for i, x in enumerate(tensors)]
    nodes = [x._node for x in tensors]  # as they are now: a hook stays with this version of its tensor
    return Handles(handles)
