"""Where the values of a program are kept: whose memory each takes over, and when it is let go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..program import Program, Variable, is_floating, is_truth, variables_in
from ..rules import Op
from ..rules.batching import is_each

Into = Mapping[str, Callable[..., Any]]
LEAST = 16384  # bytes: below, NumPy has an array of its own as fast as one that is there


class Slot:
    """A piece of memory that several values of one size and dtype have in turn, each in a shape of its own."""

    __slots__ = ("dtype", "shapes", "size")

    def __init__(self, size: int, dtype: Any) -> None:
        self.size, self.dtype = size, dtype
        self.shapes: list[tuple[int, ...]] = []

    def holds(self, x: Variable) -> bool:
        """Tell whether a variable is of its size and dtype."""
        return bool(math.prod(x.shape) == self.size and x.dtype == self.dtype)


class Part(Protocol):
    """One thing that a program does: an instruction, or a group of them, which has no op."""

    outputs: list[Variable]
    several: Any

    @property
    def op(self) -> Op | None:
        """The op, of an instruction."""

    @property
    def operands(self) -> Iterable[Variable]:
        """The variables that it needs."""


class Plan(NamedTuple):
    """What is known of a program's memory.

    `where` has the memory of each planned variable: a slot, or another variable that it takes the memory over from.
    `dead` says, by the number of an instruction, whose name nobody uses after it.
    """

    slots: list[Slot]
    where: dict[Variable, Slot | Variable]
    dead: dict[int, list[Variable]]


def planned(program: Program, parts: Sequence[Part], into: Into) -> Plan:
    """Return a plan in which a value takes over the memory of one that is dead, or of an operand that dies with it.

    Only what a kernel of `into` computes has planned memory, and only from `LEAST` bytes on. What leaves the program,
    or may share memory with what does, has no slot; but an element-wise result that leaves is computed in place of an
    operand, if that is a result too and nobody needs it any more.
    """
    escapes, last = lives(program, parts, into)
    chains = chained(parts, into, escapes, last)
    slots: list[Slot] = []
    where: dict[Variable, Slot | Variable] = dict(chains)
    bound = escapes | set(chains) | set(chains.values())
    free: list[Slot] = []
    for n, part in enumerate(parts):
        dying = list(dict.fromkeys([s for x in last.get(n, ()) if isinstance(s := where.get(x), Slot)]))
        for out in part.outputs if part.op is None else part.outputs[:1]:
            if out in bound or nbytes(out) < LEAST or not fits(part, into):
                continue
            own = [s for x in part.operands if x.shape == out.shape and (s := where.get(x)) in dying and is_own(part)]
            slot = next((s for s in [*own, *free] if isinstance(s, Slot) and s.holds(out)), None)
            if slot is None:
                slot = Slot(math.prod(out.shape), out.dtype)
                slots.append(slot)
            if slot in free:
                free.remove(slot)
            if out.shape not in slot.shapes:
                slot.shapes.append(out.shape)
            where[out] = slot
            dying = [s for s in dying if s is not slot]
        free += dying
    return Plan(slots, where, unused(program, parts))


def unused(program: Program, parts: Sequence[Part]) -> dict[int, list[Variable]]:
    """Return whose name dies with which instruction: a view of its memory, if there is one, keeps that by itself."""
    last_use = {x: n for n, part in enumerate(parts) for x in (*part.operands, *part.outputs)}
    stay = {*program.inputs, *variables_in(program.outputs)}
    dead: dict[int, list[Variable]] = {}
    for x, n in last_use.items():
        if x not in stay:
            dead.setdefault(n, []).append(x)
    return dead


def is_own(part: Part) -> bool:
    """Tell whether a part of a program may write its result over an operand that is as large."""
    return part.op is not None and is_each(part.op)


def lives(program: Program, parts: Sequence[Part], into: Into) -> tuple[set[Variable], dict[int, list[Variable]]]:
    """Return what leaves the program, or may share memory with it; and who dies with which instruction."""
    escapes = set(variables_in(program.outputs))
    last_use: dict[Variable, int] = {}
    bases: dict[Variable, set[Variable]] = {}  # of what may share memory with others: those others
    for n, i in enumerate(parts):
        for x in i.operands:
            for y in (x, *bases.get(x, ())):
                last_use[y] = n
        for out in i.outputs:
            last_use[out] = n
            if i.op is not None and i.op.name not in into:
                bases[out] = {y for x in i.operands for y in (x, *bases.get(x, ()))}
    for x in list(escapes):
        escapes |= bases.get(x, set())
    last: dict[int, list[Variable]] = {}
    for x, n in last_use.items():
        if x not in escapes:
            last.setdefault(n, []).append(x)
    return escapes, last


def chained(
    parts: Sequence[Part], into: Into, escapes: set[Variable], last: dict[int, list[Variable]]
) -> dict[Variable, Variable]:
    """Return, for what leaves the program, the operand whose memory it takes over; for that operand too, and so on."""
    made = {x for i in parts if fits(i, into) for x in i.outputs}
    found: dict[Variable, Variable] = {}
    leaving = set(escapes)
    for n, i in reversed(list(enumerate(parts))):
        out = i.outputs[0]
        if out not in leaving or not fits(i, into) or not is_own(i) or nbytes(out) < LEAST:
            continue
        for x in i.operands:
            if x in made and x in last.get(n, ()) and (x.shape, x.dtype) == (out.shape, out.dtype):
                found[out] = x
                leaving.add(x)
                break
    return found


def nbytes(x: Variable) -> int:
    """Return how much memory an array takes; -1 for one without axes, which may be a number to its engine."""
    return -1 if not x.shape else math.prod(x.shape) * int(getattr(x.dtype, "itemsize", 8))


def fits(i: Part, into: Into) -> bool:
    """Tell whether an instruction can be computed into given memory: of real floating numbers, and truth values."""
    if i.op is None:
        return True
    return (
        i.op.name in into
        and not i.several
        and not i.outputs[0].weak
        and all(is_plain(x) for x in (*i.outputs, *i.operands))
    )


def is_plain(x: Variable) -> bool:
    """Tell real floating arrays, truth values and Python numbers from all else."""
    return x.weak or is_floating(x.dtype) or is_truth(x.dtype)
