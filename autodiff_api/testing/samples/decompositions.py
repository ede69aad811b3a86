"""Samples of linear systems and decompositions: well conditioned, with eigenvalues and singular values well apart.

Eigenvectors and singular vectors are free in their phase, so their samples go `through` a function that does not
depend on it: projectors, weighted differently, which see every well-defined derivative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .sample import Array, Draw, Maker, Sample, hermitian, strided, transposed


def square(draw: Draw, *batch: int, n: int = 3, complex: bool = False) -> Array:
    """Return well-conditioned matrices."""
    noise = draw.complex(*batch, n, n) if complex else draw.normal(*batch, n, n)
    return 2 * np.eye(n) + 0.4 * noise


def positive(draw: Draw, *batch: int, complex: bool = False) -> Array:
    """Return positive definite matrices."""
    x = square(draw, *batch, complex=complex)
    return np.asarray(x @ np.conj(np.swapaxes(x, -1, -2)) / 4 + np.eye(3))


def unitary(draw: Draw, *shape: int, complex: bool = False) -> Array:
    return np.linalg.qr(draw.complex(*shape) if complex else draw.normal(*shape))[0]


def selfadjoint(draw: Draw, *batch: int, complex: bool = False) -> Array:
    """Return Hermitian matrices whose eigenvalues are -1.3, 0.4 and 2."""
    v = unitary(draw, *batch, 3, 3, complex=complex)
    return hermitian((v * np.asarray([-1.3, 0.4, 2.0])) @ np.conj(np.swapaxes(v, -1, -2)))


def with_singular_values(draw: Draw, m: int, n: int, *batch: int, complex: bool = False) -> Array:
    """Return matrices whose singular values are 2.5, 1.4, ..., well apart."""
    k = min(m, n)
    u, v = (unitary(draw, *batch, size, k, complex=complex) for size in (m, n))
    return np.asarray((u * np.asarray([2.5, 1.4, 0.6])[:k]) @ np.conj(np.swapaxes(v, -1, -2)))


def weights(xp: Any, like: Any, numbers: Sequence[float] = (0.7, -0.4, 1.1)) -> Any:
    """Return a vector of different weights, of the length of `like`'s last axis."""
    n = like.shape[-1]
    return xp.asarray(np.asarray(numbers)[:n], dtype=like.dtype, device=like.device)


def adjoint(xp: Any, x: Any) -> Any:
    return xp.conj(xp.matrix_transpose(x))


def through_eigh(xp: Any, out: Any) -> tuple[Any, ...]:
    values, v = out
    return values, (v * weights(xp, v)) @ adjoint(xp, v)


def through_svd(xp: Any, out: Any) -> tuple[Any, ...]:
    u, s, vh = out
    v = adjoint(xp, vh)
    w = weights(xp, u)
    return s, (u * w) @ adjoint(xp, u), (v * w) @ vh, (u * weights(xp, u, (1.0, 2.0, -0.5))) @ vh


def through_eig(xp: Any, out: Any) -> tuple[Any, ...]:
    """Return functions of the matrix, V f(L) V⁻¹, which depend neither on scale nor on order."""
    values, v = out
    inverse = xp.linalg.inv(v)
    sizes = xp.sum(xp.abs(v) ** 4, axis=-1)  # of unit vectors, in no order
    return (v * (values * values)[..., None, :]) @ inverse, (v * xp.exp(values)[..., None, :]) @ inverse, sizes


def through_eigvals(xp: Any, values: Any) -> tuple[Any, ...]:
    """Return sums that do not depend on the order."""
    return xp.sum(values * values, axis=-1), xp.sum(xp.exp(values), axis=-1), xp.sum(values**3, axis=-1)


def through_qr(xp: Any, out: Any) -> tuple[Any, ...]:
    """Return the factors with a positive diagonal of R."""
    q, r = out
    k = min(r.shape[-2:])
    phase = xp.sign(xp.linalg.diagonal(r[..., :k, :k]))
    return q * phase[..., None, :], r * xp.conj(phase)[..., None]


def matrices(draw: Draw) -> Iterator[Sample]:
    """Make the samples of a function of a square matrix."""
    yield Sample((square(draw),))
    yield Sample((square(draw, 2),), name="stack")
    yield Sample((square(draw, 0),), name="zero size")
    yield Sample((transposed(square(draw)),), name="by columns")
    yield Sample((square(draw, complex=True),), name="complex")
    yield Sample((square(draw, 2, complex=True),), name="complex stack")
    yield Sample((np.asarray([[0.0, 2.0], [1.5, 0.3]]),), name="pivoting")


def cholesky(draw: Draw) -> Iterator[Sample]:
    for upper in (False, True):
        yield Sample((positive(draw),), {"upper": upper}, tangent=hermitian)
        yield Sample((positive(draw, complex=True),), {"upper": upper}, name="complex", tangent=hermitian)
    yield Sample((positive(draw, 2),), name="stack", tangent=hermitian)
    yield Sample((positive(draw, 0),), name="zero size", tangent=hermitian)
    yield Sample((transposed(positive(draw)),), name="by columns", tangent=hermitian)


def det(draw: Draw) -> Iterator[Sample]:
    yield from matrices(draw)
    yield Sample((np.asarray([[1.0, 2.0], [2.0, 4.0]]),), name="singular")
    u, v = unitary(draw, 3, 3), unitary(draw, 3, 3)
    yield Sample(((u * np.asarray([2.0, 0.7, 0.0])) @ v,), name="of rank 2")
    u, v = unitary(draw, 3, 3, complex=True), unitary(draw, 3, 3, complex=True)
    yield Sample(((u * np.asarray([2.0, 0.7, 0.0])) @ v,), name="complex, of rank 2")
    yield Sample(((u * np.asarray([2.0, 0.7, 1e-6])) @ v,), name="complex, nearly of rank 2", loss=10.0)


def adjugate(draw: Draw) -> Iterator[Sample]:
    for sample in det(draw):
        yield replace(sample, order=1) if "complex, of rank" in sample.name else sample


def triangular(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `solve_triangular`, which reads one triangle whatever is in the other."""
    yield Sample((square(draw), draw.normal(3, 2)))
    yield Sample((square(draw), draw.normal(3, 2)), {"upper": True})
    yield Sample((square(draw, 2), draw.normal(2, 3, 2)), {"upper": True}, name="stack")
    yield Sample((square(draw, 0), draw.normal(0, 3, 2)), name="zero size")
    yield Sample((transposed(square(draw)), strided(draw.normal(3, 2))), name="strided")
    yield Sample((square(draw, complex=True), draw.complex(3, 2)), name="complex")


def eig(draw: Draw, through: Any = through_eig) -> Iterator[Sample]:
    real = np.diag([-1.3, 0.4, 2.0]) + 0.2 * draw.normal(3, 3)
    rotating = np.asarray([[0.3, -1.2, 0.1], [1.1, 0.2, 0.3], [0.2, -0.1, 1.5]])
    yield Sample((real,), name="real eigenvalues", through=through)
    yield Sample((rotating,), name="complex eigenvalues", through=through)
    yield Sample((np.stack([real, rotating]),), name="stack", through=through)
    yield Sample((real + 0.3j * draw.normal(3, 3),), name="complex", through=through)
    yield Sample((transposed(rotating),), name="by columns", through=through)
    yield Sample((np.zeros((0, 3, 3)),), name="zero size", through=through)


def eigvals(draw: Draw) -> Iterator[Sample]:
    return eig(draw, through_eigvals)


def eigh(draw: Draw, through: Any = through_eigh) -> Iterator[Sample]:
    yield Sample((selfadjoint(draw),), through=through, tangent=hermitian)
    yield Sample((selfadjoint(draw, 2),), name="stack", through=through, tangent=hermitian)
    yield Sample((selfadjoint(draw, complex=True),), name="complex", through=through, tangent=hermitian)
    yield Sample((selfadjoint(draw, 2, complex=True),), name="complex stack", through=through, tangent=hermitian)
    yield Sample((transposed(selfadjoint(draw)),), name="by columns", through=through, tangent=hermitian)
    yield Sample((np.zeros((0, 3, 3)),), name="zero size", through=through, tangent=hermitian)


def eigvalsh(draw: Draw) -> Iterator[Sample]:
    return eigh(draw, None)


def matrix_norm(draw: Draw) -> Iterator[Sample]:
    x = with_singular_values(draw, 2, 3)
    for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        yield Sample((x,), {"ord": order})
    yield Sample((x,))
    yield Sample((with_singular_values(draw, 3, 2, 2),), {"keepdims": True}, name="stack")
    yield Sample((with_singular_values(draw, 3, 2, 2),), {"ord": "nuc", "keepdims": True}, name="stack")
    yield Sample((with_singular_values(draw, 3, 2, 2),), {"ord": -2}, name="stack")
    yield Sample((transposed(x),), {"ord": 2}, name="by columns")
    yield Sample((draw.normal(0, 2, 3),), name="zero size")
    for order in ("fro", "nuc", 1, 2, np.inf):
        yield Sample((with_singular_values(draw, 3, 2, complex=True),), {"ord": order}, name="complex")
    yield Sample((np.zeros((2, 3)),), name="kinks: zeros", order=0)


def matrix_power(draw: Draw) -> Iterator[Sample]:
    for n in (0, 1, 2, 3, 5, -1, -2):
        yield Sample((square(draw) / 2, n))
    yield Sample((square(draw, 2), 3), name="stack")
    yield Sample((square(draw, 0), 2), name="zero size")
    yield Sample((transposed(square(draw)), 2), name="by columns")
    yield Sample((square(draw, complex=True), 3), name="complex")
    yield Sample((square(draw, complex=True), -2), name="complex")


def matrix_rank(draw: Draw) -> Iterator[Sample]:
    x = with_singular_values(draw, 3, 2)
    yield Sample((x,))
    yield Sample((np.stack([x, x[:, :1] * np.asarray([1.0, 2.0])]),), name="stack")
    yield Sample((x,), {"rtol": 0.7})
    yield Sample((np.zeros((2, 3)),), name="zeros")
    yield Sample((draw.complex(2, 2),), name="complex")


def pinv(draw: Draw) -> Iterator[Sample]:
    for m, n in ((3, 3), (3, 2), (2, 3)):
        yield Sample((with_singular_values(draw, m, n),))
        yield Sample((with_singular_values(draw, m, n, complex=True),), name="complex")
    yield Sample((with_singular_values(draw, 3, 2, 2),), name="stack")
    yield Sample((with_singular_values(draw, 3, 2),), {"rtol": 1e-3})
    for m, n in ((3, 3), (4, 3), (3, 4)):
        yield Sample((with_singular_values(draw, m, n),), {"rtol": 0.4}, name="leaving one out")
    yield Sample((with_singular_values(draw, 3, 4, complex=True),), {"rtol": 0.4}, name="complex, leaving one out")
    yield Sample((with_singular_values(draw, 3, 4, 2),), {"rtol": np.asarray([0.4, 0.7])}, name="an rtol for each")
    yield Sample((transposed(with_singular_values(draw, 3, 2)),), name="by columns")
    yield Sample((draw.normal(0, 2, 3),), name="zero size")


def qr(draw: Draw) -> Iterator[Sample]:
    for m, n in ((3, 3), (3, 2), (2, 3)):
        yield Sample((with_singular_values(draw, m, n),), through=through_qr)
        yield Sample((with_singular_values(draw, m, n, complex=True),), name="complex", through=through_qr)
    yield Sample((square(draw),), {"mode": "complete"}, through=through_qr)
    yield Sample((with_singular_values(draw, 2, 3),), {"mode": "complete"}, through=through_qr)
    yield Sample((with_singular_values(draw, 3, 2, 2),), {"mode": "reduced"}, name="stack", through=through_qr)
    yield Sample((transposed(square(draw)),), name="by columns", through=through_qr)
    yield Sample((np.zeros((0, 3, 2)),), name="zero size", through=through_qr)
    yield Sample(
        (with_singular_values(draw, 3, 2),), {"mode": "complete"}, name="more rows than columns", refuses="complete"
    )


def slogdet(draw: Draw) -> Iterator[Sample]:
    yield from matrices(draw)
    yield Sample((-square(draw),), name="negative")


def solve(draw: Draw) -> Iterator[Sample]:
    yield Sample((square(draw), draw.normal(3, 2)))
    yield Sample((square(draw), draw.normal(3)), name="one vector")
    yield Sample((square(draw, 2), draw.normal(2, 3, 2)), name="stack")
    yield Sample((square(draw, 2), draw.normal(3)), name="stack, one vector")
    yield Sample((square(draw), draw.normal(2, 3, 1)), name="broadcast matrix")
    yield Sample((square(draw, 2, 1), draw.normal(2, 3, 2)), name="broadcast stacks")
    yield Sample((square(draw, 0), draw.normal(3, 2)), name="zero size")
    yield Sample((square(draw), draw.normal(3, 0)), name="no right-hand sides")
    yield Sample((transposed(square(draw)), strided(draw.normal(3, 2))), name="strided")
    yield Sample((square(draw, complex=True), draw.complex(3, 2)), name="complex")
    yield Sample((square(draw, complex=True), draw.complex(3)), name="complex, one vector")
    yield Sample((square(draw), draw.complex(3)), name="real and complex")


def svd(draw: Draw) -> Iterator[Sample]:
    reduced = {"full_matrices": False}
    for m, n in ((3, 3), (3, 2), (2, 3)):
        yield Sample((with_singular_values(draw, m, n),), reduced, through=through_svd)
        yield Sample((with_singular_values(draw, m, n, complex=True),), reduced, name="complex", through=through_svd)
    yield Sample((with_singular_values(draw, 3, 3),), name="square, full", through=through_svd)
    yield Sample((with_singular_values(draw, 3, 2, 2),), reduced, name="stack", through=through_svd)
    yield Sample((transposed(with_singular_values(draw, 2, 3)),), reduced, name="by columns", through=through_svd)
    yield Sample((np.zeros((0, 3, 2)),), reduced, name="zero size", through=through_svd)
    yield Sample((with_singular_values(draw, 3, 2),), {"full_matrices": True}, refuses="full_matrices")


def svdvals(draw: Draw) -> Iterator[Sample]:
    for m, n in ((3, 3), (3, 2), (2, 3)):
        yield Sample((with_singular_values(draw, m, n),))
        yield Sample((with_singular_values(draw, m, n, complex=True),), name="complex")
    yield Sample((with_singular_values(draw, 3, 2, 2),), name="stack")
    yield Sample((transposed(with_singular_values(draw, 2, 3)),), name="by columns")
    yield Sample((np.zeros((0, 3, 2)),), name="zero size")
    yield Sample((np.eye(3),), name="kinks: equal singular values", order=0, through=lambda xp, s: xp.sum(s))


MAKERS: dict[str, Maker] = {
    "linalg.adjugate": adjugate,
    "linalg.cholesky": cholesky,
    "linalg.det": det,
    "linalg.eig": eig,
    "linalg.eigh": eigh,
    "linalg.eigvals": eigvals,
    "linalg.eigvalsh": eigvalsh,
    "linalg.inv": matrices,
    "linalg.matrix_norm": matrix_norm,
    "linalg.matrix_power": matrix_power,
    "linalg.matrix_rank": matrix_rank,
    "linalg.pinv": pinv,
    "linalg.qr": qr,
    "linalg.slogdet": slogdet,
    "linalg.solve": solve,
    "linalg.solve_triangular": triangular,
    "linalg.svd": svd,
    "linalg.svdvals": svdvals,
}
