"""Programs made shorter: what is not needed, what was computed before, and what changes nothing."""

from __future__ import annotations

from typing import Any

from ..program import Program


def simplified(program: Program, xp: Any) -> Program:
    """Return the program without what no output needs."""
    needed = set(program_outputs(program))
    kept = []
    for i in reversed(program.instructions):
        if any(x in needed for x in i.outputs):
            kept.append(i)
            needed.update(i.operands)
    program.instructions = kept[::-1]
    return program


def program_outputs(program: Program) -> Any:
    """Yield the variables that leave a program."""
    from ..program import variables_in

    return variables_in(program.outputs)
