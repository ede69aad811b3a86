"""Memory: the peak of a step of training, and of a graph of a million operations; each contender in its own process."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import autodiff_api as ad

from .gradients import torch
from .models import mlp_task, transformer_task
from .rows import COMPILED, EAGER, TORCH, Contender, Maker, Samples, Setting, Work
from .timing import Field, disagreements, numbers, present
from .training import step

ROUNDS = 5
STATUS, PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def deep(xp: Any, additions: int) -> Contender:
    """Build a chain of additions, go backward, drop it."""
    x = xp.asarray(np.ones(1, dtype=np.float32)).requires_grad_()
    b = xp.asarray(np.full(1, 0.5, dtype=np.float32))

    def run() -> Any:
        x.grad = None
        y = x
        for _ in range(additions):
            y = y + b
        y.backward()
        del y
        return x.grad

    return run


def chains(quick: bool) -> Mapping[str, Maker]:
    additions = 1000 if quick else 1_000_000
    return {EAGER: lambda: deep(ad.namespace("numpy"), additions), TORCH: lambda: deep(torch(), additions)}


def three_steps(make: Maker) -> Contender:
    """Repeat a step, so that gradients of the one before are there."""
    run = make()
    return lambda: [run(), run(), run()][-1]


def steps(make: Any, full: tuple[Any, ...], tiny: tuple[Any, ...], quick: bool) -> Mapping[str, Maker]:
    makers = step(make(*(tiny if quick else full)))
    return {name: partial(three_steps, makers[name]) for name in (EAGER, COMPILED, TORCH)}


def peak() -> int:
    """Return the most bytes that this process has held since `forget_peak`; where Linux tells, else ever."""
    if STATUS.exists():
        lines = STATUS.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    """Begin to measure the peak from what is held now."""
    if PEAK_RESET.exists():
        PEAK_RESET.write_text("5", encoding="utf-8")


def alone(work: Work, name: str, quick: bool) -> dict[str, Any]:
    """Do the work in this process, which does nothing else: seconds, bytes beyond those before, and sums to compare."""
    work.contenders(True)[name]()()  # imports, first calls
    gc.collect()
    forget_peak()
    before = peak()
    make, start = work.contenders(quick)[name], time.process_time()
    result = make()()
    return {
        "s": time.process_time() - start,
        "B": max(peak() - before, 1),
        "sums": [float(np.sum(np.abs(array))) for array in numbers(result)],
    }


def measure(work: Work, setting: Setting) -> tuple[Samples, Field]:
    """Measure the contenders in turns, in a new process each."""
    makers, here = present(work, setting)
    samples: Samples = {name: [] for name in makers}
    sums = {}
    for _ in range(1 if setting.quick else ROUNDS):
        for name in [*samples]:
            command = [sys.executable, "-m", __name__, work.name, name, *["--quick"] * setting.quick]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                here.failures.append(f"{name}: {done.stderr.strip().splitlines()[-1]}")
                del samples[name]
            else:
                found = json.loads(done.stdout)
                samples[name].append(found[work.unit])
                sums[name] = [np.asarray(total) for total in found["sums"]]
    here.failures += disagreements(sums, work.tolerance)
    return samples, here


WORKS = (
    Work(
        name="deep-time",
        title="10⁶ additions forward, backward, freed",
        contenders=chains,
        bars={(EAGER, TORCH): 0.6},
    ),
    Work(
        name="deep-memory",
        title="10⁶ additions: peak memory",
        contenders=chains,
        unit="B",
        bars={(EAGER, TORCH): 0.8},
    ),
    Work(
        name="mlp-memory",
        title="MLP 784-2048-10, batch 2048: peak memory of a step",
        contenders=partial(steps, mlp_task, (2048, (784, 2048, 10)), (4, (6, 5, 3))),
        unit="B",
        bars={(EAGER, TORCH): 1.0, (COMPILED, TORCH): 1.0},
        tolerance=1e-3,
    ),
    Work(
        name="transformer-memory",
        title="transformer block, 16 x 128 tokens, width 256: peak memory of a step",
        contenders=partial(steps, transformer_task, (16, 128, 256, 8), (2, 3, 8, 2)),
        unit="B",
        bars={(EAGER, TORCH): 1.0, (COMPILED, TORCH): 1.0},
        tolerance=1e-3,
    ),
)


def main(name: str, contender: str, *options: str) -> None:
    """Print what one contender takes, as JSON."""
    work = next(work for work in WORKS if work.name == name)
    print(json.dumps(alone(work, contender, "--quick" in options)))


if __name__ == "__main__":
    main(*sys.argv[1:])
