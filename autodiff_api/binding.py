"""Putting a backend's tensors together: ops bound to its kernels, operators, and one namespace for all of it."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from .arrays import BINARY, COMPARE, UNARY
from .backends import Backend, backend_of, default_backend, extra_ops, get_backend
from .errors import BackendMismatchError, GradientError
from .graph import Leaf, Node
from .keys import index_value, is_basic, is_plain, plain_key
from .modes import mode
from .namespaces import Bound, Lower, Namespace
from .record import Single, binary, comparison, constant, decomposition, defer, single, unary
from .rules import OPS, Op
from .several import Several, several
from .tensors import Tensor
from .views import ViewMixin, viewable, viewer


def bind(cls: Any, op: Op) -> Callable[..., Any]:
    """Return the function of an op for tensors of a bound class."""
    bound = Bound(op, cls._xp)
    if op.rule is None:
        return comparison(bound, bound.hand_on) if op.parameters == ("x1", "x2") else constant(bound)
    if op.name in SPECIAL:
        return SPECIAL[op.name](cls, bound)
    if op.variadic or (op.result is not None and len(op.arrays) > 1):
        many = Several(bound)
        return lambda *args, **kwargs: many(*args, **kwargs)
    if op.result is not None:
        return decomposition(Single(bound))
    if op.view:
        return _viewing(cls, Single(bound))
    if bound.keeping is not None:
        return several(bound)
    if op.parameters == ("x",):
        return unary(bound, bound.hand_on)
    if op.parameters == ("x1", "x2"):
        return binary(bound, bound.hand_on)
    return single(Single(bound)) if len(op.arrays) == 1 else several(bound)


def bind_plain(cls: Any, op: Op) -> Callable[..., Any]:
    """Return the function of a view op whose result is a tensor of its own: for another array type to stand on."""
    bound = Bound(op, cls._xp)
    return _getitem(cls, bound, views=False) if op.name == "getitem" else single(Single(bound))


def _operators(bound_class: Any) -> None:
    """Give a bound tensor class its operators: the closures themselves, so that none costs a second call."""
    xp = bound_class._xp

    def operator(name: str) -> Any:
        bound = Bound(xp._ops[name], xp)
        return (comparison if bound.op.rule is None else binary)(bound, defer(bound))

    for dunder, name in BINARY.items():
        function = operator(name)
        setattr(bound_class, f"__{dunder}__", function)
        setattr(bound_class, f"__r{dunder}__", _reflected(function))
        setattr(bound_class, f"__i{dunder}__", _in_place(function, name))
    for dunder, name in COMPARE.items():
        setattr(bound_class, f"__{dunder}__", operator(name))
    for dunder, name in UNARY.items():
        setattr(bound_class, f"__{dunder}__", getattr(xp, name))
    bound_class.__hash__ = object.__hash__


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self)


def _in_place(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    return lambda self, other: self._update(name, function(self, other))


def _viewing(cls: Any, recorder: Single) -> Callable[..., Any]:
    """Bind an op whose result looks through to its argument."""
    view, sort, otherwise = viewer(cls._view_class, recorder), recorder.statics, single(recorder)

    def call(x: Any, /, *args: Any, **kwargs: Any) -> Any:
        return view(x, sort(x, *args, **kwargs)) if isinstance(x, cls) else otherwise(x, *args, **kwargs)

    def bare(x: Any, /) -> Any:
        return view(x, ()) if isinstance(x, cls) else otherwise(x)

    return call if recorder.bound.op.statics else bare


def _reshape(cls: Any, bound: Bound) -> Callable[..., Any]:
    """Bind reshape: a view where the base's strides allow one; what the engine copies is its own affair."""
    recorder, view_class = Single(bound), cls._view_class
    view, otherwise = viewer(view_class, recorder), single(recorder)

    def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Any:
        if not isinstance(x, cls):
            return otherwise(x, shape, copy=copy)
        result = view(x, (shape, None))
        stays = x.__class__ is not view_class or viewable(x, result._own_value.shape)
        if copy is False and not stays:
            raise ValueError(f"reshape to {shape}: the elements of this view don't lie so that it needs no copy")
        return result if stays and not copy else cls._make(result._own_value, result._own_node)

    return reshape


def _getitem(cls: Any, bound: Bound, views: bool = True) -> Callable[..., Any]:
    recorder, value_of = Single(bound), index_value(cls)
    view, otherwise = viewer(cls._view_class, recorder), single(recorder)

    def getitem(x: Any, key: Any, /) -> Any:
        basic = key.__class__ is int or is_plain(key)
        if not basic:
            try:
                key = plain_key(key, value_of)
            except BackendMismatchError:
                return bound.hand_on_key(key, (x, key))
            basic = is_basic(key)
        return view(x, (key,)) if basic and views and isinstance(x, cls) else otherwise(x, key)

    return getitem


def _with_key(cls: Any, bound: Bound) -> Callable[..., Any]:
    changed, value_of = several(bound), index_value(cls)

    def call(x: Any, key: Any, value: Any, /) -> Any:
        try:
            key = plain_key(key, value_of)
        except BackendMismatchError:
            return bound.hand_on_key(key, (x, key, value))
        return changed(x, key, value)

    return call


def _astype(cls: Any, bound: Bound) -> Callable[..., Any]:
    cast = single(Single(bound))

    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        if not copy and x.dtype == dtype and isinstance(x, cls):
            return x
        x = cast(x, dtype, copy=copy)
        return x if device is None else cls._xp.asarray(x, device=device)

    return astype


SPECIAL: dict[str, Callable[[Any, Bound], Callable[..., Any]]] = {
    "astype": _astype, "getitem": _getitem, "reshape": _reshape, "scatter_add": _with_key, "setitem": _with_key,
}  # fmt: skip


# --- bound classes and namespaces: one of each, whoever asks first ---

_making = RLock()
_namespaces: dict[str, Namespace] = {}
_classes: dict[tuple[type, Namespace], Any] = {}


def bound_class(kind: Any, xp: Namespace) -> Any:
    """Return the subclass of a public tensor class (Tensor, Parameter ...) for one namespace, made once."""
    if kind is Tensor:
        return xp.array_class
    with _making:
        if (kind, xp) not in _classes:
            body = {"__slots__": (), "_public": kind, "__module__": kind.__module__}
            _classes[kind, xp] = type(kind.__name__, (kind, xp.array_class), body)
            _register(xp._backend, _classes[kind, xp])
        return _classes[kind, xp]


def rebuild(kind: Any, backend: str, host: Any, requires_grad: bool) -> Any:
    """Make a pickled tensor again, on the backend that it came from."""
    xp = namespace(backend)
    return bound_class(kind, xp)._create(xp._lower.asarray(host), requires_grad)


def _register(backend: Any, cls: Any) -> None:
    """Tell the engine about a tensor class, so that its compiler takes tensors apart and puts them together."""
    if backend.register_array is None:
        return

    def flatten(x: Any) -> tuple[tuple[Any, ...], Any]:
        if isinstance(x._node, Node) and mode().transforming:
            raise GradientError(
                f"a tensor of shape {tuple(x.shape)} whose gradient is being taken was taken apart by {backend.name}, "
                "to be compiled or as a tree, and its history would be lost: transform inside, as in jit(grad(f)), and "
                "map over trees with autodiff_api.trees.tree_map"
            )
        return (x._value,), x._node.__class__ is Leaf

    def unflatten(requires_grad: Any, children: Any) -> Any:
        (value,) = children
        tensor = (cls._xp.array_class if issubclass(cls, ViewMixin) else cls)._make(value)
        if requires_grad and hasattr(value, "dtype"):  # compilers also pass placeholders through
            tensor._node = Leaf(tensor, value)
        return tensor

    backend.register_array(cls, flatten, unflatten)


def make_namespace(backend: Backend) -> Namespace:
    """Return a new namespace over a backend; `namespace` gives the one that everybody shares."""
    ops: dict[str, Any] = {**OPS, **{op.name: op for op in extra_ops()}}
    lower = Lower(backend.namespace, backend.kernels, ops, backend.keeping)
    xp = Namespace(f"autodiff_api.{backend.name}", lower, backend, tuple(backend.array_types), ops)
    xp._pickled = namespace, (backend.name,)
    body = {
        "__slots__": (), "__module__": Tensor.__module__, "_xp": xp, "_public": Tensor,
        "_bind": classmethod(bind), "_bind_plain": classmethod(bind_plain), "_rebuild": staticmethod(rebuild),
    }  # fmt: skip
    xp.array_class = type("Tensor", (Tensor,), body)
    slots = ("_root", "_parent", "_seen", "_recorder", "_statics", "_recording", "_own_value", "_own_node", "_strides")
    view = type("Tensor", (ViewMixin, xp.array_class), {"__slots__": slots, "__module__": Tensor.__module__})
    xp.array_class._view_class = view
    _operators(xp.array_class)
    for cls in (xp.array_class, view):
        _register(backend, cls)
    return xp


def _namespace_of(name: str) -> Namespace:
    found = _namespaces.get(name)
    if found is None:
        with _making:
            found = _namespaces.get(name) or make_namespace(get_backend(name))
            _namespaces[name] = found
    return found


def namespace(source: Any = None) -> Namespace:
    """Return the namespace of a backend (by name), of a tensor, of a backend's own array, or the default one.

    >>> import autodiff_api as ad
    >>> xp = ad.namespace("numpy")
    >>> xp.sum(xp.asarray([1.0, 2.0]))
    tensor(3.)
    """
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
