"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodiff_api.errors import ArgumentError

from .formulas import Formula, number
from .optimizer import Optimizer, refuse_negative
from .types import Array, Group, Params, State


def sgd(param: Array, grad: Array, state: State, options: Group, *, xp: Any) -> tuple[Array, State]:
    """Return the parameter and its state after one step."""
    lr, momentum = number(options["lr"], param, xp), options["momentum"]
    if options["maximize"]:
        grad = -grad
    if options["weight_decay"] != 0:
        grad = grad + param * options["weight_decay"]
    if momentum != 0:
        last = state.get("momentum_buffer")
        buffer = xp.asarray(grad, copy=True) if last is None else last * momentum + grad * (1 - options["dampening"])
        state = {"momentum_buffer": buffer}
        grad = grad + buffer * momentum if options["nesterov"] else buffer
    return param - grad * lr, state


class SGD(Optimizer):
    """Step along the gradient, or along its running sum with `momentum`; PyTorch's variant of it.

    With g the gradient plus `weight_decay` times the parameter (and minus the gradient to `maximize`):
    b = momentum * b + (1 - dampening) * g, at first b = g; then p -= lr * b, or lr * (g + momentum * b) if
    `nesterov`. Raises `ArgumentError` for a negative option, and for `nesterov` without momentum or with
    dampening.

    >>> import autodiff_api as ad
    >>> p = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `ArgumentError` for an option that makes no sense."""
        refuse_negative(
            self._name,
            options,
            lr="learning rate",
            momentum="momentum value",
            weight_decay="weight_decay value",
        )
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ArgumentError(
                "Nesterov momentum requires a momentum and zero dampening, but got "
                f"momentum={options['momentum']} and dampening={options['dampening']} in {self._name}()."
            )

    update = Formula(sgd)
