"""`Batched`: vmap as an array type. An array holds a lower array with one hidden leading axis, or without.

What has no hidden axis is the same for all, and is computed once. Like a dual array it never changes: what is assigned
to or viewed is the business of a `Tensor` on top of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .arrays import Array, still
from .backends import Backend
from .errors import AutodiffError, BackendMismatchError, BatchingError
from .fixed import Fixed, plain_operators, stand
from .keys import index_value, is_plain, plain_key
from .namespaces import SCALARS, Bound, Namespace
from .rules import Op
from .rules.batched_keys import Hidden, is_hidden
from .rules.batches import unknown_shape
from .rules.batching import bind_law, is_each
from .rules.kinds import binder_of

new = object.__new__
REFUSALS = (AutodiffError, IndexError, TypeError, ValueError)


class Batched(Fixed):
    """An array of the namespace below, whose first axis is out of sight if `_hidden`.

    >>> import autodiff_api as ad
    >>> import numpy as np
    >>> bxp = namespace_over(ad.namespace("numpy")._backend)
    >>> x = bxp.batched(np.asarray([[1.0, 2.0], [3.0, 4.0]]))
    >>> x.shape, bxp.sum(x)._value
    ((2,), array([3., 7.]))
    """

    __slots__ = ("_hidden",)
    _hidden: bool

    @classmethod
    def _make(cls, value: Any, hidden: bool = False) -> Any:
        batched = new(cls)
        batched._value, batched._hidden = value, hidden
        return batched

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis but the hidden one."""
        shape: tuple[int, ...] = self._value.shape
        return shape[1:] if self._hidden else shape

    def detach(self) -> Any:
        """Return the same data without derivatives of any kind."""
        return self._make(still(self._value), self._hidden)

    def numpy(self, *, force: bool = False) -> Any:
        """Return the data as a NumPy array, if it is the same for all; BatchingError if it differs."""
        wanted, remedy = "a NumPy array", "compute with functions of arrays, or outside vmap"
        value = self._one(wanted, remedy)
        return value.numpy() if isinstance(value, Array) and not force else self._xp._backend.to_numpy(value)

    def _one(self, wanted: str, remedy: str) -> Any:
        """Return the value if it is the same for all."""
        if self._hidden:
            raise BatchingError(
                f"vmap: {wanted} was asked of an array of shape {tuple(self.shape)} that has another value for each "
                f"of {self._value.shape[0]}; {remedy}"
            )
        return self._value

    def __dlpack__(self, **options: Any) -> Any:
        remedy = "compute with functions of arrays, or outside vmap"
        return self._one("a DLPack capsule", remedy).__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._value.__dlpack_device__()

    def _fact(self) -> str:
        return f"vmap={self._value.shape[0]}" if self._hidden else ""

    def __repr__(self) -> str:
        return f"batched({self._value}, hidden={self._value.shape[0] if self._hidden else None})"


def bind(cls: Any, op: Op) -> Callable[..., Any]:
    """Return the function of an op for batched arrays of a bound class."""
    function = general(cls, op)
    if is_each(op) and op.parameters == ("x",):
        return unary(cls, op, function)
    if is_each(op) and op.parameters == ("x1", "x2"):
        return binary(cls, op, function)
    return reading(cls, op, function) if op.name == "getitem" else function


def unary(cls: Any, op: Op, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Bind an element-wise function of one array; `otherwise` does what is not plain, and explains errors."""
    kernel = cls._xp._lower.kernel(op.name)

    def call(x: Any, /) -> Any:
        if x.__class__ is not cls:
            return otherwise(x)
        try:
            out = kernel(x._value)
        except REFUSALS:
            return otherwise(x)
        result = new(cls)
        result._value, result._hidden = out, x._hidden
        return result

    return call


def binary(cls: Any, op: Op, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Bind an element-wise function of two arrays whose axes stand over each other as they are."""
    kernel = cls._xp._lower.kernel(op.name)

    def call(x1: Any, x2: Any, /) -> Any:
        if x1.__class__ is cls:
            v1, h1 = x1._value, x1._hidden
            if x2.__class__ is cls:
                v2, h2 = x2._value, x2._hidden
            elif x2.__class__ in SCALARS:
                v2, h2 = x2, None
            else:
                return otherwise(x1, x2)
        elif x2.__class__ is cls and x1.__class__ in SCALARS:
            v1, h1, v2, h2 = x1, None, x2._value, x2._hidden
        else:
            return otherwise(x1, x2)
        if (h1 and h2 is False and v2.ndim >= v1.ndim) or (h2 and h1 is False and v1.ndim >= v2.ndim):
            return otherwise(x1, x2)
        if h1 and h2 and v1.ndim != v2.ndim:
            return otherwise(x1, x2)
        try:
            out = kernel(v1, v2)
        except REFUSALS:
            return otherwise(x1, x2)
        result = new(cls)
        result._value, result._hidden = out, bool(h1 or h2)
        return result

    return call


def reading(cls: Any, op: Op, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Bind indexing: by a key of integers and slices the array below is read as it is."""
    kernel, full = cls._xp._lower.kernel(op.name), slice(None)

    def call(x: Any, key: Any, /) -> Any:
        parts = key if key.__class__ is tuple else (key,)
        if x.__class__ is not cls or not x._hidden or not is_plain(parts):
            return otherwise(x, key)
        try:
            out = kernel(x._value, (full, *parts))
        except (IndexError, TypeError, ValueError):
            return otherwise(x, key)
        result = new(cls)
        result._value, result._hidden = out, True
        return result

    return call


def general(cls: Any, op: Op) -> Callable[..., Any]:
    """Bind any op."""
    xp = cls._xp
    bound, sort, law = Bound(op, xp), binder_of(op), bind_law(op)
    kernel, lower, make, invoke, constant = bound.kernel, bound.lower, cls._make, bound.invoke, bound.constant
    value_of = _key_value(cls) if "key" in op.parameters else None

    def call(*args: Any, **kwargs: Any) -> Any:
        arrays, statics = sort(*args, **kwargs)
        values, hidden, mapped = [], [], False
        for x in arrays:
            if isinstance(x, cls):
                value, own = x._value, x._hidden
                mapped = mapped or own
            else:
                value, own = constant(x), False
                if value is NotImplemented:
                    return bound.hand_on(x, args, kwargs)
            values.append(value)
            hidden.append(own)
        if value_of is not None:
            try:
                statics = tuple([plain_key(s, value_of) for s in statics])
            except BackendMismatchError:
                return bound.hand_on_key(statics[0], args)
            mapped = mapped or any(map(is_hidden, statics))
        try:
            if not mapped:
                out = invoke(kernel, values, statics)
            elif law is not None:
                out = law(kernel, values, hidden, statics, lower)
            else:
                return _composed(op, xp, arrays, statics, invoke)
        except BatchingError:
            raise
        except REFUSALS as error:
            alone = _error_of_one(bound, values, hidden, statics)
            raise (alone or error) from (None if alone else error.__cause__)
        if isinstance(out, tuple | list):
            parts = [make(part, mapped) for part in out]
            return op.result(*parts) if op.result else tuple(parts)
        return make(out, mapped)

    return call


def _error_of_one(bound: Bound, values: Sequence[Any], hidden: Sequence[bool], statics: Any) -> Exception | None:
    """Return the error of the first one alone, which speaks of shapes that the caller knows; None if it has none."""
    if not all(v.shape[0] for v, h in zip(values, hidden, strict=True) if h):
        return None
    first = bound.lower.kernel("getitem")
    ones = [first(v, (0, ...)) if h else v for v, h in zip(values, hidden, strict=True)]
    try:
        plain = tuple([_key_of_one(s, first) for s in statics])
        try:
            bound.invoke(bound.kernel, ones, plain)
        except REFUSALS as error:
            bound.explain(ones, plain, error)
            raise
    except REFUSALS as error:
        return error
    return None


def _key_of_one(key: Any, first: Callable[[Any, Any], Any]) -> Any:
    """Return a key with the first of each part that has the hidden axis; what is no key stays."""
    if isinstance(key, Hidden):
        return first(key.value, (0, ...))
    return tuple([_key_of_one(part, first) for part in key]) if type(key) is tuple else key


def _composed(op: Op, xp: Namespace, arrays: Any, statics: tuple[Any, ...], invoke: Any) -> Any:
    """Run an op without a batching law through its generic kernel, whose ops have theirs."""
    if op.kernel is None:
        raise BatchingError(
            f"vmap: {op.name} has no batching law; give its Op one (batch=), or a generic kernel in the standard's "
            "functions"
        )
    return invoke(partial(op.kernel, xp=xp), arrays, statics)


def _key_value(cls: Any) -> Callable[[Any], Any]:
    """Return a function that takes one part of a key apart, and marks what has the hidden axis."""
    value_of = index_value(cls)

    def value(part: Any) -> Any:
        if isinstance(part, cls) and part._hidden:
            return Hidden(part._value)
        return value_of(part)

    return value


def namespace_over(backend: Backend) -> Namespace:
    """Return a new namespace of batched arrays over a backend, which may be another array type's namespace."""
    xp = stand(BatchedNamespace, Batched, bind, _flatten, lambda make, hidden, parts: make(*parts, hidden), backend)
    plain_operators(xp.array_class)
    return xp


def _flatten(x: Any) -> tuple[tuple[Any], bool]:
    return (x._value,), x._hidden


class BatchedNamespace(Namespace):
    """The namespace of batched arrays: the standard's, and how to make one."""

    _lowest = 1

    def batched(self, value: Any) -> Any:
        """Return a batched array: the first axis of a lower array, which has one, is hidden."""
        return self.array_class._make(value, True)

    def _like(self, name: str, x: Any, dtype: Any, device: Any, requires_grad: bool, *fill: Any) -> Any:
        if not (isinstance(x, self.array_class) and x._hidden):
            return super()._like(name, x, dtype, device, requires_grad, *fill)
        make = getattr(self._lower, name.removesuffix("_like"))
        where = self._device(device) if device is not None else x.device
        return self._new(make(x.shape, *fill, dtype=dtype or x.dtype, device=where), requires_grad=requires_grad)

    def _constants(self, name: str, x: Any) -> Any:
        if isinstance(x, self.array_class) and x._hidden:
            raise unknown_shape(name, "how many different elements there are differs from one to the next")
        return super()._constants(name, x)
