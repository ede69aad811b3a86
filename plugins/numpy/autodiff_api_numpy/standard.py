"""NumPy as a namespace of the standard: its own functions and, where those are not the standard's, array-api-compat's.

array-api-compat comes late. It goes through all that NumPy has, which imports every submodule that NumPy itself
leaves until it is asked for, `f2py` and `testing` among them: as much work as importing NumPy once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# What a NumPy from 2.1 on lacks, names otherwise, or gives another signature, result or error.
AMENDED = frozenset({
    "__array_namespace_info__", "argsort", "clip", "count_nonzero", "cumulative_prod", "cumulative_sum", "fft", "finfo",
    "iinfo", "linalg", "nonzero", "sort", "take_along_axis", "tensordot", "unique_all", "unique_counts",
    "unique_inverse", "unique_values",
})  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return a function, a dtype, a constant or an extension; AttributeError if NumPy has none of the name."""
    home: Any = np
    if name in AMENDED:
        import array_api_compat.numpy as home
    found = globals()[name] = getattr(home, name)
    return found


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: None = None) -> Any:
    """Return an array, or one of NumPy's scalars, which `numpy.astype` refuses, cast to a dtype."""
    return x.astype(dtype, copy=copy)
