"""The value of every delicate derivative, as data: one convention on every backend, in both modes, in every order.

Differentiable: the gradient. Convex: the subgradient of least norm. Concave: the supergradient of least norm. Defined
only as a limit: by continuity, inf allowed. Undefined: nan, never a silent wrong number.

A row is a case, a function of a namespace and its arguments, the arguments, and what its derivative is: in `FIRST` the
gradient by each argument, in `SECOND` the matrix of second derivatives, in `REFUSED` the text of an error. `FORWARD`
has what forward mode says of some rows instead.

>>> function, points, gradients = FIRST["sqrt at 0"]
>>> points, gradients
([0.0], [inf])
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

Row: TypeAlias = "tuple[Callable[..., Any], list[Any], list[Any]]"

E, INF, NAN = math.e, math.inf, math.nan
EYE = [[1.0, 0.0], [0.0, 1.0]]
WEIGHTS = [[1.0, 2.0], [5.0, 3.0]]


def exp_by_eigh(xp: Any, x: Any) -> Any:
    """Return the exponential of a symmetric matrix."""
    values, v = xp.linalg.eigh(x)
    return (v * xp.exp(values)) @ xp.matrix_transpose(v)


def same_by_svd(xp: Any, x: Any) -> Any:
    """Return a matrix, taken apart and put together."""
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return (u * s) @ vh


def pooled(xp: Any, x: Any) -> Any:
    """Return the largest element of a window over all."""
    n, xp = x.shape[0], x.__array_namespace__()  # the package itself means modules by `nn`
    return xp.nn.max_pool(x, window=(n,), stride=(n,), padding=((0, 0),), dilation=(1,))


FIRST: dict[str, Row] = {  # the gradient of the sum of a function by each of its arguments
    "abs at 0.0, -0.0": (lambda xp, x: xp.abs(x), [[0.0, -0.0]], [[0.0, 0.0]]),
    "abs at 0j": (lambda xp, x: xp.abs(x), [0j], [0j]),
    "abs at 3+4j": (lambda xp, x: xp.abs(x), [3 + 4j], [0.6 + 0.8j]),
    "|z|² at 3+4j": (lambda xp, x: xp.real(x) ** 2 + xp.imag(x) ** 2, [3 + 4j], [6 + 8j]),
    "real part of sign(z) at 3+4j": (lambda xp, x: xp.real(xp.sign(x)), [3 + 4j], [0.128 - 0.096j]),
    "sqrt at 0": (lambda xp, x: xp.sqrt(x), [0.0], [INF]),
    "x**.5 at 0": (lambda xp, x: x**0.5, [0.0], [INF]),
    "0*sqrt(x) at 0": (lambda xp, x: 0.0 * xp.sqrt(x), [0.0], [NAN]),
    "sqrt(x²) at 0": (lambda xp, x: xp.sqrt(x**2), [0.0], [NAN]),
    "sqrt(sum x²) at 0": (lambda xp, x: xp.sqrt(xp.sum(x**2)), [[0.0, 0.0]], [[NAN, NAN]]),
    "pow(0,0)": (lambda xp, x, y: xp.pow(x, y), [0.0, 0.0], [0.0, 0.0]),
    "x**0.0 at 0": (lambda xp, x: x**0.0, [0.0], [0.0]),
    "x**0 at 0": (lambda xp, x: x**0, [0.0], [0.0]),
    "0**y at y>0": (lambda xp, y: 0.0**y, [[0.5, 2.0]], [[0.0, 0.0]]),
    "pow(0,y) at y>0": (lambda xp, x, y: xp.pow(x, y), [[0.0, 0.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]]),
    "pow(0, 1), (0, 2), (0, .5), (0, -1): dx": (
        lambda xp, x: xp.pow(x, xp.asarray([1.0, 2.0, 0.5, -1.0])),
        [[0.0, 0.0, 0.0, 0.0]],
        [[1.0, 0.0, INF, -INF]],
    ),
    "pow(-2, 3): dx": (lambda xp, x: xp.pow(x, 3.0), [-2.0], [12.0]),
    "where(x>0, sqrt(x), 0) at 0": (lambda xp, x: xp.where(x > 0, xp.sqrt(x), 0.0), [0.0], [NAN]),
    "where(x>0, 1/x, 0) at 0": (lambda xp, x: xp.where(x > 0, 1 / x, 0.0), [0.0], [NAN]),
    "where(x>0, log(x), 0) at -1": (lambda xp, x: xp.where(x > 0, xp.log(x), 0.0), [-1.0], [0.0]),
    "max, ties": (lambda xp, x: xp.max(x), [[1.0, 3.0, 3.0, 2.0]], [[0.0, 0.5, 0.5, 0.0]]),
    "min, ties": (lambda xp, x: xp.min(x), [[1.0, 3.0, 1.0, 2.0]], [[0.5, 0.0, 0.5, 0.0]]),
    "max, ties along an axis": (
        lambda xp, x: xp.max(x, axis=1),
        [[[2.0, 2.0, 1.0], [0.0, 0.0, 0.0]]],
        [[[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]],
    ),
    "max over nan": (lambda xp, x: xp.max(x), [[1.0, NAN, 2.0]], [[0.0, NAN, 0.0]]),
    "min over nan": (lambda xp, x: xp.min(x), [[1.0, NAN, 2.0]], [[0.0, NAN, 0.0]]),
    "max of inf": (lambda xp, x: xp.max(x), [[1.0, INF, INF]], [[0.0, 0.5, 0.5]]),
    "maximum(2,2)": (lambda xp, x, y: xp.maximum(x, y), [2.0, 2.0], [0.5, 0.5]),
    "minimum(2,2)": (lambda xp, x, y: xp.minimum(x, y), [2.0, 2.0], [0.5, 0.5]),
    "maximum(nan,1)": (lambda xp, x, y: xp.maximum(x, y), [NAN, 1.0], [NAN, 0.0]),
    "minimum(1,nan)": (lambda xp, x, y: xp.minimum(x, y), [1.0, NAN], [0.0, NAN]),
    "maximum(inf,inf)": (lambda xp, x, y: xp.maximum(x, y), [INF, INF], [0.5, 0.5]),
    "nn.max_pool, ties": (pooled, [[1.0, 3.0, 3.0, 2.0]], [[0.0, 1.0, 0.0, 0.0]]),  # the first's, as in PyTorch
    "nn.max_pool over nan": (pooled, [[1.0, 3.0, NAN, 2.0]], [[0.0, 0.0, 1.0, 0.0]]),
    "clip at the lower bound": (lambda xp, x, lo, hi: xp.clip(x, lo, hi), [1.0, 1.0, 2.0], [1.0, 0.0, 0.0]),
    "clip at the upper bound": (lambda xp, x, lo, hi: xp.clip(x, lo, hi), [2.0, 1.0, 2.0], [1.0, 0.0, 0.0]),
    "clip at numbers": (lambda xp, x: xp.clip(x, -1.0, 1.0), [[-1.0, 1.0, 1.5, 0.0]], [[1.0, 1.0, 0.0, 1.0]]),
    "clip beyond": (lambda xp, x, lo, hi: xp.clip(x, lo, hi), [[0.0, 3.0], 1.0, 2.0], [[0.0, 0.0], 1.0, 1.0]),
    "sort of [2,1,2], weighted": (
        lambda xp, x: xp.sort(x) * xp.asarray([1.0, 2.0, 3.0]),
        [[2.0, 1.0, 2.0]],
        [[2.0, 1.0, 3.0]],
    ),
    "prod of [0,2,3]": (lambda xp, x: xp.prod(x), [[0.0, 2.0, 3.0]], [[6.0, 0.0, 0.0]]),
    "prod of [0,0,3]": (lambda xp, x: xp.prod(x), [[0.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]]),
    "prod of complex [0,2j]": (lambda xp, x: xp.real(xp.prod(x)), [[0j, 2j]], [[-2j, 0j]]),
    "cumulative_prod of [2,0,3]": (lambda xp, x: xp.cumulative_prod(x), [[2.0, 0.0, 3.0]], [[1.0, 8.0, 0.0]]),
    "cumulative_prod of [0,0,3]": (lambda xp, x: xp.cumulative_prod(x), [[0.0, 0.0, 3.0]], [[1.0, 0.0, 0.0]]),
    "logaddexp(-inf,-inf)": (lambda xp, x, y: xp.logaddexp(x, y), [-INF, -INF], [0.5, 0.5]),
    "logaddexp(inf,inf)": (lambda xp, x, y: xp.logaddexp(x, y), [INF, INF], [0.5, 0.5]),
    "logaddexp(inf,0)": (lambda xp, x, y: xp.logaddexp(x, y), [INF, 0.0], [1.0, 0.0]),
    "logaddexp(0,-inf)": (lambda xp, x, y: xp.logaddexp(x, y), [0.0, -INF], [1.0, 0.0]),
    "logaddexp(1000,0)": (lambda xp, x, y: xp.logaddexp(x, y), [1000.0, 0.0], [1.0, 0.0]),
    "atan2(0,0)": (lambda xp, x, y: xp.atan2(x, y), [0.0, 0.0], [0.0, 0.0]),
    "hypot(0,0)": (lambda xp, x, y: xp.hypot(x, y), [0.0, 0.0], [0.0, 0.0]),
    "hypot(1e200,1e200)": (lambda xp, x, y: xp.hypot(x, y), [1e200, 1e200], [2**-0.5, 2**-0.5]),
    "hypot(3,0)": (lambda xp, x, y: xp.hypot(x, y), [3.0, 0.0], [1.0, 0.0]),
    "std of constants": (lambda xp, x: xp.std(x), [[2.0, 2.0, 2.0]], [[0.0, 0.0, 0.0]]),
    "std of constants, correction 1": (lambda xp, x: xp.std(x, correction=1), [[2.0, 2.0]], [[0.0, 0.0]]),
    "std of one element, correction 1": (lambda xp, x: xp.std(x, correction=1), [[2.0]], [[NAN]]),
    "var of one element, correction 1": (lambda xp, x: xp.var(x, correction=1), [[2.0]], [[NAN]]),
    "std of one element, correction 0": (lambda xp, x: xp.std(x), [[2.0]], [[0.0]]),
    "var of one element, correction 0": (lambda xp, x: xp.var(x), [[2.0]], [[0.0]]),
    "log at 0, -1": (lambda xp, x: xp.log(x), [[0.0, -1.0]], [[INF, -1.0]]),
    "log1p at -1": (lambda xp, x: xp.log1p(x), [-1.0], [INF]),
    "1/x at 0": (lambda xp, x: 1 / x, [0.0], [-INF]),
    "reciprocal at 0": (lambda xp, x: xp.reciprocal(x), [0.0], [-INF]),
    "asin at 1": (lambda xp, x: xp.asin(x), [1.0], [INF]),
    "acos at 1": (lambda xp, x: xp.acos(x), [1.0], [-INF]),
    "acosh at 1": (lambda xp, x: xp.acosh(x), [1.0], [INF]),
    "atanh at 1": (lambda xp, x: xp.atanh(x), [1.0], [INF]),
    "remainder(5,3), (6,3)": (
        lambda xp, x, y: xp.remainder(x, y),
        [[5.0, 6.0], [3.0, 3.0]],
        [[1.0, 1.0], [-1.0, -2.0]],
    ),
    "floor_divide at 0": (lambda xp, x, y: xp.floor_divide(x, y), [0.0, 1.0], [0.0, 0.0]),
    "floor at 0": (lambda xp, x: xp.floor(x), [0.0], [0.0]),
    "ceil at 0": (lambda xp, x: xp.ceil(x), [0.0], [0.0]),
    "round at 0, .5": (lambda xp, x: xp.round(x), [[0.0, 0.5]], [[0.0, 0.0]]),
    "trunc at 0": (lambda xp, x: xp.trunc(x), [0.0], [0.0]),
    "sign at 0": (lambda xp, x: xp.sign(x), [0.0], [0.0]),
    "copysign(0,1)": (lambda xp, x, y: xp.copysign(x, y), [0.0, 1.0], [0.0, 0.0]),
    "copysign(2,-1)": (lambda xp, x, y: xp.copysign(x, y), [2.0, -1.0], [-1.0, 0.0]),
    "nextafter": (lambda xp, x, y: xp.nextafter(x, y), [1.0, 2.0], [1.0, 0.0]),
    "tanh at ±1000": (lambda xp, x: xp.tanh(x), [[-1000.0, 1000.0]], [[0.0, 0.0]]),
    "exp at -1000": (lambda xp, x: xp.exp(x), [-1000.0], [0.0]),
    "expm1 at 0": (lambda xp, x: xp.expm1(x), [0.0], [1.0]),
    "mean of nothing, into a sum": (lambda xp, x: xp.sum(x) * 2.0, [[]], [[]]),
    **{
        f"vector_norm {ord} at 0": (
            lambda xp, x, ord=ord: xp.linalg.vector_norm(x, ord=ord),
            [[0.0, -0.0, 0.0]],
            [[0.0, 0.0, 0.0]],
        )
        for ord in (2, 3, 1.5, 1, INF, -INF, 0.5)
    },
    "vector_norm 1 at [0, 2]": (lambda xp, x: xp.linalg.vector_norm(x, ord=1), [[0.0, 2.0]], [[0.0, 1.0]]),
    "vector_norm inf at [2, -2]": (lambda xp, x: xp.linalg.vector_norm(x, ord=INF), [[2.0, -2.0]], [[0.5, -0.5]]),
    "vector_norm 2 at [1e-200, 1e-200]": (
        lambda xp, x: xp.linalg.vector_norm(x),
        [[1e-200, 1e-200]],
        [[2**-0.5, 2**-0.5]],
    ),
    "vector_norm 3 at [1e-200, 1e-200]": (
        lambda xp, x: xp.linalg.vector_norm(x, ord=3),
        [[1e-200, 1e-200]],
        [[2 ** (-2 / 3), 2 ** (-2 / 3)]],
    ),
    "matrix_norm fro at zeros": (lambda xp, x: xp.linalg.matrix_norm(x), [[[0.0, 0.0], [0.0, 0.0]]], [[[0.0] * 2] * 2]),
    "matrix_norm nuc at eye": (lambda xp, x: xp.linalg.matrix_norm(x, ord="nuc"), [EYE], [EYE]),
    "det of a singular matrix": (
        lambda xp, x: xp.linalg.det(x),
        [[[1.0, 2.0], [2.0, 4.0]]],
        [[[4.0, -2.0], [-2.0, 1.0]]],
    ),
    "eigvalsh of eye, weighted": (
        lambda xp, x: xp.linalg.eigvalsh(x) * xp.asarray([1.0, 2.0]),
        [EYE],
        [[[1.0, 0.0], [0.0, 2.0]]],
    ),
    "svdvals of eye, summed": (lambda xp, x: xp.linalg.svdvals(x), [EYE], [EYE]),
    "exp(eye), by eigh, weighted": (
        lambda xp, x: exp_by_eigh(xp, x) * xp.asarray(WEIGHTS),
        [EYE],
        [[[E, 3.5 * E], [3.5 * E, 3 * E]]],
    ),
    "eye, by svd, weighted": (lambda xp, x: same_by_svd(xp, x) * xp.asarray(WEIGHTS), [EYE], [WEIGHTS]),
    "eigenvectors of eye, summed": (lambda xp, x: xp.linalg.eigh(x)[1], [EYE], [[[NAN, NAN], [NAN, NAN]]]),
    "cholesky: the symmetric part": (
        lambda xp, x: xp.linalg.cholesky(x)[1, 0],
        [[[4.0, 2.0], [2.0, 3.0]]],
        [[[-0.125, 0.25], [0.25, 0.0]]],
    ),
    "eigh: the symmetric part": (
        lambda xp, x: xp.linalg.eigh(x)[0][1],
        [[[2.0, 1.0], [1.0, 2.0]]],
        [[[0.5, 0.5], [0.5, 0.5]]],
    ),
    "gammainc(1, 0), (2, 0)": (
        lambda xp, x: xp.special.gammainc(xp.asarray([1.0, 2.0]), x),
        [[0.0, 0.0]],
        [[1.0, 0.0]],
    ),
    "logsumexp(-inf,-inf)": (lambda xp, x: xp.special.logsumexp(x), [[-INF, -INF]], [[0.5, 0.5]]),
    "logsumexp(inf,inf,0)": (lambda xp, x: xp.special.logsumexp(x), [[INF, INF, 0.0]], [[0.5, 0.5, 0.0]]),
    "logsumexp(inf,inf) with weights 1, 3": (
        lambda xp, x: xp.special.logsumexp(x, b=xp.asarray([1.0, 3.0])),
        [[INF, INF]],
        [[0.25, 0.75]],
    ),
    "logsumexp(inf,0) with weights 0, 1": (
        lambda xp, x: xp.special.logsumexp(x, b=xp.asarray([0.0, 1.0])),
        [[INF, 0.0]],
        [[0.0, 1.0]],
    ),
    "x/x at 0": (lambda xp, x: x / x, [0.0], [NAN]),
    "sum over repeated subscripts": (lambda xp, x: x[xp.asarray([0, 0, 1])], [[1.0, 2.0]], [[2.0, 1.0]]),
}

SECOND: dict[str, Row] = {  # the matrix of second derivatives of the sum of a function of one vector
    "abs at 0": (lambda xp, x: xp.abs(x), [0.0], [[0.0]]),
    "x**2 at 0": (lambda xp, x: x**2, [0.0], [[2.0]]),
    "x**2.0 at 0": (lambda xp, x: x**2.0, [0.0], [[2.0]]),
    "x**3 at 0": (lambda xp, x: x**3, [0.0], [[0.0]]),
    "x**1 at 0": (lambda xp, x: x**1, [0.0], [[0.0]]),
    "square at 0": (lambda xp, x: xp.square(x), [0.0], [[2.0]]),
    "prod of [0,2,3]": (
        lambda xp, x: xp.prod(x),
        [0.0, 2.0, 3.0],
        [[0.0, 3.0, 2.0], [3.0, 0.0, 0.0], [2.0, 0.0, 0.0]],
    ),
    "prod of [0,0,3]": (
        lambda xp, x: xp.prod(x),
        [0.0, 0.0, 3.0],
        [[0.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ),
    "cumulative_prod of [2,0,3]": (
        lambda xp, x: xp.cumulative_prod(x),
        [2.0, 0.0, 3.0],
        [[0.0, 4.0, 0.0], [4.0, 0.0, 2.0], [0.0, 2.0, 0.0]],
    ),
    "cumulative_prod of [0,0,3]": (
        lambda xp, x: xp.cumulative_prod(x),
        [0.0, 0.0, 3.0],
        [[0.0, 4.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ),
    "max, ties": (lambda xp, x: xp.max(x), [3.0, 3.0], [[0.0, 0.0], [0.0, 0.0]]),
    "max² , ties": (lambda xp, x: xp.max(x) ** 2, [3.0, 3.0], [[0.5, 0.5], [0.5, 0.5]]),
    "maximum, tie": (lambda xp, x: xp.maximum(x[0], x[1]) ** 2, [3.0, 3.0], [[0.5, 0.5], [0.5, 0.5]]),
    "clip at a bound": (lambda xp, x: xp.clip(x, -1.0, 1.0) ** 2, [1.0], [[2.0]]),
    "log at -1": (lambda xp, x: xp.log(x), [-1.0], [[-1.0]]),
    "gammainc(1, 0)": (lambda xp, x: xp.special.gammainc(1.0, x), [0.0], [[-1.0]]),
    "gammainc(2, 0)": (lambda xp, x: xp.special.gammainc(2.0, x), [0.0], [[1.0]]),
    "logaddexp(0,0)": (lambda xp, x: xp.logaddexp(x[0], x[1]), [0.0, 0.0], [[0.25, -0.25], [-0.25, 0.25]]),
    "where(x>0, x**2, 0) at -1": (lambda xp, x: xp.where(x > 0, x**2, 0.0), [-1.0], [[0.0]]),
    "remainder": (lambda xp, x: xp.remainder(x[0], x[1]) ** 2, [5.0, 3.0], [[2.0, -2.0], [-2.0, 2.0]]),
}

# What forward mode says where it knows more, or less, than reverse mode: a tangent that a mask drops never meets the
# zero that makes it nan; a direction chooses a basis among equal eigenvalues, or leaves it open, whatever the loss.
FORWARD: dict[str, list[Any]] = {
    "eigenvectors of eye, summed": [[[0.0, NAN], [NAN, 0.0]]],
    "exp(eye), by eigh, weighted": [[[E, NAN], [NAN, 3 * E]]],
    "eye, by svd, weighted": [[[1.0, NAN], [NAN, 3.0]]],
    "where(x>0, 1/x, 0) at 0": [0.0],
    "where(x>0, sqrt(x), 0) at 0": [0.0],
}

# case: (function, the arguments, what the error says)
REFUSED: dict[str, tuple[Callable[..., Any], list[Any], str]] = {
    "svd, through extra columns": (
        lambda xp, x: xp.linalg.svd(x, full_matrices=True)[0],
        [[[1.0, 0.5], [0.2, 1.0], [0.3, 0.7]]],
        "full_matrices",
    ),
    "eig, through the phase of eigenvectors": (
        lambda xp, x: xp.imag(xp.linalg.eig(x)[1]),
        [[[0.0, -1.0], [1.0, 0.5]]],
        "phase",
    ),
}


def singular_logabsdet(xp: Any, x: Any) -> Any:
    """Return log |det x|; at a singular matrix its gradient is not finite, whatever it is."""
    return xp.linalg.slogdet(x)[1]


def as_markdown() -> str:
    """Write the tables as a page of the reference."""
    lines = [
        "# The value of every delicate derivative",
        "",
        "One convention on every backend, in forward and reverse mode, eager and compiled. Differentiable: the "
        "gradient. Convex: the subgradient of least norm. Concave: the supergradient of least norm. Defined only as a "
        "limit: by continuity, inf allowed. Undefined: nan, never a silent wrong number.",
        "",
        "Written from `autodiff_api/testing/conventions.py` by `python -m autodiff_api conventions`; "
        "`tests/parity/test_conventions.py` checks each row on each backend.",
        "",
        "## First derivatives",
        "",
        "The gradient of the sum of the function's elements, by each argument.",
        "",
        "| case | at | gradient |",
        "|---|---|---|",
        *(f"| {_cell(case)} | {_numbers(points)} | {_numbers(found)} |" for case, (_, points, found) in FIRST.items()),
        "| logabsdet of a singular matrix | [[1, 2], [2, 4]] | not finite |",
        *(f"| {_cell(case)} | {_numbers(points)} | an error |" for case, (_, points, _) in REFUSED.items()),
        "",
        "Going forward, a tangent that a mask drops never meets the zero that makes it nan; a direction may choose a "
        "basis among equal eigenvalues, or leave it open:",
        "",
        "| case | derivative going forward |",
        "|---|---|",
        *(f"| {_cell(case)} | {_numbers(found)} |" for case, found in FORWARD.items()),
        "",
        "## Second derivatives",
        "",
        "The matrix of second derivatives of the sum of the function's elements.",
        "",
        "| case | at | second derivatives |",
        "|---|---|---|",
        *(f"| {_cell(case)} | {_numbers(points)} | {_numbers(found)} |" for case, (_, points, found) in SECOND.items()),
        "",
        "## What has no gradient",
        "",
        "- A cast to an integer dtype ends differentiation; back at a float nothing requires grad.",
        "- `requires_grad=True` on an integer or bool array is a RuntimeError.",
        "- The `.grad` of an unused leaf stays None, and `grad()` raises unless `allow_unused`.",
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _numbers(values: Any) -> str:
    """Write numbers as they are in the tables, fractions to four digits."""
    if isinstance(values, list | tuple):
        inside = ", ".join(map(_numbers, values))
        return inside if any(isinstance(v, list | tuple) for v in values) and len(values) == 1 else f"[{inside}]"
    if hasattr(values, "tolist"):
        return str(values.tolist())
    return f"{values:.4g}" if isinstance(values, float) else str(values)
