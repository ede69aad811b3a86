"""A pass backward through a part of the graph, inside another pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappush
from typing import Any

from ..graph import Edge, Node
from ..walks import Walk


class Within(Walk):
    """A pass through what was just recorded. It ends at given nodes and calls no hook there: the outer will."""

    def back(self, seeds: Sequence[tuple[Edge, Any]], ends: Iterable[Edge]) -> dict[Edge, Any]:
        """Return the cotangents that arrive at `ends`."""
        self.roots = [node for node, _ in seeds]
        self.needed = None
        pending: dict[Edge, Any] = dict.fromkeys(ends, NONE_YET)
        heap: list[tuple[int, Node]] = []
        for node, t in seeds:
            if node in pending:
                pending[node] = pending[node] + t
                continue
            pending[node] = t
            if isinstance(node, Node):
                heappush(heap, (-node.seq, node))
        try:
            self._loop(pending, heap, None, None)
        finally:
            for end in self.ends:
                end()
        return {node: t for node, t in pending.items() if t is not NONE_YET}


class _NoneYet:
    """What waits where no cotangent has arrived."""

    def __add__(self, other: Any) -> Any:
        return other


NONE_YET: Any = _NoneYet()
