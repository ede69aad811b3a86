"""A failure at any moment of a training step changes no `.grad`, and the step can be taken again.

The backend under test counts every operation on its arrays, formulas' operators included, and fails at the
N-th; the tests run a step once for every N.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.binding import make_namespace


class Fault(Exception):
    """What the faulty backend raises."""


class Counted(np.ndarray):
    """An array whose every ufunc is counted, and fails when the count is reached."""

    calls = 0
    fail_at = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        Counted.calls += 1
        if Counted.calls == Counted.fail_at:
            raise Fault(f"call {Counted.calls}: {ufunc.__name__}")
        plain = [np.asarray(x) if isinstance(x, Counted) else x for x in inputs]
        if out is not None:
            kwargs["out"] = tuple(np.asarray(o) if isinstance(o, Counted) else o for o in out)
        result = getattr(ufunc, method)(*plain, **kwargs)
        return np.asarray(result).view(Counted)


@pytest.fixture(scope="module")
def xp():
    """The NumPy backend over counted arrays."""
    numpy = ad.get_backend("numpy")

    class Namespace:
        def __getattr__(self, name):
            return getattr(numpy.namespace, name)

        def asarray(self, *args, **kwargs):
            return numpy.namespace.asarray(*args, **kwargs).view(Counted)

        def zeros_like(self, x, **kwargs):
            return np.zeros_like(np.asarray(x), **kwargs).view(Counted)

        def ones_like(self, x, **kwargs):
            return np.ones_like(np.asarray(x), **kwargs).view(Counted)

    backend = replace(numpy, name="faulty", namespace=Namespace(), array_types=(Counted,), to_numpy=np.asarray)
    return make_namespace(backend)


X = np.linspace(-1, 1, 12).reshape(4, 3)
Y = np.linspace(0, 1, 8).reshape(4, 2)


class Problem:
    """A small network, its data, and an optimizer with state."""

    def __init__(self, xp, mode="plain"):
        self.xp, self.mode = xp, mode
        self.w1 = xp.asarray(np.full((3, 5), 0.1), requires_grad=True)
        self.b1 = xp.asarray(np.linspace(0, 1, 5), requires_grad=True)
        self.w2 = xp.asarray(np.linspace(-1, 1, 10).reshape(5, 2), requires_grad=True)
        self.leaves = [self.w1, self.b1, self.w2]
        self.optimizer = ad.optim.SGD(self.leaves, lr=0.1, momentum=0.9)
        self.x, self.y = xp.asarray(X), xp.asarray(Y)

    def loss(self):
        xp = self.xp
        hidden = xp.tanh(self.x @ self.w1 + self.b1)
        hidden[:, 0] = self.b1[1] * hidden[:, 1]  # a view, an assignment
        out = xp.exp(xp.sin(hidden @ self.w2))
        return xp.mean((out - self.y) ** 2) + xp.sum(xp.max(hidden, axis=0)) * 1e-2

    def backward(self):
        self.loss().backward(create_graph=self.mode == "create_graph")

    def step(self):
        self.optimizer.zero_grad()
        self.backward()
        self.optimizer.step()

    def state(self):
        values = [np.array(p.detach()) for p in self.leaves]
        return values + [np.array(s["momentum_buffer"]) for s in self.optimizer.state.values() if s]


def counted(action, fail_at=0):
    """Run `action` with a failure at the given call; return the number of calls made."""
    Counted.calls, Counted.fail_at = 0, fail_at
    try:
        action()
    finally:
        Counted.fail_at = 0
    return Counted.calls


@pytest.mark.parametrize("mode", ["plain", "create_graph"])
def test_no_failure_changes_a_gradient(xp, mode):
    """For every N: backward fails at the N-th operation, no `.grad` has changed, and a second try is right."""
    right = Problem(xp, mode)
    right.backward()
    expected = [np.array(p.grad.detach()) for p in right.leaves]
    forward = counted(Problem(xp, mode).loss)
    total = counted(Problem(xp, mode).backward)
    assert total - forward > 20
    for n in range(1, total + 1):
        problem = Problem(xp, mode)
        before = [xp.asarray(np.full(p.shape, 7.0)) for p in problem.leaves]
        for p, g in zip(problem.leaves, before, strict=True):
            p.grad = g
        with pytest.raises(Fault):
            counted(problem.backward, fail_at=n)
        for p, g in zip(problem.leaves, before, strict=True):
            assert p.grad is g and (np.asarray(g) == 7.0).all(), n
            p.grad = None
        problem.backward()
        for p, g in zip(problem.leaves, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(p.grad.detach()), g)


def test_the_same_graph_goes_backward_after_a_failure(xp):
    """For every N: what a failed walk had freed is recomputed without a warning, and the result is right."""
    right = Problem(xp)
    right.backward()
    expected = [np.array(p.grad) for p in right.leaves]

    def prepared():
        problem = Problem(xp)
        for p in problem.leaves:
            p.grad = xp.asarray(np.full(p.shape, 7.0))
        return problem, problem.loss()

    total = counted(prepared()[1].backward)
    for n in range(1, total + 1):
        problem, loss = prepared()
        with pytest.raises(Fault):
            counted(loss.backward, fail_at=n)
        assert all((np.asarray(p.grad) == 7.0).all() for p in problem.leaves)
        loss.backward()
        for p, g in zip(problem.leaves, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(p.grad), 7.0 + g)


def test_a_step_is_taken_whole_or_not_at_all(xp):
    """For every N of forward, backward and update: the step can be repeated and gives what it should."""
    right = Problem(xp)
    right.step()
    right.step()
    expected = right.state()
    first = Problem(xp)
    first.step()
    total = counted(first.step)
    for n in range(1, total + 1):
        problem = Problem(xp)
        problem.step()
        with pytest.raises(Fault):
            counted(problem.step, fail_at=n)
        problem.step()
        for found, wanted in zip(problem.state(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_raising_hook_changes_nothing(xp):
    """A hook on any of the leaves or on a result raises: every `.grad` stays None."""
    for which in range(4):
        problem = Problem(xp)
        loss = problem.loss()

        def explode(g):
            raise Fault("hook")

        (loss if which == 3 else problem.leaves[which]).register_hook(explode)
        with pytest.raises(Fault):
            loss.backward()
        assert all(p.grad is None for p in problem.leaves)


def test_an_interrupt_changes_nothing(xp):
    """KeyboardInterrupt is no Exception, and is treated as one."""
    problem = Problem(xp)

    def interrupt(g):
        raise KeyboardInterrupt

    handle = problem.b1.register_hook(interrupt)
    loss = problem.loss()
    with pytest.raises(KeyboardInterrupt):
        loss.backward()
    assert all(p.grad is None for p in problem.leaves)
    handle.remove()
    loss.backward()
    assert all(p.grad is not None for p in problem.leaves)
