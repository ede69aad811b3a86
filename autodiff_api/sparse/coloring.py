"""Colouring: which columns (or rows) of a sparse matrix can be computed together.

Columns of one colour have no row in common, so that their sum tells each of them. Greedy colourings, each a loop over
the nonzeros with sets of colours as the bits of an integer. References: A. R. Curtis, M. J. D. Powell and J. K. Reid,
On the estimation of sparse Jacobian matrices (1974); A. H. Gebremedhin, F. Manne and A. Pothen, What color is your
Jacobian? (2005); for symmetric matrices A. H. Gebremedhin, A. Tarafdar, F. Manne and A. Pothen (2007).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ArgumentError, ArgumentTypeError

Array = Any  # a numpy.ndarray


@dataclass(frozen=True, eq=False)
class Coloring:
    """The columns or the rows of a sparse matrix in colours: each colour takes one pass.

    `by` is "columns" (forward mode), "rows" (reverse mode) or "symmetric" (columns of a Hessian, each entry read where
    either triangle shows it alone). `colors` has a colour for each column (or row), -1 for an empty one.
    """

    pattern: Any
    by: str
    colors: Array
    count: int

    def __repr__(self) -> str:
        height, width = self.pattern.shape
        return f"<{height} x {width} matrix, {self.pattern.nnz} nonzeros: {self.count} colors by {self.by}>"

    def seeds(self, dtype: Any, start: int = 0, stop: int | None = None) -> Array:
        """Return a row for each colour (from one to another) with ones where it is: the directions of the passes."""
        stop = self.count if stop is None else stop
        matrix = np.zeros((stop - start, len(self.colors)), dtype=dtype)
        chosen = np.flatnonzero((self.colors >= start) & (self.colors < stop))
        matrix[self.colors[chosen] - start, chosen] = 1
        return matrix

    @cached_property
    def shown(self) -> tuple[Array, Array]:
        """Which pass shows each nonzero, in the order of the pattern, and at which place of what the pass gives."""
        columns = self.pattern.indices
        rows = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr))
        if self.by == "rows":
            return self.colors[rows], columns
        if self.by == "columns":
            return self.colors[columns], rows
        meeting = rows * np.int64(self.count) + self.colors[columns]
        _, group, times = np.unique(meeting, return_inverse=True, return_counts=True)
        alone = times[group] == 1  # in its row, of its column's colour; if not, its mirror image is
        return self.colors[np.where(alone, columns, rows)], np.where(alone, rows, columns)

    def decompress(self, products: Array) -> Any:
        """Return the sparse matrix, given what the passes found: its products with the seeds, a row for each."""
        passes, places = self.shown
        return self.matrix(np.asarray(products)[passes, places])

    def matrix(self, nonzeros: Array) -> Any:
        """Return the sparse matrix with these values at its nonzeros."""
        pattern = self.pattern
        return scipy_sparse().csr_array((nonzeros, pattern.indices.copy(), pattern.indptr.copy()), pattern.shape)


def color(pattern: Any, by: str | None = None) -> Coloring:
    """Return a colouring of a sparsity pattern with few colours.

    `pattern` is any matrix, sparse or dense: its nonzeros count. `by` is "columns", "rows" or "symmetric" (for a
    Hessian); without it, columns or rows, whichever need fewer. Raises `ArgumentError` for a pattern that can't be.

    >>> import numpy as np
    >>> color(np.tri(6, k=1) - np.tri(6, k=-2))
    <6 x 6 matrix, 16 nonzeros: 3 colors by columns>
    """
    pattern = as_pattern(pattern)
    if by not in (None, "columns", "rows", "symmetric"):
        raise ArgumentError(f"color: by={by!r}; it must be 'columns', 'rows' or 'symmetric', or left out")
    if by == "symmetric":
        return _symmetric(pattern)
    sides = {"columns": (pattern.T.tocsr(), pattern), "rows": (pattern, pattern.T.tocsr())}
    if by is not None:
        return _best(pattern, by, *sides[by])
    fewest = {side: int(np.diff(across.indptr).max(initial=0)) for side, (_, across) in sides.items()}
    first, second = sorted(sides, key=lambda side: fewest[side])  # columns, if equal
    found = _best(pattern, first, *sides[first])
    if found.count <= fewest[second]:
        return found
    other = _best(pattern, second, *sides[second])
    return other if other.count < found.count else found


def as_pattern(given: Any) -> Any:
    """Return the nonzeros of a matrix as a sparse boolean one, its indices sorted."""
    sparse = scipy_sparse()
    if not sparse.issparse(given):
        given = np.asarray(given)
    if given.ndim != 2:
        raise ArgumentTypeError(f"a sparsity pattern is a matrix, sparse or dense; got {given.ndim} dimensions")
    found = sparse.csr_array(given, dtype=bool)
    found.sum_duplicates()
    found.eliminate_zeros()
    found.sort_indices()
    return found


def scipy_sparse() -> Any:
    """Return `scipy.sparse`; an error that names what to install, without it."""
    try:
        from scipy import sparse
    except ImportError as error:
        from ..errors import MissingExtraError

        raise MissingExtraError("sparse matrices are SciPy's: pip install scipy") from error
    return sparse


def _best(pattern: Any, by: str, lines: Any, across: Any) -> Coloring:
    """Color lines (columns or rows), in their order and the fullest first, and keep the better."""
    fewest = int(np.diff(across.indptr).max(initial=0))  # lines that meet in one place need as many colours
    length = np.diff(lines.indptr)
    best = _greedy(lines, across.shape[0], np.flatnonzero(length))
    if best.max(initial=-1) + 1 > fewest:
        other = _greedy(lines, across.shape[0], np.argsort(-length, kind="stable")[: np.count_nonzero(length)])
        best = min(best, other, key=lambda colors: colors.max())
    return Coloring(pattern, by, best, int(best.max(initial=-1)) + 1)


def _greedy(lines: Any, height: int, order: Array) -> Array:
    """Give each line the first colour that none has which it meets."""
    used = [0] * height  # for each place, the colours of the lines through it, as bits
    starts, places = lines.indptr.tolist(), lines.indices.tolist()
    colors = np.full(len(starts) - 1, -1)
    for line in order.tolist():
        through = places[starts[line] : starts[line + 1]]
        taken = 0
        for place in through:
            taken |= used[place]
        bit = ~taken & (taken + 1)
        for place in through:
            used[place] |= bit
        colors[line] = bit.bit_length() - 1
    return colors


def _symmetric(pattern: Any) -> Coloring:
    """Color the columns of a symmetric matrix so that each entry, or its mirror image, is alone in its product."""
    height, width = pattern.shape
    if height != width or (pattern != pattern.T).nnz:
        raise ArgumentError(
            "color: by='symmetric', but the pattern is not; a Hessian's pattern is that of its transpose"
        )
    length = np.diff(pattern.indptr)
    orders = (np.flatnonzero(length), np.argsort(-length, kind="stable")[: np.count_nonzero(length)])
    best = min((_star(pattern, order) for order in orders), key=lambda colors: colors.max(initial=-1))
    return Coloring(pattern, "symmetric", best, int(best.max(initial=-1)) + 1)


def _star(pattern: Any, order: Iterable[int]) -> Array:
    """Color a graph so that neighbours differ, and each path over four vertices has three colours or more.

    A vertex may not have the colours of its neighbours; nor, by a neighbour that is yet to be coloured, of its other
    neighbours; nor, by one that has its colour, of those next to it that have two neighbours of that colour.
    """
    starts, places = pattern.indptr.tolist(), pattern.indices.tolist()
    n = len(starts) - 1
    colors = [-1] * n
    near = [0] * n  # the colours of the neighbours, as bits
    paired = [0] * n  # of those neighbours that have another neighbour of this vertex's colour
    first: list[dict[int, int]] = [{} for _ in range(n)]  # by colour, a neighbour that has it
    for v in map(int, order):
        neighbours = [w for w in places[starts[v] : starts[v + 1]] if w != v]
        taken = 0
        for w in neighbours:
            taken |= near[w] if colors[w] < 0 else (1 << colors[w]) | paired[w]
        bit = ~taken & (taken + 1)
        c = colors[v] = bit.bit_length() - 1
        for w in neighbours:
            near[w] |= bit
            other = first[w].setdefault(c, v)
            if other != v and colors[w] >= 0:
                paired[v] |= 1 << colors[w]
                paired[other] |= 1 << colors[w]
    return np.asarray(colors)
