"""A tower of array types: what one array is to each of its levels.

Inside transformations a tensor stands on dual and batched arrays, which stand on tensors, and so on down to the
engine. `lower` looks at an array from a level below: it stands still there, and hidden axes come into sight, in front.
`lift` is the way back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import levels
from ..namespaces import Namespace


def is_batched(kind: Namespace) -> bool:
    """Tell whether the arrays of a namespace have a hidden axis, and not a tangent."""
    return hasattr(kind.array_class, "_hidden")


def top_over(xp: Namespace) -> Namespace:
    """Return the highest namespace in use that stands on this one: else this one itself."""
    top = levels.current(xp)
    return top if xp in Tower(top).tensors else xp


class Tower:
    """The namespaces of tensors from the lowest up to `top`, for arrays with hidden axes at some of the levels.

    `sizes[k]` is the length of the hidden axis at level k, None where there is none.

    >>> import autodiff_api as ad
    >>> Tower(ad.namespace("numpy")).height
    0
    """

    def __init__(self, top: Namespace, samples: Iterable[Any] = ()) -> None:
        """Stand on the levels below `top`; hidden are the axes that any of the samples hides."""
        chain = [top]
        kinds: list[Any] = []
        while isinstance(kind := chain[-1]._lower._namespace, Namespace):
            kinds.append(kind)
            chain.append(kind._lower._namespace)
        self.top, self.tensors = top, chain[::-1]
        self.kinds = [None, *kinds[::-1]]  # what the tensors of level k hold
        self.height = len(chain) - 1
        self.sizes: list[int | None] = [None] * len(chain)
        for x in samples:
            self._measure(x)

    def _measure(self, x: Any) -> None:
        for k in range(self.height, 0, -1):
            held = x._value
            if is_batched(self.kinds[k]) and held._hidden:
                self.sizes[k] = held._value.shape[0]
            x = held._value

    def lead(self, k: int) -> int:
        """Return how many hidden axes are in sight at level k."""
        return sum(n is not None for n in self.sizes[k + 1 :])

    def lower(self, x: Any, k: int, start: int | None = None) -> Any:
        """Return an array of the top level (or level `start`) as a tensor of level k."""
        for j in range(self.height if start is None else start, k, -1):
            held, n = x._value, self.sizes[j]
            x = held._value
            if n is not None and not held._hidden:
                x = x._xp.broadcast_to(x, (n, *x.shape))
        return x

    def lift(self, x: Any, k: int) -> Any:
        """Return a tensor of level k as one of the top level."""
        for j in range(k + 1, self.height + 1):
            x = self.step(x, j)
        return x

    def step(self, x: Any, j: int, tangent: Any = None) -> Any:
        """Return a tensor of level j - 1 as one of level j, perhaps with a tangent."""
        make = self.kinds[j].array_class._make
        held = make(x, self.sizes[j] is not None) if is_batched(self.kinds[j]) else make(x, tangent)
        return self.tensors[j].array_class._make(held)
