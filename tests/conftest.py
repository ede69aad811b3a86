"""The backends that tests run on, with 64-bit numbers, for those that ask for `backend`."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

import autodiff_api as ad
from autodiff_api import namespaces
from autodiff_api.backends.registry import _registry

_tests = count(1)


@pytest.fixture(autouse=True)
def forgetful_compiler():
    """Let JAX forget now and then what it compiled: every function for every shape would come to gigabytes."""
    yield
    if next(_tests) % 250 == 0 and "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="module", autouse=True)
def declared_ops_end():
    """Take away the ops that the tests of a file declare: other files have tests of every op that they find."""
    before = dict(_registry._declared)
    yield
    for name in _registry._declared.keys() - before.keys():
        del _registry._declared[name]
        vars(ad).pop(name, None)
        for xp in list(namespaces._live):
            for home in (xp, xp._lower):
                home._ops.pop(name, None)
                vars(home).pop(name, None)


@pytest.fixture(params=["numpy", "jax"])
def backend(request):
    """Make one backend the default, and let it compute in float64."""
    if request.param == "numpy":
        with ad.use_backend("numpy"):
            yield "numpy"
        return
    jax = pytest.importorskip("jax")
    before = jax.config.values["jax_enable_x64"]  # what holds everywhere: jax.enable_x64 may hold here
    jax.config.update("jax_enable_x64", True)
    try:
        with ad.use_backend("jax"):
            yield "jax"
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.fixture(scope="session")
def strict():
    """A backend with no kernels to speak of: proof that rules and generic kernels speak only the standard."""
    pytest.importorskip("array_api_strict")
    return ad.namespace("strict")


def pytest_addoption(parser):
    """Let a second run, in an environment that has more, leave out what the first has checked."""
    parser.addoption("--write-passed", metavar="FILE", help="write the names of tests that pass to FILE")
    parser.addoption("--leave-out", metavar="FILE", help="leave out the tests that FILE names")


def pytest_collection_modifyitems(config, items):
    """Leave out what `--leave-out` names: what was skipped, or wasn't there to be collected, is kept."""
    if file := config.getoption("--leave-out"):
        passed = set(Path(file).read_text().splitlines())
        left_out = [item for item in items if item.nodeid in passed]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid not in passed]


def pytest_terminal_summary(terminalreporter):
    """Write what `--write-passed` asks for, and say how many rows of the table of behaviours agree with PyTorch."""
    if file := terminalreporter.config.getoption("--write-passed"):
        passed = [report.nodeid for report in terminalreporter.getreports("passed")]
        Path(file).write_text("\n".join(passed))
    _summarise_behaviours(terminalreporter)


def _summarise_behaviours(terminalreporter):
    """Say how many rows of the table of behaviours (`parity/behaviours`) agree with PyTorch."""
    counts = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for backend, kind in (value for name, value in report.user_properties if name == "behaviour"):
                counts.update([(backend, "all"), (backend, kind if outcome == "passed" else "failed")])
    backends = [backend for backend, kind in counts if kind == "all"]
    if backends:
        agreed = [f"{counts[backend, 'agreed']} / {counts[backend, 'all']} on {backend}" for backend in backends]
        purpose = max(counts[backend, "on purpose"] for backend in backends)
        terminalreporter.line(f"behaviours: agreed {', '.join(agreed)} ({purpose} differ on purpose)")
