"""Linear algebra that PyTorch has a kernel for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def solve_triangular(x1: Any, x2: Any, /, *, upper: bool = False) -> Any:
    """Return the solution of ``x1 @ out = x2``, reading one triangle of `x1`.

    >>> solve_triangular(torch.asarray([[2.0, 9.0], [1.0, 1.0]]), torch.asarray([[2.0], [3.0]])).tolist()
    [[1.0], [2.0]]
    """
    return torch.linalg.solve_triangular(x1, x2, upper=upper)


KERNELS: dict[str, Callable[..., Any]] = {"linalg.solve_triangular": solve_triangular}
