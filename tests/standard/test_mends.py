"""Values that engines get wrong, and ours: bit for bit, the signs of zeros included."""

from __future__ import annotations

import cmath
import itertools
import math
from pathlib import Path

import pytest

from autodiff_api.kernels import mends

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # NumPy warns of a nan that it makes
INF, NAN = math.inf, math.nan


def same(x, wanted):
    """Tell whether two numbers are the same: nans are, +0 and -0 are not."""
    if isinstance(wanted, complex):
        return same(x.real, wanted.real) and same(x.imag, wanted.imag)
    return x != x if wanted != wanted else x == wanted and math.copysign(1, x) == math.copysign(1, wanted)


REAL = {
    "floor_divide": [
        ((INF, 2.0), INF), ((INF, -2.0), -INF), ((-INF, 2.0), -INF), ((-INF, -2.0), INF), ((INF, INF), NAN),
        ((1.0, INF), 0.0), ((1.0, -INF), -0.0), ((-1.0, INF), -0.0), ((-1.0, -INF), 0.0), ((7.0, -2.0), -4.0),
        ((-0.0, 2.0), -0.0), ((-0.0, -2.0), 0.0), ((0.0, -2.0), -0.0), ((1.0, 0.1), 9.0), ((NAN, 1.0), NAN),
    ],
    "remainder": [
        ((-0.0, 2.0), 0.0), ((0.0, -2.0), -0.0), ((0.0, 2.0), 0.0), ((4.0, -2.0), -0.0), ((-4.0, 2.0), 0.0),
        ((5.0, -3.0), -1.0), ((5.0, 0.0), NAN),
    ],
    "sign": [((-0.0,), 0.0), ((0.0,), 0.0), ((-3.0,), -1.0), ((INF,), 1.0), ((NAN,), NAN)],
}  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", REAL)
def test_real(xp, name, precision):
    dtype = getattr(xp, precision)
    for args, wanted in REAL[name]:
        y = getattr(xp, name)(*[xp.asarray(a, dtype=dtype) for a in args])
        assert y.dtype == dtype and y.shape == ()
        if args != (1.0, 0.1) or precision == "float64":
            assert same(float(y), wanted), (args, float(y), wanted)


def test_floor_divide_by_operator_scalar_and_in_place(xp):
    x = xp.asarray([INF, 1.0, -INF])
    for y in (x // 2, xp.floor_divide(x, 2.0)):
        assert y.tolist() == [INF, 0.0, -INF]
    assert [math.copysign(1, v) for v in (1.0 // xp.asarray([-INF, INF])).tolist()] == [-1, 1]
    x //= -2
    assert x.tolist() == [-INF, -1.0, INF]
    assert (xp.asarray([7, -7]) // 2).tolist() == [3, -4]


def expm1(z):
    """Return the standard's exp(z) - 1 for a zero or an infinite real part and a finite imaginary one."""
    if z.real in (0, INF) and z.imag == 0:
        return complex(z.real + 0.0, z.imag)
    return complex(cmath.exp(z).real - 1, cmath.exp(z).imag)


def tanh(z):
    """Return the standard's limit for an infinite real part."""
    return complex(math.copysign(1, z.real), math.copysign(0, z.imag))


COMPLEX = {
    "expm1": {complex(a, b): expm1 for a, b in itertools.product((0.0, -0.0), (0.0, -0.0))}
    | {complex(a, b): expm1 for a, b in itertools.product((INF, -INF), (0.0, 1.0, -2.0, 3.0))},
    "sign": {complex(a, b): lambda z: 0j for a, b in itertools.product((0.0, -0.0), repeat=2)},
    "tanh": {complex(a, b): tanh for a, b in itertools.product((INF, -INF), (0.0, 1.0, 2.0, 3.0, INF))},
}


@pytest.mark.parametrize("precision", ["complex64", "complex128"])
@pytest.mark.parametrize("name", COMPLEX)
def test_complex(xp, name, precision):
    for z, f in COMPLEX[name].items():
        y = complex(getattr(xp, name)(xp.asarray(z, dtype=getattr(xp, precision))))
        if not (name == "tanh" and math.isinf(z.imag)):
            assert same(y, f(z)), (z, y, f(z))
        else:  # the sign of the zero is left open
            assert y == f(z)


@pytest.mark.parametrize("z", [complex(-INF, INF), complex(INF, INF), complex(-INF, NAN), complex(INF, NAN)])
def test_expm1_of_infinities_is_exp_minus_1(xp, z):
    x = xp.asarray(z)
    assert same(abs(complex(xp.expm1(x)).real), abs(complex(xp.exp(x)).real - 1))


def test_what_is_not_special_is_the_engines(xp):
    numbers = [0.3 - 0.7j, 1e-9 + 1e-9j, -2.0 + 5.0j]
    for name in ("expm1", "tanh"):
        own = getattr(xp._lower._namespace, name)(xp._lower.asarray(numbers))
        assert getattr(xp, name)(xp.asarray(numbers)).tolist() == xp.array_class._make(own).tolist()


def test_isin_inverts(xp):
    x = xp.asarray([1, 2, 3])
    assert xp.isin(x, x[:2], invert=True).tolist() == [False, False, True]
    assert xp.isin(x, x[:2]).tolist() == [True, True, False]


def test_products_of_small_integers_have_room(xp):
    x = xp.asarray([100, 100, 100], dtype=xp.uint8)
    assert xp.cumulative_prod(x).tolist() == [100, 10_000, 1_000_000]
    assert xp.cumulative_prod(x, dtype=xp.uint8).dtype == xp.uint8


def test_the_docs_list_what_is_mended_and_what_is_not():
    docs = Path(__file__).parents[2] / "docs" / "reference"
    page = (docs / "mends.md").read_text()
    assert [name for name in mends.GENERIC if f"| `{name}" not in page] == []
    left = (Path(__file__).parent / "jax-xfails.txt").read_text().splitlines()
    names = [line.partition("[")[2].partition("(")[0] for line in left if line and not line.startswith("#")]
    page = (docs / "standard.md").read_text()
    assert f"has the {len(names)} tests by name" in page
    assert [name for name in names if f"`{name}`" not in page] == []
