"""Updates of optimizers: the formulas of `autodiff_api.optim` into memory of their own, few passes over it.

Blocks that stay in the cache don't pay, up to a million elements: what NumPy's calls cost outweighs it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

State = dict[str, Any]


def direction(param: Any, grad: Any, options: State) -> Any:
    """Return the gradient, with weight decay and to the wanted side, its rows in order as a parameter's are."""
    grad = np.asarray(grad, order="C")
    if options["maximize"]:
        grad = np.negative(grad)
    decay = options["weight_decay"]
    return grad if decay == 0 or options.get("decoupled_weight_decay") else grad + param * decay


def average(last: Any, grad: Any, keep: float) -> Any:
    """Return keep * last + (1 - keep) * grad, in the form that is exact for `keep` near 0 or near 1; None is 0."""
    if last is None:
        return np.multiply(grad, 1 - keep, out=np.empty_like(grad))
    out = np.subtract(grad, last, out=np.empty_like(grad))
    if keep > 0.5:
        np.multiply(out, 1 - keep, out)
        return np.add(last, out, out)
    np.multiply(out, keep, out)
    return np.subtract(grad, out, out)


def square_average(last: Any, grad: Any, keep: float, scratch: Any) -> Any:
    """Return keep * last + (1 - keep) * grad**2; None is 0."""
    np.multiply(grad, 1 - keep, scratch)
    if last is None:
        return np.multiply(scratch, grad, out=np.empty_like(grad))
    np.multiply(scratch, grad, scratch)
    out = np.multiply(last, keep, out=np.empty_like(grad))
    return np.add(out, scratch, out)


def sgd(params: list[Any], grads: list[Any], states: list[State], options: State) -> tuple[list[Any], list[State]]:
    """Return parameters and their state after a step of stochastic gradient descent."""
    lr = options["lr"]
    if options["momentum"] == options["weight_decay"] == options["maximize"] == 0:
        return [param - grad * lr for param, grad in zip(params, grads, strict=True)], states
    return each(one_by_sgd, params, grads, states, options)


def one_by_sgd(param: Any, grad: Any, state: State, options: State) -> tuple[Any, State]:
    """Return a parameter and its state after a step of stochastic gradient descent."""
    lr, momentum = options["lr"], options["momentum"]
    grad = direction(param, grad, options)
    if momentum == 0:
        return param - grad * lr, state
    last = state.get("momentum_buffer")
    if last is None:
        buffer = grad.copy()
    else:
        buffer = np.multiply(last, momentum, out=np.empty_like(grad))
        buffer += grad * (1 - options["dampening"]) if options["dampening"] else grad
    step = grad + buffer * momentum if options["nesterov"] else buffer
    return param - step * lr, {"momentum_buffer": buffer}


def one_by_adam(param: Any, grad: Any, state: State, options: State) -> tuple[Any, State]:
    """Return a parameter and its state after a step of Adam or AdamW.

    The root of the second average is not divided by its bias: what it is added to and divided by are multiplied.
    """
    lr, (beta1, beta2) = options["lr"], options["betas"]
    grad, step, out = direction(param, grad, options), state.get("step", 0) + 1, np.empty_like(param, order="C")
    mean = average(state.get("exp_avg"), grad, beta1)
    square = square_average(state.get("exp_avg_sq"), grad, beta2, out)
    new = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
    if options["amsgrad"]:
        largest = state.get("max_exp_avg_sq")
        square = new["max_exp_avg_sq"] = square.copy() if largest is None else np.maximum(largest, square)
    bias = (1 - beta2**step) ** 0.5
    np.sqrt(square, out)
    np.add(out, options["eps"] * bias, out)
    np.divide(mean, out, out)
    np.multiply(out, lr * bias / (1 - beta1**step), out)
    if options["weight_decay"] != 0 and options["decoupled_weight_decay"]:
        param = param * (1 - lr * options["weight_decay"])
    return np.subtract(param, out, out), new


def one_by_rmsprop(param: Any, grad: Any, state: State, options: State) -> tuple[Any, State]:
    """Return a parameter and its state after a step of RMSprop."""
    lr, alpha, momentum = options["lr"], options["alpha"], options["momentum"]
    grad, out = direction(param, grad, options), np.empty_like(param, order="C")
    square = square_average(state.get("square_avg"), grad, alpha, out)
    new = {"step": state.get("step", 0) + 1, "square_avg": square}
    if options["centered"]:
        mean = new["grad_avg"] = average(state.get("grad_avg"), grad, alpha)
        np.multiply(mean, mean, out)
        square = np.subtract(square, out, out)
    np.sqrt(square, out)
    np.add(out, options["eps"], out)
    np.divide(grad, out, out)
    if momentum != 0:
        last = state.get("momentum_buffer")
        buffer = new["momentum_buffer"] = np.empty_like(out)
        if last is None:
            buffer[...] = out
        else:
            np.multiply(last, momentum, buffer)
            np.add(buffer, out, buffer)
        out = np.multiply(buffer, lr, out)
    else:
        np.multiply(out, lr, out)
    return np.subtract(param, out, out), new


def each(
    update: Callable[..., tuple[Any, State]],
    params: list[Any],
    grads: list[Any],
    states: list[State],
    options: State,
) -> tuple[list[Any], list[State]]:
    """Return parameters and their state after an update of one after the other."""
    moved = [update(*one, options) for one in zip(params, grads, states, strict=True)]
    return [value for value, _ in moved], [state for _, state in moved]


KERNELS: dict[str, Callable[..., Any]] = {
    "optim.adam": partial(each, one_by_adam),
    "optim.rmsprop": partial(each, one_by_rmsprop),
    "optim.sgd": sgd,
}
