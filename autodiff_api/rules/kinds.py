"""The four kinds of rule, and how a rule becomes code.

A formula is a function whose *parameter names say what it needs*, and those are exactly what the graph
keeps alive for it:

======================  ====================================================================
name                    what the formula receives
======================  ====================================================================
`t`                     the one vector it is applied to: tangent going forward, cotangent going back
`out`                   the op's output
`x`, `x1`, `axis` ...   the op's own parameters, by the standard's names
`x_shape`, `x_dtype`,   facts about an array parameter, without keeping the array alive
`x_device`
`xp`                    the namespace to compute in
======================  ====================================================================

No formula says `conj`-of-the-cotangent, un-broadcasts or casts: the walk does that once, for every rule.
A formula may branch on static parameters and on Python scalars, never on array values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from ..errors import MissingRuleError

Formula = Callable[..., Any]
FACTS = ("shape", "dtype", "device")


class Rule:
    """Say how an op is differentiated: one formula per differentiable array parameter."""

    conjugates = True  # backward is conj(formula(conj(t))), so that one formula serves both modes

    def __init__(self, **formulas: Formula) -> None:
        self.formulas: Mapping[str, Formula] = formulas


class Elementwise(Rule):
    """Formulas linear in `t` that serve both modes: applied to the tangent, or to the cotangent."""


class Linear(Rule):
    """The op is linear in these parameters together; each formula is the transpose, forward is the op."""


class Multilinear(Rule):
    """The op is linear in each parameter; each formula is its transpose, forward is the product rule.

    `added` names a parameter that is added to the product of the others, or None: a bias.
    """

    def __init__(self, added: str | None = None, **formulas: Formula) -> None:
        super().__init__(**formulas)
        self.added = added


class General(Rule):
    """None of the above: a `vjp`, and a `jvp` that takes `t` as the tangent of the same parameter.

    With several `args`, `vjp` returns one cotangent for each and `jvp` takes a tuple of tangents. For an op with
    several outputs, `out` is the tuple of them, `vjp` takes a tuple of cotangents, in which None stands for an output
    that nothing depends on, and `jvp` returns a tuple of tangents.
    """

    conjugates = False

    def __init__(self, vjp: Formula, jvp: Formula, args: tuple[str, ...] = ("x",)) -> None:
        super().__init__(**dict.fromkeys(args, vjp))
        self.vjp, self.jvp = vjp, jvp


def zero(t: Any, xp: Any) -> Any:
    """Return the zero derivative of a piecewise constant function."""
    return xp.zeros_like(t)


@dataclass(frozen=True)
class Op:
    """A named primitive: the standard's name and signature, and its rule.

    `rule=None` states that the derivative is zero and the result never requires grad (comparisons, indices).
    `kernel` is the generic implementation in the standard's functions, called with an extra keyword `xp`;
    an op of the standard has none, since the namespace supplies it.
    `inputs` names the array parameters; by default those that the rule names.
    `result` is the named tuple that an op with several outputs returns. `samples` makes calls for the laws to check,
    for an op that a plugin brings: a function from :class:`autodiff_api.testing.samples.Draw` to samples.
    `batch` is the batching law (see `batching.py`); without one an element-wise rule is it, else the generic kernel.
    `kernels` has better ones for some backends, by their names; a kernel that a plugin brings goes before these.
    """

    name: str
    signature: str
    rule: Rule | None = None
    kernel: Callable[..., Any] | None = None
    inputs: tuple[str, ...] = ()
    view: bool = False
    result: Callable[..., Any] | None = None
    samples: Callable[..., Any] | None = None
    batch: Any = None
    kernels: Mapping[str, Callable[..., Any]] = field(default_factory=dict, compare=False)

    @cached_property  # when first asked for: a program uses few of the ops that there are
    def parameters(self) -> tuple[str, ...]:
        """The names in the signature."""
        return tuple(inspect.signature(signature_of(self.signature)).parameters)

    @cached_property
    def arrays(self) -> tuple[str, ...]:
        """The array parameters, in the signature's order."""
        given = self.inputs or tuple(self.rule.formulas if self.rule else self.parameters[:1])
        return tuple([n for n in self.parameters if n in given])

    @cached_property
    def statics(self) -> tuple[str, ...]:
        """The parameters that are no arrays."""
        return tuple([n for n in self.parameters if n not in self.arrays])

    @property
    def variadic(self) -> bool:
        """Whether the op takes a list of arrays."""
        return "arrays" in self.arrays

    @property
    def title(self) -> str:
        """Name the node of this op, PyTorch's way: `permute_dims` -> `PermuteDims`.

        >>> from autodiff_api.rules import OPS
        >>> OPS["permute_dims"].title
        'PermuteDims'
        """
        return "".join(part[:1].upper() + part[1:] for part in self.name.replace(".", "_").split("_"))


def to_dtype(t: Any, dtype: Any, xp: Any) -> Any:
    """Bring what a formula made to a dtype: the real part of it where that is real."""
    if t.dtype == dtype:
        return t
    if xp.isdtype(t.dtype, "complex floating") and not xp.isdtype(dtype, "complex floating"):
        t = xp.real(t)
    return xp.astype(t, dtype, copy=False)


@dataclass(frozen=True)
class Derivative:
    """An op's rule compiled for one choice of inputs that need a gradient.

    `targets` are the positions of those inputs. `pick(*inputs, out, statics)` returns the tuple to save, whose
    entries are called `names`; `sources` says where each came from: an input's position, "out", "all" for a
    list of inputs, or None for a fact or a static parameter. `pull(t, saved, xp)` returns the targets' cotangents.
    """

    targets: tuple[int, ...]
    names: tuple[str, ...]
    sources: tuple[int | str | None, ...]
    pick: Callable[..., tuple[Any, ...]]
    pull: Callable[[Any, tuple[Any, ...], Any], Any]
    conjugates: bool


def signature_of(text: str) -> Any:
    """Return a function with the signature that a text such as `"x, /, *, axis=None"` describes."""
    return eval(f"lambda {text}: None", {"newaxis": None})


def binder_of(op: Op) -> Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Return a function of the op's signature that sorts its arguments into (arrays, statics)."""
    arrays = "*arrays" if op.variadic else ", ".join(op.arrays)
    text = f"lambda {op.signature}: (({arrays},), ({''.join(f'{n}, ' for n in op.statics)}))"
    bind = eval(text)
    bind.__name__ = bind.__qualname__ = op.name
    return bind  # type: ignore[no-any-return]


def statics_of(op: Op) -> Callable[..., tuple[Any, ...]]:
    """Return a function of the op's signature that keeps the static arguments, for ops of one array."""
    statics = eval(f"lambda {op.signature}: ({''.join(f'{n}, ' for n in op.statics)})")
    statics.__name__ = statics.__qualname__ = op.name
    return statics  # type: ignore[no-any-return]


def invoker_of(op: Op) -> Callable[[Callable[..., Any], Sequence[Any], tuple[Any, ...]], Any]:
    """Return `invoke(kernel, arrays, statics)`, which calls a kernel with the op's own signature."""
    where = {n: f"a[{i}]" for i, n in enumerate(op.arrays)} | {n: f"p[{i}]" for i, n in enumerate(op.statics)}
    if op.variadic:
        where["arrays"] = "list(a)"
    parts = []
    for name, parameter in inspect.signature(signature_of(op.signature)).parameters.items():
        keyword = f"{name}=" if parameter.kind is parameter.KEYWORD_ONLY else ""
        parts.append(keyword + where[name])
    return eval(f"lambda kernel, a, p: kernel({', '.join(parts)})")  # type: ignore[no-any-return]


def derivative(op: Op, needs: tuple[bool, ...]) -> Derivative:
    """Compile the rule of `op` for the inputs marked in `needs`.

    >>> from autodiff_api.rules import OPS
    >>> d = derivative(OPS["multiply"], (True, False))
    >>> d.pick(2.0, 5.0, 10.0, ()), d.pull(1.0, (5.0,), None)
    ((5.0,), (5.0,))
    """
    if op.variadic:  # one formula for the whole list: the same code whichever elements need a gradient
        whole = _compile(op, ("arrays",))
        pick = whole.pick
        return replace(
            whole,
            targets=tuple(i for i, need in enumerate(needs) if need),
            pick=lambda *a: pick(a[:-2], a[-2], a[-1]),
            pull=lambda t, s, xp: [g for g, need in zip(whole.pull(t, s, xp), needs, strict=True) if need],
        )
    return _compile(op, tuple(n for n, need in zip(op.arrays, needs, strict=True) if need))


@cache
def _compile(op: Op, wanted: tuple[str, ...]) -> Derivative:
    rule = op.rule
    assert rule is not None
    scope: dict[str, Any] = {}
    slots: dict[str, int] = {}  # name -> position in the saved tuple, in order of first mention

    def call(name: str, formula: Formula) -> str:
        scope[f"f_{name}"] = formula
        words = [_word(p, slots) for p in inspect.signature(formula).parameters]
        return f"f_{name}({', '.join(words)})"

    if isinstance(rule, General):
        body = call("vjp", rule.vjp)
        if len(rule.formulas) == 1:
            body = f"({body},)"
        elif wanted != tuple(rule.formulas):
            places = [list(rule.formulas).index(name) for name in wanted]
            body = f"(lambda g: ({''.join(f'g[{i}], ' for i in places)}))({body})"
    else:
        calls = [call(n, rule.formulas[n]) if n in rule.formulas else _missing(n, op, scope) for n in wanted]
        body = calls[0] if op.variadic else f"({', '.join(calls)},)"
    pull = eval(f"lambda t, s, xp: {body}", scope)
    exprs = "".join(f"{expression(name, op)}, " for name in slots)
    pick = eval(f"lambda {', '.join(op.arrays)}, out, p: ({exprs})")
    targets = tuple(op.arrays.index(n) for n in wanted)
    sources = tuple(_source(n, op) for n in slots)
    return Derivative(targets, tuple(slots), sources, pick, pull, rule.conjugates)


def _word(parameter: str, slots: dict[str, int]) -> str:
    if parameter in ("t", "xp"):
        return parameter
    return f"s[{slots.setdefault(parameter, len(slots))}]"


def expression(name: str, op: Op, places: Mapping[str, str] | None = None) -> str:
    """Return what a formula's parameter stands for, in terms of the op's arrays, `out`, and the statics `p`.

    `places` says what an array is called, where that is not its own name.
    """
    if name in op.statics:
        return f"p[{op.statics.index(name)}]"
    base, _, fact = name.rpartition("_")
    if base in op.arrays and fact in FACTS:
        base = places[base] if places else base
        read = f"getattr({base}, 'device', None)" if fact == "device" else f"{base}.{fact}"  # None while it is traced
        return f"tuple([x.{fact} for x in arrays])" if op.variadic else read
    return places.get(name, name) if places else name


def _source(name: str, op: Op) -> int | str | None:
    if name in op.arrays:
        return "all" if op.variadic else op.arrays.index(name)
    return "out" if name == "out" else None


def refuser(op: Op, name: str) -> Callable[..., Any]:
    """Return a function that raises: `op` has no derivative with respect to its parameter `name`."""

    def refuse(*args: Any) -> Any:
        raise MissingRuleError(
            f"the derivative of {op.name} with respect to `{name}` is not implemented; detach that argument, or "
            f"declare a rule for it: a formula called `{name}`, as docs/how-to/add-a-rule.md says"
        )

    return refuse


def _missing(name: str, op: Op, scope: dict[str, Any]) -> str:
    scope[f"f_{name}"] = refuser(op, name)
    return f"f_{name}()"
