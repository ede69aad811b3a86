"""How a tensor is printed: PyTorch's way, with NumPy's formatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array
from .backends import default_backend


def describe(x: Any) -> str:
    """Return the repr of a tensor: values to 4 digits, then what is not the default.

    Inside a transformation these are the values for all that it maps over, and then what belongs to each level.
    """
    xp, value, levels = x._xp, x._value, []
    while isinstance(value, Array):
        levels.append(value._fact())
        value = value._value
    facts = [_values(x, value), *filter(None, levels)]
    if not _default_dtype(x):
        facts.append(f"dtype={dtype_name(x.dtype)}")
    if xp._backend.name != default_backend():
        facts.append(f"backend={xp._backend.name!r}")
    if x.grad_fn is not None:
        facts.append(f"grad_fn=<{x.grad_fn.name()}>")
    elif x.requires_grad:
        facts.append("requires_grad=True")
    return f"tensor({', '.join(facts)})"


def _values(x: Any, value: Any) -> str:
    engine, hidden = x._xp._engine(), f"<{type(value).__name__}>, shape={tuple(x.shape)}"
    if engine.lazy:
        return hidden
    try:
        host = engine.to_numpy(value)
    except Exception:  # a tracer has no values yet: show what it is
        return hidden
    if host.size == 0:
        return f"[], shape={tuple(x.shape)}" if x.ndim != 1 else "[]"
    if host.dtype.kind == "V":  # bfloat16 and its like, which NumPy's formatter takes for integers
        host = host.astype(np.float32)
    return np.array2string(
        host, separator=", ", precision=4, floatmode="maxprec_equal", prefix="tensor(", threshold=1000
    )


def _default_dtype(x: Any) -> bool:
    """Tell whether the dtype goes without saying: the backend's default of its kind."""
    xp = x._xp
    if xp.isdtype(x.dtype, "bool"):
        return True
    kinds = {"real floating": 0.0, "complex floating": 0j, "integral": 0}
    for kind, scalar in kinds.items():
        if xp.isdtype(x.dtype, kind):
            return bool(xp._lower.asarray(scalar).dtype == x.dtype)
    return False


def dtype_name(dtype: Any) -> str:
    """Return a dtype's name, the same on every engine."""
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")
