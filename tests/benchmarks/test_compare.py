"""The comparison of two commits goes by ratio, and tells a regression from noise."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("compare.py")
report = runpy.run_path(str(SCRIPT))["report"]
KEY, OTHER = ("chain-1", "eager NumPy"), ("functions", "eager NumPy")


@pytest.mark.parametrize(
    ("factors", "status"),
    [
        pytest.param([1.3, 1.2, 1.4], 1, id="slower"),
        pytest.param([1.0, 0.9, 1.05], 0, id="as before"),
        pytest.param([0.5, 0.4, 0.6], 0, id="faster"),
        pytest.param([0.6, 1.2, 5.0], 0, id="noise"),
        pytest.param([1.05, 1.06, 1.07], 0, id="within the threshold"),
    ],
)
def test_exit_status(factors: list[float], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    # the machine is twice as slow in each round: what counts is the ratio of a round
    rounds = [({KEY: 2.0**n, OTHER: 1.0}, {KEY: factor * 2.0**n, OTHER: 1.0}) for n, factor in enumerate(factors)]
    assert report(rounds, 1.1) == status
    assert ("SLOWER" in capsys.readouterr().out) == bool(status)


def test_what_is_only_in_one_of_them_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([({KEY: 1.0}, {KEY: 1.0, OTHER: 9.0})], 1.1) == 0
    assert "functions" not in capsys.readouterr().out


@pytest.mark.skipif(not (SCRIPT.parents[2] / ".git").exists(), reason="not a checkout")
def test_a_commit_and_the_tree_as_it_is() -> None:
    command = [sys.executable, str(SCRIPT), "HEAD", "--quick", "--rounds", "1", "--only", "chain-1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "chain-1              eager NumPy" in done.stdout, done.stderr


@pytest.mark.skipif(not (SCRIPT.parents[2] / ".git").exists(), reason="not a checkout")
def test_an_unknown_commit_is_told() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "nothing"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "nothing" in done.stderr
