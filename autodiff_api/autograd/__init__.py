"""PyTorch's `torch.autograd`: gradients, modes and hooks by the names that its users know."""

from __future__ import annotations

from ..anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from ..checkpointing import checkpoint
from ..custom import Function
from ..gradcheck import gradcheck, gradgradcheck
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
