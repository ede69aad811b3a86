"""Functions of the standard that are not ops: they create arrays, ask about dtypes, or are said in other ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array, kinds_in
from .axes import one_axis
from .backends import backend_of, default_device
from .errors import ArgumentError, ShapeError
from .inspection import FloatLimits, Inspection, IntegerLimits, device_of, float_limits, integer_limits


class Functions:
    """What every namespace has beside its ops, whatever its array type."""

    _lower: Any
    _array_types: Any
    _backend: Any
    array_class: Any

    # --- creation ---

    def _new(self, value: Any, device: Any = None, requires_grad: bool = False) -> Any:
        if device is not None:
            value = self._backend.place(value, device)
        return self.array_class._create(value, requires_grad)

    def _device(self, device: Any) -> Any:
        return None if device is None else device_of(self._lower, self._backend, device)

    def _home(self, device: Any) -> Any:
        """Return the device that was asked for, else the one that is chosen for new arrays; None is the engine's."""
        return default_device(self._backend.name) if device is None else self._device(device)

    def arange(
        self,
        start: Any,
        /,
        stop: Any = None,
        step: Any = 1,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return evenly spaced numbers from `start` (included) to `stop` (excluded)."""
        value = self._lower.arange(start, stop, step, dtype=dtype, device=self._home(device))
        return self._new(value, requires_grad=requires_grad)

    def asarray(
        self,
        obj: Any,
        /,
        *,
        dtype: Any = None,
        device: Any = None,
        copy: bool | None = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return `obj` as an array: a tensor stays connected to its graph, other data is copied in.

        `copy=False` shares memory, and raises ValueError where that is impossible. Lists may hold tensors.
        """
        own = self._highest(obj)
        x = own.array_class._asarray(obj, dtype=dtype, device=device, copy=copy)
        return x.requires_grad_() if requires_grad else x

    def empty(self, shape: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """Return an array of `shape` whose values are arbitrary."""
        value = self._lower.empty(shape, dtype=dtype, device=self._home(device))
        return self._new(value, requires_grad=requires_grad)

    def eye(
        self,
        n_rows: int,
        n_cols: int | None = None,
        /,
        *,
        k: int = 0,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return a matrix with ones on the k-th diagonal."""
        value = self._lower.eye(n_rows, n_cols, k=k, dtype=dtype, device=self._home(device))
        return self._new(value, requires_grad=requires_grad)

    def from_dlpack(self, x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
        """Return the array behind a DLPack producer, as a leaf.

        The memory is shared where the engines can (JAX: where it is aligned to 64 bytes) and nobody writes into it:
        that of tensors, of any backend, and of engines whose arrays are immutable. What its owner could write into is
        copied, or gradients would be wrong without a word; with `copy=False` it is shared, and must not be written
        into. Raises BufferError for a tensor that requires grad, and where `copy=False` can't be kept.
        """
        if not isinstance(x, self.array_class):
            return self._new(self._taken(x, self._device(device), copy))
        if x.requires_grad or getattr(x, "_tangent", None) is not None:
            raise BufferError("from_dlpack: Can't export Tensors that require gradient, use tensor.detach()")
        y = x.detach() if device is None else self.asarray(x.detach(), device=device)
        if copy is False and y.device != x.device:
            raise BufferError(f"from_dlpack: {x.device} to {y.device} takes a copy; leave copy=False out")
        return y.clone() if copy else y

    def _taken(self, x: Any, device: Any, copy: bool | None) -> Any:
        """Return the array of another library or backend as one of the namespace below."""
        lent, owner = hasattr(x, "_lent"), backend_of(x)
        held = x._lent() if lent else x
        if copy is None and not lent and not isinstance(x, Array) and not (owner is not None and owner.immutable):
            copy = True
        wanted = {k: v for k, v in {"device": device, "copy": copy}.items() if v is not None}
        try:
            return self._lower.from_dlpack(held, **wanted)
        except BufferError:  # memory that may not be written into, which older engines can't be told
            if copy is False or not isinstance(x, Array | np.ndarray):
                raise
            return self._lower.asarray(np.array(x), device=device)

    def full(
        self,
        shape: Any,
        fill_value: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return an array of `shape` filled with a scalar, or with a 0-d tensor, which keeps its graph."""
        own = self._highest(fill_value)
        if isinstance(fill_value, own.array_class):
            x = own.broadcast_to(fill_value, (shape,) if isinstance(shape, int) else tuple(shape))
            return own.asarray(x.clone(), dtype=dtype, device=device, requires_grad=requires_grad)
        value = self._lower.full(shape, fill_value, dtype=dtype, device=self._home(device))
        return self._new(value, requires_grad=requires_grad)

    def linspace(
        self,
        start: Any,
        stop: Any,
        /,
        num: int,
        *,
        dtype: Any = None,
        device: Any = None,
        endpoint: bool = True,
        requires_grad: bool = False,
    ) -> Any:
        """Return `num` evenly spaced numbers over an interval; an end that is a 0-d tensor keeps its graph."""
        own = self._highest(start, stop)
        ends = [x for x in (start, stop) if isinstance(x, own.array_class)]
        if ends:
            steps = own.linspace(0, 1, num, dtype=dtype or own.result_type(*ends), device=device, endpoint=endpoint)
            return own.asarray(start + (stop - start) * steps, dtype=dtype, requires_grad=requires_grad)
        where = self._home(device)
        value = self._lower.linspace(start, stop, num, dtype=dtype, device=where, endpoint=endpoint)
        return self._new(value, requires_grad=requires_grad)

    def ones(self, shape: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """Return an array of ones."""
        value = self._lower.ones(shape, dtype=dtype, device=self._home(device))
        return self._new(value, requires_grad=requires_grad)

    def zeros(self, shape: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """Return an array of zeros."""
        value = self._lower.zeros(shape, dtype=dtype, device=self._home(device))
        return self._new(value, requires_grad=requires_grad)

    def _like(self, name: str, x: Any, dtype: Any, device: Any, requires_grad: bool, *fill: Any) -> Any:
        own = self._highest(x)
        if own is not self:
            return own._like(name, x, dtype, device, requires_grad, *fill)
        value = getattr(self._lower, name)(self._value_of(x), *fill, dtype=dtype, device=self._device(device))
        return self._new(value, requires_grad=requires_grad)

    def empty_like(self, x: Any, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """Return an array of the shape, dtype and device of `x`, whose values are arbitrary."""
        return self._like("empty_like", x, dtype, device, requires_grad)

    def full_like(
        self,
        x: Any,
        /,
        fill_value: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return an array of the shape, dtype and device of `x`, filled with a scalar."""
        if isinstance(fill_value, self._highest(fill_value).array_class):
            dtype, device = dtype or x.dtype, device or x.device
            return self.full(x.shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)
        return self._like("full_like", x, dtype, device, requires_grad, fill_value)

    def ones_like(self, x: Any, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """Return ones of the shape, dtype and device of `x`."""
        return self._like("ones_like", x, dtype, device, requires_grad)

    def zeros_like(self, x: Any, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """Return zeros of the shape, dtype and device of `x`."""
        return self._like("zeros_like", x, dtype, device, requires_grad)

    def tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
        """Return a new leaf that holds a copy of `data` (PyTorch's `torch.tensor`)."""
        if hasattr(data, "detach"):
            data = data.detach()
        own = self._highest(data).array_class
        return own._create(own._asarray(data, dtype=dtype, device=device, copy=True)._value, requires_grad)

    # --- dtypes and inspection ---

    def _highest(self, *given: Any) -> Any:
        """Return the highest namespace among those of arrays, which lists may hold, and this one."""
        found: Any = self
        for kind in kinds_in(given) - {self.array_class}:
            found = found.above(kind) or found
        return found

    def _dtype_of(self, x: Any) -> Any:
        found: Any = x
        return found.dtype if isinstance(x, (self.array_class, *self._array_types)) else x

    def above(self, x: Any) -> Any:
        """Return the namespace of an array that is of another type, over this one's arrays; else None."""
        raise NotImplementedError

    def _value_of(self, x: Any) -> Any:
        while self.above(x) is not None:
            x = x._value
        return x._value if isinstance(x, self.array_class) else x

    def __array_namespace_info__(self) -> Any:
        """Return the standard's inspection object: devices, dtypes, capabilities."""
        return Inspection(self._lower, self._backend, self._home(None))

    def can_cast(self, from_: Any, to: Any, /) -> bool:
        """Tell whether the standard's promotion rules allow a cast."""
        return bool(self._lower.can_cast(self._dtype_of(from_), to))

    def finfo(self, type: Any, /) -> FloatLimits:
        """Return the limits of a floating-point dtype, or of an array's.

        >>> import autodiff_api as ad
        >>> ad.namespace("numpy").finfo(ad.float32).eps
        1.1920928955078125e-07
        """
        return float_limits(self._lower, self._dtype_of(type))

    def iinfo(self, type: Any, /) -> IntegerLimits:
        """Return the limits of an integer dtype, or of an array's.

        >>> import autodiff_api as ad
        >>> ad.namespace("numpy").iinfo(ad.int8).max
        127
        """
        return integer_limits(self._lower, self._dtype_of(type))

    def isdtype(self, dtype: Any, kind: Any) -> bool:
        """Tell whether a dtype is of a kind: "real floating", "complex floating", "integral" ..."""
        return bool(self._lower.isdtype(dtype, kind))

    def result_type(self, *arrays_and_dtypes: Any) -> Any:
        """Return the dtype that the standard's promotion rules give."""
        return self._lower.result_type(*[self._value_of(x) for x in arrays_and_dtypes])

    # --- said in other ops ---

    def allclose(self, x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
        """Tell whether |x1 - x2| <= atol + rtol * |x2| for every element; infinities must be equal."""
        xp: Any = self
        return bool(xp.all(xp.isclose(x1, x2, rtol, atol, equal_nan)))

    def broadcast_arrays(self, *arrays: Any) -> tuple[Any, ...]:
        """Broadcast arrays against each other."""
        shape = self.broadcast_shapes(*[x.shape for x in arrays])
        return tuple(self.broadcast_to(x, shape) for x in arrays)  # type: ignore[attr-defined]

    def broadcast_shapes(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that arrays of these shapes broadcast to; ShapeError if they don't."""
        ndim = max((len(s) for s in shapes), default=0)
        result = []
        for place in range(-ndim, 0):
            sizes = {s[place] for s in shapes if len(s) >= -place} - {1}
            if len(sizes) > 1:
                raise ShapeError(f"shapes {', '.join(map(str, shapes))} do not broadcast: sizes {sorted(sizes)} differ")
            result.append(sizes.pop() if sizes else 1)
        return tuple(result)

    def diff(self, x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
        """Return the n-th difference of neighbours along an axis."""
        xp: Any = self
        x = xp.asarray(x)
        if n < 0:
            raise ArgumentError(f"diff: n says how often to take differences, 0 or more, not {n}")
        lead = (slice(None),) * one_axis("diff", axis, x.shape)
        parts = [p for p in (prepend, x, append) if p is not None]
        x = xp.concat(parts, axis=axis) if len(parts) > 1 else x
        for _ in range(n):
            late, early = x[(*lead, slice(1, None))], x[(*lead, slice(None, -1))]
            x = xp.not_equal(late, early) if xp.isdtype(x.dtype, "bool") else late - early
        return x

    def meshgrid(self, *arrays: Any, indexing: str = "xy") -> tuple[Any, ...]:
        """Return coordinate matrices from coordinate vectors."""
        xp: Any = self
        n, swap = len(arrays), indexing == "xy" and len(arrays) > 1
        if indexing not in ("xy", "ij"):
            raise ValueError(f"indexing must be 'xy' or 'ij', not {indexing!r}")
        places = [1, 0, *range(2, n)] if swap else list(range(n))
        grids = []
        for x, place in zip(arrays, places, strict=True):
            grids.append(xp.reshape(x, tuple(-1 if i == place else 1 for i in range(n))))
        return self.broadcast_arrays(*grids)

    def unstack(self, x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        """Split an array into views along an axis."""
        xp: Any = self
        x = xp.asarray(x)
        place = one_axis("unstack", axis, x.shape)
        return tuple(x[(*(slice(None),) * place, i)] for i in range(x.shape[place]))

    def _constants(self, name: str, x: Any) -> Any:
        own = self._highest(x)
        if own is not self:
            return own._constants(name, x)
        result = getattr(self._lower, name)(self._value_of(x))
        make = self.array_class._make
        if not isinstance(result, tuple):
            return make(result)
        return type(result)(*map(make, result)) if hasattr(result, "_fields") else tuple(map(make, result))

    def unique_values(self, x: Any, /) -> Any:
        """Return the distinct elements, as constants."""
        return self._constants("unique_values", x)

    def unique_counts(self, x: Any, /) -> Any:
        """Return the distinct elements and how often each occurs, as constants."""
        return self._constants("unique_counts", x)

    def unique_inverse(self, x: Any, /) -> Any:
        """Return the distinct elements and the indices that rebuild `x`, as constants."""
        return self._constants("unique_inverse", x)

    def unique_all(self, x: Any, /) -> Any:
        """Return the distinct elements, their first indices, inverse and counts, as constants."""
        return self._constants("unique_all", x)
