"""Batching laws that are functions: of ops that neither work on the last axes nor only name axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..axes import one_axis
from ..errors import BatchingError
from .batching import aligned, give_axis, shifted, spread, too_few_axes

Call = Callable[..., Any]
Shape = tuple[int, ...]


def flat(x: Any, xp: Any) -> Any:
    """Return an array with all but the hidden axis in one."""
    return xp.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


# --- shapes ---


def reshape(call: Call, x: Any, shape: Any, copy: bool | None) -> Any:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if -1 in shape:  # resolved here, since with a hidden axis of length 0 it would be ambiguous
        known = -math.prod(shape)
        shape = tuple([math.prod(x.shape[1:]) // known if n == -1 and known else n for n in shape])
    return call(x, (x.shape[0], *shape), copy=copy)


def broadcast_to(call: Call, x: Any, shape: Any, xp: Any) -> Any:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    missing = len(shape) - (x.ndim - 1)
    return call(xp.reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:])), (x.shape[0], *shape))


def permute_dims(call: Call, x: Any, axes: Sequence[int]) -> Any:
    return call(x, (0, *shifted("permute_dims", tuple(axes), x.shape[1:])))


def expand_dims(call: Call, x: Any, axis: Any) -> Any:
    room = x.shape[1:] + (1,) * (len(axis) if isinstance(axis, tuple) else 1)
    return call(x, axis=shifted("expand_dims", axis, room))


def roll(call: Call, x: Any, shift: Any, axis: Any, xp: Any) -> Any:
    if axis is None:
        return xp.reshape(call(flat(x, xp), shift, axis=1), x.shape)
    return call(x, shift, axis=shifted("roll", axis, x.shape[1:]))


def repeat(call: Call, x: Any, repeats: Any, hidden: Sequence[bool], axis: int | None, xp: Any) -> Any:
    if hidden[1]:
        raise unknown_shape("repeat", "`repeats` differs from one to the next")
    return (
        call(flat(x, xp), repeats, axis=1)
        if axis is None
        else call(x, repeats, axis=shifted("repeat", axis, x.shape[1:]))
    )


def tile(call: Call, x: Any, repetitions: Any, xp: Any) -> Any:
    times = (repetitions,) if isinstance(repetitions, int) else tuple(repetitions)
    missing = len(times) - (x.ndim - 1)
    x = xp.reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))
    return call(x, (1, *(1,) * -missing, *times))


def concat(call: Call, arrays: Sequence[Any], axis: int | None, xp: Any) -> Any:
    if axis is None:
        return call([flat(x, xp) for x in arrays], axis=1)
    return call(list(arrays), axis=shifted("concat", axis, arrays[0].shape[1:]))


def stack(call: Call, arrays: Sequence[Any], axis: int) -> Any:
    return call(list(arrays), axis=shifted("stack", axis, (*arrays[0].shape[1:], 1)))


# --- reductions ---


def argument(call: Call, x: Any, axis: int | None, keepdims: bool, xp: Any) -> Any:
    """Serve `argmax` and `argmin`, for which None counts through the flattened array."""
    if axis is not None:
        return call(x, axis=shifted("argmax", axis, x.shape[1:]), keepdims=keepdims)
    found = call(flat(x, xp), axis=1)
    return xp.reshape(found, (x.shape[0], *(1,) * (x.ndim - 1))) if keepdims else found


def vector_norm(call: Call, x: Any, axis: Any, keepdims: bool, ord: Any, xp: Any) -> Any:
    if axis is not None:
        return call(x, axis=shifted("vector_norm", axis, x.shape[1:]), keepdims=keepdims, ord=ord)
    found = call(flat(x, xp), axis=1, ord=ord)
    return xp.reshape(found, (x.shape[0], *(1,) * (x.ndim - 1))) if keepdims else found


def logsumexp(
    call: Call, a: Any, b: Any, hidden: Sequence[bool], axis: Any, keepdims: bool, return_sign: bool, xp: Any
) -> Any:
    if hasattr(b, "ndim"):  # give `a` the rank of both, which axes count in
        a, b = aligned(spread([a, b], hidden, xp), (True, True), (0, 0), xp)
    shape = a.shape[1:]
    return call(a, axis=shifted("logsumexp", axis, shape), b=b, keepdims=keepdims, return_sign=return_sign)


# --- products ---


def matmul(call: Call, x1: Any, x2: Any, hidden: Sequence[bool], xp: Any) -> Any:
    """Multiply so that what is shared is multiplied once: the hidden axis becomes rows of one product."""
    h1, h2 = hidden
    n1, n2 = x1.ndim - h1, x2.ndim - h2
    if not (n1 and n2):
        raise too_few_axes("matmul", 1, ())
    if not h2 and n2 <= 2 and n1 <= 2:
        if n1 == 1 or n2 == 1:
            return call(x1, x2)
        rows = xp.reshape(x1, (x1.shape[0] * x1.shape[1], x1.shape[2]))
        return xp.reshape(call(rows, x2), (*x1.shape[:2], x2.shape[1]))
    if not h1 and n1 == 2 and n2 == 1:
        return call(x2, xp.matrix_transpose(x1))
    if not h1 and n1 == n2 == 2 and x2.shape[-1] == 1:  # columns, which a rule makes of vectors
        return xp.expand_dims(call(x2[..., 0], xp.matrix_transpose(x1)), axis=-1)
    if not h1 and n1 == 1:
        return call(x1, x2) if n2 > 1 else call(x2, x1)
    if not h2 and n2 == 1:
        return call(x1, x2)
    if n1 == n2 == 1:
        return xp.sum(x1 * x2, axis=-1)
    row, column = n1 == 1, n2 == 1
    x1 = xp.expand_dims(x1, axis=-2) if row else x1
    x2 = xp.expand_dims(x2, axis=-1) if column else x2
    out = call(*aligned([x1, x2], hidden, (2, 2), xp))
    return xp.squeeze(out, axis=-2 if row else -1) if row or column else out


def solve(call: Call, x1: Any, x2: Any, hidden: Sequence[bool], xp: Any) -> Any:
    return _solved(lambda a, b: call(a, b), x1, x2, hidden, xp)


def solve_triangular(call: Call, x1: Any, x2: Any, hidden: Sequence[bool], upper: bool, xp: Any) -> Any:
    return _solved(lambda a, b: call(a, b, upper=upper), x1, x2, hidden, xp)


def _solved(call: Call, x1: Any, x2: Any, hidden: Sequence[bool], xp: Any) -> Any:
    """Solve with the hidden axis as columns where the matrix is shared; only what is 1-D by itself is a vector."""
    if x1.ndim - hidden[0] < 2:
        raise too_few_axes("solve", 2, x1.shape[hidden[0] :])
    vector = x2.ndim - hidden[1] == 1
    if vector and not hidden[0] and x1.ndim == 2:
        return xp.matrix_transpose(call(x1, xp.matrix_transpose(x2)))
    if vector:
        x2 = xp.expand_dims(x2, axis=-1)
    out = call(*aligned([x1, x2], hidden, (2, 2), xp))
    return xp.squeeze(out, axis=-1) if vector else out


def with_tolerance(call: Call, x: Any, rtol: Any, hidden: Sequence[bool], xp: Any) -> Any:
    """Serve functions of matrices with a tolerance for each: a number, or an array of the shape before the matrices."""
    if hidden[1]:
        x = give_axis(x, hidden[0], rtol.shape[0], xp)
    x, rtol = aligned([x, rtol], (True, hidden[1]), (2, 0), xp)
    return call(x, rtol=rtol)


def outer(x1: Any, x2: Any, xp: Any) -> Any:
    for x in (x1, x2):
        if x.ndim != 2:
            raise too_few_axes("linalg.outer", 1, x.shape[1:])
    return xp.expand_dims(x1, axis=-1) * xp.expand_dims(x2, axis=-2)


def from_the_end(axis: int, x1: Any, x2: Any, hidden: Sequence[bool]) -> int:
    """Return an axis of two arrays that are broadcast together as a negative number."""
    shapes = [x.shape[h:] for x, h in zip((x1, x2), hidden, strict=True)]
    if axis >= 0:
        longest = max(shapes, key=len)
        axis = one_axis("an operation along one axis", axis, longest) - len(longest)
    for shape in shapes:
        one_axis("an operation along one axis", axis, shape)
    return axis


def along_last(call: Call, x1: Any, x2: Any, hidden: Sequence[bool], axis: int, xp: Any) -> Any:
    """Serve `vecdot` and `cross`: element-wise but for one axis."""
    axis = from_the_end(axis, x1, x2, hidden)
    return call(*aligned([x1, x2], hidden, (0, 0), xp), axis=axis)


def tensordot(call: Call, x1: Any, x2: Any, hidden: Sequence[bool], axes: Any, xp: Any) -> Any:
    n1, n2 = x1.ndim - hidden[0], x2.ndim - hidden[1]
    if isinstance(axes, int):
        c1, c2 = tuple(range(n1 - axes, n1)), tuple(range(axes))
    else:
        c1, c2 = ((a,) if isinstance(a, int) else tuple(a) for a in axes)
        c1 = tuple([one_axis("tensordot", a, (0,) * n1) for a in c1])
        c2 = tuple([one_axis("tensordot", a, (0,) * n2) for a in c2])
    late1, late2 = (tuple([a + h for a in c]) for c, h in zip((c1, c2), hidden, strict=True))
    if not hidden[1]:
        return call(x1, x2, axes=(late1, late2))
    if not hidden[0]:
        return xp.moveaxis(call(x1, x2, axes=(late1, late2)), n1 - len(c1), 0)
    free1 = tuple([a + 1 for a in range(n1) if a not in c1])
    free2 = tuple([a + 1 for a in range(n2) if a not in c2])
    shape1, shape2 = (tuple([x.shape[a] for a in free]) for x, free in ((x1, free1), (x2, free2)))
    inner, n = math.prod([x1.shape[a] for a in late1]), x1.shape[0]
    a = xp.reshape(xp.permute_dims(x1, (0, *free1, *late1)), (n, math.prod(shape1), inner))
    b = xp.reshape(xp.permute_dims(x2, (0, *late2, *free2)), (n, inner, math.prod(shape2)))
    return xp.reshape(xp.matmul(a, b), (n, *shape1, *shape2))


# --- searching ---


def take(call: Call, x: Any, indices: Any, hidden: Sequence[bool], axis: int | None, xp: Any) -> Any:
    if axis is None:
        x, axis = (flat(x, xp) if hidden[0] else xp.reshape(x, (-1,))), 0
    axis = one_axis("take", axis, x.shape[1:] if hidden[0] else x.shape)
    if not hidden[1]:
        return call(x, indices, axis=axis + 1)
    if not hidden[0]:
        places = xp.reshape(indices, (-1,))
        found = call(x, places, axis=axis)
        found = xp.reshape(found, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
        return xp.moveaxis(found, axis, 0)
    lead = tuple(range(x.ndim))
    first = xp.permute_dims(x, (0, axis + 1, *[a for a in lead if a not in (0, axis + 1)]))
    n = indices.shape[0]
    which = xp.reshape(xp.arange(n, dtype=indices.dtype), (n, *(1,) * (indices.ndim - 1)))
    found = xp.getitem(first, (which, indices))  # (n, *indices, *rest)
    k = indices.ndim - 1
    order = (0, *range(1 + k, 1 + k + axis), *range(1, 1 + k), *range(1 + k + axis, found.ndim))
    return xp.permute_dims(found, order)


def take_along_axis(call: Call, x: Any, indices: Any, axis: int) -> Any:
    return call(x, indices, axis=shifted("take_along_axis", axis, x.shape[1:]))


def sorts_before(a: Any, b: Any, xp: Any) -> Any:
    """Compare as sorting does: a nan comes last."""
    if xp.isdtype(a.dtype, "real floating"):
        return (a < b) | (xp.isnan(b) & ~xp.isnan(a))
    return a < b


def searchsorted(call: Call, x1: Any, x2: Any, sorter: Any, hidden: Sequence[bool], side: str, xp: Any) -> Any:
    """Look up in a shared array as the op does; in arrays that differ, count what sorts before."""
    if x1.ndim - hidden[0] != 1:
        raise too_few_axes("searchsorted", 1, x1.shape[hidden[0] :])
    if not hidden[0] and not hidden[2]:
        found = call(x1, xp.reshape(x2, (-1,)), side=side, sorter=sorter)
        return xp.reshape(found, x2.shape)
    n = x1.shape[0] if hidden[0] else sorter.shape[0]
    if sorter is not None:
        x1 = xp.take_along_axis(give_axis(x1, hidden[0], n, xp), give_axis(sorter, hidden[2], n, xp), axis=1)
    values = x2 if hidden[1] else give_axis(x2, False, n, xp)
    edges = xp.reshape(x1, (n, *(1,) * (values.ndim - 1), x1.shape[1]))
    values = xp.expand_dims(values, axis=-1)
    before = sorts_before(edges, values, xp) if side == "left" else ~sorts_before(values, edges, xp)
    return xp.sum(xp.astype(before, xp.searchsorted(xp.asarray([0]), xp.asarray([0])).dtype), axis=-1)


def isin(call: Call, x1: Any, x2: Any, hidden: Sequence[bool], invert: bool, xp: Any) -> Any:
    if not hidden[1]:
        return call(x1, x2, invert=invert)
    n = x2.shape[0]
    x1 = give_axis(x1, hidden[0], n, xp)
    elements = xp.reshape(x2, (n, *(1,) * (x1.ndim - 1), math.prod(x2.shape[1:])))
    found = xp.any(xp.equal(xp.expand_dims(x1, axis=-1), elements), axis=-1)
    return ~found if invert else found


def fftn(call: Call, x: Any, s: Any, axes: Any, norm: str) -> Any:
    shape = x.shape[1:]
    if axes is None:
        axes = tuple(range(len(shape) - (len(shape) if s is None else len(s)), len(shape)))
    return call(x, s=s, axes=shifted("fftn", tuple(axes), shape), norm=norm)


def unknown_shape(name: str, why: str) -> Exception:
    """Return the error for a result whose shape would differ from one to the next."""
    return BatchingError(
        f"vmap: {name}: {why}, so the results would have different shapes; say it with where(mask, x, 0), or outside "
        "vmap"
    )


def nonzero(x: Any) -> Any:
    raise unknown_shape("nonzero", "how many elements are not zero differs from one to the next")
