"""A program written out: its source, the memory it works in, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import Context, copy_context
from typing import Any, NamedTuple

from ..control.programs import Flow
from ..program import Program, Variable
from .blocks import Group, grouped
from .emit import Names, call_text, compiled, function_name, heading, inputs_as_arrays, numbers_as_arrays
from .keep import Kept, joined
from .loops import Loop
from .plan import Into, Slot, fits, planned
from .simplify import simplified


def written(program: Program, labels: Sequence[str], into: Into, xp: Any, threads: int) -> Emission:
    """Return a program as Python source, and what the names in it mean."""
    inputs_as_arrays(joined(program, xp), xp)
    names, parts, bodies = Names(), grouped(program, into), list[str]()
    plan = planned(program, parts, into)
    lines = [heading(program, labels, names)]
    functions: list[str] = []
    memory = {(slot, shape): names.fresh(f"b{n}") for n, slot in enumerate(plan.slots) for shape in slot.shapes}
    if memory:
        lines.append(f"    {', '.join(memory.values())}, = arena")

    def place(x: Variable) -> str | None:
        """Return the memory that a result is planned to take over."""
        where = plan.where.get(x)
        return None if where is None else names.word(where) if isinstance(where, Variable) else memory[where, x.shape]

    for n, part in enumerate(parts):
        if isinstance(part, Group):
            function, body = Loop(part, names, into, xp, place).lines(threads)
            functions += [*function, ""]
        else:
            function_of = part.function
            if isinstance(function_of, Flow):
                bodies += bound(function_of, part.op.name, into, xp)
            if fits(part, into):
                function_of = into[part.op.name]
                numbers_as_arrays(part, xp)
            text = call_text(names, part, function_of, place(part.outputs[0]))
            wanted = ["kept" if x.dtype is Kept else function_name(part.op.name) for x in part.outputs]
            made = ", ".join(map(names.variable, part.outputs, wanted))
            body = [f"{made}{',' if part.several == 1 else ''} = {text}"]
        dead = [names.variable(x) for x in plan.dead.get(n, ()) if not isinstance(plan.where.get(x), Slot)]
        if dead and n + 1 < len(parts):
            body.append(f"del {', '.join(dead)}")
        lines += [f"    {line}" for line in body]
    lines.append(f"    return ({''.join(f'{names.word(x)}, ' for x in program.outputs)})")
    return Emission("\n".join([*functions, *lines]) + "\n", names.scope, plan.slots, bodies)


def bound(flow: Flow, name: str, into: Into, xp: Any) -> list[str]:
    """Write out the bodies of an instruction of control flow, let it run them so, and return their sources."""
    sources = []
    for k, program in enumerate(flow.programs):
        labels = [f"x_{i}" for i in range(len(program.inputs))]
        runner = Runner(written(simplified(program, xp), labels, into, xp, 1), xp)
        flow.runs[k] = runner
        program.captured.clear()  # the arrays of today
        sources.append(f"# {name}, body {k}:\n{runner.source}")
    return sources


class Emission(NamedTuple):
    """A program's source, what the names in it mean, and the memory that it works in."""

    source: str
    scope: dict[str, Any]
    slots: list[Slot]
    bodies: list[str]  # the sources of the bodies of loops and branches


class Runner:
    """A program that runs: `runner(*inputs)` gives its outputs.

    Memory is kept from call to call; calls that overlap, in threads, have memory of their own.
    """

    def __init__(self, emission: Emission, xp: Any, quiet: Callable[[], Any] = nullcontext) -> None:
        self.source = "\n".join([emission.source, *emission.bodies])
        self._slots, self._xp, self._quiet = emission.slots, xp, quiet
        self._run = compiled(emission.source, emission.scope)
        self._rooms: list[tuple[Context, list[Any]]] = []

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        """Run the program."""
        try:
            room = self._rooms.pop()
        except IndexError:
            room = self._room()
        context, arena = room
        outputs: tuple[Any, ...] = context.run(self._run, arena, *inputs)
        self._rooms.append(room)
        return outputs

    def _room(self) -> tuple[Context, list[Any]]:
        """Return memory, and a context without warnings: half of what a `where` chooses from may divide by zero.

        To enter such a context costs a fifth of what it costs to silence the warnings each time.
        """
        with self._quiet():
            context = copy_context()
        xp = self._xp
        arena = []
        for slot in self._slots:
            memory = xp.empty((slot.size,), dtype=slot.dtype)
            arena += [xp.reshape(memory, shape) for shape in slot.shapes]
        return context, arena
