"""What must come out: computed by NumPy in double precision, from the very numbers that the backend is given."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np

from ..binding import namespace
from .samples import Array
from .setting import DOUBLE, SINGLE, Call, Setting
from .standard import FUNCTIONS

CallT = TypeVar("CallT", bound=Call)


def _scatter_add(x: Any, key: Any, values: Any) -> Any:
    out = np.array(x)
    np.add.at(out, key, values)
    return out


def _setitem(x: Any, key: Any, value: Any) -> Any:
    out = np.array(x)
    out[key] = value
    return out


def _index_add(x: Any, axis: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    return _scatter_add(x, (*(slice(None),) * (axis % x.ndim), index), source * alpha)


def _segment_sum(data: Any, segment_ids: Any, num_segments: int) -> Any:
    return _scatter_add(np.zeros((num_segments, *data.shape[segment_ids.ndim :]), data.dtype), segment_ids, data)


def _adjugate(x: Any) -> Any:
    """Return the transpose of the cofactors, each a determinant without a row and a column."""
    n = x.shape[-1]
    out = np.empty_like(x)
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(x, i, axis=-2), j, axis=-1)
            out[..., j, i] = (-1) ** (i + j) * np.linalg.det(minor)
    return out


PLAIN: dict[str, Callable[..., Any]] = {  # what the standard lacks, in NumPy
    "clone": np.array,
    "complex": lambda re, im: re + 1j * im,
    "getitem": lambda x, key: x[key],
    "index_add": _index_add,
    "linalg.adjugate": _adjugate,
    "linalg.solve_triangular": lambda x1, x2, *, upper=False: np.linalg.solve((np.triu if upper else np.tril)(x1), x2),
    "scatter_add": _scatter_add,
    "segment_sum": _segment_sum,
    "setitem": _setitem,
    "to_device": lambda x, device, *, stream=None: x,
}


@cache
def function(name: str) -> Callable[..., Any]:
    """Return NumPy's function of this name, SciPy's for a special one, else our own on NumPy."""
    if name in PLAIN:
        return PLAIN[name]
    if name.startswith("special."):
        try:
            import scipy.special

            return operator.attrgetter(name.removeprefix("special."))(scipy.special)  # type: ignore[no-any-return]
        except (ImportError, AttributeError):
            pass
    import array_api_compat.numpy as xp

    try:
        return operator.attrgetter(name)(xp)  # type: ignore[no-any-return]
    except AttributeError:
        return operator.attrgetter(name)(namespace("numpy")._lower)  # type: ignore[no-any-return]


def on_numpy(call: CallT) -> CallT:
    """Return the same call on NumPy in double precision, of the same numbers."""
    setting = call.setting
    double = DOUBLE.get(setting.dtype, setting.dtype)
    return type(call)(Setting(namespace("numpy"), double, rounded=setting.single), call.name, call.sample)


def values(call: Call, through: bool = False) -> tuple[Array, ...]:
    """Return what must come out, in double precision; with `through`, after the sample's function of that name."""
    return _run(on_numpy(call), through)


def dtypes(call: Call) -> tuple[str, ...]:
    """Return the names of the dtypes that must come out: single precision stays so, also where SciPy widens it."""
    there = Setting(namespace("numpy"), call.setting.dtype)
    found = [y.dtype.name for y in _run(Call(there, call.name, call.sample), through=False)]
    if call.setting.single and call.name not in FUNCTIONS:
        found = [SINGLE.get(name, name) for name in found]
    return tuple(found)


def _run(call: Call, through: bool) -> tuple[Array, ...]:
    lower = call.setting.lower
    args, kwargs = call.arguments(lower, call.raws())
    out: Any = function(call.name)(*args, **kwargs)
    if through and call.sample.through is not None:
        out = call.sample.through(lower, out)
    return tuple(map(np.asarray, out)) if isinstance(out, tuple | list) else (np.asarray(out),)
