"""Arrays go from any backend to any other: the same values, shared memory where that is safe, right gradients."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import autodiff_api as ad

ENGINES = ("numpy", "jax", "strict", "torch")
PAIRS = list(product(ENGINES, ENGINES))
DTYPES = ("bool", "complex64", "float32", "int8", "int32", "uint8")


@pytest.fixture
def find():
    """A function that returns a backend's namespace, or skips the test."""

    def namespace(name):
        try:
            return ad.namespace(name)
        except (ad.BackendNotFoundError, ad.BackendUnavailableError):
            pytest.skip(f"no backend {name} here")

    return namespace


def aligned(count, dtype=np.float32):
    """Return an array of ones whose memory begins at a multiple of 64 bytes, as JAX needs it to share."""
    memory = np.zeros(count * np.dtype(dtype).itemsize + 64, dtype=np.uint8)
    found = memory[-memory.ctypes.data % 64 :][: count * np.dtype(dtype).itemsize].view(dtype)
    found[:] = 1
    return found


def address(x):
    """Return where the memory of a tensor is."""
    return np.asarray(x._xp._backend.to_numpy(x._value)).ctypes.data


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_values_arrive(find, source, target, dtype):
    here, there = find(source), find(target)
    given = np.asarray([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    x = here.asarray(given)
    ways = [there.asarray, there.asarray, lambda y: there.asarray(y, copy=True)]
    if dtype != "bool":  # which DLPack has had since 1.0, and not every engine knows
        ways += [there.from_dlpack, lambda y: there.from_dlpack(y, copy=True)]
    for way in ways:
        for y in (way(x), way(x.mT).mT):
            assert isinstance(y, there.array_class) and y.is_leaf and not y.requires_grad
            assert str(y.dtype).endswith(dtype) and y.tolist() == given.tolist()
    for way in ways:
        y = way(x._value)
        assert isinstance(y, there.array_class) and y.tolist() == given.tolist()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_gradient_does_not_see_what_is_written_after_recording(find, source, target):
    here, there = find(source), find(target)
    kinds = {
        "tensor": lambda x: x,
        "raw": lambda x: x._value,
        "aligned": lambda x: aligned(x.size) if source == "numpy" else x._value,
    }
    for take, size, kind in product((there.from_dlpack, there.asarray), (64, 1000), kinds):
        if kind == "tensor" and source == target:
            continue  # the same tensor: the write is seen, and noticed
        given = kinds[kind](here.ones(size, dtype=here.float32))
        w = take(given).requires_grad_()
        loss = (w * w).sum()
        if kind == "tensor" or not here._backend.immutable:
            given[0] = 100.0
        loss.backward()
        assert w.grad.tolist() == [2.0] * size and float(w.detach()[0]) == 1.0


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_step_of_an_optimizer_is_not_seen_elsewhere(find, source, target):
    here, there = find(source), find(target)
    if source == target:
        return
    for _ in range(3):
        parameter = ad.nn.Parameter(here.asarray(aligned(4096), copy=False) if source == "numpy" else here.ones(4096))
        w = there.from_dlpack(parameter.detach()).requires_grad_()
        optimizer = ad.optim.Adam([parameter], lr=0.5)
        loss = (w * w).sum()
        for _ in range(2):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()
        loss.backward()
        assert float(parameter.detach()[0]) < 1 and w.grad.tolist() == [2.0] * 4096


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_what_is_written_here_is_not_seen_by_who_gave_it(find, source, target):
    here, there = find(source), find(target)
    x = here.asarray(aligned(64))
    for given in (x, x._value):
        if given is x and source == target:
            continue
        y = there.from_dlpack(given)
        y[0] = 5.0
        y += 1
        assert float(y[0]) == 6.0 and x.tolist() == [1.0] * 64


def test_memory_is_shared_where_it_is_aligned(find):
    numpy, jax = find("numpy"), find("jax")
    x = numpy.asarray(aligned(1024), copy=False)
    y = jax.from_dlpack(x)
    assert address(y) == address(x), "NumPy to JAX"
    z = numpy.from_dlpack(y)
    assert address(z) == address(x), "JAX to NumPy"
    assert address(numpy.from_dlpack(y._value)) == address(x), "a raw array of JAX's, which is immutable"
    y[0] = 3.0
    z[0] = 4.0
    assert [float(a[0]) for a in (x, y, z)] == [1.0, 3.0, 4.0]


def test_read_only_memory_goes_to_an_engine_that_takes_none(find):
    given = aligned(64)
    given.flags.writeable = False
    jax, numpy = find("jax"), find("numpy")
    assert jax.from_dlpack(given).tolist() == [1.0] * 64
    assert jax.from_dlpack(numpy.from_dlpack(jax.ones(64))).tolist() == [1.0] * 64
    with pytest.raises(BufferError):
        jax.from_dlpack(given, copy=False)


def test_copy_false_shares_what_its_owner_can_write_into(find):
    given = np.ones(4)
    shared, copied = find("numpy").from_dlpack(given, copy=False), find("numpy").from_dlpack(given)
    given[0] = 5.0
    assert shared.tolist() == [5.0, 1.0, 1.0, 1.0] and copied.tolist() == [1.0] * 4


@pytest.mark.parametrize("source", ENGINES)
def test_who_takes_a_tensors_memory_cannot_change_a_graph(find, source):
    x = find(source).asarray(aligned(64))
    taken = np.from_dlpack(x)
    x.requires_grad_()
    loss = (x * x).sum()
    if taken.flags.writeable:
        taken[0] = 100.0
    loss.backward()
    assert x.grad.tolist() == [2.0] * 64
    if source in ("numpy", "jax"):
        assert not taken.flags.writeable and taken.ctypes.data == address(x)  # shared, to be read


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_no_gradient_is_lost(find, source, target):
    x = find(source).ones(3, requires_grad=True)
    there = find(target)
    with pytest.raises(BufferError, match="detach"):
        there.from_dlpack(x)
    if source != target:
        with pytest.raises(ad.GradientError, match="detach"):
            there.asarray(x)
    assert there.from_dlpack(x.detach()).tolist() == [1.0] * 3


@pytest.mark.parametrize("source", ENGINES)
def test_the_default_backend_takes_arrays_of_all(find, source):
    x = find(source).asarray([1.0, 2.0])
    for given in (x, x._value):
        for take in (ad.tensor, ad.asarray, ad.from_dlpack):
            assert take(given).tolist() == [1.0, 2.0] and isinstance(take(given), find("numpy").array_class)
