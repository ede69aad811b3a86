"""The plugin of docs/how-to/write-a-backend.md, as a stranger would make it.

As a test: the page's files, laid where an installer lays them, outside the tree, and the kit for some functions. As a
script, all of it, `python tests/backends/test_strangers_plugin.py`: wheels are built of the library and of the plugin,
installed in a fresh environment with nothing but what they ask for and pytest, and the page's test file runs the whole
kit. That takes some minutes and pip's index.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "write-a-backend.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
FUNCTIONS = ("exp", "linalg.svd", "matmul", "scatter_add", "sort", "special.erf", "sum", "where")


def lay(folder: Path) -> None:
    """Write the page's files into a folder."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")


def install(folder: Path) -> None:
    """Write what an installer would write about the plugin."""
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((group, names),) = project["entry-points"].items()
    (about / "entry_points.txt").write_text(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()))


def test_the_page_is_whole():
    assert set(FILES) == {"autodiff_api_strict.py", "pyproject.toml", "test_strict.py"}
    assert len(FILES["test_strict.py"].splitlines()) <= 10


def run(folder: Path, *arguments: str) -> str:
    paths = [str(folder), str(ROOT), *(str(path) for path in sorted((ROOT / "plugins").iterdir()))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_strangers_plugin_passes_the_kit(tmp_path):
    pytest.importorskip("array_api_strict")
    lay(tmp_path)
    install(tmp_path)
    chosen = " or ".join(f"test_law[{name}-" for name in FUNCTIONS)
    printed = run(
        tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "test_strict.py", "-k", f"{chosen} or contract or gaps"
    )
    assert re.search(r"\b\d\d+ passed", printed) and "failed" not in printed
    printed = run(
        tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-p", "autodiff_api.testing.plugin", "--pyargs",
        "autodiff_api.testing.conformance", "--ad-backend", "strict", "--ad-dtypes", "float32", "--ad-device",
        "array_api_strict.Device('device1')", "-k", "test_law[exp- or contract",
    )  # fmt: skip
    assert re.search(r"\b\d+ passed", printed) and "failed" not in printed


def main() -> int:
    """Do all of it, and print what each step printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plugin, wheels, tests = (folder / part for part in ("plugin", "wheels", "tests"))
        plugin.mkdir()
        tests.mkdir()
        lay(plugin)
        (plugin / "test_strict.py").rename(tests / "test_strict.py")
        venv.create(folder / "environment", with_pip=True)
        python = str(folder / "environment" / "bin" / "python")
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        for command in (
            [python, "-m", "pip", "wheel", "--no-deps", "-w", str(wheels), str(ROOT), str(plugin)],
            [python, "-m", "pip", "install", "--find-links", str(wheels), "autodiff-api-strict", "pytest"],
            [python, "-m", "pip", "list"],
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_strict.py"],
            [python, "-m", "autodiff_api", "conformance", "strict", "--json", "strict.json"],
        ):
            print("$", *command, flush=True)
            if done := subprocess.run(command, cwd=tests, env=clean).returncode:
                return done
    return 0


if __name__ == "__main__":
    sys.exit(main())
