"""PyTorch's `torch.utils.checkpoint`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..checkpointing import checkpoint
from ..errors import CheckpointError

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]


def checkpoint_sequential(functions: Iterable[Any], segments: int, input: Any, **options: Any) -> Any:
    """Apply functions one after the other, in `segments` checkpoints of about as many functions each.

    `functions` may be a `nn.Sequential`; `options` are those of :func:`checkpoint`. The last part is not checkpointed,
    since a pass backward begins with it.

    >>> import autodiff_api as ad
    >>> x = ad.tensor(1.0, requires_grad=True)
    >>> y = ad.utils.checkpoint.checkpoint_sequential([ad.sin, ad.exp, ad.cos, ad.tanh], 2, x)
    >>> y.backward()
    >>> x.grad
    tensor(-0.5961)
    """
    functions = list(functions)
    size = max(len(functions) // segments, 1)
    starts = range(0, size * (segments - 1), size)

    def part(some: list[Any]) -> Any:
        def run(x: Any) -> Any:
            for function in some:
                x = function(x)
            return x

        return run

    for start in starts:
        input = checkpoint(part(functions[start : start + size]), input, **options)
    return part(functions[size * (segments - 1) :])(input)
