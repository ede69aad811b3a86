"""`summary`: which ops were recorded, how often, and how much memory they keep alive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from ..graph import Freed
from .holdings import buffers, constants_of, roots_of, saved_by, tape_of
from .words import amount, op_name

LEAVES, CONSTANTS = "(leaves)", "(constants)"


@dataclass(frozen=True)
class Row:
    """One line of a summary: an op, how many nodes it has, and the bytes that are counted for it.

    Leaves and constants have a line of their own; a constant is no node.
    """

    op: str
    nodes: int
    bytes: int


@dataclass(frozen=True)
class Summary:
    """What a graph is made of: its rows, those that hold most first, and what they add up to."""

    rows: tuple[Row, ...]
    nodes: int
    bytes: int
    freed: int

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def _cells(self) -> list[tuple[str, str, str]]:
        rows = [*self.rows, Row("total", self.nodes, self.bytes)]
        lines = [(row.op, f"{row.nodes:,}" if row.nodes else "", amount(row.bytes)) for row in rows]
        return [("op", "nodes", "bytes kept alive"), *lines]

    @property
    def _note(self) -> str:
        return (
            f"{self.freed:,} nodes were freed: going backward again recomputes what they saved." if self.freed else ""
        )

    def __str__(self) -> str:
        cells = self._cells()
        first, second, third = (max(map(len, column)) for column in zip(*cells, strict=True))
        lines = [f"{a:<{first}}  {b:>{second}}  {c:>{third}}" for a, b, c in cells]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *filter(None, [self._note])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        head, *rows = self._cells()
        lines = ["<tr>" + "".join(f"<th>{escape(c)}</th>" for c in head) + "</tr>"]
        lines += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows]
        return f"<table>{''.join(lines)}</table>{self._note}"


def summary(outputs: Any) -> Summary:
    """Return a table of the graph that leads to some tensors: ops, nodes, and the bytes they keep alive.

    `outputs` is a tensor, a node, or a list or a dict of them. Every buffer is counted once, views with the array that
    they look at: as a leaf's value, else as a constant, else for the op that saved it first. So what a line says is
    what would be freed if the ops above it in the program stayed. Rows are sorted by bytes.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> ad.summary(ad.sum(x * ad.exp(x * x)))
    op        nodes  bytes kept alive
    ---------------------------------
    (leaves)      1              24 B
    exp           1              24 B
    multiply      2               0 B
    sum           1               0 B
    ---------------------------------
    total         5              48 B
    """
    ops, leaves = tape_of(roots_of(outputs).values())
    seen: set[int] = set()
    nodes, sizes = {LEAVES: len(leaves)}, {LEAVES: _new(buffers([leaf.value for leaf in leaves]), seen)}
    constants: dict[int, int] = {}
    for node in ops:
        constants |= buffers(tuple(constants_of(node)))
    nodes[CONSTANTS], sizes[CONSTANTS] = 0, _new(constants, seen)
    freed = 0
    for node in ops:
        name = op_name(node)
        freed += isinstance(node.saved, Freed)
        nodes[name] = nodes.get(name, 0) + 1
        sizes[name] = sizes.get(name, 0) + _new(buffers((saved_by(node), node.params)), seen)
    rows = [Row(n, nodes[n], sizes[n]) for n in nodes if nodes[n] or sizes[n]]
    rows.sort(key=lambda row: (-row.bytes, -row.nodes, row.op))
    return Summary(tuple(rows), len(ops) + len(leaves), sum(sizes.values()), freed)


def _new(found: dict[int, int], seen: set[int]) -> int:
    """Return the bytes of the buffers that were not seen before."""
    total = sum(size for key, size in found.items() if key not in seen)
    seen.update(found)
    return total
