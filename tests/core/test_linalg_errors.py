"""What matrix functions refuse, in the same words on every backend."""

from __future__ import annotations

import pytest

import autodiff_api as ad

RECTANGLE, VECTOR, PAIR = (2, 3), (3,), (2,)
SQUARE = ("cholesky", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "slogdet")


@pytest.fixture
def linalg(backend):
    xp = ad.namespace(backend)
    return lambda name, *shapes, **options: getattr(xp.linalg, name)(*map(xp.ones, shapes), **options)


@pytest.mark.parametrize("shape", [RECTANGLE, VECTOR])
@pytest.mark.parametrize("name", SQUARE)
def test_only_squares(linalg, name, shape):
    with pytest.raises(ad.OperandError, match=rf"linalg.{name} takes square matrices.*{shape[0]}"):
        linalg(name, shape)


def test_systems_of_squares(linalg):
    with pytest.raises(ad.OperandError, match=r"linalg.solve takes square matrices.*\(2, 3\)"):
        linalg("solve", RECTANGLE, RECTANGLE)


def test_cross_takes_three_elements(linalg):
    with pytest.raises(ad.OperandError, match=r"vectors of 3 elements, and axis -1 of shape \(2,\) has 2"):
        linalg("cross", PAIR, PAIR)
    with pytest.raises(ad.AxisError, match=r"axis 4 is out of bounds for an array of shape \(3,\)"):
        linalg("cross", VECTOR, VECTOR, axis=4)


def test_outer_takes_vectors(linalg):
    with pytest.raises(ad.OperandError, match=r"takes two vectors, and got shapes \(2, 3\) and \(3,\)"):
        linalg("outer", RECTANGLE, VECTOR)


@pytest.mark.parametrize("mode", ["raw", "r", "full"])
def test_qr_has_two_modes(linalg, mode):
    with pytest.raises(ad.ArgumentError, match="'reduced' or 'complete'"):
        linalg("qr", RECTANGLE, mode=mode)


def test_what_numpy_can_not_solve_is_named():
    """NumPy raises where JAX gives nan; it is an error by NumPy's name and by PyTorch's base class."""
    import numpy as np

    xp = ad.namespace("numpy")
    singular, indefinite = xp.zeros((2, 3, 3)), xp.asarray([[1.0, 2.0], [2.0, 1.0]])
    for call, name in (
        (lambda: xp.linalg.inv(singular), "linalg.inv of shapes"),
        (lambda: xp.linalg.solve(singular, xp.ones((2, 3, 4))), r"linalg.solve of shapes \(2, 3, 3\), \(2, 3, 4\)"),
        (lambda: xp.linalg.cholesky(indefinite), "linalg.cholesky of shapes"),
    ):
        for kind in (ad.LinAlgError, np.linalg.LinAlgError, RuntimeError):
            with pytest.raises(kind, match=name):
                call()


def test_systems_that_do_not_fit(linalg):
    with pytest.raises(ad.ShapeError, match=r"linalg.solve: operands of shapes \(2, 2\) and \(3,\) don't fit"):
        linalg("solve", (2, 2), VECTOR)
