"""What the README shows besides code that runs by itself: commands, and a plugin that can be installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
USE = """
import autodiff_api as ad
xp = ad.namespace("mparray")
x = xp.asarray([1.0, 2.0], requires_grad=True)
xp.sum(x**2).backward()
print(x.grad.tolist(), type(x.grad.numpy()).__name__)
"""


def block(mark: str) -> str:
    """Return the block of code under the comment `mark`."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no block marked {mark!r}"
    return found.group(1)


def test_working_code_comes_first() -> None:
    head = "\n".join(README.splitlines()[:15])
    assert re.search(r"^```python\n.*\.backward\(\).*^```$", head, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("mark", ["command: main job", "command: tests"])
def test_commands_are_one_line_each(mark: str) -> None:
    """`.ci/run` takes them from here."""
    assert re.fullmatch(r'pip install -e "\.\[[\w,]+\]" && .+\n', block(mark))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_linked_files_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_contributing_shows_every_room() -> None:
    """Each module is in its table of floors, and it fits a page."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.name.removesuffix(".py") for path in (ROOT / "autodiff_api").iterdir() if path.suffix in ("", ".py")}
    shown = set(re.findall(r"`(\w+)/?`", text[text.index("| floor |") : text.index("- **A rule**")]))
    assert {room for room in rooms if not room.startswith("_")} <= shown | {"typing"}
    assert len(text.splitlines()) <= 65


def test_plugin_works_when_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("mparray")
    (tmp_path / "many_digits.py").write_text(block("file: many_digits.py"), encoding="utf-8")
    entry_points = tomllib.loads(block("file: pyproject.toml"))["project"]["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in entry_points.items()
    ]
    installed = tmp_path / "many_digits-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: many-digits\nVersion: 1.0\n", encoding="utf-8")
    (installed / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-W", "error", "-c", USE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[2.0, 4.0] ndarray\n", done.stderr
