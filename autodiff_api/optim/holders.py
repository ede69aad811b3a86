"""Who holds an array: whether its memory may be written into without anybody seeing it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from autodiff_api.graph import Leaf
from autodiff_api.tensors import Tensor
from autodiff_api.views import ViewMixin

from .types import State


class Slot:
    """What holds one object, to learn what the interpreter counts for that."""

    __slots__ = ("held",)
    held: object


COUNTS = hasattr(sys, "getrefcount") and getattr(sys, "_is_gil_enabled", lambda: True)()
references: Any = getattr(sys, "getrefcount", None)


def baseline() -> int:
    """Return what the interpreter counts beside the places that hold an object, while it is asked."""
    one = Slot()
    one.held = object()
    return int(references(one.held)) - 1


ASKED = baseline() if COUNTS else 0


def is_alone(param: Tensor, states: Mapping[Tensor, State]) -> bool:
    """Tell whether nobody else holds the arrays of a parameter and its state: no tensor, view, graph, array or user.

    Each array must be held as often as is known here; one reference more, and it is somebody else's, too.
    """
    if not COUNTS or isinstance(param, ViewMixin):
        return False
    leaf = param._node.__class__ is Leaf
    if references(param._value) != ASKED + 1 + leaf:
        return False
    if param not in states:
        return True
    if references(states[param]) != ASKED + 1:
        return False
    state = states[param]
    return all(is_own(state, key) for key in state if key != "step")


def is_own(state: State, key: str) -> bool:
    """Tell whether a tensor and its array are nobody else's."""
    if references(state[key]) != ASKED + 1 or isinstance(state[key], ViewMixin) or state[key]._node is not None:
        return False
    return bool(references(state[key]._value) == ASKED + 1)
