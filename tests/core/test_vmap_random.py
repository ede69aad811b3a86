"""Random numbers in mapped functions, as `torch.func.vmap` has them."""

import pytest

import autodiff_api as ad


@pytest.fixture(params=["torch", "numpy", "jax"])
def lib(request):
    """PyTorch, or autodiff_api on a backend: what holds for one holds for the other."""
    if request.param == "torch":
        yield pytest.importorskip("torch")
        return
    if request.param == "jax":
        pytest.importorskip("jax")
    with ad.use_backend(request.param):
        yield ad


DRAWS = {
    "dropout": lambda lib, x: lib.nn.functional.dropout(x, 0.5),
    "rand": lambda lib, x: lib.rand(4),
    "rand_like": lambda lib, x: lib.rand_like(x),
    "randint": lambda lib, x: lib.randint(0, 1000, (4,)),
    "randn": lambda lib, x: lib.randn(4),
    "randn_like": lambda lib, x: lib.randn_like(x),
    "randperm": lambda lib, x: lib.randperm(9),
}


def rows(found):
    """Tell how many rows there are, and how many that differ."""
    return len(found), len({tuple(row.flatten().tolist()) for row in found})


@pytest.mark.parametrize("name", DRAWS)
def test_draws(lib, name):
    x = lib.ones((6, 4)) if name != "dropout" else lib.ones((6, 64))

    def f(x):
        return DRAWS[name](lib, x)

    with pytest.raises(RuntimeError, match="vmap: called random operation while in randomness error mode"):
        lib.func.vmap(f)(x)
    assert rows(lib.func.vmap(f, randomness="same")(x)) == (6, 1)
    assert rows(lib.func.vmap(f, randomness="different")(x)) == (6, 6)
    assert rows(lib.func.vmap(f, randomness="different", chunk_size=2)(x)) == (6, 6)


def test_permutations_are_permutations():
    found = ad.vmap(lambda x: ad.randperm(5), randomness="different")(ad.ones(4))
    assert [sorted(row) for row in found.tolist()] == [list(range(5))] * 4


@pytest.mark.parametrize("outer", ["same", "different"])
@pytest.mark.parametrize("inner", ["same", "different"])
def test_nested(lib, outer, inner):
    def f(x):
        return lib.func.vmap(lambda y: lib.rand(3), randomness=inner)(x)

    found = lib.func.vmap(f, randomness=outer)(lib.ones((4, 5)))
    assert tuple(found.shape) == (4, 5, 3)
    assert rows(found)[1] == (4 if outer == "different" else 1)
    assert rows(found[0])[1] == (5 if inner == "different" else 1)


@pytest.mark.parametrize("modes", [("error", "same"), ("same", "error"), ("different", "error")])
def test_error_mode_is_that_of_any(lib, modes):
    outer, inner = modes

    def f(x):
        return lib.func.vmap(lambda y: lib.rand(3), randomness=inner)(x)

    with pytest.raises(RuntimeError, match="randomness error mode"):
        lib.func.vmap(f, randomness=outer)(lib.ones((4, 5)))


def test_no_numbers_no_error(lib):
    x = lib.ones((3, 4))
    found = lib.func.vmap(lambda x: lib.nn.functional.dropout(x, 0.5, training=False))(x)
    assert found.tolist() == x.tolist()


def test_gradients_by_masks_of_their_own(lib):
    """The gradient of each is zero where its own mask is."""
    seen = []

    def loss(w, x):
        dropped = lib.nn.functional.dropout(w * x, 0.5)
        return dropped.sum(), dropped

    w, x = lib.ones(32), lib.ones((5, 32))
    grads, dropped = lib.func.vmap(lib.func.grad(loss, has_aux=True), (None, 0), randomness="different")(w, x)
    assert grads.tolist() == dropped.tolist()
    assert rows(grads) == (5, 5) and not seen


def test_after_the_call_all_is_as_before(lib):
    lib.func.vmap(lambda x: x, randomness="error")(lib.ones(2))
    assert tuple(lib.rand(2).shape) == (2,)
    with pytest.raises(RuntimeError, match="randomness"):
        lib.func.vmap(lambda x: lib.rand(2))(lib.ones(2))
    assert tuple(lib.rand(2).shape) == (2,)


def test_the_word_must_be_known(lib):
    with pytest.raises((RuntimeError, ValueError), match="Only allowed values for randomness are"):
        lib.func.vmap(lambda x: x, randomness="some")(lib.ones(2))


def test_seeds_still_hold(lib):
    def f():
        lib.manual_seed(3)
        return lib.func.vmap(lambda x: lib.rand(2), randomness="different")(lib.ones(3)).tolist()

    assert f() == f()
