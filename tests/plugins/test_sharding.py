"""Arrays over eight devices, which JAX imitates on the CPU; and what a mesh needs, said without any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import autodiff_api as ad

pytest.importorskip("jax")
PROGRAM = Path(__file__).with_name("on_eight_devices.py")
CHECKS = [
    "collectives", "collectives of a step", "devices", "user mesh",
    *(f"{what}, {axes}" for axes in ("Auto", "Explicit") for what in (
        "alien layouts", "factories", "layouts of MLP", "layouts of Transformer", "place", "training of MLP",
        "transfers",
    )),
]  # fmt: skip


@pytest.fixture(scope="module")
def results():
    """Run all checks in one process: to start JAX and to compile is what takes the time."""
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, PROGRAM], env=env, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("check", CHECKS)
def test_on_eight_devices(results, check):
    state, said = results[check]
    assert state == "ok", said


def test_none_is_left_out(results):
    assert sorted(results) == sorted(CHECKS)


def test_on_one_device():
    """A mesh of one device is a mesh: a program need not know how many there are."""
    with ad.use_backend("jax"):
        mesh = ad.Mesh({"data": 1})
        w = ad.place(ad.ones((2, 3)), mesh, ("data",)).requires_grad_()
        (w * w).sum().backward()
        assert w.grad._value.sharding == w._value.sharding == mesh.layout("data")
        assert w.grad.tolist() == [[2.0] * 3] * 2 and ad.zeros(2, device=mesh.layout("data")).tolist() == [0, 0]
        with pytest.raises(ad.ArgumentError, match="XLA_FLAGS=--xla_force_host_platform_device_count=4096"):
            ad.Mesh({"data": 4096})


def test_a_backend_without_meshes():
    for make in (lambda: ad.Mesh({"data": 2}, backend="numpy"), lambda: ad.place(ad.ones(2), None, ())):
        with pytest.raises(ad.BackendUnavailableError, match="'numpy' has no meshes"):
            make()
