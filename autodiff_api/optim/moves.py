"""How the parameters of a group move: all at once by a kernel of their backend, compiled, or one by one as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from autodiff_api.modes import no_grad, rare_used
from autodiff_api.tensors import Tensor
from autodiff_api.views import ViewMixin, rebind

from .formulas import Formula
from .pairs import by_parts
from .types import Array, Group, State, Update

Move = tuple[Tensor, Any, State]
Company = tuple[list[Tensor], list[Any], list[Any], list[State]]  # parameters, their values, gradients and states
SINGLE: Company = ([], [], [], [])  # of those that move as tensors: complex, or not the engine's own
Moved = tuple[list[Any], list[State]]
Kernel = Callable[[list[Any], list[Any], list[State], Group], Moved]
PROGRAMS = 32  # for an update at most: options that change at every step, other than `lr`, would be compiled into each
NUMBERS = {bool, float, int}  # exactly: a subclass such as numpy.float64 would decide the dtype of what it multiplies


def moves(update: Update, group: Group, states: Mapping[Tensor, State]) -> list[Move]:
    """Return each parameter that has a gradient with its next value and state; nothing is changed yet.

    The value is a tensor, or an array of the engine's.
    """
    given = [(param, grad) for param in group["params"] if (grad := param.grad) is not None]
    if not isinstance(update, Formula) or not are_numbers(group):
        return [move(update, param, grad, group, states) for param, grad in given]
    made: list[Move] = []
    companies: dict[Any, Company] = {}
    for param, grad in given:
        xp, value = param._xp, param._value
        company = companies.get((xp, value.dtype)) if isinstance(value, xp._array_types) else SINGLE
        if company is None:
            company = SINGLE if value.dtype in xp._lower.complexes else ([], [], [], [])
            companies[xp, value.dtype] = company
        if company is SINGLE:
            made.append(move(update, param, grad, group, states))
            continue
        company[0].append(param)
        company[1].append(value)
        company[2].append(grad._value)
        company[3].append(lowered(states[param]) if param in states else {})
    for (xp, _), (params, here, grads, old) in companies.items():
        if not params:
            continue
        values, new = kernel_of(update, xp)(here, grads, old, group)
        make = xp.array_class._make
        made += zip(params, values, [raised(state, make) if state else state for state in new], strict=True)
    return made


def settle(param: Tensor, value: Any) -> None:
    """Give a parameter its next value, in place: who shares the data sees it."""
    if isinstance(value, Tensor) or isinstance(param, ViewMixin) or rare_used:
        with no_grad():
            param._assign(value if isinstance(value, Tensor) else param._xp.array_class._make(value))
    else:
        rebind(param, value, param._node)


def lowered(state: State) -> State:
    """Return state with arrays of the engine's own."""
    return {key: value if key == "step" else value._value for key, value in state.items()}


def raised(state: State, make: Callable[[Any], Tensor]) -> State:
    """Return state with tensors."""
    return {key: value if key == "step" else make(value) for key, value in state.items()}


def are_numbers(group: Group) -> bool:
    """Tell whether all options are Python numbers, or pairs of them: a learning rate may be a tensor."""
    for name, value in group.items():
        if value.__class__ in NUMBERS or name == "params":
            continue
        if value.__class__ is not tuple or not all(part.__class__ in NUMBERS for part in value):
            return False
    return True


def move(update: Update, param: Tensor, grad: Array, group: Group, states: Mapping[Tensor, State]) -> Move:
    """Move one parameter as a tensor, whatever its namespace."""
    xp: Any = param.__array_namespace__()
    state = states.get(param, {})
    with no_grad():
        if xp.isdtype(param.dtype, "complex floating"):
            return (param, *by_parts(update, param, grad, state, group))
        value, state = update(param, grad, state, group)
        return param, xp.astype(value, param.dtype, copy=False), state  # a learning rate may be a wider tensor


@lru_cache(maxsize=64)
def kernel_of(update: Formula, xp: Any) -> Kernel:
    """Return what moves lists of an engine's arrays: its kernel, else the formula, compiled if it has a compiler."""
    found: Kernel | None = getattr(xp._lower, update.kernel, None)
    if found is not None:
        return found
    compiler = xp._backend.compile
    programs: dict[Any, Any] = {}

    def kernel(params: list[Any], grads: list[Any], states: list[State], options: Group) -> Moved:
        fixed = tuple([(name, value) for name, value in options.items() if name not in ("lr", "params")])
        program = programs.get(fixed)
        if program is None:
            if compiler is None or len(programs) == PROGRAMS:
                return each(update, xp, params, grads, states, options)

            def step(params: list[Any], grads: list[Any], states: list[State], lr: Any) -> Any:
                return each(update, xp, params, grads, states, {**dict(fixed), "lr": lr})

            program = programs[fixed] = compiler(step)
        values, new = program(params, grads, states, options["lr"])
        for state, old in zip(new, states, strict=True):
            if "step" in state:
                state["step"] = old.get("step", 0) + 1  # a number again
        return values, new

    return kernel


def each(update: Formula, xp: Any, params: list[Any], grads: list[Any], states: list[State], options: Group) -> Moved:
    """Move arrays one by one by the formula."""
    lower, values, new = xp._lower, [], []
    for param, grad, state in zip(params, grads, states, strict=True):
        value, kept = update.function(param, grad, state, options, xp=lower)
        values.append(lower.astype(value, param.dtype, copy=False))
        new.append(kept)
    return values, new
