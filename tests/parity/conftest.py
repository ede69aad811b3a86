"""Run a small program on PyTorch and on autodiff_api, and compare what it saw, line by line.

A parity test is an ordinary test function with two arguments::

    def test_view_write_reaches_base(torch, log):
        x = torch.zeros(3)
        x[1:].fill_(2.0)
        log(x)

`torch` is PyTorch itself, or autodiff_api on one of the backends. Each `log(...)` is an observation. Under
autodiff_api the same function has run on PyTorch just before, and each observation is compared, as it is
made, with PyTorch's at that place: the traceback of a failure points at the first line that differs.
"""

import inspect
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one: pytest leaves the path alone

from observing import (
    OPEN,
    Raised,
    Seen,
    caught_as,
    engine_jax,
    engine_jax_single,
    engine_numpy,
    engine_torch,
    observe,
    same,
)

ENGINES = ("torch", "numpy", "jax")


class Log:
    """What a scenario observes. With `expected`, compare each observation as it is made."""

    def __init__(self, engine, expected=None):
        self.engine, self.expected, self.entries = engine, expected, []

    def __call__(self, *values):
        for value in values:
            self._add(observe(value))

    def error(self, f, *fragments):
        """Observe that f() raises what PyTorch's users catch, and that the text contains each fragment."""
        entry = self.outcome(f, *fragments)
        if self.engine == "torch":
            assert isinstance(entry, Raised), f"PyTorch raises nothing here, it gives {entry}"
            assert all(entry[1].values()), f"PyTorch says: {entry[2]}"
        self._add(entry)

    def warning(self, f, *fragments):
        """Observe f() and the fragments that occur in the warnings it gives."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = observe(f())
        texts = " | ".join(str(w.message) for w in caught)
        found = {fragment: fragment in texts for fragment in fragments}
        if self.engine == "torch":
            assert all(found.values()), f"PyTorch warns: {texts}"
        self._add([value, found, bool(caught)])

    def declared(self, reason, f, *, torch, ours):
        """Observe f() where the libraries differ on purpose: PyTorch gives `torch`, autodiff_api `ours`.

        Either may be a value, or a tuple (exception class, fragment of its text, ...).
        """
        expected = torch if self.engine == "torch" else ours
        if isinstance(expected, tuple):
            kind, *fragments = expected
            entry = self.outcome(f, *fragments)
            assert isinstance(entry, Raised), f"{reason}: expected {kind.__name__}, got {entry}"
            assert issubclass(entry[3], kind) and all(entry[1].values()), f"{reason}: {entry[0]}: {entry[2]}"
        else:
            value = f()
            got = observe(value)
            got = got[2] if isinstance(got, Seen) else got
            assert same(got, expected), f"{reason}: expected {expected}, got {got}"
        self._add("declared")

    def outcome(self, f, *fragments):
        """Give what f() gives, or the exception it raises, as an observation."""
        try:
            return observe(f())
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError) as problem:
            text = str(problem)
            found = {fragment: fragment in text for fragment in fragments}
            return Raised((caught_as(type(problem)), found, text, type(problem)))

    def _add(self, entry):
        place = len(self.entries)
        self.entries.append(entry)
        if self.expected is None:
            return
        assert place < len(self.expected), f"PyTorch observes {place} things, this is one more: {entry}"
        wanted = self.expected[place]
        if isinstance(wanted, Raised) and isinstance(entry, Raised):
            agree = wanted[0][0] in entry[0] and wanted[1] == entry[1]
        else:
            agree = same(wanted, entry)
        assert agree, f"observation {place} on {self.engine}\n  PyTorch:      {wanted}\n  autodiff_api: {entry}"


def rehearse(request):
    """Run the requesting test on PyTorch and give what it observed there."""
    arguments = {
        name: request.getfixturevalue(name)
        for name in inspect.signature(request.function).parameters
        if name not in ("torch", "log")
    }
    with engine_torch() as torch:
        log = Log("torch")
        request.function(torch=torch, log=log, **arguments)
    return log.entries


@pytest.fixture(params=ENGINES)
def engine(request):
    """Name the library and backend that a parity test runs on."""
    return request.param


@pytest.fixture
def log(request, engine):
    """Give the log of a scenario; under autodiff_api, one that knows what PyTorch observed."""
    if engine == "torch":
        yield Log("torch")
        return
    log = Log(engine, rehearse(request))
    yield log
    if not getattr(request.node, "failed_call", False):
        assert len(log.entries) == len(log.expected), "PyTorch observed more than autodiff_api did"


@pytest.fixture
def torch(engine, log):
    """Give PyTorch, or autodiff_api on one backend, in double precision."""
    with OPEN[engine]() as module:
        yield module


@pytest.fixture(params=("numpy", "jax"))
def ad(request):
    """Give autodiff_api on each backend in double precision, for what PyTorch has no word on."""
    with OPEN[request.param]() as module:
        yield module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Note on the item that its call failed, so that teardown does not complain a second time."""
    report = yield
    if report.when == "call" and call.excinfo is not None:
        item.failed_call = True
    return report


@pytest.fixture(scope="session")
def rehearsal():
    """Give the context manager that opens PyTorch in double precision."""
    return engine_torch


@pytest.fixture
def numpy_ad():
    """Give autodiff_api on NumPy."""
    with engine_numpy() as module:
        yield module


@pytest.fixture
def jax_ad():
    """Give autodiff_api on JAX."""
    with engine_jax() as module:
        yield module


@pytest.fixture
def jax_single():
    """Give autodiff_api on JAX in single precision."""
    with engine_jax_single() as module:
        yield module
