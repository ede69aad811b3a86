"""Views: tensors that look through an op at their base, on any backend, mutable or not.

What PyTorch calls a view (basic indexing, reshape, permute_dims, mT, detach ...) is a tensor that remembers its
base and the op. An in-place operation rebinds; so a view notices that its base was rebound by finding another
value there, and then derives itself again; and when the view is written to, it writes through to its base.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import InplaceError
from .graph import Edge, Leaf
from .modes import mode, no_grad
from .record import Recorder
from .rules.kinds import derivative

OVERLAPPING = {"broadcast_to"}


class ViewMixin:
    """The value and the node of a view, derived again when the root was rebound."""

    __slots__ = ()
    _root: Any  # the tensor at the end of the chain of bases, which holds the data
    _parent: Any  # the tensor that this is a view of
    _seen: Any  # the root's value that `_own_value` was derived from
    _how: Derivation
    _own_value: Any
    _own_node: Any

    @property
    def _value(self) -> Any:
        if self._root._value is not self._seen:
            refresh(self)
        return self._own_value

    @_value.setter
    def _value(self, value: Any) -> None:
        with no_grad():
            write(self, self._xp.array_class._make(value))  # type: ignore[attr-defined]

    @property
    def _node(self) -> Edge | None:
        if self._root._value is not self._seen:
            refresh(self)
        return self._own_node  # type: ignore[no-any-return]

    @_node.setter
    def _node(self, node: Edge | None) -> None:
        self._own_node = node


class Derivation:
    """How a view comes from its base, and how a new value of the view becomes one of the base."""

    __slots__ = ("recorder", "recording", "statics")

    def __init__(self, recorder: Recorder, statics: tuple[Any, ...], recording: bool) -> None:
        self.recorder, self.statics, self.recording = recorder, statics, recording

    def derive(self, parent: Any) -> tuple[Any, Edge | None]:
        """Return the view's value and node, from its base as it is now."""
        return self.recorder.record([parent._value], [parent._node], self.statics, self.recording)

    def write(self, parent: Any, new: Any) -> Any:
        """Return what the base becomes when the view becomes `new`: where(Lᵀ1, Lᵀnew, base)."""
        bound = self.recorder.bound
        xp, op = bound.xp, bound.op
        if op.name == "getitem":
            return xp.setitem(parent, self.statics[0], new)
        if op.name in OVERLAPPING:
            raise InplaceError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location. Please clone() the tensor before performing the operation."
            )
        rule = derivative(op, (True,))
        saved = rule.pick(parent, None, self.statics)
        moved = rule.pull(new, saved, xp)[0]
        if op.name != "linalg.diagonal":
            return moved
        covered = rule.pull(xp.ones_like(new), saved, xp)[0]
        return xp.where(covered != 0, moved, parent)


class Detachment:
    """How `detach()` comes from its base: the same value without history, and writes that leave none."""

    __slots__ = ()

    def derive(self, parent: Any) -> tuple[Any, Edge | None]:
        """Return the base's value, with no node."""
        return parent._value, None


DETACHED = Detachment()


def make_view(view_class: Any, base: Any, how: Any, value: Any, node: Edge | None) -> Any:
    """Return a view of `base` that currently has this value and node."""
    view = object.__new__(view_class)
    root = base._root if isinstance(base, ViewMixin) else base
    view._root, view._parent, view._how = root, base, how
    view._seen = root._value
    view._own_value, view._own_node = value, node
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
        value, node = view._how.derive(view._parent)
        if isinstance(view._own_node, Leaf):  # x.detach().requires_grad_(): still the same leaf
            view._own_node.rebind(value)
            node = view._own_node
        view._own_value, view._own_node, view._seen = value, node, now


def write(view: Any, new: Any) -> None:
    """Give a view a new value by giving its root one; recorded, unless a detach() lies between."""
    leaf = view._own_node if isinstance(view._own_node, Leaf) else None
    tracked = True
    while isinstance(view, ViewMixin):
        parent = view._parent
        if isinstance(view._how, Detachment):
            tracked = False
            new = new.detach()
        elif tracked and mode().recording:
            new = view._how.write(parent, new)  # type: ignore[union-attr]
        else:
            with no_grad():
                new = view._how.write(parent, new)  # type: ignore[union-attr]
        view = parent
    if tracked and leaf is None:
        refuse_leaf(view, "a view of a leaf Variable")
    rebind(view, new._value, new._node if tracked and mode().recording else view._node)


def refuse_leaf(tensor: Any, what: str = "a leaf Variable") -> None:
    """Raise if `tensor` is a leaf that requires grad and operations are being recorded."""
    if isinstance(tensor._node, Leaf) and mode().recording:
        raise InplaceError(
            f"{what} that requires grad is being used in an in-place operation. Use no_grad() to update it, "
            "or clone() it first."
        )


def rebind(tensor: Any, value: Any, node: Edge | None) -> None:
    """Give a tensor that is no view a new value and node."""
    tensor._value = value
    tensor._node = node
    if node.__class__ is Leaf:
        node.rebind(value)  # type: ignore[union-attr]


def is_basic(key: Any) -> bool:
    """Tell whether a key is made of integers, slices, None and Ellipsis: then indexing is a view."""
    if key.__class__ is tuple:
        return all(is_basic(part) for part in key)
    if key.__class__ is int or key.__class__ is slice or key is None or key is Ellipsis:
        return True
    return not isinstance(key, bool) and hasattr(key, "__index__") and not hasattr(key, "ndim")


def plain_key(key: Any, value_of: Callable[[Any], Any]) -> Any:
    """Return a key in which tensors are replaced by their values, and lists by index arrays."""
    if key.__class__ is int or key.__class__ is slice and _plain_slice(key):
        return key
    if key.__class__ is tuple:
        return tuple([plain_key(part, value_of) for part in key])
    if isinstance(key, slice):
        return slice(*[None if v is None else v.__index__() for v in (key.start, key.stop, key.step)])
    return value_of(key)


def _plain_slice(key: slice) -> bool:
    return all(v is None or v.__class__ is int for v in (key.start, key.stop, key.step))
