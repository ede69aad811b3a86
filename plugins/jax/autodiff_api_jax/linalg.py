"""Linear algebra that JAX has a kernel for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def matrix_power(x: Any, n: int, /) -> Any:
    """Return the n-th power of square matrices; the zeroth is where `x` is, which JAX's own leaves to chance.

    >>> matrix_power(jnp.asarray([[2.0, 1.0], [0.0, 1.0]]), 0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return jnp.linalg.matrix_power(x, n) if n else jnp.zeros_like(x) + jnp.eye(x.shape[-1], dtype=x.dtype)


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """Return how many singular values exceed `rtol` times the largest, for which JAX takes `rtol` itself.

    >>> matrix_rank(jnp.asarray([[10.0, 0.0], [0.0, 1.0]]), rtol=0.5).item()
    1
    """
    s = jnp.linalg.svd(x, compute_uv=False)
    rtol = max(x.shape[-2:]) * jnp.finfo(s.dtype).eps if rtol is None else rtol
    cut = jnp.asarray(rtol, dtype=s.dtype) * jnp.max(s, axis=-1, initial=0.0)
    return jnp.count_nonzero(s > cut[..., None], axis=-1)


def solve_triangular(x1: Any, x2: Any, /, *, upper: bool = False) -> Any:
    """Return the solution of ``x1 @ out = x2``, reading one triangle of `x1`.

    >>> solve_triangular(jnp.asarray([[2.0, 9.0], [1.0, 1.0]]), jnp.asarray([[2.0], [3.0]])).tolist()
    [[1.0], [2.0]]
    """
    batch = jnp.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    x1, x2 = jnp.broadcast_to(x1, (*batch, *x1.shape[-2:])), jnp.broadcast_to(x2, (*batch, *x2.shape[-2:]))
    return jax.scipy.linalg.solve_triangular(x1, x2, lower=not upper)


KERNELS: dict[str, Callable[..., Any]] = {
    "linalg.matrix_power": matrix_power,
    "linalg.matrix_rank": matrix_rank,
    "linalg.solve_triangular": solve_triangular,
}
