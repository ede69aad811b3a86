"""Special functions: XLA's where they are as exact as double precision allows, else the generic ones, compiled.

Those of `jax.scipy.special` that are not here, and how far they are off in float64 (relatively, JAX 0.10): erfcx is 0
above 26.5; erfinv 1e-10 near 1; log_ndtr 1e-2 near 8; beta 8e-7 and betaln 6e-6; digamma 4e-9 near its zero and nan
at 0; gamma 3e-13; logit 7e-9 near 1/2; zeta and polygamma are wrong for negative q; ndtri overflows in float32;
gammainc and gammaincc do not return for some infinite arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as xla

from autodiff_api.rules import OPS

Kernel = Callable[..., Any]


def compiled(name: str) -> Kernel:
    """Return the generic kernel of an op, compiled into one: digamma takes 0.1 ms instead of 4."""
    op = OPS[name]
    assert op.kernel is not None
    function: Kernel = jax.jit(partial(op.kernel, xp=jnp), static_argnames=op.statics)
    return function


NATIVE: dict[str, Kernel] = {
    "special.entr": xla.entr,
    "special.erf": xla.erf,
    "special.erfc": xla.erfc,
    "special.expit": xla.expit,
    "special.gammaln": xla.gammaln,
    "special.i0": xla.i0,
    "special.i0e": xla.i0e,
    "special.i1": xla.i1,
    "special.i1e": xla.i1e,
    "special.xlog1py": xla.xlog1py,
    "special.xlogy": xla.xlogy,
}
COMPOSED = {"special.multigammaln", "special.polygamma"}  # of the others: nothing to compile
KERNELS = NATIVE | {
    name: compiled(name) for name in OPS if name.startswith("special.") and name not in {*NATIVE, *COMPOSED}
}
