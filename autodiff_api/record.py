"""How an operation on tensors is recorded: unwrap, call the kernel, and add one node if a gradient is wanted.

Unary and binary functions are closures with nothing to decide but that; every other op goes through
`general`, which sorts its arguments by the op's signature first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .graph import Node, Recipe
from .modes import mode
from .namespaces import Bound, backend_name

new = object.__new__
Function = Callable[..., Any]


def unwrapper(bound: Bound) -> Callable[[Any], tuple[Any, Any]]:
    """Return a function that takes any operand apart into (value, node); NotImplemented for a foreign one."""
    array, constant = bound.array, bound.constant

    def unwrap(x: Any) -> tuple[Any, Any]:
        return (x._value, x._node) if isinstance(x, array) else (constant(x), None)

    return unwrap


def recipes(bound: Bound) -> Callable[[tuple[bool, ...]], Recipe]:
    """Return the table of an op's recipes, one for each choice of inputs that need a gradient."""
    made: dict[tuple[bool, ...], Recipe] = {}

    def recipe(needs: tuple[bool, ...]) -> Recipe:
        found = made.get(needs)
        if found is None:
            found = Recipe(bound.op, needs, bound.kernel, bound.invoke, bound.lower, bound.array)
            made[needs] = found
        return found

    return recipe


def unary(bound: Bound, foreign: Function) -> Function:
    """Bind a function of one array and nothing else."""
    tensor, kernel, unwrap, recipe = bound.array, bound.kernel, unwrapper(bound), None
    recipe_for = recipes(bound)

    def call(x: Any, /) -> Any:
        nonlocal recipe
        if x.__class__ is tensor:
            value = x._value
            node = x._node
        else:
            value, node = unwrap(x)
            if value is NotImplemented:
                return foreign(x)
        out = kernel(value)
        result = new(tensor)
        result._value = out
        if node is None or not mode().recording:
            result._node = None
            return result
        if recipe is None:
            recipe = recipe_for((True,))
        result._node = Node(recipe, (), (node,), recipe.pick(value, out, ()), out.shape, out.dtype)
        return result

    return call


def binary(bound: Bound, foreign: Function) -> Function:
    """Bind a function of two arrays, either of which may be a Python scalar."""
    tensor, kernel, unwrap = bound.array, bound.kernel, unwrapper(bound)
    recipe_for = recipes(bound)
    left = right = both = None  # the recipes by which inputs need a gradient, compiled on first need

    def call(x1: Any, x2: Any, /) -> Any:
        nonlocal left, right, both
        if x1.__class__ is tensor:
            v1 = x1._value
            n1 = x1._node
        else:
            v1, n1 = unwrap(x1)
            if v1 is NotImplemented:
                return foreign(x1)
        if x2.__class__ is tensor:
            v2 = x2._value
            n2 = x2._node
        else:
            v2, n2 = unwrap(x2)
            if v2 is NotImplemented:
                return foreign(x2)
        out = kernel(v1, v2)
        result = new(tensor)
        result._value = out
        if (n1 is None and n2 is None) or not mode().recording:
            result._node = None
            return result
        if n2 is None:
            recipe = left or (left := recipe_for((True, False)))
            n2 = v2
        elif n1 is None:
            recipe = right or (right := recipe_for((False, True)))
            n1 = v1
        else:
            recipe = both or (both := recipe_for((True, True)))
        result._node = Node(recipe, (), (n1, n2), recipe.pick(v1, v2, out, ()), out.shape, out.dtype)
        return result

    return call


def constant(bound: Bound) -> Function:
    """Bind a function whose derivative is zero: nothing is recorded, whatever its inputs."""
    tensor, kernel, unwrap = bound.array, bound.kernel, unwrapper(bound)

    def value_of(x: Any) -> Any:
        value = unwrap(x)[0]
        return bound.refuse(x) if value is NotImplemented else value

    def call(*args: Any, **kwargs: Any) -> Any:
        out = kernel(*map(value_of, args), **{k: v._value if isinstance(v, tensor) else v for k, v in kwargs.items()})
        return tuple(map(tensor._make, out)) if isinstance(out, tuple | list) else tensor._make(out)

    return call


def comparison(bound: Bound, foreign: Function) -> Function:
    """Bind a constant function of two arrays, as an operator needs it."""
    tensor, kernel, unwrap, make = bound.array, bound.kernel, unwrapper(bound), bound.array._make

    def call(x1: Any, x2: Any, /) -> Any:
        v1 = x1._value if x1.__class__ is tensor else unwrap(x1)[0]
        if v1 is NotImplemented:
            return foreign(x1)
        v2 = x2._value if x2.__class__ is tensor else unwrap(x2)[0]
        if v2 is NotImplemented:
            return foreign(x2)
        return make(kernel(v1, v2))

    return call


class Recorder:
    """Any other op: sort the arguments, unwrap the arrays among them, call, record."""

    __slots__ = ("_differentiable", "_inexact", "_recipe", "_sort", "_unwrap", "bound")

    def __init__(self, bound: Bound, sort: Function) -> None:
        self.bound, self._sort, self._unwrap, self._recipe = bound, sort, unwrapper(bound), recipes(bound)
        op = bound.op
        self._differentiable = [n in op.rule.formulas for n in op.arrays] if op.rule else []
        self._inexact: dict[Any, bool] = {}

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], list[Any], tuple[Any, ...]]:
        """Return the values and the nodes of the array arguments, and the static ones."""
        arrays, statics = self._sort(*args, **kwargs)
        values, nodes = [], []
        for x in arrays:
            value, node = self._unwrap(x)
            if value is NotImplemented:
                self.bound.refuse(x)
            values.append(value)
            nodes.append(node)
        array = self.bound.array
        return values, nodes, tuple([s._value if isinstance(s, array) else s for s in statics])

    def record(self, values: list[Any], nodes: list[Any], statics: tuple[Any, ...], recording: bool) -> tuple[Any, Any]:
        """Return the value of the op on values, and its node if there is anything to record."""
        bound = self.bound
        out = bound.invoke(bound.kernel, values, statics)
        if not recording or nodes.count(None) == len(nodes) or not self._takes_gradient(out.dtype):
            return out, None
        differentiable = self._differentiable
        if bound.op.variadic:
            needs = tuple([n is not None for n in nodes])
        else:
            needs = tuple([n is not None and d for n, d in zip(nodes, differentiable, strict=True)])
        if True not in needs:
            return out, None
        recipe = self._recipe(needs)
        edges = tuple([n if need else v for n, need, v in zip(nodes, needs, values, strict=True)])
        return out, Node(recipe, statics, edges, recipe.pick(*values, out, statics), out.shape, out.dtype)

    def _takes_gradient(self, dtype: Any) -> bool:
        known = self._inexact.get(dtype)
        if known is None:
            known = self.bound.lower.isdtype(dtype, ("real floating", "complex floating"))
            self._inexact[dtype] = known
        return known

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the op on tensors and return a tensor."""
        values, nodes, statics = self.arguments(args, kwargs)
        out, node = self.record(values, nodes, statics, mode().recording)
        return self.bound.array._make(out, node)


def refuse(bound: Bound) -> Function:
    """Return what a function does with a foreign operand: raise."""
    return bound.refuse


def defer(bound: Bound) -> Function:
    """Return what an operator does with a foreign operand: raise for another backend's array, else defer."""

    def foreign(x: Any) -> Any:
        return bound.refuse(x) if backend_name(x) is not None else NotImplemented

    return foreign
