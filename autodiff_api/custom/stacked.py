"""Custom functions on a transformation's arrays: one level down with the primals or the batch, and up again.

A function under `jvp` is applied to the primals; the tangents come from its `jvp`, or from `backward`: that is linear
in the gradients, v -> Jᵀv, so its own transpose is t -> Jt. A function under `vmap` runs its `vmap`; without one it is
made into another custom function, whose methods run the given ones on batched arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..axes import one_axis
from ..batched import BatchedNamespace
from ..binding import namespace
from ..duals import DualNamespace
from ..errors import BatchingError, GradientError, GraphError
from ..levels import entered, lift
from ..namespaces import Namespace
from ..rules.kinds import to_dtype
from ..tensors import Tensor
from ..walks import Walk
from .applying import BELOW, call, context_of
from .context import FunctionCtx, transposing
from .definition import Definition, Outcome, node_of, place
from .mapped import Mapped
from .recording import checked, fitted


class Floor:
    """The tensors that an array type stands on; where it stands on other arrays, the tensors over those."""

    def __init__(self, over: Namespace, name: str) -> None:
        below = over._lower._namespace
        stacked = isinstance(below, Namespace)
        self.bare = not stacked or not issubclass(below.array_class, Tensor)
        self.xp: Namespace = below if not self.bare else below._tensors if stacked else namespace(over._backend.name)
        self.name = name

    def tensor(self, value: Any) -> Any:
        """Return a lower array as a tensor of its own, which may be changed in place."""
        return self.xp.array_class._make(value) if self.bare else value._as_now()

    def call(self, definition: Definition, args: Sequence[Any]) -> Outcome:
        """Apply a function on this level; its outputs must belong here."""
        outcome = call(definition, args)
        if any(self.xp.above(x) is not None for x in outcome.outputs):
            raise GraphError(
                f"{self.name}: a tensor of the transformation that it runs in came in by another way than as an "
                "argument; pass it as one"
            )
        return outcome

    def array(self, x: Any) -> Any:
        """Return a tensor as a lower array."""
        x = lift(x, self.xp)
        return x._value if self.bare else x


# --- forward mode ---


def over_duals(definition: Definition, args: list[Any], xp: Namespace) -> Outcome:
    """Apply a function to tensors over dual arrays; return dual arrays."""
    duals: Any = xp._lower._namespace
    floor = Floor(duals, definition.name)
    own = [isinstance(x, xp.array_class) for x in args]
    primals = [floor.tensor(x._value._value) if mine else x for x, mine in zip(args, own, strict=True)]
    tangents = [x._value._tangent if mine else None for x, mine in zip(args, own, strict=True)]
    with entered(floor.xp):
        outcome = floor.call(definition, primals)
        moved: Sequence[Any] = [None] * len(outcome.outputs)
        if any(t is not None for t in tangents):
            moved = Push(definition, duals, floor, primals, tangents, outcome).tangents()
    outputs = [
        duals.dual(floor.array(x), t) if isinstance(x, Tensor) else x
        for x, t in zip(outcome.outputs, moved, strict=True)
    ]
    return outcome._replace(outputs=tuple(outputs))


class Push:
    """The tangents of one call's outputs."""

    def __init__(
        self,
        definition: Definition,
        duals: Any,
        floor: Floor,
        primals: list[Any],
        given: list[Any],
        outcome: Outcome,
    ) -> None:
        self.definition, self.floor, self.primals, self.given, self.outcome = definition, floor, primals, given, outcome
        self.ctx: FunctionCtx = context_of(definition, primals, outcome, [t is not None for t in given])
        # Tangents live where primals do, or are many at once: then they have a namespace of their own over that.
        self.over: Any = None if duals._tangents is duals._lower else duals._tangents
        self.xp: Namespace = floor.xp if self.over is None else self.over._tensors
        self.moving = [
            k
            for k, x in enumerate(outcome.outputs)
            if isinstance(x, Tensor) and x._is_float() and place(x, self.ctx.non_differentiable) is None
        ]

    def tangents(self) -> list[Any]:
        """Return a tangent for each output, None for what stands still."""
        found = self._by_jvp() if self.definition.jvp is not None else self._by_backward()
        return [found.get(k) if k in self.moving else None for k in range(len(self.outcome.outputs))]

    def _by_jvp(self) -> dict[int, Any]:
        ctx, name = self.ctx, self.definition.name
        given = []
        for x, t in zip(self.primals, self.given, strict=True):
            if t is not None:
                t = self.floor.tensor(t) if self.over is None else self.xp.array_class._make(t)
            elif isinstance(x, Tensor) and ctx.materialize_grads:
                t = self.xp.zeros(x.shape, dtype=x.dtype, device=x.device)
            given.append(t)
        saved = ctx.to_save if ctx.saved_for_forward is None else ctx.saved_for_forward
        held = tuple(None if x is None else lift(x, self.xp) for x in saved)
        assert self.definition.jvp is not None
        with entered(self.xp), ctx._opened(held):
            found = self.definition.jvp(ctx, *given)
        moved = found if isinstance(found, tuple) else (found,)
        if len(moved) != len(self.outcome.outputs):
            raise GradientError(
                f"Function's jvp returned an invalid number of forward gradients (expected "
                f"{len(self.outcome.outputs)} but got {len(moved)}): {name}.jvp returns one for each output"
            )
        return {k: self._settled(moved[k], k) for k in self.moving if moved[k] is not None}

    def _settled(self, t: Any, k: int) -> Any:
        """Return a tangent as an array of the level where tangents are, if it fits its output."""
        x, name = self.outcome.outputs[k], self.definition.name
        if not isinstance(t, Tensor):
            raise GradientError(f"{name}.jvp: expected a tensor or None for output {k}, got {type(t).__name__}")
        t = lift(t, self.xp)
        if tuple(t.shape) != tuple(x.shape):
            raise GradientError(
                f"{name}.jvp: Trying to set a forward gradient that has a different size than that of the original "
                f"Tensor, this is not supported. Output {k} is of size {list(x.shape)} while the given forward "
                f"gradient is of size {list(t.shape)}."
            )
        t = to_dtype(t, x.dtype, self.xp)
        return self.floor.array(t) if self.over is None else t._value

    def _by_backward(self) -> dict[int, Any]:
        ctx, xp, outputs = self.ctx, self.floor.xp, self.outcome.outputs
        with transposing():
            leaves = {k: _zeros(outputs[k]).requires_grad_() for k in self.moving}
            idle = ctx.materialize_grads
            grads = [
                leaves[k] if k in leaves else _zeros(x) if idle and isinstance(x, Tensor) else None
                for k, x in enumerate(outputs)
            ]
            with ctx._opened(ctx.to_save, True):
                found = self.definition.backward(ctx, *grads)
        places = [i for i, x in enumerate(self.primals) if isinstance(x, Tensor)]
        found = checked(found, ctx.name(), len(self.primals), places)
        seeds = []
        for i, t in enumerate(self.given):
            if t is not None and found[i] is not None:
                x = self.primals[i]
                with transposing():
                    g = fitted(found[i], xp, x.shape, x.dtype, ctx.name(), i)
                if g._node is not None:
                    seeds.append((g._node, t))
        nodes = {k: x._node for k, x in leaves.items()}
        back = Walk(True, not self.floor.bare, nodes.values(), over=self.over).run(seeds)
        return {k: self._loose(back[node]) for k, node in nodes.items() if node in back}

    def _loose(self, t: Any) -> Any:
        """Return a tangent without a history that only this transposition has made: nothing given had one."""
        given = [*self.primals, *(t if self.over is None or t is None else t._value for t in self.given)]
        if self.floor.bare or any(node_of(x) is not None for x in given):
            return t
        make = self.floor.xp.array_class._make
        return make(t._value) if self.over is None else self.over.array_class._make(make(t._value._value), t._hidden)


def _zeros(x: Any) -> Any:
    return x._xp.zeros(x.shape, dtype=x.dtype, device=x.device)


# --- vmap ---


class VmapInfo(NamedTuple):
    """What a custom function's `vmap` is told: the size of the batch; and PyTorch's `randomness`, which is "error"."""

    batch_size: int
    randomness: str = "error"


def over_batched(definition: Definition, args: list[Any], xp: Namespace) -> Outcome:
    """Apply a function to tensors over batched arrays; return batched arrays."""
    batched: Any = xp._lower._namespace
    floor = Floor(batched, definition.name)
    own = [isinstance(x, xp.array_class) for x in args]
    hidden = tuple(mine and x._value._hidden for x, mine in zip(args, own, strict=True))
    given = [floor.tensor(x._value._value) if mine else x for x, mine in zip(args, own, strict=True)]
    make = batched.array_class._make
    with entered(floor.xp):
        if not any(hidden):
            outcome = floor.call(definition, given)
            flags = [False] * len(outcome.outputs)
        elif definition.vmap is not None:
            outcome, flags = _by_vmap(definition, hidden, given)
        else:
            outcome = floor.call(Mapped(definition, hidden).definition, given)
            flags = [True] * len(outcome.outputs)
    outputs = [
        make(floor.array(x), flag) if isinstance(x, Tensor) else x
        for x, flag in zip(outcome.outputs, flags, strict=True)
    ]
    return outcome._replace(outputs=tuple(outputs))


def _by_vmap(definition: Definition, hidden: tuple[bool, ...], given: list[Any]) -> tuple[Outcome, list[bool]]:
    """Return what the function's own `vmap` gives, each batch in front, and which outputs have one."""
    size = next(x.shape[0] for x, flag in zip(given, hidden, strict=True) if flag)
    assert definition.vmap is not None
    returned = definition.vmap(VmapInfo(size), tuple(0 if flag else None for flag in hidden), *given)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise BatchingError(f"{definition.name}.vmap: expected (output, out_dims), got {type(returned).__name__}")
    outcome = Outcome.of(returned[0])
    dims = (returned[1],) * len(outcome.outputs) if not isinstance(returned[1], tuple) else returned[1]
    if len(dims) != len(outcome.outputs):
        raise BatchingError(
            f"{definition.name}.vmap: out_dims has {len(dims)} entries for {len(outcome.outputs)} outputs"
        )
    outputs = []
    for k, (x, dim) in enumerate(zip(outcome.outputs, dims, strict=True)):
        if dim is not None:
            if not isinstance(x, Tensor):
                raise BatchingError(f"{definition.name}.vmap: out_dims is {dim} for output {k}, which is no tensor")
            axis = one_axis(f"{definition.name}.vmap: out_dims", dim, x.shape)
            x = x._xp.moveaxis(x, axis, 0)
            if x.shape[0] != size:
                raise BatchingError(
                    f"{definition.name}.vmap: output {k} has {x.shape[0]} along its batch axis, where the batch has "
                    f"{size}"
                )
        outputs.append(x)
    return Outcome(tuple(outputs), outcome.single), [dim is not None for dim in dims]


BELOW[DualNamespace] = over_duals
BELOW[BatchedNamespace] = over_batched
