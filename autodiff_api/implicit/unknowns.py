"""A tree of arrays as one real vector, and back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import OutputError, ShapeError
from ..trees import Tree, matching, paths, unflatten


class Unknown:
    """How a tree of tensors is one vector: real and imaginary parts of all elements, one after the other.

    A vector of real numbers is right for any function of complex ones, holomorphic or not.
    """

    def __init__(self, leaves: Sequence[Any], tree: Tree) -> None:
        self.tree = tree
        self.like = [(tuple(x.shape), x.dtype, x._is_complex()) for x in leaves]
        sizes = [math.prod(shape) * (1 + pair) for shape, _, pair in self.like]
        self.places = list(itertools.pairwise(itertools.accumulate(sizes, initial=0)))
        self.size = sum(sizes)
        xp = leaves[0]._xp
        self.reals = [xp.real(x).dtype if x._is_complex() else x.dtype for x in leaves]
        self.dtype = xp.result_type(*self.reals)

    def vector(self, leaves: Sequence[Any]) -> Any:
        """Return the leaves of a tree as one vector."""
        parts = []
        for x, (_, _, pair) in zip(leaves, self.like, strict=True):
            for part in (x._xp.real(x), x._xp.imag(x)) if pair else (x,):
                part = part if part.dtype == self.dtype else part._xp.astype(part, self.dtype)
                if part.ndim != 1:
                    part = part._xp.reshape(part, (-1,)) if part.ndim else part._xp.expand_dims(part, axis=0)
                parts.append(part)
        return parts[0] if len(parts) == 1 else parts[0]._xp.concat(parts)

    def tree_of(self, v: Any) -> Any:
        """Return the tree that a vector stands for."""
        xp, leaves = v._xp, []
        for (shape, _, pair), real, (start, end) in zip(self.like, self.reals, self.places, strict=True):
            if shape == () and not pair:
                leaves.append(v[start] if real == self.dtype else xp.astype(v[start], real))
                continue
            x = v if end - start == self.size else v[start:end]
            x = x if real == self.dtype else xp.astype(x, real)
            if pair:
                x = x[: (end - start) // 2] + 1j * x[(end - start) // 2 :]
            leaves.append(x if len(shape) == 1 else xp.reshape(x, shape))
        return unflatten(self.tree, leaves)

    def flat(self, result: Any, name: str, lift: Callable[[Any, str], Any]) -> Any:
        """Return what a function returned as a vector; an error unless it is a tree built like the unknown."""
        leaves = []
        found = matching(self.tree, result, name)
        for x, (shape, _, pair), place in zip(found, self.like, paths(self.tree, name), strict=True):
            y = lift(x, place)
            if tuple(y.shape) != shape:
                raise ShapeError(
                    f"{place} has shape {tuple(y.shape)}, but the unknown there has {shape}; there must be as many "
                    "equations as unknowns"
                )
            if y._is_complex() and not pair:
                raise OutputError(f"{place} is {y.dtype}, but the unknown there is real; start at complex numbers")
            leaves.append(y + 0j if pair and not y._is_complex() else y)
        return self.vector(leaves)
