"""Arrays between a backend and a file: contiguous bytes of NumPy's, and a dtype's name."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autodiff_api.arrays import Array
from autodiff_api.backends import backend_of
from autodiff_api.errors import ArgumentTypeError, BackendUnavailableError, DataError
from autodiff_api.namespaces import Namespace
from autodiff_api.nn import Parameter

NAMES = (
    "bool", "complex64", "complex128", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
    "uint16", "uint32", "uint64",
)  # fmt: skip


class Host(NamedTuple):
    """An array as a file has it: contiguous, in this machine's byte order, of bfloat16 its bits as uint16."""

    dtype: str
    data: np.ndarray[Any, np.dtype[Any]]


class Leaf:
    """An array of a tree that has been read, and what it was."""

    __slots__ = ("dtype", "grad", "host", "kind")

    def __init__(self, host: Host, kind: str = "tensor", grad: bool = False) -> None:
        self.host, self.kind, self.grad = host, kind, grad
        self.dtype = host.dtype  # which makes it a leaf of trees


def host_of(x: Any, place: str) -> Host:
    """Return a tensor or raw array on the host; ArgumentTypeError, with its place, if that is no array of numbers."""
    short = str(x.dtype).endswith("bfloat16")  # which NumPy has not, and not every engine can hand over
    try:
        data = _numpy(x.detach() if isinstance(x, Array) else x, short, place)
    except RuntimeError as error:
        if "addressable" not in str(error):
            raise
        raise BackendUnavailableError(
            f"save: {place} lies over several processes, none of which has all of it; let each have it whole, by "
            "ad.place(tree, mesh, ()) on all of them, and save that on one"
        ) from error
    if short:
        bits = np.asarray(data, order="C").view(np.uint32) >> 16  # exact: a bfloat16 is the first half of a float32
        return Host("bfloat16", bits.astype(np.uint16))
    if data.dtype.name not in NAMES or isinstance(x, np.ma.MaskedArray):
        raise ArgumentTypeError(
            f"save: {place} is a {type(x).__name__} of {data.dtype}; a file holds arrays of numbers"
        )
    return Host(data.dtype.name, np.asarray(data, dtype=data.dtype.newbyteorder("="), order="C"))


def _numpy(x: Any, short: bool, place: str) -> np.ndarray[Any, np.dtype[Any]]:
    """Return an array on the host; bfloat16 as float32."""
    if isinstance(x, Array):
        return np.asarray((x._xp.astype(x, x._xp.float32) if short else x).numpy(force=True))
    if isinstance(x, np.ndarray):
        return np.asarray(x, dtype=np.float32 if short else None)
    backend = backend_of(x)
    if backend is None:
        raise ArgumentTypeError(f"save: no installed backend claims {place}, a {type(x).__name__}; save a tensor")
    return np.asarray(backend.to_numpy(backend.namespace.astype(x, backend.namespace.float32) if short else x))


def revived(leaf: Leaf, xp: Namespace, device: Any) -> Any:
    """Return what a leaf was as an array of a namespace; DataError for integers that do not fit there."""
    dtype, data = leaf.host
    engine = xp._engine().namespace
    if dtype == "bfloat16":
        wide = (data.astype(np.uint32) << 16).view(np.float32)
        tensor = xp.asarray(wide, dtype=getattr(engine, "bfloat16", None), device=device)
    else:
        tensor = xp.asarray(data, device=device)
    if data.dtype.kind in "iu" and dtype != "bfloat16":
        _insist(tensor, data)
    if leaf.kind == "array":
        return tensor._value
    return Parameter(tensor, leaf.grad) if leaf.kind == "parameter" else tensor.requires_grad_(leaf.grad)


def _insist(tensor: Any, data: Any) -> None:
    """Raise DataError if an engine of small integers has changed one."""
    info = tensor._xp.iinfo(tensor.dtype)
    if data.size and (int(data.max()) > int(info.max) or int(data.min()) < int(info.min)):
        raise DataError(
            f"load: an array of {data.dtype} holds numbers that {tensor.dtype} does not, which backend "
            f"{tensor._xp._backend.name!r} has here; let it have 64 bits, as JAX does with jax_enable_x64"
        )
