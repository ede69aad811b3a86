"""The laws: what must hold of any function, whatever it computes, on any backend.

A law takes a setting, the name of a function and a sample of it, and raises :class:`LawError` where it does not hold;
the error names the function, the backend, the sample and the numbers. Inner products are real: <a, b> is the real
part of sum(conj(a) * b), so a gradient is the direction of steepest ascent in the real and imaginary parts.

=============  =====================================================================================
value          what comes out is NumPy's: numbers, shape, dtype, device, and how many arrays of what type
forms          arguments by position and by keyword, left out and written out, mean the same
kernels        the backend's kernel computes what the generic one does, and from what it keeps its backward the same
vjp            a gradient is the slope along any direction, and has its argument's shape, dtype, device
jvp            <w, J t> = <Jᵀ w, t>, and the tangent is the slope; J t from dual numbers, Jᵀ w from the graph
second order   the gradient of a gradient is its slope; forward over reverse gives the same
vmap           a call mapped over any of its arrays is NumPy's of each slice, and so are its vjp and its jvp
many           many cotangents along one recorded call, and many tangents through one, are NumPy's for each
compiled       a compiled call, with its vjp and jvp, does what the eager one does, also with other numbers; once traced
devices        value, vjp and jvp hold on each of the backend's devices, with results where the arguments are
=============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..errors import GradientError
from .derivatives import (
    as_tuple,
    contracted_gradient,
    cotangents,
    difference,
    directions,
    dual_outputs,
    forward_over_reverse,
    gradient,
    gradient_of_gradient,
    has_derivative,
    hosted,
    inner,
    is_inexact,
    is_reference,
    leaves_of,
    numpys_gradient,
    size_of,
    slopes,
    tangent_of,
    tensors,
)
from .kept import kept
from .mapped import many, vmap
from .programs import compiled
from .reference import dtypes, on_numpy, values
from .samples import Sample
from .setting import PRECISION, Call, Setting
from .verdicts import (
    LawError,
    about,
    close,
    has_dtype,
    is_raw,
    is_tensor,
    near,
    never_requires_grad,
    on_device,
    same,
)

Law: TypeAlias = "Callable[[Setting, str, Sample], bool]"  # False: there is nothing to check
SLOPE = 1e-7  # how well a slope from differences agrees


# --- value ---


def value(setting: Setting, name: str, sample: Sample) -> bool:
    """Check what comes out against NumPy: number, type, shape, dtype, device and values."""
    call = Call(setting, name, sample)
    with about(setting, name, sample, "value"):
        given = tensors(call)
        plain = as_tuple(call.plain(setting.xp, given))
        for i, (x, before) in enumerate(zip(given, call.leaves, strict=True)):
            if not np.array_equal(setting.host(x), before, equal_nan=True):
                raise LawError(f"argument {i} is not as it was: the kernel wrote into it")
        wanted = values(call)
        same("number of outputs", len(plain), len(wanted))
        for i, (y, z, dtype) in enumerate(zip(plain, wanted, dtypes(call), strict=True)):
            which = f"output {i}" if len(plain) > 1 else "the output"
            is_tensor(setting, y, which)
            same(f"shape of {which}", tuple(y.shape), z.shape)
            has_dtype(setting, y, dtype, which)
            on_device(setting, y, which)
        if sample.through is None:
            found = plain
        else:
            found, wanted = call(setting.xp, tensors(call)), values(call, through=True)
        for i, (y, z) in enumerate(zip(found, wanted, strict=True)):
            close(setting, sample, y, z, f"output {i}" if len(found) > 1 else "the output")
    return True


def forms(setting: Setting, name: str, sample: Sample) -> bool:
    """Check that it does not matter which of a function's forms is used for its parameters."""
    call = Call(setting, name, sample)
    if any(p.kind is p.VAR_POSITIONAL for p in call.signature.parameters.values()):
        return False
    with about(setting, name, sample, "forms"):
        args, kwargs = call.arguments(setting.xp, tensors(call))
        wanted = as_tuple(call.function(setting.xp)(*args, **kwargs))
        bound = call.signature.bind(*args, **kwargs)
        for complete in (False, True):
            if complete:
                bound.apply_defaults()
            for keyword in (False, True):
                some, others = _spelled(bound, keyword)
                found = as_tuple(call.function(setting.xp)(*some, **others))
                for y, z in zip(found, wanted, strict=True):
                    text = f"with keywords {sorted(others)}, the output"
                    close(setting, sample, y, setting.host(z), text)
    return True


def _spelled(bound: Any, keyword: bool) -> tuple[list[Any], dict[str, Any]]:
    """Return a call's arguments, those that may be either by keyword or by position."""
    args, kwargs = [], {}
    for name, parameter in bound.signature.parameters.items():
        either = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if name not in bound.arguments:
            keyword = True  # what comes after can't be given by position any more
        elif parameter.kind is parameter.KEYWORD_ONLY or (either and keyword):
            kwargs[name] = bound.arguments[name]
        else:
            args.append(bound.arguments[name])
    return args, kwargs


def kernels(setting: Setting, name: str, sample: Sample) -> bool:
    """Check the backend's own kernel of an op against the generic one, where there are both; and what it keeps."""
    with about(setting, name, sample, "kernels"):
        keeps = kept(setting, name, sample)
    call = Call(setting, name, sample)
    generic = None if call.op is None else call.op.kernel
    own = setting.backend.kernels.get(name)
    if generic is None or own is None:
        return keeps
    with about(setting, name, sample, "kernels"):
        args, kwargs = call.arguments(setting.lower, call.raws())
        found = as_tuple(own(*args, **kwargs))
        there = on_numpy(call)  # where anything written in the standard can run: arrays are mutable
        args, kwargs = there.arguments(there.setting.lower, there.raws())
        for y, z in zip(found, as_tuple(generic(*args, **kwargs, xp=there.setting.lower)), strict=True):
            close(setting, sample, y, np.asarray(z), "the backend's kernel's output")
    return True


# --- derivatives ---


def vjp(setting: Setting, name: str, sample: Sample) -> bool:
    """Check gradients: their shapes, dtypes and devices; against differences, and against NumPy's."""
    call = Call(setting, name, sample)
    with about(setting, name, sample, "vjp"):
        if sample.refuses:
            refusal(call)
            return True
        leaves = leaves_of(call)
        outs = call(setting.xp, leaves)
        if call.is_constant:
            never_requires_grad(outs)
            return False
        if not leaves or sample.order is None:
            return False
        ws = cotangents(call, outs)
        if ws and not any(y.requires_grad for y in outs):
            raise LawError("no output requires grad, though an argument does")
        grads = gradient(call, outs, leaves, ws)
        for i, (g, x) in enumerate(zip(grads, leaves, strict=True)):
            which = f"the gradient of argument {i}"
            is_tensor(setting, g, which)
            same(f"shape of {which}", tuple(g.shape), tuple(x.shape))
            same(f"dtype of {which}", g.dtype, x.dtype)
            on_device(setting, g, which)
        if sample.order and not setting.single:
            ts = directions(call)
            slope = sum(inner(w, d) for w, d in zip(ws, slopes(call, ts), strict=True))
            found = sum(inner(setting.host(g), t) for g, t in zip(grads, ts, strict=True))
            near(setting, sample, found, slope, SLOPE, "<gradient, t>", "the slope along t")
        if not is_reference(setting):
            for i, (g, z) in enumerate(zip(grads, numpys_gradient(call, ws), strict=True)):
                close(setting, sample, g, hosted(z), f"the gradient of argument {i}", slack=10)
    return True


def jvp(setting: Setting, name: str, sample: Sample) -> bool:
    """Check tangents: against gradients, which must be their adjoint, and against differences."""
    call = Call(setting, name, sample)
    if not has_derivative(call):
        return False
    with about(setting, name, sample, "jvp"):
        if sample.refuses:
            refusal(call, forward=True)
            return True
        ts = directions(call)
        outs = dual_outputs(call, ts)
        tangents = [tangent_of(setting, y) for y in outs]
        for i, (y, t) in enumerate(zip(outs, tangents, strict=True)):
            which = f"the tangent of output {i}"
            if y._tangent is not None:
                is_raw(setting, y._tangent, which)
                same(f"shape of {which}", tuple(y._tangent.shape), tuple(y.shape))
                same(f"dtype of {which}", y._tangent.dtype, y.dtype)
            same(f"shape of {which}", t.shape, tuple(y.shape))
        leaves = leaves_of(call)
        recorded = call(setting.xp, leaves)
        ws = cotangents(call, recorded)
        grads = gradient(call, recorded, leaves, ws)
        moving = [t for t, y in zip(tangents, recorded, strict=True) if is_inexact(setting, y)]
        forward = sum(inner(w, t) for w, t in zip(ws, moving, strict=True))
        backward = sum(inner(setting.host(g), t) for g, t in zip(grads, ts, strict=True))
        precision = 10 * PRECISION[setting.dtype] * size_of(moving)
        near(setting, sample, forward, backward, precision, "<w, J t>", "<Jᵀ w, t>")
        if sample.order and not setting.single:
            for i, (t, d) in enumerate(zip(moving, slopes(call, ts), strict=True)):
                close(setting, sample, t, d, f"the tangent of output {i}", precision=SLOPE)
    return True


def second_order(setting: Setting, name: str, sample: Sample) -> bool:
    """Check gradients of gradients: against differences of gradients, forward over reverse, and NumPy's."""
    call = Call(setting, name, sample)
    if not has_derivative(call) or sample.order is None or sample.refuses:
        return False
    with about(setting, name, sample, "second order"):
        leaves = leaves_of(call)
        outs = call(setting.xp, leaves)
        ws, ts, vs = cotangents(call, outs), directions(call), directions(call, seed=2)
        second = gradient_of_gradient(call, outs, leaves, ws, vs)
        for i, (h, x) in enumerate(zip(second, leaves, strict=True)):
            which = f"the second gradient of argument {i}"
            is_tensor(setting, h, which)
            same(f"shape of {which}", tuple(h.shape), tuple(x.shape))
            same(f"dtype of {which}", h.dtype, x.dtype)
        found = sum(inner(setting.host(h), t) for h, t in zip(second, ts, strict=True))
        if sample.order == 2 and not setting.single:
            slope = difference(lambda e: contracted_gradient(call, ts, e, ws, vs))
            near(setting, sample, found, slope, SLOPE, "<second gradient, t>", "the gradient's slope along t")
        forward = forward_over_reverse(call, ts, ws, vs)
        precision = 100 * PRECISION[setting.dtype] * size_of([setting.host(h) for h in second])
        if sample.order or np.isfinite(forward + found):  # at a kink there may be no second derivative
            near(setting, sample, forward, found, precision, "forward over reverse", "reverse over reverse")
        if not is_reference(setting):
            for i, (h, z) in enumerate(zip(second, numpys_gradient(call, ws, vs), strict=True)):
                close(setting, sample, h, hosted(z), f"the second gradient of argument {i}", slack=100)
    return True


def devices(setting: Setting, name: str, sample: Sample) -> bool:
    """Check that a call and its derivatives work on each device, or on the setting's if it has one, and stay there."""
    places = setting.backend.devices() if setting.device is None else [setting.device]
    inspection = setting.xp.__array_namespace_info__()
    for device in places:
        if setting.dtype not in inspection.dtypes(device=device):
            continue
        there = Setting(setting.xp, setting.dtype, device)
        with about(there, name, sample, f"devices: {device}"):
            for law in (value, vjp, jvp):
                law(there, name, sample)
    return True


def refusal(call: Call, forward: bool = False) -> None:
    """Check that the derivative is an error that says why; or, going forward, nan, which may yet go unused."""
    sample = call.sample
    try:
        if forward:
            outs = dual_outputs(call, directions(call))
            if any(np.any(np.isnan(tangent_of(call.setting, y))) for y in outs):
                return
        else:
            leaves = leaves_of(call)
            outs = call(call.setting.xp, leaves)
            gradient(call, outs, leaves, cotangents(call, outs))
    except GradientError as error:
        if sample.refuses not in str(error):
            raise LawError(f"the error must name {sample.refuses!r}, and says: {error}") from None
    else:
        raise LawError(f"there is a derivative; it must be a GradientError that names {sample.refuses!r}")


LAWS: dict[str, Law] = {
    "value": value,
    "forms": forms,
    "kernels": kernels,
    "vjp": vjp,
    "jvp": jvp,
    "second order": second_order,
    "vmap": vmap,
    "many": many,
    "compiled": compiled,
    "devices": devices,
}
