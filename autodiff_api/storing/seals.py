"""What shows that a file is ours, and as it was written."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, BinaryIO

VERSION = 1
KEY = "autodiff_api"
START = f'{{"{KEY}": '
LENGTH = 32  # of a digest, in letters
BLANK = "0" * LENGTH  # in place of the digest while it is computed


def digest() -> blake2b:
    """Return what takes a file's bytes, and tells in 32 letters whether it has seen the same."""
    return blake2b(digest_size=LENGTH // 2)


def text_of(tree: Any) -> str:
    """Return the text that says what a file's arrays are parts of; its first blank is for the digest."""
    return json.dumps({KEY: VERSION, "digest": BLANK, "tree": tree}, allow_nan=False)


def parsed(text: str | bytes) -> Any:
    """Return what JSON says; ValueError for a name that is there twice, and for what is not quite JSON."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)


def tree_in(text: str | bytes) -> tuple[Tree, str]:
    """Return the tree and the digest in what `text_of` gave."""
    said = parsed(text)
    if said[KEY] != VERSION:
        raise ValueError(f"it was saved in version {said[KEY]!r} of the format, and this library knows {VERSION}")
    if not isinstance(said["digest"], str) or len(said["digest"]) != LENGTH:
        raise ValueError("its digest is none")
    return Tree(said["tree"]), said["digest"]


class Tree:
    """A tree as it was said, which may be None."""

    def __init__(self, said: Any) -> None:
        self.said = said


def changed() -> ValueError:
    """Return the error of a file that does not fit its digest."""
    return ValueError("it has changed since it was written: its digest does not fit")


def size_of(file: BinaryIO) -> int:
    """Return the length of a file, which is then at its beginning."""
    size = file.seek(0, 2)
    file.seek(0)
    return size


def exactly(file: BinaryIO, length: int) -> bytes:
    """Return the next bytes; ValueError where there are fewer."""
    found = file.read(length)
    if len(found) != length:
        raise ValueError("it is cut short")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it says something twice")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
