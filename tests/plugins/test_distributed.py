"""Two processes on one machine, by `jax.distributed`: the same numbers as in one; a killed peer is an end, and no hang.

A hung process of JAX's ignores SIGTERM, so each has a process group of its own and is killed when its time is up.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "train_sharded.py"
PROGRAM = Path(__file__).with_name("on_two_processes.py")
PATIENCE = 240  # seconds: on an idle machine they need a tenth


def address():
    """Return an address that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def together(*commands, devices=1):
    """Run programs at the same time; return the exit status of each, and what it printed."""
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    running = [subprocess.Popen([sys.executable, *map(str, command)], env=env, **options) for command in commands]
    try:
        return [(p.communicate(timeout=PATIENCE)[0], p.returncode)[::-1] for p in running]
    finally:
        for p in running:
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The losses, first gradients and last parameters of ten steps on one device."""
    file = tmp_path_factory.mktemp("alone") / "found.npz"
    ((status, said),) = together([EXAMPLE, "--out", file])
    assert status == 0, said
    return dict(np.load(file))


def agrees(file, alone):
    found = dict(np.load(file))
    assert found.keys() == alone.keys() and len(found["losses"]) == 10
    for name, values in alone.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("model", [1, 2], ids=["data", "data and model"])
def test_eight_devices_train_as_one(alone, tmp_path, model):
    ((status, said),) = together([EXAMPLE, "--model", model, "--out", tmp_path / "found.npz"], devices=8)
    assert status == 0, said
    assert "8 devices, 1 processes" in said
    agrees(tmp_path / "found.npz", alone)


@pytest.mark.parametrize("model", [1, 2], ids=["data", "model"])
def test_two_processes_train_as_one(alone, tmp_path, model):
    """By the data, or by the inner layer: the axis of two devices is the one or the other."""
    common = [EXAMPLE, "--model", model, "--processes", 2, "--coordinator", address(), "--out", tmp_path / "found.npz"]
    first, second = together(*([*common, "--process", k] for k in range(2)))
    assert first[0] == 0, first[1]
    assert second[0] == 0, second[1]
    assert "2 devices, 2 processes" in first[1]  # below what Gloo says of itself
    agrees(tmp_path / "found.npz", alone)


def test_eager_gradients_and_a_killed_peer():
    """The one that is left ends too, with JAX's word on what it lost."""
    where = address()
    first, second = together([PROGRAM, where, 0], [PROGRAM, where, 1])
    assert "checked" in first[1] and "checked" in second[1], first[1] + second[1]
    assert second[0] == -signal.SIGKILL
    assert first[0] != 0
    assert "Connection closed by peer" in first[1] or "heartbeat" in first[1], first[1]
