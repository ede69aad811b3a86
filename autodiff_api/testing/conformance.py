"""The tests that a backend passes.

A plugin's own test file needs no more than this::

    from autodiff_api.testing.conformance import Conformance


    class TestMyLibrary(Conformance):
        backend = "mylibrary"

From anywhere, without a file: ``pytest -p autodiff_api.testing.plugin --pyargs autodiff_api.testing.conformance
--ad-backend mylibrary``. The matrix for people: ``python -m autodiff_api conformance mylibrary``.

There is a test for each function and law; it fails with the first sample that breaks the law and the numbers. What a
backend can't do is declared in its `Backend.gaps`, with reasons; a gap that has closed fails, and says which line to
delete.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

from ..errors import ArgumentError
from .checks import Checks
from .contract import broken_promises
from .laws import LAWS

__all__ = ["Conformance"]

Names: TypeAlias = "tuple[str, ...] | None"
CHECKS: dict[tuple[str, str | None, Names, Names], Checks] = {}  # each backend is checked once


class Conformance:
    """Tests of one backend: derive a class whose name begins with Test, and name the backend.

    `device`, `dtypes` and `functions` narrow down what is tried: a plugin that only has kernels for somebody else's
    backend names its functions.
    """

    backend: ClassVar[str] = ""
    device: ClassVar[str | None] = None
    dtypes: ClassVar[Names] = None
    functions: ClassVar[Names] = None

    @classmethod
    def checks(cls, config: Any) -> Checks:
        """Return the checks that the class, or else the command line, asks for."""
        options = {name: config.getoption(f"ad_{name}", None) for name in ("backend", "device", "dtypes")}
        backend = cls.backend or options["backend"]
        if not backend:
            raise ArgumentError(
                "which backend? Give --ad-backend NAME, with -p autodiff_api.testing.plugin, or derive a class from "
                "autodiff_api.testing.conformance.Conformance that names one"
            )
        dtypes = cls.dtypes or options["dtypes"]
        only = cls.functions and tuple(cls.functions)
        key = backend, cls.device or options["device"], None if dtypes is None else tuple(dtypes), only
        if key not in CHECKS:
            CHECKS[key] = Checks.of(*key)
        return CHECKS[key]

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make a test for each function and law."""
        if "law" in metafunc.fixturenames:
            checks = self.checks(metafunc.config)
            pairs = [(function, law) for function in checks.functions for law in LAWS]
            metafunc.parametrize(("function", "law"), pairs, ids=[f"{f}-{law}" for f, law in pairs])

    def test_law(self, function: str, law: str, request: Any) -> None:
        """Check a law for all samples of a function, in every dtype."""
        checks = self.checks(request.config)
        outcomes = [checks.check(function, law, dtype) for dtype in checks.dtypes]
        failed = [outcome.text for outcome in outcomes if outcome.state == "fail"]
        assert not failed, "\n".join(failed)

    def test_contract(self, request: Any) -> None:
        """Check what the backend says of itself."""
        broken = broken_promises(self.checks(request.config))
        assert not broken, "\n".join(broken)

    def test_gaps_are_open(self, request: Any) -> None:
        """Check that what is declared impossible is impossible."""
        checks = self.checks(request.config)
        closed = [text for gap in checks.backend.gaps if (text := checks.closed(gap))]
        assert not closed, "\n".join(closed)


class TestBackend(Conformance):
    """The backend that --ad-backend names."""
