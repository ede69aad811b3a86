"""`vmap` beside PyTorch's and JAX's: which axes go in and come out, what is refused; chunks, trees, keywords."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.errors import ArgumentError, ArgumentTypeError, AxisError, BatchingError, TreeError

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

A = np.arange(24.0).reshape(2, 3, 4) / 7
B = np.cos(A)
C = np.sin(np.arange(4.0))


class Pair(NamedTuple):
    left: object
    right: object


def ours(function, *args, **options):
    """Map with this library, raw arrays in and out."""
    found = ad.vmap(function, **options)(*args)
    assert all(isinstance(x, np.ndarray | np.generic) for x in leaves(found))
    return leaves(found)


def tensors(function, *args, **options):
    """Map with this library, tensors in and out."""
    found = ad.vmap(function, **options)(*each(ad.asarray, args))
    assert all(isinstance(x, ad.Tensor) for x in leaves(found))
    return [x.numpy() for x in leaves(found)]


def torchs(function, *args, **options):
    found = torch.func.vmap(function, **options)(*each(torch.asarray, args))
    return [x.numpy() for x in leaves(found)]


def jaxs(function, *args, **options):
    options = {name.replace("dims", "axes"): value for name, value in options.items() if name != "chunk_size"}
    with jax.enable_x64(True):
        found = jax.vmap(function, **options)(*each(jax.numpy.asarray, args))
        return [np.asarray(x) for x in leaves(found)]


def each(function, x):
    """Apply a function to the arrays of a tree."""
    return ad.trees.tree_map(lambda leaf: function(leaf) if isinstance(leaf, np.ndarray) else leaf, x)


def leaves(x):
    return ad.trees.flatten(x)[0]


# name: (function, arguments, options); PyTorch takes trees of dicts, lists and tuples
CASES = {
    "one argument": (lambda a: a.sum(), (A,), {}),
    "its second axis": (lambda a: a.sum(0), (A,), {"in_dims": 1}),
    "its last axis": (lambda a: a @ a.T, (A,), {"in_dims": -1}),
    "in a tuple": (lambda a: a[0] * 2, (A,), {"in_dims": (2,)}),
    "two arguments": (lambda a, b: a * b, (A, B), {}),
    "by different axes": (lambda a, b: a[0] + b[1], (A, B.transpose(1, 0, 2)), {"in_dims": (0, 1)}),
    "one of them shared": (lambda a, c: a @ c, (A, C), {"in_dims": (0, None)}),
    "the other shared": (lambda c, a: a @ c, (C, A), {"in_dims": (None, 0)}),
    "a number shared": (lambda a, n: a**n, (A, 2), {"in_dims": (0, None)}),
    "a tree": (lambda d: d["a"] * d["b"][0] + d["b"][1], ({"a": A, "b": [B, C[:2]]},), {}),
    "a tree, the axis of each": (
        lambda d: d["a"] @ d["b"][0],
        ({"a": A, "b": [C]},),
        {"in_dims": ({"a": 0, "b": [None]},)},
    ),
    "a tree beside an array": (lambda d, a: d[0] + a, ([B, A], A), {"in_dims": ([0, 0], 0)}),
    "the result's second axis": (lambda a: a * 2, (A,), {"out_dims": 1}),
    "the result's last axis": (lambda a: a * 2, (A,), {"out_dims": -1}),
    "a result with one axis": (lambda a: a.sum(), (A,), {"out_dims": -1}),
    "several results": (lambda a: (a, a.sum(0), a[0]), (A,), {}),
    "several results, one axis": (lambda a: (a, a.sum(0)), (A,), {"out_dims": 1}),
    "several results, an axis each": (lambda a: (a, a.sum(0)), (A,), {"out_dims": (2, 1)}),
    "axes in and out": (lambda a, b: (a + b, a), (A, B), {"in_dims": (1, 1), "out_dims": (1, 2)}),
    "what does not depend": (lambda a, c: c * 2, (A, C), {"in_dims": (0, None)}),
    "chunks": (lambda a: a.sum(-1), (A,), {"in_dims": 1, "chunk_size": 2}),
    "chunks of one": (lambda a: a.sum(-1), (A,), {"in_dims": 2, "chunk_size": 1, "out_dims": 1}),
    "a chunk for all": (lambda a: a.sum(-1), (A,), {"chunk_size": 100}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("found", [ours, tensors])
@pytest.mark.parametrize("wanted", [torchs, jaxs])
def test_it_is_theirs(case, found, wanted):
    function, args, options = CASES[case]
    for x, y in zip(found(function, *args, **options), wanted(function, *args, **options), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=1e-14)


def test_what_is_given_by_keyword_is_shared():
    """As in PyTorch: options and numbers may be given so. JAX would map over it."""

    def function(a, *, b, n=1, flag=False):
        return (a + b) ** n if flag else a

    wanted = torch.func.vmap(function)(torch.asarray(A), b=torch.asarray(B), n=2, flag=True)
    np.testing.assert_array_equal(ad.vmap(function)(A, b=B, n=2, flag=True), wanted.numpy())
    np.testing.assert_array_equal(ad.vmap(function, chunk_size=1)(A, b=B, n=2, flag=True), wanted.numpy())


def test_trees_that_pytorch_does_not_know_go_through():
    found = ad.vmap(lambda p, n: Pair(p.left * 2, {"sum": p.right.sum(), "none": n}), (Pair(0, 1), None))(
        Pair(A, A.transpose(1, 0, 2)), None
    )
    assert isinstance(found, Pair) and found.right["none"] is None
    np.testing.assert_array_equal(found.left, 2 * A)
    np.testing.assert_allclose(found.right["sum"], A.sum((1, 2)))


def test_a_result_that_all_share_may_come_without_an_axis():
    found = ad.vmap(lambda a, c: (a * 1, c * 2), (0, None), (0, None))(A, C)
    np.testing.assert_array_equal(found[1], 2 * C)
    with jax.enable_x64(True):
        wanted = jax.vmap(lambda a, c: (a * 1, c * 2), (0, None), (0, None))(A, C)
    np.testing.assert_array_equal(found[1], np.asarray(wanted[1]))


def test_numbers_and_arrays_from_outside_are_results_too():
    """As in JAX; PyTorch wants tensors."""
    found = ad.vmap(lambda a: (1.5, C))(A)
    assert found[0].tolist() == [1.5, 1.5]
    np.testing.assert_array_equal(found[1], np.stack([C, C]))


def test_nothing_to_map_over_is_still_mapped():
    """A function of shapes alone runs once, on arrays of which there are none."""
    for options in ({}, {"chunk_size": 2}):
        assert ad.vmap(lambda a: a.sum(0), **options)(A[:0]).shape == (0, 4)
    assert jaxs(lambda a: a.sum(0), A[:0])[0].shape == (0, 4)


def test_a_mapped_function_keeps_its_name():
    def network(x):
        """Compute."""
        return x

    assert (ad.vmap(network).__name__, ad.vmap(network).__doc__) == ("network", "Compute.")


# --- what is refused; PyTorch's exception is caught by the same `except` ---

REFUSED = {
    "no array is mapped": (lambda a: a, (A,), {"in_dims": None}, BatchingError, "in_dims is None for every argument"),
    "a number is mapped": (lambda a, n: a * n, (A, 2.0), {}, BatchingError, "argument 1 is float"),
    "a 0-d array is mapped": (lambda a: a, (np.asarray(1.0),), {}, BatchingError, r"argument 0 has shape \(\)"),
    "no such axis": (lambda a: a, (A,), {"in_dims": 3}, AxisError, r"in_dims for argument 0: axis=3 .* \(2, 3, 4\)"),
    "no such axis from the end": (lambda a: a, (A,), {"in_dims": -4}, AxisError, "axis=-4"),
    "sizes": (lambda a, b: a, (A, B[:1]), {}, BatchingError, "2 in argument 0, 1 in argument 1"),
    "sizes in a tree": (lambda d: d["a"], ({"a": A, "b": B[:1]},), {}, BatchingError, r"1 in argument 0\['b'\]"),
    "too many in_dims": (lambda a: a, (A,), {"in_dims": (0, 0)}, TreeError, r"in_dims: \(0, 0\) does not fit"),
    "too few in_dims": (lambda a, b: a, (A, B), {"in_dims": (0,)}, TreeError, "in_dims"),
    "in_dims of another tree": (lambda d: d["a"], ({"a": A},), {"in_dims": ({"b": 0},)}, TreeError, "in_dims"),
    "in_dims that are no axis": (lambda a: a, (A,), {"in_dims": 0.5}, TreeError, "0.5"),
    "no such axis to come out": (lambda a: a, (A,), {"out_dims": 3}, AxisError, "out_dims: axis=3"),
    "too many out_dims": (lambda a: (a, a), (A,), {"out_dims": (0, 0, 0)}, TreeError, "out_dims"),
    "what differs without an axis": (
        lambda a: a,
        (A,),
        {"out_dims": None},
        BatchingError,
        "out_dims is None .* differs",
    ),
    "a branch": (lambda a: a if a.sum() > 0 else -a, (A,), {}, BatchingError, "where"),
    "an item": (lambda a: a[0, 0].item() * a, (A,), {}, BatchingError, "outside vmap"),
    "chunks of nothing": (lambda a: a, (A,), {"chunk_size": 0}, ArgumentError, "chunk_size=0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    function, args, options, kind, words = REFUSED[case]
    with pytest.raises(Exception) as theirs:  # whichever they raise
        torchs(function, *args, **options)
    with pytest.raises(kind, match=words):
        ours(function, *args, **options)
    assert issubclass(kind, type(theirs.value)), type(theirs.value)


def test_a_function_of_nothing_is_refused():
    with pytest.raises(BatchingError, match="map over one axis at least"):
        ad.vmap(lambda: 1.0)()


def test_a_result_that_is_no_array_is_refused():
    with pytest.raises(ArgumentTypeError, match=r"the function's output\[1\]: expected an array or a number, got str"):
        ad.vmap(lambda a: (a, "text"))(A)


# --- with derivatives ---


def network(w, x):
    return (ad.tanh(x @ w[0]) @ w[1]).sum()


def test_per_sample_gradients_are_pytorchs():
    w, x = (A[0][:, :2].copy(), B[0][:2, :3].copy()), np.cos(np.arange(15.0)).reshape(5, 3)
    found = ad.vmap(ad.grad(network), (None, 0))(w, x)

    def theirs(w, x):
        return (torch.tanh(x @ w[0]) @ w[1]).sum()

    given = tuple(map(torch.asarray, w)), torch.asarray(x)
    wanted = torch.func.vmap(torch.func.grad(theirs), (None, 0))(*given)
    for g, z in zip(found, wanted, strict=True):
        np.testing.assert_allclose(g, z.numpy(), rtol=1e-12)


def test_a_tensor_from_outside_gets_the_gradient_of_all():
    """Arrays of the levels below are constants inside, and keep their own history."""
    w = ad.asarray(C, requires_grad=True)
    x = ad.asarray(A, requires_grad=True)
    ad.vmap(lambda a: (a @ w) ** 2)(x).sum().backward()
    tw, tx = torch.tensor(C, requires_grad=True), torch.tensor(A, requires_grad=True)
    torch.func.vmap(lambda a: (a @ tw) ** 2)(tx).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), tw.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=1e-12)


def test_nothing_is_recorded_where_nothing_needs_it():
    assert ad.vmap(lambda a: a * 2)(ad.asarray(A)).grad_fn is None
    x = ad.asarray(A, requires_grad=True)
    with ad.no_grad():
        assert not ad.vmap(lambda a: a * 2)(x).requires_grad
    assert not ad.vmap(lambda a: a.detach() * 2)(x).requires_grad


def test_what_a_function_raises_leaves_no_level_behind():
    with pytest.raises(ZeroDivisionError):
        ad.vmap(lambda a: 1 / 0)(A)
    assert ad.zeros(2)._xp is ad.namespace()


def test_it_compiles_as_jaxs_own():
    with jax.enable_x64(True):

        def mapped(a, c):
            return ad.vmap(lambda x: ad.sum(ad.sin(x) @ c))(a)

        def theirs(a, c):
            return jax.vmap(lambda x: jax.numpy.sum(jax.numpy.sin(x) @ c))(a)

        a, c = jax.numpy.asarray(A), jax.numpy.asarray(C)
        np.testing.assert_allclose(jax.jit(mapped)(a, c), jax.jit(theirs)(a, c), rtol=1e-14)
        found = jax.vmap(jax.jit(mapped), (None, 0))(a, jax.numpy.stack([c, c]))  # JAX's map around this one
        np.testing.assert_allclose(found[1], theirs(a, c), rtol=1e-14)
