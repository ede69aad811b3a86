"""Element-wise work on large arrays, done block by block, so that what is between its steps stays in the cache.

A group is a run of element-wise instructions of one shape, with the reductions that close it. It is cut along its first
axis; where all its arrays have the full shape, or none, they are laid out flat before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..program import Instruction, Program, Variable, variables_in
from ..rules.batching import is_each
from .plan import Into, fits

# Elements: a few such arrays fit in a core's cache, and the overhead of a call is small beside them.
BLOCK = 16384
LARGE = 32  # blocks, from which on it pays: what is smaller stays in the cache as a whole
REDUCTIONS = ("max", "min", "sum")


class Group:
    """Instructions that are done block by block: one instruction to the rest of the program.

    `shape` is that of its elements, `inputs` what comes from outside, `outputs` what is needed outside. `flat` says
    that shapes don't matter. `closing` are the reductions among its instructions.
    """

    several = True
    op = None

    def __init__(self, instructions: list[Instruction]) -> None:
        self.instructions = instructions
        self.closing = [i for i in instructions if i.op.name in REDUCTIONS]
        self.outputs: list[Variable] = []
        self.shape: tuple[int, ...] = instructions[0].outputs[0].shape
        self.constants: dict[Variable, Any] = {}  # arrays that are known, which are cut like inputs
        self._name_constants()
        own = {x for i in instructions for x in i.outputs}
        needed = dict.fromkeys(x for i in instructions for x in i.operands)
        self.inputs = [x for x in needed if x not in own]
        arrays = [x for i in instructions if i not in self.closing for x in i.arrays if hasattr(x, "shape")]
        self.flat = all(x.shape in (self.shape, ()) for x in arrays) and all(map(is_total, self.closing))
        size = math.prod(self.shape)
        self.rows = size if self.flat else next(iter(self.shape))
        self.step = max(1, BLOCK * self.rows // size)

    def _name_constants(self) -> None:
        names: dict[int, Variable] = {}
        for i in self.instructions:
            for k, x in enumerate(i.arrays):
                if x.__class__ is not Variable and bool(getattr(x, "shape", ())):
                    variable = names.setdefault(id(x), Variable(i.outputs[0].program, x))
                    self.constants[variable] = x
                    i.arrays[k] = variable

    @property
    def operands(self) -> Iterator[Variable]:
        """The variables that it needs from outside."""
        return (x for x in self.inputs if x not in self.constants)

    def is_cut(self, x: Any) -> bool:
        """Tell whether an operand is cut into blocks, and not used as a whole by each."""
        return bool(x.shape == self.shape or (len(x.shape) == len(self.shape) and x.shape[0] == self.rows > 1))


def axes_of(i: Instruction) -> tuple[int, ...]:
    """Return the axes that a reduction goes over, none of them negative."""
    ndim, axis = len(i.arrays[0].shape), i.statics[i.op.statics.index("axis")]
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple([a % ndim for a in axes])


def is_total(i: Instruction) -> bool:
    """Tell whether a reduction goes over all axes."""
    return len(axes_of(i)) == len(i.arrays[0].shape)


def grouped(program: Program, into: Into) -> list[Instruction | Group]:
    """Return the program's instructions, with large element-wise ones in groups.

    What stands between them and does not depend on them is done before.
    """
    found: list[Instruction | Group] = []
    open_: list[Instruction] = []
    made: set[Variable] = set()  # by what is open
    closed: set[Variable] = set()  # by what closes it

    def flush() -> None:
        found.extend([Group(list(open_))] if len(open_) > 1 else open_)
        for part in (open_, made, closed):
            part.clear()

    for i in program.instructions:
        needs = set(i.operands)
        if open_ and needs & made and not needs & closed and _closes(i, open_[0].outputs[0].shape, into):
            open_.append(i)
            closed.update(i.outputs)
        elif _is_large(i, into):
            if (open_ and i.outputs[0].shape != open_[0].outputs[0].shape) or needs & closed:
                flush()
            open_.append(i)
            made.update(i.outputs)
        else:
            if needs & (made | closed):
                flush()
            found.append(i)
    flush()
    _connect(found, program)
    return found


def _connect(found: list[Instruction | Group], program: Program) -> None:
    """Tell each group what is needed of it outside."""
    needed = set(variables_in(program.outputs))
    for part in reversed(found):
        if isinstance(part, Group):
            own = [x for i in part.instructions for x in i.outputs]
            part.outputs = [x for x in own if x in needed]
        needed.update(part.operands)


def _is_large(i: Instruction, into: Into) -> bool:
    out = i.outputs[0]
    if not (is_each(i.op) and fits(i, into)) or math.prod(out.shape) < LARGE * BLOCK:
        return False
    arrays = [x for x in i.arrays if hasattr(x, "shape")]
    return math.prod(out.shape[1:]) <= BLOCK or all(x.shape in (out.shape, ()) for x in arrays)


def _closes(i: Instruction, shape: tuple[int, ...], into: Into) -> bool:
    """Tell whether an instruction reduces an array of a group, over all axes, the first, or all but the first."""
    if i.op.name not in REDUCTIONS or not fits(i, into) or i.arrays[0].shape != shape:
        return False
    if i.op.name == "sum" and i.statics[i.op.statics.index("dtype")] is not None:
        return False
    axes = set(axes_of(i))
    return len(axes) == len(shape) or ((axes == {0} or 0 not in axes) and math.prod(shape[1:]) <= BLOCK)
