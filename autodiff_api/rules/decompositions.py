"""Factors of matrices: Cholesky and QR.

Sources: Murray, "Differentiation of the Cholesky decomposition" (2016); Roberts and Roberts, "QR and LQ
decomposition matrix backpropagation algorithms" (2020).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .batching import MATRIX
from .insist import insisted
from .kinds import General, Rule
from .matrices import (
    adjoint,
    diagonal_matrix,
    hermitian,
    invertible,
    lower_half,
    real_diagonal,
)


class QRResult(NamedTuple):
    """Orthonormal columns, and an upper triangular matrix."""

    Q: Any
    R: Any


def over_adjoint(x: Any, factor: Any, upper: bool, xp: Any) -> Any:
    """Return x F⁻ᴴ for a triangular F."""
    return adjoint(xp.linalg.solve_triangular(factor, adjoint(x, xp), upper=upper), xp)


# --- Cholesky: a function of the Hermitian part ---


def between_inverses(factor: Any, x: Any, upper: bool, xp: Any) -> Any:
    """Return F⁻¹ x F⁻ᴴ for a triangular F."""
    return over_adjoint(xp.linalg.solve_triangular(factor, x, upper=upper), factor, upper, xp)


def cholesky_vjp(t: Any, out: Any, upper: bool, xp: Any) -> Any:
    lower, t = (adjoint(out, xp), adjoint(t, xp)) if upper else (out, t)
    back = adjoint(lower, xp)
    return hermitian(between_inverses(back, lower_half(xp.matmul(back, t), xp), True, xp), xp)


def cholesky_jvp(t: Any, out: Any, upper: bool, xp: Any) -> Any:
    lower = adjoint(out, xp) if upper else out
    moved = xp.matmul(lower, lower_half(between_inverses(lower, hermitian(t, xp), False, xp), xp))
    return adjoint(moved, xp) if upper else moved


# --- QR: R has a real diagonal, so that nothing but signs is free ---

EXTRA_COLUMNS = (
    "the derivative of linalg.qr(mode='complete') is not defined through the columns of Q beyond those of x, which are "
    "an arbitrary basis; use mode='reduced', or only the leading columns"
)


def reduced(q: Any, r: Any) -> tuple[Any, Any, Any]:
    """Return Q and R of the reduced mode, and the square part of R."""
    k = min(q.shape[-2], r.shape[-1])
    return q[..., :k], r[..., :k, :], r[..., :k, :k]


def divide_by_r(x: Any, factor: Any, upper: bool, xp: Any) -> Any:
    """Return x F⁻ᴴ; nan where F has a zero on its diagonal, since the columns of x were dependent."""
    singular = xp.any(xp.linalg.diagonal(factor) == 0, axis=-1)
    divided = over_adjoint(x, invertible(factor, singular, xp), upper, xp)
    return xp.where(singular[..., None, None], math.nan, divided)


def mirrored_upper(x: Any, xp: Any) -> Any:
    """Return the strict upper triangle and its adjoint, with the real part of the diagonal between them."""
    strict = xp.triu(x, k=1)
    return strict + adjoint(strict, xp) + diagonal_matrix(real_diagonal(x, xp), xp)


def qr_vjp(t: Any, out: Any, xp: Any) -> Any:
    q, r, square = reduced(*out)
    k = square.shape[-1]
    tq = xp.zeros_like(out[0]) if t[0] is None else t[0]
    tr = xp.zeros_like(r) if t[1] is None else t[1][..., :k, :]
    wide = xp.matmul(r[..., k:], adjoint(tr[..., k:], xp))  # R beyond its square is Qᴴ x
    through_q = tq[..., :k] + xp.matmul(q, wide)
    inner = xp.matmul(tr[..., :k], adjoint(square, xp)) - xp.matmul(adjoint(q, xp), through_q)
    g = divide_by_r(through_q + xp.matmul(q, mirrored_upper(inner, xp)), square, True, xp)
    if r.shape[-1] > k:
        g = xp.concat([g, xp.matmul(q, tr[..., k:])], axis=-1)
    if t[0] is None or tq.shape[-1] == k:
        return g
    return insisted(xp.all(tq[..., k:] == 0, axis=(-2, -1), keepdims=True), g, EXTRA_COLUMNS, xp)


def qr_jvp(t: Any, out: Any, xp: Any) -> Any:
    """Return the tangents of Q and R, nan for columns of Q beyond those of x."""
    q, r, square = reduced(*out)
    k = square.shape[-1]
    moved = divide_by_r(t[..., :k], adjoint(square, xp), False, xp)
    inner = xp.matmul(adjoint(q, xp), moved)
    turn = inner - mirrored_upper_part(inner, xp)
    tq = moved - xp.matmul(q, inner - turn)
    tr = xp.matmul(adjoint(q, xp), t) - xp.matmul(turn, r)
    if out[0].shape[-1] > k:
        tq = xp.concat([tq, xp.full_like(out[0][..., k:], math.nan)], axis=-1)
        tr = xp.concat([tr, xp.zeros_like(out[1][..., k:, :])], axis=-2)
    return tq, tr


def mirrored_upper_part(x: Any, xp: Any) -> Any:
    """Return the upper triangle plus the adjoint of what is below it, with the real part of the diagonal."""
    strict = xp.triu(x, k=1) + adjoint(xp.tril(x, k=-1), xp)
    return strict + diagonal_matrix(real_diagonal(x, xp), xp)


RULES: dict[str, Rule] = {
    "linalg.cholesky": General(vjp=cholesky_vjp, jvp=cholesky_jvp),
    "linalg.qr": General(vjp=qr_vjp, jvp=qr_jvp),
}
CONSTANT: set[str] = set()
SIGNATURES = {
    "linalg.cholesky": "x, /, *, upper=False",
    "linalg.qr": "x, /, *, mode='reduced'",
}
RESULTS = {"linalg.qr": QRResult}
BATCHES = dict.fromkeys(SIGNATURES, MATRIX)
