"""What was measured, as a table, as JSON and as a page of the reference."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from .rows import IMPORT, OURS, Ratio, Result

UNITS = {"B": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")), "s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))}


def amount(value: float, unit: str) -> str:
    """Write seconds or bytes with three digits and a fitting prefix.

    >>> amount(0.01234, "s"), amount(3 * 2**20, "B")
    ('12.3 ms', '3 MiB')
    """
    size, name = next((pair for pair in UNITS[unit] if value >= pair[0]), UNITS[unit][-1])
    digits = f"{value / size:.3g}" if value / size < 1000 else f"{value / size:.0f}"
    return f"{digits} {name}"


def interval(ratio: Ratio) -> str:
    """Write a ratio with its quartiles."""
    if ratio.median is None:
        return "not measured"
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def verdict(ratio: Ratio) -> str:
    """Write a ratio with its quartiles, and its bar if it has one."""
    if ratio.bar is None:
        return interval(ratio)
    return f"{interval(ratio)} {'within' if ratio.passed else 'MISSES'} {ratio.bar:g}"


def table(results: Iterable[Result]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows: one of ours in each row, beside every peer."""
    columns, rows = ["work", "threads", "ours", "takes", "over its peers: median (quartiles), bar"], []
    for result in results:
        for ours in (*OURS, IMPORT):
            ratios = [ratio for ratio in result.ratios if ratio.ours == ours]
            if ours in result.medians or ratios:
                taken = amount(result.medians[ours], result.unit) if ours in result.medians else "-"
                told = ", ".join(f"{ratio.peer} {verdict(ratio)}" for ratio in ratios)
                rows.append([result.name, result.threads, ours, taken, told or "-"])
    return columns, rows


def remarks(results: Iterable[Result]) -> list[str]:
    """Return the notes and the failures, each with the works that they are about."""
    found: dict[str, list[str]] = {}
    for result in results:
        for remark in (*result.notes, *(f"FAILED {failure}" for failure in result.failures)):
            found.setdefault(remark, []).append(result.name)
    return [f"{remark} ({', '.join(dict.fromkeys(names))})" for remark, names in found.items()]


def summary(results: Sequence[Result]) -> str:
    """Count the bars."""
    bars = [ratio for result in results for ratio in result.ratios if ratio.bar is not None]
    held = sum(ratio.passed for ratio in bars)
    failures = sum(len(result.failures) for result in results)
    return f"{held} of {len(bars)} bars hold" + (f"; {failures} contenders failed" if failures else "")


def as_json(results: Sequence[Result], machine: Mapping[str, str]) -> str:
    """Return everything as JSON."""
    data = {"machine": machine, "results": [asdict(result) for result in results]}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
