"""Samples of Fourier transforms: lengths cropped and padded, axes, norms, even and odd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from .manipulation import moved
from .sample import Array, Draw, Maker, Sample, strided, transposed

Place: TypeAlias = "Callable[..., Array]"


def normal(draw: Draw, *shape: int) -> Array:
    return draw.normal(*shape)


def complex_(draw: Draw, *shape: int) -> Array:
    return draw.complex(*shape)


def one_axis(place: Place) -> Maker:
    """Make the samples of a transform along one axis; 4 and 3 are the lengths that differ in their last frequency."""

    def make(draw: Draw) -> Iterator[Sample]:
        yield Sample((place(draw, 4),))
        yield Sample((place(draw, 3),))
        yield Sample((place(draw, 4),), {"n": 5}, name="padded")
        yield Sample((place(draw, 4),), {"n": 2}, name="cropped")
        yield Sample((place(draw, 3),), {"n": 6}, name="padded, even")
        yield Sample((place(draw, 4),), {"norm": "ortho"})
        yield Sample((place(draw, 3),), {"norm": "forward", "axis": -1})
        yield Sample((place(draw, 4),), {"n": 3, "norm": "backward"})
        yield Sample((place(draw, 3, 2),), {"axis": 0})
        yield Sample((place(draw, 2, 3),), {"axis": 1, "n": 4})
        yield Sample((place(draw, 0, 3),), name="zero size")
        yield Sample((transposed(place(draw, 2, 3)),), name="by columns")
        yield Sample((strided(place(draw, 4)),), name="with gaps")

    return make


def many_axes(place: Place) -> Maker:
    """Make the samples of a transform along several axes."""

    def make(draw: Draw) -> Iterator[Sample]:
        yield Sample((place(draw, 3, 4),))
        yield Sample((place(draw, 4, 3),), {"axes": (0,)})
        yield Sample((place(draw, 2, 3, 4),), {"axes": (2, 0)})
        yield Sample((place(draw, 3, 4),), {"axes": (-1, 0), "norm": "ortho"})
        yield Sample((place(draw, 3, 4),), {"s": (4, 3), "axes": (0, 1)}, name="padded and cropped")
        yield Sample((place(draw, 2, 3, 4),), {"s": (4, 5), "axes": (1, 2), "norm": "forward"})
        yield Sample((place(draw, 0, 3, 4),), {"axes": (1, 2)}, name="zero size")
        yield Sample((transposed(place(draw, 4, 3)),), name="by columns")

    return make


SHIFT = moved(
    ((4,), (), {}), ((3,), (), {}), ((2, 3), (), {}), ((2, 3), (), {"axes": 1}), ((2, 3, 4), (), {"axes": (0, -1)}),
    ((0, 3), (), {}), integer=False,
)  # fmt: skip

MAKERS: dict[str, Maker] = {
    "fft.fft": one_axis(complex_),
    "fft.fftn": many_axes(complex_),
    "fft.fftshift": SHIFT,
    "fft.hfft": one_axis(complex_),
    "fft.ifft": one_axis(complex_),
    "fft.ifftn": many_axes(complex_),
    "fft.ifftshift": SHIFT,
    "fft.ihfft": one_axis(normal),
    "fft.irfft": one_axis(complex_),
    "fft.irfftn": many_axes(complex_),
    "fft.rfft": one_axis(normal),
    "fft.rfftn": many_axes(normal),
}
