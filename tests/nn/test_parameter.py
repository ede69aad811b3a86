"""Parameter: a tensor of its own class, on every backend."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn


def test_is_a_leaf_of_two_classes(backend):
    p = nn.Parameter(ad.asarray([1.0, 2.0]))
    assert isinstance(p, nn.Parameter)
    assert isinstance(p, ad.Tensor)
    assert isinstance(p, type(ad.asarray(1.0)))
    assert type(p) is type(nn.Parameter(ad.asarray([3.0])))
    assert p.is_leaf
    assert p.requires_grad
    assert not nn.Parameter(ad.asarray([1.0]), requires_grad=False).requires_grad


def test_what_is_computed_from_it_is_a_plain_tensor(backend):
    p = nn.Parameter(ad.asarray([1.0, 2.0]))
    for y in (p * 2, 2 * p, -p, p + p, p.sum(), p[0], p.detach(), p.clone(), p.reshape((2, 1)), p == 1):
        assert isinstance(y, ad.Tensor)
        assert not isinstance(y, nn.Parameter)
    (p * p).sum().backward()
    assert p.grad.tolist() == [2.0, 4.0]
    assert not isinstance(p.grad, nn.Parameter)


def test_leaves_history_and_requires_grad_of_its_data_behind(backend):
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    p = nn.Parameter(x * 3)
    p.sum().backward()
    assert p.tolist() == [3.0, 6.0]
    assert x.grad is None
    assert x.requires_grad


def test_in_place_keeps_the_leaf(backend):
    p = nn.Parameter(ad.asarray([1.0, 2.0]))
    held = p
    with ad.no_grad():
        p -= 0.5
        p.mul_(2)
    assert p is held
    assert p.is_leaf
    assert p.requires_grad
    assert isinstance(p, nn.Parameter)
    assert p.tolist() == [1.0, 3.0]
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        p += 1


def test_other_data():
    assert nn.Parameter(np.ones(2)).tolist() == [1.0, 1.0]
    assert nn.Parameter([1.0]).requires_grad
    assert nn.Parameter().shape == (0,)
    p = nn.Parameter([1.0])
    assert type(type(p)(ad.asarray([2.0]))) is type(p)
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(ad.asarray([1]))


def test_a_raw_array_keeps_its_backend():
    jnp = pytest.importorskip("jax.numpy")
    assert ad.namespace(nn.Parameter(jnp.ones(2))).__name__ == "autodiff_api.jax"


def test_repr():
    p = nn.Parameter(ad.asarray([1.5, 2.0]))
    assert repr(p) == "Parameter containing:\ntensor([1.5, 2.0], requires_grad=True)"
    assert repr(nn.Parameter(p, requires_grad=False)) == "Parameter containing:\ntensor([1.5, 2.0])"


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_copies_keep_the_class(backend, twin, requires_grad):
    p = nn.Parameter(ad.asarray([1.0, 2.0]), requires_grad=requires_grad)
    q = twin(p)
    assert type(q) is type(p)
    assert q is not p
    assert q.requires_grad is requires_grad
    assert q.tolist() == [1.0, 2.0]
    with ad.no_grad():
        q += 1
    assert p.tolist() == [1.0, 2.0]


def test_subclasses_stay_themselves():
    class Embedding(nn.Parameter):
        __slots__ = ()

    p = Embedding(ad.asarray([1.0]))
    assert isinstance(p, Embedding)
    assert isinstance(copy.deepcopy(p), Embedding)


def test_goes_through_jit_as_a_parameter():
    jax = pytest.importorskip("jax")
    with ad.use_backend("jax"):
        p = nn.Parameter(ad.asarray([1.0, 2.0]))

        @jax.jit
        def gradient(p):
            assert isinstance(p, nn.Parameter)
            (p * p).sum().backward()
            return p.grad

        assert gradient(p).tolist() == [2.0, 4.0]
