"""Arrays over several devices: meshes, layouts, and what operations need where a mesh has Explicit axes.

On a mesh with Auto axes XLA lays results out as it likes, and every kernel works as it is. With Explicit axes a layout
is part of an array's type, and an operation whose result could be laid out in several ways must be told in which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache, wraps
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from autodiff_api.errors import ArgumentError

Kernel = Callable[..., Any]
TRACED = jax.core.Tracer
# What JAX raises where it can't choose a layout; no public module has them.
REFUSAL: tuple[type[Exception], ...] = tuple(
    getattr(import_module(f"jax._src.{module}"), name, NotImplementedError)
    for module, name in (("core", "ShardingTypeError"), ("named_sharding", "DuplicateSpecError"))
)
PERHAPS: tuple[type[Exception], ...] = (ValueError, *REFUSAL)  # which a scatter raises, for the same reason
SPEC = tuple[Any, ...]  # for each axis of an array the name of an axis of the mesh, several, or None

# The layouts of the arguments of the function that is being compiled, by the identity of what stands for them: on a
# mesh with Auto axes a traced array does not know its own.
_arguments: ContextVar[Mapping[int, NamedSharding] | None] = ContextVar("autodiff_api_jax.arguments", default=None)


def mesh(axes: Mapping[str, int], devices: Sequence[Any] | None, explicit: bool) -> Mesh:
    """Return JAX's mesh of devices, whose axes are named and have these lengths.

    >>> mesh({"data": 1}, None, False).shape["data"]
    1
    """
    count, given = math.prod(axes.values()), jax.devices() if devices is None else list(devices)
    if count > len(given) or (devices is not None and count < len(given)):
        raise ArgumentError(
            f"Mesh: axes {dict(axes)} take {count} devices and there are {len(given)}; change their lengths, or for "
            f"trials start Python with XLA_FLAGS=--xla_force_host_platform_device_count={count}"
        )
    kinds = (AxisType.Explicit if explicit else AxisType.Auto,) * len(axes)
    if devices is None and count == len(given):  # in the order that suits how they are connected
        return jax.make_mesh(tuple(axes.values()), tuple(axes), axis_types=kinds)
    return Mesh(np.asarray(given[:count], dtype=object).reshape(tuple(axes.values())), tuple(axes), axis_types=kinds)


def layout(mesh: Mesh, spec: SPEC) -> NamedSharding:
    """Return how arrays lie over a mesh: what `device=` takes.

    >>> layout(mesh({"data": 1}, None, False), ("data", None)).spec
    P('data',)
    """
    return short(NamedSharding(mesh, PartitionSpec(*spec)))


@cache
def short(there: NamedSharding) -> NamedSharding:
    """Return a layout as compiled functions give it: without a word on axes at the end that are not divided."""
    spec = list(there.spec)
    while spec and spec[-1] is None:
        spec.pop()
    return there.update(spec=PartitionSpec(*spec))


def layout_of(x: Any) -> NamedSharding | None:
    """Return how an array lies over a mesh, if it lies on one and that is known."""
    if isinstance(x, TRACED):
        known = _arguments.get()
        return (known.get(id(x)) if known is not None else None) or explicit(x)
    there = getattr(x, "sharding", None)
    return there if isinstance(there, NamedSharding) else None


def explicit(x: Any) -> NamedSharding | None:
    """Return the layout that is part of an array's type, if its mesh has Explicit axes."""
    if not isinstance(x, jax.Array):
        return None
    there: Any = jax.typeof(x).sharding if isinstance(x, TRACED) else x.sharding
    return there if isinstance(there, NamedSharding) and AxisType.Explicit in there.mesh.axis_types else None


def spread(x: Any, there: NamedSharding) -> Any:
    """Lay an array out over a mesh; over several processes each takes its part of what it has itself.

    The memory is its own: a compiled function may give away that of a parameter that was laid out.
    """
    there = there if jnp.ndim(x) else fitting(there, ())
    if isinstance(x, TRACED):
        is_explicit = AxisType.Explicit in there.mesh.axis_types
        tell: Kernel = jax.sharding.reshard if is_explicit else jax.lax.with_sharding_constraint
        return tell(x, there)
    if there.is_fully_addressable or not getattr(x, "is_fully_addressable", True):
        if isinstance(x, jax.Array) and x.sharding == there:
            return x
        return jax.device_put(jnp.copy(x) if isinstance(x, jax.Array) else np.array(x), there)
    host = np.asarray(x)
    return jax.make_array_from_callback(host.shape, there, lambda index: host[index])


def fitting(there: NamedSharding, shape: tuple[int, ...]) -> NamedSharding:
    """Return a layout for an array that goes with others which have it: whole on each device, if it does not fit.

    >>> fitting(layout(mesh({"data": 1}, None, False), ("data",)), ()).spec
    P()
    """
    if len(there.spec) <= len(shape):
        try:
            there.shard_shape(shape)
        except ValueError:  # the mesh does not divide it
            pass
        else:
            return there
    return there.update(spec=PartitionSpec())


def creator(make: Kernel, native: bool) -> Kernel:
    """Return a function that makes arrays, on a device or laid out over a mesh; `native` ones never are on one device.

    A layout that does not fit is that of an array which the new one goes with: each device has all of it.
    """

    @wraps(make)
    def create(*args: Any, device: Any = None, **kwargs: Any) -> Any:
        if not isinstance(device, NamedSharding):
            return make(*args, device=device, **kwargs)
        if native:
            shape = args[0] if isinstance(args[0], tuple | list) else (args[0],)
            return make(*args, device=fitting(device, tuple(shape)), **kwargs)
        x = make(*args, **kwargs)
        return spread(x, fitting(device, x.shape))

    return create


def compile(function: Kernel, **options: Any) -> Kernel:
    """Compile a function of arrays; on several devices, let gradients by its arguments be laid out as those are."""
    alone = jax.jit(function, **options)
    if jax.device_count() == 1:
        return alone
    programs: dict[Any, Kernel] = {}

    def program(args: Sequence[Any]) -> Any:
        layouts = tuple([there and short(there) for there in map(layout_of, jax.tree.leaves(args))])
        if not any(layouts):
            return alone
        if layouts not in programs:
            programs[layouts] = jax.jit(laid_out(function, layouts), **options)
        return programs[layouts]

    def run(*args: Any) -> Any:
        return program(args)(*args)

    run.lower = lambda *args: program(args).lower(*args)  # type: ignore[attr-defined]
    return run


def laid_out(function: Kernel, layouts: Sequence[NamedSharding | None]) -> Kernel:
    """Return a function that knows, while it is traced, how its arguments are laid out."""

    @wraps(function)
    def traced(*args: Any) -> Any:
        known = {id(x): there for x, there in zip(jax.tree.leaves(args), layouts, strict=True) if there is not None}
        token = _arguments.set(known)
        try:
            return function(*args)
        finally:
            _arguments.reset(token)

    return traced


# --- Explicit axes ---

_met: list[bool] = []  # holds something as soon as a product was refused: from then on layouts are looked at first
Rule = Callable[..., SPEC]


def matmul(x1: Any, x2: Any, /) -> Any:
    """Return the matrix product, told how to lay it out where JAX would refuse to choose."""
    try:
        if not _met:
            return jnp.matmul(x1, x2)
    except REFUSAL:
        _met.append(True)
    return jnp.matmul(x1, x2, out_sharding=chosen(product, x1, x2))


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Return the product over some axes, told how to lay it out where JAX would refuse to choose."""
    try:
        if not _met:
            return jnp.tensordot(x1, x2, axes=axes)
    except REFUSAL:
        _met.append(True)
    return jnp.tensordot(x1, x2, axes=axes, out_sharding=chosen(tensor_product, x1, x2, axes=axes))


def chosen(rule: Rule, *args: Any, **kwargs: Any) -> NamedSharding | None:
    """Return the layout of a result by a rule; None where no argument lies on a mesh with Explicit axes."""
    there = next(filter(None, map(explicit, jax.tree.leaves(args))), None)
    return None if there is None else there.update(spec=PartitionSpec(*free(rule(*args, **kwargs))))


def left_to_xla(plain: Kernel, rule: Rule) -> Kernel:
    """Return a kernel that XLA lays out inside, and a rule outside, where JAX would refuse to choose."""

    @wraps(plain)
    def kernel(*args: Any, **kwargs: Any) -> Any:
        try:
            return plain(*args, **kwargs)
        except PERHAPS:
            there = chosen(rule, *args, **kwargs)
            if there is None:
                raise
        arrays, structure = jax.tree.flatten(args, is_leaf=lambda x: not isinstance(x, tuple))
        moving = [x for x in arrays if isinstance(x, jax.Array)]

        def of_arrays(*given: Any) -> Any:
            rest = iter(given)
            parts = [next(rest) if isinstance(x, jax.Array) else x for x in arrays]
            return plain(*jax.tree.unflatten(structure, parts), **kwargs)

        return jax.sharding.auto_axes(of_arrays, out_sharding=there)(*moving)

    return kernel


def spec_of(x: Any) -> SPEC:
    """Return the names of the axes of the mesh that each axis of an array lies over."""
    there = explicit(x)
    spec = tuple(there.spec) if there is not None else ()
    return spec + (None,) * (jnp.ndim(x) - len(spec))


def free(spec: SPEC) -> SPEC:
    """Return a spec in which no axis of the mesh occurs twice: the first occurrence stays."""
    seen: set[str] = set()
    found = []
    for part in spec:
        names = (part,) if isinstance(part, str) else tuple(part or ())
        kept = tuple(n for n in names if n not in seen)
        seen.update(kept)
        found.append(kept[0] if len(kept) == 1 else kept or None)
    return tuple(found)


def product(x1: Any, x2: Any, /) -> SPEC:
    """Give rows as the first factor's, columns as the second's; what is summed over is gone."""
    first, second = spec_of(x1), spec_of(x2)
    rows = first[-2:-1]
    columns = second[-1:] if len(second) > 1 else ()
    batch, other = first[:-2], second[:-2]
    longer, shorter = (batch, other) if len(batch) >= len(other) else (other, batch)
    shorter = (None,) * (len(longer) - len(shorter)) + shorter
    return (*[a or b for a, b in zip(longer, shorter, strict=True)], *rows, *columns)


def tensor_product(x1: Any, x2: Any, /, *, axes: Any = 2) -> SPEC:
    """Give each axis that is left as in its factor."""
    first, second = spec_of(x1), spec_of(x2)
    if isinstance(axes, int):
        return first[: len(first) - axes] + second[axes:]
    gone = [{a % jnp.ndim(x) for a in given} for x, given in zip((x1, x2), axes, strict=True)]
    return tuple(
        part for spec, lost in zip((first, second), gone, strict=True) for i, part in enumerate(spec) if i not in lost
    )


def same(x: Any, /, *args: Any, **kwargs: Any) -> SPEC:
    """Give what the first array has."""
    return spec_of(x)


def indexed(x: Any, key: Any, /) -> SPEC:
    """Give axes that are taken whole as they are, and those that an array of indices makes as its own."""
    spec, parts = list(spec_of(x)), list(key if isinstance(key, tuple) else (key,))
    used = sum(1 for p in parts if p is not None and p is not ...)
    fill = [slice(None)] * (jnp.ndim(x) - used)
    if not any(p is ... for p in parts):
        parts.append(...)
    at = next(i for i, p in enumerate(parts) if p is ...)
    parts[at : at + 1] = fill
    found: list[Any] = []
    arrays = [p for p in parts if hasattr(p, "shape") and p.shape]
    places = [i for i, p in enumerate(parts) if hasattr(p, "shape") and p.shape]
    together = places == list(range(places[0], places[0] + len(places))) if places else True
    made = list(spec_of(max(arrays, key=jnp.ndim))) if arrays else []
    if arrays and not together:
        found += made
    for i, p in enumerate(parts):
        if p is None:
            found.append(None)
            continue
        name = spec.pop(0)
        if isinstance(p, slice):
            found.append(name if p == slice(None) else None)
        elif places and together and i == places[0]:
            found += made
    return tuple(found)


def taken(x: Any, indices: Any, /, *, axis: int | None = None) -> SPEC:
    """Give the axis that is indexed as the indices lie, the others as they are."""
    spec, at = spec_of(x), 0 if axis is None else axis % jnp.ndim(x)
    return (*spec[:at], *spec_of(indices), *spec[at + 1 :])


def by_indices(x: Any, indices: Any, /, *, axis: int = -1) -> SPEC:
    """Give what the indices have, or else the array."""
    return tuple(a or b for a, b in zip(spec_of(indices), spec_of(x), strict=True))


PRODUCTS: dict[str, Kernel] = {"matmul": matmul, "tensordot": tensordot}
CREATION = {
    "arange": False, "asarray": False, "empty": True, "eye": False, "full": True, "linspace": False, "ones": True,
    "zeros": True,
}  # fmt: skip
REST: dict[str, Rule] = {
    "argsort": same,
    "cumulative_prod": same,
    "cumulative_sum": same,
    "getitem": indexed,
    "scatter_add": same,
    "setitem": same,
    "sort": same,
    "take": taken,
    "take_along_axis": by_indices,
}


def with_layouts(kernels: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """Return kernels, and JAX's own functions, that also work where a mesh has Explicit axes."""
    rest = {name: left_to_xla(kernels.get(name) or getattr(jnp, name), rule) for name, rule in REST.items()}
    made = {name: creator(kernels.get(name) or getattr(jnp, name), native) for name, native in CREATION.items()}
    return {**kernels, **PRODUCTS, **rest, **made}
