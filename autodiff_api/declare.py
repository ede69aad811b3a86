"""Declaring an operation of one's own: its name, its kernels and its rule, in one statement.

What the tables of `rules/` say of the standard's operations, :func:`op` says of one more. From then on it is like any
other: an attribute of every namespace and of the package, on every backend, forward and backward and under vmap.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, overload

from .backends import declare_op, extra_ops
from .dispatch import dispatcher
from .errors import ArgumentError, ArgumentTypeError
from .namespaces import CONSTANTS, DTYPES, Namespace, offer
from .rules import OPS, General, Op, Rule
from .rules.kinds import FACTS, signature_of

F = TypeVar("F", bound=Callable[..., Any])
UNKNOWN = Rule()  # no formula: going backward is an error that says so
_ours: set[str] = set()


@overload
def op(kernel: F, /) -> F: ...
@overload
def op(
    *,
    rule: Rule | None = ...,
    kernels: Mapping[str, Callable[..., Any]] | None = ...,
    inputs: tuple[str, ...] = ...,
    batch: Any = ...,
    result: Callable[..., Any] | None = ...,
    samples: Callable[..., Any] | None = ...,
    name: str | None = ...,
) -> Callable[[F], F]: ...
def op(
    kernel: Any = None,
    /,
    *,
    rule: Rule | None = UNKNOWN,
    kernels: Mapping[str, Callable[..., Any]] | None = None,
    inputs: tuple[str, ...] = (),
    batch: Any = None,
    result: Callable[..., Any] | None = None,
    samples: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Any:
    """Declare an operation: decorates its generic kernel, and returns the function that users call.

    The kernel computes with raw arrays, in the functions of the standard, which it finds in its keyword `xp`; its
    other parameters are the operation's. `rule` says how it is differentiated: one of the kinds of
    :mod:`autodiff_api.rules`; None states that the derivative is zero. Without a rule going backward is an error.

    `kernels` has better kernels for some backends, by their names, with the operation's own parameters. `inputs` names
    the array parameters: by default those that the rule names and those before the `/`. `batch` is a batching law,
    which an element-wise operation does not need, nor one whose generic kernel is enough. `result` is the named tuple
    that an operation with several outputs returns. `samples` makes calls for the laws of :mod:`autodiff_api.testing`.

    Declared again, an operation replaces the one before. Raises ArgumentError for a name that is taken, and for a
    formula whose parameters the operation does not have.

    >>> import autodiff_api as ad
    >>> from autodiff_api.rules import Elementwise
    >>> @ad.op(rule=Elementwise(x=lambda t, x, beta, xp: t * xp.special.expit(beta * x)))
    ... def soft(x, /, *, beta=1.0, xp):
    ...     return xp.logaddexp(beta * x, xp.zeros_like(x)) / beta
    >>> x = ad.tensor([0.0, 2.0], requires_grad=True)
    >>> soft(x, beta=3.0).sum().backward()
    >>> x.grad
    tensor([0.5000, 0.9975])
    """
    if kernel is None:
        return lambda kernel: declared(kernel, rule, kernels or {}, inputs, batch, result, samples, name)
    return declared(kernel, rule, {}, (), None, None, None, None)


def declared(
    kernel: Callable[..., Any],
    rule: Rule | None,
    kernels: Mapping[str, Callable[..., Any]],
    inputs: tuple[str, ...],
    batch: Any,
    result: Callable[..., Any] | None,
    samples: Callable[..., Any] | None,
    name: str | None,
) -> Callable[..., Any]:
    """Make an op of a kernel, let every namespace have it, and return its function."""
    name = name or kernel.__name__
    _check_name(name)
    signature = _signature(kernel, name)
    text = str(signature)[1:-1]
    arrays = inputs or _arrays(signature, rule)
    made = Op(name, text, rule, kernel, arrays, False, result, samples, batch, dict(kernels))
    _check_rule(made)
    _ours.add(name)
    declare_op(made)
    offer(made)
    function = dispatcher(name, kernel)
    function.__signature__ = inspect.signature(signature_of(text))  # type: ignore[attr-defined]
    function.op = made  # type: ignore[attr-defined]
    return function


def _check_name(name: str) -> None:
    taken = {*OPS, *CONSTANTS, *DTYPES, *dir(Namespace), *(o.name for o in extra_ops())} - _ours
    if not name.isidentifier() or name.startswith("_") or name in taken:
        why = "is there already" if name in taken else "is no name of a function"
        raise ArgumentError(f"op: {name!r} {why}; give the operation another name (name=)")


def _signature(kernel: Callable[..., Any], name: str) -> inspect.Signature:
    """Return the parameters of the operation: the kernel's but `xp`, without annotations."""
    given = inspect.signature(kernel).parameters
    if "xp" not in given or given["xp"].kind is not inspect.Parameter.KEYWORD_ONLY:
        raise ArgumentTypeError(
            f"op: the kernel of {name} must take the namespace it computes in: def {name}(..., *, xp)"
        )
    parameters = [p.replace(annotation=p.empty) for p in given.values() if p.name != "xp"]
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise ArgumentTypeError(f"op: {name} can't have a parameter {p}; name each, or take a list called `arrays`")
        if p.default is not p.empty and not isinstance(p.default, bool | int | float | complex | str | tuple | None):
            raise ArgumentTypeError(
                f"op: the default of {name}'s parameter {p.name} is a {type(p.default).__name__}; make it a number, a "
                "text, a tuple or None"
            )
    if not parameters:
        raise ArgumentTypeError(f"op: {name} has no parameters but xp; an operation has an array at least")
    return inspect.Signature(parameters)


def _arrays(signature: inspect.Signature, rule: Rule | None) -> tuple[str, ...]:
    """Return the array parameters: those of the rule, and those before the slash, or else those without a default."""
    given = signature.parameters.values()
    first = [p.name for p in given if p.kind is p.POSITIONAL_ONLY]
    named = [*(rule.formulas if rule is not None else ()), *first]
    return tuple(named or [p.name for p in given if p.default is p.empty])


def _check_rule(made: Op) -> None:
    """Refuse a formula that asks for what there is not, now rather than at backward."""
    rule = made.rule
    if rule is None:
        return
    strange = [n for n in (*rule.formulas, *made.inputs) if n not in made.parameters]
    if strange:
        _refuse(f"the rule of {made.name} speaks of {strange[0]!r}", made.parameters)
    words = {"t", "out", "xp", *made.parameters, *(f"{n}_{fact}" for n in made.arrays for fact in FACTS)}
    formulas = {"vjp": rule.vjp, "jvp": rule.jvp} if isinstance(rule, General) else dict(rule.formulas)
    for name, formula in formulas.items():
        for word in inspect.signature(formula).parameters:
            if word not in words:
                _refuse(f"the formula {name!r} of {made.name} has a parameter {word!r}", sorted(words))


def _refuse(fact: str, words: Any) -> NoReturn:
    raise ArgumentError(f"op: {fact}, which stands for nothing; there are {', '.join(words)}")
