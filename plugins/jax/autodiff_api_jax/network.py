"""JAX's kernels of the chapter `network`: the generic ones, each compiled into one program for eager calls.

Inside a compiled function they are what they are without: XLA sees through them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from autodiff_api.rules import OPS

from . import special

SPECIAL = SimpleNamespace(**{name.partition(".")[2]: kernel for name, kernel in special.KERNELS.items()})


class Words:
    """JAX's functions, and special ones: the words that the generic kernels are written in."""

    special = SPECIAL

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


def compiled(name: str) -> Callable[..., Any]:
    """Return the generic kernel of an op, compiled."""
    op = OPS[name]
    assert op.kernel is not None
    function: Callable[..., Any] = jax.jit(partial(op.kernel, xp=Words()), static_argnames=op.statics)
    return function


KERNELS: dict[str, Callable[..., Any]] = {
    name: compiled(name)
    for name in (
        "nn.cross_entropy",
        "nn.cross_entropy_backward",
        "nn.gelu",
        "nn.gelu_backward",
        "nn.layer_norm",
        "nn.layer_norm_backward",
        "nn.linear",
        "nn.nll_loss",
        "nn.nll_loss_backward",
        "nn.normalize",
        "nn.normalize_backward",
        "nn.relu",
        "nn.relu_backward",
        "nn.softmax_backward",
    )
}
