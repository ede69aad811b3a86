"""The words of the benchmarks: contenders, works and bars, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EAGER, COMPILED = "eager NumPy", "compiled NumPy"
EAGER_JAX, COMPILED_JAX = "eager JAX", "compiled JAX"
PURE, PURE_JAX = "compiled NumPy, pure", "compiled JAX, pure"  # a step that is a function of its parameters
OURS = (EAGER, COMPILED, PURE, EAGER_JAX, COMPILED_JAX, PURE_JAX)

NUMPY, FORWARD = "NumPy by hand", "NumPy, forward only"
TORCH, HIPS = "PyTorch", "autograd"
JAX, JIT = "jax.grad", "jax.jit"

IMPORT, IMPORT_NUMPY = "import autodiff_api", "import numpy"
IMPORT_TORCH, IMPORT_JAX = "import torch", "import jax"

# What each of ours is compared with: what a user would choose between.
PEERS = {
    EAGER: (NUMPY, FORWARD, TORCH, HIPS),
    COMPILED: (NUMPY, TORCH, JIT),
    PURE: (NUMPY, JIT),
    EAGER_JAX: (JAX,),
    COMPILED_JAX: (JIT,),
    PURE_JAX: (JIT,),
    IMPORT: (IMPORT_NUMPY, IMPORT_TORCH, IMPORT_JAX),
}

# The module that a contender can't do without; ours on NumPy and NumPy itself are always there.
NEEDS = {
    **dict.fromkeys((COMPILED_JAX, EAGER_JAX, IMPORT_JAX, JAX, JIT, PURE_JAX), "jax"),
    **dict.fromkeys((IMPORT_TORCH, TORCH), "torch"),
    HIPS: "autograd",
}

Contender = Callable[[], Any]  # does the work once, and returns what all contenders must agree on
Maker = Callable[[], Contender]  # prepares a contender: its arrays, its network; nothing of that is measured
Bars = Mapping[tuple[str, str], float]  # of one of ours and a peer: the largest ratio that we accept
Samples = dict[str, list[float]]  # by contender: what it took, round by round


@dataclass(frozen=True, kw_only=True)
class Work:
    """One piece of work, and who does it. `contenders(quick)` makes it tiny where `quick`: only to see that it runs."""

    name: str
    title: str
    contenders: Callable[[bool], Mapping[str, Maker]]
    dtype: str = "float32"
    bars: Bars = field(default_factory=dict)
    bars_on_all_threads: Bars = field(default_factory=dict)
    tolerance: float = 1e-4  # relative to the largest number of a result
    unit: str = "s"
    note: Callable[[], str] | None = None  # what is worth knowing, such as where the data is from


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How to measure: tiny and once, in brief, or for real; on "1" or "all" threads; which peers (None: all)."""

    quick: bool = False
    brief: bool = False
    threads: str = "1"
    peers: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Ours over a peer's: median and quartiles over the rounds; None where ours could not be measured."""

    ours: str
    peer: str
    median: float | None
    low: float | None
    high: float | None
    bar: float | None

    @property
    def passed(self) -> bool:
        """Whether there is no bar, or it holds."""
        return self.bar is None or (self.median is not None and self.median <= self.bar)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was measured of a work: medians by contender, in `unit` (seconds "s" or bytes "B"), and the ratios."""

    chapter: str
    name: str
    title: str
    dtype: str
    threads: str
    unit: str
    rounds: int
    medians: Mapping[str, float]
    ratios: Sequence[Ratio]
    notes: Sequence[str]  # what is worth knowing; who was left out
    failures: Sequence[str]  # contenders that raised, or disagree

    @property
    def passed(self) -> bool:
        """Whether all contenders agreed and every bar holds."""
        return not self.failures and all(ratio.passed for ratio in self.ratios)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Result:
        """Return what `dataclasses.asdict` made of a result, as a result."""
        return cls(**{**data, "ratios": [Ratio(**ratio) for ratio in data["ratios"]]})
