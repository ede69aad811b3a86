"""Programs as readable Python: one line for each instruction, over the kernels of a backend."""

from __future__ import annotations

import inspect
import keyword
import linecache
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import count
from typing import Any

from ..program import Instruction, Program, Variable, is_floating, is_number, replaced, variables_in
from ..rules.batching import is_each
from ..rules.kinds import signature_of
from ..traced import AS_ARRAY

_files = count(1)
RESERVED = ("arena", "args", "first", "kwargs", "last", "outputs", "run", "start", "stop")


class Names:
    """What stands in the source for variables, kernels and constants; `scope` has what the last two mean."""

    def __init__(self, outside: Names | None = None) -> None:
        self.scope: dict[str, Any] = outside.scope if outside else {}
        self._things: dict[int, str] = outside._things if outside else {}
        self._taken: dict[str, int] = outside._taken if outside else dict.fromkeys(RESERVED, 0)  # and to what number
        self._variables: dict[Variable, str] = {}

    def inside(self) -> Names:
        """Return the names in a function of the same source: the same things, other variables."""
        return Names(self)

    def fresh(self, wanted: str) -> str:
        """Return a name like `wanted` that nothing else has."""
        base = re.sub(r"\W+", "_", wanted).strip("_") or "x"
        base = f"_{base}" if base[0].isdigit() else f"{base}_" if keyword.iskeyword(base) else base
        name = base
        while name in self._taken:
            self._taken[base] += 1
            name = f"{base}_{self._taken[base]}"
        self._taken[name] = 0
        return name

    def variable(self, x: Variable, wanted: str = "") -> str:
        """Return the name of a variable, a new one like `wanted` if it has none yet."""
        if x not in self._variables:
            self._variables[x] = self.fresh(wanted)
        return self._variables[x]

    def thing(self, x: Any, wanted: str) -> str:
        """Return the name of a kernel or a constant, in the scope."""
        if id(x) not in self._things:
            name = self._things[id(x)] = self.fresh(wanted)
            self.scope[name] = x
        return self._things[id(x)]

    def word(self, x: Any) -> str:
        """Return an operand or a parameter as source."""
        if x.__class__ is Variable:
            return self._variables[x]
        if x.__class__ is Constant:
            return self.thing(x.array, f"c_{x.number}")
        if x is None or x is Ellipsis or isinstance(x, str) or is_number(x):
            text = repr(x)
            if not re.search(r"\b(inf|nan)", text) or isinstance(x, str):
                return "..." if x is Ellipsis else text
            return self.thing(x, "number")
        if x.__class__ is slice:
            return f"slice({', '.join(map(self.word, (x.start, x.stop, x.step)))})"
        if x.__class__ in (list, tuple):
            inner = ", ".join(map(self.word, x))
            return f"[{inner}]" if x.__class__ is list else f"({inner},)" if len(x) == 1 else f"({inner})"
        return self.thing(x, "constant" if hasattr(x, "shape") else str(getattr(x, "name", "thing")))


def call_text(names: Names, i: Instruction, function: Any, out: str | None = None) -> str:
    """Return an instruction as a call of `function` with the op's own signature, and perhaps with memory for it."""
    given = dict(zip(i.op.arrays, i.arrays, strict=False)) | dict(zip(i.op.statics, i.statics, strict=False))
    words, keywords = [], []
    if i.op.variadic:
        given["arrays"] = list(i.arrays)
    for name, parameter in parameters_of(i.op.signature):
        if name not in given:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY:
            if given[name] is not parameter.default:
                keywords.append(f"{name}={names.word(given[name])}")
        else:
            words.append(names.word(given[name]))
    if out is not None:
        keywords.append(f"out={out}")
    return f"{names.thing(function, function_name(i.op.name))}({', '.join([*words, *keywords])})"


@cache
def parameters_of(signature: str) -> tuple[tuple[str, inspect.Parameter], ...]:
    """Return the parameters of an op's signature."""
    return tuple(inspect.signature(signature_of(signature)).parameters.items())


def float_beside(i: Instruction) -> Any:
    """Return the dtype that numbers have in an element-wise instruction on arrays of one floating dtype, or None."""
    if not is_each(i.op) or i.op.name == "pow":
        return None
    dtypes = {x.dtype for x in i.arrays if hasattr(x, "dtype") and x.dtype is not float and is_floating(x.dtype)}
    return next(iter(dtypes)) if len(dtypes) == 1 else None


def numbers_as_arrays(i: Instruction, xp: Any) -> None:
    """Let an element-wise instruction take arrays without axes for numbers: NumPy is faster with these by 0.7 µs."""
    dtype = float_beside(i)
    if dtype is not None and not any(x.__class__ is Variable and x.weak for x in i.arrays):
        i.arrays = [Constant(x, xp.asarray(x, dtype=dtype)) if is_number(x) else x for x in i.arrays]


def inputs_as_arrays(program: Program, xp: Any) -> None:
    """Let numbers that are inputs be made arrays once, where they meet arrays of one floating dtype more than once."""
    uses: dict[tuple[Variable, Any], list[Instruction]] = {}
    numbers = {x for x in program.inputs if x.dtype in (float, int)}
    for i in program.instructions:
        for x in numbers.intersection(variables_in(i.arrays)):
            uses.setdefault((x, float_beside(i)), []).append(i)
    first = []
    for (x, dtype), instructions in uses.items():
        if dtype is not None and len(instructions) > 1:
            array = x.twin()
            array.dtype = dtype
            first.append(Instruction(AS_ARRAY, partial(xp.asarray, dtype=dtype), [x], (), [array], 0))
            for i in instructions:
                i.arrays = replaced(i.arrays, {x: array})
    program.instructions[:0] = first


class Constant:
    """A number that is an array in the program, under a name that tells it."""

    def __init__(self, number: Any, array: Any) -> None:
        self.number, self.array = number, array


def function_name(op: str) -> str:
    """Return what an op is called in a program's source."""
    return op.rpartition(".")[2].rstrip("_")


def compiled(source: str, scope: dict[str, Any]) -> Callable[..., Any]:
    """Return the function `run` that a source defines, which tracebacks and debuggers can show."""
    file = f"<compiled program {next(_files)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), scope)
    return scope["run"]  # type: ignore[no-any-return]


def heading(program: Program, labels: Sequence[str], names: Names) -> str:
    """Return the first line of a program's source: its inputs, by what they are called outside."""
    inputs = [names.variable(x, label) for x, label in zip(program.inputs, labels, strict=True)]
    return f"def run({', '.join(['arena', *inputs])}):"
