"""The plugins of docs/how-to/write-a-backend.md, as a stranger would make them, install them and test them.

As a test: wheels are built of the library and of the two plugins, installed in an environment of their own that borrows
nothing but what they depend on, and tried there, with the kit for some functions. As a script, all of it, `python
tests/backends/test_strangers_plugin.py`: a fresh environment gets the wheels, what they ask for and pytest, by pip, and
the plugins' test files run whole. That takes some ten minutes and pip's index.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "docs" / "examples" / "plugins"
NAMES = ("autodiff-api-mparray", "autodiff-api-numexpr")
PAGE = (ROOT / "docs" / "how-to" / "write-a-backend.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^<!-- (from: )?(\S+) -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FUNCTIONS = (
    "exp",
    "floor_divide",
    "linalg.svd",
    "log2",
    "matmul",
    "scatter_add",
    "sort",
    "special.erf",
    "sum",
    "where",
)


def test_the_page_shows_what_is_in_the_files():
    shown = [(path, text) for mark, path, text in BLOCKS if mark]
    assert {path for path, _ in shown} >= {f"{name}/test_{name.rpartition('-')[2]}.py" for name in NAMES}
    for path, text in shown:
        file = (PLUGINS / path).read_text(encoding="utf-8")
        for part in re.split(r"^ *\.\.\.\n", text, flags=re.MULTILINE):
            assert part.strip("\n") in file, f"{path} is otherwise: {part}"


@pytest.mark.parametrize("name", NAMES)
def test_its_tests_are_ten_lines(name):
    (file,) = (PLUGINS / name).glob("test_*.py")
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 11


def clean() -> dict[str, str]:
    """Return the environment of a process that knows nothing of this one's packages."""
    strange = ("PYTHONPATH", "VIRTUAL_ENV", "PYTEST_ADDOPTS")
    kept = {k: v for k, v in os.environ.items() if k not in strange and not k.startswith("AUTODIFF_API_")}
    return {**kept, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(folder: Path, *command: str, code: int = 0) -> str:
    done = subprocess.run(command, cwd=folder, env=clean(), capture_output=True, text=True, timeout=500)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Give a folder with the plugins' tests, and the Python of an environment where their wheels are installed."""
    for module in ("hatchling", "mparray", "numexpr", "scipy"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("stranger")
    for name in NAMES:
        shutil.copytree(PLUGINS / name, folder / name, ignore=shutil.ignore_patterns("test_*"))
        (file,) = (PLUGINS / name).glob("test_*.py")
        shutil.copy(file, folder)
    pip = (sys.executable, "-m", "pip", "--quiet")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels")
    run(folder, *pip, *build, str(ROOT), *(f"./{name}" for name in NAMES))
    venv.create(folder / "environment")
    python = folder / "environment" / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # Its own packages come first, and a path in a .pth file does not bring that folder's .pth files: what is installed
    # here from the source tree is not seen there.
    borrowed = "\n".join(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
    (folder / "environment" / "lib" / version / "site-packages" / "borrowed.pth").write_text(borrowed)
    wheels = sorted(map(str, (folder / "wheels").iterdir()))
    run(folder, *pip, "--python", str(python), "install", "--no-deps", "--no-index", *wheels)
    return folder, str(python)


def test_both_are_listed(installed):
    folder, python = installed
    table = run(folder, python, "-m", "autodiff_api", "plugins", "--probe")
    assert re.search(r"^mparray +autodiff-api-mparray +1\.0 +ok +cpu +-$", table, re.MULTILINE)
    assert re.search(r"^- +autodiff-api-numexpr +1\.0 +ok +- +implements autodiff_api_kernels$", table, re.MULTILINE)
    assert str(folder) in run(folder, python, "-c", "import autodiff_api; print(autodiff_api.__file__)")


def test_the_backend_passes_the_kit(installed):
    folder, python = installed
    chosen = " or ".join(f"test_law[{name}-" for name in FUNCTIONS)
    printed = run(folder, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mparray.py", "-k",
                  f"{chosen} or contract or gaps")  # fmt: skip
    assert re.search(r"\b1\d\d passed", printed) and "failed" not in printed
    printed = run(folder, python, "-m", "autodiff_api", "conformance", "mparray", "--dtypes", "float64", "--functions",
                  "exp", "linalg.svd")  # fmt: skip
    assert "exp         yes" in printed and "linalg.svd  gap" in printed and "0 failed" in printed


def test_its_derivatives_have_as_many_digits(installed):
    (text,) = (text for _, mark, text in re.findall(r"<!-- (run) -->()\n```python\n(.*?)^```$", PAGE, re.M | re.S))
    folder, python = installed
    announced = re.search(r"# (MPArray.*)$", text, re.MULTILINE).group(1)
    assert run(folder, python, "-c", text) == announced + "\n"


def test_the_kernels_pass_the_kit(installed):
    folder, python = installed
    printed = run(folder, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_numexpr.py")
    assert "22 passed" in printed
    wrong = (folder / "autodiff-api-numexpr" / "autodiff_api_numexpr.py").read_text().replace("x / y", "y / x")
    (folder / "autodiff_api_numexpr.py").write_text(wrong)  # found before the installed one
    printed = run(folder, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_numexpr.py", code=1)
    (folder / "autodiff_api_numexpr.py").unlink()
    assert "special.rel_entr on numpy (its kernel is of plugin autodiff-api-numexpr==1.0 (entry point" in printed


USE = """
import autodiff_api as ad, numexpr, numpy as np
seen, evaluate = [], numexpr.evaluate
numexpr.evaluate = lambda formula, words: seen.append(formula) or evaluate(formula, words)
x, y = (ad.tensor(np.random.default_rng(i).uniform(1, 2, 60_000), requires_grad=True) for i in range(2))
ad.special.rel_entr(x, y).sum().backward()
print(sorted(ad.get_backend("numpy").borrowed), seen)
print(np.allclose(y.grad.numpy(), -x.detach().numpy() / y.detach().numpy()))
"""


def test_the_kernels_are_used(installed):
    folder, python = installed
    printed = run(folder, python, "-c", USE)
    assert printed == "['special.rel_entr', 'special.xlogy'] ['x * log(x / y)']\nTrue\n"


def main() -> int:
    """Do all of it, and print what each step printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tests = folder / "tests"
        tests.mkdir()
        for plugin in NAMES:
            shutil.copytree(PLUGINS / plugin, folder / plugin, ignore=shutil.ignore_patterns("test_*"))
            (file,) = (PLUGINS / plugin).glob("test_*.py")
            shutil.copy(file, tests)
        venv.create(folder / "environment", with_pip=True)
        python = str(folder / "environment" / "bin" / "python")
        sources = [str(ROOT), *(str(folder / plugin) for plugin in NAMES)]
        for command in (
            [python, "-m", "pip", "wheel", "--no-deps", "-w", str(folder / "wheels"), *sources],
            [python, "-m", "pip", "install", "--find-links", str(folder / "wheels"), *NAMES, "pytest"],
            [python, "-m", "pip", "list"],
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mparray.py", "test_numexpr.py"],
        ):
            print("$", *command, flush=True)
            if done := subprocess.run(command, cwd=tests, env=clean()).returncode:
                return done
    return 0


if __name__ == "__main__":
    sys.exit(main())
