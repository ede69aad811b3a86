"""Modules that work on windows: convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from autodiff_api.errors import ArgumentError
from autodiff_api.random import Generator, rand

from . import functional as F
from .functional.convolution import Sizes, per_axis, positive
from .module import Module
from .parameter import Parameter


class Convolution(Module):
    """What `Conv1d`, `Conv2d` and `Conv3d` share: parameters, and how they start."""

    weight: Parameter
    bias: Parameter | None
    axes: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self.axes
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}(): in_channels={in_channels} and out_channels={out_channels} must be divisible by "
                f"groups={groups}."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = positive(name, n, "kernel_size", kernel_size)
        self.stride = positive(name, n, "stride", stride)
        self.padding = padding if isinstance(padding, str) else per_axis(name, n, "padding", padding)
        self.dilation = positive(name, n, "dilation", dilation)
        inputs = in_channels // groups * math.prod(self.kernel_size)
        bound = 1 / math.sqrt(inputs) if inputs else 0.0

        def start(*shape: int) -> Parameter:
            uniform: Any = rand(shape, generator=generator, dtype=dtype, device=device)
            return Parameter((uniform * 2 - 1) * bound)

        self.weight = start(out_channels, in_channels // groups, *self.kernel_size)
        if bias:
            self.bias = start(out_channels)
        else:
            self.register_parameter("bias", None)

    def forward(self, input: Any) -> Any:
        """Return the cross-correlation of the input with the weight, plus the bias."""
        run = type(self).function
        return run(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """Return the arguments the module was made with, those that are not the defaults."""
        n = self.axes
        words = [f"{self.in_channels}, {self.out_channels}", f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        if self.padding != (0,) * n:
            words.append(f"padding={self.padding}")
        if self.dilation != (1,) * n:
            words.append(f"dilation={self.dilation}")
        if self.groups != 1:
            words.append(f"groups={self.groups}")
        if self.bias is None:
            words.append("bias=False")
        return ", ".join(words)


class Conv1d(Convolution):
    """Apply `functional.conv1d` with a weight and a bias of its own.

    `weight` has the shape (out_channels, in_channels / groups, *kernel_size) and `bias` (out_channels,); both start
    uniform in [-k, k) with k = (in_channels / groups * prod(kernel_size))**-0.5, as in PyTorch.

    >>> import autodiff_api as ad
    >>> Conv1d(2, 3, 5, padding=2)(ad.ones(4, 2, 10)).shape
    (4, 3, 10)
    """

    axes = 1
    function = staticmethod(F.conv1d)


class Conv2d(Convolution):
    """Apply `functional.conv2d` with a weight and a bias of its own, as `Conv1d` has them.

    >>> import autodiff_api as ad
    >>> layer = Conv2d(1, 16, 3)
    >>> layer
    Conv2d(1, 16, kernel_size=(3, 3), stride=(1, 1))
    >>> layer(ad.ones(64, 1, 8, 8)).shape
    (64, 16, 6, 6)
    """

    axes = 2
    function = staticmethod(F.conv2d)


class Conv3d(Convolution):
    """Apply `functional.conv3d` with a weight and a bias of its own, as `Conv1d` has them.

    >>> import autodiff_api as ad
    >>> Conv3d(1, 2, (1, 2, 3))(ad.ones(1, 4, 4, 4)).shape
    (2, 4, 3, 2)
    """

    axes = 3
    function = staticmethod(F.conv3d)


class MaxPool2d(Module):
    """Apply `functional.max_pool2d`.

    >>> import autodiff_api as ad
    >>> MaxPool2d(2)
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    >>> MaxPool2d(2)(ad.ones(1, 3, 6, 7)).shape
    (1, 3, 3, 3)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Any) -> Any:
        """Return the largest element of each window, and where it was if that was asked for."""
        rest = self.dilation, self.ceil_mode, self.return_indices
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, *rest)

    def extra_repr(self) -> str:
        """Return the arguments the module was made with."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """Apply `functional.avg_pool2d`.

    >>> import autodiff_api as ad
    >>> AvgPool2d(2)
    AvgPool2d(kernel_size=2, stride=2, padding=0)
    >>> AvgPool2d((3, 2), stride=1)(ad.ones(1, 3, 6, 7)).shape
    (1, 3, 4, 6)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """Return the mean of each window."""
        rest = self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, *rest)

    def extra_repr(self) -> str:
        """Return the arguments the module was made with."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
