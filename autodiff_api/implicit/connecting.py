"""The implicit function theorem at every level: a solution, found without derivatives, is given all it has.

Of an equation F(z, θ) = 0 the solution moves with dz = −A⁻¹ dF, where A is the derivative of F by z, and dF what F
changes by if z stands still. So forward mode solves one linear system. Backward, a cotangent t becomes u = −A⁻ᵀ t, and
u goes back through F to all that F depends on. Both systems are solved at the level below, and their solutions are
connected in the same way; therefore derivatives of any order are right.

Source: the implicit function theorem; e.g. Blondel et al., Efficient and Modular Implicit Differentiation (2022).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import levels
from ..errors import GraphError
from ..func import jvp, vmap
from ..func.reverse import alias
from ..graph import NOTHING
from ..modes import mode, no_grad
from ..namespaces import Namespace
from .linear import System, solve_system
from .loops import known
from .tapes import Result, Tape
from .towers import Tower, is_batched, top_over

Vectors = Callable[[Any], Any]


class Equation:
    """An equation F(z) = 0 of one real vector at the highest level; its last axis is the vector's.

    `operator(x)` returns the derivative of F at x, a linear function of vectors; `several` says that z has an axis
    before the last, whose rows share that function. `solver` is how linear systems with it are solved.
    """

    several = False

    def __init__(self, name: str, residual: Vectors, solver: Any, symmetric: bool = False) -> None:
        self.name, self.residual, self.solver, self.symmetric = name, residual, solver, symmetric

    def operator(self, x: Any) -> Vectors:
        """Return the derivative at `x` as a function."""
        return lambda v: jvp(self.residual, (x,), (v,))[1]


class Linear(Equation):
    """The equation A y − b = 0, for a function A of vectors."""

    def __init__(
        self, name: str, matvec: Vectors, b: Any, solver: Any, several: bool = False, symmetric: bool = False
    ) -> None:
        self.matvec, self.b, self.several = matvec, b, several
        super().__init__(name, lambda y: self.apply(y) - b, solver, symmetric)

    def apply(self, y: Any) -> Any:
        """Return A y, of each row if there are several."""
        return vmap(self.matvec, in_dims=-2, out_dims=-2)(y) if self.several else self.matvec(y)

    def operator(self, x: Any) -> Vectors:
        """Return A."""
        return self.matvec


def solve(equation: Linear, top: Namespace, upto: int | None = None, plain: bool = False) -> Any:
    """Return the solution of a linear equation, with its derivatives at all levels up to one, as a tensor of that.

    `plain` says that nothing is to be recorded at the lowest level.
    """
    tower = Tower(top)
    if tower.height:
        with no_grad():
            b = equation.b.detach()
            tower = Tower(top, (b, equation.apply(b)))
    z = solve_system(System(equation, tower))
    return z if plain and not tower.height else connected(equation, z, tower, upto)


def connected(equation: Equation, z: Any, tower: Tower, upto: int | None = None) -> Any:
    """Give a solution at the lowest level its derivatives, level by level."""
    z = _recorded(equation, z, tower, 0)
    for k in range(1, (tower.height if upto is None else upto) + 1):
        z = tower.step(z, k, None if is_batched(tower.kinds[k]) else _tangent(equation, z, tower, k))
        z = _recorded(equation, z, tower, k)
    return z


def _tangent(equation: Equation, z: Any, tower: Tower, k: int) -> Any:
    """Return the tangent of a solution at level k, whose value is `z`; None if it stands still."""
    x = tower.lift(z, k - 1)
    moved = tower.lower(equation.residual(x), k)._value._tangent
    if moved is None:
        return None
    many = getattr(moved, "_hidden", None)  # tangents may be many at once: arrays of another type
    value = -moved if many is None else -moved._value
    rows = Rows(equation, value, bool(many))
    linear = Linear(
        equation.name, equation.operator(x), tower.lift(rows.value, k - 1), equation.solver, rows.several,
        equation.symmetric,
    )  # fmt: skip
    tangent = rows.restored(solve(linear, tower.top, k - 1))
    return tangent if many is None else type(moved)._make(tangent, many)


class Rows:
    """Right-hand sides whose systems share a matrix: where there are many, as rows on the axis before the last."""

    def __init__(self, equation: Equation, value: Any, many: bool) -> None:
        self.many, self.several = many, many or equation.several
        self.inner = equation.several
        self.shape = tuple(value.shape)
        if many:
            value = value._xp.moveaxis(value, 0, -3 if self.inner else -2)
            self.shape = tuple(value.shape)
            if self.inner:
                value = value._xp.reshape(value, (*self.shape[:-3], -1, self.shape[-1]))
        self.value = value

    def restored(self, value: Any) -> Any:
        """Return a solution in the shape of the right-hand sides as they were given."""
        if not self.many:
            return value
        xp = value._xp
        return xp.moveaxis(xp.reshape(value, self.shape), -3 if self.inner else -2, 0)


def _recorded(equation: Equation, z: Any, tower: Tower, k: int) -> Any:
    """Connect a solution to the graph of level k, if the equation is."""
    if not mode().recording:
        return z
    record = Recorded(equation, tower, k)
    tape = record.tape(z._xp.array_class._make(z._value).requires_grad_())
    if not tape.outside:
        return z
    return Solved(record, tape).connected(z, tape.outside)


class Recorded:
    """An equation as it is seen from level k."""

    def __init__(self, equation: Equation, tower: Tower, k: int) -> None:
        self.equation, self.tower, self.k = equation, tower, k

    def tape(self, source: Any) -> Tape:
        """Record the residual at a tensor of the level."""
        return self._tape(self.equation.residual, source)

    def operator_tape(self, tape: Tape) -> Tape:
        """Return a tape whose derivative is the equation's, for one row."""
        if not self.equation.several:
            return tape
        x = tape.source
        matvec = self.equation.operator(None)
        return self._tape(matvec, x._xp.zeros_like(x.detach()[..., 0, :]).requires_grad_())

    def _tape(self, function: Vectors, source: Any) -> Tape:
        tower, k = self.tower, self.k
        with levels.entered(tower.top):
            return Tape(lambda x: tower.lower(function(tower.lift(x, k)), k), source)


class Solved(Result):
    """The recipe of a solution's node."""

    def __init__(self, record: Recorded, tape: Tape) -> None:
        super().__init__(record.equation.name, tape.source, tape.outside)
        self.record, self.tape, self.xp = record, tape, tape.xp

    def again(self, z: Any) -> Tape:
        """Record the equation at the solution as it is connected to the graph: for derivatives of derivatives."""
        tape = self.record.tape(alias(z))
        was, now = self.tape.result, tape.result
        same = known(_same(was, now))
        if same is False:
            raise GraphError(
                f"{self.op.name}: the function gives another result than when it was solved, so its second derivative "
                "can't be computed; what it closes over has changed since: hand it in as an argument"
            )
        return tape

    def _pull(self, targets: tuple[int, ...], t: Any, saved: tuple[Any, ...], xp: Any) -> Any:
        create = isinstance(saved[0], self.array)
        tape = self.again(saved[0]) if create else self.tape
        value, many = self.tensor(t, xp)
        u = self._solved(tape, -value, create, many)
        if isinstance(xp, Namespace) and is_batched(xp):
            seed = xp.array_class._make(u if create else u._value, many)
        else:
            seed = u if isinstance(xp, Namespace) else u._value
        found = tape.back(seed, create, xp if isinstance(xp, Namespace) and xp is not self.xp else None)
        return [found.get(tape.outside[i], NOTHING) for i in targets]

    def _solved(self, tape: Tape, b: Any, create: bool, many: bool) -> Any:
        """Return the solution of the transposed system, at the level of `b`."""
        equation = self.record.equation
        operator = self.record.operator_tape(tape)
        rows = Rows(equation, b, many)
        top = top_over(b._xp)
        with levels.entered(top):
            right = levels.lift(rows.value, top)
            linear = Linear(
                equation.name, lambda u: operator.transposed(u, create), right, equation.solver, rows.several,
                equation.symmetric,
            )  # fmt: skip
            return rows.restored(solve(linear, top, Tower(top).tensors.index(b._xp), plain=not create))


def _same(a: Any, b: Any) -> Any:
    while hasattr(type(a), "_xp"):
        if hasattr(a, "_hidden") and a._hidden != b._hidden:
            return None
        xp, a, b = a._xp._lower, a._value, b._value
    return xp.all((a == b) | ((a != a) & (b != b)))
