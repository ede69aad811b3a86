"""The PyTorch backend: tensors of PyTorch's as arrays, and its own autograd left out.

It is run on the CPU. On CUDA, MPS and XPU the same code runs, and is untested there (24 November 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from autodiff_api.backends import Backend
from autodiff_api.errors import DeviceNotFoundError, GradientError

from . import linalg, network, special, standard, words


def admit(x: Any) -> Any:
    """Return `x`; raise GradientError if PyTorch records what is computed with it, since we could not."""
    if x.requires_grad:
        raise GradientError(
            f"a torch.Tensor of shape {tuple(x.shape)} that requires grad in PyTorch met autodiff_api, which does not "
            "know its history: give x.detach(), and requires_grad_() to what is made of it"
        )
    return x


def devices() -> Sequence[Any]:
    """List the CPU and the accelerators of one kind that PyTorch finds."""
    found = [torch.device("cpu")]
    kind = torch.accelerator.current_accelerator(check_available=True)
    if kind is not None:
        found += [torch.device(kind.type, i) for i in range(torch.accelerator.device_count())]
    return found


def place(x: Any, device: Any, /, *, stream: None = None) -> Any:
    """Move `x` to `device`: a ``torch.device``, or its name, such as ``cpu`` or ``cuda:1``.

    >>> place(torch.ones(1), "cpu").device
    device(type='cpu')
    """
    try:
        return x.to(torch.device(device))
    except (AssertionError, RuntimeError, TypeError) as error:
        there = ", ".join(map(str, devices()))
        raise DeviceNotFoundError(f"PyTorch has no device {device!r} here; place it on one of {there}") from error


def to_numpy(x: Any) -> Any:
    """Return `x` as NumPy's, without a copy where it is on the CPU; NumPy has no bfloat16, which becomes float32."""
    x = x.cpu().resolve_conj().resolve_neg()
    return (x.to(torch.float32) if x.dtype is torch.bfloat16 else x).numpy()


def synchronize(arrays: list[Any]) -> None:
    """Wait until the devices of these tensors have done what they were given."""
    for device in {x.device for x in arrays if x.device.type != "cpu"}:
        torch.accelerator.synchronize(device)


BACKEND = Backend(
    name="torch",
    namespace=standard,
    array_types=(torch.Tensor,),
    kernels={
        **words.KERNELS,
        **linalg.KERNELS,
        **network.KERNELS,
        **special.KERNELS,
        "to_device": place,
    },
    keeping=network.KEEPING,
    admit=admit,
    devices=devices,
    place=place,
    refusals=(IndexError, NotImplementedError, RuntimeError, TypeError, ValueError),
    to_numpy=to_numpy,
    synchronize=synchronize,
)
