"""Generic kernels of the chapter `convolution`, in the standard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

GENERIC: dict[str, Callable[..., Any]] = {}
