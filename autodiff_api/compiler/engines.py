"""What makes a program of a function: the engine's own compiler, or tracing and writing it out as Python.

Either takes a flat function, of a list of tensors to a list of tensors, and today's raw values of its arguments; it
returns what runs it on raw values of the same shapes and dtypes, and what it gives for today's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from .. import levels
from ..namespaces import Namespace
from ..program import Program
from .simplify import simplified
from .writing import Runner, written

Flat = Callable[[list[Any]], list[Any]]
Run = Callable[..., Sequence[Any]]

_compiling: ContextVar[bool] = ContextVar("autodiff_api.compiling", default=False)
compiling = _compiling.get


@contextmanager
def tracing() -> Iterator[None]:
    """Let compiled functions that are called meanwhile become part of what is being compiled."""
    token = _compiling.set(True)
    try:
        yield
    finally:
        _compiling.reset(token)


def build(
    flat: Flat, values: Sequence[Any], xp: Namespace, labels: Sequence[str], threads: int
) -> tuple[Run, Sequence[Any]]:
    """Return what runs a flat function of tensors of `xp`, and its outputs for `values`."""
    if xp._backend.compile is not None:
        return by_engine(flat, values, xp)
    return by_program(flat, values, xp, labels, threads)


def by_engine(flat: Flat, values: Sequence[Any], xp: Namespace) -> tuple[Run, Sequence[Any]]:
    """Let the engine compile the function."""
    make = xp.array_class._make

    def raw(*values: Any) -> tuple[Any, ...]:
        with tracing():
            return tuple([x._value for x in flat([make(value) for value in values])])

    assert xp._backend.compile is not None
    run: Run = xp._backend.compile(raw)
    return run, run(*values)


def by_program(
    flat: Flat, values: Sequence[Any], xp: Namespace, labels: Sequence[str], threads: int
) -> tuple[Run, Sequence[Any]]:
    """Run the function on traced arrays, simplify the program that results, and write it out."""
    traced: Any = xp._beside("traced")
    tensors, program = traced._tensors, Program()
    make = tensors.array_class._make
    with levels.entered(tensors), tracing():
        outputs = [levels.lift(x, tensors)._value for x in flat([make(traced.traced(v, program)) for v in values])]
    program.outputs = [x._value if x._place is None else x._place for x in outputs]
    backend, lower = xp._backend, xp._lower
    emission = written(simplified(program, lower), labels, backend.into, lower, threads)
    return Runner(emission, lower, backend.quiet or nullcontext), [x._value for x in outputs]
