"""Batching laws of reading, assigning and adding at a key, any part of which may have the hidden axis.

A key without hidden parts is the same key behind a full slice, unless integer arrays stand apart in it: NumPy puts
their axes first then, before the hidden one. In every other case the hidden axis is itself indexed, by an `arange` as
one more integer array, and the axes that integer arrays made are moved to where they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import OperandError
from .batches import unknown_shape
from .batching import give_axis

Call = Callable[..., Any]


@dataclass(frozen=True)
class Hidden:
    """A part of a key that has the hidden axis: an integer array or a mask of the namespace below."""

    value: Any


@dataclass(frozen=True)
class Plan:
    """A key behind the hidden axis, and where the axes of its result are."""

    key: tuple[Any, ...]
    rank: int  # of the result, without the hidden axis
    advanced: int  # how many axes the integer arrays make together
    place: int  # where the first of them belongs in the result
    by_number: bool  # whether the hidden axis is indexed too, and `advanced` axes follow it directly


def parts_of(key: Any, ndim: int) -> list[Any]:
    """Return a key as a list with a full slice for every axis that it leaves out, and no Ellipsis."""
    parts = list(key) if isinstance(key, tuple) else [key]
    used = sum(_consumed(p) for p in parts)
    fill = [slice(None)] * (ndim - used)
    where = [i for i, p in enumerate(parts) if p is Ellipsis]
    return parts[: where[0]] + fill + parts[where[0] + 1 :] if where else parts + fill


def _consumed(part: Any) -> int:
    value = part.value if isinstance(part, Hidden) else part
    if value is None or value is Ellipsis or isinstance(value, bool):
        return 0
    if "bool" in str(getattr(value, "dtype", "")):
        return int(value.ndim) - isinstance(part, Hidden)
    return 1


def _is_array(part: Any) -> bool:
    return isinstance(part, Hidden) or hasattr(part, "dtype") or isinstance(part, bool)


def _names(part: Any) -> bool:
    return _is_array(part) or isinstance(part, int)


def standing_apart(key: Any) -> bool:
    """Tell whether something else, be it an Ellipsis for nothing, stands between integers and arrays of a key."""
    parts = key if isinstance(key, tuple) else (key,)
    named = [i for i, p in enumerate(parts) if _names(p)]
    return named[-1] - named[0] >= len(named)


def free_axes(parts: Sequence[Any]) -> int:
    """Return how many axes the slices and Nones of a key make."""
    return sum(p is None or isinstance(p, slice) for p in parts)


def before_arrays(parts: Sequence[Any]) -> int:
    """Return how many axes of the result come before those of the first integer or array."""
    return free_axes(parts[: next(i for i, p in enumerate(parts) if _names(p))])


def plan(key: Any, ndim: int, n: int, xp: Any) -> Plan:
    """Return how `x[key]` is said for an `x` that has `ndim` axes after the hidden one, of length n."""
    parts = parts_of(key, ndim)
    made = [_made(p) for p in parts if _is_array(p)]
    if not made:
        return Plan((slice(None), *parts), free_axes(parts), 0, 0, False)
    rank, place, apart = max(made), before_arrays(parts), standing_apart(key)
    total = rank + free_axes(parts)
    if not (apart or any(isinstance(p, Hidden) for p in parts)):
        return Plan((slice(None), *parts), total, rank, place, False)
    number = xp.reshape(xp.arange(n), (n, *(1,) * rank))
    named = [_padded(p, rank, xp) if isinstance(p, Hidden) else p for p in parts]
    return Plan((number, *named), total, rank, 0 if apart else place, True)


def _made(part: Any) -> int:
    """Return how many axes an integer array or a mask makes."""
    if isinstance(part, Hidden):
        return int(part.value.ndim) - 1
    return 1 if isinstance(part, bool) or "bool" in str(part.dtype) else int(part.ndim)


def _padded(part: Hidden, rank: int, xp: Any) -> Any:
    value = part.value
    missing = rank - (value.ndim - 1)
    return xp.reshape(value, (value.shape[0], *(1,) * missing, *value.shape[1:])) if missing else value


def hidden_mask(key: Any) -> bool:
    """Tell whether a mask in the key has the hidden axis."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(p, Hidden) and "bool" in str(p.value.dtype) for p in parts)


def length_of(key: Any) -> int:
    """Return the length of the hidden axis of a key that has it."""
    parts = key if isinstance(key, tuple) else (key,)
    return int(next(p.value.shape[0] for p in parts if isinstance(p, Hidden)))


def is_hidden(key: Any) -> bool:
    """Tell whether any part of a key has the hidden axis."""
    return isinstance(key, Hidden) or (isinstance(key, tuple) and any(isinstance(p, Hidden) for p in key))


def getitem(call: Call, x: Any, key: Any, hidden: Sequence[bool], xp: Any) -> Any:
    if hidden_mask(key):
        raise unknown_shape("x[mask]", "the mask differs from one to the next")
    if not hidden[0]:
        return _from_shared(call, x, key, xp)
    how = plan(key, x.ndim - 1, x.shape[0], xp)
    out = call(x, how.key)
    return _to_place(out, how, xp)


def _from_shared(call: Call, x: Any, key: Any, xp: Any) -> Any:
    """Read at a hidden key in an array that has no hidden axis: no copies of it are made."""
    parts = key if isinstance(key, tuple) else (key,)
    rank = max(_made(p) for p in parts if _is_array(p))
    out = call(x, tuple([_padded(p, rank, xp) if isinstance(p, Hidden) else p for p in parts]))
    return out if standing_apart(key) else xp.moveaxis(out, before_arrays(parts_of(key, x.ndim)), 0)


def _to_place(out: Any, how: Plan, xp: Any) -> Any:
    """Move the axes that integer arrays made, which follow the hidden one, to where they belong."""
    if not (how.by_number and how.place and how.advanced):
        return out
    k, p = how.advanced, how.place
    return xp.permute_dims(out, (0, *range(1 + k, 1 + k + p), *range(1, 1 + k), *range(1 + k + p, out.ndim)))


def _from_place(value: Any, how: Plan, hidden: bool, xp: Any) -> Any:
    """Lay out what is assigned as the plan's key wants it: the inverse of `_to_place`."""
    if not hasattr(value, "ndim") or (value.ndim == 0 and not hidden):
        return value
    shape = value.shape[1:] if hidden else value.shape
    while len(shape) > how.rank and shape[0] == 1:  # x[0] = [[1, 2]]
        shape = shape[1:]
    if len(shape) > how.rank:
        raise OperandError(f"x[key] = value: x[key] has {how.rank} axes, and the value shape {tuple(shape)}")
    value = xp.reshape(value, (value.shape[0] if hidden else 1, *(1,) * (how.rank - len(shape)), *shape))
    if not (how.by_number and how.place and how.advanced):
        return value
    k, p = how.advanced, how.place
    return xp.permute_dims(value, (0, *range(1 + p, 1 + p + k), *range(1, 1 + p), *range(1 + p + k, value.ndim)))


def setitem(call: Call, x: Any, key: Any, value: Any, hidden: Sequence[bool], xp: Any) -> Any:
    return _written(call, x, key, value, hidden, xp, lambda old, new: new)


def scatter_add(call: Call, x: Any, key: Any, values: Any, hidden: Sequence[bool], xp: Any) -> Any:
    return _written(call, x, key, values, hidden, xp, lambda old, new: old + new)


def _written(
    call: Call, x: Any, key: Any, value: Any, hidden: Sequence[bool], xp: Any, merged: Callable[[Any, Any], Any]
) -> Any:
    n = x.shape[0] if hidden[0] else value.shape[0] if hidden[1] else length_of(key)
    x = give_axis(x, hidden[0], n, xp)
    if hidden_mask(key):
        return _where(x, key, value, hidden[1], xp, merged)
    how = plan(key, x.ndim - 1, n, xp)
    return call(x, how.key, _from_place(value, how, hidden[1], xp))


def _where(x: Any, key: Any, value: Any, hidden: bool, xp: Any, merged: Callable[[Any, Any], Any]) -> Any:
    """Write through a mask what is the same for all that it selects: which those are need not be known."""
    parts = parts_of(key, x.ndim - 1)
    masks = [part for part in parts if isinstance(part, Hidden)]
    if len(masks) > 1 or not all(isinstance(p, Hidden) or (isinstance(p, slice) and p == slice(None)) for p in parts):
        raise unknown_shape("x[mask] = values", "the mask differs from one to the next")
    (mask,) = (part.value for part in masks)
    before, made = parts.index(masks[0]), mask.ndim - 1
    after = x.ndim - 1 - before - made
    if hasattr(value, "ndim"):
        value = _for_mask(value, hidden, made, after, x, xp)
    mask = xp.reshape(mask, (mask.shape[0], *(1,) * before, *mask.shape[1:], *(1,) * after))
    return xp.where(mask, merged(x, value), x)


def _for_mask(value: Any, hidden: bool, made: int, after: int, x: Any, xp: Any) -> Any:
    """Give a value that is written through a mask of `made` axes, which are one axis of the value, the rank of `x`."""
    shape = value.shape[hidden:]
    split = len(shape) - after - 1
    if split >= 0:
        if shape[split] != 1:
            raise unknown_shape("x[mask] = values", "the mask differs from one to the next")
        shape = (*shape[:split], *(1,) * made, *shape[split + 1 :])
    missing = (1,) * (x.ndim - 1 - len(shape))
    return xp.astype(xp.reshape(value, (value.shape[0] if hidden else 1, *missing, *shape)), x.dtype)
