"""Run array-api-tests, the test suite of the Array API standard, on the namespace of a backend.

    python tests/standard/run_array_api_tests.py SUITE STANDARD numpy [pytest's options]

`SUITE` is a checkout of github.com/data-apis/array-api-tests, whose requirements.txt must be installed, and `STANDARD`
one of github.com/data-apis/array-api at the commit of its submodule; neither is written to. The backend is numpy, jax
(64-bit numbers on), strict (array-api-strict) or package (autodiff_api itself); with `-recording` behind it, as in
`numpy-recording`, all that is computed is recorded. Whatever else is given goes to pytest: `--max-examples 10`, or the
name of a test file.

What may fail stands with its cause in jax-xfails.txt and recording-xfails.txt beside this file. The exit status is 1 if
anything else fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from runpy import run_path

HERE = Path(__file__).parent
VERSION = "2025.12"
OPTIONS = ("--disable-deadline", "--derandomize", "-q", "--tb=short", "-p", "no:cacheprovider")


def namespace(name: str):
    """Return what the suite is to test."""
    import autodiff_api

    backend, _, recording = name.partition("-")
    if backend == "package":
        return autodiff_api
    xp = run_path(str(HERE / "conftest.py"))["strict"]() if backend == "strict" else autodiff_api.namespace(backend)
    return recorded(xp) if recording else xp


def recorded(xp):
    """Make all that the suite computes be recorded: floating-point data come as the result of an operation."""
    asarray = xp.asarray

    def requiring(obj, /, *, dtype=None, device=None, copy=None):
        x = asarray(obj, dtype=dtype, device=device, copy=copy)
        inexact = xp.isdtype(x.dtype, ("real floating", "complex floating"))
        return xp.clone(x.clone().requires_grad_()) if inexact and not x.requires_grad else x

    xp.asarray = requiring
    return xp


def expected(name: str) -> set[str]:
    """Return the tests that may fail."""
    paths = [HERE / f"{part}-xfails.txt" for part in name.split("-")]
    lines = [line for path in paths if path.exists() for line in path.read_text().splitlines()]
    return {line for line in lines if line and not line.startswith("#")}


def failures(report: Path) -> tuple[set[str], dict[str, int]]:
    """Return the tests that failed, and how many did what, from pytest's report in XML."""
    (suite,) = ElementTree.parse(report).getroot()
    failed = set()
    for case in suite:
        if case.find("failure") is not None or case.find("error") is not None:
            folder, module, *names = [*case.get("classname", "").split("."), case.get("name", "")]
            failed.add("::".join([f"{folder}/{module}.py", *names]))
    return failed, {word: int(suite.get(word, 0)) for word in ("tests", "failures", "errors", "skipped")}


def run(suite: Path, standard: Path, name: str, options: list[str]) -> int:
    """Run the suite in a copy of its checkout, and print what failed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "suite")
        shutil.copytree(suite, copy, ignore=shutil.ignore_patterns(".git", "array-api"))
        (copy / "array-api").symlink_to(standard.resolve(), target_is_directory=True)
        code = f'from runpy import run_path; xp = run_path("{__file__}")["namespace"]("{name}")'
        environment = os.environ | {
            "ARRAY_API_TESTS_MODULE": f"exec('{code}')",
            "ARRAY_API_TESTS_VERSION": VERSION,
            "JAX_ENABLE_X64": "1",
        }
        if not any(option.startswith("array_api_tests") for option in options):
            options = ["array_api_tests", *options]
        command = [sys.executable, "-m", "pytest", *OPTIONS, f"--junitxml={folder}/report.xml", *options]
        subprocess.run(command, cwd=copy, env=environment, check=False)
        failed, counts = failures(Path(folder, "report.xml"))
    known = expected(name)
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    wrong, allowed = sorted(failed - known), len(failed & known)
    print(f"{name}: {passed} passed, {len(wrong)} failed, {allowed} as expected, {counts['skipped']} skipped")
    for test in wrong:
        print("FAILED", test)
    return bool(wrong)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
