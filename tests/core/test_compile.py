"""`compile`: what goes in and comes out of a compiled function, and when it is traced."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.trees import flatten, tree_map

DTYPES = ("float32", "float64", "int64", "bool", "complex128")


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass
class Point:
    x: Any
    y: Any
    name: str = "origin"


def raw(values, dtype="float64"):
    """Return an array of the default backend's engine."""
    return ad.asarray(np.asarray(values, dtype=dtype))._value


def host(x):
    return np.asarray(ad.asarray(x).detach().numpy())


def agree(found, expected, rtol=1e-12):
    """Check values, dtype, shape, and which of tensor and raw array it is."""
    assert isinstance(found, ad.Tensor) == isinstance(expected, ad.Tensor)
    assert found.dtype == expected.dtype
    assert tuple(found.shape) == tuple(expected.shape)
    np.testing.assert_allclose(host(found), host(expected), rtol=rtol)


def leaf(*values, dtype="float64"):
    return ad.asarray(np.asarray(values, dtype=dtype), requires_grad=True)


# --- arrays and tensors ---


@pytest.mark.parametrize("make", [raw, lambda v: ad.asarray(raw(v))], ids=["raw", "tensor"])
def test_raw_in_raw_out_and_tensors_in_tensors_out(backend, make):
    def f(x, y):
        return ad.sum(ad.tanh(x) * y + 1, axis=0), x @ ad.matrix_transpose(y)

    program = ad.compile(f)
    for scale in (1.0, -2.0):  # the second call runs the program with other numbers
        x, y = make(np.arange(6.0).reshape(2, 3) * scale), make(np.ones((2, 3)) * scale)
        for found, expected in zip(program(x, y), f(ad.asarray(x), ad.asarray(y)), strict=True):
            assert isinstance(found, ad.Tensor) == isinstance(x, ad.Tensor)
            assert isinstance(found, type(x) if not isinstance(x, ad.Tensor) else ad.Tensor)
            agree(ad.asarray(found), expected)
    assert program.traces == 1


def test_one_tensor_among_raw_arrays_makes_tensors(backend):
    program = ad.compile(lambda x, y: x * y)
    for _ in range(2):
        assert isinstance(program(ad.asarray(raw([1.0])), raw([2.0])), ad.Tensor)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_dtype_goes_through(backend, dtype):
    program = ad.compile(lambda x: (x, ad.logical_not(x) if dtype == "bool" else x + x, ad.sum(x, axis=1)))
    x = ad.asarray(raw([[0, 1], [1, 0]], dtype))
    expected = program.function(x)
    for _ in range(2):
        for y, z in zip(program(x), expected, strict=True):
            agree(y, z)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 0, 4)])
def test_arrays_without_axes_and_without_elements(backend, shape):
    def f(x):
        return ad.sum(x * 2.0 + 1.0), ad.exp(x), ad.reshape(x, (-1, 1) if x.size else (0, 1))

    program = ad.compile(f)
    x = ad.asarray(raw(np.ones(shape)))
    for _ in range(2):
        for y, z in zip(program(x), f(x), strict=True):
            agree(y, z)


def test_arguments_are_not_changed_and_results_are_not_shared_between_calls(backend):
    program = ad.compile(lambda x: (x * 2.0, ad.exp(x) + 1.0))
    x = ad.asarray(raw(np.linspace(-1, 1, 5000)))
    before = host(x).copy()
    first = program(x)
    kept = [host(y).copy() for y in first]
    second = program(x)
    program(x + 5.0)
    for results in (first, second):
        for y, z in zip(results, kept, strict=True):
            np.testing.assert_array_equal(host(y), z)
    np.testing.assert_array_equal(host(x), before)


def test_writing_into_a_result_does_not_change_the_next(backend):
    """Neither results nor constants of a program are its own to keep once they are given away."""
    program = ad.compile(lambda x: (x + 1.0, ad.ones(3), x))
    x = ad.zeros(3)
    for _ in range(3):
        y, constant, same = program(x)
        assert y.tolist() == constant.tolist() == [1.0, 1.0, 1.0]
        y += 5.0
        constant += 5.0
        assert same.tolist() == [0.0, 0.0, 0.0]


def test_in_place_writes_to_an_argument_s_copy_and_to_views(backend):
    def f(x):
        buffer = ad.zeros(4)
        buffer[1:3] = x
        view = buffer[2:]
        view *= 10.0
        return buffer, view

    program = ad.compile(f)
    for values in ([1.0, 2.0], [3.0, -4.0]):
        x = ad.asarray(raw(values))
        for y, z in zip(program(x), f(x), strict=True):
            agree(y, z)


def test_an_argument_changed_in_place_is_changed_for_the_caller_or_refused(backend):
    """Eager code would see the change: a program must not lose it in silence."""

    def f(x):
        x += 1.0
        return x * 2.0

    program = ad.compile(f)
    for _ in range(2):
        x = ad.zeros(2)
        try:
            y = program(x)
        except ad.CompileError:
            continue
        assert y.tolist() == [2.0, 2.0]
        assert x.tolist() == [1.0, 1.0]


# --- trees ---


def trees(x, y):
    return [
        {"x": x, "y": [y, None, (x, "text")]},
        [x, [y]],
        (x, (y,), ()),
        Pair(x, {"inner": y}),
        Point(x, y),
        OrderedDict(b=x, a=y),
        defaultdict(list, b=x, a=y),
        {1: x, "a": y},
    ]


@pytest.mark.parametrize("number", range(8))
def test_trees_go_in_and_come_out(backend, number):
    def f(tree):
        return tree_map(lambda leaf: leaf if isinstance(leaf, str) else leaf * 3.0, tree)

    program = ad.compile(f)
    for scale in (1.0, 2.0, 3.0):
        given = trees(ad.asarray(raw([1.0, 2.0])) * scale, ad.asarray(raw([[4.0]])) * scale)[number]
        found, expected = program(given), f(given)
        assert type(found) is type(expected)
        (a, one), (b, other) = flatten(found), flatten(expected)
        assert one.same(other)
        for y, z in zip(a, b, strict=True):
            if isinstance(z, str):
                assert y == z
            else:
                agree(y, z)
    assert program.traces == 1


def test_keys_of_a_dict_in_another_order(backend):
    """The result is by the key, whichever comes first."""
    program = ad.compile(lambda d: d["a"] - d["b"])
    a, b = ad.asarray(raw([5.0])), ad.asarray(raw([2.0]))
    for given in ({"a": a, "b": b}, {"b": b, "a": a}, {"a": a, "b": b}):
        assert program(given).tolist() == [3.0]


def test_what_is_no_array_comes_out_as_it_is(backend):
    program = ad.compile(lambda x: {"n": None, "s": "text", "i": 3, "f": 2.5, "t": (), "x": x, "b": True})
    for _ in range(2):
        found = program(ad.zeros(1))
        assert list(found) == ["n", "s", "i", "f", "t", "x", "b"]
        assert [found[k] for k in "nsiftb"] == [None, "text", 3, 2.5, (), True]
        assert found["b"] is True


def test_no_arguments_and_no_result(backend):
    assert ad.compile(lambda: None)() is None
    program = ad.compile(lambda: ad.ones(2) * 3)
    assert program().tolist() == program().tolist() == [3.0, 3.0]
    assert ad.compile(lambda x: None)(ad.zeros(2)) is None


def test_arguments_by_keyword_are_as_good_as_by_position(backend):
    @ad.compile
    def f(x, *, scale=2.0, shift=None):
        return x * scale if shift is None else x * scale + shift

    x = ad.ones(2)
    for _ in range(2):
        assert f(x).tolist() == [2.0, 2.0]
        assert f(x, scale=3.0).tolist() == [3.0, 3.0]
        assert f(x, shift=x, scale=ad.asarray(4.0)).tolist() == [5.0, 5.0]
        assert f(x=x, shift=x).tolist() == [3.0, 3.0]
        assert f(scale=1.0, x=x).tolist() == [1.0, 1.0]


def test_strings_and_none_choose_a_program(backend):
    @ad.compile
    def f(x, mode, axis=None):
        return ad.sum(x, axis=axis) if mode == "sum" else ad.mean(x, axis=axis)

    x = ad.asarray(raw([[1.0, 3.0]]))
    for _ in range(2):
        assert f(x, "sum").item() == 4.0
        assert f(x, "mean").item() == 2.0
    assert f.traces == 2


def test_an_argument_that_cannot_be_hashed_is_named(backend):
    with pytest.raises(ad.ArgumentTypeError, match="hash"):
        ad.compile(lambda x, s: x)(ad.zeros(1), {1, 2})


# --- numbers ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [2, 0.5, True], ids=str)
def test_numbers_leave_the_dtype_to_arrays(backend, dtype, number):
    def f(x, n):
        return x * n + n, ad.maximum(x, n), x**n, ad.where(x > n, x, n), (n + 1) * x, (1 - n) * x

    program = ad.compile(f)
    x = ad.asarray(raw([1.0, 3.0], dtype))
    for n in (number, type(number)(3 * number)):
        for y, z in zip(program(x, n), f(x, n), strict=True):
            agree(y, z, rtol=1e-6)
            assert y.dtype == x.dtype
    assert program.traces == 1


def test_a_number_of_another_type_is_another_program(backend):
    program = ad.compile(lambda x, n: x * n)
    x = ad.asarray(raw([1, 2], "int64"))
    for n, dtype in ((2, ad.int64), (0.5, ad.sum(x * 0.5).dtype), (3, ad.int64), (1.5, (x * 1.5).dtype)):
        found = program(x, n)
        assert found.dtype == dtype
        assert found.tolist() == [n, 2 * n]
    assert program.traces == 2


def test_numbers_alone_come_out_as_eager_gives_them(backend):
    def f(a, b):
        return ad.asarray(a) * b, ad.zeros(3) + a

    program = ad.compile(f)
    for a, b in ((1.5, 2.0), (2.5, 4.0)):
        for y, z in zip(program(a, b), f(a, b), strict=True):
            agree(ad.asarray(y), z)
    assert program.traces == 1


def test_a_number_that_is_returned_is_the_number_of_this_call(backend):
    program = ad.compile(lambda x, n: (x * n, n))
    assert float(program(ad.ones(1), 2.0)[1]) == 2.0
    assert float(program(ad.ones(1), 7.0)[1]) == 7.0


# --- what is static ---


@pytest.mark.parametrize("how", [{"static_argnums": 1}, {"static_argnums": (1,)}, {"static_argnums": -1}], ids=str)
def test_static_arguments_by_position(backend, how):
    def f(x, n):
        for _ in range(n):
            x = x * 2.0
        return x

    program = ad.compile(f, **how)
    for n in (1, 3, 1, 3, 0):
        assert program(ad.ones(1), n).tolist() == [2.0**n]
    assert program.traces == 3


@pytest.mark.parametrize("call", [lambda f, x, n: f(x, n), lambda f, x, n: f(x, n=n), lambda f, x, n: f(n=n, x=x)])
@pytest.mark.parametrize("names", ["n", ("n", "other")], ids=str)
def test_static_arguments_by_name(backend, names, call):
    program = ad.compile(lambda x, n=1, other=None: x * 2.0 if n > 2 else x, static_argnames=names)
    for n in (1, 3, 1, 3):
        assert call(program, ad.ones(1), n).tolist() == [2.0 if n > 2 else 1.0]
    assert program.traces == 2


def test_static_values_that_are_equal_but_of_another_type(backend):
    """1 == True == 1.0, and what the function does with them differs."""
    program = ad.compile(
        lambda x, n: x * 2.0 if n is True else x * 3.0 if isinstance(n, float) else x, static_argnums=1
    )
    for _ in range(2):
        found = [program(ad.ones(1), n).item() for n in (1, True, 1.0)]
        assert found == [1.0, 2.0, 3.0]


def test_a_static_container(backend):
    program = ad.compile(lambda x, shape: ad.reshape(x, shape), static_argnums=1)
    x = ad.arange(6.0)
    assert program(x, (2, 3)).shape == (2, 3)
    assert program(x, (3, 2)).shape == (3, 2)
    assert program(x, (2, 3)).shape == (2, 3)
    assert program.traces == 2


def test_every_option_holds_for_a_decorator_with_brackets():
    @ad.compile(static_argnums=1, engine=None, threads=2)
    def f(x, n):
        return x * 2.0 if n else x

    assert f(ad.ones(1), True).item() == 2.0
    assert f._options.threads == 2
