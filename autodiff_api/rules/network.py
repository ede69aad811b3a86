"""Networks: losses, normalisations, activations, each with its backward as an op of its own."""

from __future__ import annotations

from typing import Any

from .kinds import Rule

RULES: dict[str, Rule] = {}

CONSTANT: set[str] = set()

SIGNATURES: dict[str, str] = {}

BATCHES: dict[str, Any] = {}
