"""Custom derivatives: `Function`, PyTorch's way, and the decorators `custom_vjp` and `custom_jvp`, JAX's way."""

from __future__ import annotations

from .decorators import custom_jvp, custom_vjp
from .function import Function, FunctionCtx, once_differentiable

__all__ = ["Function", "FunctionCtx", "custom_jvp", "custom_vjp", "once_differentiable"]
