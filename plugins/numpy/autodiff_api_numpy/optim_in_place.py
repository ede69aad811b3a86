"""Updates of optimizers where the parameter is: the formulas of `autodiff_api.optim` as calls that can't fail.

They get numbers of the dtype, arrays of one shape, and room. Large arrays go block by block: what one call leaves is in
the cache for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

State = dict[str, Any]
Call = tuple[Any, ...]  # a function and its arguments, the last of which it computes into
Rule = Callable[..., Iterator[Call]]  # of blocks: the parameter, gradient and state, options, numbers, and two to use

BLOCK = 1 << 17


def direction(param: Any, grad: Any, options: State, n: Any, room: Any) -> Iterator[Call]:
    """Put the gradient, with weight decay and to the wanted side, into `room`, unless it is `grad` itself."""
    decay = 0 if options.get("decoupled_weight_decay") else options["weight_decay"]
    if decay:
        yield np.multiply, param, n(decay), room
        yield (np.subtract, room, grad, room) if options["maximize"] else (np.add, room, grad, room)
    elif options["maximize"]:
        yield np.negative, grad, room


def is_moved(options: State) -> bool:
    """Tell whether `direction` is another than the gradient's."""
    return bool(options["maximize"] or (options["weight_decay"] and not options.get("decoupled_weight_decay")))


def average(last: Any, grad: Any, keep: float, first: bool, n: Any, room: Any) -> Iterator[Call]:
    """Make keep * last + (1 - keep) * grad of `last`, in the form that is exact for `keep` near 0 or near 1."""
    if first:
        yield np.multiply, grad, n(1 - keep), last
        return
    yield np.subtract, grad, last, room
    yield np.multiply, room, n(1 - keep if keep > 0.5 else keep), room
    yield (np.add, last, room, last) if keep > 0.5 else (np.subtract, grad, room, last)


def square_average(last: Any, grad: Any, keep: float, first: bool, n: Any, room: Any) -> Iterator[Call]:
    """Make keep * last + (1 - keep) * grad**2 of `last`."""
    yield np.multiply, grad, n(1 - keep), room
    if first:
        yield np.multiply, room, grad, last
        return
    yield np.multiply, room, grad, room
    yield np.multiply, last, n(keep), last
    yield np.add, last, room, last


def sgd(param: Any, grad: Any, state: State, fresh: Any, options: State, n: Any, a: Any, b: Any) -> Iterator[Call]:
    """Step by stochastic gradient descent."""
    yield from direction(param, grad, options, n, a)
    grad = a if is_moved(options) else grad
    if options["momentum"]:
        buffer = state["momentum_buffer"]
        if "momentum_buffer" in fresh:
            yield np.positive, grad, buffer
        else:
            yield np.multiply, buffer, n(options["momentum"]), buffer
            if options["dampening"]:
                yield np.multiply, grad, n(1 - options["dampening"]), b
            yield np.add, buffer, b if options["dampening"] else grad, buffer
        if options["nesterov"]:
            yield np.multiply, buffer, n(options["momentum"]), b
            yield np.add, grad, b, b
        grad = b if options["nesterov"] else buffer
    yield np.multiply, grad, n(options["lr"]), b
    yield np.subtract, param, b, param


def adam(param: Any, grad: Any, state: State, fresh: Any, options: State, n: Any, a: Any, b: Any) -> Iterator[Call]:
    """Step by Adam or AdamW.

    The root of the second average is not divided by its bias: what it is added to and divided by are multiplied.
    """
    lr, (beta1, beta2), step = options["lr"], options["betas"], state["step"]
    yield from direction(param, grad, options, n, a)
    grad = a if is_moved(options) else grad
    yield from average(state["exp_avg"], grad, beta1, "exp_avg" in fresh, n, b)
    yield from square_average(state["exp_avg_sq"], grad, beta2, "exp_avg_sq" in fresh, n, b)
    square = state["exp_avg_sq"]
    if options["amsgrad"]:
        largest = state["max_exp_avg_sq"]
        is_new = "max_exp_avg_sq" in fresh  # and maximum warns of an `out` without its name
        yield (np.positive, square, largest) if is_new else (partial(np.maximum, largest, square, out=largest),)
        square = largest
    bias = (1 - beta2**step) ** 0.5
    yield np.sqrt, square, b
    yield np.add, b, n(options["eps"] * bias), b
    yield np.divide, state["exp_avg"], b, b
    yield np.multiply, b, n(lr * bias / (1 - beta1**step)), b
    if options["weight_decay"] and options["decoupled_weight_decay"]:
        yield np.multiply, param, n(1 - lr * options["weight_decay"]), param
    yield np.subtract, param, b, param


def rmsprop(param: Any, grad: Any, state: State, fresh: Any, options: State, n: Any, a: Any, b: Any) -> Iterator[Call]:
    """Step by RMSprop."""
    alpha, square = options["alpha"], state["square_avg"]
    yield from direction(param, grad, options, n, a)
    grad = a if is_moved(options) else grad
    yield from square_average(square, grad, alpha, "square_avg" in fresh, n, b)
    if options["centered"]:
        yield from average(state["grad_avg"], grad, alpha, "grad_avg" in fresh, n, b)
        yield np.multiply, state["grad_avg"], state["grad_avg"], b
        yield np.subtract, square, b, b
    yield np.sqrt, b if options["centered"] else square, b
    yield np.add, b, n(options["eps"]), b
    yield np.divide, grad, b, b
    if options["momentum"]:
        buffer = state["momentum_buffer"]
        if "momentum_buffer" in fresh:
            yield np.positive, b, buffer
        else:
            yield np.multiply, buffer, n(options["momentum"]), buffer
            yield np.add, buffer, b, buffer
    yield np.multiply, buffer if options["momentum"] else b, n(options["lr"]), b
    yield np.subtract, param, b, param


# What each keeps, in the formula's order, with the option that asks for it, if one does.
KEPT: dict[Rule, dict[str, str | None]] = {
    adam: {"exp_avg": None, "exp_avg_sq": None, "max_exp_avg_sq": "amsgrad"},
    rmsprop: {"square_avg": None, "grad_avg": "centered", "momentum_buffer": "momentum"},
    sgd: {"momentum_buffer": "momentum"},
}


def in_place(
    rule: Rule, param: Any, grad: Any, state: State, options: State, room: dict[Any, Any]
) -> tuple[list[Call], State] | None:
    """Return calls that move a parameter and its state where they are, and the state that is there then.

    Nothing is computed yet but room made. None for what can't be written into, or could fail.
    """
    arrays = [param, *(array for key, array in state.items() if key != "step")]
    if param.dtype.char not in "fd" or grad.dtype != param.dtype:
        return None
    for array in arrays:
        flags = array.flags
        if not (flags.owndata and flags.writeable and flags.c_contiguous) or array.dtype != param.dtype:
            return None
    kept = [key for key, option in KEPT[rule].items() if option is None or options[option]]
    fresh = {key for key in kept if key not in state}
    new: State = {key: np.empty_like(param) if key in fresh else state[key] for key in kept}
    step = {} if rule is sgd else {"step": state.get("step", 0) + 1}
    if param.dtype not in room:
        room[param.dtype] = np.empty((2, BLOCK), dtype=param.dtype)
    a, b = room[param.dtype]
    flat = [array.reshape(-1) for array in (param, np.asarray(grad, order="C"), *new.values())]
    calls: list[Call] = []
    for start in range(0, param.size, BLOCK):
        p, g, *parts = [array[start : start + BLOCK] for array in flat]
        blocks = dict(zip(new, parts, strict=True)) | step
        calls += rule(p, g, blocks, fresh, options, param.dtype.type, a[: p.size], b[: p.size])
    return calls, step | new if kept else state


KERNELS: dict[str, Callable[..., Any]] = {
    "optim.adam_in_place": partial(in_place, adam),
    "optim.rmsprop_in_place": partial(in_place, rmsprop),
    "optim.sgd_in_place": partial(in_place, sgd),
}
