"""What may stand beside a tensor in an expression, and what is refused, in whose words."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad

pytest.importorskip("jax")
OTHER = {"numpy": "jax", "jax": "numpy"}


@pytest.fixture(params=["numpy", "jax"])
def xp(request):
    return ad.namespace(request.param)


@pytest.fixture
def x(xp):
    return xp.asarray([1.0, 2.0], dtype=xp.float32, requires_grad=True)


@pytest.mark.parametrize("scalar", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2)])
def test_scalars_keep_the_dtype(x, xp, scalar):
    """Python scalars and NumPy's own (np.sqrt(2) is one) take the tensor's dtype, on either side."""
    for y in (x * scalar, scalar * x, x + scalar, scalar - x, x / scalar, scalar**x):
        assert isinstance(y, ad.Tensor) and y.requires_grad
        if not isinstance(scalar, np.float32 | np.int64) or xp.__name__ != "autodiff_api.numpy":
            assert y.dtype == x.dtype


def test_complex_scalar_promotes(x, xp):
    y = x * 2j
    assert y.dtype == xp.complex64
    xp.sum(xp.imag(y)).backward()
    assert x.grad.tolist() == [2.0, 2.0] and x.grad.dtype == x.dtype


def test_raw_arrays_of_the_same_backend_are_constants(x, xp):
    raw = xp._lower.asarray([3.0, 4.0], dtype=xp.float32)
    for y in (x * raw, raw * x, xp.multiply(x, raw), xp.multiply(raw, x)):
        assert isinstance(y, ad.Tensor) and y.tolist() == [3.0, 8.0]
        (g,) = ad.autograd.grad(y, x, xp.ones_like(y))
        assert g.tolist() == [3.0, 4.0]


def test_another_backends_tensor_is_refused(x, xp):
    mine = xp._backend.name
    other = ad.namespace(OTHER[mine]).asarray([1.0, 2.0])
    for action in (
        lambda: x * other,
        lambda: other * x,
        lambda: xp.add(x, other),
        lambda: xp.matmul(x, other),
        lambda: xp.concat([x, other]),
        lambda: xp.where(x > 0, x, other),
        lambda: x == other,
    ):
        with pytest.raises(ad.BackendMismatchError, match="asarray") as info:
            action()
        assert "'numpy'" in str(info.value) and "'jax'" in str(info.value)
        assert isinstance(info.value, TypeError)


def test_another_backends_raw_array_is_refused(x, xp):
    other = ad.namespace(OTHER[xp._backend.name])._lower.asarray([1.0, 2.0])
    with pytest.raises(ad.BackendMismatchError, match="met a tensor of backend"):
        x * other
    with pytest.raises(TypeError):
        other * x


def test_asarray_is_the_remedy(x, xp):
    other = ad.namespace(OTHER[xp._backend.name]).asarray([1.0, 2.0])
    assert (x * xp.asarray(other, dtype=xp.float32)).tolist() == [1.0, 4.0]


def test_what_is_no_array_is_a_type_error(x, xp):
    for wrong in ("text", object(), [1.0, 2.0]):
        with pytest.raises(TypeError):
            x * wrong
        with pytest.raises(TypeError, match="multiply: expected a tensor"):
            xp.multiply(x, wrong)


def test_an_operator_defers_to_a_class_that_knows_better(x):
    class Knows:
        def __rmul__(self, other):
            return "known"

    assert x * Knows() == "known"


def test_numpy_functions_refuse_what_would_lose_the_gradient(x):
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        np.asarray(x)
    with pytest.raises(TypeError):
        np.multiply(x, 2.0)
    with ad.no_grad():
        assert np.asarray(x).tolist() == [1.0, 2.0]


def test_plain_tensors_share_memory_with_numpy():
    x = ad.namespace("numpy").asarray([1.0, 2.0])
    array = np.asarray(x)
    assert np.shares_memory(array, np.asarray(x.detach()))
    assert not array.flags.writeable


def test_data_is_copied_in_unless_shared_on_purpose():
    xp, data = ad.namespace("numpy"), np.asarray([1.0, 2.0])
    copied, shared = xp.asarray(data), xp.asarray(data, copy=False)
    data[0] = 9.0
    assert copied.tolist() == [1.0, 2.0] and shared.tolist() == [9.0, 2.0]
    with pytest.raises(ValueError):
        xp.asarray([1.0, 2.0], copy=False)


def test_lists_of_tensors_stack_and_stay_connected(xp):
    a, b = (xp.asarray(v, requires_grad=True) for v in (1.0, 2.0))
    y = xp.asarray([[a, b], [b, 3.0]])
    xp.sum(y * y).backward()
    assert (a.grad.item(), b.grad.item()) == (2.0, 8.0)


def test_float_says_that_the_gradient_stops(xp):
    x = xp.asarray(2.0, requires_grad=True)
    with pytest.warns(ad.DetachWarning, match="gradient stops here"):
        assert float(x) == 2.0
    assert x.item() == 2.0 and f"{x:.1f}" == "2.0" and int(x) == 2 and bool(x)


def test_package_functions_find_the_backend_of_their_arguments(xp):
    x = xp.asarray([0.0, 1.0])
    assert type(ad.exp(x)) is type(x)
    assert type(ad.concat([x, x])) is type(x)
    assert type(ad.where(x > 0, x, 1.0)) is type(x)
    raw = x._value
    assert type(ad.sum(raw)) is type(x)


def test_the_owner_of_a_raw_array_may_reuse_it():
    """A raw operand is copied when it is recorded: what its owner writes later changes no gradient."""
    x = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for operation in (
        lambda c: x * c,
        lambda c: c * x,
        lambda c: ad.where(c > 0, x * 1, c),
        lambda c: ad.multiply(c, x),
        lambda c: ad.vecdot(x, c),
        lambda c: x @ c,
    ):
        c = np.ones(3)
        y = ad.sum(operation(c))
        c[:] = 0.0
        (g,) = ad.autograd.grad(y, x)
        assert g.tolist() == [1.0, 1.0, 1.0]


def test_a_tensor_made_of_a_raw_array_is_its_own():
    """A view op on a raw array copies, as `asarray` does: writes to the array do not reach the tensor."""
    for operation in (lambda c: ad.reshape(c, (3,)), lambda c: ad.expand_dims(c, axis=0), ad.flip):
        c = np.ones(3)
        y = operation(c)
        c[:] = 0.0
        assert ad.sum(y).item() == 3.0


def test_shapes_that_do_not_fit_are_one_error(xp):
    """RuntimeError for PyTorch's users, ValueError for NumPy's, on any backend; what fits otherwise is not blamed."""
    a, b = xp.ones((2, 3)), xp.ones((2,))
    for action in (lambda: a + b, lambda: xp.maximum(a, b), lambda: a < b, lambda: a @ b, lambda: a @ a):
        with pytest.raises(ad.ShapeError, match=r"\(2, 3\) and \(2") as info:
            action()
        assert isinstance(info.value, RuntimeError) and isinstance(info.value, ValueError)
    with pytest.raises(ad.ShapeError, match="matmul"):
        xp.asarray(1.0) @ a
    with pytest.raises(ad.ShapeError, match="view size is not compatible"):
        a.view(4)
