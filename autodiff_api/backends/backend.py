"""What a backend is: the card that announces it, and the thing that is loaded when somebody asks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, TypeAlias

from autodiff_api.backends.keeping import Keeping

Kernel: TypeAlias = Callable[..., Any]
"""Computes an op on raw arrays; called exactly like the op, positional and keyword arguments alike."""


@dataclass(frozen=True)
class Availability:
    """Whether a backend can be used here and, if it can't, why not and what to install."""

    ok: bool
    reason: str = ""
    install: str = ""


def requires(module: str, install: str) -> Callable[[], Availability]:
    """Make a probe that asks whether the top-level `module` is installed, without importing it.

    >>> requires("math", install="")().ok
    True
    >>> requires("no_such_engine", install="pip install engine")().reason
    "the package 'no_such_engine' is not installed"
    """

    def probe() -> Availability:
        if module in sys.modules or find_spec(module) is not None:
            return Availability(True)
        return Availability(False, f"the package {module!r} is not installed", install)

    return probe


@dataclass(frozen=True, kw_only=True)
class BackendSpec:
    """The card of a backend: enough to list it and to find it, without importing its engine."""

    name: str
    """What users write: ``ad.namespace(name)``, ``AUTODIFF_API_BACKEND=name``. A Python identifier."""

    load: str | Callable[[], Backend]
    """Where the :class:`Backend` is: ``"module:attribute"``, or a function; called on the first use."""

    claims: tuple[str, ...] = ()
    """Top-level modules whose arrays are this backend's: ``("jax", "jaxlib")``."""

    probe: Callable[[], Availability] = lambda: Availability(True)
    """Says cheaply, without importing the engine, whether the backend can be used; see :func:`requires`."""

    def __post_init__(self) -> None:
        """Refuse what would only fail later and elsewhere."""
        _check(
            f"BackendSpec {self.name!r}",
            name=(isinstance(self.name, str) and self.name.isidentifier(), "a Python identifier"),
            load=(callable(self.load) or str(self.load).count(":") == 1, "'module:attribute' or a function"),
            claims=(_is_tuple_of(str, self.claims), "a tuple of names of modules"),
            probe=(callable(self.probe), "a function that returns an Availability"),
        )


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A loaded backend: a namespace of standard arrays, and what the standard does not say.

    Fields may be added, with a default; none of these will change its meaning.
    """

    name: str
    """The name of its :class:`BackendSpec`."""

    namespace: Any
    """A namespace of the Array API standard: ``jax.numpy``, ``array_api_compat.numpy`` ..."""

    array_types: tuple[type, ...]
    """The types whose instances are this backend's raw arrays."""

    kernels: Mapping[str, Kernel]
    """Ops that the backend computes better than its namespace or the generic version: name -> callable."""

    devices: Callable[[], Sequence[Any]]
    """Lists the devices; ``str(device)`` is a name that `place` takes."""

    place: Callable[[Any, Any], Any]
    """``place(array, device)`` moves a raw array; the device is a name or an engine's own object."""

    to_numpy: Callable[[Any], Any]
    """Gives a raw array as a NumPy array on the host, without a copy where that is possible."""

    register_array: Callable[[type, Callable[[Any], Any], Callable[[Any, Any], Any]], None] | None = None
    """``register_array(cls, flatten, unflatten)`` tells the engine of a class that holds its arrays.

    ``flatten(object)`` gives (a tuple of children, a hashable rest); ``unflatten(rest, children)`` gives the
    object.
    """

    compile: Callable[..., Any] | None = None
    """Compiles a function of raw arrays, as ``jax.jit`` does; it may overwrite the arguments ``donate_argnums``."""

    untraceable: tuple[type[Exception], ...] = ()
    """The errors of a function that `compile` can't compile, since it asks for values that only a run of it knows."""

    refusals: tuple[type[Exception], ...] = (IndexError, TypeError, ValueError)
    """The errors by which the engine refuses operands, each itself: they become one error on every backend."""

    admit: Callable[[Any], Any] | None = None
    """Gives a raw array that a user brings as it is computed with, or raises: where arrays may be more than values."""

    number: Callable[[Any], Any] | None = None
    """Gives a Python number as an array that functions of `compile` take for it: one that is given again and again,
    such as a learning rate, then goes to the device once. It promotes like the number.
    """

    exactly: Callable[[], AbstractContextManager[Any]] = nullcontext
    """``with exactly():`` lets arrays have the dtypes that they are asked to have, for engines that narrow them."""

    into: Mapping[str, Kernel] = field(default_factory=dict)
    """For an engine without a compiler: ops that can be computed into memory that is there already.

    Each is called like the op, perhaps with that memory as `out`, an array of the result's shape and dtype, and is
    asked for real floating numbers and truth values only. Each returns memory of its own or `out`, never a view of an
    operand. Element-wise ones must also be right where `out` is one of the operands.
    """

    keeping: Mapping[str, Keeping] = field(default_factory=dict)
    """Ops whose kernel can keep something for the backward: name -> :class:`Keeping`. Used where the kernels of both
    ops are the backend's own.
    """

    synchronize: Callable[[Any], Any] | None = None
    """Waits until the raw arrays in a list are computed, for engines that run asynchronously, or when asked."""

    immutable: bool = False
    """Whether nobody can write into an array: then one that a user holds need not be copied to be kept."""

    lazy: bool = False
    """Whether arrays are computed only when somebody asks for their values: then neither printing nor a look for what
    may be wrong with them asks.
    """

    quiet: Callable[[], AbstractContextManager[Any]] | None = None
    """``with quiet():`` silences warnings about floating-point errors, for engines that issue them: where a
    formula computes both branches of a ``where``, one of them may well divide by zero.
    """

    control: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Control flow of the engine's own, for one that compiles; what is left out is done in Python.

    Arrays come and go as lists of raw arrays. ``scan(step, carry, xs, length, reverse, unroll)`` gives (carry, ys),
    where ``step(carry, x)`` gives (carry, y); ``cond(pred, true, false, operands)`` gives what the one or the other
    function of a list of operands gives; ``while_loop(condition, body, carry)`` gives the last carry.
    """

    mesh: Callable[[Mapping[str, int], Sequence[Any] | None, bool], Any] | None = None
    """``mesh(axes, devices, explicit)`` gives the engine's mesh of devices, whose axes have names and lengths."""

    layout: Callable[[Any, tuple[Any, ...]], Any] | None = None
    """``layout(mesh, spec)`` gives how arrays lie over a mesh, which `place` and ``device=`` take like a device."""

    layout_of: Callable[[Any], Any] | None = None
    """Gives the layout of a raw array; None for one that lies on no mesh. Gradients get that of what they belong to."""

    gaps: Mapping[str, str] = field(default_factory=dict)
    """What the backend is known not to do, each with the reason: "function", "function:law" or
    "function:law:dtype", as `python -m autodiff_api conformance` names them. A gap that has closed fails there.
    """

    borrowed: Mapping[str, str] = field(default_factory=dict)
    """Which kernels other plugins offered: the name of the op -> the plugin. The host fills it in."""

    def __post_init__(self) -> None:
        """Refuse a backend that would fail in the middle of somebody's computation."""
        _check(
            f"Backend {self.name!r}",
            array_types=(_is_tuple_of(type, self.array_types), "a tuple of types"),
            kernels=(is_kernel_table(self.kernels), "a mapping of op names to functions"),
            devices=(callable(self.devices), "a function"),
            place=(callable(self.place), "a function"),
            to_numpy=(callable(self.to_numpy), "a function"),
            register_array=(callable(self.register_array or print), "a function or None"),
            compile=(callable(self.compile or print), "a function or None"),
            refusals=(_is_tuple_of(type, self.refusals), "a tuple of types"),
            admit=(callable(self.admit or print), "a function or None"),
            number=(callable(self.number or print), "a function or None"),
            synchronize=(callable(self.synchronize or print), "a function or None"),
            untraceable=(_is_tuple_of(type, self.untraceable), "a tuple of types"),
            exactly=(callable(self.exactly), "a function"),
            into=(is_kernel_table(self.into), "a mapping of op names to functions"),
            keeping=(_is_table_of(Keeping, self.keeping), "a mapping of op names to Keeping"),
            quiet=(callable(self.quiet or print), "a function or None"),
            control=(is_kernel_table(self.control), "a mapping of names to functions"),
            mesh=(callable(self.mesh or print), "a function or None"),
            layout=(callable(self.layout or print), "a function or None"),
            layout_of=(callable(self.layout_of or print), "a function or None"),
            gaps=(_is_table_of_texts(self.gaps), "a mapping of names to reasons"),
            borrowed=(_is_table_of_texts(self.borrowed), "a mapping of op names to plugins"),
        )


def is_kernel_table(kernels: object) -> bool:
    """Tell whether `kernels` maps names of ops to functions."""
    return isinstance(kernels, Mapping) and all(
        isinstance(name, str) and callable(kernel) for name, kernel in kernels.items()
    )


def _is_table_of_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)


def _is_table_of(kind: type, value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(n, str) and isinstance(x, kind) for n, x in value.items())


def _is_tuple_of(kind: type, value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, kind) for item in value)


def _check(owner: str, **fields: tuple[bool, str]) -> None:
    """Raise TypeError for the first field that is not what it must be."""
    for name, (right, kind) in fields.items():
        if not right:
            raise TypeError(f"{owner}: {name} must be {kind}")
