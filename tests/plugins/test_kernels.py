"""The kernels of the first-party plugins agree with NumPy's own indexing, key by key."""

from operator import attrgetter

import numpy as np
import pytest

from autodiff_api import namespace
from autodiff_api.backends import get_backend

MASK = np.asarray([True, False, True, True])
KEYS = {
    "integer": 1,
    "negative": -1,
    "integers": (1, 2),
    "slice": slice(1, 3),
    "negative step": (slice(None, None, -2), 1),
    "new axis": (None, slice(None), 0),
    "ellipsis": (..., 1),
    "all": ...,
    "empty tuple": (),
    "array": np.asarray([0, 2, 0, 0]),
    "negative array": np.asarray([-1, 3, 1, -4]),
    "array of two axes": np.asarray([[0, 1], [1, 1]]),
    "arrays": (np.asarray([0, 0, 3]), np.asarray([1, 1, 2])),
    "array and slice": (slice(1, 3), np.asarray([1, 1, 0])),
    "array and integer": (np.asarray([1, 1, 0]), 2),
    "mask of rows": MASK,
    "mask in a tuple": (MASK,),
    "full mask": np.arange(12).reshape(4, 3) % 5 == 0,
    "mask and integer": (MASK, 1),
    "mask and array": (MASK, np.asarray([0, 0, 1])),
    "no row": np.zeros(4, dtype=bool),
    "true": np.True_,
    "empty array": np.asarray([], dtype=np.int64),
}


@pytest.fixture(params=["numpy", "jax", "torch"])
def backend(request):
    pytest.importorskip(request.param)
    return get_backend(request.param)


@pytest.fixture(params=["one value", "a value each"])
def case(request, backend):
    """Give a function that makes, for a key, the array and the values to put there, as NumPy and as raw."""

    def make(key):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((4, 3)).astype(np.float32)
        shape = x[key].shape if request.param == "a value each" else ()
        values = np.asarray(rng.standard_normal(shape), dtype=x.dtype)
        raw = backend.namespace.asarray
        parts = key if isinstance(key, tuple) else (key,)
        parts = tuple(raw(part) if isinstance(part, np.ndarray) else part for part in parts)
        return x, values, raw(x.copy()), raw(values), parts if isinstance(key, tuple) else parts[0]

    return make


def same(backend, found, expected):
    assert isinstance(found, backend.array_types)
    found = backend.to_numpy(found)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", KEYS)
def test_getitem(backend, case, name):
    x, _, raw, _, key = case(KEYS[name])
    same(backend, backend.kernels["getitem"](raw, key), x[KEYS[name]])


@pytest.mark.parametrize("name", KEYS)
def test_setitem(backend, case, name):
    x, values, raw, raw_values, key = case(KEYS[name])
    if "array" in name:
        values = np.zeros_like(values)  # which of several values stays at one place is nobody's promise
        raw_values = backend.namespace.asarray(values)
    found = backend.kernels["setitem"](raw, key, raw_values)
    np.testing.assert_array_equal(backend.to_numpy(raw), x)
    x = x.copy()
    x[KEYS[name]] = values
    same(backend, found, x)


@pytest.mark.parametrize("name", KEYS)
def test_scatter_add(backend, case, name):
    x, values, raw, raw_values, key = case(KEYS[name])
    found = backend.kernels["scatter_add"](raw, key, raw_values)
    np.testing.assert_array_equal(backend.to_numpy(raw), x)
    expected = x.copy()
    np.add.at(expected, KEYS[name], values)
    same(backend, found, expected)


ROWS = np.random.default_rng(1).integers(-30, 30, (20, 15))
MANY = {
    "rows": (ROWS[0], ...),
    "many rows": ROWS,
    "columns": (slice(None), ROWS[:, 0] // 2),
    "many columns": (slice(None), ROWS // 2, ...),
    "elements": (ROWS[:15], ROWS[:15].T // 2),
    "columns of a slice": (slice(None, 20), ROWS[0] // 2),
}


@pytest.mark.parametrize("scipy", [True, False], ids=["", "without SciPy"])
@pytest.mark.parametrize("start", [True, False], ids=["zeros", "numbers"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "float16"])
@pytest.mark.parametrize("name", MANY)
def test_scatter_add_of_many(name, dtype, start, scipy, monkeypatch):
    """NumPy's kernel has ways of its own for those."""
    backend, key = get_backend("numpy"), MANY[name]
    if not scipy:
        monkeypatch.setattr("autodiff_api_numpy.scatter._scipy", lambda: None)
    x = np.broadcast_to(np.asarray(0, dtype), (30, 16, 5)) if start else np.ones((30, 16, 5), dtype)
    values = np.arange(np.size(x[key])).reshape(np.shape(x[key])) % 3 + 1
    expected = x.copy()
    np.add.at(expected, key, values.astype(dtype))
    same(backend, backend.kernels["scatter_add"](x, key, values), expected)


@pytest.mark.parametrize("key", [(ROWS + 1, ...), (slice(None), ROWS), (ROWS[:15], ROWS[:15] - 3)], ids=str)
def test_scatter_add_of_many_out_of_bounds(key):
    with pytest.raises(IndexError, match=r"out of bounds for axis [01] with size"):
        get_backend("numpy").kernels["scatter_add"](np.zeros((30, 16)), key, 1.0)


@pytest.mark.parametrize("kernel", ["setitem", "scatter_add"])
@pytest.mark.parametrize("value", [2.0, np.float64(2.0), np.arange(3.0)], ids=["float", "0-d", "1-d"])
def test_the_dtype_stays(backend, kernel, value):
    x = backend.namespace.zeros((4, 3), dtype=backend.namespace.float32)
    for key in (0, slice(1, 3), MASK, np.asarray([0, 0, 1])):
        if isinstance(key, np.ndarray):
            key = backend.namespace.asarray(key)
        assert backend.kernels[kernel](x, key, value).dtype == x.dtype


@pytest.mark.parametrize("kernel", ["setitem", "scatter_add"])
def test_no_axes(backend, kernel):
    x = backend.namespace.asarray(1.0, dtype=backend.namespace.float32)
    for key in ((), ..., np.True_):
        found = backend.kernels[kernel](x, key, 2.0)
        same(backend, found, np.asarray({"setitem": 2.0, "scatter_add": 3.0}[kernel], dtype=np.float32))


OUTSIDE = [4, -5, (0, 3), (..., 3), (None, 0, -4), (MASK, 3), (slice(None), np.int64(3))]


@pytest.mark.parametrize("key", OUTSIDE, ids=str)
@pytest.mark.parametrize("kernel", ["getitem", "setitem", "scatter_add"])
def test_integers_out_of_bounds(backend, kernel, key):
    x = backend.namespace.zeros((4, 3))
    with pytest.raises(IndexError, match=r"out of bounds|too many"):
        backend.kernels[kernel](x, key, *[1.0] * (kernel != "getitem"))


@pytest.mark.parametrize("kernel", ["setitem", "scatter_add"])
def test_shapes_that_do_not_fit(backend, kernel):
    x = backend.namespace.zeros((3, 1))
    for key in (np.asarray([True, False, True]), slice(None)):
        if isinstance(key, np.ndarray):
            key = backend.namespace.asarray(key)
        with pytest.raises(backend.refusals):
            backend.kernels[kernel](x, key, backend.namespace.zeros(4))


def test_devices_and_places(backend):
    x = backend.namespace.zeros(3)
    devices = backend.devices()
    assert devices
    for device in (*devices, *map(str, devices), "cpu"):
        assert isinstance(backend.place(x, device), backend.array_types)
        assert isinstance(backend.kernels["to_device"](x, device, stream=None), backend.array_types)
    with pytest.raises(ValueError, match=r"no device 'warp:9'.*(cpu|gpu|cuda|tpu)"):
        backend.place(x, "warp:9")


def test_to_numpy_does_not_copy_on_the_cpu(backend):
    x = backend.place(backend.namespace.zeros(1000), "cpu")
    assert type(backend.to_numpy(x)) is np.ndarray
    assert np.shares_memory(backend.to_numpy(x), backend.to_numpy(x))


# A kernel that stands in for a function of the backend's own namespace gives what that function gives.
A = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
STANDARD = {
    "clip": [((A, -1, 1.5), {}), ((A, None, A[0]), {}), ((A.astype(np.int8), 0), {}), ((A,), {"min": A[:, :1]})],
    "cumulative_prod": [((A,), {"axis": 0}), ((A[0],), {}), ((A > 0,), {"axis": -1, "include_initial": True})],
    "cumulative_sum": [((A,), {"axis": 1}), ((A.astype(np.uint8),), {"axis": -2}), ((A[:0],), {"axis": 0})],
    "expand_dims": [((A,), {"axis": 0}), ((A,), {"axis": (-1, 1)})],
    "hypot": [((A, A[0]), {}), ((A, 2.0), {})],
    "linalg.cross": [
        ((A[:, :3], np.cos(A[:, 1:])), {}),
        ((A, np.cos(A)), {"axis": 0}),
        ((A[:, :3], A[:1, 1:] ** 2), {}),
    ],
    "logaddexp": [((A, A[:, :1]), {}), ((A, -np.inf), {})],
    "broadcast_to": [((A[0], (5, 4)), {}), ((np.float32(2), (2, 3)), {}), ((A[:, :1], (3, 2000)), {})],
    "matrix_transpose": [((A,), {}), ((np.stack([A, A]),), {})],
    "max": [((A,), {"axis": 0}), ((A,), {"keepdims": True}), ((A,), {"axis": (0, 1)})],
    "mean": [((A,), {}), ((A,), {"axis": 0}), ((A,), {"axis": (0, -1), "keepdims": True}), ((A + 1j,), {})],
    "min": [((A,), {"axis": -1}), ((A,), {}), ((A,), {"axis": (1,), "keepdims": True})],
    "permute_dims": [((A, (1, 0)), {}), ((A[None], (-1, 0, 1)), {})],
    "prod": [((A,), {"axis": (0, 1)}), ((A.astype(np.int8),), {}), ((A,), {"axis": -1, "keepdims": True})],
    "reshape": [((A, (4, 3)), {}), ((A.T, (-1,)), {}), ((A, (2, 6)), {"copy": True})],
    "searchsorted": [((A[0], A[:, 1]), {}), ((A[0], A[:, 1]), {"side": "right"})],
    "sign": [((A,), {}), ((A + 1j * A.T.reshape(3, 4),), {})],
    "std": [((A,), {}), ((A,), {"axis": 1, "correction": 1.0}), ((A + 1j * A,), {"axis": (0,), "keepdims": True})],
    "sum": [
        ((A,), {"axis": 1}),
        ((A,), {}),
        ((A.astype(np.int8),), {}),
        ((A,), {"dtype": np.float64}),
        ((A > 0,), {"axis": (0, 1), "keepdims": True}),
        ((A[:0],), {"axis": 0}),
    ],
    "tensordot": [
        ((A, A[:, 1:]), {"axes": ((0,), (0,))}),
        ((A.reshape(3, 2, 2), A.reshape(3, 2, 2).astype(np.float64)), {"axes": ((0, 1), (0, 1))}),
        ((A[:0], A[:0]), {"axes": ((0,), (0,))}),
        ((A, A.T), {"axes": 1}),
        ((A, A[0]), {"axes": ((1,), (0,))}),
    ],
    "var": [((A,), {}), ((A,), {"axis": -1, "correction": 0.5}), ((A.astype(np.float64),), {"axis": (0, 1)})],
    "where": [((A > 0, A, A + 1), {}), ((A[0] > 0, A, 2.0), {}), ((np.True_, A[0], A), {})],
}
OWN = {  # not the standard's: tested above and below
    "complex", "getitem", "linalg.adjugate", "linalg.solve_triangular", "scatter_add", "setitem", "to_device",
}  # fmt: skip
# What the namespace gives is wrong: tests/standard/test_mends.py
MENDED = {
    "asarray",
    "cumulative_prod",
    "expm1",
    "floor_divide",
    "from_dlpack",
    "linalg.matrix_power",
    "linalg.matrix_rank",
    "remainder",
    "tanh",
}

TWO = [((A, A[:, :1]), {}), ((A, 2.0), {}), ((A.astype(np.int8), 3), {}), ((A.astype(np.int8), A), {})]
STANDARD |= dict.fromkeys(["add", "maximum", "minimum", "multiply", "subtract"], TWO)
STANDARD |= {"pow": [((np.abs(A), A[:, :1]), {}), ((np.abs(A), 0.5), {}), ((A, 2), {}), ((A.astype(np.int32), 3), {})]}
BITS = [((A.astype(int), 5), {}), ((A > 0, A < 1), {})]
TRUTHS = [((A > 0, A < 1), {}), ((A > 0, True), {})]
for word in ("and", "or", "xor"):
    STANDARD |= {f"bitwise_{word}": BITS, f"logical_{word}": TRUTHS}


@pytest.mark.parametrize("name", STANDARD)
def test_kernel_gives_what_the_namespace_gives(backend, name):
    import array_api_compat.numpy as reference

    own = attrgetter(name)
    kernel = backend.kernels.get(name, own(backend.namespace))
    for args, kwargs in STANDARD[name]:
        raw = [as_raw(backend, a) for a in args]
        if backend.name == "jax" and kwargs.get("dtype") is np.float64:
            continue  # without x64 JAX has none
        given = {name: as_raw(backend, value) for name, value in kwargs.items()}
        found, wanted = np.asarray(kernel(*raw, **given)), own(reference)(*args, **kwargs)
        assert found.shape == wanted.shape
        if backend.name == "numpy":
            assert found.dtype == wanted.dtype
        near_zero = 1e-6 if backend.name == "torch" else 0  # which adds up in an order of its own
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=near_zero)


def as_raw(backend, value):
    """Return an array or a dtype of NumPy's as the engine's; anything else as it is."""
    if isinstance(value, type) and issubclass(value, np.generic):
        return getattr(backend.namespace, value.__name__)
    return backend.namespace.asarray(value) if isinstance(value, np.ndarray | np.generic) else value


RNG = np.random.default_rng(2)
BIG = RNG.standard_normal((2, 100, 130))
SPECIAL = {
    "": BIG,
    "zeros": np.where(BIG > 1, 0, BIG),
    "huge": BIG * 1e38,
    "tiny": BIG * 1e-40,
    "infinite": np.where(BIG > 1, np.inf, np.where(BIG < -1, -np.inf, BIG)),
    "nan": np.where(BIG > 2, np.nan, BIG),
}
LARGE = {
    "cumulative_prod": [((0,), {"axis": 0}), ((0,), {"axis": 1}), ((0,), {"axis": -1, "include_initial": True})],
    "cumulative_sum": [((0,), {"axis": -2, "include_initial": True}), ((0,), {"axis": 1})],
    "hypot": [((0, 1), {}), ((0, 2.0), {})],
    "logaddexp": [((0, 1), {}), ((0, 2.0), {})],
    "prod": [((0,), {}), ((0,), {"keepdims": True}), ((0,), {"axis": 1})],
    "where": [((2, 0, 1), {}), ((2, 0, 0.0), {}), ((2, 0, 3.0), {}), ((2, 0, 1j), {}), ((2, 0, 1), {})],
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize(("name", "dtype"), [
    (name, dtype) for name in LARGE for dtype in (np.float32, np.float64, np.float16, np.complex64)
    if dtype is not np.complex64 or name not in ("hypot", "logaddexp")
])  # fmt: skip
def test_kernels_of_large_arrays(name, dtype, special):
    """NumPy's kernels that have ways of their own for many numbers give what NumPy gives, whatever the numbers."""
    import array_api_compat.numpy as reference

    x = SPECIAL[special].astype(dtype)
    arrays = [x[0], x[1], BIG[0] > 0.3]
    for places, kwargs in LARGE[name]:
        for order in "CF":
            args = [np.asarray(arrays[p], order=order) if type(p) is int else p for p in places]
            found, wanted = (
                get_backend("numpy").kernels[name](*args, **kwargs),
                getattr(reference, name)(*args, **kwargs),
            )
            assert found.dtype == wanted.dtype
            if dtype == np.float16 and name != "where":
                continue  # the order of a sum or product tells
            total = name in ("cumulative_prod", "cumulative_sum", "prod")
            if total and special in ("huge", "tiny") and dtype is not np.float64:
                continue  # it overflows here or there
            near = {"rtol": 1e-4, "atol": 1e-4 if total else 1e-6} if dtype is not np.float64 else {"rtol": 1e-10}
            np.testing.assert_allclose(found, wanted, **near)


@pytest.mark.parametrize("n", [0, 1, 3, 30])
@pytest.mark.parametrize("kind", ["good", "one of several is bad", "singular", "nearly", "huge", "complex"])
def test_adjugate(kind, n):
    """By the inverse or not, it is what the generic kernel makes of singular values."""
    from autodiff_api import kernels

    backend = get_backend("numpy")
    x = rng_normal((2, n, n), np.complex128 if kind == "complex" else np.float64)
    if kind in ("singular", "one of several is bad") and n:
        x[0, 0] = 0
        x[1] = x[0] if kind == "singular" else x[1]
    if kind == "nearly" and n > 2:  # twice: one small singular value alone does the inverse no harm
        x[:, :2] = x[:, 2:3] + 1e-9 * x[:, :2]
    x = x * 1e5 if kind == "huge" else x
    found, wanted = (
        backend.kernels["linalg.adjugate"](x),
        kernels.GENERIC["linalg.adjugate"](x, xp=namespace(backend.name)._lower),
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9 * np.max(np.abs(wanted), initial=0))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", [*SPECIAL, "far", "positive", "positive and far"])
def test_special_functions_of_large_arrays(special, dtype):
    scipy = pytest.importorskip("scipy.special")
    kernels = get_backend("numpy").kernels
    more = {"far": BIG * 300, "positive": np.abs(BIG) + 0.01, "positive and far": np.exp(4 * BIG)}
    x = (SPECIAL | more)[special].astype(dtype)
    near = {"rtol": 2e-6 if dtype is np.float32 else 1e-13}
    for order in (2.0, 3.0, 4.0, 2.5):
        found = kernels["special.zeta"](order, x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, scipy.zeta(dtype(order), x), **near)
    found = kernels["special.expit"](x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, scipy.expit(x), **near)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shapes", [((3, 3), (3, 2)), ((20, 20), (20, 2)), ((2, 3, 3), (3, 1)), ((3, 3), (2, 3, 2))])
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_triangular_solver(backend, shapes, upper, dtype):
    """What the plugins offer equals the generic kernel, which masks the other triangle and solves."""
    from autodiff_api import kernels

    x1, x2 = (rng_normal(shape, dtype) for shape in shapes)
    x1 = x1 + 5 * np.eye(x1.shape[-1], dtype=dtype)
    raw = backend.namespace.asarray
    found = np.asarray(backend.kernels["linalg.solve_triangular"](raw(x1), raw(x2), upper=upper))
    wanted = kernels.GENERIC["linalg.solve_triangular"](x1, x2, upper=upper, xp=np)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def rng_normal(shape, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (x if np.issubdtype(dtype, np.complexfloating) else x.real).astype(dtype)


def test_every_kernel_is_tested(backend):
    # tests/laws, tests/core/test_special.py, tests/optim
    elsewhere = {name for name in backend.kernels if name.startswith(("nn.", "optim.", "special."))}
    if backend.name == "jax":
        from autodiff_api_jax import sharding

        elsewhere |= {*sharding.CREATION, *sharding.PRODUCTS, *sharding.REST}  # tests/plugins/test_sharding.py
    if backend.name == "torch":
        from autodiff_api_torch import words

        elsewhere |= {*words.KERNELS}  # tests/plugins/test_torch.py
    assert set(backend.kernels) - elsewhere <= OWN | MENDED | set(STANDARD)
