"""Samples of the chapter `convolution`."""

from __future__ import annotations

from .sample import Maker

MAKERS: dict[str, Maker] = {}
