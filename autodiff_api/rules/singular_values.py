"""Singular values, alone and with their vectors.

Sources: Giles, "An extended collection of matrix derivative results" (2008); Wan and Zhang, "Automatic
differentiation for complex valued SVD" (2019).
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
    is_complex,
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


class SVDResult(NamedTuple):
    """Left singular vectors as columns, singular values, and right singular vectors as conjugated rows."""

    U: Any
    S: Any
    Vh: Any


EXTRA = (
    "the derivative of linalg.svd(full_matrices=True) is not defined through the columns of U and the rows of Vh "
    "beyond the singular values, which are an arbitrary basis; use full_matrices=False, or only the leading ones"
)


def leading(parts: Any, k: int) -> tuple[Any, Any, Any]:
    """Return U, S and Vh, or their cotangents, without the columns and rows that have no singular value."""
    u, s, vh = parts
    return None if u is None else u[..., :k], s, None if vh is None else vh[..., :k, :]


def svd_vjp(t: Any, out: Any, xp: Any) -> Any:
    k = out[1].shape[-1]
    g = reduced_svd_vjp(leading(t, k), leading(out, k), xp)
    for part in (None if t[0] is None else t[0][..., k:], None if t[2] is None else t[2][..., k:, :]):
        if part is not None and 0 not in part.shape[-2:]:
            g = insisted(xp.all(part == 0, axis=(-2, -1), keepdims=True), g, EXTRA, xp)
    return g


def reduced_svd_vjp(t: Any, out: Any, xp: Any) -> Any:
    """Return U core Vᴴ, and what is outside these bases: (1 - U Uᴴ) tu S⁻¹ Vᴴ and U S⁻¹ tvh (1 - V Vᴴ)."""
    (tu, ts, tvh), (u, s, vh) = t, out
    if tu is None and tvh is None:
        return xp.matmul(times_diagonal(u, ts), vh)
    tu, tvh = xp.zeros_like(u) if tu is None else tu, xp.zeros_like(vh) if tvh is None else tvh
    ts = xp.zeros_like(s) if ts is None else ts
    left, right = xp.matmul(adjoint(u, xp), tu), xp.matmul(vh, adjoint(tvh, xp))
    scale, eps = scale_of(s, xp), noise(s, xp)
    bound = eps * (largest(left, xp) + largest(right, xp) + largest(ts[..., None], xp) * scale)
    idle, nil = xp.abs(ts) * scale[..., 0] <= bound[..., 0], s <= tie(s, xp) / 4 * scale[..., 0]
    moves = active(tu, xp.matrix_transpose(tvh), bound=bound, xp=xp)
    core = svd_core(left, right, s, ts, idle, bound, tie(s, xp) * scale, moves, xp) + diagonal_matrix(ts, xp)
    g = product(xp, u, core, vh)
    if u.shape[-2] > s.shape[-1]:
        outside = tu - xp.matmul(u, left)
        known = is_noise(outside, bound, xp) & idle[..., None, :]
        g = g + xp.matmul(quotient(outside, s[..., None, :], known, nil[..., None, :], xp, None, True), vh)
    if vh.shape[-1] > s.shape[-1]:
        outside = tvh - xp.matmul(adjoint(right, xp), vh)
        known = is_noise(outside, bound, xp) & idle[..., :, None]
        g = g + xp.matmul(u, quotient(outside, s[..., :, None], known, nil[..., :, None], xp, None, True))
    return g


def svd_core(left: Any, right: Any, s: Any, ts: Any, idle: Any, bound: Any, nil: Any, moves: Any, xp: Any) -> Any:
    """Return (P + Q) / (s[j] - s[i]) + (P - Q) / (s[j] + s[i]), with the skew parts P of Uᴴ tu and Q of Vᴴ tv.

    That is 2 (P s[j] + Q s[i]) / (s[j]² - s[i]²), in a form that does not overflow and of which half is finite when
    two singular values are equal.
    """
    together, apart = skew(left + right, xp), skew(left - right, xp)
    strain, limit = no_diagonal(hermitian(left - right, xp), xp), hermitian(left + right, xp)
    limit = between_equals(limit, ts, noise(s, xp), xp)
    both_idle = idle[..., None, :] & idle[..., :, None]
    together = without_phase(together, bound, noise(s, xp), "svd", "singular vectors", xp)
    known = is_noise(together, bound, xp) & is_noise(strain, bound, xp)
    gap, total = gaps(s), pairs(s)
    core = quotient(together, gap, known, is_noise(gap, nil, xp), xp, limit, moves)
    if not is_complex(apart, xp):
        apart, both_idle = no_diagonal(apart, xp), both_idle | on_diagonal(apart, xp)
    known = is_noise(apart, bound, xp) & both_idle
    return core + quotient(apart, total, known, is_noise(total, nil, xp), xp, None, moves)


def svd_jvp(t: Any, out: Any, xp: Any) -> Any:
    """Return the tangents of U, S and Vh, nan for columns and rows that have no singular value."""
    k = out[1].shape[-1]
    tu, ts, tvh = reduced_svd_jvp(t, leading(out, k), xp)
    beyond = xp.full_like(out[0][..., k:], math.nan), xp.full_like(out[2][..., k:, :], math.nan)
    tu = xp.concat([tu, beyond[0]], axis=-1) if beyond[0].shape[-1] else tu
    tvh = xp.concat([tvh, beyond[1]], axis=-2) if beyond[1].shape[-2] else tvh
    return tu, ts, tvh


def reduced_svd_jvp(t: Any, out: Any, xp: Any) -> Any:
    u, s, vh = out
    forth, back = xp.matmul(adjoint(u, xp), t), xp.matmul(t, adjoint(vh, xp))
    inner = xp.matmul(forth, adjoint(vh, xp))
    nil, bound = tie(s, xp) * scale_of(s, xp), noise(s, xp) * largest(t, xp)

    def over(x: Any, d: Any) -> Any:
        return quotient(x, d, is_noise(x, bound, xp), is_noise(d, nil, xp), xp)

    together = over(2 * no_diagonal(hermitian(inner, xp), xp), gaps(s))
    apart = over(2 * skew(inner, xp), pairs(s))
    tu, tvh = xp.matmul(u, (together + apart) / 2), xp.matmul((apart - together) / 2, vh)
    if u.shape[-2] > s.shape[-1]:
        tu = tu + over(back - xp.matmul(u, inner), s[..., None, :])
    if vh.shape[-1] > s.shape[-1]:
        tvh = tvh + over(forth - xp.matmul(inner, vh), s[..., :, None])
    return tu, real_diagonal(inner, xp), tvh


def reduced_svd(x: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return U, which singular values are not zero, and Vh."""
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return u, s > tie(s, xp) / 4 * scale_of(s, xp)[..., 0], vh


def svdvals_vjp(t: Any, x: Any, xp: Any) -> Any:
    """Return U diag(t) Vᴴ; a singular value at zero is like abs there: its derivative is 0."""
    u, positive, vh = reduced_svd(x, xp)
    return xp.matmul(times_diagonal(u, xp.where(positive, t, xp.zeros_like(t))), vh)


def svdvals_jvp(t: Any, x: Any, xp: Any) -> Any:
    u, positive, vh = reduced_svd(x, xp)
    moved = real_diagonal(product(xp, adjoint(u, xp), t, adjoint(vh, xp)), xp)
    return xp.where(positive, moved, xp.zeros_like(moved))


RULES: dict[str, Rule] = {
    "linalg.svd": General(vjp=svd_vjp, jvp=svd_jvp),
    "linalg.svdvals": General(vjp=svdvals_vjp, jvp=svdvals_jvp),
}
CONSTANT: set[str] = set()
SIGNATURES = {"linalg.svd": "x, /, *, full_matrices=True", "linalg.svdvals": "x, /"}
RESULTS = {"linalg.svd": SVDResult}
BATCHES = dict.fromkeys(SIGNATURES, MATRIX)
