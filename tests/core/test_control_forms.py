"""What loops and branches take and return, the errors that they raise, and what each of them alone does."""

from __future__ import annotations

import dataclasses
from collections import namedtuple

import numpy as np
import pytest

import autodiff_api as ad

V = np.asarray([0.3, -0.2, 0.5])
XS = np.asarray([[0.9, -0.5, 0.3], [-1.1, 0.2, 0.4], [0.1, 0.8, -0.6], [0.7, 0.3, 0.2]])
State = namedtuple("State", "a n")


@dataclasses.dataclass
class Slot:
    h: object
    more: object


def host(x):
    return np.asarray(x.detach() if isinstance(x, ad.Tensor) else x)


def leaf(values=V):
    return ad.tensor(values, requires_grad=True)


def test_trees_come_back_as_they_went(backend):
    def f(carry, x):
        return Slot(carry.h + x["a"], (carry.more[0] * 2, None)), State(x["a"], [carry.h])

    carry, ys = ad.scan(f, Slot(ad.zeros(2), (1.0, None)), {"a": ad.ones((3, 2))}, reverse=True)
    assert isinstance(carry, Slot) and isinstance(ys, State)
    assert host(carry.h).tolist() == [3, 3] and float(carry.more[0]) == 8 and carry.more[1] is None
    assert host(ys.n[0]).tolist() == [[2, 2], [1, 1], [0, 0]]


def test_raw_arrays_in_raw_arrays_out():
    carry, ys = ad.scan(lambda c, x: (c + x, c), np.zeros(2), np.ones((3, 2)))
    assert type(carry) is type(ys) is np.ndarray
    assert type(ad.fori_loop(0, 3, lambda i, c: c + i, np.zeros(2))) is np.ndarray
    assert type(ad.while_loop(lambda c: c.sum() < 4, lambda c: c + 1, np.zeros(2))) is np.ndarray
    assert type(ad.cond(True, lambda x: x + 1, lambda x: x, np.zeros(2))) is np.ndarray


@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps(backend, steps):
    w = leaf()
    c, ys = ad.scan(lambda c, x: (c * x, c.sum() + x), w, ad.asarray(XS)[:steps])
    assert tuple(ys.shape) == (steps, 3)
    (c.sum() + ys.sum()).backward()
    assert host(w.grad).tolist() == ([1, 1, 1] if steps == 0 else (XS[0] + 3).tolist())


def test_numbers_take_the_form_of_arrays(backend):
    xs = ad.asarray(np.ones(3, dtype=np.float32))
    total, ys = ad.scan(lambda c, x: (c + x, c), 0.0, xs)
    assert total.dtype == ys.dtype == xs.dtype
    total, _ = ad.scan(lambda c, x: (c + x.sum(), None), 0, ad.asarray(XS))
    assert total.dtype == ad.asarray(XS).dtype
    n, _ = ad.scan(lambda c, x: (c + 1, None), 0, xs)
    assert n.dtype == ad.asarray(0).dtype and int(n) == 3
    flag, _ = ad.scan(lambda c, x: (True, None), ad.asarray(False), xs)
    assert bool(flag)


ERRORS = {
    "a carry of another dtype": (
        lambda: ad.scan(lambda c, x: ({"a": c["a"] + x}, None), {"a": np.zeros(3, dtype=np.float32)}, XS),
        ad.OutputError, r"carry\['a'\] must keep its shape and dtype .* float32\(3,\) .* float64\(3,\)",
    ),
    "a carry of another shape": (
        lambda: ad.while_loop(lambda c: c.sum() < 9, lambda c: c.sum(), np.zeros(3)),
        ad.OutputError, r"while_loop: carry must keep .* float64\(3,\) .* float64\(\)",
    ),
    "a carry of another structure": (
        lambda: ad.scan(lambda c, x: ((c, c), None), np.zeros(3), XS), ad.TreeError, "carry must keep its structure",
    ),
    "a carry with another key": (
        lambda: ad.scan(lambda c, x: ({"b": c["a"]}, None), {"a": 1.0}, XS), ad.TreeError, r"dict\('a': \*\)|a: \*",
    ),
    "no pair": (lambda: ad.scan(lambda c, x: c, 0.0, XS), ad.OutputError, "returns a pair"),
    "lengths that differ": (
        lambda: ad.scan(lambda c, x: (c, None), 0.0, (XS, XS[:2])), ad.ArgumentError, r"4 in xs\[0\], 2 in xs\[1\]",
    ),
    "another length": (lambda: ad.scan(lambda c, x: (c, None), 0.0, XS, 3), ad.ArgumentError, "3 in length, 4 in xs"),
    "no length": (lambda: ad.scan(lambda c, x: (c, None), 0.0), ad.ArgumentError, "length= must say"),
    "a negative length": (lambda: ad.scan(lambda c, x: (c, None), 0.0, length=-1), ad.ArgumentError, "length=-1"),
    "no axis": (lambda: ad.scan(lambda c, x: (c, None), 0.0, 1.0), ad.ArgumentError, "no axis of steps"),
    "a turn of none": (lambda: ad.scan(lambda c, x: (c, None), 0.0, XS, unroll=0), ad.ArgumentError, "unroll=0"),
    "no array": (lambda: ad.scan(lambda c, x: (c, "y"), 0.0, XS), ad.ArgumentTypeError, "got str"),
    "many truths": (lambda: ad.cond(np.ones(2) > 0, ad.sin, ad.cos, 1.0), ad.OperandError, r"one truth value .*\(2,\)"),
    "many truths of a loop": (
        lambda: ad.while_loop(lambda c: c < 9, lambda c: c + 1, np.zeros(2)), ad.OperandError, "with any",
    ),
    "a bound that is no integer": (
        lambda: ad.fori_loop(0, 2.5, lambda i, c: c, 0.0), ad.ArgumentTypeError, "integer for a bound, got float",
    ),
    "a negative bound": (
        lambda: ad.while_loop(lambda c: c < 9, lambda c: c, 0.0, max_steps=-1), ad.ArgumentError, "max_steps=-1",
    ),
    "branches of two dtypes": (
        lambda: ad.vmap(lambda p: ad.cond(p, lambda x: x, lambda x: x.astype(ad.float32), np.ones(2)))(V > 0),
        ad.OutputError, r"result is float64\(2,\) in one branch and float32\(2,\)",
    ),
    "branches of two structures": (
        lambda: ad.vmap(lambda p: ad.cond(p, lambda x: x, lambda x: (x, x), np.ones(2)))(V > 0),
        ad.OutputError, "one branch returned",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_names_the_leaf_and_both(case):
    run, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        run()


# --- cond, while_loop, fori_loop ---


def test_numpy_runs_one_branch_and_its_gradients_flow():
    a, b, ran = leaf(2.0), leaf(3.0), []

    def one(a, b):
        ran.append("one")
        return a * a

    def other(a, b):
        raise AssertionError

    y = ad.cond(a < b, one, other, a, b)
    assert ran == ["one"]
    y.backward()
    assert float(a.grad) == 4.0 and b.grad is None
    grads = ad.grad(lambda a, b: ad.cond(a < b, lambda a, b: a * a, lambda a, b: b, a, b), argnums=(0, 1))(2.0, 3.0)
    assert [float(g) for g in grads] == [4.0, 0.0]


def test_what_only_a_later_branch_uses_counts():
    def f(v):
        def step(c, x):
            return ad.cond(c.sum() > 3.5, lambda c: c * v, lambda c: c + 1, c), c

        return ad.scan(step, np.zeros(2), length=4)[0]

    v = np.asarray([1.0, 2.0])
    assert ad.grad(lambda v: f(v).sum())(v).tolist() == ad.jvp(f, (v,), (np.ones(2),))[1].tolist() == [4, 8]
    assert ad.vmap(f)(np.stack([v, v + 2])).tolist() == [[2, 8], [18, 32]]
    for transform, kind in ((ad.vmap, ad.BatchingError), (lambda g: lambda v: ad.jvp(g, (v,), (v,)), ad.GradientError)):
        with pytest.raises(kind, match="cond or where instead of if"):
            transform(lambda v: ad.scan(lambda c, x: (c * v.sum() if x > 1 else c, c), 1.0, np.arange(4))[1])(v)


def test_either_branch_may_move_or_differ(backend):
    one = ad.asarray(1.0)
    for flag, want in ((True, 0.0), (False, 3.0)):
        for branches in ((lambda v: one * 2, lambda v: v * 3), (lambda v: v * 3, lambda v: one * 2)):
            pred = ad.asarray(flag if branches[0](2.0) == 2.0 else not flag)
            f = lambda v, pred=pred, branches=branches: ad.cond(pred, *branches, v)  # noqa: E731
            assert float(ad.jvp(f, (one,), (one,))[1]) == want
            assert host(ad.vmap(f)(ad.asarray([1.0, 2.0]))).tolist() == ([2.0, 2.0] if flag else [3.0, 6.0])
            assert float(ad.grad(f)(one)) == want


def test_a_scan_is_tried_with_what_it_begins_with():
    seen = []
    ad.scan(lambda c, x: (c, seen.append(float(x))), 0.0, np.arange(3.0), reverse=True)
    assert seen[0] == 2.0 and seen[-3:] == [2.0, 1.0, 0.0]


def test_a_predicate_that_differs_takes_from_both(backend):
    xs = ad.asarray([-1.0, 0.5, 2.0])
    f = ad.vmap(lambda x: ad.cond(x > 0, lambda x: x * x, lambda x: -3 * x, x))
    assert host(f(xs)).tolist() == [3.0, 0.25, 4.0]
    g = ad.vmap(ad.grad(lambda x: ad.cond(x > 0, lambda x: x * x, lambda x: -3 * x, x)))
    assert host(g(xs)).tolist() == [-3.0, 1.0, 4.0]


def test_who_is_done_stands_still(backend):
    xs = ad.asarray([1.0, 3.0, 20.0])
    double = ad.vmap(lambda x: ad.while_loop(lambda c: c[1] < 10, lambda c: (c[0] + 1, c[1] * 2), (0, x)))
    steps, values = double(xs)
    assert host(steps).tolist() == [4, 2, 0] and host(values).tolist() == [16, 12, 20]
    g = ad.vmap(ad.grad(lambda x: ad.while_loop(lambda c: c < 10, lambda c: c * 2, x, max_steps=6)))
    assert host(g(xs)).tolist() == [16, 4, 1]


def test_without_a_bound_a_loop_goes_forward_only(backend):
    def f(x):
        return ad.while_loop(lambda c: c < 10, lambda c: c * x, x)

    x = leaf(2.0)
    y = f(x)
    assert float(y.detach()) == 16.0
    with pytest.raises(ad.GraphError, match=r"max_steps=, or use scan"):
        y.backward()
    assert x.grad is None
    assert float(ad.jvp(f, (2.0,), (1.0,))[1]) == 32.0
    n, z = ad.asarray([1, 3]), ad.asarray([1.0, 1.0])
    loop = ad.vmap(lambda n, z: ad.fori_loop(0, n, lambda i, c: c * 2 + i, z))
    assert host(loop(n, z)).tolist() == [2, 12]
    with pytest.raises(ad.GraphError, match="max_steps"):
        ad.grad(lambda z: loop(n, z).sum())(z)


def test_a_bound_ends_a_loop(backend):
    assert float(ad.while_loop(lambda c: c > 0, lambda c: c + 1, ad.asarray(1.0), max_steps=5)) == 6.0
    x = leaf(1.5)
    y = ad.while_loop(lambda c: c > 0, lambda c: c * x, x, max_steps=3)
    y.backward()
    assert float(y.detach()) == 1.5**4 and float(x.grad) == 4 * 1.5**3


def test_a_generous_bound_costs_nothing_where_values_are_known():
    calls = []

    def small(c):
        calls.append(c)
        return c < 10

    x = leaf(1.0)
    ad.while_loop(small, lambda c: c * 2, x, max_steps=1000).backward()
    assert float(x.grad) == 16.0 and len(calls) < 40


def test_a_step_that_makes_no_sense_is_not_run():
    xs = np.ones(0)
    n, total = ad.while_loop(lambda c: c[0] < 0, lambda c: (c[0] + 1, c[1] + xs[int(c[0])]), (0, 0.0))
    assert int(n) == 0 and float(total) == 0.0


def test_loops_over_a_range(backend):
    assert int(ad.fori_loop(2, 5, lambda i, c: c + i, 0)) == 9
    assert float(ad.fori_loop(5, 2, lambda i, c: c * 0, 7.0)) == 7.0
    assert float(ad.fori_loop(ad.asarray(0), np.int64(3), lambda i, c: c + i, 0.5)) == 3.5
    x = leaf(1.5)
    ad.fori_loop(0, 3, lambda i, c: c * x, x).backward()
    assert float(x.grad) == 4 * 1.5**3


def test_bounds_that_are_traced(backend):
    jax = pytest.importorskip("jax")
    f = jax.jit(lambda n, x: ad.fori_loop(0, n, lambda i, c: c * 2 + i, x))
    assert float(f(3, 1.0)) == 12.0


def test_jax_differentiates_what_is_not_differentiated_here():
    jax = pytest.importorskip("jax")
    f = lambda x: ad.scan(lambda c, y: (c * x + y, None), x, jax.numpy.asarray([1.0, 2.0]))[0]  # noqa: E731
    assert float(jax.grad(f)(3.0)) == float(ad.grad(f)(jax.numpy.asarray(3.0))) == 28.0
