"""The Fourier transforms of array-api-compat, which also take an array of nothing; of such MKL makes an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import array_api_compat.torch.fft as compat
import torch

TRANSFORMS = ("fft", "fftn", "hfft", "ifft", "ifftn", "ihfft", "irfft", "irfftn", "rfft", "rfftn")


def transform(native: Any) -> Callable[..., Any]:
    """Return a transform that asks PyTorch for no more than the shape of nothing."""

    @wraps(native)
    def function(x: Any, /, **options: Any) -> Any:
        if x.numel():
            return native(x, **options)
        return torch.zeros_like(native(torch.empty_like(x, device="meta"), **options), device=x.device)

    return function


def __getattr__(name: str) -> Any:
    """Return a transform, or another function of the extension."""
    own = getattr(compat, name)
    found = globals()[name] = transform(own) if name in TRANSFORMS else own
    return found
