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
        before, after = space.less(x, xp[0]), space.greater(x, xp[n - 1])
        inside = space.where(before | after, xp[0], x)
        above = space.clip(space.searchsorted(xp, inside, side="right"), min(1, n - 1), n - 1)
        below = space.clip(above - 1, 0, n - 1)
        x0, x1, f0, f1 = (
            space.reshape(space.take(p, space.reshape(i, (-1,))), x.shape) for p in (xp, fp) for i in (below, above)
        )
        y = f0 if n == 1 else between(space, inside, (x0, f0), (x1, f1))
        y = space.where(before, fp[0] if left is None else left, y)
        return space.where(after, fp[n - 1] if right is None else right, y)


def between(space: Any, x: Any, start: tuple[Any, Any], end: tuple[Any, Any]) -> Any:
    """Return the line from one point to another at `x`; where a coordinate is infinite, what it comes to.

    Each point is exactly where it is. From a point to one infinitely far the line is flat, and to one infinitely high
    it is infinite. That is said by selection alone, whose derivatives are 0 and 1 and never an infinity times 0.
    """
    (x0, f0), (x1, f1) = start, end
    known = [space.isfinite(v) for v in (x0, x1, f0, f1)]
    plain = known[0] & known[1] & known[2] & known[3]
    a, b, c, d, place = (space.where(plain, v, 0) for v in (x0, x1, f0, f1, x))
    gap = b - a
    straight = c + (d - c) * ((place - a) / space.where(space.equal(gap, 0), 1, gap))
    same = space.equal(f0, f1)
    high = space.where(known[2], f1, space.where(known[3] | same, f0, space.nan))
    level = known[2] & known[3] & (known[0] | known[1])
    far = space.where(level, space.where(known[0], f0, f1), space.where(same, f0, space.nan))
    endless = space.where(space.isnan(x), space.nan, space.where(known[0] & known[1], high, far))
    endless = space.where(space.equal(x, x1), f1, space.where(space.equal(x, x0), f0, endless))
    return space.where(plain, straight, endless)
