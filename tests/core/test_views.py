"""Views and assignment: what the comparison with PyTorch does not reach."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.rules import OPS
from autodiff_api.strides import STRIDES
from autodiff_api.views import strides_of


def test_every_view_has_strides():
    assert set(STRIDES) == {name for name, op in OPS.items() if op.view}


@pytest.fixture(params=["numpy", "jax"])
def xp(request):
    if request.param == "jax":
        pytest.importorskip("jax")
    return ad.namespace(request.param)


def test_assigning_a_view_of_itself(xp):
    x = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    x[...] = x.mT
    assert x.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    x[None] = xp.reshape(x, (1, 2, 2))
    assert x.tolist() == [[1.0, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize("key", [1, (0, 1), (slice(None), 0), slice(0, 1)])
def test_augmented_assignment_records_one_write(xp, key):
    """`x[key] += y` writes through the view; assigning the view back then is nothing new."""
    y = xp.asarray(2.0, requires_grad=True)
    x = xp.zeros((2, 2))
    x[key] += y
    assert x.grad_fn.name() == "Setitem"
    assert [n.name() for n, _ in x.grad_fn.next_functions if n] == ["Add"]
    xp.sum(x).backward()
    assert y.grad.item() == x[key].size


def test_every_view_op_writes_through(xp):
    """Whatever is written to a view, reading the view gives it back, and the base has the same elements."""
    views = {
        "getitem": lambda x: x[1:, ::2],
        "reshape": lambda x: xp.reshape(x, (4, 3)),
        "permute_dims": lambda x: xp.permute_dims(x, (1, 0)),
        "moveaxis": lambda x: xp.moveaxis(x, 0, 1),
        "expand_dims": lambda x: xp.expand_dims(x, axis=1),
        "squeeze": lambda x: xp.squeeze(xp.expand_dims(x, axis=0), 0),
        "matrix_transpose": lambda x: x.mT,
        "diagonal": lambda x: x.diagonal(1),
        "detach": lambda x: x.mT[1].detach(),
    }
    for name, take in views.items():
        x = xp.reshape(xp.arange(12, dtype=xp.float32), (3, 4)).clone()
        before, view = x.clone(), take(x)
        new = view * 0 - 1 - xp.reshape(xp.arange(view.size, dtype=xp.float32), view.shape)
        view[...] = new
        assert view.tolist() == new.tolist(), name
        assert take(x).tolist() == new.tolist(), name
        changed = xp.sum(xp.astype(x != before, xp.int32))
        assert int(changed) == view.size, name


def test_complex_parts_write_through(xp):
    z = xp.asarray([1 + 2j, 3 + 4j])
    z.real[0] = 5.0
    xp.imag(z)[1] = 7.0
    assert z.tolist() == [5 + 2j, 3 + 7j]


def test_data_takes_over_another_dtype_and_shape(xp):
    """As `p.data = ...` does in PyTorch: the leaf stays, its hooks too, and new gradients fit the new data."""
    p = xp.asarray([1.0, 2.0], dtype=xp.float32, requires_grad=True)
    calls, before = [], p.detach()
    p.register_hook(lambda g: calls.append(g.shape))
    p.data = xp.asarray([[3.0], [4.0], [5.0]], dtype=xp.float16)
    assert p.is_leaf and p.requires_grad and before.tolist() == [1.0, 2.0]
    xp.sum(p * p).backward()
    assert p.grad.tolist() == [[6.0], [8.0], [10.0]] and p.grad.dtype == xp.float16
    assert calls == [(3, 1)]


def test_an_optimizer_and_a_state_dict_write_in_place(xp):
    p = ad.nn.Parameter(xp.asarray([1.0, 2.0]))
    seen, view = p.detach(), p.detach()[0:1]
    xp.sum(p).backward()
    ad.optim.SGD([p], lr=1.0).step()
    assert seen.tolist() == p.tolist() == [0.0, 1.0] and view.tolist() == [0.0]


KEYS = (slice(None), slice(1, None), slice(None, None, 2), slice(-2, None), 0, None, ...)
VIEWS = {  # name -> arguments that a view of an array can have, drawn at random
    "broadcast_to": lambda x, r: [(2, *(3 if n == 1 else n for n in x.shape))],
    "expand_dims": lambda x, r: [int(r.integers(-x.ndim - 1, x.ndim + 1))],
    "getitem": lambda x, r: [tuple(KEYS[i] for i in (*r.integers(6, size=min(x.ndim, 2)), 6))],
    "matrix_transpose": lambda x, r: [],
    "moveaxis": lambda x, r: [int(r.integers(-x.ndim, x.ndim)), int(r.integers(x.ndim))],
    "permute_dims": lambda x, r: [tuple(map(int, r.permutation(x.ndim)))],
    "squeeze": lambda x, r: [tuple(i for i, n in enumerate(x.shape) if n == 1)],
}


@pytest.mark.parametrize("seed", range(200))
def test_elements_lie_where_numpy_has_them(seed):
    r = np.random.default_rng(seed)
    shape = tuple(map(int, r.integers(1, 5, size=r.integers(2, 5))))
    x, y = ad.zeros(shape), np.zeros(shape, dtype=np.int8)
    for _ in range(4):
        name = str(r.choice([*VIEWS]))
        if y.ndim > 1 or name in ("broadcast_to", "expand_dims"):
            arguments = VIEWS[name](y, r)
            x, y = view(x, name, arguments), view(y, name, arguments)
        n = y.size
        for wanted in ((n,), (n // 2, 2), (2, n // 2), (*y.shape[:1], *y.shape[1:][::-1]), (1, *y.shape, 1)):
            if math.prod(wanted) == n:
                check_reshape(x, y, wanted)
        if not n:
            break


def view(x, name, arguments):
    if name == "getitem":
        return x[arguments[0]]
    return getattr(ad if isinstance(x, ad.Tensor) else np, name)(x, *arguments)


def check_reshape(x, y, wanted):
    try:
        expected = y.reshape(wanted, copy=False).strides
    except ValueError:
        with pytest.raises(ValueError, match="needs no copy"):
            x.reshape(wanted, copy=False)
        return
    strides = strides_of(x.reshape(wanted, copy=False))
    assert [s for s, n in zip(strides, wanted, strict=True) if n > 1 and y.size] == [
        s for s, n in zip(expected, wanted, strict=True) if n > 1 and y.size
    ]
