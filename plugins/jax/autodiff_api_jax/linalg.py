"""Linear algebra that JAX has a kernel for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def solve_triangular(x1: Any, x2: Any, /, *, upper: bool = False) -> Any:
    """Return the solution of ``x1 @ out = x2``, reading one triangle of `x1`.

    >>> solve_triangular(jnp.asarray([[2.0, 9.0], [1.0, 1.0]]), jnp.asarray([[2.0], [3.0]])).tolist()
    [[1.0], [2.0]]
    """
    batch = jnp.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    x1, x2 = jnp.broadcast_to(x1, (*batch, *x1.shape[-2:])), jnp.broadcast_to(x2, (*batch, *x2.shape[-2:]))
    return jax.scipy.linalg.solve_triangular(x1, x2, lower=not upper)


KERNELS: dict[str, Callable[..., Any]] = {"linalg.solve_triangular": solve_triangular}
