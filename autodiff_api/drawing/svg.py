"""A sketch as an SVG image, without Graphviz."""

from __future__ import annotations

from html import escape

from .layout import Layout, Way
from .sketch import Arrow, Sketch, Vertex
from .text import FAINT, FILL, FRAME, INK, LINE, PAPER

TITLE, FACT = 12, 10  # sizes of letters
MARGIN = 14
WIDTH = 0.62  # of a letter, at most, by its size
STYLE = f"""<style>
.graph text {{ font-family: Helvetica, Arial, sans-serif; text-anchor: middle; font-size: {FACT}px; fill: {FAINT} }}
.graph .title {{ font-size: {TITLE}px; font-weight: bold; fill: {INK} }}
.graph path {{ fill: none; stroke: #94a3b8 }}
.graph .back {{ stroke: {FRAME}; stroke-dasharray: 4 }}
</style>"""
HEADS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<polygon points="0,1 8,4 0,7" fill="{colour}"/></marker>'
    for name, colour in (("head", "#94a3b8"), ("back", FRAME))
)


def svg(sketch: Sketch) -> str:
    """Return a sketch as an SVG image of its own."""
    layout = Layout(sketch, [_size(sketch, v) for v in sketch.vertices])
    width, height = layout.width + 2 * MARGIN + 40, layout.height + 2 * MARGIN  # room for marks at the right
    body = [_arrow(layout, way, arrow) for way, arrow in zip(layout.ways, sketch.arrows, strict=True)]
    body += [_box(sketch, i, layout.x[i], layout.y[i]) for i in range(len(sketch.vertices))]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}">',
            f'{STYLE}<defs>{HEADS}</defs><rect x="{-MARGIN}" y="{-MARGIN}" width="100%" height="100%" fill="#ffffff"/>',
            *body,
            "</svg>",
        ]
    )


def _headline(sketch: Sketch, vertex: Vertex) -> str:
    """Return the first line of a box; of one in a loop with how often it comes, the outer loop's rounds first."""
    titles: list[str] = []
    loop = vertex.loop
    while loop is not None:
        titles.insert(0, sketch.frames[loop].title)
        loop = sketch.frames[loop].outer
    return " ".join([vertex.title, *titles, vertex.rounds]).strip()


def _size(sketch: Sketch, vertex: Vertex) -> tuple[float, float]:
    lengths = [len(_headline(sketch, vertex)) * TITLE, *(len(fact) * FACT for fact in vertex.facts)]
    return max(lengths) * WIDTH + 16, TITLE + 14 + (FACT + 3) * len(vertex.facts)


def _box(sketch: Sketch, i: int, x: float, y: float) -> str:
    vertex = sketch.vertices[i]
    width, height = _size(sketch, vertex)
    left, top = x - width / 2, y - height / 2
    inside = vertex.loop is not None
    fill, line = (PAPER, FRAME) if inside else (FILL[vertex.kind], LINE[vertex.kind])
    dash = ' stroke-dasharray="4"' if vertex.kind == "constant" else ""
    corner = 8 if vertex.kind in ("leaf", "output") else 5

    def sheet(shift: int) -> str:
        return (
            f'<rect x="{left + shift:.1f}" y="{top - shift:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{corner}" fill="{fill}" stroke="{line}"{dash}/>'
        )

    parts = [sheet(shift) for shift in ((6, 3, 0) if inside or vertex.rounds else (0,))]
    title = escape(_headline(sketch, vertex))
    parts.append(f'<text class="title" x="{x:.1f}" y="{top + TITLE + 5:.1f}">{title}</text>')
    for n, fact in enumerate(vertex.facts, 1):
        parts.append(f'<text x="{x:.1f}" y="{top + TITLE + 5 + (FACT + 3) * n:.1f}">{escape(fact)}</text>')
    return "".join(parts)


def _arrow(layout: Layout, way: Way, arrow: Arrow) -> str:
    xs, ys = [layout.x[p] for p in way], [layout.y[p] for p in way]
    if arrow.back:
        return _back(layout, way)
    ys[0] += layout.sizes[way[0]][1] / 2
    ys[-1] -= layout.sizes[way[-1]][1] / 2
    if arrow.place:
        xs[0], xs[-1] = xs[0] + 5 * arrow.place, xs[-1] + 5 * arrow.place
    path = f"M{xs[0]:.1f},{ys[0]:.1f}"
    for i in range(1, len(way)):
        middle = (ys[i - 1] + ys[i]) / 2
        path += f" C{xs[i - 1]:.1f},{middle:.1f} {xs[i]:.1f},{middle:.1f} {xs[i]:.1f},{ys[i]:.1f}"
    x, y = 0.2 * xs[0] + 0.8 * xs[1], 0.35 * ys[0] + 0.65 * ys[1]
    said = f'<text x="{x:.1f}" y="{y:.1f}">{escape(arrow.label)}</text>'
    return f'<path d="{path}" marker-end="url(#head)"/>' + (said if arrow.label else "")


def _back(layout: Layout, way: Way) -> str:
    """Draw an arrow to the next round: out at the right, and up."""
    (x1, x2), (y1, y2) = [layout.x[p] + layout.sizes[p][0] / 2 for p in way], [layout.y[p] for p in way]
    if way[0] == way[1]:
        y1, y2 = y1 + 6, y2 - 6
    far = max(x1, x2) + 26 + abs(y1 - y2) / 12
    return (
        f'<path class="back" d="M{x1:.1f},{y1:.1f} C{far:.1f},{y1:.1f} {far:.1f},{y2:.1f} {x2:.1f},{y2:.1f}" '
        'marker-end="url(#back)"/>'
    )
