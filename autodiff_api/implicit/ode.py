"""`odeint`: initial value problems, differentiated through their steps or by the adjoint equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import levels
from ..control import scan
from ..errors import ArgumentError, GraphError, ShapeError
from ..func import vmap
from ..func.reverse import alias
from ..graph import Edge
from ..modes import mode, no_grad
from ..namespaces import Namespace
from ..trees import flatten, unflatten
from .functions import Problem
from .host import SCIPY
from .loops import traced
from .spread import Spread
from .steps import METHODS, Control, Path, by_scipy, integrate
from .tapes import Result, Tape
from .towers import is_batched, top_over


def odeint(
    f: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    method: str = "dopri5",
    adjoint: bool = True,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    substeps: int = 1,
    max_steps: int = 10_000,
) -> Any:
    """Return y at the times t, where dy/dt = f(y, t, *args) and y = y0 at t[0], as trees with an axis for time first.

    `y0` is a tree of arrays, f returns one of the same shapes; the times rise or fall. It is differentiable by y0, t,
    `args` and whatever f closes over: with `adjoint`, backward by an equation that is solved from the end to the start,
    which keeps only the results at `t` in memory, and needs f to compute the same when it is called again; without, by
    going back through every step. Forward mode solves the equation of the tangents along with the other.

    `method` is "dopri5" or "bosh3", whose steps adapt to the tolerances; "rk4", "midpoint" or "euler", with as many
    steps from one time to the next as `substeps` says; or, with `adjoint` and on concrete arrays, one of SciPy's
    `solve_ivp`: "BDF", "DOP853", "LSODA", "RK23", "RK45", "Radau". Raises ConvergenceError where `max_steps` between
    two times are not enough; compiled code gives nan there.

    >>> import autodiff_api as ad, numpy as np
    >>> y = ad.implicit.odeint(lambda y, t, k: -k * y, 1.0, np.asarray([0.0, 1.0]), 2.0)
    >>> np.round(y, 6)
    array([1.      , 0.135335])
    >>> decay = lambda k: ad.implicit.odeint(lambda y, t: -k * y, 1.0, np.asarray([0.0, 1.0]))[-1]
    >>> round(float(ad.grad(decay)(2.0)), 6)
    -0.135335
    """
    if method not in METHODS and method not in SCIPY:
        raise ArgumentError(f"odeint: there is no method {method!r}; give one of {sorted([*METHODS, *SCIPY])}")
    if method in SCIPY and not adjoint:
        raise ArgumentError(
            f"odeint: the steps of {method!r} are SciPy's, and can't be differentiated; leave adjoint=True"
        )
    problem = Problem("odeint", f, y0, (t, *args))
    times = problem.args[0]
    times = problem.xp.asarray(times) if isinstance(times, list) else levels.number(times, problem.xp, "odeint: t")
    if times.ndim != 1 or times.shape[0] < 1:
        raise ShapeError(f"odeint: expected times in one axis, got shape {tuple(times.shape)}")
    rate = _rate(problem)
    control = Control(method, rtol, atol, substeps, max_steps)

    def further(z: Any, interval: Any) -> tuple[Any, Any]:
        xp = z._xp
        q = xp.concat([z, *(xp.reshape(xp.astype(part, z.dtype), (1,)) for part in interval)])
        z = (flow(rate, q, control) if adjoint else integrate(rate, [q], control)[0])[:-2]
        return z, z

    z, xp = problem.given, problem.xp
    intervals = (times[:-1], times[1:] - times[:-1])
    if times.shape[0] > 3 and traced(z):  # a compiler would see one copy for each
        _, later = scan(further, z, intervals)
        results = xp.concat([xp.expand_dims(z, axis=0), later])
    else:
        found = [z]
        for start, length in zip(*intervals, strict=True):
            found.append(further(found[-1], (start, length))[0])
        results = xp.stack(found)
    leaves, tree = flatten(vmap(problem.unknown.tree_of)(results))
    return unflatten(tree, [problem.call.finish(x) for x in leaves])


def _rate(problem: Problem) -> Callable[[list[Any], Any], list[Any]]:
    """Return the rate of change, between time 0 and time 1, of the unknowns and two constants.

    These are the time at the start and how long it takes: so both are initial values, and differentiated as such.
    """
    function, unknown, args = problem.function, problem.unknown, problem.args[1:]

    def rate(state: list[Any], s: Any) -> list[Any]:
        (q,) = state
        z, start, length = q[:-2], q[-2], q[-1]
        result = function(unknown.tree_of(z), start + s * length, *args)
        v = unknown.flat(result, "odeint: the function's result", problem.lift)
        return [v._xp.concat([v * length, v._xp.zeros(2, dtype=v.dtype)])]

    return rate


def flow(rate: Callable[[list[Any], Any], list[Any]], q: Any, control: Control) -> Any:
    """Return the state at time 1, connected to all that it depends on, at every level."""
    with no_grad():
        spread = Spread(q._xp, q.detach(), rate([q.detach()], 0.0)[0])
        seen = Seen(rate, spread, 0)
        plain, start = (lambda state, s: [seen(state[0], s).detach()]), [spread.down(q, 0).detach()]
        found = by_scipy(plain, start, control)
        (w,), path = (integrate(plain, start, control), None) if found is None else found
        w = stripped(w, spread.tensors[0])
    for k in range(spread.height + 1):
        w = w if k == 0 else spread.up(w, k - 1, k)
        w = _recorded(Seen(rate, spread, k), q, w, control, path if spread.height == 0 else None)
    return w


def stripped(x: Any, xp: Namespace) -> Any:
    """Return a tensor that was lifted to a higher level as what it was."""
    while not isinstance(x, xp.array_class):
        x = x._value
    return x


class Seen:
    """A rate of change at level k: of an array with an axis for each thing that arrays of the top level have."""

    def __init__(self, rate: Callable[[list[Any], Any], list[Any]], spread: Spread, k: int) -> None:
        self.rate, self.spread, self.k, self.xp = rate, spread, k, spread.tensors[k]

    def __call__(self, w: Any, s: Any) -> Any:
        """Return the rate at time s."""
        with levels.entered(self.spread.top):
            (r,) = self.rate([self.spread.up(stripped(w, self.xp), self.k)], s)
            return self.spread.down(r, self.k)

    def tape(self, source: Any, s: Any) -> Tape:
        """Record the rate."""
        return Tape(lambda w: self(w, s), source)


def leaf(w: Any) -> Any:
    """Return a leaf with the value of a tensor."""
    return w._xp.array_class._make(w._value).requires_grad_()


def _recorded(seen: Seen, q: Any, w: Any, control: Control, path: Path | None) -> Any:
    """Connect the state at time 1 to the graph of its level, if it depends on anything there."""
    if not mode().recording:
        return w
    start = seen.spread.down(q, seen.k)
    tapes = seen.tape(leaf(start), 0.0), seen.tape(leaf(w), 1.0)
    outside = list(dict.fromkeys(node for tape in tapes for node in tape.outside))
    edges = ([] if start._node is None else [start._node]) + outside
    if not edges:
        return w
    return Flowed(seen, control, w, edges, outside, path).connected(w, edges)


class Flowed(Result):
    """The recipe of the node of a state at time 1. Going back is solving the adjoint equation from there to time 0.

    With the state w and its cotangent λ, λ' = −(∂rate/∂w)ᵀ λ, and what the rate depends on has the cotangent
    ∫ (∂rate/∂·)ᵀ λ. Source: Pontryagin et al., The Mathematical Theory of Optimal Processes (1962).
    """

    opaque = False

    def __init__(
        self, seen: Seen, control: Control, w: Any, edges: list[Edge], outside: list[Edge], path: Path | None
    ) -> None:
        super().__init__("odeint", w, edges)
        self.seen, self.control, self.outside, self.path = seen, control, outside, path
        self.from_start = len(edges) > len(outside)

    def _pull(self, targets: tuple[int, ...], t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        create = isinstance(saved[0], self.array)
        w = saved[0] if create else self.array._make(self.value)
        value, many = self.tensor(t, xp)
        with levels.entered(top_over(value._xp)):
            found = (vmap if many else _same)(lambda u: self._back(w, u, create))(value)
        found = [stripped(g, value._xp) for g in found]
        found = found if self.from_start else found[1:]
        if isinstance(xp, Namespace) and is_batched(xp):
            found = [xp.array_class._make(g if create else g._value, many) for g in found]
        elif not isinstance(xp, Namespace):
            found = [g._value for g in found]
        return [found[i] for i in targets]

    def _back(self, w: Any, u: Any, create: bool) -> list[Any]:
        """Return the cotangents of the start, and of what the rate depends on.

        The state is solved for again beside them, unless SciPy has kept its way: of a stiff equation, the way back is
        unstable.
        """
        path = None if create else self.path

        def rate(state: list[Any], s: Any) -> list[Any]:
            now = stripped(state[0], self.seen.xp) if path is None else path(1 - s)[0]
            tape = self.seen.tape(alias(now) if now._node is not None else leaf(now), 1 - s)
            if not set(tape.outside) <= set(self.outside):
                raise GraphError(
                    "odeint: the function depends on a tensor at some times that it did not depend on at the times "
                    "where it was looked at; hand that in as an argument, and use it at all times, or use adjoint=False"
                )
            t, *rest = state if path is not None else state[1:]
            found = tape.carried(t, create)
            moved = tape.result if create else self.array._make(tape.result._value)
            rates = [found.get(node) for node in (tape.source._node, *self.outside)]
            filled = [x._xp.zeros_like(x) if r is None else r for r, x in zip(rates, (t, *rest), strict=True)]
            return filled if path is not None else [-moved, *filled]

        xp = u._xp
        start = [u, *(xp.zeros(tuple(node.shape), dtype=node.dtype) for node in self.outside)]
        if path is not None:
            return integrate(rate, start, self.control)
        return integrate(rate, [w, *start], self.control)[1:]


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
