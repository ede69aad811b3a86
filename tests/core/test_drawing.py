"""Pictures and summaries of the recorded graph: laws over programs of all kinds, and what a reader sees."""

from __future__ import annotations

import gc
import random
import re
import tracemalloc
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.drawing import folding, svg, text
from autodiff_api.drawing.holdings import buffers, tape_of
from autodiff_api.drawing.layout import Layout
from autodiff_api.drawing.sketch import TIMES
from autodiff_api.errors import ArgumentError, ArgumentTypeError, GraphError
from autodiff_api.graph import Leaf

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "see-the-graph.md"


def leaf(*shape):
    return ad.asarray(np.random.default_rng(0).uniform(0.5, 1.5, shape), requires_grad=True)


def chain(steps=400):
    x = leaf(2)
    for _ in range(steps):
        x = x * 1.01
    return x


def decomposed():
    x = leaf(3, 3)
    values, vectors = ad.linalg.eigh(x + x.mT)
    return ad.sum(values) * ad.sum(ad.abs(vectors))


def nested(outer=30, inner=5):
    x = y = leaf(2)
    for _ in range(outer):
        for _ in range(inner):
            y = ad.sin(y * x)
        y = y + 1
    return y


def network(layers=80):
    parts = [m for _ in range(layers) for m in (ad.nn.Linear(4, 4), ad.nn.Tanh())]
    net = ad.nn.Sequential(*parts, ad.nn.Linear(4, 1))
    return ad.sum(net(ad.ones((5, 4))))


def recurrent(steps=100):
    w, u, b, h = leaf(3, 3), leaf(2, 3), leaf(3), ad.zeros(3)
    for x in np.ones((steps, 2)):
        h = ad.tanh(h @ w + ad.asarray(x) @ u + b)
    return h


def second_order():
    x = leaf(3)
    (g,) = ad.autograd.grad(ad.sum(ad.sin(x * x) / x), x, create_graph=True)
    return g


def tangled(steps=300, seed=0):
    rng = random.Random(seed)
    found = [leaf(2), leaf(2)]
    for _ in range(steps):
        one, two = rng.choice(found[-6:]), rng.choice(found[-20:])
        found.append(rng.choice([ad.sin, ad.cos, ad.tanh])(one) * two if rng.random() < 0.5 else ad.tanh(one + two))
    return found[-1]


def wide():
    x = leaf(50)
    return ad.stack([ad.sin(x[i]) if i % 3 else ad.cos(x[i]) * i for i in range(50)])


PROGRAMS = {
    "chain": chain, "decomposed": decomposed, "leaf": lambda: leaf(2), "nested": nested, "network": network,
    "recurrent": recurrent, "second order": second_order, "tangled": tangled, "two": lambda: [chain(3), nested(2, 2)],
    "wide": wide,
}  # fmt: skip


def count(kind, picture):
    return sum(v.kind == kind for v in picture.sketch.vertices)


def titles(picture, kind="op"):
    return [v.title for v in picture.sketch.vertices if v.kind == kind]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_all_is_drawn(program):
    """Without a limit there is a box for each op and leaf, and an arrow for each edge."""
    out = program()
    picture = ad.draw(out, limit=10**6)
    ops, leaves = tape_of([y._node for y in (out if isinstance(out, list) else [out])])
    assert (count("op", picture), count("leaf", picture), count("rest", picture)) == (len(ops), len(leaves), 0)
    edges = [e for n in ops for e in n.edges if hasattr(e, "dtype")]
    assert len(picture.sketch.arrows) == len(edges) + count("output", picture)
    assert not any(a.back for a in picture.sketch.arrows) and not picture.sketch.frames


@pytest.mark.parametrize("limit", [1, 3, 10, 40])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_no_more_is_drawn_than_the_limit(program, limit):
    """Each box is connected, each op is in one, and arrows but those of loops go from lower to higher numbers."""
    picture = ad.draw(program(), limit=limit)
    sketch = picture.sketch
    assert count("op", picture) <= limit and count("rest", picture) <= 1
    touched = {a.source for a in sketch.arrows} | {a.target for a in sketch.arrows}
    assert touched == set(range(len(sketch.vertices)))
    assert all(a.back == (a.source >= a.target) for a in sketch.arrows)
    assert all(0 <= v.loop < len(sketch.frames) for v in sketch.vertices if v.loop is not None)


@pytest.mark.parametrize("limit", [5, 200])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_texts_name_all_boxes(program, limit):
    """Each box and arrow is in the Mermaid text, the DOT text and the image, and frames are closed."""
    sketch = ad.draw(program(), limit=limit).sketch
    for written, close in ((text.mermaid(sketch), r"^ +end$"), (text.dot(sketch), r"^ +}$")):
        boxes = re.findall(r"^ +n(\d+) ?[\[(]", written, re.MULTILINE)
        assert sorted(map(int, boxes)) == list(range(len(sketch.vertices)))
        arrows = re.findall(r'^ +n(\d+) (?:-->|-\.->|->)(?:\|"[^"]*"\|)? n(\d+)', written, re.MULTILINE)
        assert sorted((int(a), int(b)) for a, b in arrows) == sorted((a.source, a.target) for a in sketch.arrows)
        frames = len(re.findall("^ +subgraph ", written, re.MULTILINE))
        assert frames == len(sketch.frames) == len(re.findall(close, written, re.MULTILINE))
    image = ElementTree.fromstring(svg.svg(sketch))
    lines = [t.text for t in image.iter("{http://www.w3.org/2000/svg}text")]
    assert all(fact in lines for v in sketch.vertices for fact in v.facts)
    assert all(any(line.startswith(v.title) for line in lines) for v in sketch.vertices)
    assert len(list(image.iter("{http://www.w3.org/2000/svg}path"))) == len(sketch.arrows)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_boxes_keep_their_distance(program):
    """In the image no box lies on another, each arrow goes down, and nothing is outside."""
    sketch = ad.draw(program(), limit=60).sketch
    sizes = [svg._size(sketch, v) for v in sketch.vertices]
    layout = Layout(sketch, sizes)
    boxes = [(layout.x[i], layout.y[i], w, h) for i, (w, h) in enumerate(sizes)]
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in combinations(boxes, 2):
        assert abs(x1 - x2) >= (w1 + w2) / 2 or abs(y1 - y2) >= (h1 + h2) / 2
    assert all(layout.y[a.source] < layout.y[a.target] for a in sketch.arrows if not a.back)
    assert all(w / 2 <= x + 1e-6 and x + w / 2 <= layout.width + 1e-6 for x, _, w, _ in boxes)


def added(leaves):
    total = 0
    for x in reversed(leaves):
        total = total + ad.sin(x) * 2
    return total


def nested_sines(leaves):
    total = 0
    for x in reversed(leaves):
        total = ad.sin(total + x)
    return total


@pytest.mark.parametrize("program", [added, nested_sines])
def test_arrows_cross_no_more_than_they_must(program):
    """A leaf stands right above the first op that uses it, in the order in which they are used."""
    sketch = ad.draw(program([leaf(2) for _ in range(6)])).sketch
    layout = Layout(sketch, [svg._size(sketch, v) for v in sketch.vertices])
    for i, vertex in enumerate(sketch.vertices):
        if vertex.kind == "leaf":
            users = [layout.layer[a.target] for a in sketch.arrows if a.source == i]
            assert layout.layer[i] == min(users) - 1
    steps = [pair for way in layout.ways for pair in pairwise(way)]
    for (a, b), (c, d) in combinations(steps, 2):
        if layout.layer[a] == layout.layer[c]:
            assert (layout.x[a] - layout.x[c]) * (layout.x[b] - layout.x[d]) >= 0


# --- what a reader sees ---


def test_names():
    x, w = leaf(3), ad.asarray([1.0, 2.0, 3.0])
    h = x * w
    z = ad.sum(h**2)
    for picture in (ad.draw(z, x=x, w=w, h=h, z=z), ad.draw(z, {"x": x, "w": w, "h": h, "z": z}, unused=leaf(1))):
        assert titles(picture, "leaf") == ["x"] and titles(picture, "constant") == ["w"]
        assert titles(picture) == ["h = multiply", "pow(·, 2)", "z = sum"] and titles(picture, "output") == ["z"]
    bare = ad.draw(z)
    assert titles(bare, "leaf") == ["(3,) float64"] == titles(bare, "constant")
    assert titles(bare, "output") == ["output"]
    assert titles(ad.draw({"a": z, "b": {"c": h}}), "output") == ["a", "b.c"]
    assert titles(ad.draw((z, [h])), "output") == ["[0]", "[1][0]"]


def test_names_of_a_module():
    net = ad.nn.Sequential(ad.nn.Linear(2, 3), ad.nn.Linear(3, 1))
    picture = ad.draw(net(ad.ones((4, 2))), net)
    assert titles(picture, "leaf") == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_what_a_box_says():
    x = leaf(4, 3)
    picture = ad.draw(ad.sum(ad.exp(x[1:, ::2]) - 1, axis=0), x=x)
    facts = {v.title: v.facts for v in picture.sketch.vertices}
    assert facts == {
        "x": ["(4, 3) float64"],
        "getitem[1:, ::2]": ["(3, 2) float64"],
        "exp": ["(3, 2) float64", "saves 48 B"],
        "subtract(·, 1)": ["(3, 2) float64"],
        "sum(axis=0)": ["(2,) float64"],
        "output": [],
    }
    y = ad.sum(x * x)
    assert [(a.source, a.target) for a in ad.draw(y).sketch.arrows][:2] == [(0, 1), (0, 1)]
    y.backward()
    assert ["(4, 3) float64", "freed"] in [v.facts for v in ad.draw(y).sketch.vertices]


def test_several_outputs():
    """An op with several outputs is one box that tells of each that is used; arrows say which they carry."""
    x = leaf(3, 3)
    picture = ad.draw(ad.linalg.eigh(x + x.mT))
    (box,) = [v for v in picture.sketch.vertices if v.title == "linalg.eigh"]
    assert box.facts == ["eigenvalues (3,) float64", "eigenvectors (3, 3) float64", "saves 96 B"]
    assert [a.label for a in picture.sketch.arrows if a.label] == ["eigenvalues", "eigenvectors"]
    assert titles(picture, "output") == ["eigenvalues", "eigenvectors"]


def test_a_chain_is_folded():
    picture = ad.draw(chain(400))
    assert [(v.title, v.rounds) for v in picture.sketch.vertices][1] == ("multiply(·, 1.01)", f"{TIMES}400")
    assert f"multiply(·, 1.01) {TIMES}400" in str(picture)


def test_loops_are_folded():
    sketch = ad.draw(nested(30, 5), limit=10).sketch
    boxes = [(v.title, v.loop) for v in sketch.vertices if v.kind == "op"]
    assert boxes == [("multiply", 1), ("sin", 1), ("add(·, 1)", 0)]
    assert [(f.title, f.outer) for f in sketch.frames] == [(f"{TIMES}30", None), (f"{TIMES}5", 0)]
    back = {(sketch.vertices[a.source].title, sketch.vertices[a.target].title) for a in sketch.arrows if a.back}
    assert back == {("sin", "multiply"), ("add(·, 1)", "multiply")}


def test_leaves_of_a_loop_are_one():
    net = ad.nn.Sequential(*[ad.nn.Linear(2, 2) for _ in range(400)])
    picture = ad.draw(net(ad.ones(2)), net)
    assert titles(picture, "leaf") == ["0.weight … 399.weight", "0.bias … 399.bias"]
    assert ["400 leaves", "(2, 2) float64"] in [v.facts for v in picture.sketch.vertices]


def test_a_loop_whose_shapes_change_is_folded():
    """If steps of one shape don't repeat often enough, steps of any shape may."""
    x = y = leaf(1)
    for _ in range(150):
        y = ad.concat([y, ad.sin(x) * 2])
    sin, multiply, concat = [v for v in ad.draw(y).sketch.vertices if v.kind == "op"]
    assert (sin.facts, multiply.facts) == (["(1,) float64", "saves 8 B in all"], ["(1,) float64"])
    assert concat.facts == ["150 shapes"] and concat.loop == 0


def test_leaves_far_away_are_one():
    net = ad.nn.Sequential(ad.nn.Linear(2, 2), ad.nn.Linear(2, 3), ad.nn.Linear(3, 1))
    picture = ad.draw(net(ad.ones(2)), net, depth=1)
    assert titles(picture) == ["nn.linear"] and titles(picture, "rest") == ["2 more operations"]
    far, *near = [v for v in picture.sketch.vertices if v.kind == "leaf"]
    assert (far.title, far.facts) == ("0.weight … 1.bias", ["4 leaves"])
    assert [v.title for v in near] == ["2.weight", "2.bias"]


def test_depth():
    picture = ad.draw(tangled(), depth=3)
    assert count("rest", picture) == 1 and 3 <= count("op", picture) <= 7
    assert count("rest", ad.draw(chain(3), depth=3)) == 0
    (far,) = titles(ad.draw(chain(5), depth=3), "rest")
    assert far == "2 more operations"


def test_names_can_hold_anything():
    name = 'we"ird <b>#1; `x` | {y} \\ \n é'
    x = leaf(2)
    picture = ad.draw(x * x, {name: x})
    assert "we#34;ird #60;b#62;#35;1; #96;x#96; #124; #123;y#125; #92; #10; é" in picture.mermaid
    assert "we&#34;ird &#60;b&#62;&#35;1;" in picture.dot
    ElementTree.fromstring(svg.svg(picture.sketch))


# --- folding ---


@pytest.mark.parametrize("seed", range(30))
def test_folding_merges_what_is_alike(seed):
    """A place holds steps of one label only, the first of them is it, and its loops account for all of them."""
    rng = random.Random(seed)
    labels = []
    while len(labels) < 300:
        body = [rng.randrange(4) for _ in range(rng.randrange(1, 6))]
        labels += body * rng.randrange(1, 8)
    places, loops = folding.fold(labels)
    assert all(labels[p] == labels[i] and places[p] == p <= i for i, p in enumerate(places))
    least, most = dict.fromkeys(places, 1), dict.fromkeys(places, 1)
    for loop in loops:
        assert 3 <= loop.least <= loop.most
        for p in loop.places:
            least[p], most[p] = least[p] * loop.least, most[p] * loop.most
    assert all(least[p] <= places.count(p) <= most[p] for p in least)


@pytest.mark.parametrize(("body", "rounds"), [(1, 3), (1, 1000), (7, 3), (300, 12), (2, 5000)])
def test_folding_finds_the_loop(body, rounds):
    labels = random.Random(0).sample(range(1000), body)
    places, (loop,) = folding.fold([1001, *labels * rounds, 1002])
    assert loop.places == list(range(1, body + 1)) and loop.least == loop.most == rounds
    assert places == [0, *loop.places * rounds, body * rounds + 1]


# --- what is kept alive ---


HELD = {
    "broadcast": lambda x: ad.sum(ad.broadcast_to(x[:1], (400, 400)) * x),
    "constant": lambda x: ad.sum(x * ad.asarray(np.ones((400, 400)))),
    "powers": lambda x: ad.sum(ad.exp(x * x) * ad.exp(x) ** 3),
    "reshaped": lambda x: ad.sum(ad.reshape(ad.exp(x), (800, 200)) * ad.reshape(ad.exp(-x), (800, 200))),
    "shared": lambda x: (lambda y: ad.sum(y * y * y * ad.sin(y)))(ad.exp(x)),
    "sliced": lambda x: ad.sum(ad.exp(x)[:10] * 2 * x[:10]),
    "solved": lambda x: ad.sum(ad.linalg.inv(x + ad.eye(400) * 500)),
}


@pytest.mark.parametrize("program", HELD.values(), ids=HELD)
def test_bytes_are_those_that_go_with_the_graph(program):
    """What the summary says is what the memory allocator sees freed."""
    x = leaf(400, 400)
    program(x)  # compile what is compiled at first use
    tracemalloc.start()
    try:
        z = program(x)
        said = ad.summary(z).bytes - 8 * x.size
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        del z
        gc.collect()
        freed = before - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert abs(freed - said) < 20_000


def test_summary():
    x = leaf(1000)
    y = ad.exp(x)
    z = ad.sum(y * y[::2][0] + ad.sin(y))
    table = ad.summary(z)
    assert {row.op: (row.nodes, row.bytes) for row in table} == {
        "(leaves)": (1, 8000), "exp": (1, 8000), "multiply": (1, 8), "add": (1, 0), "getitem": (2, 0), "sin": (1, 0),
        "sum": (1, 0),
    }  # fmt: skip
    assert (table.nodes, table.bytes, table.freed) == (8, 16008, 0)
    assert [row.op for row in table][:2] == ["(leaves)", "exp"]
    assert re.search(r"^exp +1 +7\.8 KiB$", str(table), re.MULTILINE) and repr(table) == str(table)
    assert "<td>exp</td><td>1</td><td>7.8 KiB</td>" in table._repr_html_()
    z.backward()
    assert ad.summary(z).bytes == 8000 and "nodes were freed" in str(ad.summary(z))


def test_summary_of_several_outputs_counts_what_they_share_once():
    x = leaf(100)
    y = ad.exp(x)
    assert ad.summary([y * y, y * 2]).bytes == ad.summary({"a": [y * y], "b": y + 1}).bytes == 1600


def test_summary_counts_tangents_and_indices():
    found = []

    def f(x):
        w = ad.ones_like(x).detach().requires_grad_()
        found.append({row.op: row.bytes for row in ad.summary(w * x)})
        return x

    ad.jvp(f, (np.ones(100),), (np.ones(100),))
    assert found == [{"(leaves)": 800, "(constants)": 1600, "multiply": 0}]
    xp = ad.namespace("numpy")
    added = xp.scatter_add(leaf(5), (np.asarray([0, 1, 0]),), xp.ones(3))
    assert {row.op: row.bytes for row in ad.summary(added)} == {"(leaves)": 40, "(constants)": 24, "scatter_add": 24}


def test_what_is_kept_elsewhere_is_not_held():
    """What stands in the place of saved values, and is no tuple of arrays, holds nothing."""
    z = ad.exp(leaf(100))
    z._node.saved = object()
    assert ad.summary(z).bytes == 800 and "saves" not in str(ad.draw(z))
    assert buffers((object(), None, np.dtype("float64"), np.float32, "text", 3, (1.5, slice(None)))) == {}


def test_a_checkpoint_has_dropped_what_was_saved():
    """What was called stays to be seen, but for the arrays that it was called with."""
    x = leaf(100)
    w = ad.asarray(np.ones(100))
    z = ad.checkpoint(lambda x: ad.exp(x * w)[np.arange(50)] * 2)(x)
    assert ad.summary(z).bytes == 800
    assert [(v.title, v.facts) for v in ad.draw(z, x=x).sketch.vertices if v.kind == "op"] == [
        ("multiply", ["(100,) float64", "dropped"]),
        ("exp", ["(100,) float64", "dropped"]),
        ("getitem", ["(50,) float64"]),
        ("multiply(·, 2)", ["(50,) float64"]),
    ]


def test_hooks_have_packed_what_was_saved():
    x = leaf(100)
    with ad.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(force=True), ad.asarray):
        z = ad.exp(x)
    assert ad.summary(z).bytes == 800 and titles(ad.draw(z)) == ["exp"]
    assert ad.draw(z).sketch.vertices[1].facts == ["(100,) float64", "packed"]


def test_transformations_leave_no_marks():
    """The names that a transformation gives to its arguments are no operations."""
    x = leaf(3)
    g = ad.grad(lambda x: ad.sum(x**3))(x)
    assert titles(ad.draw(g, x=x)) == ["pow(·, 2)", "multiply(3, ·)", "multiply"]
    assert "alias" not in str(ad.summary(g))
    assert [v.kind for v in ad.draw(ad.vjp(lambda x: x, x)[0]).sketch.vertices] == ["leaf", "output"]


def test_a_function_of_ones_own():
    class Both(ad.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.save_for_backward(x)
            return x * k, x + 1

        @staticmethod
        def backward(ctx, g, h):
            return g + h, None

    picture = ad.draw(Both.apply(leaf(100), 2.0))
    (box,) = [v for v in picture.sketch.vertices if v.kind == "op"]
    assert "Both" in box.title and box.facts == ["[0] (100,) float64", "[1] (100,) float64", "saves 800 B"]


def test_a_million_nodes():
    x = leaf(1)
    y = x
    for _ in range(500_000):
        y = -ad.tanh(y)
    table = ad.summary(y)
    assert (table.nodes, table.bytes) == (1_000_001, 8 * 500_001)
    sketch = ad.draw(y).sketch
    assert [f.title for f in sketch.frames] == [f"{TIMES}500,000"] and len(sketch.vertices) == 4


def test_on_any_backend(backend):
    z = decomposed()
    assert ad.summary(z).bytes > 72 and "eigenvectors (3, 3) float64" in str(ad.draw(z))


def test_while_it_is_traced():
    jax = pytest.importorskip("jax")
    found = []

    def f(value):
        x = ad.asarray(value, requires_grad=True)
        z = ad.sum(ad.exp(x))
        found.extend([str(ad.draw(z)), ad.summary(z).bytes])
        return z._value

    with ad.use_backend("jax"):
        jax.jit(f)(jax.numpy.ones(3, dtype="float32"))
    assert "saves 12 B" in found[0] and found[1] == 24


# --- notebooks, files, errors ---


@pytest.fixture
def graphviz(tmp_path, monkeypatch):
    """Put a `dot` on the path that says what it was asked, and knows SVG and PNG."""
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncase $1 in -Tsvg|-Tpng) echo "$1" && cat;; *) echo "no $1" >&2; exit 1;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.fixture
def no_graphviz(monkeypatch):
    monkeypatch.setenv("PATH", "")


def test_in_a_notebook(no_graphviz):
    picture = ad.draw(chain(3))
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain", "text/vnd.mermaid"}
    assert bundle["image/svg+xml"] == picture._repr_svg_() == picture.svg == svg.svg(picture.sketch)
    assert bundle["text/vnd.mermaid"] == picture.mermaid == str(picture)


def test_graphviz_lays_out(graphviz):
    picture = ad.draw(chain(3))
    assert picture.svg == f"-Tsvg\n{picture.dot}"


def test_files(graphviz, tmp_path):
    picture = ad.draw(chain(3))
    for name, content in {
        "g.svg": picture.svg, "g.dot": picture.dot, "g.gv": picture.dot, "g.mmd": picture.mermaid,
        "g.MD": f"```mermaid\n{picture.mermaid}\n```\n", "g.png": f"-Tpng\n{picture.dot}",
    }.items():  # fmt: skip
        picture.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8") == content
    with pytest.raises(ArgumentError, match=r"can't draw to \.xyz: no -Txyz"):
        picture.save(str(tmp_path / "g.xyz"))
    with pytest.raises(ArgumentError, match="give the file a suffix"):
        picture.save(tmp_path / "g")


def test_files_without_graphviz(no_graphviz, tmp_path):
    picture = ad.draw(chain(3))
    picture.save(tmp_path / "g.svg")
    ElementTree.fromstring((tmp_path / "g.svg").read_text(encoding="utf-8"))
    with pytest.raises(ArgumentError, match=r"use one of \.dot, \.gv, \.md, \.mmd, \.svg, or install Graphviz"):
        picture.save(tmp_path / "g.png")


@pytest.mark.parametrize("look", [ad.draw, ad.summary])
def test_errors(look):
    with pytest.raises(GraphError, match=r"does not require grad\. Set requires_grad=True"):
        look(ad.ones(3))
    with pytest.raises(ArgumentTypeError, match="belongs to a tensor, not to float"):
        look([leaf(2), 3.0])
    assert isinstance(look(leaf(2)._node), object)


def test_errors_of_draw():
    x = leaf(2)
    for options in ({"limit": 0}, {"depth": 0}):
        with pytest.raises(ArgumentError, match="must be 1 or more"):
            ad.draw(x * 2, **options)
    with pytest.raises(ArgumentTypeError, match="names: expected a mapping"):
        ad.draw(x * 2, x)


def test_the_page_shows_what_is_printed():
    page = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    variables: dict[str, object] = {}
    exec(code[1], variables)
    assert f"```mermaid\n{variables['picture']}\n```\n" in page


def test_a_leaf_is_a_picture():
    x = leaf(2)
    assert [v.kind for v in ad.draw(x, x=x).sketch.vertices] == ["leaf", "output"]
    assert isinstance(x._node, Leaf) and ad.summary(x).nodes == 1
