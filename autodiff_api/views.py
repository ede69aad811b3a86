"""Views: tensors that look through an op at their base, on any backend, mutable or not.

What PyTorch calls a view (basic indexing, reshape, permute_dims, mT ...) is a tensor that remembers its base and
the op. An in-place operation rebinds; so a view notices that its base was rebound by finding another value there,
and then derives itself again; and when the view is written to, it writes through to its base.

`detach()` gives the same data another history. Tensors that share data so know each other weakly, and whoever is
rebound tells the others: a detached tensor must not keep alive the graph that it was detached from.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import still
from .errors import InplaceError
from .graph import Edge, Leaf, move_retain, sharers
from .modes import mark, mode, no_grad, rare_used
from .record import Single
from .rules.kinds import derivative
from .rules.linalg import diagonal_x


class ViewMixin:
    """The value and the node of a view, derived again when the root was rebound."""

    __slots__ = ()
    _xp: Any
    _root: Any  # the tensor at the end of the chain of bases, which holds the data
    _parent: Any  # the tensor that this is a view of
    _seen: Any  # the root's value that `_own_value` was derived from
    _how: Derivation
    _own_value: Any
    _own_node: Edge | None
    _strides: tuple[int, ...]  # those that a contiguous root would give it; set when a reshape asks

    @property
    def _value(self) -> Any:
        if self._root._value is not self._seen:
            refresh(self)
        return self._own_value

    @_value.setter
    def _value(self, value: Any) -> None:
        with no_grad():
            write(self, self._xp.array_class._make(value))

    @property
    def _node(self) -> Edge | None:
        if self._root._value is not self._seen:
            refresh(self)
        return self._own_node

    @_node.setter
    def _node(self, node: Edge | None) -> None:
        self._own_node = node  # type: ignore[misc]  # the bound view class has the slots


class Derivation:
    """How a view comes from its base, and how a new value of the view becomes one of the base."""

    __slots__ = ("recorder", "recording", "statics")

    def __init__(self, recorder: Single, statics: tuple[Any, ...], recording: bool) -> None:
        self.recorder, self.statics, self.recording = recorder, statics, recording

    def is_item(self, key: Any) -> bool:
        """Tell whether the view is `base[key]`, for this very key."""
        return self.recorder.bound.op.name == "getitem" and self.statics[0] is key

    def derive(self, parent: Any) -> tuple[Any, Edge | None]:
        """Return the view's value and node, from its base as it is now."""
        return self.recorder.record(parent._value, parent._node if self.recording else None, self.statics)

    def write(self, parent: Any, new: Any) -> Any:
        """Return what the base becomes when the view becomes `new`: where(Lᵀ1, Lᵀnew, base)."""
        bound = self.recorder.bound
        xp, op = bound.xp, bound.op
        if not self.recording and mode().recording and (parent.requires_grad or new.requires_grad):
            raise InplaceError(
                "A view was created in no_grad mode and is being modified inplace with grad mode enabled: its base "
                "could not tell where the gradient goes. Make the view, or the change, in the other mode."
            )
        special = WRITES.get(op.name)
        if special is not None:
            return special(parent, new, self.statics, xp)
        rule = derivative(op, (True,))
        return rule.pull(new, rule.pick(parent, None, self.statics), xp)[0]


def _write_broadcast(parent: Any, new: Any, statics: tuple[Any, ...], xp: Any) -> Any:
    raise InplaceError(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory "
        "location. Please clone() the tensor before performing the operation."
    )


def _write_diagonal(parent: Any, new: Any, statics: tuple[Any, ...], xp: Any) -> Any:
    moved, covered = (diagonal_x(t, parent.shape, statics[0], xp) for t in (new, xp.ones_like(new)))
    return xp.where(covered != 0, moved, parent)


def _write_real(parent: Any, new: Any, statics: tuple[Any, ...], xp: Any) -> Any:
    return xp.complex(new, xp.imag(parent)) if parent._is_complex() else new


# A view op moves every element of its base, and its transpose moves them back; these select, or combine.
WRITES: dict[str, Callable[[Any, Any, tuple[Any, ...], Any], Any]] = {
    "broadcast_to": _write_broadcast,
    "getitem": lambda parent, new, statics, xp: xp.setitem(parent, statics[0], new),
    "imag": lambda parent, new, statics, xp: xp.complex(xp.real(parent), new),
    "linalg.diagonal": _write_diagonal,
    "real": _write_real,
}


def make_view(view_class: Any, base: Any, how: Any, value: Any, node: Edge | None) -> Any:
    """Return a view of `base` that currently has this value and node."""
    view = object.__new__(view_class)
    root = base._root if isinstance(base, ViewMixin) else base
    view._root, view._parent, view._how = root, base, how
    view._seen = root._value
    view._own_value, view._own_node = value, node
    if rare_used:
        mark(view)
    return view


def refresh(view: Any) -> None:
    """Derive a view again, after the bases between it and the root."""
    root = view._root
    now = root._value
    stale = []
    base = view
    while isinstance(base, ViewMixin) and base._seen is not now:
        stale.append(base)
        base = base._parent
    for view in reversed(stale):
        old = view._own_node
        value, node = view._how.derive(view._parent)
        if isinstance(old, Leaf):  # x[1:].requires_grad_(): still the same leaf
            old.rebind(value)
            node = old
        move_retain(old, node, view)
        view._own_value, view._own_node, view._seen = value, node, now


def write(tensor: Any, new: Any) -> None:
    """Give a tensor the value and history of another; a view gives its root a new value."""
    check_writable(tensor)
    if rare_used and getattr(tensor, "_inference", False) and not mode().inference:
        raise InplaceError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a "
            "normal tensor before doing inplace update."
        )
    if new._xp is not tensor._xp:
        raise InplaceError(
            f"a tensor of shape {tuple(tensor.shape)} from outside a transformed function can't be changed in place to "
            "values from inside it; make it an argument of the function, or make it there, with ad.zeros or a function "
            "of x.__array_namespace__()"
        )
    while isinstance(tensor, ViewMixin):
        new, tensor = tensor._how.write(tensor._parent, new), tensor._parent
    rebind(tensor, new._value, new._node if mode().recording else tensor._node)


def check_writable(tensor: Any, part: bool = False) -> None:
    """Raise if an in-place change would be recorded on a leaf that requires grad, or on a view (`part`) of one."""
    base = tensor if mode().recording else None
    while base is not None:
        if isinstance(base._node, Leaf):
            what = "a view of a leaf Variable" if part or base is not tensor else "a leaf Variable"
            raise InplaceError(
                f"{what} that requires grad is being used in an in-place operation. Use no_grad() to update it, "
                "or clone() it first."
            )
        base = base._parent if isinstance(base, ViewMixin) else None


def rebind(tensor: Any, value: Any, node: Edge | None) -> None:
    """Give a tensor that is no view a new value and node, and the value to those that share its data."""
    if value is tensor._value:  # an engine may return its argument; views notice a change by another object
        value = tensor._xp._lower.clone(value)
    move_retain(tensor._node, node, tensor)
    tensor._node = node
    for twin in sharers(tensor):
        twin._value = value
        if twin._node.__class__ is Leaf:
            twin._node.rebind(value)


class Sharers:
    """The tensors, none of them a view, that share one value under histories of their own."""

    __slots__ = ("_refs", "_room")

    def __init__(self) -> None:
        self._refs: list[weakref.ref[Any]] = []
        self._room = 8

    def add(self, tensor: Any) -> None:
        """Let a tensor share the value."""
        if len(self._refs) >= self._room:  # forget the dead now and then: some tensors are detached in every step
            self._refs = [ref for ref in self._refs if ref() is not None]
            self._room = 2 * len(self._refs) + 8
        self._refs.append(weakref.ref(tensor))
        tensor._sharers = self

    def tensors(self) -> list[Any]:
        """Return those that are alive."""
        return [tensor for ref in self._refs if (tensor := ref()) is not None]


def detached(tensor: Any) -> Any:
    """Return a tensor of the same data without history: of a view, the same view of the detached root."""
    chain = []
    while isinstance(tensor, ViewMixin):
        chain.append(tensor)
        tensor = tensor._parent
    if not hasattr(tensor, "_sharers"):
        Sharers().add(tensor)
    twin = tensor._xp.array_class._make(still(tensor._value))
    tensor._sharers.add(twin)
    for view in reversed(chain):
        how = Derivation(view._how.recorder, view._how.statics, True)
        twin = make_view(type(view), twin, how, view._value, None)
    return twin


def viewable(base: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether a reshape of `base` could look at the same memory: PyTorch and NumPy copy otherwise.

    Decided on the strides that a contiguous root would have, whatever the backend.
    """
    try:
        shadow_of(base).reshape(shape, copy=False)
    except ValueError:
        return False
    return True


def shadow_of(view: Any) -> Any:
    """Return a NumPy array of one byte of memory that pretends to have the view's shape and strides.

    Each view keeps its strides, so that a long chain of them is replayed once.
    """
    chain = []
    while isinstance(view, ViewMixin) and not hasattr(view, "_strides"):
        chain.append(view)
        view = view._parent
    strides = view._strides if isinstance(view, ViewMixin) else None
    shadow = _pretend(view.shape, strides)
    for view in reversed(chain):
        shadow = _on_shadow(view._how, shadow)
        view._strides = shadow.strides
    return shadow


def _pretend(shape: tuple[int, ...], strides: tuple[int, ...] | None) -> Any:
    if strides is None:
        strides = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype=np.int8), shape, strides)


def _on_shadow(how: Any, shadow: Any) -> Any:
    bound = how.recorder.bound
    name, statics = bound.op.name, how.statics
    if name == "getitem":
        parts = statics[0] if isinstance(statics[0], tuple) else statics
        return shadow[tuple([0 if hasattr(part, "ndim") else part for part in parts])]
    if name in ("real", "imag"):
        return shadow
    if name == "reshape":
        return shadow.reshape(statics[0], copy=False)
    if name == "linalg.diagonal":
        return np.diagonal(shadow, statics[0], -2, -1)
    return bound.invoke(getattr(np, name), (shadow,), statics)
