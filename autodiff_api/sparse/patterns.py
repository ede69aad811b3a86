"""The sparsity pattern of a recorded function: one walk along its graph, with a pattern for each array."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import ITEM, MANY, Absent, Edge, Leaf, Node
from ..walks import reachable
from .structure import Pattern, Site


def pattern_of(outputs: Sequence[Any], sources: Sequence[Edge]) -> Pattern:
    """Return which elements of some tensors depend on which elements at some nodes, all laid end to end.

    A pattern is kept for as long as somebody needs it, and what no source leads to has none.
    """
    from scipy import sparse

    roots = [y._node for y in outputs]
    found = _start(sources)
    ends: list[Callable[[], None]] = []  # to be called when checkpoints need not remember what they recorded again
    nodes = [n for n in _between(roots, set(sources)) if n not in found]
    last: dict[Any, Any] = {e: node for node in nodes for e in node.edges if isinstance(e, Node | Leaf)}
    last |= dict.fromkeys(roots)  # the last to use it; nobody is, of a root
    for node in nodes:
        parts = [found.get(edge) if isinstance(edge, Node | Leaf) else None for edge in node.edges]
        found[node] = _flow(node, parts, ends)
        for edge in node.edges:
            if isinstance(edge, Node | Leaf) and last[edge] is node and edge not in sources:
                found.pop(edge, None)
    for end in ends:
        end()
    width = sum(math.prod(s.shape) for s in sources)
    rows = []
    for y in outputs:
        p = found.get(y._node) if y._node is not None else None
        rows.append(sparse.csr_array((y.size, width), dtype=bool) if p is None else p)
    total = sparse.vstack(rows, format="csr") if len(rows) > 1 else rows[0].copy()
    total.sum_duplicates()
    return total


def _start(sources: Sequence[Edge]) -> dict[Any, Pattern]:
    """Return the patterns of the sources: each element depends on itself."""
    from scipy import sparse

    width, start, found = sum(math.prod(s.shape) for s in sources), 0, {}
    for source in sources:
        size = math.prod(source.shape)
        at = (np.ones(size, dtype=bool), np.arange(start, start + size), np.arange(size + 1))
        found[source] = sparse.csr_array(at, shape=(size, width))
        start += size
    return found


def _between(roots: Sequence[Edge | None], sources: set[Edge]) -> list[Node]:
    """Return the operations from sources to roots, in the order they were recorded."""
    tape = sorted(reachable([n for n in roots if n is not None]), key=lambda node: node.seq)
    reached = set(sources)
    for node in tape:
        if any(isinstance(e, Edge) and e in reached for e in node.edges):
            reached.add(node)
    return [node for node in tape if isinstance(node, Node) and node in reached]


def _flow(node: Node, parts: list[Any], ends: list[Callable[[], None]]) -> Any:
    """Return the pattern of a node's output; of a node with several outputs, what each of them needs."""
    if node.shape is MANY:
        return parts
    used, inputs = (node.edges[0], parts[0]) if node.recipe.op is ITEM else (node, parts)
    whole = used.saved.source(used, ends) if isinstance(used.saved, Absent) else used
    return Site(used.recipe.op, whole.edges, whole.params, node.shape).flow(inputs)
