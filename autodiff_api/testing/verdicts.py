"""What can be wrong with a result, and how it is said."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import AutodiffError
from .samples import Array, Sample
from .setting import PRECISION, Setting


class LawError(AutodiffError, AssertionError):
    """A law does not hold: a function, a derivative or a backend is wrong."""


@contextmanager
def about(setting: Setting, name: str, sample: Sample, law: str) -> Iterator[None]:
    """Say what any error inside was about, and silence what NumPy says of infinities."""
    lender = setting.backend.borrowed.get(name)
    kernel = f" (its kernel is of plugin {lender})" if lender else ""
    where = f"{name} on {setting.backend.name}{kernel}, {law}, {setting.dtype}: {name}{sample.text}"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        except LawError as error:
            raise error if law.startswith("devices") else LawError(f"{where}: {error}") from None
        except Exception as error:
            raise LawError(f"{where}: {type(error).__name__}: {error}") from error


def same(what: str, found: Any, wanted: Any) -> None:
    """Raise unless a fact is what it must be."""
    if found != wanted:
        raise LawError(f"the {what} is {found}, and must be {wanted}")


def is_tensor(setting: Setting, y: Any, which: str) -> None:
    """Raise unless `y` is a tensor of the backend that holds one of its arrays."""
    if not isinstance(y, setting.xp.array_class):
        raise LawError(f"{which} is a {type(y).__module__}.{type(y).__name__}, no tensor of {setting.backend.name}")
    is_raw(setting, y._value, which)


def is_raw(setting: Setting, value: Any, which: str) -> None:
    """Raise unless `value` is one of the backend's arrays."""
    if not isinstance(value, setting.backend.array_types):
        kinds = " or ".join(f"{t.__module__}.{t.__qualname__}" for t in setting.backend.array_types)
        raise LawError(f"{which} is a {type(value).__module__}.{type(value).__name__}, and must be a {kinds}")


def has_dtype(setting: Setting, y: Any, wanted: str, which: str) -> None:
    """Compare dtypes; of integers only that they are, since how wide an index is depends on the backend."""
    xp = setting.xp
    if np.dtype(wanted).kind in "iu":
        if not xp.isdtype(y.dtype, "integral"):
            raise LawError(f"the dtype of {which} is {y.dtype}, and must be an integer one")
    else:
        same(f"dtype of {which}", y.dtype, getattr(xp, wanted))


def on_device(setting: Setting, y: Any, which: str) -> None:
    """Raise unless `y` is where the arguments are."""
    if setting.where is not None and y.device != setting.where:
        raise LawError(f"{which} is on {y.device}, and must be on {setting.where}, where the arguments are")


def close(
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
    same(f"shape of {what}", a.shape, b.shape)
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


def near(
    setting: Setting, sample: Sample, found: float, wanted: float, precision: float, what: str, other: str
) -> None:
    """Compare two numbers that must agree; neither need be finite if both are not."""
    if not np.isfinite(found) and not np.isfinite(wanted):
        return
    allowed = precision * sample.loss * max(1.0, abs(wanted))
    if not abs(found - wanted) <= allowed:
        raise LawError(f"{what} is {found}, and {other} is {wanted} (more than {allowed:.1e} apart)")


def never_requires_grad(outs: Sequence[Any]) -> None:
    """Raise if an output of a function without a gradient requires grad."""
    for i, y in enumerate(outs):
        if y.requires_grad:
            raise LawError(f"output {i} requires grad, and the function has no gradient")
