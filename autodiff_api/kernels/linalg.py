"""Matrix functions that rules need and the standard lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def adjugate(x: Any, /, *, xp: Any) -> Any:
    """Return the adjugate of each square matrix: det(x) times the inverse, also where there is no inverse.

    With x = U S Vᴴ it is det(U Vᴴ) V A Uᴴ, where A has for each singular value the product of the others: no
    division, so that it is exact at any rank (Stewart, "On the adjugate matrix", 1998).
    """
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    before = xp.cumulative_prod(s, axis=-1, include_initial=True)[..., :-1]
    after = xp.flip(xp.cumulative_prod(xp.flip(s, axis=-1), axis=-1, include_initial=True)[..., :-1], axis=-1)
    turned = xp.matmul(u * (before * after)[..., None, :], vh)
    if xp.isdtype(x.dtype, "complex floating"):
        turned = xp.conj(turned)
    return xp.linalg.det(xp.matmul(u, vh))[..., None, None] * xp.matrix_transpose(turned)


def solve_triangular(x1: Any, x2: Any, /, *, upper: bool = False, xp: Any) -> Any:
    """Return the solution of x1 @ out = x2 for matrices x2, reading only one triangle of x1."""
    return xp.linalg.solve(xp.triu(x1) if upper else xp.tril(x1), x2)


GENERIC: dict[str, Callable[..., Any]] = {
    "linalg.adjugate": adjugate,
    "linalg.solve_triangular": solve_triangular,
}
