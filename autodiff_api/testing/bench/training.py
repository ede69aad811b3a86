"""A step of training, as the users of each library write it: scores, cross-entropy, backward, gradient descent.

A network is written once, `forward(F, p, x)`: F has the functions of `torch.nn.functional`, p the parameters as
attributes. Ours and PyTorch's steps are the same lines; JAX and HIPS autograd get functions of trees of parameters, and
F from `vocabulary`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import autodiff_api as ad

from .gradients import ready, torch
from .rows import (
    COMPILED,
    COMPILED_JAX,
    EAGER,
    EAGER_JAX,
    HIPS,
    JAX,
    JIT,
    NUMPY,
    PURE,
    PURE_JAX,
    TORCH,
    Contender,
    Maker,
)
from .vocabulary import JaxWords, Words

Forward = Callable[[Any, Any, Any], Any]
RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class Task:
    """A network and what it learns. `looped` is the same function for compilers that have loops of their own."""

    parameters: Mapping[str, np.ndarray]
    x: np.ndarray
    labels: np.ndarray
    forward: Forward
    looped: Forward | None = None
    by_hand: Callable[[Task], Contender] | None = None


def step(task: Task) -> dict[str, Maker]:
    """Return who makes a step of training; each returns the loss before it and the parameters after it."""
    makers: dict[str, Maker] = {
        EAGER: lambda: ours("numpy", task),
        COMPILED: lambda: ours("numpy", task, compiled=True),
        PURE: lambda: pure("numpy", task),
        EAGER_JAX: lambda: ready(raw(ours("jax", task))),
        COMPILED_JAX: lambda: ready(raw(ours("jax", task, compiled=True))),
        PURE_JAX: lambda: ready(pure("jax", task)),
        TORCH: lambda: stateful(torch(), task, task.forward),
        HIPS: lambda: hips(task),
        JAX: lambda: ready(by_jax(task, task.forward, lambda step: step)),
        JIT: lambda: ready(by_jax(task, task.looped or task.forward, donating)),
    }
    if by_hand := task.by_hand:
        makers[NUMPY] = lambda: by_hand(task)
    return makers


def ours(backend: str, task: Task, compiled: bool = False) -> Contender:
    """Return our step, on a backend."""
    looped = task.looped if compiled and backend == "jax" else None
    with ad.use_backend(backend):
        return stateful(ad, task, looped or task.forward, compiled)


def raw(run: Contender) -> Contender:
    """Return a contender that gives the arrays in its tensors, as a loop that waits for the engine would."""

    def once() -> Any:
        loss, parameters = run()
        return loss._value, [parameter._value for parameter in parameters]

    return once


def network(library: Any, task: Task, forward: Forward) -> Any:
    """Return the network as a module of our library or of PyTorch."""

    class Network(library.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for name, array in task.parameters.items():
                setattr(self, name, library.nn.Parameter(library.tensor(array)))

        def forward(self, x: Any) -> Any:
            return forward(library.nn.functional, self, x)

    return Network()


def stateful(library: Any, task: Task, forward: Forward, compiled: bool = False) -> Contender:
    """Return the step of a module and an optimizer: ours or PyTorch's, which are written alike."""
    model = network(library, task, forward)
    optimizer = library.optim.SGD(model.parameters(), lr=RATE)
    cross_entropy = library.nn.functional.cross_entropy

    def step(x: Any, labels: Any) -> Any:
        loss = cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    x, labels = library.tensor(task.x), library.tensor(task.labels)
    run = library.compile(step, state=(model, optimizer)) if compiled else step
    parameters = [getattr(model, name) for name in task.parameters]
    return lambda: (run(x, labels), parameters)


def pure(backend: str, task: Task) -> Contender:
    """Return our compiled step as a function of the parameters; arrays in, arrays out."""
    F, xp = ad.nn.functional, ad.namespace(backend)
    forward = task.looped if task.looped and backend == "jax" else task.forward
    step = functional(forward, F, F.cross_entropy, ad.func.value_and_grad)
    state = {name: xp.asarray(array, copy=True)._value for name, array in task.parameters.items()}
    return looped(ad.compile(step), state, xp.asarray(task.x)._value, xp.asarray(task.labels)._value)


def donating(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return `jax.jit` of a step, which overwrites the parameters."""
    import jax

    compiled: Callable[..., Any] = jax.jit(step, donate_argnums=0)
    return compiled


def by_jax(task: Task, forward: Forward, wrap: Callable[[Any], Any]) -> Contender:
    """Return JAX's step, wrapped in `jax.jit` or not."""
    import jax

    words = JaxWords()
    step = functional(forward, words, words.cross_entropy, jax.value_and_grad)
    state = {name: jax.numpy.array(array) for name, array in task.parameters.items()}
    return looped(wrap(step), state, jax.numpy.asarray(task.x), jax.numpy.asarray(task.labels))


def functional(forward: Forward, F: Any, cross_entropy: Any, value_and_grad: Any) -> Callable[..., Any]:
    """Return the step as a function of the parameters, as users of JAX write it."""

    def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:
        return cross_entropy(forward(F, SimpleNamespace(**p), x), labels)

    def step(p: dict[str, Any], x: Any, labels: Any) -> Any:
        value, gradients = value_and_grad(loss)(p, x, labels)
        return value, {name: p[name] - RATE * gradients[name] for name in p}

    return step


def looped(run: Callable[..., Any], state: dict[str, Any], x: Any, labels: Any) -> Contender:
    """Return a contender that goes on from the parameters of the step before."""
    names = [*state]  # `jax.jit` sorts them

    def once() -> Any:
        nonlocal state
        value, state = run(state, x, labels)
        return value, [state[name] for name in names]

    return once


def hips(task: Task) -> Contender:
    """Return the step by HIPS autograd."""
    import autograd
    import autograd.numpy

    words = Words(autograd.numpy)

    def loss(p: list[Any]) -> Any:
        named = SimpleNamespace(**dict(zip(task.parameters, p, strict=True)))
        return words.cross_entropy(task.forward(words, named, task.x), task.labels)

    value_and_gradient = autograd.value_and_grad(loss)
    state = [array.copy() for array in task.parameters.values()]

    def once() -> Any:
        value, gradients = value_and_gradient(state)
        for p, gradient in zip(state, gradients, strict=True):
            p -= RATE * gradient
        return value, state

    return once
