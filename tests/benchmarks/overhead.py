"""Measure what recording and going backward cost, beside PyTorch, HIPS autograd and JAX, in one run.

    python tests/benchmarks/overhead.py                    # the table, about three minutes
    python tests/benchmarks/overhead.py --json FILE        # the same as data
    python tests/benchmarks/overhead.py --check            # exit code 1 if a bar is missed

Everything runs on one thread of one core. Contenders take turns, round by round, so a busy machine slows all
of them alike; a figure is the median of the rounds. Peers that are not installed are left out.
"""

from __future__ import annotations

import os

ONE_THREAD = {
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
if __name__ == "__main__":
    # Engines read these when they are first imported, and a pool has as many threads as there are cores to run on.
    os.environ.update(ONE_THREAD)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import autodiff_api as ad

Contender = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: the same work by us and by a peer, and the largest ratio that we accept."""

    case: str
    peer: str
    unit: str
    ours: float
    theirs: float
    bar: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def passed(self) -> bool:
        return self.ratio <= self.bar


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much to measure: the defaults give the published figures, `--quick` only shows that the script runs."""

    rounds: int = 60
    slow_rounds: int = 7
    operations: int = 200
    additions: int = 1_000_000
    sizes: tuple[tuple[int, ...], ...] = ((1,), (100,), (100, 100))
    layers: tuple[int, int, int, int] = (128, 784, 256, 10)  # the batch, then the widths of the network


QUICK = Effort(
    rounds=3, slow_rounds=2, operations=6, additions=2_000, sizes=((1,), (3, 2)), layers=(4, 6, 5, 3)
)


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def medians(contenders: dict[str, Contender], rounds: int) -> dict[str, float]:
    """Return the median seconds of each contender; they take turns within every round."""
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


# -- Eager: forward plus backward of a chain of `y*a` and `y+b` ---------------------------------------------------


def chain(y: Any, a: Any, b: Any, operations: int) -> Any:
    for _ in range(operations // 2):
        y = y * a
        y = y + b
    return y


def operands(shape: tuple[int, ...]) -> list[np.ndarray]:
    return [np.full(shape, value, dtype=np.float32) for value in (1.0, 1.0001, 0.001)]


def tensor_chain(xp: Any, arrays: Sequence[np.ndarray], needs: Sequence[bool], operations: int) -> Contender:
    """Return the chain in PyTorch's manner: `xp` is our namespace on NumPy, or torch itself."""
    x, a, b = (xp.asarray(array.copy()) for array in arrays)
    for tensor, need in zip((x, a, b), needs, strict=True):
        tensor.requires_grad_(need)
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


def eager_rows(effort: Effort) -> Iterator[Row]:
    bars = {"torch": (0.6, 0.6, 1.0), "autograd": (0.3, 0.3, None)}
    for place, shape in enumerate(effort.sizes):
        for wanted, needs in (("", (True, False, False)), (", a and b require grad", (True, True, True))):
            arrays = operands(shape)
            numpy = ad.namespace("numpy")
            contenders = {"ours": tensor_chain(numpy, arrays, needs, effort.operations)}
            if installed("torch"):
                contenders["torch"] = tensor_chain(one_thread_torch(), arrays, needs, effort.operations)
            if installed("autograd"):
                contenders["autograd"] = hips_chain(arrays, needs, effort.operations)
            times = medians(contenders, effort.rounds)
            scale = 1e6 / effort.operations
            for peer, limits in bars.items():
                bar = limits[min(place, 2)]
                if peer in times and bar is not None:
                    yield Row(
                        case=f"one operation, {'x'.join(map(str, shape))} float32{wanted}",
                        peer=peer,
                        unit="µs",
                        ours=times["ours"] * scale,
                        theirs=times[peer] * scale,
                        bar=bar,
                    )


def one_thread_torch() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch


# -- JAX: the same chain operation by operation, and a training step under jit ------------------------------------


def jax_chain_rows(effort: Effort) -> Iterator[Row]:
    import jax

    xp = ad.namespace("jax")
    for shape in effort.sizes[:2]:
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
    for before, after in zip(widths, widths[1:], strict=False):
        parameters.append((rng.standard_normal((before, after)) * before**-0.5).astype(np.float32))
        parameters.append(np.zeros(after, dtype=np.float32))
    images = rng.standard_normal((batch, widths[0])).astype(np.float32)
    return parameters, images, rng.integers(0, widths[-1], batch)


def tensor_step(layers: Sequence[int]) -> Contender:
    """Return one step of training written with Tensors and `backward()`, compiled by `jax.jit`."""
    import jax

    xp = ad.namespace("jax")
    arrays, images, labels = network(layers)
    parameters = [xp.asarray(array) for array in arrays]
    inputs, targets = xp.asarray(images), xp.asarray(labels)

    @jax.jit
    def step(parameters: list[ad.Tensor], inputs: ad.Tensor, targets: ad.Tensor) -> list[ad.Tensor]:
        w1, b1, w2, b2 = (parameter.requires_grad_() for parameter in parameters)
        logits = ad.nn.functional.relu(inputs @ w1 + b1) @ w2 + b2
        ad.nn.functional.cross_entropy(logits, targets).backward()
        with ad.no_grad():
            return [parameter - 0.1 * parameter.grad for parameter in (w1, b1, w2, b2)]

    return lambda: jax.block_until_ready(step(parameters, inputs, targets))


def jax_step(layers: Sequence[int]) -> Contender:
    """Return the same step written for JAX, compiled by `jax.jit`."""
    import jax
    import jax.numpy as jnp

    arrays, images, labels = network(layers)
    parameters = [jnp.asarray(array) for array in arrays]
    inputs, targets = jnp.asarray(images), jnp.asarray(labels)

    def loss(parameters: list[Any], inputs: Any, targets: Any) -> Any:
        w1, b1, w2, b2 = parameters
        log_probabilities = jax.nn.log_softmax(jax.nn.relu(inputs @ w1 + b1) @ w2 + b2)
        return -jnp.take_along_axis(log_probabilities, targets[:, None], axis=1).mean()

    @jax.jit
    def step(parameters: list[Any], inputs: Any, targets: Any) -> list[Any]:
        gradients = jax.grad(loss)(parameters, inputs, targets)
        return [parameter - 0.1 * gradient for parameter, gradient in zip(parameters, gradients, strict=True)]

    return lambda: jax.block_until_ready(step(parameters, inputs, targets))


def jax_step_rows(effort: Effort) -> Iterator[Row]:
    layers = effort.layers
    times = medians({"ours": tensor_step(layers), "jax": jax_step(layers)}, effort.rounds)
    yield Row(
        case=f"one training step, {'-'.join(map(str, layers[1:]))}, batch {layers[0]}, under jax.jit",
        peer="jax.grad",
        unit="ms",
        ours=times["ours"] * 1e3,
        theirs=times["jax"] * 1e3,
        bar=1.05,
    )


# -- A long chain: forward, backward and free, each contender in a process of its own -----------------------------


def peak_mib() -> float:
    """Return the most memory this process has held, in MiB (Linux keeps count as VmHWM)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def long_chain(contender: str, additions: int) -> dict[str, float]:
    """Build a chain of additions, go backward, drop it; return seconds and MiB above what the imports held."""
    xp = one_thread_torch() if contender == "torch" else ad.namespace("numpy")
    x = xp.asarray(np.ones(1, dtype=np.float32)).requires_grad_()
    b = xp.asarray(np.full(1, 0.5, dtype=np.float32))
    (x + b).backward()
    x.grad = None
    before = peak_mib()
    start = time.perf_counter()
    y = x
    for _ in range(additions):
        y = y + b
    y.backward()
    del y
    seconds = time.perf_counter() - start
    assert x.grad is not None and x.grad.tolist() == [1.0]
    return {"seconds": seconds, "MiB": peak_mib() - before}


def long_chain_rows(effort: Effort) -> Iterator[Row]:
    results = {}
    for contender in ("ours", "torch"):
        command = [sys.executable, __file__, "--long-chain", contender, "--additions", str(effort.additions)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD}
        )
        results[contender] = json.loads(done.stdout)
    for measure, unit in (("seconds", "s"), ("MiB", "MiB")):
        yield Row(
            case=f"{effort.additions:,} additions forward, backward, freed: {'time' if unit == 's' else 'memory'}",
            peer="torch",
            unit=unit,
            ours=results["ours"][measure],
            theirs=max(results["torch"][measure], 1e-9),
            bar=1.0,
        )


# -- The table ----------------------------------------------------------------------------------------------------

# What to measure, in order, and the modules it needs.
SUITES: dict[str, tuple[Callable[[Effort], Iterator[Row]], tuple[str, ...]]] = {
    "eager": (eager_rows, ()),
    "jax-chain": (jax_chain_rows, ("jax",)),
    "jax-step": (jax_step_rows, ("jax",)),
    "long-chain": (long_chain_rows, ("torch",)),
}


def versions() -> str:
    names = [name for name in ("numpy", "torch", "autograd", "jax") if installed(name)]
    python = f"Python {platform.python_version()}"
    return ", ".join([python, *(f"{name} {importlib.metadata.version(name)}" for name in names)])


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table, aligned so that it reads well in a terminal too."""
    cells = [("what", "autodiff_api", "peer", "ratio", "bar", "")]
    cells += [
        (
            row.case,
            f"{row.ours:.3g} {row.unit}",
            f"{row.peer} {row.theirs:.3g} {row.unit}",
            f"{row.ratio:.2f}",
            f"≤ {row.bar:g}",
            "ok" if row.passed else "missed",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, line in enumerate(cells):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is missed")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that the script runs, measures nothing"
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(SUITES), default=list(SUITES), help="run only these suites"
    )
    parser.add_argument("--long-chain", choices=("ours", "torch"), help=argparse.SUPPRESS)
    parser.add_argument("--additions", type=int, default=Effort.additions, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.long_chain:
        print(json.dumps(long_chain(options.long_chain, options.additions)))
        return 0
    effort = QUICK if options.quick else Effort()
    rows: list[Row] = []
    for name in options.only:
        suite, needs = SUITES[name]
        if all(map(installed, needs)):
            rows += suite(effort)
        else:
            print(f"{name} left out: it needs {' and '.join(needs)}.", file=sys.stderr)
    print(f"One thread, medians of {effort.rounds} rounds. {versions()}.\n")
    print("\n".join(table(rows)))
    if options.json:
        data = [{**asdict(row), "ratio": row.ratio, "passed": row.passed} for row in rows]
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"versions": versions(), "rows": data}, file, indent=2, ensure_ascii=False)
    return int(options.check and not all(row.passed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
