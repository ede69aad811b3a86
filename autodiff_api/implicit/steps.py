"""Runge–Kutta methods on lists of arrays, from time 0 to time 1.

Step sizes depend on values only, and the same serve all that is computed at once. Steps are plain operations, so what
goes through them can be differentiated; while a compiler traces, the loop is the engine's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import levels
from ..arrays import Array
from ..control import fori_loop, while_loop
from ..errors import ConvergenceError
from ..namespaces import Namespace
from .host import SCIPY, solve_ivp
from .loops import inside, traced

Arrays = list[Any]
Rate = Callable[[Arrays, Any], Arrays]


class Tableau(NamedTuple):
    """An explicit method: nodes, weights of each stage, of the result, and of the estimated error if there is one."""

    order: int
    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    result: tuple[float, ...]
    error: tuple[float, ...] = ()


# Sources: Bogacki and Shampine, A 3(2) pair of Runge–Kutta formulas (1989); Dormand and Prince, A family of embedded
# Runge–Kutta formulae (1980); the others are in every textbook.
METHODS = {
    "bosh3": Tableau(
        3, (0, 1 / 2, 3 / 4, 1), ((), (1 / 2,), (0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)), (2 / 9, 1 / 3, 4 / 9, 0),
        (-5 / 72, 1 / 12, 1 / 9, -1 / 8),
    ),
    "dopri5": Tableau(
        5,
        (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1),
        (
            (),
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
            (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        ),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0),
        (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    ),
    "euler": Tableau(1, (0,), ((),), (1,)),
    "midpoint": Tableau(2, (0, 1 / 2), ((), (1 / 2,)), (0, 1)),
    "rk4": Tableau(4, (0, 1 / 2, 1 / 2, 1), ((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}  # fmt: skip


class Control(NamedTuple):
    """A method, and how exact its steps are to be: tolerances where it adapts them, else how many there are."""

    method: str
    rtol: float
    atol: float
    steps: int
    max_steps: int


Path = Callable[[float], Arrays]  # the state at any time


def by_scipy(rate: Rate, state: Arrays, control: Control) -> tuple[Arrays, Path] | None:
    """Return the state at time 1, and the way there, if it can be had by the method of SciPy that was asked for."""
    if control.method not in SCIPY or traced(state[0]):
        return None
    if any(x._node is not None or isinstance(x._value, Array) for x in state):
        return None  # it is to be differentiated itself
    return solve_ivp(rate, state, control)


def integrate(rate: Rate, state: Arrays, control: Control) -> Arrays:
    """Return the state at time 1 of what has this rate of change, from the state at time 0."""
    with state[0]._xp._quiet():
        return _integrated(rate, state, control)


def _integrated(rate: Rate, state: Arrays, control: Control) -> Arrays:
    if control.method in SCIPY:
        found = by_scipy(rate, state, control)
        if found is not None:
            return found[0]
        control = control._replace(method="dopri5")
    tableau = METHODS[control.method]
    if not tableau.error:
        return _evenly(rate, state, tableau, control.steps)
    first = rate(state, 0.0)
    h = _first_step(state, first, control)
    if isinstance(h, float):
        return _adapted(rate, state, first, h, control)
    return _compiled(rate, state, first, h, control)


def _evenly(rate: Rate, state: Arrays, tableau: Tableau, steps: int) -> Arrays:
    """Take as many steps as were asked for."""
    h = 1 / steps

    def step(state: Arrays, s: Any) -> Arrays:
        return _step(rate, state, rate(state, s), s, h, tableau)[0]

    if steps > 2 and traced(state[0]):  # a compiler would see each of them
        top = _highest(state)
        body = inside(levels.current(top), lambda i, state: step(state, _plain(i) * h))
        with levels.entered(top):
            return fori_loop(0, steps, body, state)  # type: ignore[no-any-return]
    for i in range(steps):
        state = step(state, i * h)
    return state


def _step(rate: Rate, state: Arrays, first: Arrays, s: Any, h: Any, tableau: Tableau) -> tuple[Arrays, Arrays, Arrays]:
    """Return the state one step later, the weighted error, and the last stage's rate."""
    rates = [first]
    for node, weights in zip(tableau.nodes[1:], tableau.stages[1:], strict=True):
        rates.append(rate(_combined(state, rates, weights, h), s + node * h))
    after = _combined(state, rates, tableau.result, h)
    error = _combined(None, rates, tableau.error, h) if tableau.error else []
    return after, error, rates[-1]


def _combined(state: Arrays | None, rates: Sequence[Arrays], weights: Sequence[float], h: Any) -> Arrays:
    """Return state + h Σ weights · rates, array by array."""
    used = [(w, r) for w, r in zip(weights, rates, strict=False) if w]
    sums = []
    for i in range(len(rates[0])):
        total = sum((w * r[i] for w, r in used[1:]), used[0][0] * used[0][1][i])
        sums.append(h * total if state is None else state[i] + h * total)
    return sums


# --- the control of steps, on plain values ---


def _plain(x: Any) -> Any:
    """Return an engine's array: the values, with hidden axes in sight."""
    while hasattr(type(x), "_xp"):
        x = x._value
    return x


def _length(x: Any, scale: Any) -> Any:
    """Return the root of the mean square of x / scale, the largest of many; a number, if it is known."""
    xp = _functions(x)
    ratio = _plain(x) / scale
    mean = xp.mean(ratio**2, axis=-1) if ratio.ndim and ratio.size else ratio**2
    return _number(xp.sqrt(xp.max(mean)) if ratio.size else xp.sum(mean))


def _functions(x: Any) -> Any:
    """Return the functions of the engine that an array stands on."""
    xp = x._xp
    while isinstance(xp._lower._namespace, Namespace):
        xp = xp._lower._namespace
    return xp._lower


def _number(x: Any) -> Any:
    return x if traced(x) else float(x)


def _scale(a: Any, b: Any, control: Control) -> Any:
    """Return what an error in each element is compared with."""
    xp = _functions(a)
    eps = float(xp.finfo(a.dtype).eps)
    size = xp.maximum(abs(_plain(a)), abs(_plain(b)))
    return control.atol + max(control.rtol, 8 * eps) * size


def _most(numbers: Sequence[Any], like: Any) -> Any:
    """Return the largest of some numbers, of which a compiler may know none."""
    if all(isinstance(n, float) for n in numbers):
        return max(numbers)
    xp, most = _functions(like), numbers[0]
    for n in numbers[1:]:
        most = xp.maximum(most, n)
    return most


def _first_step(state: Arrays, rates: Arrays, control: Control) -> Any:
    """Return a step that moves the state by a hundredth, at most the whole way.

    Source: Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I (1993), section II.4.
    """
    sizes, speeds = [], []
    for x, r in zip(state, rates, strict=True):
        scale = _scale(x, x, control)
        sizes.append(_length(x, scale))
        speeds.append(_length(r, scale))
    size, speed = _most(sizes, state[0]), _most(speeds, state[0])
    if isinstance(size, float) and isinstance(speed, float):
        return min(1.0, 0.01 * size / speed) if min(size, speed) > 1e-5 else 1e-3
    xp = _functions(state[0])
    small = xp.minimum(size, speed) <= 1e-5
    return xp.where(small, 1e-3, xp.minimum(1.0, 0.01 * size / xp.where(small, 1.0, speed)))


def _highest(state: Arrays) -> Namespace:
    """Return the highest namespace among those of the arrays: a loop carries arrays of one."""
    found: Namespace = max((x._xp for x in state), key=lambda xp: xp._height)
    return found


def _error(before: Arrays, after: Arrays, error: Arrays, control: Control) -> Any:
    parts = [_length(e, _scale(x, y, control)) for x, y, e in zip(before, after, error, strict=True)]
    return _most(parts, before[0])


def _adapted(rate: Rate, state: Arrays, first: Arrays, h: float, control: Control) -> Arrays:
    """Step with Python's numbers; what was rejected is forgotten."""
    tableau = METHODS[control.method]
    s = 0.0
    for _ in range(control.max_steps):
        last = s + h >= 1 - 1e-12
        h = 1 - s if last else h
        after, error, final = _step(rate, state, first, s, h, tableau)
        size = _error(state, after, error, control)
        if size <= 1:
            state, first, s = after, final, s + h
            if last:
                return state
        elif math.isnan(size):
            size = math.inf
        h *= min(5.0, max(0.2, 0.9 * max(size, 1e-10) ** (-1 / tableau.order)))
        if h < 1e-14:
            break
    raise ConvergenceError(
        f"odeint: {control.method!r} got no further than {s:.3g} of the way from one time to the next; the equation "
        "may be stiff (methods 'Radau', 'BDF' and 'LSODA' are SciPy's) or its solution infinite; else allow more steps "
        "(max_steps) or larger errors (rtol, atol)"
    )


def _compiled(rate: Rate, state: Arrays, first: Arrays, h: Any, control: Control) -> Arrays:
    """Step in the engine's own loop. Without a solution within `max_steps` the result is nan."""
    tableau = METHODS[control.method]
    xp = _functions(state[0])

    def step(carry: Any) -> Any:
        state, first, s, h, n = carry
        s, h = _plain(s), _plain(h)
        last = s + h >= 1 - 1e-12
        h = xp.where(last, 1 - s, h)
        after, error, final = _step(rate, state, first, s, h, tableau)
        size = _error(state, after, error, control)
        good = size <= 1
        keep = [
            [x._xp.where(good, y, x) for x, y in zip(*pair, strict=True)] for pair in ((state, after), (first, final))
        ]
        factor = 0.9 * xp.maximum(xp.where(size == size, size, 1e10), 1e-10) ** (-1 / tableau.order)
        s = xp.where(good, xp.where(last, 2.0, s + h), s)
        return *keep, s, h * xp.clip(factor, 0.2, 5.0), _plain(n) + 1

    top = _highest(state)
    now = levels.current(top)
    start = (state, first, xp.zeros_like(h), h, xp.zeros_like(h))
    with levels.entered(top):
        state, _, s, _, _ = while_loop(
            inside(now, lambda c: c[2] < 1.5), inside(now, step), start, max_steps=control.max_steps
        )
    arrived = _plain(s) > 1.5
    return [x._xp.where(arrived, x, xp.nan) for x in state]
