"""Mistakes that were made once, each with the smallest program that shows it."""

from __future__ import annotations

import asyncio
import copy
import math
import operator
import warnings

import numpy as np
import pytest

import autodiff_api as ad


@pytest.fixture(params=["numpy", "jax"])
def xp(request):
    if request.param == "jax":
        pytest.importorskip("jax")
    return ad.namespace(request.param)


def raw(xp, data):
    """Return an array of the backend itself."""
    return xp._lower.asarray(data)


def gradient_of(function, x):
    return ad.autograd.grad(function(x).sum(), x)[0]


# --- going backward ---


def test_a_raw_array_is_a_gradient(xp):
    """It is iterable, but not a sequence of gradients."""
    for shape, gradient in (((2,), [1.0, 3.0]), ((1,), [3.0]), ((), 3.0)):
        x = xp.ones(shape, requires_grad=True)
        (x * 2).backward(raw(xp, gradient))
        assert (x.grad / 2).tolist() == gradient
        assert ad.autograd.grad(x * 2, x, raw(xp, gradient))[0].shape == shape


def test_a_root_that_is_not_asked_for_gets_no_gradient(xp):
    a, b = (xp.asarray(v, requires_grad=True) for v in (2.0, 3.0))
    a.register_hook(lambda g: pytest.fail("the hook of a leaf that was not asked for"))
    ad.autograd.backward([a, a * b], inputs=[b])
    assert a.grad is None and b.grad.item() == 2.0


def test_backward_from_nothing_does_nothing():
    ad.autograd.backward([])


def test_recomputing_branches_runs_each_operation_once(xp):
    """A trunk under many branches was recomputed for every branch."""
    x = xp.asarray(0.5, requires_grad=True)
    trunk = x
    for _ in range(5):
        trunk = xp.sin(trunk)
    y = sum(xp.cos(trunk) * xp.exp(trunk) for _ in range(5))
    y.backward()
    first, x.grad = x.grad.item(), None
    calls, node = [], trunk.grad_fn
    original = node.recipe.kernel
    node.recipe.kernel = lambda v: calls.append(1) or original(v)
    try:
        with pytest.warns(ad.RecomputeWarning) as caught:
            y.backward()
    finally:
        node.recipe.kernel = original
    assert len(calls) == 5 and len(caught) == 1
    assert x.grad.item() == first


# --- rules ---


@pytest.mark.parametrize("create_graph", [False, True])
def test_power_of_a_negative_number_to_a_complex_exponent(xp, create_graph):
    """The derivative has log(base), which is complex though the base is real."""
    base, e = -1.5, 0.5 + 0.25j
    y = xp.asarray(e, requires_grad=True)
    (g,) = ad.autograd.grad(xp.real(xp.asarray([base]) ** y).sum(), y, create_graph=create_graph)
    expected = np.conj(np.power(complex(base), e) * np.log(complex(base)))
    assert np.allclose(g.detach().numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "shape, offset", [((0, 3), -1), ((2, 3), -2), ((2, 3), -7), ((2, 3), 3), ((2, 3), 9), ((3, 0), 1)]
)
def test_diagonals_off_the_matrix(xp, shape, offset):
    x = xp.ones(shape, requires_grad=True)
    assert gradient_of(lambda x: xp.linalg.diagonal(x, offset=offset), x).tolist() == np.zeros(shape).tolist()


def test_take_from_a_flattened_array(xp):
    x = xp.asarray([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert gradient_of(lambda x: xp.take(x, xp.asarray([0, 1, 1])), x).tolist() == [[1.0, 2.0], [0.0, 0.0]]


def test_repeats_that_broadcast():
    xp = ad.namespace("numpy")  # JAX takes these too, but not the standard's None axis with an array
    for repeats in (np.int64(3), np.asarray([3]), xp.asarray([3])):
        x = xp.ones((2, 2), requires_grad=True)
        assert gradient_of(lambda x, r=repeats: xp.repeat(x, r, axis=-1), x).tolist() == [[3.0, 3.0]] * 2
        assert gradient_of(lambda x, r=repeats: xp.repeat(x, r), x).tolist() == [[3.0, 3.0]] * 2


def test_tile_by_a_number(xp):
    x = xp.ones((2, 2), requires_grad=True)
    assert gradient_of(lambda x: xp.tile(x, 3), x).tolist() == [[3.0, 3.0]] * 2


def test_sigmoid_and_relu_methods(xp):
    """Far below zero a sigmoid is small and not 0; a nan is not a negative number."""
    x = xp.asarray([-40.0, 0.0, 40.0], requires_grad=True)
    assert np.allclose(x.sigmoid().detach().numpy(), [math.exp(-40.0), 0.5, 1.0], rtol=1e-5, atol=0)
    assert np.allclose(
        gradient_of(lambda x: x.sigmoid(), x).numpy(), [math.exp(-40.0), 0.25, 0.0], rtol=1e-5, atol=1e-17
    )
    assert math.isnan(xp.asarray(math.nan).relu().item())
    assert gradient_of(lambda x: x.relu(), x).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("shape", [(2,), (3, 2), ()])
def test_broadcasting_drops_no_axes(xp, shape):
    with pytest.raises(ValueError):
        xp.broadcast_to(xp.ones((1, 1, 2)), shape)


# --- keys, operands, numbers ---


@pytest.mark.parametrize("index", [np.int64(1), np.asarray(1), np.uint8(1)])
def test_any_integer_selects_a_view(xp, index):
    x = xp.asarray([1.0, 2.0])
    x[index].zero_()
    x[index, ...].add_(3.0)
    assert x.tolist() == [1.0, 3.0]


def test_a_traced_integer_selects_a_view():
    """Under jit the write through `x[i]` was lost."""
    jax = pytest.importorskip("jax")
    xp = ad.namespace("jax")

    def write(i):
        x = xp.zeros((2, 3))
        x[i].add_(1.0)
        x[..., i].reshape(2).add_(2.0)
        return x

    assert jax.jit(write)(xp.asarray(1)).tolist() == write(xp.asarray(1)).tolist() == [[0, 2, 0], [1, 3, 1]]


@pytest.mark.parametrize("key", [lambda k: k, lambda k: (k, slice(None)), lambda k: (slice(None), k)])
def test_an_index_array_is_read_when_it_is_used(xp, key):
    """The graph kept the array itself, into which the next step may write."""
    x = xp.ones((3, 3), requires_grad=True)
    index = np.asarray([0, 1])
    y = x[key(index)].sum()
    index[:] = 2
    y.backward()
    taken = np.zeros((3, 3))
    taken[key(np.asarray([0, 1]))] = 1.0
    assert x.grad.tolist() == taken.tolist()


def test_an_empty_list_selects_nothing(xp):
    x = xp.asarray([1.0, 2.0], requires_grad=True)
    assert x[[]].shape == (0,)
    assert gradient_of(lambda x: x[[]], x).tolist() == [0.0, 0.0]


def test_none_is_no_number(xp):
    """NumPy would make nan of it."""
    x = xp.asarray([1.0, 2.0])
    assert (x == None) is False and (x != None) is True  # noqa: E711
    for refused in (lambda: operator.setitem(x, 0, None), lambda: x + None, lambda: xp.exp(None)):
        with pytest.raises(TypeError):
            refused()
    assert xp.clip(x, None, 1.5).tolist() == [1.0, 1.5]


def test_assigning_nonsense_is_a_type_error(xp):
    with pytest.raises(TypeError, match="got str"):
        xp.zeros(2)[0] = "1"


def test_copying_in_another_shape_is_one_error(xp):
    with pytest.raises(ad.ShapeError):
        xp.zeros(2).copy_(xp.ones(3))


@pytest.mark.parametrize("data", [None, [1.0, None], {}])
def test_tensors_hold_numbers(xp, data):
    """NumPy would make an array of objects."""
    with pytest.raises((TypeError, ValueError)):
        xp.tensor(data)


def test_expanding_to_fewer_axes(xp):
    with pytest.raises(ad.ShapeError, match="at least the 2 axes"):
        xp.ones((1, 2)).expand(2)


def test_bfloat16_prints_like_a_float():
    jnp = pytest.importorskip("jax.numpy")
    assert "[3.]" in repr(ad.namespace("jax").asarray([3.0], dtype=jnp.bfloat16))


def test_a_float_is_no_index(xp):
    with pytest.raises(TypeError):
        operator.index(xp.sum(xp.ones(2)))


def test_the_truth_of_nothing(xp):
    with pytest.raises(ad.ShapeError, match="no values is ambiguous"):
        bool(xp.zeros(0))


def test_allclose_of_infinities(xp):
    x = xp.asarray([math.inf, -math.inf])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert xp.allclose(x, x) and not xp.allclose(x, -x)
        assert not xp.allclose(xp.ones(2), x) and not xp.allclose(x, xp.ones(2))


# --- the package's functions ---


def test_functions_of_the_package_find_their_backend(xp):
    """In a list too, in an extension too; raw arrays give tensors."""
    ones = raw(xp, [1.0, 1.0])
    for y in (ad.concat([ones, ones]), ad.stack((ones, ones)), *ad.unstack(ones), ad.diff(ones)):
        assert isinstance(y, xp.array_class)
    assert isinstance(ad.linalg.vector_norm(xp.asarray(ones)), xp.array_class)
    assert ad.linalg.matmul(ones, ones).item() == 2.0


def test_the_package_is_a_namespace():
    assert "cpu" in str(ad.__array_namespace_info__().devices())
    assert ad.zeros(shape=(2, 3)).shape == ad.zeros((2, 3)).shape == ad.zeros(2, 3).shape == (2, 3)
    assert ad.ones(2, dtype=ad.float32).shape == (2,)


def test_extensions_can_be_copied(xp):
    for linalg in (ad.linalg, xp.linalg):
        assert copy.copy(linalg).vector_norm(xp.ones(4)).item() == 2.0
        assert copy.deepcopy(linalg).vector_norm(xp.ones(4)).item() == 2.0


# --- modes ---


def test_inference_mode_takes_a_keyword():
    with ad.inference_mode(mode=False):
        assert ad.is_grad_enabled()


def test_async_generators_get_what_is_thrown_and_are_closed():
    seen = []

    @ad.no_grad()
    async def numbers():
        try:
            try:
                seen.append((yield 1))
            except ValueError:
                seen.append("caught")
                yield 2
        finally:
            seen.append(ad.is_grad_enabled())

    async def main():
        for end in (lambda g: g.asend("sent"), lambda g: g.athrow(ValueError("thrown"))):
            steps = numbers()
            await anext(steps)
            assert ad.is_grad_enabled()
            try:
                await end(steps)
            except StopAsyncIteration:
                continue
            await steps.aclose()

    asyncio.run(main())
    assert seen == ["sent", False, "caught", False]
