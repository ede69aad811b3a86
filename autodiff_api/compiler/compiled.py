"""`compile`: a function of arrays becomes a program, one for each kind of arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .. import levels
from ..arrays import Array
from ..binding import namespace
from ..errors import ArgumentTypeError, CompileError
from ..modes import mode
from ..namespaces import mismatch
from ..nn import Module
from ..trees import Tree, flatten
from .engines import Options, OtherKind, compiling
from .entries import Entry
from .reading import OTHER, Static, is_input, kind
from .state import State, Visit


class Compiled:
    """A compiled function: `compile` makes it.

    Call it like the function. `source()` shows the program of the last call, or the one for given arguments; `traces`
    counts how often the function was run to be traced.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        state: Any,
        static_argnums: Sequence[int],
        static_argnames: Sequence[str],
        options: Options,
    ) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self._state = State(state)
        self._options = options
        self._static = frozenset(static_argnums), frozenset(static_argnames)
        self._entries: dict[Any, Entry] = {}
        self._last: Entry | None = None

    @property
    def traces(self) -> int:
        """How often the function, or a derivative of it, was traced."""
        return sum(entry.pure.all_traces() for entry in self._entries.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program for these arguments, which is made if there is none."""
        if compiling():
            return self.function(*args, **kwargs)
        last = self._last
        if last is not None:
            try:
                found = last.call(args, kwargs)
            except OtherKind:
                last.beware()
            else:
                if found is not OTHER:
                    return found
        entry, inputs = self._entry(args, kwargs)
        return entry.run(inputs)

    def _entry(self, args: Any, kwargs: Any) -> tuple[Entry, list[Any]]:
        leaves, tree = flatten(self._marked(args, kwargs))
        look = self._state.look()
        inputs = [x for x in leaves if is_input(x)] + look.inputs()
        now = mode()
        key = (
            shown(tree), shown(look.tree), tuple([kind(x) for x in leaves]), look.kinds(),
            look.facts(), self._state.facts(), now.recording, now.inference,
        )  # fmt: skip
        try:
            entry = self._entries.get(key)
        except TypeError:
            raise ArgumentTypeError(
                f"compile: an argument of {self._name} that is no array and no number can't be hashed, and so no "
                "program can be found by it; make it a tuple, a string or an object with __hash__"
            ) from None
        if entry is None:
            xp = levels.ground(levels.home(inputs))
            for x in inputs:
                if isinstance(x, Array) and x._xp._root is not xp._root:
                    raise mismatch("compile", xp, x)
            visit = Visit(self._state, look)
            entry = self._entries[key] = Entry(self.function, self._name, leaves, tree, visit, xp, self._options)
        self._last = entry
        return entry, inputs

    @property
    def _name(self) -> str:
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def _marked(self, args: Any, kwargs: Any) -> Any:
        """Return the arguments with the static ones out of sight."""
        numbers, names = self._static
        if names:
            try:
                bound = inspect.signature(self.function).bind(*args, **kwargs)
            except ValueError:  # a built-in function has no signature
                pass
            else:
                positional = list(bound.arguments)[: len(args)]
                numbers = numbers | {i for i, name in enumerate(positional) if name in names}
        return (
            tuple([Static(x) if i in numbers or i - len(args) in numbers else x for i, x in enumerate(args)]),
            {k: Static(x) if k in names else x for k, x in kwargs.items()},
        )

    def source(self, *args: Any, **kwargs: Any) -> str:
        """Return the program as Python: that of the last call or, given arguments, that of a call with these.

        Raises CompileError where the engine compiles itself, or before the first call.
        """
        if args or kwargs:
            self(*args, **kwargs)
        entry = self._last
        if entry is None:
            raise CompileError(f"compile: {self._name} was not called yet; call it, or give source() arguments")
        return entry.pure.source()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Be a method, where it is one."""
        return self if instance is None else functools.partial(self, instance)


def shown(tree: Tree) -> Any:
    """Return a tree's structure as something that can be hashed."""
    return (tree.kind, tree.keys, tuple([shown(child) for child in tree.children])) if tree.make is not None else None


def compile(
    function: Callable[..., Any] | None = None,
    /,
    *,
    state: Any = (),
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    engine: str | None = None,
    threads: int = 1,
) -> Any:
    """Return a function that does the same as `function` and is faster: a program, for each kind of arguments one.

    Arguments are trees of arrays, tensors and numbers, and anything else that can be hashed. A program is made when
    shapes, dtypes, the structure of the arguments, or static arguments are new; numbers are arguments like arrays,
    unless `static_argnums` or `static_argnames` name them. `state` is what the function changes: modules, optimizers
    and tensors, alone or in a tree; they go in and come out. A module that is compiled is its own state.

    An engine with a compiler of its own compiles it: `jax.jit`. For NumPy the function runs once on traced arrays, and
    what it did is simplified and written out as Python, which `source()` shows. Compiled functions are differentiable,
    to any order, and their derivatives are compiled too. What the function uses without being given it is a constant.

    `threads` may share element-wise work on large arrays of NumPy's. With `engine="jax"` a function of NumPy's arrays
    runs on XLA: NumPy in, NumPy out.

    Raises CompileError where what the function does depends on values, as in `if x > 0`.

    >>> import autodiff_api as ad, numpy as np
    >>> @ad.compile
    ... def f(x, y):
    ...     return (x * y + 1.0).sum()
    >>> f(np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0]))
    np.float64(13.0)
    """
    if function is None:
        return functools.partial(
            compile,
            state=state,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            engine=engine,
            threads=threads,
        )
    if isinstance(function, Module) and not state:
        state = function
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    options = Options(threads, None if engine is None else namespace(engine))
    return Compiled(function, state, numbers, names, options)
