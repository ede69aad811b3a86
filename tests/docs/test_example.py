"""The example that learns to read digits: it learns, paints, and says what it misses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "train_digits.py"
MODULES = ("sklearn", "matplotlib", "tqdm")


def train(*arguments: str | Path, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the example in a process of its own, as if the module called `without` were not installed."""
    start = (
        "import runpy, sys; "
        f"sys.path.insert(0, {str(SCRIPT.parent)!r}); "
        f"sys.modules.update(dict.fromkeys({without.split()!r})); "
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", start, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(autouse=True)
def extras() -> None:
    for module in MODULES:
        pytest.importorskip(module)


def test_it_learns_and_paints(tmp_path: Path) -> None:
    done = train("--backend", "numpy", "--out", tmp_path / "digits.png")
    assert done.returncode == 0, done.stderr
    accuracy = float(done.stdout.split(" %")[0])
    assert accuracy >= 97
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_too_little_is_an_exit_code(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    done = train("--backend", "jax", "--epochs", "1", "--out", tmp_path / "digits.png")
    assert done.returncode == 1, done.stderr
    assert float(done.stdout.split(" %")[0]) < 97
    assert (tmp_path / "digits.png").exists()


@pytest.mark.parametrize("module", MODULES)
def test_a_missing_extra_is_named(module: str) -> None:
    done = train(without=module)
    assert done.returncode == 1
    assert module in done.stderr and 'pip install -e ".[examples]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_backend_is_named() -> None:
    done = train("--backend", "no_such_backend")
    assert done.returncode == 2
    assert "no_such_backend" in done.stderr and "Traceback" not in done.stderr
