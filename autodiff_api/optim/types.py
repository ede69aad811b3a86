"""What the signatures of the optimizers name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from autodiff_api.tensors import Tensor

Array: TypeAlias = Any
"""A tensor, in a formula: its operators are those of its backend's own class."""

Group: TypeAlias = dict[str, Any]
"""A parameter group: "params" and the options."""

State: TypeAlias = dict[str, Any]
"""What is kept for one parameter from step to step: tensors, and "step", the number of steps taken."""

Params: TypeAlias = Iterable[Tensor] | Iterable[Mapping[str, Any]]
"""What an optimizer is made for: tensors, or parameter groups."""

Update: TypeAlias = Callable[[Array, Array, State, Group], tuple[Array, State]]
"""How one parameter moves: from it, its gradient, its state and the options to it and its state."""
