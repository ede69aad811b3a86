"""Custom derivatives: `Function`, PyTorch's way, and the decorators `custom_vjp` and `custom_jvp`, JAX's way."""

from __future__ import annotations

from .function import Function, FunctionCtx, once_differentiable

__all__ = ["Function", "FunctionCtx", "once_differentiable"]
