"""Sparse Jacobians and Hessians: find the pattern, colour it, and compute many columns or rows in one pass.

A function of 10,000 numbers whose results each depend on three neighbours has 30,000 derivatives that are not zero, and
three passes find them all. The matrices are SciPy's.
"""

from __future__ import annotations

from .coloring import Coloring, color
from .matrices import hessian, jacobian, sparsity

__all__ = ["Coloring", "color", "hessian", "jacobian", "sparsity"]
