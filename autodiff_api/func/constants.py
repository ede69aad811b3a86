"""Values as constants: `stop_gradient`."""

from __future__ import annotations

from typing import Any

from ..arrays import Array
from ..trees import tree_map


def stop_gradient(x: Any) -> Any:
    """Return a tree of arrays with the same values, by which no transformation differentiates.

    Raw arrays, and leaves that are no arrays, are returned as they are.

    >>> import autodiff_api as ad
    >>> float(ad.grad(lambda x: x * ad.stop_gradient(x))(3.0))
    3.0
    """
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Array) else leaf, x)
