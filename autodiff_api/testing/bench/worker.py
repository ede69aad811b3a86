"""One process of the benchmarks: measure works of one chapter and print each result as a line of JSON."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from .rows import Result, Samples, Setting, Work
from .timing import Field, in_turns, ratios


def works(chapter: str) -> tuple[Work, ...]:
    """Return the works of a chapter."""
    table: tuple[Work, ...] = _module(chapter).WORKS
    return table


def measure(chapter: str, names: Sequence[str], setting: Setting) -> Iterator[Result]:
    """Yield what is measured of each work, in this process."""
    how = getattr(_module(chapter), "measure", in_turns)
    for work in works(chapter):
        if work.name in names:
            samples, here = how(work, setting)
            yield report(chapter, work, setting, samples, here)


def report(chapter: str, work: Work, setting: Setting, samples: Samples, here: Field) -> Result:
    """Return what the samples of a work amount to."""
    return Result(
        chapter=chapter,
        name=work.name,
        title=work.title,
        dtype=work.dtype,
        threads=setting.threads,
        unit=work.unit,
        rounds=max(map(len, samples.values()), default=0),
        medians={name: statistics.median(taken) for name, taken in samples.items()},
        ratios=ratios(samples, work.bars if setting.threads == "1" else work.bars_on_all_threads),
        notes=here.notes,
        failures=here.failures,
    )


def _module(chapter: str) -> Any:
    return importlib.import_module(f"{__package__}.{chapter}")


def main() -> None:
    """Measure what the first argument says, in JSON: chapter, names and setting."""
    asked = json.loads(sys.argv[1])
    setting = Setting(**asked["setting"])
    if setting.threads == "1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # moving to another core costs what caches held
    for result in measure(asked["chapter"], asked["names"], setting):
        print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main()
