"""Linear systems A x = b, for a function A or its matrix: a direct solver, and iterative ones.

All of them solve many systems at once: the last axis is the vector's, axes before it belong to systems that know
nothing of each other. So what a transformation maps over, or carries many of, is never one big system.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, ConvergenceError, LinAlgError
from ..modes import no_grad
from .host import OnNumpy
from .loops import known, repeat
from .towers import Tower

if TYPE_CHECKING:
    from .connecting import Linear

DIRECT = 512  # the largest system that is solved by its matrix unless told otherwise
Vectors = Callable[[Any], Any]


class System:
    """A linear equation at the lowest level, without derivatives: hidden axes are in sight, and lead."""

    def __init__(self, equation: Linear, tower: Tower) -> None:
        self.equation, self.tower = equation, tower
        self.b = tower.lower(equation.b.detach(), 0)
        self.xp = self.b._xp
        self.size = self.b.shape[-1]

    def matvec(self, v: Any) -> Any:
        """Return A v, for all systems and all rows."""
        return self.tower.lower(self.equation.apply(self.tower.lift(v, 0)), 0).detach()

    def matrix(self) -> Any:
        """Return the matrix of each system: all columns in one pass."""
        from ..func import vmap

        b, m = self.equation.b, self.size
        lead = tuple(b.shape[: -2 if self.equation.several else -1])
        eye = b._xp.eye(m, dtype=b.dtype)
        eye = b._xp.broadcast_to(b._xp.reshape(eye, (m, *[1] * len(lead), m)), (m, *lead, m))
        columns = self.tower.lower(vmap(self.equation.matvec)(eye), 0)
        return self.xp.moveaxis(columns.detach(), self.tower.lead(0), -1)


def solve_system(system: System) -> Any:
    """Return the solution of a system at the lowest level."""
    equation = system.equation
    solver = equation.solver
    if solver == "auto":
        solver = "dense" if system.size <= DIRECT else "cg" if equation.symmetric else "gmres"
    with no_grad():
        if callable(solver):
            return _foreign(solver, system)
        if solver not in SOLVERS:
            raise ArgumentError(
                f"{equation.name}: there is no linear solver {solver!r}; give one of {sorted(SOLVERS)}, 'auto', or a "
                "function (matvec, b) -> x of vectors"
            )
        return SOLVERS[solver](system)


def _foreign(solver: Callable[..., Any], system: System) -> Any:
    """Let somebody's function solve it: all systems as a single one, of one long vector."""
    xp, shape = system.xp, system.b.shape

    def matvec(v: Any) -> Any:
        return xp.reshape(system.matvec(xp.reshape(xp.asarray(v), shape)), (-1,))

    if isinstance(solver, OnNumpy):
        return solver.called(system.matvec, system.b, system.equation.name)
    return xp.reshape(xp.astype(xp.asarray(solver(matvec, xp.reshape(system.b, (-1,)))), system.b.dtype), shape)


def dense(system: System) -> Any:
    """Solve by elimination, with the matrix. LinAlgError where it is singular."""
    xp, b, matrix = system.xp, system.b, system.matrix()
    several = system.equation.several
    right = xp.matrix_transpose(b) if several else xp.expand_dims(b, axis=-1)
    try:
        x = xp.linalg.solve(matrix, right)
    except LinAlgError as error:
        raise _singular(system) from error
    if known(xp.all(xp.isfinite(x))) is False and known(xp.all(xp.isfinite(matrix)) & xp.all(xp.isfinite(b))):
        raise _singular(system)
    return xp.matrix_transpose(x) if several else x[..., 0]


def _singular(system: System) -> LinAlgError:
    m = system.size
    return LinAlgError(
        f"{system.equation.name}: the derivative of the equation by its unknown, a {m} x {m} matrix, is singular here, "
        "so that the solution is not unique, or has no derivative; state the equation so that it has one solution"
    )


def dot(a: Any, b: Any) -> Any:
    """Return the inner product of vectors, with an axis of length 1 in its place."""
    return a._xp.sum(a * b, axis=-1, keepdims=True)


def safe(x: Any) -> Any:
    """Return x with ones for its zeros, to divide by."""
    return x._xp.where(x == 0, 1.0, x)


def cg(system: System) -> Any:
    """Solve by conjugate gradients: A is symmetric and definite.

    Source: Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems (1952).
    """
    xp, b = system.xp, system.b
    limit = _limit(system)

    def going(x: Any, r: Any, p: Any, rr: Any, n: Any) -> Any:
        return xp.any(rr > limit) & (n < 10 * system.size + 10)

    def step(x: Any, r: Any, p: Any, rr: Any, n: Any) -> Any:
        image = system.matvec(p)
        a = xp.where(rr > limit, rr / safe(dot(p, image)), 0.0)
        x, r = x + a * p, r - a * image
        new = dot(r, r)
        return x, r, r + new / safe(rr) * p, new, n + 1

    x, _, _, rr, _ = repeat(going, step, xp.zeros_like(b), b, b, dot(b, b), xp.asarray(0))
    return _checked(x, rr, limit, system, "cg")


def gmres(system: System) -> Any:
    """Solve by GMRES, begun again after every 30 steps: any A that is regular.

    Source: Saad and Schultz, GMRES (1986).
    """
    xp, b = system.xp, system.b
    limit = _limit(system)
    steps = min(system.size, 30)

    def going(x: Any, r: Any, rr: Any, n: Any) -> Any:
        return xp.any(rr > limit) & (n < 10 + 10 * system.size // steps)

    def step(x: Any, r: Any, rr: Any, n: Any) -> Any:
        x = x + _krylov_step(system, r, steps)
        r = b - system.matvec(x)
        return x, r, dot(r, r), n + 1

    x, _, rr, _ = repeat(going, step, xp.zeros_like(b), b, dot(b, b), xp.asarray(0))
    return _checked(x, rr, limit, system, "gmres")


def _krylov_step(system: System, r: Any, steps: int) -> Any:
    """Return the best correction in the space of r, A r, A² r ..."""
    xp = system.xp
    size = xp.sqrt(dot(r, r))
    basis = [r / safe(size)]
    columns = []
    for _ in range(steps):
        w = system.matvec(basis[-1])
        length = xp.sqrt(dot(w, w))
        column = []
        for v in basis:
            h = dot(v, w)
            w = w - h * v
            column.append(h)
        for i, v in enumerate(basis):  # once more, for what rounding has left
            h = dot(v, w)
            w = w - h * v
            column[i] = column[i] + h
        rest = xp.sqrt(dot(w, w))
        rest = xp.where(rest > 10 * xp.finfo(w.dtype).eps * length, rest, 0.0)  # the space is used up
        columns.append([*column, rest])
        basis.append(xp.where(rest > 0, w / safe(rest), 0.0))
    zero = xp.zeros_like(size)
    matrix = xp.stack(
        [xp.concat([*c, *[zero] * (steps + 1 - len(c))], axis=-1) for c in columns], axis=-1
    )  # (..., steps + 1, steps)
    right = xp.concat([size, *[zero] * steps], axis=-1)
    y = xp.linalg.pinv(matrix) @ xp.expand_dims(right, axis=-1)
    space = xp.stack(basis[:-1], axis=-1)
    return (space @ y)[..., 0]


def neumann(system: System) -> Any:
    """Solve by the series b + (1 + A) b + (1 + A)² b ..., with its sign: for A = G − 1 and a contraction G."""
    xp, b = system.xp, system.b
    limit = _limit(system)

    def going(x: Any, r: Any, rr: Any, n: Any) -> Any:
        return xp.any(rr > limit) & (n < 1000) & xp.all(xp.isfinite(rr))

    def step(x: Any, r: Any, rr: Any, n: Any) -> Any:
        x = x + r
        r = system.matvec(x) - b
        return x, r, dot(r, r), n + 1

    x, _, rr, _ = repeat(going, step, xp.zeros_like(b), -b, dot(b, b), xp.asarray(0))
    return _checked(x, rr, limit, system, "neumann")


SOLVERS: dict[str, Callable[[System], Any]] = {"cg": cg, "dense": dense, "gmres": gmres, "neumann": neumann}


def _limit(system: System) -> Any:
    """Return the square of how long a residual may be, for each system."""
    b = system.b
    return (32 * system.xp.finfo(b.dtype).eps) ** 2 * dot(b, b)


def _checked(x: Any, rr: Any, limit: Any, system: System, name: str) -> Any:
    """Return a solution whose residual, squared, is small; ConvergenceError if it isn't."""
    loose = limit * 1e8
    if known(system.xp.all(rr <= loose)) is False:
        raise ConvergenceError(
            f"{system.equation.name}: the linear solver {name!r} did not converge on a system of {system.size} "
            "unknowns; its matrix may be singular, or ill-conditioned, or not what this solver needs: try "
            "linear_solver='dense'"
        )
    return x
