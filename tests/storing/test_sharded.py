"""Arrays over several devices and processes are saved whole, and loaded over a mesh."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

pytest.importorskip("jax")

EIGHT = """
import sys
import numpy as np
import autodiff_api as ad

for explicit in (False, True):
    mesh = ad.Mesh({"data": 4, "model": 2}, backend="jax", explicit=explicit)
    with ad.use_backend("jax"):
        model = ad.nn.Linear(8, 4)
    plain = model.weight.numpy(force=True).copy()
    ad.place(model, mesh, {"weight": ("model", "data"), "bias": ()})
    ad.save(model.state_dict(), sys.argv[1])
    assert (ad.load(sys.argv[1], backend="numpy")["weight"].numpy() == plain).all()
    there = mesh.layout("model", "data")
    weight = ad.load(sys.argv[1], backend="jax", device=mesh.layout())["weight"]
    assert len(weight._value.sharding.device_set) == 8 and (weight.numpy() == plain).all()
    before = model.weight._value.sharding
    model.load_state_dict(ad.load(sys.argv[1], backend="numpy"))
    assert model.weight._value.sharding == before and before.is_equivalent_to(there, 2)
"""

TWO = """
import sys
import jax
import numpy as np

path, port, process = sys.argv[1], sys.argv[2], int(sys.argv[3])
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=process)
import autodiff_api as ad

mesh = ad.Mesh({"data": 2}, backend="jax")
mine = np.arange(4, dtype=np.float32)[2 * process :][:2]
x = ad.namespace("jax").asarray(jax.make_array_from_process_local_data(mesh.layout("data"), mine, (4,)))
try:
    ad.save({"x": x}, path)
except ad.BackendUnavailableError as error:
    assert "['x'] lies over several processes" in str(error) and "ad.place" in str(error)
else:
    raise AssertionError("a part of an array was saved")
whole = ad.place({"x": x}, mesh, ())
whole["x"]._value.block_until_ready()
if process == 0:
    ad.save(whole, path)
    assert ad.load(path, backend="numpy")["x"].tolist() == [0, 1, 2, 3]
"""


def run(programs, devices):
    """Run programs at once, each in a process group of its own that is killed if it hangs."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    env = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", *map(str, program)],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for program in programs
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in started]
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert all(process.returncode == 0 for process in started), "\n".join(said)


def test_arrays_over_eight_devices_are_gathered(path):
    run([(EIGHT, path)], devices=8)


def test_arrays_over_two_processes_are_saved_when_one_has_them_whole(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run([(TWO, tmp_path / "a.npz", port, process) for process in (0, 1)], devices=1)
