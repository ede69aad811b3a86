"""`detect_anomaly`: a nan in the pass backward is traced to the operation, its line, and where its zeros came from."""

from __future__ import annotations

import re

import numpy as np
import pytest

import autodiff_api as ad

autograd = ad.autograd
NAN = "returned nan values in its 0th output"


def leaf(values=(0.0, 4.0)):
    return ad.tensor(list(values), requires_grad=True)


def trap(x):
    root = ad.sqrt(x)  # the line of the root
    return ad.where(x > 0, root, 0.0)  # the line of the where


def fails(call, *words):
    """Check that a call raises AnomalyError, a RuntimeError, with these words in this order; return the text."""
    with pytest.raises(RuntimeError, match=NAN) as caught:
        call()
    assert isinstance(caught.value, ad.AnomalyError)
    text = str(caught.value)
    at = 0
    for word in words:
        assert word in text[at:], f"{word!r} is not in\n{text[at:]}"
        at = text.index(word, at) + len(word)
    return text


def both(x):
    with autograd.detect_anomaly():
        ad.sum(trap(x)).backward()


def test_it_names_the_operation_and_the_line(backend):
    x = leaf()
    fails(
        lambda: both(x),
        "Function 'Sqrt' returned nan values in its 0th output. It was recorded at\n",
        f'File "{__file__}", line ',
        ", in trap\n    root = ad.sqrt(x)  # the line of the root\n",
        "exactly zero there, and 0 * inf is nan. The zeros come from 'Where', recorded at",
        "# the line of the where",
        "where(m, sqrt(where(m, x, 1)), 0)",
        "autograd.zero_safe()",
    )
    assert x.grad is None
    with pytest.raises(ad.AnomalyError):
        both(x)  # and nothing was lost: the mode is left, and entered again
    ad.sum(trap(x)).backward()
    assert np.isnan(np.asarray(x.grad)[0])


def test_the_words_are_pytorchs():
    torch = pytest.importorskip("torch")

    def theirs():
        with torch.autograd.set_detect_anomaly(True):
            x = torch.tensor([0.0, 4.0], requires_grad=True)
            torch.where(x > 0, x.sqrt(), 0.0).sum().backward()

    texts = []
    for call in (theirs, lambda: both(leaf())):
        with pytest.raises(RuntimeError) as caught, pytest.warns() if call is theirs else no_warning():
            call()
        texts.append(re.search("returned nan values in its .th output[.]", str(caught.value)).group())
    assert texts[0] == texts[1]


class no_warning:
    def __enter__(self):
        pass

    def __exit__(self, *error):
        pass


def test_without_the_forward_pass_it_says_so():
    y = ad.sum(trap(leaf()))

    def back():
        with autograd.detect_anomaly():
            y.backward()

    fails(back, "Function 'Sqrt'", "enable detect_anomaly during the forward pass", "The zeros come from 'Where'. Give")


def test_without_the_pass_nothing_is_looked_at():
    with autograd.detect_anomaly():
        y = ad.sum(trap(leaf()))
    y.backward()


def test_check_nan_false():
    with autograd.detect_anomaly(check_nan=False):
        ad.sum(trap(leaf())).backward()
        assert autograd.is_anomaly_enabled() and not autograd.is_anomaly_check_nan_enabled()


def test_which_output():
    x, y = leaf([1.0]), leaf([0.0])

    def call():
        with autograd.detect_anomaly():
            ad.sum(ad.where(y > 0, x / y, 0.0) + ad.where(y > 0, y**x, 0.0)).backward()

    with (
        np.errstate(all="ignore"),
        pytest.raises(ad.AnomalyError, match="'Divide' returned nan values in its 1th output"),
    ):
        z = ad.where(y > 0, x.detach() / y, 0.0)
        with autograd.detect_anomaly():
            z.sum().backward()
    with (
        np.errstate(all="ignore"),
        pytest.raises(ad.AnomalyError, match="'Divide' returned nan values in its 0th output"),
    ):
        call()


ORIGINS = {
    "where": (lambda x: ad.where(x > 0, ad.sqrt(x), 0.0), "'Where'"),
    "clip": (lambda x: ad.clip(ad.sqrt(x), 1.0, 5.0), "'Clip'"),
    "maximum": (lambda x: ad.maximum(ad.sqrt(x), 1.0), "'Maximum'"),
    "a mask as a factor": (lambda x: ad.sqrt(x) * ad.asarray([0.0, 1.0]), "'Multiply'"),
    "an index": (lambda x: ad.sqrt(x)[1:], "'Getitem'"),
    "an assignment": (lambda x: zeroed(ad.sqrt(x)), "'Setitem'"),
    "farther away": (lambda x: ad.where(x > 0, 3.0 * ad.reshape(ad.sqrt(x), (1, 2)), 0.0), "'Where'"),
}


def zeroed(x):
    x[0] = 0.0
    return x


@pytest.mark.parametrize("name", ORIGINS)
def test_where_the_zeros_come_from(name, backend):
    program, origin = ORIGINS[name]

    def call():
        with autograd.detect_anomaly():
            ad.sum(program(leaf())).backward()

    fails(call, "Function 'Sqrt'", f"The zeros come from {origin}, recorded at", "test_anomaly.py")


def test_zeros_that_the_caller_gave_come_from_nowhere():
    y = ad.sqrt(leaf())

    def call():
        with autograd.detect_anomaly():
            y.backward(ad.tensor([0.0, 1.0]))

    assert "The zeros come from" not in fails(call, "is exactly zero there")


def test_a_nan_that_came_is_not_explained_away():
    y = ad.exp(leaf())

    def call():
        with autograd.detect_anomaly():
            y.backward(ad.tensor([np.nan, 1.0]))

    text = fails(call, "Function 'Exp'", "The gradient that came to it was nan already.")
    assert "zero" not in text


def test_an_infinite_gradient_is_told():
    x = leaf([0.0])

    def call():
        with autograd.detect_anomaly():
            ad.sum(ad.sqrt(x * x)).backward()  # inf * 0

    fails(call, "Function 'Multiply'", "The gradient that came to it is infinite.")


def test_a_nan_made_by_summing_over_what_was_broadcast():
    x = leaf([1.0])

    def call():
        with autograd.detect_anomaly():
            (x * ad.asarray([np.inf, -np.inf])).backward(ad.tensor([1.0, 1.0]))

    with np.errstate(all="ignore"):
        fails(call, "Function 'Multiply'")


# --- in nested transformations and recorded passes ---

NESTED = {
    "grad": lambda f, x: ad.grad(f)(x),
    "value_and_grad": lambda f, x: ad.value_and_grad(f)(x),
    "vjp": lambda f, x: ad.vjp(f, x)[1](ad.asarray(1.0)),
    "jacrev": lambda f, x: ad.jacrev(f)(x),
    "hessian": lambda f, x: ad.hessian(f)(x),
    "vmap of grad": lambda f, x: ad.vmap(ad.grad(f))(ad.stack([x, x + 1])),
    "jvp of grad": lambda f, x: ad.jvp(ad.grad(f), (x,), (x,)),
    "grad of grad": lambda f, x: ad.grad(lambda x: ad.sum(ad.grad(f)(x)))(x),
    "checkpoint": lambda f, x: ad.grad(ad.checkpoint(f))(x),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_transformations(name, backend):
    def call():
        with autograd.detect_anomaly():
            NESTED[name](lambda x: ad.sum(trap(x)), ad.tensor([0.0, 4.0]))

    fails(call, "# the line of the root", "'Where'", "# the line of the where")


def test_operations_with_several_outputs(backend):
    def call(entry):
        a = ad.tensor([[1.0, entry], [entry, 1.0]], requires_grad=True)
        with autograd.detect_anomaly():
            values, vectors = ad.linalg.eigh(a)  # the line of the matrix
            (ad.sum(values) + vectors[0, 1]).backward()
        return a.grad

    assert call(0.5).shape == (2, 2)
    fails(lambda: call(0.0), "Function 'LinalgEigh'", "# the line of the matrix")


def test_a_loop_in_one_node():
    def work(c):
        return ad.scan(lambda c, x: (ad.where(x > 5, ad.sqrt(c - 1.0), 1.0 * x), None), c, ad.ones(3))[0]

    def call():
        with autograd.detect_anomaly():
            ad.grad(work)(ad.tensor(1.0))

    fails(call, "Function 'Sqrt'", "lambda c, x", "The zeros come from 'Where'", "as part of the derivative of 'Scan'")


def test_a_nan_of_the_second_derivative(backend):
    """The nan arises in the derivative of a derivative: both lines are shown."""

    def call():
        x = leaf()
        with autograd.detect_anomaly():
            y = ad.sum(x**1.5)  # the line of the power
            (g,) = autograd.grad(y, x, create_graph=True)  # the line of the first pass
            autograd.grad(ad.sum(ad.where(x > 0, g, 0.0)), x)

    fails(
        call,
        "# the line of the first pass",
        "as part of the derivative of 'Pow', recorded at",
        "# the line of the power",
    )


def test_an_error_in_the_pass_is_told_the_line():
    class Fails(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught, autograd.detect_anomaly():
        Fails.apply(leaf()).sum().backward()  # the line of the function
    (note,) = caught.value.__notes__
    assert "# the line of the function" in note and "Fails" in note


def test_a_compiled_function_has_no_values_to_look_at():
    jax = pytest.importorskip("jax")
    xp = ad.namespace("jax")

    @jax.jit
    def step(x):
        with autograd.detect_anomaly():
            xp.sum(xp.exp(x)).backward()
        return x.grad

    x = xp.asarray([1.0], requires_grad=True)
    with pytest.raises(ad.AnomalyError, match="call it without the compiler, or with check_nan=False"):
        step(x)
    with jax.disable_jit():
        assert step(x).shape == (1,)


# --- the mode ---


@pytest.mark.parametrize("library", ["ours", "torch"])
def test_switching(library):
    g = autograd if library == "ours" else pytest.importorskip("torch").autograd
    on = g.is_anomaly_enabled if library == "ours" else pytest.importorskip("torch").is_anomaly_enabled
    assert not on()
    g.set_detect_anomaly(True)
    assert on()
    g.set_detect_anomaly(False)
    assert not on()
    with g.set_detect_anomaly(True):
        assert on()
        with g.set_detect_anomaly(False):
            assert not on()
        assert on()
    assert not on()


def test_as_a_decorator():
    @autograd.detect_anomaly()
    def work():
        ad.sum(trap(leaf())).backward()

    for _ in range(2):
        with pytest.raises(ad.AnomalyError):
            work()
    assert not autograd.is_anomaly_enabled()


def test_the_places_are_in_the_metadata():
    with autograd.detect_anomaly():
        y = trap(leaf())
    place = y.grad_fn.metadata["traceback_"][-1]
    assert place.function == "trap" and place.file == __file__ and "# the line of the where" in str(place)
