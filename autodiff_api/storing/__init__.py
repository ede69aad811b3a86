"""Saving trees of arrays, and loading them on any backend: safetensors and npz files, and no pickles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from autodiff_api.binding import namespace
from autodiff_api.errors import ArgumentError, CheckpointFileError
from autodiff_api.trees import tree_map

from . import npz, safetensors
from .files import replacing
from .hosts import Host, Leaf, revived
from .seals import Tree
from .structure import Reader, plain, take_apart

__all__ = ["load", "save"]


class Format(Protocol):
    """How a kind of file holds named arrays, and a text that says what they are parts of."""

    def write(self, file: BinaryIO, tree: Any, arrays: dict[str, Host]) -> None:
        """Write a file."""

    def read(self, file: BinaryIO) -> tuple[Tree | None, dict[str, Host]]:
        """Return the tree, None in a file that is not ours, and the arrays; any Exception for one that is damaged."""


FORMATS: dict[str, Format] = {".npz": npz, ".safetensors": safetensors}


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write a state dict, or any tree of arrays, to a file: whole or not at all.

    The suffix says the format: ``.safetensors``, or ``.npz``, which NumPy reads too. A tree is made of dicts, lists,
    tuples and namedtuples; its leaves are tensors and raw arrays of any backend, numbers, texts and None. Arrays are
    gathered on the host: lazy ones are computed, and those that lie over several devices are put together. A tensor's
    gradient and graph are not saved; its `requires_grad` is. NumPy's scalars are saved as Python's numbers.

    The new file takes the place of an old one when all of it is on the disk: until then the old one stays, also
    if the process is killed. Raises ArgumentError for another suffix, ArgumentTypeError, naming the place in the
    tree, for what a file can't hold, and OSError where nothing can be written.

    >>> import autodiff_api as ad, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> ad.save({"w": ad.tensor([1.0, 2.0]), "steps": 3}, f"{folder.name}/model.safetensors")
    >>> ad.load(f"{folder.name}/model.safetensors")
    {'w': tensor([1., 2.]), 'steps': 3}
    >>> folder.cleanup()
    """
    form = _format(path, "save")
    tree, arrays = take_apart(obj)
    with replacing(path) as file:
        form.write(file, tree, arrays)


def load(
    path: str | os.PathLike[str], *, backend: str | None = None, device: Any = None, types: Sequence[type] = ()
) -> Any:
    """Return what :func:`save` wrote, as tensors of a backend: the default one, or the one of that name.

    `device` is where the arrays go: a device, or a layout over several. Raw arrays come back as raw arrays of the
    backend. A namedtuple comes back as that of `types` that has its name, else as one of a class made for it. Nothing
    in a file is run. The dict of arrays in a safetensors file that others wrote, and the arrays of an ``.npz`` file
    of NumPy's, are loaded as a dict of tensors. bfloat16 becomes float32 on a backend that has none.

    Raises CheckpointFileError, a RuntimeError and ValueError, for a file that is cut short, changed since it was
    written, or made to do harm; DataError for integers that the engine has no room for (JAX without 64-bit numbers);
    FileNotFoundError where there is no file; ArgumentError for a suffix that is not known.

    >>> import autodiff_api as ad, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> model, other = ad.nn.Linear(2, 1), ad.nn.Linear(2, 1)
    >>> ad.save(model.state_dict(), f"{folder.name}/model.npz")
    >>> other.load_state_dict(ad.load(f"{folder.name}/model.npz", backend="numpy"))
    <All keys matched successfully>
    >>> folder.cleanup()
    """
    form = _format(path, "load")
    with open(path, "rb") as file:
        try:
            tree, arrays = form.read(file)
            found = plain(arrays) if tree is None else Reader(arrays, types).whole(tree.said)
        except MemoryError:
            raise
        except Exception as error:  # a damaged file can make any part of a reader stumble
            fact = str(error) or type(error).__name__
            raise CheckpointFileError(
                f"load: {os.fspath(path)} is damaged, or no {_suffix(path)} file: {fact}. Nothing was loaded; use "
                "another copy of the file"
            ) from error
    xp = namespace(backend)
    return tree_map(lambda x: revived(x, xp, device) if isinstance(x, Leaf) else x, found)


def _suffix(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(os.fspath(path))[1]


def _format(path: str | os.PathLike[str], where: str) -> Format:
    try:
        return FORMATS[_suffix(path)]
    except KeyError:
        raise ArgumentError(
            f"{where}: the suffix of {os.fspath(path)!r} is none of {', '.join(FORMATS)}; give it one. (PyTorch's own "
            "files are pickles, which can run code: write them again with safetensors.torch.save_file.)"
        ) from None
