"""Products of arrays: `einsum`, `dot`, `kron`, `outer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError
from .paths import Layout, plan


class Contractions:
    """Functions that multiply arrays and sum."""

    def dot(self, x1: Any, x2: Any, /) -> Any:
        """Return the product with the last axis of `x1` and the last but one of `x2` (or its only one) summed over."""
        xp: Any = self
        x1, x2 = xp.asarray(x1), xp.asarray(x2)
        if not x1.ndim or not x2.ndim:
            return x1 * x2
        return xp.tensordot(x1, x2, axes=((x1.ndim - 1,), (max(x2.ndim - 2, 0),)))

    def einsum(self, subscripts: str, /, *operands: Any, optimize: Any = True) -> Any:
        """Return the sum of products that `subscripts` describes in Einstein's notation.

        A letter names an axis of each operand. Axes of one name go together; those that are not in the output, by
        default those named more than once, are summed over. `...` stands for any leading axes. Operands are
        multiplied in pairs, in the order that opt_einsum finds where it is installed, else those first whose product is
        smallest; with `optimize=False`, from left to right.

        >>> import autodiff_api as ad
        >>> a = ad.reshape(ad.arange(4.0), (2, 2))
        >>> ad.einsum("ij,kj->ik", a, a)
        tensor([[ 1.,  3.],
                [ 3., 13.]])
        """
        xp: Any = self
        if not isinstance(subscripts, str):
            raise ArgumentError(f"einsum: give the subscripts as a string such as 'ij,jk->ik', not {subscripts!r}")
        arrays = [xp.asarray(x) for x in operands]
        changes, products, order = plan(subscripts, tuple([tuple(x.shape) for x in arrays]), bool(optimize))
        arrays = [_changed(xp, x, steps) if steps else x for x, steps in zip(arrays, changes, strict=True)]
        for (i, j), layouts, kind, shape in products:
            left, right = (_laid_out(xp, arrays[k], layout) for k, layout in zip((i, j), layouts, strict=True))
            if kind == "matmul":
                made = left @ right
            else:
                made = left * right if kind == "multiply" else xp.sum(left * right, axis=-1)
            rest = [x for k, x in enumerate(arrays) if k not in (i, j)]
            made = made if tuple(made.shape) == shape else xp.reshape(made, shape)
            arrays = [*rest, made] if optimize else [made, *rest]
        return arrays[0] if order is None else xp.permute_dims(arrays[0], order)

    def kron(self, x1: Any, x2: Any, /) -> Any:
        """Return the Kronecker product: `x2` repeated, times each element of `x1`."""
        xp: Any = self
        x1, x2 = xp.asarray(x1), xp.asarray(x2)
        ndim = max(x1.ndim, x2.ndim)
        s1, s2 = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (x1, x2))
        blocks = xp.reshape(x1, tuple(m for n in s1 for m in (n, 1)))
        insides = xp.reshape(x2, tuple(m for n in s2 for m in (1, n)))
        return xp.reshape(blocks * insides, tuple(n * m for n, m in zip(s1, s2, strict=True)))

    def outer(self, x1: Any, x2: Any, /) -> Any:
        """Return the products of each element of `x1` with each of `x2`, as a matrix."""
        xp: Any = self
        return xp.reshape(xp.asarray(x1), (-1, 1)) * xp.reshape(xp.asarray(x2), (1, -1))


def _changed(xp: Any, x: Any, steps: Sequence[tuple[str, tuple[int, ...]]]) -> Any:
    """Return an operand by itself simplified."""
    for name, axes in steps:
        if name == "squeeze":
            x = xp.squeeze(x, axes)
        elif name == "sum":
            x = xp.sum(x, axis=axes)
        else:
            last = (x.ndim - 2, x.ndim - 1)
            x = xp.linalg.diagonal(x if axes == last else xp.moveaxis(x, axes, last))
    return x


def _laid_out(xp: Any, x: Any, layout: Layout) -> Any:
    """Return an operand as a product takes it."""
    order, shape = layout
    x = x if order is None else xp.permute_dims(x, order)
    return x if shape is None else xp.reshape(x, shape)
