"""Loops that end when a condition says so: Python's, or the engine's own while it compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import levels
from ..control import while_loop


def known(x: Any) -> bool | None:
    """Return a truth value, of many whether all are true; None while a compiler traces it and nobody knows it yet."""
    xp = None
    while hasattr(type(x), "_xp"):
        xp, x = x._xp._lower, x._value
    try:
        return bool(x if xp is None or not x.ndim else xp.all(x))
    except TypeError:
        return None


def traced(x: Any) -> bool:
    """Tell whether a compiler traces an array."""
    return known(x == x) is None


def repeat(going: Callable[..., Any], step: Callable[..., Any], *state: Any) -> Any:
    """Return the state, tensors of the lowest level, after as many steps as leave `going(*state)` false."""
    while (goes := known(going(*state))) is not None:
        if not goes:
            return state
        state = step(*state)
    return _compiled(going, step, state)


def _compiled(going: Callable[..., Any], step: Callable[..., Any], state: tuple[Any, ...]) -> Any:
    """Let the engine loop over arrays of the lowest level, while the steps compute with those that are in use."""
    xp = state[0]._xp
    top = levels.current(xp)

    with levels.entered(xp):
        return while_loop(
            inside(top, lambda state: going(*state)), inside(top, lambda state: tuple(step(*state))), state
        )


def inside(top: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that runs while `top` is the highest namespace in use."""

    def called(*args: Any) -> Any:
        with levels.entered(top):
            return function(*args)

    return called
