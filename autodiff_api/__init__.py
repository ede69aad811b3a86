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

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .backends import (
    default_backend,
    device,
    devices,
    get_backend,
    get_default_device,
    set_default_backend,
    set_default_device,
    use_backend,
    use_device,
)
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

if TYPE_CHECKING:  # what `_HOMES` and `_PACKAGES` say, for tools that read and don't run
    from . import autograd, func, implicit, nn, optim, random, sparse, utils  # noqa: F401
    from .binding import namespace
    from .checkpointing import checkpoint as checkpoint
    from .compiler import compile as compile
    from .control import *  # noqa: F403
    from .custom import custom_jvp as custom_jvp
    from .custom import custom_vjp as custom_vjp
    from .declare import op as op
    from .drawing import draw as draw
    from .drawing import summary as summary
    from .func import grad as grad
    from .func import hessian as hessian
    from .func import hvp as hvp
    from .func import jacfwd as jacfwd
    from .func import jacrev as jacrev
    from .func import jvp as jvp
    from .func import linearize as linearize
    from .func import stop_gradient as stop_gradient
    from .func import value_and_grad as value_and_grad
    from .func import vhp as vhp
    from .func import vjp as vjp
    from .func import vmap as vmap
    from .meshes import Mesh as Mesh
    from .meshes import place as place
    from .nn.functional import log_softmax as log_softmax
    from .nn.functional import softmax as softmax
    from .random import *  # noqa: F403
    from .storing import load as load
    from .storing import save as save
    from .tensors import Tensor
    from .waiting import synchronize as synchronize

__version__ = "0.1.0"
__array_api_version__ = "2025.12"

_PACKAGES = ("autograd", "func", "implicit", "nn", "optim", "random", "sparse", "utils")
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
    "Mesh": "meshes",
    "Tensor": "tensors",
    "checkpoint": "checkpointing",
    "compile": "compiler",
    "custom_jvp": "custom",
    "custom_vjp": "custom",
    "draw": "drawing",
    "load": "storing",
    "log_softmax": "nn.functional",
    "namespace": "binding",
    "op": "declare",
    "place": "meshes",
    "save": "storing",
    "softmax": "nn.functional",
    "summary": "drawing",
    "synchronize": "waiting",
}

__all__ = [
    "Tensor",
    "autograd",
    "default_backend",
    "device",
    "devices",
    "enable_grad",
    "get_backend",
    "get_default_device",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "namespace",
    "no_grad",
    "set_default_backend",
    "set_default_device",
    "set_grad_enabled",
    "use_backend",
    "use_device",
    *_errors,
]


@cache
def _is_module(name: str) -> bool:
    return find_spec(f"{__name__}.{name}") is not None


def __getattr__(name: str) -> Any:
    """Find the rest on first use: sub-packages, and the functions and dtypes of the namespaces."""
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        found, stays = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name), True
    elif _is_module(name):  # `from . import module` asks here before it imports
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; import {__name__}.{name}")
    else:
        from .dispatch import find

        found, stays = find(name)
    if stays:
        globals()[name] = found
    return found


def __dir__() -> list[str]:
    from .dispatch import names

    return sorted({*globals(), *_PACKAGES, *_HOMES, *names()})
