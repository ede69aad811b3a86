"""Groups of element-wise instructions, written as a loop over blocks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from typing import Any

from ..program import Instruction, Variable
from .blocks import Group, axes_of, is_total
from .emit import Names, call_text, function_name, numbers_as_arrays
from .plan import Into


@cache
def _workers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="autodiff_api")


@cache
def in_blocks(threads: int) -> Callable[..., None]:
    """Return what runs a loop over blocks on so many threads."""

    def spread(block: Callable[..., None], rows: int, step: int, *arrays: Any) -> None:
        blocks = -(-rows // step)
        parts = min(threads, blocks)
        if parts < 2:
            block(0, rows, *arrays)
            return
        ends = [min(rows, step * (blocks * k // parts)) for k in range(parts + 1)]
        pool = _workers(threads - 1)
        others = [pool.submit(copy_context().run, block, start, stop, *arrays) for start, stop in pairwise(ends[1:])]
        try:
            block(ends[0], ends[1], *arrays)
        finally:
            for other in others:
                other.result()

    return spread


class Loop:
    """Writes a group: a function that does its blocks from one row to another, and the lines that call it.

    `memory` tells where a result is planned to be.
    """

    def __init__(
        self, group: Group, names: Names, into: Into, xp: Any, memory: Callable[[Variable], str | None]
    ) -> None:
        self.group, self.names, self.into, self.xp = group, names, into, xp
        self.inner = names.inside()  # what operands are called in the function, where they are blocks
        self.parameters: list[str] = []
        self.given: list[str] = []
        self.before: list[str] = []
        self.after: list[str] = []
        self.cut: list[str] = []  # the lines that take the blocks of what comes from outside
        self.targets: dict[Variable, str] = {}  # where a block's part of a result goes
        for x in group.inputs:
            self._take(x)
        for i in group.instructions:
            if i in group.closing and 0 in axes_of(i):
                self._add_up(i)
            elif i.outputs[0] in group.outputs:
                self._store(i.outputs[0], i, memory)

    def lines(self, threads: int) -> tuple[list[str], list[str]]:
        """Return the lines of the function, and those in the program."""
        group, name = self.group, self.names.fresh("block")
        steps, scratch = self._steps()
        rest = () if group.flat else group.shape[1:]
        shrink = [f"{memory} = {memory}[: stop - start]" for memory in scratch]
        function = [
            f"def {name}(first, last, {', '.join(self.parameters)}):",
            *[f"    {memory} = {self._empty((group.step, *rest), dtype)}" for memory, dtype in scratch.items()],
            f"    for start in range(first, last, {group.step}):",
            f"        stop = start + {group.step}",
            "        if stop > last:",
            *[f"            {line}" for line in ["stop = last", *shrink]],
            *[f"        {line}" for line in [*self.cut, *steps]],
        ]
        spread = self.names.thing(in_blocks(threads), "in_blocks")
        call = f"{spread}({', '.join([name, str(group.rows), str(group.step), *self.given])})"
        return function, [*self.before, call, *self.after]

    def _take(self, x: Variable) -> None:
        constant = self.group.constants.get(x)
        word = self.names.word(x) if constant is None else self.names.thing(constant, "constant")
        self.given.append(self._flat(word, x))
        if self.group.is_cut(x):
            whole = self.inner.fresh(f"all_{word}")
            self.parameters.append(whole)
            self.cut.append(f"{self.inner.variable(x, word)} = {whole}[start:stop]")
        else:
            self.parameters.append(self.inner.variable(x, word))

    def _store(self, x: Variable, i: Instruction, memory: Callable[[Variable], str | None]) -> None:
        """Let blocks write their part of a result."""
        name, whole = self.names.variable(x, function_name(i.op.name)), self.inner.fresh("out")
        self.before.append(f"{name} = {memory(x) or self._empty(x.shape, x.dtype)}")
        self.given.append(self._flat(name, x))
        self.parameters.append(whole)
        self.targets[x] = f"{whole}[start:stop]"

    def _add_up(self, i: Instruction) -> None:
        """Let each block leave its part of a sum, to be added up afterwards."""
        group, x, parts = self.group, i.outputs[0], self.names.fresh("parts")
        rest = () if is_total(i) else group.shape[1:]
        self.before.append(f"{parts} = {self._empty((-(-group.rows // group.step), *rest), x.dtype)}")
        self.given.append(parts)
        self.parameters.append(parts)
        self.targets[x] = f"{parts}[start // {group.step}]"
        total = f"{self._function(i)}({parts}, axis={0 if rest else None})"
        if x.shape != rest:
            total = f"{self.names.thing(self.xp.reshape, 'reshape')}({total}, {x.shape})"
        self.after.append(f"{self.names.variable(x, function_name(i.op.name))} = {total}")

    def _steps(self) -> tuple[list[str], dict[str, Any]]:
        """Return what is done with each block, and the memory that it needs: names, with dtypes."""
        group, inner = self.group, self.inner
        last = {x: n for n, i in enumerate(group.instructions) for x in (*i.outputs, *i.operands)}
        lines: list[str] = []
        scratch: dict[str, Any] = {}
        where: dict[Variable, str] = {}
        free: list[str] = []
        for n, i in enumerate(group.instructions):
            out = i.outputs[0]
            dying = [where[x] for x in dict.fromkeys(i.operands) if x in where and last[x] == n]
            if i in group.closing:
                lines.append(self._reduction(i))
            else:
                if out not in self.targets:
                    fitting = [m for m in [*dying, *free] if scratch[m] == out.dtype]
                    where[out] = memory = fitting[0] if fitting else inner.fresh("t")
                    scratch[memory] = out.dtype
                    free = [m for m in free if m != memory]
                    dying = [m for m in dying if m != memory]
                target = self.targets.get(out) or where[out]
                numbers_as_arrays(i, self.xp)
                text = call_text(inner, i, self.into[i.op.name], target)
                lines.append(f"{inner.variable(out, function_name(i.op.name))} = {text}")
            free += dying
        return lines, scratch

    def _reduction(self, i: Instruction) -> str:
        target, axes = self.targets[i.outputs[0]], axes_of(i)
        if 0 in axes:
            axis = None if is_total(i) else 0
            return f"{target} = {self._function(i)}({self.inner.word(i.arrays[0])}, axis={axis})"
        keepdims = i.statics[i.op.statics.index("keepdims")]
        return f"{self._function(i)}({self.inner.word(i.arrays[0])}, axis={axes}, keepdims={keepdims}, out={target})"

    def _function(self, i: Instruction) -> str:
        return self.names.thing(self.into[i.op.name], function_name(i.op.name))

    def _flat(self, word: str, x: Variable) -> str:
        if not self.group.flat or len(self.group.shape) == 1 or x.shape != self.group.shape:
            return word
        return f"{self.names.thing(self.xp.reshape, 'reshape')}({word}, (-1,))"

    def _empty(self, shape: tuple[int, ...], dtype: Any) -> str:
        return f"{self.names.thing(self.xp.empty, 'empty')}({shape}, dtype={self.names.thing(dtype, str(dtype))})"
