"""JAX's own control flow, on lists of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

Arrays = list[Any]


def cond(pred: Any, true: Callable[[Arrays], Arrays], false: Callable[[Arrays], Arrays], operands: Arrays) -> Arrays:
    """Return what one of two functions of the operands gives.

    >>> cond(True, lambda xs: [xs[0] + 1], lambda xs: xs, [1])
    [Array(2, dtype=int32, weak_type=True)]
    """
    return list(jax.lax.cond(pred, true, false, operands))


def scan(
    step: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]],
    carry: Arrays,
    xs: Arrays,
    length: int,
    reverse: bool,
    unroll: int | bool,
) -> tuple[Arrays, Arrays]:
    """Return the last carry and the stacked results of a step for each slice of `xs`."""
    carry, ys = jax.lax.scan(lambda c, x: step(c, x), carry, xs, length, reverse, unroll)
    return list(carry), list(ys)


def while_loop(condition: Callable[[Arrays], Any], body: Callable[[Arrays], Arrays], carry: Arrays) -> Arrays:
    """Return the last carry of a body that repeats while a condition holds.

    >>> while_loop(lambda c: c[0] < 100, lambda c: [c[0] * 2], [3])
    [Array(192, dtype=int32, weak_type=True)]
    """
    found: Arrays = jax.lax.while_loop(condition, body, carry)
    return found
