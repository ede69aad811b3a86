"""`scan` on any level: the engine's own loop, or Python's; one node for all of its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..graph import Node
from ..modes import mode
from ..namespaces import Namespace
from .bodies import Bodied, Body, Pass, closes_over_history, quiet
from .layers import Arrays, Engine, Layer, Level, below, layer_of, values
from .runs import Run, tried

Step = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]


class Loop(NamedTuple):
    """How often a step runs, in which order, and how many steps an engine may say in one turn."""

    length: int
    reverse: bool = False
    unroll: int | bool = 1


def scan_at(level: Level, step: Step, carry: Arrays, xs: Arrays, loop: Loop) -> tuple[Arrays, Arrays]:
    """Run a step for each slice of `xs`, all arrays of one level, and return the carry and the stacked results."""
    if isinstance(level, Engine):
        own = level.control.get("scan")
        return plain(level.xp, step, carry, xs, loop) if own is None else own(step, carry, xs, *loop)
    layer = layer_of(level)
    if layer is not None:
        return _through(layer, step, carry, xs, loop)
    if mode().recording:
        found = _record(level, step, carry, xs, loop)
        if found is not None:
            return found
    make = level.array_class._make
    out, ys = scan_at(below(level), _on_values(level, step), values(carry), values(xs), loop)
    return [make(c) for c in out], [make(y) for y in ys]


def plain(xp: Any, step: Step, carry: Arrays, xs: Arrays, loop: Loop) -> tuple[Arrays, Arrays]:
    """Run the steps one after the other, in Python."""
    if not loop.length:
        _, like = step(carry, first(xp, xs, loop))
        return carry, [xp.zeros((0, *y.shape), dtype=y.dtype) for y in like]
    rows = []
    for k in reversed(range(loop.length)) if loop.reverse else range(loop.length):
        carry, y = step(carry, [xp.getitem(x, k) for x in xs])
        rows.append(y)
    if loop.reverse:
        rows.reverse()
    return carry, [xp.stack(column) for column in zip(*rows, strict=True)]


def first(xp: Any, xs: Arrays, loop: Loop) -> Arrays:
    """Return what the first step gets; zeros where there are no steps."""
    if not loop.length:
        return [xp.zeros(tuple(x.shape[1:]), dtype=x.dtype) for x in xs]
    return [xp.getitem(x, -1 if loop.reverse else 0) for x in xs]


def _on_values(xp: Namespace, step: Step) -> Step:
    make = xp.array_class._make

    def lowered(carry: Arrays, x: Arrays) -> tuple[Arrays, Arrays]:
        out, y = step([make(v) for v in carry], [make(v) for v in x])
        return values(out), values(y)

    return lowered


def _through(layer: Layer, step: Step, carry: Arrays, xs: Arrays, loop: Loop) -> tuple[Arrays, Arrays]:
    """Scan the parts that arrays consist of. The step is tried until the carry keeps the parts that it has."""
    x_flags, start = layer.flags(xs), first(layer.xp, xs, loop)
    flags = layer.flags(carry)
    while True:
        (out, y), _ = tried(step, layer.raised(carry, flags), start)
        grown = [a or b for a, b in zip(flags, layer.flags(out), strict=True)]
        if grown == flags:
            break
        flags = grown
    y_flags = layer.flags(y)

    def lowered(c: Arrays, x: Arrays) -> tuple[Arrays, Arrays]:
        out, y = step(layer.join(c, flags), layer.join(x, x_flags))
        return layer.split(out, flags), layer.split(y, y_flags)

    parts = layer.split(carry, flags), layer.split(xs, x_flags, stacked=True)
    out, ys = scan_at(layer.low, lowered, *parts, loop)
    return layer.join(out, flags), layer.join(ys, y_flags, stacked=True)


def _record(xp: Namespace, step: Step, carry: Arrays, xs: Arrays, loop: Loop) -> tuple[Arrays, Arrays] | None:
    """Scan, and make one node for all steps; None if nothing in them requires a gradient."""
    n, m = len(carry), len(xs)
    lower = xp._lower
    start = [xp.array_class._make(v) for v in first(lower, values(xs), loop)]

    def one(given: Arrays) -> Arrays:
        out, y = step(given[:n], given[n:])
        return [*out, *y]

    moving = {i for i, c in enumerate([*carry, *xs]) if c._node is not None}
    if not moving and not closes_over_history(one, [*carry, *start]):
        return None
    body = Body(xp, one, [*carry, *start])
    while not moving >= (grown := {i for i, d in enumerate(body.depends(moving)[:n]) if d}):
        moving |= grown
    depends = body.depends(moving)
    if not any(depends) and not any(i < n for i in moving):
        return None
    edges = [x._value if x._node is None else x._node for x in (*carry, *xs)]
    recipe = Scan(xp, step, body, (*edges, *body.captured), (n, m), sorted(moving), loop)
    outputs = recipe.forward(values(carry), values(xs))
    node = recipe.node((*values(xs), *outputs[len(outputs) - n :]))
    body.keep(node)
    moves = [i in moving for i in range(n)] + depends[n:]
    made = [
        recipe.output(node, i, v) if moves[i] else xp.array_class._make(v)
        for i, v in enumerate(outputs[: len(outputs) - n])
    ]
    return made[:n], made[n:]


class Scan(Bodied):
    """The recipe of the node of one scan.

    Its outputs are the carry at the end, the stacked results, and the carries that the steps began with, which it
    saves: what is computed from those in a recorded pass backward goes back through the node once more.
    """

    def __init__(
        self,
        xp: Namespace,
        step: Step,
        body: Body,
        edges: Sequence[Any],
        counts: tuple[int, int],
        moving: Sequence[int],
        loop: Loop,
    ) -> None:
        super().__init__("Scan", xp, edges, counts[0] + counts[1])
        self.step, self.body, self.loop = step, body, loop
        self.carried, self.scanned = counts
        self.moving = [i for i in moving if i < self.carried]  # the carries that have a gradient

    @property
    def size(self) -> int:
        """The number of outputs."""
        return len(self.body.shapes) + self.carried

    def forward(self, carry: Arrays, xs: Arrays) -> Arrays:
        """Return the values of all outputs."""
        step = _on_values(self.xp, self.step)

        def saving(carry: Arrays, x: Arrays) -> tuple[Arrays, Arrays]:
            out, y = step(carry, x)
            return out, [*y, *carry]

        with quiet(self.xp):
            out, ys = scan_at(below(self.xp), saving, carry, xs, self.loop)
        return [*out, *ys]

    def invoke(self, kernel: Any, inputs: Sequence[Any], params: Any) -> Any:
        """Return the values of all outputs, once more."""
        n = self.carried
        with Run(again=True):
            return tuple(self.forward(list(inputs[:n]), list(inputs[n : n + self.scanned])))

    def pick(self, *given: Any) -> tuple[Any, ...]:
        """Return what is saved, given the inputs and the outputs."""
        n = self.carried
        return (*given[n : n + self.scanned], *given[-2][len(given[-2]) - n :])

    def lift(self, node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what was saved as tensors of the graph."""
        make, n, m = self.array._make, self.carried, self.scanned
        edges = [self.edges[n + i] if n + i in self.targets else None for i in range(m)]
        xs = [make(v, e) for v, e in zip(saved[:m], edges, strict=True)]
        rest = enumerate(saved[m:])
        return (*xs, *(self.output(node, self.size - n + i, v) if i in self.moving else make(v) for i, v in rest))

    def _pull(self, targets: tuple[int, ...], t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        n, m = self.carried, self.scanned
        create = isinstance(saved[0], self.array) if saved else mode().recording
        at = Pass(self.xp, xp, create)
        back = Back(
            self, at, [i - n for i in targets if n <= i < n + m], [self.edges[i] for i in targets if i >= n + m]
        )
        xs, carries = [at.up(x) for x in saved[:m]], [at.up(c) for c in saved[m:]]
        return back.run(targets, list(t), carries, xs)


class Back:
    """One pass backward through a scan: a scan in the other order, which carries cotangents."""

    def __init__(self, scan: Scan, at: Pass, xs: Sequence[int], captured: Sequence[Any]) -> None:
        self.scan, self.at, self.xs, self.captured = scan, at, list(xs), list(captured)

    def run(self, targets: tuple[int, ...], t: Arrays, carries: Arrays, xs: Arrays) -> Arrays:
        """Return the cotangents of the node's inputs at `targets`."""
        scan, at, n = self.scan, self.at, self.scan.carried
        final, ys, kept = t[:n], t[n : scan.size - n], t[scan.size - n :]
        shapes = [scan.body.shapes[i] for i in scan.moving]
        start = [
            at.functions.zeros(shape, dtype=dtype) if final[i] is None else final[i]
            for i, (shape, dtype) in zip(scan.moving, shapes, strict=True)
        ]
        self.places = [i for i, part in enumerate((*ys, *kept)) if part is not None]
        given = [*carries, *xs, *(part for part in (*ys, *kept) if part is not None)]
        loop = Loop(scan.loop.length, not scan.loop.reverse, scan.loop.unroll)
        out, found = scan_at(at.level, self.step, [*start, *map(at.zeros, self.captured)], given, loop)
        moved = iter(out[len(scan.moving) :])
        first, slices = dict(zip(scan.moving, out, strict=False)), dict(zip(self.xs, found, strict=True))
        return [first[i] if i < n else slices[i - n] if i < n + scan.scanned else next(moved) for i in targets]

    def step(self, carry: Arrays, given: Arrays) -> tuple[Arrays, Arrays]:
        """Go back through one step."""
        scan, at, n = self.scan, self.at, self.scan.carried
        k = len(scan.moving)
        inputs = given[: n + scan.scanned]
        parts = dict(zip(self.places, given[n + scan.scanned :], strict=True))
        results = len(scan.body.shapes) - n
        arriving = dict(zip(scan.moving, carry[:k], strict=True))
        cotangents = [*(arriving.get(i) for i in range(n)), *(parts.get(i) for i in range(results))]
        places = [*scan.moving, *(n + i for i in self.xs)]
        back, caught = scan.body.pull(at, inputs, cotangents, places, self.captured)
        back = [at.zeros(inputs[i]) if g is None else g for i, g in zip(places, back, strict=True)]
        for j, i in enumerate(scan.moving):
            if results + i in parts:
                back[j] = back[j] + parts[results + i]
        sums = [a if g is None else a + g for a, g in zip(carry[k:], caught, strict=True)]
        return [*back[:k], *sums], back[k:]
