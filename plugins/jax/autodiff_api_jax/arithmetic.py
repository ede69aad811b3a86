"""Arithmetic in eager calls: what `jax.numpy` looks at in Python each time, a compiled function knows at once.

That is a fifth of what such a call takes (5 instead of 6.3 µs). Under a trace, and with a Python integer, which may be
too large for the other's dtype, they are what they are without.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp

Kernel = Callable[..., Any]
TRACED = jax.core.Tracer


def quick(function: Kernel) -> Kernel:
    """Return a function of two arrays that takes less time when it is not traced."""
    alone = jax.jit(function)

    @wraps(function)
    def kernel(x1: Any, x2: Any, /) -> Any:
        if isinstance(x1, TRACED) or isinstance(x2, TRACED) or x1.__class__ is int or x2.__class__ is int:
            return function(x1, x2)
        return alone(x1, x2)

    return kernel


KERNELS: dict[str, Kernel] = {
    name: quick(getattr(jnp, name))
    for name in (
        "add", "bitwise_and", "bitwise_or", "bitwise_xor", "logaddexp", "logical_and", "logical_or", "logical_xor",
        "maximum", "minimum", "multiply", "pow", "subtract",
    )
}  # fmt: skip
