"""Products of vectors and matrices, their diagonals and norms."""

from __future__ import annotations

import math
from typing import Any

from . import batches
from .batching import MATRIX
from .kinds import General, Linear, Multilinear, Rule
from .matrices import is_complex, largest, tie, times_diagonal
from .statistical import Shape, unreduce


def matmul_x1(t: Any, x1_shape: Shape, x2: Any, xp: Any) -> Any:
    """Return t x2ᵀ, with the axes that a vector operand lacks put back first."""
    if x2.ndim == 1:
        return t[..., None] * x2 if len(x1_shape) > 1 else t * x2
    if len(x1_shape) == 1:
        return xp.matmul(x2, t[..., None])[..., 0]
    return xp.matmul(t, xp.matrix_transpose(x2))


def matmul_x2(t: Any, x1: Any, x2_shape: Shape, xp: Any) -> Any:
    if x1.ndim == 1:
        return t[..., None, :] * x1[:, None] if len(x2_shape) > 1 else t * x1
    if len(x2_shape) == 1:
        return xp.matmul(xp.matrix_transpose(x1), t[..., None])[..., 0]
    return xp.matmul(xp.matrix_transpose(x1), t)


def vecdot_vjp(t: Any, x1: Any, x2: Any, axis: int, xp: Any) -> Any:
    """Return the cotangents of sum(conj(x1) * x2), which is antilinear in x1."""
    t = xp.expand_dims(t, axis=axis)
    return xp.conj(t) * x2, t * x1


def vecdot_jvp(t: Any, x1: Any, x2: Any, axis: int, xp: Any) -> Any:
    t1, t2 = t
    return xp.vecdot(t1, x2, axis=axis) + xp.vecdot(x1, t2, axis=axis)


def contracted(axes: Any, n1: int, n2: int) -> tuple[list[int], list[int]]:
    """Return the contracted axes of both operands of `tensordot`, non-negative."""
    if isinstance(axes, int):
        return list(range(n1 - axes, n1)), list(range(axes))
    return [a % n1 for a in axes[0]], [a % n2 for a in axes[1]]


def tensordot_x1(t: Any, x1_shape: Shape, x2: Any, axes: Any, xp: Any) -> Any:
    c1, c2 = contracted(axes, len(x1_shape), x2.ndim)
    free1 = [i for i in range(len(x1_shape)) if i not in c1]
    free2 = [i for i in range(x2.ndim) if i not in c2]
    tail = tuple(range(t.ndim - len(free2), t.ndim))
    g = xp.tensordot(t, x2, axes=(tail, tuple(free2)))  # axes: free1, then x2's contracted ones in order
    order = free1 + [c1[c2.index(i)] for i in sorted(c2)]
    return xp.permute_dims(g, tuple(order.index(i) for i in range(len(x1_shape))))


def tensordot_x2(t: Any, x1: Any, x2_shape: Shape, axes: Any, xp: Any) -> Any:
    c1, c2 = contracted(axes, x1.ndim, len(x2_shape))
    free1 = [i for i in range(x1.ndim) if i not in c1]
    free2 = [i for i in range(len(x2_shape)) if i not in c2]
    g = xp.tensordot(x1, t, axes=(tuple(free1), tuple(range(len(free1)))))
    order = [c2[c1.index(i)] for i in sorted(c1)] + free2
    return xp.permute_dims(g, tuple(order.index(i) for i in range(len(x2_shape))))


def with_diagonal(t: Any, shape: Shape, offset: int, xp: Any) -> Any:
    """Return matrices with `t` on one diagonal and zeros elsewhere.

    Of the elements in a row every n + 1st is on it, for n columns: a reshape puts them there.
    """
    rows, columns = shape[-2:]
    total, length = rows * columns, t.shape[-1]
    zero = xp.zeros_like(xp.sum(t, axis=-1, keepdims=True))

    def zeros(n: int) -> Any:
        return xp.broadcast_to(zero, (*t.shape[:-1], n))

    gaps = xp.broadcast_to(zero[..., None], (*t.shape, columns))
    spread = xp.reshape(xp.concat([t[..., None], gaps], axis=-1), (*t.shape[:-1], length * (columns + 1)))
    front = min(offset if offset >= 0 else -offset * columns, total)
    back = max(total - front - length * (columns + 1), 0)
    if front or back:
        spread = xp.concat([zeros(front), spread, zeros(back)], axis=-1)
    return xp.reshape(spread[..., :total], shape)


def diagonal_x(t: Any, x_shape: Shape, offset: int, xp: Any) -> Any:
    return with_diagonal(t, x_shape, offset, xp)


def norm_slope(x: Any, axis: Any, ord: Any, xp: Any) -> Any:
    """Return d |x|_p / d conj(x) along `axis`: scaled by the largest element, 0 at the zero vector.

    For p = inf and -inf the elements that attain it share equally; a count (p = 0) has slope 0.
    """
    if ord == 0 or 0 in x.shape:
        return xp.zeros_like(x)
    size = xp.abs(x)
    greatest = xp.max(size, axis=axis, keepdims=True)
    if abs(ord) == math.inf:
        extreme = greatest if ord > 0 else xp.min(size, axis=axis, keepdims=True)
        return xp.sign(x) * shares(size == extreme, size.dtype, axis, xp)
    nothing = greatest == 0
    scale = xp.where(nothing, xp.ones_like(greatest), greatest)
    if ord == 2:  # x / |x|, whose own derivative at an element that is zero is not zero
        unit = x / scale
        norm = xp.sqrt(xp.sum(xp.abs(unit) ** 2, axis=axis, keepdims=True))
        return unit / xp.where(nothing, xp.ones_like(norm), norm)
    zero = (size == 0) & (nothing if ord > 1 else True)  # the second derivative at 0 is infinite for 1 < p < 2
    unit = xp.where(zero, xp.ones_like(size), size / scale)
    powers = xp.where(zero, xp.full_like(size, 0.0 if ord > 0 else math.inf), unit**ord)
    norm = xp.sum(powers, axis=axis, keepdims=True) ** (1 / ord)
    slope = (unit / xp.where(nothing, xp.ones_like(norm), norm)) ** (ord - 1)
    return xp.sign(x) * xp.where(zero, xp.zeros_like(slope), slope)


def shares(tied: Any, dtype: Any, axis: Any, xp: Any) -> Any:
    """Return equal weights along `axis` for those that are tied; zeros where none is."""
    ones = xp.astype(tied, dtype)
    total = xp.sum(ones, axis=axis, keepdims=True)
    return ones / xp.where(total == 0, xp.ones_like(total), total)


def vector_norm_vjp(t: Any, x: Any, axis: Any, keepdims: bool, ord: Any, xp: Any) -> Any:
    return unreduce(t, x.shape, axis, keepdims, xp) * norm_slope(x, axis, ord, xp)


def vector_norm_jvp(t: Any, x: Any, axis: Any, keepdims: bool, ord: Any, xp: Any) -> Any:
    return along_slope(t, norm_slope(x, axis, ord, xp), axis, keepdims, xp)


def along_slope(t: Any, slope: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    """Return how fast a norm grows in the direction t, given its slope."""
    rate = xp.real(xp.conj(slope) * t) if is_complex(slope, xp) else slope * t
    return xp.sum(rate, axis=axis, keepdims=keepdims)


def matrix_norm_slope(x: Any, ord: Any, xp: Any) -> Any:
    """Return d |x| / d conj(x): 0 at zeros; columns, rows or singular values that attain an extreme share equally."""
    if ord in ("fro", None) or 0 in x.shape:
        return norm_slope(x, (-2, -1), 2, xp)
    extreme = xp.min if ord != "nuc" and ord < 0 else xp.max
    if ord in ("nuc", 2, -2):
        u, s, vh = xp.linalg.svd(x, full_matrices=False)
        equal = tie(s, xp) * largest(s[..., None], xp)[..., 0]
        attains = s > equal / 4
        if ord != "nuc":
            attains = attains & (xp.abs(s - extreme(s, axis=-1, keepdims=True)) <= equal)
        weights = xp.astype(attains, s.dtype) if ord == "nuc" else shares(attains, s.dtype, -1, xp)
        return xp.matmul(times_diagonal(u, weights), vh)
    along, across = (-2, -1) if abs(ord) == 1 else (-1, -2)
    sums = xp.sum(xp.abs(x), axis=along, keepdims=True)
    return xp.sign(x) * shares(sums == extreme(sums, axis=across, keepdims=True), sums.dtype, across, xp)


def matrix_norm_vjp(t: Any, x: Any, keepdims: bool, ord: Any, xp: Any) -> Any:
    return unreduce(t, x.shape, (-2, -1), keepdims, xp) * matrix_norm_slope(x, ord, xp)


def matrix_norm_jvp(t: Any, x: Any, keepdims: bool, ord: Any, xp: Any) -> Any:
    return along_slope(t, matrix_norm_slope(x, ord, xp), (-2, -1), keepdims, xp)


def outer_x1(t: Any, x2: Any, xp: Any) -> Any:
    return xp.matmul(t, x2)


def outer_x2(t: Any, x1: Any, xp: Any) -> Any:
    return xp.matmul(x1, t)


def trace_x(t: Any, x_shape: Shape, offset: int, xp: Any) -> Any:
    rows, columns = x_shape[-2:]
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    return with_diagonal(xp.broadcast_to(t[..., None], (*t.shape, length)), x_shape, offset, xp)


RULES: dict[str, Rule] = {
    "linalg.cross": Multilinear(
        x1=lambda t, x2, axis, xp: xp.linalg.cross(x2, t, axis=axis),
        x2=lambda t, x1, axis, xp: xp.linalg.cross(t, x1, axis=axis),
    ),
    "linalg.diagonal": Linear(x=diagonal_x),
    "linalg.matrix_norm": General(vjp=matrix_norm_vjp, jvp=matrix_norm_jvp),
    "linalg.outer": Multilinear(x1=outer_x1, x2=outer_x2),
    "linalg.trace": Linear(x=trace_x),
    "linalg.vector_norm": General(vjp=vector_norm_vjp, jvp=vector_norm_jvp),
    "matmul": Multilinear(x1=matmul_x1, x2=matmul_x2),
    "matrix_transpose": Linear(x=lambda t, xp: xp.matrix_transpose(t)),
    "tensordot": Multilinear(x1=tensordot_x1, x2=tensordot_x2),
    "vecdot": General(vjp=vecdot_vjp, jvp=vecdot_jvp, args=("x1", "x2")),
}
CONSTANT: set[str] = set()
SIGNATURES = {
    "linalg.cross": "x1, x2, /, *, axis=-1",
    "linalg.diagonal": "x, /, *, offset=0",
    "linalg.matrix_norm": "x, /, *, keepdims=False, ord='fro'",
    "linalg.outer": "x1, x2, /",
    "linalg.trace": "x, /, *, offset=0, dtype=None",
    "linalg.vector_norm": "x, /, *, axis=None, keepdims=False, ord=2",
    "matmul": "x1, x2, /",
    "matrix_transpose": "x, /",
    "tensordot": "x1, x2, /, *, axes=2",
    "vecdot": "x1, x2, /, *, axis=-1",
}
VIEWS = {"linalg.diagonal", "matrix_transpose"}
BATCHES = {
    "linalg.cross": batches.along_last,
    "linalg.diagonal": MATRIX,
    "linalg.matrix_norm": MATRIX,
    "linalg.outer": batches.outer,
    "linalg.trace": MATRIX,
    "linalg.vector_norm": batches.vector_norm,
    "matmul": batches.matmul,
    "matrix_transpose": MATRIX,
    "tensordot": batches.tensordot,
    "vecdot": batches.along_last,
}
