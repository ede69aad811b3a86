"""The mathematics: one table of rules per chapter of the standard. No tensor, no backend, no NumPy.

To add a rule, add a line to the table of its chapter (and its signature, where it is not that of a
plain element-wise function). `OPS` collects the chapters into one :class:`Op` per name.
"""

from __future__ import annotations

from .. import kernels
from . import (
    convolution,
    decompositions,
    eigenvalues,
    elementwise,
    fft,
    indexing,
    inverses,
    linalg,
    manipulation,
    network,
    singular_values,
    special,
    statistical,
)
from .kinds import Elementwise, General, Linear, Multilinear, Op, Rule

__all__ = ["CHAPTERS", "OPS", "Elementwise", "General", "Linear", "Multilinear", "Op", "Rule"]

CHAPTERS = (
    convolution,
    decompositions,
    eigenvalues,
    elementwise,
    fft,
    indexing,
    inverses,
    linalg,
    manipulation,
    network,
    singular_values,
    special,
    statistical,
)


def _ops(chapter: object) -> dict[str, Op]:
    table = vars(chapter)
    rules, inputs, views = table["RULES"], table.get("INPUTS", {}), table.get("VIEWS", ())
    results, batches = table.get("RESULTS", {}), table["BATCHES"]
    return {
        name: Op(
            name,
            signature,
            rules.get(name),
            kernels.GENERIC.get(name),
            inputs.get(name, ("x1", "x2") if signature.startswith("x1, x2") else ()),
            name in views,
            results.get(name),
            batch=batches.get(name),
        )
        for name, signature in table["SIGNATURES"].items()
    }


OPS: dict[str, Op] = {name: op for chapter in CHAPTERS for name, op in _ops(chapter).items()}
