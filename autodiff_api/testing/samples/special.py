"""Samples of special functions, in the domain of each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .elementwise import ANYWHERE, either_sign, unary, within
from .elementwise import binary as any_binary
from .sample import Draw, Maker, Sample, strided, transposed


def real(low: float, high: float, kinks: tuple[float, ...] = ()) -> Maker:
    """Make the samples of a real function of one array, smooth between two bounds."""
    return unary(within(low, high), complex=False, kinks=kinks)


def log_ratio(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `rel_entr` and `kl_div`: positive numbers, and 0 as the first of them."""
    yield from any_binary(within(0.2, 2.0), complex=False)(draw)
    yield Sample((np.asarray([0.0, 1.0]), np.asarray([2.0, 1.0])), name="values at 0", order=None)


def polygamma(draw: Draw) -> Iterator[Sample]:
    for n in (0, 1, 2, 3):
        yield Sample((n, draw.between(0.5, 3.0, 2, 3)))
    yield Sample((1, draw.between(0.5, 3.0)), name="0-d")
    yield Sample((2, draw.between(0.5, 3.0, 0, 3)), name="zero size")
    yield Sample((np.asarray([0, 2, 1]), draw.between(0.5, 3.0, 2, 3)), name="an order for each")


def incomplete_gamma(draw: Draw) -> Iterator[Sample]:
    def parameter(*shape: int) -> np.ndarray:
        return draw.between(0.6, 3.0, *shape)

    yield Sample((1.5, draw.between(0.3, 3.0, 2, 3)), name="number")
    yield Sample((2.5, draw.between(0.3, 3.0)), name="0-d")
    yield Sample((1.5, draw.between(0.3, 3.0, 0, 3)), name="zero size")
    yield Sample((1.5, transposed(draw.between(0.3, 3.0, 2, 3))), name="by columns")
    yield Sample((parameter(3), draw.between(0.3, 3.0, 2, 1)), name="by the parameter", refuses="`a`")


def over_axes(draw: Draw) -> Iterator[Sample]:
    """Make the samples of `logsumexp`, `softmax` and `log_softmax`."""
    yield Sample((draw.normal(2, 3),))
    yield Sample((draw.normal(2, 3),), {"axis": 0})
    yield Sample((draw.normal(2, 3, 2),), {"axis": (0, 2)})
    yield Sample((1000 + draw.normal(3),), {"axis": -1}, name="large", loss=1e3)
    yield Sample((draw.normal(0, 3),), {"axis": 1}, name="zero size")
    yield Sample((transposed(draw.normal(2, 3)),), {"axis": 1}, name="by columns")
    yield Sample((strided(draw.normal(3)),), name="with gaps")
    yield Sample((0.3 * draw.complex(2, 3),), {"axis": 1}, name="complex")


def logsumexp(draw: Draw) -> Iterator[Sample]:
    yield from over_axes(draw)
    yield Sample((draw.normal(2, 3),), {"axis": 1, "keepdims": True})
    yield Sample((draw.normal(2, 3),), {"axis": 1, "b": draw.between(0.5, 2.0, 3)}, name="weighted")


def erfcx(draw: Draw) -> Iterator[Sample]:
    yield from unary(ANYWHERE, complex=False, kinks=[0.0])(draw)
    yield Sample((draw.between(12.0, 30.0, 2, 3),), name="far out", loss=0.01)


def multigammaln(draw: Draw) -> Iterator[Sample]:
    yield Sample((draw.between(2.0, 4.0, 2, 3), 3))
    yield Sample((draw.between(0.5, 3.0), 1), name="0-d")
    yield Sample((draw.between(2.0, 4.0, 0, 3), 2), name="zero size")


def zeta(draw: Draw) -> Iterator[Sample]:
    yield Sample((2.5, draw.between(0.5, 3.0, 2, 3)))
    yield Sample((3.0, draw.between(0.5, 3.0)), name="0-d")
    yield Sample((2.5, draw.between(0.5, 3.0, 0, 3)), name="zero size")
    yield Sample((draw.between(1.5, 4.0, 2, 1), draw.between(0.5, 3.0, 3)), name="by the first", refuses="`x`")
    yield Sample((draw.between(1.5, 4.0, 2, 3),), name="Riemann's", order=None)


MAKERS: dict[str, Maker] = {
    "special.beta": any_binary(within(0.5, 3.0), complex=False),
    "special.betaln": any_binary(within(0.5, 3.0), complex=False),
    "special.digamma": real(0.5, 4.0),
    "special.entr": real(0.2, 3.0),
    "special.erf": unary(ANYWHERE, complex=False, kinks=[0.0]),
    "special.erfc": unary(ANYWHERE, complex=False, kinks=[0.0]),
    "special.erfcinv": real(0.2, 1.8),
    "special.erfcx": erfcx,
    "special.erfinv": unary(either_sign(0.05, 0.85), complex=False, kinks=[0.0]),
    "special.expit": unary(ANYWHERE, complex=False, kinks=[0.0, 1000.0, -1000.0]),
    "special.gamma": real(0.5, 4.0),
    "special.gammainc": incomplete_gamma,
    "special.gammaincc": incomplete_gamma,
    "special.gammaln": real(0.5, 4.0),
    "special.i0": unary(ANYWHERE, complex=False, kinks=[0.0]),
    "special.i0e": unary(ANYWHERE, complex=False),
    "special.i1": unary(ANYWHERE, complex=False, kinks=[0.0]),
    "special.i1e": unary(ANYWHERE, complex=False),
    "special.kl_div": log_ratio,
    "special.log_expit": unary(ANYWHERE, complex=False, kinks=[0.0, 1000.0, -1000.0]),
    "special.log_ndtr": unary(ANYWHERE, complex=False, kinks=[0.0, -30.0]),
    "special.log_softmax": over_axes,
    "special.logit": real(0.1, 0.9),
    "special.logsumexp": logsumexp,
    "special.multigammaln": multigammaln,
    "special.ndtr": unary(ANYWHERE, complex=False, kinks=[0.0]),
    "special.ndtri": real(0.1, 0.9),
    "special.polygamma": polygamma,
    "special.psi": real(0.5, 4.0),
    "special.rel_entr": log_ratio,
    "special.sinc": unary(ANYWHERE, complex=False, kinks=[0.0, 1.0]),
    "special.softmax": over_axes,
    "special.xlog1py": any_binary(ANYWHERE, within(-0.7, 3.0), complex=False),
    "special.xlogy": any_binary(ANYWHERE, within(0.2, 3.0), complex=False),
    "special.zeta": zeta,
}
