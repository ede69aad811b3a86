"""Train a small network over several devices, of one process or of many, with the same numbers.

    python docs/examples/train_sharded.py                                  # on what there is
    XLA_FLAGS=--xla_force_host_platform_device_count=8 python docs/examples/train_sharded.py --model 2
    python docs/examples/train_sharded.py --processes 2 --process 0 &      # two processes, on one machine or on two:
    python docs/examples/train_sharded.py --processes 2 --process 1        # --coordinator says where the first one is

The batch is divided along the mesh's axis "data", and the inner layer along "model", whose length is that of --model.
The lines that know of devices are those between the two comments; the rest is what one would write for one.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import autodiff_api as ad
import autodiff_api.nn.functional as F

try:
    import jax
except ImportError as missing:
    sys.exit(f'{missing}. This example needs an extra of the library: pip install -e ".[jax]"')

ROWS, WIDTH, INNER, CLASSES = 64, 16, 32, 4
TENSOR_PARALLEL = {"up.weight": ("model", None), "up.bias": ("model",), "down.weight": (None, "model")}


class Network(ad.nn.Module):
    """Two layers: the first makes what the second adds up, so their common axis can be divided."""

    def __init__(self) -> None:
        super().__init__()
        self.up = ad.nn.Linear(WIDTH, INNER)
        self.down = ad.nn.Linear(INNER, CLASSES)

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return self.down(F.gelu(self.up(x)))


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return rows, and the classes to learn: the same in each process."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, WIDTH)).astype(np.float32)
    return x, np.argmax(x @ rng.standard_normal((WIDTH, CLASSES)), axis=1)


def whole(x: ad.Tensor) -> np.ndarray:
    """Return all values of a tensor, of which each process may hold a part: all processes must ask."""
    value = x.detach()._value
    if value.is_fully_addressable or value.is_fully_replicated:
        return np.asarray(value)
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(value, tiled=True))


def train(model_axis: int, steps: int, rate: float) -> dict[str, np.ndarray]:
    """Return the losses, the first gradients, and the parameters in the end."""
    ad.manual_seed(0)
    model = Network()
    x, y = data()

    # where things are:
    mesh = ad.Mesh({"data": len(ad.devices()) // model_axis, "model": model_axis})
    ad.place(model, mesh, TENSOR_PARALLEL)
    x, y = ad.asarray(x, device=mesh.layout("data")), ad.asarray(y, device=mesh.layout("data"))
    # from here on nobody asks

    optimizer = ad.optim.SGD(model.parameters(), lr=rate, momentum=0.9)

    @ad.compile(state=[model, optimizer])
    def step(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    found: dict[str, np.ndarray] = {}
    losses = []
    for i in range(steps):
        losses.append(step(x, y).item())  # asking for the loss waits for the step
        if i == 0:
            found |= {f"gradient of {name}": whole(p.grad) for name, p in model.named_parameters()}
        assert all(p.grad.device == p.device for p in model.parameters())
    found |= {name: whole(p) for name, p in model.named_parameters()}
    return {"losses": np.asarray(losses), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=int, default=1, help="how many devices share the inner layer (default: 1)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rate", type=float, default=0.1, help="the learning rate")
    parser.add_argument("--processes", type=int, default=1, help="how many processes train together")
    parser.add_argument("--process", type=int, default=0, help="which of them this is")
    parser.add_argument("--coordinator", default="127.0.0.1:12355", help="address and port of process 0")
    parser.add_argument("--timeout", type=int, default=60, help="seconds to wait for the other processes")
    parser.add_argument("--out", help="write losses, first gradients and parameters to this .npz (process 0 does)")
    options = parser.parse_args()
    if options.processes > 1:
        jax.distributed.initialize(
            options.coordinator, options.processes, options.process, initialization_timeout=options.timeout
        )
    with ad.use_backend("jax"):
        found = train(options.model, options.steps, options.rate)
    if options.process == 0:
        print(f"{len(jax.devices())} devices, {options.processes} processes")
        print(" ".join(f"{loss:.6f}" for loss in found["losses"]))
        if options.out:
            np.savez(options.out, **found)


if __name__ == "__main__":
    main()
