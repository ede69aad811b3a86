"""What `test_distributed.py` lets run in two processes: a pass backward, op by op, and a peer that is killed.

python tests/plugins/on_two_processes.py ADDRESS 0 & python tests/plugins/on_two_processes.py ADDRESS 1
"""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

import autodiff_api as ad

jax = pytest.importorskip("jax")


def check_eager(mesh):
    """Gradients of a pass that is computed op by op; each op is awaited, since JAX 0.10 may hang on the CPU else."""
    rng = np.random.default_rng(0)
    numbers, weights = rng.standard_normal((8, 4)).astype(np.float32), rng.standard_normal((4, 2)).astype(np.float32)
    x = ad.asarray(numbers, device=mesh.layout("data"))
    assert not x._value.is_fully_addressable and x.shape == (8, 4)
    for spec in ((), ("data",), (None, "data")):
        w = ad.place(ad.tensor(weights), mesh, spec).requires_grad_()
        y = jax.block_until_ready(x @ w)
        loss = jax.block_until_ready((y * y).mean())
        loss.backward()
        jax.block_until_ready(w.grad._value)
        assert w.grad.device == w.device, (w.grad.device, w.device)
        expected = 2 * numbers.T @ (numbers @ weights) / 16
        for shard in w.grad._value.addressable_shards:
            np.testing.assert_allclose(np.asarray(shard.data), expected[shard.index], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(loss.item(), np.mean((numbers @ weights) ** 2), rtol=1e-6)
    return x


def check_words(x):
    """What is spread over processes can be shown, and says so where its values are asked for."""
    assert "shape=(8, 4)" in repr(x) and "shape=(8, 4)" in str(x) and "shape=(8, 4)" in f"{x}", repr(x)
    with pytest.raises(RuntimeError, match="non-addressable"):
        x.numpy()
    with pytest.raises(RuntimeError, match="non-addressable"):
        x.tolist()


def main(address, process):
    ad.set_default_backend("jax")  # asks for no device: or the processes could not find each other any more
    jax.distributed.initialize(address, 2, process, initialization_timeout=60, heartbeat_timeout_seconds=10)
    assert len(ad.devices()) == 2 and len(jax.local_devices()) == 1
    mesh = ad.Mesh({"data": 2})
    x = check_eager(mesh)
    check_words(x)
    print("checked", flush=True)
    f = ad.compile(ad.grad(lambda w, x: ((x @ w) ** 2).sum()))
    w = ad.place(ad.ones((4, 2)), mesh, ())
    for i in range(1000):
        if process == 1 and i == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        jax.block_until_ready(f(w, x)._value)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
