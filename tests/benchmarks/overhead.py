"""Measure what recording and going backward cost, beside PyTorch, HIPS autograd and JAX, in one run.

    python tests/benchmarks/overhead.py                 # the table, about a minute
    python tests/benchmarks/overhead.py --json FILE     # the same as data, too
    python tests/benchmarks/overhead.py --check         # exit with 1 if a bar is missed

The extra `bench` installs the peers; those that are missing are left out. Everything runs on one thread of
one core, and what counts is processor time, so that other programs do not. Contenders take turns, round by
round, and a figure is the median of the rounds. A ratio is our time over the peer's; a bar is the largest
ratio that we accept.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suites import Row

ONE_THREAD = {
    "JAX_PLATFORMS": "cpu",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
SUITES = ("eager", "jax-chain", "jax-step", "long-chain")


def use_one_thread() -> None:
    """Keep this process and its children to one core, and every engine's pool to one thread."""
    os.environ.update(ONE_THREAD)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def versions() -> str:
    names = [name for name in ("numpy", "torch", "autograd", "jax") if importlib.util.find_spec(name)]
    listed = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return ", ".join([f"Python {platform.python_version()}", *listed])


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table, aligned so that it reads well in a terminal too."""
    cells = [("what", "autodiff_api", "peer", "ratio", "bar", "")]
    for row in rows:
        bar, verdict = ("", "") if row.bar is None else (f"≤ {row.bar:g}", "ok" if row.passed else "missed")
        ours, theirs = f"{row.ours:.3g} {row.unit}", f"{row.theirs:.3g} {row.unit}"
        cells.append((row.case, ours, f"{row.peer} {theirs}", f"{row.ratio:.2f}", bar, verdict))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, line in enumerate(cells):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=SUITES, help="run these parts only")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, says nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is missed")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    use_one_thread()
    from suites import FULL, QUICK, measure  # now: engines read those settings when they are imported

    effort = QUICK if options.quick else FULL
    rows = list(measure(options.only, effort))
    print(f"One thread, processor time, medians of {effort.rounds} rounds. {versions()}.\n")
    print("\n".join(table(rows)))
    if options.json:
        data = [{**asdict(row), "ratio": row.ratio, "passed": row.passed} for row in rows]
        document = {"versions": versions(), "rows": data}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(options.check and not all(row.passed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
