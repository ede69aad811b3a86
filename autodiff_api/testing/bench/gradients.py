"""The gradient of a function that is written once, `loss(xp, *arrays)`, as the users of each library take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autodiff_api as ad

from .rows import COMPILED, COMPILED_JAX, EAGER, EAGER_JAX, HIPS, JAX, JIT, TORCH, Contender, Maker

Loss = Callable[..., Any]


def gradient(
    loss: Loss, arrays: Sequence[np.ndarray], wanted: int = 1, without: Sequence[str] = ()
) -> dict[str, Maker]:
    """Return who takes the gradient of `loss` by the first `wanted` of its arrays, but those in `without`."""
    makers: dict[str, Maker] = {
        EAGER: lambda: backward(ad.namespace("numpy"), loss, arrays, wanted),
        COMPILED: lambda: compiled("numpy", loss, arrays, wanted),
        EAGER_JAX: lambda: ready(backward(ad.namespace("jax"), loss, arrays, wanted)),
        COMPILED_JAX: lambda: ready(compiled("jax", loss, arrays, wanted)),
        TORCH: lambda: backward(torch(), loss, arrays, wanted),
        HIPS: lambda: hips(loss, arrays, wanted),
        JAX: lambda: ready(jax_gradient(loss, arrays, wanted, lambda f: f)),
        JIT: lambda: ready(jax_gradient(loss, arrays, wanted, jit)),
    }
    return {name: make for name, make in makers.items() if name not in without}


def torch() -> Any:
    """Return PyTorch."""
    import torch

    return torch


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `jax.jit` of a function."""
    import jax

    compiled: Callable[..., Any] = jax.jit(function)
    return compiled


def ready(run: Contender) -> Contender:
    """Return a contender that waits until JAX has done what it was asked for."""
    import jax

    return lambda: jax.block_until_ready(run())


def placed(backend: str, arrays: Sequence[np.ndarray]) -> list[Any]:
    """Return arrays as the engine's own, not as tensors."""
    return [ad.namespace(backend).asarray(array)._value for array in arrays]


def backward(xp: Any, loss: Loss, arrays: Sequence[np.ndarray], wanted: int) -> Contender:
    """Record, and go backward; `xp` is our namespace, or PyTorch itself."""
    tensors = [xp.asarray(array.copy()) for array in arrays]
    leaves = [tensor.requires_grad_() for tensor in tensors[:wanted]]

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        loss(xp, *tensors).backward()
        return [leaf.grad for leaf in leaves]

    return run


def compiled(backend: str, loss: Loss, arrays: Sequence[np.ndarray], wanted: int) -> Contender:
    """Compile the gradient; arrays in, arrays out."""
    xp, values = ad.namespace(backend), placed(backend, arrays)
    function = ad.compile(ad.grad(lambda *x: loss(xp, *x), tuple(range(wanted))))
    return lambda: function(*values)


def hips(loss: Loss, arrays: Sequence[np.ndarray], wanted: int) -> Contender:
    """Take the gradient by HIPS autograd."""
    import autograd
    import autograd.numpy

    function = autograd.grad(lambda *x: loss(autograd.numpy, *x), tuple(range(wanted)))
    return lambda: function(*arrays)


def jax_gradient(loss: Loss, arrays: Sequence[np.ndarray], wanted: int, wrap: Callable[[Any], Any]) -> Contender:
    """Take the gradient by `jax.grad`, wrapped in `jax.jit` or not."""
    import jax

    values = [jax.numpy.asarray(array) for array in arrays]
    function = wrap(jax.grad(lambda *x: loss(jax.numpy, *x), tuple(range(wanted))))
    return lambda: function(*values)
