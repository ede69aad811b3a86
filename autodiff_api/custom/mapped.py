"""A custom function mapped over a batch: again a custom function, whose methods run the given ones on batched arrays.

So every level below sees one rule for the whole batch: the given backward, mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import BatchingError
from ..levels import entered, lift
from ..modes import no_grad
from ..tensors import Tensor
from ..views import write
from .applying import highest
from .context import FunctionCtx
from .definition import Definition, Outcome, place
from .recording import fitted


class Mapped:
    """What a definition becomes when arguments have a batch in front: those that `hidden` marks."""

    def __init__(self, given: Definition, hidden: tuple[bool, ...]) -> None:
        self.given, self.hidden = given, hidden
        forward, setup = (self.filled, None) if given.setup is None else (self.forward, self.setup)
        jvp = None if given.jvp is None else self.jvp
        self.definition = Definition(given.name, forward, setup, self.backward, jvp, None, given.renews)

    def filled(self, ctx: FunctionCtx, *args: Any) -> Any:
        """Run a forward that fills its context itself."""
        batch = Batch(args, self.hidden)
        inner = self.given.context(ctx.needs_input_grad, ctx._recorded)
        inner._wanted = ctx._wanted
        outcome = self._run(batch, inner, *batch.inputs)
        lowered = batch.lowered(outcome.outputs)
        self._move(ctx, inner, batch, args, outcome.outputs, lowered)
        return outcome.returned(lowered)

    def forward(self, *args: Any) -> Any:
        """Run a forward without a context."""
        batch = Batch(args, self.hidden)
        outcome = self._run(batch, *batch.inputs)
        return outcome.returned(batch.lowered(outcome.outputs))

    def _run(self, batch: Batch, *args: Any) -> Outcome:
        with entered(batch.top):
            try:
                return Outcome.of(self.given.forward(*args))
            except BatchingError as error:
                error.add_note(
                    f"{self.given.name} has no vmap of its own, so its forward runs on arrays with a hidden axis. If "
                    "it can't, give it a static vmap(info, in_dims, *args) that returns (output, out_dims)."
                )
                raise

    def setup(self, ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        """Fill a context from inputs and outputs."""
        batch = Batch(inputs, self.hidden)
        inner = self.given.context(ctx.needs_input_grad, ctx._recorded)
        outcome = Outcome.of(output)
        outer = list(outcome.outputs)
        outputs: list[Any] = []
        for x in outer:
            i = place(x, inputs)
            outputs.append(batch.inputs[i] if i is not None else batch.up(x, True))
        assert self.given.setup is not None
        with entered(batch.top):
            self.given.setup(inner, tuple(batch.inputs), outcome.returned(outputs))
        self._move(ctx, inner, batch, inputs, outputs, outer)

    def _move(
        self,
        ctx: Any,
        inner: FunctionCtx,
        batch: Batch,
        args: Sequence[Any],
        outputs: Sequence[Any],
        lowered: Sequence[Any],
    ) -> None:
        """Let the outer context keep what the inner one was told to keep: its tensors, one level down."""
        ours = dict(zip(map(id, outputs), zip(lowered, [True] * len(lowered), strict=True), strict=True))
        ours |= dict(zip(map(id, batch.inputs), zip(args, self.hidden, strict=True), strict=True))

        def down(tensors: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[bool, ...]]:
            pairs = [(None, False) if x is None else ours.get(id(x)) or batch.down(x) for x in tensors]
            return tuple(x for x, _ in pairs), tuple(flag for _, flag in pairs)

        ctx.to_save, ctx.saved_flags = down(inner.to_save)
        if inner.saved_for_forward is not None:
            ctx.saved_for_forward, ctx.forward_flags = down(inner.saved_for_forward)
        ctx.non_differentiable, _ = down(inner.non_differentiable)
        ctx.dirty_tensors, _ = down(inner.dirty_tensors)
        ctx.materialize_grads = inner.materialize_grads
        ctx.facts = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in batch.inputs]
        inner.to_save = inner.non_differentiable = inner.dirty_tensors = ()
        inner.saved_for_forward = None
        ctx.inner = inner

    def backward(self, ctx: Any, *grads: Any) -> Any:
        """Run the given backward on batched gradients; what all shared has the sum of its gradients."""
        saved = ctx.saved_tensors
        flags = [isinstance(g, Tensor) for g in grads]
        batch = Batch((*grads, *saved), (*flags, *ctx.saved_flags))
        given, held = batch.inputs[: len(grads)], batch.inputs[len(grads) :]
        with entered(batch.top), ctx.inner._opened(tuple(held), ctx._create):
            found = self.given.backward(ctx.inner, *given)
            found = list(found) if isinstance(found, tuple) else [found]
            for i, fact in enumerate(ctx.facts[: len(found)]):
                if fact is not None and isinstance(found[i], Tensor):
                    g = fitted(found[i], batch.top, fact[0], fact[1], ctx.name(), i)
                    found[i] = batch.spread(g) if self.hidden[i] else batch.total(g)
        return tuple(found)

    def jvp(self, ctx: Any, *tangents: Any) -> Any:
        """Run the given jvp on batched tangents."""
        held, saved_flags = ctx.saved_tensors, getattr(ctx, "forward_flags", ctx.saved_flags)
        batch = Batch((*tangents, *held), (*self.hidden, *saved_flags))
        given, saved = batch.inputs[: len(tangents)], batch.inputs[len(tangents) :]
        assert self.given.jvp is not None
        with entered(batch.top), ctx.inner._opened(tuple(saved)):
            outcome = Outcome.of(self.given.jvp(ctx.inner, *given))
            return outcome.returned([batch.spread(x) if isinstance(x, Tensor) else x for x in outcome.outputs])


class Batch:
    """Tensors of one level as tensors over batched arrays of that level, and back."""

    def __init__(self, args: Sequence[Any], hidden: Sequence[bool]) -> None:
        xp = highest(args)
        assert xp is not None
        self.args, self.hidden = args, hidden
        self.batched: Any = xp._over("batched")
        self.xp, self.top = xp, self.batched._tensors
        self.size = next(x.shape[0] for x, flag in zip(args, hidden, strict=True) if flag)
        self.inputs = [self.up(x, flag) for x, flag in zip(args, hidden, strict=True)]
        self.before = [x._value if isinstance(x, Tensor) else None for x in self.inputs]

    def up(self, x: Any, flag: bool) -> Any:
        """Return a tensor one level up, with its first axis hidden if `flag`; anything else as it is."""
        if not isinstance(x, Tensor) or x._xp._root is not self.xp._root:
            return x
        x = lift(x, self.xp)
        return self.top.array_class._make(self.batched.array_class._make(x._as_now(), flag))

    def down(self, x: Any) -> tuple[Any, bool]:
        """Return a tensor one level down, and whether the batch is its first axis."""
        inner = lift(x, self.top)._value
        return inner._value, inner._hidden

    def spread(self, x: Any) -> Any:
        """Return a tensor one level down, with the batch as its first axis in any case."""
        value, hidden = self.down(x)
        return value if hidden else self.xp.broadcast_to(value, (self.size, *value.shape))

    def total(self, x: Any) -> Any:
        """Return the sum over the batch of a tensor, one level down."""
        value, hidden = self.down(x)
        return self.xp.sum(value, axis=0) if hidden else value * self.size

    def lowered(self, outputs: Sequence[Any]) -> list[Any]:
        """Return outputs one level down; an input that is returned is the input there, changed as it was."""
        made = []
        for x in outputs:
            i = place(x, self.inputs)
            if not isinstance(x, Tensor):
                made.append(x)
            elif i is None:
                made.append(self.spread(x))
            elif x._value is self.before[i]:
                made.append(self.args[i] if self.hidden[i] else self.spread(x))
            else:
                if not self.hidden[i]:
                    raise BatchingError(
                        f"vmap: a custom function changes argument {i} in place, which all share; map over it, or "
                        "clone() it"
                    )
                with no_grad():
                    write(self.args[i], self.spread(x))
                made.append(self.args[i])
        return made
