"""Leaving the library: to Python numbers, NumPy, DLPack, other dtypes and devices, copies and pickles."""

from __future__ import annotations

import copy as copying
import operator
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from .arrays import Array
from .display import describe
from .errors import DetachWarning, GradientError, GraphError, ShapeError
from .modes import mode


class Export(Array):
    """What turns a tensor into something else, and what refuses to where a gradient would be lost."""

    __slots__ = ()

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self.size != 1:
            raise ShapeError(
                f"a Tensor with {self.size} elements cannot be converted to Scalar; item() takes one element"
            )
        return self._xp._backend.to_numpy(self._value).item()

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        return self._xp._backend.to_numpy(self._value).tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Return a read-only NumPy array of the data, sharing memory where the backend can.

        Raises while recording for a tensor that requires grad, unless `force=True` detaches it.
        """
        if self._node is not None and not force and mode().recording:
            raise GradientError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead. "
                "(A NumPy function was given a Tensor, or np.asarray was called: gradients would be lost.)"
            )
        value = self._value  # which, of a transformation, has its own objections
        own = isinstance(value, Array) and not force
        array = (value.numpy() if own else self._xp._backend.to_numpy(value)).view()
        array.flags.writeable = False
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"can't cast {array.dtype} to {dtype} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[Any, Any] | None = None,
        dl_device: Any = None,
        copy: Any = None,
    ) -> Any:
        value = self._lent()
        if max_version is not None and max_version < (1, 0):
            max_version = None  # by the protocol the same: the kind of capsule that has no version
        if isinstance(value, np.ndarray) and max_version is not None:
            value = value.view()
            value.flags.writeable = False  # which this kind of capsule can say
        elif copy is None and isinstance(value, self._xp._backend.array_types) and not self._xp._backend.immutable:
            value = self._xp._lower.clone(value)  # whoever writes into what he is given shall not change a graph
        wanted = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        return value.__dlpack__(**{k: v for k, v in wanted.items() if v is not None})

    def _lent(self) -> Any:
        """Return the value, for somebody who won't write into it."""
        if self._node is not None and mode().recording:
            raise BufferError("Can't export Tensors that require gradient, use tensor.detach()")
        value = self._xp._lower.asarray(self._value)
        return value if hasattr(value, "__dlpack__") else self._xp._backend.to_numpy(value)  # a lazy one is computed

    def __dlpack_device__(self) -> Any:
        return self._lent().__dlpack_device__()

    def __bool__(self) -> bool:
        if self.size != 1:
            how_many = "more than one value" if self.size else "no values"
            raise ShapeError(f"Boolean value of Tensor with {how_many} is ambiguous; use any(), all() or size")
        return bool(self._value)

    def __index__(self) -> int:
        return operator.index(self._value)  # and not its __index__: floats have none

    def _number(self, kind: Any) -> Any:
        if self._node is not None and mode().recording:
            warnings.warn(
                f"{kind.__name__}() of a tensor that requires grad: the gradient stops here. "
                "Use item() or detach() to say so.",
                DetachWarning,
                stacklevel=3,
            )
        return kind(self._only())

    def _only(self) -> Any:
        """Return the value of a tensor of one element, with no axes."""
        if self.size != 1:
            raise ShapeError(
                f"only one element tensors can be converted to Python scalars, not shape {tuple(self.shape)}"
            )
        return self._xp._lower.reshape(self._value, ())

    def __float__(self) -> float:
        return self._number(float)

    def __int__(self) -> int:
        return int(self._only())  # an integer has no gradient to lose

    def __complex__(self) -> complex:
        return self._number(complex)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    def __repr__(self) -> str:
        return describe(self)

    # --- placement and dtype ---

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """Return the tensor on a device; gradients return to this one's."""
        return self._xp.to_device(self, device, stream=stream)

    def to(self, *targets: Any, dtype: Any = None, device: Any = None) -> Any:
        """Return the tensor with another dtype and/or on another device (PyTorch's `to`).

        A target is a dtype, a device, or a tensor that has both.
        """
        x = self
        dtype, device = destination(self._xp, targets, dtype, device)
        if dtype is not None and x.dtype != dtype:
            x = self._xp.astype(x, dtype)
        return x if device is None or device == x.device else x._xp.asarray(x, device=device)

    def cpu(self) -> Any:
        """Return the tensor on the backend's CPU device."""
        return self.to(device="cpu")

    def float(self) -> Any:
        """Return the tensor as float32."""
        return self.to(dtype=self._xp.float32)

    def double(self) -> Any:
        """Return the tensor as float64."""
        return self.to(dtype=self._xp.float64)

    def long(self) -> Any:
        """Return the tensor as int64."""
        return self.to(dtype=self._xp.int64)

    def bool(self) -> Any:
        """Return the tensor as bool."""
        return self.to(dtype=self._xp.bool)

    def int(self) -> Any:
        """Return the tensor as int32."""
        return self.to(dtype=self._xp.int32)

    # --- copying and pickling: the graph stays behind ---

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        if not self.is_leaf:
            raise GraphError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment; detach() it first"
            )
        twin = type(self)._twin(self._xp._lower.clone(self._value), self.requires_grad)
        memo[id(self)] = twin
        twin._grad = copying.deepcopy(self._grad_or_none(), memo)
        return twin

    def __copy__(self) -> Any:
        return type(self)._twin(self._value, self.requires_grad)

    @classmethod
    def _twin(cls, value: Any, requires_grad: Any) -> Any:
        """Return a new leaf of the same public class (a view's copy is no view)."""
        kind = cls if "_public" in vars(cls) else cls._xp.array_class
        return kind._create(value, requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        host = self._xp._backend.to_numpy(self._value)
        return self._rebuild, (self._public, self._xp._backend.name, host, self.requires_grad)


def destination(xp: Any, targets: Iterable[Any], dtype: Any = None, device: Any = None) -> tuple[Any, Any]:
    """Return the dtype and the device that the arguments of PyTorch's `to` name, None where they name none."""
    for target in targets:
        if isinstance(target, Array):
            dtype, device = target.dtype, target.device
        elif isinstance(target, str) or not _is_dtype(xp, target):
            device = target
        else:
            dtype = target
    return dtype, device


def _is_dtype(xp: Any, target: Any) -> bool:
    try:
        xp.isdtype(target, "numeric")
    except (TypeError, ValueError):
        return False
    return True
