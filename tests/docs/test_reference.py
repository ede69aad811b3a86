"""The generated pages of the reference are those that the commands write today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import autodiff_api as ad
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.conventions import as_markdown
from autodiff_api.testing.report import COLUMNS
from autodiff_api.testing.standard import FUNCTIONS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_conventions():
    """Written by `python -m autodiff_api conventions`."""
    assert (REFERENCE / "conventions.md").read_text(encoding="utf-8") == as_markdown()


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_conformance_shows_the_standard_and_no_failure(backend):
    """Written by `python -m autodiff_api conformance NAME --markdown FILE`; on JAX with JAX_ENABLE_X64=1."""
    page = (REFERENCE / f"conformance-{backend}.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if re.match(r"\| `", line)]
    shown = {row[0].strip("`") for row in rows}
    assert {name for name in Checks(ad.namespace("numpy")).functions if name in FUNCTIONS} <= shown
    assert all(len(row) == len(COLUMNS) + 3 for row in rows)
    assert {cell for row in rows for cell in row[1 : len(COLUMNS) + 1]} <= {"yes", "gap", "-"}
    assert "Failures" not in page and "Not tried" not in page and " 0 failed" in page
