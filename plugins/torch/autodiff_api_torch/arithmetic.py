"""Operations of two tensors: PyTorch's own where the dtypes are one, and array-api-compat's promotion where not.

PyTorch gives an array of no axes less say in promotion than one with axes, and the standard the same. To look at two
dtypes takes a fifth of what array-api-compat's functions take to look at all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import array_api_compat.torch as compat
import torch

Kernel = Callable[..., Any]
T = torch.Tensor


def promoting(name: str, native: Any) -> Kernel:
    """Return a function of two tensors, or of a tensor and a number."""
    promoted: Kernel = getattr(compat, name)

    @wraps(promoted)
    def kernel(x1: Any, x2: Any, /) -> Any:
        if isinstance(x1, T) and (x2.__class__ in NUMBERS if not isinstance(x2, T) else x1.dtype is x2.dtype):
            return native(x1, x2)
        return promoted(x1, x2)

    return kernel


def subtract(x1: Any, x2: Any, /) -> Any:
    """Return the difference, where one side may be True or False; PyTorch knows better, and refuses."""
    if isinstance(x1, T) and isinstance(x2, T):
        return torch.subtract(x1, x2) if x1.dtype is x2.dtype else compat.subtract(x1, x2)
    x1, x2 = (int(x) if isinstance(x, bool) else x for x in (x1, x2))
    return compat.subtract(x1, x2)


NUMBERS = (float, int)
ALIKE: dict[str, Any] = {  # PyTorch's function of a tensor and another, or a number
    "add": torch.add,
    "divide": torch.divide,
    "equal": torch.eq,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "multiply": torch.multiply,
    "not_equal": torch.ne,
    "pow": torch.pow,
}


def both(name: str, native: Any) -> Kernel:
    """Return a function of two tensors."""
    promoted: Kernel = getattr(compat, name)

    @wraps(promoted)
    def kernel(x1: Any, x2: Any, /) -> Any:
        if isinstance(x1, T) and isinstance(x2, T) and x1.dtype is x2.dtype:
            return native(x1, x2)
        return promoted(x1, x2)

    return kernel


def remainder(x1: Any, x2: Any, /) -> Any:
    """Return the remainder, with the sign of `x2` also where it is a zero; PyTorch makes that a positive one.

    >>> remainder(torch.asarray([-0.0, 4.0]), torch.asarray([2.0, -2.0]))
    tensor([0., -0.])
    """
    out = compat.remainder(x1, x2)
    if not out.dtype.is_floating_point:
        return out
    return torch.where(out == 0, torch.copysign(out, torch.as_tensor(x2, dtype=out.dtype, device=out.device)), out)


def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """Return elements of the one or the other."""
    if isinstance(x1, T) and isinstance(x2, T) and x1.dtype is not x2.dtype:
        return compat.where(condition, x1, x2)
    return torch.where(condition, x1, x2)


def complex_(re: Any, im: Any) -> Any:
    """Return the complex numbers with these real and imaginary parts.

    >>> complex_(torch.asarray([1.0]), torch.asarray(torch.inf))
    tensor([1.+infj])
    """
    given = next(x for x in (re, im) if isinstance(x, T))
    parts = [torch.as_tensor(x, device=given.device) for x in (re, im)]
    dtype = compat.result_type(given, *parts)
    dtype = dtype if dtype in (torch.float32, torch.float64) else torch.float32
    return torch.complex(*torch.broadcast_tensors(*[x.to(dtype) for x in parts]))


KERNELS: dict[str, Kernel] = {
    **{name: promoting(name, native) for name, native in ALIKE.items()},
    **{name: both(name, getattr(torch, name)) for name in ("matmul", "maximum", "minimum")},
    "complex": complex_,
    "remainder": remainder,
    "subtract": subtract,
    "where": where,
}
