"""A tree as text and named arrays, and back. Nothing in the text is a program: it names no class to import."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autodiff_api.arrays import Array
from autodiff_api.errors import ArgumentError, ArgumentTypeError
from autodiff_api.nn import Parameter
from autodiff_api.values import is_array

from .hosts import Host, Leaf, host_of

DEPTH = 100
"""How deep a tree may be: every deeper one is a mistake, or an attempt to exhaust whoever reads it."""

RESERVED = {"", "__metadata__", "autodiff_api.json"}  # names that a format has a use for
DICTS = {"dict": dict, "ordered": OrderedDict}


def take_apart(obj: Any) -> tuple[Any, dict[str, Host]]:
    """Return a tree as what JSON can say, and its arrays by name.

    Raises ArgumentTypeError for a leaf that is no array, number, text or None.
    """
    writer = Writer()
    return writer.part(obj, ()), writer.arrays


class Writer:
    """Walks down a tree, and keeps the arrays that it meets."""

    def __init__(self) -> None:
        self.arrays: dict[str, Host] = {}

    def part(self, x: Any, path: tuple[Any, ...]) -> Any:
        """Return one part of the tree as JSON says it."""
        if len(path) > DEPTH:
            raise ArgumentError(f"save: a tree deeper than {DEPTH} at {_shown(path[:5])}...; does a list hold itself?")
        if isinstance(x, np.generic):
            x = x.item()
        elif is_array(x):
            return self.array(x, path)
        kind: Any = type(x)
        if isinstance(x, tuple) and hasattr(kind, "_fields"):
            return {"namedtuple": kind.__name__, "fields": self.pairs(zip(kind._fields, x, strict=True), path)}
        if kind in (dict, defaultdict, OrderedDict):
            return {"ordered" if isinstance(x, OrderedDict) else "dict": self.pairs(x.items(), path)}
        if kind in (list, tuple):
            parts = [self.part(value, (*path, n)) for n, value in enumerate(x)]
            return parts if kind is list else {"tuple": parts}
        return number(x, path)

    def pairs(self, items: Iterable[tuple[Any, Any]], path: tuple[Any, ...]) -> list[Any]:
        """Return what a dict holds; its keys need not be texts."""
        return [[number(key, (*path, key)), self.part(value, (*path, key))] for key, value in items]

    def array(self, x: Any, path: tuple[Any, ...]) -> Any:
        """Keep an array, and return what to know of it."""
        host = host_of(x, _shown(path))
        plain = ".".join(map(str, path)).encode("ascii", "replace").decode() or "array"
        name = label = "".join(c if c.isprintable() and c not in '/\\:"' else "_" for c in plain)[:500]
        count = 1
        while name in self.arrays or name in RESERVED:
            count += 1
            name = f"{label}~{count}"
        self.arrays[name] = host
        kind = "parameter" if isinstance(x, Parameter) else "tensor" if isinstance(x, Array) else "array"
        return {"array": name, "dtype": host.dtype, "kind": kind, "grad": kind != "array" and bool(x.requires_grad)}


def number(x: Any, path: tuple[Any, ...]) -> Any:
    """Return a number, text or None as JSON says it; ArgumentTypeError for anything else."""
    if x is None or type(x) in (bool, int, str):
        return x
    if type(x) is float:
        return x if math.isfinite(x) else {"float": repr(x)}
    if type(x) is complex:
        return {"complex": [repr(x.real), repr(x.imag)]}
    remedy = "save its state_dict()" if hasattr(x, "state_dict") else "save what it is made of"
    raise ArgumentTypeError(
        f"save: {_shown(path)} is a {type(x).__module__}.{type(x).__qualname__}; a file holds dicts, lists, tuples and "
        f"namedtuples of arrays, numbers, texts and None: {remedy}"
    )


def _shown(path: Sequence[Any]) -> str:
    return "".join(f"[{key!r}]" for key in path) or "what is to be saved"


def plain(arrays: dict[str, Host]) -> dict[str, Leaf]:
    """Return the arrays of a file that says nothing of a tree."""
    return {name: Leaf(host) for name, host in arrays.items()}


class Reader:
    """Builds a tree of what `take_apart` gave; any Exception for what it can't have given."""

    def __init__(self, arrays: dict[str, Host], types: Sequence[type]) -> None:
        self.arrays, self.types = dict(arrays), {kind.__name__: kind for kind in types}

    def whole(self, x: Any) -> Any:
        """Return the tree, of which each array of the file must be a part."""
        found = self.part(x, 0)
        if self.arrays:
            raise ValueError(f"it has an array {next(iter(self.arrays))!r} that belongs nowhere")
        return found

    def part(self, x: Any, depth: int) -> Any:
        """Return one part of the tree."""
        if depth > DEPTH:
            raise ValueError(f"its tree is deeper than {DEPTH}")
        if isinstance(x, list):
            return [self.part(value, depth + 1) for value in x]
        if not isinstance(x, dict):
            return x
        tag = next(iter(x))
        if tag in DICTS:
            return DICTS[tag]((self.key(key), self.part(value, depth + 1)) for key, value in x[tag])
        if tag == "tuple":
            return tuple(self.part(value, depth + 1) for value in x[tag])
        if tag == "namedtuple":
            return self.named(x, depth)
        return self.array(x) if tag == "array" else self.key(x)

    def key(self, x: Any) -> Any:
        """Return a number, text or None."""
        if not isinstance(x, dict):
            if isinstance(x, list):
                raise ValueError("it has a list where a number or a text belongs")
            return x
        ((tag, value),) = x.items()
        if tag not in ("complex", "float"):
            raise ValueError(f"it has a part of a kind {tag!r} that is not known")
        return float(value) if tag == "float" else complex(*map(float, value))

    def named(self, x: Any, depth: int) -> Any:
        """Return a namedtuple: of the user's class of the name, else of one that is made here."""
        names, values = zip(*x["fields"], strict=True) if x["fields"] else ((), ())
        kind: Any = self.types.get(x["namedtuple"]) or namedtuple(x["namedtuple"], names)
        if kind._fields != names:
            raise ValueError(f"its {x['namedtuple']} has fields {names}, and that of types= has {kind._fields}")
        return kind(*(self.part(value, depth + 1) for value in values))

    def array(self, x: Any) -> Leaf:
        """Return an array, once."""
        host, dtype, kind = self.arrays.pop(x["array"]), x["dtype"], x["kind"]
        if (host.dtype, dtype) == ("uint16", "bfloat16"):
            host = Host(dtype, host.data)
        if host.dtype != dtype or kind not in ("array", "parameter", "tensor") or not isinstance(x["grad"], bool):
            raise ValueError(f"its array {x['array']!r} is not what it says of it")
        if x["grad"] and host.data.dtype.kind not in "fc" and dtype != "bfloat16":
            raise ValueError(f"its array {x['array']!r} of {dtype} can't require gradients")
        return Leaf(host, kind, x["grad"])
