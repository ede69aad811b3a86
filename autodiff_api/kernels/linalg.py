"""Matrix functions that rules need and the standard lacks; and one word for shapes that matrix functions refuse.

Engines say it each in their own way, or compute something else: NumPy's `cross` also takes two elements, its `outer`
flattens matrices, and its `qr` has modes with other results.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from ..errors import ArgumentError, AxisError, OperandError


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


def of_squares(name: str) -> Callable[..., Any]:
    """Return the namespace's own function of square matrices, which raises OperandError for any other shape."""
    own = attrgetter(name)

    def kernel(x: Any, /, *args: Any, xp: Any, **kwargs: Any) -> Any:
        if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
            raise OperandError(f"{name} takes square matrices, in the last two axes; got shape {tuple(x.shape)}")
        return own(xp._namespace)(x, *args, **kwargs)

    return kernel


def cross(x1: Any, x2: Any, /, *, axis: int = -1, xp: Any) -> Any:
    """Return the cross product of vectors of three elements; OperandError for any other number of them."""
    for x in (x1, x2):
        if not -x.ndim <= axis < x.ndim:
            raise AxisError(f"linalg.cross: axis {axis} is out of bounds for an array of shape {tuple(x.shape)}")
        if x.shape[axis] != 3:
            raise OperandError(
                f"linalg.cross takes vectors of 3 elements, and axis {axis} of shape {tuple(x.shape)} has "
                f"{x.shape[axis]}"
            )
    return xp._namespace.linalg.cross(x1, x2, axis=axis)


def outer(x1: Any, x2: Any, /, *, xp: Any) -> Any:
    """Return the outer product of two vectors; OperandError for anything else."""
    if x1.ndim != 1 or x2.ndim != 1:
        raise OperandError(
            f"linalg.outer takes two vectors, and got shapes {tuple(x1.shape)} and {tuple(x2.shape)}; flatten them, or "
            "multiply x1[..., :, None] by x2[..., None, :]"
        )
    return xp._namespace.linalg.outer(x1, x2)


def qr(x: Any, /, *, mode: str = "reduced", xp: Any) -> Any:
    """Return Q and R; ArgumentError for a mode that is not the standard's."""
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"linalg.qr: mode must be 'reduced' or 'complete', not {mode!r}")
    return xp._namespace.linalg.qr(x, mode=mode)


SQUARES = (
    "linalg.cholesky", "linalg.det", "linalg.eig", "linalg.eigh", "linalg.eigvals", "linalg.eigvalsh", "linalg.inv",
    "linalg.matrix_power", "linalg.slogdet", "linalg.solve",
)  # fmt: skip

GENERIC: dict[str, Callable[..., Any]] = {
    **{name: of_squares(name) for name in SQUARES},
    "linalg.adjugate": adjugate,
    "linalg.cross": cross,
    "linalg.outer": outer,
    "linalg.qr": qr,
    "linalg.solve_triangular": solve_triangular,
}
