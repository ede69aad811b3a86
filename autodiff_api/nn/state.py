"""What `Module.load_state_dict` checks and copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from autodiff_api.errors import StateDictError
from autodiff_api.modes import no_grad
from autodiff_api.tensors import Tensor


class IncompatibleKeys(NamedTuple):
    """The names that a state dict lacked, and those it had to no purpose."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def load(owner: str, own: Mapping[str, Tensor], given: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Copy `given` into the tensors of `own`, in place; all or nothing.

    Values may be tensors of any backend and device or NumPy arrays; each is cast to the dtype of the tensor
    it goes to. Raises `StateDictError`, before anything is copied, for a value of another shape or that is
    no array and, if `strict`, for names that don't match.
    """
    missing, unexpected = [key for key in own if key not in given], [key for key in given if key not in own]
    result = IncompatibleKeys(missing, unexpected)
    shared = [(key, tensor, given[key]) for key, tensor in own.items() if key in given]
    problems = [problem for item in shared if (problem := misfit(*item)) is not None]
    if strict:
        problems[:0] = [
            f"{word} key(s) in state_dict: {quoted(keys)}."
            for word, keys in (("Missing", missing), ("Unexpected", unexpected))
            if keys
        ]
    if problems:
        listed = "\n\t".join(problems)
        remedy = " Pass strict=False to load only what is there." if strict and any(result) else ""
        raise StateDictError(f"Error(s) in loading state_dict for {owner}:\n\t{listed}\nNothing was loaded.{remedy}")
    copies = [(tensor, counterpart(value, tensor)) for _, tensor, value in shared]
    with no_grad():
        for tensor, copied in copies:  # nothing is computed any more, so nothing can fail half-way
            tensor._assign(copied)
    return result


def misfit(key: str, tensor: Tensor, value: Any) -> str | None:
    """Return why `value` cannot be copied into `tensor`, or None."""
    if not isinstance(value, Tensor | np.ndarray):
        return f'expected a tensor for "{key}" but received {type(value).__name__}.'
    if tuple(value.shape) != tensor.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {tuple(value.shape)} from checkpoint, "
            f"the shape in current model is {tensor.shape}."
        )
    return None


def counterpart(value: Any, like: Tensor) -> Tensor:
    """Return `value` as a tensor of its own on the backend and device of `like`, and of its dtype."""
    xp = like.__array_namespace__()
    if isinstance(value, Tensor) and value.__array_namespace__() is not xp:
        value = value.numpy(force=True)
    elif isinstance(value, Tensor):
        value = value.detach()
    tensor: Tensor = xp.asarray(value, dtype=like.dtype, device=like.device, copy=True)
    return tensor


def clear_gradients(tensors: Iterable[Tensor], set_to_none: bool) -> None:
    """Set each `grad` to None, or to a constant of zeros where there is one."""
    for tensor in tensors:
        if set_to_none:
            tensor.grad = None
        elif tensor.grad is not None:
            tensor.grad.detach_()
            tensor.grad.zero_()


def quoted(keys: Iterable[str]) -> str:
    """Return names as PyTorch lists them."""
    return ", ".join(f'"{key}"' for key in keys)
