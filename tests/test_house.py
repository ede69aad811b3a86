"""The rules of the house that can be checked by a machine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autodiff_api import dispatch

ROOT = Path(__file__).parents[1]
FOLDERS = ("autodiff_api", "docs", "plugins", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_imports_go_to_a_lower_floor_only():
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command, "install import-linter: python -m pip install -e '.[test]'"
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_version_of_the_standard_is_pinned(path):
    # numpy 2.4 knows 2024.12 and refuses 2025.12; jax 0.12 knows 2025.12 and refuses 2024.12.
    assert not re.search(r"""api_version\s*=\s*["']""", path.read_text().replace("__array_api_version__", ""))


def test_no_module_hides_a_function():
    # A submodule, once imported, takes the place of the package's function of the same name.
    modules = {path.stem for path in (ROOT / "autodiff_api").glob("[!_]*.py")}
    assert not modules & set(dispatch.names())
