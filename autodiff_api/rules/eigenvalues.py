"""Eigenvalues, alone and with their vectors.

Sources: Giles, "An extended collection of matrix derivative results" (2008); Boeddeker et al., "On the computation
of complex-valued gradients with application to statistically optimum beamforming" (2017).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .batching import MATRIX
from .insist import insisted
from .kinds import General, Rule
from .matrices import (
    active,
    adjoint,
    between_equals,
    diagonal_matrix,
    gaps,
    hermitian,
    is_noise,
    largest,
    no_diagonal,
    noise,
    on_diagonal,
    pairs,
    product,
    quotient,
    real_diagonal,
    scale_of,
    skew,
    tie,
    times_diagonal,
    without_phase,
)


class EigResult(NamedTuple):
    """Eigenvalues, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """Real eigenvalues, and orthonormal eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


# --- Hermitian matrices ---


def eigh_vjp(t: Any, out: Any, xp: Any) -> Any:
    """Return V (diag(tw) + K / gaps) Vᴴ, with K the skew part of Vᴴ tv."""
    (tw, tv), (w, v) = t, out
    if tv is None:
        return product(xp, times_diagonal(v, tw), adjoint(v, xp))
    tw = xp.zeros_like(w) if tw is None else tw
    inner = xp.matmul(adjoint(v, xp), tv)
    eps, scale = noise(w, xp), scale_of(w, xp)
    amount = largest(inner, xp) + largest(tw[..., None], xp) * scale
    turn = without_phase(skew(inner, xp), eps * amount, eps, "eigh", "eigenvectors", xp)
    stretch, gap = hermitian(inner, xp), gaps(w)
    limit, idle = between_equals(stretch, tw, eps, xp), is_noise(pairs(xp.abs(tw)) * scale, eps * amount, xp)
    known = is_noise(turn, eps * amount, xp) & (is_noise(no_diagonal(stretch, xp), eps * amount, xp) | ~idle)
    moves = active(tv, bound=eps * amount, xp=xp)
    core = quotient(turn, gap, known, is_noise(gap, tie(w, xp) * scale, xp), xp, limit, moves) + diagonal_matrix(tw, xp)
    return product(xp, v, core, adjoint(v, xp))


def eigh_jvp(t: Any, out: Any, xp: Any) -> Any:
    w, v = out
    inner = product(xp, adjoint(v, xp), hermitian(t, xp), v)
    eps, off, gap = noise(w, xp), no_diagonal(inner, xp), gaps(w)
    known = is_noise(off, eps * largest(inner, xp), xp)
    turn = quotient(off, gap, known, is_noise(gap, tie(w, xp) * scale_of(w, xp), xp), xp)
    return real_diagonal(inner, xp), xp.matmul(v, turn)


def eigvalsh_vjp(t: Any, x: Any, xp: Any) -> Any:
    v = xp.linalg.eigh(x)[1]
    return xp.matmul(times_diagonal(v, t), adjoint(v, xp))


def eigvalsh_jvp(t: Any, x: Any, xp: Any) -> Any:
    v = xp.linalg.eigh(x)[1]
    return real_diagonal(product(xp, adjoint(v, xp), hermitian(t, xp), v), xp)


# --- any square matrix ---


def inverse_vectors(v: Any, xp: Any) -> Any:
    """Return the inverse of the eigenvectors' matrix; nan where there are too few of them."""
    singular = (xp.linalg.slogdet(v)[1] == -math.inf)[..., None, None]
    unit = xp.triu(xp.tril(xp.ones_like(v)))
    return xp.where(singular, math.nan, xp.linalg.inv(xp.where(singular, unit, v)))


def eig_vjp(t: Any, out: Any, xp: Any) -> Any:
    """Return V⁻ᴴ (diag(tw) + K / conj(gaps)) Vᴴ, with K = Vᴴ tv less what would change the vectors' length."""
    (tw, tv), (w, v) = t, out
    forth, back = adjoint(inverse_vectors(v, xp), xp), adjoint(v, xp)
    if tv is None:
        return xp.matmul(times_diagonal(forth, tw), back)
    tw = xp.zeros_like(w) if tw is None else tw
    inner = xp.matmul(back, tv)
    eps, scale = noise(w, xp), scale_of(w, xp)
    amount = largest(inner, xp) + largest(tw[..., None], xp) * scale
    turn = inner - times_diagonal(xp.matmul(back, v), real_diagonal(inner, xp))
    turn = without_phase(turn, eps * amount, eps, "eig", "eigenvectors", xp)
    idle = is_noise(pairs(xp.abs(tw)) * scale, eps * amount, xp) | on_diagonal(turn, xp)
    known, gap = is_noise(turn, eps * amount, xp) & idle, xp.conj(gaps(w))
    moves = active(tv, bound=eps * amount, xp=xp)
    core = quotient(turn, gap, known, is_noise(gap, eps * scale, xp), xp, None, moves) + diagonal_matrix(tw, xp)
    return product(xp, forth, core, back)


def eig_jvp(t: Any, out: Any, xp: Any) -> Any:
    w, v = out
    inner = product(xp, inverse_vectors(v, xp), xp.astype(t, v.dtype, copy=False), v)
    eps, off, gap = noise(w, xp), no_diagonal(inner, xp), gaps(w)
    known = is_noise(off, eps * largest(inner, xp), xp)
    turn = quotient(off, gap, known, is_noise(gap, eps * scale_of(w, xp), xp), xp)
    moved = xp.matmul(v, turn)
    length = xp.sum(xp.real(xp.conj(v) * moved), axis=-2)
    return xp.linalg.diagonal(inner), moved - times_diagonal(v, length)


UNMATCHED = (
    "linalg.eigvals: its eigenvalues can't be told apart well enough to find their vectors among those of linalg.eig, "
    "which come in another order; use linalg.eig(x).eigenvalues"
)


def order_of(values: Any, w: Any, xp: Any) -> Any:
    """Return the permutation matrix that takes `w` to `values`: LAPACK finds large spectra in two orders.

    A value keeps its place if nothing else is nearer; the others take what is nearest.
    """
    distance = xp.abs(values[..., :, None] - w[..., None, :])
    near = xp.min(distance, axis=-1, keepdims=True) if w.shape[-1] else distance
    tied = distance == near
    first = tied & (xp.cumulative_sum(xp.astype(tied, w.dtype), axis=-1) == 1)
    stays = xp.linalg.diagonal(distance)[..., None] <= near + noise(w, xp) * scale_of(w, xp)
    order = xp.astype(xp.where(stays, on_diagonal(distance, xp), first), w.dtype)
    ok = (xp.sum(order, axis=-2, keepdims=True) == 1) | xp.isnan(near)
    return insisted(ok, order, UNMATCHED, xp)


def eigvals_vjp(t: Any, x: Any, out: Any, xp: Any) -> Any:
    w, v = xp.linalg.eig(x)
    t = xp.matmul(t[..., None, :], order_of(out, w, xp))[..., 0, :]
    return eig_vjp((t, None), (w, v), xp)


def eigvals_jvp(t: Any, x: Any, out: Any, xp: Any) -> Any:
    w, v = xp.linalg.eig(x)
    inner = product(xp, inverse_vectors(v, xp), xp.astype(t, v.dtype, copy=False), v)
    return xp.matmul(order_of(out, w, xp), xp.linalg.diagonal(inner)[..., None])[..., 0]


RULES: dict[str, Rule] = {
    "linalg.eig": General(vjp=eig_vjp, jvp=eig_jvp),
    "linalg.eigh": General(vjp=eigh_vjp, jvp=eigh_jvp),
    "linalg.eigvals": General(vjp=eigvals_vjp, jvp=eigvals_jvp),
    "linalg.eigvalsh": General(vjp=eigvalsh_vjp, jvp=eigvalsh_jvp),
}
CONSTANT: set[str] = set()
SIGNATURES = {
    "linalg.eig": "x, /",
    "linalg.eigh": "x, /",
    "linalg.eigvals": "x, /",
    "linalg.eigvalsh": "x, /",
}
RESULTS = {"linalg.eig": EigResult, "linalg.eigh": EighResult}
BATCHES = dict.fromkeys(SIGNATURES, MATRIX)
