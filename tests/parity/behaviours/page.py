"""The table as a page for users."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

from observing import Seen, caught_as

from behaviours.table import BACKENDS, Fails, Row, Warns, outcome

HEAD = """# What PyTorch's users rely on, behaviour by behaviour

Each row is a small program that the tests run on PyTorch 2.13 and on each backend. "same" means: the same values, or
an exception that the same `except` catches, with these words in its text, or a warning with these words. Where this
library differs, it does so on purpose, and the row says why.

Written from `tests/parity/behaviours/` by `python tests/parity/behaviours`.
"""
COLUMNS = f"\n| behaviour | PyTorch | {' | '.join(BACKENDS)} |\n|---|---|---|---|"


def as_markdown(rows: list[Row], holds: Callable[[Row, str], bool]) -> str:
    """Write the page: what PyTorch does, and of which backend each row holds."""
    parts = [HEAD, summary(rows, holds)]
    for chapter, found in groupby(rows, key=lambda row: row.chapter):
        first, *others = found
        parts += [f"\n## {chapter}\n", source(first), COLUMNS, *[line(row, holds) for row in (first, *others)]]
    return "\n".join(parts) + "\n"


def source(row: Row) -> str:
    """Link to the file that the programs of a chapter are in."""
    name = row.run.__module__.split(".")[-1]
    return f"The programs are in [{name}.py](../../tests/parity/behaviours/{name}.py)."


def summary(rows: list[Row], holds: Callable[[Row, str], bool]) -> str:
    """Count, for each backend, the rows that agree."""
    ours = sum(bool(row.ours) for row in rows)
    agreed = [f"{sum(not row.ours and holds(row, b) for row in rows)} of {len(rows)} on {b}" for b in BACKENDS]
    return f"Behaviours that agree: {', '.join(agreed)}; {ours} differ on purpose."


def line(row: Row, holds: Callable[[Row, str], bool]) -> str:
    """Write one row of the table."""
    theirs = row.torch if row.ours else expected(row)
    cells = [shown(row.here) if row.ours else "same" if holds(row, b) else "**differs**" for b in BACKENDS]
    sentence = f"{row.sentence} (**on purpose**: {row.ours})" if row.ours else row.sentence
    return f"| {' | '.join([sentence, shown(theirs), *cells])} |"


def expected(row: Row) -> Any:
    """Give what PyTorch does, in the terms of the table."""
    got = outcome(row, "torch")
    if row.error:
        return Fails(type(got.problem), row.error)
    return Warns(row.warning, got.value) if row.warning else got.value


def shown(value: Any) -> str:
    """Write an outcome into a cell."""
    if isinstance(value, Fails):
        return f"{caught_as(value.error)[0]}: {quoted(value.words)}"
    if isinstance(value, Warns):
        return f"warns: {quoted(value.words)}" + ("" if value.value is None else f", {shown(value.value)}")
    text = plain(value)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}…`"


def quoted(words: str) -> str:
    return f"“{words.replace('|', chr(92) + '|').strip()}”"


def plain(value: Any) -> str:
    """Write a value without what is always so: that it is a tensor, in double precision."""
    if isinstance(value, Seen):
        value = value[2]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {plain(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, (float, complex)):
        return f"{value:.4g}"
    return str(value)
