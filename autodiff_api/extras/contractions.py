"""Products of arrays: `einsum`, `dot`, `kron`, `outer`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

from ..errors import ArgumentError
from .subscripts import parse


class Term(NamedTuple):
    """An operand of `einsum`, and a label for each of its axes."""

    array: Any
    labels: tuple[str, ...]


class Contractions:
    """Functions that multiply arrays and sum."""

    def dot(self, x1: Any, x2: Any, /) -> Any:
        """Return the product with the last axis of `x1` and the last but one of `x2` (or its only one) summed over."""
        xp: Any = self
        x1, x2 = xp.asarray(x1), xp.asarray(x2)
        if not x1.ndim or not x2.ndim:
            return x1 * x2
        return xp.tensordot(x1, x2, axes=((x1.ndim - 1,), (max(x2.ndim - 2, 0),)))

    def einsum(self, subscripts: str, /, *operands: Any, optimize: Any = True) -> Any:
        """Return the sum of products that `subscripts` describes in Einstein's notation.

        A letter names an axis of each operand. Axes of one name go together; those that are not in the output, by
        default those named more than once, are summed over. `...` stands for any leading axes. Operands are
        contracted in pairs, those first whose product is smallest, or, with `optimize=False`, from left to right.

        >>> import autodiff_api as ad
        >>> a = ad.reshape(ad.arange(4.0), (2, 2))
        >>> ad.einsum("ij,kj->ik", a, a)
        tensor([[ 1.,  3.],
                [ 3., 13.]])
        """
        xp: Any = self
        if not isinstance(subscripts, str):
            raise ArgumentError(f"einsum: give the subscripts as a string such as 'ij,jk->ik', not {subscripts!r}")
        arrays = [xp.asarray(x) for x in operands]
        inputs, output, sizes = parse(subscripts, tuple(tuple(x.shape) for x in arrays))
        terms = [_simplified(xp, Term(x, labels), sizes) for x, labels in zip(arrays, inputs, strict=True)]
        terms = [_summed(xp, t, _needed(terms, output, i)) for i, t in enumerate(terms)]
        while len(terms) > 1:
            i, j = _cheapest(terms, output, sizes) if optimize else (0, 1)
            product = _contracted(xp, terms[i], terms[j], _needed(terms, output, i, j), sizes)
            terms = [product, *(t for k, t in enumerate(terms) if k not in (i, j))]
        (last,) = terms
        return xp.permute_dims(last.array, tuple(last.labels.index(label) for label in output))

    def kron(self, x1: Any, x2: Any, /) -> Any:
        """Return the Kronecker product: `x2` repeated, times each element of `x1`."""
        xp: Any = self
        x1, x2 = xp.asarray(x1), xp.asarray(x2)
        ndim = max(x1.ndim, x2.ndim)
        s1, s2 = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (x1, x2))
        blocks = xp.reshape(x1, tuple(m for n in s1 for m in (n, 1)))
        insides = xp.reshape(x2, tuple(m for n in s2 for m in (1, n)))
        return xp.reshape(blocks * insides, tuple(n * m for n, m in zip(s1, s2, strict=True)))

    def outer(self, x1: Any, x2: Any, /) -> Any:
        """Return the products of each element of `x1` with each of `x2`, as a matrix."""
        xp: Any = self
        return xp.reshape(xp.asarray(x1), (-1, 1)) * xp.reshape(xp.asarray(x2), (1, -1))


def _simplified(xp: Any, term: Term, sizes: dict[str, int]) -> Term:
    """Drop axes of length 1 that broadcast, and take the diagonal of those that have one label."""
    x, labels = term
    stretched = tuple(i for i, label in enumerate(labels) if x.shape[i] == 1 != sizes[label])
    if stretched:
        x = xp.squeeze(x, stretched)
        labels = tuple(label for i, label in enumerate(labels) if i not in stretched)
    while len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        i = labels.index(twice)
        j = labels.index(twice, i + 1)
        x = xp.linalg.diagonal(xp.moveaxis(x, (i, j), (-2, -1)))
        labels = (*(label for k, label in enumerate(labels) if k not in (i, j)), twice)
    return Term(x, labels)


def _needed(terms: Sequence[Term], output: tuple[str, ...], *but: int) -> set[str]:
    """Return the labels of the output and of all terms but these."""
    return {*output, *(label for k, t in enumerate(terms) if k not in but for label in t.labels)}


def _summed(xp: Any, term: Term, needed: set[str]) -> Term:
    """Sum over the axes that nothing else needs."""
    axes = tuple(i for i, label in enumerate(term.labels) if label not in needed)
    if not axes:
        return term
    return Term(xp.sum(term.array, axis=axes), tuple(label for label in term.labels if label in needed))


def _cheapest(terms: Sequence[Term], output: tuple[str, ...], sizes: dict[str, int]) -> tuple[int, int]:
    """Return the two terms whose product saves most memory, or costs least."""

    def cost(pair: tuple[int, int]) -> int:
        needed = _needed(terms, output, *pair)
        labels = [set(terms[k].labels) for k in pair]
        product, *parts = (math.prod(sizes[n] for n in s) for s in ((labels[0] | labels[1]) & needed, *labels))
        return product - sum(parts)

    return min(combinations(range(len(terms)), 2), key=cost)


def _contracted(xp: Any, a: Term, b: Term, needed: set[str], sizes: dict[str, int]) -> Term:
    """Return the product of two terms, summed over the labels that nothing else needs, by one `matmul`."""
    both = [label for label in a.labels if label in b.labels]
    batch = [label for label in both if label in needed]
    inner = [label for label in both if label not in needed]
    rows = [label for label in a.labels if label not in both]
    columns = [label for label in b.labels if label not in both]

    def arranged(term: Term, *groups: Sequence[str]) -> Any:
        """Return a term's array with its axes in groups, each made one (the first as many as there are)."""
        order = tuple(term.labels.index(label) for group in groups for label in group)
        shape = [sizes[label] for label in groups[0]]
        shape += [math.prod(sizes[label] for label in group) for group in groups[1:]]
        return xp.reshape(xp.permute_dims(term.array, order), tuple(shape))

    left, right = arranged(a, batch, rows, inner), arranged(b, batch, inner, columns)
    product = left @ right if inner else left * right  # of a column and a row
    labels = (*batch, *rows, *columns)
    return Term(xp.reshape(product, tuple(sizes[label] for label in labels)), labels)
