"""Every law holds for every function on every backend: NumPy, JAX, and array-api-strict, which knows the standard only.

The backends' own test, `python -m autodiff_api conformance`, makes the same checks. Samples are in
autodiff_api/testing/samples; a test fails with the first sample that breaks the law.
"""

from __future__ import annotations

import pytest

import autodiff_api as ad
from autodiff_api.rules import OPS
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.laws import LAWS
from autodiff_api.testing.samples import CHAPTERS, MAKERS, samples_of

FUNCTIONS = Checks(ad.namespace("numpy")).functions


@pytest.fixture(scope="module", params=["numpy", "strict", "jax"])
def checks(request):
    """All checks of one backend, in all its precisions."""
    if request.param == "jax":
        jax = pytest.importorskip("jax")
        before = jax.config.values["jax_enable_x64"]
        jax.config.update("jax_enable_x64", True)
        # Each function is compiled for each shape: what NumPy has shown of rules is not shown again in all samples. The
        # command does it: JAX_ENABLE_X64=1 python -m autodiff_api conformance jax
        yield Checks(ad.namespace("jax"), dtypes=("float64", "complex128"), thorough=("value", "vjp"))
        jax.config.update("jax_enable_x64", before)
    else:
        yield Checks(request.getfixturevalue("strict") if request.param == "strict" else ad.namespace("numpy"))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_law(checks, function, law):
    compiled = law in ("vmap", "many", "compiled") and checks.backend.compile is not None  # here in one precision
    outcomes = [checks.check(function, law, dtype) for dtype in checks.dtypes[: 1 if compiled else None]]
    failed = [outcome.text for outcome in outcomes if outcome.state == "fail"]
    assert not failed, "\n".join(failed)


def test_gaps_are_open(checks):
    """What a first-party plugin says it can't do, it can't do."""
    assert [text for gap in checks.backend.gaps if (text := checks.closed(gap))] == []


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_has_samples(name):
    """Whoever adds an op learns here where to put its samples."""
    samples = samples_of(name)
    assert samples
    assert OPS[name].rule is None or any(s.order is not None for s in samples), "none is differentiated"


def test_no_sample_is_of_nothing():
    assert set(FUNCTIONS) == set(MAKERS)


def test_samples_are_alphabetical():
    for chapter in CHAPTERS:
        assert list(chapter.MAKERS) == sorted(chapter.MAKERS), chapter.__name__


def test_samples_are_the_same_every_time():
    """Seeded by the name of the function: whatever ran before, and on any machine."""
    once, again = (list(MAKERS["matmul"](_draw("matmul"))) for _ in range(2))
    assert all((a.args[0] == b.args[0]).all() for a, b in zip(once, again, strict=True))


def _draw(name):
    from autodiff_api.testing.samples import Draw

    return Draw(name)
