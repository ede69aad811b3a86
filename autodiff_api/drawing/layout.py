"""Where boxes go when Graphviz is not there: in layers, each arrow downwards, near what they belong to.

The usual four steps: a layer for each box, stations for arrows that cross layers, an order within each layer with few
crossings, and places that keep the order and make arrows short.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .sketch import Sketch

GAP, RISE = 22.0, 40.0  # between boxes of a layer, between layers
SWEEPS = 12

Way = list[int]  # the points that an arrow goes through: its source, stations, its target


class Layout:
    """Points with their places: the boxes of a sketch, then the stations of long arrows."""

    def __init__(self, sketch: Sketch, sizes: Sequence[tuple[float, float]]) -> None:
        self.sketch = sketch
        self.sizes = list(sizes)
        self.layer = self._layers()
        self.ways = [self._way(a.source, a.target) if not a.back else [a.source, a.target] for a in sketch.arrows]
        self.above: list[list[int]] = [[] for _ in self.sizes]
        self.below: list[list[int]] = [[] for _ in self.sizes]
        for arrow, way in zip(sketch.arrows, self.ways, strict=True):
            for upper, lower in pairwise(way) if not arrow.back else ():
                self.below[upper].append(lower)
                self.above[lower].append(upper)
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer) + 1)]
        for point, layer in enumerate(self.layer):
            self.rows[layer].append(point)
        self._order()
        self.x = self._columns()
        heights = [max(self.sizes[p][1] for p in row) for row in self.rows]
        tops = [sum(heights[:i]) + RISE * i for i in range(len(heights))]
        self.y = [tops[layer] + heights[layer] / 2 for layer in self.layer]
        left = min(x - w / 2 for x, (w, _) in zip(self.x, self.sizes, strict=True))
        self.x = [x - left for x in self.x]
        self.width = max(x + w / 2 for x, (w, _) in zip(self.x, self.sizes, strict=True))
        self.height = tops[-1] + heights[-1]

    def _layers(self) -> list[int]:
        """Put a box below all that it comes from, and a leaf right above the first that uses it."""
        layer = [0] * len(self.sizes)
        users: list[list[int]] = [[] for _ in layer]
        forward = sorted((a.source, a.target) for a in self.sketch.arrows if not a.back)
        for source, target in forward:  # boxes are numbered so that arrows go to higher numbers
            layer[target] = max(layer[target], layer[source] + 1)
            users[source].append(target)
        for source, found in enumerate(users):
            if found and self.sketch.vertices[source].kind in ("leaf", "constant"):
                layer[source] = min(layer[target] for target in found) - 1
        return layer

    def _way(self, source: int, target: int) -> Way:
        way = [source]
        for layer in range(self.layer[source] + 1, self.layer[target]):
            way.append(len(self.sizes))
            self.sizes.append((4.0, 0.0))
            self.layer.append(layer)
        return [*way, target]

    def _order(self) -> None:
        """Sort each layer by where its neighbours are, downwards and upwards in turn."""
        rank = [0.0] * len(self.sizes)
        for sweep in range(SWEEPS):
            near = self.above if sweep % 2 == 0 else self.below
            for row in self.rows if sweep % 2 == 0 else reversed(self.rows):
                for i, point in enumerate(row):
                    found = near[point]
                    rank[point] = sum(rank[n] for n in found) / len(found) if found else (i + 0.5) / len(row)
                row.sort(key=rank.__getitem__)
                for i, point in enumerate(row):
                    rank[point] = (i + 0.5) / len(row)

    def _columns(self) -> list[float]:
        """Move each layer to the mean of its neighbours, as near as the widths of boxes allow."""
        x = [0.0] * len(self.sizes)
        for row in self.rows:
            self._settle(row, [0.0] * len(row), [1.0] * len(row), x)
        for sweep in range(2 * SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows if down else reversed(self.rows):
                wish, force = [], []
                for point in row:
                    near = self.above[point] if down else self.below[point]
                    pull = [self._pull(n) for n in near]
                    total = sum(pull)
                    wish.append(sum(x[n] * p for n, p in zip(near, pull, strict=True)) / total if near else x[point])
                    force.append(total if near else 0.1)
                self._settle(row, wish, force, x)
        return x

    def _pull(self, point: int) -> float:
        """Return how much a point moves its neighbours: long arrows go straight, and leaves go where they are used."""
        if point >= len(self.sketch.vertices):
            return 8.0
        return 0.1 if self.sketch.vertices[point].kind in ("leaf", "constant") else 1.0

    def _settle(self, row: list[int], wish: list[float], force: list[float], x: list[float]) -> None:
        """Give a row the places nearest to its wishes that keep order and distance (pool adjacent violators)."""
        offset, offsets = 0.0, []
        blocks: list[tuple[float, float, int]] = []  # mean wish, total force, how many
        for i, point in enumerate(row):
            if i:
                offset += (self.sizes[row[i - 1]][0] + self.sizes[point][0]) / 2 + GAP
            offsets.append(offset)
            mean, weight, count = wish[i] - offset, force[i], 1
            while blocks and blocks[-1][0] > mean:
                other, heavy, many = blocks.pop()
                mean = (mean * weight + other * heavy) / (weight + heavy)
                weight, count = weight + heavy, count + many
            blocks.append((mean, weight, count))
        means = [mean for mean, _, count in blocks for _ in range(count)]
        for point, mean, offset in zip(row, means, offsets, strict=True):
            x[point] = mean + offset
