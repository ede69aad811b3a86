"""`Dual`: forward mode. A dual number holds a lower array, and its tangent.

Tangents come from the same rules as cotangents do. A dual array never changes: there is nothing to record, and
what is assigned to or viewed is the business of a `Tensor` on top of it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from .arrays import Array, still
from .backends import Backend
from .errors import BackendMismatchError, GradientError
from .fixed import Fixed, plain_operators, stand
from .keys import index_value, plain_key
from .namespaces import SCALARS, Bound, Lower, Namespace, stand_on
from .rules import Elementwise, Op
from .rules.forward import Push, pushforward
from .rules.kinds import binder_of, to_dtype

new = object.__new__


class Dual(Fixed):
    """An array and its tangent, both of the namespace below; a tangent of None is zero.

    >>> import autodiff_api as ad
    >>> import numpy as np
    >>> dxp = namespace_over(ad.namespace("numpy")._backend)
    >>> x = dxp.dual(np.asarray([1.0, 2.0]), np.asarray([1.0, 0.0]))
    >>> (x * x)._tangent
    array([2., 0.])
    """

    __slots__ = ("_tangent",)
    _tangent: Any

    @classmethod
    def _make(cls, value: Any, tangent: Any = None) -> Any:
        dual = new(cls)
        dual._value, dual._tangent = value, tangent
        return dual

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self._value.shape  # type: ignore[no-any-return]

    def detach(self) -> Any:
        """Return the same data, standing still."""
        return self._make(still(self._value))

    def numpy(self, *, force: bool = False) -> Any:
        """Return the data as a NumPy array; an error for what moves, unless `force=True` lets it stand still."""
        if self._tangent is not None and not force:
            raise GradientError("a dual array has a tangent, which NumPy can't carry; detach() it first")
        value = self._value
        return value.numpy() if isinstance(value, Array) and not force else self._xp._backend.to_numpy(value)

    def _fact(self) -> str:
        return "" if self._tangent is None else f"tangent={self._tangent}"

    def __repr__(self) -> str:
        return f"dual({self._value}, tangent={self._tangent})"


def bind(cls: Any, op: Op) -> Callable[..., Any]:
    """Return the function of an op for dual arrays of a bound class."""
    bound = Bound(op, cls._xp)
    push = Tangents(bound, cls._xp._tangents)
    function = general(cls, bound, push)
    if isinstance(op.rule, Elementwise) and op.parameters == ("x",):
        return unary(cls, bound.kernel, push, function)
    if isinstance(op.rule, Elementwise) and op.parameters == ("x1", "x2"):
        return binary(cls, bound.kernel, push, function)
    return function


def unary(cls: Any, kernel: Callable[..., Any], push: Tangents, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Bind an element-wise function of one array; `otherwise` takes what is no dual array."""
    each = push.each

    def call(x: Any, /) -> Any:
        if x.__class__ is not cls:
            return otherwise(x)
        value, tangent = x._value, x._tangent
        dual = new(cls)
        dual._value = out = kernel(value)
        dual._tangent = None if tangent is None else each((tangent,), (value,), out)
        return dual

    return call


def binary(cls: Any, kernel: Callable[..., Any], push: Tangents, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Bind an element-wise function of two arrays, of which one may be a number; `otherwise` takes all else."""
    each = push.each

    def call(x1: Any, x2: Any, /) -> Any:
        if x1.__class__ is cls:
            v1, t1 = x1._value, x1._tangent
            if x2.__class__ is cls:
                v2, t2 = x2._value, x2._tangent
            elif x2.__class__ in SCALARS:
                v2, t2 = x2, None
            else:
                return otherwise(x1, x2)
        elif x2.__class__ is cls and x1.__class__ in SCALARS:
            v1, t1, v2, t2 = x1, None, x2._value, x2._tangent
        else:
            return otherwise(x1, x2)
        dual = new(cls)
        dual._value = out = kernel(v1, v2)
        dual._tangent = None if t1 is None and t2 is None else each((t1, t2), (v1, v2), out)
        return dual

    return call


def general(cls: Any, bound: Bound, push: Tangents) -> Callable[..., Any]:
    """Bind any op."""
    op, sort = bound.op, binder_of(bound.op)
    value_of = index_value(cls) if "key" in op.parameters else None

    def call(*args: Any, **kwargs: Any) -> Any:
        arrays, statics = sort(*args, **kwargs)
        values, tangents, moving = [], [], False
        for x in arrays:
            if isinstance(x, cls):
                value, tangent = x._value, x._tangent
                moving = moving or tangent is not None
            else:
                value, tangent = bound.constant(x), None
                if value is NotImplemented:
                    return bound.hand_on(x, args, kwargs)
            values.append(value)
            tangents.append(tangent)
        if value_of is not None:
            try:
                statics = tuple([plain_key(s, value_of) for s in statics])
            except BackendMismatchError:
                return bound.hand_on_key(statics[0], args)
        out = bound.invoke(bound.kernel, values, statics)
        if isinstance(out, tuple | list):
            out = (op.result or _tuple)(*out)
            moved = push(tangents, values, out, statics) if moving else (None,) * len(out)
            return type(out)(*map(cls._make, out, moved)) if op.result else tuple(map(cls._make, out, moved))
        return cls._make(out, push(tangents, values, out, statics) if moving else None)

    return call


def _tuple(*values: Any) -> tuple[Any, ...]:
    return values


class Tangents:
    """The tangents of an op's output: its rule going forward, and what every rule leaves to be done."""

    __slots__ = ("_inexact", "_pushes", "bound", "kernel", "xp")

    def __init__(self, bound: Bound, xp: Any) -> None:
        self.bound, self.xp = bound, xp
        self.kernel = bound.kernel if xp is bound.lower else operator.attrgetter(bound.op.name)(xp)
        self._pushes: dict[tuple[bool, ...], Push] = {}
        self._inexact: dict[Any, bool] = {}

    def __call__(self, tangents: Sequence[Any], values: Sequence[Any], out: Any, statics: tuple[Any, ...]) -> Any:
        """Return the tangent of `out`, or of each output, with its shape and dtype; None if it can't move."""
        op, xp = self.bound.op, self.xp
        several = isinstance(out, tuple)
        if op.rule is None:
            return (None,) * len(out) if several else None
        if isinstance(op.rule, Elementwise):
            return self.each(tangents, values, out, statics)
        if not several and not self._moves(out.dtype):
            return None
        needs = tuple([t is not None for t in tangents])
        push = self._pushes.get(needs) or self._push(needs)
        moved = push(tangents, values, out, statics, self.kernel, xp)
        if several:
            return [None if t is None else settle(t, part, xp) for t, part in zip(moved, out, strict=True)]
        return settle(moved, out, xp)

    def each(self, tangents: Sequence[Any], values: Sequence[Any], out: Any, statics: tuple[Any, ...] = ()) -> Any:
        """Return the tangent of the output of an element-wise op."""
        shape, dtype = out.shape, out.dtype
        if not (self._inexact.get(dtype) or self._moves(dtype)):
            return None
        for t in tangents:
            if t is not None and (t.shape != shape or t.dtype != dtype):
                tangents = [None if t is None else _spread(t, out, self.xp) for t in tangents]
                break
        needs = tuple([t is not None for t in tangents])
        push = self._pushes.get(needs) or self._push(needs)
        moved = push(tangents, values, out, statics, self.kernel, self.xp)
        return moved if moved.shape == shape and moved.dtype == dtype else settle(moved, out, self.xp)

    def _moves(self, dtype: Any) -> bool:
        """Tell whether an output of this dtype can have a tangent."""
        known = self._inexact.get(dtype)
        if known is None:
            known = self._inexact[dtype] = self.xp.isdtype(dtype, ("real floating", "complex floating"))
        return known

    def _push(self, needs: tuple[bool, ...]) -> Push:
        """Return the op's rule for the inputs that move, without warnings of what a masked branch computes."""
        quiet, plain = self.bound.xp._quiet, pushforward(self.bound.op, needs)

        def push(*given: Any) -> Any:
            with quiet():
                return plain(*given)

        manager = quiet()  # one that decorates, as most do, is quicker: NumPy's `errstate` takes 0.3 and not 2 µs
        self._pushes[needs] = found = manager(plain) if callable(manager) else push
        return found


def _spread(t: Any, out: Any, xp: Lower) -> Any:
    """Give the tangent of one operand the output's shape, and make it complex where the output is."""
    if t.shape != out.shape:
        t = xp.broadcast_to(t, out.shape)
    if t.dtype != out.dtype and xp.isdtype(out.dtype, "complex floating"):
        t = xp.astype(t, out.dtype)
    return t


def settle(t: Any, out: Any, xp: Lower) -> Any:
    """Bring a formula's result to the dtype and shape of the output: the real part of it where that is real."""
    t = to_dtype(t, out.dtype, xp)
    return t if t.shape == out.shape else xp.broadcast_to(t, out.shape)


def namespace_over(backend: Backend, tangents: Namespace | None = None) -> Namespace:
    """Return a new namespace of dual arrays over a backend, which may be another array type's namespace.

    Tangents are arrays of the same backend, or of a namespace over it: there a tangent may be many at once.
    """
    xp = stand(DualNamespace, Dual, bind, _flatten, lambda make, rest, parts: make(*parts), backend)
    xp._tangents = xp._lower if tangents is None else tangents
    plain_operators(xp.array_class)
    return xp


def _flatten(x: Any) -> tuple[tuple[Any, Any], None]:
    return (x._value, x._tangent), None


class DualNamespace(Namespace):
    """The namespace of dual arrays: the standard's, and how to make one from its two parts."""

    _lowest = 1
    _tangents: Any  # what tangents are computed in

    def dual(self, value: Any, tangent: Any = None) -> Any:
        """Return a dual array of a lower array and its tangent, of the same shape and dtype."""
        return self.array_class._make(value, tangent)


def of_many(backend: Backend) -> Namespace:
    """Return dual arrays whose tangents have a hidden axis: many directions in one pass."""
    below = backend.namespace
    return namespace_over(
        backend, below._over("batched") if isinstance(below, Namespace) else stand_on(backend, "batched")
    )
