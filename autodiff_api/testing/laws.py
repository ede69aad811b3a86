"""The laws: what must hold of any function, whatever it computes, on any backend.

A law takes a setting, the name of a function and a sample of it, and raises :class:`LawError` where it does not hold;
the error names the function, the backend, the sample and the numbers. Inner products are real: <a, b> is the real
part of sum(conj(a) * b), so a gradient is the direction of steepest ascent in the real and imaginary parts.

=============  =====================================================================================
value          what comes out is NumPy's: numbers, shape, dtype, device, and how many arrays of what type
forms          arguments by position and by keyword, left out and written out, mean the same
kernels        the backend's kernel computes what the generic one does, where there are both
vjp            a gradient is the slope along any direction, and has its argument's shape, dtype, device
jvp            <w, J t> = <Jᵀ w, t>, and the tangent is the slope; J t from dual numbers, Jᵀ w from the graph
second order   the gradient of a gradient is its slope; forward over reverse gives the same
compiled       a compiler's results, where the backend has one, are the eager ones
devices        value, vjp and jvp hold on each of the backend's devices, with results where the arguments are
=============  =====================================================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from ..autograd import grad
from ..errors import AutodiffError, GradientError
from .reference import dtypes, on_numpy, values
from .samples import Array, Sample
from .setting import PRECISION, Call, Setting, lift

Law: TypeAlias = "Callable[[Setting, str, Sample], bool]"  # False: there is nothing to check
STEP = 3e-4  # for differences: of fourth order, so that truncation and rounding are both some 1e-12
SLOPE = 1e-7  # how well a slope from differences agrees
DIFFERENTIABLE = ("real floating", "complex floating")


class LawError(AutodiffError, AssertionError):
    """A law does not hold: a function, a derivative or a backend is wrong."""


# --- value ---


def value(setting: Setting, name: str, sample: Sample) -> bool:
    """Check what comes out against NumPy: number, type, shape, dtype, device and values."""
    call = Call(setting, name, sample)
    with _about(setting, name, sample, "value"):
        out = call.plain(setting.xp, _tensors(call))
        plain = _as_tuple(out)
        wanted = values(call)
        _same("number of outputs", len(plain), len(wanted))
        for i, (y, z, dtype) in enumerate(zip(plain, wanted, dtypes(call), strict=True)):
            which = f"output {i}" if len(plain) > 1 else "the output"
            _is_tensor(setting, y, which)
            _same(f"shape of {which}", tuple(y.shape), z.shape)
            _has_dtype(setting, y, dtype, which)
            _on_device(setting, y, which)
        if sample.through is None:
            found = plain
        else:
            found, wanted = call(setting.xp, _tensors(call)), values(call, through=True)
        for i, (y, z) in enumerate(zip(found, wanted, strict=True)):
            _close(setting, sample, y, z, f"output {i}" if len(found) > 1 else "the output")
    return True


def forms(setting: Setting, name: str, sample: Sample) -> bool:
    """Check that it does not matter which of a function's forms is used for its parameters."""
    call = Call(setting, name, sample)
    if any(p.kind is p.VAR_POSITIONAL for p in call.signature.parameters.values()):
        return False
    with _about(setting, name, sample, "forms"):
        args, kwargs = call.arguments(setting.xp, _tensors(call))
        wanted = _as_tuple(call.function(setting.xp)(*args, **kwargs))
        bound = call.signature.bind(*args, **kwargs)
        for complete in (False, True):
            if complete:
                bound.apply_defaults()
            for keyword in (False, True):
                some, others = _spelled(bound, keyword)
                found = _as_tuple(call.function(setting.xp)(*some, **others))
                for y, z in zip(found, wanted, strict=True):
                    text = f"with keywords {sorted(others)}, the output"
                    _close(setting, sample, y, setting.host(z), text)
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
    """Check the backend's own kernel of an op against the generic one, where there are both."""
    call = Call(setting, name, sample)
    generic = None if call.op is None else call.op.kernel or call.op.fallback
    own = setting.backend.kernels.get(name)
    if generic is None or own is None:
        return False
    with _about(setting, name, sample, "kernels"):
        args, kwargs = call.arguments(setting.lower, call.raws())
        found = _as_tuple(own(*args, **kwargs))
        there = on_numpy(call)  # where anything written in the standard can run: arrays are mutable
        args, kwargs = there.arguments(there.setting.lower, there.raws())
        for y, z in zip(found, _as_tuple(generic(*args, **kwargs, xp=there.setting.lower)), strict=True):
            _close(setting, sample, y, np.asarray(z), "the backend's kernel's output")
    return True


# --- derivatives ---


def vjp(setting: Setting, name: str, sample: Sample) -> bool:
    """Check gradients: their shapes, dtypes and devices; against differences, and against NumPy's."""
    call = Call(setting, name, sample)
    with _about(setting, name, sample, "vjp"):
        if sample.refuses:
            _refusal(call)
            return True
        leaves = _leaves(call)
        outs = call(setting.xp, leaves)
        if call.is_constant:
            _never_requires_grad(outs)
            return False
        if not leaves or sample.order is None:
            return False
        ws = _cotangents(call, outs)
        if ws and not any(y.requires_grad for y in outs):
            raise LawError("no output requires grad, though an argument does")
        grads = _gradient(call, outs, leaves, ws)
        for i, (g, x) in enumerate(zip(grads, leaves, strict=True)):
            which = f"the gradient of argument {i}"
            _is_tensor(setting, g, which)
            _same(f"shape of {which}", tuple(g.shape), tuple(x.shape))
            _same(f"dtype of {which}", g.dtype, x.dtype)
            _on_device(setting, g, which)
        if sample.order and not setting.single:
            ts = _directions(call)
            slope = sum(_inner(w, d) for w, d in zip(ws, _slopes(call, ts), strict=True))
            found = sum(_inner(setting.host(g), t) for g, t in zip(grads, ts, strict=True))
            _near(setting, sample, found, slope, SLOPE, "<gradient, t>", "the slope along t")
        if not _is_reference(setting):
            for i, (g, z) in enumerate(zip(grads, _numpys_gradient(call, ws), strict=True)):
                _close(setting, sample, g, _host(z), f"the gradient of argument {i}", slack=10)
    return True


def jvp(setting: Setting, name: str, sample: Sample) -> bool:
    """Check tangents: against gradients, which must be their adjoint, and against differences."""
    call = Call(setting, name, sample)
    if not _has_derivative(call):
        return False
    with _about(setting, name, sample, "jvp"):
        if sample.refuses:
            _refusal(call, forward=True)
            return True
        ts = _directions(call)
        outs = _dual_outputs(call, ts)
        tangents = [_tangent_of(setting, y) for y in outs]
        for i, (y, t) in enumerate(zip(outs, tangents, strict=True)):
            which = f"the tangent of output {i}"
            if y._tangent is not None:
                _is_raw(setting, y._tangent, which)
                _same(f"shape of {which}", tuple(y._tangent.shape), tuple(y.shape))
                _same(f"dtype of {which}", y._tangent.dtype, y.dtype)
            _same(f"shape of {which}", t.shape, tuple(y.shape))
        leaves = _leaves(call)
        recorded = call(setting.xp, leaves)
        ws = _cotangents(call, recorded)
        grads = _gradient(call, recorded, leaves, ws)
        moving = [t for t, y in zip(tangents, recorded, strict=True) if _is_inexact(setting, y)]
        forward = sum(_inner(w, t) for w, t in zip(ws, moving, strict=True))
        backward = sum(_inner(setting.host(g), t) for g, t in zip(grads, ts, strict=True))
        precision = 10 * PRECISION[setting.dtype] * _size(moving)
        _near(setting, sample, forward, backward, precision, "<w, J t>", "<Jᵀ w, t>")
        if sample.order and not setting.single:
            for i, (t, d) in enumerate(zip(moving, _slopes(call, ts), strict=True)):
                _close(setting, sample, t, d, f"the tangent of output {i}", precision=SLOPE)
    return True


def second_order(setting: Setting, name: str, sample: Sample) -> bool:
    """Check gradients of gradients: against differences of gradients, forward over reverse, and NumPy's."""
    call = Call(setting, name, sample)
    if not _has_derivative(call) or sample.order is None or sample.refuses:
        return False
    with _about(setting, name, sample, "second order"):
        leaves = _leaves(call)
        outs = call(setting.xp, leaves)
        ws, ts, vs = _cotangents(call, outs), _directions(call), _directions(call, seed=2)
        second = _gradient_of_gradient(call, outs, leaves, ws, vs)
        for i, (h, x) in enumerate(zip(second, leaves, strict=True)):
            which = f"the second gradient of argument {i}"
            _is_tensor(setting, h, which)
            _same(f"shape of {which}", tuple(h.shape), tuple(x.shape))
            _same(f"dtype of {which}", h.dtype, x.dtype)
        found = sum(_inner(setting.host(h), t) for h, t in zip(second, ts, strict=True))
        if sample.order == 2 and not setting.single:
            slope = _difference(lambda e: _contracted_gradient(call, ts, e, ws, vs))
            _near(setting, sample, found, slope, SLOPE, "<second gradient, t>", "the gradient's slope along t")
        forward = _forward_over_reverse(call, ts, ws, vs)
        precision = 100 * PRECISION[setting.dtype] * _size([setting.host(h) for h in second])
        if sample.order or np.isfinite(forward + found):  # at a kink there may be no second derivative
            _near(setting, sample, forward, found, precision, "forward over reverse", "reverse over reverse")
        if not _is_reference(setting):
            for i, (h, z) in enumerate(zip(second, _numpys_gradient(call, ws, vs), strict=True)):
                _close(setting, sample, h, _host(z), f"the second gradient of argument {i}", slack=100)
    return True


def compiled(setting: Setting, name: str, sample: Sample) -> bool:
    """Check that a compiled call gives the eager values and gradients."""
    compile = setting.backend.compile
    if compile is None or not sample.traceable or sample.refuses:
        return False
    call = Call(setting, name, sample)
    differentiable = _has_derivative(call) and sample.order is not None
    raws = call.raws()
    with _about(setting, name, sample, "compiled"):
        ws = _cotangents(call, call(setting.xp, _tensors(call))) if differentiable else []

        def run(*values: Any) -> list[Any]:
            create = setting.xp.array_class._create
            leaves = [create(v, differentiable) for v in values]
            outs = call(setting.xp, leaves)
            grads = _gradient(call, outs, leaves, ws) if differentiable else []
            return [x._value for x in (*outs, *grads)]

        eager, traced = run(*raws), compile(run)(*raws)
        for i, (y, z) in enumerate(zip(traced, eager, strict=True)):
            _same(f"dtype of compiled result {i}", y.dtype, z.dtype)
            _close(setting, sample, y, setting.host(z), f"compiled result {i}", slack=10)
    return True


def devices(setting: Setting, name: str, sample: Sample) -> bool:
    """Check that a call and its derivatives work on each device, or on the setting's if it has one, and stay there."""
    places = setting.backend.devices() if setting.device is None else [setting.device]
    inspection = setting.xp.__array_namespace_info__()
    for device in places:
        if setting.dtype not in inspection.dtypes(device=device):
            continue
        there = Setting(setting.xp, setting.dtype, device)
        with _about(there, name, sample, f"devices: {device}"):
            for law in (value, vjp, jvp):
                law(there, name, sample)
    return True


LAWS: dict[str, Law] = {
    "value": value,
    "forms": forms,
    "kernels": kernels,
    "vjp": vjp,
    "jvp": jvp,
    "second order": second_order,
    "compiled": compiled,
    "devices": devices,
}


# --- the pieces that laws are made of ---


def _tensors(call: Call) -> list[Any]:
    return [lift(call.setting.xp, raw) for raw in call.raws()]


def _leaves(call: Call) -> list[Any]:
    return [call.setting.xp.array_class._create(raw, True) for raw in call.raws()]


def _as_tuple(out: Any) -> tuple[Any, ...]:
    return tuple(out) if isinstance(out, tuple | list) else (out,)


def _has_derivative(call: Call) -> bool:
    return bool(call.leaves) and not call.is_constant and call.sample.order is not None


def _is_inexact(setting: Setting, y: Any) -> bool:
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


def _cotangents(call: Call, outs: Sequence[Any]) -> list[Array]:
    """Return a random cotangent for each output that can have one."""
    return _random(call, [y for y in outs if _is_inexact(call.setting, y)], seed=0)


def _directions(call: Call, seed: int = 1) -> list[Array]:
    """Return a random direction for each argument, in which it may move."""
    found = [t.astype(x.dtype) for t, x in zip(_random(call, call.leaves, seed), call.leaves, strict=True)]
    tangent = call.sample.tangent
    return found if tangent is None else [tangent(t).astype(t.dtype) for t in found]


def _is_reference(setting: Setting) -> bool:
    return setting.backend.name == "numpy" and not setting.single


def _numpys_gradient(call: Call, ws: Sequence[Array], vs: Sequence[Array] | None = None) -> list[Any]:
    """Return the gradients that NumPy gives in double precision; with `vs`, those of the gradients."""
    call = on_numpy(call)
    leaves = _leaves(call)
    outs = call(call.setting.xp, leaves)
    found = _gradient(call, outs, leaves, ws) if vs is None else _gradient_of_gradient(call, outs, leaves, ws, vs)
    return list(found)


def _host(x: Any) -> Array:
    return np.asarray(x._value)


def _size(arrays: Sequence[Array]) -> float:
    """Return the largest absolute value among arrays, at least 1."""
    return max([1.0, *(float(np.max(np.abs(x), initial=0.0)) for x in arrays)])


def _inner(a: Array, b: Array) -> float:
    return float(np.real(np.sum(np.conj(a).astype("complex128") * b)))


def _gradient(call: Call, outs: Sequence[Any], leaves: Sequence[Any], ws: Sequence[Array], **options: Any) -> Any:
    """Return the leaves' gradients of the outputs' contraction with `ws`; zeros where nothing depends on one."""
    setting, xp = call.setting, leaves[0]._xp
    inexact = [y for y in outs if _is_inexact(setting, y)]
    pairs = [(y, w) for y, w in zip(inexact, ws, strict=True) if y.requires_grad]
    if not pairs:
        return [xp.zeros_like(x.detach()) for x in leaves]
    seeds = [lift(xp, setting.raw(np.asarray(w))) for _, w in pairs]
    seeds = [xp.astype(s, y.dtype, copy=False) for s, (y, _) in zip(seeds, pairs, strict=True)]
    return grad([y for y, _ in pairs], leaves, seeds, materialize_grads=True, **options)


def _gradient_of_gradient(call: Call, outs: Any, leaves: Any, ws: Any, vs: Any) -> Any:
    grads = _gradient(call, outs, leaves, ws, create_graph=True)
    pairs = [(g, v) for g, v in zip(grads, vs, strict=True) if g.requires_grad]
    return _gradient(call, [g for g, _ in pairs], leaves, [v for _, v in pairs])


def _moved(call: Call, ts: Sequence[Array], e: float) -> list[Array]:
    return [np.asarray(x + e * t) for x, t in zip(call.leaves, ts, strict=True)]


def _difference(f: Callable[[float], Any]) -> Any:
    """Return the slope of a function of one number at 0, from four of its values."""
    return (8 * (f(STEP) - f(-STEP)) - (f(2 * STEP) - f(-2 * STEP))) / (12 * STEP)


def _slopes(call: Call, ts: Sequence[Array]) -> list[Array]:
    """Return the slope of each output along the directions `ts`, by differences."""
    setting = call.setting

    def outputs(e: float) -> np.ndarray[Any, Any]:
        outs = call(setting.xp, [lift(setting.xp, setting.raw(x)) for x in _moved(call, ts, e)])
        found = np.empty(len(outs), dtype=object)
        for i, y in enumerate(outs):
            found[i] = setting.host(y) if _is_inexact(setting, y) else None
        return found[[y is not None for y in found]]

    return list(_difference(outputs))


def _contracted_gradient(call: Call, ts: Any, e: float, ws: Any, vs: Any) -> float:
    create = call.setting.xp.array_class._create
    leaves = [create(call.setting.raw(x), True) for x in _moved(call, ts, e)]
    grads = _gradient(call, call(call.setting.xp, leaves), leaves, ws)
    return sum(_inner(v, call.setting.host(g)) for g, v in zip(grads, vs, strict=True))


def _dual_outputs(call: Call, ts: Sequence[Array]) -> tuple[Any, ...]:
    setting = call.setting
    return call(setting.dual, [setting.dual.dual(x, setting.raw(t)) for x, t in zip(call.raws(), ts, strict=True)])


def _tangent_of(setting: Setting, y: Any) -> Array:
    return setting.host(y._tangent) if y._tangent is not None else np.zeros(tuple(y.shape))


def _forward_over_reverse(call: Call, ts: Any, ws: Any, vs: Any) -> float:
    """Return <v, the tangent of the gradient along t>, from tensors over dual numbers."""
    setting, xp = call.setting, call.setting.tensors_over_duals
    raws = zip(call.raws(), ts, strict=True)
    leaves = [xp.array_class._create(setting.dual.dual(x, setting.raw(t)), True) for x, t in raws]
    grads = _gradient(call, call(xp, leaves), leaves, ws)
    return sum(_inner(v, _tangent_of(setting, g._value)) for g, v in zip(grads, vs, strict=True))


# --- what can be wrong, and how it is said ---


@contextmanager
def _about(setting: Setting, name: str, sample: Sample, law: str) -> Iterator[None]:
    """Say what any error inside was about, and silence what NumPy says of infinities."""
    where = f"{name} on {setting.backend.name}, {law}, {setting.dtype}: {name}{sample.text}"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        except LawError as error:
            raise error if law.startswith("devices") else LawError(f"{where}: {error}") from None
        except Exception as error:
            raise LawError(f"{where}: {type(error).__name__}: {error}") from error


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise LawError(f"the {what} is {found}, and must be {wanted}")


def _is_tensor(setting: Setting, y: Any, which: str) -> None:
    if not isinstance(y, setting.xp.array_class):
        raise LawError(f"{which} is a {type(y).__module__}.{type(y).__name__}, no tensor of {setting.backend.name}")
    _is_raw(setting, y._value, which)


def _is_raw(setting: Setting, value: Any, which: str) -> None:
    if not isinstance(value, setting.backend.array_types):
        kinds = " or ".join(f"{t.__module__}.{t.__qualname__}" for t in setting.backend.array_types)
        raise LawError(f"{which} is a {type(value).__module__}.{type(value).__name__}, and must be a {kinds}")


def _has_dtype(setting: Setting, y: Any, wanted: str, which: str) -> None:
    """Compare dtypes; of integers only that they are, since how wide an index is depends on the backend."""
    xp = setting.xp
    if np.dtype(wanted).kind in "iu":
        if not xp.isdtype(y.dtype, "integral"):
            raise LawError(f"the dtype of {which} is {y.dtype}, and must be an integer one")
    else:
        _same(f"dtype of {which}", y.dtype, getattr(xp, wanted))


def _on_device(setting: Setting, y: Any, which: str) -> None:
    if setting.where is not None and y.device != setting.where:
        raise LawError(f"{which} is on {y.device}, and must be on {setting.where}, where the arguments are")


def _close(
    setting: Setting,
    sample: Sample,
    found: Any,
    wanted: Array,
    what: str,
    precision: float | None = None,
    slack: float = 1.0,
) -> None:
    """Compare arrays, relative to the largest element; nan equals nan, an infinity itself."""
    a, b = found if isinstance(found, np.ndarray) else setting.host(found), np.asarray(wanted)
    _same(f"shape of {what}", a.shape, b.shape)
    if a.size == 0:
        return
    finite = np.isfinite(b)
    scale = max(1.0, float(np.max(np.abs(b[finite]), initial=0.0)))
    allowed = (precision or PRECISION[setting.dtype] * slack) * sample.loss * scale
    near = np.abs(a - b) <= allowed if a.dtype.kind in "fc" or b.dtype.kind in "fc" else a == b
    right = np.where(finite, near, (a == b) | (np.isnan(a) & np.isnan(b)))
    if not np.all(right):
        place = tuple(int(i) for i in np.argwhere(~right)[0])
        at = f" at {list(place)}" if place else ""
        raise LawError(f"{what}{at} is {a[place]}, and must be {b[place]} (within {allowed:.1e})")


def _near(
    setting: Setting, sample: Sample, found: float, wanted: float, precision: float, what: str, other: str
) -> None:
    if not np.isfinite(found) and not np.isfinite(wanted):
        return
    allowed = precision * sample.loss * max(1.0, abs(wanted))
    if not abs(found - wanted) <= allowed:
        raise LawError(f"{what} is {found}, and {other} is {wanted} (more than {allowed:.1e} apart)")


def _never_requires_grad(outs: Sequence[Any]) -> None:
    for i, y in enumerate(outs):
        if y.requires_grad:
            raise LawError(f"output {i} requires grad, and the function has no gradient")


def _refusal(call: Call, forward: bool = False) -> None:
    """Check that the derivative is an error that says why; or, going forward, nan, which may yet go unused."""
    sample = call.sample
    try:
        if forward:
            outs = _dual_outputs(call, _directions(call))
            if any(np.any(np.isnan(_tangent_of(call.setting, y))) for y in outs):
                return
        else:
            leaves = _leaves(call)
            outs = call(call.setting.xp, leaves)
            _gradient(call, outs, leaves, _cotangents(call, outs))
    except GradientError as error:
        if sample.refuses not in str(error):
            raise LawError(f"the error must name {sample.refuses!r}, and says: {error}") from None
    else:
        raise LawError(f"there is a derivative; it must be a GradientError that names {sample.refuses!r}")
