"""The command ``python -m autodiff_api bench``: which chapters run, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from . import worker
from .rows import Result, Setting
from .timing import Field


@dataclass(frozen=True)
class Chapter:
    """What a chapter needs: whether JAX has double precision, and whether it says anything on all threads."""

    double: bool = False
    threaded: bool = True


CHAPTERS = {
    "compiling": Chapter(threaded=False),
    "imports": Chapter(threaded=False),
    "memory": Chapter(threaded=False),
    "micro": Chapter(),
    "models": Chapter(),
    "science": Chapter(double=True),
    "transforms": Chapter(double=True),
}

# Engines read these when they are loaded.
ONE_THREAD = {
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
CARELESS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"  # compiles sooner
PEERS = ("autograd", "jax", "torch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these chapters or works only; --list names them")
    parser.add_argument("--list", action="store_true", help="list chapters and works, and measure nothing")
    parser.add_argument("--peers", metavar="A,B", help=f"these libraries only, of {','.join(PEERS)} (default: all)")
    parser.add_argument("--threads", nargs="+", choices=["1", "all"], default=["1"], help="default: 1")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: shows that it runs, says nothing")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is missed")
    parser.add_argument("--json", metavar="FILE", help="write what was measured as JSON, for tools")
    parser.add_argument("--markdown", metavar="FILE", help="write it as a page, with plots beside it")


def spelled(options: argparse.Namespace) -> str:
    """Return the command line that measures the same."""
    words = ["python -m autodiff_api bench"]
    for name in ("only", "threads"):
        words += [f"--{name}", *getattr(options, name)] if getattr(options, name) else []
    words += ["--peers", options.peers] if options.peers else []
    words += ["--quick"] if options.quick else []
    return " ".join([*words, "--markdown", str(options.markdown)])


def listing() -> Iterator[list[str]]:
    """Yield chapter, name and title of each work."""
    for chapter in CHAPTERS:
        for work in worker.works(chapter):
            yield [chapter, work.name, work.title]


def chosen(only: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the works by chapter that chapters' and works' names stand for; ValueError for a name of neither."""
    rows = [*listing()]
    known = {name for chapter, work, _ in rows for name in (chapter, work)}
    if unknown := sorted(set(only or ()) - known):
        raise ValueError(f"there is no chapter and no work called {', '.join(unknown)}; --list names them")
    found: dict[str, list[str]] = {}
    for chapter, work, _ in rows:
        if only is None or chapter in only or work in only:
            found.setdefault(chapter, []).append(work)
    return found


def measure(options: argparse.Namespace) -> Iterator[Result]:
    """Yield what is measured, as it comes; each chapter has a process, with its own environment, for each setting."""
    peers = options.peers.split(",") if options.peers else None
    if unknown := sorted(set(peers or ()) - {*PEERS}):
        raise ValueError(f"there is no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    works = chosen(options.only)
    for threads in dict.fromkeys(options.threads):
        for chapter, names in works.items():
            if threads == "1" or CHAPTERS[chapter].threaded:
                yield from _process(chapter, names, Setting(quick=options.quick, threads=threads, peers=peers))


def environment(chapter: str, setting: Setting) -> dict[str, str]:
    """Return the environment of a chapter's process."""
    inherited = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    found = {**inherited, "JAX_PLATFORMS": "cpu", **(ONE_THREAD if setting.threads == "1" else {})}
    if CHAPTERS[chapter].double:
        found["JAX_ENABLE_X64"] = "1"
    if setting.quick:
        found["XLA_FLAGS"] = f"{found.get('XLA_FLAGS', '')} {CARELESS}"
    return found


def _process(chapter: str, names: Sequence[str], setting: Setting) -> Iterator[Result]:
    """Yield what a process measures; where it dies, what is missing is a failure."""
    asked = json.dumps({"chapter": chapter, "names": names, "setting": asdict(setting)})
    command, surroundings = [sys.executable, "-m", worker.__name__, asked], environment(chapter, setting)
    missing = {work.name: work for work in worker.works(chapter) if work.name in names}
    with subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            result = Result.of(json.loads(line))
            del missing[result.name]
            yield result
    here = Field(failures=[f"the process of this chapter ended with status {process.returncode}"])
    for work in missing.values():
        yield worker.report(chapter, work, setting, {}, here)
