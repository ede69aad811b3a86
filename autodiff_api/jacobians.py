"""Jacobians of a function in three ways: by central differences, by pulling cotangents back, by pushing tangents.

All in real numbers, on the host: a complex element counts as two, its real and its imaginary part. A gradient is
dL/dRe + i dL/dIm, so one comparison serves real and complex functions alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from .binding import make_namespace
from .duals import namespace_over
from .errors import GradcheckError
from .gradients import grad
from .namespaces import as_backend

Host = Any  # a numpy.ndarray
Table = dict[tuple[int, int], Host]  # (output, input): a matrix


def host(x: Any) -> Host:
    """Return a tensor's elements as a NumPy array of its own."""
    return np.array(x.numpy(force=True))


def flat(a: Host) -> Host:
    """Return the real numbers in an array as a vector: the real parts, then the imaginary ones."""
    return np.concatenate([a.real.ravel(), a.imag.ravel()]) if np.iscomplexobj(a) else a.ravel()


def units(like: Host) -> Iterator[Host]:
    """Yield an array for each real number in `like` that has 1 there (or 1j), and 0 elsewhere.

    >>> [u.tolist() for u in units(np.zeros(1, dtype=complex))]
    [[(1+0j)], [1j]]
    """
    for unit in (1, 1j) if np.iscomplexobj(like) else (1,):
        for i in range(like.size):
            e = np.zeros(like.size, dtype=like.dtype)
            e[i] = unit
            yield e.reshape(like.shape)


def part_name(like: Host, k: int) -> tuple[str, str]:
    """Return which part of an element ("Re ", "Im ", or "") the k-th real number is, and the element's index.

    >>> part_name(np.zeros((2, 2)), 3)
    ('', '[1, 1]')
    """
    part = ("Re ", "Im ")[k // like.size] if np.iscomplexobj(like) else ""
    index = [int(i) for i in np.unravel_index(k % like.size, like.shape)] if like.shape else ""
    return part, str(index)


class Study:
    """A function at a point: what it gives, and how that changes.

    `active` are the positions of the inputs that require grad, `live` those of the outputs that then do.
    """

    def __init__(self, func: Callable[..., Any], inputs: Sequence[Any], eps: float) -> None:
        self.func, self.inputs, self.eps = func, tuple(inputs), eps
        self.active = [i for i, x in enumerate(inputs) if getattr(x, "requires_grad", False)]
        self.points = {j: host(inputs[j]) for j in self.active}
        self.leaves = self.fresh()
        self.outputs = self.run(self.leaves)
        self.live = [i for i, y in enumerate(self.outputs) if y.requires_grad]
        self.values = {i: host(y) for i, y in enumerate(self.outputs)}
        self.xp = inputs[self.active[0]]._xp

    def fresh(self, place: int | None = None, value: Host = None) -> list[Any]:
        """Return the inputs as new leaves, one of them with another value."""
        made = []
        for i, x in enumerate(self.inputs):
            if not hasattr(x, "requires_grad"):
                made.append(x)
            elif i == place:
                made.append(x._xp.asarray(value, dtype=x.dtype, device=x.device, requires_grad=True))
            else:
                made.append(x.detach().clone().requires_grad_(i in self.active))
        return made

    def run(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Return what the function gives, as a tuple of tensors."""
        result = self.func(*inputs)
        outputs = tuple(result) if isinstance(result, tuple | list) else (result,)
        for i, y in enumerate(outputs):
            if not hasattr(y, "_value"):
                raise GradcheckError(f"output {i} of the function is no tensor but a {type(y).__name__}")
        return outputs

    def differences(self, j: int, direction: Host) -> dict[int, Host]:
        """Return the change of each output per step along a direction of input `j`, by central differences."""
        ahead, behind = (
            [host(y) for y in self.run(self.fresh(j, self.points[j] + step * direction))]
            for step in (self.eps, -self.eps)
        )
        changes: dict[int, Host] = {}
        for i, (a, b) in enumerate(zip(ahead, behind, strict=True)):
            if a.dtype.kind in "fc" and a.shape != b.shape:
                raise GradcheckError(f"output {i} has shape {a.shape} here and {b.shape} nearby")
            if a.dtype.kind in "fc":
                changes[i] = (a - b) / (2 * self.eps)
        return changes

    def pull(self, cotangents: dict[int, Host]) -> dict[int, Any]:
        """Return the gradients of the active inputs, as tensors, for cotangents of some outputs; None for no path."""
        outputs = [self.outputs[i] for i in cotangents]
        w = [
            y._xp.asarray(c, dtype=y.dtype, device=y.device) for y, c in zip(outputs, cotangents.values(), strict=True)
        ]
        leaves = [self.leaves[j] for j in self.active]
        return dict(zip(self.active, grad(outputs, leaves, w, retain_graph=True, allow_unused=True), strict=True))

    def to_host(self, gradients: dict[int, Any]) -> dict[int, Host]:
        """Return gradients as host arrays, zeros for no path."""
        return {j: np.zeros_like(self.points[j]) if g is None else host(g) for j, g in gradients.items()}

    def pulled(self, cotangents: dict[int, Host]) -> dict[int, Host]:
        """Return gradients on the host."""
        return self.to_host(self.pull(cotangents))

    def pulled_at_once(self, i: int, cotangents: Host) -> dict[int, Host]:
        """Return the gradients for many cotangents of output `i`, by one pass."""
        y, leaves = self.outputs[i], [self.leaves[j] for j in self.active]
        w = y._xp.asarray(cotangents, dtype=y.dtype, device=y.device)
        found = grad(y, leaves, w, retain_graph=True, is_grads_batched=True, materialize_grads=True)
        return {j: host(g) for j, g in zip(self.active, found, strict=True)}

    def push(self, j: int, direction: Host) -> dict[int, Host]:
        """Return the tangents of the live outputs when input `j` moves along a direction."""
        over = dual_over_tensors(self.xp)
        return self.tangents(self._moved(j, over, self._like_input(j, direction)))

    def pushed_at_once(self, j: int, directions: Host) -> dict[int, Host]:
        """Return the tangents for many directions of input `j`, by one pass."""
        over = self.xp._over("duals")
        many = self._moved(j, over, over._tangents.batched(self._like_input(j, directions)))
        found = {}
        for i in self.live:
            t, shape = many[i], (len(directions), *self.values[i].shape)
            found[i] = np.zeros(shape) if t is None else np.broadcast_to(host(t._value), shape)
        return found

    def _like_input(self, j: int, direction: Host) -> Any:
        x = self.inputs[j]
        return self.xp.asarray(direction, dtype=x.dtype, device=x.device)

    def _moved(self, j: int, over: Any, tangent: Any) -> list[Any]:
        """Return the outputs' tangents, None for what stands still, when input `j` has a tangent."""
        moved = [
            over.dual(x.detach(), tangent if i == j else None) if hasattr(x, "requires_grad") else x
            for i, x in enumerate(self.inputs)
        ]
        return [getattr(y, "_tangent", None) for y in self.run(moved)]

    def push_through_gradients(self, j: int, direction: Host) -> dict[int, Host]:
        """Return the same for a function that computes gradients: tensors record what happens to dual arrays."""
        over = dual_over_raw(self.xp)
        tensors = tensors_over(over)
        moved = []
        for i, x in enumerate(self.inputs):
            if hasattr(x, "requires_grad"):
                t = self.xp.asarray(direction, dtype=x.dtype, device=x.device)._value if i == j else None
                x = tensors.array_class._make(over.dual(x.detach()._value, t)).requires_grad_(x.requires_grad)
            moved.append(x)
        return self.tangents([getattr(y._value, "_tangent", None) for y in self.run(moved)])

    def tangents(self, found: Sequence[Any]) -> dict[int, Host]:
        """Return tangents of the live outputs as host arrays, zeros for what stands still."""
        return {i: np.zeros_like(self.values[i]) if found[i] is None else self.on_host(found[i]) for i in self.live}

    def on_host(self, x: Any) -> Host:
        """Return a tensor or a raw array as a host array."""
        return host(x) if isinstance(x, self.xp.array_class) else np.array(self.xp._backend.to_numpy(x))


class View:
    """Which entries of the Jacobians are looked at: all, or a random combination of all."""

    def __init__(self, study: Study, fast: bool) -> None:
        rng = np.random.default_rng(0)
        self.rows = {i: _directions(study.values[i], fast, rng) for i in study.live}
        self.columns = {j: _directions(study.points[j], fast, rng) for j in study.active}
        self.fast = fast

    def scale(self, i: int, j: int) -> float:
        """Return by how much the absolute tolerance of one entry grows for this view."""
        if not self.fast:
            return 1.0
        return float(np.sum(np.abs(flat(self.rows[i][0]))) * np.sum(np.abs(flat(self.columns[j][0]))))

    def along(self, a: Host, directions: list[Host]) -> Host:
        """Return the components of an array along directions, which are the unit vectors if this is not fast."""
        return np.asarray([flat(d) @ flat(a) for d in directions]) if self.fast else flat(a)


def _directions(like: Host, fast: bool, rng: Any) -> list[Host]:
    if not fast:
        return list(units(like))
    d = rng.uniform(0.1, 1.0, size=like.shape)
    d = d + 1j * rng.uniform(0.1, 1.0, size=like.shape) if np.iscomplexobj(like) else d
    return [d / (np.linalg.norm(flat(d)) or 1.0)]


def by_columns(study: Study, view: View, column: Callable[[int, Host], dict[int, Host]]) -> Table:
    """Return Jacobians from a function that gives them column by column: differences, or tangents."""
    table = {}
    for j in study.active:
        columns = [column(j, d) for d in view.columns[j]]
        for i in study.live:
            parts = [view.along(c[i], view.rows[i]) for c in columns]
            table[i, j] = np.stack(parts, axis=1) if parts else np.zeros((len(view.rows[i]), 0))
    return table


def by_rows(study: Study, view: View, row: Callable[[dict[int, Host]], dict[int, Host]]) -> Table:
    """Return Jacobians from a function that gives them row by row: gradients."""
    table = {}
    for i in study.live:
        rows = [row({i: w}) for w in view.rows[i]]
        for j in study.active:
            parts = [view.along(r[j], view.columns[j]) for r in rows]
            table[i, j] = np.stack(parts) if parts else np.zeros((0, len(view.columns[j])))
    return table


@cache
def dual_over_tensors(xp: Any) -> Any:
    """Return the namespace of dual arrays over a namespace of tensors."""
    return namespace_over(as_backend(xp))


@cache
def dual_over_raw(xp: Any) -> Any:
    """Return the namespace of dual arrays over the arrays that a namespace's tensors hold."""
    return namespace_over(xp._backend)


@cache
def tensors_over(xp: Any) -> Any:
    """Return the namespace of tensors over a namespace of dual arrays."""
    return make_namespace(as_backend(xp))
