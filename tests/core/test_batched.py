"""Arrays with a hidden axis: a law for every op, errors that speak of one, its length, nesting, what is made inside.

That a mapped call is a loop, for every op, sample and derivative, is a law: see tests/laws.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import binding
from autodiff_api.binding import make_namespace
from autodiff_api.errors import AutodiffError, BatchingError, InplaceError
from autodiff_api.rules import OPS, Elementwise, Op
from autodiff_api.rules.batching import MATRIX, Shifted, bind_law
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.mapped import Mapped, placed
from autodiff_api.testing.setting import Setting

xp = ad.namespace("numpy")
FUNCTIONS = Checks(xp).functions


# --- laws ---


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_has_a_law_or_is_said_in_others(name):
    assert bind_law(OPS[name]) is not None or OPS[name].kernel is not None


def with_ops(monkeypatch, *ops, **kernels):
    """Make a namespace that has more ops, with these kernels."""
    monkeypatch.setattr(binding, "extra_ops", lambda: list(ops))
    monkeypatch.setattr("autodiff_api.fixed.extra_ops", lambda: list(ops))
    numpy = ad.get_backend("numpy")
    return make_namespace(replace(numpy, kernels={**numpy.kernels, **kernels}))


def roof(x, /, *, axis=0):
    return np.max(x, axis=axis)


def through_levels(space, function, x):
    """Map over an array of a namespace that is not the shared one."""
    return ad.vmap(function)(space.asarray(x)).numpy()


X = np.asarray([[1.0, 5.0, 2.0], [7.0, 3.0, 4.0]])


def test_an_op_without_a_law_is_an_error_and_no_loop(monkeypatch):
    space = with_ops(monkeypatch, Op("roof", "x, /, *, axis=0"), roof=roof)
    np.testing.assert_array_equal(space.roof(space.asarray(X)).numpy(), [7.0, 5.0, 4.0])
    with pytest.raises(
        BatchingError, match=r"roof has no batching law; give its Op one \(batch=\), or a generic kernel"
    ):
        through_levels(space, space.roof, X)


def test_an_op_without_a_law_runs_its_generic_kernel(monkeypatch):
    generic = Op("roof", "x, /, *, axis=0", kernel=lambda x, /, *, axis=0, xp: xp.max(x, axis=axis))
    space = with_ops(monkeypatch, generic)
    np.testing.assert_array_equal(through_levels(space, space.roof, X), [5.0, 7.0])


@pytest.mark.parametrize(
    "law",
    [
        Shifted("axis"),
        lambda call, x, axis: call(x, axis=axis + 1),
        lambda x, xp: xp.max(x, axis=1),
        lambda x, hidden, xp: xp.max(x, axis=int(hidden[0])),
    ],
    ids=["a kind", "the op", "others", "hidden"],
)
def test_a_law_says_what_it_needs(monkeypatch, law):
    space = with_ops(monkeypatch, Op("roof", "x, /, *, axis=0", batch=law), roof=roof)
    np.testing.assert_array_equal(through_levels(space, space.roof, X), [5.0, 7.0])
    np.testing.assert_array_equal(through_levels(space, lambda x: space.roof(x, axis=0), X), [5.0, 7.0])


def test_an_elementwise_rule_is_a_law(monkeypatch):
    halved = Op("halved", "x, /", Elementwise(x=lambda t: t / 2))
    space = with_ops(monkeypatch, halved, halved=lambda x: x / 2)
    np.testing.assert_array_equal(through_levels(space, lambda x: space.halved(space.sum(x)), X), [4.0, 7.0])


def test_too_few_axes_for_a_law_are_an_error(monkeypatch):
    wide = Op("wide", "x, /", batch=MATRIX)
    space = with_ops(monkeypatch, wide, wide=np.atleast_2d)
    with pytest.raises(ad.errors.OperandError, match=r"wide takes matrices, in the last two axes; got shape \(3,\)"):
        through_levels(space, space.wide, X)


# --- lengths of the hidden axis ---


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_hidden_axis_may_have_length_0_or_1(name, n):
    """Shapes, dtypes and derivatives are those of one, whatever the length is."""
    setting = Setting(xp)
    for sample in Checks(xp).samples(name, "devices", "float64"):
        call = Mapped(setting, name, sample)
        chosen = tuple(range(len(call.leaves)))
        if not chosen or call.differs(chosen):
            continue
        run = call.derived([], [])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            found = ad.vmap(run)(*[placed(setting, np.stack([x])[:n]) for x in call.leaves])
            alone = run(*[placed(setting, x) for x in call.leaves])
        for y, z in zip(found, alone, strict=True):
            assert (tuple(y.shape), y.dtype) == ((n, *z.shape), z.dtype)


# --- beyond the samples ---

BEYOND = {
    "an axis counted from the start": lambda a, b: xp.vecdot(a, b, axis=0),
    "and for a cross product": lambda a, b: xp.linalg.cross(a, b, axis=0),
    "a matrix of indices": lambda a, b: xp.take(a, xp.astype(b > 0, xp.int64), axis=1),
    "a length that follows": lambda a, b: xp.reshape(a, (2, -1)),
    "a kernel of two ranks": lambda a, b: xp.where(a[0] > 0, b, a),
}


@pytest.mark.parametrize("case", BEYOND)
@pytest.mark.parametrize("dims", [(0, 0), (0, None), (None, 0)])
def test_what_samples_leave_out_is_a_loop_too(case, dims):
    a, b = np.sin(np.arange(24.0)).reshape(4, 3, 2), np.cos(np.arange(24.0)).reshape(4, 3, 2)
    given = [x if d == 0 else x[0] for x, d in zip((a, b), dims, strict=True)]
    found = ad.vmap(BEYOND[case], dims)(*map(xp.asarray, given))
    slices = [[xp.asarray(x if d is None else x[i]) for x, d in zip(given, dims, strict=True)] for i in range(4)]
    np.testing.assert_allclose(found.numpy(), [BEYOND[case](*pair).numpy() for pair in slices], rtol=1e-13)


class Mine:
    """A part of a key that differs from one to the next."""

    def __init__(self, array):
        self.array = array


def random_key(rng, shape, n, width):
    """Return a random key for an array of a shape, in which any part may differ."""
    parts, left = [], list(shape)
    while left and rng.random() < 0.9:
        size = left[0]
        rows = (width,) if rng.random() < 0.6 else (2, width)
        part = rng.choice(["integer", "slice", "None", "...", "array", "mine", "mine, one", "mask", "list", "bool"])
        made = {
            "integer": lambda: int(rng.integers(-2, 2)),
            "slice": lambda size=size: slice(*[None, 1, size][: rng.integers(1, 4)]),
            "None": lambda: None,
            "...": lambda: ...,
            "array": lambda rows=rows: rng.integers(-2, 2, size=rows),
            "mine": lambda rows=rows: Mine(rng.integers(-2, 2, size=(n, *rows))),
            "mine, one": lambda: Mine(rng.integers(-2, 2, size=n)),
            "mask": lambda size=size: np.arange(size) < width,
            "list": lambda: [int(i) for i in rng.integers(-2, 2, size=width)],
            "bool": lambda: bool(rng.random() < 0.7),
        }[part]
        if part == "..." and ... in [p for p in parts if p is ...]:
            continue
        parts.append(made())
        if part not in ("None", "...", "bool"):
            left.pop(0)
    return parts


@pytest.mark.parametrize("seed", range(10))
def test_any_key_is_a_loop(seed):
    """Reading, assigning and adding: whatever stands in a key beside what, and whichever of it differs."""
    rng, tried = np.random.default_rng(seed), 0
    while tried < 30:
        n, shape = int(rng.integers(2, 5)), tuple(rng.integers(2, 5, size=3))
        own = rng.random() < 0.6
        x = rng.normal(size=(n, *shape) if own else shape)
        parts = random_key(rng, shape, n, int(rng.integers(1, 4)))
        mine = [p.array for p in parts if isinstance(p, Mine)]

        def key(those, parts=parts):
            those = iter(those)
            return tuple([next(those) if isinstance(p, Mine) else p for p in parts])

        def each(i, array, differs):
            return array[i] if differs else array

        try:
            wanted = [each(i, x, own)[key([m[i] for m in mine])] for i in range(n)]
        except (IndexError, ValueError):  # no key at all
            continue
        if not own and not mine:
            continue
        tried += 1
        dims = (0 if own else None, *[0] * len(mine))
        found = ad.vmap(lambda x, *those: x[key(those)], dims)(*map(xp.asarray, (x, *mine)))
        np.testing.assert_array_equal(found.numpy(), np.stack(wanted))
        if None in [p for p in parts if p is None]:
            continue
        v = rng.normal(size=(n, *wanted[0].shape))
        if v.ndim > 1 and rng.random() < 0.5:
            v = v[:, :1]

        def added(x, v, *those):
            return xp.scatter_add(x, key(those), v)

        found = ad.vmap(added, (dims[0], 0, *dims[1:]))(*map(xp.asarray, (x, v, *mine)))
        slices = [[each(i, x, own), v[i], *[m[i] for m in mine]] for i in range(n)]
        np.testing.assert_allclose(found.numpy(), [added(*map(xp.asarray, s)).numpy() for s in slices], rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 3), (3,)])
def test_a_mask_of_rows_writes_what_all_of_them_share(shape):
    x, v = np.arange(24.0).reshape(4, 2, 3), np.cos(np.arange(4.0 * int(np.prod(shape)))).reshape(4, *shape)
    rows = np.asarray([[True, False], [True, True], [False, False], [False, True]])
    for name in ("setitem", "scatter_add"):
        function = getattr(xp, name)
        derivative = ad.jacrev(lambda x, m, v, function=function: function(x, m, v) ** 2, argnums=(0, 2))
        found = ad.vmap(derivative)(x, rows, v)
        for i in range(4):
            wanted = derivative(x[i], rows[i], v[i])
            for g, z in zip(found, wanted, strict=True):
                np.testing.assert_allclose(g[i], z, rtol=1e-12)


def test_a_length_that_follows_where_there_are_none():
    assert ad.vmap(lambda a: xp.reshape(a, (2, -1)))(np.ones((0, 3, 4))).shape == (0, 2, 6)


# --- nesting ---


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nested_maps_are_nested_loops(name):
    """The inner map is over the first array, the outer over all."""
    setting = Setting(xp)
    for sample in Checks(xp).samples(name, "devices", "float64"):
        call = Mapped(setting, name, sample)
        if not call.leaves or call.differs((0,)) or call.differs(tuple(range(len(call.leaves)))):
            continue
        run = call.derived([], [])
        inner = (0, *[None] * (len(call.leaves) - 1))
        arrays = [[x, call.other(i)] for i, x in enumerate(call.leaves)]
        first = [np.stack([a, b, a]) for a, b in ([arrays[0][0], arrays[0][1]], [arrays[0][1], arrays[0][0]])]
        rest = [np.stack(pair) for pair in arrays[1:]]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            found = ad.vmap(ad.vmap(run, inner))(*[placed(setting, x) for x in (np.stack(first), *rest)])
            for i in range(2):
                for j in range(3):
                    alone = run(*[placed(setting, x) for x in (first[i][j], *[r[i] for r in rest])])
                    for y, z in zip(found, alone, strict=True):
                        np.testing.assert_allclose(y.numpy()[i, j], z.numpy(), rtol=1e-10, atol=1e-10)


def test_a_map_in_a_map_sees_the_outer_value():
    x = np.arange(6.0).reshape(2, 3)
    found = ad.vmap(lambda row: ad.vmap(lambda a: (a * row).sum())(row))(x)
    np.testing.assert_allclose(found, [[r.sum() * a for a in r] for r in x])


# --- errors speak of one ---

V = np.asarray([[4.0, 1.0, 2.0], [3.0, 5.0, 6.0]])
REFUSED = {
    "an axis too far": lambda v: xp.sum(v, axis=1),
    "an axis twice": lambda v: xp.sum(v, axis=(0, 0)),
    "axes of a transform": lambda v: xp.fft.fftn(v, axes=(0, 1)),
    "sizes of a transform": lambda v: xp.fft.fftn(v, s=(2, 2)),
    "an axis of argmin": lambda v: xp.argmin(v, axis=1),
    "operands": lambda v: v + v[:2],
    "operands of higher rank": lambda v: v + xp.ones((4, 4)),
    "operands of matmul": lambda v: v @ v[:2],
    "a stack and a vector": lambda v: xp.ones((5, 2, 2)) @ v,
    "0-d operands of matmul": lambda v: v[0] @ v[0],
    "a matrix for a vector": lambda v: xp.linalg.det(v),
    "a diagonal of a vector": lambda v: xp.linalg.diagonal(v),
    "a triangle of a vector": lambda v: xp.tril(v),
    "a vector transposed": lambda v: v.mT,
    "a vector's singular values": lambda v: xp.linalg.svdvals(v),
    "a vector's matrix norm": lambda v: xp.linalg.matrix_norm(v),
    "a vector to solve with": lambda v: xp.linalg.solve(v, v),
    "a right-hand side": lambda v: xp.linalg.solve(xp.eye(2), v),
    "an outer product of matrices": lambda v: xp.linalg.outer(v, xp.ones((2, 2))),
    "an outer product of numbers": lambda v: xp.linalg.outer(v[0], v[0]),
    "an axis of vecdot": lambda v: xp.vecdot(v, v, axis=1),
    "lengths in vecdot": lambda v: xp.vecdot(v, xp.ones(2)),
    "lengths in cross": lambda v: xp.linalg.cross(v, v[:2]),
    "axes of tensordot": lambda v: xp.tensordot(v, v, axes=2),
    "lengths in tensordot": lambda v: xp.tensordot(v, xp.ones(2), axes=1),
    "a shape": lambda v: xp.reshape(v, (2, 2)),
    "a shape with -1": lambda v: xp.reshape(v, (2, -1)),
    "a shape with -1 twice": lambda v: xp.reshape(v, (-1, -1)),
    "a shape to broadcast to": lambda v: xp.broadcast_to(v, (2, 2)),
    "a shape of fewer axes": lambda v: xp.broadcast_to(v, ()),
    "an axis to squeeze": lambda v: xp.squeeze(v, axis=0),
    "an axis to make": lambda v: xp.expand_dims(v, axis=3),
    "axes to permute": lambda v: xp.permute_dims(v, (0, 1)),
    "shapes to join": lambda v: xp.concat([v, xp.ones((2, 2))]),
    "0-d arrays to join": lambda v: xp.concat([v[0], v[0]]),
    "shapes to stack": lambda v: xp.stack([v, xp.ones(2)]),
    "an axis to stack along": lambda v: xp.stack([v, v], axis=2),
    "a scan without an axis": lambda v: xp.cumulative_sum(xp.reshape(v, (3, 1))),
    "a search in a number": lambda v: xp.searchsorted(v[0], v),
    "a search in a matrix": lambda v: xp.searchsorted(xp.reshape(v, (3, 1)), v),
    "an index": lambda v: v[5],
    "an index array": lambda v: v[xp.asarray([5])],
    "indices": lambda v: v[0, 0],
    "indices that differ": lambda v: v[xp.astype(v, xp.int64) + 7],
    "a value to assign": lambda v: xp.setitem(v, 0, xp.ones(2)),
    "branches": lambda v: xp.where(v > 0, v, xp.ones(2)),
    "a singular matrix": lambda v: xp.linalg.inv(v[:, None] * v),
    "a dtype": lambda v: xp.bitwise_and(v, v),
    "labels": lambda v: xp.einsum("ij->i", v),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_error_is_that_of_the_first_alone(case):
    """With its class and its words: no shape in it has the hidden axis."""
    function = REFUSED[case]
    with pytest.raises(Exception) as one:
        function(xp.asarray(V[0]))
    assert isinstance(one.value, AutodiffError | IndexError | ValueError)
    for n in (1, 2, 3, 4):  # the length of the hidden axis may be that of another
        with pytest.raises(type(one.value)) as all_at_once:
            ad.vmap(function)(V[[0] * n])
        assert str(all_at_once.value) == str(one.value)


def test_an_error_of_another_than_the_first_is_raised_too():
    x = np.stack([np.eye(2), np.zeros((2, 2))])
    with pytest.raises(ad.errors.LinAlgError, match="Singular"):
        ad.vmap(xp.linalg.inv)(x)


def test_an_error_where_there_is_not_even_one():
    with pytest.raises(ad.errors.OperandError, match=r"sum: axis=1 does not fit shape \(3,\)"):
        ad.vmap(lambda v: xp.sum(v, axis=1))(V[:0])


# --- values that differ ---

DIFFERING = {
    "if": (lambda v: v if v[0] > 0 else -v, r"one truth value .* shape \(\).* each of 2; .* where\(condition, x, y\)"),
    "while": (lambda v: v if all(v > 0) else -v, "one truth value"),
    "bool": (lambda v: bool(v[0] > 0), "one truth value"),
    "int": (lambda v: int(v[0]), "one integer .* compute with arrays"),
    "float": (lambda v: float(v[0]), "one number .* compute with arrays"),
    "complex": (lambda v: complex(v[0]), "one number .* compute with arrays"),
    "index": (lambda v: [1, 2][xp.astype(v[0], xp.int64)], r"one index .* x\[i\], or take"),
    "slice": (lambda v: v[: xp.astype(v[0], xp.int64)], "one index"),
    "item": (lambda v: v[0].item(), r"a NumPy array was asked of an array of shape \(\)"),
    "tolist": (lambda v: v.tolist(), r"a NumPy array was asked of an array of shape \(3,\)"),
    "numpy": (lambda v: v.numpy(), "a NumPy array .* outside vmap"),
    "DLPack": (lambda v: np.from_dlpack(v), "a DLPack capsule"),
    "allclose": (lambda v: xp.allclose(v, v), "one truth value"),
    "x[mask]": (lambda v: v[v > 2], r"x\[mask\]: the mask differs .* where\(mask, x, 0\)"),
    "x[mask] = values": (lambda v: xp.setitem(v, v > 2, v[:1] + v[:2]), r"x\[mask\] = values: the mask differs"),
    "nonzero": (lambda v: xp.nonzero(v), "nonzero: how many elements are not zero differs"),
    "unique": (lambda v: xp.unique_values(v), "unique_values: how many different elements there are differs"),
    "repeat": (lambda v: xp.repeat(v, xp.astype(v, xp.int64)), "repeat: `repeats` differs"),
}


@pytest.mark.parametrize("case", DIFFERING)
def test_what_needs_one_value_is_an_error_with_a_remedy(case):
    function, words = DIFFERING[case]
    with pytest.raises(BatchingError, match=words):
        ad.vmap(function)(V)


def test_what_is_the_same_for_all_has_a_value():
    w = xp.asarray([2.0, 3.0])

    def function(v):
        same = xp.zeros_like(v) + 1
        assert same[0] > 0 and float(same[0]) == int(same[0]) == complex(same[0]) == 1
        assert same.tolist() == [1.0] * 3 and list(w[w > 2]) == [3.0]
        return v * [10, 20][xp.astype(same[0], xp.int64)]

    np.testing.assert_array_equal(ad.vmap(function)(V), 20 * V)


# --- what is made and changed inside ---

MADE = {
    "zeros_like": lambda v: xp.zeros_like(v) + v,
    "ones_like": lambda v: xp.ones_like(v) * v,
    "empty_like": lambda v: xp.empty_like(v) * 0 + v,
    "full_like": lambda v: xp.full_like(v, 2.0) * v,
    "full_like of one's own": lambda v: xp.full_like(v, v[0]),
    "full": lambda v: xp.full((2, 2), v[1]),
    "linspace": lambda v: xp.linspace(v[0], v[1], 4),
    "linspace to a number": lambda v: xp.linspace(v[0], 2, 3, endpoint=False),
    "asarray of a list": lambda v: xp.asarray([v[0], 3.0, v[2] ** 2]),
    "asarray of lists": lambda v: xp.asarray([[v[0], v[1]], [v[2], 1.0]]),
    "stack": lambda v: xp.stack([v, xp.ones(3)]),
    "meshgrid": lambda v: xp.meshgrid(v, xp.asarray([1.0, 2.0]))[0],
    "creation, changed in place": lambda v: changed(ad.zeros(3), v),
    "creation in the argument's namespace": lambda v: changed(v.__array_namespace__().zeros(3), v),
    "a copy, changed in place": lambda v: changed(v * 1, v),
    "a view, changed in place": lambda v: through_view(v * 1),
    "assignment at an index of one's own": lambda v: assigned(v * 1, ad.argmax(v), v[0] ** 2),
    "assignment through a mask of one's own": lambda v: assigned(v * 1, v > 2.5, 7.0),
    "reading at an index of one's own": lambda v: xp.asarray([[1.0, 2.0], [3.0, 4.0]])[:, xp.astype(v > 2.5, xp.int64)],
}


def changed(y, v):
    y[0] = v[1]
    y[1:] += v[:2] ** 2
    y *= 2
    return y


def through_view(y):
    row = xp.reshape(y, (3, 1))[1:]
    row *= y[0]
    return y


def assigned(y, key, value):
    y[key] = value
    return y


@pytest.mark.parametrize("case", MADE)
def test_what_is_made_inside_is_made_for_each(case, backend):
    """And it keeps derivatives: backward, forward, and forward over each."""
    function = MADE[case] if backend == "numpy" else on_jax(MADE[case])
    loop = np.stack([host(function(tensor(v))) for v in V])
    np.testing.assert_allclose(host(ad.vmap(function)(tensor(V))), loop, rtol=1e-12)
    backward = np.stack([host(ad.jacrev(function)(tensor(v))) for v in V])
    np.testing.assert_allclose(host(ad.vmap(ad.jacrev(function))(tensor(V))), backward, rtol=1e-12)
    np.testing.assert_allclose(host(ad.vmap(ad.jacfwd(function))(tensor(V))), backward, rtol=1e-12)
    _, moved = ad.vmap(lambda v: ad.jvp(function, (v,), (v,)))(tensor(V))
    np.testing.assert_allclose(host(moved), np.einsum("b...i,bi->b...", backward, V), rtol=1e-12)


def tensor(x):
    return ad.asarray(x)


def host(x):
    return np.asarray(x.numpy(force=True))


def on_jax(function):
    """Return a function of this module with JAX's namespace for NumPy's."""

    def run(v):
        global xp
        before, xp = xp, ad.namespace("jax")
        try:
            return function(v)
        finally:
            xp = before

    return run


def test_a_tensor_from_outside_does_not_take_on_what_differs():
    y = ad.zeros(3)
    with pytest.raises(InplaceError, match="from outside a transformed function"):
        ad.vmap(lambda v: y.add_(v))(V)
    assert y.tolist() == [0.0] * 3


def test_random_numbers_may_be_the_same_for_all():
    found = ad.vmap(lambda v: v * 0 + ad.random.rand(3), randomness="same")(V)
    np.testing.assert_array_equal(found[0], found[1])


def test_a_recorded_tensor_inside_has_its_own_gradient():
    def function(v):
        w = ad.tensor(2.0, requires_grad=True)
        (w * v**2).sum().backward()
        return w.grad

    np.testing.assert_allclose(ad.vmap(function)(V), (V**2).sum(-1))


def test_it_is_printed_with_the_values_of_all():
    seen = []
    ad.vmap(lambda v: seen.append(repr(v.sum())))(V)
    ad.vmap(lambda v: seen.append(repr(ad.ones(2))))(V)
    assert seen == ["tensor([ 7., 14.], vmap=2)", "tensor([1., 1.])"]
