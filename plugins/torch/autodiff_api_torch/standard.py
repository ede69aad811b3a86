"""The standard in PyTorch's words, as array-api-compat says it, without the dtypes that PyTorch can only store.

What is amended beyond that are kernels, in the other files of this folder.
"""

from __future__ import annotations

from typing import Any

import array_api_compat.torch as compat

STORED = ("uint16", "uint32", "uint64")  # no addition on the CPU, no comparison on CUDA, no promotion anywhere


def __getattr__(name: str) -> Any:
    """Return a function, a dtype, a constant or an extension; AttributeError if there is none of the name."""
    if name in STORED:
        raise AttributeError(f"PyTorch stores {name} and hardly computes with it; use int32 or int64")
    if name == "fft":
        from . import fourier as found
    else:
        found = getattr(compat, name)
    globals()[name] = found
    return found
