"""The pages tell the truth: every Python block runs, in order, on every backend, and prints what it says.

A comment that ends a statement, with the comment lines right after it, is what the statement prints (or, of
a bare expression, its value). All that is printed must be announced so. A comment that names a Warning says
that the statement issues it. A statement that prints nothing may have any comment.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tokenize import COMMENT, generate_tokens
from typing import Any

import pytest

import autodiff_api as ad

ROOT = Path(__file__).parents[2]
TUTORIAL = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
ONE_PAGE = ROOT / "docs" / "explanation" / "autograd-in-one-page.md"
HOW_TO = [page for page in sorted((ROOT / "docs" / "how-to").glob("*.md")) if page.stem != "write-a-backend"]
PYTORCH_PAGE = ROOT / "docs" / "tutorial" / "07-pytorch-code.md"
BLOCK = re.compile(r"^(?:<!-- needs (?P<needs>\w+) -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BACKENDS = {"numpy": "numpy", "jax": "jax"}  # a backend and the module it needs


@dataclass(frozen=True)
class Statement:
    """One statement of a page, and the comment that belongs to it."""

    node: ast.stmt
    comment: str

    @property
    def warning(self) -> str | None:
        """The name of the warning that the comment announces."""
        found = re.search(r"\b\w+Warning\b", self.comment)
        return found.group() if found else None

    def run(self, page: Path, variables: dict[str, Any]) -> str:
        """Execute the statement and return what it printed, or the value of a bare expression."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            if isinstance(self.node, ast.Expr):
                value = eval(compile(ast.Expression(self.node.value), page, "eval"), variables)
            else:
                value = exec(compile(ast.Module([self.node], []), page, "exec"), variables)
        if printed.getvalue() or value is None or not self.comment:
            return printed.getvalue()
        return repr(value)

    def check(self, page: Path, variables: dict[str, Any]) -> bool:
        """Execute the statement, compare, and say whether there was something to compare."""
        with warnings.catch_warnings(record=True) as issued:
            warnings.simplefilter("always")
            got = self.run(page, variables)
        place = f"{page.relative_to(ROOT)}, line {self.node.lineno}"
        names = [warning.category.__name__ for warning in issued]
        assert names == ([self.warning] if self.warning else []), f"{place}: warned {[str(w.message) for w in issued]}"
        matches = doctest.OutputChecker().check_output(plain(self.comment), plain(got), LENIENT)
        assert not got or matches, f"{place}: the page says\n{self.comment}\nbut it printed\n{got}"
        return bool(got)


def plain(text: str) -> str:
    """Drop the zeros that end a fraction: PyTorch prints 4.5000 where others print 4.5."""
    return re.sub(r"(\.\d*?)0+\b", r"\1", text).rstrip() + "\n"


def statements(page: Path, code: str, line: int) -> Iterator[Statement]:
    """Yield the statements of a block of code that begins after `line` of `page`."""
    padded = "\n" * line + code  # so that the line numbers in a traceback are the page's
    comments = {
        token.start[0]: (token.string.lstrip("# "), token.line.lstrip().startswith("#"))
        for token in generate_tokens(io.StringIO(padded).readline)
        if token.type == COMMENT
    }
    nodes = ast.parse(padded, str(page)).body
    for index, node in enumerate(nodes):
        end = node.end_lineno or node.lineno
        ends_line = index + 1 == len(nodes) or nodes[index + 1].lineno > end
        found = [comments[end][0]] if ends_line and end in comments else []
        while comments.get(end + 1, ("", False))[1]:
            end += 1
            found.append(comments[end][0])
        yield Statement(node, "\n".join(found))


def blocks(page: Path) -> Iterator[tuple[str | None, list[Statement]]]:
    """Yield what each Python block of `page` needs (the name of a module, or None), and its statements."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield found["needs"], list(statements(page, found["code"], text.count("\n", 0, found.start("code"))))


def run_page(page: Path) -> int:
    """Run the blocks of `page` whose modules are installed; return how many outputs were compared."""
    variables: dict[str, Any] = {"__name__": "page"}
    compared = 0
    for needs, block in blocks(page):
        if needs is None or importable(needs):
            compared += sum(statement.check(page, variables) for statement in block)
    return compared


def importable(module: str) -> bool:
    with contextlib.suppress(ImportError):
        return bool(__import__(module))
    return False


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("page", [*TUTORIAL, ONE_PAGE, *HOW_TO, ROOT / "README.md"], ids=lambda page: page.stem)
def test_page(page: Path, backend: str) -> None:
    pytest.importorskip(BACKENDS[backend])
    with ad.use_backend(backend):
        assert run_page(page) > 0


def test_the_tutorial_reads_on() -> None:
    """Every page is in the table of contents, and leads to the next one."""
    *pages, index = TUTORIAL
    contents = index.read_text(encoding="utf-8")
    assert [page.name for page in pages] == re.findall(r"\]\((\d\d-[\w-]+\.md)\)", contents)
    for page, following in pairwise(pages):
        assert f"]({following.name})" in page.read_text(encoding="utf-8")


def test_one_page_is_short() -> None:
    """Its library, with the examples in between, without blank lines, comments and docstrings."""
    library, play = ONE_PAGE.read_text(encoding="utf-8").split("## Now stack them")
    code = "\n".join(found["code"] for found in BLOCK.finditer(library))
    lines = [line for line in map(str.strip, code.splitlines()) if line and not line.startswith(("#", '"""'))]
    assert "some 160 lines" in play and 155 <= len(lines) <= 165


@pytest.mark.parametrize("backend", BACKENDS)
def test_first_block_of_the_pytorch_page(backend: str) -> None:
    """Its comments say what the gradients are; a page's comments are not compared where nothing is printed."""
    pytest.importorskip(BACKENDS[backend])
    variables: dict[str, Any] = {"torch": ad}
    (_, _), (_, (*begin, once, twice, _, _)), *_ = blocks(PYTORCH_PAGE)

    def gradients() -> list[list[float]]:
        return [variables[name].grad.tolist() for name in "xy"]

    with ad.use_backend(backend):
        for statement in [*begin, once]:
            statement.check(PYTORCH_PAGE, variables)
        assert once.comment == "x.grad tensor([12.]), y.grad tensor([4.])" and gradients() == [[12], [4]]
        twice.check(PYTORCH_PAGE, variables)
        assert "tensor([24.]), tensor([8.])" in twice.comment and gradients() == [[24], [8]]


def test_pytorch_page_with_pytorch_itself() -> None:
    """The code on the page for PyTorch's users does in PyTorch what it says, but for the second backward."""
    torch = pytest.importorskip("torch")
    variables: dict[str, Any] = {"torch": torch}
    (_, (first, *rest)), *others = blocks(PYTORCH_PAGE)
    assert ast.unparse(first.node) == "import autodiff_api as torch" and not rest
    for _, block in others:
        for statement in block:
            if statement.warning:
                with pytest.raises(RuntimeError, match="backward through the graph a second time"):
                    statement.run(PYTORCH_PAGE, variables)
            else:
                statement.check(PYTORCH_PAGE, variables)
