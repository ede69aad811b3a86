"""Implicit differentiation: solutions of equations against closed forms and unrolled iterations, in every nesting."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import implicit

rng = np.random.default_rng(0)
M = rng.normal(size=(3, 3)) * 0.2
X, Y = rng.normal(size=(5, 3)), rng.normal(size=5)
THETA, ALONG = np.asarray([0.7, 1.3, 0.9]), np.asarray([0.3, -1.0, 0.5])
MANY = rng.uniform(0.5, 2.0, size=(4, 3))


def raw(x):
    """An array of the default backend."""
    return ad.namespace().asarray(x)._value


def host(x):
    if isinstance(x, tuple | list):
        return np.concatenate([host(part).ravel() for part in x])
    return np.asarray(x.detach() if isinstance(x, ad.Tensor) else x)


def close(found, wanted, **limits):
    np.testing.assert_allclose(host(found), host(wanted), **{"rtol": 1e-7, "atol": 1e-9, **limits})


# --- what is solved, and the same without implicit derivatives ---


def contraction(x, t):
    return 0.4 * ad.cos(raw(M) @ x) + t


def quartic(x, t):
    return ad.sum((raw(X) @ x - raw(Y)) ** 4) + ad.sum(ad.exp(t) * x**2)


def unrolled_contraction(t):
    x = ad.zeros(3) * t
    for _ in range(40):
        x = contraction(x, t)
    return x


def unrolled_newton(t):
    x = ad.zeros(3) * t
    for _ in range(20):
        x = x - ad.linalg.solve(ad.hessian(quartic)(x, t), ad.grad(quartic)(x, t))
    return x


def of_a_tree(t):
    def equations(u, t):
        return {"sum": u["sum"] + u["rest"][0] - t[0], "rest": [u["sum"] - u["rest"][0] - t[1] ** 2 * t[2]]}

    u = implicit.root(equations, {"sum": 0.0, "rest": [0.0]}, t)
    return u["sum"] * ad.sum(t) + u["rest"][0] ** 2


def of_a_tree_solved(t):
    a, b = t[0], t[1] ** 2 * t[2]
    return (a + b) / 2 * ad.sum(t) + ((a - b) / 2) ** 2


def matrix(t):
    return ad.eye(3) * t**2 + raw(M) @ raw(M).T


def start():
    return raw(np.ones(3))


PROBLEMS = {
    "argmin": (lambda t: implicit.argmin(quartic, start(), t), unrolled_newton),
    "argmin, cg": (lambda t: implicit.argmin(quartic, start(), t, linear_solver="cg"), unrolled_newton),
    "fixed_point": (lambda t: implicit.fixed_point(contraction, start(), t), unrolled_contraction),
    "fixed_point, gmres": (
        lambda t: implicit.fixed_point(contraction, start(), t, linear_solver="gmres", solver="newton"),
        unrolled_contraction,
    ),
    "fixed_point, neumann": (
        lambda t: implicit.fixed_point(contraction, start(), t, linear_solver="neumann", solver="iteration"),
        unrolled_contraction,
    ),
    "linear_solve": (
        lambda t: implicit.linear_solve(lambda x, t: t**2 * x + raw(M) @ x, ad.exp(t), t),
        lambda t: ad.linalg.solve(ad.eye(3) * t**2 + raw(M), ad.exp(t)),
    ),
    "linear_solve, cg": (
        lambda t: implicit.linear_solve(matrix(t), ad.exp(t), solver="cg", symmetric=True),
        lambda t: ad.linalg.solve(matrix(t), ad.exp(t)),
    ),
    "root": (lambda t: implicit.root(lambda x, t: x**2 - t, start(), t), ad.sqrt),
    "root, by closure": (lambda t: implicit.root(lambda x: x**2 - t, start()), ad.sqrt),
    "root, of a tree": (of_a_tree, of_a_tree_solved),
}


def scalar(h):
    return lambda t: ad.sum(ad.sin(h(t)) * (1 + 0 * t))


def batch(h):
    return lambda ts: ad.sum(ad.sin(ad.vmap(h)(ts)))


def backward(h):
    t = ad.tensor(THETA, requires_grad=True)
    ad.sum(h(t) ** 2).backward()
    return t.grad


NESTINGS = {
    "backward": backward,
    "grad": lambda h: ad.grad(scalar(h))(raw(THETA)),
    "grad grad grad": lambda h: ad.grad(lambda t: ad.sum(ad.cos(ad.grad(batch_of_one(ad.grad(scalar(h))))(t))))(
        raw(THETA)
    ),
    "grad vmap": lambda h: ad.grad(batch(h))(raw(MANY)),
    "hessian": lambda h: ad.hessian(scalar(h))(raw(THETA)),
    "hessian vmap": lambda h: ad.hessian(batch(h))(raw(MANY)),
    "jacfwd": lambda h: ad.jacfwd(h)(raw(THETA)),
    "jacfwd jacfwd": lambda h: ad.jacfwd(ad.jacfwd(h))(raw(THETA)),
    "jacfwd vmap": lambda h: ad.jacfwd(ad.vmap(h))(raw(MANY)),
    "jacrev": lambda h: ad.jacrev(h)(raw(THETA)),
    "jacrev jacfwd": lambda h: ad.jacrev(ad.jacfwd(h))(raw(THETA)),
    "jacrev jacrev": lambda h: ad.jacrev(ad.jacrev(h))(raw(THETA)),
    "jacrev vmap": lambda h: ad.jacrev(ad.vmap(h))(raw(MANY)),
    "jvp": lambda h: ad.jvp(h, (raw(THETA),), (raw(ALONG),)),
    "jvp grad jvp": lambda h: ad.jvp(
        ad.grad(lambda t: ad.sum(ad.jvp(h, (t,), (raw(ALONG),))[1] ** 2)), (raw(THETA),), (raw(ALONG),)
    ),
    "jvp vmap grad": lambda h: ad.jvp(ad.vmap(ad.grad(scalar(h))), (raw(MANY),), (raw(2 * MANY),)),
    "linearize": lambda h: ad.linearize(h, raw(THETA))[1](raw(ALONG)),
    "vmap": lambda h: ad.vmap(h)(raw(MANY)),
    "vmap grad": lambda h: ad.vmap(ad.grad(scalar(h)))(raw(MANY)),
    "vmap hessian": lambda h: ad.vmap(ad.hessian(scalar(h)))(raw(MANY)),
    "vmap jacfwd": lambda h: ad.vmap(ad.jacfwd(h))(raw(MANY)),
    "vmap jacrev": lambda h: ad.vmap(ad.jacrev(h))(raw(MANY)),
    "vmap jvp of many tangents": lambda h: ad.vmap(lambda v: ad.jvp(h, (raw(THETA),), (v,))[1])(raw(MANY)),
    "vmap vmap": lambda h: ad.vmap(lambda a: ad.vmap(lambda b: h(a * b))(raw(MANY)))(raw(MANY)),
}
COMPILED = ("grad vmap", "hessian", "vmap jacrev")


def batch_of_one(g):
    return lambda t: ad.sum(ad.sin(g(t)))


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_solutions_in_every_nesting(problem, nesting):
    """Values and derivatives are those of the closed form, or of the iterations, differentiated themselves."""
    ours, plain = PROBLEMS[problem]
    with ad.use_backend("numpy"):
        close(NESTINGS[nesting](ours), NESTINGS[nesting](plain))


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    before = jax.config.values["jax_enable_x64"]
    jax.config.update("jax_enable_x64", True)
    try:
        with ad.use_backend("jax"):
            yield jax
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("nesting", COMPILED)
@pytest.mark.parametrize("problem", ["argmin", "fixed_point", "linear_solve, cg", "root, by closure"])
def test_solutions_compiled(problem, nesting, jax):
    """JAX compiles solver and derivatives; they are what NumPy computes."""
    found = jax.jit(lambda: NESTINGS[nesting](PROBLEMS[problem][0]))()
    with ad.use_backend("numpy"):
        close(found, NESTINGS[nesting](PROBLEMS[problem][1]))


def test_solutions_on_jax_arrays(jax):
    """Arrays in, arrays out, without a compiler."""
    ours, plain = PROBLEMS["root"]
    assert isinstance(ours(raw(THETA)), jax.Array)
    for nesting in ("grad", "backward"):
        close(NESTINGS[nesting](ours), NESTINGS[nesting](plain))


# --- solvers ---

SOLVERS = {
    implicit.argmin: ["newton", "auto", "BFGS", "L-BFGS-B", "trust-exact"],
    implicit.fixed_point: ["anderson", "iteration", "newton"],
    implicit.root: ["newton", "hybr", "krylov", "lm"],
}
FUNCTIONS = {
    implicit.argmin: (quartic, unrolled_newton),
    implicit.fixed_point: (contraction, unrolled_contraction),
    implicit.root: (lambda x, t: contraction(x, t) - x, unrolled_contraction),
}


@pytest.mark.parametrize("function, solver", [(f, s) for f, names in SOLVERS.items() for s in names])
def test_every_solver_finds_it(function, solver):
    """Mapped over, too: the library's own solve each, SciPy's get one long vector."""
    if solver not in ("anderson", "auto", "iteration", "newton"):
        pytest.importorskip("scipy")
    f, plain = FUNCTIONS[function]
    limits = {"rtol": 1e-4, "atol": 1e-5} if function is implicit.argmin else {}
    with ad.use_backend("numpy"):
        close(ad.vmap(lambda t: function(f, np.ones(3), t, solver=solver))(MANY), ad.vmap(plain)(MANY), **limits)
        found = ad.vmap(ad.jacrev(lambda t: function(f, np.ones(3), t, solver=solver)))(MANY)
        close(found, ad.vmap(ad.jacrev(plain))(MANY), **limits)


@pytest.mark.parametrize("solver", ["cg", "dense", "gmres"])
def test_large_linear_systems(solver, backend):
    """One matrix, applied and never written: a thousand unknowns."""
    n = 300
    d = raw(np.linspace(1.0, 4.0, n))

    def tridiagonal(x, d):
        zero = ad.zeros(1)
        return 3 * d * x - ad.concat([zero, x[:-1]]) - ad.concat([x[1:], zero])

    x = implicit.linear_solve(tridiagonal, d, d, solver=solver)
    close(tridiagonal(x, d), d)
    g = ad.grad(lambda d: ad.sum(implicit.linear_solve(tridiagonal, raw(np.ones(n)), d, solver=solver)))(d)
    wanted = np.diag(3 * host(d)) - np.eye(n, k=1) - np.eye(n, k=-1)
    ones = np.linalg.solve(wanted, np.ones(n))
    close(g, -3 * ones**2)


def test_a_solver_of_ones_own(backend):
    """It gets trees, without derivatives; nothing that it does is differentiated."""
    seen = []

    def babylonian(f, x):
        for _ in range(8):
            seen.append(x["side"].requires_grad)
            x = {"side": x["side"] - f(x)["side"] / (2 * x["side"])}
        return x

    def side(area):
        f = lambda x, area: {"side": x["side"] ** 2 - area}  # noqa: E731
        return implicit.root(f, {"side": 1.0}, area, solver=babylonian)["side"]

    x = ad.tensor(9.0, requires_grad=True)
    y = side(x)
    y.backward()
    assert seen == [False] * 8
    close((y, x.grad), [3.0, 1 / 6])
    close(ad.vmap(ad.grad(side))(raw(np.asarray([4.0, 9.0]))), [1 / 4, 1 / 6])


def test_a_solver_on_numpy(backend):
    optimize = pytest.importorskip("scipy.optimize")
    linalg = pytest.importorskip("scipy.sparse.linalg")

    def sparse(matvec, b):
        return linalg.gmres(linalg.LinearOperator((b.size, b.size), matvec=matvec), b, rtol=1e-12, atol=0)[0]

    def solved(t):
        return implicit.root(
            lambda x, t: x**3 + x - t,
            raw(np.ones(2)),
            t,
            solver=implicit.on_numpy(lambda f, x: optimize.root(f, x, tol=1e-13).x),
            linear_solver=implicit.on_numpy(sparse),
        )

    t = raw(np.asarray([2.0, 10.0]))
    close(solved(t), [1.0, 2.0])
    close(ad.jacrev(solved)(t), np.diag([1 / 4, 1 / 13]))
    close(ad.vmap(solved)(raw(np.asarray([[2.0, 10.0]] * 2))), np.asarray([[1.0, 2.0]] * 2))


def test_solvers_on_numpy_are_not_compiled(jax):
    with pytest.raises(ad.ArgumentError, match="can't be compiled"):
        jax.jit(lambda a: implicit.root(lambda x, a: x - a, 0.0, a, solver="hybr"))(1.0)


# --- what it is differentiated by ---


def test_what_the_function_closes_over(backend):
    """Tensors of a module, a tensor and another computed from it: each gets its own gradient, and hooks run once."""
    a = ad.tensor(2.0, requires_grad=True)
    b = a * 3
    calls = []
    b.register_hook(lambda g: calls.append(float(g)))
    x = implicit.root(lambda x: x**2 - a * b, 1.0)  # x = a √3
    x.backward()
    close(a.grad, 3**0.5)
    close(np.asarray(calls), [2 / (2 * 12**0.5)])


def test_a_fixed_point_of_a_module(backend):
    ad.random.manual_seed(0)
    layer = ad.nn.Linear(4, 4)
    x = ad.tensor(rng.normal(size=(2, 4)))
    with ad.no_grad():
        layer.weight *= 0.3

    def g(z, x):
        return ad.tanh(layer(z) + x)

    def gradients(z):
        layer.zero_grad()
        ad.sum(z**2).backward()
        return [p.grad for p in layer.parameters()]

    found = gradients(implicit.fixed_point(g, ad.zeros((2, 4)), x))
    z = ad.zeros((2, 4))
    for _ in range(80):
        z = g(z, x)
    for one, other in zip(found, gradients(z), strict=True):
        close(one, other, rtol=1e-4, atol=1e-5)


def test_a_closure_that_goes_on():
    """First derivatives are of what it was when the equation was solved; second ones can't be, and say so."""
    with ad.use_backend("numpy"):
        t = ad.tensor(1.0, requires_grad=True)
        roots = [implicit.root(lambda x: x - (k + 1) * t, 0.0) for k in range(3)]  # noqa: B023
        (g,) = ad.autograd.grad(sum(roots), t, retain_graph=True)
        assert float(g) == 6
        with pytest.raises(ad.GraphError, match="hand it in as an argument"):
            ad.autograd.grad(roots[0] ** 2, t, create_graph=True)


def test_nothing_is_kept_of_the_solver():
    """However many steps it took, one node is in the graph, and nothing needs the garbage collector."""
    with ad.use_backend("numpy"):
        t = ad.tensor(THETA, requires_grad=True)
        x = implicit.fixed_point(lambda x, t: 0.99 * ad.sin(x) + t, np.zeros(3), t, solver="iteration")
        node = x.grad_fn
        assert node.name() == "fixed_point" and [leaf for leaf, _ in node.next_functions] == [t._node]
        gone = weakref.ref(node)
        gc.disable()
        try:
            del x, node
            assert gone() is None
        finally:
            gc.enable()


def test_without_recording():
    with ad.use_backend("numpy"):
        t = ad.tensor(4.0, requires_grad=True)
        with ad.no_grad():
            assert not implicit.root(lambda x, t: x**2 - t, 1.0, t).requires_grad
        assert not implicit.root(lambda x, t: x**2 - t, 1.0, t.detach()).requires_grad
        x0 = ad.tensor(1.0, requires_grad=True)
        assert not implicit.root(lambda x: x**2 - 4.0, x0).requires_grad


def test_gradcheck():
    """Against differences, to second order."""
    with ad.use_backend("numpy"):
        t = ad.tensor(THETA, requires_grad=True)
        for ours, _ in PROBLEMS.values():
            assert ad.autograd.gradcheck(ours, (t,), atol=1e-4)
            assert ad.autograd.gradgradcheck(ours, (t,), atol=1e-4)


# --- what is unknown ---


@dataclass
class Point:
    x: object
    y: object


def test_trees(backend):
    """A dataclass of a matrix and a complex number; each keeps its dtype."""

    def f(p, a):
        return Point(p.x + p.x**3 - a, p.y**2 - 2j * a[0, 0])

    a = raw(np.asarray([[2.0, 10.0]]))
    p = implicit.root(f, Point(raw(np.ones((1, 2))), raw(np.asarray(1 + 0.5j))), a)
    close(p.x, np.asarray([[1.0, 2.0]]))
    close(p.y, 2**0.5 * (1 + 1j))
    tangent = ad.jvp(lambda a: implicit.root(f, p, a), (a,), (ad.namespace().ones((1, 2))._value,))[1]
    close(tangent.x, np.asarray([[1 / 4, 1 / 13]]))
    close(tangent.y, 1j / (2**0.5 * (1 + 1j)))


def test_complex_numbers(backend):
    """Not holomorphic: it is two real equations, and so are its derivatives."""

    def solved(c):
        return implicit.root(lambda z, c: z + 0.3 * ad.conj(z) * z - c, 0.5 + 0j, c)

    c = raw(np.asarray(0.7 + 0.4j))
    z = complex(host(solved(c)))
    h = 1e-6
    for direction in (1, 1j):
        wanted = (complex(host(solved(c + h * direction))) - complex(host(solved(c - h * direction)))) / (2 * h)
        close(ad.jvp(solved, (c,), (raw(np.asarray(direction + 0j)),))[1], wanted, rtol=1e-6)
    t = ad.tensor(host(c), requires_grad=True)
    ad.real(solved(t)).backward()
    a = np.asarray([[1 + 0.6 * z.real, 0.6 * z.imag], [0, 1]])
    slope = np.linalg.inv(a)[0]
    close(t.grad, slope[0] + 1j * slope[1])


def test_single_precision(backend):
    x = implicit.root(
        lambda x, a: x**2 - a, raw(np.ones(2, dtype=np.float32)), raw(np.asarray([4, 9], dtype=np.float32))
    )
    assert x.dtype == np.float32
    close(x, [2.0, 3.0], rtol=1e-6)
    for solver in ("anderson", "iteration", "newton"):
        x = implicit.fixed_point(
            lambda x: 0.5 * ad.cos(x) + raw(ALONG.astype(np.float32)), raw(np.zeros(3, dtype=np.float32)), solver=solver
        )
        close(x - 0.5 * np.cos(host(x)), ALONG, atol=1e-5)


def test_a_matrix_is_differentiated(backend):
    a = raw(rng.normal(size=(3, 3)) + 3 * np.eye(3))
    for solver in ("dense", "gmres"):
        found = ad.jacrev(partial(implicit.linear_solve, solver=solver), (0, 1))(a, raw(THETA))
        wanted = ad.jacrev(ad.linalg.solve, (0, 1))(a, raw(THETA))
        for one, other in zip(found, wanted, strict=True):
            close(one, other)


# --- what goes wrong ---


def test_singular(backend):
    with pytest.raises(ad.LinAlgError, match=r"root: .* singular"):
        ad.grad(lambda a: ad.sum(implicit.root(lambda x, a: ad.sum(x) - a + 0 * x, raw(np.zeros(2)), a)))(1.0)
    with pytest.raises(ad.LinAlgError, match="singular"):
        implicit.linear_solve(raw(np.zeros((2, 2))), raw(np.ones(2)))
    with pytest.raises(ad.ConvergenceError, match="'cg' did not converge"):
        implicit.linear_solve(raw(np.asarray([[1.0, 0.0], [0.0, 0.0]])), raw(np.ones(2)), solver="cg")


NOWHERE = [("anderson", implicit.fixed_point), ("iteration", implicit.fixed_point), ("newton", implicit.root)]


@pytest.mark.parametrize("solver, function", NOWHERE)
def test_no_solution(solver, function, backend):
    with pytest.raises(ad.ConvergenceError, match=f"solver '{solver}' found no solution"):
        function(lambda x: x**2 + 1, 0.5, solver=solver, maxiter=30)


def test_no_minimum():
    with ad.use_backend("numpy"):
        for f in (lambda x: x, lambda x: ad.abs(x - 1), lambda x: -(x**2)):
            with pytest.raises(ad.ConvergenceError, match="argmin: solver 'newton' found no solution"):
                implicit.argmin(f, 0.3)


def test_minima_that_are_not_the_only_ones():
    """They are found; but have no derivative."""
    with ad.use_backend("numpy"):
        x = implicit.argmin(lambda x: (ad.sum(x) - 1) ** 2, np.ones(3))
        close(np.sum(x), 1.0)
        close(implicit.argmin(lambda x: ad.sum((x - 1) ** 4), np.zeros(2)), np.ones(2), atol=1e-6)
        close(implicit.argmin(lambda x: x**4 - x**2, 0.1), 0.5**0.5)
        rosenbrock = implicit.argmin(lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, np.asarray([-1.2, 1.0]))
        close(rosenbrock, np.ones(2))
        with pytest.raises(ad.LinAlgError, match=r"argmin: .* singular"):
            ad.grad(lambda a: ad.sum(implicit.argmin(lambda x, a: (ad.sum(x) - a) ** 2, np.zeros(2), a)))(1.0)


def test_integers_are_numbers_too():
    with ad.use_backend("numpy"):
        close(implicit.linear_solve(np.asarray([[2, 0], [0, 4]]), np.asarray([2, 4])), np.ones(2))
        close(implicit.root(lambda x: x * x - 4, 1), 2.0)


def test_clear_errors():
    with ad.use_backend("numpy"):
        with pytest.raises(ad.ArgumentError, match=r"no solver 'Newton'; give one of .*'newton'"):
            implicit.root(lambda x: x, 1.0, solver="Newton")
        with pytest.raises(ad.ArgumentError, match=r"no linear solver 'lu'"):
            implicit.linear_solve(np.eye(2), np.ones(2), solver="lu")
        with pytest.raises(ad.ShapeError, match=r"has shape \(2,\), but the unknown there has \(3,\)"):
            implicit.root(lambda x: x[:2], np.ones(3))
        with pytest.raises(ad.TreeError, match=r"root: the function's result"):
            implicit.root(lambda x: {"b": x["a"]}, {"a": np.ones(3)})
        with pytest.raises(ad.OutputError, match="start at complex numbers"):
            implicit.root(lambda x: x + 1j, 1.0)
        with pytest.raises(ad.ShapeError, match="one number to make small"):
            implicit.argmin(lambda x: x**2, np.ones(3))
        with pytest.raises(ad.ShapeError, match="square matrix"):
            implicit.linear_solve(np.ones((2, 3)), np.ones(2))
        with pytest.raises(ad.ArgumentError, match="nothing is unknown"):
            implicit.root(lambda x: x, {})


def strictly(xp):
    """The same problems on tensors of another namespace: sums of what they are solved for."""
    m, x, y = (xp.asarray(v) for v in (M, X, Y))

    def quartic(w, t):
        return xp.sum((x @ w - y) ** 4) + xp.sum(xp.exp(t) * w**2)

    return {
        "argmin": lambda t: implicit.argmin(quartic, xp.ones(3), t),
        "fixed_point": lambda t: implicit.fixed_point(lambda z, t: 0.4 * xp.cos(m @ z) + t, xp.ones(3), t),
        "linear_solve": lambda t: implicit.linear_solve(lambda z, t: t**2 * z + m @ z, xp.exp(t), t, solver="gmres"),
        "odeint": lambda t: implicit.odeint(lambda z, s, t: -t * z, xp.ones(3), xp.asarray([0.0, 1.0]), t),
        "root": lambda t: implicit.root(lambda z, t: z**2 - t, xp.ones(3), t),
    }


@pytest.mark.parametrize("problem", ["argmin", "fixed_point", "linear_solve", "odeint", "root"])
def test_in_the_standard_alone(problem, strict):
    """Solvers and derivatives say nothing that array-api-strict does not know."""
    with ad.use_backend("numpy"):
        numpy = ad.namespace("numpy")
        wanted = ad.vmap(ad.jacrev(strictly(numpy)[problem]))(numpy.asarray(MANY))
    found = ad.vmap(ad.jacrev(strictly(strict)[problem]))(strict.asarray(MANY))
    close(np.asarray(found.tolist()), wanted)
    t = strict.asarray(THETA, requires_grad=True)
    strict.sum(strictly(strict)[problem](t)).backward()
    close(np.asarray(t.grad.tolist()), ad.grad(lambda t: numpy.sum(strictly(numpy)[problem](t)))(numpy.asarray(THETA)))
