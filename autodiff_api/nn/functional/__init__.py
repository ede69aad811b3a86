"""Functions of `torch.nn.functional`, with PyTorch's names, defaults and numbers.

They are written in the standard, for the namespace of their argument: tensors of every backend, and raw
arrays that have `__array_namespace__`.
"""

from .activation import gelu, log_softmax, relu, sigmoid, softmax, softplus, tanh
from .layer import dropout, linear, one_hot
from .loss import binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss, nll_loss

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dropout",
    "gelu",
    "l1_loss",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]
