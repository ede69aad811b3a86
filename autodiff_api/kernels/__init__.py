"""Generic kernels, written in the standard: one file per chapter, collected here.

Each takes the namespace to compute in as the keyword `xp`. `GENERIC` has what the standard lacks: a namespace
is never asked for these, since it may mean something else by the name; and what prepares arguments for a namespace's
own function, as in `fft`, corrects what that gives, as in `mends`, or refuses what it should not answer, as in
`refusals`. A backend's plugin may offer a better kernel under the same name; the law "kernels" compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import arrays, convolution, fft, indexing, linalg, mends, network, refusals, special

GENERIC: dict[str, Callable[..., Any]] = {
    **arrays.GENERIC,
    **convolution.GENERIC,
    **fft.GENERIC,
    **indexing.GENERIC,
    **linalg.GENERIC,
    **mends.GENERIC,
    **network.GENERIC,
    **refusals.GENERIC,
    **special.GENERIC,
}
