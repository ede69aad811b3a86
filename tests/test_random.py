"""Seeded random numbers: PyTorch's signatures, the same numbers on every backend."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import random

BACKENDS = ["numpy", "jax"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "jax":
        pytest.importorskip("jax")
    with ad.use_backend(request.param):
        yield request.param


def test_the_same_seed_gives_the_same_numbers():
    for draw in (
        lambda g: g.random((3, 2)),
        lambda g: g.standard_normal(4),
        lambda g: g.integers(0, 100, (5,)),
        lambda g: g.permutation(20),
    ):
        first, again, other = (draw(ad.Generator(seed)) for seed in (7, 7, 8))
        assert (first == again).all()
        assert (first != other).any()
        assert not (draw(ad.Generator()) == draw(ad.Generator())).all()


def test_a_generator_draws_host_arrays():
    generator = ad.Generator(0)
    for drawn in (generator.random(()), generator.standard_normal(()), generator.integers(0, 9)):
        assert isinstance(drawn, np.ndarray)
        assert drawn.shape == ()
    assert generator.random((2, 3)).dtype == np.float64


def test_seeds():
    generator = ad.Generator(3)
    assert generator.initial_seed() == 3
    assert generator.manual_seed(4) is generator
    assert generator.initial_seed() == 4
    assert ad.Generator(-1).initial_seed() == 2**64 - 1
    seed = generator.seed()
    assert generator.initial_seed() == seed
    assert generator.random() == ad.Generator(seed).random()
    with pytest.raises(ad.ArgumentTypeError, match="expected an integer, got float"):
        ad.Generator(0.5)


def test_state_and_copies():
    generator = ad.Generator(0)
    generator.random(5)
    state = generator.get_state()
    twins = [copy.deepcopy(generator), pickle.loads(pickle.dumps(generator)), ad.Generator(99)]
    twins[2].set_state(state)
    expected = generator.random(3).tolist()
    assert [twin.random(3).tolist() for twin in twins] == [expected] * 3
    assert twins[2].initial_seed() == 0
    generator.set_state(state)
    assert generator.random(3).tolist() == expected
    with pytest.raises(ad.ArgumentError, match=r"set_state\(\) needs what get_state\(\) returned"):
        generator.set_state({"seed": 1})
    assert generator.initial_seed() == 0


def test_manual_seed_starts_the_default_generator_again():
    assert ad.manual_seed(5) is random.default_generator
    assert random.initial_seed() == 5
    numbers = ad.rand(3).tolist(), ad.randn(2).tolist(), ad.randint(9, (2,)).tolist(), ad.randperm(5).tolist()
    ad.manual_seed(5)
    assert numbers == (
        ad.rand(3).tolist(), ad.randn(2).tolist(), ad.randint(9, (2,)).tolist(), ad.randperm(5).tolist()
    )  # fmt: skip
    assert random.initial_seed() == 5


@pytest.mark.parametrize("function", [ad.rand, ad.randn])
def test_sizes(backend, function):
    for size in ((2, 3), ((2, 3),), ([2, 3],), (np.int64(2), 3)):
        assert function(*size).shape == (2, 3)
    assert function(4).shape == function((4,)).shape == (4,)
    assert function(()).shape == function().shape == ()
    assert function(2, 0).shape == (2, 0)
    with pytest.raises(ad.ArgumentError, match=rf"{function.__name__}\(\) got the size \(2, -1\)"):
        function(2, -1)
    with pytest.raises(ad.ArgumentTypeError, match="Give one integer per axis"):
        function(2.5)


def test_default_dtypes_are_the_backends(backend):
    xp = ad.namespace()
    assert ad.rand(2).dtype == ad.randn(2).dtype == xp.asarray(0.5).dtype
    assert ad.randint(5, (2,)).dtype == ad.randperm(2).dtype == xp.asarray(1).dtype
    assert ad.namespace(ad.rand(2)) is xp


@pytest.mark.parametrize("function", [ad.rand, ad.randn])
def test_options(backend, function):
    xp = ad.namespace()
    x = function(3, dtype=xp.float32, requires_grad=True, generator=ad.Generator(0))
    assert x.dtype == xp.float32
    assert x.requires_grad
    assert x.is_leaf
    assert function(3, device=x.device).device == x.device
    assert x.tolist() == function(3, dtype=xp.float32, generator=ad.Generator(0)).tolist()
    z = function(20_000, dtype=xp.complex64, generator=ad.Generator(0)).numpy()
    assert z.dtype == np.complex64
    assert abs(np.corrcoef(z.real, z.imag)[0, 1]) < 0.03
    with pytest.raises(ad.ArgumentTypeError, match="draws floating-point numbers, got dtype="):
        function(3, dtype=xp.int32)


def test_distributions():
    u, n = ad.rand(50_000, generator=ad.Generator(0)), ad.randn(50_000, generator=ad.Generator(0))
    assert 0 <= u.min().item() < 1e-3
    assert 1 - 1e-3 < u.max().item() < 1
    assert abs(u.mean().item() - 0.5) < 0.01
    assert abs(u.var().item() - 1 / 12) < 0.002
    assert abs(n.mean().item()) < 0.02
    assert abs(n.var().item() - 1) < 0.03
    z = ad.randn(50_000, dtype=ad.complex128, generator=ad.Generator(0)).numpy()
    assert abs((abs(z) ** 2).mean() - 1) < 0.03
    r = ad.randint(-2, 3, (50_000,), generator=ad.Generator(0)).numpy()
    assert np.unique(r).tolist() == [-2, -1, 0, 1, 2]
    assert abs(np.bincount(r + 2) - 10_000).max() < 400


def test_rand_in_float32_stays_below_one():
    """Rounded, the largest float64 below 1 would be 1."""

    class Top(ad.Generator):
        def random(self, shape=()):
            return np.full(shape, np.nextafter(1.0, 0.0))

    for dtype in (ad.float32, ad.float16, ad.float64):
        assert 0.99 < ad.rand(2, dtype=dtype, generator=Top(0)).max().item() < 1


def test_numbers_are_the_same_on_every_backend():
    pytest.importorskip("jax")
    drawn = {}
    for name in BACKENDS:
        with ad.use_backend(name):
            xp = ad.namespace()
            generator = ad.Generator(0)
            drawn[name] = [
                ad.rand(5, dtype=xp.float32, generator=generator).tolist(),
                ad.randn(5, dtype=xp.float32, generator=generator).tolist(),
                ad.randint(100, (5,), generator=generator).tolist(),
                ad.randperm(5, generator=generator).tolist(),
            ]
    assert drawn["numpy"] == drawn["jax"]


def test_randint_signatures(backend):
    for call in (
        lambda g: ad.randint(10, (4,), generator=g),
        lambda g: ad.randint(0, 10, (4,), generator=g),
        lambda g: ad.randint(10, size=(4,), generator=g),
        lambda g: ad.randint(high=10, size=(4,), generator=g),
        lambda g: ad.randint(low=0, high=10, size=(4,), generator=g),
    ):
        assert call(ad.Generator(1)).tolist() == ad.randint(10, (4,), generator=ad.Generator(1)).tolist()
    x = ad.randint(5, (2,), dtype=ad.namespace().float32, requires_grad=True)
    assert x.requires_grad
    with pytest.raises(ad.ArgumentError, match="low=5 >= high=5"):
        ad.randint(5, 5, (2,))
    with pytest.raises(ad.ArgumentTypeError, match="got no size"):
        ad.randint(5)


def test_randperm(backend):
    assert sorted(ad.randperm(30).tolist()) == list(range(30))
    assert ad.randperm(0).shape == (0,)
    assert ad.randperm(4, dtype=ad.namespace().float32).dtype == ad.namespace().float32
    with pytest.raises(ad.ArgumentError, match="n=-1"):
        ad.randperm(-1)


@pytest.mark.parametrize("function", [ad.rand_like, ad.randn_like])
def test_like_follows_its_model(function):
    pytest.importorskip("jax")
    model = ad.namespace("jax").zeros((2, 3), dtype=ad.namespace("jax").float16)
    x = function(model, generator=ad.Generator(0), requires_grad=True)
    assert (x.shape, x.dtype, ad.namespace(x)) == (model.shape, model.dtype, ad.namespace(model))
    assert x.requires_grad
    assert function(model, dtype=ad.namespace("jax").float32).dtype == ad.namespace("jax").float32
    with pytest.raises(ad.ArgumentTypeError, match=rf"{function.__name__}\(\) needs a tensor, got ndarray"):
        function(np.ones(3))
    with pytest.raises(ad.ArgumentTypeError, match="draws floating-point numbers"):
        function(ad.zeros((2,), dtype=ad.int64))


def test_threads_share_a_generator_without_losing_numbers():
    generator = ad.Generator(0)
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(generator.random(1).item() for _ in range(500))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(ad.Generator(0).random(2000).tolist())


def test_under_a_jax_trace_numbers_are_constants():
    jax = pytest.importorskip("jax")
    with ad.use_backend("jax"):
        ad.manual_seed(0)
        f = jax.jit(lambda x: x + ad.rand(2))
        zero = ad.zeros((2,))
        assert f(zero).tolist() == f(zero).tolist()
