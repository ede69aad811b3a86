"""JAX's functions as the generic kernels use them: inside a compiled function, nothing but XLA's own operations.

What `jax.numpy` compiles by itself would be a function of its own in the program, to be traced and lowered each time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from autodiff_api.rules import OPS

from .sharding import PRODUCTS, REFUSAL
from .slices import padded

Kernel = Callable[..., Any]


def where(condition: Any, x: Any, y: Any) -> Any:
    """Return x where a condition holds, and y elsewhere.

    >>> where(jnp.asarray([True, False]), jnp.asarray([1.0, 2.0]), 0)
    Array([1., 0.], dtype=float32)
    """
    if not (hasattr(x, "dtype") or hasattr(y, "dtype")):
        return jnp.where(condition, x, y)
    dtype = jnp.result_type(x, y)
    shape = jnp.broadcast_shapes(condition.shape, *[z.shape for z in (x, y) if hasattr(z, "shape")])
    try:
        return lax.select(spread(condition, shape), spread(x, shape, dtype), spread(y, shape, dtype))
    except REFUSAL:  # as it is laid out in another way, on a mesh with Explicit axes
        return jnp.where(condition, x, y)


def spread(x: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Return an array or a number with more axes before its own, and longer ones where it has one element."""
    if not hasattr(x, "shape"):
        return lax.full(shape, x, dtype)
    x = x if dtype is None or x.dtype == dtype else lax.convert_element_type(x, dtype)
    return x if x.shape == shape else jnp.broadcast_to(x, shape)


def clip(x: Any, low: float, high: float) -> Any:
    """Return what is nearest to x between two numbers.

    >>> clip(jnp.asarray([-2.0, 0.5]), -1.0, 1.0)
    Array([-1. ,  0.5], dtype=float32)
    """
    return jnp.minimum(jnp.maximum(x, low), high)


class Special:
    """The special functions of the words: the generic ones, in these words again."""

    def __getattr__(self, name: str) -> Kernel:
        return plain(f"special.{name}")


class Words:
    """The words that the generic kernels are written in."""

    special = Special()
    clip = staticmethod(clip)
    where = staticmethod(where)

    def __getattr__(self, name: str) -> Any:
        return PRODUCTS.get(name) or getattr(jnp, name)

    @staticmethod
    def scatter_add(x: Any, key: Any, values: Any) -> Any:
        """Return `x` with values added at a key of slices."""
        return x + padded(x.shape, key, values)


WORDS = Words()


def program(function: Kernel, statics: tuple[str, ...] = ()) -> Kernel:
    """Return a function that is one program in eager calls, and in a program the operations that it consists of."""
    alone = jax.jit(function, static_argnames=statics)

    @wraps(function)
    def kernel(*args: Any, **kwargs: Any) -> Any:
        inside = any(isinstance(x, jax.core.Tracer) for x in args)
        return (function if inside else alone)(*args, **kwargs)

    return kernel


def plain(name: str) -> Kernel:
    """Return the generic kernel of an op, in these words."""
    kernel = OPS[name].kernel
    assert kernel is not None
    return partial(kernel, xp=WORDS)


def composed(name: str) -> Kernel:
    """Return the generic kernel of an op, as a program."""
    return program(plain(name), OPS[name].statics)
