"""Solvers of the library's own, in the standard: they find a solution on any backend, without derivatives.

Like the linear solvers they work on many vectors at once, each with its own progress.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import ConvergenceError
from .connecting import Equation, Linear
from .linear import System, dot, solve_system
from .loops import known, repeat
from .towers import Tower


class Limits(NamedTuple):
    """When to stop: at a residual this long, if given, and after so many steps, whatever happened."""

    tol: float | None
    maxiter: int | None


class Search:
    """A problem at the lowest level: the equation's residual there, and Newton's step, from a point to start at."""

    def __init__(self, equation: Equation, tower: Tower, start: Any, limits: Limits, objective: Any = None) -> None:
        self.equation, self.tower, self.start, self.limits = equation, tower, start, limits
        self.xp = start._xp
        self.eps = float(self.xp.finfo(start.dtype).eps)
        self._objective = objective

    def residual(self, z: Any) -> Any:
        """Return F(z)."""
        return self.seen(self.equation.residual, z)

    def objective(self, z: Any) -> Any:
        """Return f(z) of what is minimised, with an axis of length 1 last."""
        return self.xp.expand_dims(self.seen(self._objective, z), axis=-1)

    def seen(self, function: Callable[[Any], Any], z: Any) -> Any:
        """Return a function of vectors, without derivatives, of a tensor of the lowest level."""
        return self.tower.lower(function(self.tower.lift(z, 0)), 0).detach()

    def system(self, z: Any, b: Any) -> System:
        """Return the linear system that Newton's step solves."""
        tower, equation = self.tower, self.equation
        operator = equation.operator(tower.lift(z, 0))
        return System(Linear(equation.name, operator, tower.lift(b, 0), equation.solver), tower)

    def size(self, z: Any) -> Any:
        """Return what the length of a step is compared with: that of z, and of the way to it."""
        way = z - self.start
        return self.xp.sqrt(dot(z, z)) + self.xp.sqrt(dot(way, way))

    def within(self, rr: Any) -> Any:
        """Tell where a residual, given its square, is as short as was asked for."""
        return rr == 0 if self.limits.tol is None else rr <= self.limits.tol**2

    def going(self, rr: Any, done: Any, n: Any, most: int) -> Any:
        """Tell whether to go on: for those that are not done, and have not run away."""
        left = self.xp.any(~done & self.xp.isfinite(rr))
        return left & (n < (most if self.limits.maxiter is None else self.limits.maxiter))

    def found(self, z: Any, rr: Any, good: Any, solver: str) -> Any:
        """Return a solution; ConvergenceError if a solver gave up, where that can be known."""
        if known(self.xp.all(good)) is False:
            worst = float(self.xp.sqrt(self.xp.max(rr)))
            raise ConvergenceError(
                f"{self.equation.name}: solver {solver!r} found no solution; it stopped at a residual of {worst:.2g}. "
                "Start nearer to one, allow more steps (maxiter), accept less (tol), or choose another solver"
            )
        return z


def newton(search: Search) -> Any:
    """Return a root by Newton's method; a step that does not make the residual shorter is halved."""
    xp, eps = search.xp, search.eps

    def step(z: Any, r: Any, rr: Any, factor: Any, done: Any, good: Any, n: Any) -> Any:
        way = factor * solve_system(search.system(z, -r))
        length, size = xp.sqrt(dot(way, way)), search.size(z)
        trial = z + way
        new = search.residual(trial)
        shorter = dot(new, new) < rr  # false for nan
        move = shorter & ~done
        z, r, rr = xp.where(move, trial, z), xp.where(move, new, r), xp.where(move, dot(new, new), rr)
        near = search.within(rr) | (length <= 8 * eps * size) | (~shorter & (length <= eps**0.5 * factor * size))
        good = good | near
        factor = xp.where(shorter, xp.minimum(4 * factor, xp.ones_like(factor)), factor / 4)
        return z, r, rr, factor, done | near | (factor < 1e-9), good, n + 1

    z = search.start
    r = search.residual(z)
    rr = dot(r, r)
    done = search.within(rr)
    z, _, rr, _, _, good, _ = repeat(
        lambda *s: search.going(s[2], s[4], s[6], 200), step, z, r, rr, xp.ones_like(rr), done, done, xp.asarray(0)
    )
    return search.found(z, rr, good, "newton")


def descent(search: Search) -> Any:
    """Return a minimum by Newton's method; directions of negative curvature are turned round, long steps damped.

    Source: Dauphin et al., Identifying and attacking the saddle point problem (2014), with Levenberg's damping.
    """
    xp, eps = search.xp, search.eps

    def step(z: Any, y: Any, g: Any, gg: Any, damping: Any, done: Any, good: Any, n: Any) -> Any:
        curvatures, directions = xp.linalg.eigh(search.system(z, -g).matrix())
        bent = xp.abs(curvatures)
        most = xp.max(bent, axis=-1, keepdims=True)
        inner = (xp.matrix_transpose(directions) @ xp.expand_dims(g, axis=-1))[..., 0]
        floor = most * eps + xp.finfo(g.dtype).smallest_normal
        gain = xp.sum(inner**2 / xp.maximum(bent, floor), axis=-1, keepdims=True)  # of a step that is not damped
        calm = gain <= eps**0.5 * (xp.abs(y) + xp.abs(y - first))
        way = -(directions @ xp.expand_dims(inner / xp.maximum(bent + damping, floor), axis=-1))[..., 0]
        length, size = xp.sqrt(dot(way, way)), search.size(z)
        trial = z + way
        value, slope = search.objective(trial), search.residual(trial)
        lower = (value <= y + 8 * eps * xp.abs(y)) & xp.isfinite(value)
        stuck = (length <= eps**0.5 * size) & (dot(slope, slope) >= gg)
        move = lower & ~done & ~stuck
        near = search.within(gg) | (length <= 8 * eps * size) | stuck
        good = good | near & (calm | search.within(gg))
        z, y = xp.where(move, trial, z), xp.where(move, value, y)
        g, gg = xp.where(move, slope, g), xp.where(move, dot(slope, slope), gg)
        harder = xp.maximum(8 * damping, 1e-3 * most)
        easier = xp.where(damping > 1e-6 * most, damping / 8, xp.zeros_like(damping))
        damping = xp.where(lower, easier, harder)
        return z, y, g, gg, damping, done | near | (damping > 1e12 * most + 1e12), good, n + 1

    z = search.start
    g = search.residual(z)
    gg = dot(g, g)
    none = xp.zeros_like(gg) > 0
    first = search.objective(z)
    start = (z, first, g, gg, xp.zeros_like(gg), none, none, xp.asarray(0))
    z, _, _, gg, _, _, good, _ = repeat(lambda *s: search.going(s[3], s[5], s[7], 200), step, *start)
    return search.found(z, gg, good, "newton")


def iteration(search: Search) -> Any:
    """Return a fixed point by doing what its name says: x, g(x), g(g(x)) ..."""
    xp, eps = search.xp, search.eps

    def step(z: Any, r: Any, rr: Any, done: Any, n: Any) -> Any:
        z = xp.where(done, z, z + r)
        r = search.residual(z)
        rr = dot(r, r)
        return z, r, rr, search.within(rr) | (xp.sqrt(rr) <= 8 * eps * search.size(z)), n + 1

    z = search.start
    r = search.residual(z)
    rr = dot(r, r)
    start = (z, r, rr, search.within(rr), xp.asarray(0))
    z, _, rr, done, _ = repeat(lambda *s: search.going(s[2], s[3], s[4], 10_000), step, *start)
    return search.found(z, rr, done | (xp.sqrt(rr) <= eps**0.5 * search.size(z)), "iteration")


def anderson(search: Search) -> Any:
    """Return a fixed point by Anderson's acceleration: the mixture of the last 6 points with the shortest residual.

    Source: Walker and Ni, Anderson acceleration for fixed-point iterations (2011).
    """
    xp, eps = search.xp, search.eps
    window = 6

    def step(points: Any, residuals: Any, z: Any, rr: Any, done: Any, n: Any) -> Any:
        scale = xp.max(xp.sum(residuals**2, axis=-1), axis=-1)[..., None, None]
        gram = residuals @ xp.matrix_transpose(residuals) / xp.where(scale == 0, 1.0, scale)
        gram = gram + eps**0.75 * xp.eye(window, dtype=gram.dtype)
        weights = xp.linalg.solve(gram, xp.ones_like(gram[..., :1]))
        weights = weights / xp.sum(weights, axis=-2, keepdims=True)
        mixed = xp.sum(weights * (points + residuals), axis=-2)
        z = xp.where(done, z, mixed)
        r = search.residual(z)
        points = xp.concat([points[..., 1:, :], z[..., None, :]], axis=-2)
        residuals = xp.concat([residuals[..., 1:, :], r[..., None, :]], axis=-2)
        rr = dot(r, r)
        return points, residuals, z, rr, search.within(rr) | (xp.sqrt(rr) <= 8 * eps * search.size(z)), n + 1

    z = search.start
    r = search.residual(z)
    rr = dot(r, r)
    repeated = [xp.repeat(xp.expand_dims(x, axis=-2), window, axis=-2) for x in (z, r)]
    _, _, z, rr, done, _ = repeat(
        lambda *s: search.going(s[3], s[4], s[5], 1_000), step, *repeated, z, rr, search.within(rr), xp.asarray(0)
    )
    return search.found(z, rr, done | (xp.sqrt(rr) <= eps**0.5 * search.size(z)), "anderson")
