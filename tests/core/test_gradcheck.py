"""gradcheck and gradgradcheck: what is right passes, what is wrong is named, and PyTorch agrees on which is which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.autograd import gradcheck, gradgradcheck
from autodiff_api.binding import make_namespace
from autodiff_api.jacobians import Study
from autodiff_api.rules import OPS, Elementwise, General

RNG = np.random.default_rng(0)
A, B = RNG.uniform(0.5, 1.5, size=(2, 3)), RNG.uniform(0.5, 1.5, size=(3, 2))
Z = A + 1j * RNG.uniform(0.5, 1.5, size=(2, 3))


def leaf(x):
    return ad.tensor(x, requires_grad=True)


RIGHT = {
    "elementwise": (lambda x: ad.sin(x) * ad.exp(x), (A,)),
    "two inputs": (lambda x, y: x @ y, (A, B)),
    "broadcast": (lambda x, y: x / y, (A, A[0])),
    "several outputs": (lambda x, y: (ad.sum(x * y), ad.log(x), x - y), (A, A + 1)),
    "an output that does not require grad": (lambda x: (x**3, ad.ones(2)), (A,)),
    "an input not used": (lambda x, y: x**2, (A, B)),
    "a constant beside": (lambda x, k: x**k, (A, 3)),
    "scalar": (lambda x: ad.sum(x**2), (A,)),
    "0-d": (lambda x: ad.tanh(x), (np.asarray(0.3),)),
    "complex to complex": (lambda z: z * z * ad.conj(z), (Z,)),
    "complex to real": (lambda z: ad.abs(z), (Z,)),
    "real to complex": (lambda x: ad.exp(x * 1j), (A,)),
    "real and complex": (lambda x, z: ad.real(x * z) + x, (A, Z)),
    "transform": (lambda z: ad.fft.irfft(z, n=5), (Z,)),
    "views and assignment": (lambda x: ad.concat([x[0] * 2, x[:, 1]]), (A,)),
}
right = pytest.mark.parametrize(("func", "inputs"), RIGHT.values(), ids=RIGHT)


def tensors(inputs):
    return tuple(leaf(x) if isinstance(x, np.ndarray) else x for x in inputs)


@right
@pytest.mark.parametrize("fast_mode", [False, True])
def test_what_is_right_passes(backend, func, inputs, fast_mode):
    assert gradcheck(func, tensors(inputs), fast_mode=fast_mode, check_forward_ad=True, check_grad_dtypes=True)


@right
@pytest.mark.parametrize("fast_mode", [False, True])
def test_what_is_right_passes_twice(func, inputs, fast_mode):
    assert gradgradcheck(func, tensors(inputs), fast_mode=fast_mode, check_fwd_over_rev=True)


WRONG = {
    "half of it": (lambda x: x.detach() * x, (A,)),
    "nothing of it": (lambda x: x.detach() * 2, (A,)),
    "one of two outputs": (lambda x: (x, x.detach() ** 2 + x), (A,)),
    "beyond the edge": (lambda x: ad.sqrt(x), (np.zeros(1),)),
    "complex": (lambda z: z * z.detach(), (Z,)),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")
@pytest.mark.parametrize(("func", "inputs"), [*RIGHT.values(), *WRONG.values()], ids=[*RIGHT, *WRONG])
def test_pytorch_decides_the_same(func, inputs, torch):
    given = tuple(torch.tensor(x, requires_grad=True) if isinstance(x, np.ndarray) else x for x in inputs)
    theirs = type(func)(func.__code__, {**func.__globals__, "ad": torch})  # the package's words, in PyTorch
    for fast_mode in (False, True):
        wanted = torch.autograd.gradcheck(theirs, given, raise_exception=False, fast_mode=fast_mode)
        assert gradcheck(func, tensors(inputs), raise_exception=False, fast_mode=fast_mode) == wanted
    if (func, inputs) in RIGHT.values():
        assert torch.autograd.gradgradcheck(theirs, given)


def test_what_pytorch_does_not_try(backend):
    """No elements, and outputs that are no numbers one could subtract."""
    assert gradcheck(lambda x: x * 2, leaf(np.ones((0, 3))), check_forward_ad=True)
    assert gradcheck(lambda x: (x**3, x > 1), leaf(A), check_forward_ad=True)


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


# --- rules that lie ---


def lying(name, rule, backend="numpy"):
    """Give a namespace in which one op has a wrong rule."""
    xp = make_namespace(replace(ad.get_backend(backend), name="lying", register_array=None))
    xp._ops = {**xp._ops, name: replace(OPS[name], rule=rule)}
    return xp


def third(t, x, xp):
    """The derivative of sin, wrong by 0.5 in the third element."""
    slope = xp.cos(x) + xp.asarray([0.0, 0.0, 0.5], dtype=x.dtype)
    return t * slope


def error(*args, **kwargs):
    with pytest.raises(ad.GradcheckError) as caught:
        gradcheck(*args, **kwargs)
    assert isinstance(caught.value, RuntimeError)
    assert not gradcheck(*args, **kwargs, raise_exception=False)
    return str(caught.value)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_the_wrong_entry_is_named(fast_mode):
    xp = lying("sin", Elementwise(x=third))
    x, y = xp.asarray([0.1, 0.2, 0.3], requires_grad=True), xp.asarray([1.0, 2.0, 3.0], requires_grad=True)
    text = error(lambda x, y: (y * 2, xp.sin(x) * y), (x, y), fast_mode=fast_mode)
    assert text.startswith("Jacobian mismatch for output 1 with respect to input 0 in backward mode: 1 of 9 entries")
    (row,) = [line.split() for line in text.splitlines() if "/ d" in line]
    assert " ".join(row[:-3]) == "d output 1[2] / d input 0[2]"
    analytical, numerical, difference = map(float, row[-3:])
    assert numerical == pytest.approx(3 * np.cos(0.3), rel=1e-5)
    assert analytical == pytest.approx(3 * (np.cos(0.3) + 0.5), rel=1e-5)
    assert difference == pytest.approx(1.5, rel=1e-2)


def test_the_worst_entries_come_first_and_a_factor_is_seen():
    xp = lying("exp", Elementwise(x=lambda t, out: 2 * t * out))
    x = xp.asarray(np.arange(12.0).reshape(3, 4) / 4, requires_grad=True)
    text = error(xp.exp, x)
    assert "12 of 144 entries differ by more than 1e-05 + 0.001 * |numerical|" in text
    shown = [line for line in text.splitlines() if "/ d" in line]
    assert [line.split("/")[0].strip() for line in shown] == [
        "d output 0[2, 3]", "d output 0[2, 2]", "d output 0[2, 1]", "d output 0[2, 0]", "d output 0[1, 3]",
    ]  # fmt: skip
    assert "and 7 more" in text
    assert "each is 2 times the numerical one" in text


def test_complex_parts_are_named():
    xp = lying("exp", Elementwise(x=lambda t, out, xp: t * xp.conj(out)))
    z = xp.asarray([0.5, 0.5 + 1.0j], requires_grad=True)
    text = error(xp.exp, z)
    assert "4 of 16 entries" not in text  # the real element's parts are right up to the conjugate of a real number
    assert "d Re output 0[1] / d Im input 0[1]" in text and "d Im output 0[1] / d Re input 0[1]" in text
    assert "[0]" not in text.replace("output 0[", "").replace("input 0[", "")


def test_forward_mode_is_compared_too():
    def half(t, x, xp):
        return 0.5 * t * xp.cos(x)

    xp = lying("sin", General(vjp=lambda t, x, xp: t * xp.cos(x), jvp=half))
    x = xp.asarray([0.1, 0.2], requires_grad=True)
    import autodiff_api.duals as duals

    over = duals.namespace_over
    sines = lambda x: x.__array_namespace__().sin(x)  # noqa: E731
    assert gradcheck(sines, x)
    with pytest.MonkeyPatch.context() as patch:

        def lying_too(backend):
            made = over(backend)
            made._ops = {**made._ops, "sin": xp._ops["sin"]}
            return made

        patch.setattr("autodiff_api.jacobians.namespace_over", lying_too)
        text = error(sines, x, check_forward_ad=True)
        assert "in forward mode: 2 of 4 entries" in text
        assert "each is 0.5 times the numerical one" in text
        assert "in forward mode" in error(sines, x, check_forward_ad=True, check_backward_ad=False, fast_mode=True)


def test_second_order_is_compared():
    """The first derivative is right, but says nothing of its own."""

    def frozen(t, x, xp):
        return t * xp.cos(x.detach() if hasattr(x, "detach") else x)

    xp = lying("sin", Elementwise(x=frozen))
    x = xp.asarray([0.1, 0.2], requires_grad=True)
    assert gradcheck(xp.sin, x)
    with pytest.raises(ad.GradcheckError, match="output 0 with respect to input 0 in backward mode: 2 of 4"):
        gradgradcheck(xp.sin, x)
    assert not gradgradcheck(xp.sin, x, raise_exception=False)


def test_a_forgotten_gradient_is_seen():
    x = leaf(A)
    text = error(lambda x: x.detach() * 2, x)
    assert "Numerical gradient for function expected to be zero: output 0" in text
    assert gradcheck(lambda x: ad.sign(x.detach()), x)
    text = error(lambda x: x.detach() * x, x)
    assert "each is 0.5 times the numerical one" in text


# --- what is not a matter of values ---


def test_what_is_random_is_seen():
    rng = np.random.default_rng(3)
    assert "output 0 of the function is not deterministic" in error(lambda x: x + float(rng.uniform()), leaf(A))
    assert gradcheck(lambda x: x + 1e-12 * float(rng.uniform()), leaf(A), nondet_tol=1e-11)


def test_a_random_backward_is_seen():
    rng = np.random.default_rng(3)
    xp = lying("sin", Elementwise(x=lambda t, x, xp: t * xp.cos(x) * (1 + 1e-8 * float(rng.uniform()))))
    x = xp.asarray([0.1, 0.2], requires_grad=True)
    assert "Backward is not reentrant: the gradient of input 0 is not deterministic" in error(xp.sin, x)
    assert gradcheck(xp.sin, x, nondet_tol=1e-7)


def test_a_backward_that_forgets_its_cotangent_is_seen():
    xp = lying("sin", Elementwise(x=lambda t, x, xp: xp.where(t == 0, 1e-30, t * xp.cos(x))))
    x = xp.asarray([0.1], requires_grad=True)
    assert "backward not multiplied by grad_output" in error(xp.sin, x)


def test_single_precision_warns():
    x = ad.tensor([1.0], dtype=ad.float32, requires_grad=True)
    with pytest.warns(UserWarning, match="Input #1 requires gradient and is not a double precision"):
        gradcheck(lambda a, x: x * 2, (leaf([1.0]), x), eps=1e-2, atol=1e-3)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(lambda x: x, ad.ones(2))
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradgradcheck(lambda x: x, ad.ones(2))
    with pytest.raises(ad.ArgumentError, match="at least one of check_forward_ad and check_backward_ad"):
        gradcheck(lambda x: x, leaf(A), check_backward_ad=False)
    with pytest.raises(ad.ArgumentError, match="at least one of check_fwd_over_rev and check_rev_over_rev"):
        gradgradcheck(lambda x: x, leaf(A), check_rev_over_rev=False)
    with pytest.raises(ad.ArgumentError, match="masked=True is about sparse tensors"):
        gradcheck(lambda x: x, leaf(A), masked=True)
    with pytest.raises(ad.ArgumentError, match="check_batched_forward_grad=True asks for check_forward_ad=True"):
        gradcheck(lambda x: x, leaf(A), check_batched_forward_grad=True)
    with pytest.raises(ad.ArgumentError, match="1 outputs require grad, got 2 grad_outputs"):
        gradgradcheck(lambda x: x, leaf(A), (leaf(A), leaf(A)))
    with pytest.raises(ad.GradcheckError, match="output 0 of the function is no tensor but a float"):
        gradcheck(lambda x: 2.0, leaf(A))


def test_a_function_may_hold_its_namespace():
    xp = ad.namespace("numpy")
    assert gradcheck(lambda x: xp.sin(x) * x + xp.zeros_like(x), leaf(A), check_forward_ad=True)


def test_batched_gradients(backend):
    def f(x, y):
        return ad.linalg.solve(x @ x.mT + ad.eye(2), y), ad.where(x > 0.1, x, y) ** 2, x.detach()

    x = leaf([[0.5, -1.0], [2.0, 0.25]])
    both = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": True}
    assert gradcheck(f, (x, leaf([[1.0, 2.0], [0.3, -0.7]])), **both)
    assert gradcheck(lambda z: (ad.real(z * z), ad.sum(z * ad.conj(z))), leaf([1.0 + 2.0j, 0.5 - 1.0j]), **both)
    assert gradgradcheck(lambda x: ad.sum(x @ x) + x**3, x, check_batched_grad=True)


def test_a_backward_that_needs_values_is_not_batched():
    class Clipped(ad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            return g * 2.0 if g.sum().item() < 100.0 else g

    assert gradcheck(Clipped.apply, leaf(A))
    with pytest.raises(ad.GradcheckError, match="batched gradients of output 0: "):
        gradcheck(Clipped.apply, leaf(A), check_batched_grad=True)
    assert not gradcheck(Clipped.apply, leaf(A), check_batched_grad=True, raise_exception=False)


def test_batched_gradients_that_are_others(monkeypatch):
    right = Study.pulled_at_once
    monkeypatch.setattr(Study, "pulled_at_once", lambda *a: {j: g * 1.01 for j, g in right(*a).items()})
    with pytest.raises(ad.GradcheckError, match="gradients of output 0: the gradients of input 0 by one pass for many"):
        gradcheck(lambda x: x**2, leaf(A), check_batched_grad=True)
    ahead = Study.pushed_at_once
    monkeypatch.setattr(Study, "pushed_at_once", lambda *a: {i: t * 1.01 for i, t in ahead(*a).items()})
    with pytest.raises(ad.GradcheckError, match="tangents of input 0: the tangents of output 0 by one pass for many"):
        gradcheck(lambda x: x**2, leaf(A), check_forward_ad=True, check_batched_forward_grad=True)


def test_a_forward_that_needs_values_is_not_batched():
    @ad.custom_jvp
    def clipped(x):
        return x * 2.0

    @clipped.defjvp
    def clipped_jvp(primals, tangents):
        (t,) = tangents
        return clipped(*primals), t * 2.0 if t.sum().item() < 100.0 else t

    with pytest.raises(ad.GradcheckError, match="batched tangents of input 0: "):
        gradcheck(clipped, leaf(A), check_forward_ad=True, check_batched_forward_grad=True)


def test_cotangents_may_be_given_and_have_gaps(backend):
    x = leaf(A)
    assert gradgradcheck(lambda x: x**3, x, leaf(A + 1))
    assert gradgradcheck(lambda x: x**3, x, gen_non_contig_grad_outputs=True)


def test_signatures_are_pytorchs(torch):
    import inspect

    for ours in (gradcheck, gradgradcheck):
        theirs = inspect.signature(getattr(torch.autograd, ours.__name__)).parameters
        mine = inspect.signature(ours).parameters
        assert list(mine) == list(theirs)
        assert [p.default for p in mine.values()] == [p.default for p in theirs.values()]
        assert [p.kind for p in mine.values()] == [p.kind for p in theirs.values()]
