"""The result of all checks of a backend, as a matrix: for people on a terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .census import census
from .checks import DTYPES, Checks, Outcome
from .laws import LAWS
from .standard import FUNCTIONS, VERSION

COLUMNS = {  # what is shown: the laws that it stands for
    "value": ("value", "forms", "kernels"),
    "vjp": ("vjp",),
    "jvp": ("jvp",),
    "second order": ("second order",),
    "vmap": ("vmap", "many"),
    "compiled": ("compiled",),
}
MARKS = {"pass": "yes", "fail": "NO", "gap": "gap", "none": "-"}
WORST = ("fail", "gap", "pass", "none")


class Report:
    """What became of a backend's checks: of all, which are made now, or of the outcomes given."""

    def __init__(self, checks: Checks, outcomes: Iterable[Outcome] | None = None) -> None:
        self.checks = checks
        self.outcomes = list(checks.all() if outcomes is None else outcomes)
        self._of = {(o.function, o.law, o.dtype): o for o in self.outcomes}
        tried = {o.function for o in self.outcomes}
        self.functions = [function for function in checks.functions if function in tried]
        self.closed = [text for gap in checks.backend.gaps if (text := checks.closed(gap))]

    @property
    def failures(self) -> list[str]:
        """What is wrong: broken laws that are no declared gaps, and gaps that have closed."""
        return [o.text for o in self.outcomes if o.state == "fail"] + self.closed

    def state(self, function: str, column: str) -> str:
        """Return the worst of a function's outcomes in a column."""
        states = {o.state for law in COLUMNS[column] for o in self._outcomes(function, law)}
        return next(s for s in WORST if s in states or s == "none")

    def dtypes(self, function: str) -> list[str]:
        """Return the dtypes in which a function obeys all laws, of those it was tried in."""
        outcomes = [o for law in LAWS for o in self._outcomes(function, law)]
        tried = {o.dtype for o in outcomes if o.samples} - {o.dtype for o in outcomes if o.failed}
        return [d for d in self.checks.dtypes if d in tried]

    def devices(self, function: str) -> list[str]:
        """Return the devices on which a function obeys the laws."""
        checks, outcomes = self.checks, self._outcomes(function, "devices")
        if not outcomes or any(o.failed for o in outcomes):
            return []
        return [str(d) for d in ([checks.device] if checks.device is not None else checks.backend.devices())]

    def _outcomes(self, function: str, law: str) -> list[Outcome]:
        found = [self._of.get((function, law, d)) for d in self.checks.dtypes]
        return [o for o in found if o is not None]

    def rows(self) -> list[list[str]]:
        """Return the matrix, a row for each function."""
        short = {"float32": "f32", "float64": "f64", "complex64": "c64", "complex128": "c128"}
        return [
            [
                function,
                *(MARKS[self.state(function, column)] for column in COLUMNS),
                " ".join(short[d] for d in self.dtypes(function)) or "-",
                ", ".join(self.devices(function)) or "-",
            ]
            for function in self.functions
        ]

    @property
    def header(self) -> list[str]:
        """The names of the matrix's columns."""
        return ["function", *COLUMNS, "dtypes", "devices"]

    def summary(self) -> str:
        """Count the checks in one line."""
        counts = Counter(o.state for o in self.outcomes)
        tried = sum(o.samples for o in self.outcomes)
        return (
            f"{self.checks.backend.name}: {len(self.functions)} functions, {len(LAWS)} laws, "
            f"{counts['pass']} checks passed on {tried} calls of samples, {counts['fail']} failed, "
            f"{counts['gap']} declared gaps, {len(self.closed)} of them closed"
        )

    def as_json(self) -> str:
        """Write everything for tools."""
        checks = self.checks
        data: dict[str, Any] = {
            "backend": checks.backend.name,
            "standard": VERSION,
            "device": None if checks.device is None else str(checks.device),
            "dtypes": list(checks.dtypes),
            "functions": {
                function: {
                    **{column: self.state(function, column) for column in COLUMNS},
                    "dtypes": self.dtypes(function),
                    "devices": self.devices(function),
                    "standard": function in FUNCTIONS,
                }
                for function in self.functions
            },
            "gaps": dict(checks.backend.gaps),
            "failures": self.failures,
            "census": census(),
        }
        return json.dumps(data, indent=1)

    def as_markdown(self) -> str:
        """Write a page for the docs."""
        checks = self.checks
        missing = [d for d in DTYPES if d not in checks.dtypes]
        lines = [
            f"# What works on {checks.backend.name}",
            "",
            f"Written by `python -m autodiff_api conformance {checks.backend.name} --markdown FILE`. *yes*: the laws "
            "hold for all samples; *gap*: they don't, as the backend declares below; *-*: there is nothing to try, for "
            "instance no gradient. *value* stands for the laws value, forms and kernels, *vmap* for vmap and many "
            "(where there is a compiler, of one sample of each form); what each law says is in "
            "`autodiff_api/testing/laws.py`.",
            "",
            self.summary() + "." + (f" Not tried: {', '.join(missing)}." if missing else ""),
            "",
            "| " + " | ".join(self.header) + " |",
            "|" + "---|" * len(self.header),
            *("| `" + row[0] + "` | " + " | ".join(row[1:]) + " |" for row in self.rows()),
        ]
        if checks.backend.gaps:
            lines += ["", "## Declared gaps", ""]
            lines += [f"- `{gap}`: {reason}" for gap, reason in sorted(checks.backend.gaps.items())]
        if self.failures:
            lines += ["", "## Failures", "", *(f"- {text}" for text in self.failures)]
        return "\n".join(lines) + "\n"
