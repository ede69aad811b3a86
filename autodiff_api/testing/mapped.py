"""The laws of batching: what is computed for many at once is what comes out for each alone, on NumPy.

`vmap` maps a call over each of its arrays alone, and over all of them along their last axis; keys and indices are
mapped over like numbers. `many` carries many cotangents back along one recorded call, and many tangents forward
through one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import func
from ..errors import BatchingError
from ..func.calls import Call as Transformed
from ..func.forward import Moving
from .derivatives import cotangents, directions, has_derivative, is_inexact, tensors
from .reference import on_numpy
from .samples import Array, Sample
from .setting import Call, Setting, arrays_in, lift
from .verdicts import LawError, about, close

TIMES = 2  # how often the two slices are repeated: no other axis of a sample is so long
RISING = ("interp", "searchsorted")  # whose tables rise
MASKED = ("getitem", "scatter_add", "setitem")

Function = Callable[..., Any]


class Mapped(Call):
    """A call any of whose arrays may be mapped over: `leaves` are all of them, `variables` the places of what moves."""

    def __init__(self, setting: Setting, name: str, sample: Sample) -> None:
        super().__init__(setting, name, sample)
        moving = set(self._places)
        given = {id(x): x for x in arrays_in((sample.args, tuple(sample.kwargs.values())))}
        self._places = list(given)
        self.leaves = [setting.cast(x) for x in given.values()]
        self.variables = [i for i, place in enumerate(given) if place in moving]

    def choices(self) -> list[tuple[int, ...]]:
        """Return which arrays are mapped over: each alone, and all."""
        everything = tuple(range(len(self.leaves)))
        return [*((i,) for i in everything if len(everything) > 1), everything]

    def other(self, i: int) -> Array:
        """Return other elements for an array, for which the function is as well defined."""
        x = self.leaves[i]
        if self.name in RISING:
            return x + x.dtype.type(0.25) if x.dtype.kind == "f" else x
        return x.reshape(-1)[::-1].reshape(x.shape)

    def differs(self, chosen: Sequence[int]) -> bool:
        """Tell whether the shapes of the results would differ from one to the next."""
        if self.name == "nonzero" or self.name.startswith("unique"):
            return True
        if self.name == "repeat":
            return self._places[chosen[-1]] == id(self.sample.args[1])
        if self.name not in MASKED or not any(self.leaves[i].dtype.kind == "b" for i in chosen):
            return False
        return self.name == "getitem" or np.shape(self.sample.args[2])[:1] not in ((), (1,))

    def derived(self, ws: Sequence[Array], ts: Sequence[Array]) -> Function:
        """Return the call as a function of its arrays that gives its outputs, their vjp and, given `ts`, their jvp."""
        setting = self.setting
        back, along = ([placed(setting, x) for x in some] for some in (ws, ts))

        def run(*arrays: Any) -> tuple[Any, ...]:
            outs = self(setting.xp, arrays)
            if not along:
                return outs

            def moving(*some: Any) -> tuple[Any, ...]:
                given = list(arrays)
                for i, x in zip(self.variables, some, strict=True):
                    given[i] = x
                return inexact(setting, self(setting.xp, given))

            some = [arrays[i] for i in self.variables]
            _, pull = func.vjp(moving, *some)
            return (*outs, *pull(tuple(back)), *func.jvp(moving, some, along)[1])

        return run


def vmap(setting: Setting, name: str, sample: Sample) -> bool:
    """Check a mapped call, and its derivatives in both modes, against NumPy's of each slice."""
    call = Mapped(setting, name, sample)
    for chosen in call.choices() if call.leaves else ():
        with about(setting, name, sample, f"vmap over {'all' if len(chosen) > 1 else chosen[0]}"):
            _vmap(call, on_numpy(call), chosen)
    return bool(call.leaves)


def _vmap(call: Mapped, there: Mapped, chosen: Sequence[int]) -> None:
    setting, sample = call.setting, call.sample
    axis = -1 if len(chosen) == len(call.leaves) else 0
    dims = tuple([axis if i in chosen else None for i in range(len(call.leaves))])
    stacked, given, others = tensors(call), tensors(there), tensors(there)
    for i in chosen:
        stacked[i] = placed(setting, np.stack([call.leaves[i], call.other(i)] * TIMES, axis=axis))
        others[i] = placed(there.setting, there.other(i))
    if call.differs(chosen):
        refusal(func.vmap(call.derived([], []), dims), stacked)
        return
    plain = Call(setting, call.name, sample)
    moves = has_derivative(plain) and not sample.refuses
    ws = cotangents(there, there(there.setting.xp, given)) if moves else []
    ts = directions(plain) if moves else []
    mapped = compiled(call, func.vmap(call.derived(ws, ts), dims))
    each = there.derived(ws, ts)
    for i, (y, *ones) in enumerate(zip(mapped(*stacked), each(*given), each(*others), strict=True)):
        compare(call, y, ones, f"result {i}")


def many(setting: Setting, name: str, sample: Sample) -> bool:
    """Check many cotangents and many tangents of one call against NumPy's of each alone."""
    call = Call(setting, name, sample)
    if not has_derivative(call) or sample.refuses:
        return False
    with about(setting, name, sample, "many at once"):
        there = on_numpy(call)
        outs = there(there.setting.xp, tensors(there))
        ws = [cotangents(there, outs, seed) for seed in (0, 3)]
        ts = [directions(call, seed) for seed in (1, 4)]
        found = compiled(call, together(call))(tensors(call), stacked(call, ws), stacked(call, ts))
        alone = [apart(there, w, t) for w, t in zip(ws, ts, strict=True)]
        for way, some, *ones in zip(("cotangent of argument", "tangent of output"), found, *alone, strict=True):
            for i, (y, *each) in enumerate(zip(some, *ones, strict=True)):
                compare(call, y, each, f"the {way} {i}")
    return True


def together(call: Call) -> Function:
    """Return a function of leaves and many cotangents and tangents, that gives what comes of each."""

    def run(leaves: Sequence[Any], ws: Sequence[Any], ts: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        def outputs(*xs: Any) -> tuple[Any, ...]:
            return inexact(call.setting, call(call.setting.xp, xs))

        xp, n = call.setting.xp, 2 * TIMES
        outs, pull = func.vjp(outputs, *leaves)
        back = func.vmap(pull)(tuple(ws)) if ws else [xp.zeros((n, *x.shape), dtype=x.dtype) for x in leaves]
        batched = xp._over("batched")
        moving = Moving(
            Transformed("jvp", outputs, leaves, {}, tuple(range(len(leaves)))),
            "duals",
            [batched.batched(t) for t in ts],
            False,
        )
        zeros = [batched.array_class._make(xp.zeros(y.shape, dtype=y.dtype)) for y in outs]
        moved = [z if t is None else t for t, z in zip(moving.moved, zeros, strict=True)]
        return list(back), [t._value if t._hidden else xp.broadcast_to(t._value, (n, *t.shape)) for t in moved]

    return run


def apart(call: Call, ws: Sequence[Array], ts: Sequence[Array]) -> tuple[Any, Any]:
    """Return one call's cotangents and tangents."""

    def outputs(*xs: Any) -> tuple[Any, ...]:
        return inexact(call.setting, call(call.setting.xp, xs))

    leaves = tensors(call)
    pulled = func.vjp(outputs, *leaves)[1](tuple([placed(call.setting, w) for w in ws]))
    return pulled, func.jvp(outputs, leaves, [placed(call.setting, t) for t in ts])[1]


def inexact(setting: Setting, outs: Sequence[Any]) -> tuple[Any, ...]:
    """Return the outputs that have derivatives."""
    return tuple([y for y in outs if is_inexact(setting, y)])


def placed(setting: Setting, x: Array) -> Any:
    """Return an array as a tensor."""
    return lift(setting.xp, setting.raw(setting.cast(x)))


def stacked(call: Call, each: Sequence[Sequence[Array]]) -> list[Any]:
    """Stack what belongs to one place, for each place, and all of it again."""
    return [placed(call.setting, np.stack(group * TIMES)) for group in zip(*each, strict=True)]


def compiled(call: Call, function: Function) -> Function:
    """Return a function as the backend's compiler makes it, if there is one and it can."""
    compile = call.setting.backend.compile
    return function if compile is None or not call.sample.traceable else compile(function)


def compare(call: Call, found: Any, ones: Sequence[Any], what: str) -> None:
    """Compare what came out for many with what came out for each on NumPy."""
    close(call.setting, call.sample, found, np.stack([np.asarray(y._value) for y in ones] * TIMES), what, slack=10)


def refusal(mapped: Function, stacked: Sequence[Any]) -> None:
    """Check that what can't be mapped is an error that says what to do."""
    try:
        mapped(*stacked)
    except BatchingError as error:
        if "outside vmap" not in str(error):
            raise LawError(f"the error must say what to do, and says: {error}") from None
    else:
        raise LawError("there is a result; it must be a BatchingError, since shapes would differ from one to the next")
