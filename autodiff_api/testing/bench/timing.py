"""Who is there, whether they agree, and how long they take: in turns, round by round."""

from __future__ import annotations

import gc
import importlib.util
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import autodiff_api as ad

from . import rows
from .rows import NEEDS, OURS, PEERS, Bars, Contender, Maker, Ratio, Samples, Setting, Work

Clock = Callable[[], float]
UNJITTED = (rows.EAGER_JAX, rows.JAX)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much to measure: rounds, until some seconds are spent; `look` is the shortest time that is looked at."""

    least: int
    most: int
    seconds: float
    look: float


FULL = Effort(least=7, most=60, seconds=3.0, look=4e-3)
BRIEF = Effort(least=5, most=15, seconds=0.3, look=4e-3)
QUICK = Effort(least=1, most=1, seconds=0.0, look=0.0)


@dataclass
class Field:
    """The contenders that are ready, and why the others are not."""

    ready: dict[str, Contender] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def in_turns(work: Work, setting: Setting) -> tuple[Samples, Field]:
    """Measure a work whose contenders take turns in this process: what most chapters do."""
    here = gather(work, setting)
    effort = QUICK if setting.quick else BRIEF if setting.brief else FULL
    return take_turns(here.ready, effort, CLOCKS[setting.threads]), here


def absent(name: str, peers: Sequence[str] | None) -> str | None:
    """Return what a contender lacks, "" if it was not asked for, and None if it can take part."""
    needs = NEEDS.get(name)
    if needs and name not in OURS and peers is not None and needs not in peers:
        return ""
    if needs and importlib.util.find_spec(needs) is None:
        return f"needs {needs}"
    if name in (rows.COMPILED, rows.COMPILED_JAX) and not hasattr(ad, "compile"):
        return "needs ad.compile"
    return None


def present(work: Work, setting: Setting) -> tuple[dict[str, Maker], Field]:
    """Return the contenders that can take part, and a field that says who can't."""
    here, makers = Field(notes=[work.note()] if work.note else []), dict[str, Maker]()
    for name, make in work.contenders(setting.quick).items():
        if setting.quick and name in UNJITTED and UNJITTED not in work.bars:
            continue  # it compiles each operation, which takes longer than all others together
        why = absent(name, setting.peers)
        if why is None:
            makers[name] = make
        elif why:
            here.notes.append(f"without {name}: {why}")
    return makers, here


def gather(work: Work, setting: Setting) -> Field:
    """Prepare the contenders of a work, have each do it once, and compare what they return."""
    makers, here = present(work, setting)
    results = {}
    for name, make in makers.items():
        try:
            here.ready[name] = make()
            result = here.ready[name]()
            if name != rows.FORWARD:  # which has no gradients that could agree
                results[name] = numbers(result)
        except Exception as error:  # one contender's trouble is not the others'
            here.ready.pop(name, None)
            here.failures.append(f"{name}: {type(error).__name__}: {error}")
    here.failures += disagreements(results, work.tolerance)
    return here


def numbers(result: Any) -> list[np.ndarray]:
    """Return the arrays of a result, of whatever library, as NumPy's, in order."""
    if isinstance(result, Mapping):
        return [x for key in sorted(result) for x in numbers(result[key])]
    if isinstance(result, list | tuple):
        return [x for part in result for x in numbers(part)]
    return [np.array(result.detach().numpy() if hasattr(result, "detach") else result, dtype=np.float64)]


def disagreements(results: Mapping[str, list[np.ndarray]], tolerance: float) -> list[str]:
    """Name the contenders whose arrays are not those of the first, up to `tolerance` of the largest number."""
    found = []
    reference, *others = [*results] or [""]
    for name in others:
        pairs = enumerate(zip(results[reference], results[name], strict=True))
        found += [f"{name}: result {place} {why}" for place, (x, y) in pairs if (why := _differs(x, y, tolerance))][:1]
    return found


def _differs(x: np.ndarray, y: np.ndarray, tolerance: float) -> str:
    """Return how y differs from x, "" if it does not."""
    if x.shape != y.shape:
        return f"has shape {y.shape}, not {x.shape}"
    off, largest = (float(np.max(np.abs(z), initial=0)) for z in (x - y, x))
    return "" if off <= tolerance * largest else f"is off by {off:.3g}, where the largest number is {largest:.3g}"


def take_turns(contenders: Mapping[str, Contender], effort: Effort, clock: Clock) -> Samples:
    """Return what each contender takes, in seconds: round by round, in an order that turns."""
    gc.collect()
    gc.freeze()  # what the imports left behind is nobody's burden
    repeats = {name: _repeats(run, effort, clock) for name, run in contenders.items()}
    samples: Samples = {name: [] for name in contenders}
    order, began = deque(contenders), clock()
    for number in range(effort.most):
        for name in order:
            samples[name].append(seconds_of(contenders[name], repeats[name], clock))
        order.rotate(-1)
        if number + 1 >= effort.least and clock() - began > effort.seconds:
            break
    gc.unfreeze()
    return samples


def ratios(samples: Samples, bars: Bars) -> list[Ratio]:
    """Pair each of ours with its peers, round by round; a bar without a measurement of ours counts as missed."""
    found = []
    for ours, peers in PEERS.items():
        for peer in dict.fromkeys((*peers, *(b for a, b in bars if a == ours))):
            bar = bars.get((ours, peer))
            if ours in samples and peer in samples:
                each = [a / b for a, b in zip(samples[ours], samples[peer], strict=True)]
                low, high = quartiles(each)
                found.append(Ratio(ours=ours, peer=peer, median=statistics.median(each), low=low, high=high, bar=bar))
            elif bar is not None and peer in samples:
                found.append(Ratio(ours=ours, peer=peer, median=None, low=None, high=None, bar=bar))
    return found


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def _repeats(run: Contender, effort: Effort, clock: Clock) -> int:
    """Return how often to run in one look, so that the clock's own time and a first run out of cold caches don't count.

    The quickest of some runs decides: what compiles may do so in its second call, too.
    """
    if not effort.look:
        return 1
    quickest = min(seconds_of(run, 1, clock) for _ in range(5))
    return max(1, round(effort.look / max(quickest, 1e-7)))


def seconds_of(run: Contender, number: int, clock: Clock) -> float:
    start = clock()
    for _ in range(number):
        run()
    return (clock() - start) / number


CLOCKS: dict[str, Clock] = {"1": time.process_time, "all": time.perf_counter}
