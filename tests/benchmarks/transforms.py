"""Whole Jacobians, Hessians and per-sample gradients beside torch.func's and JAX's, in one process, one thread.

    python tests/benchmarks/transforms.py            # NumPy beside torch.func, jax.jit beside JAX's own
    python tests/benchmarks/transforms.py --check    # exit status 1 if a bar is missed
    python tests/benchmarks/transforms.py --quick    # one repeat: only to see that it runs, and that results agree

Peers that are not installed are left out. Medians of repeats that take turns; float64. Bars: at most torch.func's time
on NumPy, at most 1.1 of JAX's under jit.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

import autodiff_api as ad

ROUNDS = 15


def wide(xp: Any, x: Any, w: Any) -> Any:
    """Map 1000 numbers to 1000: a layer of a network."""
    return xp.tanh(w @ x) * x


def rosenbrock(xp: Any, x: Any) -> Any:
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def network(xp: Any, params: Any, x: Any, y: Any) -> Any:
    for w, b in params[:-1]:
        x = xp.tanh(x @ w + b)
    w, b = params[-1]
    return xp.sum((x @ w + b - y) ** 2)


def arguments() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    sizes = [64, 128, 128, 10]
    layers = [(rng.normal(size=(m, n)) / np.sqrt(m), rng.normal(size=n)) for m, n in pairwise(sizes)]
    return {
        "w": rng.normal(size=(1000, 1000)) / 30,
        "x": rng.normal(size=1000),
        "r": rng.normal(size=200),
        "layers": layers,
        "inputs": rng.normal(size=(256, 64)),
        "targets": rng.normal(size=(256, 10)),
    }


def tasks(f: Any, xp: Any, a: dict[str, Any], jit: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
    """Return the tasks, by name, for a library of transformations `f` over a namespace `xp`."""
    each = jit(f.vmap(f.grad(lambda p, x, y: network(xp, p, x, y)), in_dims=(None, 0, 0)))
    forward, backward = jit(f.jacfwd(lambda x: wide(xp, x, a["w"]))), jit(f.jacrev(lambda x: wide(xp, x, a["w"])))
    second = jit(f.hessian(lambda x: rosenbrock(xp, x)))
    return {
        "jacrev 1000 -> 1000": lambda: backward(a["x"]),
        "jacfwd 1000 -> 1000": lambda: forward(a["x"]),
        "hessian of Rosenbrock, 200": lambda: second(a["r"]),
        "per-sample gradients, 256": lambda: each(a["layers"], a["inputs"], a["targets"]),
    }


class JaxTransforms:
    """JAX's transformations by torch.func's names."""

    def __init__(self, jax: Any) -> None:
        self.grad, self.jacfwd, self.jacrev, self.hessian = jax.grad, jax.jacfwd, jax.jacrev, jax.hessian
        self.vmap = lambda func, in_dims: jax.vmap(func, in_axes=in_dims)


def tree(convert: Callable[[Any], Any], a: dict[str, Any]) -> dict[str, Any]:
    return {k: [tuple(map(convert, pair)) for pair in v] if k == "layers" else convert(v) for k, v in a.items()}


def flat(result: Any) -> list[Any]:
    return [x for part in result for x in flat(part)] if isinstance(result, list | tuple) else [np.asarray(result)]


def ready(result: Any) -> Any:
    for x in result if isinstance(result, list | tuple) else (result,):
        if isinstance(x, list | tuple):
            ready(x)
        elif hasattr(x, "block_until_ready"):
            x.block_until_ready()
    return result


def compare(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Return the median seconds of both, which take turns; they must agree."""
    for x, y in zip(flat(ready(ours())), flat(ready(theirs())), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-8)
    start = time.perf_counter()
    ready(theirs())
    if rounds > 1:  # what takes 50 microseconds needs more than 15 looks
        rounds = max(rounds, int(0.3 / (time.perf_counter() - start)))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, spent in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            ready(run())
            spent.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def peers(a: dict[str, Any]) -> dict[str, Any]:
    """Return, for each peer that is installed, its tasks, ours beside it, and the bar."""
    found: dict[str, Any] = {}
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        theirs = tasks(torch.func, torch, tree(torch.as_tensor, a), lambda f: f)
        found["torch.func"] = theirs, tasks(ad, ad, a, lambda f: f), 1.0
    if find_spec("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        placed = tree(jax.numpy.asarray, a)
        theirs = tasks(JaxTransforms(jax), jax.numpy, placed, jax.jit)
        found["jax.jit"] = theirs, tasks(ad, ad, placed, jax.jit), 1.1
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true", help="exit status 1 if a bar is missed")
    options.add_argument("--quick", action="store_true", help="one repeat")
    given = options.parse_args()
    missed = False
    print(f"{'':30} {'ours':>10} {'theirs':>10} {'ratio':>7}   bar")
    for peer, (theirs, ours, bar) in peers(arguments()).items():
        for name in theirs:
            mine, other = compare(ours[name], theirs[name], 1 if given.quick else ROUNDS)
            ok = mine <= bar * other
            missed = missed or not ok
            told = f"{name:30} {mine * 1e3:8.2f}ms {other * 1e3:8.2f}ms {mine / other:7.2f}"
            print(f"{told}   {bar} of {peer}: {'ok' if ok else 'MISSED'}")
    return int(given.check and missed)


if __name__ == "__main__":
    sys.exit(main())
