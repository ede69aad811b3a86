"""Programs made shorter: what is not needed, what was computed before, and what changes nothing.

`IDENTITIES` has a line for each op about which something is known: a function of the instruction that returns what its
output equals, which is an operand, a constant or a simpler instruction; or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..program import Instruction, Program, Variable, is_number, replaced, variables_in
from ..rules import OPS
from ..rules.batching import is_each

TAKE_NUMBERS = ("add", "divide", "maximum", "minimum", "multiply", "pow", "subtract")  # in the place of an array


class Simpler(NamedTuple):
    """An instruction in the place of another: an op by its name, and its operands."""

    name: str
    arrays: list[Any]
    statics: tuple[Any, ...] = ()


class Facts:
    """What is known while a program is read from the top: what made each variable, and a namespace to compute in."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.made: dict[Variable, Instruction] = {}
        self._uniform: dict[int, Any] = {}

    def by(self, x: Any, name: str) -> Instruction | None:
        """Return the instruction that made a variable, if it is of this op."""
        made = self.made.get(x) if x.__class__ is Variable else None
        return made if made is not None and made.op.name == name else None

    def number(self, x: Any) -> Any:
        """Return the Python number that a constant is, or that all elements of it are; None for anything else."""
        if is_number(x):
            return x
        if x.__class__ is Variable or not hasattr(x, "shape"):
            return None
        if id(x) not in self._uniform:
            flat = self.xp.reshape(x, (-1,))
            same = flat.shape[0] and bool(self.xp.all(flat == flat[0]))
            self._uniform[id(x)] = flat[0].item() if same and hasattr(flat[0], "item") else None
        return self._uniform[id(x)]


def simplified(program: Program, xp: Any) -> Program:
    """Return the program without what is not needed, what was computed before, and what changes nothing."""
    facts, by, seen = Facts(xp), dict[Variable, Any](), dict[Any, Instruction]()
    kept: list[Instruction] = []
    for i in program.instructions:
        i.arrays, i.statics = replaced(list(i.arrays), by), replaced(i.statics, by)
        while (found := _equal(i, facts)) is not None:
            if not isinstance(found, Simpler):
                by[i.outputs[0]] = found
                break
            kept += _become(i, found, facts)
        if found is not None:
            continue
        key = (i.op.name, id(i.function), key_of(i.arrays), key_of(i.statics))
        before = seen.setdefault(key, i)
        if before is not i:
            by.update(zip(i.outputs, before.outputs, strict=True))
            continue
        kept.append(i)
        facts.made.update(dict.fromkeys(i.outputs, i))
    program.outputs = replaced(program.outputs, by)
    program.instructions = _needed(kept, program.outputs)
    return program


def parted(program: Program, inputs: int, outputs: int) -> tuple[Program, Program]:
    """Return a program in two: what needs its first `inputs` alone, and the rest, which goes on from that.

    The first gives the first `outputs`, and what the second takes before the other inputs; this gives the others.
    """
    first, second, late = Program(), Program(), set(program.inputs[inputs:])
    for i in program.instructions:
        half = first if late.isdisjoint(i.operands) else second
        half.instructions.append(i)
        if half is second:
            late.update(i.outputs)
    wanted = program.outputs[outputs:]
    uses = [*(x for i in second.instructions for x in i.operands), *variables_in(wanted)]
    left = list(dict.fromkeys(x for x in uses if x not in late))
    first.inputs, first.outputs = program.inputs[:inputs], [*program.outputs[:outputs], *left]
    second.inputs, second.outputs = [*left, *program.inputs[inputs:]], wanted
    return first, second


def _become(i: Instruction, simpler: Simpler, facts: Facts) -> list[Instruction]:
    """Let an instruction be a simpler one; return those that come before it, for operands that are simpler ones too."""
    before: list[Instruction] = []
    arrays = []
    for x in simpler.arrays:
        if isinstance(x, Simpler):
            made = Instruction(i.op, i.function, [], (), [i.outputs[0].twin()], 0)
            before += [*_become(made, x, facts), made]
            facts.made[made.outputs[0]] = made
            x = made.outputs[0]
        arrays.append(x)
    i.op, i.arrays, i.statics = OPS[simpler.name], arrays, simpler.statics
    i.function = facts.xp.kernel(simpler.name)
    return before


def key_of(x: Any) -> Any:
    """Return what tells operands apart: numbers with their types, since True is 1 and 1.0, and the rest by identity."""
    if isinstance(x, list | tuple):
        return tuple(map(key_of, x))
    if x.__class__ is slice:
        return slice, x.start, x.stop, x.step
    if is_number(x):
        return x.__class__, repr(x)
    return x if x is None or isinstance(x, str | type) else id(x)


def _needed(instructions: list[Instruction], outputs: list[Any]) -> list[Instruction]:
    """Return the instructions that the outputs depend on."""
    needed = set(variables_in(outputs))
    kept = []
    for i in reversed(instructions):
        if not needed.isdisjoint(i.outputs):
            kept.append(i)
            needed.update(i.operands)
    return kept[::-1]


def _equal(i: Instruction, facts: Facts) -> Any:
    """Return what an instruction's output equals: an operand, a constant, a `Simpler` instruction; or None."""
    if i.several or i.outputs[0].weak:
        return None
    out = i.outputs[0]
    if is_each(i.op):
        plain = _without_broadcast(i, out, facts)
        if plain is not None:
            return plain
    rule = IDENTITIES.get(i.op.name)
    return None if rule is None else rule(i, out, facts)


def _same(x: Any, out: Variable) -> bool:
    """Tell whether a variable has the shape and dtype of an output, so that it can stand in its place."""
    return x.__class__ is Variable and not x.weak and x.shape == out.shape and bool(x.dtype == out.dtype)


def _without_broadcast(i: Instruction, out: Variable, facts: Facts) -> Simpler | None:
    """Broadcast nothing that an element-wise op broadcasts by itself; take one number for a constant of equal ones."""
    full = [x.__class__ is Variable and x.shape == out.shape and facts.by(x, "broadcast_to") is None for x in i.arrays]
    if not any(full) or len(i.arrays) < 2:
        return None
    arrays = []
    weak = i.op.name in TAKE_NUMBERS and any(_same(x, out) for x in i.arrays)
    for x in i.arrays:
        made, number = facts.by(x, "broadcast_to"), facts.number(x)
        if made is not None:
            x = made.arrays[0]
        elif weak and number is not None and not is_number(x) and x.dtype == out.dtype:
            x = number
        arrays.append(x)
    changed = any(a is not b for a, b in zip(arrays, i.arrays, strict=True))
    return Simpler(i.op.name, arrays, i.statics) if changed else None


def _neutral(i: Instruction, out: Variable, facts: Facts, value: int, right_only: bool = False) -> Any:
    """Return the other operand, where one of two changes nothing; broadcast, where it has another shape."""
    x1, x2 = i.arrays
    for x, y in ((x1, x2), (x2, x1))[: 1 if right_only else 2]:
        if facts.number(y) == value and x.__class__ is Variable and not isinstance(facts.number(y), bool):
            if _same(x, out):
                return x
            if not x.weak and x.dtype == out.dtype:
                return Simpler("broadcast_to", [x], (out.shape,))
    return None


def _add(i: Instruction, out: Variable, facts: Facts) -> Any:
    made = facts.by(i.arrays[1], "negative")
    if made is not None:
        return Simpler("subtract", [i.arrays[0], made.arrays[0]])
    return _neutral(i, out, facts, 0)


def _subtract(i: Instruction, out: Variable, facts: Facts) -> Any:
    made = facts.by(i.arrays[1], "negative")
    if made is not None:
        return Simpler("add", [i.arrays[0], made.arrays[0]])
    return _neutral(i, out, facts, 0, right_only=True)


def _multiply(i: Instruction, out: Variable, facts: Facts) -> Any:
    for x, y in ((i.arrays[0], i.arrays[1]), (i.arrays[1], i.arrays[0])):
        negated, quotient = facts.by(x, "negative"), facts.by(x, "divide")
        if negated is not None and not is_number(y):
            return Simpler("negative", [Simpler("multiply", [negated.arrays[0], y])])
        if quotient is not None and facts.number(quotient.arrays[0]) == 1 and _same(x, out):
            return Simpler("divide", [y, quotient.arrays[1]])
    return _neutral(i, out, facts, 1)


def _pow(i: Instruction, out: Variable, facts: Facts) -> Any:
    if facts.number(i.arrays[1]) == 2 and _same(i.arrays[0], out):
        return Simpler("multiply", [i.arrays[0], i.arrays[0]])  # which is exactly that, and faster
    return _neutral(i, out, facts, 1, right_only=True)


def _unchanged(i: Instruction, out: Variable, facts: Facts) -> Any:
    """Return the operand of what gives it back as it is: a cast to its dtype, a reshape to its shape."""
    return i.arrays[0] if _same(i.arrays[0], out) else None


def _broadcast(i: Instruction, out: Variable, facts: Facts) -> Any:
    made = facts.by(i.arrays[0], "broadcast_to")
    if made is not None:
        return Simpler("broadcast_to", made.arrays, i.statics)
    return _unchanged(i, out, facts)


def _reshape(i: Instruction, out: Variable, facts: Facts) -> Any:
    made = facts.by(i.arrays[0], "reshape")
    if made is not None:
        return Simpler("reshape", made.arrays, i.statics)
    return _unchanged(i, out, facts)


def _undone(name: str) -> Callable[[Instruction, Variable, Facts], Any]:
    """Return what is known of an op that undoes itself."""

    def rule(i: Instruction, out: Variable, facts: Facts) -> Any:
        made = facts.by(i.arrays[0], name)
        return None if made is None else made.arrays[0]

    return rule


def _permute(i: Instruction, out: Variable, facts: Facts) -> Any:
    axes = i.statics[0]
    if axes.__class__ is tuple and axes == tuple(range(len(axes))):
        return i.arrays[0]
    made = facts.by(i.arrays[0], "permute_dims")
    if made is None or min((*axes, *made.statics[0]), default=0) < 0:
        return None
    return Simpler("permute_dims", made.arrays, (tuple([made.statics[0][a] for a in axes]),))


def _sum(i: Instruction, out: Variable, facts: Facts) -> Any:
    """Multiply instead of adding up what is the same everywhere."""
    axis, dtype, keepdims = i.statics
    made = facts.by(i.arrays[0], "broadcast_to")
    if made is not None and made.arrays[0].__class__ is not Variable:
        return None
    if made is None or axis is not None or dtype is not None or keepdims or made.arrays[0].shape != ():
        return None
    return Simpler("multiply", [made.arrays[0], _size(i.arrays[0])]) if made.arrays[0].dtype == out.dtype else None


def _size(x: Variable) -> int:
    n = 1
    for length in x.shape:
        n *= length
    return n


IDENTITIES: dict[str, Callable[[Instruction, Variable, Facts], Any]] = {
    "add": _add,
    "astype": _unchanged,
    "broadcast_to": _broadcast,
    "conj": lambda i, out, facts: None if "complex" in str(out.dtype) else i.arrays[0],
    "divide": lambda i, out, facts: _neutral(i, out, facts, 1, right_only=True),
    "matrix_transpose": _undone("matrix_transpose"),
    "multiply": _multiply,
    "negative": _undone("negative"),
    "permute_dims": _permute,
    "positive": _unchanged,
    "pow": _pow,
    "real": _unchanged,
    "reshape": _reshape,
    "subtract": _subtract,
    "sum": _sum,
}
