"""Control flow that compiles: loops and branches that are one node in the graph, and one loop for the engine."""

from __future__ import annotations

from .loops import cond, fori_loop, scan, while_loop

__all__ = ["cond", "fori_loop", "scan", "while_loop"]
