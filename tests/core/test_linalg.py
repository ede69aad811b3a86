"""Linear algebra: the rules' two halves, differences, second order, other backends, PyTorch, and delicate points.

A case is a function of a namespace and matrices. Where vectors have a free phase, or sign, the function takes what
does not depend on it.
"""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import duals
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace
from autodiff_api.rules import OPS

RNG = np.random.default_rng(7)


def normal(*shape, dtype="real"):
    x = RNG.normal(size=shape)
    return x + 1j * RNG.normal(size=shape) if dtype == "complex" else x


def adjoint(xp, x):
    return xp.conj(xp.matrix_transpose(x))


def hermitian(xp, x):
    return (x + adjoint(xp, x)) / 2


def positive(xp, x):
    return xp.matmul(x, adjoint(xp, x)) + xp.eye(x.shape[-1], dtype=x.dtype)


def away_from_singular(x):
    return x + 3 * np.eye(x.shape[-1])


def between(xp, *parts):
    """Return the projectors on columns, which have no phase, one after the other."""
    return xp.stack([xp.matmul(v[..., :, None], xp.conj(v)[..., None, :]) for v in parts])


def projectors(xp, v):
    return v[..., None, :, :] * xp.conj(v)[..., :, None, :]


def eig_projectors(xp, x):
    w, v = xp.linalg.eig(x)
    return w, projectors(xp, v)


def eigh_parts(xp, x):
    w, v = xp.linalg.eigh(hermitian(xp, x))
    return w, projectors(xp, v)


def svd_parts(xp, x, **options):
    u, s, vh = xp.linalg.svd(x, **options)
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    return projectors(xp, u), s, projectors(xp, adjoint(xp, vh)), xp.matmul(u * s[..., None, :] ** 2, vh)


SQUARE = [(3, 3), (2, 3, 3), (1, 1)]
ANY = [(4, 3), (3, 4), (2, 4, 2), (2, 2, 4), (3, 3)]
NORMS = ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)

# case: (function of the namespace and the arguments, shapes of the arguments, a list for each sample)
CASES = {
    "adjugate": (lambda xp, x: xp.linalg.adjugate(x), [[s] for s in SQUARE]),
    "cholesky": (lambda xp, x: xp.linalg.cholesky(positive(xp, x)), [[s] for s in SQUARE]),
    "cholesky, upper": (lambda xp, x: xp.linalg.cholesky(positive(xp, x), upper=True), [[s] for s in SQUARE]),
    "cross": (lambda xp, x, y: xp.linalg.cross(x, y), [[(3,), (3,)], [(2, 3), (3,)], [(2, 1, 3), (4, 3)]]),
    "cross, axis -2": (lambda xp, x, y: xp.linalg.cross(x, y, axis=-2), [[(3, 2), (4, 3, 1)], [(3, 1), (3, 2)]]),
    "det": (lambda xp, x: xp.linalg.det(x), [[s] for s in SQUARE]),
    **{
        f"diagonal, {k}": (lambda xp, x, k=k: xp.linalg.diagonal(x, offset=k), [[(3, 4)], [(2, 4, 3)]])
        for k in (0, 1, -2, 7, -7)
    },
    "eig": (eig_projectors, [[s] for s in SQUARE]),
    "eigh": (eigh_parts, [[s] for s in SQUARE]),
    "eigvals": (lambda xp, x: xp.linalg.eigvals(x), [[s] for s in SQUARE]),
    "eigvalsh": (lambda xp, x: xp.linalg.eigvalsh(hermitian(xp, x)), [[s] for s in SQUARE]),
    "inv": (lambda xp, x: xp.linalg.inv(x), [[s] for s in SQUARE]),
    "matmul": (lambda xp, x, y: xp.linalg.matmul(x, y), [[(2, 3), (3, 4)], [(3,), (2, 3, 4)], [(5, 1, 2, 3), (3, 2)]]),
    **{
        f"matrix_norm, {o}": (lambda xp, x, o=o: xp.linalg.matrix_norm(x, ord=o, keepdims=o == 1), [[s] for s in ANY])
        for o in NORMS
    },
    **{
        f"matrix_power, {n}": (lambda xp, x, n=n: xp.linalg.matrix_power(x, n), [[s] for s in SQUARE])
        for n in (-3, -1, 0, 1, 2, 5, 6)
    },
    "matrix_transpose": (lambda xp, x: xp.linalg.matrix_transpose(x), [[s] for s in ANY]),
    "outer": (lambda xp, x, y: xp.linalg.outer(x, y), [[(3,), (4,)]]),
    "pinv": (lambda xp, x: xp.linalg.pinv(x), [[s] for s in ANY]),
    "pinv, rtol": (lambda xp, x: xp.linalg.pinv(x, rtol=0.5), [[s] for s in ANY]),
    "pinv, rtols": (lambda xp, x: xp.linalg.pinv(x, rtol=xp.asarray([0.1, 0.7])), [[(2, 4, 2)], [(2, 3, 3)]]),
    "qr": (lambda xp, x: xp.linalg.qr(x), [[s] for s in ANY]),
    "qr, complete": (
        lambda xp, x: (lambda q, r: (q[..., : x.shape[-1]], r))(*xp.linalg.qr(x, mode="complete")),
        [[s] for s in ANY],
    ),
    "slogdet": (lambda xp, x: xp.linalg.slogdet(x), [[s] for s in SQUARE]),
    "solve": (
        lambda xp, x, y: xp.linalg.solve(x, y),
        [[(3, 3), (3,)], [(3, 3), (3, 2)], [(2, 3, 3), (3,)], [(2, 3, 3), (3, 1)], [(3, 3), (2, 3, 2)]],
    ),
    "solve_triangular": (
        lambda xp, x, y: xp.linalg.solve_triangular(x, y),
        [[(3, 3), (3, 2)], [(2, 3, 3), (3, 2)], [(3, 3), (2, 3, 1)]],
    ),
    "solve_triangular, upper": (lambda xp, x, y: xp.linalg.solve_triangular(x, y, upper=True), [[(3, 3), (3, 2)]]),
    "svd": (svd_parts, [[s] for s in ANY]),
    "svd, reduced": (lambda xp, x: svd_parts(xp, x, full_matrices=False), [[s] for s in ANY]),
    "svdvals": (lambda xp, x: xp.linalg.svdvals(x), [[s] for s in ANY]),
    "tensordot": (lambda xp, x, y: xp.linalg.tensordot(x, y), [[(2, 3, 4), (3, 4, 5)]]),
    "tensordot, 0": (lambda xp, x, y: xp.linalg.tensordot(x, y, axes=0), [[(2,), (3, 2)]]),
    "tensordot, axes": (
        lambda xp, x, y: xp.linalg.tensordot(x, y, axes=((2, 0), (-1, 0))),
        [[(2, 3, 4), (2, 5, 4)]],
    ),
    "tensordot, lists": (lambda xp, x, y: xp.linalg.tensordot(x, y, axes=([-1, 1], [0, 2])), [[(2, 3, 4), (4, 2, 3)]]),
    **{
        f"trace, {k}": (lambda xp, x, k=k: xp.linalg.trace(x, offset=k), [[(3, 4)], [(2, 4, 3)]]) for k in (0, 1, -2, 7)
    },
    "vecdot": (lambda xp, x, y: xp.linalg.vecdot(x, y), [[(3,), (3,)], [(2, 3), (4, 1, 3)], [(3,), (2, 3)]]),
    "vecdot, axis": (lambda xp, x, y: xp.linalg.vecdot(x, y, axis=-2), [[(3, 2), (4, 3, 1)]]),
    **{
        f"vector_norm, {o}": (lambda xp, x, o=o: xp.linalg.vector_norm(x, ord=o, axis=-1), [[(4,)], [(2, 3)]])
        for o in (0, 1, 2, 3, 1.5, 0.5, -1, -2, -0.5, np.inf, -np.inf)
    },
    "vector_norm, all axes": (lambda xp, x: xp.linalg.vector_norm(x), [[(2, 3)], [()]]),
    "vector_norm, axes": (lambda xp, x: xp.linalg.vector_norm(x, axis=(0, -1), ord=3, keepdims=True), [[(2, 3, 2)]]),
}


def test_every_rule_of_the_extension_has_a_case():
    names = {case.partition(",")[0] for case in CASES}
    ruled = {name.removeprefix("linalg.") for name, op in OPS.items() if name.startswith("linalg.") and op.rule}
    assert ruled <= names
