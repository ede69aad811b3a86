"""`cond` on any level: one branch runs where the engine or Python can choose, else both, and `where` chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import OutputError, TreeError
from ..graph import Edge, Node
from ..modes import mode
from ..namespaces import Namespace
from .bodies import Bodied, Body, Pass, closes_over_history, quiet
from .layers import Arrays, Engine, Layer, Level, below, control_of, differs, layer_of, on_values, values
from .runs import Run, in_trial, tried

Branch = Callable[[Arrays], Arrays]


def choose(xp: Namespace, pred: Any, branches: Sequence[Branch], operands: Arrays) -> Arrays:
    """Return what the first branch gives where `pred` holds, and else the second; all are arrays of `xp`."""
    if differs(pred):
        return [xp.where(pred, a, b) for a, b in zip(*(branch(operands) for branch in branches), strict=True)]
    if "cond" in control_of(xp):
        return cond_at(xp, pred, branches, operands)
    chosen = 0 if bool(pred) else 1
    out = branches[chosen](operands)
    return _with_other(xp, pred, out, branches[1 - chosen], operands) if in_trial() else out


def _with_other(xp: Namespace, pred: Any, out: Arrays, other: Branch, operands: Arrays) -> Arrays:
    """Return results that also depend on what the branch that is not taken depends on, and have its parts."""
    try:
        with xp._quiet():
            return [xp.where(pred, a, b) for a, b in zip(out, other(operands), strict=True)]
    except (OutputError, TreeError):
        raise
    except Exception:  # of values that it is not meant for: it matters where the branch is taken
        return out


def cond_at(level: Level, pred: Any, branches: Sequence[Branch], operands: Arrays) -> Arrays:
    """Run one of two branches, all arrays of one level; `pred` is the same for all that are computed at once."""
    if isinstance(level, Engine):
        own = level.control.get("cond")
        return branches[0 if bool(pred) else 1](operands) if own is None else own(pred, *branches, operands)
    layer = layer_of(level)
    if layer is not None:
        return _through(layer, pred, branches, operands)
    if mode().recording:
        found = _record(level, pred, branches, operands)
        if found is not None:
            return found
    below_them = [on_values(level, branch) for branch in branches]
    out = cond_at(below(level), pred._value, below_them, values(operands))
    return [level.array_class._make(v) for v in out]


def _through(layer: Layer, pred: Any, branches: Sequence[Branch], operands: Arrays) -> Arrays:
    """Choose among the parts that arrays consist of; results have all parts that either branch gives them."""
    flags = layer.flags(operands)
    found = [layer.flags(tried(branch, operands)[0]) for branch in branches]
    results = [a or b for a, b in zip(*found, strict=True)]
    (condition,) = layer.split([pred], [False])
    parts = layer.split(operands, flags)
    out = cond_at(layer.low, condition, [layer.through(branch, flags, results) for branch in branches], parts)
    return layer.join(out, results)


def _record(xp: Namespace, pred: Any, branches: Sequence[Branch], operands: Arrays) -> Arrays | None:
    """Choose, and make one node for it; None if nothing requires a gradient."""
    moving = [i for i, x in enumerate(operands) if x._node is not None]
    if not moving and not any(closes_over_history(branch, operands) for branch in branches):
        return None
    bodies = [Body(xp, branch, operands) for branch in branches]
    moves = [a or b for a, b in zip(*(body.depends(moving) for body in bodies), strict=True)]
    if not any(moves):
        return None
    captured: list[Edge] = sorted({e for body in bodies for e in body.captured}, key=lambda e: e.seq)
    edges = (pred._value, *(x._value if x._node is None else x._node for x in operands), *captured)
    recipe = Cond(xp, branches, bodies, edges, len(operands))
    outputs = recipe.forward(pred._value, values(operands))
    node = recipe.node((pred._value, *values(operands)))
    for body in bodies:
        body.keep(node)
    return [recipe.output(node, i, v) if moves[i] else xp.array_class._make(v) for i, v in enumerate(outputs)]


class Cond(Bodied):
    """The recipe of the node of one choice. It saves the predicate and the operands."""

    def __init__(
        self, xp: Namespace, branches: Sequence[Branch], bodies: Sequence[Body], edges: Sequence[Any], count: int
    ) -> None:
        super().__init__("Cond", xp, edges, 1 + count)
        self.branches, self.bodies, self.count = branches, bodies, count

    @property
    def size(self) -> int:
        """The number of outputs."""
        return len(self.bodies[0].shapes)

    def forward(self, pred: Any, operands: Arrays) -> Arrays:
        """Return the values of all outputs."""
        with quiet(self.xp):
            return cond_at(below(self.xp), pred, [on_values(self.xp, branch) for branch in self.branches], operands)

    def invoke(self, kernel: Any, inputs: Sequence[Any], params: Any) -> Any:
        """Return the values of all outputs, once more."""
        with Run(again=True):
            return tuple(self.forward(inputs[0], list(inputs[1 : 1 + self.count])))

    def pick(self, *given: Any) -> tuple[Any, ...]:
        """Return what is saved, given the inputs and the outputs."""
        return given[: 1 + self.count]

    def lift(self, node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what was saved as tensors of the graph."""
        edges = self.edges[: 1 + self.count]
        return tuple(
            self.array._make(v, e if i in self.targets else None)
            for i, (v, e) in enumerate(zip(saved, edges, strict=True))
        )

    def _pull(self, targets: tuple[int, ...], t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        at = Pass(self.xp, xp, isinstance(saved[0], self.array))
        arrays = [at.up(x) for x in saved]
        places = [i for i in targets if i <= self.count]
        caught = [self.edges[i] for i in targets if i > self.count]
        arriving = [i for i, part in enumerate(t) if part is not None]

        def back(body: Body) -> Branch:
            def run(given: Arrays) -> Arrays:
                parts = dict(zip(arriving, given[self.count :], strict=True))
                inputs, cotangents = given[: self.count], [parts.get(i) for i in range(self.size)]
                moved, more = body.pull(at, inputs, cotangents, [i - 1 for i in places], caught)
                like = [*(inputs[i - 1] for i in places), *caught]
                return [at.zeros(x) if g is None else g for x, g in zip(like, [*moved, *more], strict=True)]

            return run

        given = [*arrays[1:], *(t[i] for i in arriving)]
        return cond_at(at.level, arrays[0], [back(body) for body in self.bodies], given)
