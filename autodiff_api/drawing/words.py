"""What a picture says of a node: an op as it was called, shapes and dtypes, sizes."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from ..display import dtype_name
from ..graph import Absent, Leaf, Node
from ..rules.kinds import signature_of

HIDDEN = ("copy", "device", "dtype", "shape", "stream")  # statics that the output itself tells, or that say little
LONGEST = 44


def op_name(node: Any) -> str:
    """Return the standard's name of a node's op."""
    return str(getattr(getattr(node.recipe, "op", None), "name", None) or node.name())


def kind(x: Any) -> str:
    """Return the shape and dtype of a node or an array, as in `(2, 3) float64`."""
    return f"{tuple(x.shape)} {dtype_name(x.dtype)}"


def amount(size: int) -> str:
    """Return a number of bytes for people.

    >>> amount(24), amount(1536), amount(3 * 2**30)
    ('24 B', '1.5 KiB', '3.0 GiB')
    """
    if size < 1024:
        return f"{size} B"
    scaled = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        scaled /= 1024
        if scaled < 1024:
            return f"{scaled:.1f} {unit}"
    return f"{scaled / 1024:.1f} TiB"


def call(node: Node) -> str:
    """Return an op as it was called: its name, its static arguments, and a dot for each array.

    >>> import autodiff_api as ad
    >>> x = ad.ones((2, 3), requires_grad=True)
    >>> [call(y.grad_fn) for y in (x * x, 1 - x, ad.sum(x, axis=0), x[1:, ..., None, 0])]
    ['multiply', 'subtract(1, ·)', 'sum(axis=0)', 'getitem[1:, ..., None, 0]']
    """
    name, op = op_name(node), node.recipe.op
    if op.statics and not node.params:  # a checkpoint has dropped them
        return name
    if op.name == "getitem":
        return shorten(f"{name}[{_key(node.params[0])}]")
    inputs = dict(zip(op.arrays, node.edges, strict=False)) if not op.variadic else {}
    statics = dict(zip(op.statics, node.params, strict=False))
    said, telling = [], False
    for parameter in _parameters(op.signature):
        if parameter.name in inputs:
            text = _operand(inputs[parameter.name], node)
            telling = telling or text != "·"
            said.append(text)
        elif parameter.name in statics and parameter.name not in HIDDEN:
            value = statics[parameter.name]
            if not _is_default(value, parameter.default):
                text = _key(value)
                said.append(f"{parameter.name}={text}" if parameter.kind is parameter.KEYWORD_ONLY else text)
                telling = True
    if len(inputs) == 1 and len(said) > 1:
        said = [text for text in said if text != "·"]  # one array goes without saying
    return shorten(f"{name}({', '.join(said)})") if telling else name


@cache
def _parameters(signature: str) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(signature_of(signature)).parameters.values())


def _operand(edge: Any, node: Node) -> str:
    dropped = edge is None and isinstance(node.saved, Absent)  # an array was there
    return "·" if dropped or isinstance(edge, Node | Leaf) or hasattr(edge, "dtype") else repr(edge)


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and not hasattr(value, "dtype") and value == default)


def _key(value: Any) -> str:
    """Return an index or a static argument as it is written."""
    if isinstance(value, slice):
        parts = ["" if part is None else str(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(value, tuple) and any(isinstance(part, slice) or part is ... for part in value):
        return ", ".join(map(_key, value))
    if hasattr(value, "dtype"):
        return f"array{tuple(value.shape)}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_key, value))}{',' if len(value) == 1 else ''})"
    return "..." if value is ... else repr(value)


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return a text, its middle left out if it is too long."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
