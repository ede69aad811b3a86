"""The other half of a rule: from tangents of the inputs to the tangent of the output.

Each kind says it in one line. An element-wise formula is applied to the tangent, a linear op is its own
derivative, a multilinear one obeys the product rule, and a general rule states its `jvp`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from .kinds import Elementwise, Formula, General, Linear, Multilinear, Op, Rule, expression, invoker_of, refuser

Push = Callable[[Sequence[Any], Sequence[Any], Any, tuple[Any, ...], Callable[..., Any], Any], Any]


@cache
def pushforward(op: Op, needs: tuple[bool, ...]) -> Push:
    """Return `push(tangents, arrays, out, statics, kernel, xp)` for the inputs that `needs` marks as moving.

    `tangents` has an entry for each array, None for one that stands still; those of an element-wise op have the
    output's shape. The result may still have a wider dtype than the output, as a cotangent may.

    >>> from autodiff_api.rules import OPS
    >>> push = pushforward(OPS["multiply"], (True, False))
    >>> push((1.0, None), (2.0, 5.0), 10.0, (), None, None)
    5.0
    """
    rule = op.rule
    assert rule is not None
    moving = [i for i, need in enumerate(needs) if need]
    for i in moving:
        name = "arrays" if op.variadic else op.arrays[i]
        if name not in rule.formulas:
            return refuser(op, name)
    if isinstance(rule, Elementwise):
        return _elementwise(op, rule, moving)
    if isinstance(rule, General):
        one = len(rule.formulas) == 1
        moved = [op.arrays.index(n) for n in rule.formulas]
        jvp = _formula(op, rule.jvp, f"ts[{moved[0]}]" if one else f"({', '.join(f'ts[{i}]' for i in moved)})")
        return lambda ts, a, out, p, kernel, xp: jvp(_filled(ts, a, moved, xp), a, out, p, xp)
    invoke = invoker_of(op)
    if isinstance(rule, Multilinear):
        added = None if rule.added is None else op.arrays.index(rule.added)
        return lambda ts, a, out, p, kernel, xp: _sum(
            xp.broadcast_to(ts[i], out.shape)
            if i == added
            else invoke(kernel, [ts[j] if j == i else None if j == added else x for j, x in enumerate(a)], p)
            for i in moving
        )
    assert isinstance(rule, Linear)
    linear = [i for i in range(len(needs)) if op.variadic or op.arrays[i] in rule.formulas]
    return lambda ts, a, out, p, kernel, xp: invoke(kernel, _filled(ts, a, linear, xp), p)


def _elementwise(op: Op, rule: Rule, moving: list[int]) -> Push:
    """Return the sum of the formulas of the inputs that move, written out: it is most of what forward mode does."""
    places = {name: f"a[{i}]" for i, name in enumerate(op.arrays)}
    scope, terms = {}, []
    for i in moving:
        scope[f"f{i}"] = formula = rule.formulas[op.arrays[i]]
        words = [f"ts[{i}]" if n == "t" else expression(n, op, places) for n in inspect.signature(formula).parameters]
        terms.append(f"f{i}({', '.join(words)})")
    return eval(f"lambda ts, a, out, p, kernel, xp: {' + '.join(terms)}", scope)  # type: ignore[no-any-return]


def _filled(tangents: Sequence[Any], arrays: Sequence[Any], where: list[int], xp: Any) -> list[Any]:
    """Return the arrays with each of those in `where` replaced by its tangent: zeros where it stands still."""
    filled = list(arrays)
    for i in where:
        t = tangents[i]
        filled[i] = t if t is not None else xp.zeros_like(arrays[i]) if hasattr(arrays[i], "dtype") else 0
    return filled


def _sum(terms: Any) -> Any:
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total


def _formula(op: Op, formula: Formula, t: str) -> Callable[..., Any]:
    """Return a formula as a function of (tangents, arrays, out, statics, xp), with `t` said in tangents."""
    words = [t if name == "t" else expression(name, op) for name in inspect.signature(formula).parameters]
    text = f"lambda ts, {', '.join(op.arrays)}, out, p, xp: formula({', '.join(words)})"
    by_name = eval(text, {"formula": formula})
    if op.variadic:
        return by_name  # type: ignore[no-any-return]
    return lambda ts, a, out, p, xp: by_name(ts, *a, out, p, xp)
