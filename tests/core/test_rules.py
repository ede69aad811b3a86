"""The tables of rules: whole, linear, and transposes of each other."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.backends import Backend
from autodiff_api.binding import make_namespace
from autodiff_api.rules import CHAPTERS, OPS
from autodiff_api.rules.kinds import Elementwise, General, Linear, Multilinear, derivative

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
POSITIVE = np.abs(A) + 0.5


def test_every_op_has_one_place():
    """A name stands in one chapter, in RULES or in CONSTANT, and has a signature."""
    seen = {}
    for chapter in CHAPTERS:
        rules, constant = set(chapter.RULES), set(chapter.CONSTANT)
        assert not rules & constant
        assert rules | constant == set(chapter.SIGNATURES), chapter.__name__
        for name in rules | constant:
            assert name not in seen, (name, seen.get(name), chapter.__name__)
            seen[name] = chapter.__name__
    assert set(OPS) == set(seen)


def test_tables_are_alphabetical():
    for chapter in CHAPTERS:
        assert list(chapter.RULES) == sorted(chapter.RULES)


def test_formulas_name_what_the_op_has():
    """Compiling a rule for every choice of inputs checks that each name in a formula means something."""
    for op in OPS.values():
        if op.rule is None:
            continue
        names = {"out", *op.parameters} | {f"{n}_{fact}" for n in op.arrays for fact in ("shape", "dtype", "device")}
        assert set(op.rule.formulas) <= set(op.arrays), op.name
        for wanted in op.arrays:
            if wanted in op.rule.formulas:
                compiled = derivative(op, tuple(n == wanted for n in op.arrays))
                assert set(compiled.names) <= names, op.name


# The adjoint law for the rules that state both modes themselves: <w, jvp(t)> == <vjp(w), t>.
GENERAL = {
    "complex": [((A, B), {})],
    "cumulative_prod": [((A,), {"axis": 1}), ((A,), {"axis": 0, "include_initial": True})],
    "linalg.vector_norm": [((A,), {"axis": 1}), ((A,), {"ord": 3}), ((A,), {"ord": np.inf, "keepdims": True})],
    "max": [((A,), {"axis": 1}), ((A,), {}), ((A,), {"axis": (0, 1), "keepdims": True})],
    "min": [((A,), {"axis": 0})],
    "prod": [((A,), {"axis": 1}), ((A,), {}), ((A,), {"axis": (1, 0), "keepdims": True})],
    "sign": [((A,), {}), ((A + 1j * B,), {})],
    "sort": [((A,), {"axis": 0}), ((A,), {"descending": True})],
    "special.log_softmax": [((A,), {"axis": 1}), ((A,), {})],
    "special.logsumexp": [((A, 1, POSITIVE), {}), ((A, (0, 1), POSITIVE[0], True), {}), ((A[0], None, POSITIVE), {})],
    "special.softmax": [((A,), {"axis": 0}), ((A,), {})],
    "std": [((A,), {"axis": 1, "correction": 1.0}), ((A,), {})],
    "var": [((A,), {"axis": 1, "correction": 1.0}), ((A,), {"keepdims": True})],
    "vecdot": [((A, B), {}), ((A + 1j * B, B - 2j * A), {"axis": -1})],
}


def inner(a, b):
    return np.real(np.sum(np.conj(a) * b))


def test_every_general_rule_is_sampled():
    """Here, or in test_linalg."""
    general = {name for name, op in OPS.items() if isinstance(op.rule, General) and not name.startswith("linalg.")}
    assert set(GENERAL) - {"linalg.vector_norm"} == general


@pytest.mark.parametrize(("name", "i"), [(n, i) for n, samples in GENERAL.items() for i in range(len(samples))])
def test_jvp_is_the_adjoint_of_vjp(name, i):
    from autodiff_api.rules.kinds import binder_of, invoker_of

    op, xp = OPS[name], ad.namespace("numpy")._lower
    args, kwargs = GENERAL[name][i]
    arrays, statics = binder_of(op)(*args, **kwargs)
    out = invoker_of(op)(xp.kernel(name), arrays, statics)
    values = dict(zip(op.arrays, arrays, strict=True)) | dict(zip(op.statics, statics, strict=True)) | {"out": out}

    def apply(formula, t):
        import inspect

        words = {"t": t, "xp": xp, **values}
        return formula(*[words[p] for p in inspect.signature(formula).parameters])

    def random_like(x):
        noise = RNG.normal(size=np.shape(x))
        return noise + 1j * RNG.normal(size=np.shape(x)) if np.iscomplexobj(x) else noise

    tangents, w = tuple(map(random_like, arrays)), random_like(out)
    single = len(op.rule.formulas) == 1
    forward = apply(op.rule.jvp, tangents[0] if single else tangents)
    back = apply(op.rule.vjp, w)
    backward = sum(inner(g, t) for g, t in zip([back] if single else back, tangents, strict=True))
    assert inner(w, forward) == pytest.approx(backward, rel=1e-10)


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
        to_numpy=lambda x: np.from_dlpack(x),
    )
    return make_namespace(backend)


def first(xp, name):
    function = xp
    for part in name.split("."):
        function = getattr(function, part)
    return function


STRICT = {  # op: arguments; the first array is differentiated
    **{name: [(A,), (POSITIVE,)] for name in ("abs", "atan", "cos", "exp", "sin", "tanh", "square", "negative")},
    **{name: [(POSITIVE,)] for name in ("log", "sqrt", "reciprocal", "log1p", "sinh", "cosh", "expm1")},
    **{name: [(A, B), (A, B[0]), (A[0], B)] for name in ("add", "multiply", "divide", "maximum", "atan2", "hypot")},
    "pow": [(POSITIVE, B), (A, 2.0), (POSITIVE, -1.5)],
    "getitem": [(A, 0), (A, (slice(None), 1)), (A, (slice(None, None, 2), ...)), (A, (None, ...))],
    "take": [(A, np.asarray([0, 2, 0]), {"axis": 1})],
    "take_along_axis": [(A, np.argsort(A, axis=1), {"axis": 1})],
    "matmul": [(A, B.T), (A, B[0]), (A[0], B.T)],
    "linalg.diagonal": [(A, {"offset": 1})],
    "prod": [(A, {"axis": 1})],
    "cumulative_prod": [(A, {"axis": 1})],
    "max": [(A, {"axis": 0})],
    "sort": [(A, {"axis": 0})],
    "clip": [(A, -0.5, 0.5)],
    "concat": [([A, B], {"axis": 0})],
    "where": [(A > 0, A, B)],
    "std": [(A, {"axis": 1, "correction": 1.0})],
    "linalg.vector_norm": [(A, {"ord": 3})],
}


@pytest.mark.parametrize(("name", "i"), [(n, i) for n, samples in STRICT.items() for i in range(len(samples))])
def test_rules_speak_only_the_standard(strict, name, i):
    """Value, gradient and second order on array-api-strict equal NumPy's."""

    def run(xp):
        *args, kwargs = STRICT[name][i] if isinstance(STRICT[name][i][-1], dict) else (*STRICT[name][i], {})
        leaves = []

        def convert(a):
            if isinstance(a, list):
                return [convert(x) for x in a]
            if not isinstance(a, np.ndarray):
                return a
            leaf = xp.asarray(a, requires_grad=a.dtype.kind == "f")
            leaves.extend([leaf] if leaf.requires_grad else [])
            return leaf

        out = first(xp, name)(*[convert(a) for a in args], **kwargs)
        weight = xp.asarray(np.cos(np.arange(out.size, dtype=float)).reshape(out.shape))
        grads = ad.autograd.grad(xp.sum(out * weight), leaves, create_graph=True)
        second = sum(xp.sum(g * g) for g in grads)
        results = [out, *grads]
        if second.requires_grad:
            results += ad.autograd.grad(second, leaves, materialize_grads=True)
        return [np.asarray(r.detach()) for r in results]

    for found, wanted in zip(run(strict), run(ad.namespace("numpy")), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_generic_scatter_add_equals_the_plugins(backend):
    """The kernels of the plugins against the generic one: repeated, negative and mixed indices, masks, slices."""
    pytest.importorskip(backend)
    from autodiff_api import kernels

    x = RNG.normal(size=(4, 5))
    keys = [
        np.asarray([0, 2, 0]), (np.asarray([-1, 1, -1]), np.asarray([0, 2, 0])), (slice(1, 3), np.asarray([4, 4])),
        1, (slice(None), 2), x > 0, (None, 0), np.asarray([], dtype=int), (np.asarray([[0], [0]]), np.asarray([1, 1])),
    ]  # fmt: skip
    xp = ad.namespace(backend)._lower
    for key in keys:
        values = RNG.normal(size=x[key].shape)
        raw = [xp.asarray(v, dtype=xp.float32) for v in (x, values)]
        found = xp.scatter_add(raw[0], key, raw[1])
        wanted = kernels.GENERIC["scatter_add"](x, key, values, xp=ad.namespace("numpy")._lower)
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-6)


def test_a_rule_that_lies_about_its_shape_is_named():
    from dataclasses import replace

    lie = replace(OPS["sin"], rule=Elementwise(x=lambda t, xp: xp.concat([t, t])))
    numpy = ad.get_backend("numpy")
    xp = make_namespace(replace(numpy, name="lying"))
    xp._ops = {**xp._ops, "sin": lie}
    x = xp.asarray([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.raises(ad.PluginContractError, match=r"sin .*shape \(6,\).*\(3,\)"):
        xp.sum(xp.sin(x)).backward()
    assert x.grad is None


def test_kinds_are_said_once():
    assert {type(op.rule) for op in OPS.values() if op.rule} == {Elementwise, General, Linear, Multilinear}


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_plugins_op_works_like_any_other(backend, monkeypatch):
    """An op with its signature, rule and generic kernel, said in one place: first and second order, any backend."""
    pytest.importorskip(backend)
    from autodiff_api import binding
    from autodiff_api.rules import Op

    swish = Op(
        "swish",
        "x, /, *, beta=1.0",
        Elementwise(x=lambda t, x, beta, xp: t * xp.swish_slope(x, beta=beta)),
        kernel=lambda x, /, *, beta=1.0, xp: x / (1 + xp.exp(-beta * x)),
    )

    def slope(x, /, *, beta=1.0, xp):
        s = 1 / (1 + xp.exp(-beta * x))
        return s + beta * x * s * (1 - s)

    def curvature(t, x, beta, xp):
        s = 1 / (1 + xp.exp(-beta * x))
        return t * (beta * s * (1 - s) * (2 + beta * x * (1 - 2 * s)))

    swish_slope = Op("swish_slope", "x, /, *, beta=1.0", Elementwise(x=curvature), kernel=slope)
    monkeypatch.setattr(binding, "extra_ops", lambda: [swish, swish_slope])
    from dataclasses import replace

    xp = make_namespace(replace(ad.get_backend(backend), name=f"{backend}2", register_array=None))
    x = xp.asarray([-1.0, 0.5, 2.0], requires_grad=True)
    y = xp.swish(x, beta=2.0)
    assert y.grad_fn.name() == "Swish"
    (g,) = ad.autograd.grad(xp.sum(y), x, create_graph=True)
    by_hand = x / (1 + xp.exp(-2.0 * x))
    (wanted,) = ad.autograd.grad(xp.sum(by_hand), x, create_graph=True)
    (h,), (second,) = (ad.autograd.grad(xp.sum(first), x) for first in (g, wanted))
    np.testing.assert_allclose(np.asarray(g.detach()), np.asarray(wanted.detach()), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(h), np.asarray(second), rtol=1e-4)
