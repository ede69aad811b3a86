"""PyTorch's `torch.autograd.function`."""

from __future__ import annotations

from ..custom.function import Function, FunctionCtx, once_differentiable

__all__ = ["Function", "FunctionCtx", "once_differentiable"]
