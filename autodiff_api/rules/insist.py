"""What a formula asks of the values it meets, where they can be known."""

from __future__ import annotations

import math
from typing import Any

from ..errors import GradientError


def insist(ok: Any, message: str, xp: Any) -> None:
    """Raise GradientError if the array `ok` is known to be False somewhere.

    While a compiler traces, no value is known and nothing is raised: the formula says nan there, through `where`.

    >>> import numpy as np
    >>> insist(np.asarray([True, True]), "all is well", np)
    """
    try:
        known = bool(xp.all(ok))
    except Exception:  # each engine has its own error for asking a traced value
        return
    if not known:
        raise GradientError(message)


def insisted(ok: Any, value: Any, message: str, xp: Any) -> Any:
    """Return `value` where `ok` holds; raise elsewhere, or say nan if that can't be known yet."""
    insist(ok, message, xp)
    return xp.where(ok, value, math.nan)
