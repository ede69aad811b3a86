"""Modules and optimizers on a second device: two CPU devices that JAX makes of one, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import jax
import autodiff_api as ad
from autodiff_api import nn, optim

def build(device=None):
    first, last = nn.Linear(3, 4, device=device), nn.Linear(4, 3, device=device)
    return nn.Sequential(first, nn.GELU(), nn.Dropout(0.5), last)

def places(module):
    return {p.device for p in module.parameters()}

def kept(optimizer):
    return {v.device for s in optimizer.state.values() for k, v in s.items() if k != "step"}

with ad.use_backend("jax"):
    here, there = jax.devices()
    far, near = build(there), build()
    assert places(far) == {there} and places(near) == {here}
    x, y = ad.randn(5, 3, device=there), ad.randint(3, (5,), device=there)
    assert nn.functional.one_hot(y, 3).device == ad.rand_like(x).device == x.device == there
    optimizer = optim.Adam(far.parameters(), amsgrad=True)
    loss = nn.CrossEntropyLoss(ad.ones((3,), device=there), label_smoothing=0.1)(far(x), y)
    loss.backward()
    optimizer.step()
    assert loss.device == there and places(far) == kept(optimizer) == {there}

    near.load_state_dict(far.state_dict())
    follower = optim.Adam(near.parameters(), amsgrad=True)
    follower.load_state_dict(optimizer.state_dict())
    assert places(near) == kept(follower) == {here}
    near(x.to(here)).sum().backward()
    follower.step()

    near.to(there)
    assert places(near) == {p.grad.device for p in near.parameters()} == {there}
    assert places(near.to(ad.zeros((1,)))) == {here}
"""


def test_everything_stays_where_the_parameters_are():
    pytest.importorskip("jax")
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
