"""Samples of the chapter `convolution`: convolutions, pooling and attention, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .sample import Array, Draw, Maker, Sample, strided


class Windows(NamedTuple):
    """How windows lie in an array."""

    name: str
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def out(self) -> tuple[int, ...]:
        """How many there are along each axis."""
        return tuple(
            (n + low + high - d * (k - 1) - 1) // s + 1
            for n, k, s, (low, high), d in zip(
                self.sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )


CASES = (
    Windows("2-d", (4, 5), (2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    Windows("1-d, padded", (5,), (3,), (1,), ((1, 1),), (1,)),
    Windows("1-d, apart", (6,), (2,), (2,), ((0, 0),), (1,)),
    Windows("2-d, strides that leave a rest", (5, 6), (2, 2), (2, 3), ((1, 0), (0, 1)), (1, 1)),
    Windows("2-d, dilated", (5, 4), (2, 2), (1, 2), ((1, 1), (0, 1)), (2, 3)),
    Windows("3-d", (3, 2, 3), (2, 2, 1), (1, 1, 2), ((0, 0), (1, 0), (0, 0)), (1, 1, 1)),
)


def convolution(make: Callable[[Draw, Windows, int, int, int, int], tuple[Array, Array, dict[str, Any]]]) -> Maker:
    """Make the samples of one of the three ops, given N, C, O and the number of groups."""

    def samples(draw: Draw) -> Iterator[Sample]:
        for case in CASES:
            for groups in (1, 2):
                a, b, more = make(draw, case, 2, 2 * groups, 3 * groups, groups)
                yield Sample((a, b), more, name=f"{case.name}, {groups} groups")
        a, b, more = make(draw, CASES[0], 2, 3, 3, 3)
        yield Sample((strided(a), b), more, name="a group for each channel, with gaps")
        a, b, more = make(draw, CASES[0], 0, 2, 2, 1)
        yield Sample((a, b), more, name="zero size")
        a, b, more = make(draw, CASES[3], 2, 2, 3, 1)
        yield Sample((a + 1j * draw.normal(*a.shape), b + 1j * draw.normal(*b.shape)), more, name="complex")

    return samples


def geometry(case: Windows, groups: int) -> dict[str, Any]:
    return {"stride": case.stride, "padding": case.padding, "dilation": case.dilation, "groups": groups}


def conv(draw: Draw, case: Windows, n: int, c: int, o: int, groups: int) -> tuple[Array, Array, dict[str, Any]]:
    x, weight = draw.normal(n, c, *case.sizes), draw.normal(o, c // groups, *case.kernel)
    return x, weight, geometry(case, groups)


def conv_input(draw: Draw, case: Windows, n: int, c: int, o: int, groups: int) -> tuple[Array, Array, dict[str, Any]]:
    grad, weight = draw.normal(n, o, *case.out), draw.normal(o, c // groups, *case.kernel)
    return grad, weight, {"shape": case.sizes, **geometry(case, groups)}


def conv_weight(draw: Draw, case: Windows, n: int, c: int, o: int, groups: int) -> tuple[Array, Array, dict[str, Any]]:
    x, grad = draw.normal(n, c, *case.sizes), draw.normal(n, o, *case.out)
    return x, grad, {"shape": case.kernel, **geometry(case, groups)}


def with_bias(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `conv`: without a bias, and with one."""
    yield from convolution(conv)(draw)
    for case in (CASES[0], CASES[1]):
        x, weight, more = conv(draw, case, 2, 2, 3, 1)
        yield Sample((x, weight, draw.normal(3, *(1,) * len(case.sizes))), more, name=f"{case.name}, with a bias")
    yield Sample((x + 0j, weight, draw.complex(3, 1)), more, name="with a complex bias")


# --- pooling: the two leading axes are any ---


def pooled(case: Windows) -> dict[str, Any]:
    return {"window": case.kernel, "stride": case.stride, "padding": case.padding}


def max_pool(draw: Draw) -> Iterator[Sample]:
    for case in CASES:
        yield Sample((draw.distinct(2, 2, *case.sizes),), {**pooled(case), "dilation": case.dilation}, name=case.name)
    apart = {**pooled(CASES[2]), "dilation": (1,)}
    yield Sample((draw.integers(0, 2, 2, 3, 6) / 2,), apart, name="ties", order=0)
    yield Sample((strided(draw.distinct(2, 6)),), apart, name="with gaps")
    yield Sample((draw.distinct(0, 2, 6),), apart, name="zero size")


def max_pool_at(out: bool) -> Maker:
    """Make the samples of what goes to the maxima of an array, `at`, or comes from there."""

    def samples(draw: Draw) -> Iterator[Sample]:
        for case in CASES:
            sizes = case.out if out else case.sizes
            more = {**pooled(case), "dilation": case.dilation}
            yield Sample((draw.normal(2, 2, *sizes), draw.distinct(2, 2, *case.sizes)), more, name=case.name)
        more = {**pooled(CASES[1]), "dilation": (1,)}
        at = np.asarray([[-np.inf, -np.inf, 0.0, 1.0, 1.0]])
        sizes = CASES[1].out if out else CASES[1].sizes
        yield Sample((draw.normal(1, *sizes), at), more, name="ties and infinities", order=None)

    return samples


def sum_pool(draw: Draw) -> Iterator[Sample]:
    for case in CASES:
        if set(case.dilation) == {1}:
            yield Sample((draw.normal(2, 2, *case.sizes),), pooled(case), name=case.name)
    yield Sample((draw.complex(2, 6),), pooled(CASES[2]), name="complex")
    yield Sample((draw.normal(0, 6),), pooled(CASES[2]), name="zero size")


def sum_pool_backward(draw: Draw) -> Iterator[Sample]:
    for case in CASES:
        if set(case.dilation) == {1}:
            yield Sample((draw.normal(2, 2, *case.out),), {"shape": case.sizes, **pooled(case)}, name=case.name)
    yield Sample((draw.complex(2, 3),), {"shape": (6,), **pooled(CASES[2])}, name="complex")


# --- attention ---


def attention(backward: bool) -> Maker:
    """Make the samples of attention, or of its backward: of `grad`, too."""

    def samples(draw: Draw) -> Iterator[Sample]:
        def drawn(*lead: int) -> list[Array]:
            grad = [draw.normal(*lead, 3, 2)] if backward else []
            return [*grad, draw.normal(*lead, 3, 4), draw.normal(*lead, 5, 4), draw.normal(*lead, 5, 2)]

        more = {"scale": 0.5}
        causal, one_row = np.tril(np.ones((3, 5), dtype=bool)), np.asarray([[True], [False], [True]]) & (np.ones(5) > 0)
        yield Sample((*drawn(2, 2),), more)
        yield Sample((*drawn(),), more, name="one")
        yield Sample((*drawn(2), None), more, name="no mask")
        yield Sample((*drawn(2), causal), more, name="causal")
        yield Sample((*drawn(2, 2), draw.rng.random((2, 1, 3, 5)) > 0.3), more, name="a mask for each")
        yield Sample((*drawn(2), one_row), more, name="a row that sees nothing")
        yield Sample((*drawn(0, 2),), more, name="zero size")
        yield Sample((*drawn(2),), {"scale": 400.0}, name="large", order=0, loss=1e4)
        yield Sample((*drawn(2), causal), {"scale": 400.0}, name="large, causal", order=0, loss=1e4)
        *first, key, value = drawn(2, 2)
        yield Sample((*first, key[:, :1], value[:, :1]), more, name="shared keys")

    return samples


MAKERS: dict[str, Maker] = {
    "nn.attention": attention(backward=False),
    "nn.attention_backward": attention(backward=True),
    "nn.conv": with_bias,
    "nn.conv_input": convolution(conv_input),
    "nn.conv_weight": convolution(conv_weight),
    "nn.max_pool": max_pool,
    "nn.max_pool_backward": max_pool_at(out=True),
    "nn.max_pool_select": max_pool_at(out=False),
    "nn.sum_pool": sum_pool,
    "nn.sum_pool_backward": sum_pool_backward,
}
