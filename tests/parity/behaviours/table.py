"""A table of behaviours: a sentence, a small program, and what PyTorch and autodiff_api make of it.

A row is a function of the library, PyTorch or autodiff_api, that returns plain data or tensors::

    @tensor("an operation is recorded if an input requires grad")
    def recorded(ag):
        return (ag.ones(2, requires_grad=True) * 2.0).requires_grad

Both must return the same; with `error="words"` raise what the same `except` would catch, the words in its text; with
`warning="words"` warn so. A row that says `ours="why"` differs on purpose, and states both outcomes.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from observing import OPEN, Seen, caught_as, observe, same

BACKENDS = ("numpy", "jax")


class Fails(NamedTuple):
    """An outcome: an exception, by a built-in class of its and words of its text."""

    error: type[Exception]
    words: str


class Warns(NamedTuple):
    """An outcome: a warning, by words of its text, and a value."""

    words: str
    value: Any = None


class Row(NamedTuple):
    """One behaviour."""

    chapter: str
    sentence: str
    run: Callable[[Any], Any]
    error: str = ""
    warning: str = ""
    ours: str = ""  # why autodiff_api differs, if it does so on purpose
    torch: Any = None  # and what PyTorch gives then
    here: Any = None  # and autodiff_api


class Table(list[Row]):
    """The rows of one chapter; called, a decorator that adds one."""

    def __init__(self, chapter: str):
        self.chapter = chapter

    def __call__(self, sentence: str, **facts: Any) -> Callable:
        def add(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
            self.append(Row(self.chapter, sentence, run, **facts))
            return run

        return add


class Outcome(NamedTuple):
    """What a program came to."""

    value: Any
    problem: Exception | None
    warned: str  # the texts of its warnings

    def is_(self, expected: Any) -> bool:
        """Tell whether this is the outcome that a row states."""
        if isinstance(expected, Fails):
            return isinstance(self.problem, expected.error) and expected.words in str(self.problem)
        words, value = expected if isinstance(expected, Warns) else ("", expected)
        plain = self.value[2] if isinstance(self.value, Seen) else self.value
        return self.problem is None and bool(words) == bool(self.warned) and words in self.warned and same(plain, value)

    def __str__(self) -> str:
        if self.problem is not None:
            return f"{caught_as(type(self.problem))[0]}: {self.problem}"
        return str(self.value) + (f", and warns: {self.warned}" if self.warned else "")


def outcome(row: Row, engine: str) -> Outcome:
    """Run a row on "torch", or on autodiff_api with "numpy" or "jax", if it was not yet."""
    return _outcome(row.run, engine, bool(row.error or row.ours))


@functools.cache
def _outcome(run: Callable[[Any], Any], engine: str, may_fail: bool) -> Outcome:
    with OPEN[engine]() as library, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value, problem = None, None
        try:
            value = observe(run(library))
        except Exception as error:
            if not may_fail:
                raise
            problem = error.with_traceback(None)
    return Outcome(value, problem, " | ".join(str(w.message) for w in caught))


def check(row: Row, backend: str) -> None:
    """Raise an AssertionError if `backend` does not do what PyTorch does, or what the row states."""
    theirs, ours = outcome(row, "torch"), outcome(row, backend)
    text = f"{row.chapter}: {row.sentence}\n  PyTorch: {theirs}\n  {backend}: {ours}"
    if row.ours:
        assert theirs.is_(row.torch) and ours.is_(row.here), f"{text}\n  stated: {row.torch} and {row.here}"
    elif row.error:
        assert theirs.problem is not None and ours.problem is not None, text
        assert caught_as(type(theirs.problem))[0] in caught_as(type(ours.problem)), text
        assert row.error in str(theirs.problem) and row.error in str(ours.problem), text
    else:
        assert same(theirs.value, ours.value), text
        assert row.warning in theirs.warned and row.warning in ours.warned, text
        assert row.warning or not ours.warned, text


def holds(row: Row, backend: str) -> bool:
    """Tell whether the row is true of a backend."""
    try:
        check(row, backend)
    except AssertionError:
        return False
    return True


def leaf(ag: Any, *values: float) -> Any:
    """Give a leaf that requires grad."""
    return ag.tensor(list(values) or [1.0, 2.0], requires_grad=True)


def gradient(ag: Any, f: Callable[[Any], Any], *values: float) -> Any:
    """Give the gradient of the sum of f at a leaf."""
    x = leaf(ag, *values)
    f(x).sum().backward()
    return x.grad
