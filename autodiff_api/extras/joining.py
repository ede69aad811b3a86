"""Making arrays, and putting them together and apart, by NumPy's names."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..axes import one_axis
from ..errors import ArgumentError


class Joining:
    """Functions that move elements about without changing them."""

    def array(
        self,
        obj: Any,
        /,
        dtype: Any = None,
        *,
        copy: bool | None = True,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return a copy of `obj` as an array; a tensor stays connected to its graph.

        >>> import autodiff_api as ad
        >>> ad.array([1, 2], dtype=ad.float64)
        tensor([1., 2.])
        """
        xp: Any = self
        return xp.asarray(obj, dtype=dtype, device=device, copy=copy, requires_grad=requires_grad)

    def array_split(self, x: Any, sections: int | Sequence[int], /, axis: int = 0) -> tuple[Any, ...]:
        """Split an array along an axis into equal parts, the first ones longer by one, or before given indices.

        >>> import autodiff_api as ad
        >>> [part.tolist() for part in ad.array_split(ad.arange(5), 3)]
        [[0, 1], [2, 3], [4]]
        """
        xp: Any = self
        x = xp.asarray(x)
        place = one_axis("array_split", axis, x.shape)
        n = x.shape[place]
        if hasattr(sections, "__index__") and not getattr(sections, "ndim", 0):
            parts = operator.index(sections)
            if parts < 1:
                raise ArgumentError(f"array_split: into {parts} parts; give 1 or more, or the indices to split before")
            short, longer = divmod(n, parts)
            bounds = [i * short + min(i, longer) for i in range(parts + 1)]
        else:
            bounds = [0, *map(operator.index, sections), n]  # type: ignore[arg-type]
        lead = (slice(None),) * place
        return tuple(x[(*lead, slice(a, b), ...)] for a, b in pairwise(bounds))

    def atleast_1d(self, *arrays: Any) -> Any:
        """Return each array with one axis or more: one array, or a tuple of them."""
        return self._each(arrays, lambda x: (1,) * (x.ndim < 1) + x.shape)

    def atleast_2d(self, *arrays: Any) -> Any:
        """Return each array with two axes or more, new ones in front: one array, or a tuple of them."""
        return self._each(arrays, lambda x: (1,) * (2 - x.ndim) + x.shape)

    def _each(self, arrays: tuple[Any, ...], shape: Any) -> Any:
        xp: Any = self
        made = tuple(xp.reshape(x, shape(x)) for x in map(xp.asarray, arrays))
        return made[0] if len(made) == 1 else made

    def column_stack(self, arrays: Sequence[Any], /) -> Any:
        """Put vectors beside each other as columns, and matrices as they are."""
        xp: Any = self
        columns = [xp.asarray(x) for x in some("column_stack", arrays)]
        return xp.concat([x if x.ndim > 1 else xp.reshape(x, (-1, 1)) for x in columns], axis=1)

    def concatenate(self, arrays: Sequence[Any], /, axis: int | None = 0) -> Any:
        """Join arrays along an axis, or all their elements if it is None: the standard's `concat`."""
        xp: Any = self
        return xp.concat([xp.asarray(x) for x in some("concatenate", arrays)], axis=axis)

    def hstack(self, arrays: Sequence[Any], /) -> Any:
        """Join arrays along the second axis, vectors along their only one."""
        xp: Any = self
        rows = [xp.atleast_1d(x) for x in some("hstack", arrays)]
        return xp.concat(rows, axis=0 if rows[0].ndim == 1 else 1)

    def swapaxes(self, x: Any, axis1: int, axis2: int, /) -> Any:
        """Return a view with two axes interchanged."""
        xp: Any = self
        x = xp.asarray(x)
        order = list(range(x.ndim))
        i, j = (one_axis("swapaxes", axis, x.shape) for axis in (axis1, axis2))
        order[i], order[j] = j, i
        return xp.permute_dims(x, tuple(order))

    def vstack(self, arrays: Sequence[Any], /) -> Any:
        """Join arrays along the first axis, vectors as rows."""
        xp: Any = self
        return xp.concat([xp.atleast_2d(x) for x in some("vstack", arrays)], axis=0)


def some(function: str, arrays: Sequence[Any]) -> Sequence[Any]:
    """Return the arrays if there are any; else raise."""
    if not len(arrays):
        raise ArgumentError(f"{function}: got no arrays; give at least one")
    return arrays
