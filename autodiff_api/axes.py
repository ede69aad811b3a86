"""Axes that a caller names: made positive, or refused with the function, the axis and the shape in the text."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from .errors import ArgumentError, ArgumentTypeError, AxisError

Shape = Sequence[int]


def axis_error(function: str, given: str, shapes: Sequence[Shape], room: int) -> AxisError:
    """Return the error for `given`, such as "axis=4", where arrays of these shapes have `room` axes.

    >>> print(axis_error("sort", "axis=2", [(3, 4)], 2))
    sort: axis=2 does not fit shape (3, 4), whose axes are -2 to 1
    """
    have = f"whose axes are {-room} to {room - 1}" if room else "which has no axes; give it one with reshape"
    named = f"shape{'s' * (len(shapes) > 1)} {', '.join(str(tuple(s)) for s in shapes)}"
    return AxisError(f"{function}: {given} does not fit {named}, {have}")


def one_axis(function: str, axis: Any, shape: Shape) -> int:
    """Return an axis of an array of `shape` as a number from 0.

    >>> one_axis("sort", -1, (3, 4))
    1
    """
    try:
        place = operator.index(axis)
    except TypeError:
        raise ArgumentTypeError(f"{function}: an axis is an integer, not {axis!r}") from None
    room = len(shape)
    if not -room <= place < room:
        raise axis_error(function, f"axis={place}", [shape], room)
    return place % room


def all_axes(function: str, axis: Any, shape: Shape) -> tuple[int, ...]:
    """Return one axis, several, or, for None, all of them, as numbers from 0; refuse one that is named twice.

    >>> all_axes("median", (0, -1), (2, 3, 4))
    (0, 2)
    """
    if axis is None:
        return tuple(range(len(shape)))
    places = tuple(one_axis(function, a, shape) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(places)) < len(places):
        raise ArgumentError(f"{function}: axis={tuple(axis)} names one axis of shape {tuple(shape)} twice")
    return places
