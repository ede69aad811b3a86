"""Determinants, inverses, powers and solutions of linear systems.

The formulas for det, inv, solve and powers are in Giles, "An extended collection of matrix derivative results"
(2008); that for pinv is Golub and Pereyra's (1973).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .batches import solve, solve_triangular, with_tolerance
from .batching import MATRIX
from .kinds import General, Rule
from .matrices import (
    adjoint,
    diagonal_matrix,
    hermitian,
    invertible,
    is_complex,
    largest,
    no_diagonal,
    on_diagonal,
    product,
    skew,
)
from .statistical import Shape, product_of_others


class SlogdetResult(NamedTuple):
    """The sign and the logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


# --- determinants: the gradient of det is the adjugate, a polynomial, which needs no inverse ---


def det_vjp(t: Any, x: Any, xp: Any) -> Any:
    return t[..., None, None] * adjoint(xp.linalg.adjugate(x), xp)


def det_jvp(t: Any, x: Any, xp: Any) -> Any:
    return xp.sum(xp.matrix_transpose(xp.linalg.adjugate(x)) * t, axis=(-2, -1))


# The adjugate is a polynomial too. Its derivative is said twice: by the inverse where there is a good one, which can be
# differentiated again whatever the singular values are, and by singular vectors elsewhere, which need no inverse.


def adjugate_vjp(t: Any, x: Any, xp: Any) -> Any:
    (u, s, vh), good, inverse, det = adjugate_parts(x, xp)
    back, unit = adjoint(inverse, xp), xp.linalg.det(xp.matmul(u, vh))[..., None, None]
    if is_complex(x, xp):
        unit, det = xp.conj(unit), xp.conj(det)
    smooth = det * (overlap(inverse, t, xp) * back - product(xp, back, t, back))
    exact = product(xp, u, adjugate_core(unit * product(xp, vh, t, u), s, xp), vh)
    return xp.where(good, smooth, exact)


def adjugate_jvp(t: Any, x: Any, xp: Any) -> Any:
    (u, s, vh), good, inverse, det = adjugate_parts(x, xp)
    back, forth, unit = adjoint(vh, xp), adjoint(u, xp), xp.linalg.det(xp.matmul(u, vh))[..., None, None]
    smooth = det * (overlap(adjoint(inverse, xp), t, xp) * inverse - product(xp, inverse, t, inverse))
    exact = product(xp, back, unit * adjugate_core(product(xp, forth, t, back), s, xp), forth)
    return xp.where(good, smooth, exact)


def adjugate_parts(x: Any, xp: Any) -> tuple[Any, ...]:
    """Return x = U S Vᴴ, whether x has a good inverse, and the inverse and determinant of x, or of 1 if not."""
    factors = xp.linalg.svd(x, full_matrices=False)
    good = (factors[1][..., -1:] > 1e-4 * factors[1][..., :1])[..., None]
    safe = xp.where(good, x, xp.triu(xp.tril(xp.ones_like(x))))
    return factors, good, xp.linalg.inv(safe), xp.linalg.det(safe)[..., None, None]


def overlap(a: Any, b: Any, xp: Any) -> Any:
    """Return tr(aᴴ b) as a matrix of one element."""
    return xp.sum((xp.conj(a) if is_complex(a, xp) else a) * b, axis=(-2, -1), keepdims=True)


def adjugate_core(e: Any, s: Any, xp: Any) -> Any:
    """Return the derivative of the adjugate of diag(s) in the direction e.

    An element off the diagonal takes two rows out of the product of the others, one on it raises all but its own.
    """
    rows = xp.broadcast_to(s[..., None, :], (*s.shape, s.shape[-1]))
    without_one = xp.where(on_diagonal(rows, xp), xp.ones_like(rows), rows)
    without_two = no_diagonal(product_of_others(without_one, -1, xp), xp)
    raised = xp.matmul(xp.astype(without_two, e.dtype, copy=False), xp.linalg.diagonal(e)[..., None])[..., 0]
    return diagonal_matrix(raised, xp) - without_two * e


def inverse_at(x: Any, out: Any, xp: Any) -> Any:
    """Return the inverse, given slogdet's result; nan where it found the matrix singular."""
    singular = out[1] == -math.inf
    return xp.where(singular[..., None, None], math.nan, xp.linalg.inv(invertible(x, singular, xp)))


def slogdet_vjp(t: Any, x: Any, out: Any, xp: Any) -> Any:
    """Return the cotangent of log det = logabsdet + i angle; the sign of real matrices does not move."""
    turn, stretch = t
    if is_complex(x, xp) and turn is not None:
        angle = xp.imag(turn * xp.conj(out[0]))
        stretch = xp.complex(xp.zeros_like(angle) if stretch is None else stretch, angle)
    if stretch is None:
        return xp.zeros_like(x)
    return stretch[..., None, None] * adjoint(inverse_at(x, out, xp), xp)


def slogdet_jvp(t: Any, x: Any, out: Any, xp: Any) -> Any:
    rate = xp.sum(xp.matrix_transpose(inverse_at(x, out, xp)) * t, axis=(-2, -1))
    if not is_complex(x, xp):
        return xp.zeros_like(out[0]), rate
    return out[0] * xp.complex(xp.zeros_like(out[1]), xp.imag(rate)), xp.real(rate)


# --- inverses ---


def inv_vjp(t: Any, out: Any, xp: Any) -> Any:
    back = adjoint(out, xp)
    return -product(xp, back, t, back)


def inv_jvp(t: Any, out: Any, xp: Any) -> Any:
    return -product(xp, out, t, out)


def pinv_vjp(t: Any, x: Any, rtol: Any, out: Any, xp: Any) -> Any:
    back, across = adjoint(out, xp), adjoint(t, xp)
    left, right = product(xp, across, out, back), product(xp, back, out, across)
    g = left - product(xp, x, out, left) + right - product(xp, right, out, x) - product(xp, back, t, back)
    return g if rtol is None else g + left_out(across, x, rtol, xp)


def pinv_jvp(t: Any, x: Any, rtol: Any, out: Any, xp: Any) -> Any:
    back, across = adjoint(out, xp), adjoint(t, xp)
    left, right = product(xp, out, back, across), product(xp, across, back, out)
    moved = left - product(xp, left, x, out) + right - product(xp, out, x, right) - product(xp, out, t, out)
    return moved if rtol is None else moved + adjoint(left_out(t, x, rtol, xp), xp)


def left_out(t: Any, x: Any, rtol: Any, xp: Any) -> Any:
    """Return what Golub and Pereyra's formula lacks where `rtol` left out singular values that are not zero.

    Between a singular value h that is kept and one l that is not, it has the limit 1 / h² of 1 / h / (h - l) for
    symmetric and of 1 / h / (h + l) for skew parts. The difference is its own adjoint.
    """
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    cut = (rtol[..., None] if hasattr(rtol, "ndim") else rtol) * largest(s[..., None], xp)[..., 0]
    kept = s > cut
    mixed = kept[..., None, :] != kept[..., :, None]
    rows, columns = s[..., None, :], s[..., :, None]
    high, low = xp.where(mixed, xp.maximum(rows, columns), 1.0), xp.where(mixed, xp.minimum(rows, columns), 0.0)
    ratio, inner = low / high**2, product(xp, adjoint(u, xp), t, adjoint(vh, xp))
    core = ratio / (high - low) * hermitian(inner, xp) - ratio / (high + low) * skew(inner, xp)
    return product(xp, u, core, vh)


def power_derivative(x: Any, t: Any, n: int, xp: Any) -> Any:
    """Return the derivative of xⁿ in the direction t, by squaring pairs of a matrix and its tangent."""
    if n < 0:
        x = xp.linalg.inv(x)
        t, n = inv_jvp(t, x, xp), -n
    power, done = (x, t), None
    while n:
        if n % 2:
            done = power if done is None else _pair_product(done, power, xp)
        n //= 2
        power = _pair_product(power, power, xp) if n else power
    return xp.zeros_like(t) if done is None else done[1]


def _pair_product(a: tuple[Any, Any], b: tuple[Any, Any], xp: Any) -> tuple[Any, Any]:
    return xp.matmul(a[0], b[0]), xp.matmul(a[0], b[1]) + xp.matmul(a[1], b[0])


def matrix_power_vjp(t: Any, x: Any, n: int, xp: Any) -> Any:
    return power_derivative(adjoint(x, xp), t, n, xp)


def matrix_power_jvp(t: Any, x: Any, n: int, xp: Any) -> Any:
    return power_derivative(x, t, n, xp)


# --- linear systems ---


def as_columns(x: Any, is_vector: bool) -> Any:
    return x[..., None] if is_vector else x


def solve_vjp(t: Any, x1: Any, x2_shape: Shape, out: Any, xp: Any) -> Any:
    is_vector = len(x2_shape) == 1
    g = xp.linalg.solve(adjoint(x1, xp), as_columns(t, is_vector))
    return -xp.matmul(g, adjoint(as_columns(out, is_vector), xp)), g[..., 0] if is_vector else g


def solve_jvp(t: Any, x1: Any, x2_shape: Shape, out: Any, xp: Any) -> Any:
    is_vector = len(x2_shape) == 1
    t1, t2 = t
    moved = as_columns(t2, is_vector) - xp.matmul(t1, as_columns(out, is_vector))
    moved = xp.linalg.solve(x1, moved)
    return moved[..., 0] if is_vector else moved


def triangle(x: Any, upper: bool, xp: Any) -> Any:
    return xp.triu(x) if upper else xp.tril(x)


def solve_triangular_vjp(t: Any, x1: Any, out: Any, upper: bool, xp: Any) -> Any:
    g = xp.linalg.solve_triangular(adjoint(x1, xp), t, upper=not upper)
    return -triangle(xp.matmul(g, adjoint(out, xp)), upper, xp), g


def solve_triangular_jvp(t: Any, x1: Any, out: Any, upper: bool, xp: Any) -> Any:
    t1, t2 = t
    return xp.linalg.solve_triangular(x1, t2 - xp.matmul(triangle(t1, upper, xp), out), upper=upper)


RULES: dict[str, Rule] = {
    "linalg.adjugate": General(vjp=adjugate_vjp, jvp=adjugate_jvp),
    "linalg.det": General(vjp=det_vjp, jvp=det_jvp),
    "linalg.inv": General(vjp=inv_vjp, jvp=inv_jvp),
    "linalg.matrix_power": General(vjp=matrix_power_vjp, jvp=matrix_power_jvp),
    "linalg.pinv": General(vjp=pinv_vjp, jvp=pinv_jvp),
    "linalg.slogdet": General(vjp=slogdet_vjp, jvp=slogdet_jvp),
    "linalg.solve": General(vjp=solve_vjp, jvp=solve_jvp, args=("x1", "x2")),
    "linalg.solve_triangular": General(vjp=solve_triangular_vjp, jvp=solve_triangular_jvp, args=("x1", "x2")),
}
CONSTANT: set[str] = {"linalg.matrix_rank"}
SIGNATURES = {
    "linalg.adjugate": "x, /",
    "linalg.det": "x, /",
    "linalg.inv": "x, /",
    "linalg.matrix_power": "x, n, /",
    "linalg.matrix_rank": "x, /, *, rtol=None",
    "linalg.pinv": "x, /, *, rtol=None",
    "linalg.slogdet": "x, /",
    "linalg.solve": "x1, x2, /",
    "linalg.solve_triangular": "x1, x2, /, *, upper=False",
}
INPUTS = {"linalg.matrix_rank": ("x", "rtol"), "linalg.pinv": ("x", "rtol")}
RESULTS = {"linalg.slogdet": SlogdetResult}
BATCHES = {
    **dict.fromkeys(SIGNATURES, MATRIX),
    "linalg.matrix_rank": with_tolerance,
    "linalg.pinv": with_tolerance,
    "linalg.solve": solve,
    "linalg.solve_triangular": solve_triangular,
}
