"""Running averages of gradients, as Adam and RMSprop keep them; both start from 0."""

from __future__ import annotations

from .types import Array


def average(last: Array | None, grad: Array, keep: float) -> Array:
    """Return `keep` * last + (1 - keep) * grad, in the form that is exact for `keep` near 0 or near 1."""
    if last is None:
        return grad * (1 - keep)
    return last + (grad - last) * (1 - keep) if keep > 0.5 else grad - (grad - last) * keep


def square_average(last: Array | None, grad: Array, keep: float) -> Array:
    """Return `keep` * last + (1 - keep) * grad**2."""
    new = grad * (1 - keep) * grad
    return new if last is None else last * keep + new
