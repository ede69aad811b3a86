"""Control flow of a program that is being written: an instruction, whose bodies are programs of their own.

A body runs once while it is traced, on today's values. What it uses from outside becomes an input of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..program import Program, deepest, own_all
from ..rules import Op
from ..traced import Traced

Arrays = list[Any]


class Body:
    """A function of traced arrays as a program; `captured` are the variables that it uses from outside."""

    def __init__(self, function: Callable[..., Sequence[Any]], arrays: Sequence[Any]) -> None:
        self.program = Program()
        inputs = [x._xp.traced(x._value, self.program) for x in arrays]
        self.out = list(function(inputs))
        self.program.outputs = [self._place(x) for x in self.out]
        self.captured = list(self.program.captured)

    def _place(self, x: Any) -> Any:
        if not isinstance(x, Traced):
            return x
        return x._value if x._place is None else self.program.own(x._place, x._value)


class Flow:
    """What an instruction of control flow runs: bodies, each a function of arrays, and of those that it captured.

    `runs` are replaced by something faster when the program is written out. Its kernel is called with all arrays: those
    that are shared first, and then so many for each body as `counts` says.
    """

    def __init__(self, bodies: Sequence[Body]) -> None:
        self.programs = [body.program for body in bodies]
        self.counts = [len(body.captured) for body in bodies]
        self.runs: list[Callable[..., Sequence[Any]]] = [program.evaluate for program in self.programs]

    def __call__(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the results."""
        raise NotImplementedError

    def split(self, arrays: Sequence[Any]) -> tuple[list[Any], list[list[Any]]]:
        """Return the arrays that are shared, and those that each body captured."""
        start = len(arrays) - sum(self.counts)
        parts, rest = [], iter(arrays[start:])
        for count in self.counts:
            parts.append([next(rest) for _ in range(count)])
        return list(arrays[:start]), parts


class Choice(Flow):
    """Runs one of two bodies."""

    def __call__(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return what the first body gives where the first array holds, and else the second."""
        (pred, *operands), captured = self.split(arrays)
        k = 0 if pred else 1
        return tuple(self.runs[k](*operands, *captured[k]))


class Repetition(Flow):
    """Runs the second body while the first holds."""

    def __call__(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the last carry."""
        carry, (first, second) = self.split(arrays)
        holds, body = self.runs
        while holds(*carry, *first)[0]:
            carry = list(body(*carry, *second))
        return tuple(carry)


class Scan(Flow):
    """Runs a body for each slice."""

    def __init__(self, body: Body, carried: int, length: int, reverse: bool, xp: Any) -> None:
        super().__init__([body])
        self.carried, self.length, self.reverse, self.xp = carried, length, reverse, xp
        self.like = [(tuple(y.shape), y.dtype) for y in body.out[carried:]]

    def __call__(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the last carry, and the results of all steps, stacked."""
        shared, (captured,) = self.split(arrays)
        carry, xs = shared[: self.carried], shared[self.carried :]
        (body,), rows = self.runs, []
        for k in reversed(range(self.length)) if self.reverse else range(self.length):
            out = body(*carry, *[x[k, ...] for x in xs], *captured)
            carry = list(out[: self.carried])
            rows.append(out[self.carried :])
        if not rows:
            return (*carry, *[self.xp.zeros((0, *shape), dtype=dtype) for shape, dtype in self.like])
        if self.reverse:
            rows.reverse()
        return (*carry, *[self.xp.stack(column) for column in zip(*rows, strict=True)])


def written(name: str, flow: Flow, shared: Arrays, bodies: Sequence[Body]) -> Arrays:
    """Write an instruction of control flow, and return its results."""
    captured = [pair for body in bodies for pair in body.program.captured.items()]
    places = [x._value if x._place is None else x._place for x in shared] + [x for x, _ in captured]
    values = [x._value for x in shared] + [value for _, value in captured]
    out, array, program = flow(values), type(shared[0]), deepest(places)
    if program is None:
        return [array._make(y) for y in out]
    op = Op(name, "*arrays", inputs=("arrays",))
    variables = program.write(op, flow, own_all(places, values, program), (), out) if out else []
    return [array._make(y, variable) for y, variable in zip(out, variables, strict=True)]


def cond(pred: Any, true: Callable[[Arrays], Arrays], false: Callable[[Arrays], Arrays], operands: Arrays) -> Arrays:
    """Return what one of two functions of the operands gives."""
    bodies = [Body(branch, operands) for branch in (true, false)]
    return written("cond", Choice(bodies), [pred, *operands], bodies)


def while_loop(condition: Callable[[Arrays], Any], body: Callable[[Arrays], Arrays], carry: Arrays) -> Arrays:
    """Return the last carry of a body that repeats while a condition holds."""
    bodies = [Body(lambda given: [condition(given)], carry), Body(body, carry)]
    return written("while_loop", Repetition(bodies), carry, bodies)


def scan(
    step: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]],
    carry: Arrays,
    xs: Arrays,
    length: int,
    reverse: bool,
    unroll: int | bool,
) -> tuple[Arrays, Arrays]:
    """Return the last carry and the stacked results of a step for each slice of `xs`."""
    n = len(carry)
    xp = type(carry[0] if carry else xs[0])._xp
    slices = [x[-1 if reverse else 0, ...] if length else xp.zeros(x.shape[1:], dtype=x.dtype) for x in xs]

    def function(given: Arrays) -> Arrays:
        out, ys = step(given[:n], given[n:])
        return [*out, *ys]

    body = Body(function, [*carry, *slices])
    out = written("scan", Scan(body, n, length, reverse, xp._lower), [*carry, *xs], [body])
    return out[:n], out[n:]


CONTROL: dict[str, Callable[..., Any]] = {"cond": cond, "scan": scan, "while_loop": while_loop}
