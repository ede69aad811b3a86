"""What `Module.to` does: moving and casting tensors that others hold on to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autodiff_api.errors import ArgumentTypeError
from autodiff_api.export import destination
from autodiff_api.tensors import Tensor


def floating(xp: Any, targets: Iterable[Any], dtype: Any, device: Any) -> tuple[Any, Any]:
    """Return the dtype and the device that the arguments of `Module.to` name, None where they name none.

    A target is a device, a floating-point dtype, or a tensor that has both.
    Raises `ArgumentTypeError` for any other dtype.
    """
    dtype, device = destination(xp, targets, dtype, device)
    if dtype is not None and not xp.isdtype(dtype, ("real floating", "complex floating")):
        raise ArgumentTypeError(
            f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}. "
            "Cast single tensors with astype()."
        )
    return dtype, device


def moved(tensor: Tensor, dtype: Any, device: Any) -> Any:
    """Return a constant with the dtype, unless `tensor` holds integers or bools, and on the device."""
    inexact = tensor.__array_namespace__().isdtype(tensor.dtype, ("real floating", "complex floating"))
    return tensor.detach().to(dtype=dtype if inexact else None, device=device)


def move_parameter(parameter: Any, dtype: Any, device: Any) -> None:
    """Move a parameter and its gradient; the parameter stays the object that an optimizer holds."""
    grad = parameter.grad
    parameter.data = moved(parameter, dtype, device)
    if grad is not None:
        parameter.grad = moved(grad, dtype, device)
