"""Compare the speed of two commits, by ratio: the micro suite of each, in turns, in processes of their own.

    python tests/benchmarks/compare.py main~5              # that commit, and the tree as it is
    python tests/benchmarks/compare.py main~5 main         # two commits
    python tests/benchmarks/compare.py main~5 --only chain-1 functions --rounds 15 --threshold 1.05

A ratio is the time of the second over that of the first, in the same round. The exit status is 1 if for any row the
median of the rounds is beyond the threshold, and the lower quartile is above 1: so noise alone is no regression. Both
run the rows and the clock of this tree, in a worktree of git that is removed in the end; times are never compared with
those of another day.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from autodiff_api.testing.bench.command import chosen, environment
from autodiff_api.testing.bench.rows import OURS, Setting
from autodiff_api.testing.bench.timing import quartiles

ROOT = Path(__file__).parents[2]
BENCH = Path("autodiff_api/testing/bench")
Times = dict[tuple[str, str], float]  # by work and contender, in seconds


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """Check a commit out into a folder, with the benchmarks of this tree, while the context lasts."""
    with TemporaryDirectory(prefix="autodiff_api-") as folder:
        place = Path(folder) / "tree"
        git("worktree", "add", "--detach", str(place), revision)
        try:
            shutil.rmtree(place / BENCH, ignore_errors=True)
            shutil.copytree(ROOT / BENCH, place / BENCH)
            yield place
        finally:
            git("worktree", "remove", "--force", str(place))


def git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git {' '.join(arguments)}: {done.stderr.strip()}")


def times(place: Path, names: Sequence[str], setting: Setting) -> Times:
    """Return what our contenders take in a new process that has the library from `place`."""
    folders = [place, place / "plugins" / "numpy", place / "plugins" / "jax"]
    surroundings = {**environment("micro", setting), "PYTHONPATH": os.pathsep.join(map(str, folders))}
    asked = {"chapter": "micro", "names": list(names), "setting": {**vars(setting), "peers": []}}
    command = [sys.executable, "-m", "autodiff_api.testing.bench.worker", json.dumps(asked)]
    done = subprocess.run(command, cwd=place, env=surroundings, stdout=subprocess.PIPE, text=True, check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {(each["name"], name): taken for each in results for name, taken in each["medians"].items()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", metavar="REV", help="the commit to compare with")
    parser.add_argument("second", metavar="REV", nargs="?", help="the commit to look at (default: the tree as it is)")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=["micro"], help="these rows of the micro suite")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--threshold", type=float, default=1.1, help="largest ratio (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, says nothing")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        names = [name for name in chosen(options.only).get("micro", []) if name != "elementwise-10M"]
    except ValueError as error:
        sys.exit(str(error))
    setting = Setting(quick=options.quick, brief=True)
    with ExitStack() as stack:
        first = stack.enter_context(worktree(options.first))
        second = stack.enter_context(worktree(options.second)) if options.second else ROOT
        rounds = []
        for number in range(options.rounds):
            places = (first, second) if number % 2 == 0 else (second, first)
            taken = {place: times(place, names, setting) for place in places}
            rounds.append((taken[first], taken[second]))
    return report(rounds, options.threshold)


def report(rounds: Sequence[tuple[Times, Times]], threshold: float) -> int:
    """Print the ratio of each row with its quartiles; return 1 if one is beyond the threshold."""
    worse = 0
    both = [key for key in rounds[0][1] if key in rounds[0][0] and key[1] in OURS]
    for key in both:
        ratios = [after[key] / before[key] for before, after in rounds]
        low, high = quartiles(ratios)
        median = statistics.median(ratios)
        slower = median > threshold and low > 1
        worse += slower
        print(f"{key[0]:20} {key[1]:16} {median:5.2f} ({low:.2f}-{high:.2f}){'  SLOWER' if slower else ''}")
    print(f"{worse} of {len(both)} rows are slower by more than {threshold - 1:.0%}")
    return int(worse > 0)


if __name__ == "__main__":
    sys.exit(main())
