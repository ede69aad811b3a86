"""`root`, `fixed_point`, `argmin` and `linear_solve`: solutions of equations as differentiable functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import levels
from ..errors import ArgumentError, ShapeError
from ..func import grad, stop_gradient
from ..func.calls import Call
from ..modes import no_grad
from ..trees import flatten, unflatten
from .connecting import Equation, Linear, connected, solve
from .host import OnNumpy, scipy_minimum, scipy_root
from .linear import DIRECT
from .search import Limits, Search, anderson, descent, iteration, newton
from .towers import Tower
from .unknowns import Unknown

Solver = str | Callable[..., Any]


class Problem:
    """A call of `root` or one of the others: a function of an unknown and of arguments, at the highest level."""

    def __init__(self, name: str, function: Callable[..., Any], x0: Any, args: Sequence[Any]) -> None:
        self.name, self.function = name, function
        self.call = Call(name, function, (x0, *args), {})
        self.xp = self.call.xp
        leaves, tree = flatten(x0)
        if not leaves:
            raise ArgumentError(f"{name}: x0 has no arrays, so that nothing is unknown")
        given = [self._unknown(x) for x in leaves]
        self.unknown = Unknown(given, tree)
        self.given = self.unknown.vector(given)
        self.start = self.given.detach()
        self.args = unflatten(self.call.tree, [None] * len(leaves) + self.call.given[len(leaves) :])[0][1:]

    def _unknown(self, x: Any) -> Any:
        x = levels.number(x, self.xp, f"{self.name}: x0")
        return x if x._is_float() else self.xp.astype(x, self.xp.asarray(0.0).dtype)

    def lift(self, x: Any, place: str) -> Any:
        """Return something that the function returned as a tensor of the level that is in use now."""
        return levels.number(x, levels.current(self.xp), place)

    def value(self, v: Any) -> Any:
        """Return the function's result, a tree built like the unknown, as a vector."""
        result = self.function(self.unknown.tree_of(v), *self.args)
        return self.unknown.flat(result, f"{self.name}: the function's result", self.lift)

    def scalar(self, v: Any) -> Any:
        """Return the function's result, one number."""
        result = self.lift(self.function(self.unknown.tree_of(v), *self.args), f"{self.name}: the function's result")
        if result.size != 1:
            raise ShapeError(
                f"{self.name}: expected the function to return one number to make small, got shape "
                f"{tuple(result.shape)}; reduce it, for example with .sum()"
            )
        return result._xp.reshape(result, ())

    def solved(self, equation: Equation, solver: Solver, own: dict[str, Any], limits: Limits, goal: Any) -> Any:
        """Return the solution that a solver finds, with all derivatives, built like x0.

        `goal` is what a solver that the user brings is called with: a function of vectors.
        """
        with no_grad(), self.xp._quiet():
            samples = (self.start, equation.residual(self.start).detach())
            tower = Tower(self.xp, samples)
            start = tower.lower(self.start, 0)
            search = Search(equation, tower, start, limits, goal)
            if isinstance(solver, OnNumpy):
                z = solver.called(lambda v: search.seen(goal, v), start, self.name, scalar=goal == self.scalar)
            elif callable(solver):
                z = tower.lower(self._by_user(solver), 0).detach()
            elif solver in own:
                z = own[solver](search)
            else:
                raise ArgumentError(
                    f"{self.name}: there is no solver {solver!r}; give one of {sorted(own)}, or a function "
                    "(function, x0) -> x"
                )
        return self.finish(connected(equation, z, tower))

    def _by_user(self, solver: Callable[..., Any]) -> Any:
        args = stop_gradient(self.args)
        found = solver(lambda x: self.function(x, *args), self.unknown.tree_of(self.start))
        return self.unknown.flat(found, f"{self.name}: the solver's result", self.lift).detach()

    def finish(self, v: Any) -> Any:
        """Return a solution as the caller wants it: raw arrays, if raw arrays were given."""
        leaves, tree = flatten(self.unknown.tree_of(v))
        return unflatten(tree, [self.call.finish(x) for x in leaves])


def root(
    f: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Solver = "newton",
    linear_solver: Solver = "auto",
    tol: float | None = None,
    maxiter: int | None = None,
) -> Any:
    """Return x with f(x, *args) = 0, differentiable by `args` and by whatever f closes over.

    `x0`, a tree of arrays, is where the solver starts; nothing depends on it. f returns a tree of the same shapes.
    `solver` is "newton", a method of SciPy's `optimize.root` ("hybr", "krylov" ...), or a function
    `(f, x0) -> x` of trees. `linear_solver` solves the systems that derivatives lead to: "dense", "gmres", "cg" (for a
    symmetric definite derivative), "neumann", "auto" (dense up to 512 unknowns), or `(matvec, b) -> x` of vectors.
    Raises ConvergenceError where no solution is found, LinAlgError where the derivative of f by x is singular.

    >>> import autodiff_api as ad
    >>> def square_root(a):
    ...     return ad.implicit.root(lambda x, a: x**2 - a, 1.0, a)
    >>> float(square_root(9.0)), float(ad.grad(square_root)(9.0))
    (3.0, 0.16666666666666666)
    """
    problem = Problem("root", f, x0, args)
    equation = Equation("root", problem.value, linear_solver)
    own = {"newton": newton, **scipy_root}
    return problem.solved(equation, solver, own, Limits(tol, maxiter), problem.value)


def fixed_point(
    g: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Solver = "anderson",
    linear_solver: Solver = "auto",
    tol: float | None = None,
    maxiter: int | None = None,
) -> Any:
    """Return x with g(x, *args) = x, differentiable by `args` and by whatever g closes over.

    `solver` is "anderson", "iteration" (g over and over), "newton", or a function `(g, x0) -> x` of trees. The rest is
    as for :func:`root`; "neumann" is a linear solver that only calls g's derivative, for a contraction.

    >>> import autodiff_api as ad
    >>> x = ad.implicit.fixed_point(lambda x, a: a * ad.cos(x), 1.0, 1.0)
    >>> round(float(x), 12)
    0.739085133215
    """
    problem = Problem("fixed_point", g, x0, args)
    equation = Equation("fixed_point", lambda v: problem.value(v) - v, linear_solver)
    own = {"anderson": anderson, "iteration": iteration, "newton": newton}
    return problem.solved(equation, solver, own, Limits(tol, maxiter), problem.value)


def argmin(
    f: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Solver = "auto",
    linear_solver: Solver = "auto",
    tol: float | None = None,
    maxiter: int | None = None,
) -> Any:
    """Return x where f(x, *args), one number, is least nearby; differentiable by `args` and what f closes over.

    `solver` is "newton" (with the whole Hessian), a method of SciPy's `optimize.minimize` ("BFGS", "L-BFGS-B" ...), or
    a function `(f, x0) -> x` of trees; "auto" is "newton" up to 512 unknowns and "L-BFGS-B" beyond. The Hessian in the
    derivatives is that of f: forward over reverse. "auto" linear solvers are "dense", and "cg" beyond 512 unknowns. How
    exact the derivatives are depends on how exact x is. The rest is as for :func:`root`.

    >>> import autodiff_api as ad
    >>> def mean(a):
    ...     return ad.implicit.argmin(lambda x, a: ad.sum((x - a) ** 2), 0.0, a)
    >>> ad.grad(mean)(ad.tensor([1.0, 2.0, 6.0]))
    tensor([0.3333, 0.3333, 0.3333])
    """
    problem = Problem("argmin", f, x0, args)
    equation = Equation("argmin", lambda v: grad(problem.scalar)(v), linear_solver, symmetric=True)
    if solver == "auto":
        solver = "newton" if problem.unknown.size <= DIRECT else "L-BFGS-B"
    own = {"newton": descent, **scipy_minimum}
    return problem.solved(equation, solver, own, Limits(tol, maxiter), problem.scalar)


def linear_solve(A: Any, b: Any, *args: Any, solver: Solver = "auto", symmetric: bool = False) -> Any:
    """Return x with A x = b, differentiable by b, by A, by `args` and by whatever A closes over.

    `A` is a matrix, or a linear function `A(x, *args)` of trees built like `b`, whose matrix is never needed but by the
    solver "dense". `solver` is as `linear_solver` of :func:`root`; `symmetric` says that A equals its transpose. A
    function's transpose is had by going backward through it. Raises LinAlgError where A is singular, ConvergenceError
    where an iterative solver finds no solution.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.implicit.linear_solve(lambda x, d: d * x, np.asarray([2.0, 6.0]), np.asarray([1.0, 3.0]), solver="cg")
    array([2., 2.])
    """
    if not callable(A):
        args = (A,)
    problem = Problem("linear_solve", A if callable(A) else _product, b, args)
    equation = Linear("linear_solve", problem.value, problem.given, solver, symmetric=symmetric)
    return problem.finish(solve(equation, problem.xp))


def _product(x: Any, A: Any) -> Any:
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ShapeError(f"linear_solve: expected a square matrix, got shape {tuple(A.shape)}")
    return A @ x
