"""The command line: ``python -m autodiff_api plugins``, ``conformance``, ``bench`` and ``census``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from autodiff_api.backends import PLUGIN_API, list_backends
from autodiff_api.errors import AutodiffError
from autodiff_api.testing.bench.command import add_arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (default: those of the process) name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m autodiff_api", description="Look after autodiff_api.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("plugins", help="list the installed backends and what became of them")
    command.add_argument("--json", action="store_true", help="print JSON, for tools")
    command.add_argument("--probe", action="store_true", help="import each engine and list its devices")
    command.set_defaults(run=plugins)

    command = commands.add_parser("conformance", help="check a backend against every law, and show what works")
    command.add_argument("backend", help="the name of an installed backend")
    command.add_argument("--device", help="check on this device only, by the name that it prints")
    command.add_argument("--dtypes", nargs="+", help="check these only: float32 float64 complex64 complex128")
    command.add_argument("--functions", nargs="+", metavar="NAME", help="check these only: exp linalg.svd")
    command.add_argument("--json", metavar="FILE", help="write the matrix as JSON, for tools")
    command.add_argument("--markdown", metavar="FILE", help="write the matrix as a page")
    command.set_defaults(run=conformance)

    command = commands.add_parser("bench", help="measure what the library costs, beside its peers")
    add_arguments(command)
    command.set_defaults(run=bench)

    command = commands.add_parser("census", help="count the standard's functions by how they are differentiated")
    command.set_defaults(run=census)

    command = commands.add_parser("conventions", help="print the value of every delicate derivative, as a page")
    command.set_defaults(run=conventions)

    options = parser.parse_args(arguments)
    return int(options.run(options))


def plugins(options: argparse.Namespace) -> int:
    """List the installed backends."""
    records = [asdict(record) for record in list_backends(probe=options.probe)]
    if options.json:
        print(json.dumps({"plugin_api": PLUGIN_API, "backends": records}, indent=2))
        return 0
    columns = ["backend", "distribution", "version", "state", *["devices"] * options.probe, "reason"]
    print_table(columns, [[_text(record[column]) for column in columns] for record in records])
    return 0


def conformance(options: argparse.Namespace) -> int:
    """Check a backend, print the matrix, and write it where it is wanted; return 1 if a law is broken."""
    from autodiff_api.testing.checks import Checks  # late: nothing else here needs samples and laws
    from autodiff_api.testing.contract import broken_promises
    from autodiff_api.testing.report import Report

    try:
        checks = Checks.of(options.backend, options.device, options.dtypes, options.functions)
    except AutodiffError as error:  # what was asked for is not there
        print(error, file=sys.stderr)
        return 2
    report = Report(checks)
    failures = [*broken_promises(checks), *report.failures]
    print_table(report.header, report.rows())
    print("", *failures, report.summary(), sep="\n")
    for path, text in ((options.json, report.as_json), (options.markdown, report.as_markdown)):
        if path:
            Path(path).write_text(text(), encoding="utf-8")
    return 1 if failures else 0


def bench(options: argparse.Namespace) -> int:
    """Measure, print the table, and write it where it is wanted; return 1 if `--check` finds a bar missed."""
    from autodiff_api.testing.bench import command, machine, page, report

    try:
        if options.list:
            print_table(["chapter", "work", "what it is"], [*command.listing()])
            return 0
        results = []
        for result in command.measure(options):
            results.append(result)
            print(f"{result.name}, threads: {result.threads}", file=sys.stderr)
    except ValueError as error:  # what was asked for is not there
        print(error, file=sys.stderr)
        return 2
    print_table(*report.table(results))
    print("", *report.remarks(results), report.summary(results), sep="\n")
    facts = machine.facts()
    if options.json:
        Path(options.json).write_text(report.as_json(results, facts), encoding="utf-8")
    if options.markdown:
        page.write(Path(options.markdown), results, facts, command.spelled(options))
    failed = any(result.failures for result in results)
    return int(failed or (options.check and not all(result.passed for result in results)))


def census(options: argparse.Namespace) -> int:
    """Print where each function of the standard has its derivative, and that they add up."""
    from autodiff_api.testing.census import as_text

    print(as_text())
    return 0


def conventions(options: argparse.Namespace) -> int:
    """Print the page of the reference that lists every delicate derivative."""
    from autodiff_api.testing.conventions import as_markdown

    print(as_markdown(), end="")
    return 0


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table: with rich on a terminal, if it is installed, else in plain text."""
    try:
        if not sys.stdout.isatty():
            raise ImportError
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
        for cells in [columns, *rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    else:
        table = Table(*columns)
        for row in rows:
            table.add_row(*map(escape, row))
        Console().print(table)


def _text(value: object) -> str:
    """Write one cell: a list by its items, nothing as a dash."""
    return (", ".join(value) if isinstance(value, (list, tuple)) else str(value or "")) or "-"


if __name__ == "__main__":
    sys.exit(main())
