"""Which namespace of tensors a transformation works in, and how arrays get in and out of it.

A transformation that needs another array type puts its arrays on the tensors that are in use, and fresh tensors on
top of those: `jvp` inside `vmap` computes with tensors over duals over tensors over batched arrays. Each stands
on all that are active, so no derivative is ever taken for another's. What they have in common, the lowest namespace of
tensors, is the one that users hold: what requires grad there keeps its graph through any transformation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from .arrays import Array
from .binding import namespace
from .errors import ArgumentTypeError, BatchingError
from .namespaces import Namespace, mismatch
from .values import is_array

TOPS: ContextVar[dict[int, Namespace]] = ContextVar("autodiff_api.levels", default={})  # noqa: B039 (never changed)


def current(xp: Namespace) -> Namespace:
    """Return the highest namespace of tensors in use over the engine of `xp`."""
    top = TOPS.get().get(id(xp._root))
    return xp if top is None or top._height < xp._height else top


@contextmanager
def entered(xp: Namespace) -> Iterator[None]:
    """Let `xp` be the highest namespace of tensors while a function runs."""
    token = TOPS.set({**TOPS.get(), id(xp._root): xp})
    try:
        yield
    finally:
        TOPS.reset(token)


def home(leaves: Iterable[Any]) -> Namespace:
    """Return the namespace of tensors for arguments: the highest in use over their engine.

    Without a tensor among them it is the engine of the first raw array, where NumPy's arrays give way to another's.
    """
    own, raw = None, None
    for x in leaves:
        xp = getattr(type(x), "_xp", None)
        if isinstance(xp, Namespace):
            own = xp if own is None or xp._height > own._height else own
        elif own is None and is_array(x) and (raw is None or isinstance(raw, np.ndarray | np.generic)):
            raw = x
    return current(namespace(raw) if own is None else own)


def ground(xp: Namespace) -> Namespace:
    """Return the lowest namespace of tensors below `xp`: the one that users hold, or that a compiled function sees."""
    while not xp._compiles and isinstance(below := xp._lower._namespace, Namespace):
        xp = below
    return xp


def lift(x: Any, xp: Namespace) -> Any:
    """Return an array of any level below, a raw array or a number as an array of `xp`; its history stays its own."""
    cls = xp.array_class
    if isinstance(x, cls):
        return x
    below = xp._lower._namespace
    if isinstance(below, Namespace):
        lifted = lift(x, below)
        return cls._make(lifted._as_now() if lifted is x else lifted)
    if isinstance(x, Array):
        if x._xp.above(cls) is xp and not getattr(x, "requires_grad", False):
            return cls._make(x._as_now()._value)  # a constant, beside which this array type stands
        raise mismatch("a transformation", xp, x)
    return cls._make(x if isinstance(x, xp._array_types) else xp._lower.asarray(x))


def number(x: Any, xp: Namespace, where: str) -> Any:
    """Return a leaf of a function's arguments or results as a tensor of `xp`; an error for what is no number."""
    if not is_array(x) and not isinstance(x, bool | int | float | complex):
        raise ArgumentTypeError(f"{where}: expected an array or a number, got {type(x).__name__}")
    return lift(x, xp)


def lowered(x: Any) -> Any:
    """Return a tensor's raw array, if it is no more than that: no history, no derivative, no hidden axis."""
    return x._value if x._node is None and not isinstance(x._value, Array) else x


def lowest(x: Any) -> Any:
    """Return the engine's array, or the Python number, at the bottom of an array of any level."""
    while isinstance(x, Array):
        x = x._value
    return x


class Draws(NamedTuple):
    """How the members of a mapped function draw random numbers: not at all, the same for all, or each its own."""

    randomness: str
    members: int
    xp: Namespace  # of the tensors that are mapped over

    def hide(self, x: Any) -> Any:
        """Return an array whose first axis is that of the members with the axis out of sight."""
        batched = self.xp._over("batched")
        return batched._tensors.array_class._make(batched.array_class._make(lift(x, self.xp)._as_now(), True))


DRAWS: ContextVar[tuple[Draws, ...]] = ContextVar("autodiff_api.draws", default=())


# What gives a function that is being compiled an array that is another at each call, as a tensor, given what makes the
# raw array; None outside of such functions.
ANEW: ContextVar[Callable[[Callable[[], Any]], Any] | None] = ContextVar("autodiff_api.anew", default=None)


@contextmanager
def drawing(draws: Draws) -> Iterator[None]:
    """Let random numbers be drawn so while a mapped function runs."""
    token = DRAWS.set((*DRAWS.get(), draws))
    try:
        yield
    finally:
        DRAWS.reset(token)


def apart() -> list[Draws]:
    """Return the mapped functions, the outermost first, whose members each draw their own random numbers."""
    active = DRAWS.get()
    if any(draws.randomness == "error" for draws in active):
        raise BatchingError(
            "vmap: called random operation while in randomness error mode, since it is not said whether all draw the "
            "same numbers: pass randomness='same' or 'different' to vmap, or draw outside"
        )
    return [draws for draws in active if draws.randomness == "different"]
