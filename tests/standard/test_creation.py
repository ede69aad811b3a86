"""Creation, copies, devices, inspection, and exchange by DLPack."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.testing.standard import DTYPES

LIKE = ("empty_like", "full_like", "ones_like", "zeros_like")
MAKE = {
    "arange": lambda xp, **k: xp.arange(3, **k),
    "asarray": lambda xp, **k: xp.asarray([1.0, 2.0], **k),
    "empty": lambda xp, **k: xp.empty((2, 3), **k),
    "empty_like": lambda xp, **k: xp.empty_like(xp.ones(2), **k),
    "eye": lambda xp, **k: xp.eye(2, 3, k=1, **k),
    "fftfreq": lambda xp, **k: xp.fft.fftfreq(4, **k),
    "full": lambda xp, **k: xp.full(2, 3.0, **k),
    "full_like": lambda xp, **k: xp.full_like(xp.ones(2), 3.0, **k),
    "linspace": lambda xp, **k: xp.linspace(0, 1, 3, **k),
    "ones": lambda xp, **k: xp.ones(2, **k),
    "ones_like": lambda xp, **k: xp.ones_like(xp.ones(2), **k),
    "rfftfreq": lambda xp, **k: xp.fft.rfftfreq(4, **k),
    "zeros": lambda xp, **k: xp.zeros((), **k),
    "zeros_like": lambda xp, **k: xp.zeros_like(xp.ones(2), **k),
}


@pytest.mark.parametrize("name", MAKE)
def test_creation(xp, name):
    x = MAKE[name](xp, dtype=xp.float32, requires_grad=True)
    assert x.dtype == xp.float32 and x.requires_grad and x.is_leaf
    assert not MAKE[name](xp, dtype=xp.float32).requires_grad
    for device in xp.__array_namespace_info__().devices():
        assert MAKE[name](xp, dtype=xp.float32, device=device).device == device


def test_full_of_a_tensor_keeps_its_graph(xp):
    x = xp.asarray(3.0, requires_grad=True)
    for y in (xp.full((2, 2), x, dtype=xp.float32), xp.full_like(xp.ones((2, 2), dtype=xp.float32), x)):
        assert y.dtype == xp.float32 and y.tolist() == [[3.0, 3.0], [3.0, 3.0]]
        (g,) = ad.autograd.grad(xp.sum(y), x)
        assert g.tolist() == 4.0 and g.dtype == x.dtype
    for device in xp.__array_namespace_info__().devices():
        leaf = xp.full(2, xp.asarray(3.0, dtype=xp.float32), device=device, requires_grad=True)
        assert leaf.requires_grad and leaf.device == device


def test_a_device_may_lack_a_dtype(xp):
    """On a device without float64 the default is another: it is asked first, not after."""
    info = xp.__array_namespace_info__()
    for device in info.devices():
        default = info.default_dtypes(device=device)["real floating"]
        assert xp.zeros(2, device=device).dtype == default
        assert xp.linspace(0, 1, 3, device=device).dtype == default


def test_inspection(xp):
    info = xp.__array_namespace_info__()
    assert {"boolean indexing", "data-dependent shapes", "max dimensions"} <= set(info.capabilities())
    assert isinstance(info.devices(), tuple) and info.default_device() in info.devices()
    assert set(info.default_dtypes()) == {"real floating", "complex floating", "integral", "indexing"}
    assert info.default_dtypes()["real floating"] == xp.ones(1).dtype
    assert set(info.dtypes()) >= set(DTYPES)
    assert set(info.dtypes(kind=("bool", "complex floating"))) == {"bool", "complex64", "complex128"}
    assert set(info.dtypes(device=info.default_device(), kind="bool")) == {"bool"}


def test_copies(xp):
    x = xp.asarray([1.0, 2.0])
    assert xp.asarray(x) is x and xp.asarray(x, copy=False) is x
    assert xp.astype(x, x.dtype, copy=False) is x
    copies = [xp.asarray(x, copy=True), xp.astype(x, x.dtype), xp.reshape(x, (2,), copy=True)]
    x[0] = 5.0
    assert [y.tolist() for y in copies] == [[1.0, 2.0]] * 3
    for refused in ([1.0], 1.0, True):
        with pytest.raises(ValueError, match="no memory to share"):
            xp.asarray(refused, copy=False)
    with pytest.raises(ValueError, match="without a copy"):
        xp.asarray(x, dtype=xp.float32, copy=False)


def test_astype_and_to_device(xp):
    x = xp.ones(2, requires_grad=True)
    y = xp.astype(x, xp.float32, device=x.device).to_device(x.device, stream=None)
    assert y.dtype == xp.float32 and y.device == x.device
    (g,) = ad.autograd.grad(xp.sum(y), x)
    assert g.dtype == x.dtype and g.device == x.device


def test_tuples(xp):
    x, y = xp.ones(2), xp.ones(3)
    for result in (xp.meshgrid(x, y), xp.broadcast_arrays(x, x), xp.unstack(x), xp.nonzero(x), xp.meshgrid()):
        assert type(result) is tuple
    assert xp.broadcast_shapes((3, 1), (1, 4), ()) == (3, 4)
    with pytest.raises(ValueError):
        xp.broadcast_shapes((3,), (4,))


def test_unique_has_the_standards_fields(xp):
    x = xp.asarray([2, 1, 2])
    every = xp.unique_all(x)
    assert every._fields == ("values", "indices", "inverse_indices", "counts")
    assert [y.tolist() for y in every] == [[1, 2], [1, 0], [1, 0, 1], [1, 2]]
    assert xp.unique_counts(x)._fields == ("values", "counts")
    assert xp.unique_inverse(x)._fields == ("values", "inverse_indices")
    assert xp.unique_values(x).tolist() == [1, 2]


def test_expand_dims_takes_a_tuple(xp):
    x = xp.ones((2, 3))
    assert xp.expand_dims(x, (0, -1)).shape == (1, 2, 3, 1)
    assert xp.expand_dims(x, axis=1).shape == (2, 1, 3)
    with pytest.raises(IndexError):
        xp.expand_dims(x, axis=4)


def test_permute_dims_takes_negative_axes(xp):
    assert xp.permute_dims(xp.ones((2, 3, 4)), (-1, 0, 1)).shape == (4, 2, 3)


# --- DLPack ---


def test_dlpack_to_numpy(xp):
    x = xp.asarray([1.0, 2.0])
    y = np.from_dlpack(x)
    assert type(y) is np.ndarray and y.tolist() == [1.0, 2.0]
    kind, number = x.__dlpack_device__()
    assert int(kind) == 1 and int(number) == 0


@pytest.mark.parametrize("version", [None, (0, 5), (0, 0), (1, 0), (2, 0)])
def test_dlpack_knows_old_consumers(xp, version):
    assert type(xp.asarray([1.0]).__dlpack__(max_version=version)).__name__ == "PyCapsule"
    assert type(xp.asarray([1.0]).__dlpack__(dl_device=(1, 0), copy=True)).__name__ == "PyCapsule"


def test_a_copy_is_made_at_once(xp):
    for copy in (lambda x: xp.asarray(x), lambda x: xp.from_dlpack(x, copy=True)):
        for _ in range(100):
            given = np.zeros(1_000_000, dtype=np.float32)
            x = copy(given)
            given[0] = 1.0
            assert float(x[0]) == 0.0


def test_dlpack_from_numpy(xp):
    given = np.asarray([1.0, 2.0])
    x = xp.from_dlpack(given)
    assert isinstance(x, ad.Tensor) and x.is_leaf and x.tolist() == [1.0, 2.0]
    copied = xp.from_dlpack(given, copy=True)
    given[0] = 9.0
    assert copied.tolist() == [1.0, 2.0]
    assert xp.from_dlpack(given, device=x.device).device == x.device


def test_dlpack_between_backends(xp):
    for other in ("numpy", "jax"):
        if other == "jax":
            pytest.importorskip("jax")
        there = ad.namespace(other)
        assert there.from_dlpack(xp.asarray([1.0, 2.0], dtype=xp.float32)).tolist() == [1.0, 2.0]
        assert xp.from_dlpack(there.asarray([1.0, 2.0], dtype=there.float32)).tolist() == [1.0, 2.0]


def test_dlpack_of_a_tensor_shares_with_it(xp):
    x = xp.asarray([1.0, 2.0])
    shared, copied = xp.from_dlpack(x), xp.from_dlpack(x, copy=True)
    x[0] = 5.0
    assert shared.tolist() == [5.0, 2.0] and copied.tolist() == [1.0, 2.0]


def test_dlpack_loses_no_gradient(xp):
    x = xp.asarray([1.0, 2.0], requires_grad=True)
    for lose in (x.__dlpack__, lambda: xp.from_dlpack(x), lambda: np.from_dlpack(x)):
        with pytest.raises(BufferError, match="require gradient"):
            lose()
    assert xp.from_dlpack(x.detach()).tolist() == [1.0, 2.0]
