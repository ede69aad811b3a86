"""The standard in PyTorch's words, amended, and the generic kernels in these words: for what PyTorch's own don't do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import torch

from autodiff_api.rules import OPS

from . import arithmetic, indexing, mends, standard

Kernel = Callable[..., Any]
KERNELS: dict[str, Kernel] = {**mends.KERNELS, **arithmetic.KERNELS, **indexing.KERNELS}


class Words:
    """The words that the generic kernels are written in: amended, generic or PyTorch's own."""

    complexes = (torch.complex64, torch.complex128)
    dtypes_are_single = True  # each is an object that exists once
    _namespace = standard  # what a generic kernel that mends a function asks for the function

    def __init__(self, chapter: str = "") -> None:
        self._chapter = chapter

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # no op is called so
            raise AttributeError(name)
        found = self._find(self._chapter + name)
        setattr(self, name, found)
        return found

    @staticmethod
    def _find(name: str) -> Any:
        if name in ("fft", "linalg", "nn", "special"):
            return Words(f"{name}.")
        if name in KERNELS:
            return KERNELS[name]
        if name in OPS and OPS[name].kernel is not None:
            return generic(name)
        return attrgetter(name)(standard)


WORDS = Words()


def generic(name: str) -> Kernel:
    """Return the generic kernel of an op."""
    kernel = OPS[name].kernel
    assert kernel is not None
    return partial(kernel, xp=WORDS)
