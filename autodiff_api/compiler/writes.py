"""What a compiled call changes outside of it: values, gradients, buffers, and what optimizers keep.

Like the way in it is Python written for one kind of arguments: `write(outputs)` puts a program's outputs where they
belong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph import tick
from ..trees import Tree
from ..views import rebind
from .emit import Names
from .reading import Make, put_together, written_as


class Writer:
    """Writes the lines that write, given `outputs`; `k` is the number of one."""

    def __init__(self, names: Names, make: Make) -> None:
        self.names = names
        self.lines: list[str] = []
        self._make = self.thing(make, "tensor")

    def thing(self, x: Any, wanted: str) -> str:
        """Return the name of an object."""
        return self.names.thing(x, wanted)

    def value(self, x: Any, k: int) -> None:
        """Give a tensor its new value."""
        t, now, node = self.thing(x, "x"), self.names.fresh("now"), self.names.fresh("node")
        self.lines += [
            f"{now} = outputs[{k}]",
            f"{node} = {t}._node",
            f"if hasattr({t}, '_sharers'):",
            f"    {self.thing(rebind, 'rebind')}({t}, {now}, {node})",
            "else:",
            f"    {t}._value = {now}",
            f"    if {node} is not None:",
            f"        {node}.value = {now}",
            f"        {node}.changed = {self.thing(tick, 'tick')}()",
        ]

    def grad(self, x: Any, k: int | None) -> None:
        """Give a tensor its gradient, or let it have none."""
        grad = "None" if k is None else f"{self._make}(outputs[{k}])"
        self.lines.append(f"{self.thing(x, 'x')}._grad = {grad}")

    def sum(self, x: Any, k: int) -> None:
        """Give the gradient that a tensor has its new value."""
        grad = f"{self.thing(x, 'x')}._grad"
        self.lines.append(f"{self.thing(rebind, 'rebind')}({grad}, outputs[{k}], {grad}._node)")

    def entry(self, registry: dict[str, Any], key: str, k: int) -> None:
        """Let a module keep a new tensor."""
        self.lines.append(f"{self.thing(registry, 'registry')}[{key!r}] = {self._make}(outputs[{k}])")

    def known(
        self, optimizer: Any, tree: Tree, leaves: list[Any], places: list[int | None], makes: list[Make | None]
    ) -> None:
        """Let an optimizer know what its step has made: tensors, and counts, which stay as they come."""
        params, names = list(optimizer._params()), Names()
        text = put_together(names, tree, range(len(leaves)), lambda k: k, None)
        together = written_as("outputs", [f"return {text}"], names)
        triples = list(zip(leaves, places, makes, strict=True))

        def write(outputs: Sequence[Any]) -> None:
            found = [x if k is None else outputs[k] if make is None else make(outputs[k]) for x, k, make in triples]
            optimizer.state = {p: s for p, s in zip(params, together(found), strict=True) if s}

        self.lines.append(f"{self.thing(write, 'optimizer')}(outputs)")

    def function(self) -> Callable[[Sequence[Any]], None]:
        """Return `write(outputs)`."""
        return written_as("outputs", self.lines or ["pass"], self.names)
