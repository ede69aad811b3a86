"""Sums and other arithmetic by NumPy's names."""

from __future__ import annotations

from typing import Any

from ..axes import all_axes, one_axis
from ..errors import OperandError


def floating(xp: Any, x: Any, like: Any = None) -> Any:
    """Return `x` as an array of floating-point numbers, a Python number in the dtype of `like`."""
    x = xp.asarray(x, dtype=like.dtype if isinstance(x, float | int) and like is not None else None)
    if xp.isdtype(x.dtype, ("real floating", "complex floating")):
        return x
    return xp.astype(x, xp.asarray(0.0).dtype)


class Sums:
    """Functions that add, average and compare."""

    def average(self, x: Any, /, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
        """Return the weighted mean, differentiable in both.

        `weights` has the shape of `x`, or of the axes that `axis` names, in its order.

        >>> import autodiff_api as ad
        >>> ad.average(ad.tensor([1.0, 2.0]), weights=ad.tensor([3.0, 1.0]))
        tensor(1.25)
        """
        xp: Any = self
        x = floating(xp, x)
        axes = all_axes("average", axis, x.shape)
        axis = None if axis is None else axes
        if weights is None:
            return xp.mean(x, axis=axis, keepdims=keepdims)
        w = floating(xp, weights)
        if w.shape != x.shape:
            if axis is None or tuple(w.shape) != tuple(x.shape[a] for a in axes):
                raise OperandError(
                    f"average: weights of shape {w.shape} for an array of shape {x.shape} with axis={axis}; give "
                    "weights of the array's shape, or of that of the axes that axis names"
                )
            w = xp.permute_dims(w, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
            w = xp.broadcast_to(xp.reshape(w, tuple(n if i in axes else 1 for i, n in enumerate(x.shape))), x.shape)
        total = xp.sum(x * xp.astype(w, xp.result_type(x, w)), axis=axis, keepdims=keepdims)
        return total / xp.astype(xp.sum(w, axis=axis, keepdims=keepdims), total.dtype)

    def cumprod(self, x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Any:
        """Return the products of the first elements along an axis, of all of them in order if it is None."""
        return self._cumulative("cumprod", "cumulative_prod", x, axis, dtype)

    def cumsum(self, x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Any:
        """Return the sums of the first elements along an axis, of all of them in order if it is None."""
        return self._cumulative("cumsum", "cumulative_sum", x, axis, dtype)

    def _cumulative(self, name: str, standard: str, x: Any, axis: int | None, dtype: Any) -> Any:
        xp: Any = self
        x = xp.asarray(x)
        x, axis = (xp.reshape(x, (-1,)), 0) if axis is None else (x, one_axis(name, axis, x.shape))
        return getattr(xp, standard)(x, axis=axis, dtype=dtype)

    def isclose(self, x1: Any, x2: Any, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
        """Tell where |x1 - x2| <= atol + rtol * |x2|; infinities must be equal.

        >>> import autodiff_api as ad
        >>> ad.isclose(ad.tensor([1.0, ad.inf]), 1.0)
        tensor([ True, False])
        """
        xp: Any = self
        a, b = (x.detach() if isinstance(x, xp.array_class) else xp.asarray(x) for x in (x1, x2))
        finite = xp.isfinite(a) & xp.isfinite(b)
        x, y = (xp.where(finite, x, 0) for x in (a, b))  # inf - inf
        near = xp.less_equal(xp.abs(x - y), atol + rtol * xp.abs(y)) & finite
        close = near | xp.equal(a, b)
        return close | (xp.not_equal(a, a) & xp.not_equal(b, b)) if equal_nan else close

    def nan_to_num(
        self, x: Any, /, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
    ) -> Any:
        """Replace nan and infinities, by default with 0 and the largest finite numbers; no gradient flows there.

        >>> import autodiff_api as ad
        >>> ad.nan_to_num(ad.tensor([1.0, ad.nan, ad.inf]), posinf=9.0)
        tensor([1., 0., 9.])
        """
        xp: Any = self
        x = xp.asarray(x)
        if xp.isdtype(x.dtype, "complex floating"):
            parts = [xp.nan_to_num(part, nan=nan, posinf=posinf, neginf=neginf) for part in (xp.real(x), xp.imag(x))]
            return xp.complex(*parts)
        if not xp.isdtype(x.dtype, "real floating"):
            return x
        limits = xp.finfo(x.dtype)
        x = xp.where(xp.isnan(x), nan, x)
        x = xp.where(xp.equal(x, xp.inf), limits.max if posinf is None else posinf, x)
        return xp.where(xp.equal(x, -xp.inf), limits.min if neginf is None else neginf, x)

    def trapezoid(self, y: Any, /, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
        """Integrate `y` along an axis by the trapezoidal rule, over points `x` or in steps of `dx`.

        `x` is a vector along the axis, or has the shape of `y`; the result is differentiable in both.

        >>> import autodiff_api as ad
        >>> ad.trapezoid(ad.tensor([1.0, 2.0, 3.0]), dx=0.5)
        tensor(2.)
        """
        xp: Any = self
        y = floating(xp, y)
        axis = one_axis("trapezoid", axis, y.shape)
        lead = (slice(None),) * axis
        late, early = (*lead, slice(1, None), ...), (*lead, slice(None, -1), ...)
        pairs = y[late] + y[early]
        if x is not None:
            x = xp.asarray(x)
            if x.ndim == 1:
                x = xp.reshape(x, tuple(-1 if i == axis else 1 for i in range(y.ndim)))
            dx = xp.diff(x, axis=axis)
            dx = xp.astype(dx, xp.result_type(dx, pairs), copy=False)
        return xp.sum(pairs * dx / 2, axis=axis)
