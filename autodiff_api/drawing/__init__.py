"""Seeing a recorded graph: `draw` makes a picture of it, `summary` a table of what it holds in memory."""

from __future__ import annotations

from .picture import Picture, draw
from .table import Row, Summary, summary

__all__ = ["Picture", "Row", "Summary", "draw", "summary"]
