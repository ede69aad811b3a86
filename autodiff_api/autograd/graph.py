"""PyTorch's `torch.autograd.graph`: what can be done with the recorded graph, by its names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import GradientError, GraphError
from ..graph import MANY, Leaf, Node, place_of
from ..hooks import register_multi_grad_hook
from ..saved import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks

__all__ = [
    "GradientEdge",
    "Leaf",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


@dataclass(frozen=True)
class GradientEdge:
    """A place in the graph: one output of a node. `autograd.grad` and `backward` take it where they take a tensor.

    It holds no data, so it stands for a tensor whose memory is to be given back. `ownership_token` is the node of that
    one output, where the operation has several.
    """

    node: Any
    output_nr: int = 0
    ownership_token: Any = None

    @property
    def _node(self) -> Any:
        if self.ownership_token is not None:
            return self.ownership_token
        if self.node.shape is MANY:
            raise GradientError(
                f"{self.node.name()} has several outputs, and this edge does not know the tensor of number "
                f"{self.output_nr}; make it with get_gradient_edge(tensor)"
            )
        return self.node

    shape = property(lambda self: self._node.shape)
    dtype = property(lambda self: self._node.dtype)
    size = property(lambda self: math.prod(self._node.shape))
    _xp = property(lambda self: self._node.array._xp)
    is_leaf = True  # `backward(inputs=...)` stores no `.grad` here
    device = None  # as of arrays that go with those of any

    @property
    def _value(self) -> Any:
        """What a cotangent of ones is made like: the edge has the data no more."""
        return self._xp._lower.zeros(tuple(self.shape), dtype=self.dtype)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.node, self.output_nr))


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """Return the place in the graph where a tensor comes from: `grad` with respect to it is that of the tensor.

    Raises GraphError for a tensor that requires no gradient.

    >>> import autodiff_api as ad
    >>> x = ad.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> edge = ad.autograd.graph.get_gradient_edge(y)
    >>> ad.autograd.grad(2 * y, edge)
    (tensor(2.),)
    """
    node = tensor._node
    if node is None:
        raise GraphError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients; "
            "call requires_grad_() on it, or compute it from one that does"
        )
    owner, output_nr = place_of(node)
    return GradientEdge(owner, output_nr, None if owner is node else node)
