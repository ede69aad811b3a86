"""Transforms: whole Jacobians and per-sample gradients, beside `torch.func` and JAX, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import autodiff_api as ad

from .gradients import jit, ready, torch
from .rows import COMPILED, COMPILED_JAX, EAGER, JIT, TORCH, Contender, Maker, Work

Wrap = Callable[[Any], Any]
Task = Callable[[Any, Any, bool], tuple[Callable[..., Any], list[Any]]]


class JaxTransforms:
    """JAX's transformations by the names of `torch.func`."""

    def __init__(self, jax: Any) -> None:
        self.grad, self.jacfwd, self.jacrev = jax.grad, jax.jacfwd, jax.jacrev

    def vmap(self, function: Callable[..., Any], in_dims: Any) -> Any:
        """Map over the first axes of the arguments that `in_dims` names."""
        import jax

        return jax.vmap(function, in_axes=in_dims)


def layer(kind: str, f: Any, xp: Any, quick: bool) -> tuple[Callable[..., Any], list[Any]]:
    """Return the Jacobian of a layer, by x: as many rows as columns."""
    rng, width = np.random.default_rng(0), 5 if quick else 1000
    w, x = rng.normal(size=(width, width)) / np.sqrt(width), rng.normal(size=width)
    return getattr(f, kind)(lambda x, w: xp.tanh(w @ x) * x), [x, w]


def per_sample(f: Any, xp: Any, quick: bool) -> tuple[Callable[..., Any], list[Any]]:
    """Return the gradient of each sample's loss, by all weights."""
    rng, (count, sizes) = np.random.default_rng(0), (2, [3, 4, 2]) if quick else (256, [64, 128, 128, 10])
    layers = [(rng.normal(size=(m, n)) / np.sqrt(m), rng.normal(size=n)) for m, n in pairwise(sizes)]

    def loss(layers: Any, x: Any, y: Any) -> Any:
        for w, b in layers[:-1]:
            x = xp.tanh(x @ w + b)
        w, b = layers[-1]
        return xp.sum((x @ w + b - y) ** 2)

    data = [rng.normal(size=(count, sizes[0])), rng.normal(size=(count, sizes[-1]))]
    return f.vmap(f.grad(loss), in_dims=(None, 0, 0)), [layers, *data]


def tree(convert: Wrap, x: Any) -> Any:
    return type(x)(tree(convert, part) for part in x) if isinstance(x, list | tuple) else convert(x)


def contenders(task: Callable[..., Any], quick: bool) -> Mapping[str, Maker]:
    def run(f: Any, xp: Any, convert: Wrap, wrap: Wrap = lambda f: f) -> Contender:
        function, arguments = task(f, xp, quick)
        function, arguments = wrap(function), tree(convert, arguments)
        return lambda: function(*arguments)

    def jax(f: Any, xp: Any, wrap: Wrap) -> Contender:
        import jax

        f, xp = (f or JaxTransforms(jax)), (xp or jax.numpy)
        return ready(run(f, xp, jax.numpy.asarray, wrap))

    return {
        EAGER: lambda: run(ad, ad.namespace("numpy"), np.asarray),
        COMPILED: lambda: run(ad, ad.namespace("numpy"), np.asarray, ad.compile),
        COMPILED_JAX: lambda: jax(ad, ad.namespace("jax"), ad.compile),
        TORCH: lambda: run(torch().func, torch(), torch().as_tensor),
        JIT: lambda: jax(None, None, jit),
    }


def work(name: str, title: str, task: Callable[..., Any]) -> Work:
    return Work(
        name=name,
        title=title,
        contenders=partial(contenders, task),
        dtype="float64",
        bars={(EAGER, TORCH): 1.0, (COMPILED_JAX, JIT): 1.1},
        tolerance=1e-8,
    )


WORKS = (
    work("jacrev", "jacrev of a layer, 1000 to 1000", partial(layer, "jacrev")),
    work("jacfwd", "jacfwd of a layer, 1000 to 1000", partial(layer, "jacfwd")),
    work("per-sample", "per-sample gradients, 256, 64-128-128-10", per_sample),
)
