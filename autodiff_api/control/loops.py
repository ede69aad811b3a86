"""Loops and branches that an engine can compile, by JAX's names, on every backend and under every transformation."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .. import levels
from ..errors import ArgumentError, ArgumentTypeError, OperandError, OutputError
from ..trees import Tree, flatten, paths, show, tree_map, unflatten
from ..values import is_array
from .branches import choose
from .calls import Called, form
from .layers import Arrays, control_of, differs
from .scans import Loop, first, scan_at
from .whiles import while_at


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Run `carry, y = f(carry, x)` for each slice `x` of `xs`, and return the last carry and the stacked `y`.

    `init`, `xs` and what `f` returns are trees; each array of `xs` has the steps along its first axis. Without `xs`, or
    beside it, `length` says how many steps there are; `reverse` begins with the last. The carry keeps its structure,
    shapes and dtypes (TreeError, OutputError). `f` is tried before the loop runs and, where gradients are wanted, runs
    again in the pass backward: it should only compute. That pass keeps the carries, and nothing else of a step.

    Plain Python steps on NumPy; the engine's own loop where it has one, with `unroll` steps in one turn.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.scan(lambda total, x: (total + x, total * x), 0.0, np.asarray([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    leaves, tree = flatten(xs)
    call = Called("scan", init, xs)
    arrays = [levels.number(x, call.xp, f"scan: {place}") for x, place in zip(leaves, paths(tree, "xs"), strict=True)]
    loop = Loop(_length(arrays, paths(tree, "xs"), length), bool(reverse), _turn(unroll))
    made: list[Tree] = []
    function = call.function(f)

    def run(carry: Arrays, x: Arrays) -> tuple[Any, Any]:
        result = function(unflatten(call.tree, carry), unflatten(tree, x))
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise OutputError(f"scan: a step returns a pair (carry, y), got {type(result).__name__}")
        return result[0], result[1]

    def step(carry: Arrays, x: Arrays) -> tuple[Arrays, Arrays]:
        out, y = run(carry, x)
        parts, built = call.tensors(y, "what a step returns beside the carry")
        made.append(built)
        return call.carried(out, carry), parts

    call.settle_numbers(lambda carry: call.loosely(run(carry, first(call.xp, arrays, loop))[0], carry))
    out, ys = scan_at(call.xp, step, call.carry, arrays, loop)
    return call.put(out), call.put(ys, made[-1])


def _length(arrays: Arrays, places: list[str], length: int | None) -> int:
    """Return the number of steps; ArgumentError if there is none or more than one."""
    if length is not None:
        length = operator.index(length)
        if length < 0:
            raise ArgumentError(f"scan: length={length}; it must be 0 or more")
    for x, place in zip(arrays, places, strict=True):
        if not x.shape:
            raise ArgumentError(
                f"scan: {place} has shape (), no axis of steps; hand it in through init, or close over it"
            )
    sizes = {place: x.shape[0] for x, place in zip(arrays, places, strict=True)}
    if length is not None:
        sizes = {"length": length, **sizes}
    if not sizes:
        raise ArgumentError("scan: without xs, length= must say how many steps there are")
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{n} in {place}" for place, n in sizes.items())
        raise ArgumentError(f"scan: expected one number of steps, got {told}")
    return int(next(iter(sizes.values())))


def _turn(unroll: int | bool) -> int | bool:
    if not isinstance(unroll, bool) and operator.index(unroll) < 1:
        raise ArgumentError(f"scan: unroll={unroll}; it must be 1 or more, or a bool")
    return unroll


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any) -> Any:
    """Return `true_fun(*operands)` if `pred`, a truth value of shape (), holds, and else `false_fun(*operands)`.

    Operands and results are trees; both functions must return the same structure, shapes and dtypes (TreeError,
    OutputError), which shows where both are run: by an engine that compiles, or if `pred` differs inside `vmap`, when
    `where` takes from either. Else only the one is run, and only what it used has a gradient.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.cond(np.asarray(True), lambda x: x + 1, lambda x: x / 0, np.asarray(1.0))
    np.float64(2.0)
    """
    leaves, tree = flatten(operands)
    call = Called("cond", (), pred, operands)
    places = [f"operand {i}" for i in range(len(operands))]
    named = [p for place, child in zip(places, tree.children, strict=True) for p in paths(child, place)]
    given = [levels.number(x, call.xp, f"cond: {place}") for x, place in zip(leaves, named, strict=True)]
    truth = _truth(pred, call)
    made: list[Result] = []

    def branch(given: Callable[..., Any]) -> Callable[[Arrays], Arrays]:
        function = call.function(given)

        def run(arrays: Arrays) -> Arrays:
            out, built = call.tensors(function(*unflatten(tree, arrays)), "what a branch returns")
            made.append((built, [form(y) for y in out]))
            _alike(made[0], made.pop() if made[1:] else made[0])
            return out

        return run

    out = choose(call.xp, truth, [branch(true_fun), branch(false_fun)], given)
    return call.put(out, made[0][0])


def _truth(pred: Any, call: Called) -> Any:
    """Return a predicate as a tensor of one truth value."""
    truth = levels.number(pred, call.xp, f"{call.name}: the predicate")
    if truth.shape != ():
        raise OperandError(
            f"{call.name}: the predicate must be one truth value of shape (), got shape {tuple(truth.shape)}; reduce "
            "it with any() or all(), or choose element by element with where"
        )
    return truth if call.xp.isdtype(truth.dtype, "bool") else call.xp.astype(truth, call.xp.bool)


Result = tuple[Tree, list[str]]  # what a branch returned: its structure, and the form of each leaf


def _alike(one: Result, other: Result) -> None:
    """Raise OutputError unless two branches returned the same structure, shapes and dtypes."""
    if not one[0].same(other[0]):
        raise OutputError(f"cond: one branch returned {show(one[0])}, the other {show(other[0])}; return the same tree")
    for x, y, place in zip(one[1], other[1], paths(one[0], "result"), strict=True):
        if x != y:
            raise OutputError(f"cond: {place} is {x} in one branch and {y} in the other; broadcast or cast one of them")


def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any, *, max_steps: int | None = None
) -> Any:
    """Repeat `val = body_fun(val)` while `cond_fun(val)` holds, and return the last `val`.

    `val` is a tree that keeps its structure, shapes and dtypes (TreeError, OutputError). With `max_steps` the loop ends
    after so many steps at the latest, and can be differentiated backward, which takes memory for that many values.
    Without it, it goes forward only: a pass backward raises GraphError when it comes here.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.while_loop(lambda x: x < 100.0, lambda x: x * x, np.asarray(2.0))
    np.float64(256.0)
    >>> float(ad.grad(lambda x: ad.while_loop(lambda x: x < 100.0, lambda x: x * x, x, max_steps=10))(2.0))
    1024.0
    """
    if max_steps is not None and operator.index(max_steps) < 0:
        raise ArgumentError(f"while_loop: max_steps={max_steps}; it must be 0 or more")
    return _repeat("while_loop", cond_fun, body_fun, init_val, max_steps)


def _repeat(name: str, cond_fun: Any, body_fun: Any, init: Any, max_steps: int | None) -> Any:
    call = Called(name, init)
    condition, function = call.function(cond_fun), call.function(body_fun)

    def holds(carry: Arrays) -> Any:
        return _truth(condition(unflatten(call.tree, carry)), call)

    def loosely(carry: Arrays) -> Arrays:
        return call.loosely(function(unflatten(call.tree, carry)), carry)

    def body(carry: Arrays) -> Arrays:
        return call.carried(function(unflatten(call.tree, carry)), carry)

    if not control_of(call.xp) and not differs(pred := holds(call.carry)) and not bool(pred):
        return call.put(call.carry)  # a step need not make sense where there is none
    call.settle_numbers(loosely)
    return call.put(while_at(call.xp, holds, body, call.carry, max_steps))


def fori_loop(
    lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any, *, unroll: int | bool = 1
) -> Any:
    """Repeat `val = body_fun(i, val)` for `i` from `lower` to `upper - 1`, and return the last `val`.

    With bounds that are known when it is called, integers for instance, this is a scan, which can be differentiated
    backward; with others, which `jax.jit` traces or `vmap` maps over, it is a `while_loop`, which goes forward only.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.fori_loop(0, 4, lambda i, x: x + i, np.asarray(0))
    np.int64(6)
    """
    start, stop = known(lower), known(upper)
    if start is not None and stop is not None:
        call = Called("fori_loop", init_val)
        steps = call.xp.arange(start, max(start, stop))
        val, _ = scan(lambda val, i: (body_fun(i, val), None), init_val, steps, unroll=unroll)
        return tree_map(levels.lowered, val) if call.raw else val
    _, val = _repeat(
        "fori_loop",
        lambda state: state[0][0] < state[0][1],
        lambda state: ((state[0][0] + 1, state[0][1]), body_fun(state[0][0], state[1])),
        ((lower, upper), init_val),
        None,
    )
    return val


def known(bound: Any) -> int | None:
    """Return a bound as an integer; None if it is not known yet, or differs. ArgumentTypeError if it is none."""
    if differs(bound):
        return None
    try:
        return operator.index(bound)
    except TypeError as error:
        if not is_array(bound) or not str(getattr(bound, "dtype", "")).lstrip("u").startswith("int"):
            raise ArgumentTypeError(
                f"fori_loop: expected an integer for a bound, got {type(bound).__name__}"
            ) from error
        return None
