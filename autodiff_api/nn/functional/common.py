"""What the functions of `nn.functional` share: namespaces, axes, reductions, refusals."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

from autodiff_api.binding import namespace
from autodiff_api.errors import ArgumentError, ArgumentIndexError, ArgumentTypeError
from autodiff_api.values import engine_arrays

Array: TypeAlias = Any
"""A tensor, or a raw array that has `__array_namespace__`: the functions here accept both."""


def namespace_of(x: Array, function: str) -> Any:
    """Return the standard namespace that `x` computes in.

    Raises `ArgumentTypeError` when `x` is not an array of the standard.
    """
    try:
        return x.__array_namespace__()
    except AttributeError:
        raise ArgumentTypeError(
            f"{function}() needs a tensor, got {type(x).__name__}. Make one with autodiff_api.tensor(...)."
        ) from None


def one_axis(dim: int | None, axis: int | None, function: str) -> int:
    """Return the one axis that was named, as PyTorch's `dim` or as the standard's `axis`."""
    if (dim is None) == (axis is None):
        count = "no axis" if dim is None else "both dim and axis"
        raise ArgumentError(f"{function}() was given {count}. Name exactly one, for example axis=-1.")
    return axis if dim is None else dim  # type: ignore[return-value]


def as_index(x: Array, function: str) -> Array:
    """Return integer classes in a dtype that can be compared with any number of classes and any index.

    In a uint8, -100 is 156 for some engines. Raises `ArgumentTypeError` for what is not integer.
    """
    xp = namespace_of(x, function)
    wide = is_wide_integer(xp, x.dtype)
    if wide is None:
        raise ArgumentTypeError(
            f"{function}() expected an integer tensor of classes, got {x.dtype}. Convert it with .long()."
        )
    return x if wide else xp.astype(x, xp.int32)


@cache
def is_wide_integer(xp: Any, dtype: Any) -> bool | None:
    """Tell whether a dtype holds any class and any index; None for what is not integer."""
    return bool(xp.isdtype(dtype, (xp.int32, xp.int64))) if xp.isdtype(dtype, "integral") else None


@cache
def is_real_floating(xp: Any, dtype: Any) -> bool:
    """Tell whether a dtype is real and floating."""
    return bool(xp.isdtype(dtype, "real floating"))


def reduced(loss: Array, reduction: str, function: str) -> Array:
    """Apply PyTorch's `reduction`, one of "none", "mean" and "sum"."""
    xp = namespace_of(loss, function)
    if reduction == "mean":
        return xp.mean(loss)
    if reduction == "sum":
        return xp.sum(loss)
    check_reduction(reduction, function)
    return loss


def check_reduction(reduction: str, function: str) -> None:
    """Refuse a `reduction` that PyTorch doesn't know."""
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(
            f"{reduction!r} is not a valid value for reduction in {function}(). Choose 'none', 'mean' or 'sum'."
        )


def refuse_where(bad: Array, message: str) -> None:
    """Raise `ArgumentIndexError` if any element of `bad` is true, of all that vmap maps over, and can be seen.

    A traced array has no values yet and answers `bool()` with a TypeError: callers must give such
    elements the value nan, so that a compiled program never returns a wrong number silently.
    """
    if is_true_somewhere(next(engine_arrays(bad))):
        raise ArgumentIndexError(message)


def is_true_somewhere(raw: Any) -> bool:
    """Tell whether any element of an engine's array is true; no, if that can't be seen or is yet to be computed."""
    xp = namespace(raw)
    if xp._backend.lazy:
        return False
    try:
        return bool(xp._lower.any(raw) if raw.ndim else raw)
    except TypeError:
        return False


def has_nan(x: Array) -> bool:
    """Tell whether an array that can be seen has a nan, of all that vmap maps over."""
    raw = next(engine_arrays(x))
    return is_true_somewhere(raw != raw)
