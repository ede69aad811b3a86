"""Sums of what belongs together."""

from __future__ import annotations

from typing import Any

from ..axes import one_axis
from ..errors import OperandError, ShapeError


class Segments:
    """Functions that add up slices of an array by number."""

    def index_add(self, x: Any, axis: int, index: Any, source: Any, /, *, alpha: Any = 1) -> Any:
        """Return `x` with the slices of `source` along an axis added at the places that a vector `index` names.

        A place may be named twice; then both are added. Differentiable in `x` and `source`. PyTorch's name.

        >>> import autodiff_api as ad
        >>> ad.index_add(ad.zeros((3,)), 0, ad.tensor([2, 0, 2]), ad.tensor([1.0, 2.0, 3.0]))
        tensor([2., 0., 4.])
        """
        xp: Any = self
        x, index, source = xp.asarray(x), xp.asarray(index), xp.asarray(source)
        axis = one_axis("index_add", axis, x.shape)
        wanted = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
        if index.ndim != 1 or tuple(source.shape) != wanted:
            raise ShapeError(
                f"index_add: an index of shape {tuple(index.shape)} on axis {axis} of an array of shape "
                f"{tuple(x.shape)} wants a vector as index and a source of shape {wanted}, not {tuple(source.shape)}"
            )
        source = source if alpha.__class__ is int and alpha == 1 else source * alpha
        return xp.scatter_add(x, (*(slice(None),) * axis, index, ...), source)

    def segment_sum(self, data: Any, segment_ids: Any, /, num_segments: int | None = None) -> Any:
        """Return the sums of the rows of `data` that have the same number: row i is that of all with number i.

        `segment_ids` holds a number from 0 for each row, or, with several axes, for each of the first of `data`; in
        any order. Without `num_segments` the largest decides how many there are, which a compiler can't look at.
        Differentiable in `data`. JAX's name.

        >>> import autodiff_api as ad
        >>> ad.segment_sum(ad.tensor([1.0, 2.0, 4.0]), ad.tensor([1, 0, 1]), 3)
        tensor([2., 5., 0.])
        """
        xp: Any = self
        data, ids = xp.asarray(data), xp.asarray(segment_ids)
        if not xp.isdtype(ids.dtype, "integral"):
            raise OperandError(f"segment_sum: segment_ids are integers, not {ids.dtype}; cast them with astype")
        if not ids.ndim or tuple(data.shape[: ids.ndim]) != tuple(ids.shape):
            raise ShapeError(
                f"segment_sum: segment_ids of shape {tuple(ids.shape)} must have the first axes of data, whose shape "
                f"is {tuple(data.shape)}"
            )
        if num_segments is None:
            num_segments = int(xp.max(ids)) + 1 if 0 not in ids.shape else 0
        rest = tuple(data.shape[ids.ndim :])
        blank = xp.zeros((num_segments, *rest), dtype=data.dtype, device=data.device)
        return xp.scatter_add(blank, (ids, ...), data)
