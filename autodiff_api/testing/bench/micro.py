"""Micro: what one operation costs, in chains, with broadcasting, reductions and indexing, small and large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .gradients import gradient
from .rows import COMPILED, EAGER, EAGER_JAX, FORWARD, HIPS, JAX, JIT, NUMPY, TORCH, Bars, Contender, Maker, Work

OPERATIONS = 200


def chain(xp: Any, x: Any, a: Any, b: Any, operations: int = OPERATIONS) -> Any:
    """Multiply and add, in turns."""
    for _ in range(operations // 2):
        x = x * a
        x = x + b
    return xp.sum(x)


def chains(shape: tuple[int, ...], wanted: int, quick: bool) -> Mapping[str, Maker]:
    arrays = [np.full(shape, value, dtype=np.float32) for value in (1.0, 1.0001, 0.001)]
    loss = partial(chain, operations=6 if quick else OPERATIONS)

    return {**gradient(loss, arrays, wanted), FORWARD: lambda: lambda: loss(np, *arrays)}


def functions(xp: Any, x: Any) -> Any:
    """Go through functions of one element, and forks."""
    for _ in range(10):
        y = xp.sin(x) + xp.exp(-x * x)
        x = xp.tanh(y) * x + 0.5 * xp.sqrt(1.0 + y * y)
    return xp.sum(x)


def broadcasting(xp: Any, column: Any, row: Any, number: Any) -> Any:
    """Stretch a column, a row and a number over a matrix, and sum what comes back."""
    for _ in range(10):
        row = row + 0.01 * xp.sum(xp.tanh(column * row + number), axis=0)
    return xp.sum(row)


def reductions(xp: Any, x: Any) -> Any:
    """Normalise each row, and bend it, five times."""
    for _ in range(5):
        y = x - xp.mean(x, axis=1, keepdims=True)
        y = y / xp.sqrt(xp.mean(y * y, axis=1, keepdims=True) + 1e-5)
        x = x + xp.exp(-y * y)
    return xp.sum(x * x)


def indexing(xp: Any, x: Any, places: Any) -> Any:
    """Read slices, single rows, and rows by an array of places."""
    differences = x[1:] - x[:-1]
    return xp.sum(differences * differences) + xp.sum(x[places] * 0.5) + xp.sum(x[0] * x[-1]) + xp.sum(x[::2, 1:])


def bell(xp: Any, x: Any) -> Any:
    """sum(tanh(x) * exp(-x²) + sqrt(1 + x²))."""
    return xp.sum(xp.tanh(x) * xp.exp(-(x**2)) + xp.sqrt(1 + x**2))


def bell_by_hand(x: np.ndarray) -> Contender:
    def run() -> Any:
        t, e = np.tanh(x), np.exp(-(x**2))
        return [(1 - t**2) * e - 2 * x * t * e + x / np.sqrt(1 + x**2)]

    return run


def bells(size: int, quick: bool) -> Mapping[str, Maker]:
    x = np.random.default_rng(0).standard_normal(1000 if quick else size).astype(np.float32)
    return {**gradient(bell, [x], without=(EAGER_JAX, JAX)), NUMPY: lambda: bell_by_hand(x)}


def of_random(loss: Callable[..., Any], *shapes: tuple[int, ...], wanted: int, quick: bool) -> Mapping[str, Maker]:
    rng = np.random.default_rng(0)
    sizes = [tuple(min(n, 4) for n in shape) if quick else shape for shape in shapes]
    return gradient(loss, [rng.standard_normal(size).astype(np.float32) for size in sizes], wanted)


def indexed(quick: bool) -> Mapping[str, Maker]:
    rng = np.random.default_rng(0)
    rows = 5 if quick else 1000
    x = rng.standard_normal((rows, 16)).astype(np.float32)
    return gradient(indexing, [x, rng.integers(0, rows, rows // 2)])


SMALL: Bars = {(EAGER, TORCH): 0.5, (EAGER, HIPS): 0.2, (EAGER_JAX, JAX): 0.1}
ONE, MIDDLE, LARGE = (1,), (100,), (100, 100)

WORKS = (
    Work(
        name="chain-1",
        title=f"{OPERATIONS} operations on 1 element",
        contenders=partial(chains, ONE, 1),
        bars=SMALL,
    ),
    Work(
        name="chain-100",
        title=f"{OPERATIONS} operations on 100 elements",
        contenders=partial(chains, MIDDLE, 1),
        bars=SMALL,
    ),
    Work(
        name="chain-100x100",
        title=f"{OPERATIONS} operations on 100x100 elements",
        contenders=partial(chains, LARGE, 1),
        bars={(EAGER, TORCH): 1.0},
    ),
    Work(
        name="chain-1-all",
        title=f"{OPERATIONS} operations on 1 element, all operands require grad",
        contenders=partial(chains, ONE, 3),
        bars=SMALL,
    ),
    Work(
        name="chain-100x100-all",
        title=f"{OPERATIONS} operations on 100x100 elements, all operands require grad",
        contenders=partial(chains, LARGE, 3),
        bars={(EAGER, TORCH): 1.0},
    ),
    Work(
        name="functions",
        title="functions of one element, 10 elements",
        contenders=lambda quick: of_random(functions, (10,), wanted=1, quick=quick),
        bars=SMALL,
    ),
    Work(
        name="broadcasting",
        title="column, row and number over 100x100",
        contenders=lambda quick: of_random(broadcasting, (100, 1), (100,), (), wanted=3, quick=quick),
    ),
    Work(
        name="reductions",
        title="rows of 64x256 normalised",
        contenders=lambda quick: of_random(reductions, (64, 256), wanted=1, quick=quick),
        tolerance=1e-3,
    ),
    Work(name="indexing", title="slices and rows of 1000x16", contenders=indexed),
    Work(
        name="elementwise-10k",
        title="sum(tanh(x)*exp(-x²)+sqrt(1+x²)), 10⁴ elements",
        contenders=partial(bells, 10**4),
    ),
    Work(
        name="elementwise-10M",
        title="sum(tanh(x)*exp(-x²)+sqrt(1+x²)), 10⁷ elements",
        contenders=partial(bells, 10**7),
        bars={(COMPILED, NUMPY): 0.45, (COMPILED, TORCH): 0.1, (COMPILED, JIT): 1.5},
        bars_on_all_threads={(COMPILED, JIT): 1.5},
    ),
)
