"""How ops of several arrays are recorded: by code that is written out for the op, if it has a fixed number of them.

Nothing in that code is decided by a loop over the arguments, which is a third of what such an op would cost.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .graph import MANY, new_node
from .modes import mark, mode, rare_used
from .namespaces import Bound
from .record import Recorder, look, new
from .rules import Op
from .rules.kinds import binder_of, signature_of


class Several(Recorder):
    """An op of a list of arrays, or of several that has several outputs."""

    __slots__ = ("_sort",)

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self._sort = binder_of(bound.op)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the op on tensors and return a tensor."""
        bound, tensor = self.bound, self.bound.array
        arrays, statics = self._sort(*args, **kwargs)
        values, nodes, own = [], [], True
        for x in arrays:
            if x.__class__ is tensor:
                values.append(x._value)
                nodes.append(x._node)
                continue
            value, node = self.unwrap(x)
            if value is NotImplemented:
                return bound.hand_on(x, args, kwargs)
            values.append(value)
            nodes.append(node)
            own = own and isinstance(x, tensor)
        try:
            out = bound.invoke(bound.kernel, values, statics)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            bound.explain(values, statics, error)
            raise
        result, make = bound.op.result, tensor._make
        if result is not None:
            out = result(*out)
        needs = tuple([n is not None for n in nodes])  # an argument without a formula is refused by the walk
        idle = True not in needs or not mode().recording
        if idle or (result is None and not self.takes_gradient(out.dtype)):
            return make(out) if result is None else result(*map(make, out))
        recipe = self.recipe_for(needs)
        if not own:
            values = [v if n is not None else bound.keep(x, v) for x, n, v in zip(arrays, nodes, values, strict=True)]
        edges = tuple([v if n is None else n for n, v in zip(nodes, values, strict=True)])
        shape, dtype = (out.shape, out.dtype) if result is None else (MANY, MANY)
        node = new_node(recipe, statics, edges, recipe.pick(*values, out, statics), shape, dtype)
        if rare_used:
            look(node, arrays)
        return make(out, node) if result is None else node.items(out)


TAKEN_APART = """
        if isinstance({x}, _tensor):
            _v_{x} = {x}._value
            _n_{x} = {x}._node{absent}
        else:
            _n_{x}, _v_{x} = None, _constant({x})
            if _v_{x} is NotImplemented:
                return _hand_on({x}, {given})"""

ABSENT = """
        elif {x} is None:
            _n_{x} = _v_{x} = None"""

CONSTANT = """
        if _n_{x} is None:
            _n_{x} = _v_{x} = _v_{x} if {x}.__class__ is _tensor else _keep({x}, _v_{x})"""

FUNCTION = """
def maker({names}):
    def call({signature}):{taken_apart}
        _like = {like}
        _recording = _like is not None and _mode().recording
        try:
            {run}
        except (IndexError, RuntimeError, TypeError, ValueError) as _error:
            _explain(({values},), ({statics}), _error)
            raise
        if not _recording or not _takes_gradient(_out.dtype):
            return _make(_out)
        _record = _recipe_for(({needs},)).node{constants}
        _node = _record({values}, _out, ({statics}), ({nodes},), _like{kept})
        _result = _new(_tensor)
        _result._value = _out
        _result._node = _node
        if _rare_used:
            _look(_node, ({arrays},))
            _mark(_result)
        return _result
    return call
"""

RUN = "_out = _kernel({call})"
RUN_KEEPING = """if _recording and not (_rare_used and _mode().watchers):
                _out, _kept = _keeping.forward({call})
            else:
                _out, _kept = _kernel({call}), None"""


def several(bound: Bound) -> Callable[..., Any]:
    """Return the function of an op of some arrays and one output.

    What its kernel can keep for the pass backward is kept if a node is made, and nobody watches what that saves.
    """
    recorder = Recorder(bound)
    names = {
        "_constant": bound.constant, "_explain": bound.explain, "_hand_on": bound.hand_on, "_keep": bound.keep,
        "_keeping": bound.keeping, "_kernel": bound.kernel, "_look": look, "_make": bound.array._make, "_mark": mark,
        "_mode": mode, "_new": new, "_rare_used": rare_used, "_recipe_for": recorder.recipe_for,
        "_takes_gradient": recorder.takes_gradient, "_tensor": bound.array,
    }  # fmt: skip
    scope: dict[str, Any] = {"newaxis": None}
    exec(source_of(bound.op, bound.keeping is not None, ", ".join(names)), scope)
    call = scope["maker"](**names)
    call.__name__ = call.__qualname__ = bound.op.name
    return call  # type: ignore[no-any-return]


def source_of(op: Op, keeps: bool, names: str) -> str:
    """Return the source of an op's function, inside one that takes what it needs."""

    def each(text: str) -> str:
        return ", ".join([text.format(x) for x in op.arrays])

    parameters = inspect.signature(signature_of(op.signature)).parameters
    words = {n: f"{n}={{}}" if p.kind is p.KEYWORD_ONLY else "{}" for n, p in parameters.items()}
    call = ", ".join([word.format(f"_v_{n}" if n in op.arrays else n) for n, word in words.items()])
    args = "".join([f"{n}, " for n, word in words.items() if word == "{}"])
    kwargs = ", ".join([f"{n!r}: {n}" for n, word in words.items() if word != "{}"])
    given = f"({args}), {{{kwargs}}}"
    absent = {x: ABSENT.format(x=x) if parameters[x].default is None else "" for x in op.arrays}
    return FUNCTION.format(
        names=names,
        signature=op.signature,
        taken_apart="".join([TAKEN_APART.format(x=x, given=given, absent=absent[x]) for x in op.arrays]),
        like=" or ".join([f"_n_{x}" for x in op.arrays]),
        run=(RUN_KEEPING if keeps else RUN).format(call=call),
        values=each("_v_{}"),
        statics="".join([f"{name}, " for name in op.statics]),
        needs=each("_n_{} is not None"),
        constants="".join([CONSTANT.format(x=x) for x in op.arrays]),
        nodes=each("_n_{}"),
        arrays=each("{}"),
        kept=", _kept" if keeps else "",
    )
