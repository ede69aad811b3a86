"""Models: a step of training of small networks, with cross-entropy and gradient descent, as users write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from .data import digits
from .rows import (
    COMPILED,
    COMPILED_JAX,
    EAGER,
    HIPS,
    JAX,
    JIT,
    NUMPY,
    PURE,
    PURE_JAX,
    TORCH,
    Bars,
    Contender,
    Maker,
    Work,
)  # fmt: skip
from .training import RATE, Task, step


def weights(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Draw a matrix for each shape of two axes or more, scaled by its fan-in; others are zeros, or ones if `*_one`."""
    rng = np.random.default_rng(0)
    made = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            made[name] = rng.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
        else:
            made[name] = np.full(shape, float(name.endswith("_one")), dtype=np.float32)
    return made


def batch(*shape: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw inputs and labels."""
    rng = np.random.default_rng(1)
    return rng.standard_normal(shape).astype(np.float32), rng.integers(0, classes, shape[0])


# The multi-layer perceptron.


def mlp(F: Any, p: Any, x: Any) -> Any:
    return F.linear(F.relu(F.linear(x, p.w1, p.b1)), p.w2, p.b2)


def mlp_by_hand(task: Task) -> Contender:
    """Write the step as a careful user of NumPy does: nothing is computed twice, and no `out=`."""
    w1, b1, w2, b2 = (array.copy() for array in task.parameters.values())
    x, labels, rows = task.x, task.labels, np.arange(len(task.labels))

    def run() -> Any:
        hidden = x @ w1.T + b1
        active = np.maximum(hidden, 0)
        scores = active @ w2.T + b2
        shifted = scores - scores.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - shifted[rows, labels]).mean()
        t = e / total
        t[rows, labels] -= 1
        t /= len(rows)
        back = (t @ w2) * (hidden > 0)
        for parameter, gradient in ((w1, back.T @ x), (b1, back.sum(axis=0)), (w2, t.T @ active), (b2, t.sum(axis=0))):
            parameter -= RATE * gradient
        return loss, [w1, b1, w2, b2]

    return run


def mlp_task(size: int, widths: Sequence[int]) -> Task:
    a, b, c = widths
    x, labels = batch(size, a, classes=c)
    shapes = {"w1": (b, a), "b1": (b,), "w2": (c, b), "b2": (c,)}
    return Task(parameters=weights(**shapes), x=x, labels=labels, forward=mlp, by_hand=mlp_by_hand)


# The network of convolutions.


def cnn(F: Any, p: Any, x: Any) -> Any:
    x = F.max_pool2d(F.relu(F.conv2d(x, p.w1, p.b1, padding=1)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p.w2, p.b2, padding=1)), 2)
    return F.linear(x.reshape((x.shape[0], -1)), p.w3, p.b3)


def cnn_task(size: int, channels: int) -> Task:
    images, labels, _ = digits()
    shapes = {"w1": (channels, 1, 3, 3), "b1": (channels,), "w2": (2 * channels, channels, 3, 3)}
    shapes |= {"b2": (2 * channels,), "w3": (10, 8 * channels), "b3": (10,)}
    return Task(parameters=weights(**shapes), x=images[:size, None], labels=labels[:size], forward=cnn)


# The transformer block.


def heads(x: Any, count: int) -> Any:
    size, length, width = x.shape
    return swapped(x.reshape((size, length, count, width // count)))


def swapped(x: Any) -> Any:
    """Swap the middle axes of four: PyTorch's arrays and ours have `permute`, all others `swapaxes`."""
    return x.permute(0, 2, 1, 3) if hasattr(x, "permute") else x.swapaxes(1, 2)


def transformer(F: Any, p: Any, x: Any, count: int) -> Any:
    """Apply a block that normalises first, and a linear layer to the mean of its outputs."""
    y = F.layer_norm(x, (x.shape[-1],), p.n1_one, p.m1)
    query, key, value = (heads(F.linear(y, w), count) for w in (p.wq, p.wk, p.wv))
    y = F.scaled_dot_product_attention(query, key, value)
    x = x + F.linear(swapped(y).reshape(x.shape), p.wo, p.bo)
    y = F.layer_norm(x, (x.shape[-1],), p.n2_one, p.m2)
    x = x + F.linear(F.gelu(F.linear(y, p.w1, p.b1)), p.w2, p.b2)
    return F.linear(x.mean(axis=1), p.w3, p.b3)


def transformer_task(size: int, length: int, width: int, count: int) -> Task:
    x, labels = batch(size, length, width, classes=10)
    square, wide = (width, width), 4 * width
    shapes = {"n1_one": (width,), "m1": (width,), "wq": square, "wk": square, "wv": square, "wo": square}
    shapes |= {"bo": (width,), "n2_one": (width,), "m2": (width,), "w1": (wide, width), "b1": (wide,)}
    shapes |= {"w2": (width, wide), "b2": (width,), "w3": (10, width), "b3": (10,)}
    forward = partial(transformer, count=count)
    return Task(parameters=weights(**shapes), x=x, labels=labels, forward=forward)


# The recurrent network.


def rnn(F: Any, p: Any, x: Any) -> Any:
    state = F.linear(x[0], p.wx, p.b)
    for place in range(1, x.shape[0]):
        state = F.tanh(F.linear(x[place], p.wx, p.b) + F.linear(state, p.wh))
    return F.linear(state, p.w, p.c)


def rnn_looped(F: Any, p: Any, x: Any) -> Any:
    """Compute the same by the engine's own loop."""
    from autodiff_api import scan

    def turn(state: Any, row: Any) -> tuple[Any, None]:
        return F.tanh(F.linear(row, p.wx, p.b) + F.linear(state, p.wh)), None

    loop = getattr(F, "scan", scan)  # JAX's own for JAX
    state, _ = loop(turn, F.linear(x[0], p.wx, p.b), x[1:])
    return F.linear(state, p.w, p.c)


def rnn_task(length: int, size: int, width: int) -> Task:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((length, size, width)).astype(np.float32)
    labels = rng.integers(0, 10, size)
    shapes = {"wx": (width, width), "wh": (width, width), "b": (width,), "w": (10, width), "c": (10,)}
    return Task(parameters=weights(**shapes), x=x, labels=labels, forward=rnn, looped=rnn_looped)


def contenders(
    make: Callable[..., Task], full: tuple[Any, ...], tiny: tuple[Any, ...], without: Sequence[str], quick: bool
) -> Mapping[str, Maker]:
    makers = step(make(*(tiny if quick else full)))
    return {name: maker for name, maker in makers.items() if name not in without}


def for_pure(bars: Bars) -> Bars:
    """Return bars that hold for pure compiled steps as for those with a module and an optimizer."""
    also = {COMPILED: PURE, COMPILED_JAX: PURE_JAX}
    return {**bars, **{(also[ours], peer): bar for (ours, peer), bar in bars.items() if ours in also}}


def work(
    name: str,
    title: str,
    make: Callable[..., Task],
    full: tuple[Any, ...],
    tiny: tuple[Any, ...],
    bars: Bars,
    without: Sequence[str] = (),
    note: Callable[[], str] | None = None,
) -> Work:
    return Work(
        name=name,
        title=title,
        contenders=partial(contenders, make, full, tiny, without),
        bars=for_pure({(COMPILED_JAX, JIT): 1.03, **bars}),
        tolerance=1e-3,
        note=note,
    )


WORKS = (
    work(
        "mlp-1",
        "MLP 10-32-3, batch 1",
        mlp_task,
        (1, (10, 32, 3)),
        (1, (10, 32, 3)),
        {(COMPILED, NUMPY): 1.3, (COMPILED, JIT): 0.9},
    ),
    work(
        "mlp-32",
        "MLP 64-64-10, batch 32",
        mlp_task,
        (32, (64, 64, 10)),
        (4, (6, 5, 3)),
        {(EAGER, TORCH): 0.6, (COMPILED, JIT): 0.9},
    ),
    work(
        "mlp-128",
        "MLP 784-256-10, batch 128",
        mlp_task,
        (128, (784, 256, 10)),
        (4, (6, 5, 3)),
        {(EAGER, TORCH): 0.9, (COMPILED, NUMPY): 1.0},
    ),
    work(
        "cnn",
        "CNN 1-16-32 channels on 8x8 digits, batch 64",
        cnn_task,
        (64, 16),
        (3, 2),
        {(EAGER, TORCH): 1.5},
        (HIPS,),
        lambda: digits()[2],
    ),
    work(
        "transformer",
        "transformer block, 8 x 32 tokens, width 64, 4 heads",
        transformer_task,
        (8, 32, 64, 4),
        (2, 3, 8, 2),
        {(EAGER, TORCH): 1.0},
    ),
    work(
        "rnn",
        "RNN of 500 steps, batch 16, width 32",
        rnn_task,
        (500, 16, 32),
        (6, 2, 4),
        {(EAGER, TORCH): 0.7},
        (JAX,),
    ),
)
