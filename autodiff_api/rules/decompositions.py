"""Linear systems and decompositions of matrices."""

from __future__ import annotations

from .kinds import Rule

RULES: dict[str, Rule] = {}
CONSTANT: set[str] = set()
SIGNATURES: dict[str, str] = {}
