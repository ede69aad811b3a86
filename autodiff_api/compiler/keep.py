"""Instructions joined: what the kernel of one keeps goes to the one that is its backward (see `Backend.keeping`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..backends import Keeping
from ..program import Instruction, Program, Variable
from ..rules import Op
from .simplify import key_of


class Kept:
    """What is kept, as long as nobody knows: only the other kernel understands it."""


def joined(program: Program, xp: Any) -> Program:
    """Let kernels keep what they compute, where a later instruction is their backward, of the same operands."""
    waiting: dict[str, list[tuple[Instruction, Keeping]]] = {}  # by the name of that backward
    for i in program.instructions:
        forward, keeping = next((pair for pair in waiting.get(i.op.name, ()) if agree(pair[0], i)), (None, None))
        if forward is not None and keeping is not None:
            join(forward, i, keeping)
            continue
        keeping = xp.keeping(i.op)
        if keeping is not None and i.function is xp.kernel(i.op.name):
            waiting.setdefault(keeping.backward_op, []).append((i, keeping))
    return program


def agree(forward: Instruction, backward: Instruction) -> bool:
    """Tell whether two instructions have the same operands in the parameters that both have."""
    given, others = operands(forward), operands(backward)
    return all(key_of(x) == key_of(given[name]) for name, x in others.items() if name in given)


def operands(i: Instruction) -> dict[str, Any]:
    """Return what an instruction has in each of its op's parameters."""
    return dict(zip((*i.op.arrays, *i.op.statics), (*i.arrays, *i.statics), strict=True))


def join(forward: Instruction, backward: Instruction, keeping: Keeping) -> None:
    """Let an instruction take what another keeps, which has it as a second output from then on."""
    if not forward.several:
        op = forward.op
        forward.op, forward.function = Op(f"{op.name}_keeping", op.signature, inputs=op.arrays), keeping.forward
        forward.outputs, forward.several = [*forward.outputs, Variable(forward.outputs[0].program, Kept())], 2
    op, arrays = backward.op, (forward.outputs[1], *backward.arrays)
    backward.op = Op(f"{op.name}_kept", f"kept, {op.signature}", inputs=("kept", *op.arrays))
    backward.function, backward.arrays = either(keeping.backward, backward.function), arrays


@cache  # one function for all instructions of an op
def either(with_kept: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return a backward that may be given None, where nothing was kept after all: that depends on values."""

    def backward(kept: Any, *args: Any, **kwargs: Any) -> Any:
        return plain(*args, **kwargs) if kept is None else with_kept(kept, *args, **kwargs)

    return backward
