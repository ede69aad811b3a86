"""Ops with several outputs: one node for the op, one for each output."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.binding import make_namespace
from autodiff_api.rules import General, Op


class Both(NamedTuple):
    exp: Any
    sin: Any


def both_vjp(t, x, out, xp):
    of_exp, of_sin = t
    g = xp.zeros_like(x)
    if of_exp is not None:
        g = g + of_exp * out[0]
    if of_sin is not None:
        g = g + of_sin * xp.cos(x)
    return g


BOTH = Op(
    "both",
    "x, /",
    General(vjp=both_vjp, jvp=lambda t, x, out, xp: (t * out[0], t * xp.cos(x))),
    kernel=lambda x, /, *, xp: (xp.exp(x), xp.sin(x)),
    result=Both,
)


@pytest.fixture
def xp(monkeypatch):
    from autodiff_api import binding

    monkeypatch.setattr(binding, "extra_ops", lambda: [BOTH])
    return make_namespace(replace(ad.get_backend("numpy"), name="several"))


X = np.asarray([0.5, 2.0])
E, S, C = np.exp(X), np.sin(X), np.cos(X)


def test_every_order(xp):
    x = xp.asarray(X, requires_grad=True)
    y = xp.both(x)
    assert isinstance(y, Both) and y.exp.grad_fn.name() == y.sin.grad_fn.name() == "Both"
    (g,) = ad.autograd.grad(xp.sum(y.exp * y.sin), x, create_graph=True)
    (h,) = ad.autograd.grad(xp.sum(g), x, create_graph=True)
    (third,) = ad.autograd.grad(xp.sum(h), x)
    for found, wanted in ((g, E * (S + C)), (h, 2 * E * C), (third, 2 * E * (C - S))):
        np.testing.assert_allclose(np.asarray(found.detach()), wanted)


def test_one_output_alone(xp):
    x = xp.asarray(X, requires_grad=True)
    xp.sum(xp.both(x).sin).backward()
    np.testing.assert_allclose(np.asarray(x.grad), C)


def test_a_freed_graph_is_recomputed(xp):
    x = xp.asarray(X, requires_grad=True)
    y = xp.both(x)
    z = xp.sum(y.exp * y.sin)
    z.backward()
    with pytest.warns(ad.RecomputeWarning):
        z.backward()
    np.testing.assert_allclose(np.asarray(x.grad), 2 * E * (S + C))


def test_hooks_and_retained_gradients_are_the_outputs_own(xp):
    x = xp.asarray(X, requires_grad=True)
    y = xp.both(x)
    y.exp.retain_grad()
    y.sin.register_hook(lambda g: g * 10)
    xp.sum(2 * y.exp + y.sin).backward()
    np.testing.assert_allclose(np.asarray(y.exp.grad), [2, 2])
    np.testing.assert_allclose(np.asarray(x.grad), 2 * E + 10 * C)
    (g,) = ad.autograd.grad(xp.sum(xp.both(x).sin), x)
    np.testing.assert_allclose(np.asarray(g), C)


def test_gradients_with_respect_to_an_output(xp):
    x = xp.asarray(X, requires_grad=True)
    y = xp.both(x)
    g_exp, g_sin = ad.autograd.grad(xp.sum(y.exp * y.sin), y)
    np.testing.assert_allclose(np.asarray(g_exp), S)
    np.testing.assert_allclose(np.asarray(g_sin), E)


def test_nothing_is_recorded_without_need(xp):
    assert not xp.both(xp.asarray(X)).exp.requires_grad
    assert not xp.both(X).exp.requires_grad
    x = xp.asarray(X, requires_grad=True)
    with ad.no_grad():
        assert not xp.both(x).sin.requires_grad
