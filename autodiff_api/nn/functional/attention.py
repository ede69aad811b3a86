"""Attention with PyTorch's names, defaults and numbers."""

from __future__ import annotations

import math
from typing import Any

from autodiff_api.errors import ArgumentError, ArgumentTypeError, ShapeError

from .common import Array, namespace_of
from .layer import dropout
from .special import network, special


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """Return softmax(scale * query @ key.mT + mask) @ value.

    Shapes: query (..., L, E), key (..., S, E), value (..., S, Ev), result (..., L, Ev); the axes before broadcast.
    `attn_mask` broadcasts to (..., L, S): bool, False for what is not to be seen, or numbers to add, differentiable.
    `is_causal` lets row i see the first i + 1. A row that sees nothing is zeros. `scale` is 1 / sqrt(E) if not given.
    With `enable_gqa` each head of `key` and `value`, the third axis from the end, serves a group of heads of `query`.
    `dropout_p` zeroes weights as `dropout` does, also in evaluation. Raises `ArgumentError` for both a mask and
    `is_causal`, `ArgumentTypeError` for a mask of integers, `ShapeError` for shapes that don't fit.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    name = "scaled_dot_product_attention"
    xp = namespace_of(query, name)
    check(name, query, key, value)
    if is_causal and attn_mask is not None:
        raise ArgumentError(
            f"{name}(): Explicit attn_mask should not be set when is_causal=True. Put both in the mask."
        )
    if enable_gqa:
        key, value = (spread(name, x, query, xp) for x in (key, value))
    factor = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else float(scale)
    if is_causal:
        attn_mask = causal(query, key, xp)
    if dropout_p == 0 and (attn_mask is None or xp.isdtype(attn_mask.dtype, "bool")):
        return network("attention", query, name)(query, key, value, attn_mask, scale=factor)
    weights = masked_softmax(xp.matmul(query, xp.matrix_transpose(key)) * factor, attn_mask, xp)
    return xp.matmul(dropout(weights, dropout_p), value)


def masked_softmax(scores: Array, mask: Array | None, xp: Any) -> Array:
    """Return the softmax of what a mask lets through, or of a sum with it; zeros in a row where that is nothing."""
    softmax = special("softmax", scores, "scaled_dot_product_attention")
    if mask is None:
        return softmax(scores, axis=-1)
    if not xp.isdtype(mask.dtype, ("bool", "real floating")):
        raise ArgumentTypeError(
            "scaled_dot_product_attention() expected attn_mask dtype to be bool or float or to match query dtype, but "
            f"got attn_mask.dtype: {mask.dtype}. Convert it with .bool()."
        )
    if not xp.isdtype(mask.dtype, "bool"):
        scores = scores + mask
        mask = scores != -xp.inf
    seen = xp.any(mask, axis=-1, keepdims=True)
    scores = xp.where(seen, xp.where(mask, scores, -xp.inf), 0.0)
    return xp.where(seen, softmax(scores, axis=-1), 0.0)


def causal(query: Array, key: Array, xp: Any) -> Array:
    """Return a mask that lets each row see those up to its own."""
    rows, columns = (xp.arange(x.shape[-2], device=x.device) for x in (query, key))
    return xp.expand_dims(rows, axis=-1) >= columns


def spread(name: str, x: Array, query: Array, xp: Any) -> Array:
    """Repeat heads, so that each serves a group of neighbours."""
    heads, wanted = x.shape[-3], query.shape[-3]
    if not heads or wanted % heads:
        raise ShapeError(f"{name}(): {wanted} heads of query can't be shared by {heads} of key and value.")
    return x if heads == wanted else xp.repeat(x, wanted // heads, axis=-3)


def check(name: str, query: Array, key: Array, value: Array) -> None:
    """Refuse shapes that don't fit each other."""
    shapes = [tuple(x.shape) for x in (query, key, value)]
    if min(map(len, shapes)) < 2:
        raise ShapeError(
            f"{name}(): Expected query, key, and value to all be at least 2 dimensional, but got shapes {shapes}"
        )
    if shapes[0][-1] != shapes[1][-1] or shapes[1][-2] != shapes[2][-2]:
        raise ShapeError(
            f"{name}() takes query (..., L, E), key (..., S, E) and value (..., S, Ev), but got shapes {shapes}"
        )
