"""The tables of rules are whole; what they say of derivatives is checked by tests/laws."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.binding import make_namespace
from autodiff_api.rules import CHAPTERS, OPS
from autodiff_api.rules.kinds import Elementwise, General, Linear, Multilinear, derivative


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
