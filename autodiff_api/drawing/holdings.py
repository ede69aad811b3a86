"""What a graph keeps alive: the buffers behind saved values, leaves and constants."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import ArgumentTypeError, GraphError
from ..func.reverse import ALIAS
from ..graph import ITEM, Absent, Edge, Leaf, Node
from ..walks import reachable

SCALARS = (bool, int, float, complex)


def roots_of(outputs: Any) -> dict[str, Any]:
    """Return the nodes of tensors by name: those of one tensor or node, or of a list or a dict of them.

    Raises `ArgumentTypeError` for what is no tensor, `GraphError` if nothing was recorded.
    """
    found: dict[str, Any] = {}
    given = [("", outputs)]
    while given:
        name, x = given.pop()
        if isinstance(x, Mapping):
            given += [(_join(name, str(k)), v) for k, v in reversed(list(x.items()))]
        elif isinstance(x, tuple | list):
            fields = getattr(x, "_fields", None) or [f"[{i}]" for i in range(len(x))]
            given += [(_join(name, k), v) for k, v in reversed(list(zip(fields, x, strict=True)))]
        elif isinstance(x, Node | Leaf):
            found[name] = x
        elif not hasattr(x, "_node"):
            raise ArgumentTypeError(
                f"a graph belongs to a tensor, not to {type(x).__name__}; pass what was computed, or its grad_fn"
            )
        elif x._node is not None:
            found[name] = x._node
    if not found:
        raise GraphError(
            "there is no graph to look at: the output does not require grad. Set requires_grad=True on a leaf before "
            "the computation, and look outside no_grad()"
        )
    return found


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name and not key.startswith("[") else name + key


def tape_of(roots: Iterable[Edge]) -> tuple[list[Node], list[Leaf]]:
    """Return the operations that lead to `roots`, in the order they were recorded, and the leaves.

    An output of an op with several is no operation of its own, nor is a transformation's new name for a tensor.
    """
    found = sorted(reachable(roots), key=lambda node: node.seq)
    ops = [n for n in found if isinstance(n, Node) and n.recipe.op is not ITEM and n.recipe.op is not ALIAS]
    return ops, [n for n in found if isinstance(n, Leaf)]


def renamed(edge: Any) -> Any:
    """Return what an edge is but for the names that transformations gave it."""
    while isinstance(edge, Node) and edge.recipe.op is ALIAS:
        edge = edge.edges[0]
    return edge


def is_item(node: Any) -> bool:
    """Tell whether a node stands for one output of an op with several."""
    return isinstance(node, Node) and node.recipe.op is ITEM


def constants_of(node: Node) -> Iterator[Any]:
    """Yield the constant arrays among a node's inputs; Python scalars are none."""
    for edge in node.edges:
        if edge.__class__ is not Node and edge.__class__ is not Leaf and hasattr(edge, "dtype"):
            yield edge


def buffers(held: Any) -> dict[int, int]:
    """Return the memory that values hold: for each buffer its identity and its size in bytes.

    An array is one buffer, a view of it the same one, as far as the engine tells. An array of ours holds the engine's,
    and what is no array holds nothing.

    >>> import numpy as np
    >>> a = np.zeros(4)
    >>> list(buffers((a, a[1:], a.reshape(2, 2), 3, "text")).values())
    [32]
    """
    found: dict[int, int] = {}
    waiting = [held]
    while waiting:
        x = waiting.pop()
        if isinstance(x, tuple | list):
            waiting += x
        elif isinstance(x, type) or x is None or x.__class__ in SCALARS:
            continue
        elif hasattr(x, "_value"):
            waiting += (x._value, getattr(x, "_tangent", None))
        elif hasattr(x, "dtype") and isinstance(getattr(x, "shape", None), tuple):
            x = owner(x)
            found[id(x)] = math.prod(x.shape) * int(x.dtype.itemsize)
    return found


def owner(x: Any) -> Any:
    """Return the array whose memory a view looks at."""
    while hasattr(base := getattr(x, "base", None), "dtype"):
        x = base
    return x


def absence(node: Node) -> str:
    """Return a word for where a node's saved values are if they are not with it: freed, packed or dropped; or none."""
    if not isinstance(node.saved, Absent):
        return ""
    arrays = [s for s in node.recipe.sources if not isinstance(s, int) or node.edges[s].__class__ not in SCALARS]
    return type(node.saved).__name__.lower() if any(source is not None for source in arrays) else ""


def saved_by(node: Any) -> tuple[Any, ...]:
    """Return what a node itself holds for its derivative: nothing, if that was freed or is kept elsewhere."""
    return node.saved if node.saved.__class__ is tuple else ()
