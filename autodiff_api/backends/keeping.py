"""What a kernel keeps for its backward: a pair of kernels that a backend may offer beside the plain ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How an op of one output keeps what it computes on the way, for the op that its derivative is computed by.

    Both ops have plain kernels too, which do the same without: a derivative of a derivative needs them, and so does a
    graph that was freed or whose saved values are packed. The two ops call what they share by the same names.
    """

    forward: Callable[..., Any]
    """Is called like the op, and returns (its output, what is kept): anything; None where it is not worth keeping."""

    backward_op: str
    """The op that the rule calls: ``"nn.layer_norm_backward"``."""

    backward: Callable[..., Any]
    """Is called with what was kept, and then like `backward_op`. It may be called again, so it writes nothing there."""

    def __post_init__(self) -> None:
        """Refuse what would fail in the middle of somebody's computation."""
        if not (callable(self.forward) and callable(self.backward) and isinstance(self.backward_op, str)):
            raise TypeError("Keeping: forward and backward must be functions, and backward_op the name of an op")
