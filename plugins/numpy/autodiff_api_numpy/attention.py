"""Attention on NumPy: a few heads at a time, in buffers that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from autodiff_api.backends import Keeping

SCORES = 1 << 17  # elements in the scores of some heads: half a MiB of float32
FAR = {
    "f": 1e12,
    "d": 1e100,
}  # how far from 1 sums of exponentials may be, so that no product with them is out of range


def exponentials(query: Any, key: Any, mask: Any, scale: float) -> tuple[Any, Any]:
    """Return exp(scale * query keyᵀ), 0 where a mask lets nothing through, and the sums of its rows.

    A row's largest score is taken out only where sums tell that it must be: finding it takes NumPy longer than the
    exponentials do. A transposed copy of the keys is repaid by a product twice as fast.
    """
    scores = np.matmul(query * scale, np.ascontiguousarray(key.mT))
    ones = np.ones((scores.shape[-1], 1), dtype=scores.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(scores)
        if mask is not None:
            e *= mask
        sums = np.matmul(e, ones)
    least, limit = sums.min(initial=1), FAR.get(scores.dtype.char, 1)
    if least * limit >= 1 and sums.max(initial=1) <= limit:
        return e, sums
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
    top = np.maximum.reduce(scores, axis=-1, keepdims=True)
    scores -= np.where(top == -np.inf, scores.dtype.type(0), top)
    np.exp(scores, out=scores)
    sums = np.matmul(scores, ones)
    sums[sums == 0] = 1
    return scores, sums


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
    return attention_keeping(query, key, value, mask, scale=scale)[0]


def attention_keeping(
    query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float
) -> tuple[Any, tuple[Any, Any] | None]:
    """Return what `attention` does, and exponentials and sums, where all heads are done at once."""
    dtype = np.result_type(query, key, value)
    (query, key, value, mask), lead = alike((query, key, value, mask))
    rows, columns = query.shape[-2], key.shape[-2]
    out = np.empty_like(query, dtype=dtype, shape=(*lead, rows, value.shape[-1]))
    parts, kept = [*heads(lead, rows * columns)], None
    for some in parts:
        e, sums = exponentials(query[some], key[some], None if mask is None else mask[some], scale)
        np.divide(np.matmul(e, value[some]), sums, out=out[some])
        kept = e, sums
    return out, kept if len(parts) == 1 else None


def attention_backward(
    grad: Any, query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float
) -> tuple[Any, Any, Any]:
    """Return the cotangents of query, key and value; the weights are computed again."""
    return attention_backward_kept(None, grad, query, key, value, mask, scale=scale)


def attention_backward_kept(
    kept: Any, grad: Any, query: Any, key: Any, value: Any, mask: Any = None, /, *, scale: float
) -> tuple[Any, Any, Any]:
    """Return what `attention_backward` does, from what `attention_keeping` kept; None is nothing."""
    dtype = np.result_type(grad, query, key, value)
    (grad, query, key, value, mask), lead = alike((grad, query, key, value, mask))
    of_query, of_key, of_value = (np.empty_like(x, dtype=dtype) for x in (query, key, value))
    for some in heads(lead, query.shape[-2] * key.shape[-2]):
        e, sums = kept or exponentials(query[some], key[some], None if mask is None else mask[some], scale)
        t = grad[some] / sums
        np.matmul(e.mT, t, out=of_value[some])
        s = np.matmul(t, np.ascontiguousarray(value[some].mT))
        s -= np.vecdot(s, e)[..., None] / sums
        s *= e
        np.multiply(np.matmul(s, key[some]), scale, out=of_query[some])
        np.matmul(s.mT, query[some] * scale, out=of_key[some])
    return of_query, of_key, of_value


KEEPING: dict[str, Keeping] = {
    "nn.attention": Keeping(
        forward=attention_keeping, backward_op="nn.attention_backward", backward=attention_backward_kept
    ),
}
KERNELS: dict[str, Callable[..., Any]] = {
    "nn.attention": attention,
    "nn.attention_backward": attention_backward,
}
