"""What `einsum` does with its operands, worked out from labels and sizes alone, once for each kind of call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import combinations
from typing import Any, NamedTuple

from .subscripts import Labels, Shapes, parse

Sizes = Mapping[str, int]
Path = Sequence[Sequence[int]]
Changes = tuple[tuple[str, tuple[int, ...]], ...]  # of one operand: a function's name, and axes


class Layout(NamedTuple):
    """How an operand is laid out for a product: its axes in an order, then in a shape; None for as they are."""

    order: tuple[int, ...] | None
    shape: tuple[int, ...] | None


class Product(NamedTuple):
    """Two operands, by their places, laid out and multiplied; the product takes their place, at the end.

    `kind` is "matmul", "multiply", or "sum" of the products along the last axis.
    """

    places: tuple[int, int]
    layouts: tuple[Layout, Layout]
    kind: str
    shape: tuple[int, ...]


class Plan(NamedTuple):
    """Changes of single operands; products; the order of the output's axes."""

    changes: tuple[Changes, ...]
    products: tuple[Product, ...]
    order: tuple[int, ...] | None


@lru_cache(maxsize=256)
def plan(subscripts: str, shapes: Shapes, optimize: bool) -> Plan:
    """Return what to do, with operands of these shapes."""
    inputs, output, sizes = parse(subscripts, shapes)
    single = [simplified(labels, shape, sizes) for labels, shape in zip(inputs, shapes, strict=True)]
    terms, changes = [labels for labels, _ in single], [steps for _, steps in single]
    for k, labels in enumerate(terms):
        needed = {*output, *(label for i, other in enumerate(terms) if i != k for label in other)}
        unneeded = tuple(i for i, label in enumerate(labels) if label not in needed)
        if unneeded:
            terms[k] = tuple(label for label in labels if label in needed)
            changes[k] = (*changes[k], ("sum", unneeded))
    products = []
    for places in path_of(terms, output, sizes) if optimize else [(0, 1)] * (len(terms) - 1):
        for i, j in pairwise_places(places, len(terms)):
            rest = [t for k, t in enumerate(terms) if k not in (i, j)]
            product, labels = contracted(terms[i], terms[j], {*output, *(n for t in rest for n in t)}, sizes)
            products.append(Product((i, j), *product))
            terms = [*rest, labels] if optimize else [labels, *rest]
    return Plan(tuple(changes), tuple(products), order_of(terms[0], output))


def pairwise_places(places: Sequence[int], count: int) -> Iterator[tuple[int, int]]:
    """Yield pairs for a step of a path, which may name more than two places; what a pair makes stands at the end."""
    left = sorted(places)
    while len(left) > 1:
        i, j = left[0], left[1]
        yield i, j
        count -= 1
        left = sorted([k - (k > i) - (k > j) for k in left[2:]] + [count - 1])


def simplified(labels: Labels, shape: Sequence[int], sizes: Sizes) -> tuple[Labels, Changes]:
    """Drop axes of length 1 that broadcast, and take the diagonal of those that have one label."""
    steps: list[tuple[str, tuple[int, ...]]] = []
    stretched = tuple(i for i, label in enumerate(labels) if shape[i] == 1 != sizes[label])
    if stretched:
        labels = tuple(label for i, label in enumerate(labels) if i not in stretched)
        steps.append(("squeeze", stretched))
    while len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        i = labels.index(twice)
        j = labels.index(twice, i + 1)
        labels = (*(label for k, label in enumerate(labels) if k not in (i, j)), twice)
        steps.append(("diagonal", (i, j)))
    return labels, tuple(steps)


def path_of(terms: Sequence[Labels], output: Labels, sizes: Sizes) -> Path:
    """Return which operands to multiply, step by step: opt_einsum's where it is installed, else the greedy one."""
    if len(terms) < 3:
        return [(0, 1)] * (len(terms) - 1)
    theirs = optimizer()
    if theirs is not None:
        found: Path = theirs([frozenset(t) for t in terms], frozenset(output), dict(sizes), None)
        return found
    return greedy(terms, output, sizes)


@cache
def optimizer() -> Callable[..., Path] | None:
    """Return opt_einsum's search for a path; None where that is not installed."""
    if find_spec("opt_einsum") is None:
        return None
    return import_module("opt_einsum.paths").auto  # type: ignore[no-any-return]


def greedy(terms: Sequence[Labels], output: Labels, sizes: Sizes) -> Path:
    """Return a path that at each step multiplies the two operands whose product saves most memory, or costs least."""
    left, path = [set(t) for t in terms], []

    def product(i: int, j: int) -> set[str]:
        rest = [t for k, t in enumerate(left) if k not in (i, j)]
        return (left[i] | left[j]) & set(output).union(*rest)

    def cost(pair: tuple[int, int]) -> int:
        made, *parts = (math.prod(sizes[n] for n in s) for s in (product(*pair), *(left[k] for k in pair)))
        return made - sum(parts)

    while len(left) > 1:
        i, j = min(combinations(range(len(left)), 2), key=cost)
        path.append((i, j))
        left = [*(t for k, t in enumerate(left) if k not in (i, j)), product(i, j)]
    return path


def contracted(a: Labels, b: Labels, needed: set[str], sizes: Sizes) -> tuple[tuple[Any, str, Any], Labels]:
    """Return how two operands are multiplied, and the labels of the product, without those that nothing else needs."""
    both = [label for label in a if label in b]
    batch = [label for label in both if label in needed]
    inner = [label for label in both if label not in needed]
    rows, columns = ([label for label in one if label not in both] for one in (a, b))
    labels = (*batch, *rows, *columns)

    def layout(term: Labels, *groups: Sequence[str]) -> Layout:
        """Lay a term out with its axes in groups, each made one, the first as many as there are."""
        order = order_of(term, tuple(label for group in groups for label in group))
        before = tuple(sizes[label] for group in groups for label in group)
        shape = (*(sizes[n] for n in groups[0]), *(math.prod(sizes[n] for n in group) for group in groups[1:]))
        return Layout(order, None if shape == before else shape)

    out = tuple(sizes[label] for label in labels)
    if not inner:
        return ((layout(a, batch, rows, ()), layout(b, batch, (), columns)), "multiply", out), labels
    if not rows and not columns:
        return ((layout(a, batch, inner), layout(b, batch, inner)), "sum" if batch else "matmul", out), labels
    if not batch and not (rows and columns):  # a matrix and a vector
        one = layout(a, (), rows, inner) if rows else layout(a, (), inner)
        other = layout(b, (), inner, columns) if columns else layout(b, (), inner)
        return ((one, other), "matmul", out), labels
    return ((layout(a, batch, rows, inner), layout(b, batch, inner, columns)), "matmul", out), labels


def order_of(labels: Labels, wanted: Sequence[str]) -> tuple[int, ...] | None:
    """Return the permutation that brings axes into an order; None if they are."""
    order = tuple(labels.index(label) for label in wanted)
    return None if order == tuple(range(len(labels))) else order
