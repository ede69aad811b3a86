"""Imports: what loading a package takes, each time in a new process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from functools import partial

from .rows import IMPORT, IMPORT_JAX, IMPORT_NUMPY, IMPORT_TORCH, Maker, Samples, Setting, Work
from .timing import Field, present

ROUNDS = 15
STATEMENTS = (IMPORT, IMPORT_NUMPY, IMPORT_TORCH, IMPORT_JAX)
PROGRAM = "import time; start = time.process_time(); {}; print(time.process_time() - start)"


def seconds(statement: str) -> float:
    """Return the seconds of processor time that a statement takes in a new process, its start not counted."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(statement)], check=True, stdout=subprocess.PIPE)
    return float(done.stdout)


def contenders(quick: bool) -> Mapping[str, Maker]:
    return {statement: partial(partial, seconds, statement) for statement in STATEMENTS}


def measure(work: Work, setting: Setting) -> tuple[Samples, Field]:
    """Time the statements in turns, in a new process each."""
    makers, here = present(work, setting)
    rounds = range(1 if setting.quick else ROUNDS)
    for statement in makers:
        seconds(statement)  # the files are read once before
    each = [{statement: seconds(statement) for statement in makers} for _ in rounds]
    return {statement: [taken[statement] for taken in each] for statement in makers}, here


WORKS = (Work(name="import", title="import", dtype="", contenders=contenders, bars={(IMPORT, IMPORT_NUMPY): 1.3}),)
