"""Transformations of functions, by the names of `torch.func` and JAX.

Each takes a function of arrays, tensors or trees of them, and returns another: raw arrays in, raw arrays out.
"""

from __future__ import annotations

from .constants import stop_gradient
from .forward import jvp
from .jacobians import hessian, hvp, jacfwd, jacrev, vhp
from .mapping import vmap
from .modules import functional_call, stack_module_state
from .reverse import grad, grad_and_value, linearize, value_and_grad, vjp

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "stack_module_state",
    "stop_gradient",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]
