"""A function and its arguments, made ready for a transformation: trees taken apart, arrays lifted to tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from .. import levels
from ..arrays import Array
from ..errors import GradientError, OutputError, TransformError
from ..trees import Tree, flatten, matching, paths, unflatten
from ..values import is_array

Argnums = int | Sequence[int]


def like(what: str, i: int, t: Any, x: Any) -> Any:
    """Return a tangent or cotangent `t` of `x` as a tensor of its shape and dtype, of its level or a higher one."""
    xp = x._xp
    own = levels.home([t]) if isinstance(t, Array) else xp
    t = levels.number(t, own if own._height > xp._height else xp, f"{what} {i}")
    if tuple(t.shape) != tuple(x.shape):
        raise GradientError(
            f"{what} {i} has shape {tuple(t.shape)}, but it must be that of its array: {tuple(x.shape)}"
        )
    if t.dtype != x.dtype:
        if t._is_complex() and not x._is_complex():
            raise GradientError(f"{what} {i} is {t.dtype}, but its array is {x.dtype}, which is real")
        t = t._xp.astype(t, x.dtype)
    return t


def chosen(name: str, argnums: Argnums, count: int) -> list[int]:
    """Return which of `count` arguments are chosen, each once; negative numbers count from the last."""
    try:
        given = [operator.index(n) for n in ((argnums,) if isinstance(argnums, int) else argnums)]
    except TypeError:
        raise TransformError(f"{name}: argnums={argnums!r}; it is an integer, or a tuple of them") from None
    if not all(-count <= n < count for n in given):
        raise TransformError(
            f"{name}: argnums={argnums}, but the function was called with {count} positional arguments"
        )
    places = [n % count for n in given]
    if len(set(places)) < len(places):
        raise TransformError(f"{name}: argnums={argnums} names an argument twice; each may be there once")
    return places


def ones_like(x: Any) -> Any:
    """Return the derivative of an array, or number, by itself: raw for raw."""
    xp = levels.home([x])
    ones = xp.ones_like(levels.lift(x, xp))
    return ones if isinstance(x, Array) else levels.lowered(ones)


class Call:
    """One call of a function: its arguments' leaves, as tensors of one namespace, and which of them are variables.

    Arrays become tensors, so that one namespace serves the function whatever it is given. `raw` says that no
    argument was a tensor: then results that are no more than values are given as raw arrays too.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Argnums = (),
    ) -> None:
        self.name, self.function = name, function
        self.leaves, self.tree = flatten((tuple(args), kwargs))
        self.xp = levels.home(self.leaves)
        self.raw = not any(isinstance(leaf, Array) for leaf in self.leaves)
        self.given = [levels.lift(x, self.xp) if is_array(x) else x for x in self.leaves]
        self.several = not isinstance(argnums, int)
        self.places: list[int] = []  # of the variables among the leaves
        self.structures: list[Tree] = []  # of each chosen argument
        self.slots: list[list[int | None]] = []  # for each of their leaves, which variable it is
        self._choose(args, argnums)

    def _choose(self, args: Sequence[Any], argnums: Argnums) -> None:
        children = self.tree.children[0].children
        for n in chosen(self.name, argnums, len(args)):
            start = sum(child.size for child in children[:n])
            self.structures.append(children[n])
            alone, places = children[n].make is None, enumerate(paths(children[n], f"argument {n}"), start)
            self.slots.append([self._variable(where, place, alone) for where, place in places])

    def _variable(self, where: int, place: str, alone: bool) -> int | None:
        """Take a leaf as a variable; what is no number may stand beside variables, but not `alone`."""
        x = self.leaves[where]
        if not is_array(x) and (isinstance(x, bool) or not isinstance(x, int | float | complex)):
            if alone:
                raise GradientError(f"{self.name}: {place} is {type(x).__name__}, by which there is no derivative")
            return None
        tensor = levels.lift(x, self.xp)
        if not tensor._is_float():
            raise GradientError(
                f"{self.name}: {place} has dtype {tensor.dtype}, by which there is no derivative; give it a floating "
                "dtype, or leave it out of argnums"
            )
        self.given[where] = tensor
        self.places.append(where)
        return len(self.places) - 1

    @property
    def variables(self) -> list[Any]:
        """The chosen leaves, as tensors."""
        return [self.given[i] for i in self.places]

    def tangents(self, trees: Sequence[Any]) -> list[Any]:
        """Return one tangent for each variable, as a tensor of its shape and dtype, of its level or a higher one."""
        if len(trees) != len(self.structures):
            raise TransformError(f"{self.name}: got {len(self.structures)} primals and {len(trees)} tangents")
        found = {}
        for structure, slots, tree in zip(self.structures, self.slots, trees, strict=True):
            for i, t in zip(slots, matching(structure, tree, f"{self.name}: the tangent"), strict=True):
                if i is not None:
                    found[i] = like(f"{self.name}: tangent", i, t, self.variables[i])
        return [found[i] for i in range(len(self.places))]

    def run(self, variables: Sequence[Any], xp: Any = None) -> Any:
        """Call the function with other arrays for the variables, of a higher level `xp` if it is given."""
        given = list(self.given)
        if xp is not None:
            given = [levels.lift(x, xp) if isinstance(x, Array) else x for x in given]
        for place, x in zip(self.places, variables, strict=True):
            given[place] = x
        args, kwargs = unflatten(self.tree, given)
        return self.function(*args, **kwargs)

    def split(self, result: Any, has_aux: bool) -> tuple[Any, Any]:
        """Take what a function with `has_aux` returned apart."""
        if not has_aux:
            return result, None
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise OutputError(
                f"{self.name}: with has_aux=True the function returns a pair (output, aux), got {type(result).__name__}"
            )
        return result[0], result[1]

    def outputs(self, result: Any, xp: Any) -> tuple[list[Any], Tree]:
        """Return the leaves of what the function returned, as tensors of `xp`, and their structure."""
        leaves, tree = flatten(result)
        named = paths(tree, f"{self.name}: the function's output")
        return [levels.number(y, xp, place) for y, place in zip(leaves, named, strict=True)], tree

    def chosen(self, of_variables: Sequence[Any]) -> Any:
        """Put one thing for each variable together, in the structure of the chosen arguments; None beside them."""
        parts = [
            unflatten(structure, [None if i is None else of_variables[i] for i in slots])
            for structure, slots in zip(self.structures, self.slots, strict=True)
        ]
        return tuple(parts) if self.several else parts[0]

    def finish(self, x: Any, *beside: Any) -> Any:
        """Return a result as the caller wants it: a raw array, if that is what was given and nothing is lost.

        `beside` is what was given later, such as tangents: a tensor among it asks for tensors too.
        """
        return levels.lowered(x) if self.raw and not any(isinstance(t, Array) for t in beside) else x
