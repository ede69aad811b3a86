"""Programs: operations written down in the order in which they were done, to be done again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any

from .rules import Op
from .rules.kinds import invoker_of

_depths = count()
NUMBERS = (bool, int, float, complex)


def is_number(x: Any) -> bool:
    """Tell a Python number, which leaves the dtype to others, from an array; numpy.float64 is an array."""
    return x.__class__ in NUMBERS


@cache
def is_floating(dtype: Any) -> bool:
    """Tell a dtype of real floating numbers, of whatever engine."""
    return "float" in str(dtype)


@cache
def is_truth(dtype: Any) -> bool:
    """Tell a dtype of truth values, of whatever engine."""
    return "bool" in str(dtype)


class Variable:
    """A value of a program that is not known before it runs: an input, or what an instruction makes.

    Its dtype is a Python type for a Python number, which leaves the dtype to the arrays that it meets.
    """

    __slots__ = ("dtype", "program", "shape")

    def __init__(self, program: Program, value: Any) -> None:
        self.program, self.shape = program, getattr(value, "shape", ())
        self.dtype: Any = value.dtype if hasattr(value, "dtype") else value.__class__

    @property
    def weak(self) -> bool:
        """Whether it is a Python number."""
        return self.dtype.__class__ is type  # numpy.dtype("int64") == int holds

    def twin(self) -> Variable:
        """Return another variable of the same shape and dtype."""
        twin = object.__new__(Variable)
        twin.program, twin.shape, twin.dtype = self.program, self.shape, self.dtype
        return twin

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Instruction:
    """One operation: `function` applied to `arrays` and `statics`, which the op's signature puts in their places.

    Both may hold variables, in keys and lists too; whatever else they hold is a constant. `several` is how many
    outputs the function gives in a tuple; 0 if it gives the one as it is.
    """

    __slots__ = ("arrays", "function", "op", "outputs", "several", "statics")

    def __init__(
        self, op: Op, function: Callable[..., Any], arrays: Any, statics: Any, outputs: list[Variable], several: int
    ) -> None:
        self.op, self.function, self.arrays, self.statics = op, function, arrays, statics
        self.outputs, self.several = outputs, several

    @property
    def operands(self) -> list[Variable]:
        """The variables that it needs, as often as it needs them."""
        return variables_in(self.arrays) + variables_in(self.statics)

    def __repr__(self) -> str:
        return f"{self.outputs} = {self.op.name}({self.arrays}, {self.statics})"


class Program:
    """Inputs, instructions, and the outputs: variables, or constants.

    A program may be the body of another's instruction. What it uses of the program around it is `captured`, with the
    values of today, and an input after its own.
    """

    def __init__(self) -> None:
        self.depth = next(_depths)  # a body is younger than what is around it
        self.inputs: list[Variable] = []
        self.instructions: list[Instruction] = []
        self.outputs: list[Any] = []
        self.captured: dict[Variable, Any] = {}
        self._own: dict[Variable, Variable] = {}

    def own(self, x: Any, value: Any) -> Any:
        """Return a variable of the program around this one, and its value of today, as an input; others as they are."""
        if x.__class__ is not Variable or x.program is self:
            return x
        if x not in self._own:
            self._own[x] = self.input(value)
            self.captured[x] = value
        return self._own[x]

    def evaluate(self, *values: Any) -> tuple[Any, ...]:
        """Run the instructions one by one."""
        known: dict[Variable, Any] = dict(zip(self.inputs, values, strict=True))
        for i in self.instructions:
            out = invoker_of(i.op)(i.function, replaced(list(i.arrays), known), replaced(i.statics, known))
            known.update(zip(i.outputs, out if i.several else (out,), strict=True))
        return tuple(replaced(list(self.outputs), known))

    def input(self, value: Any) -> Variable:
        """Add an input like a value."""
        variable = Variable(self, value)
        self.inputs.append(variable)
        return variable

    def write(self, op: Op, function: Callable[..., Any], arrays: Any, statics: Any, out: Any) -> list[Variable]:
        """Add an instruction that gave `out`, and return its outputs."""
        several = len(out) if isinstance(out, tuple | list) else 0
        outputs = [Variable(self, part) for part in (out if several else (out,))]
        self.instructions.append(Instruction(op, function, arrays, statics, outputs, several))
        return outputs

    def uses(self) -> dict[Variable, int]:
        """Return how often each variable is needed, by instructions and as an output."""
        found: dict[Variable, int] = {}
        for x in (*(v for i in self.instructions for v in i.operands), *variables_in(self.outputs)):
            found[x] = found.get(x, 0) + 1
        return found


def variables_in(x: Any) -> list[Variable]:
    """Return the variables in a value, or in lists and tuples of values."""
    if x.__class__ is Variable:
        return [x]
    found: list[Variable] = []
    if isinstance(x, list | tuple):
        for item in x:
            if item.__class__ is Variable:
                found.append(item)
            elif isinstance(item, list | tuple):
                found += variables_in(item)
    return found


def deepest(xs: Any) -> Program | None:
    """Return the innermost of the programs that the variables in a value belong to."""
    return max((x.program for x in variables_in(xs)), key=lambda program: program.depth, default=None)


def own_all(x: Any, value: Any, program: Program) -> Any:
    """Return operands of an instruction as a program's own; `value` is what they are today."""
    if x.__class__ is Variable:
        return program.own(x, value)
    if isinstance(x, list | tuple) and x:
        items = [own_all(part, today, program) for part, today in zip(x, value, strict=True)]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    return x


def replaced(x: Any, by: dict[Variable, Any]) -> Any:
    """Return a value with other things in the place of variables, in lists and tuples too."""
    if x.__class__ is Variable:
        return by.get(x, x)
    if isinstance(x, list | tuple):
        items = [replaced(item, by) for item in x]
        if all(a is b for a, b in zip(items, x, strict=True)):
            return x
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    return x
