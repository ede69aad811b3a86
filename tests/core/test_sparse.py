"""Sparse Jacobians and Hessians: sound patterns for every operation, few colours, and the matrices that others find."""

from __future__ import annotations

import itertools
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import rosen_hess

import autodiff_api as ad
from autodiff_api.errors import (
    ArgumentError,
    ArgumentTypeError,
    BatchingError,
    DetachWarning,
    GradientError,
    MissingExtraError,
    OutputError,
)
from autodiff_api.sparse import Coloring, color, hessian, jacobian, matrices, sparsity
from autodiff_api.sparse.patterns import pattern_of
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.derivatives import has_derivative, is_inexact, leaves_of
from autodiff_api.testing.samples import samples_of
from autodiff_api.testing.setting import Call, Setting

XP = ad.namespace("numpy")
RNG = np.random.default_rng(0)


# --- patterns: a law over the samples of every function ---

# Where a pattern has more than the Jacobian of a sample: a derivative is zero at a point (abs at 0, the lesser of two
# numbers, what a mask leaves out), or the op is said to mix more than it does (cross, triangular matrices, a transform
# of fewer elements than there are).
ROOMY = {
    "abs", "atan2", "clip", "copysign", "cumprod", "cumulative_prod", "fft.fft", "fft.fftn", "fft.hfft", "fft.ifft",
    "fft.ifftn", "fft.ihfft", "fft.irfft", "fft.irfftn", "fft.rfft", "fft.rfftn", "hypot", "interp", "linalg.adjugate",
    "linalg.cholesky", "linalg.cross", "linalg.det", "linalg.inv", "linalg.matrix_norm", "linalg.matrix_power",
    "linalg.qr", "linalg.slogdet", "linalg.solve_triangular", "linalg.svdvals", "linalg.vector_norm", "logaddexp",
    "max", "maximum", "median", "min", "minimum", "multiply", "nan_to_num", "nn.attention", "nn.attention_backward",
    "nn.conv", "nn.conv_input", "nn.conv_weight", "nn.cross_entropy", "nn.cross_entropy_backward", "nn.layer_norm",
    "nn.layer_norm_backward", "nn.max_pool", "nn.max_pool_backward", "nn.max_pool_select", "nn.nll_loss",
    "nn.nll_loss_backward", "nn.normalize", "nn.normalize_backward", "nn.relu", "nn.relu_backward",
    "nn.softmax_backward", "nn.sum_pool", "nn.sum_pool_backward", "percentile", "pow", "prod", "quantile", "remainder",
    "sign", "sort", "special.expit", "special.i0", "special.log_expit", "special.sinc", "square", "std", "tanh", "var",
    "where",
}  # fmt: skip


def dense_pattern(outs, leaves):
    """Return the nonzeros of the Jacobian of some tensors, row by row."""
    rows = []
    for y in outs:
        for k, unit in itertools.product(range(y.size), (1, 1j) if y._is_complex() else (1,)):
            w = np.zeros(y.size, dtype=y.numpy(force=True).dtype)
            w[k] = unit
            seed = XP.asarray(w.reshape(y.shape))
            grads = ad.autograd.grad(y, leaves, seed, retain_graph=True, allow_unused=True, materialize_grads=False)
            row = [np.zeros(x.size) if g is None else g.numpy(force=True) for x, g in zip(leaves, grads, strict=True)]
            nonzero = np.concatenate([g.ravel() for g in row]) != 0
            rows.append(rows.pop() | nonzero if unit == 1j else nonzero)
    return np.asarray(rows, dtype=bool).reshape(len(rows), sum(x.size for x in leaves))


@pytest.mark.parametrize("name", Checks(XP).functions)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_patterns_hold_every_derivative(name):
    """What is not in the pattern has no derivative; and, but for the functions of a list, what is in it has one."""
    setting, roomy, seen = Setting(XP), 0, 0
    for sample in samples_of(name):
        call = Call(setting, name, sample)
        if not has_derivative(call) or sample.refuses:
            continue
        leaves = leaves_of(call)
        outs = [y for y in call(XP, leaves) if is_inexact(setting, y) and y.requires_grad]
        if not outs:
            continue
        found, dense = pattern_of(outs, [x._node for x in leaves]).toarray(), dense_pattern(outs, leaves)
        assert found.shape == dense.shape and found.dtype == bool
        assert not (dense & ~found).any(), sample.text
        roomy, seen = roomy + bool((found & ~dense).any()), seen + 1
    assert (roomy > 0) == (name in ROOMY) or not seen


PROGRAMS = {
    "assignment": lambda x: ad.sum(ad.stack([x, x]), axis=0)[::-1],
    "broadcasting": lambda x: (x[:, None] * x[None, :4])[:, 0],
    "constant": lambda x: ad.ones(3) * 2,
    "cube": lambda x: ad.reshape(ad.permute_dims(ad.reshape(x, (2, 3, 2)), (2, 0, 1)), (-1,)) ** 2,
    "detached": lambda x: x * x.detach()[::-1],
    "empty": lambda x: x[:0] * 2,
    "floor": lambda x: ad.floor(x) + x[::-1],
    "itself": lambda x: x,
    "matrix": lambda x: ad.reshape(x, (3, 4)) @ ad.reshape(x[:8], (4, 2)),
    "neighbours": lambda x: x[1:] * ad.sin(x[:-1]) + ad.roll(x, 2)[:-1] ** 2,
    "number": lambda x: ad.sum(x[::3] ** 2),
    "running": lambda x: ad.cumulative_sum(x * x),
    "scattered": lambda x: ad.take(x, ad.asarray([3, 3, 0])) * x[:3],
    "solved": lambda x: ad.linalg.solve(ad.reshape(x[:9], (3, 3)) + 3 * ad.eye(3), x[9:]),
    "softmax": lambda x: ad.reshape(ad.softmax(ad.reshape(x, (4, 3)), dim=1), (-1,)),
    "sorted": lambda x: ad.concat([ad.sort(x[:4]), ad.max(x[4:], keepdims=True)]),
    "stencil": lambda x: ad.pad(x, 1)[2:] - 2 * x + ad.pad(x, 1)[:-2],
    "where": lambda x: ad.where(x > 0, x, x[::-1] ** 2),
}


def in_place(x):
    y = ad.zeros_like(x)
    y[2:6] = x[:4] * x[1:5]
    y[0] += x[-1]
    return y


PROGRAMS["in place"] = in_place


@pytest.mark.parametrize("chunk_size", [None, 1, 3])
@pytest.mark.parametrize("by", ["columns", "rows", None])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_jacobian(program, by, chunk_size):
    """The sparse matrix is the dense one, by columns and by rows, at once and one by one."""
    x = RNG.normal(size=12)
    found = jacobian(program, coloring=color(sparsity(program)(x), by), chunk_size=chunk_size, check=True)(x)
    dense = np.asarray(ad.jacfwd(program)(x)).reshape(-1, 12)
    assert isinstance(found, sp.csr_array) and found.shape == dense.shape and found.dtype == np.float64
    np.testing.assert_allclose(found.toarray(), dense, atol=1e-12)
    np.testing.assert_allclose(jacobian(program)(x).toarray(), dense, atol=1e-12)


ENERGIES = {
    "arrow": lambda x: ad.sum(x[0] * x[1:] ** 2) + ad.sum(x**3),
    "chain": lambda x: ad.sum(ad.exp(x[1:] * x[:-1])),
    "far": lambda x: x[0] * x[-1] ** 3,
    "linear": lambda x: ad.sum(x * 2),
    "matrix": lambda x: ad.sum(ad.reshape(x, (3, 4)) @ ad.reshape(x, (4, 3))),
    "mixed": lambda x: ad.sum(ad.softmax(x[:5], dim=0) * x[5:10]) + ad.sum(x**4),
    "norm": lambda x: ad.linalg.vector_norm(x[:4]) * x[7],
    "separable": lambda x: ad.sum(ad.sin(x) * x),
    "where": lambda x: ad.sum(ad.where(x[1:] > 0, x[1:] ** 2 * x[:-1], x[:-1] ** 3)),
}


@pytest.mark.parametrize("chunk_size", [None, 1])
@pytest.mark.parametrize("energy", ENERGIES.values(), ids=ENERGIES)
def test_hessian(energy, chunk_size):
    x = RNG.normal(size=12)
    found = hessian(energy, chunk_size=chunk_size, check=True)(x)
    dense = ad.hessian(energy)(x)
    np.testing.assert_allclose(found.toarray(), dense, atol=1e-10)
    pattern = sparsity(ad.grad(energy))(x)
    for by in ("columns", "rows"):
        np.testing.assert_allclose(hessian(energy, coloring=color(pattern, by))(x).toarray(), dense, atol=1e-10)


def matched(op):
    """Make an operation of arrays of one length of an operation on vectors: the longer one is cut."""

    def call(a, b, index):
        n = min(a.size, b.size)
        return op(a[:n], b[-n:])

    return call


STEPS = {
    "add": matched(lambda a, b: ad.sin(a) + b),
    "fold": lambda a, b, index: ad.concat([ad.sum(a, keepdims=True), b]),
    "gather": lambda a, b, index: a[index % a.size] * 2,
    "multiply": matched(lambda a, b: a * b[::-1]),
    "outer": lambda a, b, index: ad.reshape(a[:3, None] * b[None, :2], (-1,)),
    "scan": lambda a, b, index: ad.cumulative_sum(a[:3]),
}


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(list(STEPS)), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6),
    st.lists(st.integers(0, 100), min_size=1, max_size=8),
)
def test_random_functions(steps, index):
    """Random compositions of gathers, element-wise operations and sums have the dense Jacobian, and Hessian."""
    x = np.random.default_rng(0).normal(size=8)

    def f(x):
        found = [x]
        for op, i, j in steps:
            found.append(STEPS[op](found[i % len(found)], found[j % len(found)], np.asarray(index)))
        return found[-1]

    def energy(x):
        return ad.sum(f(x) ** 2)

    np.testing.assert_allclose(jacobian(f)(x).toarray(), ad.jacrev(f)(x), atol=1e-10)
    np.testing.assert_allclose(hessian(energy)(x).toarray(), ad.hessian(energy)(x), rtol=1e-9, atol=1e-8)


def test_outputs_of_outputs():
    """A pattern that is asked for is kept, although others were computed from it."""
    x = ad.asarray(RNG.normal(size=3), requires_grad=True)
    y = x * 2
    z = ad.sum(y) + y[::-1]
    assert pattern_of([y, z], [x._node]).toarray().tolist() == [*np.eye(3, dtype=bool).tolist(), *[[True] * 3] * 3]


def test_halves_that_disagree():
    """An operation that mixes all makes one half of a Hessian's pattern too full; the other knows better."""

    class Twice(ad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    def energy(x):
        return ad.sum(Twice.apply(x[:3]) * x[3:])

    pattern = sparsity(ad.grad(energy))(np.ones(6)).toarray()
    assert (pattern != pattern.T).any()
    found = hessian(energy, chunk_size=1)(np.ones(6))
    assert found.nnz == 6 and (found.toarray() == 2 * np.eye(6)[[3, 4, 5, 0, 1, 2]]).all()


# --- large ones ---


@pytest.fixture
def passes(monkeypatch):
    """Count the passes that are run."""
    counted = []
    many = matrices._Products.many

    def count(self, seeds, by):
        counted.extend([by] * len(seeds))
        return many(self, seeds, by)

    monkeypatch.setattr(matrices._Products, "many", count)
    return counted


def tridiagonal(x):
    return ad.concat([x[:1], x[1:] * x[:-1]]) - 2 * x**2 + ad.concat([ad.sin(x[1:]), ad.zeros_like(x[:1])])


def test_tridiagonal_jacobian_in_three_passes(passes):
    x = RNG.normal(size=10_000)
    found = jacobian(tridiagonal)(x)
    assert passes == ["columns"] * 3
    diagonal = -4 * x + np.concatenate([[1.0], x[:-1]])
    expected = sp.diags_array([x[1:], diagonal, np.cos(x[1:])], offsets=[-1, 0, 1])
    assert abs(found - expected).max() == 0 and found.nnz == 29_998


def rosenbrock(x):
    return ad.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_hessian_of_the_rosenbrock_function_in_three_passes(passes):
    x = RNG.normal(size=10_000)
    found = hessian(rosenbrock)(x)
    assert len(passes) == 3 and found.nnz == 29_998
    diagonal = np.append(1200 * x[:-1] ** 2 - 400 * x[1:] + 2, 0.0)
    diagonal[1:] += 200
    expected = sp.diags_array([-400 * x[:-1], diagonal, -400 * x[:-1]], offsets=[-1, 0, 1])
    assert abs(found - expected).max() < 1e-10
    np.testing.assert_allclose(hessian(rosenbrock)(x[:50]).toarray(), rosen_hess(x[:50]), atol=1e-10)


def heat(u):
    """Return minus the Laplacian of a square grid with zeros around it, and a reaction."""
    n = int(u.size**0.5)
    grid = ad.pad(ad.reshape(u, (n, n)), 1)
    around = grid[2:, 1:-1] + grid[:-2, 1:-1] + grid[1:-1, 2:] + grid[1:-1, :-2]
    return 4 * u - ad.reshape(around, (-1,)) + u**3


def test_stencil_on_a_grid(passes):
    n = 60
    u = RNG.normal(size=n * n)
    found = jacobian(heat)(u)
    line = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    expected = sp.kron(line, sp.eye_array(n)) + sp.kron(sp.eye_array(n), line) + sp.diags_array(3 * u**2)
    assert abs(found - expected).max() < 1e-13 and 5 <= len(passes) <= 8


def test_an_arrow_needs_two_colors(passes):
    x = RNG.normal(size=3000)
    found = hessian(ENERGIES["arrow"])(x)
    assert len(passes) == 2
    v = RNG.normal(size=3000)
    np.testing.assert_allclose(found @ v, ad.hvp(ENERGIES["arrow"], x, v)[1], rtol=1e-9, atol=1e-9)


def test_a_wide_jacobian_goes_backward(passes):
    x = RNG.normal(size=3000)
    found = jacobian(lambda x: ad.stack([ad.sum(x**2), x[0] * x[1]]))(x)
    assert passes == ["rows"] * 2
    np.testing.assert_allclose(found.toarray()[0], 2 * x)


def test_memory():
    """Room for the matrix some times over, not for a dense one: 100,000 by 100,000 numbers are 80 GB."""
    x = RNG.normal(size=100_000)
    jacobian(tridiagonal)(x[:10])
    tracemalloc.start()
    try:
        jacobian(tridiagonal)(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6


def test_memory_of_long_chains():
    """Patterns on the way are let go of: 400 of them would be 100 MB."""

    def f(x):
        for _ in range(400):
            x = ad.roll(x, 1)
        return x

    x = ad.asarray(np.ones(20_000), requires_grad=True)
    y = f(x)
    tracemalloc.start()
    try:
        assert pattern_of([y], [x._node]).nnz == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10e6


def test_many_colors_run_in_turns(passes, monkeypatch):
    monkeypatch.setattr(matrices, "ROOM", 100)
    turns = []
    seeds = Coloring.seeds
    monkeypatch.setattr(Coloring, "seeds", lambda self, *args: turns.append(args[1:]) or seeds(self, *args))
    x = RNG.normal(size=12)
    found = jacobian(PROGRAMS["matrix"])(x)
    np.testing.assert_allclose(found.toarray(), ad.jacfwd(PROGRAMS["matrix"])(x).reshape(6, 12), atol=1e-12)
    assert len(turns) > 0 and all(stop - start <= 8 for start, stop in turns)


# --- on any backend, in any setting ---


@pytest.mark.parametrize("f", [tridiagonal, heat], ids=["tridiagonal", "heat"])
def test_on_any_backend(backend, f):
    x = RNG.normal(size=25)
    found = jacobian(f)(ad.asarray(x))
    np.testing.assert_allclose(found.toarray(), jacobian(f)(x).toarray(), atol=1e-14)
    np.testing.assert_allclose(
        hessian(lambda x: ad.sum(f(x) ** 2))(ad.asarray(x)).toarray(),
        ad.hessian(lambda x: ad.sum(f(x) ** 2))(x),
        atol=1e-9,
    )


def test_beside_jax():
    jax = pytest.importorskip("jax")
    x = RNG.normal(size=20).astype("float32")

    def f(x):
        return x[1:] * x[:-1] ** 2

    found = jacobian(f)(jax.numpy.asarray(x))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), jax.jacobian(f)(x), rtol=1e-6)
    np.testing.assert_allclose(
        hessian(lambda x: f(x).sum())(jax.numpy.asarray(x)).toarray(), jax.hessian(lambda x: f(x).sum())(x), rtol=1e-6
    )


def test_shapes_and_other_arguments():
    """Arrays of any shape are laid out in C order; the other arguments are constants."""
    x, w = RNG.normal(size=(3, 4)), RNG.normal(size=4)
    f = lambda w, x, power=1: (x * w) ** power  # noqa: E731
    found = jacobian(f, argnums=1)(w, x, power=2)
    assert found.shape == (12, 12) and found.nnz == 12
    np.testing.assert_allclose(found.diagonal(), (2 * x * w**2).ravel())
    assert jacobian(f, argnums=0)(w, x).shape == (12, 4)
    assert jacobian(lambda x: x**2)(np.asarray(3.0)).toarray() == [[6.0]]
    assert hessian(f, argnums=-1)(w[:1], np.asarray([2.0]), power=3).shape == (1, 1)


def test_dtypes():
    """The matrix has the dtype that the passes have."""
    x = np.ones(3, dtype=np.float32)
    assert jacobian(lambda x: x * 2)(x).dtype == np.float32
    exact = jacobian(lambda x: ad.astype(x, ad.namespace("numpy").float64) * (1 / 3))(x)
    assert exact.dtype == np.float64 and exact[0, 0] == 1 / 3


def test_a_python_if_is_as_it_was_here():
    f = lambda x: x[1:] if x[0] > 0 else x[:-1] * 2  # noqa: E731
    assert jacobian(f)(np.asarray([1.0, 2.0])).toarray().tolist() == [[0.0, 1.0]]
    assert jacobian(f)(np.asarray([-1.0, 2.0])).toarray().tolist() == [[2.0, 0.0]]


def test_modes_and_graphs_outside():
    """Nothing is recorded outside, whatever the mode, and nobody's gradient changes."""
    x = ad.asarray(RNG.normal(size=4), requires_grad=True)
    c = ad.asarray(2.0, requires_grad=True)
    f = lambda x: c * x[1:] * x[:-1]  # noqa: E731
    expected = jacobian(f)(x.detach()).toarray()
    for argument in (x, x * 1):
        with pytest.warns(DetachWarning, match="the gradient stops at a matrix"):
            assert (jacobian(f)(argument).toarray() == expected).all()
    with ad.no_grad():
        assert (jacobian(f)(x).toarray() == expected).all() and sparsity(f)(x).nnz == 6
    assert x.grad is None and c.grad is None


def test_inside_transformations():
    """A matrix of numbers is no part of a derivative; a pattern needs no numbers."""
    f = lambda x: x[1:] * x[:-1]  # noqa: E731
    inside = lambda x: ad.asarray(jacobian(f)(x).toarray())  # noqa: E731
    for call in (lambda: ad.jvp(inside, (np.ones(3),), (np.ones(3),)), lambda: ad.vmap(inside)(np.ones((2, 3)))):
        with pytest.raises(GradientError, match="inside jvp or vmap"):
            call()
    with pytest.warns(DetachWarning, match="the gradient stops"):
        ad.grad(lambda x: ad.sum(inside(x)) + ad.sum(x))(np.ones(3))
    seen = []
    ad.vmap(lambda x: seen.append(sparsity(f)(x).nnz) or x)(np.ones((2, 3)))
    jax = pytest.importorskip("jax")
    jax.jit(lambda x: seen.append(sparsity(f)(x).nnz) or x)(jax.numpy.ones(3))
    assert seen == [4, 4]


def test_a_function_of_ones_own_mixes_all():
    """An operation that nobody knows is taken to mix everything."""

    class Twice(ad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = RNG.normal(size=3)
    assert sparsity(Twice.apply)(x).nnz == 9
    found = jacobian(Twice.apply, coloring=color(sparsity(Twice.apply)(x), "rows"), chunk_size=1)(x)
    np.testing.assert_allclose(found.toarray(), 2 * np.eye(3))


def test_through_checkpoints():
    """What a checkpoint has dropped, indices and constants, is recorded again."""
    c, index = ad.asarray(np.arange(4.0)), np.asarray([1, 0, 3])

    def f(x):
        parts = [x[index] * c[index], ad.take(x, ad.asarray([0, 0])), ad.reshape(x, (2, 2)) @ c[:2]]
        return ad.concat([*parts, ad.where(c > 1, x, 2 * x)[1:]])

    def energy(x, f=f):
        return ad.sum(f(x) ** 3)

    again = ad.checkpoint(f)
    x = RNG.normal(size=4)
    assert (sparsity(again)(x) != sparsity(f)(x)).nnz == 0
    np.testing.assert_allclose(jacobian(again)(x).toarray(), ad.jacrev(f)(x), atol=1e-12)
    found = hessian(lambda x: energy(x, again))(x)
    np.testing.assert_allclose(found.toarray(), ad.hessian(energy)(x), atol=1e-12)


# --- colouring ---

# Where columns in their order, or the fullest first, need fewer colours; where columns seemed to need fewer than rows.
FULLEST_FIRST = np.asarray([
    [0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1], [0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0],
    [1, 0, 0, 0, 0, 1],
])  # fmt: skip
IN_ORDER = np.asarray([
    [1, 0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 0, 1],
    [1, 0, 1, 0, 1, 0, 0],
])  # fmt: skip
ROWS_AFTER_ALL = np.asarray([
    [0, 1, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1], [0, 1, 0, 1, 1, 0, 1],
    [1, 1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0],
])  # fmt: skip
RANDOM = [sp.random_array(shape, density=density, rng=seed) for seed, (shape, density) in enumerate(
    itertools.product([(30, 20), (20, 30), (1, 9), (9, 1), (40, 40), (5, 0)], [0.0, 0.05, 0.2, 1.0])
)]  # fmt: skip


@pytest.mark.parametrize("by", ["columns", "rows", None])
@pytest.mark.parametrize("matrix", RANDOM, ids=lambda m: f"{m.shape[0]}x{m.shape[1]}-{m.nnz}")
def test_lines_of_a_color_have_no_place_in_common(matrix, by):
    found = color(matrix, by)
    dense = matrix.toarray() if found.by == "columns" else matrix.toarray().T
    for c in range(found.count):
        assert (dense[:, found.colors == c] != 0).sum(axis=1).max(initial=0) == 1
    assert ((found.colors < 0) == ~dense.any(axis=0)).all() and found.count <= (dense.any(axis=0)).sum()
    products = found.seeds(float) @ (matrix.toarray() if found.by == "rows" else matrix.toarray().T)
    assert (found.decompress(products) != matrix).nnz == 0
    if by is None:
        assert found.count == min(color(matrix, "columns").count, color(matrix, "rows").count)


@pytest.mark.parametrize("seed", range(40))
def test_symmetric_coloring(seed):
    """Each entry is alone in its product, or its mirror image is; neighbours differ, paths have three colours."""
    rng = np.random.default_rng(seed)
    half = np.tril(rng.normal(size=(14, 14)) * (rng.random((14, 14)) < rng.choice([0.05, 0.15, 0.3, 0.9])))
    matrix = half + half.T
    found = color(matrix, "symmetric")
    np.testing.assert_array_equal(found.decompress(found.seeds(float) @ matrix).toarray(), matrix)
    assert found.count <= color(matrix, "columns").count + 1
    near = [np.flatnonzero((matrix[i] != 0) & (np.arange(14) != i)) for i in range(14)]
    for a in range(14):
        assert all(found.colors[a] != found.colors[b] for b in near[a])
    paths = [(a, b, c, d) for a in range(14) for b in near[a] for c in near[b] for d in near[c]]
    assert all(len(set(found.colors[list(path)])) >= 3 for path in paths if len(set(path)) == 4)


@pytest.mark.parametrize(("pattern", "by", "count"), [
    (np.eye(9), None, 1),
    (np.zeros((3, 4)), None, 0),
    (np.tri(50, k=2) - np.tri(50, k=-3), "columns", 5),
    (np.ones((2, 50)), None, 2),
    (np.ones((50, 2)), None, 2),
    (np.ones((5, 5)), "symmetric", 5),
    (FULLEST_FIRST, "columns", 3),
    (IN_ORDER, "columns", 4),
    (ROWS_AFTER_ALL, None, 4),
])  # fmt: skip
def test_number_of_colors(pattern, by, count):
    found = color(pattern, by)
    assert found.count == count and f"{count} colors by {found.by}" in repr(found)


def test_what_counts_as_a_pattern():
    """Nonzeros, stored zeros aside, of sparse and dense matrices of any format."""
    dense = np.asarray([[0.0, 2.0], [1.0, 0.0]])
    stored = sp.csr_array((np.asarray([0.0, 2.0, 1.0]), np.asarray([0, 1, 0]), np.asarray([0, 2, 3])), shape=(2, 2))
    for given_pattern in (dense, dense != 0, sp.coo_array(dense), sp.csc_matrix(dense), stored, dense.tolist()):
        found = color(given_pattern).pattern
        assert found.nnz == 2 and found.toarray().tolist() == [[False, True], [True, False]]


# --- errors ---


def test_a_pattern_that_lacks_entries_is_found_out():
    x = RNG.normal(size=10)
    for sparse, f in ((jacobian, tridiagonal), (hessian, rosenbrock)):
        assert sparse(f, np.eye(10))(x).nnz == 10
        with pytest.raises(GradientError, match=r"wrong in row 0 \(\d+ rows in all\): the pattern that was given"):
            sparse(f, np.eye(10), check=True)(x)
        full = sparse(f, np.ones((10, 10)), check=True)(x)
        np.testing.assert_allclose(full.toarray(), sparse(f)(x).toarray(), atol=1e-12)


@pytest.mark.parametrize(("call", "error", "match"), [
    (lambda x: jacobian(tridiagonal, np.eye(4))(x), ArgumentError, "4 columns, but the argument has 5"),
    (lambda x: jacobian(tridiagonal, np.ones((1, 5)))(x), ArgumentError, "1 rows, but the result has 5"),
    (lambda x: jacobian(tridiagonal, np.eye(6)[:, :5])(x), ArgumentError, "the pattern is 6 x 5, but a pass gave 5"),
    (lambda x: jacobian(tridiagonal, sparsity(tridiagonal)), ArgumentTypeError, "expected a matrix, got a function"),
    (lambda x: jacobian(tridiagonal, np.eye(5), coloring=color(np.eye(5))), ArgumentError, "not both"),
    (lambda x: jacobian(tridiagonal, coloring=np.eye(5)), ArgumentTypeError, r"what ad\.sparse\.color gives"),
    (lambda x: jacobian(tridiagonal, chunk_size=0), ArgumentError, "chunk_size=0"),
    (lambda x: jacobian(lambda d: d["x"] * d["y"])({"x": x, "y": x}), ArgumentTypeError, "a tree of 2 arrays"),
    (lambda x: jacobian(lambda x: (x, x))(x), OutputError, "expected the function to return one array, got tuple"),
    (lambda x: jacobian(tridiagonal)(x + 1j), ArgumentTypeError, "the argument is complex128"),
    (lambda x: jacobian(lambda x: x * 1j)(x), ArgumentTypeError, "the result is complex128"),
    (lambda x: hessian(tridiagonal)(x), GradientError, "expected the function to return a scalar"),
    (lambda x: color(x), ArgumentTypeError, "got 1 dimensions"),
    (lambda x: color(np.eye(3), "diagonals"), ArgumentError, "by='diagonals'"),
    (lambda x: color(np.tri(3), "symmetric"), ArgumentError, "but the pattern is not"),
    (lambda x: color(np.ones((2, 3)), "symmetric"), ArgumentError, "but the pattern is not"),
])  # fmt: skip
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(RNG.normal(size=5))


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    for call in (lambda: jacobian(tridiagonal), lambda: sparsity(tridiagonal), lambda: color(np.eye(2))):
        with pytest.raises(MissingExtraError, match="pip install scipy"):
            call()


def test_an_operation_without_a_batching_law_says_what_helps(monkeypatch):
    def refuse(*args, **kwargs):
        raise BatchingError("no law")

    monkeypatch.setattr(matrices.func, "vmap", refuse)
    with pytest.raises(BatchingError) as caught:
        jacobian(tridiagonal)(RNG.normal(size=5))
    assert "chunk_size=1" in caught.value.__notes__[0]
    assert jacobian(tridiagonal, chunk_size=1)(RNG.normal(size=5)).nnz == 13
