"""`Tensor`: reverse mode. A tensor holds a lower array, and the node that made it."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any, Self

from . import gradients
from .backends import backend_of
from .errors import DataError, GradientError, GraphError
from .export import Export
from .graph import Edge, HookHandle, Leaf, Node, eager_leaves, hooks_of, is_inexact
from .inplace import InPlace
from .modes import mark, mode, no_grad, rare_used
from .namespaces import mismatch
from .views import ViewMixin, detached, rebind

new = object.__new__


class Tensor(InPlace, Export):
    """An array that records what is computed from it, so that gradients can flow back.

    Make one with `ad.tensor`, `xp.asarray` or any creation function; each backend's namespace has its own
    subclass. `requires_grad` marks a leaf; `backward()` fills the `.grad` of the leaves.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> (x**2).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_frozen", "_grad", "_inference", "_node", "_sharers", "_value")
    _view_class: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse: bound subclasses make tensors."""
        raise TypeError("Tensor has no public constructor; use ad.tensor(data) or a namespace's asarray(data)")

    # --- making tensors ---

    @classmethod
    def _make(cls, value: Any, node: Edge | None = None) -> Any:
        tensor = new(cls)
        tensor._value = value
        tensor._node = node
        if rare_used:
            mark(tensor)
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
                x = xp.to_device(x, getattr(xp._backend.place(x._value, device), "device", device))
            return xp.clone(x) if copy and x is obj else x
        if cls._is_held(obj):
            return cls._stacked(obj, dtype, device)
        own = isinstance(obj, xp._array_types)
        if own and xp._backend.admit is not None:
            obj = xp._backend.admit(obj)
        if not own and hasattr(obj, "__dlpack__") and (owner := backend_of(obj)) is not None:
            obj = owner.to_numpy(obj)  # another engine's: through the host, too
        if copy is None and not (own and xp._backend.immutable):
            copy = True  # of what others could write into
        value = _numbers(obj, xp, dtype, copy)
        if device is None and not own:
            device = xp._home(None)
        if device is not None:
            value = xp._backend.place(value, device)
        return cls._make(value)

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
        if requires_grad and not is_inexact(self._xp._lower, self._value.dtype):
            raise GradientError(
                f"Only Tensors of floating point and complex dtype can require gradients, got {self.dtype}; "
                "give a float dtype, or cast with astype"
            )
        if self.is_inference() and not mode().inference:
            raise GraphError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed. "
                "Make a clone() of it first."
            )
        if not requires_grad:
            self._frozen, self._node = self._node, None
        elif hasattr(self, "_frozen"):  # thawed: the same leaf as before, with its hooks
            self._node = self._frozen
            self._node.rebind(self._value)
        else:
            self._node = Leaf(self, self._value)
        return self

    def is_inference(self) -> bool:
        """Tell whether this tensor was made in :class:`inference_mode`."""
        return getattr(self, "_inference", False)

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was not computed by a recorded operation."""
        return not isinstance(self._node, Node)

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made this tensor; None for a leaf."""
        node = self._node
        return node.owner() if isinstance(node, Node) else None

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
            raise GradientError("can't assign Variable as its own grad; assign a clone()")
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
            )
        if not isinstance(value, self._xp.array_class):
            raise mismatch("assigned grad", self._xp, value)
        for fact in ("shape", "dtype", "device"):
            given, own = getattr(value, fact), getattr(self, fact)
            if given != own:
                raise GradientError(
                    f"attempting to assign a gradient of {fact} {given} to a tensor of {fact} {own}; they must agree"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def _grad_or_none(self) -> Any:
        return getattr(self, "_grad", None)

    # --- autograd ---

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add this tensor's gradients to the `.grad` of the leaves it was computed from.

        `gradient` is the cotangent, of this tensor's shape; it may be left out for one real element. See
        :func:`autodiff_api.autograd.backward` for the rest.
        """
        gradients.backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Any:
        """Return the same data without its history; a write to either shows in both."""
        return detached(self)

    @property
    def data(self) -> Any:
        """The same data without its history, as `detach()` gives it; assigning takes over other data, of any dtype."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, self._xp.array_class):
            raise TypeError(f"assigned data expected to be a Tensor of the same backend but got {type(value).__name__}")
        if isinstance(self, ViewMixin):
            with no_grad():
                self._assign(value)
            return
        if hasattr(self, "_sharers"):
            del self._sharers  # those that were detached before keep the old data
        rebind(self, value._value, self._node)

    def detach_(self) -> Self:
        """Forget this tensor's history, and return it: it becomes a leaf that doesn't require grad."""
        is_view = isinstance(self, ViewMixin)
        if is_view and self._node is not None:
            raise GraphError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        return self

    def _as_now(self) -> Any:
        return self._xp.array_class._make(self._value, self._node)

    def clone(self) -> Any:
        """Return a copy that gradients flow through."""
        return self._xp.clone(self)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in `.grad` when it is computed."""
        node = self._node
        if node is None:
            raise GradientError("can't retain_grad on Tensor that has requires_grad=False")
        if isinstance(node, Node):
            hooks_of(node).retain = weakref.ref(self)

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


def _numbers(obj: Any, xp: Any, dtype: Any, copy: bool | None) -> Any:
    """Return data as a raw array of numbers; anything else is an error that says so."""
    if copy is False and isinstance(obj, bool | int | float | complex | list | tuple):
        raise ValueError(f"asarray: a {type(obj).__name__} has no memory to share; leave copy=False out")
    if isinstance(obj, str | bytes):
        raise DataError(f"a tensor holds numbers, not {type(obj).__name__}; convert the text first")
    try:
        value = xp._lower.asarray(obj, dtype=dtype, copy=copy)
    except (TypeError, ValueError) as error:
        if copy is False or hasattr(obj, "shape"):
            raise
        raise DataError(f"can't make a tensor of this {type(obj).__name__}: {error}") from error
    if not xp.isdtype(value.dtype, ("bool", "numeric")):
        raise DataError(f"a tensor holds numbers, but this {type(obj).__name__} is {value.dtype}; convert it first")
    return value


def _not_a_leaf() -> GraphError:
    return GraphError(
        "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
        "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
    )
