"""Special functions, by the names of `scipy.special`."""

from __future__ import annotations

from .kinds import Rule

RULES: dict[str, Rule] = {}
CONSTANT: set[str] = set()
SIGNATURES: dict[str, str] = {}
