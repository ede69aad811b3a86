"""Initial value problems against closed forms, SciPy and differences; by the adjoint equation and through the steps."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import implicit

P, ALONG = np.asarray([1.3, 0.5, 0.7]), np.asarray([0.3, -1.0, 0.5])
MANY = np.asarray([[1.3, 0.5, 0.7], [0.8, 1.1, -0.4]])


def raw(x):
    """An array of the default backend."""
    return ad.namespace().asarray(x)._value


def host(x):
    if isinstance(x, tuple | list):
        return np.concatenate([host(part).ravel() for part in x])
    return np.asarray(x.detach() if isinstance(x, ad.Tensor) else x)


def close(found, wanted, **limits):
    np.testing.assert_allclose(host(found), host(wanted), **{"rtol": 1e-5, "atol": 2e-6, **limits})


# --- problems with a solution in closed form ---


def oscillator(p, **options):
    """The state is a tuple; the frequency an argument."""
    times = raw(np.asarray([0.0, 0.4, 1.0]))
    y, v = implicit.odeint(lambda s, t, w: (s[1], -(w**2) * s[0]), (p[1], p[2]), times, p[0], **options)
    return ad.stack([y[1] + y[2], v[2], y[2]])


def oscillator_solved(p):
    w, a, b = p[0], p[1], p[2]
    y = [a * ad.cos(w * t) + b / w * ad.sin(w * t) for t in (0.4, 1.0)]
    return ad.stack([y[0] + y[1], -a * w * ad.sin(w) + b * ad.cos(w), y[1]])


def of_times(p, **options):
    """It depends on t, on the times, and on what it closes over; time goes back at last."""
    times = ad.stack([p[0] / 10, p[0], p[0] - 2 * p[1]])
    return implicit.odeint(lambda y, t: -p[2] * y + t, 1 + p[1], times, **options) * p


def of_times_solved(p):
    start, k = p[0] / 10, p[2]

    def y(t):
        return t / k - 1 / k**2 + (1 + p[1] - start / k + 1 / k**2) * ad.exp(-k * (t - start))

    return ad.stack([y(start), y(p[0]), y(p[0] - 2 * p[1])]) * p


PROBLEMS = {"oscillator": (oscillator, oscillator_solved), "of times": (of_times, of_times_solved)}


def scalar(h):
    return lambda p: ad.sum(ad.sin(h(p)) * (1 + 0 * p))


def batch(h):
    return lambda ps: ad.sum(ad.sin(ad.vmap(h)(ps)))


def backward(h):
    p = ad.tensor(P, requires_grad=True)
    ad.sum(h(p) ** 2).backward()
    return p.grad


NESTINGS = {
    "backward": backward,
    "grad jvp": lambda h: ad.grad(lambda p: ad.sum(ad.jvp(h, (p,), (raw(ALONG),))[1] ** 2))(raw(P)),
    "grad vmap": lambda h: ad.grad(batch(h))(raw(MANY)),
    "hessian": lambda h: ad.hessian(scalar(h))(raw(P)),
    "jacfwd": lambda h: ad.jacfwd(h)(raw(P)),
    "jacrev": lambda h: ad.jacrev(h)(raw(P)),
    "jacrev jacrev": lambda h: ad.jacrev(ad.jacrev(h))(raw(P)),
    "jacrev vmap": lambda h: ad.jacrev(ad.vmap(h))(raw(MANY)),
    "jvp vmap grad": lambda h: ad.jvp(ad.vmap(ad.grad(scalar(h))), (raw(MANY),), (raw(2 * MANY),))[1],
    "value": lambda h: h(raw(P)),
    "vmap grad": lambda h: ad.vmap(ad.grad(scalar(h)))(raw(MANY)),
    "vmap vmap": lambda h: ad.vmap(lambda a: ad.vmap(lambda b: h(a * b))(raw(MANY)))(raw(MANY)),
}


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("adjoint", [True, False], ids=["adjoint", "direct"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_solutions_in_every_nesting(problem, adjoint, nesting):
    ours, plain = PROBLEMS[problem]
    with ad.use_backend("numpy"):
        close(NESTINGS[nesting](lambda p: ours(p, adjoint=adjoint)), NESTINGS[nesting](plain))


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


COMPILED = {
    "adjoint, backward": ({}, lambda h: ad.grad(scalar(h))(raw(P))),
    "adjoint, forward": ({}, lambda h: ad.jacfwd(h)(raw(P))),
    "adjoint, mapped": ({}, lambda h: ad.grad(batch(h))(raw(MANY))),
    "direct, adaptive": ({"adjoint": False, "max_steps": 50}, lambda h: ad.grad(scalar(h))(raw(P))),
    "direct, even": ({"adjoint": False, "method": "rk4", "substeps": 20}, lambda h: ad.grad(scalar(h))(raw(P))),
}


@pytest.mark.parametrize("case", COMPILED)
def test_solutions_compiled(case, jax):
    """Loops are the engine's: the compiled program does not grow with the steps."""
    options, nesting = COMPILED[case]
    found = jax.jit(lambda: nesting(lambda p: oscillator(p, **options)))()
    with ad.use_backend("numpy"):
        close(found, nesting(oscillator_solved))


def test_many_times_compiled(jax):
    """Nor with the times, of which a compiler sees one."""

    def last(p, n):
        return ad.sum(implicit.odeint(lambda y, t: -p * y, 1.0, raw(np.linspace(0.0, 1.0, n)), max_steps=50))

    close(jax.jit(ad.grad(lambda p: last(p, 30)))(1.0), -np.sum(np.linspace(0, 1, 30) * np.exp(-np.linspace(0, 1, 30))))
    sizes = [len(str(jax.make_jaxpr(lambda p, n=n: last(p, n))(1.0))) for n in (10, 30)]
    assert sizes[1] < 1.5 * sizes[0]


def test_solutions_on_jax_arrays(jax):
    y = oscillator(raw(P))
    close(y, oscillator_solved(raw(P)))


# --- methods ---

ORDERS = {"bosh3": 3, "dopri5": 5, "euler": 1, "midpoint": 2, "rk4": 4}


@pytest.mark.parametrize("method", ["euler", "midpoint", "rk4"])
def test_the_order_of_a_method(method):
    """Half the step, and the error is smaller by two to the power of the order."""
    with ad.use_backend("numpy"):
        errors = [
            abs(
                float(implicit.odeint(lambda y, t: y * ad.cos(t), 1.0, [0.0, 2.0], method=method, substeps=n)[-1])
                - exact
            )
            for exact in [math.exp(math.sin(2.0))]
            for n in (20, 40)
        ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(ORDERS[method], abs=0.25)


@pytest.mark.parametrize("method", ["bosh3", "dopri5"])
def test_steps_adapt(method):
    """The error follows the tolerance, and the number of steps follows the order."""
    calls = []

    def f(y, t):
        calls.append(t)
        return y * ad.cos(t)

    found = []
    with ad.use_backend("numpy"):
        for rtol in (1e-4, 1e-7):
            calls.clear()
            y = implicit.odeint(f, 1.0, [0.0, 10.0], method=method, rtol=rtol, atol=1e-12)[-1]
            assert abs(float(y) - math.exp(math.sin(10.0))) < 100 * rtol
            found.append(len(calls))
    assert math.log(found[1] / found[0]) / math.log(1e3) == pytest.approx(1 / ORDERS[method], abs=0.1)


def prey_and_predators(y, t, p):
    prey, predators = y[..., 0], y[..., 1]
    return ad.stack([prey * (p[0] - p[1] * predators), predators * (p[2] * prey - p[3])], axis=-1)


RATES, FIRST, TIMES = np.asarray([1.5, 1.0, 1.0, 3.0]), np.asarray([10.0, 5.0]), np.linspace(0.0, 2.0, 5)


@pytest.mark.parametrize("method", ["bosh3", "dopri5", "DOP853", "LSODA", "RK45", "Radau"])
def test_lotka_and_volterra(method):
    """Values are SciPy's; gradients by the adjoint equation are those through the steps, and those of differences."""
    integrate = pytest.importorskip("scipy.integrate")

    def f(t, y, p):
        return [y[0] * (p[0] - p[1] * y[1]), y[1] * (p[2] * y[0] - p[3])]

    def exact(p):
        return integrate.solve_ivp(
            f, (0, 2), FIRST, t_eval=TIMES, rtol=1e-11, atol=1e-11, args=(p,), method="DOP853"
        ).y.T

    def loss(p, y0, **options):
        y = implicit.odeint(prey_and_predators, y0, TIMES, p, **options)
        return ad.sum(ad.sin(y)), y

    gradient = ad.grad(loss, (0, 1), has_aux=True)
    with ad.use_backend("numpy"):
        grads, values = gradient(RATES, FIRST, method=method)
        direct, _ = gradient(RATES, FIRST, adjoint=False)
    close(values, exact(RATES), rtol=2e-5)
    for one, other in zip(grads, direct, strict=True):
        close(one, other, rtol=1e-3, atol=1e-4)
    h = 1e-5
    slopes = [(np.sin(exact(RATES + u)) - np.sin(exact(RATES - u))).sum() / (2 * h) for u in np.eye(4) * h]
    close(grads[0], np.asarray(slopes), rtol=1e-3)


def test_a_stiff_equation():
    """Robertson's chemistry, where an explicit method gives up; its gradient goes back by the implicit one."""
    pytest.importorskip("scipy")

    def f(y, t, k):
        a, b, c = k[0] * y[0], k[1] * y[1] * y[2], k[2] * y[1] ** 2
        return ad.stack([b - a, a - b - c, c])

    k, y0 = np.asarray([0.04, 1e4, 3e7]), np.asarray([1.0, 0.0, 0.0])
    with ad.use_backend("numpy"):

        def last(k):
            return implicit.odeint(f, y0, [0.0, 40.0], k, method="Radau", rtol=1e-8, atol=1e-12)[-1, 0]

        y, g = ad.value_and_grad(last)(k)
        assert float(y) == pytest.approx(0.7158271, rel=1e-5)  # Hairer and Wanner, Solving ODEs II, section IV.10
        step = np.asarray([1e-5, 0, 0])
        assert float(g[0]) == pytest.approx(float(last(k + step) - last(k - step)) / 2e-5, rel=1e-3)
        with pytest.raises(ad.ConvergenceError, match="may be stiff"):
            implicit.odeint(f, y0, [0.0, 40.0], k, max_steps=200)


# --- what it is differentiated by, and what is kept ---


def test_by_backward():
    """Leaves that the function closes over, the start and the times: each gets its gradient."""
    with ad.use_backend("numpy"):
        k, y0, t = (ad.tensor(x, requires_grad=True) for x in (0.5, 2.0, [0.0, 1.5]))
        y = implicit.odeint(lambda y, t: -k * y, y0, t)[-1]
        y.backward()
        e = math.exp(-0.75)
        close((k.grad, y0.grad, t.grad), np.asarray([-1.5 * 2 * e, e, 0.5 * 2 * e, -0.5 * 2 * e]))


def test_what_is_kept():
    """With the adjoint equation one node for each time, however many steps there were."""

    def nodes(y):
        seen, stack = set(), [y._node]
        while stack:
            node = stack.pop()
            seen.add(node)
            stack += [e for e, _ in getattr(node, "next_functions", ()) if e is not None and e not in seen]
        return len(seen)

    with ad.use_backend("numpy"):
        k = ad.tensor(3.0, requires_grad=True)
        counts = [
            nodes(implicit.odeint(lambda y, t: -k * y, 1.0, [0.0, end], adjoint=adjoint))
            for adjoint in (True, False)
            for end in (1.0, 8.0)
        ]
        assert counts[0] == counts[1] < 20 and counts[3] > 2 * counts[2] > 200
        with ad.no_grad():
            assert not implicit.odeint(lambda y, t: -y, ad.tensor(1.0), ad.tensor([0.0, 1.0])).requires_grad


def test_gradcheck():
    with ad.use_backend("numpy"):
        p = ad.tensor(P, requires_grad=True)
        for ours, _ in PROBLEMS.values():
            for adjoint in (True, False):
                exact = {"adjoint": adjoint, "rtol": 1e-10, "atol": 1e-12}
                assert ad.autograd.gradcheck(lambda p, f=ours, o=exact: f(p, **o), (p,), atol=1e-5)


def test_complex_numbers(backend):
    """A rotating number; the gradient by its frequency, in the conjugate convention."""
    turn = lambda w: implicit.odeint(lambda z, t: 1j * w * z, 1 + 0j, raw(np.asarray([0.0, 2.0])))[-1]  # noqa: E731
    close(turn(raw(np.asarray(0.7))), np.exp(1.4j))
    close(ad.jvp(turn, (raw(np.asarray(0.7)),), (raw(np.asarray(1.0)),))[1], 2j * np.exp(1.4j))
    close(ad.grad(lambda w: ad.real(turn(w)))(raw(np.asarray(0.7))), -2 * np.sin(1.4))


def test_single_precision(backend):
    y = implicit.odeint(lambda y, t: -y, raw(np.ones(2, dtype=np.float32)), raw(np.asarray([0, 1], dtype=np.float32)))
    assert y.dtype == np.float32
    close(y[-1], np.exp(-np.ones(2)))


def test_one_time(backend):
    close(implicit.odeint(lambda y, t: y, raw(np.ones(2)), raw(np.asarray([0.5]))), np.ones((1, 2)))


# --- what goes wrong ---


def test_clear_errors():
    with ad.use_backend("numpy"):
        with pytest.raises(ad.ArgumentError, match=r"no method 'RK4'; give one of .*'rk4'"):
            implicit.odeint(lambda y, t: y, 1.0, [0.0, 1.0], method="RK4")
        with pytest.raises(ad.ArgumentError, match="leave adjoint=True"):
            implicit.odeint(lambda y, t: y, 1.0, [0.0, 1.0], method="RK45", adjoint=False)
        with pytest.raises(ad.ShapeError, match="times in one axis"):
            implicit.odeint(lambda y, t: y, 1.0, 1.0)
        with pytest.raises(ad.ShapeError, match="as many equations as unknowns"):
            implicit.odeint(lambda y, t: y[:1], np.ones(2), [0.0, 1.0])
        with pytest.raises(ad.ConvergenceError, match="its solution infinite"):
            implicit.odeint(lambda y, t: y**2, 1.0, [0.0, 2.0])


def test_a_tensor_that_comes_in_late():
    """The adjoint equation must know beforehand what there is a gradient for."""
    with ad.use_backend("numpy"):
        k = ad.tensor(2.0, requires_grad=True)

        def f(y, t):
            return -k * y if 0.4 < t.item() < 0.6 else -y

        y = implicit.odeint(f, ad.tensor(1.0, requires_grad=True), [0.0, 1.0])[-1]
        with pytest.raises(ad.GraphError, match="adjoint=False"):
            y.backward()


def test_compiled_without_a_solution(jax):
    """An error can't be raised there."""
    y = jax.jit(lambda: implicit.odeint(lambda y, t: y**2, 1.0, raw(np.asarray([0.0, 2.0])), max_steps=30))()
    assert np.isnan(host(y)[-1]) and host(y)[0] == 1
