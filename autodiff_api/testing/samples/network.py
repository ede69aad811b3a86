"""Samples of the chapter `network`."""

from __future__ import annotations

from .sample import Maker

MAKERS: dict[str, Maker] = {}
