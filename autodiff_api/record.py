"""How an operation on tensors is recorded: unwrap, call the kernel, and add one node if a gradient is wanted.

Unary and binary functions are closures with nothing to decide but that. Ops with static arguments sort their
arguments by the op's signature first: `Single` for those of one array, what is in `several.py` for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .errors import GraphError
from .graph import MANY, Node, Recipe, new_node
from .modes import mark, mode, rare_used, recorded
from .namespaces import Bound, backend_name
from .rules.kinds import statics_of

new = object.__new__
Function = Callable[..., Any]


def unwrapper(bound: Bound) -> Callable[[Any], tuple[Any, Any]]:
    """Return a function that takes any operand apart into (value, node); NotImplemented for a foreign one."""
    array, constant = bound.array, bound.constant

    def unwrap(x: Any) -> tuple[Any, Any]:
        return (x._value, x._node) if isinstance(x, array) else (constant(x), None)

    return unwrap


class Known(dict[Any, Any]):
    """A table that computes what it does not have yet."""

    __slots__ = ("compute",)

    def __init__(self, compute: Function) -> None:
        self.compute = compute

    def __missing__(self, key: Any) -> Any:
        return self.setdefault(key, self.compute(key))


def recipes(bound: Bound) -> Callable[[tuple[bool, ...]], Recipe]:
    """Return what gives an op's recipes, one for each choice of inputs that need a gradient."""

    def recipe(needs: tuple[bool, ...]) -> Recipe:
        return Recipe(bound.op, needs, bound.kernel, bound.invoke, bound.lower, bound.array, bound.keeping)

    return Known(recipe).__getitem__


def look(node: Node, operands: Sequence[Any]) -> None:
    """Show a node to those who watch; raise if it saved an operand that was made in inference mode.

    A transformation may be called in that mode, and records what it needs for itself.
    """
    sources = node.recipe.sources
    for i, x in enumerate(operands):
        if getattr(x, "_inference", False) and not mode().transforming and (i in sources or "all" in sources):
            raise GraphError(
                "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode "
                "in computation tracked by autograd. Make a clone, or use no_grad() instead of inference_mode()."
            )
    recorded(node)


def unary(bound: Bound, foreign: Function) -> Function:
    """Bind a function of one array and nothing else."""
    tensor, kernel, unwrap, record = bound.array, bound.kernel, unwrapper(bound), None
    recipe_for = recipes(bound)

    def call(x: Any, /) -> Any:
        nonlocal record
        if x.__class__ is tensor:
            value = x._value
            node = x._node
        else:
            value, node = unwrap(x)
            if value is NotImplemented:
                return foreign(x, (x,))
        try:
            out = kernel(value)
        except (RuntimeError, TypeError, ValueError) as error:
            bound.explain((value,), (), error)
            raise
        result = new(tensor)
        result._value = out
        if node is None or not mode().recording:
            result._node = None
            if rare_used:
                mark(result)
            return result
        if record is None:
            record = recipe_for((True,)).node
        result._node = record(value, out, (), (node,), node)
        if rare_used:
            recorded(result._node)
        return result

    return call


def binary(bound: Bound, foreign: Function) -> Function:
    """Bind a function of two arrays, either of which may be a Python scalar."""
    tensor, kernel, unwrap = bound.array, bound.kernel, unwrapper(bound)
    recipe_for = recipes(bound)
    keep = bound.keep
    left = right = both = None  # what makes a node, by which inputs need a gradient: compiled on first need

    def call(x1: Any, x2: Any, /) -> Any:
        nonlocal left, right, both
        if x1.__class__ is tensor:
            v1 = x1._value
            n1 = x1._node
        else:
            v1, n1 = unwrap(x1)
            if v1 is NotImplemented:
                return foreign(x1, (x1, x2))
        if x2.__class__ is tensor:
            v2 = x2._value
            n2 = x2._node
        else:
            v2, n2 = unwrap(x2)
            if v2 is NotImplemented:
                return foreign(x2, (x1, x2))
        try:
            out = kernel(v1, v2)
        except (RuntimeError, TypeError, ValueError) as error:
            bound.blame_shapes(v1, v2, error)
            raise
        result = new(tensor)
        result._value = out
        if (n1 is None and n2 is None) or not mode().recording:
            result._node = None
            if rare_used:
                mark(result)
            return result
        if n2 is None:
            record = left or (left := recipe_for((True, False)).node)
            like = n1
            n2 = v2 = v2 if x2.__class__ is tensor else keep(x2, v2)
        elif n1 is None:
            record = right or (right := recipe_for((False, True)).node)
            like = n2
            n1 = v1 = v1 if x1.__class__ is tensor else keep(x1, v1)
        else:
            like = n1
            record = both or (both := recipe_for((True, True)).node)
        result._node = record(v1, v2, out, (), (n1, n2), like)
        if rare_used:
            look(result._node, (x1, x2))
        return result

    return call


def constant(bound: Bound) -> Function:
    """Bind a function whose derivative is zero: nothing is recorded, whatever its inputs."""
    tensor, kernel, unwrap = bound.array, bound.kernel, unwrapper(bound)

    def call(*args: Any, **kwargs: Any) -> Any:
        values = [unwrap(x)[0] for x in args]
        for x, value in zip(args, values, strict=True):
            if value is NotImplemented:
                return bound.hand_on(x, args, kwargs)
        given = {k: v._value if isinstance(v, tensor) else v for k, v in kwargs.items()}
        for v in given.values():
            if bound.xp.above(v) is not None:
                return bound.hand_on(v, args, kwargs)
        try:
            out = kernel(*values, **given)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            bound.explain(values, tuple(map(given.get, bound.op.statics)), error)
            raise
        return tuple(map(tensor._make, out)) if isinstance(out, tuple | list) else tensor._make(out)

    return call


def comparison(bound: Bound, foreign: Function) -> Function:
    """Bind a constant function of two arrays, as an operator needs it."""
    tensor, kernel, unwrap, make = bound.array, bound.kernel, unwrapper(bound), bound.array._make

    def call(x1: Any, x2: Any, /) -> Any:
        v1 = x1._value if x1.__class__ is tensor else unwrap(x1)[0]
        if v1 is NotImplemented:
            return foreign(x1, (x1, x2))
        v2 = x2._value if x2.__class__ is tensor else unwrap(x2)[0]
        if v2 is NotImplemented:
            return foreign(x2, (x1, x2))
        try:
            return make(kernel(v1, v2))
        except (RuntimeError, TypeError, ValueError) as error:
            bound.blame_shapes(v1, v2, error)
            raise

    return call


class Recorder:
    """What ops with static arguments are recorded by: whether to, and with which recipe.

    `takes_gradient(dtype)` tells whether an output of a dtype can have a gradient: a cast or a sum may make integers.
    """

    __slots__ = ("bound", "recipe_for", "takes_gradient", "unwrap")

    def __init__(self, bound: Bound) -> None:
        self.bound, self.unwrap, self.recipe_for = bound, unwrapper(bound), recipes(bound)
        kinds = ("real floating", "complex floating")
        self.takes_gradient = Known(lambda dtype: bound.lower.isdtype(dtype, kinds)).__getitem__


class Single(Recorder):
    """An op of one array: reductions, shape functions, indexing."""

    __slots__ = ("_recipe", "statics")

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self.statics = statics_of(bound.op)
        self._recipe: Recipe | None = None

    def record(self, value: Any, node: Any, statics: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the value of the op, and its node if `node` is given."""
        bound = self.bound
        try:
            out = bound.invoke(bound.kernel, (value,), statics)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            bound.explain((value,), statics, error)
            raise
        if node is None or not self.takes_gradient(out.dtype):
            return out, None
        recipe = self._recipe
        if recipe is None:
            recipe = self._recipe = self.recipe_for((True,))
        made = recipe.node(value, out, statics, (node,), node)
        if rare_used:
            recorded(made)
        return out, made

    def record_many(self, value: Any, node: Any, statics: tuple[Any, ...]) -> Any:
        """Return the tensors of an op with several outputs, in its named tuple."""
        bound = self.bound
        result, make = bound.op.result, bound.array._make
        assert result is not None
        try:
            out = result(*bound.invoke(bound.kernel, (value,), statics))
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            bound.explain((value,), statics, error)
            raise
        if node is None:
            return result(*map(make, out))
        recipe = self._recipe
        if recipe is None:
            recipe = self._recipe = self.recipe_for((True,))
        made = new_node(recipe, statics, (node,), recipe.pick(value, out, statics), MANY, MANY)
        if rare_used:
            recorded(made)
        return made.items(out)


def single(recorder: Single) -> Function:
    """Return the function of an op of one array."""
    tensor, unwrap, sort, record = recorder.bound.array, recorder.unwrap, recorder.statics, recorder.record
    hand_on, keep = recorder.bound.hand_on, recorder.bound.keep

    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        statics = sort(x, *args, **kwargs)
        if x.__class__ is tensor:
            value = x._value
            node = x._node
        else:
            value, node = unwrap(x)
            if value is NotImplemented:
                return hand_on(x, (x, *args), kwargs)
        if node is not None and not mode().recording:
            node = None
        out, made = record(value, node, statics)
        result = new(tensor)
        result._value = out if x.__class__ is tensor else keep(x, out)  # flip(array) is a view of what others may write
        result._node = made
        if rare_used:
            mark(result)
        return result

    return call


def decomposition(recorder: Single) -> Function:
    """Return the function of an op of one array with several outputs."""
    unwrap, sort, record = recorder.unwrap, recorder.statics, recorder.record_many

    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        statics = sort(x, *args, **kwargs)
        value, node = unwrap(x)
        if value is NotImplemented:
            return recorder.bound.hand_on(x, (x, *args), kwargs)
        return record(value, node if mode().recording else None, statics)

    return call


def defer(bound: Bound) -> Function:
    """Return what an operator does with a foreign operand: defer if it is no array, else as a function does."""

    def foreign(x: Any, args: Sequence[Any]) -> Any:
        return bound.hand_on(x, args) if backend_name(x) is not None else NotImplemented

    return foreign
