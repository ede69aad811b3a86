"""Dtypes: limits, kinds, promotion, scalars, and what keeps its dtype."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("given", ["dtype", "complex", "array", "raw"])
def test_finfo(xp, name, given):
    wanted, dtype = np.finfo(name), getattr(xp, name)
    double = xp.complex64 if name == "float32" else xp.complex128
    array = xp.ones(2, dtype=dtype)
    info = xp.finfo({"dtype": dtype, "complex": double, "array": array, "raw": array._value}[given])
    assert info.bits == wanted.bits and type(info.bits) is int
    for field in ("eps", "max", "min", "smallest_normal"):
        assert type(getattr(info, field)) is float
        assert getattr(info, field) == float(getattr(wanted, field))
    assert info.dtype == dtype


@pytest.mark.parametrize("name", INTEGERS)
def test_iinfo(xp, name):
    wanted, dtype = np.iinfo(name), getattr(xp, name)
    for given in (dtype, xp.ones(2, dtype=dtype)):
        info = xp.iinfo(given)
        assert (info.bits, info.max, info.min) == (wanted.bits, wanted.max, wanted.min)
        assert {type(n) for n in info[:3]} == {int}
        assert info.dtype == dtype


def test_kinds(xp):
    assert xp.isdtype(xp.float32, "real floating")
    assert xp.isdtype(xp.uint8, ("bool", "unsigned integer"))
    assert xp.isdtype(xp.complex64, xp.complex64)
    assert not xp.isdtype(xp.bool, "numeric")


def test_promotion(xp):
    x = xp.ones(2, dtype=xp.float32)
    assert xp.result_type(x, 1.0) == xp.float32
    assert xp.result_type(x, 1j) == xp.complex64
    assert xp.result_type(xp.int8, xp.uint8) == xp.int16
    assert xp.can_cast(x, xp.float64) and not xp.can_cast(xp.float64, xp.float32)


# A Python scalar is of the dtype of the array that it meets.
SCALAR = {
    "atan2": lambda xp, x: xp.atan2(1.0, x),
    "clip": lambda xp, x: xp.clip(x, 0.5, max=2),
    "maximum": lambda xp, x: xp.maximum(x, 2),
    "minimum": lambda xp, x: xp.minimum(2.0, x),
    "operator": lambda xp, x: x * 2.5 + 1,
    "reflected": lambda xp, x: 2**x,
    "where 1": lambda xp, x: xp.where(x > 1, 0.0, x),
    "where 2": lambda xp, x: xp.where(x > 1, x, 0.0),
}


@pytest.mark.parametrize("name", SCALAR)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_python_scalars(xp, name, requires_grad):
    x = xp.asarray([1.0, 2.0], dtype=xp.float32, requires_grad=requires_grad)
    y = SCALAR[name](xp, x)
    assert y.dtype == xp.float32 and y.shape == (2,)
    assert y.requires_grad == requires_grad
    if requires_grad:
        (g,) = ad.autograd.grad(xp.sum(y), x)
        assert g.dtype == xp.float32


def test_a_complex_scalar_keeps_the_precision(xp):
    assert (xp.ones(2, dtype=xp.float32) + 1j).dtype == xp.complex64


def test_scalars_of_sets_and_searches(xp):
    x = xp.asarray([1, 2, 3])
    assert xp.isin(x, 2).tolist() == [False, True, False]
    assert xp.isin(2, x).tolist() is True
    assert xp.isin(x, 2, invert=True).tolist() == [True, False, True]
    place = xp.searchsorted(xp.asarray([1.0, 2.0]), 1.5)
    assert place.shape == () and place.tolist() == 1
    assert place.dtype == xp.asarray(0).dtype


def test_default_integers(xp):
    default = xp.asarray(0).dtype
    small = xp.asarray([1, 2], dtype=xp.int8)
    for y in (xp.sum(small), xp.prod(small), xp.cumulative_sum(small), xp.cumulative_prod(small)):
        assert y.dtype == default
    for y in (xp.argmax(small), xp.nonzero(small)[0], xp.argsort(small), xp.count_nonzero(small)):
        assert y.dtype == default
    unsigned = xp.cumulative_prod(xp.asarray([1, 2], dtype=xp.uint8))
    assert not xp.isdtype(unsigned.dtype, "signed integer") and xp.iinfo(unsigned.dtype).bits == xp.iinfo(default).bits


def test_in_place_keeps_dtype_and_shape(xp):
    x = xp.ones(2, dtype=xp.float32)
    x += xp.ones(2, dtype=xp.float64)
    assert x.dtype == xp.float32 and x.tolist() == [2, 2]
    with pytest.raises(ad.ShapeError, match="can't grow"):
        x *= xp.ones((3, 2), dtype=xp.float32)


def test_assignment_keeps_the_dtype(xp):
    x = xp.zeros(4, dtype=xp.float32)
    x[0] = xp.asarray(7.0, dtype=xp.float64)
    x[1] = xp.asarray(8, dtype=xp.int32)
    x[2:] = 1
    assert x.dtype == xp.float32 and x.tolist() == [7, 8, 1, 1]


def test_results_without_axes_are_tensors(xp):
    x = xp.asarray([1.0, 2.0])
    for y in (x[0], xp.sum(x), xp.vecdot(x, x), xp.max(x), xp.all(x > 0), xp.argmax(x), x[0] * x[1]):
        assert isinstance(y, ad.Tensor) and y.shape == ()


def test_python_numbers(xp):
    x = xp.asarray([1.0, 2.0])
    assert (float(x[1]), int(x[1]), complex(x[1]), bool(x[1])) == (2.0, 2, 2 + 0j, True)
    assert complex(xp.asarray(1j)) == 1j
    assert [5, 6, 7][xp.asarray([1, 2])[0]] == 6
    with pytest.raises(TypeError):
        [5, 6, 7][x[0]]
    with pytest.raises(TypeError):
        float(xp.asarray(1j))
    with pytest.raises(ad.ShapeError):
        bool(x)


def test_float_of_what_requires_grad_warns(xp):
    x = xp.asarray(2.0, requires_grad=True)
    with pytest.warns(ad.DetachWarning):
        assert float(x) == 2.0
