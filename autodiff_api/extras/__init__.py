"""Functions beyond the standard, which its readers reach for: NumPy's names, in every namespace, differentiable.

Each is said in other functions of the namespace, so it needs no rule, and runs wherever those do, under a compiler
too. Names and meanings are NumPy's, or JAX's and PyTorch's where it has none. The package itself puts PyTorch's meaning
first where the two use one name differently (`cumsum`, `transpose`); `split`, which has two meanings, is not here.
"""

from __future__ import annotations

from .contractions import Contractions
from .interpolation import Interpolation
from .joining import Joining
from .order import Order
from .padding import Padding
from .segments import Segments
from .sums import Sums

__all__ = ["ALIASES", "Extras"]

ALIASES = {  # NumPy's name: the standard's
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "conjugate": "conj",
    "mod": "remainder",
    "power": "pow",
    "true_divide": "divide",
}


class Extras(Contractions, Interpolation, Joining, Order, Padding, Segments, Sums):
    """What every namespace has beyond the standard, whatever its array type."""
