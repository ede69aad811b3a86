"""Changing a tensor in place: a new value is bound, memory that a graph has saved is never written to."""

from __future__ import annotations

from typing import Any, Self

from .arrays import Array
from .errors import GraphError, ShapeError
from .views import ViewMixin, check_writable, is_item, write


class InPlace(Array):
    """The operations that end in `_`, assignment to `x[key]`, and what the operators `+=` ... call."""

    __slots__ = ()

    def _assign(self, value: Any) -> Self:
        """Take over another tensor's value and history."""
        write(self, value)
        return self

    def _update(self, name: str, result: Any) -> Self:
        if result is NotImplemented:
            return NotImplemented
        if result.shape != self.shape:
            raise ShapeError(
                f"{name}: output with shape {list(self.shape)} doesn't match the broadcast shape "
                f"{list(result.shape)}; an in-place operation can't grow the tensor that it changes"
            )
        if result.dtype != self.dtype:
            if not self._xp.can_cast(self.dtype, result.dtype) or _kind(result) > _kind(self):
                raise GraphError(
                    f"{name}: result type {result.dtype} can't be cast to the desired output type {self.dtype}"
                )
            result = self._xp.astype(result, self.dtype)
        return self._assign(result)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, ViewMixin) and value._parent is self and is_item(value, key):
            return  # the end of `x[key] += y`: the view has written through already
        check_writable(self, part=True)
        if isinstance(value, list | tuple):
            value = self._xp.asarray(value, dtype=self.dtype)
        try:
            result = self._xp.setitem(self, key, value)
        except ValueError as error:
            shape = getattr(value, "shape", ())
            raise ShapeError(
                f"can't assign a value of shape {tuple(shape)} to that part of a tensor of shape "
                f"{tuple(self.shape)}: {error}"
            ) from error
        self._assign(result)

    def add_(self, other: Any, *, alpha: Any = 1) -> Self:
        """Add in place."""
        return self._update("add_", self + (other if alpha == 1 else alpha * other))

    def sub_(self, other: Any, *, alpha: Any = 1) -> Self:
        """Subtract in place."""
        return self._update("sub_", self - (other if alpha == 1 else alpha * other))

    def mul_(self, other: Any) -> Self:
        """Multiply in place."""
        return self._update("mul_", self * other)

    def div_(self, other: Any) -> Self:
        """Divide in place."""
        return self._update("div_", self / other)

    def zero_(self) -> Self:
        """Set every element to zero."""
        return self.fill_(0)

    def fill_(self, value: Any) -> Self:
        """Set every element to a scalar, or to a 0-d tensor."""
        if getattr(value, "shape", ()) != ():
            raise ShapeError(
                f"fill_ takes a number or a 0-d tensor, not shape {tuple(value.shape)}; use copy_ for more"
            )
        if self._node is None and not getattr(value, "requires_grad", False):
            return self._assign(self._xp.full_like(self, value))
        return self._assign(self._xp.setitem(self, ..., value))

    def copy_(self, source: Any) -> Self:
        """Copy the elements of `source`, broadcast and cast to this tensor; gradients flow to the source."""
        xp = self._xp
        source = source if isinstance(source, xp.array_class) else xp.asarray(source)
        if xp.broadcast_shapes(source.shape, self.shape) != tuple(self.shape):
            raise ShapeError(
                f"copy_: output with shape {list(self.shape)} doesn't match the broadcast shape "
                f"{list(xp.broadcast_shapes(source.shape, self.shape))}; the source must broadcast to the target"
            )
        return self._assign(xp.setitem(self, ..., source))

    def clamp_(self, min: Any = None, max: Any = None) -> Self:
        """Limit the values to an interval, in place."""
        return self._update("clamp_", self.clip(min, max))


def _kind(x: Any) -> int:
    kinds = ("bool", "integral", "real floating", "complex floating")
    return next(i for i, kind in enumerate(kinds) if x._xp.isdtype(x.dtype, kind))
