"""Loops that end when a condition says so: Python's, or the engine's own while it compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import levels


def known(x: Any) -> bool | None:
    """Return a truth value; None while a compiler traces it, since then nobody knows it yet."""
    while hasattr(type(x), "_xp"):
        x = x._value
    try:
        return bool(x)
    except TypeError:
        return None


def repeat(going: Callable[..., Any], step: Callable[..., Any], *state: Any) -> Any:
    """Return the state, tensors of the lowest level, after as many steps as leave `going(*state)` false."""
    while (goes := known(going(*state))) is not None:
        if not goes:
            return state
        state = step(*state)
    return _compiled(going, step, state)


def _compiled(going: Callable[..., Any], step: Callable[..., Any], state: tuple[Any, ...]) -> Any:
    """Let the engine loop over arrays of the lowest level, while the steps compute with those that are in use."""
    from ..control import while_loop  # late: only what is compiled needs it

    xp = state[0]._xp
    top = levels.current(xp)

    def inside(function: Callable[..., Any]) -> Callable[[Any], Any]:
        def called(state: Any) -> Any:
            with levels.entered(top):
                return function(*state)

        return called

    with levels.entered(xp):
        return while_loop(inside(going), inside(lambda *s: tuple(step(*s))), state)
