"""Every row of the benchmarks runs and its contenders agree; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from autodiff_api.testing.bench import command, page, report
from autodiff_api.testing.bench.rows import COMPILED, EAGER, HIPS, JIT, NUMPY, TORCH, Ratio, Result, Setting, Work
from autodiff_api.testing.bench.timing import QUICK, disagreements, in_turns, quartiles, ratios, take_turns


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-W", "error::ResourceWarning", "-m", "autodiff_api", "bench", "--quick"]
    return subprocess.run([*words, *map(str, arguments)], capture_output=True, text=True, timeout=500)


def read(path: Path) -> list[Result]:
    return [Result.of(data) for data in json.loads(path.read_text(encoding="utf-8"))["results"]]


@pytest.mark.parametrize("chapter", command.CHAPTERS)
def test_every_work_runs_and_its_contenders_agree(chapter: str, tmp_path: Path) -> None:
    done = bench("--only", chapter, "--json", tmp_path / "rows.json")
    results = read(tmp_path / "rows.json")
    assert not [failure for result in results for failure in result.failures]
    assert done.returncode == 0, done.stderr
    assert [result.name for result in results] == command.chosen([chapter])[chapter]
    for result in results:
        assert all(taken > 0 for taken in result.medians.values())
        measured = {name for ratio in result.ratios if ratio.median for name in (ratio.ours, ratio.peer)}
        assert not any(ratio.median is None for ratio in result.ratios), "a bar is not measured"
        assert measured or not all(map(find_spec, ("autograd", "jax", "torch")))


def test_check_turns_a_missed_bar_into_an_exit_status(tmp_path: Path) -> None:
    done = bench("--only", "chain-1", "--check", "--peers", "torch", "--json", tmp_path / "rows.json")
    assert done.returncode == int(not all(result.passed for result in read(tmp_path / "rows.json")))


@pytest.mark.parametrize("wrong", [("--only", "nothing"), ("--peers", "nobody")])
def test_a_name_that_is_unknown_is_told(wrong: tuple[str, str]) -> None:
    done = bench(*wrong)
    assert done.returncode == 2
    assert wrong[1] in done.stderr


def test_the_page_says_where_and_how_it_was_measured(tmp_path: Path) -> None:
    done = bench("--only", "logistic", "--threads", "1", "all", "--markdown", tmp_path / "page.md")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "python -m autodiff_api bench --only logistic --threads 1 all --quick --markdown" in text
    assert "- processor: " in text and "- date: " in text and "- numpy: " in text
    assert "## Ratios on one thread" in text and "## Ratios on all threads" in text
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == ({"page-1.svg", "page-all.svg"} if find_spec("matplotlib") else set())


def test_works_have_names_of_their_own() -> None:
    names = [name for _, name, _ in command.listing()]
    assert len({*names, *command.CHAPTERS}) == len(names) + len(command.CHAPTERS)


def made(**contenders: object) -> Work:
    makers = {name: lambda result=result: lambda: result for name, result in contenders.items()}
    return Work(name="made", title="made", contenders=lambda quick: makers, bars={(EAGER, NUMPY): 1e9})


def test_contenders_that_disagree_or_raise_are_failures() -> None:
    same = made(**{EAGER: [np.ones(3)], NUMPY: [np.ones(3)]})
    assert in_turns(same, Setting(quick=True))[1].failures == []
    other = made(**{EAGER: [np.ones(3)], NUMPY: [np.ones(3) * 1.001]})
    assert "off by 0.001" in in_turns(other, Setting(quick=True))[1].failures[0]
    assert disagreements({EAGER: [np.ones(3)], NUMPY: [np.ones(4)]}, 1.0)
    assert disagreements({EAGER: [np.ones(3)], NUMPY: [np.full(3, np.nan)]}, 1.0)
    broken = Work(name="made", title="made", contenders=lambda quick: {EAGER: lambda: lambda: 1 / 0})
    samples, here = in_turns(broken, Setting(quick=True))
    assert samples == {} and "ZeroDivisionError" in here.failures[0]


def test_ratios_pair_what_was_measured_in_the_same_round() -> None:
    samples = {EAGER: [1.0, 4.0, 3.0], TORCH: [2.0, 4.0, 12.0], HIPS: [1.0, 1.0, 1.0]}
    torch, hips = ratios(samples, {(EAGER, TORCH): 0.4, (COMPILED, TORCH): 1.0, (COMPILED, JIT): 1.0})[:2]
    assert (torch.median, torch.low, torch.high, torch.passed) == (0.5, 0.375, 0.75, False)
    assert (hips.median, hips.bar, hips.passed) == (3.0, None, True)


def test_a_bar_of_ours_that_was_not_measured_is_missed_unless_the_peer_is_absent_too() -> None:
    found = ratios({TORCH: [1.0]}, {(COMPILED, TORCH): 1.0, (COMPILED, JIT): 1.0})
    assert found == [Ratio(ours=COMPILED, peer=TORCH, median=None, low=None, high=None, bar=1.0)]
    assert not found[0].passed


def test_the_order_of_the_contenders_turns() -> None:
    ran: list[str] = []
    effort = type(QUICK)(least=3, most=3, seconds=0.0, look=0.0)
    clock = iter(range(1000)).__next__
    samples = take_turns({name: lambda name=name: ran.append(name) for name in "abc"}, effort, clock)
    assert "".join(ran) == "abcbcacab"
    assert {len(taken) for taken in samples.values()} == {3}


def test_a_slow_second_call_does_not_decide_how_often_to_run() -> None:
    calls = iter([1.0, *[1e-4] * 1000])
    now = [0.0]

    def run() -> None:
        now[0] += next(calls)

    effort = type(QUICK)(least=1, most=1, seconds=0.0, look=1e-2)
    assert take_turns({EAGER: run}, effort, lambda: now[0])[EAGER] == [pytest.approx(1e-4)]
    assert len([*calls]) == 1001 - 5 - 100


def test_quartiles() -> None:
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 4.0)
    assert quartiles([7.0]) == (7.0, 7.0)


def test_a_page_of_what_failed_says_so() -> None:
    ratio = Ratio(ours=EAGER, peer=TORCH, median=None, low=None, high=None, bar=0.5)
    common = {"chapter": "micro", "title": "a title", "dtype": "float32", "threads": "1", "unit": "s", "rounds": 1}
    result = Result(name="made", medians={}, ratios=[ratio], notes=["from afar"], failures=["it broke"], **common)
    text = "\n".join(page.lines([result], {"processor": "slow"}, "bench", {}))
    assert "not measured | ≤ 0.5 | missed" in text
    assert "FAILED it broke (made)" in text and "from afar (made)" in text
    assert report.summary([result]) == "0 of 1 bars hold; 1 contenders failed"
