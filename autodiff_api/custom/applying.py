"""Applying a custom function: on an engine's tensors it runs; on a transformation's it goes one level down first.

Every level sees the custom rule. Tensors over duals take the primals down, and get their tangents from `jvp` or from
`backward`; tensors over batched arrays run `vmap`, or the function itself on batched arrays. Whatever came up from
below, the level's own node has the same `backward`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..arrays import Array
from ..graph import MANY, is_inexact, new_node
from ..levels import lift
from ..modes import mode, no_grad, rare_used, recorded
from ..namespaces import Namespace
from ..tensors import Tensor
from ..views import ViewMixin, detached, rebind, write
from .context import FunctionCtx, Unrecorded
from .definition import Definition, Outcome, changed, node_of, place
from .recording import Call, CallNode, Output, keep

BELOW: dict[type, Callable[[Definition, list[Any], Namespace], Outcome]] = {}  # by the namespace under the tensors


def call(definition: Definition, args: Sequence[Any]) -> Outcome:
    """Apply a custom function to arguments, some of them tensors."""
    for x in args:
        if isinstance(x, Array) and not isinstance(x, Tensor):
            return _called_bare(definition, args)
    xp = highest(args)
    below = None if xp is None else BELOW.get(type(xp._lower._namespace))
    if xp is None or below is None:
        return run(definition, list(args))
    args = [lift(x, xp) if isinstance(x, Tensor) and x._xp._root is xp._root else x for x in args]
    return climb(definition, args, xp, below(definition, args, xp))


def _called_bare(definition: Definition, args: Sequence[Any]) -> Outcome:
    """Apply a custom function to arrays that have no tensors on top: with tensors on top, and take them off again."""
    tensors = [x._xp._tensors if isinstance(x, Array) and not isinstance(x, Tensor) else None for x in args]
    xp = max((t for t in tensors if t is not None), key=lambda t: t._height)
    outcome = call(definition, [lift(x, xp) if t is not None else x for x, t in zip(args, tensors, strict=True)])
    return outcome._replace(outputs=tuple(x._value if isinstance(x, xp.array_class) else x for x in outcome.outputs))


def highest(args: Sequence[Any]) -> Namespace | None:
    """Return the highest namespace of tensors among arguments."""
    found: Namespace | None = None
    for x in args:
        if not isinstance(x, Tensor):
            continue
        own = x._xp
        if found is None or (own._root is found._root and own._height > found._height):
            found = own
    return found


def run(definition: Definition, args: list[Any]) -> Outcome:
    """Run a function on an engine's tensors, as PyTorch does: without recording what is inside."""
    before = [node_of(x) for x in args]
    values = [x._value if isinstance(x, Tensor) else x for x in args]
    recording = mode().recording and any(node is not None for node in before)
    outcome, ctx = forward(definition, args, [node is not None for node in before], recording)
    return finish(definition, ctx, args, before, values, outcome, recording)


def forward(definition: Definition, args: list[Any], needs: list[bool], recording: bool) -> tuple[Outcome, FunctionCtx]:
    """Run what the user wrote, without recording, and return its outputs and the context it filled."""
    ctx = definition.context(needs, recording)
    ctx._wanted = recording
    with Unrecorded():
        if definition.setup is None:
            return Outcome.of(definition.forward(ctx, *args)), ctx
        outcome = Outcome.of(definition.forward(*args))
        definition.setup(ctx, tuple(args), outcome.returned())
        return outcome, ctx


def climb(definition: Definition, args: list[Any], xp: Namespace, below: Outcome) -> Outcome:
    """Make what came up from the level below into outputs of this one."""
    before = [node_of(x) for x in args]
    values = [x._value if isinstance(x, Tensor) else x for x in args]
    recording = mode().recording and any(node is not None for node in before)
    array = xp.array_class
    outputs = []
    for k, value in enumerate(below.outputs):
        if k in below.dirty:
            x = args[below.dirty[k]]
            with no_grad():
                write(x, array._make(value))
            outputs.append(x)
        else:
            outputs.append(array._make(value) if hasattr(type(value), "_xp") else value)
    outcome = Outcome(tuple(outputs), below.single, below.dirty)
    if not recording:
        return outcome
    ctx = context_of(definition, args, outcome, [node is not None for node in before])
    return finish(definition, ctx, args, before, values, outcome, recording)


def context_of(definition: Definition, args: list[Any], outcome: Outcome, needs: list[bool]) -> FunctionCtx:
    """Return the context of a call whose outputs are known: that of one level, with this level's tensors.

    A `forward` that fills the context itself runs once more for it; its outputs are not used.
    """
    ctx = definition.context(needs, False)
    if definition.setup is not None:
        definition.setup(ctx, tuple(args), outcome.returned())
        return ctx
    twins = [_twin(x, definition.renews) if isinstance(x, Tensor) else x for x in args]
    again = Outcome.of(definition.forward(ctx, *twins))
    ours = {id(b): a for b, a in zip([*twins, *again.outputs], [*args, *outcome.outputs], strict=True)}
    for name in ("to_save", "saved_for_forward", "non_differentiable", "dirty_tensors"):
        held = getattr(ctx, name)
        setattr(ctx, name, None if held is None else tuple(ours.get(id(x), x) for x in held))
    return ctx


def _twin(x: Any, bare: bool) -> Any:
    return x._xp.array_class._make(x._value) if bare else x._as_now()


def finish(
    definition: Definition,
    ctx: FunctionCtx,
    args: list[Any],
    before: list[Any],
    values: list[Any],
    outcome: Outcome,
    recording: bool,
) -> Outcome:
    """Give the outputs their node, and return them."""
    raw = outcome.outputs
    dirty = changed(ctx, args, raw)
    _warn_of_strangers(ctx, args)
    outputs, moving = _apart(ctx, args, raw, dirty, recording)
    if moving:
        kept = keep(ctx, args, [None if i in dirty.values() else n for i, n in enumerate(before)], raw)
        _connect(definition, ctx, args, before, values, outputs, moving, kept, dirty)
    ctx.to_save = ctx.dirty_tensors = ctx.non_differentiable = ()
    return Outcome(tuple(outputs), outcome.single, dirty)


def _warn_of_strangers(ctx: FunctionCtx, args: list[Any]) -> None:
    if ctx.dirty_tensors and any(place(x, args) is None for x in ctx.dirty_tensors):
        warnings.warn(
            "Only input Tensors should be given to ctx.mark_dirty(). If a Tensor is not an input, there is no need "
            "to pass it to mark_dirty().",
            UserWarning,
            stacklevel=6,
        )


def _apart(
    ctx: FunctionCtx, args: list[Any], raw: Sequence[Any], dirty: dict[int, int], recording: bool
) -> tuple[list[Any], list[int]]:
    """Return the outputs as tensors of their own, and which of them will have a gradient."""
    outputs: list[Any] = []
    moving = []
    for k, x in enumerate(raw):
        if isinstance(x, Tensor):
            moves = recording and is_inexact(x._xp._lower, x.dtype) and place(x, ctx.non_differentiable) is None
            if moves:
                moving.append(k)
            if k in dirty and (moves or not recording):
                pass
            elif moves:
                if x._node is not None or isinstance(x, ViewMixin) or _again(x, args, outputs):
                    x = x._xp.array_class._make(x._value)
            elif place(x, args) is not None:
                x = detached(x)
        outputs.append(x)
    return outputs, moving


def _again(x: Any, args: list[Any], outputs: list[Any]) -> bool:
    return place(x, args) is not None or place(x, outputs) is not None


def _connect(
    definition: Definition,
    ctx: FunctionCtx,
    args: list[Any],
    before: list[Any],
    values: list[Any],
    outputs: list[Any],
    moving: list[int],
    kept: tuple[Any, Any],
    dirty: dict[int, int],
) -> None:
    """Make the node of a call, and connect its outputs to it."""
    places, edges, classes, others = [], [], [], list(args)
    for i, x in enumerate(args):
        if isinstance(x, Tensor):
            places.append(i)
            edges.append(values[i] if before[i] is None else before[i])
            classes.append(x._xp.array_class)
            others[i] = None
    known = [Output.of(x) if isinstance(x, Tensor) else None for x in outputs]
    needs = ctx.needs_input_grad

    def again(given: Sequence[Any]) -> tuple[Sequence[Any], FunctionCtx]:
        twins = list(others)
        for i, array, value in zip(places, classes, given, strict=True):
            twins[i] = array._make(value)
        with no_grad():
            outcome = call(definition, twins)
        return outcome.outputs, context_of(definition, twins, outcome, list(needs))

    first = outputs[moving[0]]
    made = Call(definition, ctx, first._xp.array_class, edges, places, len(args), kept[1], known, moving, again)
    recipe: Any = made
    single = len(moving) == 1
    shape, dtype = (first.shape, first.dtype) if single else (MANY, MANY)
    node = new_node(recipe, (), made.edges, kept[0], shape, dtype, CallNode)
    made.attach(node)
    if rare_used:
        recorded(node)
    for k in moving:
        x, end = outputs[k], made.end(k, node)
        if k not in dirty:
            x._node = end
        elif isinstance(x, ViewMixin):
            write(x, x._xp.array_class._make(x._value, end))
        else:
            rebind(x, x._value, end)
