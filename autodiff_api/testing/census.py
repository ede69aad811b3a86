"""Every function of the standard is in exactly one place; this counts them.

rule         an op with a rule
stated zero  an op whose derivative is zero wherever it has one, and said to be
constant     its results never require grad: comparisons, indices, counts
composite    said in other functions of the namespace, so that it needs no rule
creation     makes arrays from numbers
inspection   asks about dtypes and shapes
"""

from __future__ import annotations

from ..rules import OPS
from ..rules.kinds import zero
from .samples import MAKERS, samples_of
from .samples.composites import CONSTANT
from .standard import ALIASES, FUNCTIONS

COMPOSITE = {"broadcast_arrays", "diff", "meshgrid", "unstack"}
CREATION = {
    "arange", "asarray", "empty", "empty_like", "eye", "fft.fftfreq", "fft.rfftfreq", "from_dlpack", "full",
    "full_like", "linspace", "ones", "ones_like", "zeros", "zeros_like",
}  # fmt: skip
INSPECTION = {"broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"}
KINDS = ("rule", "stated zero", "constant", "composite", "creation", "inspection")


def kinds_of(name: str) -> list[str]:
    """Return the places where a function of the standard is: exactly one, if all is right.

    >>> kinds_of("linalg.svd"), kinds_of("floor"), kinds_of("argmax"), kinds_of("linalg.matmul")
    (['rule'], ['stated zero'], ['constant'], ['rule'])
    """
    short = name.removeprefix("linalg.")
    op = OPS.get(short if short in ALIASES else name)
    found = []
    if op is not None and op.rule is not None:
        zeros = all(formula is zero for formula in op.rule.formulas.values())
        found.append("stated zero" if zeros else "rule")
    if (op is not None and op.rule is None) or name in CONSTANT:
        found.append("constant")
    tables = {"composite": COMPOSITE, "creation": CREATION, "inspection": INSPECTION}
    return found + [kind for kind, table in tables.items() if name in table]


def refusals() -> dict[str, list[str]]:
    """Return the functions that refuse some derivative with an error, and for which calls, by their samples."""
    refused = {name: [s.text for s in samples_of(name) if s.refuses] for name in MAKERS}
    return {name: texts for name, texts in refused.items() if texts}


def census() -> dict[str, int]:
    """Count the standard's functions by place; the counts add up to the standard's."""
    counts = dict.fromkeys(KINDS, 0)
    for name in FUNCTIONS:
        for kind in kinds_of(name):
            counts[kind] += 1
    return counts


def as_text() -> str:
    """Write the census for people."""
    counts, refused = census(), refusals()
    lines = [f"{kind:<12} {count:4}" for kind, count in counts.items()]
    lines.append(f"{'together':<12} {sum(counts.values()):4} of the standard's {len(FUNCTIONS)}")
    lines.append(f"with an error for some derivative: {len([n for n in refused if n in FUNCTIONS])} of them")
    lines += [f"  {name}{call}" for name, calls in refused.items() for call in calls]
    beyond = sorted(name for name in {*OPS, *MAKERS} if name not in FUNCTIONS)
    lines.append(f"beyond the standard: {len(beyond)} functions: {', '.join(beyond)}")
    return "\n".join(lines)
