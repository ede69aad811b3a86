"""Every row of the table of behaviours, on PyTorch and on each backend; and the page that shows them."""

from pathlib import Path

import pytest
from behaviours import ROWS
from behaviours.page import as_markdown
from behaviours.table import BACKENDS, Fails, Row, Warns, check

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "pytorch-behaviours.md"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.chapter}-{row.run.__name__}")
def test_behaviour(row, backend, record_property):
    record_property("behaviour", [backend, "on purpose" if row.ours else "agreed"])
    check(row, backend)


def test_the_page_shows_the_table():
    """Written by `python tests/parity/behaviours`; that all rows hold is the test above."""
    pytest.importorskip("torch")
    assert PAGE.read_text(encoding="utf-8") == as_markdown(ROWS, lambda row, backend: True)


def test_sentences_are_said_once():
    said = [(row.chapter, row.sentence) for row in ROWS]
    assert len(said) == len(set(said))


def is_torch(ag):
    return ag.__name__ == "torch"


def other_words(ag):
    raise RuntimeError("these words" if is_torch(ag) else "others")


def other_class(ag):
    raise (IndexError if is_torch(ag) else KeyError)("these words")


DIFFERENT = {
    "value": Row("", "", lambda ag: 1.0 + 1e-6 * is_torch(ag)),
    "shape": Row("", "", lambda ag: ag.ones(2) if is_torch(ag) else ag.ones((1, 2))),
    "dtype": Row("", "", lambda ag: ag.ones(2) if is_torch(ag) else ag.ones(2, dtype=ag.float32)),
    "words": Row("", "", other_words, error="these words"),
    "class": Row("", "", other_class, error="these words"),
    "no error": Row("", "", lambda ag: ag.ones(2), error="words"),
    "no warning": Row("", "", lambda ag: ag.ones(2), warning="words"),
    "no difference": Row("", "", lambda ag: 1.0, ours="why", torch=1.0, here=2.0),
    "not as stated": Row("", "", lambda ag: 1.0, ours="why", torch=Fails(RuntimeError, ""), here=1.0),
    "no warning as stated": Row("", "", lambda ag: 1.0, ours="why", torch=1.0, here=Warns("words", 1.0)),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_difference_is_noticed(name):
    with pytest.raises(AssertionError):
        check(DIFFERENT[name], "numpy")
