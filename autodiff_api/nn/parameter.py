"""`Parameter`: a tensor that a module registers."""

from __future__ import annotations

from typing import Any, Self

from autodiff_api.binding import bound_class, namespace
from autodiff_api.tensors import Tensor


class Parameter(Tensor):
    """A leaf tensor that becomes a parameter of the module it is assigned to.

    `data` is a tensor, whose value is shared and whose history is left behind, or anything that
    `ad.asarray` takes. Each backend's namespace has its own subclass, as it has of `Tensor`, and every
    operation on a parameter gives a plain tensor.

    >>> import autodiff_api as ad
    >>> weight = Parameter(ad.tensor([1.0, 2.0]))
    >>> weight
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    >>> isinstance(weight, Parameter), isinstance(weight, ad.Tensor), isinstance(weight * 2, Parameter)
    (True, True, False)
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Self:
        """Return a leaf of the bound class for the backend of `data`."""
        tensor: Any = data if isinstance(data, Tensor) else _tensor(data)
        kind: Any = vars(cls).get("_public", cls)  # type(p)(data) works too
        bound: Any = bound_class(kind, tensor.__array_namespace__())
        parameter: Self = bound._create(tensor._value, requires_grad)
        return parameter

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def _tensor(data: Any) -> Tensor:
    """Return data that is no tensor as one, on its own backend or the default one."""
    if data is None:
        empty: Tensor = namespace().empty((0,))
        return empty
    xp = namespace(data) if hasattr(data, "__array_namespace__") else namespace()
    tensor: Tensor = xp.asarray(data)
    return tensor
