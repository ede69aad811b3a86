"""How an op runs over one hidden leading axis: the kinds of batching law, and how a law becomes code.

An op that works on the last axes, or on each element, is :class:`Stacked`; one that names axes is :class:`Shifted`;
for the rest a law is a function whose *parameter names say what it needs*, as a formula's do:

======================  ====================================================================
name                    what the law receives
======================  ====================================================================
`call`                  the op itself, with its own signature, on arrays of the namespace below
`x`, `x1`, `axis` ...   the op's own parameters; arrays have the hidden axis first
`hidden`                which of the arrays have it: without this word, all of them are given it
`xp`                    the namespace below
======================  ====================================================================

A law returns the output, or the tuple of outputs, with the hidden axis first. At least one array has it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..axes import all_axes, one_axis
from ..errors import OperandError
from .kinds import Elementwise, Op, invoker_of

Run = Callable[[Callable[..., Any], Sequence[Any], Sequence[bool], tuple[Any, ...], Any], Any]
Law = Any  # Stacked, Shifted, or a function


class Stacked:
    """The op works on the last axes of each array and broadcasts those before them.

    `core` says how many axes of each array are the op's own: none of an element-wise op, two of a matrix.
    """

    def __init__(self, *core: int) -> None:
        self.core = core

    def bind(self, op: Op) -> Run:
        """Return `run(kernel, arrays, hidden, statics, xp)`."""
        invoke, core = invoker_of(op), self.core or (0,) * len(op.arrays)
        if core == (0,):
            return lambda kernel, arrays, hidden, statics, xp: invoke(kernel, arrays, statics)

        def run(
            kernel: Callable[..., Any], arrays: Sequence[Any], hidden: Sequence[bool], statics: tuple[Any, ...], xp: Any
        ) -> Any:
            for x, h, own in zip(arrays, hidden, core, strict=True):
                if own and x.ndim - h < own:
                    raise too_few_axes(op.name, own, x.shape[h:])
            if len(core) == 1:
                return invoke(kernel, arrays, statics)
            return invoke(kernel, aligned(arrays, hidden, core, xp), statics)

        return run


class Shifted:
    """The op names axes of its one array: each is one further on.

    `none` says what an axis of None means: "all" of them, or the "only" one.
    """

    def __init__(self, *names: str, none: str = "all") -> None:
        self.names, self.none = names, none

    def bind(self, op: Op) -> Run:
        """Return `run(kernel, arrays, hidden, statics, xp)`."""
        invoke, places, none = invoker_of(op), [op.statics.index(n) for n in self.names], self.none

        def run(
            kernel: Callable[..., Any], arrays: Sequence[Any], hidden: Sequence[bool], statics: tuple[Any, ...], xp: Any
        ) -> Any:
            shape, moved = arrays[0].shape[1:], list(statics)
            for i in places:
                moved[i] = shifted(op.name, 0 if statics[i] is None and none == "only" else statics[i], shape)
                if none == "only" and statics[i] is None and len(shape) != 1:
                    raise OperandError(f"{op.name} of shape {tuple(shape)}: name the axis")
            return invoke(kernel, arrays, tuple(moved))

        return run


def too_few_axes(name: str, wanted: int, shape: Sequence[int]) -> Exception:
    """Return the error for an array with fewer axes than an op works on."""
    what = "matrices, in the last two axes" if wanted == 2 else "vectors"
    return OperandError(f"{name} takes {what}; got shape {tuple(shape)}")


def shifted(name: str, axis: Any, shape: tuple[int, ...]) -> Any:
    """Return an axis, or several, or all for None, of an array of `shape`, counted with the hidden axis before them."""
    if axis is None or isinstance(axis, tuple | list):
        return tuple([a + 1 for a in all_axes(name, axis, shape)])
    return one_axis(name, axis, shape) + 1


def aligned(arrays: Sequence[Any], hidden: Sequence[bool], core: Sequence[int], xp: Any) -> list[Any]:
    """Give the arrays that have the hidden axis as many axes after it as broadcasting will count there."""
    ranks = [getattr(x, "ndim", 0) - h - c for x, h, c in zip(arrays, hidden, core, strict=True)]
    most = max(ranks)
    return [
        xp.reshape(x, (x.shape[0], *(1,) * (most - rank), *x.shape[1:])) if h and rank < most else x
        for x, h, rank in zip(arrays, hidden, ranks, strict=True)
    ]


def spread(arrays: Sequence[Any], hidden: Sequence[bool], xp: Any) -> list[Any]:
    """Give every array the hidden axis."""
    n = next(x.shape[0] for x, h in zip(arrays, hidden, strict=True) if h)
    return [give_axis(x, h, n, xp) for x, h in zip(arrays, hidden, strict=True)]


def give_axis(x: Any, hidden: bool, n: int, xp: Any) -> Any:
    """Give one array the hidden axis, of length n, if it lacks it; a number stays one."""
    return x if hidden or not hasattr(x, "ndim") else xp.broadcast_to(x, (n, *x.shape))


def by_name(op: Op, law: Callable[..., Any]) -> Run:
    """Compile a law that is a function of named parameters."""
    words = []
    for name in inspect.signature(law).parameters:
        if name in op.statics:
            words.append(f"p[{op.statics.index(name)}]")
        elif name == "arrays":
            words.append("a")
        elif name in op.arrays:
            words.append(f"a[{op.arrays.index(name)}]")
        else:
            words.append({"call": "kernel", "hidden": "hidden", "xp": "xp"}[name])
    given = "hidden" in words or (len(op.arrays) == 1 and not op.variadic)
    run = eval(f"lambda kernel, a, hidden, p, xp: law({', '.join(words)})", {"law": law})
    if given:
        return run  # type: ignore[no-any-return]
    return lambda kernel, a, hidden, p, xp: run(kernel, spread(a, hidden, xp), hidden, p, xp)


def is_each(op: Op) -> bool:
    """Tell whether an op works element by element, as its law says, or its rule."""
    return op.batch is EACH or (op.batch is None and isinstance(op.rule, Elementwise))


def bind_law(op: Op) -> Run | None:
    """Return an op's batching law as code, or None if it has none."""
    law: Law = EACH if is_each(op) else op.batch
    if law is None:
        return None
    return law.bind(op) if hasattr(law, "bind") else by_name(op, law)


EACH = Stacked()  # element by element
MATRIX = Stacked(2)
ALONG = Shifted("axis")
