"""What every array type of the library shares: operators, and the methods that arrays are expected to have.

All of it is said in the array's own namespace, `self._xp`, so it holds for any array type. Names are the
standard's; where PyTorch users would type another (`dim`, `view`, `unsqueeze`), that works too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from .errors import ShapeError

BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}  # fmt: skip
COMPARE = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip
UNARY = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}
VERSIONS = (None, "2021.12", "2022.12", "2023.12", "2024.12", "2025.12")  # of the standard
MISSING: Any = object()


def one_of(axis: Any, dim: Any) -> Any:
    """Return the axis, given by the standard's name or by PyTorch's."""
    axis = axis if dim is MISSING else dim
    return tuple(axis) if isinstance(axis, list) else axis


def sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return a shape given as one tuple or as several numbers."""
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        return tuple(shape[0])
    return shape


def still(value: Any) -> Any:
    """Return what an array holds without its derivatives, of whichever kind: raw arrays have none."""
    return value.detach() if isinstance(value, Array) else value


def kinds_in(parts: Any) -> set[type]:
    """Return the types of what a list holds, and of what lists in it hold."""
    kinds = set(map(type, parts))
    for kind in kinds:
        if issubclass(kind, list | tuple):
            return kinds.union(*(kinds_in(part) for part in parts if isinstance(part, list | tuple)))
    return kinds


class Array:
    """Operators and methods over `self._xp`; the array types derive from it."""

    __slots__ = ()
    _xp: Any  # the namespace; an attribute of each bound class
    _value: Any
    _node: Any
    _public: Any  # the class that users name, from which the bound class was made
    _rebuild: Any  # what unpickling calls
    _asarray: Any  # makes an array of this class of any data
    _create: Any  # makes an array of this class
    _grad_or_none: Any
    detach: Any
    numpy: Any
    __array_priority__ = 1000  # numpy.ndarray defers to our reflected operators
    __array_ufunc__ = None  # and its ufuncs refuse us, instead of making object arrays

    # --- the standard's attributes ---

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        raise NotImplementedError

    @property
    def dtype(self) -> Any:
        """The data type of the elements."""
        raise NotImplementedError

    @property
    def device(self) -> Any:
        """Where the data lives; None while a compiler traces."""
        value: Any = self._value
        if hasattr(type(value), "device") or not isinstance(value, self._xp._backend.array_types):
            return getattr(value, "device", None)
        return self._xp._backend.devices()[0]  # of an engine whose arrays don't say, there is one

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this array are recorded."""
        return False

    @property
    def is_leaf(self) -> bool:
        """Whether this array was not computed by a recorded operation."""
        return True

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        n = 1
        for m in self.shape:
            n *= m
        return n

    @property
    def T(self) -> Self:
        """The transpose of a matrix."""
        if len(self.shape) != 2:
            raise ValueError(f"T is for matrices, not shape {self.shape}; use mT, or permute_dims with axes")
        return self._xp.matrix_transpose(self)

    @property
    def mT(self) -> Self:
        """The transpose of the last two axes."""
        return self._xp.matrix_transpose(self)

    @property
    def real(self) -> Self:
        """The real part."""
        return self._xp.real(self) if self._is_complex() else self

    @property
    def imag(self) -> Self:
        """The imaginary part."""
        return self._xp.imag(self)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """Return the namespace of this array's functions; ValueError for a version it does not know."""
        if api_version not in VERSIONS:
            known = ", ".join(v for v in VERSIONS if v)
            raise ValueError(f"version {api_version!r} of the standard is not known here; ask for one of {known}")
        return self._xp

    def _as_now(self) -> Any:
        """Return this array as something that no later change reaches: itself, for an array that never changes."""
        return self

    def _is_complex(self) -> bool:
        return bool(self._xp.isdtype(self.dtype, "complex floating"))

    def _is_float(self) -> bool:
        return bool(self._xp.isdtype(self.dtype, ("real floating", "complex floating")))

    @classmethod
    def _is_held(cls, obj: Any) -> bool:
        """Tell whether a list, or one in it, holds an array of this class."""
        return isinstance(obj, list | tuple) and any(issubclass(kind, cls) for kind in kinds_in(obj))

    @classmethod
    def _stacked(cls, parts: Any, dtype: Any, device: Any) -> Any:
        """Return a list that holds arrays as one array, connected to them."""
        xp = cls._xp
        arrays = [cls._asarray(part, dtype=dtype, device=device, copy=None) for part in parts]
        common = xp.result_type(*arrays)
        return xp.stack([xp.astype(x, common, copy=False) for x in arrays])

    def _fact(self) -> str:
        """Say for a tensor's repr what this array adds to the one that it holds."""
        return ""

    # --- operators ---

    if (
        TYPE_CHECKING
    ):  # bound to the namespace's own functions when a bound class is made, so that none costs a second call

        def __add__(self, other: Any) -> Self: ...
        def __radd__(self, other: Any) -> Self: ...
        def __iadd__(self, other: Any) -> Self: ...
        def __sub__(self, other: Any) -> Self: ...
        def __rsub__(self, other: Any) -> Self: ...
        def __isub__(self, other: Any) -> Self: ...
        def __mul__(self, other: Any) -> Self: ...
        def __rmul__(self, other: Any) -> Self: ...
        def __imul__(self, other: Any) -> Self: ...
        def __truediv__(self, other: Any) -> Self: ...
        def __rtruediv__(self, other: Any) -> Self: ...
        def __itruediv__(self, other: Any) -> Self: ...
        def __floordiv__(self, other: Any) -> Self: ...
        def __rfloordiv__(self, other: Any) -> Self: ...
        def __ifloordiv__(self, other: Any) -> Self: ...
        def __mod__(self, other: Any) -> Self: ...
        def __rmod__(self, other: Any) -> Self: ...
        def __imod__(self, other: Any) -> Self: ...
        def __pow__(self, other: Any) -> Self: ...
        def __rpow__(self, other: Any) -> Self: ...
        def __ipow__(self, other: Any) -> Self: ...
        def __matmul__(self, other: Any) -> Self: ...
        def __rmatmul__(self, other: Any) -> Self: ...
        def __imatmul__(self, other: Any) -> Self: ...
        def __and__(self, other: Any) -> Self: ...
        def __rand__(self, other: Any) -> Self: ...
        def __iand__(self, other: Any) -> Self: ...
        def __or__(self, other: Any) -> Self: ...
        def __ror__(self, other: Any) -> Self: ...
        def __ior__(self, other: Any) -> Self: ...
        def __xor__(self, other: Any) -> Self: ...
        def __rxor__(self, other: Any) -> Self: ...
        def __ixor__(self, other: Any) -> Self: ...
        def __lshift__(self, other: Any) -> Self: ...
        def __rlshift__(self, other: Any) -> Self: ...
        def __ilshift__(self, other: Any) -> Self: ...
        def __rshift__(self, other: Any) -> Self: ...
        def __rrshift__(self, other: Any) -> Self: ...
        def __irshift__(self, other: Any) -> Self: ...
        def __lt__(self, other: Any) -> Self: ...
        def __le__(self, other: Any) -> Self: ...
        def __gt__(self, other: Any) -> Self: ...
        def __ge__(self, other: Any) -> Self: ...
        def __eq__(self, other: Any) -> Self: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Self: ...  # type: ignore[override]
        def __hash__(self) -> int: ...
        def __neg__(self) -> Self: ...
        def __pos__(self) -> Self: ...
        def __abs__(self) -> Self: ...
        def __invert__(self) -> Self: ...

    # --- container ---

    def __getitem__(self, key: Any) -> Self:
        return self._xp.getitem(self, key)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, item: Any) -> bool:
        return bool(self._xp.any(self._xp.equal(self, item)))

    # --- methods ---

    def abs(self) -> Self:
        """Return the absolute values."""
        return self._xp.abs(self)

    def all(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Tell whether all elements are true."""
        return self._xp.all(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def any(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Tell whether any element is true."""
        return self._xp.any(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def argmax(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Return the index of the largest element."""
        return self._xp.argmax(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def argmin(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Return the index of the smallest element."""
        return self._xp.argmin(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def argsort(self, axis: int = -1, descending: bool = False, *, dim: Any = MISSING) -> Self:
        """Return the indices that sort an axis."""
        return self._xp.argsort(self, axis=one_of(axis, dim), descending=descending)

    def astype(self, dtype: Any, *, copy: bool = True) -> Self:
        """Return the array cast to `dtype`; gradients return in this array's dtype."""
        return self._xp.astype(self, dtype, copy=copy)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Limit the values to an interval."""
        return self._xp.clip(self, min, max)

    clamp = clip

    def conj(self) -> Self:
        """Return the complex conjugate."""
        return self._xp.conj(self) if self._is_complex() else self

    def cos(self) -> Self:
        """Return the cosine of each element (radians)."""
        return self._xp.cos(self)

    def cumprod(self, axis: int = 0, *, dim: Any = MISSING) -> Self:
        """Return the cumulative product along an axis."""
        return self._xp.cumulative_prod(self, axis=one_of(axis, dim))

    def cumsum(self, axis: int = 0, *, dim: Any = MISSING) -> Self:
        """Return the cumulative sum along an axis."""
        return self._xp.cumulative_sum(self, axis=one_of(axis, dim))

    def diagonal(self, offset: int = 0) -> Self:
        """Return the diagonals of the last two axes, as a view."""
        return self._xp.linalg.diagonal(self, offset=offset)

    def dim(self) -> int:
        """Return the number of axes (PyTorch's name for `ndim`)."""
        return self.ndim

    def dot(self, other: Any) -> Self:
        """Return the matrix product."""
        return self._xp.matmul(self, other)

    matmul = mm = dot

    def exp(self) -> Self:
        """Return e to the power of each element."""
        return self._xp.exp(self)

    def expand(self, *shape: Any) -> Self:
        """Broadcast to a shape, in which -1 keeps an axis as it is."""
        wanted = sizes(shape)
        if len(wanted) < self.ndim:
            raise ShapeError(f"expand to {tuple(wanted)}: give at least the {self.ndim} axes of shape {self.shape}")
        own = (1,) * (len(wanted) - self.ndim) + self.shape
        return self._xp.broadcast_to(self, tuple(m if n == -1 else n for n, m in zip(wanted, own, strict=True)))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """Return the elements with the axes from `start_dim` to `end_dim` made one, as a view where it can be."""
        shape = self.shape or (1,)
        if start_dim == 0 and end_dim == -1:
            return self._xp.reshape(self, (math.prod(shape),))
        start, end = start_dim % len(shape), end_dim % len(shape) + 1
        return self._xp.reshape(self, (*shape[:start], math.prod(shape[start:end]), *shape[end:]))

    def ravel(self) -> Self:
        """Return the elements along one axis, as a view where it can be."""
        return self.flatten()

    def flip(self, axis: Any = None) -> Self:
        """Reverse the order along axes."""
        return self._xp.flip(self, axis=axis)

    def log(self) -> Self:
        """Return the natural logarithm."""
        return self._xp.log(self)

    def max(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Return the largest elements."""
        return self._xp.max(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def mean(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Return the arithmetic mean."""
        return self._xp.mean(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def min(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Return the smallest elements."""
        return self._xp.min(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def nonzero(self) -> tuple[Self, ...]:
        """Return the indices of the non-zero elements, one array per axis."""
        return self._xp.nonzero(self)

    def norm(self) -> Self:
        """Return the Euclidean norm of all elements."""
        return self._xp.linalg.vector_norm(self)

    def numel(self) -> int:
        """Return the number of elements (PyTorch's name for `size`)."""
        return self.size

    def permute(self, *axes: Any) -> Self:
        """Return a view with the axes in another order."""
        return self._xp.permute_dims(self, sizes(axes))

    def pow(self, exponent: Any) -> Self:
        """Return each element to the power of `exponent`."""
        return self._xp.pow(self, exponent)

    def prod(self, axis: Any = None, keepdims: bool = False, *, dim: Any = MISSING, keepdim: bool = False) -> Self:
        """Return the product of elements."""
        return self._xp.prod(self, axis=one_of(axis, dim), keepdims=keepdims or keepdim)

    def relu(self) -> Self:
        """Return the elements, with the negative ones replaced by 0."""
        return self._xp.nn.relu(self)

    def repeat(self, *repeats: Any) -> Self:
        """Tile the array, as PyTorch's `repeat` does (the standard's `repeat` is the function)."""
        return self._xp.tile(self, sizes(repeats))

    def reshape(self, *shape: Any, copy: bool | None = None) -> Self:
        """Return the elements in another shape, as a view."""
        return self._xp.reshape(self, sizes(shape), copy=copy)

    def view(self, *shape: Any) -> Self:
        """Return the elements in another shape; an error where that can't be a view."""
        try:
            return self._xp.reshape(self, sizes(shape), copy=False)
        except (TypeError, ValueError) as error:
            raise ShapeError(
                f"view size is not compatible with input tensor's size and stride: {error}. Use .reshape(...) instead."
            ) from error

    def round(self) -> Self:
        """Round to the nearest integer, halves to even."""
        return self._xp.round(self)

    def sigmoid(self) -> Self:
        """Return 1 / (1 + exp(-x)), accurate at both ends."""
        return self._xp.special.expit(self)

    def sin(self) -> Self:
        """Return the sine of each element (radians)."""
        return self._xp.sin(self)

    def sort(self, axis: int = -1, descending: bool = False) -> Self:
        """Return the elements in order."""
        return self._xp.sort(self, axis=axis, descending=descending)

    def sqrt(self) -> Self:
        """Return the square root."""
        return self._xp.sqrt(self)

    def square(self) -> Self:
        """Return the square."""
        return self._xp.square(self)

    def squeeze(self, axis: Any = None, *, dim: Any = MISSING) -> Self:
        """Return a view without axes of length 1 (all of them when none is named)."""
        axis = one_of(axis, dim)
        axes = tuple([i for i, n in enumerate(self.shape) if n == 1]) if axis is None else axis
        return self._xp.squeeze(self, axes)

    def std(
        self,
        axis: Any = None,
        correction: float = 0.0,
        keepdims: bool = False,
        *,
        dim: Any = MISSING,
        keepdim: bool = False,
    ) -> Self:
        """Return the standard deviation; the standard's `correction` is 0, PyTorch's default is 1."""
        return self._xp.std(self, axis=one_of(axis, dim), correction=correction, keepdims=keepdims or keepdim)

    def sum(
        self,
        axis: Any = None,
        keepdims: bool = False,
        *,
        dim: Any = MISSING,
        keepdim: bool = False,
        dtype: Any = None,
    ) -> Self:
        """Return the sum of elements."""
        return self._xp.sum(self, axis=one_of(axis, dim), dtype=dtype, keepdims=keepdims or keepdim)

    def t(self) -> Self:
        """Return the transpose of a matrix (a vector is its own)."""
        return self if self.ndim < 2 else self.T

    def take(self, indices: Any, axis: int | None = None) -> Self:
        """Return the elements at `indices` along an axis."""
        return self._xp.take(self, indices, axis=axis)

    def tan(self) -> Self:
        """Return the tangent of each element (radians)."""
        return self._xp.tan(self)

    def tanh(self) -> Self:
        """Return the hyperbolic tangent."""
        return self._xp.tanh(self)

    def transpose(self, *axes: Any) -> Self:
        """Reverse the axes; or swap two, as in PyTorch; or put all of three or more in the order given."""
        axes = sizes(axes)
        if not axes:
            axes = tuple(reversed(range(self.ndim)))
        elif len(axes) == 2:
            a, b = (x % self.ndim for x in axes)
            axes = tuple(b if i == a else a if i == b else i for i in range(self.ndim))
        return self._xp.permute_dims(self, axes)

    def unsqueeze(self, axis: int) -> Self:
        """Return a view with a new axis of length 1."""
        return self._xp.expand_dims(self, axis=axis)

    def var(
        self,
        axis: Any = None,
        correction: float = 0.0,
        keepdims: bool = False,
        *,
        dim: Any = MISSING,
        keepdim: bool = False,
    ) -> Self:
        """Return the variance; the standard's `correction` is 0, PyTorch's default is 1."""
        return self._xp.var(self, axis=one_of(axis, dim), correction=correction, keepdims=keepdims or keepdim)
