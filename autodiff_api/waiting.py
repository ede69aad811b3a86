"""Waiting until arrays are computed, on engines that compute later than they return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .arrays import Array
from .backends import backend_of, get_backend
from .nn import Module
from .optim import Optimizer
from .trees import flatten
from .values import engine_arrays


def synchronize(*objects: Any) -> None:
    """Wait until arrays are computed: those of tensors and their gradients, modules, optimizers, and trees of these.

    What a lazy backend has not begun to compute is computed here, all of it together, and stays where it was computed,
    on the workers of a cluster too; a loop that trains calls this once a step, or its graph of tasks grows. On engines
    that compute beside the program, such as JAX, it waits; on NumPy there is nothing to wait for.

    Raises what the computation raises.

    >>> import autodiff_api as ad
    >>> x = ad.ones(2, requires_grad=True)
    >>> x.sum().backward()
    >>> ad.synchronize(x, {"twice": 2 * x})
    """
    found: dict[str, dict[int, Any]] = {}
    for x in _arrays(objects):
        for raw in engine_arrays(x):
            backend = backend_of(raw)
            if backend is not None and backend.synchronize is not None:
                found.setdefault(backend.name, {})[id(raw)] = raw
    for name, arrays in found.items():
        wait = get_backend(name).synchronize
        assert wait is not None
        wait(list(arrays.values()))


def _arrays(tree: Any) -> Iterator[Any]:
    """Yield all arrays that belong to the leaves of a tree."""
    for leaf in flatten(tree)[0]:
        if isinstance(leaf, Module):
            yield from _arrays([*leaf.parameters(), *leaf.buffers()])
        elif isinstance(leaf, Optimizer):
            yield from _arrays([leaf._params(), [leaf.state.get(p, {}) for p in leaf._params()]])
        elif isinstance(leaf, Array):
            grad = getattr(leaf, "_grad_or_none", lambda: None)()
            yield from (leaf,) if grad is None else (leaf, grad)
        elif hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
            yield leaf
