"""How the parameters of a group move: all at once by a kernel of their backend, compiled, or one by one as tensors.

First all is computed that can fail, then all is stored. A large parameter that nobody else can see is left to be
computed where it is when nothing can fail any more: a step needs no memory for a second model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import lru_cache
from itertools import starmap
from operator import call, setitem
from typing import Any

from autodiff_api.graph import Leaf, sharers, tick
from autodiff_api.modes import no_grad, rare_used
from autodiff_api.tensors import Tensor
from autodiff_api.views import ViewMixin

from .formulas import Formula
from .holders import is_alone
from .pairs import by_parts
from .types import Array, Group, State, Update

Call = tuple[Any, ...]  # a function and its arguments
Move = tuple[Tensor, Any, State, list[Call]]  # a parameter, its value, its state, and what is still to be computed
Company = tuple[list[Tensor], list[Any], list[Any], list[State]]  # parameters, their values, gradients and states
SINGLE: Company = ([], [], [], [])  # of those that move as tensors: complex, or not the engine's own
Moved = tuple[list[Any], list[State]]
Kernel = Callable[[list[Any], list[Any], list[State], Group], Moved]
InPlace = Callable[[Any, Any, State, Group, dict[Any, Any]], tuple[list[Call], State] | None]
LARGE = 1 << 16  # elements: from here on it is worth asking who holds an array
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
    room: dict[Any, Any] = {}
    last = inside = None
    companies: dict[Any, Company] = {}
    for param, grad in given:
        xp = param._xp
        if xp is not last:
            last, inside = xp, in_place_of(update, xp)
        if inside is not None and param._value.size >= LARGE:
            found = moved_inside(inside, param, grad, group, states, room)
            if found is not None:
                made.append(found)
                continue
        value = param._value
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
        for param, value, state in zip(params, values, new, strict=True):
            made.append((param, value, raised(state, make) if state else state, []))
    return made


def moved_inside(
    kernel: InPlace, param: Tensor, grad: Tensor, group: Group, states: Mapping[Tensor, State], room: dict[Any, Any]
) -> Move | None:
    """Return what moves a parameter where it is; None if it must stay as it is, since others can see it."""
    if not isinstance(param._value, param._xp._array_types) or not is_alone(param, states):
        return None
    old = states.get(param, {})
    found = kernel(param._value, grad._value, lowered(old), group, room)
    if found is None:
        return None
    todo, new = found
    make = param._xp.array_class._make
    kept = {k: old[k] if k in old and k != "step" else v if k == "step" else make(v) for k, v in new.items()}
    return param, param._value, kept, todo


def settle(made: Iterable[Move], states: dict[Tensor, State]) -> None:
    """Give parameters and state what was computed, in place: who shares a parameter's data sees it.

    What is left is calls into C, one after the other, so that a signal can't come between.
    """
    calls: list[Call] = []
    quiet: Any = nullcontext
    for param, value, state, todo in made:
        if todo:
            quiet = param._xp._quiet
        special = isinstance(param, ViewMixin) or (rare_used and getattr(param, "_inference", False))
        if special or isinstance(value, Tensor) or (value is param._value and not todo):
            with no_grad():  # an engine may have returned its argument: views notice a change by another object
                param._assign(value if isinstance(value, Tensor) else param._xp.array_class._make(value))
        else:
            calls += todo
            for twin in sharers(param):
                calls.append((setattr, twin, "_value", value))
                leaf = twin._node
                if leaf.__class__ is Leaf:
                    calls += ((setattr, leaf, "value", value), (setattr, leaf, "changed", tick()))
        if state:
            calls.append((setitem, states, param, state))
    with quiet():
        deque(starmap(call, calls), maxlen=0)


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
            return (param, *by_parts(update, param, grad, state, group), [])
        value, state = update(param, grad, state, group)
        return param, xp.astype(value, param.dtype, copy=False), state, []  # a learning rate may be a wider tensor


@lru_cache(maxsize=64)
def in_place_of(update: Formula, xp: Any) -> InPlace | None:
    """Return what an engine has to move large arrays where they are."""
    return getattr(xp._lower, f"{update.kernel}_in_place", None)


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
