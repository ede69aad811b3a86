"""Views: tensors that look through an op at their base, on any backend, mutable or not.

What PyTorch calls a view (basic indexing, reshape, permute_dims, mT ...) is a tensor that remembers its base and
the op. An in-place operation rebinds; so a view notices that its base was rebound by finding another value there,
and then derives itself again; and when the view is written to, it writes through to its base.

`detach()` gives the same data another history. Tensors that share data so know each other weakly, and whoever is
rebound tells the others: a detached tensor must not keep alive the graph that it was detached from.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .arrays import still
from .errors import InplaceError
from .graph import Edge, Leaf, move_retain, new_node, sharers
from .modes import mark, mode, no_grad, rare_used, recorded
from .record import Single
from .rules.kinds import derivative
from .rules.linalg import diagonal_x
from .strides import STRIDES, contiguous, regrouped

new_object = object.__new__


class ViewMixin:
    """The value and the node of a view, derived again when the root was rebound."""

    __slots__ = ()
    _xp: Any
    _root: Any  # the tensor at the end of the chain of bases, which holds the data
    _parent: Any  # the tensor that this is a view of
    _seen: Any  # the root's value that `_own_value` was derived from
    _recorder: Single  # how it comes from its parent: the op,
    _statics: tuple[Any, ...]  # its static arguments,
    _recording: bool  # and whether that may be recorded
    _own_value: Any
    _own_node: Edge | None
    _strides: tuple[int, ...] | None  # those that a contiguous root would give it; found when a reshape asks

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


def _transposed(view: Any, new: Any) -> Any:
    """Return what the view's parent becomes when the view becomes `new`: where(Lᵀ1, Lᵀnew, parent)."""
    parent, statics, bound = view._parent, view._statics, view._recorder.bound
    xp, op = bound.xp, bound.op
    if not view._recording and mode().recording and (parent.requires_grad or new.requires_grad):
        raise InplaceError(
            "A view was created in no_grad mode and is being modified inplace with grad mode enabled: its base "
            "could not tell where the gradient goes. Make the view, or the change, in the other mode."
        )
    special = WRITES.get(op.name)
    if special is not None:
        return special(parent, new, statics, xp)
    rule = derivative(op, (True,))
    return rule.pull(new, rule.pick(parent, None, statics), xp)[0]


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


def viewer(view_class: Any, recorder: Single) -> Callable[[Any, tuple[Any, ...]], Any]:
    """Return a function that makes of a tensor, or of a view, the view that an op shows with its static arguments."""
    bound, recipe = recorder.bound, None
    kernel, invoke = bound.kernel, bound.invoke

    def view_of(x: Any, statics: tuple[Any, ...]) -> Any:
        nonlocal recipe
        if x.__class__ is view_class:
            root = x._root
            if root._value is not x._seen:
                refresh(x)
            value, node = x._own_value, x._own_node
        else:
            root, value, node = x, x._value, x._node
        try:
            out = invoke(kernel, (value,), statics)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            bound.explain((value,), statics, error)
            raise
        recording = mode().recording
        if node is not None:
            if not recording:
                node = None
            else:
                recipe = recipe or recorder.recipe_for((True,))
                node = new_node(recipe, statics, (node,), recipe.pick(value, out, statics), out.shape, out.dtype)
                if rare_used:
                    recorded(node)
        view = new_object(view_class)
        view._own_value, view._own_node = out, node
        view._root, view._parent, view._seen = root, x, root._value
        view._recorder, view._statics, view._recording, view._strides = recorder, statics, recording, None
        if rare_used:
            mark(view)
        return view

    return view_of


def is_item(view: Any, key: Any) -> bool:
    """Tell whether a view is its parent's item, for this very key."""
    return view._recorder.bound.op.name == "getitem" and view._statics[0] is key


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
        parent = view._parent
        value, node = view._recorder.record(parent._value, parent._node if view._recording else None, view._statics)
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
        new, tensor = _transposed(tensor, new), tensor._parent
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


def viewable(view: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether a reshape of a view could look at the same memory: PyTorch and NumPy copy otherwise.

    Decided on the strides that a contiguous root would have, whatever the backend.
    """
    return regrouped(view._own_value.shape, strides_of(view), shape) is not None


def strides_of(view: Any) -> tuple[int, ...]:
    """Return the strides of a view. Each view keeps its own, so that a long chain of them is gone through once."""
    chain: list[Any] = []
    base: Any = view
    while isinstance(base, ViewMixin) and base._strides is None:
        chain.append(base)
        base = base._parent
    shape = base.shape
    strides: Any = base._strides if isinstance(base, ViewMixin) else contiguous(shape)
    for part in reversed(chain):
        shown = part._own_value.shape
        strides = STRIDES[part._recorder.bound.op.name](shown, shape, strides, *part._statics)
        part._strides, shape = strides, shown
    return strides  # type: ignore[no-any-return]


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
        twin = viewer(type(view), view._recorder)(twin, view._statics)
        twin._recording = True
    return twin
