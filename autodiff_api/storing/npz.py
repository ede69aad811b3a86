"""NumPy's .npz format: a zip file of one .npy file for each array, never a pickle.

A member of its own says what the tree was; the comment at the end of the zip file holds the digest of all before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from .hosts import NAMES, Host
from .seals import BLANK, KEY, Tree, changed, digest, exactly, size_of, text_of, tree_in

TREE = "autodiff_api.json"
MARK = f"{KEY} blake2b ".encode()
PIECE = 1 << 20
SWELLING = 100
"""How many times a file may grow when it is unpacked: more than weights do, less than zip bombs."""
ROOM = 1 << 28  # bytes to which any file may grow


def write(file: BinaryIO, tree: Any, arrays: Mapping[str, Host]) -> None:
    """Write a file."""
    with ZipFile(file, "w", ZIP_STORED) as archive:
        archive.comment = MARK + BLANK.encode()
        archive.writestr(ZipInfo(TREE), text_of(tree))
        for name, host in arrays.items():
            with archive.open(ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, host.data, allow_pickle=False)
    seen = _digest(file, size_of(file) - len(BLANK))
    file.seek(-len(BLANK), 2)
    file.write(seen.encode())


def read(file: BinaryIO) -> tuple[Tree | None, dict[str, Host]]:
    """Return the tree, None in a file by others, and the arrays; any Exception for a file that is damaged."""
    size = size_of(file)
    sealed = _sealed(file, size)
    with ZipFile(file) as archive:
        members = archive.infolist()
        _check(members, size)
        if sealed != any(member.filename == TREE for member in members):
            raise changed()
        tree = tree_in(archive.read(TREE))[0] if sealed else None
        arrays = {}
        for member in members:
            if member.filename != TREE:
                with archive.open(member) as opened:
                    arrays[member.filename.removesuffix(".npy")] = _array(opened, member.file_size)
    return tree, arrays


def _sealed(file: BinaryIO, size: int) -> bool:
    """Tell whether a file is ours, and insist that it is as it was written."""
    length = len(MARK) + len(BLANK)
    if size < length:
        return False
    file.seek(-length, 2)
    end = exactly(file, length)
    if not end.startswith(MARK):
        return False
    if _digest(file, size - len(BLANK)).encode() != end[len(MARK) :]:
        raise changed()
    return True


def _digest(file: BinaryIO, length: int) -> str:
    """Return the digest of the first bytes of a file."""
    file.seek(0)
    sum_ = digest()
    for begin in range(0, length, PIECE):
        sum_.update(exactly(file, min(PIECE, length - begin)))
    return sum_.hexdigest()


def _check(members: list[ZipInfo], size: int) -> None:
    """Insist that members do not overlap, and don't grow out of proportion when they are unpacked."""
    if len({member.filename for member in members}) != len(members):
        raise ValueError("it has two members of one name")
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
        raise ValueError("it is packed in a way that NumPy does not write")
    if sum(member.compress_size for member in members) > size:
        raise ValueError("its members overlap, or reach past its end")
    unpacked = sum(member.file_size for member in members)
    if unpacked > max(ROOM, SWELLING * size):
        raise ValueError(f"it has {size} bytes and would grow to {unpacked}, as a zip bomb does")


def _array(opened: Any, size: int) -> Host:
    """Read an .npy file of a known length; a shape it may only have if that many bytes are there."""
    version = npy.read_magic(opened)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it has a member of version {version}, which arrays of numbers don't need")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, columns, dtype = header(opened)
    if dtype.name not in NAMES:
        raise ValueError(f"it holds an array of {dtype}, which is none of numbers")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size - opened.tell():
        raise ValueError(f"an array of shape {shape} does not fit the member that it is in")
    raw = exactly(opened, size - opened.tell())
    if opened.read(1):
        raise ValueError("a member has more bytes than it says")
    data = np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if columns else "C")
    return Host(dtype.name, np.asarray(data, dtype=dtype.newbyteorder("="), order="C"))
