"""Options for pytest: ``pytest -p autodiff_api.testing.plugin --ad-backend NAME ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: Any) -> None:
    """Add the options that say what is to be tested."""
    group = parser.getgroup("autodiff_api", "conformance of autodiff_api's backends")
    group.addoption("--ad-backend", metavar="NAME", help="the backend to be tested")
    group.addoption("--ad-device", metavar="DEVICE", help="test on this device only, by the name that it prints")
    group.addoption("--ad-dtypes", metavar="DTYPES", type=_split, help="test these dtypes only: float32,complex64")
    group.addoption("--ad-json", metavar="FILE", help="write the matrix as JSON")


def pytest_configure(config: Any) -> None:
    """Refuse to write a matrix of which pytest-xdist's processes would each see a part."""
    if config.getoption("ad_json") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--ad-json is written by one process: leave -n out, or give -n 0")


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def pytest_sessionfinish(session: Any) -> None:
    """Write the matrix of what was tested, if it was asked for."""
    path = session.config.getoption("ad_json")
    if path:
        from .conformance import CHECKS
        from .report import Report

        texts = [Report(checks, checks.made).as_json() for checks in CHECKS.values()]
        Path(path).write_text(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]", encoding="utf-8")
