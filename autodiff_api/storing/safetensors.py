"""The safetensors format: the length of a header, the header in JSON, and the arrays' bytes one after the other.

It is described at https://huggingface.co/docs/safetensors, and small enough to be read and written here: every claim of
a file is checked before memory is taken for it, and bfloat16 needs no other library. What the tree was, and the digest
of the whole file, stand in the metadata, where other readers pass over them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from autodiff_api.errors import ArgumentTypeError

from .hosts import Host
from .seals import BLANK, KEY, START, Tree, changed, digest, exactly, parsed, size_of, text_of, tree_in

LONGEST_HEADER = 100_000_000  # bytes; as in the format's own library
METADATA = "__metadata__"
DTYPES = {
    "bfloat16": "BF16", "bool": "BOOL", "complex64": "C64", "float16": "F16", "float32": "F32", "float64": "F64",
    "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16", "uint32": "U32",
    "uint64": "U64",
}  # fmt: skip
NAMES = {short: name for name, short in DTYPES.items()}


def write(file: BinaryIO, tree: Any, arrays: Mapping[str, Host]) -> None:
    """Write a file; ArgumentTypeError for complex128, which the format does not know."""
    entries: dict[str, Any] = {METADATA: {KEY: text_of(tree)}}
    ordered = sorted(arrays.items(), key=lambda item: -item[1].data.itemsize)  # so that each begins at its multiple
    end = 0
    for name, host in ordered:
        if host.dtype not in DTYPES:
            raise ArgumentTypeError(f"save: safetensors files have no {host.dtype}, as {name} is; save an .npz file")
        begin, end = end, end + host.data.nbytes
        entries[name] = {"dtype": DTYPES[host.dtype], "shape": list(host.data.shape), "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > LONGEST_HEADER:
        raise ArgumentTypeError(f"save: the names and numbers take {len(header)} bytes; safetensors allows 1e8")
    header = len(header).to_bytes(8, "little") + header
    sum_ = digest()
    sum_.update(header)
    for _, host in ordered:
        sum_.update(_bytes(host.data))
    file.write(header.replace(BLANK.encode(), sum_.hexdigest().encode(), 1))
    for _, host in ordered:
        file.write(_bytes(host.data))


def read(file: BinaryIO) -> tuple[Tree | None, dict[str, Host]]:
    """Return the tree, None in a file by others, and the arrays; any Exception for a file that is damaged."""
    size = size_of(file)
    start = exactly(file, 8)
    length = int.from_bytes(start, "little")
    if length > min(LONGEST_HEADER, size - 8):
        raise ValueError(f"its header should have {length} bytes, and there are {size - 8}")
    header = exactly(file, length)
    entries = parsed(header)
    sealed = _sealed(entries.pop(METADATA, None) or {})
    layout = _layout(entries, size - 8 - length)
    sum_ = digest()
    if sealed:
        sum_.update(start + header.replace(sealed[1].encode(), BLANK.encode(), 1))
    arrays = {name: _array(file, sum_, short, shape) for name, short, shape in layout}
    if sealed and sum_.hexdigest() != sealed[1]:
        raise changed()
    return (sealed[0] if sealed else None), {name: arrays[name] for name in entries}


def _sealed(metadata: Mapping[str, str]) -> tuple[Tree, str] | None:
    """Return the tree and the digest that a file of ours has."""
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata is no map of texts")
    if KEY not in metadata and not any(text.startswith(START) for text in metadata.values()):
        return None  # neither mark is there, of which one flipped bit takes away no more than one
    return tree_in(metadata[KEY])


def _layout(entries: Mapping[str, Any], size: int) -> list[tuple[str, str, list[int]]]:
    """Return name, dtype and shape of each array, in the order of their bytes, which must fill the rest of the file."""
    found, end = [], 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        short, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if short not in NAMES:
            raise ValueError(f"its array {name!r} has a dtype {short!r} that this library does not know")
        if not all(type(n) is int and n >= 0 for n in (*shape, *offsets)) or len(entry) != 3:
            raise ValueError(f"its array {name!r} has no proper shape and place")
        begin, stop = offsets
        if begin != end or stop - begin != math.prod(shape) * _dtype(short).itemsize or stop > size:
            raise ValueError(f"its array {name!r} is said to be where it can't be")
        end = stop
        found.append((name, short, shape))
    if end != size:
        raise ValueError(f"its arrays should have {end} bytes, and there are {size}")
    return found


def _array(file: BinaryIO, sum_: Any, short: str, shape: list[int]) -> Host:
    """Read the next array."""
    raw = np.frombuffer(exactly(file, math.prod(shape) * _dtype(short).itemsize), dtype=np.uint8)
    sum_.update(raw)
    if short == "BOOL" and raw.size and raw.max() > 1:
        raise ValueError("a truth value of it is neither 0 nor 1")
    data = raw.view(_dtype(short)).reshape(shape)
    return Host(NAMES[short], data.astype(data.dtype.newbyteorder("="), copy=False))


def _dtype(short: str) -> np.dtype[Any]:
    name = "uint16" if short == "BF16" else NAMES[short]
    return np.dtype(name).newbyteorder("<")


def _bytes(data: np.ndarray[Any, Any]) -> Any:
    return np.asarray(data, dtype=data.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
