"""PyTorch's autograd over any array library of the Python Array API standard.

The package is itself a namespace: its functions work on the arrays they are given, whatever the backend, and
its creation functions make tensors on the default backend.

>>> import autodiff_api as ad
>>> x = ad.tensor([2.0], requires_grad=True)
>>> z = (x**2) * 3
>>> z.backward()
>>> x.grad
tensor([12.])
"""

from __future__ import annotations

import importlib
from typing import Any

from . import autograd
from .backends import default_backend, get_backend, set_default_backend, use_backend
from .binding import namespace
from .dispatch import find, names
from .errors import *  # noqa: F403
from .errors import __all__ as _errors
from .modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .tensors import Tensor

__version__ = "0.1.0"
__array_api_version__ = "2025.12"

_PACKAGES = ("func", "implicit", "nn", "optim", "random", "sparse", "utils")
_RANDOM = (
    "Generator", "default_generator", "initial_seed", "manual_seed", "rand", "rand_like", "randint", "randn",
    "randn_like", "randperm",
)  # fmt: skip
_FUNC = (
    "grad", "hessian", "hvp", "jacfwd", "jacrev", "jvp", "linearize", "stop_gradient", "value_and_grad", "vhp", "vjp",
    "vmap",
)  # fmt: skip
_CONTROL = ("cond", "fori_loop", "scan", "while_loop")
_HOMES = {
    **dict.fromkeys(_CONTROL, "control"),
    **dict.fromkeys(_FUNC, "func"),
    **dict.fromkeys(_RANDOM, "random"),
    "checkpoint": "checkpointing",
    "custom_jvp": "custom",
    "custom_vjp": "custom",
    "draw": "drawing",
    "log_softmax": "nn.functional",
    "op": "declare",
    "softmax": "nn.functional",
    "summary": "drawing",
}

__all__ = [
    "Tensor",
    "autograd",
    "default_backend",
    "enable_grad",
    "get_backend",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "namespace",
    "no_grad",
    "set_default_backend",
    "set_grad_enabled",
    "use_backend",
    *_errors,
]


def __getattr__(name: str) -> Any:
    """Find the rest on first use: sub-packages, and the functions and dtypes of the namespaces."""
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        found, stays = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name), True
    else:
        found, stays = find(name)
    if stays:
        globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES, *_HOMES, *names()})
