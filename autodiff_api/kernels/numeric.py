"""What the kernels of special functions share: operands, polynomials, sines of multiples of pi."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ArgumentTypeError
from .arrays import device_of

Kernel = Callable[..., Any]


def real(function: Kernel, arrays: int = 1, complex_too: bool = False) -> Kernel:
    """Return a kernel that gives `function` its first arguments as arrays of one floating dtype.

    Integers and booleans become the namespace's default floating dtype, Python scalars (and None, which stays) take
    the dtype of the others, complex numbers are refused unless it takes them too. Half precision is computed in
    float32: the coefficients of a rational function span more than its range.
    """

    @functools.wraps(function)
    def kernel(*args: Any, xp: Any, **kwargs: Any) -> Any:
        operands = promote(args[:arrays], xp, complex_too)
        dtype = next(x.dtype for x in operands if x is not None)
        if xp.isdtype(dtype, "complex floating") or xp.finfo(dtype).bits >= 32:
            return function(*operands, *args[arrays:], xp=xp, **kwargs)
        operands = [None if x is None else xp.astype(x, xp.float32) for x in operands]
        return xp.astype(function(*operands, *args[arrays:], xp=xp, **kwargs), dtype)

    return kernel


def promote(operands: Sequence[Any], xp: Any, complex_too: bool = False) -> list[Any]:
    """Return arrays and Python scalars as arrays of one floating dtype; ArgumentTypeError for unwanted complex ones."""
    known = [x for x in operands if hasattr(x, "dtype")]
    imaginary = [x for x in operands if isinstance(x, complex)]
    imaginary += [x for x in known if xp.isdtype(x.dtype, "complex floating")]
    if imaginary and not complex_too:
        raise ArgumentTypeError("this special function is for real numbers; take real and imaginary parts apart")
    floats = [x for x in known if xp.isdtype(x.dtype, ("real floating", "complex floating"))]
    dtype = xp.result_type(*floats) if floats else xp.asarray(0.0).dtype

    def convert(x: Any) -> Any:
        if hasattr(x, "dtype"):
            return xp.astype(x, dtype, copy=False)
        return xp.asarray(x, dtype=dtype, device=device_of(known[0])) if known else xp.asarray(x, dtype=dtype)

    return [None if x is None else convert(x) for x in operands]


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Return the polynomial with these coefficients, lowest power first, at `x` (Horner's rule)."""
    total = coefficients[-1] * x + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        total = total * x + coefficient
    return total


def from_nearest_integer(x: Any, xp: Any) -> Any:
    """Return x - round(x), exactly; 0 for an infinite `x`."""
    finite = xp.where(xp.isinf(x), xp.zeros_like(x), x)
    return finite - xp.round(finite)


def sin_pi(x: Any, xp: Any) -> Any:
    """Return sin(pi x), exactly 0 at the integers."""
    finite = xp.where(xp.isinf(x), xp.zeros_like(x), x)
    half = finite / 2
    turn = 2 * (half - xp.round(half))  # from -1 to 1, exact
    near = xp.where(turn > 0.5, 1 - turn, xp.where(turn < -0.5, -1 - turn, turn))
    return xp.sin(math.pi * near)
