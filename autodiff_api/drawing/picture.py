"""`draw`: a picture of the recorded graph, as text, in a notebook, or in a file."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, ArgumentTypeError
from .holdings import roots_of
from .sketch import Sketch, Sketcher
from .svg import svg
from .text import dot, mermaid

TEXT = {".dot": "dot", ".gv": "dot", ".md": "markdown", ".mmd": "mermaid", ".svg": "svg"}


class Picture:
    """A graph that was drawn. Its text is Mermaid; in a notebook it shows itself.

    `mermaid`, `dot` and `svg` are texts; `save` writes a file of the kind that its name tells.
    """

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch

    @cached_property
    def mermaid(self) -> str:
        """The picture in Mermaid's language, which GitHub, GitLab and many notebooks render."""
        return mermaid(self.sketch)

    @cached_property
    def dot(self) -> str:
        """The picture in Graphviz's language."""
        return dot(self.sketch)

    @cached_property
    def svg(self) -> str:
        """The picture itself: laid out by Graphviz where its `dot` is installed, else by a simpler hand."""
        return self._render("svg").decode() if shutil.which("dot") else svg(self.sketch)

    @property
    def markdown(self) -> str:
        """The Mermaid text as a block of a Markdown page."""
        return f"```mermaid\n{self.mermaid}\n```\n"

    def save(self, path: Any) -> None:
        """Write the picture to a file: .svg, .mmd, .md, .dot or .gv; and, with Graphviz, .png, .pdf and others.

        Raises `ArgumentError` for a suffix that nobody here can write.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix in TEXT:
            path.write_text(getattr(self, TEXT[suffix]), encoding="utf-8")
        elif suffix and shutil.which("dot"):
            path.write_bytes(self._render(suffix[1:]))
        else:
            remedy = "install Graphviz for other formats" if suffix else "give the file a suffix"
            raise ArgumentError(f"can't draw to {path.name!r}: use one of {', '.join(TEXT)}, or {remedy}")

    def _render(self, kind: str) -> bytes:
        done = subprocess.run(["dot", f"-T{kind}"], input=self.dot.encode(), capture_output=True)
        if done.returncode:
            raise ArgumentError(f"Graphviz can't draw to .{kind}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def __str__(self) -> str:
        return self.mermaid

    def __repr__(self) -> str:
        return f"<picture of {len(self.sketch.vertices)} boxes; print it for Mermaid, or save it>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return what a notebook may choose from."""
        return {"image/svg+xml": self.svg, "text/plain": repr(self), "text/vnd.mermaid": self.mermaid}

    def _repr_svg_(self) -> str:
        return self.svg


def draw(outputs: Any, names: Any = None, *, depth: int | None = None, limit: int = 200, **named: Any) -> Picture:
    """Draw the graph that leads to some tensors; print what is returned for Mermaid text, or let a notebook show it.

    `outputs` is a tensor, a node, or a list or a dict of them. Names for leaves, constants and results on the way come
    as keyword arguments, as a mapping `names` from name to tensor, or from an `nn.Module`; what has no name is shown
    by its shape. A box says what was called, the shape and dtype of the result, and how many bytes were saved for it.

    Up to `limit` operations are shown each. Of more, what repeats is folded to a loop, drawn once; and if they are
    still too many, those furthest from the outputs become one box. `depth` shows the last so many steps only.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> print(ad.draw(ad.sum(x**2), x=x))
    flowchart TB
        n0(["<b>x</b><br/>(2,) float64"]):::leaf
        n1["<b>pow(·, 2)</b><br/>(2,) float64<br/>saves 16 B"]:::op
        n2["<b>sum</b><br/>() float64"]:::op
        n3(["<b>output</b>"]):::output
        n0 --> n1
        n1 --> n2
        n2 --> n3
        ...
    """
    if limit < 1 or (depth is not None and depth < 1):
        raise ArgumentError(f"a picture needs room for one operation: limit={limit}, depth={depth} must be 1 or more")
    return Picture(Sketcher(roots_of(outputs), _names(names, named), limit, depth).make())


def _names(names: Any, named: Mapping[str, Any]) -> dict[Any, str]:
    """Return names by node, and by the identity of a constant's array."""
    if hasattr(names, "named_parameters"):
        names = [*names.named_parameters(), *getattr(names, "named_buffers", list)()]
    if isinstance(names, Mapping):
        names = names.items()
    if names is not None and (not isinstance(names, Iterable) or hasattr(names, "shape")):
        raise ArgumentTypeError(
            f"names: expected a mapping from names to tensors, or a Module, got {type(names).__name__}"
        )
    found: dict[Any, str] = {}
    for name, x in [*(names or ()), *named.items()]:
        node = getattr(x, "_node", None)
        found[id(getattr(x, "_value", x)) if node is None else node] = str(name)
    return found
