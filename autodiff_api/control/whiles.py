"""`while_loop` on any level. With a bound on its steps it is a scan of choices, and so it can be gone back through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..custom.nodes import refused
from ..modes import mode
from ..namespaces import Namespace
from .bodies import Body, closes_over_history, quiet
from .branches import choose
from .layers import Arrays, Engine, Layer, Level, below, control_of, engine_of, layer_of, on_values, values
from .runs import tried
from .scans import Loop, scan_at

Condition = Callable[[Arrays], Any]
Advance = Callable[[Arrays], Arrays]
UNBOUNDED = (
    "backward through while_loop: the number of its steps is not known, so there is no place for what each of them "
    "saves; give it a bound with max_steps=, or use scan (fori_loop with bounds that are Python integers is one)"
)


def while_at(level: Level, condition: Condition, body: Advance, carry: Arrays, max_steps: int | None) -> Arrays:
    """Repeat `body` while `condition` holds, all arrays of one level."""
    if isinstance(level, Engine):
        return _run(level, condition, body, carry, max_steps)
    layer = layer_of(level)
    if layer is not None:
        return _through(layer, condition, body, carry, max_steps)
    if mode().recording:
        found = _record(level, condition, body, carry, max_steps)
        if found is not None:
            return found
    return _unrecorded(level, condition, body, carry, max_steps)


def _unrecorded(xp: Namespace, condition: Condition, body: Advance, carry: Arrays, max_steps: int | None) -> Arrays:
    make = xp.array_class._make

    def holds(given: Arrays) -> Any:
        return condition([make(v) for v in given])._value

    return [make(v) for v in while_at(below(xp), holds, on_values(xp, body), values(carry), max_steps)]


def _run(engine: Engine, condition: Condition, body: Advance, carry: Arrays, max_steps: int | None) -> Arrays:
    """Repeat on raw arrays."""
    own = engine.control.get("while_loop")
    if own is None:
        steps = 0
        while (max_steps is None or steps < max_steps) and bool(condition(carry)):
            carry, steps = body(carry), steps + 1
        return carry
    if max_steps is None:
        found: Arrays = own(condition, body, carry)
        return found

    def holds(given: Arrays) -> Any:
        return engine.xp.logical_and(given[-1] < max_steps, condition(given[:-1]))

    counted = own(holds, lambda given: [*body(given[:-1]), given[-1] + 1], [*carry, engine.xp.asarray(0)])
    return counted[:-1]  # type: ignore[no-any-return]


def _through(layer: Layer, condition: Condition, body: Advance, carry: Arrays, max_steps: int | None) -> Arrays:
    """Repeat on the parts that arrays consist of.

    If the condition differs from one to the next, the loop ends when it holds for none; who is done stands still.
    """
    flags = layer.flags(carry)
    while True:
        start = layer.raised(carry, flags)
        (pred, _), (out, _) = tried(condition, start), tried(body, start)
        own = layer.flag(pred)
        grown = [a or b or own for a, b in zip(flags, layer.flags(out), strict=True)]
        if grown == flags:
            break
        flags = grown
    if own:
        return _through_many(layer, condition, body, carry, max_steps)

    def holds(parts: Arrays) -> Any:
        return layer.split([condition(layer.join(parts, flags))], [False])[0]

    out = while_at(layer.low, holds, layer.through(body, flags, flags), layer.split(carry, flags), max_steps)
    return layer.join(out, flags)


def _through_many(layer: Layer, condition: Condition, body: Advance, carry: Arrays, max_steps: int | None) -> Arrays:
    xp, flags = layer.xp, [True] * len(carry)

    def holds(parts: Arrays) -> Any:
        return xp._lower.any(condition(layer.join(parts, flags))._value)

    def advance(given: Arrays) -> Arrays:
        pred = condition(given)
        return [xp.where(pred, new, old) for new, old in zip(body(given), given, strict=True)]

    parts = layer.split(carry, flags)
    return layer.join(while_at(layer.low, holds, layer.through(advance, flags, flags), parts, max_steps), flags)


def _record(xp: Namespace, condition: Condition, body: Advance, carry: Arrays, max_steps: int | None) -> Arrays | None:
    """Repeat where something requires a gradient; None if nothing does."""
    moving = {i for i, c in enumerate(carry) if c._node is not None}
    if not moving and not closes_over_history(body, carry):
        return None
    step_body = Body(xp, body, carry)
    while not moving >= (grown := {i for i, d in enumerate(step_body.depends(moving)) if d}):
        moving |= grown
    if not moving:
        return None
    if max_steps is None:
        with quiet(xp):
            out = _unrecorded(xp, condition, body, carry, None)
        edges = [c._node for c in carry if c._node is not None] + step_body.captured
        ends = iter(refused(UNBOUNDED, [y for i, y in enumerate(out) if i in moving], edges))
        return [next(ends) if i in moving else y for i, y in enumerate(out)]

    def step(given: Arrays, _: Arrays) -> tuple[Arrays, Arrays]:
        return choose(xp, condition(given), [body, list], given), []

    steps = max_steps if control_of(xp) else _count(xp, condition, body, carry, max_steps)
    return scan_at(xp, step, carry, [], Loop(steps))[0]


def _count(xp: Namespace, condition: Condition, body: Advance, carry: Arrays, max_steps: int) -> int:
    """Return how many steps there will be, of an engine whose values are always known: the most of any, if mapped."""

    def advance(given: Arrays) -> Arrays:
        return [*body(given[:-1]), given[-1] + 1]

    with quiet(xp):
        start = [*carry, xp.asarray(0)]
        (*_, count) = _unrecorded(xp, lambda given: condition(given[:-1]), advance, start, max_steps)
    while hasattr(type(count), "_xp"):
        count = count._value
    return int(engine_of(xp).xp.max(count))
