"""Finding the loops of a program in its tape: stretches of a sequence that repeat, inner ones first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WORK = 40_000_000  # comparisons that are worth the wait


@dataclass
class Loop:
    """Places of a tape that come in rounds, and how many rounds: where a loop is in a loop, at least and at most."""

    places: list[int]
    least: int
    most: int


class Folder:
    """A tape being folded: a sequence of tokens, each a step of the tape or a loop that was found.

    `places[i]` is the first step that step i is a repetition of.
    """

    def __init__(self, labels: Sequence[int]) -> None:
        self.labels = np.asarray(labels, dtype=np.int64)
        self.starts = np.arange(len(labels))  # the step that each token begins with
        self.places = np.arange(len(labels))
        self.bodies: dict[int, tuple[list[int], list[Loop]]] = {}  # of tokens that are loops, by start
        self.names: dict[tuple[int, ...], int] = {}  # the label of a loop, by those of its body
        self.fresh = int(self.labels.max(initial=0)) + 1

    def fold(self, times: int) -> None:
        """Fold all that comes at least `times` times in a row, the shortest periods first."""
        work, period = WORK, 1
        while period * times <= len(self.labels) and work > 0:
            work -= len(self.labels)
            runs = list(self._runs(period, times))
            if runs:
                self._fold(period, runs)
            period = 1 if runs else period + 1

    def _runs(self, period: int, times: int) -> Iterator[tuple[int, int]]:
        """Yield (first token, rounds) of the stretches with a period that repeat often enough."""
        same = self.labels[:-period] == self.labels[period:]
        edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
        done = 0
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            start = max(start, done)
            rounds = (stop - start) // period + 1
            if rounds >= times and stop > start:
                yield start, rounds
                done = start + rounds * period

    def _fold(self, period: int, runs: list[tuple[int, int]]) -> None:
        keep = np.ones(len(self.labels), dtype=bool)
        for first, rounds in runs:
            stop = first + rounds * period
            keep[first + 1 : stop] = False
            starts = self.starts[first:stop].reshape(rounds, period)
            body: list[int] = []
            inner: list[Loop] = []
            for column in starts.T:
                places, loops = self._merge(column)
                body += places
                inner += loops
            key = tuple(self.labels[first : first + period].tolist())
            self.labels[first] = self.names.setdefault(key, self.fresh)
            self.fresh += self.labels[first] == self.fresh
            self.bodies[int(starts[0, 0])] = body, [Loop(body, rounds, rounds), *inner]
        self.labels, self.starts = self.labels[keep], self.starts[keep]

    def _merge(self, column: Any) -> tuple[list[int], list[Loop]]:
        """Make one of tokens that are alike, those at one point of each round; return its places and its loops."""
        first = int(column[0])
        if first not in self.bodies:
            self.places[column] = first
            return [first], []
        places, loops = self.bodies.pop(first)
        for start in column[1:].tolist():
            others, repeated = self.bodies.pop(start)
            self.places[others] = places
            for mine, theirs in zip(loops, repeated, strict=True):
                mine.least, mine.most = min(mine.least, theirs.least), max(mine.most, theirs.most)
        return places, loops


def fold(labels: Sequence[int], times: int = 3) -> tuple[list[int], list[Loop]]:
    """Return, for each step of a tape, the step it is drawn as; and the loops that were found, outer ones first.

    `labels` says which steps are alike. What repeats `times` times in a row is a loop, and may be a part of one.

    >>> fold([7, 1, 2, 1, 2, 1, 2, 8])
    ([0, 1, 2, 1, 2, 1, 2, 7], [Loop(places=[1, 2], least=3, most=3)])
    """
    folder = Folder(labels)
    folder.fold(times)
    places = folder.places
    while (places != (places := places[places])).any():
        pass
    return places.tolist(), [loop for _, loops in folder.bodies.values() for loop in loops]
