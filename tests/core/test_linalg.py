"""Linear algebra: the rules' two halves, differences, second order, other backends, PyTorch, and delicate points.

A case is a function of a namespace and matrices. Where vectors have a free phase, or sign, the function takes what
does not depend on it.
"""

from __future__ import annotations

from itertools import pairwise

import array_api_strict
import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import duals
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace
from autodiff_api.rules import OPS

RNG = np.random.default_rng(15)
STATE = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def same_numbers_for_each_test():
    RNG.bit_generator.state = STATE


def normal(*shape, dtype="real"):
    x = RNG.normal(size=shape)
    return x + 1j * RNG.normal(size=shape) if dtype == "complex" else x


def adjoint(xp, x):
    return xp.conj(xp.matrix_transpose(x))


def hermitian(xp, x):
    return (x + adjoint(xp, x)) / 2


def positive(xp, x):
    return xp.matmul(x, adjoint(xp, x)) + xp.eye(x.shape[-1], dtype=x.dtype)


def projectors(xp, v):
    return v[..., None, :, :] * xp.conj(v)[..., :, None, :]


def eig_projectors(xp, x):
    w, v = xp.linalg.eig(x)
    return w, projectors(xp, v)


def eigh_parts(xp, x):
    w, v = xp.linalg.eigh(hermitian(xp, x))
    return w, projectors(xp, v)


def svd_parts(xp, x, **options):
    u, s, vh = xp.linalg.svd(x, **options)
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    return projectors(xp, u), s, projectors(xp, adjoint(xp, vh)), xp.matmul(u * s[..., None, :] ** 2, vh)


SQUARE = [(3, 3), (2, 3, 3), (1, 1)]
ANY = [(4, 3), (3, 4), (2, 4, 2), (2, 2, 4), (3, 3)]
NORMS = ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)

# case: (function of the namespace and the arguments, shapes of the arguments, a list for each sample)
CASES = {
    "adjugate": (lambda xp, x: xp.linalg.adjugate(x), [[s] for s in SQUARE]),
    "cholesky": (lambda xp, x: xp.linalg.cholesky(positive(xp, x)), [[s] for s in SQUARE]),
    "cholesky, upper": (lambda xp, x: xp.linalg.cholesky(positive(xp, x), upper=True), [[s] for s in SQUARE]),
    "cross": (lambda xp, x, y: xp.linalg.cross(x, y), [[(3,), (3,)], [(2, 3), (3,)], [(2, 1, 3), (4, 3)]]),
    "cross, axis -2": (lambda xp, x, y: xp.linalg.cross(x, y, axis=-2), [[(3, 2), (4, 3, 1)], [(3, 1), (3, 2)]]),
    "det": (lambda xp, x: xp.linalg.det(x), [[s] for s in SQUARE]),
    **{
        f"diagonal, {k}": (lambda xp, x, k=k: xp.linalg.diagonal(x, offset=k), [[(3, 4)], [(2, 4, 3)]])
        for k in (0, 1, -2, 7, -7)
    },
    "eig": (eig_projectors, [[s] for s in SQUARE]),
    "eigh": (eigh_parts, [[s] for s in SQUARE]),
    "eigvals": (lambda xp, x: xp.linalg.eigvals(x), [[s] for s in SQUARE]),
    "eigvalsh": (lambda xp, x: xp.linalg.eigvalsh(hermitian(xp, x)), [[s] for s in SQUARE]),
    "inv": (lambda xp, x: xp.linalg.inv(x), [[s] for s in SQUARE]),
    "matmul": (lambda xp, x, y: xp.linalg.matmul(x, y), [[(2, 3), (3, 4)], [(3,), (2, 3, 4)], [(5, 1, 2, 3), (3, 2)]]),
    **{
        f"matrix_norm, {o}": (lambda xp, x, o=o: xp.linalg.matrix_norm(x, ord=o, keepdims=o == 1), [[s] for s in ANY])
        for o in NORMS
    },
    **{
        f"matrix_power, {n}": (lambda xp, x, n=n: xp.linalg.matrix_power(x, n), [[s] for s in SQUARE])
        for n in (-3, -1, 0, 1, 2, 5, 6)
    },
    "matrix_transpose": (lambda xp, x: xp.linalg.matrix_transpose(x), [[s] for s in ANY]),
    "outer": (lambda xp, x, y: xp.linalg.outer(x, y), [[(3,), (4,)]]),
    "pinv": (lambda xp, x: xp.linalg.pinv(x), [[s] for s in ANY]),
    "pinv, rtol": (lambda xp, x: xp.linalg.pinv(x, rtol=0.5), [[s] for s in ANY]),
    "pinv, rtols": (lambda xp, x: xp.linalg.pinv(x, rtol=xp.asarray([0.1, 0.7])), [[(2, 4, 2)], [(2, 3, 3)]]),
    "qr": (lambda xp, x: xp.linalg.qr(x), [[s] for s in ANY]),
    "qr, complete": (
        lambda xp, x: (lambda q, r: (q[..., : min(x.shape[-2:])], r))(*xp.linalg.qr(x, mode="complete")),
        [[s] for s in ANY],
    ),
    "slogdet": (lambda xp, x: xp.linalg.slogdet(x), [[s] for s in SQUARE]),
    "solve": (
        lambda xp, x, y: xp.linalg.solve(x, y),
        [[(3, 3), (3,)], [(3, 3), (3, 2)], [(2, 3, 3), (3,)], [(2, 3, 3), (3, 1)], [(3, 3), (2, 3, 2)]],
    ),
    "solve_triangular": (
        lambda xp, x, y: xp.linalg.solve_triangular(x, y),
        [[(3, 3), (3, 2)], [(2, 3, 3), (3, 2)], [(3, 3), (2, 3, 1)]],
    ),
    "solve_triangular, upper": (lambda xp, x, y: xp.linalg.solve_triangular(x, y, upper=True), [[(3, 3), (3, 2)]]),
    "svd": (svd_parts, [[s] for s in ANY]),
    "svd, reduced": (lambda xp, x: svd_parts(xp, x, full_matrices=False), [[s] for s in ANY]),
    "svdvals": (lambda xp, x: xp.linalg.svdvals(x), [[s] for s in ANY]),
    "tensordot": (lambda xp, x, y: xp.linalg.tensordot(x, y), [[(2, 3, 4), (3, 4, 5)]]),
    "tensordot, 0": (lambda xp, x, y: xp.linalg.tensordot(x, y, axes=0), [[(2,), (3, 2)]]),
    "tensordot, axes": (
        lambda xp, x, y: xp.linalg.tensordot(x, y, axes=((2, 0), (-1, 0))),
        [[(2, 3, 4), (2, 5, 4)]],
    ),
    "tensordot, lists": (lambda xp, x, y: xp.linalg.tensordot(x, y, axes=([-1, 1], [0, 2])), [[(2, 3, 4), (4, 2, 3)]]),
    **{
        f"trace, {k}": (lambda xp, x, k=k: xp.linalg.trace(x, offset=k), [[(3, 4)], [(2, 4, 3)]]) for k in (0, 1, -2, 7)
    },
    "vecdot": (lambda xp, x, y: xp.linalg.vecdot(x, y), [[(3,), (3,)], [(2, 3), (4, 1, 3)], [(3,), (2, 3)]]),
    "vecdot, axis": (lambda xp, x, y: xp.linalg.vecdot(x, y, axis=-2), [[(3, 2), (4, 3, 1)]]),
    **{
        f"vector_norm, {o}": (lambda xp, x, o=o: xp.linalg.vector_norm(x, ord=o, axis=-1), [[(4,)], [(2, 3)]])
        for o in (0, 1, 2, 3, 1.5, 0.5, -1, -2, -0.5, np.inf, -np.inf)
    },
    "vector_norm, all axes": (lambda xp, x: xp.linalg.vector_norm(x), [[(2, 3)], [()]]),
    "vector_norm, axes": (lambda xp, x: xp.linalg.vector_norm(x, axis=(0, -1), ord=3, keepdims=True), [[(2, 3, 2)]]),
}

MIXED = {"cross", "matmul", "outer", "solve", "solve_triangular", "tensordot", "vecdot"}
SAMPLES = [
    (case, i, kind)
    for case, (_, samples) in CASES.items()
    for i in range(len(samples))
    for kind in ("real", "complex", "mixed")
    if kind != "mixed" or case.partition(",")[0] in MIXED
]


def points(case, i, kind):
    """Return the arguments of a sample; what is inverted is well away from singular."""
    arrays = []
    for place, shape in enumerate(CASES[case][1][i]):
        x = normal(*shape, dtype="complex" if kind == "mixed" and place else kind)
        arrays.append(
            x + 3 * np.eye(shape[-1]) if case.startswith(("inv", "matrix_power", "solve")) and not place else x
        )
    return arrays


def parts(out):
    return list(out) if isinstance(out, tuple) else [out]


def inner(a, b):
    return np.real(np.sum(np.conj(a) * b))


def like(x):
    return normal(*np.shape(x), dtype="complex" if np.iscomplexobj(x) else "real")


def weighted(xp, xs, ws):
    """Return the real inner product of arrays with constants, as a loss."""
    loss = 0
    for x, w in zip(xs, ws, strict=True):
        terms = xp.asarray(np.conj(w)) * x
        loss = loss + xp.sum(xp.real(terms) if np.iscomplexobj(w) else terms)
    return loss


def gradients(xp, case, arrays, ws, create_graph=False):
    """Return the weighted sum of a case's outputs, and the gradient by each argument."""
    leaves = [xp.asarray(x, requires_grad=True) for x in arrays]
    loss = weighted(xp, parts(CASES[case][0](xp, *leaves)), ws)
    if not loss.requires_grad:
        return loss, leaves, [xp.zeros_like(x) for x in leaves]
    return loss, leaves, ad.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)


def host(x):
    while hasattr(x, "_value"):
        x = x._value
    return np.asarray(x)


def slope(f, h=3e-4):
    """Return f'(0) by central differences, extrapolated twice."""
    first = [float(host(f(s)) - host(f(-s))) / (2 * s) for s in (h, h / 2, h / 4)]
    second = [(4 * b - a) / 3 for a, b in pairwise(first)]
    return (16 * second[1] - second[0]) / 15


@pytest.fixture(scope="module")
def xp():
    return ad.namespace("numpy")


@pytest.fixture(scope="module")
def dual(xp):
    return duals.namespace_over(xp._backend)


@pytest.fixture(scope="module")
def strict():
    """A backend with no kernel of its own: proof that rules and generic kernels speak only the standard."""
    backend = Backend(
        name="strict",
        namespace=array_api_strict,
        array_types=(type(array_api_strict.asarray(1.0)),),
        kernels={},
        devices=lambda: ["cpu"],
        place=lambda x, device: x,
        to_numpy=np.from_dlpack,
    )
    return make_namespace(backend)


def test_every_rule_of_the_extension_has_a_case():
    names = {case.partition(",")[0] for case in CASES}
    ruled = {name.removeprefix("linalg.") for name, op in OPS.items() if name.startswith("linalg.") and op.rule}
    assert ruled <= names


@pytest.mark.parametrize(("case", "i", "kind"), SAMPLES)
def test_both_modes_both_orders(xp, dual, case, i, kind):
    """<w, J t> = <Jᴴ w, t> exactly, both are the difference quotient, and so for the second derivative."""
    f, arrays = CASES[case][0], points(case, i, kind)
    outs = [host(o) for o in parts(f(xp, *[xp.asarray(x) for x in arrays]))]
    ws, ts, vs = list(map(like, outs)), list(map(like, arrays)), list(map(like, arrays))

    def moved(h):
        return [x + h * t for x, t in zip(arrays, ts, strict=True)]

    _, leaves, grads = gradients(xp, case, arrays, ws, create_graph=True)
    backward = sum(inner(host(g), t) for g, t in zip(grads, ts, strict=True))
    pushed = parts(f(dual, *[dual.dual(x, t) for x, t in zip(arrays, ts, strict=True)]))
    forward = sum(inner(w, host(o._tangent)) for w, o in zip(ws, pushed, strict=True) if o._tangent is not None)
    assert backward == pytest.approx(forward, rel=1e-9, abs=1e-9)
    assert backward == pytest.approx(slope(lambda h: gradients(xp, case, moved(h), ws)[0]), rel=1e-7, abs=1e-7)
    for g, plain in zip(grads, gradients(xp, case, arrays, ws)[2], strict=True):
        np.testing.assert_allclose(host(g), host(plain), rtol=1e-9, atol=1e-9)

    rate = weighted(xp, grads, vs)
    second = ad.autograd.grad(rate, leaves, materialize_grads=True) if rate.requires_grad else ts[:0]
    found = sum(inner(host(g), t) for g, t in zip(second, ts, strict=False))
    wanted = slope(lambda h: weighted(xp, gradients(xp, case, moved(h), ws)[2], vs))
    assert found == pytest.approx(wanted, rel=1e-7, abs=1e-6)


@pytest.mark.parametrize(("case", "i", "kind"), SAMPLES)
def test_rules_speak_only_the_standard(xp, strict, case, i, kind):
    """Values and gradients on array-api-strict equal NumPy's."""
    arrays = points(case, i, kind)
    ws = [like(host(o)) for o in parts(CASES[case][0](xp, *[xp.asarray(x) for x in arrays]))]
    for create_graph in (False, True):
        (found, _, gs), (wanted, _, hs) = (gradients(n, case, arrays, ws, create_graph) for n in (strict, xp))
        for g, h in zip([found, *gs], [wanted, *hs], strict=True):
            np.testing.assert_allclose(host(g), host(h), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_single_precision_stays(xp, case):
    """Gradients of float32 and complex64 have those dtypes, and the values that double precision gives."""
    for kind in ("real", "complex"):
        arrays = points(case, 0, kind)
        ws = [like(host(o)) for o in parts(CASES[case][0](xp, *[xp.asarray(x) for x in arrays]))]
        narrow = {"f": np.float32, "c": np.complex64}
        small, weights = ([x.astype(narrow[x.dtype.kind]) for x in xs] for xs in (arrays, ws))
        for g, wanted in zip(gradients(xp, case, small, weights)[2], gradients(xp, case, arrays, ws)[2], strict=True):
            assert g.dtype == narrow[wanted.dtype.kind]
            scale = np.max(np.abs(host(wanted)), initial=1.0)
            np.testing.assert_allclose(host(g), host(wanted), rtol=0, atol=2e-3 * scale)


FACTORED = [
    case for case in CASES if not case.startswith(("cross", "diag", "matmul", "outer", "tensordot", "trace", "vec"))
]


@pytest.mark.parametrize("case", FACTORED)
def test_under_jit(xp, case):
    """A function compiled by JAX, gradient included, gives what NumPy gives; complex, and a stack if there is one."""
    jax = pytest.importorskip("jax")
    samples = CASES[case][1]
    i = max(range(len(samples)), key=lambda k: len(samples[k][0]))
    arrays = points(case, i, "complex")
    ws = [like(host(o)) for o in parts(CASES[case][0](xp, *[xp.asarray(x) for x in arrays]))]

    def run(*values):
        loss, _, grads = gradients(ad.namespace("jax"), case, values, ws)
        return [x.detach()._value for x in (loss, *grads)]

    loss, _, grads = gradients(xp, case, arrays, ws)
    with jax.enable_x64(True):
        found = jax.jit(run)(*map(jax.numpy.asarray, arrays))
    for g, wanted in zip(found, [loss, *grads], strict=True):
        np.testing.assert_allclose(np.asarray(g), host(wanted), rtol=1e-8, atol=1e-8)


class Torch:
    """PyTorch with the standard's names, as far as the cases go."""

    def __init__(self, torch):
        linalg = torch.linalg
        self.asarray, self.matmul, self.stack, self.sum, self.real = (
            torch.asarray, torch.matmul, torch.stack, torch.sum, torch.real,
        )  # fmt: skip
        self.conj, self.matrix_transpose = torch.conj, lambda x: x.mT
        self.eye = lambda n, dtype: torch.eye(n, dtype=dtype)
        self.linalg = Torch.Linalg()
        plain = (
            "cholesky", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_power", "pinv", "qr",
            "slogdet", "solve", "solve_triangular", "svd", "svdvals",
        )  # fmt: skip
        for name in plain:
            setattr(self.linalg, name, getattr(linalg, name))
        self.linalg.solve_triangular = lambda a, b, upper=False: linalg.solve_triangular(a, b, upper=upper)
        self.linalg.cross = lambda a, b, axis=-1: linalg.cross(*torch.broadcast_tensors(a, b), dim=axis)
        self.linalg.diagonal = lambda x, offset=0: linalg.diagonal(x, offset=offset)
        self.linalg.matrix_norm = lambda x, ord="fro", keepdims=False: linalg.matrix_norm(x, ord, keepdim=keepdims)
        self.linalg.matrix_transpose = lambda x: x.mT
        self.linalg.outer = torch.outer
        self.linalg.tensordot = lambda a, b, axes=2: torch.tensordot(a, b, dims=axes)
        self.linalg.trace = lambda x, offset=0: torch.sum(linalg.diagonal(x, offset=offset), dim=-1)
        self.linalg.vecdot = lambda a, b, axis=-1: linalg.vecdot(a, b, dim=axis)
        self.linalg.vector_norm = lambda x, axis=None, ord=2, keepdims=False: linalg.vector_norm(
            x, ord, dim=axis, keepdim=keepdims
        )

    class Linalg:
        pass


NOT_IN_TORCH = {
    "adjugate": "no such function",
    "diagonal, -7": "an offset out of range is an error",
    "diagonal, 7": "an offset out of range is an error",
    "pinv, rtol": "its derivative takes what is left out for zero",
    "pinv, rtols": "its derivative takes what is left out for zero",
    "qr, complete": "not differentiable where there are more rows than columns",
    "svd": "full_matrices=True has no derivative",
    "trace, 7": "an offset out of range is an error",
}


@pytest.mark.parametrize(("case", "i", "kind"), [s for s in SAMPLES if s[0] not in NOT_IN_TORCH and s[2] != "mixed"])
def test_gradients_are_pytorchs(xp, case, i, kind):
    """First and second order, real and complex."""
    torch = pytest.importorskip("torch")
    f, arrays = CASES[case][0], points(case, i, kind)
    ws = [like(host(o)) for o in parts(f(xp, *[xp.asarray(x) for x in arrays]))]
    vs = list(map(like, arrays))

    def run(space, leaves, grad, zero):
        grads = grad(weighted(space, parts(f(space, *leaves)), ws), leaves)
        rate = weighted(space, grads, vs)
        second = grad(rate, leaves) if rate.requires_grad else [zero(x) for x in leaves]
        return [
            g.resolve_conj().numpy(force=True) if hasattr(g, "resolve_conj") else host(g) for g in (*grads, *second)
        ]

    leaves = [xp.asarray(x, requires_grad=True) for x in arrays]
    options = {"create_graph": True, "materialize_grads": True}
    found = run(xp, leaves, lambda y, x: ad.autograd.grad(y, x, **options), xp.zeros_like)
    theirs = [torch.asarray(x, requires_grad=True) for x in arrays]
    wanted = run(Torch(torch), theirs, lambda y, x: torch.autograd.grad(y, x, **options), torch.zeros_like)
    for g, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-8, atol=1e-7)
