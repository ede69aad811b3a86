"""From the recorded graph to what is drawn: boxes and arrows, loops folded, what is too far away left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..graph import MANY, Edge, Leaf, Node
from .folding import Loop, fold
from .holdings import absence, buffers, is_item, renamed, saved_by, tape_of
from .words import amount, call, kind, op_name, shorten

TIMES = "\N{MULTIPLICATION SIGN} "
SAMPLE = 50  # of the ops that a box stands for, how many are asked how they were called


@dataclass
class Vertex:
    """A box: "leaf", "constant", "op", "output" or "rest"; `rounds` says how often it comes, if more than once."""

    kind: str
    title: str
    facts: list[str] = field(default_factory=list)
    rounds: str = ""
    loop: int | None = None


@dataclass(frozen=True)
class Arrow:
    """Where a value goes; `back` to the next round of a loop. The label names one of several outputs."""

    source: int
    target: int
    label: str = ""
    back: bool = False
    place: int = 0  # which argument: x * x has two arrows


@dataclass(frozen=True)
class Frame:
    """A loop of several boxes: what is written on its frame, and the frame around it."""

    title: str
    outer: int | None


@dataclass
class Sketch:
    """All that a picture shows."""

    vertices: list[Vertex]
    arrows: list[Arrow]
    frames: list[Frame]


class Sketcher:
    """Makes a sketch; the steps are in the order in which they run."""

    def __init__(self, outputs: Mapping[str, Edge], names: Mapping[Any, str], limit: int, depth: int | None) -> None:
        self.outputs, self.names, self.limit, self.depth = outputs, names, limit, depth
        self.ops, self.leaves = tape_of(outputs.values())
        self.at = {node: i for i, node in enumerate(self.ops)}
        self.sketch = Sketch([], [], [])
        self.vertex_of: dict[Any, int] = {}  # by what it stands for: a place on the tape, a leaf, a constant's identity
        self.arrows: dict[Arrow, None] = {}

    def make(self) -> Sketch:
        """Return the sketch."""
        self.places, loops = self._fold()
        self.folded = {place for i, place in enumerate(self.places) if place != i}  # where several are drawn as one
        self._collect()
        self.kept = self._nearest()
        self._boxes_of_sources()
        self._boxes_of_ops()
        for use in self.uses:
            self._connect(*use)
        self._boxes_of_outputs()
        self._frames(loops)
        self.sketch.arrows = list(self.arrows)
        return self.sketch

    def _fold(self) -> tuple[list[int], list[Loop]]:
        """Return where each op is drawn: at its place on the tape, or, beyond the limit, with those that are alike."""
        places = list(range(len(self.ops)))
        loops: list[Loop] = []
        for exactly in (True, False):
            if len(set(places)) <= self.limit:
                break
            known: dict[Any, int] = {}
            labels = [
                known.setdefault((op_name(n), *((n.shape, n.dtype) if exactly else ())), len(known)) for n in self.ops
            ]
            places, loops = fold(labels)
        return places, loops

    def _collect(self) -> None:
        """Find where each value goes, and what stands at each place."""
        self.members: dict[int, list[Node]] = {}
        self.uses: dict[tuple[Any, int, str, int], None] = {}  # (source, target place, label, argument)
        self.constants: dict[int, Any] = {}
        self.parts: dict[int, dict[int, Node]] = {}  # the outputs of ops that have several
        for i, node in enumerate(self.ops):
            place = self.places[i]
            self.members.setdefault(place, []).append(node)
            for slot, edge in enumerate(node.edges):
                source, label = self._source(edge)
                if source is not None:
                    self.uses[source, place, label, slot] = None
        self.ends = [(name, edge, *self._source(edge)) for name, edge in self.outputs.items()]

    def _source(self, edge: Any) -> tuple[Any, str]:
        """Return where an edge comes from: a place, a leaf or a constant's identity; None for a Python scalar."""
        edge = renamed(edge)
        if is_item(edge):
            place, label = self.places[self.at[edge.edges[0]]], field_name(edge)
            self.parts.setdefault(place, {})[edge.params[0]] = edge
            return place, label
        if isinstance(edge, Node):
            return self.places[self.at[edge]], ""
        if isinstance(edge, Leaf):
            return edge, ""
        if not hasattr(edge, "dtype"):
            return None, ""
        self.constants[id(edge)] = edge
        return ("constant", id(edge)), ""

    def _nearest(self) -> set[int]:
        """Return the places that are drawn: those with the fewest steps to an output, by the longest way."""
        users: dict[int, list[int]] = {}
        for source, target, _, _ in self.uses:
            if isinstance(source, int) and source < target:
                users.setdefault(source, []).append(target)
        steps: dict[int, int] = {}
        for place in sorted(self.members, reverse=True):
            steps[place] = max((steps[user] + 1 for user in users.get(place, ())), default=0)
        near = sorted(steps, key=lambda place: (steps[place], -place))[: self.limit]
        return {place for place in near if self.depth is None or steps[place] < self.depth}

    # --- boxes ---

    def _add(self, vertex: Vertex, keys: Iterable[Any]) -> None:
        self.vertex_of |= dict.fromkeys(keys, len(self.sketch.vertices))
        self.sketch.vertices.append(vertex)

    def _boxes_of_sources(self) -> None:
        """Draw leaves and constants; those that go to the same ops of a loop, or out of the picture, as one."""
        targets: dict[Any, set[int]] = {leaf: set() for leaf in self.leaves}
        for source, target, _, _ in self.uses:
            if not isinstance(source, int):
                targets.setdefault(source, set()).add(target if target in self.kept else -1)
        groups: dict[Any, list[Any]] = {}
        for source, places in targets.items():
            x = source if isinstance(source, Leaf) else self.constants[source[1]]
            what = "leaf" if isinstance(source, Leaf) else "constant"
            if places and places <= self.folded:
                key: Any = (what, frozenset(places), tuple(x.shape), x.dtype)
            else:
                key = (what, "far") if places == {-1} else source
            groups.setdefault(key, []).append(source)
        for sources in groups.values():
            self._add(self._box_of_sources(sources), sources)

    def _box_of_sources(self, sources: list[Any]) -> Vertex:
        is_leaf = isinstance(sources[0], Leaf)
        arrays = [s if is_leaf else self.constants[s[1]] for s in sources]
        named = [name for x in arrays if (name := self.names.get(x if is_leaf else id(x)))]
        kinds = list(dict.fromkeys(map(kind, arrays)))
        what = "leaf" if is_leaf else "constant"
        if len(sources) == 1:
            return Vertex(what, named[0], kinds) if named else Vertex(what, kinds[0])
        plural = "leaves" if is_leaf else "constants"
        title = f"{named[0]} … {named[-1]}" if len(named) > 1 else named[0] if named else plural
        facts = [f"{len(sources):,} {plural}"] if title != plural else []
        rounds = "" if facts else f"{TIMES}{len(sources):,}"
        return Vertex(what, shorten(title), [*facts, *kinds] if len(kinds) == 1 else facts, rounds)

    def _boxes_of_ops(self) -> None:
        far = [p for p in sorted(self.members) if p not in self.kept]
        if far:
            nodes = [node for place in far for node in self.members[place]]
            noun = "operations" if len(nodes) > 1 else "operation"
            self._add(Vertex("rest", f"{len(nodes):,} more {noun}", self._saved(nodes)), far)
        for place in sorted(self.kept):
            nodes = self.members[place]
            calls = {call(node) for node in nodes[:SAMPLE]}
            title = calls.pop() if len(calls) == 1 else op_name(nodes[0])
            name = self.names.get(nodes[0]) if len(nodes) == 1 else None
            facts = [*self._kinds(place, nodes), *self._saved(nodes)]
            self._add(Vertex("op", f"{name} = {title}" if name else title, facts), [place])

    def _kinds(self, place: int, nodes: list[Node]) -> list[str]:
        if nodes[0].shape is MANY:
            parts = self.parts.get(place, {})
            return [f"{field_name(parts[i])} {kind(parts[i])}" for i in sorted(parts)]
        shapes = {node.shape for node in nodes}
        return [kind(nodes[0]) if len(shapes) == 1 else f"{len(shapes):,} shapes"]

    def _saved(self, nodes: list[Node]) -> list[str]:
        if gone := sorted({word for node in nodes if (word := absence(node))}):
            return [", ".join(gone)]
        size = sum(buffers([saved_by(node) for node in nodes]).values())
        return [f"saves {amount(size)}{' in all' if len(nodes) > 1 else ''}"] if size else []

    def _boxes_of_outputs(self) -> None:
        for name, edge, source, label in self.ends:
            self._add(Vertex("output", self.names.get(edge) or name or "output"), [name])
            self._connect(source, name, label, 0)

    # --- arrows and frames ---

    def _connect(self, source: Any, target: Any, label: str, place: int) -> None:
        first, second = self.vertex_of[source], self.vertex_of[target]
        hidden = first == second and self.sketch.vertices[first].kind == "rest"
        if not hidden:
            back = isinstance(source, int) and isinstance(target, int) and source >= target
            rest = self.sketch.vertices[second].kind == "rest" or self.sketch.vertices[first].kind == "rest"
            self.arrows[Arrow(first, second, "" if rest else label, back, 0 if rest else place)] = None

    def _frames(self, loops: list[Loop]) -> None:
        """Write how often a box comes on the box itself, or on a frame around the boxes that come together."""
        for loop in loops:
            inside = [p for p in loop.places if p in self.kept]
            title = f"{TIMES}{loop.least:,}" + (f" to {loop.most:,}" if loop.most > loop.least else "")
            if len(loop.places) > 1 and inside:
                outer = self.sketch.vertices[self.vertex_of[inside[0]]].loop
                self.sketch.frames.append(Frame(title, outer))
            for p in inside:
                vertex = self.sketch.vertices[self.vertex_of[p]]
                if len(loop.places) > 1:
                    vertex.loop = len(self.sketch.frames) - 1
                else:
                    vertex.rounds = title


def field_name(item: Node) -> str:
    """Return what the output that an `item` node stands for is called in its op's result."""
    index = item.params[0]
    fields = getattr(getattr(item.edges[0].recipe.op, "result", None), "_fields", ())
    return str(fields[index]) if index < len(fields) else f"[{index}]"
