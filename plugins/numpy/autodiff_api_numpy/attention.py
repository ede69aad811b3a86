"""Attention on NumPy: a few heads at a time, in buffers that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

SCORES = 1 << 17  # elements in the scores of some heads: half a MiB of float32


def weigh(query: Any, key: Any, mask: Any, scale: float) -> Any:
    """Return softmax(scale * query keyᵀ) over what the mask lets through; zeros in a row where that is nothing."""
    p = np.matmul(query * scale, key.mT)
    if mask is None:
        p -= np.maximum.reduce(p, axis=-1, keepdims=True)
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=-1, keepdims=True)
        return p
    np.copyto(p, -np.inf, where=~mask)
    top = np.maximum.reduce(p, axis=-1, keepdims=True)
    p -= np.where(top == -np.inf, p.dtype.type(0), top)
    np.exp(p, out=p)
    total = np.add.reduce(p, axis=-1, keepdims=True)
    total[total == 0] = 1
    p /= total
    return p


def alike(arrays: Sequence[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """Return arrays of matrices with the axes before these broadcast to one shape, and that shape; None stays."""
    leads = {x.shape[:-2] for x in arrays if x is not None}
    if len(leads) == 1:
        return list(arrays), leads.pop()
    lead = np.broadcast_shapes(*leads)
    return [None if x is None else np.broadcast_to(x, lead + (1, *x.shape)[-2:]) for x in arrays], lead


def heads(lead: tuple[int, ...], size: int) -> Iterator[Any]:
    """Yield keys of as many heads as make `SCORES` elements, given how many one has; or of what is at one index."""
    if not lead:
        yield ...
        return
    step = max(1, SCORES // max(1, prod(lead[1:]) * size))
    yield from (slice(i, i + step) for i in range(0, lead[0], step))


def attention(query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float) -> Any:
    """Return for each row of `query` the mean of the rows of `value`, weighted by how `key` answers.

    The axes of the result lie in memory as those of `query` do, so that heads merge without a copy if they were split
    without one.
    """
    dtype = np.result_type(query, key, value)
    (query, key, value, mask), lead = alike((query, key, value, mask))
    rows, columns = query.shape[-2], key.shape[-2]
    out = np.empty_like(query, dtype=dtype, shape=(*lead, rows, value.shape[-1]))
    for some in heads(lead, rows * columns):
        p = weigh(query[some], key[some], None if mask is None else mask[some], scale)
        np.matmul(p, value[some], out=out[some])
    return out


def attention_backward(
    grad: Any, query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float
) -> tuple[Any, Any, Any]:
    """Return the cotangents of query, key and value; the weights are computed again."""
    dtype = np.result_type(grad, query, key, value)
    (grad, query, key, value, mask), lead = alike((grad, query, key, value, mask))
    of_query, of_key, of_value = (np.empty_like(x, dtype=dtype) for x in (query, key, value))
    for some in heads(lead, query.shape[-2] * key.shape[-2]):
        p = weigh(query[some], key[some], None if mask is None else mask[some], scale)
        np.matmul(p.mT, grad[some], out=of_value[some])
        s = np.matmul(grad[some], value[some].mT)
        s -= np.vecdot(s, p)[..., None]
        s *= p
        s *= scale
        np.matmul(s, key[some], out=of_query[some])
        np.matmul(s.mT, query[some], out=of_key[some])
    return of_query, of_key, of_value


KERNELS: dict[str, Callable[..., Any]] = {
    "nn.attention": attention,
    "nn.attention_backward": attention_backward,
}
