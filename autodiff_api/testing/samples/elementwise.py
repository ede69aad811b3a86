"""Samples of element-wise functions: where they are smooth, where they have kinks, in every shape and layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from .sample import Array, Draw, Maker, Sample, strided, transposed

Place: TypeAlias = "Callable[..., Array]"  # (draw, *shape) -> numbers where a function is smooth


def within(low: float, high: float) -> Place:
    """Choose numbers between two bounds."""
    return lambda draw, *shape: draw.between(low, high, *shape)


def either_sign(low: float, high: float) -> Place:
    """Choose numbers of either sign whose size is between two bounds."""
    return lambda draw, *shape: np.asarray(draw.between(low, high, *shape) * draw.rng.choice([-1.0, 1.0], size=shape))


def off_integers(draw: Draw, *shape: int) -> Array:
    return draw.off_integers(*shape)


def quadrants(draw: Draw, *shape: int) -> Array:
    return draw.off_axes(*shape)


def integers(draw: Draw, *shape: int) -> Array:
    return draw.integers(1, 5, *shape)


def booleans(draw: Draw, *shape: int) -> Array:
    return np.asarray(draw.integers(0, 2, *shape) > 0)


def unary(
    place: Place,
    complex: bool = True,
    kinks: Sequence[float] = (),
    integer: bool = False,
    points: Sequence[float | complex] = (),
) -> Maker:
    """Make the samples of a function of one array.

    `kinks` are points where it has a one-sided or conventional, finite derivative; `points` where only the value
    is of interest; `integer` says that it takes integers.
    """

    def make(draw: Draw) -> Iterator[Sample]:
        yield Sample((place(draw, 2, 3),))
        yield Sample((place(draw),), name="0-d")
        yield Sample((place(draw, 0, 3),), name="zero size")
        yield Sample((transposed(place(draw, 2, 3)),), name="by columns")
        yield Sample((strided(place(draw, 2, 3)),), name="with gaps")
        if complex:
            yield Sample((quadrants(draw, 2, 3),), name="complex")
            yield Sample((transposed(quadrants(draw, 2, 3)),), name="complex, by columns")
        if kinks:
            yield Sample((np.resize(np.asarray(kinks, dtype=float), (2, 3)),), name="kinks", order=0)
        if points:
            yield Sample((np.resize(np.asarray(points), (2, 3)),), name="points", order=None)
        if integer:
            yield Sample((integers(draw, 2, 3),), name="integers", order=None)

    return make


def binary(
    one: Place,
    two: Place | None = None,
    complex: bool = True,
    kinks: Sequence[tuple[float, float]] = (),
    integer: bool = False,
    scalars: tuple[float, float] = (0.75, 1.5),
) -> Maker:
    """Make the samples of a function of two arrays; `scalars` are what stands for each as a Python number."""
    other = two or one

    def make(draw: Draw) -> Iterator[Sample]:
        yield Sample((one(draw, 2, 3), other(draw, 2, 3)))
        yield Sample((one(draw, 2, 1), other(draw, 3)), name="broadcast")
        yield Sample((one(draw, 3), other(draw, 2, 1)), name="broadcast the other way")
        yield Sample((one(draw), other(draw, 2, 3)), name="0-d")
        yield Sample((one(draw, 2, 3), scalars[1]), name="number on the right")
        yield Sample((scalars[0], other(draw, 2, 3)), name="number on the left")
        yield Sample((one(draw, 0, 3), other(draw, 3)), name="zero size")
        yield Sample((transposed(one(draw, 2, 3)), strided(other(draw, 2, 3))), name="strided")
        yield Sample((one(draw, 2, 3).astype("float32"), other(draw, 3)), name="mixed precision", order=0, loss=1e6)
        if complex:
            yield Sample((quadrants(draw, 2, 3), quadrants(draw, 3)), name="complex")
            yield Sample((quadrants(draw, 2, 3), other(draw, 2, 3)), name="complex and real")
            yield Sample((one(draw, 3), quadrants(draw, 2, 3)), name="real and complex")
            yield Sample((quadrants(draw, 2, 3), scalars[1]), name="complex and number")
            yield Sample((scalars[0] + 0.5j, quadrants(draw, 2, 3)), name="complex number and complex")
        if kinks:
            points = np.asarray(kinks, dtype=float)
            yield Sample(tuple(np.resize(points[:, i], (2, 3)) for i in (0, 1)), name="kinks", order=0)
        if integer:
            yield Sample((integers(draw, 2, 3), integers(draw, 3)), name="integers", order=None)

    return make


def constant(place: Place, *places: Place, numbers: bool = False) -> Maker:
    """Make the samples of a function without a gradient; `numbers` says that it takes floating-point ones too."""

    def make(draw: Draw) -> Iterator[Sample]:
        chosen = (place, *places)
        yield Sample(tuple(p(draw, 2, 3) for p in chosen))
        yield Sample(tuple(p(draw) for p in chosen), name="0-d")
        yield Sample(tuple(p(draw, 0, 3) for p in chosen), name="zero size")
        if len(chosen) == 2:
            yield Sample((chosen[0](draw, 2, 1), chosen[1](draw, 3)), name="broadcast")
        if numbers:
            delicate = np.asarray([[0.0, -0.0, 1.0], [-np.inf, np.inf, np.nan]])
            yield Sample((delicate,) * len(chosen), name="delicate")

    return make


def clip(draw: Draw) -> Iterator[Sample]:
    x = np.asarray([[-2.1, -0.5, 0.4], [0.9, 1.4, 2.3]])
    low, high = np.asarray([-1.0, -0.2, 0.1]), np.asarray([[1.0], [2.0]])
    yield Sample((x, -1.0, 1.0))
    yield Sample((x, low, high), name="array bounds")
    yield Sample((x,), {"min": low}, name="min by keyword")
    yield Sample((x,), {"max": high}, name="max by keyword")
    yield Sample((x, None, 1.0), name="no lower bound")
    yield Sample((x,), name="no bounds")
    yield Sample((x[:0], low, 1.0), name="zero size")
    yield Sample((transposed(x), -1.0, np.asarray(1.1)), name="by columns")
    yield Sample((np.asarray(2.5), -1.0, 1.0), name="0-d")
    yield Sample((np.asarray([-1.0, 1.0, 0.0]), -1.0, 1.0), name="kinks", order=0)
    yield Sample((np.asarray([1, 5, 9]), 2, 6), name="integers", order=None)


def complex_(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.normal(2, 3), draw.normal(2, 3)))
    yield Sample((draw.normal(2, 1), draw.normal(3)), name="broadcast")
    yield Sample((draw.normal(), draw.normal()), name="0-d")
    yield Sample((draw.normal(0, 3), draw.normal(0, 3)), name="zero size")
    yield Sample((transposed(draw.normal(2, 3)), strided(draw.normal(2, 3))), name="strided")


def pow_(draw: Draw) -> Iterator[Sample]:
    yield from binary(within(0.3, 2.0), either_sign(0.3, 2.0), integer=True, scalars=(0.75, -1.5))(draw)
    x = either_sign(0.3, 2.0)(draw, 2, 3)
    yield Sample((x, 2.0), name="square")
    yield Sample((x, 3), name="cube, integer number")
    yield Sample((x, 1.0), name="first power")
    yield Sample((x, 0.0), name="zeroth power")
    yield Sample((draw.off_axes(2, 3), -2), name="complex, negative power")
    yield Sample((np.asarray([0.0, 0.0, 0.0]), np.asarray([1.0, 2.0, 3.0])), name="kinks: powers of 0", order=0)


def remainder_pairs(draw: Draw, *shape: int) -> Array:
    """Choose numbers whose quotient by 1.4 to 1.6 is not near an integer."""
    return np.asarray((draw.rng.integers(-3, 3, size=shape) + draw.between(0.4, 0.6, *shape)) * 1.5)


REAL = {"complex": False}
ANYWHERE = either_sign(0.3, 2.0)
LEFT_OF_ONE = either_sign(0.05, 0.85)
BITS: dict[str, Any] = {"one": integers, "two": integers}

MAKERS: dict[str, Maker] = {
    "abs": unary(ANYWHERE, kinks=[0.0, -0.0, 1.0], integer=True),
    "acos": unary(LEFT_OF_ONE, points=[-1.0, 1.0, 2j]),
    "acosh": unary(within(1.2, 3.0), points=[1.0, 5.0]),
    "add": binary(ANYWHERE, integer=True),
    "asin": unary(LEFT_OF_ONE, points=[-1.0, 1.0]),
    "asinh": unary(ANYWHERE, kinks=[0.0]),
    "atan": unary(ANYWHERE, kinks=[0.0]),
    "atan2": binary(ANYWHERE, complex=False, kinks=[(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)]),
    "atanh": unary(LEFT_OF_ONE, kinks=[0.0]),
    "bitwise_and": constant(integers, integers),
    "bitwise_invert": constant(integers),
    "bitwise_left_shift": constant(integers, integers),
    "bitwise_or": constant(integers, integers),
    "bitwise_right_shift": constant(integers, integers),
    "bitwise_xor": constant(integers, integers),
    "ceil": unary(off_integers, complex=False, kinks=[0.0, 1.0], integer=True),
    "clip": clip,
    "complex": complex_,
    "conj": unary(ANYWHERE),
    "copysign": binary(ANYWHERE, complex=False, kinks=[(0.0, 1.0), (0.0, -1.0)]),
    "cos": unary(ANYWHERE),
    "cosh": unary(ANYWHERE),
    "divide": binary(ANYWHERE),
    "equal": constant(integers, integers, numbers=True),
    "exp": unary(ANYWHERE),
    "expm1": unary(ANYWHERE, kinks=[0.0]),
    "floor": unary(off_integers, complex=False, kinks=[0.0, 1.0], integer=True),
    "floor_divide": binary(
        remainder_pairs, within(1.4, 1.6), complex=False, integer=True, scalars=(0.75, 1.5)
    ),
    "greater": constant(integers, integers, numbers=True),
    "greater_equal": constant(integers, integers, numbers=True),
    "hypot": binary(ANYWHERE, complex=False, kinks=[(0.0, 0.0), (0.0, 2.0)]),
    "imag": unary(quadrants, complex=False),
    "isfinite": constant(ANYWHERE, numbers=True),
    "isinf": constant(ANYWHERE, numbers=True),
    "isnan": constant(ANYWHERE, numbers=True),
    "less": constant(integers, integers, numbers=True),
    "less_equal": constant(integers, integers, numbers=True),
    "log": unary(within(0.2, 3.0), points=[0.0, 1.0]),
    "log10": unary(within(0.2, 3.0), points=[0.0, 1.0]),
    "log1p": unary(within(-0.8, 3.0), kinks=[0.0]),
    "log2": unary(within(0.2, 3.0), points=[0.0, 1.0]),
    "logaddexp": binary(ANYWHERE, complex=False, kinks=[(0.0, -np.inf), (1000.0, 0.0), (np.inf, 0.0)]),
    "logical_and": constant(booleans, booleans),
    "logical_not": constant(booleans),
    "logical_or": constant(booleans, booleans),
    "logical_xor": constant(booleans, booleans),
    "maximum": binary(within(-1.0, 0.0), ANYWHERE, complex=False, kinks=[(2.0, 2.0), (0.0, -0.0)], integer=True),
    "minimum": binary(within(-1.0, 0.0), ANYWHERE, complex=False, kinks=[(2.0, 2.0), (0.0, -0.0)], integer=True),
    "multiply": binary(ANYWHERE, integer=True, kinks=[(0.0, 0.0), (0.0, 3.0)]),
    "negative": unary(ANYWHERE, integer=True),
    "nextafter": binary(ANYWHERE, complex=False),
    "not_equal": constant(integers, integers, numbers=True),
    "positive": unary(ANYWHERE, integer=True),
    "pow": pow_,
    "real": unary(ANYWHERE),
    "reciprocal": unary(ANYWHERE),
    "remainder": binary(
        remainder_pairs, within(1.4, 1.6), complex=False, kinks=[(5.0, 3.0), (6.0, 3.0)], integer=True,
        scalars=(0.75, 1.5),
    ),
    "round": unary(off_integers, complex=False, kinks=[0.0, 0.5], integer=True),
    "sign": unary(ANYWHERE, kinks=[0.0], integer=True),
    "signbit": constant(ANYWHERE, numbers=True),
    "sin": unary(ANYWHERE, kinks=[0.0]),
    "sinh": unary(ANYWHERE, kinks=[0.0]),
    "sqrt": unary(within(0.2, 3.0), points=[0.0, 4.0, np.inf]),
    "square": unary(ANYWHERE, kinks=[0.0], integer=True),
    "subtract": binary(ANYWHERE, integer=True),
    "tan": unary(either_sign(0.2, 1.3), kinks=[0.0]),
    "tanh": unary(ANYWHERE, kinks=[0.0, 1000.0, -1000.0]),
    "trunc": unary(off_integers, complex=False, kinks=[0.0, 1.0], integer=True),
}  # fmt: skip
