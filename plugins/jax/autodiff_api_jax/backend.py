"""The JAX backend: jax.numpy as it is, and indexing said in JAX's way.

What a JAX user knows stays true. In particular, without ``jax_enable_x64`` there is no float64: who asks for
it by name, ``zeros(3, dtype=xp.float64)`` or ``astype(x, xp.float64)``, gets float32 and JAX's warning, which
names the switch (functions that JAX compiles warn when they are compiled); data that merely are float64, such
as a NumPy array, become float32 as in ``jnp.asarray``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_api.backends import Backend
from autodiff_api.errors import DeviceNotFoundError

from . import arithmetic, control, convolution, linalg, network, sharding, special
from .slices import padded

PLAIN = (bool, int, float, complex, list, tuple)  # whose memory nobody else holds


def place(x: Any, device: Any, *, stream: None = None) -> Any:
    """Move `x` to `device`: a ``jax.Device``, a ``Sharding``, or a name such as ``cpu`` or ``cuda:1``."""
    if isinstance(device, jax.sharding.NamedSharding):
        return sharding.spread(x, device)
    there = _device(device) if isinstance(device, str) else device
    if isinstance(x, jax.core.Tracer) or getattr(x, "device", None) == there:
        return jax.device_put(x, there)
    return jax.device_put(x, there, may_alias=False)  # a compiled function may give away the memory of either


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """Return `obj` as an array; a copy is made now, where JAX copies what a NumPy array holds some time later."""
    out = jnp.asarray(obj, dtype=dtype, device=device, copy=copy)
    return jax.block_until_ready(out) if copy and not isinstance(obj, (jax.Array, *PLAIN)) else out


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Return running products, of small integers as the default integer of their kind; JAX keeps uint8.

    >>> cumulative_prod(jnp.asarray([100, 100], dtype=jnp.uint8)).dtype
    dtype('uint32')
    """
    if dtype is None and jnp.issubdtype(x.dtype, jnp.integer):
        default = jnp.result_type(int)
        unsigned = jnp.issubdtype(x.dtype, jnp.unsignedinteger)
        dtype = jnp.promote_types(x.dtype, f"u{default}" if unsigned else default)
    return jnp.cumulative_prod(x, axis=axis, dtype=dtype, include_initial=include_initial)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """Return the array behind a DLPack producer; JAX shares aligned memory also where `copy` is True.

    >>> given = np.zeros(16, dtype=np.float32)
    >>> copied = from_dlpack(given, copy=True)
    >>> given[0] = 9
    >>> float(copied[0])
    0.0
    """
    out = jnp.from_dlpack(x, device=device, copy=None if copy else copy)
    return jax.block_until_ready(jnp.copy(out)) if copy else out


def getitem(x: Any, key: Any) -> Any:
    """Return ``x[key]``; raise IndexError where a Python integer is out of bounds.

    JAX moves an index that is out of bounds to the nearest one that is not. For index arrays, which may be
    traced, that stands; for a plain integer it would only hide a mistake.

    >>> getitem(jnp.arange(3), 3)
    Traceback (most recent call last):
    IndexError: index 3 is out of bounds for axis 0 with size 3
    """
    return x[_checked(x.shape, key)]


def complex_(re: Any, im: Any) -> Any:
    """Return the complex numbers with these real and imaginary parts, broadcast against each other.

    >>> complex_(jnp.asarray([1.0]), jnp.asarray(jnp.inf))
    Array([1.+infj], dtype=complex64)
    """
    dtype = jnp.result_type(re, im, jnp.float32)
    return jax.lax.complex(*jnp.broadcast_arrays(jnp.asarray(re, dtype=dtype), jnp.asarray(im, dtype=dtype)))


def scatter_add(x: Any, key: Any, values: Any) -> Any:
    """Return a copy of `x` with `values` added at `key`; where `key` names a place twice, both are added.

    >>> scatter_add(jnp.zeros(3), jnp.asarray([0, 2, 0]), 1.0)
    Array([2., 0., 1.], dtype=float32)
    """
    values = jnp.asarray(values, dtype=x.dtype)
    zeros_around = padded(x.shape, key, values)
    if zeros_around is not None:
        return x + zeros_around
    mask = _as_mask(x, key, values)
    if mask is not None:
        return jnp.where(mask, x + values, x)
    return x.at[_checked(x.shape, key)].add(values)


def setitem(x: Any, key: Any, value: Any) -> Any:
    """Return a copy of `x`, of the same dtype, with ``x[key] = value``.

    >>> setitem(jnp.arange(3), jnp.arange(3) > 0, 7)
    Array([0, 7, 7], dtype=int32)
    """
    value = jnp.asarray(value, dtype=x.dtype)
    mask = _as_mask(x, key, value)
    if mask is not None:
        return jnp.where(mask, value, x)
    try:
        return x.at[_checked(x.shape, key)].set(value)
    except ValueError:
        if not value.shape or value.shape[0] != 1:
            raise
        return setitem(x, key, value[0])  # x[0] = [[1, 2]]: NumPy drops leading ones, JAX does not


def permute_dims(x: Any, axes: tuple[int, ...]) -> Any:
    """Return `x` with its axes in another order; they may be negative, as the standard has it since 2025.12.

    >>> permute_dims(jnp.zeros((2, 3, 4)), (-1, 0, 1)).shape
    (4, 2, 3)
    """
    return jnp.permute_dims(x, tuple(axis % x.ndim for axis in axes) if len(axes) == x.ndim else axes)


def remainder(x1: Any, x2: Any, /) -> Any:
    """Return the remainder, with the sign of `x2` also where it is a zero; JAX keeps the sign of `x1`.

    >>> remainder(jnp.asarray([-0.0, 4.0]), jnp.asarray([2.0, -2.0]))
    Array([ 0., -0.], dtype=float32)
    """
    out = jnp.remainder(x1, x2)
    if not jnp.issubdtype(out.dtype, jnp.floating):
        return out
    return jnp.where(out == 0, jnp.copysign(out, x2), out)


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """Return where `x2` goes in `x1`, as the default integer; JAX gives int32, also where that is int64."""
    return jnp.searchsorted(x1, x2, side=side, sorter=sorter).astype(int)


def _as_mask(x: Any, key: Any, value: Any) -> Any:
    """Return a mask that broadcasts against `x`, if `key` is one and `value` is the same wherever it holds.

    Then a ``where`` does it, which is all that can be done under ``jax.jit``: the number of True entries,
    and so the shape of ``x[mask]``, is not known there.
    """
    parts = _parts(key)
    if len(parts) != 1 or not isinstance(parts[0], (bool, np.bool_, np.ndarray, jax.Array)):
        return None
    mask = jnp.asarray(parts[0])
    if mask.dtype != jnp.bool:
        return None
    rest = x.shape[mask.ndim :]
    if mask.shape != x.shape[: mask.ndim] or jnp.broadcast_shapes(value.shape, rest) != rest:
        return None
    return mask.reshape(mask.shape + (1,) * len(rest))


def _checked(shape: tuple[int, ...], key: Any) -> tuple[Any, ...]:
    """Return `key` as JAX takes it; raise IndexError for a Python or NumPy integer that is out of bounds."""
    parts = tuple(bool(part) if isinstance(part, np.bool_) else part for part in _parts(key))
    axis, axes = 0, [_axes(part) for part in parts]
    for part, used in zip(parts, axes, strict=True):
        if part is Ellipsis:
            axis += len(shape) - sum(axes)
        is_integer = used == 1 and isinstance(part, (int, np.integer))
        if is_integer and axis < len(shape) and not -shape[axis] <= part < shape[axis]:
            raise IndexError(f"index {part} is out of bounds for axis {axis} with size {shape[axis]}")
        axis += used
    return parts


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _axes(part: Any) -> int:
    """Count the axes that one part of a key uses up."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if getattr(part, "dtype", None) == jnp.bool else 1


def _device(name: str) -> jax.Device:
    """Find a device by the name that it prints, ``cpu:0``, or by its platform, ``cpu`` or ``cuda:1``."""
    devices = jax.devices()
    for device in devices:
        if str(device) == name:
            return device
    platform, _, index = name.partition(":")
    try:
        return jax.devices(platform)[int(index or 0)]
    except (RuntimeError, ValueError, IndexError) as error:
        there = ", ".join(map(str, devices))
        raise DeviceNotFoundError(f"JAX has no device {name!r} here; place it on one of {there}") from error


BACKEND = Backend(
    name="jax",
    namespace=jnp,
    array_types=(jax.Array,),
    kernels=sharding.with_layouts(
        {
            "asarray": asarray,
            "complex": complex_,
            "cumulative_prod": cumulative_prod,
            "from_dlpack": from_dlpack,
            "getitem": getitem,
            "permute_dims": permute_dims,
            "remainder": remainder,
            "scatter_add": scatter_add,
            "searchsorted": searchsorted,
            "setitem": setitem,
            "to_device": place,
            **arithmetic.KERNELS,
            **convolution.KERNELS,
            **linalg.KERNELS,
            **network.KERNELS,
            **special.KERNELS,
        }
    ),
    devices=jax.devices,
    place=place,
    to_numpy=np.asarray,
    immutable=True,
    register_array=jax.tree_util.register_pytree_node,
    compile=sharding.compile,
    layout=sharding.layout,
    layout_of=sharding.layout_of,
    mesh=sharding.mesh,
    number=jnp.asarray,
    untraceable=(
        jax.errors.ConcretizationTypeError,
        jax.errors.NonConcreteBooleanIndexError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerIntegerConversionError,
    ),
    exactly=partial(jax.enable_x64, True),
    synchronize=jax.block_until_ready,
    control={"cond": control.cond, "scan": control.scan, "while_loop": control.while_loop},
)
