"""Solvers that compute with NumPy: SciPy's, or anybody's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, ConvergenceError, MissingExtraError
from .loops import traced

if TYPE_CHECKING:
    from .search import Search

ROOTS = (
    "anderson", "broyden1", "broyden2", "df-sane", "diagbroyden", "excitingmixing", "hybr", "krylov", "linearmixing",
    "lm",
)  # fmt: skip
MINIMA = (
    "BFGS", "CG", "COBYLA", "COBYQA", "L-BFGS-B", "Nelder-Mead", "Newton-CG", "Powell", "SLSQP", "TNC", "dogleg",
    "trust-constr", "trust-exact", "trust-krylov", "trust-ncg",
)  # fmt: skip
SCIPY = ("BDF", "DOP853", "LSODA", "RK23", "RK45", "Radau")  # of solve_ivp
WITH_JACOBIAN = ("hybr", "lm")
WITH_HESSIAN = ("Newton-CG", "dogleg", "trust-constr", "trust-exact", "trust-krylov", "trust-ncg")
WITHOUT_GRADIENT = ("COBYLA", "COBYQA", "Nelder-Mead", "Powell")


class OnNumpy:
    """A solver `(function, start) -> solution` of NumPy vectors, for arrays of any backend.

    What a transformation maps over is one long vector to it. It can't be compiled.
    """

    def __init__(self, solver: Callable[..., Any]) -> None:
        self.solver = solver

    def called(self, function: Callable[[Any], Any], start: Any, name: str, scalar: bool = False) -> Any:
        """Return the solution as a tensor like `start`; `scalar` says that the function gives numbers."""
        host = Host(start, name)
        return host.to(self.solver(partial(host.number if scalar else host.vector, function), host.start))

    def __call__(self, function: Callable[..., Any], start: Any) -> Any:
        """Solve with functions of NumPy vectors."""
        return self.solver(function, start)


class Host:
    """Tensors of one shape as NumPy vectors."""

    def __init__(self, start: Any, name: str) -> None:
        self.xp, self.shape, self.dtype = start._xp, start.shape, start.dtype
        if traced(start):
            raise ArgumentError(
                f"{name}: a solver on NumPy can't be compiled; take one of the library's own, or leave this call out "
                "of what is compiled"
            )
        self.start = self.back(start)

    def to(self, x: Any) -> Any:
        """Return a tensor."""
        return self.xp.reshape(self.xp.asarray(np.asarray(x, dtype=np.float64), dtype=self.dtype), self.shape)

    def back(self, y: Any) -> Any:
        """Return a NumPy vector."""
        return np.array(self.xp._backend.to_numpy(y.detach()._value), dtype=np.float64).reshape(-1)

    def vector(self, function: Callable[[Any], Any], x: Any) -> Any:
        """Call a function of tensors with a NumPy vector."""
        return self.back(function(self.to(x)))

    def number(self, function: Callable[[Any], Any], x: Any) -> float:
        """Call a function that gives a number for each of the systems, and return their sum."""
        return float(self.back(function(self.to(x))).sum())

    def matrix(self, search: Search, x: Any) -> Any:
        """Return the derivative of the residual: of several systems, a matrix with a block for each."""
        z = self.to(x)
        blocks = self.xp._backend.to_numpy(search.system(z, z).matrix()._value)
        m = self.shape[-1]
        whole = np.zeros((x.size // m, m, x.size // m, m))
        for i, block in enumerate(blocks.reshape(-1, m, m)):
            whole[i, :, i, :] = block
        return whole.reshape(x.size, x.size)


def _scipy(name: str) -> Any:
    try:
        import scipy.optimize
    except ImportError as error:
        raise MissingExtraError(f"{name}: this solver is SciPy's: pip install scipy") from error
    return scipy.optimize


def _root(method: str, search: Search) -> Any:
    """Find a root by one of SciPy's methods."""
    name, limits = search.equation.name, search.limits
    host = Host(search.start, name)
    options: dict[str, Any] = {} if limits.maxiter is None else {_most(method): limits.maxiter}
    jac = partial(host.matrix, search) if method in WITH_JACOBIAN else None
    tol = 1e-12 if limits.tol is None else limits.tol
    found = _scipy(name).root(
        partial(host.vector, search.residual), host.start, jac=jac, method=method, tol=tol, options=options
    )
    if not found.success and np.abs(found.fun).max() > 1e-8:
        raise ConvergenceError(f"{name}: SciPy's solver {method!r} found no solution: {found.message}")
    return host.to(found.x)


def _most(method: str) -> str:
    return {"hybr": "maxfev", "df-sane": "maxfev", "lm": "maxiter"}.get(method, "maxiter")


def _minimum(method: str, search: Search) -> Any:
    """Find a minimum by one of SciPy's methods."""
    name, limits = search.equation.name, search.limits
    host = Host(search.start, name)
    options = {} if limits.maxiter is None else {"maxiter": limits.maxiter}
    more: dict[str, Any] = {}
    if method not in WITHOUT_GRADIENT:
        more["jac"] = partial(host.vector, search.residual)
    if method in WITH_HESSIAN:
        more["hess"] = partial(host.matrix, search)
    tol = 1e-10 if limits.tol is None else limits.tol
    found = _scipy(name).minimize(
        partial(host.number, search.objective), host.start, method=method, tol=tol, options=options, **more
    )
    if not found.success and np.abs(more["jac"](found.x) if "jac" in more else np.inf).max() > 1e-4:
        raise ConvergenceError(f"{name}: SciPy's solver {method!r} found no minimum: {found.message}")
    return host.to(found.x)


def solve_ivp(
    rate: Callable[..., Any], state: list[Any], control: Any
) -> tuple[list[Any], Callable[[float], list[Any]]]:
    """Integrate from time 0 to time 1 by one of SciPy's methods; return the state then, and that at any time."""
    try:
        from scipy import integrate
    except ImportError as error:
        raise MissingExtraError(f"odeint: method {control.method!r} is SciPy's: pip install scipy") from error
    hosts = [Host(x, "odeint") for x in state]
    ends = np.cumsum([host.start.size for host in hosts])[:-1]

    def called(s: float, x: Any) -> Any:
        now = [host.to(part) for host, part in zip(hosts, np.split(x, ends), strict=True)]
        return np.concatenate([host.back(r) for host, r in zip(hosts, rate(now, float(s)), strict=True)])

    start = np.concatenate([host.start for host in hosts])
    rtol = max(control.rtol, 1e-13)
    found = integrate.solve_ivp(
        called, (0.0, 1.0), start, method=control.method, dense_output=True, rtol=rtol, atol=control.atol
    )
    if not found.success:
        raise ConvergenceError(f"odeint: SciPy's method {control.method!r} failed: {found.message}")

    def path(s: float) -> list[Any]:
        return [host.to(part) for host, part in zip(hosts, np.split(found.sol(s), ends), strict=True)]

    return path(1.0), path


scipy_root = {method: partial(_root, method) for method in ROOTS}
scipy_minimum = {method: partial(_minimum, method) for method in MINIMA}


def on_numpy(solver: Callable[[Callable[[Any], Any], Any], Any]) -> OnNumpy:
    """Make a solver of NumPy vectors, such as SciPy's, one for arrays of any backend, under any transformation.

    `solver(function, start)` gets a function from float64 vectors to float64 vectors (numbers, from `argmin`) and a
    vector to start from, or, as a linear solver, the function that multiplies by the matrix and the right-hand side.
    It returns a vector.

    >>> import autodiff_api as ad, numpy as np
    >>> def halving(f, x):
    ...     while abs(f(x)).max() > 1e-12:
    ...         x = x - f(x) / 2
    ...     return x
    >>> x = ad.implicit.root(lambda x, a: x - a, 0.0, 3.0, solver=ad.implicit.on_numpy(halving))
    >>> round(float(x), 9)
    3.0
    """
    return OnNumpy(solver)
