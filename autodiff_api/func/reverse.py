"""Transformations that go backward: `grad`, `value_and_grad`, `vjp`, `jacrev`, and `linearize` on top of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

from .. import levels
from ..arrays import Array
from ..errors import GradientError, OutputError
from ..graph import Edge, Leaf, Recipe, new_node
from ..modes import MODE, mode, replace_mode
from ..namespaces import Namespace
from ..rules import Linear, Op
from ..rules.kinds import invoker_of
from ..trees import flatten, matching, show, unflatten
from ..walks import Walk, laid_out
from .calls import Argnums, Call, like

ALIAS = Op("alias", "x, /", Linear(x=lambda t: t))


@functools.cache
def _alias_recipe(xp: Namespace) -> Recipe:
    return Recipe(ALIAS, (True,), lambda value: value, invoker_of(ALIAS), xp._lower, xp.array_class)


_spent: WeakSet[Leaf] = WeakSet()  # fresh leaves of calls that are over: nobody asks for their gradient any more


def alias(x: Any) -> Any:
    """Return a tensor that is `x` to what is computed from it, and another to whoever asks for its gradient."""
    xp = x._xp
    return xp.array_class._make(x._value, new_node(_alias_recipe(xp), (), (x._node,), (), x.shape, x.dtype))


def source(x: Any, private: bool, recording: bool) -> Any:
    """Return what to differentiate by: a fresh leaf, or a node of its own where `x` has a history that goes on.

    A leaf that is `private` has a copy of what others may write into. `recording` is what the caller does.
    """
    if x._node is not None and recording:
        return alias(x)
    value, xp = x._value, x._xp
    if private and not isinstance(value, Array) and not xp._backend.immutable:
        value = xp._lower.clone(value)
    return xp.array_class._make(value).requires_grad_()


def recorded(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function while operations are recorded, whatever the mode outside."""
    token = MODE.set(replace_mode(mode(), recording=True, inference=False, transforming=True))
    try:
        return function(*args)
    finally:
        MODE.reset(token)


class Reach(NamedTuple):
    """What a call's results come from, beside its own variables."""

    others: bool = False  # anything at all: a pass is to go to the variables only
    history: bool = False  # what a gradient may yet be asked for, so that a pass is to be recorded


def beyond(nodes: Iterable[Edge | None], own: set[Edge]) -> Reach:
    """Tell what leads to `nodes` but the fresh leaves among `own`; those of calls that are over are no history."""
    stack = [node for node in set(nodes) if node is not None]
    seen = set(stack)
    others = False
    while stack:
        node = stack.pop()
        if node.__class__ is Leaf:
            if node not in own:
                others = True
                if node not in _spent:
                    return Reach(True, True)
            continue
        if node in own:
            return Reach(True, True)
        for edge in node.edges:
            if isinstance(edge, Edge) and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return Reach(others)


def pass_back(
    xp: Namespace, outputs: Sequence[Any], cotangents: Sequence[Any], nodes: Sequence[Edge], outside: Reach, keep: bool
) -> list[Any]:
    """Return the cotangents of `nodes` as tensors, None where nothing depends on one.

    Cotangents may be tensors of a higher level than the outputs: then the pass computes there. `outside` says that
    the outputs depend on more than `nodes`: then the pass is recorded, if the mode says so.
    """
    top = xp
    for t in cotangents:
        top = top.above(t) or top
    over = None if top is xp else top  # where operations are recorded, if at all, without a word from the pass
    linked = over is None and any(getattr(t, "_node", None) is not None for t in cotangents)
    create = mode().recording and (outside.history or linked)
    seeds = [levels.lift(t, top) for t in cotangents]
    if over is None and not create:
        seeds = [t._value for t in seeds]
    found = walk_back(xp, outputs, seeds, nodes if outside.others else None, keep, create, over)
    make = top.array_class._make
    results = [found.get(node) for node in nodes]
    return [t if t is None or isinstance(t, top.array_class) else make(t) for t in results]


def walk_back(
    xp: Namespace, outputs: Sequence[Any], seeds: Sequence[Any], wanted: Any, keep: bool, create: bool, over: Any
) -> dict[Edge, Any]:
    """Run one pass backward and return what it found."""
    roots = [(y._node, t) for y, t in zip(outputs, seeds, strict=True) if y._node is not None]
    walk = Walk(keep or create, create, wanted, over=over)
    token = MODE.set(replace_mode(mode(), recording=True)) if create else None
    try:
        with xp._quiet():
            found = walk.run(roots)
    finally:
        if token is not None:
            MODE.reset(token)
    walk.freed.done = True
    return found


class Tape:
    """A call that was recorded, to go back along."""

    def __init__(self, call: Call, has_aux: bool = False, private: bool = False) -> None:
        self.call, self.xp = call, call.xp
        self.outer = mode().recording
        self.sources = recorded(lambda: [source(x, private, self.outer) for x in call.variables])
        self.nodes: list[Edge] = [x._node for x in self.sources]
        self.own = set(self.nodes)
        result = recorded(lambda: call.run([alias(x) for x in self.sources]))
        _spent.update(node for node in self.nodes if node.__class__ is Leaf)
        result, aux = call.split(result, has_aux)
        self.outputs, self.tree = call.outputs(result, call.xp)
        leaves, tree = flatten(aux)
        self.aux = unflatten(tree, [self.value(x) if isinstance(x, self.xp.array_class) else x for x in leaves])

    def value(self, x: Any, outside: Reach | None = None) -> Any:
        """Return a result for the caller: what only this call's variables lead to has no history outside.

        `outside` says what it comes from, where that is known: finding out takes a walk over the graph.
        """
        if x._node is not None and not (self.outer and (outside or beyond([x._node], self.own)).history):
            x = self.xp.array_class._make(x._value)
        return self.call.finish(x)

    def values(self) -> Any:
        """Return the function's result for the caller."""
        return unflatten(self.tree, [self.value(y) for y in self.outputs])

    def outside(self) -> Reach:
        """Tell what the outputs depend on beside this call's variables."""
        return beyond([y._node for y in self.outputs], self.own)

    def pull(self, cotangents: Sequence[Any], keep: bool, outside: Reach | None = None) -> list[Any]:
        """Return the variables' cotangents as tensors: zeros where nothing depends on one."""
        found = pass_back(self.xp, self.outputs, cotangents, self.nodes, outside or self.outside(), keep)
        backend = self.xp._backend
        return [
            self.xp.zeros_like(x) if t is None else laid_out(t, x._value, backend)
            for t, x in zip(found, self.sources, strict=True)
        ]


def value_and_grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that gives the value of `func` and its gradient, as `(value, grad)`.

    `func` returns one real element. The gradient is by the arguments that `argnums` names, in their structure; an
    argument that nothing depends on has zeros. With `has_aux`, `func` returns `(value, aux)` and the result is
    `((value, aux), grad)`. Raw arrays in, raw arrays out. Raises GradientError for what has no derivative.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.value_and_grad(lambda x: (x**2).sum())(np.asarray([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        call = Call("grad", func, args, kwargs, argnums)
        tape = Tape(call, has_aux)
        y = _scalar(tape)
        outside = tape.outside()
        value = tape.value(y, outside)
        grads = call.chosen([call.finish(g) for g in tape.pull([call.xp.ones_like(y)], False, outside)])
        return ((value, tape.aux), grads) if has_aux else (value, grads)

    return transformed


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return the gradient of `func` as a function; with `has_aux` it returns `(grad, aux)`.

    The rest is as for :func:`value_and_grad`.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.grad(lambda x: (x**2).sum())(np.asarray([1.0, 2.0]))
    array([2., 4.])
    >>> float(ad.grad(ad.grad(lambda x: x**3))(2.0))
    12.0
    """
    both = value_and_grad(func, argnums, has_aux)

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return transformed


def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that gives `(grad, value)`: PyTorch's order of :func:`value_and_grad`.

    >>> import autodiff_api as ad
    >>> g, y = ad.func.grad_and_value(lambda x: x**2)(3.0)
    >>> float(g), float(y)
    (6.0, 9.0)
    """
    both = value_and_grad(func, argnums, has_aux)

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return grads, value

    return transformed


def _scalar(tape: Tape) -> Any:
    """Return the one real element that a gradient is of."""
    if tape.tree.make is not None:
        raise OutputError(
            f"grad: expected the function to return one array of one element, got {show(tape.tree)}; with "
            "has_aux=True it may return (value, aux)"
        )
    (y,) = tape.outputs
    if y.size != 1:
        raise GradientError(
            f"grad: expected the function to return a scalar, got shape {tuple(y.shape)}; reduce it, for example with "
            ".sum(), or ask for jacrev"
        )
    if y._is_complex():
        raise GradientError(f"grad: expected a real output, got {y.dtype}; take .real, or ask for vjp or jacrev")
    return y


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Return `func(*primals)` and a function that maps cotangents of the output to those of the primals.

    The function takes one tree built as the output, and returns a tuple with one tree for each primal; it may be called
    many times, and mapped with vmap. With `has_aux` the result is `(output, vjp_function, aux)`.

    >>> import autodiff_api as ad, numpy as np
    >>> y, pull = ad.vjp(lambda x: x**2, np.asarray([1.0, 2.0]))
    >>> y, pull(np.asarray([1.0, 10.0]))
    (array([1., 4.]), (array([ 2., 40.]),))
    """
    call = Call("vjp", func, primals, {}, tuple(range(len(primals))))
    tape = Tape(call, has_aux, private=True)

    def pullback(cotangents: Any) -> Any:
        given = matching(tape.tree, cotangents, "vjp: the cotangent")
        seeds = [like("vjp: cotangent", i, t, y) for i, (t, y) in enumerate(zip(given, tape.outputs, strict=True))]
        found = tape.pull(seeds, keep=True)
        return call.chosen([call.finish(g, *given) for g in found])

    return (tape.values(), pullback, tape.aux) if has_aux else (tape.values(), pullback)


def linearize(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Return `func(*primals)` and its derivative there: a linear function from tangents to the output's tangent.

    `func` runs once, however many tangents follow: the recorded pass backward is itself gone back along.
    With `has_aux` the result is `(output, jvp_function, aux)`.

    >>> import autodiff_api as ad, numpy as np
    >>> y, push = ad.linearize(lambda x: x**2, np.asarray([1.0, 2.0]))
    >>> push(np.asarray([1.0, 10.0]))
    array([ 2., 40.])
    """
    call = Call("linearize", func, primals, {}, tuple(range(len(primals))))
    tape = Tape(call, has_aux, private=True)
    xp = call.xp
    probes = [xp.zeros_like(y).requires_grad_() for y in tape.outputs]
    pulled = recorded(tape.pull, probes, True)
    nodes = [p._node for p in probes]
    _spent.update(nodes)
    outside = beyond([g._node for g in pulled], {*tape.own, *nodes})

    def push(*tangents: Any) -> Any:
        given = call.tangents(tangents)
        found = pass_back(xp, pulled, given, nodes, outside, keep=True)
        moved = [xp.zeros_like(y) if t is None else t for t, y in zip(found, tape.outputs, strict=True)]
        beside, _ = flatten(tangents)
        return unflatten(tape.tree, [call.finish(t, *beside) for t in moved])

    return (tape.values(), push, tape.aux) if has_aux else (tape.values(), push)
