"""NumPy's kernels of activations: many cheap passes over a block that stays in the cache, in memory of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_api.backends import Keeping
from autodiff_api.rules import OPS

from .special import KERNELS as SPECIAL

Step = Callable[..., None]  # (*blocks of the arguments, block of the result, scratch): fills the result
GENERIC: dict[str, Any] = {name: op.kernel for name, op in OPS.items()}
INTEGERS = {"e": np.int16, "f": np.int32, "d": np.int64}
BLOCK = 1 << 16
FEW = 512
ONE = np.ones((), dtype=np.int8)
ZEROS = {char: np.zeros((), dtype=char) for char in INTEGERS}  # a Python number takes NumPy 0.3 µs more

# Lowest power first. Of P(x²) where tanh(x P(x²)) = 2 ndtr(x) - 1, so that gelu is within 7e-8 for |x| <= 6, and the
# tanh is 1 beyond: the least greatest error, by iterated least squares. And PyTorch's approximation.
EXACTLY = (
    0.7978844926626044, 0.036333911306813405, -3.295472799709348e-05, -5.527795196351902e-05, 3.973114661637009e-06,
    -1.3364695988334378e-07, 1.809365365038172e-09,
)  # fmt: skip
ROOT = math.sqrt(2 / math.pi)
ROUGHLY = (ROOT, ROOT * 0.044715)


def blockwise(step: Step, *arrays: Any) -> Any:
    """Return what `step` makes of arrays of one shape and dtype, block by block where they are large."""
    out = np.empty(arrays[0].shape, dtype=arrays[0].dtype)
    with np.errstate(over="ignore"):  # of powers of x
        if out.size <= BLOCK:
            step(*arrays, out, np.empty_like(out))
            return out
        flat, whole, scratch = [a.reshape(-1) for a in arrays], out.reshape(-1), np.empty(BLOCK, dtype=out.dtype)
        for start in range(0, out.size, BLOCK):
            blocks = [a[start : start + BLOCK] for a in (*flat, whole)]
            step(*blocks, scratch[: blocks[0].size])
    return out


# --- relu ---


def relu(x: Any, /) -> Any:
    """Return the larger of x and 0.

    >>> relu(np.asarray([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(x, ZEROS.get(x.dtype.char, 0))


def relu_backward(x1: Any, x2: Any, /) -> Any:
    """Return x1 where not x2 <= 0, and 0 elsewhere: by a mask of bits, as a choice is mispredicted every other time.

    Of few elements it is made by choices all the same, in 1.1 µs instead of 3.

    >>> relu_backward(np.asarray([1.0, np.inf]), np.asarray([0.5, 0.0]))
    array([1., 0.])
    """
    kind = INTEGERS.get(x1.dtype.char)
    if kind is None or x1.shape != x2.shape or not x1.shape:
        return np.where(x2 <= 0, 0, x1)
    mask = np.less_equal(x2, ZEROS.get(x2.dtype.char, 0))
    if x1.size <= FEW:
        out = np.array(x1)
        np.putmask(out, mask, 0)
        return out
    mask = mask.view(np.int8)
    bits = np.subtract(mask, ONE, mask).astype(kind)  # all bits, or none
    return np.bitwise_and(bits, x1.view(kind), bits).view(x1.dtype)


# --- gelu ---


def odd_tanh(x: Any, out: Any, square: Any, coefficients: tuple[float, ...]) -> None:
    """Put tanh(x P(x²)) into `out`, and x² into `square`; an infinity on the way leaves 1, or -1."""
    np.multiply(x, x, out=square)
    np.multiply(square, coefficients[-1], out=out)
    for c in coefficients[-2:0:-1]:
        out += c
        out *= square
    out += coefficients[0]
    out *= x
    np.tanh(out, out=out)


def gelu_by(coefficients: tuple[float, ...]) -> Step:
    """Return the step that makes x (1 + tanh) / 2."""

    def step(x: Any, out: Any, scratch: Any) -> None:
        odd_tanh(x, out, scratch, coefficients)
        np.multiply(x, 0.5, out=scratch)
        out *= scratch
        out += scratch

    return step


def slope_by(coefficients: tuple[float, ...], slope: Step) -> Step:
    """Return the step that makes `grad` times the derivative."""

    def step(grad: Any, x: Any, out: Any, scratch: Any) -> None:
        odd_tanh(x, out, scratch, coefficients)
        slope(grad, x, out, scratch)

    return step


# In these `out` has the tanh, and `scratch` x².


def slope_exactly(grad: Any, x: Any, out: Any, scratch: Any) -> None:
    """Put `grad` times the distribution function plus x times the density into `out`."""
    out += 1
    out *= 0.5
    np.exp(np.multiply(scratch, -0.5, out=scratch), out=scratch)
    scratch *= x
    scratch *= 1 / math.sqrt(2 * math.pi)
    out += scratch
    out *= grad


def slope_roughly(grad: Any, x: Any, out: Any, scratch: Any) -> None:
    """Put `grad` times (1 + tanh + x (1 - tanh²) (x P(x²))') / 2 into `out`."""
    np.minimum(scratch, 100, out=scratch)  # where 1 - tanh is 0
    scratch *= 3 * ROUGHLY[1]
    scratch += ROUGHLY[0]
    out += 1
    steep = np.subtract(2, out)
    steep *= out  # 1 - tanh², before x, which may be too large for the rest
    scratch *= steep
    scratch *= x
    out += scratch
    out *= 0.5
    out *= grad


COEFFICIENTS = {"none": EXACTLY, "tanh": ROUGHLY}
SLOPES: dict[str, Step] = {"none": slope_exactly, "tanh": slope_roughly}


def is_quick(approximate: str, *arrays: Any) -> bool:
    """Tell whether arrays are of one shape and of a dtype that the steps are exact enough for."""
    x, chars = arrays[0], "fd" if approximate == "tanh" else "f"
    return all(a.dtype == x.dtype and a.shape == x.shape and x.dtype.char in chars for a in arrays)


def ndtr(x: Any) -> Any:
    """Return the normal distribution function, SciPy's where it is installed."""
    return SPECIAL["special.ndtr"](x) if "special.ndtr" in SPECIAL else GENERIC["special.ndtr"](x, xp=np)


def gelu(x: Any, /, approximate: str = "none") -> Any:
    """Return x times the normal distribution function, or PyTorch's approximation.

    >>> gelu(np.asarray([-1.0, 1.0], dtype=np.float32)).round(3)
    array([-0.159,  0.841], dtype=float32)
    """
    if is_quick(approximate, x):
        return blockwise(gelu_by(COEFFICIENTS[approximate]), x)
    return x * ndtr(x) if approximate == "none" else GENERIC["nn.gelu"](x, approximate, xp=np)


def gelu_backward(grad: Any, x: Any, /, approximate: str = "none") -> Any:
    """Return `grad` times the derivative of `gelu`.

    >>> gelu_backward(np.ones(1, dtype=np.float32), np.zeros(1, dtype=np.float32))
    array([0.5], dtype=float32)
    """
    if is_quick(approximate, grad, x):
        return blockwise(slope_by(COEFFICIENTS[approximate], SLOPES[approximate]), grad, x)
    if approximate != "none":
        return GENERIC["nn.gelu_backward"](grad, x, approximate, xp=np)
    return grad * (ndtr(x) + x * (np.exp(-x * x / 2) / math.sqrt(2 * math.pi)))


def gelu_keeping(x: Any, /, approximate: str = "none") -> tuple[Any, Any]:
    """Return what `gelu` does, and the tanh, unless that is large: memory is worth more than time then."""
    if x.size > BLOCK or not is_quick(approximate, x):
        return gelu(x, approximate), None
    tanh, out = np.empty(x.shape, dtype=x.dtype), np.empty(x.shape, dtype=x.dtype)
    with np.errstate(over="ignore"):
        odd_tanh(x, tanh, out, COEFFICIENTS[approximate])
    half = np.multiply(x, 0.5)
    np.multiply(tanh, half, out=out)
    out += half
    return out, tanh


def gelu_backward_kept(tanh: Any, grad: Any, x: Any, /, approximate: str = "none") -> Any:
    """Return what `gelu_backward` does, from the tanh."""
    if not is_quick(approximate, grad, x):
        return gelu_backward(grad, x, approximate)
    out = tanh.copy()
    with np.errstate(over="ignore"):
        SLOPES[approximate](grad, x, out, x * x)
    return out


KEEPING: dict[str, Keeping] = {
    "nn.gelu": Keeping(forward=gelu_keeping, backward_op="nn.gelu_backward", backward=gelu_backward_kept),
}
KERNELS: dict[str, Callable[..., Any]] = {
    "nn.gelu": gelu,
    "nn.gelu_backward": gelu_backward,
    "nn.relu": relu,
    "nn.relu_backward": relu_backward,
}
