"""Batching laws of convolutions, pooling and attention.

The hidden axis of one array of a convolution joins the axis that this array shares with the result: N or the channels.
Where both arrays have it, it joins the groups, which never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .batching import aligned, give_axis

Call = Callable[..., Any]
Shape = tuple[int, ...]


class Shared(NamedTuple):
    """An axis that an array shares with the result: where each has it, and whether it consists of groups there."""

    axis: int
    grouped: bool
    there: int
    grouped_there: bool


class Joint(NamedTuple):
    """Where the axes of a convolution are: those of both arrays that the result has, and those with the groups."""

    first: Shared
    second: Shared
    groups: tuple[int, int, int]  # of both arrays, and of the result


CONV = Joint(Shared(0, False, 0, False), Shared(0, True, 1, True), (1, 0, 1))  # N of x, O of the weight
CONV_INPUT = Joint(Shared(0, False, 0, False), Shared(1, False, 1, True), (1, 0, 1))  # N of grad, C of the weight
CONV_WEIGHT = Joint(Shared(1, True, 1, False), Shared(1, True, 0, True), (1, 1, 0))  # C of x, O of grad


def joined(x: Any, axis: int, parts: int, xp: Any) -> Any:
    """Let the hidden axis join another one, inside each of the `parts` that this consists of."""
    n, shape = x.shape[0], x.shape[1:]
    split = (*shape[:axis], parts, shape[axis] // parts, *shape[axis + 1 :])
    x = xp.moveaxis(xp.reshape(x, (n, *split)), 0, axis + 1)
    return xp.reshape(x, (*shape[:axis], n * shape[axis], *shape[axis + 1 :]))


def parted(x: Any, n: int, axis: int, parts: int, xp: Any) -> Any:
    """Undo `joined`."""
    shape = x.shape
    x = xp.reshape(x, (*shape[:axis], parts, n, shape[axis] // (parts * n), *shape[axis + 1 :]))
    return xp.reshape(xp.moveaxis(x, axis + 1, 0), (n, *shape[:axis], shape[axis] // n, *shape[axis + 1 :]))


def folded(call: Call, joint: Joint, arrays: Sequence[Any], hidden: Sequence[bool], groups: int, xp: Any) -> Any:
    """Return what `call(*arrays, groups)` gives, with the hidden axes joined to others meanwhile."""
    if not arrays[hidden.index(True)].shape[0]:  # no channels and no groups are more than engines take: nothing of one
        ones = [xp.zeros((1, *x.shape[1:]), dtype=x.dtype) if own else x for x, own in zip(arrays, hidden, strict=True)]
        return folded(call, joint, ones, hidden, groups, xp)[:0]
    if all(hidden):
        n = arrays[0].shape[0]
        flat = [joined(x, axis, 1, xp) for x, axis in zip(arrays, joint.groups[:2], strict=True)]
        return parted(call(*flat, n * groups), n, joint.groups[2], 1, xp)
    which, flat = hidden.index(True), list(arrays)
    n, shared = arrays[which].shape[0], joint.second if which else joint.first
    flat[which] = joined(arrays[which], shared.axis, groups if shared.grouped else 1, xp)
    return parted(call(*flat, groups), n, shared.there, groups if shared.grouped_there else 1, xp)


def conv(
    call: Call,
    x: Any,
    weight: Any,
    bias: Any,
    hidden: Any,
    stride: Shape,
    padding: Any,
    dilation: Shape,
    groups: int,
    xp: Any,
) -> Any:
    def run(a: Any, b: Any, groups: int) -> Any:
        return call(a, b, None, stride=stride, padding=padding, dilation=dilation, groups=groups)

    out = folded(run, CONV, (x, weight), hidden[:2], groups, xp) if any(hidden[:2]) else run(x, weight, groups)
    return out if bias is None else out + (xp.expand_dims(bias, axis=1) if hidden[2] else bias)


def conv_input(
    call: Call,
    grad: Any,
    weight: Any,
    hidden: Any,
    shape: Shape,
    stride: Shape,
    padding: Any,
    dilation: Shape,
    groups: int,
    xp: Any,
) -> Any:
    def run(a: Any, b: Any, groups: int) -> Any:
        return call(a, b, shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups)

    return folded(run, CONV_INPUT, (grad, weight), hidden, groups, xp)


def conv_weight(
    call: Call,
    x: Any,
    grad: Any,
    hidden: Any,
    shape: Shape,
    stride: Shape,
    padding: Any,
    dilation: Shape,
    groups: int,
    xp: Any,
) -> Any:
    def run(a: Any, b: Any, groups: int) -> Any:
        return call(a, b, shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups)

    return folded(run, CONV_WEIGHT, (x, grad), hidden, groups, xp)


def max_pool_backward(
    call: Call, grad: Any, at: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape
) -> Any:
    return call(grad, at, window=window, stride=stride, padding=padding, dilation=dilation)


def max_pool_select(call: Call, x: Any, at: Any, window: Shape, stride: Shape, padding: Any, dilation: Shape) -> Any:
    return call(x, at, window=window, stride=stride, padding=padding, dilation=dilation)


def level(arrays: Sequence[Any], hidden: Sequence[bool], xp: Any) -> list[Any]:
    """Give arrays of matrices equally many axes after the hidden one; None stays."""
    there = [i for i, x in enumerate(arrays) if x is not None]
    found = aligned([arrays[i] for i in there], [hidden[i] for i in there], (2,) * len(there), xp)
    out = list(arrays)
    for i, x in zip(there, found, strict=True):
        out[i] = x
    return out


def attention(
    call: Call, query: Any, key: Any, value: Any, mask: Any, hidden: Sequence[bool], scale: float, xp: Any
) -> Any:
    return call(*level((query, key, value, mask), hidden, xp), scale=scale)


def attention_backward(
    call: Call, grad: Any, query: Any, key: Any, value: Any, mask: Any, hidden: Sequence[bool], scale: float, xp: Any
) -> Any:
    """Give `grad` the hidden axis whoever has it, since the cotangent of a value depends on no value."""
    n = next(x.shape[0] for x, h in zip((grad, query, key, value, mask), hidden, strict=True) if h)
    arrays = give_axis(grad, hidden[0], n, xp), query, key, value, mask
    return call(*level(arrays, [True, *hidden[1:]], xp), scale=scale)
