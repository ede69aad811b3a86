"""Adam and AdamW (Kingma and Ba 2015; Reddi et al. 2018; Loshchilov and Hutter 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodiff_api.errors import ArgumentError

from .formulas import Formula, average, number, square_average, unbiased
from .optimizer import Optimizer, refuse_negative
from .types import Array, Group, Params, State


def adam(param: Array, grad: Array, state: State, options: Group, *, xp: Any) -> tuple[Array, State]:
    """Return the parameter and its state after one step."""
    lr, decay = number(options["lr"], param, xp), options["weight_decay"]
    beta1, beta2 = options["betas"]
    if options["maximize"]:
        grad = -grad
    if decay != 0 and options["decoupled_weight_decay"]:
        param = param * (1 - lr * decay)
    elif decay != 0:
        grad = grad + param * decay
    step = state.get("step", 0) + 1
    mean = average(state.get("exp_avg"), grad, beta1)
    square = square_average(state.get("exp_avg_sq"), grad, beta2)
    new = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
    if options["amsgrad"]:
        largest = state.get("max_exp_avg_sq")
        square = new["max_exp_avg_sq"] = square if largest is None else xp.maximum(largest, square)
    root = xp.sqrt(square) / unbiased(beta2, step, param, xp) ** 0.5 + options["eps"]
    return param - mean * (lr / unbiased(beta1, step, param, xp)) / root, new


class Adam(Optimizer):
    """Step along the gradient's running mean over the root of its running square, both without their bias.

    `amsgrad` divides by the largest running square so far. `weight_decay` adds to the gradient or, with
    `decoupled_weight_decay`, shrinks the parameter by itself, which is `AdamW`.
    Raises `ArgumentError` for a negative option, or `betas` outside [0, 1).

    >>> import autodiff_api as ad
    >>> p = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adam([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.5, 1.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `ArgumentError` for an option that makes no sense."""
        refuse_negative(self._name, options, lr="learning rate", eps="epsilon value", weight_decay="weight_decay value")
        for index, beta in enumerate(options["betas"]):
            if not 0 <= beta < 1:
                raise ArgumentError(
                    f"Invalid beta parameter at index {index}: {beta} in {self._name}(). Betas lie in [0, 1)."
                )

    update = Formula(adam)


class AdamW(Adam):
    """Adam with `weight_decay`, by default 0.01, apart from the gradient.

    Each step first scales the parameter by 1 - lr * weight_decay.

    >>> import autodiff_api as ad
    >>> p = ad.tensor([1.0, 3.0], requires_grad=True)
    >>> optimizer = AdamW([p], lr=0.5, weight_decay=0.05)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.475, 2.425], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
