"""Trying laws on a backend: which samples in which dtype, and what became of each function and law.

A check is a function, a law and a dtype. The widest real and the widest complex dtype of a backend get all samples,
narrower ones the first real and the first complex sample of each function. What a plugin declares in `Backend.gaps`
may fail, and must: a gap that has closed is a failure that says which line to delete.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np

from ..backends import extra_ops, get_backend
from ..binding import namespace
from ..errors import ArgumentError, DeviceNotFoundError
from ..namespaces import Namespace
from ..rules import OPS
from .laws import LAWS
from .samples import MAKERS, Dtype, Sample, samples_of
from .setting import SINGLE, Setting, dtypes_of
from .verdicts import LawError

DTYPES = ("float32", "float64", "complex64", "complex128")
THOROUGH = (  # the others look at leading samples only
    "value",
    "forms",
    "kernels",
    "vjp",
    "jvp",
    "second order",
    "vmap",
    "many",
)


@dataclass(frozen=True)
class Outcome:
    """What became of a check. `state` is "pass", "fail", "gap" (fails, as declared) or "none" (nothing to try)."""

    function: str
    law: str
    dtype: str
    state: str
    text: str = ""
    samples: int = 0

    @property
    def failed(self) -> bool:
        """Whether the law does not hold, declared or not."""
        return self.state in ("fail", "gap")


class Checks:
    """All checks of a backend in some dtypes on one device; each is made once, when it is asked for.

    `thorough` are the laws that look at all samples, where others look at the first of each kind. `only` are the
    functions that are tried, if not all.
    """

    def __init__(
        self,
        xp: Namespace,
        device: Any = None,
        dtypes: Iterable[str] | None = None,
        thorough: Iterable[str] = THOROUGH,
        only: Iterable[str] | None = None,
    ) -> None:
        self.xp, self.backend, self.device, self.thorough = xp, xp._backend, device, tuple(thorough)
        self.only = None if only is None else tuple(only)
        for name in self.only or ():
            if name not in self.known:
                nearest = "".join(f" (did you mean {near!r}?)" for near in get_close_matches(name, self.known, n=1))
                raise ArgumentError(f"no function {name!r} can be checked{nearest}")
        self.supported = dtypes_of(xp)
        self.dtypes = tuple(d for d in DTYPES if d in (self.supported if dtypes is None else dtypes))
        for name in dtypes or ():
            if name not in DTYPES or name not in self.supported:
                has = ", ".join(d for d in DTYPES if d in self.supported)
                raise ArgumentError(f"{name} can't be checked on backend {self.backend.name!r}, which has {has}")
        self._made: dict[tuple[str, str, str], Outcome] = {}

    @classmethod
    def of(
        cls,
        name: str,
        device: str | None = None,
        dtypes: Iterable[str] | None = None,
        only: Iterable[str] | None = None,
    ) -> Checks:
        """Return the checks of an installed backend; `device` is one of its devices, by the name that it prints."""
        there = {str(d): d for d in get_backend(name).devices()}
        if device is not None and device not in there:
            raise DeviceNotFoundError(f"backend {name!r} has no device {device!r}, only {', '.join(there)}")
        return cls(namespace(name), there.get(str(device)), dtypes, only=only)

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """The names of what is tried."""
        return self.known if self.only is None else self.only

    @cached_property
    def known(self) -> tuple[str, ...]:
        """The names of what can be tried: ops and other functions that have samples, and ops that should have them."""
        extra = [op.name for op in extra_ops()]
        return tuple(sorted(name for name in {*MAKERS, *OPS, *extra} if self.offers(name)))

    def offers(self, name: str) -> bool:
        """Tell whether the namespace has a function; an op is offered even where its kernel is missing."""
        if name in OPS or name in self.xp._ops:
            return True
        try:
            operator.attrgetter(name)(self.xp)
        except AttributeError:
            return False
        return True

    @cached_property
    def widest(self) -> set[str]:
        """The dtypes that get all samples."""
        kinds = [[d for d in DTYPES if d.startswith(kind) and d in self.dtypes] for kind in ("float", "complex")]
        return {kind[-1] for kind in kinds if kind}

    def samples(self, function: str, law: str, dtype: str) -> list[Sample]:
        """Return the samples that a check looks at."""
        found = [s for s in samples_of(function) if dtype_of(s, dtype in SINGLE.values()) == dtype]
        found = [s for s in found if self._has_dtypes(s, dtype in SINGLE.values())]
        if law == "forms" or (law in ("vmap", "many") and self.backend.compile is not None):  # each a program there
            found = list({_form(s): s for s in reversed(found)}.values())[::-1]
        return found if dtype in self.widest and law in self.thorough else found[:1]

    def _has_dtypes(self, sample: Sample, single: bool) -> bool:
        return all((SINGLE.get(d, d) if single else d) in self.supported for d in _dtypes(sample))

    def check(self, function: str, law: str, dtype: str) -> Outcome:
        """Return the outcome of one check."""
        key = function, law, dtype
        if key not in self._made:
            self._made[key] = self._check(*key)
        return self._made[key]

    def _check(self, function: str, law: str, dtype: str) -> Outcome:
        setting = Setting(self.xp, dtype, self.device)
        try:
            operator.attrgetter(function)(self.xp)
            samples = self.samples(function, law, dtype)
        except AttributeError as error:
            text = f"{function} on {self.backend.name}, {law}, {dtype}: {error}; give the backend a kernel of that name"
            return Outcome(function, law, dtype, self._state(function, law, dtype), text)
        except ArgumentError as error:  # there are none
            return Outcome(function, law, dtype, "fail", str(error))
        errors, tried = [], 0
        for sample in samples:
            try:
                tried += LAWS[law](setting, function, sample)
            except LawError as error:
                if sample.traceable or self._sees_values:
                    errors.append(str(error))
        if errors:
            state = self._state(function, law, dtype)
            more = f" (and {len(errors) - 1} more of its {len(samples)} samples)" if len(errors) > 1 else ""
            return Outcome(function, law, dtype, state, errors[0] + more, len(samples))
        return Outcome(function, law, dtype, "pass" if tried else "none", "", tried)

    def _state(self, function: str, law: str, dtype: str) -> str:
        return "gap" if self.gap(function, law, dtype) else "fail"

    @cached_property
    def _sees_values(self) -> bool:
        """Whether the backend claims shapes that depend on values: masks as keys, `unique_values`, `nonzero`."""
        return bool(self.xp.__array_namespace_info__().capabilities().get("data-dependent shapes"))

    @property
    def made(self) -> list[Outcome]:
        """The outcomes of the checks made so far."""
        return list(self._made.values())

    def all(self) -> Iterator[Outcome]:
        """Make every check."""
        for function in self.functions:
            for law in LAWS:
                for dtype in self.dtypes:
                    yield self.check(function, law, dtype)

    # --- declared gaps ---

    def gap(self, function: str, law: str, dtype: str) -> str:
        """Return the declared reason why a check may fail, or an empty text."""
        gaps = self.backend.gaps
        return next((gaps[k] for k in (function, f"{function}:{law}", f"{function}:{law}:{dtype}") if k in gaps), "")

    def closed(self, gap: str) -> str:
        """Return what is wrong with a declared gap: it names nothing, or all that it covers passes. Else ''."""
        function, law, dtype = (*gap.split(":"), "", "")[:3]
        if function not in self.known or (law and law not in LAWS) or (dtype and dtype not in DTYPES):
            return f'gaps[{gap!r}] of backend {self.backend.name!r} names no check: "function:law:dtype" is its form'
        if function not in self.functions or (dtype and dtype not in self.dtypes):
            return ""
        laws, dtypes = ([law] if law else LAWS), ([dtype] if dtype else self.dtypes)
        if any(self.check(function, one, two).failed for one in laws for two in dtypes):
            return ""
        return f"the gap has closed, all that it covers passes: delete {gap!r} from the gaps of {self.backend.name!r}"


def dtype_of(sample: Sample, single: bool = False) -> str:
    """Return the dtype that a sample is about: complex where any argument is."""
    wide = "complex128" if any(d.startswith("complex") for d in _dtypes(sample, arrays=True)) else "float64"
    return SINGLE[wide] if single else wide


def _form(sample: Sample) -> Any:
    """Return which of its parameters a sample gives, and how."""
    return len(sample.args), tuple(sorted(sample.kwargs)), tuple(type(a) for a in sample.args)


def _dtypes(value: Any, arrays: bool = False) -> set[str]:
    """Return the names of the floating-point dtypes in a sample's arguments; `arrays`: of its numbers only."""
    if isinstance(value, Sample):
        return _dtypes((*value.args, *value.kwargs.values()), arrays)
    if isinstance(value, np.ndarray):
        return {value.dtype.name} if value.dtype.kind in "fc" else set()
    if isinstance(value, complex):
        return {"complex128"}
    if isinstance(value, Dtype):
        return set() if arrays else {str(value)}
    if isinstance(value, list | tuple):
        return set().union(*(_dtypes(v, arrays) for v in value))
    return set()
