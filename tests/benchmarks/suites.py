"""What `overhead.py` measures: suites of rows, each row one piece of work done by us and by a peer."""

from __future__ import annotations

import gc
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import autodiff_api as ad
import autodiff_api.nn.functional as F

Contender = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Row:
    """The same work by us and by a peer, and the largest ratio that we accept (None: only to see)."""

    case: str
    peer: str
    unit: str
    ours: float
    theirs: float
    bar: float | None

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def passed(self) -> bool:
        return self.bar is None or self.ratio <= self.bar


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much to measure."""

    rounds: int
    slow_rounds: int  # for JAX without jit
    operations: int  # of a chain
    additions: int  # of the long chain
    shapes: tuple[tuple[int, ...], ...]  # small, middle and large operands
    layers: tuple[int, ...]  # of the network: the batch, then the widths


FULL = Effort(
    rounds=60,
    slow_rounds=9,
    operations=200,
    additions=1_000_000,
    shapes=((1,), (100,), (100, 100)),
    layers=(128, 784, 256, 10),
)
QUICK = Effort(
    rounds=2,
    slow_rounds=1,
    operations=4,
    additions=1_000,
    shapes=((1,), (3,), (2, 2)),
    layers=(4, 6, 5, 3),
)


def medians(contenders: dict[str, Contender], rounds: int) -> dict[str, float]:
    """Return the median seconds of processor time of each contender; in every round each has its turn."""
    for run in contenders.values():
        run()  # compile, fill caches
    gc.collect()
    gc.freeze()  # what the imports left behind is nobody's burden
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def torch_on_one_thread() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch


# Eager: a chain of `y*a` and `y+b`, forward and backward.

# For each peer the bars at the three shapes.
EAGER_BARS = {"torch": (0.6, 0.6, 1.0), "autograd": (0.3, 0.3, None), "bare numpy, forward only": (None,) * 3}


def chain(y: Any, a: Any, b: Any, operations: int) -> Any:
    for _ in range(operations // 2):
        y = y * a
        y = y + b
    return y


def operands(shape: tuple[int, ...]) -> list[np.ndarray]:
    return [np.full(shape, value, dtype=np.float32) for value in (1.0, 1.0001, 0.001)]


def tensor_chain(xp: Any, arrays: Sequence[np.ndarray], needs: Sequence[bool], operations: int) -> Contender:
    """Make the chain as PyTorch's users write it; `xp` is our namespace, or torch itself."""
    x, a, b = (xp.asarray(array.copy()).requires_grad_(need) for array, need in zip(arrays, needs, strict=True))
    seed = xp.ones_like(x.detach())

    def run() -> None:
        x.grad = a.grad = b.grad = None
        chain(x, a, b, operations).backward(seed)

    return run


def hips_chain(arrays: Sequence[np.ndarray], needs: Sequence[bool], operations: int) -> Contender:
    from autograd import make_vjp

    argnums = tuple(index for index, need in enumerate(needs) if need)
    record = make_vjp(lambda x, a, b: chain(x, a, b, operations), argnums)
    seed = np.ones_like(arrays[0])

    def run() -> None:
        pull, _ = record(*arrays)
        pull(seed)

    return run


def eager(effort: Effort) -> Iterator[Row]:
    for place, shape in enumerate(effort.shapes):
        for wanted, needs in (("", (True, False, False)), (", a and b require grad", (True, True, True))):
            arrays, operations = operands(shape), effort.operations
            contenders = {
                "ours": tensor_chain(ad.namespace("numpy"), arrays, needs, operations),
                "bare numpy, forward only": lambda arrays=arrays: chain(*arrays, effort.operations),
            }
            if installed("torch"):
                contenders["torch"] = tensor_chain(torch_on_one_thread(), arrays, needs, operations)
            if installed("autograd"):
                contenders["autograd"] = hips_chain(arrays, needs, operations)
            times = medians(contenders, effort.rounds)
            for peer in filter(times.__contains__, EAGER_BARS):
                yield Row(
                    case=f"one operation, {'x'.join(map(str, shape))} float32{wanted}",
                    peer=peer,
                    unit="µs",
                    ours=times["ours"] * 1e6 / operations,
                    theirs=times[peer] * 1e6 / operations,
                    bar=EAGER_BARS[peer][place],
                )


# JAX: the same chain operation by operation, and a step of training under jit.


def jax_chain(effort: Effort) -> Iterator[Row]:
    import jax

    xp = ad.namespace("jax")
    for shape in effort.shapes[:2]:
        arrays = operands(shape)
        x, a, b = (xp.asarray(array) for array in arrays)
        x.requires_grad_()
        raw = [jax.numpy.asarray(array) for array in arrays]
        gradient = jax.grad(lambda x, a, b: chain(x, a, b, effort.operations).sum())

        def ours(x: Any = x, a: Any = a, b: Any = b) -> None:
            x.grad = None
            chain(x, a, b, effort.operations).sum().backward()
            jax.block_until_ready(x.grad)

        def theirs(gradient: Any = gradient, raw: Any = raw) -> None:
            jax.block_until_ready(gradient(*raw))

        times = medians({"ours": ours, "jax": theirs}, effort.slow_rounds)
        yield Row(
            case=f"one operation, {'x'.join(map(str, shape))} float32, on JAX without jit",
            peer="jax.grad",
            unit="µs",
            ours=times["ours"] * 1e6 / effort.operations,
            theirs=times["jax"] * 1e6 / effort.operations,
            bar=0.2,
        )


def network(layers: Sequence[int]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return the parameters of a network of two layers, a batch of inputs and their labels."""
    batch, *widths = layers
    rng = np.random.default_rng(0)
    parameters = []
    for before, after in pairwise(widths):
        parameters.append((rng.standard_normal((before, after)) * before**-0.5).astype(np.float32))
        parameters.append(np.zeros(after, dtype=np.float32))
    images = rng.standard_normal((batch, widths[0])).astype(np.float32)
    return parameters, images, rng.integers(0, widths[-1], batch)


def tensor_step(layers: Sequence[int]) -> Contender:
    """Make one step of training from Tensors and `backward()`, compiled by `jax.jit`."""
    import jax

    xp = ad.namespace("jax")
    arrays, images, labels = network(layers)
    parameters = [xp.asarray(array) for array in arrays]
    inputs, targets = xp.asarray(images), xp.asarray(labels)

    @jax.jit
    def step(parameters: list[ad.Tensor], inputs: ad.Tensor, targets: ad.Tensor) -> list[ad.Tensor]:
        w1, b1, w2, b2 = (parameter.requires_grad_() for parameter in parameters)
        F.cross_entropy(F.relu(inputs @ w1 + b1) @ w2 + b2, targets).backward()
        with ad.no_grad():
            return [parameter - 0.1 * parameter.grad for parameter in (w1, b1, w2, b2)]

    return lambda: jax.block_until_ready(step(parameters, inputs, targets))


def jax_step(layers: Sequence[int]) -> Contender:
    """Make the same step as JAX's users write it."""
    import jax
    import jax.numpy as jnp

    arrays, images, labels = network(layers)
    parameters = [jnp.asarray(array) for array in arrays]
    inputs, targets = jnp.asarray(images), jnp.asarray(labels)

    def loss(parameters: list[Any], inputs: Any, targets: Any) -> Any:
        w1, b1, w2, b2 = parameters
        scores = jax.nn.log_softmax(jax.nn.relu(inputs @ w1 + b1) @ w2 + b2)
        return -jnp.take_along_axis(scores, targets[:, None], axis=1).mean()

    @jax.jit
    def step(parameters: list[Any], inputs: Any, targets: Any) -> list[Any]:
        gradients = jax.grad(loss)(parameters, inputs, targets)
        return [p - 0.1 * gradient for p, gradient in zip(parameters, gradients, strict=True)]

    return lambda: jax.block_until_ready(step(parameters, inputs, targets))


def jax_training(effort: Effort) -> Iterator[Row]:
    batch, *widths = effort.layers
    times = medians({"ours": tensor_step(effort.layers), "jax": jax_step(effort.layers)}, 2 * effort.rounds)
    yield Row(
        case=f"one training step, {'-'.join(map(str, widths))}, batch {batch}, under jax.jit",
        peer="jax.grad",
        unit="ms",
        ours=times["ours"] * 1e3,
        theirs=times["jax"] * 1e3,
        bar=1.05,
    )


# A long chain: each contender in a process of its own, whose memory the kernel counts.


def peak_mib() -> float:
    """Return the most memory that this process has held so far, in MiB; Linux calls it VmHWM."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def long_chain_of(contender: str, additions: int) -> dict[str, float]:
    """Build a chain of additions, go backward, drop it; return seconds, and MiB beyond the imports'."""
    xp = torch_on_one_thread() if contender == "torch" else ad.namespace("numpy")
    x = xp.asarray(np.ones(1, dtype=np.float32)).requires_grad_()
    b = xp.asarray(np.full(1, 0.5, dtype=np.float32))
    (x + b).backward()
    x.grad = None
    before, start = peak_mib(), time.process_time()
    y = x
    for _ in range(additions):
        y = y + b
    y.backward()
    del y
    seconds = time.process_time() - start
    assert x.grad.tolist() == [1.0]
    return {"seconds": seconds, "MiB": peak_mib() - before}


def long_chain(effort: Effort) -> Iterator[Row]:
    spent = {}
    for contender in ("ours", "torch"):
        command = [sys.executable, __file__, contender, str(effort.additions)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        spent[contender] = json.loads(done.stdout)
    for measured, unit, name in (("seconds", "s", "time"), ("MiB", "MiB", "memory")):
        yield Row(
            case=f"{effort.additions:,} additions forward, backward, freed: {name}",
            peer="torch",
            unit=unit,
            ours=spent["ours"][measured],
            theirs=spent["torch"][measured],
            bar=1.0,
        )


# Each suite, and the modules it can't do without.
SUITES: dict[str, tuple[Callable[[Effort], Iterator[Row]], tuple[str, ...]]] = {
    "eager": (eager, ()),
    "jax-chain": (jax_chain, ("jax",)),
    "jax-step": (jax_training, ("jax",)),
    "long-chain": (long_chain, ("torch",)),
}


def measure(names: Sequence[str], effort: Effort) -> Iterator[Row]:
    """Yield the rows of the suites called `names`; leave out, and say so, what the machine lacks."""
    for name in names:
        suite, needs = SUITES[name]
        if all(map(installed, needs)):
            yield from suite(effort)
        else:
            print(f"{name} is left out: it needs {' and '.join(needs)}.", file=sys.stderr)


if __name__ == "__main__":  # one contender of the long chain
    print(json.dumps(long_chain_of(sys.argv[1], int(sys.argv[2]))))
