"""Modules of one operation, and `Sequential`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from autodiff_api.errors import ArgumentError
from autodiff_api.random import Generator, rand

from . import functional as F
from .functional.layer import check_probability
from .module import Module
from .parameter import Parameter


class Linear(Module):
    """Apply x @ weight.mT + bias.

    `weight` has the shape (out_features, in_features) and `bias` (out_features,); both start uniform in
    [-k, k) with k = in_features**-0.5, as in PyTorch. They live on the default backend and on `device`.

    >>> import autodiff_api as ad
    >>> layer = Linear(3, 2, generator=ad.Generator(0))
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    >>> layer(ad.ones(5, 3)).shape
    (5, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        shape = (out_features, in_features)
        self.weight = Parameter(self._start(shape, device, dtype, generator))
        if bias:
            self.bias = Parameter(self._start((out_features,), device, dtype, generator))
        else:
            self.register_parameter("bias", None)

    def _start(self, shape: tuple[int, ...], device: Any, dtype: Any, generator: Generator | None) -> Any:
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        uniform: Any = rand(shape, generator=generator, dtype=dtype, device=device)
        return (uniform * 2 - 1) * bound

    def forward(self, input: Any) -> Any:
        """Return the output, of shape (..., out_features), for an input of shape (..., in_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the arguments the module was made with."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Sequential(Module):
    """Apply modules one after the other; they are named "0", "1" ... or by the keys of a dictionary.

    >>> import autodiff_api as ad
    >>> model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    >>> model(ad.ones(5, 2)).shape
    (5, 1)
    >>> model[1], len(model)
    (ReLU(), 3)
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        first = modules[0] if len(modules) == 1 else None
        named = first if isinstance(first, Mapping) else {str(i): module for i, module in enumerate(modules)}
        for name, module in named.items():
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        """Return what the last module returns."""
        for module in self:
            input = module(input)
        return input

    def append(self, module: Module) -> Sequential:
        """Add a module at the end, named by its number, and return the sequence."""
        self.add_module(str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, key: int | slice) -> Any:
        """Return one module, or a sequence of some, by their names."""
        if isinstance(key, slice):
            return type(self)(dict(list(self._modules.items())[key]))
        return list(self._modules.values())[key]


class Flatten(Module):
    """Make one axis of the axes from `start_dim` to `end_dim`; by default all but the first.

    >>> import autodiff_api as ad
    >>> Flatten()(ad.ones(5, 2, 3)).shape
    (5, 6)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        """Return the same elements in fewer axes."""
        start, end = (self._counted(dim, input.ndim) for dim in (self.start_dim, self.end_dim))
        shape = input.shape
        merged = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
        return input.__array_namespace__().reshape(input, merged)

    def _counted(self, dim: int, ndim: int) -> int:
        """Return `dim` counted from the front."""
        if not -max(ndim, 1) <= dim < max(ndim, 1):
            raise ArgumentError(f"Flatten() has no axis {dim} to flatten in an input of {ndim} axes.")
        return dim % max(ndim, 1)

    def extra_repr(self) -> str:
        """Return the arguments the module was made with."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Dropout(Module):
    """In training, zero each element with probability `p` and scale the others; otherwise do nothing.

    See `functional.dropout` for where the numbers come from.

    >>> import autodiff_api as ad
    >>> Dropout(0.5).eval()(ad.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__()
        check_probability(p)
        self.p = p
        self.generator = generator

    def forward(self, input: Any) -> Any:
        """Return the input, thinned out in training."""
        return F.dropout(input, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Return the arguments the module was made with."""
        return f"p={self.p}"


class ReLU(Module):
    """Apply `functional.relu`."""

    def forward(self, input: Any) -> Any:
        """Return max(input, 0)."""
        return F.relu(input)


class GELU(Module):
    """Apply `functional.gelu`, exact or with `approximate="tanh"`."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Return input * P(Z < input) for a standard normal Z."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Return the arguments the module was made with."""
        return f"approximate={self.approximate!r}"


class Sigmoid(Module):
    """Apply `functional.sigmoid`."""

    def forward(self, input: Any) -> Any:
        """Return 1 / (1 + exp(-input))."""
        return F.sigmoid(input)


class Tanh(Module):
    """Apply `functional.tanh`."""

    def forward(self, input: Any) -> Any:
        """Return the hyperbolic tangent."""
        return F.tanh(input)
