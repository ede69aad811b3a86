"""Programs as readable Python: one line for each instruction, over the kernels of a backend."""

from __future__ import annotations

import inspect
import keyword
import linecache
import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

from ..program import Instruction, Program, Variable, is_number
from ..rules.kinds import signature_of
from .plan import Into, Plan, Slot, fits, planned

_files = count(1)


class Names:
    """What stands in the source for variables, kernels and constants; `scope` has what the last two mean."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self._of: dict[Any, str] = {}
        self._taken: set[str] = {"arena", "run"}

    def fresh(self, wanted: str) -> str:
        """Return a name like `wanted` that nothing else has."""
        base = re.sub(r"\W+", "_", wanted).strip("_") or "x"
        base = f"_{base}" if base[0].isdigit() else f"{base}_" if keyword.iskeyword(base) else base
        name, n = base, 1
        while name in self._taken:
            name, n = f"{base}_{n}", n + 1
        self._taken.add(name)
        return name

    def variable(self, x: Variable, wanted: str = "") -> str:
        """Return the name of a variable, new ones after what makes them."""
        if x not in self._of:
            self._of[x] = self.fresh(wanted)
        return self._of[x]

    def thing(self, x: Any, wanted: str) -> str:
        """Return the name of a kernel or a constant, in the scope."""
        key = ("thing", id(x))
        if key not in self._of:
            name = self._of[key] = self.fresh(wanted)
            self.scope[name] = x
        return self._of[key]

    def word(self, x: Any) -> str:
        """Return an operand or a parameter as source."""
        if x.__class__ is Variable:
            return self._of[x]
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
    for name, parameter in inspect.signature(signature_of(i.op.signature)).parameters.items():
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


def emitted(program: Program, labels: Sequence[str], into: Into) -> Emission:
    """Return a program as Python source, and what runs it."""
    names, plan = Names(), planned(program, into)
    lines = [heading(program, labels, names)]
    memory = {(slot, shape): names.fresh(f"b{n}") for n, slot in enumerate(plan.slots) for shape in slot.shapes}
    if memory:
        lines.append(f"    {', '.join(memory.values())}, = arena")
    for n, i in enumerate(program.instructions):
        lines.append("    " + _line(names, i, plan, memory, into))
        dead = [names.variable(x) for x in plan.last.get(n, ()) if x not in plan.where and x not in program.inputs]
        if dead and n + 1 < len(program.instructions):
            lines.append(f"    del {', '.join(dead)}")
    outputs = "".join(f"{names.word(x)}, " for x in program.outputs)
    lines.append(f"    return ({outputs})")
    return Emission("\n".join(lines) + "\n", names.scope, plan.slots)


def _line(names: Names, i: Instruction, plan: Plan, memory: dict[Any, str], into: Into) -> str:
    out = i.outputs[0]
    place = plan.where.get(out)
    function = into[i.op.name] if fits(i, into) else i.function
    given = None if place is None else names.word(place) if isinstance(place, Variable) else memory[place, out.shape]
    text = call_text(names, i, function, given)
    made = ", ".join(names.variable(x, function_name(i.op.name)) for x in i.outputs)
    return f"{made}{',' if i.several == 1 else ''} = {text}"


class Emission(NamedTuple):
    """A program's source, what the names in it mean, and the memory that it works in."""

    source: str
    scope: dict[str, Any]
    slots: list[Slot]


class Runner:
    """A program that runs: `runner(*inputs)` gives its outputs.

    Memory is kept from call to call; calls that overlap, in threads, have memory of their own.
    """

    def __init__(self, emission: Emission, xp: Any) -> None:
        self.source, self._slots, self._xp = emission.source, emission.slots, xp
        self._run = compiled(emission.source, emission.scope)
        self._arenas: list[list[Any]] = []

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        """Run the program."""
        try:
            arena = self._arenas.pop()
        except IndexError:
            arena = self._arena()
        outputs: tuple[Any, ...] = self._run(arena, *inputs)
        self._arenas.append(arena)
        return outputs

    def _arena(self) -> list[Any]:
        xp = self._xp
        arena = []
        for slot in self._slots:
            memory = xp.empty((slot.size,), dtype=slot.dtype)
            arena += [xp.reshape(memory, shape) for shape in slot.shapes]
        return arena
