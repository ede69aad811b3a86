"""A call as it is now, to be made again later."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CellType, CodeType, FunctionType
from typing import Any

from .backends import backend_of
from .binding import namespace
from .graph import Leaf
from .tensors import Tensor
from .trees import flatten, unflatten
from .values import is_array

ALWAYS = ("__builtins__", "__name__", "__package__")  # what any code may ask its globals for
DYNAMIC = {"eval", "exec", "globals"}  # who calls these may look up any name


class FrozenCall:
    """A function and its arguments, that no later assignment changes.

    Tensors are as they are now, raw arrays among the arguments are copied, and so are the variables from outside that
    the function mentions: in `for layer in layers: x = checkpoint(lambda x: layer(x))(x)` each call has its own
    `layer`. Functions that it wraps are looked into as well, but nothing else that it can reach.
    """

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.leaves: set[Leaf] = set()  # whose values are held here
        self._copies: dict[Any, Any] = {}
        self.function = self._function(function)
        leaves, tree = flatten((tuple(args), dict(kwargs)))
        self.args, self.kwargs = unflatten(tree, [self._argument(x) for x in leaves])
        self._copies.clear()

    def again(self) -> Any:
        """Make the call, with copies of what it may change."""
        copy = FrozenCall(self.function, self.args, self.kwargs)
        return copy.function(*copy.args, **copy.kwargs)

    def _tensor(self, x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if isinstance(x._node, Leaf):
            self.leaves.add(x._node)
        return x._as_now()

    def _argument(self, x: Any) -> Any:
        backend = backend_of(x) if is_array(x) and not isinstance(x, Tensor) else None
        return self._tensor(x) if backend is None or backend.immutable else namespace(x)._lower.clone(x)

    def _function(self, function: Any) -> Any:
        if isinstance(function, functools.partial):
            keywords = {name: self._tensor(value) for name, value in function.keywords.items()}
            return functools.partial(self._function(function.func), *map(self._tensor, function.args), **keywords)
        if not isinstance(function, FunctionType):
            return function
        if function not in self._copies:
            self._copy(function)
        return self._copies[function]

    def _copy(self, function: FunctionType) -> None:
        names = set(mentioned(function.__code__))
        if names & DYNAMIC:
            self._copies[function] = function
            return
        outside = function.__globals__
        variables = {name: self._tensor(outside[name]) for name in (*ALWAYS, *names) if name in outside}
        old = function.__closure__ or ()
        cells = tuple(CellType() for _ in old)
        copy = FunctionType(function.__code__, variables, function.__name__, function.__defaults__, cells)
        copy.__kwdefaults__, copy.__dict__ = function.__kwdefaults__, {**function.__dict__}
        self._copies[function] = copy  # before its cells are looked into: one may hold the function itself
        for new, cell in zip(cells, old, strict=True):
            try:
                held = cell.cell_contents
            except ValueError:  # nothing has been assigned yet
                continue
            new.cell_contents = self._function(self._tensor(held))


def mentioned(code: CodeType) -> Iterator[str]:
    """Yield the names that a function's code, or that of a function in it, may look up outside."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from mentioned(constant)
