"""The way in and out of a program, as Python written for one kind of arguments.

Taking arguments apart in general costs tens of microseconds, more than many a program. So for each kind of arguments
there is code that looks at every fact that the program depends on, and at nothing else, and ends with OTHER where a
fact is another. What it can't be written for goes the general way each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..arrays import Array
from ..program import is_number
from ..trees import Tree
from ..values import is_array
from .emit import Names, compiled


class Static:
    """The value of a static argument, as a leaf that is no array."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def is_input(x: Any) -> bool:
    """Tell arrays and numbers, which a program gets, from what it is made for."""
    return is_array(x) or is_number(x)


def kind(x: Any) -> Any:
    """Return what a program depends on of one leaf."""
    if isinstance(x, Array):
        return "tensor", tuple(x.shape), x.dtype, x.requires_grad, x._xp
    if is_array(x):
        return "array", tuple(x.shape), x.dtype
    if is_input(x):
        return x.__class__
    return typed(x.value if isinstance(x, Static) else x)


def typed(x: Any) -> Any:
    """Return what tells a value from others, with its type: to `==` and to a dict, True is 1 and 1.0."""
    if isinstance(x, tuple | list):
        return x.__class__, tuple(map(typed, x))
    return x.__class__, x


Make: TypeAlias = Callable[[Any], Any]  # makes a tensor of a raw array

OTHER = object()  # what a call gives whose arguments are of another kind


class Unreadable(Exception):
    """There is a container that only the general way takes apart."""


class Again:
    """A Python number that is given again and again: from the second time on it is on the engine's device already."""

    __slots__ = ("kept", "make")

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make
        self.kept: tuple[Any, Any] = None, None  # in one, for threads: the number, and it on the device

    def __call__(self, x: Any) -> Any:
        """Return a number as a compiled function may take it."""
        was, there = self.kept
        if x is not was:
            self.kept = x, None
            return x
        if there is None:
            there = self.make(x)
            self.kept = x, there
        return there


class Reader:
    """Writes what reads the arguments of calls like one that was seen, in a function of `args` and `kwargs`.

    `number` makes an array of a Python number, for an engine that compiles and would else do so at each call.
    """

    def __init__(self, names: Names, number: Callable[[Any], Any] | None = None) -> None:
        self.names = names
        self.lines: list[str] = []
        self.values: list[str] = []
        self.given: list[str] = []  # the same, as they are: tensors, not what is in them
        self._number = number
        self._kinds: set[str] = set()  # the lines that look at shapes and dtypes
        self._other = self.thing(OTHER, "other")

    def check(self, condition: str) -> None:
        """Give up unless the condition holds."""
        self.lines.append(f"if not ({condition}): return {self._other}")

    def take(self, expression: str) -> str:
        """Give a name to an expression."""
        name = self.names.fresh("x")
        self.lines.append(f"{name} = {expression}")
        return name

    def thing(self, x: Any, wanted: str = "c") -> str:
        """Return the name of an object."""
        return self.names.thing(x, wanted)

    def tree(self, expression: str, tree: Tree, leaves: Any, leaf: Callable[[str, Any], None]) -> None:
        """Take a tree apart as it was; `leaves` yields what its leaves were, `leaf` reads one."""
        if tree.make is None:
            leaf(expression, next(leaves))
            return
        if tree.kind not in (dict, list, tuple, type(None)):
            raise Unreadable
        x = self.take(expression)
        if tree.kind is type(None):
            self.check(f"{x} is None")
            return
        self.check(f"{x}.__class__ is {tree.kind.__name__} and len({x}) == {len(tree.keys)}")
        if tree.kind is dict and tree.keys:
            self.check(f"{x}.keys() == {self.thing(dict.fromkeys(tree.keys).keys())}")
        for key, child in zip(tree.keys, tree.children, strict=True):
            self.tree(f"{x}[{self.names.word(key)}]", child, leaves, leaf)

    def array(self, expression: str, x: Any, value: Any) -> None:
        """Read a tensor or a raw array, if it is of the same class, shape and dtype."""
        name = self.take(expression)
        self.given.append(name)
        self.check(f"{name}.__class__ is {self.thing(x.__class__)}")
        if isinstance(x, Array):
            self.check(f"{name}._node is {'not ' if x.requires_grad else ''}None")
            name = self.take(f"{name}._value")
        self.check(f"{name}.dtype is {self.thing(value.dtype)} and {name}.shape == {tuple(value.shape)}")
        self._kinds.add(self.lines[-1])
        self.values.append(name)

    def number(self, expression: str, kind: type) -> None:
        """Read a Python number of a type."""
        name = self.take(expression)
        self.check(f"{name}.__class__ is {kind.__name__}")
        self.given.append(name)
        self.values.append(name if self._number is None else f"{self.thing(Again(self._number))}({name})")

    def leaf(self, expression: str, x: Any) -> None:
        """Read an array, or a number; any other leaf must be what it was."""
        if isinstance(x, Static):
            self.fact(expression, x.value)
        elif is_number(x):
            self.number(expression, x.__class__)
        elif is_array(x):
            self.array(expression, x, x._value if isinstance(x, Array) else x)
        else:
            self.fact(expression, x)

    def fact(self, expression: str, value: Any) -> None:
        """Read what must be what it was."""
        if value is None or isinstance(value, bool):
            self.check(f"{expression} is {value}")
        elif value.__class__ in (int, str):
            name = self.take(expression)
            self.check(f"{name}.__class__ is {value.__class__.__name__} and {name} == {value!r}")
        else:
            self.check(f"{self.thing(typed)}({expression}) == {self.thing(typed(value))}")

    def looks(self, trusting: bool = False) -> list[str]:
        """Return the lines; trusting ones leave it to the engine to look at shapes and dtypes."""
        return [line for line in self.lines if not (trusting and line in self._kinds)]


def put_together(
    names: Names,
    tree: Tree,
    leaves: Sequence[Any],
    number: Callable[[Any], int | None],
    make: Callable[[Any], Any] | None,
) -> str:
    """Return the expression that puts `outputs` of a program together to the result.

    They become tensors, if it is given how to make one; `number` tells which output a leaf is, None for what is the
    same every time.
    """
    rest = iter(leaves)

    def text(tree: Tree) -> str:
        if tree.make is None:
            leaf = next(rest)
            k = number(leaf)
            if k is None:
                return names.word(leaf)
            return f"outputs[{k}]" if make is None else f"{names.thing(make, 'tensor')}(outputs[{k}])"
        parts = [text(child) for child in tree.children]
        if tree.kind is type(None):
            return "None"
        if tree.kind is tuple:
            return f"({''.join(f'{part}, ' for part in parts)})"
        if tree.kind is dict:
            return f"{{{', '.join(f'{names.word(k)}: {p}' for k, p in zip(tree.keys, parts, strict=True))}}}"
        inner = f"[{', '.join(parts)}]"
        return inner if tree.kind is list else f"{names.thing(tree.make, 'put_together')}({inner})"

    return text(tree)


def written_as(heading: str, lines: Sequence[str], names: Names) -> Callable[..., Any]:
    """Return the function `run` of these lines."""
    return compiled("\n    ".join([f"def run({heading}):", *lines]) + "\n", names.scope)
