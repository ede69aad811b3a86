"""Solutions of equations as differentiable functions: roots, fixed points, minima, linear systems, and ODEs.

A solver finds the solution, on plain values; its derivatives come from the equation that it solves, in every mode, to
any order and in any nesting, and not from the steps of the solver.
"""

from __future__ import annotations

from .functions import argmin, fixed_point, linear_solve, root
from .host import on_numpy
from .ode import odeint

__all__ = ["argmin", "fixed_point", "linear_solve", "odeint", "on_numpy", "root"]
