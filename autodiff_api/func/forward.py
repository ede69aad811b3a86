"""Transformations that go forward: `jvp`, `jacfwd`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import levels
from ..errors import TransformError
from ..trees import flatten, unflatten
from .calls import Call


def jvp(func: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False) -> Any:
    """Return `func(*primals)` and its directional derivative along `tangents`, as `(output, tangent)`.

    `primals` and `tangents` are sequences of trees built alike. With `has_aux` the result is `(output, tangent, aux)`.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.jvp(lambda x: x**2, (np.asarray([1.0, 2.0]),), (np.asarray([1.0, 10.0]),))
    (array([1., 4.]), array([ 2., 40.]))
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TransformError("jvp: primals and tangents are tuples, with an entry for each argument of the function")
    call = Call("jvp", func, primals, {}, tuple(range(len(primals))))
    given = call.tangents(tuple(tangents))
    for t in given:
        call.xp = call.xp.above(t) or call.xp
    moving = Moving(call, "dual", given, has_aux)
    beside, _ = flatten(tuple(tangents))

    def finish(x: Any) -> Any:
        return call.finish(x, *beside)

    values = unflatten(moving.tree, [finish(y) for y in moving.values])
    moved = [call.xp.zeros_like(y) if t is None else t for t, y in zip(moving.moved, moving.values, strict=True)]
    moved = unflatten(moving.tree, [finish(t) for t in moved])
    return (values, moved, moving.passed_on(finish)) if has_aux else (values, moved)


class Moving:
    """A call with dual numbers: the outputs' values, and their tangents."""

    def __init__(self, call: Call, kind: str, tangents: Sequence[Any], has_aux: bool) -> None:
        """Call the function with tangents: tensors of the call's namespace, or arrays over them with a hidden axis."""
        self.xp = call.xp
        duals = self.xp._over(kind)
        self.top = duals._tensors
        make, wrap = duals.array_class._make, self.top.array_class._make
        below = [levels.lift(x, self.xp)._as_now() for x in call.variables]
        moving = [wrap(make(x, t)) for x, t in zip(below, tangents, strict=True)]
        with levels.entered(self.top):
            result, aux = call.split(call.run(moving, self.top), has_aux)
            outputs, self.tree = call.outputs(result, self.top)
            self.duals = [y._value for y in outputs]
        self.aux = aux

    @property
    def values(self) -> list[Any]:
        """The outputs, standing still."""
        return [d._value for d in self.duals]

    @property
    def moved(self) -> list[Any]:
        """The outputs' tangents, None for what does not move."""
        return [d._tangent for d in self.duals]

    def passed_on(self, finish: Callable[[Any], Any]) -> Any:
        """Return the auxiliary output, standing still."""
        leaves, tree = flatten(self.aux)
        top = self.top.array_class
        return unflatten(tree, [finish(x._value._value) if isinstance(x, top) else x for x in leaves])
