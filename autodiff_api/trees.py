"""Trees of arrays: dicts, lists, tuples and dataclasses taken apart into leaves, and put together again.

What `optree` or JAX has been told of is a container here too, once that library is imported. Anything else is a leaf.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from .errors import TreeError


class Tree(NamedTuple):
    """The structure of a tree: how to make one level of it from its children. A leaf has no `make`."""

    kind: Any = None
    keys: tuple[Any, ...] = ()
    children: tuple[Tree, ...] = ()
    make: Callable[[Sequence[Any]], Any] | None = None

    def same(self, other: Tree) -> bool:
        """Tell whether two trees are built alike."""
        alike = self.kind is other.kind and self.keys == other.keys and len(self.children) == len(other.children)
        return alike and all(a.same(b) for a, b in zip(self.children, other.children, strict=True))

    @property
    def size(self) -> int:
        """The number of leaves."""
        return 1 if self.make is None else sum(child.size for child in self.children)

    def __repr__(self) -> str:
        return f"Tree({show(self)})"


LEAF = Tree()


def show(tree: Tree) -> str:
    """Say how a tree is built, with a * for each leaf."""
    if tree.make is None:
        return "*"
    inner = ", ".join(f"{k}: {show(c)}" for k, c in zip(tree.keys, tree.children, strict=True))
    return f"{tree.kind.__name__}({inner})"


def one_level(x: Any) -> tuple[Any, Sequence[Any], Callable[[Sequence[Any]], Any]] | None:
    """Return the keys, the children and the maker of a container; None for a leaf."""
    kind = type(x)
    if kind in (dict, OrderedDict, defaultdict):
        keys = tuple(x)
        empty: Callable[[], Any] = (lambda: defaultdict(x.default_factory)) if kind is defaultdict else kind

        def make(children: Sequence[Any]) -> Any:
            made = empty()
            made.update(zip(keys, children, strict=True))
            return made

        return keys, list(x.values()), make
    if kind in (list, tuple):
        return range(len(x)), x, kind
    if x is None:
        return (), (), lambda children: None
    if hasattr(x, "dtype") or isinstance(x, (bool, int, float, complex, str, bytes, type, Iterator)):
        return None
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return x._fields, x, lambda children: kind(*children)
    return _registered(x) or _dataclass(x)


def _registered(x: Any) -> tuple[Any, Sequence[Any], Callable[[Sequence[Any]], Any]] | None:
    """Ask the libraries that keep a register of containers, if they are there."""
    for name in ("optree", "jax"):
        library = sys.modules.get(name)
        utilities = getattr(library, "tree_util", None) if name == "jax" else library
        if utilities is None or not hasattr(utilities, "tree_flatten"):
            continue
        children, structure = utilities.tree_flatten(x, is_leaf=lambda y: y is not x)
        if len(children) != 1 or children[0] is not x:
            make = partial(utilities.tree_unflatten, structure)
            return range(len(children)), children, lambda parts, make=make: make(list(parts))
    return None


def _dataclass(x: Any) -> tuple[Any, Sequence[Any], Callable[[Sequence[Any]], Any]] | None:
    if not dataclasses.is_dataclass(x):
        return None
    names = tuple(f.name for f in dataclasses.fields(x))

    def make(children: Sequence[Any]) -> Any:
        made = object.__new__(type(x))  # past __init__, which may check what a leaf of another kind does not pass
        for name, child in zip(names, children, strict=True):
            object.__setattr__(made, name, child)
        return made

    return names, [getattr(x, n) for n in names], make


def flatten(x: Any) -> tuple[list[Any], Tree]:
    """Return the leaves of a tree, and its structure.

    >>> leaves, tree = flatten({"w": [1.0, 2.0], "b": None})
    >>> leaves, unflatten(tree, [3.0, 4.0])
    ([1.0, 2.0], {'w': [3.0, 4.0], 'b': None})
    """
    leaves: list[Any] = []
    return leaves, _flatten(x, leaves)


def _flatten(x: Any, leaves: list[Any]) -> Tree:
    level = one_level(x)
    if level is None:
        leaves.append(x)
        return LEAF
    keys, children, make = level
    return Tree(type(x), tuple(keys), tuple([_flatten(child, leaves) for child in children]), make)


def unflatten(tree: Tree, leaves: Iterable[Any]) -> Any:
    """Put leaves together to a tree."""
    return _unflatten(tree, iter(leaves))


def _unflatten(tree: Tree, leaves: Any) -> Any:
    if tree.make is None:
        return next(leaves)
    return tree.make([_unflatten(child, leaves) for child in tree.children])


def paths(tree: Tree, start: str = "") -> list[str]:
    """Return the place of each leaf, as one would write it: "['w'][0]".

    >>> paths(flatten({"w": [1.0, 2.0]})[1])
    ["['w'][0]", "['w'][1]"]
    """
    if tree.make is None:
        return [start]
    named = dataclasses.is_dataclass(tree.kind) or hasattr(tree.kind, "_fields")
    places = [f".{key}" if named else f"[{key!r}]" for key in tree.keys]
    return [p for place, child in zip(places, tree.children, strict=True) for p in paths(child, start + place)]


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply a function to each leaf, together with the leaves at the same place of other trees built alike.

    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"x": 10, "y": (20, 30)})
    {'x': 11, 'y': (22, 33)}
    """
    leaves, structure = flatten(tree)
    others = [matching(structure, other, "tree_map") for other in rest]
    return unflatten(structure, [function(*group) for group in zip(leaves, *others, strict=True)])


def matching(structure: Tree, other: Any, where: str) -> list[Any]:
    """Return the leaves of another tree in the order of `structure`; TreeError if it is not built alike.

    Dicts are matched by key, whatever their order.
    """
    leaves: list[Any] = []
    _match(structure, other, leaves, where, structure)
    return leaves


def _match(structure: Tree, other: Any, leaves: list[Any], where: str, whole: Tree) -> None:
    if structure.make is None:
        leaves.append(other)
        return
    level = one_level(other)
    same = level is not None and type(other) is structure.kind and set(level[0]) == set(structure.keys)
    if level is None or not same:
        found = show(flatten(other)[1])
        raise TreeError(f"{where}: expected a tree built as {show(whole)}, got {found} in place of {show(structure)}")
    children = dict(zip(level[0], level[1], strict=True))
    for key, child in zip(structure.keys, structure.children, strict=True):
        _match(child, children[key], leaves, where, whole)


def prefix(given: Any, structure: Tree, where: str) -> list[Any]:
    """Spread a tree that may end early, such as `in_dims`, over the leaves of a structure.

    >>> prefix((0, None), flatten(([1, 2], 3))[1], "vmap")
    [0, 0, None]
    """
    if structure.make is None or given is None or isinstance(given, int):
        return [given] * structure.size
    level = one_level(given)
    if level is None or set(level[0]) != set(structure.keys):
        raise TreeError(f"{where}: {given!r} does not fit a tree built as {show(structure)}")
    children = dict(zip(level[0], level[1], strict=True))
    return [
        part
        for key, child in zip(structure.keys, structure.children, strict=True)
        for part in prefix(children[key], child, where)
    ]
