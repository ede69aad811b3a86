"""Linear algebra on Dask's arrays: NumPy's functions on each matrix, which lies in one chunk.

A stack of matrices may have as many chunks as it likes. A single tall matrix in several chunks of rows goes to Dask's
own QR and SVD, which never hold all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np

Kernel = Callable[..., Any]


def each(function: Kernel, signature: str, *arrays: Any, **sizes: int) -> Any:
    """Apply a function of NumPy's to each item of stacks, whose axes `signature` names as for `numpy.vectorize`.

    >>> each(np.linalg.det, "(i,j)->()", da.ones((4, 2, 2), chunks=2)).shape
    (4,)
    """
    if any(0 in x.shape for x in arrays):
        return of_nothing(function, *arrays)
    dtypes = dtypes_of(function, signature, [x.dtype for x in arrays])
    return da.apply_gufunc(
        function, signature, *arrays, output_dtypes=dtypes, output_sizes=sizes or None, allow_rechunk=True
    )


def of_nothing(function: Kernel, *arrays: Any) -> Any:
    """Apply a function of NumPy's at once to arrays of which one has no elements, whatever the others have."""
    whatever = [np.broadcast_to(np.eye(*x.shape[-2:]) if x.ndim > 1 else 1, x.shape) for x in arrays]
    out = function(*[y.astype(x.dtype) for x, y in zip(arrays, whatever, strict=True)])
    return tuple(map(da.from_array, out)) if isinstance(out, tuple) else da.from_array(np.asarray(out))


def dtypes_of(function: Kernel, signature: str, dtypes: Sequence[Any]) -> Any:
    """Return the dtypes that a function gives, for identities, vectors and numbers of some dtypes."""
    inputs = [part.count(",") + 1 if part else 0 for part in re.findall(r"\(([^)]*)\)", signature.partition("->")[0])]
    tried = {0: np.ones(()), 1: np.zeros(3), 2: np.eye(3)}
    out = function(*[tried[n].astype(dtype) for n, dtype in zip(inputs, dtypes, strict=True)])
    return tuple([part.dtype for part in out]) if isinstance(out, tuple) else out.dtype


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """Return the Cholesky factor of Hermitian matrices."""
    return each(partial(np.linalg.cholesky, upper=upper), "(i,j)->(i,j)", x)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Return the products of vectors with three elements along an axis."""
    out = each(np.cross, "(i),(i)->(i)", *[da.moveaxis(x, axis, -1) for x in (x1, x2)])
    return da.moveaxis(out, -1, axis)


def det(x: Any, /) -> Any:
    """Return determinants."""
    return each(np.linalg.det, "(i,j)->()", x)


def eig(x: Any, /) -> Any:
    """Return eigenvalues and eigenvectors, which are complex."""
    return each(complex_eig, "(i,j)->(i),(i,j)", x)


def complex_eig(x: Any) -> Any:
    """Return NumPy's, whose dtype depends on values."""
    dtype = np.result_type(x, np.complex64)
    return tuple([part.astype(dtype) for part in np.linalg.eig(x)])


def eigh(x: Any, /) -> Any:
    """Return eigenvalues and eigenvectors of Hermitian matrices."""
    return each(lambda x: tuple(np.linalg.eigh(x)), "(i,j)->(i),(i,j)", x)


def eigvals(x: Any, /) -> Any:
    """Return eigenvalues, which are complex."""
    return each(lambda x: complex_eig(x)[0], "(i,j)->(i)", x)


def eigvalsh(x: Any, /) -> Any:
    """Return eigenvalues of Hermitian matrices."""
    return each(np.linalg.eigvalsh, "(i,j)->(i)", x)


def inv(x: Any, /) -> Any:
    """Return inverses."""
    return each(np.linalg.inv, "(i,j)->(i,j)", x)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Return norms of matrices."""
    out = each(partial(np.linalg.matrix_norm, ord=ord), "(i,j)->()", x)
    return out[..., None, None] if keepdims else out


def matrix_power(x: Any, n: int, /) -> Any:
    """Return powers of matrices."""
    return each(partial(np.linalg.matrix_power, n=n), "(i,j)->(i,j)", x)


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """Return how many singular values are larger than `rtol` times the largest."""
    if rtol is None or isinstance(rtol, (int, float)):
        return each(partial(np.linalg.matrix_rank, rtol=rtol), "(i,j)->()", x)
    return each(lambda x, rtol: np.linalg.matrix_rank(x, rtol=rtol), "(i,j),()->()", x, rtol)


def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """Return pseudo-inverses."""
    if rtol is None or isinstance(rtol, (int, float)):
        return each(partial(np.linalg.pinv, rtol=rtol), "(i,j)->(j,i)", x)
    return each(lambda x, rtol: np.linalg.pinv(x, rtol=rtol), "(i,j),()->(j,i)", x, rtol)


def qr(x: Any, /, *, mode: str = "reduced") -> Any:
    """Return an orthogonal and a triangular factor."""
    if is_tall(x) and mode == "reduced":
        return da.linalg.qr(x)
    factors: Kernel = np.linalg.qr
    rows, columns = x.shape[-2:]
    least = rows if mode == "complete" else min(rows, columns)
    return each(lambda x: tuple(factors(x, mode=mode)), "(i,j)->(i,k),(k,j)", x, k=least)


def slogdet(x: Any, /) -> Any:
    """Return the signs of determinants, and the logarithms of their absolute values."""
    return each(lambda x: tuple(np.linalg.slogdet(x)), "(i,j)->(),()", x)


def solve(x1: Any, x2: Any, /) -> Any:
    """Return the solutions of ``x1 @ out = x2``, where `x2` is a vector or a stack of matrices."""
    return solved(lambda x1, x2: np.linalg.solve(x1, x2), x1, x2)


def solve_triangular(x1: Any, x2: Any, /, *, upper: bool = False) -> Any:
    """Return the solutions of ``x1 @ out = x2``, reading one triangle of `x1`."""
    triangle = np.triu if upper else np.tril
    return solved(lambda x1, x2: np.linalg.solve(triangle(x1), x2), x1, x2)


def solved(function: Kernel, x1: Any, x2: Any) -> Any:
    """Return solutions for a vector, or for matrices."""
    if x2.ndim == 1:
        return each(lambda x1, x2: function(x1, x2[..., None])[..., 0], "(i,j),(j)->(j)", x1, x2)
    return each(function, "(i,j),(j,k)->(j,k)", x1, x2)


def svd(x: Any, /, *, full_matrices: bool = True) -> Any:
    """Return left singular vectors, singular values, and right singular vectors."""
    if is_tall(x) and not full_matrices:
        return da.linalg.svd(x)
    rows, columns = x.shape[-2:]
    k = min(rows, columns)
    sizes = {"m": rows, "n": columns} if full_matrices else {"m": k, "n": k}
    function = partial(np.linalg.svd, full_matrices=full_matrices)
    return each(lambda x: tuple(function(x)), "(i,j)->(i,m),(k),(n,j)", x, k=k, **sizes)


def svdvals(x: Any, /) -> Any:
    """Return singular values."""
    return each(np.linalg.svdvals, "(i,j)->(k)", x, k=min(x.shape[-2:]))


def is_tall(x: Any) -> bool:
    """Tell one matrix in several chunks of rows."""
    return bool(x.ndim == 2 and x.numblocks[0] > 1 and x.numblocks[1] == 1 and x.shape[0] >= x.shape[1])


KERNELS: dict[str, Kernel] = {
    f"linalg.{function.__name__}": function
    for function in (
        cholesky, cross, det, eig, eigh, eigvals, eigvalsh, inv, matrix_norm, matrix_power, matrix_rank, pinv, qr,
        slogdet, solve, solve_triangular, svd, svdvals,
    )
}  # fmt: skip
