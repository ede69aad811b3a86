"""Where the values of a program are kept: whose memory each takes over, and when it is let go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..program import Instruction, Program, Variable, variables_in
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


class Plan(NamedTuple):
    """What is known of a program's memory.

    `where` has the memory of each planned variable: a slot, or another variable that it takes the memory over from.
    `last` says, by the number of an instruction, whom nobody needs after it.
    """

    slots: list[Slot]
    where: dict[Variable, Slot | Variable]
    last: dict[int, list[Variable]]


def planned(program: Program, into: Into, least: int = LEAST) -> Plan:
    """Return a plan in which a value takes over the memory of one that is dead, or of an operand that dies with it.

    Only what a kernel of `into` computes has planned memory, and only from `least` bytes on. What leaves the program,
    or may share memory with what does, has no slot; but an element-wise result that leaves is computed in place of an
    operand, if that is a result too and nobody needs it any more.
    """
    escapes, last = lives(program, into)
    chains = chained(program, into, least, escapes, last)
    slots: list[Slot] = []
    where: dict[Variable, Slot | Variable] = dict(chains)
    bound = escapes | set(chains) | set(chains.values())
    free: list[Slot] = []
    for n, i in enumerate(program.instructions):
        dying = list(dict.fromkeys([s for x in last.get(n, ()) if isinstance(s := where.get(x), Slot)]))
        out = i.outputs[0]
        if fits(i, into) and out not in bound and nbytes(out) >= least:
            own = [s for x in i.operands if x.shape == out.shape and (s := where.get(x)) in dying and is_each(i.op)]
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
    return Plan(slots, where, last)


def lives(program: Program, into: Into) -> tuple[set[Variable], dict[int, list[Variable]]]:
    """Return what leaves the program, or may share memory with it; and who dies with which instruction."""
    escapes = set(variables_in(program.outputs))
    last_use: dict[Variable, int] = {}
    bases: dict[Variable, set[Variable]] = {}  # of what may share memory with others: those others
    for n, i in enumerate(program.instructions):
        for x in i.operands:
            for y in (x, *bases.get(x, ())):
                last_use[y] = n
        for out in i.outputs:
            last_use[out] = n
            if i.op.name not in into:
                bases[out] = {y for x in i.operands for y in (x, *bases.get(x, ()))}
    for x in list(escapes):
        escapes |= bases.get(x, set())
    last: dict[int, list[Variable]] = {}
    for x, n in last_use.items():
        if x not in escapes:
            last.setdefault(n, []).append(x)
    return escapes, last


def chained(
    program: Program, into: Into, least: int, escapes: set[Variable], last: dict[int, list[Variable]]
) -> dict[Variable, Variable]:
    """Return, for what leaves the program, the operand whose memory it takes over; for that operand too, and so on."""
    made = {x: i for i in program.instructions if fits(i, into) for x in i.outputs}
    found: dict[Variable, Variable] = {}
    leaving = set(escapes)
    for n, i in reversed(list(enumerate(program.instructions))):
        out = i.outputs[0]
        if out not in leaving or not fits(i, into) or not is_each(i.op) or nbytes(out) < least:
            continue
        for x in i.operands:
            if x in made and x in last.get(n, ()) and (x.shape, x.dtype) == (out.shape, out.dtype):
                found[out] = x
                leaving.add(x)
                break
    return found


def nbytes(x: Variable) -> int:
    """Return how much memory an array takes."""
    return math.prod(x.shape) * int(getattr(x.dtype, "itemsize", 8))


def fits(i: Instruction, into: Into) -> bool:
    """Tell whether an instruction can be computed into given memory: of real floating numbers, and truth values."""
    return i.op.name in into and not i.several and all(is_plain(x) for x in (*i.outputs, *i.operands))


def is_plain(x: Variable) -> bool:
    """Tell real floating arrays, truth values and Python numbers from all else."""
    return x.weak or "float" in str(x.dtype) or "bool" in str(x.dtype)
