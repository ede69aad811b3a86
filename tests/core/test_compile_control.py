"""Loops and branches in compiled functions: on NumPy they are instructions of the program, on JAX the engine's own."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad

BACKENDS = ["numpy", "jax"]


@pytest.fixture(params=BACKENDS)
def xp(request):
    pytest.importorskip(request.param)
    return ad.namespace(request.param)


def same(program, function, *calls, traces=1):
    """Check a program against the function, for arguments that take other turns than those it was traced with."""
    for args in calls:
        found, wanted = program(*args), function(*args)
        np.testing.assert_allclose(np.asarray(found.detach()), np.asarray(wanted.detach()), rtol=1e-5)
    assert program.traces == traces


def recurrent(w, xs):
    def step(h, x):
        h = ad.tanh(h @ w + x)
        return h, (h**2).sum()

    h, sizes = ad.scan(step, xs[0] * 0, xs)
    return sizes.sum() + h.sum()


def branched(x):
    return ad.cond(x.sum() > 0, lambda y: y**2, lambda y: -y, x).sum()


def repeated(x):
    return ad.while_loop(lambda c: c.sum() < 50, lambda c: c * x, x, max_steps=20).sum()


def nested(x):
    def step(c, _):
        return ad.cond(c.sum() > 3, lambda c: c - x, lambda c: ad.fori_loop(0, 2, lambda i, c: c + x * i, c), c), None

    return ad.scan(step, x, None, length=6)[0].sum()


@pytest.mark.parametrize("function", [branched, repeated, nested])
@pytest.mark.parametrize("transform", [lambda f: f, ad.grad, lambda f: ad.grad(lambda x: (ad.grad(f)(x) ** 2).sum())])
def test_branches_and_loops(xp, function, transform):
    made = transform(function)
    calls = [(xp.asarray([v, 2.0]),) for v in (1.5, -4.0, 3.0)]
    if function is repeated:
        calls = [(abs(x),) for (x,) in calls]
    same(ad.compile(made), made, *calls)


@pytest.mark.parametrize("argument", [0, 1])
def test_a_scan_and_its_gradient(xp, argument):
    rng = np.random.default_rng(0)
    calls = [(xp.asarray(rng.normal(size=(3, 3))), xp.asarray(rng.normal(size=(7, 3)))) for _ in range(2)]
    for function in (recurrent, ad.grad(recurrent, argnums=argument)):
        same(ad.compile(function), function, *calls)


def test_many_at_once(xp):
    each = ad.vmap(ad.grad(branched))
    same(ad.compile(each), each, (xp.asarray([[1.0, 2.0], [-3.0, 1.0]]),), (xp.asarray([[-1.0, -2.0], [3.0, 1.0]]),))


def test_a_scan_is_one_instruction_on_numpy():
    xp = ad.namespace("numpy")
    program = ad.compile(recurrent)
    program(xp.zeros((3, 3)), xp.ones((500, 3)))
    main, *bodies = program.source().split("# scan, body 0:")
    assert main.count("\n") < 20
    assert len(bodies) == 1
    assert bodies[0].count("tanh(") == 1


def test_what_a_body_uses_from_outside_is_an_input_of_it():
    xp = ad.namespace("numpy")
    program = ad.compile(lambda x, y: ad.cond(x.sum() > 0, lambda a: a * y, lambda a: a - 2 * y, x))
    for x, y in ((1.0, 2.0), (-1.0, 3.0), (1.0, 4.0)):
        assert float(program(xp.asarray([x]), xp.asarray([y]))[0]) == (x * y if x > 0 else x - 2 * y)
    assert program.traces == 1


def test_control_flow_stays_on_its_engine():
    pytest.importorskip("jax")
    with pytest.raises(ad.CompileError, match="another engine"):
        ad.compile(branched, engine="jax")(np.ones(2))
