"""What laws are made of: calls on tensors and dual numbers, their gradients and tangents, and slopes by differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd import grad
from .reference import on_numpy
from .samples import Array
from .setting import Call, Setting, lift

STEP = 3e-4  # for differences: of fourth order, so that truncation and rounding are both some 1e-12
DIFFERENTIABLE = ("real floating", "complex floating")


def tensors(call: Call) -> list[Any]:
    """Return a call's arguments as tensors that stand still."""
    return [lift(call.setting.xp, raw) for raw in call.raws()]


def leaves_of(call: Call) -> list[Any]:
    """Return a call's arguments as leaves that require grad."""
    return [call.setting.xp.array_class._create(raw, True) for raw in call.raws()]


def as_tuple(out: Any) -> tuple[Any, ...]:
    """Return what came out as a tuple."""
    return tuple(out) if isinstance(out, tuple | list) else (out,)


def has_derivative(call: Call) -> bool:
    """Tell whether a call is differentiated at all."""
    return bool(call.leaves) and not call.is_constant and call.sample.order is not None


def is_inexact(setting: Setting, y: Any) -> bool:
    """Tell whether an output can have a gradient."""
    return bool(setting.xp.isdtype(y.dtype, DIFFERENTIABLE))


def _random(call: Call, like: Sequence[Any], seed: int) -> list[Array]:
    """Return random arrays of the shapes of `like`, complex where they are, in the setting's precision."""
    rng = np.random.default_rng(seed)
    found = []
    for x in like:
        noise = rng.normal(size=tuple(x.shape))
        if "complex" in str(x.dtype):
            noise = noise + 1j * rng.normal(size=tuple(x.shape))
        found.append(call.setting.cast(np.asarray(noise)))
    return found


def cotangents(call: Call, outs: Sequence[Any], seed: int = 0) -> list[Array]:
    """Return a random cotangent for each output that can have one."""
    return _random(call, [y for y in outs if is_inexact(call.setting, y)], seed)


def directions(call: Call, seed: int = 1) -> list[Array]:
    """Return a random direction for each argument, in which it may move."""
    found = [t.astype(x.dtype) for t, x in zip(_random(call, call.leaves, seed), call.leaves, strict=True)]
    tangent = call.sample.tangent
    return found if tangent is None else [tangent(t).astype(t.dtype) for t in found]


def is_reference(setting: Setting) -> bool:
    """Tell whether a setting is what others are compared with."""
    return setting.backend.name == "numpy" and not setting.single


def numpys_gradient(call: Call, ws: Sequence[Array], vs: Sequence[Array] | None = None) -> list[Any]:
    """Return the gradients that NumPy gives in double precision; with `vs`, those of the gradients."""
    call = on_numpy(call)
    leaves = leaves_of(call)
    outs = call(call.setting.xp, leaves)
    found = gradient(call, outs, leaves, ws) if vs is None else gradient_of_gradient(call, outs, leaves, ws, vs)
    return list(found)


def hosted(x: Any) -> Array:
    """Return a NumPy tensor's data."""
    return np.asarray(x._value)


def size_of(arrays: Sequence[Array]) -> float:
    """Return the largest absolute value among arrays, at least 1."""
    return max([1.0, *(float(np.max(np.abs(x), initial=0.0)) for x in arrays)])


def inner(a: Array, b: Array) -> float:
    """Return <a, b>, the real part of the sum of conj(a) * b."""
    return float(np.real(np.sum(np.conj(a).astype("complex128") * b)))


def gradient(call: Call, outs: Sequence[Any], leaves: Sequence[Any], ws: Sequence[Array], **options: Any) -> Any:
    """Return the leaves' gradients of the outputs' contraction with `ws`; zeros where nothing depends on one."""
    setting, xp = call.setting, leaves[0]._xp
    inexact = [y for y in outs if is_inexact(setting, y)]
    pairs = [(y, w) for y, w in zip(inexact, ws, strict=True) if y.requires_grad]
    if not pairs:
        return [xp.zeros_like(x.detach()) for x in leaves]
    seeds = [lift(xp, setting.raw(np.asarray(w))) for _, w in pairs]
    seeds = [xp.astype(s, y.dtype, copy=False) for s, (y, _) in zip(seeds, pairs, strict=True)]
    return grad([y for y, _ in pairs], leaves, seeds, materialize_grads=True, **options)


def gradient_of_gradient(call: Call, outs: Any, leaves: Any, ws: Any, vs: Any) -> Any:
    """Return the leaves' gradients of the contraction of their gradients with `vs`."""
    grads = gradient(call, outs, leaves, ws, create_graph=True)
    pairs = [(g, v) for g, v in zip(grads, vs, strict=True) if g.requires_grad]
    return gradient(call, [g for g, _ in pairs], leaves, [v for _, v in pairs])


def _moved(call: Call, ts: Sequence[Array], e: float) -> list[Array]:
    return [np.asarray(x + e * t) for x, t in zip(call.leaves, ts, strict=True)]


def difference(f: Callable[[float], Any]) -> Any:
    """Return the slope of a function of one number at 0, from four of its values."""
    return (8 * (f(STEP) - f(-STEP)) - (f(2 * STEP) - f(-2 * STEP))) / (12 * STEP)


def slopes(call: Call, ts: Sequence[Array]) -> list[Array]:
    """Return the slope of each output along the directions `ts`, by differences."""
    setting = call.setting

    def outputs(e: float) -> np.ndarray[Any, Any]:
        outs = call(setting.xp, [lift(setting.xp, setting.raw(x)) for x in _moved(call, ts, e)])
        found = np.empty(len(outs), dtype=object)
        for i, y in enumerate(outs):
            found[i] = setting.host(y) if is_inexact(setting, y) else None
        return found[[y is not None for y in found]]

    return list(difference(outputs))


def contracted_gradient(call: Call, ts: Any, e: float, ws: Any, vs: Any) -> float:
    """Return <vs, gradient> at a distance `e` along `ts`, for differences."""
    create = call.setting.xp.array_class._create
    leaves = [create(call.setting.raw(x), True) for x in _moved(call, ts, e)]
    grads = gradient(call, call(call.setting.xp, leaves), leaves, ws)
    return sum(inner(v, call.setting.host(g)) for g, v in zip(grads, vs, strict=True))


def dual_outputs(call: Call, ts: Sequence[Array]) -> tuple[Any, ...]:
    """Return what comes out of a call on dual numbers whose tangents are `ts`."""
    setting = call.setting
    return call(setting.dual, [setting.dual.dual(x, setting.raw(t)) for x, t in zip(call.raws(), ts, strict=True)])


def tangent_of(setting: Setting, y: Any) -> Array:
    """Return a dual number's tangent; None is zero."""
    return setting.host(y._tangent) if y._tangent is not None else np.zeros(tuple(y.shape))


def forward_over_reverse(call: Call, ts: Any, ws: Any, vs: Any) -> float:
    """Return <v, the tangent of the gradient along t>, from tensors over dual numbers."""
    setting, xp = call.setting, call.setting.tensors_over_duals
    raws = zip(call.raws(), ts, strict=True)
    leaves = [xp.array_class._create(setting.dual.dual(x, setting.raw(t)), True) for x, t in raws]
    grads = gradient(call, call(xp, leaves), leaves, ws)
    return sum(inner(v, tangent_of(setting, g._value)) for g, v in zip(grads, vs, strict=True))
