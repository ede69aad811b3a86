"""The table of samples: for each function, calls that show what it does, by chapter as the rules are.

>>> for sample in samples_of("matmul")[:2]:
...     print(sample.text)
(float64[2, 3], float64[3, 2])
(float64[3], float64[3])
"""

from __future__ import annotations

from functools import cache

from ...backends import extra_ops
from ...errors import ArgumentError
from . import (
    composites,
    convolution,
    decompositions,
    elementwise,
    extras,
    fft,
    indexing,
    linalg,
    manipulation,
    network,
    special,
    statistical,
)
from .sample import Array, Draw, Dtype, Maker, SameDevice, Sample, by_columns, hermitian, strided, transposed

__all__ = [
    "CHAPTERS",
    "MAKERS",
    "Array",
    "Draw",
    "Dtype",
    "SameDevice",
    "Sample",
    "by_columns",
    "hermitian",
    "samples_of",
    "strided",
    "transposed",
]  # fmt: skip

CHAPTERS = (
    composites, convolution, decompositions, elementwise, extras, fft, indexing, linalg, manipulation, network, special,
    statistical,
)  # fmt: skip
MAKERS: dict[str, Maker] = {name: maker for chapter in CHAPTERS for name, maker in chapter.MAKERS.items()}


@cache
def samples_of(name: str) -> tuple[Sample, ...]:
    """Return the samples of a function, by its name; those of a plugin's op are what its `samples` makes.

    Raises ArgumentError for a function without samples.
    """
    maker = MAKERS.get(name)
    if maker is None:
        maker = next((getattr(op, "samples", None) for op in extra_ops() if op.name == name), None)
    if maker is None:
        raise ArgumentError(
            f"{name} has no samples: give it a line in MAKERS of its chapter in autodiff_api/testing/samples, or, if "
            "a plugin brings it, say Op(..., samples=...)"
        )
    return tuple(maker(Draw(name)))
