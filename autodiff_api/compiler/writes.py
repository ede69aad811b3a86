"""What a compiled call changes outside of it, and how: values, gradients, buffers, and what optimizers keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph import tick
from ..trees import Tree
from ..views import rebind
from .reading import builder

Write = Callable[[Sequence[Any]], None]  # puts what it wants of a program's outputs where it belongs


def write_value(x: Any, k: int) -> Write:
    """Return what gives a tensor its new value."""

    def write(outputs: Sequence[Any]) -> None:
        value = outputs[k]
        if hasattr(x, "_sharers"):
            rebind(x, value, x._node)
            return
        x._value = value
        node = x._node
        if node is not None:
            node.value, node.changed = value, tick()

    return write


def write_grad(x: Any, k: int | None, make: Callable[[Any], Any]) -> Write:
    """Return what gives a tensor its gradient, or says that there is none."""

    def write(outputs: Sequence[Any]) -> None:
        x._grad = None if k is None else make(outputs[k])

    return write


def write_sum(x: Any, k: int) -> Write:
    """Return what gives the gradient that a tensor has its new value."""

    def write(outputs: Sequence[Any]) -> None:
        rebind(x._grad, outputs[k], x._grad._node)

    return write


def write_entry(registry: dict[str, Any], key: str, k: int, make: Callable[[Any], Any]) -> Write:
    """Return what lets a module keep a new tensor."""

    def write(outputs: Sequence[Any]) -> None:
        registry[key] = make(outputs[k])

    return write


def write_known(
    optimizer: Any, tree: Tree, leaves: list[Any], places: list[int | None], makes: list[Callable[[Any], Any] | None]
) -> Write:
    """Return what lets an optimizer know what its step has made: tensors, and counts, which stay as they come."""
    params, together = list(optimizer._params()), builder(tree, range(len(leaves)), lambda k: k, None)
    triples = list(zip(leaves, places, makes, strict=True))

    def write(outputs: Sequence[Any]) -> None:
        found = [x if k is None else outputs[k] if make is None else make(outputs[k]) for x, k, make in triples]
        optimizer.state = {p: s for p, s in zip(params, together(found), strict=True) if s}

    return write
