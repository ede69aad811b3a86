"""Compiling: what the first call takes, in which a step of training is traced, compiled and run once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from functools import partial

from . import models
from .rows import COMPILED, COMPILED_JAX, JIT, NEEDS, PURE, PURE_JAX, Maker, Samples, Setting, Work
from .timing import CLOCKS, Field, present, seconds_of

ROUNDS = 5
COMPILING = COMPILED, COMPILED_JAX, JIT, PURE, PURE_JAX


def compiled(work: Work, quick: bool) -> Mapping[str, Maker]:
    """Return those contenders of a model that compile."""
    return {name: make for name, make in work.contenders(quick).items() if name in COMPILING}


def measure(work: Work, setting: Setting) -> tuple[Samples, Field]:
    """Time first calls, in turns; JAX forgets before each what it has compiled."""
    makers, here = present(work, setting)
    samples: Samples = {}
    for _ in range(1 if setting.quick else ROUNDS):
        for name, make in [*makers.items()]:
            try:
                samples.setdefault(name, []).append(first_call(name, make, CLOCKS[setting.threads]))
            except Exception as error:  # one contender's trouble is not the others'
                here.failures.append(f"{name}: {type(error).__name__}: {error}")
                del makers[name], samples[name]
    return samples, here


def first_call(name: str, make: Maker, clock: Callable[[], float]) -> float:
    """Return the seconds of a new contender's first call."""
    if NEEDS.get(name) == "jax":
        import jax

        jax.clear_caches()
    run = make()
    gc.collect()
    return seconds_of(run, 1, clock)


WORKS = tuple(
    Work(
        name=f"{work.name}-first",
        title=f"{work.title}: first call",
        contenders=partial(compiled, work),
        bars={(COMPILED_JAX, JIT): 1.0, (PURE_JAX, JIT): 1.0},
    )
    for work in models.WORKS
)
