"""PyTorch's `torch.utils`, as far as it is about derivatives."""

from __future__ import annotations

from . import checkpoint

__all__ = ["checkpoint"]
