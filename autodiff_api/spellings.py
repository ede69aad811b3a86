"""PyTorch's spellings, at the package only, so that autograd code written for PyTorch runs as it is.

The standard's name stands behind each. What PyTorch spells like the standard needs no line here; namespaces
(`ad.namespace("jax")`) have the standard's names and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DTYPES = {
    "cdouble": "complex128", "cfloat": "complex64", "double": "float64", "float": "float32", "half": "float16",
    "int": "int32", "long": "int64", "short": "int16",
}  # fmt: skip

FUNCTIONS = {
    "absolute": "abs", "amax": "max", "amin": "min", "arctan": "atan", "as_tensor": "asarray", "bmm": "matmul",
    "broadcast_tensors": "broadcast_arrays", "cat": "concat", "clamp": "clip", "cross": "linalg.cross",
    "det": "linalg.det", "digamma": "special.digamma", "div": "divide", "eq": "equal", "erf": "special.erf",
    "erfc": "special.erfc", "erfinv": "special.erfinv", "ge": "greater_equal", "gt": "greater",
    "inverse": "linalg.inv", "le": "less_equal", "lgamma": "special.gammaln", "logit": "special.logit",
    "logsumexp": "special.logsumexp", "lt": "less", "matrix_power": "linalg.matrix_power", "mm": "matmul",
    "movedim": "moveaxis", "mul": "multiply", "mv": "matmul", "ne": "not_equal", "neg": "negative",
    "outer": "linalg.outer", "permute": "permute_dims", "pinverse": "linalg.pinv", "polygamma": "special.polygamma",
    "qr": "linalg.qr", "slogdet": "linalg.slogdet", "sub": "subtract", "trace": "linalg.trace", "trapz": "trapezoid",
    "unbind": "unstack", "xlogy": "special.xlogy",
}  # fmt: skip

METHODS = {
    "cumprod", "cumsum", "flatten", "norm", "numel", "relu", "sigmoid", "t", "transpose", "unsqueeze",
}  # fmt: skip

KEYWORDS = {"dim": "axis", "keepdim": "keepdims"}  # of any function


def method(name: str) -> Callable[..., Any]:
    """Return the function that calls the method of this name on its first argument."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Call `x.{name}(...)`."
    return call


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a tensor of this library."""
    return hasattr(type(x), "_xp")
