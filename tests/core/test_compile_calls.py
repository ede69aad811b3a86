"""`compile`: when a function is traced again and when not; methods, modules, random numbers, other wrappers."""

from __future__ import annotations

import functools
import inspect

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn


def tensor(*shape, dtype="float64"):
    return ad.asarray(np.ones(shape, dtype))


def double(x):
    """Return twice x."""
    return {"twice": x * 2} if not isinstance(x, dict) else {k: v * 2 for k, v in x.items()}


OTHER = {
    "a dtype": (lambda: tensor(2), lambda: tensor(2, dtype="float32")),
    "a dtype of the same size": (lambda: tensor(2), lambda: tensor(2, dtype="int64")),
    "a key": (lambda: {"a": tensor(2)}, lambda: {"b": tensor(2)}),
    "a number of axes": (lambda: tensor(2), lambda: tensor(2, 1)),
    "a raw array": (lambda: tensor(2), lambda: tensor(2)._value),
    "a shape": (lambda: tensor(2), lambda: tensor(3)),
    "one more": (lambda: {"a": tensor(2)}, lambda: {"a": tensor(2), "b": tensor(2)}),
    "who needs a gradient": (lambda: tensor(2), lambda: tensor(2).requires_grad_()),
}


@pytest.mark.parametrize("what", OTHER)
def test_another_kind_of_argument_is_traced_once_more(backend, what):
    runs = []
    program = ad.compile(lambda x: (runs.append(1), double(x))[1])
    makers = OTHER[what]
    for k, make in enumerate([*makers, *makers, *reversed(makers)]):
        x = make()
        found, expected = program(x), double(x)
        assert found.keys() == expected.keys()
        for key in found:
            y, z = found[key], expected[key]
            assert isinstance(y, ad.Tensor) == isinstance(z, ad.Tensor)
            assert y.dtype == z.dtype
            assert y.shape == z.shape
            assert y.sum().item() == z.sum().item()
        assert len(runs) == program.traces == min(k + 1, 2)


@pytest.mark.parametrize("layout", ["by columns", "every other", "backwards"])
def test_how_an_array_lies_in_memory_is_no_matter(layout):
    program = ad.compile(lambda x: (ad.reshape(x, (-1,)), x.T @ x))
    x = np.arange(12.0).reshape(3, 4)
    other = {"by columns": np.asfortranarray(x), "every other": np.repeat(x, 2, axis=1)[:, ::2], "backwards": x[::-1]}
    expected = other[layout]
    program(x)
    flat, product = program(expected)
    np.testing.assert_array_equal(flat, expected.reshape(-1))
    np.testing.assert_allclose(product, expected.T @ expected)
    assert program.traces == 1


def test_an_argument_given_twice_is_two(backend):
    program = ad.compile(lambda x, y: x * 2 + y)
    x, y = tensor(2), tensor(2) * 5
    assert program(x, x).tolist() == [3.0, 3.0]
    assert program(x, y).tolist() == [7.0, 7.0]
    assert program.traces == 1


def test_two_compiled_functions_do_not_share_programs(backend):
    programs = [ad.compile(lambda x, k=k: x * k) for k in (2.0, 3.0)]
    assert [p(tensor(1)).item() for p in programs] == [2.0, 3.0]
    assert [p(tensor(1)).item() for p in programs] == [2.0, 3.0]


def test_a_view_as_an_argument(backend):
    program, x = ad.compile(lambda x: x * 2), ad.asarray(np.arange(6.0).reshape(2, 3))
    for part in (x[0], x[1], ad.asarray([3.0, 4.0, 5.0]), x[0]):
        assert program(part).tolist() == [2 * v for v in part.tolist()]


def test_it_looks_like_the_function(backend):
    program = ad.compile(double)
    assert program.__name__ == "double"
    assert program.__doc__ == double.__doc__
    assert program.__wrapped__ is double
    assert inspect.signature(program) == inspect.signature(double)


def test_a_method_is_compiled_for_each_object(backend):
    class Scaler:
        def __init__(self, k):
            self.k = k

        @ad.compile
        def scale(self, x):
            return x * self.k

    one, other = Scaler(2.0), Scaler(3.0)
    for _ in range(2):
        assert one.scale(tensor(1)).item() == 2.0
        assert other.scale(tensor(1)).item() == 3.0
    assert ad.compile(one.scale)(tensor(1)).item() == 2.0


def test_what_can_be_compiled_beside_functions(backend):
    assert ad.compile(functools.partial(lambda k, x: x * k, 3.0))(tensor(1)).item() == 3.0

    class Callable:
        def __call__(self, x):
            return x * 4.0

    assert ad.compile(Callable())(tensor(1)).item() == 4.0
    assert ad.compile(ad.exp)(ad.zeros(1)).item() == 1.0
    assert ad.compile(ad.compile(lambda x: x * 5.0))(tensor(1)).item() == 5.0


def test_modules_in_modules_and_losses(backend):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    loss = nn.CrossEntropyLoss()
    program = ad.compile(lambda x, y: loss(model(x), y), state=model)
    x, y = (
        ad.astype(ad.asarray(np.random.default_rng(0).normal(size=(5, 3))), model[0].weight.dtype),
        ad.asarray([0, 1, 1, 0, 1]),
    )
    for _ in range(3):
        gradients = []
        for function in (program, lambda x, y: loss(model(x), y)):
            model.zero_grad()
            function(x, y).backward()
            gradients.append([p.grad.numpy().copy() for p in model.parameters()])
        for a, b in zip(*gradients, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_random_numbers_are_drawn_anew_and_as_the_seed_says(backend):
    def f(x):
        return x + ad.randn(4), ad.rand(2), ad.randint(0, 1000, (3,))

    program, x = ad.compile(f), tensor(4)
    ad.manual_seed(0)
    expected = [[y.tolist() for y in f(x)] for _ in range(3)]
    ad.manual_seed(0)
    found = [[y.tolist() for y in program(x)] for _ in range(3)]
    for one, other in zip(found, expected, strict=True):
        for y, z in zip(one, other, strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-6)
    assert found[1] != found[2]


def test_dropout_in_a_compiled_model(backend):
    model = nn.Dropout(0.5)
    program, x = ad.compile(model), tensor(200)
    ad.manual_seed(7)
    expected = [model(x).tolist() for _ in range(3)]
    ad.manual_seed(7)
    found = [program(x).tolist() for _ in range(3)]
    assert found == expected
    model.eval()
    assert program(x).tolist() == x.tolist()


def test_the_gradient_through_random_numbers_is_of_those_that_were_drawn(backend):
    program = ad.compile(lambda x: (y := x * ad.randn(5), ad.sum(y))[1])
    for _ in range(3):
        x = tensor(5).requires_grad_()
        out = program(x)
        out.backward()
        np.testing.assert_allclose(float(x.grad.sum()), out.item(), rtol=1e-6)


def test_what_the_function_saw_outside_is_a_constant(backend):
    """As the docstring says: the program does not see that it changed."""
    scale = [2.0]
    program = ad.compile(lambda x: x * scale[0])
    program(tensor(1))
    scale[0] = 3.0
    assert program(tensor(1)).item() == 2.0
    assert program(tensor(2)).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("names", [("numpy", "jax"), ("jax", "numpy")], ids=str)
def test_one_function_on_two_backends(names):
    pytest.importorskip("jax")
    program = ad.compile(lambda x: ad.sum(x * x))
    for name in (*names, *names):
        x = ad.namespace(name).asarray([1.0, 2.0])
        assert program(x).item() == 5.0
        assert program(x)._xp is x._xp
    assert program.traces == 2


def test_backends_do_not_mix():
    pytest.importorskip("jax")
    program = ad.compile(lambda x, y: x + y)
    x, y = (ad.namespace(name).asarray([1.0]) for name in ("numpy", "jax"))
    with pytest.raises(ad.BackendMismatchError):
        program(x, y)


def test_an_earlier_value_of_state_that_is_held_stays(backend):
    """Memory is given to the engine only where nobody else has it."""
    w = ad.asarray([1.0, 2.0])

    @ad.compile(state=w)
    def program(x):
        w[...] = w * x

    kept = []
    for _ in range(4):
        kept.append((w.detach().clone(), w.numpy().copy()))
        held = w._value
        before = np.asarray(held).copy()
        program(ad.asarray(2.0))
        if backend == "jax":
            np.testing.assert_array_equal(np.asarray(held), before)
    for copy, numbers in kept:
        np.testing.assert_array_equal(copy.numpy(), numbers)
    assert w.tolist() == [16.0, 32.0]
