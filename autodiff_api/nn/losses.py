"""Losses as modules."""

from __future__ import annotations

from typing import Any

from autodiff_api.tensors import Tensor

from . import functional as F
from .functional.common import check_reduction
from .module import Module


class MSELoss(Module):
    """Apply `functional.mse_loss`.

    >>> import autodiff_api as ad
    >>> MSELoss()(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(reduction, "MSELoss")
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        """Return the mean squared difference."""
        return F.mse_loss(input, target, reduction=self.reduction)


class CrossEntropyLoss(Module):
    """Apply `functional.cross_entropy`; `weight` is kept as a buffer.

    >>> import autodiff_api as ad
    >>> CrossEntropyLoss()(ad.tensor([[0.0, 0.0]]), ad.tensor([1]))
    tensor(0.6931)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_reduction(reduction, "CrossEntropyLoss")
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """Return the cross entropy of logits and classes or class probabilities."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
