"""PyTorch's `torch.autograd`: gradients, modes and hooks by the names that its users know."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..gradients import backward, grad
from ..graph import HookHandle, Leaf, Node
from ..modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

if TYPE_CHECKING:  # what `_HOMES` says, for tools that read and don't run
    from ..anomaly import detect_anomaly, is_anomaly_check_nan_enabled, is_anomaly_enabled, set_detect_anomaly
    from ..checkpointing import checkpoint
    from ..custom import Function
    from ..gradcheck import gradcheck, gradgradcheck
    from ..zero_safety import zero_safe
    from . import function, functional, graph

__all__ = [
    "Function",
    "HookHandle",
    "Leaf",
    "Node",
    "backward",
    "checkpoint",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "zero_safe",
]

_PACKAGES = ("function", "functional", "graph")
_HOMES = {
    "Function": "custom",
    "checkpoint": "checkpointing",
    "detect_anomaly": "anomaly",
    "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck",
    "is_anomaly_check_nan_enabled": "anomaly",
    "is_anomaly_enabled": "anomaly",
    "set_detect_anomaly": "anomaly",
    "zero_safe": "zero_safety",
}


def __getattr__(name: str) -> Any:
    """Import what not every program needs on first use."""
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"..{_HOMES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
