"""The benchmark runs and says what it promises; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

SCRIPT = Path(__file__).with_name("overhead.py")


def overhead(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error::ResourceWarning", str(SCRIPT), "--quick", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_every_suite_runs_and_is_reported(tmp_path: Path) -> None:
    done = overhead("--json", tmp_path / "rows.json")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))["rows"]
    peers = {row["peer"] for row in rows}
    wanted = {"bare numpy, forward only"}
    wanted |= {"jax.grad"} if find_spec("jax") else set()
    wanted |= {name for name in ("autograd", "torch") if find_spec(name)}
    assert peers == wanted
    assert all(row["ours"] > 0 and row["ratio"] == row["ours"] / row["theirs"] for row in rows)
    assert len(done.stdout.splitlines()) == 4 + len(rows)  # a heading, a blank line, two lines of table head


def test_check_turns_a_missed_bar_into_an_exit_code(tmp_path: Path) -> None:
    done = overhead("--only", "eager", "--check", "--json", tmp_path / "rows.json")
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))["rows"]
    assert done.returncode == int(any(row["bar"] is not None and row["ratio"] > row["bar"] for row in rows))


def test_transformations_agree_with_their_peers() -> None:
    script = SCRIPT.with_name("transforms.py")
    done = subprocess.run([sys.executable, script, "--quick"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    installed = [name for name in ("torch", "jax") if find_spec(name)]
    assert len(done.stdout.splitlines()) == 1 + 4 * len(installed)
