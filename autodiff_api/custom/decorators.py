"""`custom_vjp` and `custom_jvp`: a derivative of one's own for a plain function, JAX's way.

Both make a custom function as :class:`Function` does, of the leaves of the arguments' trees. So both go both ways: the
transpose of a linear `jvp` is the other's `bwd`, and the other way round.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..arrays import Array
from ..errors import ArgumentError, GradientError, GraphError, TreeError
from ..gradients import grad
from ..levels import lift
from ..namespaces import Namespace
from ..tensors import Tensor
from ..trees import Tree, flatten, matching, prefix, unflatten
from ..values import is_array
from .applying import call, highest
from .context import FunctionCtx, transposing
from .definition import Definition, place


class Custom:
    """A function with a derivative of its own: what the two decorators have in common."""

    _method = ""  # that tells the derivative

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Sequence[str] = (),
    ) -> None:
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.signature = inspect.signature(fun)
        names = [p.name for p in self.signature.parameters.values()]
        numbers = [nondiff_argnums] if isinstance(nondiff_argnums, int) else list(nondiff_argnums)
        given = [nondiff_argnames] if isinstance(nondiff_argnames, str) else list(nondiff_argnames)
        for name in given:
            if name not in names:
                raise ArgumentError(f"{self._owner}: nondiff_argnames has {name!r}; the parameters are {names}")
        self.idle = frozenset([operator.index(n) for n in numbers] + [names.index(n) for n in given])

    @property
    def _owner(self) -> str:
        return f"{type(self).__name__} function {getattr(self.fun, '__name__', 'fun')}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; what is recorded of it is its own derivative."""
        if not self._defined():
            raise GraphError(f"{self._owner}: no derivative was defined; call {self._method} first")
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise ArgumentError(
                f"{self._owner}: {sorted(bound.kwargs)} can't be given by position, which its derivative does"
            )
        given = Arguments(bound.args, {i % len(bound.args) for i in self.idle})
        if not given.tensors:  # nothing to differentiate
            return self.fun(*bound.args)
        leaves, _ = flatten(tuple(bound.args[i] for i in given.places))
        outputs = call(self.definition(given), leaves).outputs
        assert given.out is not None
        return unflatten(given.out, outputs)

    def _defined(self) -> bool:
        raise NotImplementedError

    def definition(self, given: Arguments) -> Definition:
        """Return the custom function of the leaves of some arguments."""
        raise NotImplementedError


class Arguments:
    """The arguments of one call without their tensors, and how inputs and outputs belong together.

    `places` are the arguments that may have derivatives, `leaves` their leaves, with None in place of tensors: those
    are at `tensors`. A node keeps this, so it keeps no tensor alive.
    """

    def __init__(self, args: tuple[Any, ...], idle: set[int]) -> None:
        self.places = [i for i in range(len(args)) if i not in idle]
        self.args = [x if i in idle else None for i, x in enumerate(args)]
        self.idle = [args[i] for i in sorted(idle)]
        leaves, self.tree = flatten(tuple(args[i] for i in self.places))
        self.leaves = [None if isinstance(x, Array) else x for x in leaves]
        self.tensors = [i for i, x in enumerate(leaves) if isinstance(x, Array)]
        self.out: Tree | None = None

    def filled(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Return all arguments, with other leaves in place of the given ones."""
        args = list(self.args)
        for i, x in zip(self.places, unflatten(self.tree, leaves), strict=True):
            args[i] = x
        return tuple(args)

    def outputs(self, result: Any) -> tuple[Any, ...]:
        """Return the leaves of what the function returned, and remember how they belong together."""
        leaves, self.out = flatten(result)
        return tuple(leaves)


class custom_vjp(Custom):
    """Give a function its own derivative backward: JAX's `jax.custom_vjp`.

    `f.defvjp(fwd, bwd)`: `fwd(*args)` returns the output and what `bwd` needs, of any tree; `bwd(rest, cotangent)`
    returns a tuple with a cotangent for each argument, None for zero. Arguments that `nondiff_argnums` or
    `nondiff_argnames` names are handed to `bwd` first, and have no cotangent. Arguments and outputs are trees.
    Forward mode works too: it transposes `bwd`, which then must compute with arrays throughout.

    >>> import autodiff_api as ad
    >>> @ad.custom_vjp
    ... def clipped(x, limit):
    ...     return x
    >>> clipped.defvjp(lambda x, limit: (x, limit), lambda limit, g: (ad.clip(g, -limit, limit), None))
    >>> ad.grad(lambda x: (100 * clipped(x, 2.0)).sum())(ad.asarray([1.0, 2.0]))
    tensor([2., 2.])
    """

    _method = "defvjp(fwd, bwd)"
    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Define the derivative."""
        self.fwd, self.bwd = fwd, bwd

    def _defined(self) -> bool:
        return self.fwd is not None and self.bwd is not None

    def definition(self, given: Arguments) -> Definition:
        """Return the custom function of the leaves of some arguments."""
        methods = _Backward(self, given)
        return Definition(self.__name__, methods.forward, None, methods.backward, renews=True)  # type: ignore[attr-defined]


class _Backward:
    """The methods of a `custom_vjp` function for one call."""

    def __init__(self, custom: custom_vjp, given: Arguments) -> None:
        self.custom, self.given = custom, given

    def forward(self, ctx: Any, *leaves: Any) -> Any:
        args = self.given.filled(leaves)
        if not ctx._wanted:
            return self.given.outputs(self.custom.fun(*args))
        assert self.custom.fwd is not None
        result = self.custom.fwd(*args)
        if not isinstance(result, tuple) or len(result) != 2:
            raise GradientError(f"{self.custom._owner}: fwd must return a pair (output, what bwd needs)")
        outputs = self.given.outputs(result[0])
        held, ctx.residual_tree = flatten(result[1])
        ctx.residuals = [None if isinstance(x, Tensor) else x for x in held]
        ctx.places = [i for i, x in enumerate(held) if isinstance(x, Tensor)]
        saved = [held[i] for i in ctx.places]
        # How anything else came about is of interest to a recorded pass only, which runs fwd again.
        ctx.known = all(place(x, [*leaves, *outputs]) is not None for x in saved)
        ctx.save_for_backward(*saved, *(() if ctx.known else (leaves[i] for i in self.given.tensors)))
        return outputs

    def backward(self, ctx: Any, *grads: Any) -> Any:
        given, custom = self.given, self.custom
        assert given.out is not None and custom.bwd is not None
        found = custom.bwd(*given.idle, self._residuals(ctx), unflatten(given.out, grads))
        count = len(given.places)
        if isinstance(found, list):
            found = tuple(found)
        if not isinstance(found, tuple) or len(found) != count:
            got = f"{len(found)} of them" if isinstance(found, tuple) else type(found).__name__
            raise GradientError(
                f"{custom._owner}: bwd must return a tuple of {count} cotangents, one for each argument, got {got}"
            )
        try:
            leaves = prefix(found, given.tree, "bwd")
        except TreeError as error:
            raise TreeError(f"{custom._owner}: {error}") from error
        xp = highest([*grads, *ctx.saved_tensors])
        strange = [g for g in leaves if not (g is None or is_array(g) or isinstance(g, bool | int | float | complex))]
        if strange:
            raise TreeError(f"{custom._owner}: bwd returned a {type(strange[0]).__name__} for an array's cotangent")
        return tuple(_tensor(g, xp) if i in given.tensors else None for i, g in enumerate(leaves))

    def _residuals(self, ctx: Any) -> Any:
        """Return what fwd kept; connected to the inputs where the pass is recorded."""
        saved, count = ctx.saved_tensors, len(ctx.places)
        if ctx._create and not ctx.known:
            leaves = list(self.given.leaves)
            for i, x in zip(self.given.tensors, saved[count:], strict=True):
                leaves[i] = x
            assert self.custom.fwd is not None
            return self.custom.fwd(*self.given.filled(leaves))[1]
        held = list(ctx.residuals)
        for i, x in zip(ctx.places, saved[:count], strict=True):
            held[i] = x
        return unflatten(ctx.residual_tree, held)


class custom_jvp(Custom):
    """Give a function its own derivative forward: JAX's `jax.custom_jvp`.

    `f.defjvp(jvp)`: `jvp(primals, tangents)` returns the output and its tangent, which must be linear in the tangents.
    `f.defjvps(...)` takes one function of `(tangent, output, *args)` for each argument, or None for zero. Arguments
    that `nondiff_argnums` or `nondiff_argnames` names are handed to `jvp` first, and have no tangent. Arguments and
    outputs are trees. Backward works too: it transposes the linear part of `jvp`, which then must compute with arrays
    throughout.

    >>> import autodiff_api as ad
    >>> @ad.custom_jvp
    ... def safe_sqrt(x):
    ...     return ad.sqrt(x)
    >>> @safe_sqrt.defjvp
    ... def safe_sqrt_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     y = safe_sqrt(x)
    ...     return y, ad.where(x > 0, t / (2 * ad.where(x > 0, y, 1.0)), 0.0)
    >>> ad.grad(lambda x: safe_sqrt(x).sum())(ad.asarray([0.0, 4.0]))
    tensor([0.00, 0.25])
    """

    _method = "defjvp(jvp)"
    jvp: Callable[..., Any] | None = None

    def defjvp(self, jvp: Callable[..., Any]) -> Callable[..., Any]:
        """Define the derivative, and return it: this may be a decorator."""
        self.jvp = jvp
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Define the derivative by one function for each argument."""
        if self.idle:
            raise ArgumentError(f"{self._owner}: defjvps has no place for nondiff_argnums; use defjvp")

        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            out = self(*primals)
            total: Any = None
            for part, t in zip(jvps, tangents, strict=True):
                term = None if part is None else flatten(part(t, out, *primals))[0]
                if term is not None:
                    total = term if total is None else [a + b for a, b in zip(total, term, strict=True)]
            leaves, tree = flatten(out)
            return out, unflatten(tree, [None] * len(leaves) if total is None else total)

        self.jvp = jvp

    def _defined(self) -> bool:
        return self.jvp is not None

    def definition(self, given: Arguments) -> Definition:
        """Return the custom function of the leaves of some arguments."""
        methods = _Forward(self, given)
        return Definition(self.__name__, methods.forward, methods.setup, methods.backward, methods.push)  # type: ignore[attr-defined]


class _Forward:
    """The methods of a `custom_jvp` function for one call."""

    def __init__(self, custom: custom_jvp, given: Arguments) -> None:
        self.custom, self.given = custom, given

    def forward(self, *leaves: Any) -> Any:
        return self.given.outputs(self.custom.fun(*self.given.filled(leaves)))

    def setup(self, ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*(inputs[i] for i in self.given.tensors))
        ctx.set_materialize_grads(False)

    def push(self, ctx: FunctionCtx, *tangents: Any) -> Any:
        return tuple(self._moved(ctx.saved_tensors, tangents, highest([*ctx.saved_tensors, *tangents])))

    def _moved(self, saved: Sequence[Any], tangents: Sequence[Any], xp: Namespace | None) -> list[Any]:
        """Return the tangents of the outputs' leaves: tensors, or None."""
        given, custom = self.given, self.custom
        leaves = list(given.leaves)
        for i, x in zip(given.tensors, saved, strict=True):
            leaves[i] = x
        moving = [_zeros(x, xp) if t is None else t for x, t in zip(leaves, tangents, strict=True)]
        primals, ts = unflatten(given.tree, leaves), unflatten(given.tree, moving)
        assert custom.jvp is not None and given.out is not None
        result = custom.jvp(*given.idle, primals, ts)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise GradientError(f"{custom._owner}: jvp must return a pair (output, its tangent)")
        try:
            return [_tensor(t, xp) for t in matching(given.out, result[1], "the tangent that jvp returned")]
        except TreeError as error:
            raise TreeError(f"{custom._owner}: {error}") from error

    def backward(self, ctx: FunctionCtx, *grads: Any) -> Any:
        """Transpose: what the tangents of the outputs are in those of the inputs, a graph of it goes backward."""
        # Where the pass is not recorded they are constants of this level; what levels below know of them stays.
        saved = [x if ctx._create else x._xp.array_class._make(x._value) for x in ctx.saved_tensors]
        xp = highest([*(g for g in grads if g is not None), *saved])
        tangents: list[Any] = [None] * len(self.given.leaves)
        inputs = {}
        with transposing():
            for i, x in zip(self.given.tensors, saved, strict=True):
                if ctx.needs_input_grad[i]:
                    inputs[i] = tangents[i] = _zeros(x, xp).requires_grad_()
            moved = self._moved(saved, tangents, xp)
            pairs = [
                (t, g)
                for t, g in zip(moved, grads, strict=True)
                if g is not None and getattr(t, "_node", None) is not None
            ]
            found: Any = [None] * len(inputs)
            if pairs:
                outputs, cotangents = zip(*pairs, strict=True)
                found = grad(outputs, list(inputs.values()), cotangents, create_graph=ctx._create, allow_unused=True)
        by_place = dict(zip(inputs, found, strict=True))
        return tuple(by_place.get(i) for i in range(len(tangents)))


def _tensor(x: Any, xp: Namespace | None) -> Any:
    """Return a leaf of what a user's rule returned as a tensor: a raw array or a number becomes one."""
    if x is None or isinstance(x, Tensor) or xp is None:
        return x
    return lift(x, xp) if is_array(x) or isinstance(x, bool | int | float | complex) else x


def _zeros(x: Any, xp: Namespace | None) -> Any:
    """Return the tangent of what stands still."""
    if isinstance(x, Tensor) and xp is not None:
        return xp.zeros(x.shape, dtype=x.dtype, device=x.device)
    return x * 0 if isinstance(x, float | complex) or is_array(x) else x
