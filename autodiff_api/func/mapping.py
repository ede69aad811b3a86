"""`vmap`: a function of one, applied to many at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import levels
from ..arrays import Array
from ..axes import one_axis
from ..errors import ArgumentError, BatchingError
from ..trees import paths, prefix, unflatten
from ..values import is_array
from .calls import Call


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Map a function over an axis of its arguments: one call on arrays with the axis out of sight, no loop.

    `in_dims` says which axis of each argument to map over: an integer, None for an argument that all share, or a tree
    that begins as the arguments do. `out_dims` says where the axis stands in the results; None is for a result that
    is the same for all. `chunk_size` limits how many are computed at once. What is given by keyword is shared by all,
    as in PyTorch. Random numbers inside are an error, unless `randomness` is "same" for all or "different" for each.
    Raises BatchingError where the function needs a value that differs, as in `if x > 0`.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.vmap(lambda x, y: (x * y).sum(), in_dims=(0, None))(np.ones((3, 2)), np.asarray([1.0, 2.0]))
    array([3., 3., 3.])
    """
    if randomness not in ("error", "different", "same"):
        raise ArgumentError(
            f"vmap: Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        if chunk_size is not None and chunk_size < 1:
            raise ArgumentError(f"vmap: chunk_size={chunk_size}; it must be 1 or more")
        run = _Map(Call("vmap", func, args, kwargs), in_dims, out_dims, randomness)
        return run.at_once() if chunk_size is None or chunk_size >= run.n else run.in_chunks(chunk_size)

    return mapped


class _Map:
    """One call of a mapped function."""

    def __init__(self, call: Call, in_dims: Any, out_dims: Any, randomness: str) -> None:
        self.call, self.xp, self.out_dims, self.randomness = call, call.xp, out_dims, randomness
        positional, keywords = call.tree.children
        spread = prefix(tuple(in_dims) if isinstance(in_dims, list) else in_dims, positional, "vmap: in_dims")
        self.dims = [*spread, *[None] * keywords.size]
        places = [p for i, child in enumerate(positional.children) for p in paths(child, f"argument {i}")]
        places += paths(keywords, "keyword argument ")
        self.arrays: list[Any] = []
        sizes: dict[str, int] = {}
        for x, dim, place in zip(call.given, self.dims, places, strict=True):
            if dim is None:
                self.arrays.append(x)
                continue
            if not is_array(x):
                raise BatchingError(
                    f"vmap: {place} is {type(x).__name__}, which has no axis to map over; give it in_dims=None"
                )
            if not x.shape:
                raise BatchingError(f"vmap: {place} has shape (), no axis to map over; give it in_dims=None")
            axis = one_axis(f"vmap: in_dims for {place}", dim, x.shape)
            sizes[place] = x.shape[axis]
            self.arrays.append(self.xp.moveaxis(x, axis, 0) if axis else x)
        if not sizes:
            raise BatchingError("vmap: in_dims is None for every argument; map over one axis at least")
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{n} in {place}" for place, n in sizes.items())
            raise BatchingError(f"vmap: expected one size for all axes that are mapped over, got {told}")
        self.n = next(iter(sizes.values()))

    def at_once(self) -> Any:
        """Run the function on everything."""
        leaves, tree = self._run(self.arrays)
        return unflatten(tree, [self.call.finish(y) for y in leaves])

    def in_chunks(self, size: int) -> Any:
        """Run the function on some at a time."""
        parts = []
        for start in range(0, self.n, size):
            piece = slice(start, start + size)
            leaves, tree = self._run(
                [x if d is None else x[piece] for x, d in zip(self.arrays, self.dims, strict=True)]
            )
            parts.append(leaves)
        dims = _out_dims(self.out_dims, tree)
        joined = [
            group[0] if dim is None else self.xp.concat(group, axis=dim)
            for dim, *group in zip(dims, *parts, strict=True)
        ]
        return unflatten(tree, [self.call.finish(y) for y in joined])

    def _run(self, arrays: Sequence[Any]) -> tuple[list[Any], Any]:
        xp = self.xp
        batched = xp._over("batched")
        top = batched._tensors
        make, wrap = batched.array_class._make, top.array_class._make
        given = [
            wrap(make(x._as_now(), True)) if d is not None else levels.lift(x, top) if isinstance(x, Array) else x
            for x, d in zip(arrays, self.dims, strict=True)
        ]
        args, kwargs = unflatten(self.call.tree, given)
        n = next(x.shape[0] for x, d in zip(arrays, self.dims, strict=True) if d is not None)
        with levels.entered(top), levels.drawing(levels.Draws(self.randomness, n, xp)):
            outputs, tree = self.call.outputs(self.call.function(*args, **kwargs), top)
            held = [y._value for y in outputs]
        dims = _out_dims(self.out_dims, tree)
        return [_shown(y, dim, n, xp) for y, dim in zip(held, dims, strict=True)], tree


def _out_dims(given: Any, tree: Any) -> list[Any]:
    return prefix(tuple(given) if isinstance(given, list) else given, tree, "vmap: out_dims")


def _shown(y: Any, dim: int | None, n: int, xp: Any) -> Any:
    """Return a result with its hidden axis where the caller wants it."""
    value = y._value
    if dim is None:
        if y._hidden:
            raise BatchingError(
                f"vmap: out_dims is None for a result of shape {tuple(y.shape)} that differs from one to the next"
            )
        return value
    if not y._hidden:
        value = xp.broadcast_to(value, (n, *value.shape))
    axis = one_axis("vmap: out_dims", dim, value.shape)
    return xp.moveaxis(value, 0, axis) if axis else value
