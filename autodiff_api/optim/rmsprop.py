"""RMSprop (Hinton, lecture 6e of 2012; centred: Graves 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .formulas import Formula, average, number, square_average
from .optimizer import Optimizer, refuse_negative
from .types import Array, Group, Params, State


def rmsprop(param: Array, grad: Array, state: State, options: Group, *, xp: Any) -> tuple[Array, State]:
    """Return the parameter and its state after one step."""
    lr, alpha, momentum = number(options["lr"], param, xp), options["alpha"], options["momentum"]
    if options["maximize"]:
        grad = -grad
    if options["weight_decay"] != 0:
        grad = grad + param * options["weight_decay"]
    square = square_average(state.get("square_avg"), grad, alpha)
    new = {"step": state.get("step", 0) + 1, "square_avg": square}
    if options["centered"]:
        mean = new["grad_avg"] = average(state.get("grad_avg"), grad, alpha)
        square = square - mean * mean
    root = xp.sqrt(square) + options["eps"]
    if momentum == 0:
        return param - grad * lr / root, new
    last = state.get("momentum_buffer")
    buffer = new["momentum_buffer"] = grad / root if last is None else last * momentum + grad / root
    return param - buffer * lr, new


class RMSprop(Optimizer):
    """Step along the gradient over the root of its running square.

    `centered` takes the running mean squared off the running square; `momentum` steps along the running sum
    of the quotients. Raises `ArgumentError` for a negative option.

    >>> import autodiff_api as ad
    >>> p = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = RMSprop([p], lr=0.01)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.9, 1.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `ArgumentError` for an option that makes no sense."""
        refuse_negative(
            self._name,
            options,
            lr="learning rate",
            eps="epsilon value",
            momentum="momentum value",
            weight_decay="weight_decay value",
            alpha="alpha value",
        )

    update = Formula(rmsprop)
