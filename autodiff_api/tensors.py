"""`Tensor`: reverse mode. A tensor holds a lower array, and the node that made it."""

from __future__ import annotations

import copy as copying
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Self

from . import gradients
from .arrays import BINARY, COMPARE, UNARY, Array
from .backends import extra_ops, get_backend
from .display import describe
from .errors import BackendMismatchError, DetachWarning, GradientError, GraphError, ShapeError
from .graph import Edge, HookHandle, Leaf, Node, eager_leaves, hooks_of
from .modes import mode, no_grad
from .namespaces import Bound, Lower, Namespace, mismatch
from .record import Recorder, binary, comparison, constant, defer, refuse, unary
from .rules import OPS, Op
from .rules.kinds import binder_of
from .views import (
    DETACHED, Derivation, ViewMixin, check_writable, is_basic, make_view, plain_key, rebind, viewable, write,
)  # fmt: skip

new = object.__new__


class Tensor(Array):
    """An array that records what is computed from it, so that gradients can flow back.

    Make one with `ad.tensor`, `xp.asarray` or any creation function; each backend's namespace has its own
    subclass. `requires_grad` marks a leaf; `backward()` fills the `.grad` of the leaves.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> (x**2).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_grad", "_node", "_value")
    _view_class: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        raise TypeError("Tensor has no public constructor; use ad.tensor(data) or a namespace's asarray(data)")

    # --- making tensors ---

    @classmethod
    def _make(cls, value: Any, node: Edge | None = None) -> Any:
        tensor = new(cls)
        tensor._value = value
        tensor._node = node
        return tensor

    @classmethod
    def _create(cls, value: Any, requires_grad: bool) -> Any:
        tensor = cls._make(value)
        return tensor.requires_grad_() if requires_grad else tensor

    @classmethod
    def _asarray(cls, obj: Any, *, dtype: Any, device: Any, copy: bool | None) -> Any:
        xp = cls._xp
        if isinstance(obj, Tensor) and not isinstance(obj, cls):  # another backend's: through the host
            return cls._asarray(obj.numpy(force=False), dtype=dtype, device=device, copy=copy)
        if isinstance(obj, cls):
            x = obj
            if dtype is not None and x.dtype != dtype:
                if copy is False:
                    raise ValueError(f"asarray: can't cast {x.dtype} to {dtype} without a copy; leave copy=False out")
                x = xp.astype(x, dtype)
            if device is not None:
                x = xp.to_device(x, xp._backend.place(x._value, device).device)
            return xp.clone(x) if copy and x is obj else x
        if isinstance(obj, list | tuple) and _holds(obj, cls):
            parts = [cls._asarray(part, dtype=dtype, device=device, copy=None) for part in obj]
            common = xp.result_type(*parts)
            return xp.stack([xp.astype(p, common, copy=False) for p in parts])
        own = isinstance(obj, xp._array_types)
        if copy is None and (not own or hasattr(obj, "__setitem__")):
            copy = True  # a copy of what others could write into; an immutable array can be shared
        value = xp._lower.asarray(obj, dtype=dtype, copy=copy)
        if device is not None:
            value = xp._backend.place(value, device)
        return cls._make(value)

    @classmethod
    def _bind(cls, op: Op) -> Callable[..., Any]:
        """Return the function of this op for tensors of this class."""
        bound = Bound(op, cls._xp)
        if op.rule is None:
            return comparison(bound, refuse(bound)) if op.parameters == ("x1", "x2") else constant(bound)
        if op.view or op.name in SPECIAL:
            return SPECIAL.get(op.name, _viewing)(Recorder(bound, binder_of(op)), cls)
        if op.parameters == ("x",):
            return unary(bound, refuse(bound))
        if op.parameters == ("x1", "x2"):
            return binary(bound, refuse(bound))
        recorder = Recorder(bound, binder_of(op))
        return lambda *args, **kwargs: recorder(*args, **kwargs)

    # --- attributes ---

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self._value.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The data type of the elements."""
        return self._value.dtype

    @property
    def device(self) -> Any:
        """Where the data lives; None while a compiler traces."""
        return getattr(self._value, "device", None)

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded; settable on leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if isinstance(self._node, Node):
            raise _not_a_leaf()
        self.requires_grad_(wanted)

    @requires_grad.deleter
    def requires_grad(self) -> None:
        raise GraphError("requires_grad must be a bool; it can't be deleted")

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Start or stop recording what is computed from this leaf, and return it."""
        if bool(requires_grad) == (self._node is not None):
            return self
        if isinstance(self._node, Node):
            raise _not_a_leaf()
        if requires_grad and not self._is_float():
            raise GradientError(
                f"Only Tensors of floating point and complex dtype can require gradients, got {self.dtype}; "
                "give a float dtype, or cast with astype"
            )
        self._node = Leaf(self, self._value) if requires_grad else None
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was not computed by a recorded operation."""
        return not isinstance(self._node, Node)

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made this tensor; None for a leaf."""
        node = self._node
        return node if isinstance(node, Node) else None

    @property
    def grad(self) -> Any:
        """The accumulated gradient: None until a backward pass reaches this tensor."""
        found = self._grad_or_none()
        if found is None and not self.is_leaf and not self.retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                "won't be populated during backward(). Call .retain_grad() on it before backward().",
                UserWarning,
                stacklevel=2,
            )
        return found

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            self._grad = None
            return
        if value is self:
            raise GradientError("can't assign a Variable as its own grad; assign a clone()")
        if not isinstance(value, self._xp.array_class):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
        if value.shape != self.shape or value.dtype != self.dtype:
            raise GradientError(
                f"assigned grad has shape {tuple(value.shape)} and dtype {value.dtype}, but the tensor has shape "
                f"{tuple(self.shape)} and dtype {self.dtype}; they must agree"
            )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def _grad_or_none(self) -> Any:
        return getattr(self, "_grad", None)

    # --- autograd ---

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add this tensor's gradients to the `.grad` of the leaves it was computed from.

        `gradient` is the cotangent, of this tensor's shape; it may be left out for one real element. See
        :func:`autodiff_api.autograd.backward` for the rest.
        """
        gradients.backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Any:
        """Return a view of the same data that doesn't require grad."""
        return make_view(self._view_class, self, DETACHED, self._value, None)

    @property
    def data(self) -> Any:
        """The same data without its history, as `detach()` gives it; assigning rebinds the data."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        if value.shape != self.shape or value.dtype != self.dtype:
            raise GradientError(
                f"data of shape {tuple(value.shape)}, dtype {value.dtype} can't replace shape {tuple(self.shape)}, dtype {self.dtype}"
            )
        with no_grad():
            self._assign(value)

    def detach_(self) -> Self:
        """Forget this tensor's history, and return it: it becomes a leaf that doesn't require grad."""
        if isinstance(self, ViewMixin) and not self._how.detached:
            raise GraphError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        return self

    def clone(self) -> Any:
        """Return a copy that gradients flow through."""
        return self._xp.clone(self)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in `.grad` when it is computed."""
        node = self._node
        if node is None:
            raise GradientError("can't retain_grad on Tensor that has requires_grad=False")
        if isinstance(node, Node):
            hooks_of(node).retain = _weak(self)

    @property
    def retains_grad(self) -> bool:
        """Whether this is a non-leaf that keeps its gradient."""
        node = self._node
        return isinstance(node, Node) and node.hooks is not None and node.hooks.retain is not None

    def register_hook(self, hook: Callable[[Any], Any]) -> HookHandle:
        """Call `hook(grad)` when this tensor's total gradient is known; what it returns replaces the gradient.

        Returns a handle whose `remove()` takes the hook away again. Raises if no gradient is wanted here.
        """
        if self._node is None:
            raise GradientError("cannot register a hook on a tensor that doesn't require gradient")
        return HookHandle(hooks_of(self._node).on, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], Any]) -> HookHandle:
        """Call `hook(tensor)` as soon as this leaf's `.grad` has been accumulated, during the pass."""
        node = self._node
        if not isinstance(node, Leaf):
            raise GradientError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        eager_leaves.add(node)
        return HookHandle(hooks_of(node).after, hook)

    # --- in place: rebind, never write into memory that a graph has saved ---

    def _assign(self, value: Any) -> Self:
        """Take over another tensor's value and history."""
        if isinstance(self, ViewMixin):
            write(self, value)
            return self
        check_writable(self)
        rebind(self, value._value, value._node if mode().recording else self._node)
        return self

    def _update(self, name: str, result: Any) -> Self:
        if result is NotImplemented:
            return NotImplemented  # type: ignore[no-any-return]
        if result.shape != self.shape:
            raise ShapeError(
                f"{name}: output with shape {list(self.shape)} doesn't match the broadcast shape "
                f"{list(result.shape)}; an in-place operation can't grow the tensor that it changes"
            )
        if result.dtype != self.dtype:
            if not self._xp.can_cast(self.dtype, result.dtype) or _kind(result) > _kind(self):
                raise GraphError(f"{name}: result type {result.dtype} can't be cast to the desired output type {self.dtype}")
            result = self._xp.astype(result, self.dtype)
        return self._assign(result)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, ViewMixin) and value._parent is self and getattr(value._how, "statics", (None,))[0] is key:
            return  # the end of `x[key] += y`: the view has written through already
        if isinstance(self._node, Leaf):
            check_writable(self[...])  # PyTorch speaks of a view of the leaf here
        if isinstance(value, list | tuple):
            value = self._xp.asarray(value, dtype=self.dtype)
        try:
            result = self._xp.setitem(self, key, value)
        except (ValueError, TypeError) as error:
            if isinstance(error, BackendMismatchError):
                raise
            shape = getattr(value, "shape", ())
            raise ShapeError(
                f"can't assign a value of shape {tuple(shape)} to that part of a tensor of shape {tuple(self.shape)}: {error}"
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

    # --- leaving ---

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self.size != 1:
            raise ShapeError(f"a Tensor with {self.size} elements cannot be converted to Scalar; item() takes one element")
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
        array = self._xp._backend.to_numpy(self._value).view()
        array.flags.writeable = False
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: PLW3201
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"can't cast {array.dtype} to {dtype} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs: Any) -> Any:  # noqa: PLW3201
        if self._node is not None and mode().recording:
            raise BufferError("Can't export Tensors that require gradient, use tensor.detach()")
        return self._xp._lower.asarray(self._value).__dlpack__(**{k: v for k, v in kwargs.items() if v is not None})

    def __dlpack_device__(self) -> Any:  # noqa: PLW3201
        return self._xp._lower.asarray(self._value).__dlpack_device__()

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ShapeError("Boolean value of Tensor with more than one value is ambiguous; use any() or all()")
        return bool(self._value)

    def __index__(self) -> int:
        return self._value.__index__()  # type: ignore[no-any-return]

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
            raise ShapeError(f"only one element tensors can be converted to Python scalars, not shape {tuple(self.shape)}")
        return self._xp._lower.reshape(self._value, ())

    def __float__(self) -> float:
        return self._number(float)  # type: ignore[no-any-return]

    def __int__(self) -> int:
        return int(self._only())  # an integer has no gradient to lose

    def __complex__(self) -> complex:
        return self._number(complex)  # type: ignore[no-any-return]

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    def __repr__(self) -> str:
        return describe(self)

    # --- placement and dtype ---

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """Return the tensor on a device; gradients return to this one's."""
        return self._xp.to_device(self, device, stream=stream)

    def to(self, target: Any = None, *, dtype: Any = None, device: Any = None) -> Any:
        """Return the tensor with another dtype and/or on another device (PyTorch's `to`)."""
        x = self
        if target is not None:
            if isinstance(target, Tensor):
                dtype, device = target.dtype, target.device
            elif isinstance(target, str) or not _is_dtype(self._xp, target):
                device = target
            else:
                dtype = target
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
        kind = cls._xp.array_class if issubclass(cls, ViewMixin) else cls
        return kind._create(value, requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        kind = _public_class(type(self))
        host = self._xp._backend.to_numpy(self._value)
        return _rebuild, (kind, self._xp._backend.name, host, self.requires_grad)


def _operators(bound_class: Any) -> None:
    """Give a bound tensor class its operators: the closures themselves, so that none costs a second call."""
    xp = bound_class._xp

    def bind(name: str) -> Any:
        bound = Bound(xp._ops[name], xp)
        return (comparison if bound.op.rule is None else binary)(bound, defer(bound))

    for dunder, name in BINARY.items():
        function = bind(name)
        setattr(bound_class, f"__{dunder}__", function)
        setattr(bound_class, f"__r{dunder}__", _reflected(function))
        setattr(bound_class, f"__i{dunder}__", _in_place(function, name))
    for dunder, name in COMPARE.items():
        setattr(bound_class, f"__{dunder}__", bind(name))
    for dunder, name in UNARY.items():
        setattr(bound_class, f"__{dunder}__", getattr(xp, name))
    bound_class.__hash__ = object.__hash__


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self)


def _in_place(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    return lambda self, other: self._update(name, function(self, other))


def _viewing(recorder: Recorder, cls: Any) -> Callable[..., Any]:
    """Bind an op whose result looks through to its argument."""
    view_class, name = cls._view_class, recorder.bound.op.name

    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        values, nodes, statics = recorder.arguments((x, *args), kwargs)
        recording = mode().recording
        out, node = recorder.record(values, nodes, statics, recording)
        if not isinstance(x, cls) or name == "reshape" and not _stays_view(x, statics):
            return cls._make(out, node)
        return make_view(view_class, x, Derivation(recorder, statics, recording), out, node)

    return call


def _stays_view(x: Any, statics: tuple[Any, ...]) -> bool:
    """Tell whether `reshape(x, shape, copy=copy)` is a view of x, and not a copy."""
    shape, copy = statics
    if copy:
        return False
    same = not isinstance(x, ViewMixin) or viewable(x, shape)
    if copy is False and not same:
        raise ValueError(f"reshape to {shape}: the elements of this view don't lie so that it can be done without a copy")
    return same


def _getitem(recorder: Recorder, cls: Any) -> Callable[..., Any]:
    view_class, value_of = cls._view_class, _index_value(cls)

    def getitem(x: Any, key: Any, /) -> Any:
        value, node = (x._value, x._node) if isinstance(x, cls) else recorder._unwrap(x)
        key = plain_key(key, value_of)
        recording = mode().recording
        out, made = recorder.record([value], [node], (key,), recording)
        if not isinstance(x, cls) or not is_basic(key):
            return cls._make(out, made)
        return make_view(view_class, x, Derivation(recorder, (key,), recording), out, made)

    return getitem


def _with_key(recorder: Recorder, cls: Any) -> Callable[..., Any]:
    value_of = _index_value(cls)

    def call(x: Any, key: Any, value: Any, /) -> Any:
        return recorder(x, plain_key(key, value_of), value)

    return call


def _astype(recorder: Recorder, cls: Any) -> Callable[..., Any]:
    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        if not copy and x.dtype == dtype and isinstance(x, cls):
            return x
        x = recorder(x, dtype, copy=copy)
        return x if device is None else cls._xp.asarray(x, device=device)

    return astype


SPECIAL: dict[str, Callable[[Recorder, Any], Callable[..., Any]]] = {
    "astype": _astype, "getitem": _getitem, "scatter_add": _with_key, "setitem": _with_key,
}  # fmt: skip


def _index_value(cls: Any) -> Callable[[Any], Any]:
    def value_of(part: Any) -> Any:
        if isinstance(part, cls):
            part = part._value
            return part.__index__() if not part.shape and _is_concrete_integer(part) else part
        if isinstance(part, Tensor):
            raise mismatch("indexing", cls._xp, part)
        return cls._xp._lower.asarray(part) if isinstance(part, list) else part

    return value_of


def _is_concrete_integer(value: Any) -> bool:
    try:
        value.__index__()
    except Exception:  # a bool, a float, or a tracer, whose index is not known yet
        return False
    return True


def _holds(obj: Any, cls: Any) -> bool:
    return any(isinstance(p, cls) or isinstance(p, list | tuple) and _holds(p, cls) for p in obj)


def _not_a_leaf() -> GraphError:
    return GraphError(
        "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
        "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
    )


def _is_dtype(xp: Any, target: Any) -> bool:
    try:
        xp.isdtype(target, "numeric")
    except (TypeError, ValueError):
        return False
    return True


def _kind(x: Any) -> int:
    kinds = ("bool", "integral", "real floating", "complex floating")
    return next(i for i, kind in enumerate(kinds) if x._xp.isdtype(x.dtype, kind))


def _weak(tensor: Any) -> Any:
    import weakref

    return weakref.ref(tensor)


def _public_class(cls: type) -> type:
    """Return the importable class that a bound class was made from."""
    return next(c for c in cls.__mro__ if not issubclass(c, ViewMixin) and "_bound" not in vars(c))


def _rebuild(kind: Any, backend: str, host: Any, requires_grad: bool) -> Any:
    """Make a pickled tensor again, on the backend that it came from."""
    return bound_class(kind, namespace(backend))._create(namespace(backend)._lower.asarray(host), requires_grad)


@lru_cache(maxsize=None)
def bound_class(kind: Any, xp: Namespace) -> Any:
    """Return the subclass of a public tensor class (Tensor, Parameter ...) for one namespace, made once."""
    if kind is Tensor:
        return xp.array_class
    bound = type(kind.__name__, (kind, xp.array_class), {"__slots__": (), "_bound": True, "__module__": kind.__module__})
    _register(xp._backend, bound)
    return bound


def _register(backend: Any, cls: Any) -> None:
    """Tell the engine about a tensor class, so that its compiler takes tensors apart and puts them together."""
    if backend.register_array is None:
        return

    def flatten(x: Any) -> tuple[tuple[Any, ...], Any]:
        return (x._value,), x._node.__class__ is Leaf

    def unflatten(requires_grad: Any, children: Any) -> Any:
        (value,) = children
        tensor = (cls._xp.array_class if issubclass(cls, ViewMixin) else cls)._make(value)
        if requires_grad and hasattr(value, "dtype"):  # compilers also pass placeholders through
            tensor._node = Leaf(tensor, value)
        return tensor

    backend.register_array(cls, flatten, unflatten)


@lru_cache(maxsize=None)
def _namespace_of(name: str) -> Namespace:
    backend = get_backend(name)
    ops = OPS | {op.name: op for op in extra_ops()}
    lower = Lower(backend.namespace, backend.kernels, ops)
    xp = Namespace(f"autodiff_api.{name}", lower, backend, tuple(backend.array_types), ops)
    body = {"__slots__": (), "_xp": xp, "_bound": True, "__module__": Tensor.__module__}
    xp.array_class = type("Tensor", (Tensor,), body)
    slots = ("_root", "_parent", "_seen", "_how", "_own_value", "_own_node")
    view = type("Tensor", (ViewMixin, xp.array_class), body | {"__slots__": slots})
    xp.array_class._view_class = view
    _operators(xp.array_class)
    for cls in (xp.array_class, view):
        _register(backend, cls)
    return xp


def namespace(source: Any = None) -> Namespace:
    """Return the namespace of a backend (by name), of a tensor, of a backend's own array, or the default one.

    >>> import autodiff_api as ad
    >>> xp = ad.namespace("numpy")
    >>> xp.sum(xp.asarray([1.0, 2.0]))
    tensor(3.)
    """
    from .backends import backend_of, default_backend

    if isinstance(source, Namespace):
        return source
    if source is None:
        return _namespace_of(default_backend())
    if isinstance(source, str):
        return _namespace_of(source)
    own = getattr(type(source), "_xp", None)
    if isinstance(own, Namespace):
        return own
    backend = backend_of(source)
    if backend is None:
        raise TypeError(f"no installed backend claims {type(source).__name__}; name one: ad.namespace('numpy')")
    return _namespace_of(backend.name)
