"""Namespaces: ops bound to kernels, in the shape of the Array API standard.

:class:`Lower` is a backend's own namespace with the better kernels laid over it: what kernels and formulas
compute in. :class:`Namespace` is what users hold: the same functions for one array type over one lower
namespace. Both bind a name on first use and keep what they bound, so an operation never searches.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import RLock
from types import ModuleType
from typing import Any
from weakref import WeakSet

from .arrays import Array
from .axes import axis_error
from .backends import Backend, Keeping, backend_of
from .errors import (
    AutodiffError,
    AxisError,
    BackendMismatchError,
    CompileError,
    DeviceMismatchError,
    LinAlgError,
    OperandError,
    ShapeError,
)
from .extras import ALIASES, Extras
from .frequencies import Frequencies
from .functions import Functions
from .rules import OPS, Op
from .rules.kinds import invoker_of, signature_of

CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
DTYPES = (
    "bool", "complex128", "complex64", "float16", "float32", "float64", "int16", "int32", "int64", "int8",
    "uint16", "uint32", "uint64", "uint8",
)  # fmt: skip
EXTENSIONS = ("linalg", "fft", "nn", "special")
SHARED: dict[str, tuple[str, ...]] = {  # names that stand in the main namespace too
    "fft": (),
    "linalg": ("matmul", "matrix_transpose", "tensordot", "vecdot"),
    "nn": (),
    "special": (),
}
SCALARS = (bool, int, float, complex)
AXES = ("axes", "axis", "destination", "source")  # parameters of ops that name axes
# Ops with an array argument that may be None.
OPTIONAL = (
    "clip",
    "linalg.matrix_rank",
    "linalg.pinv",
    "nn.attention",
    "nn.attention_backward",
    "nn.conv",
    "nn.layer_norm",
    "nn.linear",
    "searchsorted",
    "special.logsumexp",
    "special.zeta",
)


# The array types that stand on others, and what makes a namespace of each over a backend: imported when one is wanted.
ARRAY_TYPES = {
    "batched": ("batched", "namespace_over"),
    "dual": ("duals", "namespace_over"),
    "duals": ("duals", "of_many"),
    "tensor": ("binding", "make_namespace"),
    "traced": ("traced", "namespace_over"),
}
_making = RLock()


def stand_on(backend: Backend, kind: str) -> Any:
    """Return a new namespace of an array type over a backend."""
    module, function = ARRAY_TYPES[kind]
    return getattr(importlib.import_module(f".{module}", __package__), function)(backend)


_live: WeakSet[Namespace] = WeakSet()


def offer(op: Op) -> None:
    """Let every namespace that there is have an op, in place of one of the same name."""
    for xp in list(_live):
        for home in (xp, xp._lower):
            home._ops[op.name] = op  # type: ignore[index]
            home.__dict__.pop(op.name, None)


class Lower:
    """A namespace of raw arrays in which every op has its best kernel.

    A kernel is the plugin's, else the namespace's own, else the generic one; an op that the standard does not
    have is never looked up in the namespace, where its name may mean something else.
    """

    def __init__(
        self,
        namespace: Any,
        kernels: Mapping[str, Callable[..., Any]],
        ops: Mapping[str, Op],
        keeping: Mapping[str, Keeping] | None = None,
    ) -> None:
        self._namespace, self._kernels, self._ops, self._keeping = namespace, kernels, ops, keeping or {}
        self._name = ""  # the backend's, by which an op may bring kernels

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # no op is called so; `copy` asks before anything is there
            raise AttributeError(name)
        if name in EXTENSIONS:
            found: Any = _Extension(self, name)
        elif name == "complexes":
            found = self._complexes()
        elif name == "dtypes_are_single":  # each an object that exists once, so that `is` can compare them
            found = self.asarray(1.0).dtype is self.asarray(1.0).dtype
        else:
            found = self.kernel(name)
        setattr(self, name, found)
        return found

    def kernel(self, name: str) -> Any:
        """Return the best implementation of `name`; AttributeError if there is none."""
        if isinstance(self._namespace, Namespace):  # an array type over another: all of its ops are there
            return self._namespace._beneath(name)
        if name in self._kernels:
            return self._kernels[name]
        op = self._ops.get(name)
        if op is not None and self._name in op.kernels:
            return op.kernels[self._name]
        if op is not None and op.kernel is not None:
            return partial(op.kernel, xp=self)
        return operator.attrgetter(name)(self._namespace)

    def keeping(self, op: Op) -> Keeping | None:
        """Return what keeps something for an op's derivative, if there is such a kernel."""
        return None if op.result is not None or op.variadic else self._keeping.get(op.name)

    def _complexes(self) -> tuple[Any, Any]:
        """Return the complex dtypes as arrays report them."""
        if isinstance(self._namespace, Namespace):
            return self._namespace._lower.complexes  # type: ignore[no-any-return]
        normal = getattr(self._namespace, "dtype", None)  # numpy.complex64 is a class, x.dtype an instance
        found = []
        for name in ("complex64", "complex128"):
            dtype = getattr(self._namespace, name, NotImplemented)
            with contextlib.suppress(TypeError):
                if normal is not None:
                    dtype = normal(dtype)
                elif isinstance(dtype, type):  # Dask's are NumPy's classes, and it has no `dtype`
                    dtype = self.zeros((0,), dtype=dtype).dtype
            found.append(dtype)
        return found[0], found[1]


class _Extension:
    """`xp.linalg`, `xp.fft`, `xp.special` and `xp.nn` of a namespace: the ops whose names start so."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        creates = getattr(type(self._owner), f"_{self._name}_{name}", None)  # fft.fftfreq: no op
        if creates is not None:
            return creates.__get__(self._owner)
        for full in (f"{self._name}.{name}", *(n for n in SHARED[self._name] if n == name)):
            with contextlib.suppress(AttributeError):
                found = self._owner.kernel(full)
                setattr(self, name, found)
                return found
        raise AttributeError(f"{self._owner!r} has no function {self._name}.{name}")

    def __dir__(self) -> Iterable[str]:
        ops = [name.partition(".")[2] for name in self._owner._ops if name.startswith(f"{self._name}.")]
        creators = [name.rpartition("_")[2] for name in dir(type(self._owner)) if name.startswith(f"_{self._name}_")]
        return sorted({*super().__dir__(), *ops, *creators, *SHARED[self._name]})


class Namespace(Extras, Frequencies, Functions, ModuleType):
    """A namespace of the Array API standard for one array type over one lower namespace.

    Hashable, the same object every time, and named `autodiff_api.<backend>`, as array-API libraries expect.
    """

    __array_api_version__ = "2025.12"
    _lowest = 0  # the height of this array type right over an engine: tensors are what others meet

    def __init__(
        self, name: str, lower: Lower, backend: Any, array_types: tuple[type, ...], ops: Mapping[str, Op]
    ) -> None:
        super().__init__(name, f"Array API namespace of autodiff_api tensors on {backend.name}.")
        self._lower, self._backend, self._array_types, self._ops = lower, backend, array_types, ops
        lower._name = backend.name
        _live.add(self)
        below = lower._namespace
        stacked = isinstance(below, Namespace)  # on another array type's namespace, and not on an engine's
        self._root: Any = below._root if stacked else below
        self._height: int = below._height + 1 if stacked else self._lowest
        self.array_class: Any = None  # set by the array type, which binds ops to itself
        self._towers: dict[str, Namespace] = {}
        self._compiles = False  # whether its arrays belong to a function that is being compiled
        self._pickled: Any = None  # (function, arguments) that find this namespace again

    def __getattr__(self, name: str) -> Any:
        if name in CONSTANTS or name in DTYPES:
            found = getattr(self._lower._namespace, name)
        elif name in EXTENSIONS:
            found = _Extension(self, name)
        elif name in ALIASES:
            found = getattr(self, ALIASES[name])
        else:
            found = self.kernel(name)
        setattr(self, name, found)
        return found

    def kernel(self, name: str) -> Any:
        """Return the function `name` bound to this array type; AttributeError if there is none."""
        op = self._ops.get(name)
        if op is None:
            raise AttributeError(f"namespace {self.__name__!r} has no attribute {name!r}")
        function = self.array_class._bind(op)
        function.__name__ = function.__qualname__ = name.rpartition(".")[2]
        source = "SciPy's " if name.startswith("special.") else "The standard's " if name in OPS else ""
        function.__doc__ = f"{source}`{name}({op.signature})`, recorded."
        function.__signature__ = inspect.signature(signature_of(op.signature))
        return function

    def _beneath(self, name: str) -> Any:
        """Return a function for an array type on top of this one, which has views of its own and needs no other."""
        op = self._ops.get(name)
        plain = getattr(self.array_class, "_bind_plain", None)
        if op is None or not op.view or plain is None:
            return operator.attrgetter(name)(self)
        return plain(op)

    def _over(self, kind: str) -> Namespace:
        """Return the namespace of another array type whose values are arrays of this one; made once."""
        found = self._towers.get(kind)
        if found is None:
            with _making:
                found = self._towers.get(kind) or stand_on(as_backend(self), kind)
                self._towers[kind] = found
        return found

    def _beside(self, kind: str) -> Namespace:
        """Return the namespace of another array type over the same values as this one's; made once."""
        below = self._lower._namespace
        if isinstance(below, Namespace):
            return below._over(kind)
        found = self._towers.get(f"beside {kind}")
        if found is None:
            with _making:
                found = self._towers.get(f"beside {kind}") or stand_on(self._backend, kind)
                found._height = max(found._height, self._height + 1)
                self._towers[f"beside {kind}"] = found
        return found

    @property
    def _compiled(self) -> Namespace:
        """The namespace of tensors that a function sees while it is compiled, over the same engine as this one's."""
        own = self._backend.compile is not None
        found = self._beside("tensor") if own else self._beside("traced")._tensors
        found._compiles = True
        return found

    @property
    def _tensors(self) -> Namespace:
        return self._over("tensor")

    def above(self, x: Any) -> Namespace | None:
        """Return the namespace of an array (or of its type) that stands higher on the same backend; else None."""
        own = getattr(x, "_xp", None)
        if not isinstance(own, Namespace) or own is self or own._root is not self._root:
            return None
        return own if own._height > self._height else None

    def _engine(self) -> Backend:
        """Return the backend at the bottom, whose arrays are an engine's own."""
        below = self._lower._namespace
        return below._engine() if isinstance(below, Namespace) else self._backend

    def __dir__(self) -> Iterable[str]:
        main = [name for name in self._ops if "." not in name]
        return sorted({*object.__dir__(self), *main, *DTYPES, *CONSTANTS, *EXTENSIONS, *ALIASES})

    def __repr__(self) -> str:
        return f"<namespace {self.__name__!r}>"

    def __reduce__(self) -> Any:
        return self._pickled

    def _quiet(self) -> contextlib.AbstractContextManager[Any]:
        """Return what silences floating-point warnings while rules compute masked branches."""
        quiet = getattr(self._backend, "quiet", None)
        return contextlib.nullcontext() if quiet is None else quiet()


def numbers(parameter: str, given: Any, op: str) -> list[int]:
    """Return the axes that a parameter names; `tensordot` may be told how many, not which."""
    if isinstance(given, tuple | list):
        return [n for part in given for n in numbers(parameter, part, "")]
    if not hasattr(given, "__index__"):
        return []
    return [int(given) - 1] if op.endswith("tensordot") else [int(given)]


class Bound:
    """An op bound to an array type: its kernel, and how to take an operand apart."""

    __slots__ = ("array", "invoke", "keeping", "kernel", "lower", "op", "xp")

    def __init__(self, op: Op, xp: Namespace) -> None:
        self.op, self.xp, self.array, self.lower = op, xp, xp.array_class, xp._lower
        self.kernel, self.keeping = xp._lower.kernel(op.name), xp._lower.keeping(op)
        self.invoke = invoker_of(op)

    def constant(self, x: Any) -> Any:
        """Return an operand that is not this array type as a constant, or NotImplemented."""
        if x.__class__ in SCALARS:
            return x
        if isinstance(x, float):  # numpy.float64 is one: a Python scalar in an expression, as in PyTorch
            return float(x)
        if isinstance(x, complex):
            return complex(x)
        if isinstance(x, self.xp._array_types):
            admit = self.xp._backend.admit
            return x if admit is None else admit(x)
        if x is None and self.op.name in OPTIONAL:
            return x
        own = getattr(type(x), "_xp", None)
        if isinstance(own, Namespace) and own.above(self.array) is self.xp and not x.requires_grad:
            return x._value  # a tensor from outside a transformation: a constant in it
        if getattr(x, "shape", None) == () and type(x).__module__ == "numpy" and not hasattr(x, "__setitem__"):
            return x.item()  # numpy.float32(2) beside another backend's arrays
        return NotImplemented

    def keep(self, x: Any, value: Any) -> Any:
        """Return an operand's value for the graph to keep: a copy of a raw array that its owner may write into."""
        if isinstance(x, self.array) or not hasattr(value, "shape"):
            return value
        if isinstance(value, Array):
            return value._as_now()
        return value if self.xp._backend.immutable else self.lower.clone(value)

    def explain(self, values: Sequence[Any], statics: tuple[Any, ...], error: Exception) -> None:
        """Raise an engine's plain refusal as one error on every backend, with the op and the shapes.

        What is more than plain, such as a compiler's error about a traced value, speaks for itself, and so does an
        IndexError about something other than an axis.
        """
        astray = isinstance(error, IndexError) and isinstance(error, ValueError)  # NumPy's own AxisError
        stuck = type(error).__name__.endswith("LinAlgError")
        plain = astray or stuck or type(error) in self.xp._backend.refusals
        if isinstance(error, AutodiffError) or not plain:
            return
        name, shapes = self.op.name, [tuple(v.shape) for v in values if hasattr(v, "shape")]
        blame_devices(name, (values, statics), error)
        if stuck:
            raise LinAlgError(f"{name} of shapes {', '.join(map(str, shapes))}: {error}") from error
        if not values:
            raise OperandError(f"{name}: got no arrays; give at least one") from error
        room = max(map(len, shapes), default=0) + (name in ("expand_dims", "stack"))
        given = [(k, v) for k, v in zip(self.op.statics, statics, strict=True) if k in AXES and v is not None]
        if not all(-room <= a < room for k, v in given for a in numbers(k, v, name)):
            raise axis_error(name, ", ".join(f"{k}={v}" for k, v in given), shapes, room) from error
        if astray or not isinstance(error, IndexError):
            kind = AxisError if astray else OperandError
            raise kind(f"{name} of shapes {', '.join(map(str, shapes))}: {error}") from error

    def blame_shapes(self, v1: Any, v2: Any, error: Exception) -> None:
        """Raise one error on every backend if an op of two arrays failed, which is mostly that shapes don't fit."""
        if isinstance(error, AutodiffError):
            return
        shapes = tuple(getattr(v1, "shape", ())), tuple(getattr(v2, "shape", ()))
        try:
            if self.op.name in ("linalg.solve", "matmul"):
                inner, batches = shapes[0][-1] == shapes[1][-2:][0], (shapes[0][:-2], shapes[1][:-2])
            else:
                inner, batches = True, shapes
            self.xp.broadcast_shapes(*batches)
            fits = inner
        except (IndexError, ValueError):
            fits = False
        if not fits:
            raise ShapeError(
                f"{self.op.name}: operands of shapes {shapes[0]} and {shapes[1]} don't fit together; reshape one of "
                "them, or give it axes of length 1"
            ) from error
        self.explain((v1, v2), (), error)

    def hand_on_key(self, key: Any, args: Sequence[Any]) -> Any:
        """Let the namespace of an array in a key do it, as `hand_on` does."""
        parts = key if isinstance(key, tuple) else (key,)
        return self.hand_on(next(p for p in parts if isinstance(p, Array) and not isinstance(p, self.array)), args)

    def hand_on(self, x: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
        """Let the namespace of a foreign operand do it, if it stands on this one; else refuse the operand.

        So a function of tensors is one of dual numbers too, although it names its namespace.
        """
        above = self.xp.above(x)
        if above is None:
            raise mismatch(self.op.name, self.xp, x)
        return operator.attrgetter(self.op.name)(above)(*args, **(kwargs or {}))


def blame_devices(name: str, operands: Any, error: Exception) -> None:
    """Raise one error on every backend if an engine refused arrays since they are on different devices."""
    if "device" not in str(error).lower():
        return
    found: dict[str, Any] = {str(where): where for where in devices_in(operands)}
    if len(found) > 1:
        first, second, *_ = found
        raise DeviceMismatchError(
            f"{name}: an array on device {first} met one on {second}; move one of them, for example with "
            f"x.to_device(y.device), or place both with device="
        ) from error


def devices_in(x: Any) -> Iterator[Any]:
    """Yield the devices of arrays, which may be in tuples and lists."""
    if isinstance(x, tuple | list):
        for part in x:
            yield from devices_in(part)
    elif hasattr(x, "shape") and getattr(x, "device", None) is not None:
        yield x.device


def as_backend(xp: Namespace) -> Backend:
    """Return a namespace of one array type as a backend, for another array type to stand on.

    Raw arrays of the engine below are still welcome, as constants.
    """
    base: Backend = xp._backend
    return replace(
        base,
        namespace=xp,
        array_types=(xp.array_class, *xp._array_types),
        kernels={},
        keeping={},
        admit=None,
        place=lambda x, device: xp.asarray(x, device=device),
        to_numpy=lambda x: x.numpy(force=True),
        immutable=False,
    )


def mismatch(operation: str, xp: Namespace, x: Any) -> Exception:
    """Return the error for an operand `x` that does not belong to `xp`."""
    mine, other = xp._backend.name, backend_name(x)
    if other is None:
        return TypeError(
            f"{operation}: expected a tensor on backend {mine!r}, one of its arrays or a Python scalar, got "
            f"{type(x).__name__}; convert it with ad.namespace({mine!r}).asarray(...)"
        )
    own = getattr(x, "_xp", None)
    if xp._compiles and isinstance(own, Namespace) and own._root is xp._root:
        return CompileError(
            f"compile: the function that is being compiled used a tensor of shape {tuple(x.shape)} that requires grad "
            "and was not given to it. Pass it as an argument, or name it, its module or its optimizer in state=; or "
            "detach() it, to have its value of today as a constant"
        )
    if getattr(own, "_root", None) is xp._root:
        return BackendMismatchError(
            f"{operation}: an array that belongs to a transformation met one of another, or of none: it was kept when "
            "the function had returned, or computed with in a thread of its own; let the function return it"
        )
    return BackendMismatchError(
        f"{operation}: an array of backend {other!r} met a tensor of backend {mine!r}; convert one of them, for "
        f"example with ad.namespace({mine!r}).asarray(...)"
    )


def backend_name(x: Any) -> str | None:
    """Return the name of the backend that an array belongs to, or None."""
    own = getattr(type(x), "_xp", None)
    if isinstance(own, Namespace):
        return str(own._backend.name)
    found = backend_of(x)
    return None if found is None else found.name
