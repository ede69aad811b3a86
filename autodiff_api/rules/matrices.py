"""What the rules of linear algebra share: adjoints, diagonals, and quotients that may be 0 / 0.

A basis of eigenvectors or singular vectors is determined only up to phases and, where values are equal, up to
rotations. A loss must not depend on what is not determined; then the derivative has no term for it. So where two
values are equal (to a few units of rounding, relative to the largest), an element is nan if the cotangents say that
the loss depends on it, or if they can't tell what the derivative is (see `between_equals`).
"""

from __future__ import annotations

import math
from typing import Any

from .insist import insist


def adjoint(x: Any, xp: Any) -> Any:
    """Return the conjugate transpose of each matrix."""
    x = xp.matrix_transpose(x)
    return xp.conj(x) if is_complex(x, xp) else x


def hermitian(x: Any, xp: Any) -> Any:
    """Return the Hermitian part of each matrix."""
    return (x + adjoint(x, xp)) / 2


def skew(x: Any, xp: Any) -> Any:
    """Return the skew-Hermitian part of each matrix."""
    return (x - adjoint(x, xp)) / 2


def is_complex(x: Any, xp: Any) -> bool:
    """Tell whether an array has a complex dtype."""
    return bool(xp.isdtype(x.dtype, "complex floating"))


def on_diagonal(x: Any, xp: Any) -> Any:
    """Return the boolean mask of the diagonals of `x`, made of `x`: an array that is traced has no device to name."""
    return xp.triu(xp.tril(xp.ones_like(x))) != 0


def no_diagonal(x: Any, xp: Any) -> Any:
    """Return square matrices with zeros on the diagonal."""
    return xp.where(on_diagonal(x, xp), xp.zeros_like(x), x)


def diagonal_matrix(v: Any, xp: Any) -> Any:
    """Return matrices with `v` on the diagonal, infinite or not, and zeros elsewhere."""
    rows = xp.broadcast_to(v[..., None, :], (*v.shape, v.shape[-1]))
    return xp.where(on_diagonal(rows, xp), rows, xp.zeros_like(rows))


def lower_half(x: Any, xp: Any) -> Any:
    """Return the lower triangles with half the diagonal: the inverse of L -> L + Lᴴ, for a real diagonal."""
    return (xp.tril(x) + xp.tril(x, k=-1)) / 2


def times_diagonal(x: Any, v: Any) -> Any:
    """Return each matrix times the diagonal matrix of `v`."""
    return x * v[..., None, :]


def real_diagonal(x: Any, xp: Any) -> Any:
    """Return the real part of the diagonals."""
    diagonal = xp.linalg.diagonal(x)
    return xp.real(diagonal) if is_complex(x, xp) else diagonal


def product(xp: Any, *matrices: Any) -> Any:
    """Multiply matrices from left to right."""
    total = matrices[0]
    for x in matrices[1:]:
        total = xp.matmul(total, x)
    return total


def largest(x: Any, xp: Any) -> Any:
    """Return the largest magnitude in each matrix, with its two axes kept; 0 for an empty matrix."""
    if 0 in x.shape[-2:]:
        return xp.sum(xp.abs(x), axis=(-2, -1), keepdims=True)
    return xp.max(xp.abs(x), axis=(-2, -1), keepdims=True)


def scale_of(v: Any, xp: Any) -> Any:
    """Return the largest magnitude of values, as the size of a matrix; 1 where all are zero."""
    scale = largest(v[..., None], xp)
    return xp.where(scale == 0, xp.ones_like(scale), scale)


def noise(x: Any, xp: Any) -> float:
    """Return the relative error to expect of products of matrices with as many columns as `x`."""
    return float(16 * max(x.shape[-1], 1) * xp.finfo(xp.abs(x).dtype).eps)


def tie(x: Any, xp: Any) -> float:
    """Return how far apart equal values of a matrix come out, relative to the largest, with `x` all of its values.

    LAPACK's differ by 5, 10 and 25 units of rounding for 4, 10 and 200 of them; a bound that grows with their number
    would find equal ones among those of any large matrix in single precision. A zero comes out four times closer.
    """
    return float(8 * math.sqrt(max(x.shape[-1], 1)) * xp.finfo(x.dtype).eps)


def quotient(k: Any, d: Any, known: Any, nil: Any, xp: Any, limit: Any = None, moves: Any = False) -> Any:
    """Return k / d; where `nil` says that d is zero, `limit` (or 0) if it is `known` that this is right, else nan.

    A limit at one point says nothing about others: where k `moves`, the result's own derivative is nan.
    """
    ratio = k / xp.where(nil, xp.ones_like(d), d)
    limit = xp.zeros_like(ratio) if limit is None else limit
    closed = nil & known & moves
    point = xp.sqrt(xp.where(closed, 0 * k, xp.ones_like(k)))  # 0, with an infinite slope
    limit = limit + xp.where(closed, point, xp.zeros_like(point))
    return xp.where(nil, xp.where(known, limit, math.nan), ratio)


def between_equals(stretch: Any, t: Any, eps: float, xp: Any) -> Any:
    """Return the derivative between the vectors of equal values, which no quotient gives; nan if nothing can.

    Through a function of the matrix, V f(L) Vᴴ, the Hermitian part of the cotangent of V, in V's own basis, is
    `stretch` = 2 f(l) G, with G the loss's gradient, and the cotangent of L is `t` = f'(l) diag(G). What is wanted,
    f'(l) G, is therefore `stretch` times their ratio on the diagonal, if its two elements there agree on one, and are
    not equal: then a second function, or a loss of L beside the first, would show in a second ratio, but two equal
    elements agree on anything. Where f(l) is 0, as for a logarithm at 1, the cotangents show nothing: the result is
    that of a symmetric loss of L alone, 0, if nothing contradicts that.
    """
    own, size = real_diagonal(stretch, xp), largest(stretch, xp)
    mine, other, t1, t2 = own[..., None, :], own[..., :, None], t[..., None, :], t[..., :, None]
    total, most = mine * mine + other * other, largest(t[..., None], xp)
    blind = total <= (eps * size) ** 2
    agree = is_noise(t1 * other - t2 * mine, eps * size * most, xp) & ~blind
    tells = ~is_noise(mine - other, math.sqrt(eps) * size, xp) | ((t1 == 0) & (t2 == 0))
    ratio = (t1 * mine + t2 * other) / xp.where(blind, xp.ones_like(total), total)
    nothing = is_noise(stretch, eps * size, xp) | on_diagonal(stretch, xp)
    limit = xp.where(agree & tells, xp.where(nothing, xp.zeros_like(stretch), stretch) * ratio, math.nan)
    symmetric = is_noise(t1 - t2, math.sqrt(eps) * most, xp) & ((size > 0) | (most == 0))
    zero = nothing & (symmetric | ~blind | on_diagonal(stretch, xp))
    return xp.where(zero, xp.zeros_like(stretch), xp.where(nothing, math.nan, limit))


def active(*columns: Any, bound: Any, xp: Any) -> Any:
    """Tell which pairs of vectors the cotangents depend on, given as columns, by more than rounding.

    All of them, if the cotangents are nothing but zeros: these may be a function's, at its zero.
    """
    total = xp.sum(xp.abs(columns[0]), axis=-2)
    for more in columns[1:]:
        total = total + xp.sum(xp.abs(more), axis=-2)
    both = pairs(total)
    return ((both > bound) | (largest(both, xp) == 0)) & ~on_diagonal(both, xp)


def invertible(x: Any, singular: Any, xp: Any) -> Any:
    """Return matrices that can be inverted: the identity for those marked as singular, which some engines refuse."""
    return xp.where(singular[..., None, None], xp.triu(xp.tril(xp.ones_like(x))), x)


PHASE = (
    "linalg.{}: the loss depends on the phase of the {}, which is arbitrary, so that its gradient is not defined; "
    "use only what a phase does not change, such as abs(v) or v @ vᴴ"
)


def gaps(v: Any) -> Any:
    """Return v[j] - v[i] as matrices."""
    return v[..., None, :] - v[..., :, None]


def pairs(v: Any) -> Any:
    """Return v[j] + v[i] as matrices."""
    return v[..., None, :] + v[..., :, None]


def is_noise(x: Any, bound: Any, xp: Any) -> Any:
    """Tell where x is no more than rounding; false for nan."""
    return xp.abs(x) <= bound


def without_phase(x: Any, bound: Any, eps: float, name: str, what: str, xp: Any) -> Any:
    """Return matrices with zeros on the diagonal, where phases act, insisting that there is nothing there.

    The test is lenient, half the digits, since it raises: terms of a loss may cancel, and leave only their rounding.
    """
    if not is_complex(x, xp):
        return no_diagonal(x, xp)
    turn = xp.where(on_diagonal(x, xp), x, xp.zeros_like(x))
    ok = xp.abs(turn) <= bound / math.sqrt(eps) + eps
    insist(ok, PHASE.format(name, what), xp)
    return xp.where(ok, no_diagonal(x, xp), math.nan)
