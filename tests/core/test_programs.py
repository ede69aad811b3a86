"""Programs: how they are simplified and written, the memory they work in, blocks and threads, other engines."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn, optim
from autodiff_api.compiler import blocks, plan
from autodiff_api.testing.checks import Checks

FUNCTIONS = Checks(ad.namespace("numpy")).functions


def array(*shape, dtype="float64", seed=0):
    return ad.asarray(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def close(found, expected, rtol=1e-10):
    assert found.dtype == expected.dtype
    assert tuple(found.shape) == tuple(expected.shape)
    np.testing.assert_allclose(np.asarray(found.detach()), np.asarray(expected.detach()), rtol=rtol, atol=1e-10)


# --- what is written ---


def source(function, *args):
    program = ad.compile(function)
    program(*args)
    return program.source()


def test_the_source_is_python_with_the_names_of_ops_and_arguments():
    text = source(lambda data: ad.sum(ad.exp(data["w"]) * data["b"]), {"w": array(3), "b": array(3)})
    compile(text, "program", "exec")
    assert text.startswith("def ")
    for word in ("exp(", "multiply(", "sum(", "return"):
        assert word in text
    assert "w" in text.partition("\n")[0]


def test_every_program_of_a_function_has_its_source():
    program = ad.compile(lambda x: x * 2 + 1)
    program(array(3))
    program(array(4, 4))
    one, other = program.source(array(3)), program.source(array(4, 4))
    assert "multiply" in one
    assert "multiply" in other


@pytest.mark.parametrize(
    ("function", "gone"),
    [
        (lambda x: (ad.exp(x), x * 2)[1], "exp"),
        (lambda x: x * ad.ones(3), "multiply"),
        (lambda x: x + ad.zeros(3), "add"),
        (lambda x: x / 1.0, "divide"),
        (lambda x: x**1, "pow"),
        (lambda x: ad.negative(-x), "negative"),
        (lambda x: ad.reshape(x, (3,)), "reshape"),
        (lambda x: ad.astype(x, ad.float64), "astype"),
        (lambda x: ad.matrix_transpose(ad.matrix_transpose(ad.ones((3, 3)) * x)), "matrix_transpose"),
        (lambda x: ad.sin(ad.ones(3)) * x, "sin"),
        (lambda x: ad.broadcast_to(x, (3,)), "broadcast_to"),
        (lambda x: ad.permute_dims(ad.permute_dims(ad.ones((2, 3)) * x, (1, 0)), (1, 0)), "permute_dims"),
    ],
)  # fmt: skip
def test_what_changes_nothing_is_left_out(function, gone):
    x = array(3)
    assert f"{gone}(" not in source(function, x)
    close(ad.compile(function)(x), function(x))


def test_what_was_computed_is_not_computed_again():
    assert source(lambda x: ad.exp(x) * 2 + ad.exp(x) / 3, array(3)).count(" exp(") == 1
    assert source(lambda x: (x[0] + x[1], x[0] - x[1]), array(3)).count("getitem(") <= 2


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -0.0, 0.0])
def test_identities_hold_at_delicate_values(value):
    """0 * x is not 0 at an infinity, nor x - x; and but for x + 0.0 the sign of a zero is kept."""

    def f(x):
        zeros = ad.zeros(2)
        kept = x - 0.0, 0.0 - x, x * 0.0, x * zeros, x * 1.0, x**1, x**0, x / 1.0, x - x, ad.negative(-x), x**2
        return *kept, x + 0.0, x + zeros

    program = ad.compile(f)
    program(ad.ones(2))
    x = ad.asarray([value, 1.0])
    with np.errstate(all="ignore"):
        results = list(zip(program(x), f(x), strict=True))
    for k, (found, expected) in enumerate(results):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
        if k < 11:
            np.testing.assert_array_equal(np.signbit(found.numpy()), np.signbit(expected.numpy()))


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "complex64"])
def test_identities_keep_dtypes(dtype):
    def f(x):
        return x * ad.ones(2), x + ad.zeros((3, 2)), x * 1, x + 0, x * 1.0, x + True, ad.astype(x, ad.complex128) * 1

    x = ad.asarray(np.asarray([1, 0], dtype))
    program = ad.compile(f)
    for _ in range(2):
        for found, expected in zip(program(x), f(x), strict=True):
            close(found, expected)


# --- memory ---


def test_results_do_not_share_memory_with_the_arena_or_each_other(monkeypatch):
    monkeypatch.setattr(plan, "LEAST", 0)

    def f(x):
        a = ad.exp(x) + 1.0
        b = ad.sin(a) * x
        c = a * b - 2.0
        return c, b + c, ad.reshape(c, (-1,)), ad.matrix_transpose(b), c * b + 1.0

    program = ad.compile(f)
    x = array(4, 5)
    program(x)
    kept = [program(array(4, 5, seed=k)) for k in range(4)]
    for k, results in enumerate(kept):
        for found, expected in zip(results, f(array(4, 5, seed=k)), strict=True):
            close(found, expected)
    close(x, array(4, 5))


def step_and_data():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype=ad.float64)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        optimizer.zero_grad()
        loss = ad.mean((model(x) - y) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return ad.compile(step, state=(model, optimizer)), (array(5, 3), array(5, 2))


def growth(call, times):
    """Return how much more memory there is after so many calls, with the collector of cycles turned off."""
    call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(2200):  # Python keeps up to 2000 tuples of each length for later
            call()
        tracemalloc.start()
        for _ in range(20):
            call()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            call()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()


def test_1000_steps_need_no_more_memory():
    """Nor is anything left to the collector of cycles."""
    step, data = step_and_data()
    assert growth(lambda: step(*data), 1000) < 2000
    assert step.traces <= 3


def test_a_backward_pass_through_a_program_leaves_nothing():
    program, x = ad.compile(lambda x: ad.sum(ad.sin(x) ** 2)), array(100).requires_grad_()
    assert growth(lambda: program(x).backward(), 200) < 2000


def test_a_dropped_function_is_let_go():
    """With what it captured."""

    class Captured:
        pass

    def make():
        captured = Captured()
        program = ad.compile(lambda x: (captured, x * 2)[1])
        program(array(3))
        program(array(3))
        return program, weakref.ref(captured)

    program, captured = make()
    assert captured() is not None
    del program
    gc.collect()
    assert captured() is None


def test_arguments_and_results_are_let_go():
    program = ad.compile(lambda x: (ad.exp(x), x + 1))
    x = array(1000)
    results = program(x), program(x)
    values = [weakref.ref(t._value) for pair in results for t in pair] + [weakref.ref(x._value)]
    del x, results
    assert [v() for v in values] == [None] * 5


# --- threads ---


def test_threads_call_one_function_at_once(monkeypatch):
    monkeypatch.setattr(plan, "LEAST", 0)

    def f(x, n):
        a = ad.exp(ad.sin(x) * n)
        return ad.sum(a * x, axis=0) + ad.cos(a) @ a

    program, failures = ad.compile(f), []
    inputs = [array(30, 30, seed=k) for k in range(6)]
    expected = [f(x, k) for k, x in enumerate(inputs)]
    start = threading.Barrier(6)

    def work(k):
        try:
            start.wait()
            for _ in range(30):
                close(program(inputs[k], k), expected[k])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert program.traces <= 6


# --- blocks ---


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def small_blocks(request, monkeypatch):
    """Let seven elements be a block, and all work large; return how many threads do it."""
    monkeypatch.setattr(blocks, "BLOCK", 7)
    monkeypatch.setattr(blocks, "LARGE", 1)
    monkeypatch.setattr(plan, "LEAST", 0)
    return request.param


def layouts(x):
    """Return an array as it may lie in memory: by rows, by columns, every other, backwards, broadcast."""
    n = np.asarray(x.detach())
    wide = np.zeros((*n.shape[:-1], 2 * n.shape[-1]), n.dtype)
    wide[..., ::2] = n
    return [
        n,
        np.asfortranarray(n),
        wide[..., ::2],
        np.ascontiguousarray(n[::-1])[::-1],
        np.broadcast_to(n[:1], n.shape),
    ]


ELEMENTWISE = {
    "chain": lambda x, y: ad.tanh(x) * ad.exp(-y * y) + ad.sqrt(1 + x * x),
    "column": lambda x, y: (x + y[:, :1]) * ad.exp(y[:, :1]) - x,
    "row": lambda x, y: (x + y[:1]) * ad.exp(y[0]) - x,
    "number": lambda x, y: (x * ad.sum(y) + 1.0) * ad.exp(x),
    "outer": lambda x, y: ad.exp(x[:, :1]) * y[:1] + ad.sin(y[0]),
    "truth": lambda x, y: ad.where((x > y) & (y < 0.5), ad.exp(x), y * 2) + ad.astype(x > 0, x.dtype),
    "several results": lambda x, y: ((a := ad.exp(x) + y), a * 2 + x, ad.sin(a) - a),
    "constants": lambda x, y: (x * ad.asarray(np.arange(3.0)) + ad.ones((9, 3))) * ad.exp(y) + 3,
    "float32 beside": lambda x, y: ad.astype(ad.astype(x, ad.float32) * 2 + 1, ad.float64) + ad.exp(y),
    "twice": lambda x, y: ad.sum(ad.exp(x - ad.max(x, axis=1, keepdims=True)), axis=1, keepdims=True) + ad.exp(y) * x,
}


def every(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_blocks_compute_the_same(small_blocks, name):
    function = ELEMENTWISE[name]
    program = ad.compile(function, threads=small_blocks)
    x, y = array(9, 3, seed=1), array(9, 3, seed=2)
    program(y, x)
    for found, expected in zip(every(program(x, y)), every(function(x, y)), strict=True):
        close(found, expected)
    assert "in_blocks" in program.source()
    for a, b in zip(layouts(x), reversed(layouts(y)), strict=True):
        a, b = ad.asarray(a), ad.asarray(b)
        for found, expected in zip(every(program(a, b)), every(function(a, b)), strict=True):
            close(found, expected)


@pytest.mark.parametrize("reduction", ["max", "mean", "min", "sum", "var"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, (0, 1), (1, 2), (0, 2), (0, 1, 2)], ids=str)
def test_reductions_close_a_group(small_blocks, reduction, axis):
    def function(x):
        a = ad.exp(x) * 2 - x
        reduce = getattr(ad, reduction)
        return reduce(a, axis=axis), reduce(a * x, axis=axis, keepdims=True), reduce(x, axis=axis)

    program = ad.compile(function, threads=small_blocks)
    program(array(5, 2, 3))
    for x in (array(5, 2, 3, seed=4), ad.asarray(np.asfortranarray(array(5, 2, 3, seed=5).numpy()))):
        for found, expected in zip(program(x), function(x), strict=True):
            close(found, expected)


@pytest.mark.parametrize(
    "shape", [(1,), (2,), (3,), (4,), (10,), (1, 5), (5, 1), (1, 1, 4), (4, 1, 1), (2, 2, 2, 2)], ids=str
)
def test_shapes_that_blocks_do_not_divide(small_blocks, shape):
    def function(x):
        a = ad.exp(x) + x * 2
        return a - 1, ad.sum(a), ad.max(a, axis=0), ad.sum(a, axis=-1, keepdims=True), a * ad.ones((1,) * len(shape))

    program = ad.compile(function, threads=small_blocks)
    program(array(*shape))
    x = array(*shape, seed=1)
    for found, expected in zip(program(x), function(x), strict=True):
        close(found, expected)


def test_gradients_in_blocks(small_blocks):
    def function(x, y):
        return ad.sum(ad.tanh(x) * ad.exp(-(x**2)) * y + ad.log1p(y * y))

    program = ad.compile(ad.grad(function, argnums=(0, 1)), threads=small_blocks)
    program(array(6, 5), array(5))
    x, y = array(6, 5, seed=1), array(5, seed=2)
    for found, expected in zip(program(x, y), ad.grad(function, argnums=(0, 1))(x, y), strict=True):
        close(found, expected)


def test_infinities_and_nans_in_blocks(small_blocks):
    def function(x):
        a = x * 2 + 1
        return ad.max(a, axis=0), ad.min(a), ad.sum(a, axis=1), ad.where(x > 0, 1 / x, -x) * a

    program = ad.compile(function, threads=small_blocks)
    values = array(5, 3).numpy().copy()
    program(ad.asarray(values))
    values[0, 0], values[2, 1], values[4, 2] = np.inf, np.nan, 0.0
    x = ad.asarray(values)
    with np.errstate(all="ignore"):
        for found, expected in zip(program(x), function(x), strict=True):
            close(found, expected)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_law_of_compilation_in_blocks(monkeypatch, function):
    monkeypatch.setattr(blocks, "BLOCK", 3)
    monkeypatch.setattr(blocks, "LARGE", 1)
    monkeypatch.setattr(plan, "LEAST", 0)
    checks = Checks(ad.namespace("numpy"), dtypes=("float64", "complex128"))
    outcomes = [checks.check(function, "compiled", dtype) for dtype in checks.dtypes]
    failed = [outcome.text for outcome in outcomes if outcome.state == "fail"]
    assert not failed, "\n".join(failed)


# --- NumPy's programs on another engine ---


class TestOnXLA:
    @pytest.fixture(autouse=True)
    def there(self):
        pytest.importorskip("jax")

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex128"])
    def test_numpy_in_numpy_out(self, dtype):
        def f(x):
            return ad.sum(x * x, axis=0), x[::-1] + 1, x @ ad.matrix_transpose(x)

        program = ad.compile(f, engine="jax")
        raw = np.asarray([[1, 2, 3], [4, 5, 6]], dtype)
        for scale in (1, 2):
            found, expected = program(raw * scale), f(ad.asarray(raw * scale))
            for y, z in zip(found, expected, strict=True):
                assert isinstance(y, np.ndarray)
                close(ad.asarray(y), z, rtol=1e-6)
        assert isinstance(program(ad.asarray(raw))[0], ad.Tensor)
        assert program(ad.asarray(raw))[0]._xp is ad.asarray(raw)._xp

    def test_float64_is_kept_though_jax_would_not(self):
        program = ad.compile(lambda x: ad.exp(x) / 3, engine="jax")
        x = np.asarray([1.0, 2.0])
        for _ in range(2):
            assert program(x).dtype == np.float64
            np.testing.assert_allclose(program(x), np.exp(x) / 3, rtol=1e-15)
        jax = __import__("jax")
        assert not jax.config.values["jax_enable_x64"]
        assert jax.numpy.asarray(x).dtype == "float32"

    def test_derivatives(self):
        def f(x):
            return ad.sum(ad.tanh(x) ** 3)

        program, x = ad.compile(f, engine="jax"), array(4).requires_grad_()
        for _ in range(2):
            x.grad = None
            program(x).backward()
            close(x.grad, ad.grad(f)(x.detach()))
        close(ad.compile(ad.grad(f), engine="jax")(x.detach()), ad.grad(f)(x.detach()))

    def test_numbers_and_the_empty(self):
        program = ad.compile(lambda x, n: (x * n, ad.sum(x), n + 1.0), engine="jax")
        for n in (2.0, 3.0):
            y, total, _ = program(ad.ones((0, 2)), n)
            assert y.shape == (0, 2)
            assert total.item() == 0.0
        assert program(ad.ones(2, dtype=ad.float32), 2.0)[0].dtype == ad.float32

    def test_a_training_step(self):
        model = nn.Linear(3, 2).to(dtype=ad.float64)
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x):
            optimizer.zero_grad()
            loss = ad.mean(model(x) ** 2)
            loss.backward()
            optimizer.step()
            return loss

        program, x = ad.compile(step, state=(model, optimizer), engine="jax"), array(4, 3)
        losses = [program(x).item() for _ in range(4)]
        assert losses == sorted(losses, reverse=True)
        assert isinstance(model.weight._value, np.ndarray)
        assert step(x).item() < losses[-1]
