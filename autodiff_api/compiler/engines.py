"""What makes a program of a function: the engine's own compiler, or tracing and writing it out as Python.

Either takes a flat function, of a list of tensors to a list of tensors, and today's raw values of its arguments; it
returns what runs it on raw values of the same shapes and dtypes, and what it gives for today's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from .. import levels
from ..control.programs import Flow
from ..errors import ArgumentError, CompileError
from ..namespaces import Namespace
from ..places import place_of_error
from ..program import Program
from ..traced import AS_ARRAY, unknown
from .emit import compiled
from .keep import joined
from .simplify import parted, simplified
from .writing import Runner, written

Flat = Callable[[list[Any]], list[Any]]
Run = Callable[..., Sequence[Any]]


class Options(NamedTuple):
    """What `compile` was told: how many threads, and the namespace of another engine to run on."""

    threads: int = 1
    engine: Namespace | None = None


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


class Donation:
    """Which arguments a program may compute its results into: their arrays are gone after the call.

    It begins with a guess, `places`; when the function has been traced, `known()` tells which arguments are replaced by
    results.
    """

    def __init__(self, places: set[int], known: Callable[[], set[int]]) -> None:
        self.places, self.known = places, known

    def was_wrong(self) -> bool:
        """Tell whether the guess named an argument that is not replaced, and correct it."""
        wrong = self.places - self.known()
        self.places -= wrong
        return bool(wrong)


def build(
    flat: Flat,
    values: Sequence[Any],
    xp: Namespace,
    labels: Sequence[str],
    options: Options,
    donation: Donation | None = None,
) -> tuple[Run, Sequence[Any]]:
    """Return what runs a flat function of tensors of `xp`, and its outputs for `values`."""
    draws = Draws(xp._compiled)
    if options.engine is None and xp._backend.compile is not None:
        run, today = by_engine(flat, values, xp, draws, donation or Donation(set(), set))
    else:
        run, today = by_program(flat, values, xp, labels, options, draws)
    return draws.before(run), today


class Draws:
    """The random numbers that a function draws: inputs of its program, drawn anew at each call."""

    def __init__(self, tensors: Namespace) -> None:
        self.tensors = tensors
        self.makers: list[Callable[[], Any]] = []
        self.values: list[Any] = []  # of the call that is traced

    def before(self, run: Run) -> Run:
        """Return what draws, and then runs."""
        return Drawing(run, self.makers, self.values) if self.makers else run

    @contextmanager
    def taken(self, given: Iterable[Any], otherwise: Callable[[Any], Any]) -> Iterator[None]:
        """Let the function take its numbers from tensors given, and, when there are no more, make its own."""
        given = iter(given)

        def anew(make: Callable[[], Any]) -> Any:
            tensor = next(given, None)
            if tensor is None:
                self.makers.append(make)
                self.values.append(make())
                tensor = otherwise(self.values[-1])
            return tensor

        token = levels.ANEW.set(anew)
        try:
            yield
        finally:
            levels.ANEW.reset(token)


class Drawing:
    """A program with random numbers among its inputs."""

    def __init__(self, run: Any, makers: list[Callable[[], Any]], first: list[Any]) -> None:
        self.run, self.makers, self.source = run, makers, getattr(run, "source", None)
        self._first = [first]  # what was drawn when the function was traced, till somebody has it

    def __call__(self, *values: Any) -> Sequence[Any]:
        """Draw them, and run the program."""
        self._first.clear()
        found: Sequence[Any] = self.run(*values, *self.drawn())
        return found

    def drawn(self) -> list[Any]:
        """Return numbers for the next call: once those of the trace."""
        return self._first.pop() if self._first else [make() for make in self.makers]


class OtherKind(Exception):
    """Arguments of an engine's program are of another shape or dtype than those that it was made for."""


class _Again(Exception):
    """The trace has told something about the function that its program must be made with."""


def kinds_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the shapes and dtypes of arrays, and the classes of numbers."""
    return tuple([(v.shape, v.dtype) if hasattr(v, "shape") else v.__class__ for v in values])


def by_engine(
    flat: Flat, values: Sequence[Any], xp: Namespace, draws: Draws, donation: Donation
) -> tuple[Run, Sequence[Any]]:
    """Let the engine compile the function."""
    tensors, count, kinds = xp._compiled, len(values), kinds_of(values)
    make = tensors.array_class._make

    def raw(*values: Any) -> tuple[Any, ...]:
        if any(a != b for a, b in zip(kinds, kinds_of(values), strict=False) if a.__class__ is tuple):
            raise OtherKind
        known = len(draws.makers)
        with levels.entered(tensors), tracing(), draws.taken(map(make, values[count:]), make):
            outputs = tuple([levels.lift(x, tensors)._value for x in flat(list(map(make, values[:count])))])
        if len(draws.makers) > known or donation.was_wrong():  # nothing is lost but the trace
            raise _Again
        return outputs

    compile, untraceable = xp._backend.compile, xp._backend.untraceable
    assert compile is not None
    try:
        while True:
            run: Run = compile(raw, donate_argnums=tuple(sorted(donation.places)))
            try:
                return run, run(*values, *draws.values)
            except _Again:
                continue
    except (*untraceable, TypeError) as error:
        if not isinstance(error, untraceable) and "Tracer" not in str(error):  # which is of a shape that is traced
            raise
        remedy = "a branch on it is where(condition, x, y), and a mask chooses by where(mask, x, y)"
        raise unknown("the value of an array", remedy, place_of_error(error)) from error


def by_program(
    flat: Flat, values: Sequence[Any], xp: Namespace, labels: Sequence[str], options: Options, draws: Draws
) -> tuple[Run, Sequence[Any]]:
    """Run the function on traced arrays, simplify the program that results, and write it out."""
    program, today = traced(flat, values, xp, draws)
    labels = [*labels, *["drawn"] * len(draws.makers)]
    if options.engine is not None:
        return on_engine(program, labels, options.engine, xp), today
    return runner(program, labels, xp, options), today


def traced(flat: Flat, values: Sequence[Any], xp: Namespace, draws: Draws) -> tuple[Program, list[Any]]:
    """Return the program of a function, made simple, and its outputs for `values`."""
    tensors, program = xp._compiled, Program()
    arrays: Any = tensors._lower._namespace

    def make(value: Any) -> Any:
        return tensors.array_class._make(arrays.traced(value, program))

    with levels.entered(tensors), tracing(), draws.taken((), make):
        outputs = [levels.lift(x, tensors)._value for x in flat(list(map(make, values)))]
    program.outputs = [x._value if x._place is None else x._place for x in outputs]
    return simplified(program, xp._lower), [x._value for x in outputs]


def runner(program: Program, labels: Sequence[str], xp: Namespace, options: Options) -> Runner:
    """Write a program out, for its own engine."""
    emission = written(program, labels, xp._backend.into, xp._lower, options.threads)
    return Runner(emission, xp._lower, xp._backend.quiet or nullcontext)


class Halves(NamedTuple):
    """A function in two programs: `forward` gives its outputs, and what `backward` goes on from.

    That takes cotangents after it, and gives the gradients.
    """

    forward: Run
    backward: Run


def by_halves(
    flat: Flat,
    values: Sequence[Any],
    cotangents: int,
    outputs: int,
    xp: Namespace,
    labels: Sequence[str],
    options: Options,
) -> tuple[Halves, Sequence[Any]]:
    """Return the halves of a flat function that ends with `cotangents` and gives gradients after its `outputs`.

    And the gradients for `values`.
    """
    program, today = traced(flat, values, xp, Draws(xp._compiled))
    first, second = parted(joined(program, xp._lower), len(values) - cotangents, outputs)
    count = len(values) - cotangents
    left = ["left"] * (len(second.inputs) - cotangents)
    forward, backward = (
        runner(first, labels[:count], xp, options),
        runner(second, [*left, *labels[count:]], xp, options),
    )
    return Halves(forward, backward), today[outputs:]


def on_engine(program: Program, labels: Sequence[str], engine: Namespace, xp: Namespace) -> Run:
    """Let another engine compile a program: its arrays go there and come back."""
    backend, lower = engine._backend, engine._lower
    for i in program.instructions:
        if isinstance(i.function, Flow):
            raise CompileError(f"compile: {i.op.name} can't go to another engine; leave engine= out, or use its arrays")
        if i.op is AS_ARRAY:
            i.function = lower.asarray
        elif i.op.name in engine._ops:
            i.function = lower.kernel(i.op.name)
    emission = written(program, labels, {}, lower, 1)
    function = compiled(emission.source, emission.scope)
    if backend.compile is None:
        raise ArgumentError(f"compile: the engine {backend.name!r} has no compiler; leave engine= out")
    run, back = backend.compile(partial(function, ())), backend.to_numpy

    def there(*values: Any) -> list[Any]:
        with backend.exactly():
            return [xp._lower.asarray(back(y)) for y in run(*values)]

    return there
