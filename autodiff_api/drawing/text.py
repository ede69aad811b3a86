"""A sketch as text: Mermaid, which Markdown pages and notebooks render, and DOT, which Graphviz does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .sketch import Arrow, Sketch, Vertex

FILL = {"constant": "#f3f4f6", "leaf": "#dcfce7", "op": "#ffffff", "output": "#fef3c7", "rest": "#e5e7eb"}
LINE = {"constant": "#9ca3af", "leaf": "#16a34a", "op": "#64748b", "output": "#d97706", "rest": "#9ca3af"}
INK, FAINT, FRAME, PAPER = "#0f172a", "#64748b", "#818cf8", "#eef2ff"
FONT = "Helvetica"
SHAPES = {
    "constant": '["{}"]', "leaf": '(["{}"])', "op": '["{}"]', "output": '(["{}"])', "rest": '[["{}"]]',
}  # fmt: skip


def headline(vertex: Vertex) -> str:
    """Return the first line of a box."""
    return f"{vertex.title} {vertex.rounds}".strip()


def mermaid(sketch: Sketch) -> str:
    """Return a flowchart in Mermaid's language."""

    def box(i: int, indent: str) -> str:
        vertex = sketch.vertices[i]
        first = "<b>" + _escape(headline(vertex), "#{};") + "</b>"
        text = "<br/>".join([first, *(_escape(fact, "#{};") for fact in vertex.facts)])
        return f"{indent}n{i}{SHAPES[vertex.kind].format(text)}:::{vertex.kind}"

    def frame(i: int, title: str, indent: str) -> tuple[str, str]:
        return f'{indent}subgraph loop{i}["{title}"]', f"{indent}end"

    def arrow(a: Arrow) -> str:
        label = f'|"{_escape(a.label, "#{};")}"|' if a.label else ""
        return f"    n{a.source} {'-.->' if a.back else '-->'}{label} n{a.target}"

    styles = [f"    classDef {k} fill:{FILL[k]},stroke:{LINE[k]},color:{INK}" for k in FILL]
    styles[0] += ",stroke-dasharray:4"
    frames = [f"    style loop{i} fill:{PAPER},stroke:{FRAME},color:{INK}" for i in range(len(sketch.frames))]
    return "\n".join(["flowchart TB", *_nested(sketch, box, frame), *map(arrow, sketch.arrows), *styles, *frames])


def dot(sketch: Sketch) -> str:
    """Return a graph in Graphviz's language."""

    def box(i: int, indent: str) -> str:
        vertex = sketch.vertices[i]
        lines = "".join(
            f'<BR/><FONT POINT-SIZE="10" COLOR="{FAINT}">{_escape(f, "&#{};")}</FONT>' for f in vertex.facts
        )
        style = {"constant": "rounded,filled,dashed", "rest": "rounded,filled,bold"}.get(vertex.kind, "rounded,filled")
        more = ", peripheries=2" if vertex.rounds else ""
        fill, line = FILL[vertex.kind], LINE[vertex.kind]
        title = _escape(headline(vertex), "&#{};")
        return (
            f'{indent}n{i} [label=<<B>{title}</B>{lines}>, style="{style}", fillcolor="{fill}", color="{line}"{more}]'
        )

    def frame(i: int, title: str, indent: str) -> tuple[str, str]:
        look = f'label=<<B>{title}</B>>, labeljust=l, style="rounded,filled", color="{FRAME}", fillcolor="{PAPER}"'
        return f"{indent}subgraph cluster_{i} {{ graph [{look}]", f"{indent}}}"

    def arrow(a: Arrow) -> str:
        look = [f'label="{_quoted(a.label)}"'] if a.label else []
        look += [f'style=dashed, constraint=false, color="{FRAME}"'] if a.back else []
        look += ["weight=4"] if sketch.vertices[a.source].kind == "op" and not a.back else []
        return f"    n{a.source} -> n{a.target}" + (f" [{', '.join(look)}]" if look else "")

    head = [
        "digraph {",
        f'    graph [rankdir=TB, nodesep=0.3, ranksep=0.4, fontname="{FONT}", fontsize=12, fontcolor="{FRAME}"]',
        f'    node [shape=box, fontname="{FONT}", fontsize=12, fontcolor="{INK}", margin="0.14,0.07"]',
        f'    edge [fontname="{FONT}", fontsize=10, fontcolor="{FAINT}", color="#94a3b8", arrowsize=0.7]',
    ]
    return "\n".join([*head, *_nested(sketch, box, frame), *map(arrow, sketch.arrows), "}"])


def _nested(
    sketch: Sketch, box: Callable[[int, str], str], frame: Callable[[int, str, str], tuple[str, str]]
) -> Iterator[str]:
    """Yield the lines of all boxes, each in its frame."""
    inside: dict[int | None, list[int]] = {}
    frames: dict[int | None, list[int]] = {}
    for i, vertex in enumerate(sketch.vertices):
        inside.setdefault(vertex.loop, []).append(i)
    for i, found in enumerate(sketch.frames):
        frames.setdefault(found.outer, []).append(i)

    def lines(which: int | None, indent: str) -> Iterator[str]:  # frames are few deep: each holds its own three times
        for i in inside.get(which, ()):
            yield box(i, indent)
        for i in frames.get(which, ()):
            begin, end = frame(i, sketch.frames[i].title, indent)
            yield begin
            yield from lines(i, indent + "    ")
            yield end

    return lines(None, "    ")


def _escape(text: str, form: str) -> str:
    """Write what either language would take for its own as a character's number."""
    return "".join(form.format(ord(c)) if c in '"#&<>`{}|\\' or ord(c) < 32 else c for c in text)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
