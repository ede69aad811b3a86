"""The functions that users hand to loops and branches: trees in, trees out, and what is carried keeps its form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import levels
from ..arrays import Array
from ..errors import OutputError, TreeError
from ..freezing import FrozenCall
from ..modes import mode
from ..namespaces import Namespace
from ..trees import Tree, flatten, matching, one_level, paths, unflatten
from ..values import is_array
from .layers import Arrays
from .runs import Run, tried

NUMBERS = (bool, int, float, complex)


class Called:
    """One call of a loop: its arrays' namespace, and the tree that is carried.

    `raw` says that no argument was a tensor: then results that are no more than values are raw arrays too.
    """

    def __init__(self, name: str, carry: Any, *others: Any) -> None:
        self.name = name
        leaves, self.tree = flatten(carry)
        rest = flatten(others)[0]
        self.xp: Namespace = levels.home([*leaves, *rest])
        self.raw = not any(isinstance(x, Array) for x in (*leaves, *rest))
        self.places = paths(self.tree, "carry")
        self.numbers = [i for i, x in enumerate(leaves) if isinstance(x, NUMBERS) and not hasattr(x, "dtype")]
        beside = [levels.lift(x, self.xp) for x in (*leaves, *rest) if is_array(x)]
        self.carry = [self._carried(x, place, beside) for x, place in zip(leaves, self.places, strict=True)]

    def _carried(self, x: Any, place: str, beside: Sequence[Any]) -> Any:
        """Return what is carried first as a tensor; a number takes the precision of the arrays beside it."""
        like = [y.dtype for y in beside if y._is_float()]
        if like and type(x) in (float, complex):
            return self.xp.asarray(x, dtype=self.xp.result_type(*like, x))
        return levels.number(x, self.xp, f"{self.name}: {place}")

    def function(self, given: Callable[..., Any]) -> Callable[..., Any]:
        """Return a user's function: transformations in it stand on the level of this call.

        In the pass backward it closes over what it closed over now: `layer` in a loop over layers is this one.
        """
        frozen = FrozenCall(given, (), {}) if mode().recording else None

        def function(*args: Any) -> Any:
            run = Run.current.get()
            with levels.entered(self.xp):
                if frozen is None or run is None:
                    return given(*args)
                run.held |= frozen.leaves
                return frozen.function(*args) if run.again else given(*args)

        return function

    def tensors(self, result: Any, what: str) -> tuple[Arrays, Tree]:
        """Return the leaves of what a function returned as tensors, and their structure."""
        leaves, tree = flatten(result)
        array = self.xp.array_class
        if all(isinstance(y, array) for y in leaves):
            return leaves, tree
        named = paths(tree, f"{self.name}: {what}")
        return [levels.number(y, self.xp, place) for y, place in zip(leaves, named, strict=True)], tree

    def carried(self, result: Any, kept: Arrays) -> Arrays:
        """Return the leaves of a new carry as tensors; an error if one has not the form of the one before."""
        found = self.loosely(result, kept)
        for x, y, place in zip(kept, found, self.places, strict=True):
            if tuple(x.shape) != tuple(y.shape) or x.dtype != y.dtype:
                raise OutputError(
                    f"{self.name}: {place} must keep its shape and dtype in every step; it came in as "
                    f"{form(x)} and went out as {form(y)}. Give the first one the form that steps return, or cast it"
                )
        return found

    def loosely(self, result: Any, kept: Arrays) -> Arrays:
        """Return the leaves of a new carry as tensors, whatever their form; numbers have the dtype of those before."""
        found = matching(self.tree, result, f"{self.name}: the carry that a step returns")
        return [self._next(x, y, place) for x, y, place in zip(kept, found, self.places, strict=True)]

    def _next(self, x: Any, y: Any, place: str) -> Any:
        """Return a leaf of a new carry as a tensor, given the one before."""
        if isinstance(y, self.xp.array_class):
            return y
        if (level := one_level(y)) is not None:
            raise TreeError(
                f"{self.name}: {place} must keep its structure in every step; it came in as one array and went out as "
                f"{type(y).__name__} of {len(level[1])}"
            )
        if type(y) in NUMBERS and fits(y, x):
            return self.xp.asarray(y, dtype=x.dtype)
        return levels.number(y, self.xp, f"{self.name}: {place}")

    def settle_numbers(self, step: Callable[[Arrays], Arrays]) -> None:
        """Give numbers that are carried first the dtype that steps return, as JAX does."""
        for _ in range(3 if self.numbers else 0):
            found, _ = tried(step, self.carry)
            wrong = [i for i in self.numbers if found[i].dtype != self.carry[i].dtype]
            if not wrong:
                return
            for i in wrong:
                if not castable(self.carry[i], found[i]):
                    return
                self.carry[i] = self.xp.astype(self.carry[i], found[i].dtype)

    def put(self, leaves: Arrays, tree: Tree | None = None) -> Any:
        """Return results in their structure, that of the carry if none is given."""
        return unflatten(self.tree if tree is None else tree, [levels.lowered(x) if self.raw else x for x in leaves])


def fits(number: Any, x: Any) -> bool:
    """Tell whether a number is of the kind of an array, or of a lower one: 1 is a float too, and True no integer."""
    if isinstance(number, bool):
        return bool(x._xp.isdtype(x.dtype, "bool"))
    if isinstance(number, int):
        return bool(x._xp.isdtype(x.dtype, "numeric"))
    return bool(x._is_complex()) if isinstance(number, complex) else bool(x._is_float())


def castable(x: Any, y: Any) -> bool:
    """Tell whether a number is still itself as an element of `y`: no fraction is lost."""
    kinds = ("bool", "integral", "real floating", "complex floating")
    rank = [next(i for i, kind in enumerate(kinds) if a._xp.isdtype(a.dtype, kind)) for a in (x, y)]
    return rank[0] <= rank[1]


def form(x: Any) -> str:
    """Say an array's dtype and shape.

    >>> import autodiff_api as ad
    >>> form(ad.zeros((2, 3)))
    'float64(2, 3)'
    """
    return f"{x.dtype}{tuple(x.shape)}"
