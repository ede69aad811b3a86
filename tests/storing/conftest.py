"""Trees to save, and how to tell that they came back."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import autodiff_api as ad

Moments = namedtuple("Moments", "mean square")


def _seen(x):
    if isinstance(x, dict):
        return type(x).__name__, [(_seen(k), _seen(v)) for k, v in x.items()]
    if isinstance(x, list | tuple):
        return type(x).__name__, [_seen(v) for v in x]
    if isinstance(x, ad.Tensor):
        return isinstance(x, ad.nn.Parameter), x.requires_grad, _seen(x.numpy(force=True))
    if hasattr(x, "dtype"):
        host = np.asarray(x)
        return "array", host.dtype.name, host.shape, host.tobytes()
    return type(x).__name__, repr(x)


@pytest.fixture(scope="session")
def seen():
    """A function that says a tree in words that can be compared: of arrays the kind, the dtype and the bits."""
    return _seen


@pytest.fixture(scope="session")
def rich():
    """A function that returns a tree with everything that a file can hold, on a backend."""

    def make(xp):
        return OrderedDict(
            weights={"0.weight": xp.asarray([[1.0, 2.0], [3.0, 4.0]]), "0.bias": ad.nn.Parameter(xp.asarray([0.5]))},
            leaf=xp.asarray([1.0, float("nan")], requires_grad=True),
            state=[{0: {"step": 3, "moments": Moments(xp.zeros((2, 0)), xp.asarray(7))}}],
            options={"lr": 0.1, "betas": (0.9, 0.999), "foreach": None, "inf": float("-inf"), 2: 1 + 2j, None: True},
            names={"a.b": xp.asarray([1.0]), "a": {"b": xp.asarray([2.0])}, "å/\\\n\0": xp.ones(1), "": xp.ones(2)},
            raw=xp.asarray([True, False])._value,
            big=2**70,
            empty=[(), [], {}, {"__metadata__": xp.ones(3)}],
        )

    return make


@pytest.fixture
def types():
    """The namedtuple that `rich` has."""
    return (Moments,)


@pytest.fixture(params=["npz", "safetensors"])
def path(request, tmp_path):
    """Where to save, in each format."""
    return tmp_path / f"saved.{request.param}"
