"""Why users' functions run: for their results, to be tried, or again in a pass backward."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from ..graph import Leaf
from ..random import default_generator


class Run:
    """A run for another purpose than results, and all runs inside it.

    A `trial` shows what results depend on and consist of, whichever branch is taken. A run `again` is one of what
    functions were when they were handed in. `held` are leaves that keep the values that they had then.
    """

    current: ContextVar[Run | None] = ContextVar("autodiff_api.control.run", default=None)

    def __init__(self, trial: bool = False, again: bool = False) -> None:
        self.trial, self.again = trial, again
        self.held: set[Leaf] = set()
        self._tokens: list[Token[Run | None]] = []

    def __enter__(self) -> Run:
        outer = self.current.get()
        if outer is not None:
            self.trial, self.again, self.held = self.trial or outer.trial, self.again or outer.again, outer.held
        self._tokens.append(self.current.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        self.current.reset(self._tokens.pop())


def in_trial() -> bool:
    """Tell whether results are not wanted, but what they depend on."""
    run = Run.current.get()
    return run is not None and run.trial


def tried(function: Callable[..., Any], *args: Any) -> tuple[Any, bool]:
    """Try a function: return what it gives, and whether it drew random numbers, which the next run draws again."""
    before = default_generator.get_state()
    with Run(trial=True):
        result = function(*args)
    if default_generator.get_state() == before:
        return result, False
    default_generator.set_state(before)
    return result, True
