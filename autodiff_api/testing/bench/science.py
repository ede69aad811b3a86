"""Science: gradients and Hessians of well-known functions, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import autodiff_api as ad

from .data import tumours
from .gradients import gradient, jit, placed, ready, torch
from .rows import COMPILED, COMPILED_JAX, EAGER, EAGER_JAX, HIPS, JAX, JIT, NUMPY, TORCH, Contender, Maker, Work


def gravity(xp: Any, x: Any, masses: Any) -> Any:
    """Return the energy of bodies at x (n, 3), their attraction softened at close distance."""
    apart = x[:, None, :] - x[None, :, :]
    inverse = 1.0 / xp.sqrt(xp.sum(apart * apart, axis=-1) + 1e-2)
    return -0.5 * xp.sum(masses[:, None] * masses[None, :] * inverse)


def bodies(quick: bool) -> Mapping[str, Maker]:
    rng, count = np.random.default_rng(0), 5 if quick else 128
    return gradient(gravity, [rng.standard_normal((count, 3)), rng.random(count) + 0.5])


def logistic(xp: Any, w: Any, x: Any, signs: Any) -> Any:
    """Return the mean negative log-likelihood of the signs, with a penalty."""
    margin = signs * (x @ w)
    return xp.mean(xp.logaddexp(xp.zeros_like(margin), -margin)) + 1e-3 * xp.sum(w * w)


def logistic_by_hand(w: np.ndarray, x: np.ndarray, signs: np.ndarray) -> Contender:
    def run() -> Any:
        margin = signs * (x @ w)
        return [(-signs / (1 + np.exp(margin)) / len(signs)) @ x + 2e-3 * w]

    return run


def regression(quick: bool) -> Mapping[str, Maker]:
    x, signs, _ = tumours()
    if quick:
        x, signs = x[:20], signs[:20]
    w = np.linspace(-0.1, 0.1, x.shape[1])
    return {**gradient(logistic, [w, x, signs]), NUMPY: lambda: logistic_by_hand(w, x, signs)}


def rosenbrock(xp: Any, x: Any) -> Any:
    """Return the sum of Rosenbrock's function over neighbours."""
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def hessians(quick: bool) -> Mapping[str, Maker]:
    """Return who takes the Hessian of Rosenbrock's function: forward over reverse, in each library's own words."""
    x = np.random.default_rng(0).standard_normal(5 if quick else 200)

    def ours(backend: str, wrap: Callable[[Any], Any] = lambda f: f) -> Contender:
        function, value = wrap(ad.hessian(lambda x: rosenbrock(ad.namespace(backend), x))), placed(backend, [x])[0]
        return lambda: function(value)

    def pytorch() -> Contender:
        function, value = torch().func.hessian(lambda x: rosenbrock(torch(), x)), torch().asarray(x)
        return lambda: function(value)

    def hips() -> Contender:
        import autograd

        function = autograd.hessian(lambda x: rosenbrock(autograd.numpy, x))
        return lambda: function(x)

    def jax(wrap: Callable[[Any], Any] = lambda f: f) -> Contender:
        import jax

        function, value = wrap(jax.hessian(lambda x: rosenbrock(jax.numpy, x))), jax.numpy.asarray(x)
        return ready(lambda: function(value))

    return {
        EAGER: lambda: ours("numpy"),
        COMPILED: lambda: ours("numpy", ad.compile),
        EAGER_JAX: lambda: ready(ours("jax")),
        COMPILED_JAX: lambda: ready(ours("jax", ad.compile)),
        TORCH: pytorch,
        HIPS: hips,
        JAX: jax,
        JIT: lambda: jax(jit),
    }


def lotka_volterra(xp: Any, y: Any, rates: Any) -> Any:
    """Return how prey and predators change."""
    return xp.stack([y[0] * (rates[0] - rates[1] * y[1]), y[1] * (rates[3] * y[0] - rates[2])])


def adjoints(quick: bool) -> Mapping[str, Maker]:
    """Return who goes back through an ODE by its adjoint equation: JAX's is experimental, autograd's SciPy's."""
    rates, y0 = np.asarray([1.1, 0.4, 0.4, 0.1]), np.asarray([10.0, 5.0])
    times = np.linspace(0.0, 1.0 if quick else 10.0, 3 if quick else 11)
    tolerances: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-8}

    def ours(xp: Any, *x: Any) -> Any:
        def rate(y: Any, t: Any, rates: Any) -> Any:
            return lotka_volterra(xp, y, rates)

        return xp.sum(ad.implicit.odeint(rate, x[1], x[2], x[0], **tolerances) ** 2)

    def jax(xp: Any, *x: Any) -> Any:
        from jax.experimental.ode import odeint

        return xp.sum(odeint(lambda y, t, rates: lotka_volterra(xp, y, rates), x[1], x[2], x[0], **tolerances) ** 2)

    def hips(xp: Any, *x: Any) -> Any:
        from autograd.builtins import tuple as traced
        from autograd.scipy.integrate import odeint

        def rate(y: Any, t: Any, rates: Any) -> Any:
            return lotka_volterra(xp, y, rates)

        return xp.sum(odeint(rate, x[1], x[2], traced((x[0],)), **tolerances) ** 2)

    arrays = [rates, y0, times]
    mine, theirs, scipys = (gradient(loss, arrays) for loss in (ours, jax, hips))
    return {
        EAGER: mine[EAGER],
        COMPILED_JAX: mine[COMPILED_JAX],
        HIPS: scipys[HIPS],
        JIT: theirs[JIT],
    }


def kalman(xp: Any, log_variances: Any, seen: Any, eye: Any, step: Any) -> Any:
    """Return the negative log-likelihood of what is seen of a drifting level, filtered."""
    variances = xp.exp(log_variances)
    noise = eye * variances[:2]
    mean, covariance = eye[0] * 0.0, eye
    total = 0.0
    for place in range(seen.shape[0]):
        mean, covariance = step @ mean, step @ covariance @ step.T + noise
        spread = covariance[0, 0] + variances[2]
        gain, missed = covariance[:, 0] / spread, seen[place] - mean[0]
        mean = mean + gain * missed
        covariance = covariance - gain[:, None] * covariance[0][None, :]
        total = total + 0.5 * (xp.log(spread) + missed * missed / spread)
    return total


def filters(quick: bool) -> Mapping[str, Maker]:
    rng, steps = np.random.default_rng(0), 3 if quick else 50
    seen = np.cumsum(np.cumsum(rng.standard_normal(steps) * 0.1)) + rng.standard_normal(steps)
    arrays = [np.log([0.1, 0.01, 1.0]), seen, np.eye(2), np.asarray([[1.0, 1.0], [0.0, 1.0]])]
    return gradient(kalman, arrays)


def gaussian_process(xp: Any, logs: Any, squares: Any, y: Any, eye: Any) -> Any:
    """Return the negative log-likelihood of y: kernel exp(-d²/2l²), and noise."""
    scale, length, noise = xp.exp(logs[0]), xp.exp(logs[1]), xp.exp(logs[2])
    covariance = scale * xp.exp(-0.5 * squares / (length * length)) + noise * eye
    factor = xp.linalg.cholesky(covariance)
    fit = y @ xp.linalg.solve(covariance, y[:, None])
    return 0.5 * fit[0] + xp.sum(xp.log(xp.sum(factor * eye, axis=1)))


def processes(quick: bool) -> Mapping[str, Maker]:
    rng, count = np.random.default_rng(0), 6 if quick else 200
    x = np.sort(rng.random(count)) * 10
    y = np.sin(x) + 0.1 * rng.standard_normal(count)
    arrays = [np.log([1.0, 1.0, 0.01]), (x[:, None] - x[None, :]) ** 2, y, np.eye(count)]
    return gradient(gaussian_process, arrays)


def work(name: str, title: str, contenders: Callable[[bool], Mapping[str, Maker]], **options: Any) -> Work:
    return Work(name=name, title=title, dtype="float64", contenders=contenders, **{"tolerance": 1e-8, **options})


WORKS = (
    work("n-body", "energy gradient of 128 bodies", bodies),
    work("logistic", "logistic regression, 569 x 30", regression, note=lambda: tumours()[2]),
    work(
        "rosenbrock",
        "Hessian of Rosenbrock's function, 200",
        hessians,
        bars={(EAGER, TORCH): 1.0, (COMPILED_JAX, JIT): 1.1},
    ),
    work("ode", "adjoint of Lotka-Volterra, 10 intervals", adjoints, tolerance=1e-4),
    work("kalman", "Kalman filter of 50 steps", filters),
    work("gaussian", "log-likelihood of a Gaussian process, 200 points", processes, tolerance=1e-6),
)
