"""Which elements of an op's result depend on which of its inputs, for any values: what each op does to a pattern.

A pattern is a boolean matrix with a row for each element of an array, and a column for each element of what it was
computed from. An op does one of four things to the rows of its inputs' patterns:

- element-wise ops unite those that meet by broadcasting;
- ops that move elements about (`MOVES`) move rows; they are run on the numbers of the rows;
- ops along axes (`ALONG`) unite rows along some axes of an input, and go along the result with the others;
- any other op unites them all: each element of its result depends on each of its inputs, as far as anyone knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..binding import namespace
from ..rules.kinds import Elementwise, Op, invoker_of, zero

Shape = tuple[int, ...]
Places = list[int | None]  # for each axis of an input: the axis of the result that it goes along with, None if none
Pattern = Any  # a scipy.sparse.csr_array of bool, or None where nothing depends on anything

MEETING = ("alias", "astype", "clone", "complex", "sign", "to_device", "where")  # element-wise, by rules of other kinds
MOVES = (
    "broadcast_to", "concat", "expand_dims", "fft.fftshift", "fft.ifftshift", "flip", "getitem", "linalg.diagonal",
    "matrix_transpose", "moveaxis", "permute_dims", "repeat", "reshape", "roll", "setitem", "squeeze", "stack", "take",
    "take_along_axis", "tile", "tril", "triu",
)  # fmt: skip


class Site:
    """An op where it was used: the shapes of its inputs and of its result, its static arguments."""

    def __init__(self, op: Op, inputs: Sequence[Any], params: Sequence[Any], shape: Shape) -> None:
        self.op, self.inputs, self.params, self.shape = op, inputs, tuple(params), tuple(shape)
        self.shapes = [tuple(getattr(x, "shape", ())) for x in inputs]
        self.statics = dict(zip(op.statics, params, strict=False))

    def flow(self, patterns: Sequence[Pattern]) -> Pattern:
        """Return the pattern of the result."""
        if all(p is None for p in patterns):
            return None
        op = self.op
        if isinstance(op.rule, Elementwise) or op.name in MEETING:
            rest = [None if self._stands_still(i) else p for i, p in enumerate(patterns)]
            return unite([spread(p, s, beside(s, self.shape), self.shape) for p, s in zip(rest, self.shapes)])  # noqa: B905
        if op.name in MOVES:
            return self._move(patterns)
        if op.name == "scatter_add":
            return self._scatter(patterns)
        if op.name.startswith("cumulative_"):
            return self._accumulate(patterns[0])
        if op.name == "linalg.trace":
            return self._trace(patterns)
        along = ALONG.get(op.name, whole)
        parts = []
        for i, (p, shape) in enumerate(zip(patterns, self.shapes, strict=True)):
            places = along(self, i) if p is not None else []
            parts.append(spread(p, shape, places if self._fit(shape, places) else [None] * len(shape), self.shape))
        return unite(parts)

    def _stands_still(self, i: int) -> bool:
        """Tell whether the derivative by an input is zero everywhere, as of `floor`."""
        return self.op.rule is not None and self.op.rule.formulas.get(self.op.arrays[i]) is zero

    def _fit(self, shape: Shape, places: Places) -> bool:
        return all(p is None or (p < len(self.shape) and n in (1, self.shape[p])) for n, p in zip(shape, places))  # noqa: B905

    def _move(self, patterns: Sequence[Pattern]) -> Pattern:
        """Run the op on the numbers of the rows of all inputs; row 0 is empty, for what comes from nowhere."""
        from scipy import sparse

        width = next(p.shape[1] for p in patterns if p is not None)
        rows, arrays, start = [sparse.csr_array((1, width), dtype=bool)], [], 1
        moved = self.op.rule.formulas if self.op.rule else {}
        for i, (p, x, shape) in enumerate(zip(patterns, self.inputs, self.shapes, strict=True)):
            if not self.op.variadic and self.op.arrays[i] not in moved:
                arrays.append(on_host(x))  # indices
            elif p is None:
                arrays.append(np.zeros(shape, dtype=np.int64))
            else:
                size = math.prod(shape)
                arrays.append(np.arange(start, start + size).reshape(shape))
                rows.append(p)
                start += size
        numbers = self._run(self.op, arrays)
        return (sparse.vstack(rows, format="csr") if len(rows) > 1 else rows[0])[numbers.ravel()]

    def _scatter(self, patterns: Sequence[Pattern]) -> Pattern:
        """Unite the rows of what is added with those of where it is added."""
        getitem = namespace("numpy")._ops["getitem"]
        targets = self._run(getitem, [np.arange(math.prod(self.shape)).reshape(self.shape)])
        base, added = patterns
        if added is not None:
            added = spread(added, self.shapes[1], beside(self.shapes[1], targets.shape), targets.shape)
            added = gather(targets.ravel(), math.prod(self.shape)) @ added
        return unite([spread(base, self.shapes[0], beside(self.shapes[0], self.shape), self.shape), added])

    def _trace(self, patterns: Sequence[Pattern]) -> Pattern:
        """Unite the rows on the diagonal."""
        diagonal, offset = namespace("numpy")._ops["linalg.diagonal"], self.statics["offset"]
        height, width = self.shapes[0][-2:]
        shape = (*self.shape, max(0, min(height, width, height + offset, width - offset)))
        pattern = Site(diagonal, self.inputs, (offset,), shape).flow(patterns)
        return spread(pattern, shape, [*range(len(self.shape)), None], self.shape)

    def _run(self, op: Op, arrays: Sequence[Any]) -> Any:
        kernel = namespace("numpy")._lower.kernel(op.name)
        return np.asarray(invoker_of(op)(kernel, arrays, on_host(self.params)))

    def _accumulate(self, pattern: Pattern) -> Pattern:
        """Unite each row with those before it along the axis."""
        shape = self.shapes[0]
        axis = (self.statics.get("axis") or 0) % len(shape)
        n, m = shape[axis], self.shape[axis]  # one more, if it begins with the sum of nothing
        late, early = np.tril_indices(m, n - m, n)
        old, new = (np.moveaxis(np.arange(math.prod(s)).reshape(s), axis, -1) for s in (shape, self.shape))
        pairs = new[..., late].ravel(), math.prod(self.shape), old[..., early].ravel(), math.prod(shape)
        return gather(*pairs) @ pattern


def on_host(x: Any) -> Any:
    """Return an array, or arrays in a tuple of static arguments, as NumPy's."""
    if isinstance(x, tuple):
        return tuple(map(on_host, x))
    return np.asarray(x) if hasattr(x, "dtype") and hasattr(x, "shape") and not isinstance(x, type) else x


def unite(patterns: Sequence[Pattern]) -> Pattern:
    """Return what depends on something in any of some patterns of one shape."""
    found = list({id(p): p for p in patterns if p is not None}.values())
    if not found:
        return None
    total = found[0]
    for p in found[1:]:
        total = total + p
    return total


def gather(targets: Any, height: int, sources: Any = None, width: int | None = None) -> Pattern:
    """Return the matrix that unites rows: row `sources[k]` goes to row `targets[k]`."""
    from scipy import sparse

    sources = np.arange(len(targets)) if sources is None else sources
    shape = (height, len(targets) if width is None else width)
    return sparse.csr_array((np.ones(len(targets), dtype=bool), (targets, sources)), shape=shape)


def beside(shape: Shape, out: Shape) -> Places:
    """Return the places of axes by broadcasting: the last beside the last. Leading ones may be too many."""
    shift = len(out) - len(shape)
    return [a + shift if a + shift >= 0 else None for a in range(len(shape))]


def spread(pattern: Pattern, shape: Shape, places: Places, out: Shape) -> Pattern:
    """Unite rows along the axes without a place, and repeat them along the axes of the result without an origin."""
    if pattern is None or (shape == out and places == list(range(len(out)))):
        return pattern
    kept = [n if p is not None else 1 for n, p in zip(shape, places, strict=True)]
    if any(p is None and n != 1 for n, p in zip(shape, places, strict=True)):
        groups = np.broadcast_to(np.arange(math.prod(kept)).reshape(kept), shape)
        pattern = gather(groups.ravel(), math.prod(kept)) @ pattern
    aligned = [1] * len(out)
    for n, p in zip(shape, places, strict=True):
        if p is not None:
            aligned[p] = n
    if tuple(aligned) == out:
        return pattern
    return pattern[np.broadcast_to(np.arange(math.prod(kept)).reshape(aligned), out).ravel()]


# --- ops along axes: where the axes of an input go ---


def whole(site: Site, i: int) -> Places:
    """Mix all axes: what is not known to keep elements apart."""
    return [None] * len(site.shapes[i])


def along(site: Site, i: int) -> Places:
    """Axes that the op names mix; the others stay, in order."""
    ndim = len(site.shapes[i])
    given = site.statics.get("axis", site.statics.get("axes"))
    if given is None or ndim != len(site.shapes[0]):
        return whole(site, i)
    mixed = {a % ndim for a in (given if isinstance(given, tuple | list) else (given,))}
    kept = [a for a in range(ndim) if a not in mixed]
    if len(site.shape) == len(kept):
        return [kept.index(a) if a in kept else None for a in range(ndim)]
    return [a if a in kept else None for a in range(ndim)]


def matrices(site: Site, i: int) -> Places:
    """Functions of matrices: the axes before the last two are a stack of them."""
    ndim = len(site.shapes[i])
    return [a if a < ndim - 2 else None for a in range(ndim)]


def product(site: Site, i: int) -> Places:
    """Matrix products: a row goes with the rows of the result, a column with its columns."""
    first, second = map(len, site.shapes)
    ndim, last = (first, second)[i], len(site.shape)
    places: Places = beside(site.shapes[i][:-2], site.shape[: last - (first > 1) - (second > 1)])
    if i == 0:
        return [*places, last - 1 - (second > 1), None] if ndim > 1 else [None]
    return [*places, None, last - 1] if ndim > 1 else [None]


def linear(site: Site, i: int) -> Places:
    """Return the places of `x @ weight.mT + bias`: a row of the weight makes one element of the last axis."""
    shape, last = site.shapes[i], len(site.shape) - 1
    if i == 0:
        return [*range(len(shape) - 1), None]
    return [last] if i == 2 and shape else [] if i == 2 else [last, None][-len(shape) :]


def solution(site: Site, i: int) -> Places:
    """Linear systems: a column of the solution goes with one of the right-hand side."""
    vector = len(site.shapes[1]) == 1
    ndim, last = len(site.shapes[i]), len(site.shape)
    if vector:
        return [*range(ndim - 2 + i), None, None][:ndim] if i == 0 else [None]
    places = beside(site.shapes[i][:-2], site.shape[:-2])
    return [*places, None, last - 1 if i else None]


def outer(site: Site, i: int) -> Places:
    """Outer products: the first vector goes with the rows, the second with the columns."""
    return [i]


def tensordot(site: Site, i: int) -> Places:
    """Contractions: the axes that are left go one after another."""
    axes, ndims = site.statics["axes"], list(map(len, site.shapes))
    if isinstance(axes, int):
        axes = (range(ndims[0] - axes, ndims[0]), range(axes))
    mixed = [{a % n for a in given} for given, n in zip(axes, ndims, strict=True)]
    free = [a for a in range(ndims[i]) if a not in mixed[i]]
    start = (ndims[0] - len(mixed[0])) * i
    return [start + free.index(a) if a in free else None for a in range(ndims[i])]


def vecdot(site: Site, i: int) -> Places:
    """Inner products along an axis, which the standard counts from the end."""
    axis, shape = site.statics["axis"], site.shapes[i]
    if axis >= 0:
        return whole(site, i)
    rest = [a for a in range(len(shape)) if a != len(shape) + axis]
    places = beside(tuple(shape[a] for a in rest), site.shape)
    return [None if a not in rest else places[rest.index(a)] for a in range(len(shape))]


ALONG: dict[str, Callable[[Site, int], Places]] = {
    "fft.fft": along,
    "fft.fftn": along,
    "fft.hfft": along,
    "fft.ifft": along,
    "fft.ifftn": along,
    "fft.ihfft": along,
    "fft.irfft": along,
    "fft.irfftn": along,
    "fft.rfft": along,
    "fft.rfftn": along,
    "linalg.adjugate": matrices,
    "linalg.cholesky": matrices,
    "linalg.cross": along,
    "linalg.det": matrices,
    "linalg.eig": matrices,
    "linalg.eigh": matrices,
    "linalg.eigvals": matrices,
    "linalg.eigvalsh": matrices,
    "linalg.inv": matrices,
    "linalg.matrix_norm": matrices,
    "linalg.matrix_power": matrices,
    "linalg.outer": outer,
    "linalg.pinv": matrices,
    "linalg.qr": matrices,
    "linalg.slogdet": matrices,
    "linalg.solve": solution,
    "linalg.solve_triangular": solution,
    "linalg.svd": matrices,
    "linalg.svdvals": matrices,
    "linalg.vector_norm": along,
    "matmul": product,
    "max": along,
    "mean": along,
    "min": along,
    "nn.linear": linear,
    "prod": along,
    "sort": along,
    "special.log_softmax": along,
    "special.logsumexp": along,
    "special.softmax": along,
    "std": along,
    "sum": along,
    "tensordot": tensordot,
    "var": along,
    "vecdot": vecdot,
}
