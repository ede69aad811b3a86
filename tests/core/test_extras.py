"""Functions beyond the standard: NumPy's values, gradients by central differences and beside PyTorch's."""

from __future__ import annotations

import operator

import array_api_strict
import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace
from autodiff_api.duals import namespace_over
from autodiff_api.extras import ALIASES
from autodiff_api.extras.paths import greedy, plan

RNG = np.random.default_rng(0)
A, B, C = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))
CUBE = RNG.normal(size=(2, 3, 4))
V, W = RNG.normal(size=5), RNG.uniform(0.5, 1.5, size=4)
Z = A + 1j * B
ODD, TIES = np.asarray([3.0, 1.0, 2.0]), np.asarray([[2.0, 1.0, 2.0, 2.0], [0.0, 0.0, 5.0, 5.0]])
HOLES = np.asarray([[1.0, np.nan, 2.0], [3.0, 1.0, 2.0]])
SPECIAL = np.asarray([1.0, np.nan, np.inf, -np.inf])
SPARKS = np.asarray([complex(1.0, np.inf), complex(np.nan, -np.inf), complex(-np.inf, 2.0)])
KNOTS, HEIGHTS = np.asarray([-1.0, 0.5, 2.0, 3.0]), np.asarray([1.0, -2.0, 4.0, 0.0])
QUERIES = np.asarray([[-2.0, -1.0, 0.1], [2.5, 3.0, 7.0]])

EINSUM = [
    ("ij->", (A,)), ("ij->ji", (A,)), ("ij", (A,)), ("ji", (A,)), ("ij->i", (A,)), ("ii", (A[:, :3],)),
    ("ii->i", (A[:, :3],)), ("iij->j", (RNG.normal(size=(3, 3, 4)),)), ("iii", (RNG.normal(size=(3, 3, 3)),)),
    ("i,i", (V, V)), ("i,j", (V, W)), ("i,j->ji", (V, W)), ("ij,ij->ij", (A, B)), ("ij,ij", (A, B)),
    ("ij,jk", (A, C)), ("ij,jk->ki", (A, C)), ("ij,kj->ik", (A, B)), ("ij,j", (A, W)), ("ij,kj->j", (A, B)),
    ("bij,bjk->bik", (CUBE, RNG.normal(size=(2, 4, 5)))), ("bij,bkj->bik", (CUBE, CUBE)),
    ("...ij,...jk", (CUBE, C)), ("...ij,...jk->...ki", (CUBE, RNG.normal(size=(2, 4, 5)))), ("...", (A,)),
    ("i...->...", (CUBE,)), ("...i,i", (CUBE, W)), ("...,...", (CUBE, A)), ("i...j->j...i", (CUBE,)),
    ("a...b,b...->...a", (CUBE, RNG.normal(size=(4, 3)))), ("ij,jk,kl->il", (A, C, RNG.normal(size=(2, 6)))),
    ("ij,ik,jk->", (A, RNG.normal(size=(3, 2)), C)), ("i,i,i->i", (V, V, V)), ("ab,ab,c->c", (A, B, V)),
    ("ij,jk->ik", (A[:, :1], C)), ("ij,ij->ij", (A[:1], B)), ("ij,ij->j", (A, B[:1])), ("i,i->", (V, V[:1])),
    ("aab,b->a", (RNG.normal(size=(3, 3, 4)), W)), ("ij , jk -> ik", (A, C)), ("Ab,bA", (A, B.T)),
    (",ij", (np.asarray(2.0), A)),
    ("ij,jk->ik", (Z, Z.T)), ("ij,ij->", (Z, A)), ("ij,jk->ik", (A[:0], C)), ("ij,jk->ik", (A[:, :0], C[:0])),
    ("ij,ij->i", (np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3))),
]  # fmt: skip

PAD = [
    (A, 1), (A, (1, 2)), (A, ((1, 2), (0, 3))), (A, ((2,), (0,))), (V, ((0, 4),)), (V, [(2, 0)]),
    (CUBE, ((0, 0), (1, 0), (2, 1))),
]  # fmt: skip

CASES = [
    ("array", (A,), {}),
    *(("array_split", (CUBE, n), {"axis": axis}) for n, axis in ((2, 0), (3, -1), ([1, 3], 2), (5, 1))),
    *((name, (x,), {}) for name in ("atleast_1d", "atleast_2d") for x in (np.asarray(2.0), V, A, CUBE)),
    *(("average", (CUBE,), options) for options in ({}, {"axis": 1}, {"axis": (0, 2), "keepdims": True})),
    *(("average", (A,), {"weights": w, "axis": axis}) for w, axis in ((W, 1), (W, -1), (W[:3], 0), (B, None), (B, 0))),
    ("average", (np.arange(4),), {"weights": np.arange(4)}),
    ("column_stack", ([W, C, W],), {}),
    *(("concatenate", ([A, B],), {"axis": axis}) for axis in (0, 1, -1, None)),
    *((name, (x,), {"axis": axis}) for name in ("cumsum", "cumprod") for x in (A, CUBE) for axis in (None, 0, -1)),
    ("cumsum", (np.arange(4),), {}),
    *(("dot", args, {}) for args in ((V, V), (A, C), (A, W), (CUBE, C), (CUBE, W), (2.0, A))),
    ("dot", (CUBE, RNG.normal(size=(2, 4, 3))), {}),
    *(("einsum", (words, *operands), {}) for words, operands in EINSUM),
    ("einsum", ("ij,jk,kl->il", A, C, RNG.normal(size=(2, 6))), {"optimize": False}),
    *(("hstack", (parts,), {}) for parts in ([V, W], [A, B], [np.asarray(1.0), V])),
    *(("interp", (x, KNOTS, HEIGHTS), {}) for x in (QUERIES, 0.7, np.asarray(0.7), np.asarray([np.nan, 0.5]))),
    ("interp", (QUERIES, KNOTS, HEIGHTS), {"left": 9.0}),
    ("interp", (QUERIES, KNOTS, HEIGHTS), {"left": 0.0, "right": -9.0}),
    ("interp", (QUERIES, KNOTS[:1], HEIGHTS[:1]), {}),
    ("interp", (np.arange(2), KNOTS, HEIGHTS + 1j), {}),
    *(("isclose", (SPECIAL, SPECIAL + e), {"equal_nan": same}) for e in (0.0, 1e-9, 1e-3) for same in (True, False)),
    *(("kron", args, {}) for args in ((V, W), (A, C), (V, A), (CUBE, C))),
    *(("median", (x,), {"axis": axis}) for x in (A, CUBE, TIES) for axis in (None, 0, -1, (0, 1))),
    *(("median", (x,), {}) for x in (ODD, V[:2], V[:1], np.arange(4), np.asarray(3.0))),
    *(("median", (HOLES,), {"axis": axis, "keepdims": True}) for axis in (0, 1, None)),
    ("nan_to_num", (SPECIAL,), {}),
    ("nan_to_num", (SPECIAL,), {"nan": 5.0, "posinf": 1.0, "neginf": -2.0}),
    ("nan_to_num", (SPARKS,), {}),
    ("nan_to_num", (np.arange(3),), {}),
    ("outer", (A, V), {}),
    *(("pad", args, {}) for args in PAD),
    *(("pad", args, {"mode": mode}) for args in PAD for mode in ("edge", "reflect", "symmetric", "wrap")),
    *(("pad", (V, n), {"mode": mode}) for n in (6, (11, 7)) for mode in ("edge", "reflect", "symmetric", "wrap")),
    *(("pad", (V[:1], 3), {"mode": mode}) for mode in ("edge", "reflect", "symmetric", "wrap")),
    *(("pad", (A, 1), {"constant_values": c}) for c in (2, (1, 2), ((1, 2), (3, 4)))),
    ("pad", (np.arange(3), 1), {"constant_values": 7}),
    *(("pad", (V[:2], (9, 20)), {"mode": mode}) for mode in ("edge", "reflect", "symmetric", "wrap")),
    *(("average", (CUBE,), {"weights": w, "axis": axis}) for w, axis in ((CUBE[0].T, (2, 1)), (CUBE[:, 0], (0, 2)))),
    *(("percentile", (A, q), {"axis": 0}) for q in (0, 30.0, np.asarray([10.0, 90.0]))),
    *(
        ("quantile", (x, q), {"axis": axis, "method": method, "keepdims": axis == 1})
        for x, axis in ((A, 1), (CUBE, (0, -1)), (TIES, None), (ODD, 0))
        for q in (0.0, 0.3, 1.0, np.asarray(0.5), np.asarray([[0.1, 0.5], [0.625, 1.0]]))
        for method in ("linear", "lower", "higher", "midpoint", "nearest")
    ),
    ("quantile", (HOLES, 0.2), {"axis": 1}),
    ("swapaxes", (CUBE, 0, -1), {}),
    *(("trapezoid", (CUBE,), options) for options in ({}, {"dx": 0.5}, {"axis": 0}, {"x": W}, {"x": CUBE**2})),
    ("trapezoid", (CUBE,), {"x": V[:3], "axis": 1}),
    ("trapezoid", (np.arange(4),), {}),
    *(("vstack", (parts,), {}) for parts in ([W, W], [A, B], [W, A])),
]  # fmt: skip
IDS = [f"{i}-{name}" for i, (name, _, _) in enumerate(CASES)]
every_case = pytest.mark.parametrize(("name", "args", "options"), CASES, ids=IDS)


def over(f, x):
    """Apply f to the arrays in an argument, which may be a list of them."""
    if isinstance(x, list) and any(isinstance(p, np.ndarray) for p in x):
        return [over(f, p) for p in x]
    return f(x) if isinstance(x, np.ndarray) else x


def listed(y):
    return list(y) if isinstance(y, list | tuple) else [y]


def run(xp, name, args, options, convert):
    args = [over(convert, x) for x in args]
    return listed(getattr(xp, name)(*args, **{k: over(convert, v) for k, v in options.items()}))


@pytest.fixture(scope="module")
def strict():
    """A namespace that has the standard's functions and no more."""
    return make_namespace(
        Backend(
            name="strict",
            namespace=array_api_strict,
            array_types=(type(array_api_strict.asarray(1.0)),),
            kernels={},
            devices=lambda: ["cpu"],
            place=lambda x, device: x,
            to_numpy=lambda x: np.from_dlpack(x),
        )
    )


def check_values(xp, name, args, options):
    wanted = run(np, name, args, options, lambda x: x)
    found = run(xp, name, args, options, xp.asarray)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        theirs = np.asarray(theirs)
        assert isinstance(ours, xp.array_class)
        assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype)
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=1e-14)


@every_case
def test_values_are_numpys(backend, name, args, options):
    check_values(ad.namespace(backend), name, args, options)


@every_case
def test_values_in_the_standards_words_only(strict, name, args, options):
    check_values(strict, name, args, options)


def smooth(name, args, options):
    """Tell whether a case can be differentiated: floats, finite, no ties."""
    arrays = []
    for x in (*args, *options.values()):
        over(arrays.append, x)
    kinks = any(x is TIES or x is QUERIES or not np.all(np.isfinite(x)) for x in arrays)
    return name != "isclose" and not kinks and any(x.dtype.kind in "fc" for x in arrays)


DIFFERENTIABLE = [(case, i) for case, i in zip(CASES, IDS, strict=True) if smooth(*case)]


@pytest.mark.parametrize(
    ("name", "args", "options"), [case for case, _ in DIFFERENTIABLE], ids=[i for _, i in DIFFERENTIABLE]
)
def test_gradients_are_central_differences(name, args, options):
    """Along one random direction in all arguments together."""
    xp, leaves, rng = ad.namespace("numpy"), [], np.random.default_rng(1)

    def leaf(x):
        x = xp.asarray(x, requires_grad=x.dtype.kind in "fc")
        leaves.extend([x] if x.requires_grad else [])
        return x

    if name in ("quantile", "percentile"):  # see below for the derivative by q
        args = args[0], np.asarray(args[1]).tolist()
    out = run(xp, name, args, options, leaf)
    weights = [rng.normal(size=y.shape) for y in out]
    loss = sum(xp.sum(xp.real(y * xp.asarray(w))) for y, w in zip(out, weights, strict=True))
    grads = ad.autograd.grad(loss, leaves, materialize_grads=True)
    ways = {}

    def moved(step):
        place = iter(range(len(leaves)))

        def shift(x):
            if x.dtype.kind not in "fc":
                return x
            k = next(place)
            if k not in ways:
                way = rng.normal(size=x.shape)
                ways[k] = way + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else way
            return x + step * ways[k]

        y = run(np, name, args, options, shift)
        return sum(np.sum(np.real(a * w)) for a, w in zip(y, weights, strict=True))

    slope = (moved(1e-6) - moved(-1e-6)) / 2e-6
    found = sum(np.sum(np.real(np.conj(ways[k]) * g.numpy())) for k, g in enumerate(grads))
    assert found == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "args", "options"), [case for case, _ in DIFFERENTIABLE], ids=[i for _, i in DIFFERENTIABLE]
)
def test_forward_mode_is_the_adjoint(name, args, options):
    xp, dual, rng = ad.namespace("numpy"), namespace_over(ad.get_backend("numpy")), np.random.default_rng(2)
    if name in ("quantile", "percentile"):
        args = args[0], np.asarray(args[1]).tolist()
    leaves, ways = [], []

    def leaf(x):
        x = xp.asarray(x, requires_grad=x.dtype.kind in "fc")
        leaves.extend([x] if x.requires_grad else [])
        return x

    def moving(x):
        if x.dtype.kind not in "fc":
            return dual.asarray(x)
        way = rng.normal(size=x.shape)
        ways.append(way + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else way)
        return dual.dual(x, ways[-1])

    out, moved = run(xp, name, args, options, leaf), run(dual, name, args, options, moving)
    weights = [rng.normal(size=y.shape) for y in out]
    loss = sum(xp.sum(xp.real(y * xp.asarray(w))) for y, w in zip(out, weights, strict=True))
    grads = ad.autograd.grad(loss, leaves, materialize_grads=True)
    back = sum(np.sum(np.real(np.conj(way) * g.numpy())) for way, g in zip(ways, grads, strict=True))
    ahead = sum(np.sum(np.real(w * y._tangent)) for y, w in zip(moved, weights, strict=True) if y._tangent is not None)
    assert ahead == pytest.approx(back, rel=1e-10, abs=1e-12)


def same_kind(arrays):
    return {x.dtype.kind for x in arrays} in ({"f"}, {"c"})


TORCH = [
    *(("einsum", (w, *x), {}, lambda t, *a: t.einsum(*a)) for w, x in EINSUM if same_kind(x)),
    ("einsum", ("i...->i", CUBE), {}, lambda t, *a: t.einsum(*a)),  # NumPy wants the axes of an ellipsis kept
    ("einsum", ("...ij,...jk->ik", CUBE, C), {}, lambda t, *a: t.einsum(*a)),
    ("index_add", (A, 1, [3, 0, 3], A[:, 1:]), {}, lambda t, x, d, i, y: t.index_add(x, d, t.tensor(i), y)),
    ("kron", (A, C), {}, lambda t, *a: t.kron(*a)),
    *(
        ("quantile", (x, q), {"axis": -1, "method": m}, lambda t, x, q, m=m: t.quantile(x, q, -1, interpolation=m))
        for x in (A, TIES)
        for q in (0.0, 0.3, 0.5, 1.0)
        for m in ("linear", "lower", "higher", "midpoint", "nearest")
    ),
    ("quantile", (A, np.asarray([0.2, 0.9])), {"axis": 0}, lambda t, x, q: t.quantile(x, q, 0)),
    ("quantile", (TIES, 0.5), {"axis": 1, "method": "lower"}, lambda t, x, q: t.median(x, 1).values),
    ("nan_to_num", (SPECIAL,), {"posinf": 3.0, "neginf": 0.0}, lambda t, x: t.nan_to_num(x, posinf=3.0, neginf=0.0)),
    ("trapezoid", (CUBE,), {"dx": 0.5, "axis": 1}, lambda t, y: t.trapezoid(y, dx=0.5, dim=1)),
    ("trapezoid", (A, W), {}, lambda t, y, x: t.trapezoid(y, x)),
    ("pad", (A, ((1, 2), (0, 3))), {}, lambda t, x, _: t.nn.functional.pad(x, (0, 3, 1, 2))),
    *(
        ("pad", (A, [(0, 0), (1, 2)]), {"mode": ours}, lambda t, x, _, m=m: t.nn.functional.pad(x, (1, 2), m))
        for ours, m in (("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular"))
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "args", "options", "theirs"), TORCH, ids=[f"{i}-{case[0]}" for i, case in enumerate(TORCH)]
)
def test_gradients_are_pytorchs(backend, name, args, options, theirs):
    """Value, gradient and second order of a loss that is not quadratic."""
    torch = pytest.importorskip("torch")
    xp = ad.namespace(backend)

    def study(f, make, space, grad):
        leaves = [make(x) if isinstance(x, np.ndarray) else x for x in args]
        wanted = [x for x in leaves if hasattr(x, "requires_grad")]
        wanted = wanted[:1] if name == "quantile" else wanted
        y = f(*leaves)
        first = grad(space.sum(space.real(y * y.conj()) ** 2), wanted, create_graph=True)
        loss = sum(space.sum(space.real(g * g.conj()) * 0.5 + space.real(g)) for g in first)
        return [y, *first, *grad(loss, wanted)]

    ours = study(
        lambda *a: getattr(xp, name)(*a, **options),
        lambda x: xp.asarray(x, requires_grad=True),
        xp,
        lambda *a, **k: ad.autograd.grad(*a, materialize_grads=True, **k),
    )
    wanted = study(
        lambda *a: theirs(torch, *a),
        lambda x: torch.tensor(x, requires_grad=True),
        torch,
        lambda *a, **k: torch.autograd.grad(*a, materialize_grads=True, **k),
    )
    for found, expected in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(
            found.numpy(force=True), expected.detach().resolve_conj().numpy(), rtol=1e-9, atol=1e-9
        )


@pytest.fixture
def no_opt_einsum(monkeypatch):
    monkeypatch.setattr("autodiff_api.extras.paths.optimizer", lambda: None)
    plan.cache_clear()
    yield
    plan.cache_clear()


@pytest.mark.usefixtures("no_opt_einsum")
def test_einsum_by_our_own_path():
    for words, operands in EINSUM:
        if len(operands) > 2:
            found = ad.einsum(words, *map(ad.asarray, operands))
            np.testing.assert_allclose(found.numpy(), np.einsum(words, *operands), rtol=1e-10, atol=1e-12)
    x, y = np.ones((2, 900)), np.ones((900, 3))
    assert greedy([("i", "j"), ("k", "l"), ("j", "k")], ("i", "l"), {"i": 2, "j": 900, "k": 900, "l": 3})[0] != (0, 1)
    assert ad.einsum("ij,kl,jk->il", x, y, np.ones((900, 900))).tolist() == [[810000.0] * 3] * 2


SEGMENTS = [
    ((RNG.normal(size=(50, 3)), RNG.integers(0, 7, 50)), {"num_segments": 9}),
    ((RNG.normal(size=50), RNG.integers(0, 7, 50)), {"num_segments": 7}),
    ((RNG.normal(size=(5, 4, 2)), RNG.integers(0, 3, (5, 4))), {}),
    ((RNG.normal(size=(0, 2)), np.asarray([], dtype=int)), {"num_segments": 2}),
    ((np.arange(6), np.asarray([1, 1, 0, 2, 1, 0])), {}),
]


@pytest.mark.parametrize(("args", "options"), SEGMENTS, ids=range(len(SEGMENTS)))
def test_segment_sum_is_jaxs(backend, args, options):
    jax = pytest.importorskip("jax")
    data, ids = args
    found = ad.segment_sum(ad.tensor(data), ad.tensor(ids), **options)
    flat = data.reshape(ids.size, *data.shape[ids.ndim :])
    wanted = jax.ops.segment_sum(flat, ids.reshape(-1), **options)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12 if str(wanted.dtype) == "float64" else 1e-5)


def test_segment_sum_under_a_compiler():
    jax = pytest.importorskip("jax")
    with ad.use_backend("jax"):
        x, ids = ad.tensor([1.0, 2.0, 4.0]), ad.tensor([1, 0, 1])
        grad = jax.jit(ad.grad(lambda x, ids: (ad.segment_sum(x, ids, 3) ** 2).sum()))(x, ids)
        assert grad.tolist() == [10.0, 4.0, 10.0]


@pytest.mark.parametrize(("name", "standard"), ALIASES.items())
def test_aliases(backend, name, standard):
    xp = ad.namespace(backend)
    assert getattr(xp, name) is getattr(xp, standard)
    assert hasattr(np, name)


def test_quantile_by_its_place(backend):
    """The derivative by q is the slope between the elements on both sides, and the ends count too."""
    x, q = ad.tensor([1.0, 2.0, 4.0, 8.0]), ad.tensor([0.1, 0.5, 0.9], requires_grad=True)
    (g,) = ad.autograd.grad(ad.quantile(x, q).sum(), q)
    np.testing.assert_allclose(g.numpy(), [3.0, 6.0, 12.0])


def test_quantile_where_numpy_has_nan(backend):
    """Infinite neighbours count only where an element lies between them; what q is outside of [0, 1] is nan."""
    x = ad.tensor([-ad.inf, 1.0, ad.inf, ad.inf])
    found = ad.quantile(x, ad.tensor([0.0, 0.2, 0.9, 1.0, -0.1, 1.1, ad.nan]))
    np.testing.assert_array_equal(found.numpy(), [-np.inf, -np.inf, np.inf, np.inf, np.nan, np.nan, np.nan])
    assert np.isnan(ad.median(ad.zeros((0,))).numpy())


def test_nan_takes_the_blame_for_a_nan(backend):
    x = ad.tensor(HOLES, requires_grad=True)
    ad.median(x, axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def test_ties_are_stable(backend):
    """Of equal elements, the one that stable sorting puts in the middle has the derivative."""
    x = ad.tensor([[2.0, 1.0, 2.0, 3.0, 2.0]], requires_grad=True)
    ad.median(x, axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0.0, 0.0, 1.0, 0.0, 0.0]])


def test_interp_at_the_ends_and_at_a_knot(backend):
    x = ad.tensor([-2.0, 0.5, 3.0, 4.0], requires_grad=True)
    heights = ad.tensor(HEIGHTS, requires_grad=True)
    ad.interp(x, ad.tensor(KNOTS), heights).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.0, 4.0, -4.0, 0.0])
    np.testing.assert_allclose(heights.grad.numpy(), [1.0, 1.0, 0.0, 2.0])


def test_a_constant_of_padding_has_a_gradient(backend):
    c = ad.tensor(2.0, requires_grad=True)
    ad.pad(ad.ones((2, 3)), 1, constant_values=c).sum().backward()
    assert c.grad == 14


def test_single_precision_stays(backend):
    xp = ad.namespace(backend)
    x, rising = xp.asarray(A, dtype=xp.float32), xp.asarray(KNOTS, dtype=xp.float32)
    for y in (
        xp.median(x), xp.quantile(x, 0.3), xp.quantile(x, [0.2, 0.3]), xp.pad(x, 1), xp.trapezoid(x, dx=0.1),
        xp.average(x, weights=x), xp.nan_to_num(x), xp.interp(0.7, rising, rising), xp.einsum("ij->", x), xp.kron(x, x),
    ):  # fmt: skip
        assert y.dtype == xp.float32


JOINING = ("column_stack", "concatenate", "hstack", "vstack")
ERRORS = [
    (lambda: ad.einsum("ij,jk", A), ad.ArgumentError, "'ij,jk' describes 2 operands, got 1"),
    (lambda: ad.einsum("ijk", A), ad.ShapeError, "operand 0 of 'ijk' is 'ijk', 3 axes, but the array has 2"),
    (lambda: ad.einsum("i", A), ad.ShapeError, "operand 0 of 'i' is 'i', 1 axes, but the array has 2"),
    (lambda: ad.einsum("i1", A), ad.ArgumentError, "subscripts are letters"),
    (lambda: ad.einsum("...i...", A), ad.ArgumentError, "at most one '...'"),
    (lambda: ad.einsum("ij,jk", A, B), ad.ShapeError, "'j' has the sizes 4 and 3"),
    (lambda: ad.einsum("...,...", A, C), ad.ShapeError, r"an axis of \.\.\. has the sizes"),
    (lambda: ad.einsum("ij->k", A), ad.ArgumentError, "output of 'ij->k' has 'k', which no operand has"),
    (lambda: ad.einsum("ij->ii", A), ad.ArgumentError, "output of 'ij->ii' has 'i' twice"),
    (lambda: ad.einsum(A, [0, 1]), ad.ArgumentError, "give the subscripts as a string"),
    (lambda: ad.pad(A, -1), ad.ArgumentError, "must not be negative"),
    (lambda: ad.pad(A, ((1, 2), (3, 4), (5, 6))), ad.ArgumentError, "one for each of the 2 axes"),
    (lambda: ad.pad(A, 1, mode="linear_ramp"), ad.ArgumentError, "constant, edge, reflect, symmetric, wrap"),
    (lambda: ad.pad(A[:0], 1, mode="edge"), ad.ArgumentError, "axis 0 is empty"),
    (lambda: ad.quantile(A, 1.5), ad.ArgumentError, "q must be from 0 to 1, not 1.5"),
    (lambda: ad.quantile(A, 0.5, method="hazen"), ad.ArgumentError, "not 'hazen'"),
    (lambda: ad.index_add(A, 0, np.arange(2), B), ad.ShapeError, r"a source of shape \(2, 4\), not \(3, 4\)"),
    (lambda: ad.segment_sum(A, np.arange(2), 2), ad.ShapeError, r"must have the first axes of data.*\(3, 4\)"),
    (lambda: ad.segment_sum(A, V[:3], 2), ad.OperandError, "segment_ids are integers, not float"),
    (lambda: ad.interp(V, KNOTS, V), ad.ShapeError, "vectors of one length"),
    (lambda: ad.median(A, axis=4), ad.AxisError, r"median: axis=4 does not fit shape \(3, 4\), whose axes are -2 to 1"),
    (lambda: ad.percentile(A, 30, axis=-3), ad.AxisError, r"percentile: axis=-3 does not fit shape \(3, 4\)"),
    (lambda: ad.quantile(A, 0.3, axis=(0, 2)), ad.AxisError, r"quantile: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.median(A, axis=1.5), ad.ArgumentTypeError, "median: an axis is an integer, not 1.5"),
    (lambda: ad.median(A, axis=(0, -2)), ad.ArgumentError, r"median: axis=\(0, -2\) names one axis .* twice"),
    (lambda: ad.average(A, axis=(0, -2)), ad.ArgumentError, r"average: axis=\(0, -2\) names one axis .* twice"),
    (lambda: ad.average(A, axis=2), ad.AxisError, r"average: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.average(A, weights=W), TypeError, r"average: weights of shape \(4,\) .* axis=None"),
    (lambda: ad.average(A, weights=W, axis=0), ad.ShapeError, r"average: weights of shape \(4,\) .* axis=\(0,\)"),
    (lambda: ad.swapaxes(A, 0, 2), ad.AxisError, r"swapaxes: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.trapezoid(A, axis=2), ad.AxisError, r"trapezoid: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.trapezoid(ad.tensor(1.0)), ad.AxisError, r"trapezoid: axis=-1 does not fit shape \(\), .* no axes"),
    (lambda: ad.namespace().cumsum(A, axis=2), ad.AxisError, r"cumsum: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.array_split(A, 2, axis=2), ad.AxisError, r"array_split: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.array_split(V, -1), ad.ArgumentError, "array_split: into -1 parts"),
    (lambda: ad.array_split(V, 0), ad.ArgumentError, "array_split: into 0 parts"),
    *((lambda f=f: getattr(ad, f)([]), ad.ArgumentError, f"{f}: got no arrays") for f in JOINING),
    *((lambda f=f: getattr(ad, f)([]), ad.OperandError, f"{f}: got no arrays") for f in ("concat", "stack")),
    (lambda: ad.median(Z), TypeError, "median: complex numbers have no order"),
    (lambda: ad.quantile(Z, 0.5), TypeError, "quantile: complex numbers have no order"),
    (lambda: ad.percentile(A, 101), ad.ArgumentError, "percentile: q must be from 0 to 100, not 101"),
    (lambda: ad.pad(A, 1.5), TypeError, "pad: pad_width is in integers, not 1.5"),
    (lambda: ad.pad(A, {2: 1}), ad.AxisError, r"pad: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.diff(V, n=-1), ValueError, "diff: n says how often .* not -1"),
    (lambda: ad.diff(V, axis=1), ad.AxisError, r"diff: axis=1 does not fit shape \(5,\)"),
    (lambda: ad.unstack(A, axis=2), ad.AxisError, r"unstack: axis=2 does not fit shape \(3, 4\)"),
    (lambda: ad.unstack(ad.tensor(1.0)), ad.AxisError, r"unstack: axis=0 does not fit shape \(\)"),
    (
        lambda: ad.tensordot(ad.tensor(A), ad.tensor(A), axes=5),
        ad.AxisError,
        r"tensordot: axes=5 does not fit shapes \(3, 4\)",
    ),
    (
        lambda: ad.tensordot(ad.tensor(A), ad.tensor(A), axes=((3,), (0,))),
        ad.AxisError,
        r"tensordot: axes=\(\(3,\), \(0,\)\)",
    ),
    (lambda: ad.tile(ad.tensor(A), (-1,)), ad.ArgumentError, r"tile: repetitions must be 0 or more, got \(-1,\)"),
    (lambda: ad.tril(ad.tensor(1.0)), ad.ShapeError, r"tril: shape \(\) has no matrices"),
    (lambda: ad.triu(ad.tensor(V)), ad.ShapeError, r"triu: shape \(5,\) has no matrices"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_say_what_is_wrong(backend, call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert isinstance(caught.value, ad.AutodiffError)


ASTRAY = [  # of the standard and beyond, each asked for an axis that its operand does not have
    ("all", {"axis": 2}), ("argmax", {"axis": 2}), ("argsort", {"axis": 2}), ("cumulative_sum", {"axis": 2}),
    ("count_nonzero", {"axis": 2}), ("fft.fft", {"axis": 2}), ("fft.fftshift", {"axes": 2}), ("fft.hfft", {"axis": 2}),
    ("flip", {"axis": 2}), ("linalg.vector_norm", {"axis": 2}), ("max", {"axis": 2}), ("mean", {"axis": (0, 2)}),
    ("moveaxis", (0, 2)), ("permute_dims", {"axes": (0, 2)}),
    ("roll", {"shift": 1, "axis": 2}), ("sort", {"axis": 2}), ("special.logsumexp", {"axis": 2}),
    ("special.softmax", {"axis": 2}), ("squeeze", {"axis": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), ASTRAY, ids=[name for name, _ in ASTRAY])
def test_an_axis_astray_is_one_error_on_every_backend(backend, name, options):
    function = operator.attrgetter(name)(ad.namespace(backend))
    args, options = (options, {}) if isinstance(options, tuple) else ((), options)
    with pytest.raises(ad.AxisError, match=rf"^{name}: .*2.* does not fit shape \(3, 4\), whose axes are -2 to 1"):
        function(ad.tensor(A), *args, **options)


def test_an_index_out_of_range_speaks_for_itself(backend):
    with pytest.raises(IndexError, match="out of bounds") as caught:
        ad.tensor(V)[7]
    assert not isinstance(caught.value, ad.AutodiffError)


def test_array_split_takes_any_integer_and_any_indices(backend):
    for sections in (np.int64(2), np.asarray(2), np.asarray([1, 3]), (1, 3)):
        found, wanted = ad.array_split(ad.tensor(V), sections), np.array_split(V, sections)
        assert [x.tolist() for x in found] == [x.tolist() for x in wanted]


def test_pad_takes_arrays_and_dictionaries(backend):
    x = ad.tensor(A)
    for given in (np.asarray([1, 2]), np.asarray([[1, 2], [0, 1]]), np.int64(2), [np.int64(1), 2]):
        np.testing.assert_array_equal(ad.pad(x, given).numpy(), np.pad(A, given))
    np.testing.assert_array_equal(ad.pad(x, True, mode="edge").numpy(), np.pad(A, 1, mode="edge"))
    for given, written in (({-1: (1, 2)}, ((0, 0), (1, 2))), ({0: 1}, ((1, 1), (0, 0))), ({}, 0)):
        for mode in ("constant", "reflect"):
            np.testing.assert_array_equal(ad.pad(x, given, mode=mode).numpy(), np.pad(A, written, mode=mode))
    for c in (np.asarray([1.0, 2.0]), np.float32(3.0), np.asarray([[1, 2], [3, 4]])):
        np.testing.assert_array_equal(ad.pad(x, 1, constant_values=c).numpy(), np.pad(A, 1, constant_values=c))
    c = ad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    ad.pad(x, 1, constant_values=c).sum().backward()
    np.testing.assert_array_equal(c.grad.numpy(), [[4.0, 4.0], [5.0, 5.0]])


@pytest.mark.parametrize("seed", range(20))
def test_interp_through_infinite_points(backend, seed):
    """The table, the heights and the queries have infinities and nan; the last two points may be one piece."""
    rng = np.random.default_rng(seed)
    for n in (1, 2, 3, 5):
        knots = np.sort(rng.choice(np.arange(-4.0, 5.0), n, replace=False))
        heights = rng.choice([0.0, 1.0, 2.0, np.inf, -np.inf, np.nan], n)
        knots[0] = -np.inf if seed % 3 == 1 else knots[0]
        knots[-1] = np.inf if seed % 2 else knots[-1]
        x = np.concatenate([knots, rng.uniform(-5, 5, 4), [np.inf, -np.inf, np.nan]])
        with np.errstate(invalid="ignore"):
            wanted = np.interp(x, knots, heights)
        found = ad.interp(ad.tensor(x), ad.tensor(knots), ad.tensor(heights))
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12, atol=1e-14)


def test_gradients_beside_infinite_points(backend):
    """What is finite has its derivative, whatever is infinite in the next piece, in the table or in the query."""
    leaves = [
        ad.tensor(v, requires_grad=True)
        for v in ([0.0, 2.0, 2.5, -ad.inf, ad.inf], [-1.0, 0.0, 1.0, 2.0, 3.0], [2.0, 0.0, ad.inf, 1.0, 5.0])
    ]
    ad.interp(*leaves).sum().backward()
    x, _, heights = (v.grad.numpy() for v in leaves)
    np.testing.assert_allclose(x, [0.0, 4.0, 4.0, 0.0, 0.0])
    np.testing.assert_allclose(heights, [1.0, 1.0, 0.0, 1.5, 1.5])


@pytest.mark.parametrize(
    ("name", "args", "options"), [case for case, _ in DIFFERENTIABLE[::12]], ids=[i for _, i in DIFFERENTIABLE[::12]]
)
def test_under_jit(jax_backend, name, args, options):
    """Value and gradient, compiled, are the eager ones: no Python branch looks at a value."""
    jax, xp = jax_backend
    leaves = []
    for x in (*args, *options.values()):
        over(lambda v: leaves.append(xp.asarray(v, requires_grad=v.dtype.kind in "fc")), x)

    def gradient(*arrays):
        given = iter(arrays)
        out = run(xp, name, args, options, lambda _: next(given))
        loss = sum(xp.sum(xp.real(y) ** 2) for y in out)
        wanted = [a for a in arrays if a.requires_grad]
        return [loss, *ad.autograd.grad(loss, wanted, materialize_grads=True)]

    for found, wanted in zip(jax.jit(gradient)(*leaves), gradient(*leaves), strict=True):
        np.testing.assert_allclose(found.numpy(force=True), wanted.numpy(force=True), rtol=1e-9, atol=1e-12)


@pytest.fixture
def jax_backend():
    jax = pytest.importorskip("jax")
    before = jax.config.values["jax_enable_x64"]
    jax.config.update("jax_enable_x64", True)
    yield jax, ad.namespace("jax")
    jax.config.update("jax_enable_x64", before)


def test_numpys_keywords(backend):
    """What NumPy's users write by name has NumPy's name; PyTorch's `dim` is understood at the package."""
    np.testing.assert_allclose(ad.quantile(ad.tensor(A), q=0.3, axis=0).numpy(), np.quantile(A, q=0.3, axis=0))
    np.testing.assert_allclose(
        ad.quantile(ad.tensor(A), 0.3, dim=0, keepdim=True).numpy(), np.quantile(A, 0.3, 0)[None]
    )
    np.testing.assert_allclose(
        ad.pad(ad.tensor(A), pad_width=1, mode="edge").numpy(), np.pad(A, pad_width=1, mode="edge")
    )
    found = ad.interp(ad.tensor(QUERIES), xp=ad.tensor(KNOTS), fp=ad.tensor(HEIGHTS))
    np.testing.assert_allclose(found.numpy(), np.interp(QUERIES, xp=KNOTS, fp=HEIGHTS))
