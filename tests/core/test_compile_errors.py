"""`compile`: what depends on values is an error that names the line and the remedies, never a program in silence."""

from __future__ import annotations

import linecache
import re

import numpy as np
import pytest

import autodiff_api as ad


def branch(x):
    if x.sum() > 0:  # the line
        return x
    return -x


def loop(x):
    while ad.max(x) < 10:  # the line
        x = x * 2
    return x


def as_float(x):
    return x * float(x[0])  # the line


def as_int(x):
    return ad.zeros(int(x[0]))  # the line


def as_bool(x):
    return x if bool(ad.any(x > 0)) else -x  # the line


def as_complex(x):
    return x * complex(x[0])  # the line


def item(x):
    return x * x[0].item()  # the line


def tolist(x):
    return ad.asarray(x.tolist())  # the line


def by_numpy(x):
    return ad.asarray(np.sin(x.detach().numpy()))  # the line


def asarray(x):
    return ad.asarray(np.asarray(x.detach()))  # the line


def mask_index(x):
    return x[x > 0]  # the line


def mask_write(x):
    return x + len(x[x != 1.0])  # the line


def nonzero(x):
    return ad.nonzero(x)[0]  # the line


def unique(x):
    return ad.unique_values(x)  # the line


def counted(x):
    return sum(x for _ in range(ad.astype(x[0], ad.int64)))  # the line


def repeated(x):
    return ad.repeat(x, ad.astype(x, ad.int64))  # the line


def assertion(x):
    assert ad.all(x > -100)  # the line
    return x


def both(x):
    return x if x[0] > 0 and x[1] > 0 else -x  # the line


def contained(x):
    return x if 3.0 in x else -x  # the line


def deeper(x):
    return branch(x) * 2  # called here


def in_gradient(x):
    return ad.grad(lambda y: ad.sum(y * y) if y[0] > 0 else ad.sum(y))(x)  # the line


def in_backward(x):
    y = x.detach().requires_grad_()
    (y * y).sum().backward()
    return y if y.grad[0] > 0 else -y  # the line


def in_vmap(x):
    return ad.vmap(lambda y: y if y > 0 else -y)(x)  # the line


VALUES = (
    branch, loop, as_float, as_int, as_bool, as_complex, item, tolist, by_numpy, asarray, mask_index, mask_write,
    nonzero, unique, counted, repeated, assertion, both, contained, in_gradient, in_backward,
)  # fmt: skip


def line_of(function):
    """Return the number of the line of a function that has the mark."""
    code = function.__code__
    first = code.co_firstlineno
    return next(n for n in range(first, first + 9) if "# the line" in linecache.getline(code.co_filename, n))


@pytest.mark.parametrize("function", VALUES, ids=lambda f: f.__name__)
def test_what_depends_on_values_names_the_line_and_the_remedies(backend, function):
    program = ad.compile(function)
    x = ad.asarray([1.0, 3.0])
    with pytest.raises(ad.CompileError) as caught:
        program(x)
    text = str(caught.value)
    assert re.search(rf"{re.escape(__file__)}\D+{line_of(function)}\b", text), text
    assert "Remedies" in text
    assert "static_argnums" in text
    assert "where" in text or "compute with arrays" in text or "repeats" in text or "sort" in text
    with pytest.raises(ad.CompileError):  # nor does it work the second time
        program(x)


def test_the_innermost_line_of_the_user_s_is_named(backend):
    with pytest.raises(ad.CompileError) as caught:
        ad.compile(deeper)(ad.asarray([1.0]))
    assert re.search(rf"\D{line_of(branch)}\b", str(caught.value))


def test_the_error_is_one_that_a_pytorch_user_catches(backend):
    with pytest.raises(RuntimeError):
        ad.compile(branch)(ad.asarray([1.0]))
    with pytest.raises(ad.AutodiffError):
        ad.compile(branch)(ad.asarray([1.0]))


@pytest.mark.parametrize("function", [branch, item, mask_index, nonzero], ids=lambda f: f.__name__)
def test_raw_arrays_are_no_way_around(backend, function):
    with pytest.raises(ad.CompileError):
        ad.compile(lambda x: function(ad.asarray(x)))(ad.asarray([1.0])._value)


@pytest.mark.parametrize(
    "use", [lambda n: n > 1, int, float, range, lambda n: [0] * n], ids=["if", "int", "float", "range", "list"]
)
def test_a_python_number_that_a_branch_depends_on(backend, use):
    """It is an argument like an array: its value is not known, unless it is static."""

    def f(x, n):
        return x * 2.0 if use(n) else x

    with pytest.raises(ad.CompileError, match="static_argnums"):
        ad.compile(f)(ad.ones(1), 3)
    assert ad.compile(f, static_argnums=1)(ad.ones(1), 3).item() == 2.0


def test_a_number_as_a_shape(backend):
    with pytest.raises(ad.CompileError, match="static_argnums"):
        ad.compile(lambda n: ad.zeros(n))(3)
    with pytest.raises(ad.CompileError, match="static_argnums"):
        ad.compile(lambda x, n: ad.reshape(x, (n, -1)))(ad.ones(6), 3)
    with pytest.raises(ad.CompileError, match="static_argnums"):
        ad.compile(lambda x, n: ad.sum(x, axis=n))(ad.ones((2, 3)), 1)


def test_what_does_not_depend_on_arguments_may_be_looked_at(backend):
    weights = ad.asarray([1.0, -2.0])

    @ad.compile
    def f(x):
        if weights[0] > 0 and float(weights.sum()) < 0 and x.shape[0] == 2 and len(x) == 2 and x.ndim == 1:
            return x * weights[weights > 0].item()
        return x * 100.0

    if backend == "jax":  # where what is computed of a constant is left to the engine
        with pytest.raises(ad.CompileError):
            f(ad.asarray([3.0, 4.0]))
        return
    for _ in range(2):
        assert f(ad.asarray([3.0, 4.0])).tolist() == [3.0, 4.0]


def test_the_remedies_are_remedies(backend):
    program = ad.compile(lambda x: ad.where(x.sum() > 0, x, -x))
    assert program(ad.asarray([1.0, -3.0])).tolist() == [-1.0, 3.0]
    assert program(ad.asarray([4.0, -3.0])).tolist() == [4.0, -3.0]
    program = ad.compile(lambda x: ad.cond(x.sum() > 0, lambda y: y * 2, lambda y: -y, x))
    assert program(ad.asarray([1.0, -3.0])).tolist() == [-1.0, 3.0]
    assert program(ad.asarray([4.0, -3.0])).tolist() == [8.0, -6.0]


def test_printing_while_tracing_is_no_error(backend, capsys):
    program = ad.compile(lambda x: (print(x, repr(x * 2)), x)[1])
    assert program(ad.ones(1)).item() == 1.0
    assert capsys.readouterr().out


@pytest.mark.parametrize("function", [branch, in_gradient], ids=lambda f: f.__name__)
def test_after_an_error_all_is_as_before(backend, function):
    """No tracing goes on, and other programs are made and run."""
    program = ad.compile(function)
    with pytest.raises(ad.CompileError):
        program(ad.ones(2))
    x = ad.asarray([2.0], requires_grad=True)
    assert (x * x).item() == 4.0
    (x * x).sum().backward()
    assert x.grad.item() == 4.0
    assert ad.compile(lambda x: x + 1)(ad.ones(1)).item() == 2.0


def test_errors_of_the_function_come_out_as_they_are(backend):
    class Mine(Exception):
        pass

    @ad.compile
    def f(x, wrong):
        if wrong == "mine":
            raise Mine("here")
        if wrong == "shape":
            return x @ ad.ones((7, 7))
        return x

    x = ad.ones((2, 3))
    with pytest.raises(Mine, match="here"):
        f(x, "mine")
    with pytest.raises(ad.ShapeError):
        f(x, "shape")
    assert f(x, "none").shape == (2, 3)
    with pytest.raises(Mine, match="here"):
        f(x, "mine")


def test_a_captured_parameter_is_refused(backend):
    """What is captured is a constant: gradients would be lost, and later values not seen."""
    layer = ad.nn.Linear(2, 1)
    with pytest.raises(ad.CompileError, match="state"):
        ad.compile(lambda x: layer(x))(ad.ones((1, 2)))
    w = ad.asarray([1.0, 2.0], requires_grad=True)
    with pytest.raises(ad.CompileError, match="state"):
        ad.compile(lambda x: w * x)(ad.ones(2))


def test_what_state_may_hold(backend):
    with pytest.raises(ad.ArgumentTypeError, match="list"):
        ad.compile(lambda: None, state=["text"])
    x = ad.asarray([1.0], requires_grad=True)
    with pytest.raises(ad.ArgumentTypeError, match="computed from"):
        ad.compile(lambda: None, state=x * 2)


def test_an_unknown_engine_is_named():
    with pytest.raises(ad.BackendNotFoundError, match="nowhere"):
        ad.compile(lambda x: x, engine="nowhere")


def test_source_before_a_call_and_of_an_engine_that_compiles_itself(backend):
    program = ad.compile(lambda x: x * 2)
    with pytest.raises(ad.CompileError, match="not called yet"):
        program.source()
    if backend == "numpy":
        assert "multiply" in program.source(ad.ones(3))
        assert "multiply" in program.source()
    else:
        program(ad.ones(3))
        with pytest.raises(ad.CompileError, match="itself"):
            program.source()
