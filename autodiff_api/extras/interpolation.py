"""Interpolation in a table."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from .sums import floating


class Interpolation:
    """Functions given by points."""

    def interp(self, x: Any, /, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
        """Return the piecewise linear function through the points (xp, fp) at `x`, differentiable in all three.

        `xp` is a rising vector, `fp` a vector of the same length; `left` and `right` stand beyond the ends, by default
        the first and the last of `fp`. At a point, the derivative is that of the piece to its right.

        >>> import autodiff_api as ad
        >>> ad.interp(ad.tensor([0.5, 3.0]), ad.tensor([0.0, 1.0, 2.0]), ad.tensor([0.0, 10.0, 30.0]))
        tensor([ 5., 30.])
        """
        space: Any = self
        xp, fp = floating(space, xp), floating(space, fp)
        x = floating(space, x, like=xp)
        if xp.ndim != 1 or xp.shape != fp.shape or not xp.shape[0]:
            raise ShapeError(
                f"interp: xp and fp must be vectors of one length, not of shapes {xp.shape} and {fp.shape}"
            )
        common = space.result_type(x, xp)
        x, xp = (space.astype(a, common, copy=False) for a in (x, xp))
        n = xp.shape[0]
        above = space.clip(space.searchsorted(xp, x, side="right"), min(1, n - 1), n - 1)
        below = space.clip(above - 1, 0, n - 1)
        x0, x1, f0, f1 = (
            space.reshape(space.take(p, space.reshape(i, (-1,))), x.shape) for p in (xp, fp) for i in (below, above)
        )
        gap = x1 - x0
        part = (x - x0) / space.where(space.equal(gap, 0), 1, gap)
        y = f0 + (f1 - f0) * part
        y = space.where(space.less(x, xp[0]), fp[0] if left is None else left, y)
        return space.where(space.greater(x, xp[n - 1]), fp[n - 1] if right is None else right, y)
