"""Arrays of any level as plain arrays of a level below, with all that they carry.

What a dual array is, a value and tangents, becomes an axis, and so does what is hidden. A differential equation is
then one at each level, of more unknowns: the tangents obey it too, linearised.
"""

from __future__ import annotations

from typing import Any

from ..namespaces import Namespace
from .towers import Tower, is_batched

ONE = 0  # a single tangent; a larger number is that of many tangents in one


class Spread(Tower):
    """A tower whose `parts[k]` says what arrays have at level k: None, a hidden axis of that length, or tangents."""

    def __init__(self, top: Namespace, *samples: Any) -> None:
        super().__init__(top)
        self.parts: list[int | None] = [None] * (self.height + 1)
        for x in samples:
            self._explore(x, self.height)

    def _explore(self, x: Any, k: int) -> None:
        if k == 0:
            return
        held = x._value
        self._explore(held._value, k - 1)
        if is_batched(self.kinds[k]):
            if held._hidden:
                self.parts[k] = held._value.shape[0]
        elif (tangent := held._tangent) is not None:
            many = getattr(tangent, "_hidden", None)
            self.parts[k] = tangent._value.shape[0] if many else self.parts[k] or ONE
            self._explore(tangent if many is None else tangent._value, k - 1)

    def down(self, x: Any, k: int, start: int | None = None) -> Any:
        """Return an array of the top level (or level `start`) as one of level k, with an axis for each part."""
        for j in range(self.height if start is None else start, k, -1):
            x = self._down(x._value, j)
        return x

    def _down(self, held: Any, j: int) -> Any:
        x, parts = held._value, self.parts[j]
        xp = x._xp
        if parts is None:
            return x
        if is_batched(self.kinds[j]):
            return x if held._hidden else xp.broadcast_to(x, (parts, *x.shape))
        tangent, shape = held._tangent, (parts or 1, *x.shape)
        if tangent is None:
            tangent = xp.zeros(shape, dtype=x.dtype)
        elif getattr(tangent, "_hidden", False):
            tangent = tangent._value
        else:
            tangent = xp.broadcast_to(getattr(tangent, "_value", tangent) if self._many(j) else tangent, shape)
        return xp.concat([xp.expand_dims(x, axis=0), tangent])

    def up(self, x: Any, k: int, end: int | None = None) -> Any:
        """Return an array of level k as one of the top level (or level `end`), with its parts put together."""
        for j in range(k + 1, (self.height if end is None else end) + 1):
            x = self.tensors[j].array_class._make(self._up(x, j))
        return x

    def _up(self, x: Any, j: int) -> Any:
        make, parts = self.kinds[j].array_class._make, self.parts[j]
        if parts is None:
            return make(x)
        if is_batched(self.kinds[j]):
            return make(x, True)
        if not self._many(j):
            return make(x[0], x[1])
        tangents = self.kinds[j]._tangents.array_class._make
        return make(x[0], tangents(x[1:], True) if parts else tangents(x[1], False))

    def _many(self, j: int) -> bool:
        return isinstance(self.kinds[j]._tangents, Namespace)
