"""The node of one call of a custom function: what it saved, and how its `backward` is asked for cotangents."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from ..errors import GradientError, GraphError
from ..graph import NOTHING, Node, new_node
from ..levels import TOPS, entered, lift
from ..modes import mode
from ..namespaces import Namespace
from ..tensors import Tensor
from .context import FunctionCtx, Unrecorded
from .definition import Definition, place
from .nodes import Opaque

RECORDED = object()
STAY = nullcontext()


class Kept(NamedTuple):
    """Where a saved tensor belongs: its class, and its node, or which output it is."""

    array: Any
    node: Any = None
    output: int | None = None


class Output(NamedTuple):
    """What is known of an output without keeping it."""

    array: Any
    shape: tuple[int, ...]
    dtype: Any
    device: Any

    @classmethod
    def of(cls, x: Any) -> Output:
        """Return what is known of a tensor."""
        value = x._value
        return cls(x._xp.array_class, tuple(value.shape), value.dtype, getattr(value, "device", None))


class CallNode(Node):
    """A node that has what its function keeps: its `saved_tensors`, and the attributes of its `ctx`."""

    __slots__ = ()
    recipe: Any

    def __getattr__(self, name: str) -> Any:
        """Find it in the context of the call."""
        if name == "recipe" or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.recipe.ctx, name)


class Call(Opaque):
    """The recipe of one call's node. `again(values)` runs the function again: (outputs, its context)."""

    def __init__(
        self,
        definition: Definition,
        ctx: FunctionCtx,
        array: Any,
        edges: Sequence[Any],
        places: Sequence[int],
        count: int,
        kept: Sequence[Kept | None],
        outputs: Sequence[Output | None],
        moving: Sequence[int],
        again: Callable[[Sequence[Any]], tuple[Sequence[Any], FunctionCtx]],
    ) -> None:
        super().__init__(ctx.name(), array, edges, len(kept))
        self.definition, self.ctx, self.edges = definition, ctx, tuple(edges)
        self.places, self.count = tuple(places), count  # which argument each edge is, and how many there are
        self.kept, self.outputs, self.moving = kept, outputs, tuple(moving)
        self.again = again
        self.kernel = None
        self.stacked = isinstance(self.lower._namespace, Namespace)
        self.node: Any = lambda: None

    def attach(self, node: Node) -> None:
        """Know the node, weakly."""
        self.node = self.ctx._node = weakref.ref(node)

    def end(self, k: int, node: Any) -> Any:
        """Return the node that output `k` has."""
        if len(self.moving) == 1:
            return node
        i, size, output = self.moving.index(k), len(self.moving), self.outputs[k]
        assert output is not None
        return new_node(self.item, (i, size), (node,), (i, size), output.shape, output.dtype)

    def unpack(self, saved: tuple[Any, ...], history: bool = True) -> tuple[Any, ...]:
        """Return what was saved as tensors, connected to the graph unless told not to."""
        node = self.node() if history else None
        made: list[Any] = []
        for value, kept in zip(saved, self.kept, strict=True):
            if kept is None:
                made.append(None)
            elif node is not None and kept.output in self.moving:
                made.append(kept.array._make(value, self.end(kept.output, node)))
            else:
                made.append(kept.array._make(value, kept.node if history else None))
        return tuple(made)

    def lift(self, node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what a pass that is recorded gets of what was saved; with a mark that it is one."""
        return (*self.unpack(saved), RECORDED)

    def _pull(self, targets: tuple[int, ...], t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        create = bool(saved) and saved[-1] is RECORDED
        over = None if xp is self.lower or xp is self.array._xp else xp  # another array type's, of the cotangents
        tensors = over if over is None or issubclass(over.array_class, Tensor) else over._tensors
        if create:
            saved = saved[:-1]
        elif over is None:
            saved = self.unpack(saved, not self.stacked)
        held = saved if tensors is None else tuple(None if x is None else lift(x, tensors) for x in saved)
        bare = tensors is not over or (over is None and not create)
        # Below, other levels may be recorded: only where there are none does a pass turn recording off, as PyTorch's.
        quiet: AbstractContextManager[None] = STAY if create or self.stacked else Unrecorded()
        alone = tensors is None and not self.stacked and not TOPS.get()  # there is no level but this one
        level = STAY if alone else entered(tensors or self.array._xp)
        with quiet, level, self.ctx._opened(held, create):
            found = self.definition.backward(self.ctx, *self._cotangents(t, bare, tensors))
            grads = checked(found, self.ctx.name(), self.count, self.places)
            settled = [self._settled(grads[self.places[i]], i, tensors) for i in targets]
        return [g._value if bare and g is not NOTHING else g for g in settled]

    def _cotangents(self, t: Any, bare: bool, tensors: Namespace | None) -> list[Any]:
        """Return an argument for each output: None where there is no gradient, or zeros if those are wanted."""
        grads: list[Any] = [None] * len(self.outputs)
        for k, part in zip(self.moving, (t,) if len(self.moving) == 1 else t, strict=True):
            if part is not None and bare:
                part = self._class(k, tensors)._make(part)
            grads[k] = part
        if self.ctx.materialize_grads:
            for k, output in enumerate(self.outputs):
                if grads[k] is None and output is not None:
                    zeros = self._class(k, tensors)._xp.zeros
                    grads[k] = zeros(output.shape, dtype=output.dtype, device=output.device)
        return grads

    def _class(self, k: int, tensors: Namespace | None) -> Any:
        return tensors.array_class if tensors is not None else self.outputs[k].array  # type: ignore[union-attr]

    def _settled(self, g: Any, i: int, tensors: Namespace | None) -> Any:
        """Bring a gradient to the class, shape and dtype of its input."""
        if g is None:
            return NOTHING
        edge = self.edges[i]
        xp = tensors if tensors is not None else edge.array._xp
        return fitted(g, xp, edge.shape, edge.dtype, self.ctx.name(), self.places[i])

    # --- running forward again, after a pass that failed on its way had freed what was saved ---

    def invoke(self, kernel: Any, inputs: Sequence[Any], params: Any) -> Any:
        """Return the values of the outputs that have a gradient."""
        outputs, _ = self.again(inputs)
        values = [outputs[k]._value for k in self.moving]
        return values[0] if len(values) == 1 else tuple(values)

    def pick(self, *given: Any) -> tuple[Any, ...]:
        """Return what a call with these values saves."""
        _, ctx = self.again(given[:-2])
        return tuple(None if x is None else x._value for x in ctx.to_save)


def keep(ctx: FunctionCtx, args: Sequence[Any], before: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, Any]:
    """Return the values that a call saves, and where each belongs."""
    values: list[Any] = []
    kept: list[Kept | None] = []
    for x in ctx.to_save:
        if x is None:
            values.append(None)
            kept.append(None)
            continue
        if getattr(x, "_inference", False) and not mode().transforming:
            raise GraphError(
                "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode "
                "in computation tracked by autograd. Make a clone, or use no_grad() instead of inference_mode()."
            )
        output, i = place(x, outputs), place(x, args)
        node = None if output is not None else x._node if i is None else before[i]
        values.append(x._value)
        kept.append(Kept(x._xp.array_class, node, output))
    return tuple(values), kept


def checked(found: Any, name: str, count: int, places: Sequence[int]) -> tuple[Any, ...]:
    """Return what backward returned, a gradient or None for each argument; GradientError if it is anything else."""
    grads: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
    if len(grads) != count and (len(grads) < count or any(g is not None for g in grads[count:])):
        raise GradientError(
            f"function {name} returned an incorrect number of gradients (expected {count}, got {len(grads)}); "
            "return one for each argument of forward, None for those that have none"
        )
    for i, g in enumerate(grads[:count]):
        if g is None:
            continue
        if i not in places:
            raise GradientError(
                f"function {name} returned a gradient different than None at position {i + 1}, but the "
                "corresponding forward input was not a Variable"
            )
        if not isinstance(g, Tensor):
            raise GradientError(
                f"function {name}: expected Variable or None (got {type(g).__name__}); ad.asarray makes a tensor of it"
            )
    return grads


def fitted(g: Any, xp: Namespace, shape: Sequence[int], dtype: Any, name: str, i: int) -> Any:
    """Bring the gradient of argument `i` to a shape and dtype; GradientError where it doesn't fit."""
    g = lift(g, xp)
    if g.shape == shape and g.dtype == dtype:
        return g
    shape, given = tuple(shape), tuple(g.shape)
    fits = len(given) >= len(shape) and all(n in (1, m) for n, m in zip(shape[::-1], given[::-1]))  # noqa: B905
    if not fits:
        raise GradientError(
            f"Function {name} returned an invalid gradient at index {i} - got {list(given)} but expected shape "
            f"compatible with {list(shape)}"
        )
    if xp.isdtype(g.dtype, "complex floating") and not xp.isdtype(dtype, "complex floating"):
        raise GradientError(
            f"Function {name} returned an invalid gradient at index {i} - got {g.dtype}, but the input is {dtype}, "
            "whose gradient is real; take xp.real of it"
        )
    if given != shape:
        extra = len(given) - len(shape)
        stretched = tuple(j + extra for j, n in enumerate(shape) if n == 1 and given[j + extra] != 1)
        g = xp.reshape(xp.sum(g, axis=(*range(extra), *stretched)), shape)
    return g if g.dtype == dtype else xp.astype(g, dtype)
