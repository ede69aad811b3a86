"""Special functions: PyTorch's own where they are as exact as the generic ones, which compute the others.

Those of `torch.special` that are not here, and how far they are off (PyTorch 2.13): ndtr loses its left tail from -8.5,
where it is 0, and log_ndtr 95 units in the last place in float32; i0 and i1 overflow before they have to in float32;
logit 8e-13 near 1/2 in float64; zeta is nan at infinity; sinc has no zeros in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F

from .words import generic

Kernel = Callable[..., Any]


def gammaln(x: Any, /) -> Any:
    """Return the logarithm of the absolute value of the gamma function, for minus infinity as SciPy has it.

    >>> gammaln(torch.asarray([3.0, -torch.inf])).tolist()
    [0.6931471824645996, -inf]
    """
    return torch.where(x == -torch.inf, x, torch.lgamma(x))


def of_numbers(native: Any) -> Kernel:
    """Return a function of arrays that takes Python's numbers too."""

    @wraps(native)
    def kernel(*args: Any) -> Any:
        if any(not isinstance(x, torch.Tensor) for x in args):
            first = next((x for x in args if isinstance(x, torch.Tensor)), torch.empty(0))
            dtype = first.dtype if first.dtype.is_floating_point else torch.get_default_dtype()
            args = tuple(torch.as_tensor(x, dtype=dtype, device=first.device) for x in args)
        return native(*args)

    return kernel


def along(name: str, native: Any) -> Kernel:
    """Return a function along one axis, for which PyTorch has its own; along several, or all, it is the generic one."""
    other = generic(name)

    def kernel(x: Any, /, axis: Any = None) -> Any:
        return native(x, axis) if axis.__class__ is int and x.dtype.is_floating_point else other(x, axis=axis)

    return kernel


NATIVE: dict[str, Any] = {
    "digamma": torch.special.digamma,
    "entr": torch.special.entr,
    "erf": torch.special.erf,
    "erfc": torch.special.erfc,
    "erfcx": torch.special.erfcx,
    "erfinv": torch.special.erfinv,
    "expit": torch.special.expit,
    "gammaln": gammaln,
    "i0e": torch.special.i0e,
    "i1e": torch.special.i1e,
    "log_expit": F.logsigmoid,
    "ndtri": torch.special.ndtri,
    "psi": torch.special.digamma,
    "xlog1py": torch.special.xlog1py,
    "xlogy": torch.special.xlogy,
}
KERNELS: dict[str, Kernel] = {
    **{f"special.{name}": of_numbers(native) for name, native in NATIVE.items()},
    "special.log_softmax": along("special.log_softmax", torch.log_softmax),
    "special.softmax": along("special.softmax", torch.softmax),
}
