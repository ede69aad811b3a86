"""What marks an optimizer's update as a formula: a function of arrays, an engine's own or tensors of any kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .types import Array, Group, State


class Formula:
    """An `update` that is a function `(param, grad, state, options, *, xp)` in the standard's words.

    So it can be computed on an engine's own arrays, for all parameters of a group in one call: compiled, or by a kernel
    that the backend has under the name "optim." and the function's. That takes lists of parameters, gradients and
    states, and the options, and returns lists of parameters and states, in memory that nobody else holds. A backend
    whose arrays can be written into may have another, with "_in_place" after the name: of one parameter that nobody
    else holds, its gradient, its state, the options, and a dictionary in which to leave memory for the next parameter,
    it returns calls, tuples of a function and its arguments, and the state, or None. The calls, which can't fail, move
    parameter and state where they are.
    """

    def __init__(self, function: Callable[..., tuple[Array, State]]) -> None:
        self.function, self.kernel, self.__doc__ = function, f"optim.{function.__name__}", function.__doc__

    def __call__(self, param: Array, grad: Array, state: State, options: Group) -> tuple[Array, State]:
        """Return the parameter and its state after one step, as tensors."""
        return self.function(param, grad, state, options, xp=param.__array_namespace__())


def average(last: Array | None, grad: Array, keep: float) -> Array:
    """Return `keep` * last + (1 - keep) * grad, in the form that is exact for `keep` near 0 or near 1."""
    if last is None:
        return grad * (1 - keep)
    return last + (grad - last) * (1 - keep) if keep > 0.5 else grad - (grad - last) * keep


def square_average(last: Array | None, grad: Array, keep: float) -> Array:
    """Return `keep` * last + (1 - keep) * grad**2."""
    new = grad * (1 - keep) * grad
    return new if last is None else last * keep + new


def number(x: Any, like: Array, xp: Any) -> Any:
    """Return a Python number as it is, and one in an array with the dtype of `like`, which it must not decide."""
    return xp.astype(x, like.dtype, copy=False) if hasattr(x, "dtype") else x


def unbiased(keep: float, step: Any, like: Array, xp: Any) -> Any:
    """Return 1 - keep**step, the share that gradients have in an average that started from 0.

    Of a step count that a compiler traces without the difference, of which single precision would lose half the digits.
    """
    if isinstance(step, int) or not keep:
        return 1 - keep**step if keep else 1.0
    return number(-xp.expm1(step * math.log(keep)), like, xp)
