"""What is saved comes back: every kind of tree, every dtype, on every backend."""

from __future__ import annotations

import enum
from collections import defaultdict

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autodiff_api as ad
from autodiff_api.errors import ArgumentError, ArgumentTypeError, BackendUnavailableError, DataError

DTYPES = [
    "bool", "complex64", "complex128", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32", "uint64",
]  # fmt: skip


def engine(name):
    """Return a backend's namespace, or skip the test."""
    try:
        return ad.namespace(name)
    except (BackendUnavailableError, ad.BackendNotFoundError):
        pytest.skip(f"no backend {name} here")


# --- trees ---


def test_a_rich_tree_comes_back(backend, path, rich, seen, types):
    xp = ad.namespace(backend)
    tree = rich(xp)
    ad.save(tree, path)
    found = ad.load(path, types=types)
    assert seen(found) == seen(tree)
    assert type(found["state"][0][0]["moments"]) is types[0]
    assert all(isinstance(x, xp.array_class) for x in found["weights"].values())
    assert isinstance(found["raw"], xp._array_types)


def test_saving_again_gives_the_same_bytes(path, rich, types):
    ad.save(rich(ad.namespace("numpy")), path)
    before = path.read_bytes()
    ad.save(ad.load(path, types=types), path)
    assert path.read_bytes() == before


def test_a_namedtuple_that_is_not_known_is_made(path, rich):
    ad.save(rich(ad.namespace("numpy")), path)
    moments = ad.load(path)["state"][0][0]["moments"]
    assert moments._fields == ("mean", "square") and moments.square.item() == 7


def test_a_namedtuple_must_have_the_fields_that_were_saved(path, rich):
    from collections import namedtuple

    ad.save(rich(ad.namespace("numpy")), path)
    with pytest.raises(ad.CheckpointFileError, match="mean"):
        ad.load(path, types=[namedtuple("Moments", "square mean")])


@pytest.mark.parametrize("tree", [None, 3, "text", True, 1.5, [], {}, np.float64(2.5), np.arange(3)])
def test_a_tree_may_be_one_leaf(path, tree, seen):
    ad.save(tree, path)
    kept = tree.item() if isinstance(tree, np.generic) else tree
    assert seen(ad.load(path)) == seen(kept)


def leaves(arrays):
    numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text(max_size=8)
    return numbers | arrays


ARRAYS = hnp.arrays(
    dtype=st.sampled_from([np.dtype(name) for name in DTYPES if name != "complex128"] + [np.dtype(">f4")]),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
).flatmap(lambda x: st.sampled_from([x, x.T, x[..., ::-1] if x.ndim else x, x[::2] if x.ndim else x]))
KEYS = st.text(max_size=6) | st.integers() | st.booleans() | st.none()
TREES = st.recursive(
    leaves(ARRAYS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
def test_any_tree_comes_back(path, seen, tree):
    ad.save(tree, path)
    found = ad.load(path, backend="numpy")
    assert seen(found) == seen(native(tree))


def native(x):
    """Return a tree with its arrays in this machine's byte order."""
    if isinstance(x, dict):
        return {k: native(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return type(x)(native(v) for v in x)
    return x.astype(x.dtype.newbyteorder("=")) if isinstance(x, np.ndarray) else x


# --- dtypes and layouts ---


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back(backend, path, seen, dtype):
    xp = ad.namespace(backend)
    x = xp.asarray(np.asarray([[0, 1, 2], [3, 4, 100]]).astype(dtype))
    if dtype == "complex128" and path.suffix == ".safetensors":
        with pytest.raises(ArgumentTypeError, match=r"complex128.*\.npz"):
            ad.save({"x": x}, path)
        assert list(path.parent.iterdir()) == []
        return
    ad.save({"x": x}, path)
    assert seen(ad.load(path)) == seen({"x": x})


def test_bfloat16_comes_back_and_is_float32_where_there_is_none(path, seen):
    jnp = pytest.importorskip("jax.numpy")
    x = ad.namespace("jax").asarray(jnp.asarray([1.0, -2.5, 3e38, float("inf"), float("nan")], dtype=jnp.bfloat16))
    ad.save({"x": x, "raw": x._value, "host": np.asarray(x._value)}, path)
    again = ad.load(path, backend="jax")
    assert seen(again) == seen({"x": x, "raw": x._value, "host": x._value})
    there = ad.load(path, backend="numpy")["x"]
    assert there.dtype == np.float32 and seen(there) == seen(ad.tensor(np.asarray(x.numpy()).astype(np.float32)))


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2], lambda x: x[:, ::-1], lambda x: x[1:, 1:]])
def test_strided_arrays_are_saved_in_order(path, seen, view):
    x = view(np.arange(24.0).reshape(4, 6))
    ad.save({"raw": x, "tensor": ad.tensor(np.arange(24.0).reshape(4, 6)).mT}, path)
    found = ad.load(path)
    assert np.array_equal(found["raw"], x) and np.array_equal(found["tensor"].numpy(), np.arange(24.0).reshape(4, 6).T)


def test_integers_that_an_engine_has_no_room_for_are_an_error(path):
    pytest.importorskip("jax")
    ad.save({"small": np.asarray([5]), "large": np.asarray([2**40])}, path)
    with pytest.raises(DataError, match=r"int64.*int32.*x64"):
        ad.load(path, backend="jax")
    ad.save({"small": np.asarray([5])}, path)
    assert ad.load(path, backend="jax")["small"].tolist() == [5]


# --- what PyTorch's users expect ---


def test_requires_grad_is_kept_and_history_is_not(path):
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    loss = (w**2).sum()
    loss.backward()
    ad.save({"w": w, "loss": loss, "detached": w.detach()}, path)
    found = ad.load(path)
    assert [x.requires_grad for x in found.values()] == [True, True, False]
    assert found["w"].is_leaf and found["loss"].is_leaf and found["w"].grad is None


def test_training_goes_on_from_a_file(backend, path):
    def start():
        model = ad.nn.Linear(2, 1)
        return model, ad.optim.Adam(model.parameters(), lr=0.1)

    def train(model, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            ((model(ad.tensor([[1.0, 2.0]])) - 3) ** 2).sum().backward()
            optimizer.step()

    model, optimizer = start()
    train(model, optimizer, 3)
    ad.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    other, resumed = start()
    found = ad.load(path)
    other.load_state_dict(found["model"])
    resumed.load_state_dict(found["optimizer"])
    train(model, optimizer, 3)
    train(other, resumed, 3)
    assert model.weight.tolist() == other.weight.tolist() and model.bias.tolist() == other.bias.tolist()


@pytest.mark.parametrize("target", ["numpy", "jax", "strict", "torch"])
def test_a_model_trained_on_jax_predicts_the_same_elsewhere(path, target):
    pytest.importorskip("jax")
    engine(target)

    def network():
        ad.manual_seed(0)
        return ad.nn.Sequential(ad.nn.Linear(3, 8), ad.nn.Tanh(), ad.nn.Linear(8, 2))

    data = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    with ad.use_backend("jax"):
        model = network()
        optimizer = ad.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(20):
            optimizer.zero_grad()
            ((model(ad.tensor(data)) - ad.tensor(data[:, :2])) ** 2).mean().backward()
            optimizer.step()
        ad.save(model.state_dict(), path)
        expected = model(ad.tensor(data)).numpy(force=True)
    state = ad.load(path, backend=target)
    with ad.use_backend(target):
        other = network()
        other.load_state_dict(state)
        predicted = other(ad.tensor(data)).numpy(force=True)
    assert all(np.asarray(x.numpy()).tobytes() == model.state_dict()[k].numpy().tobytes() for k, x in state.items())
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-6)


def test_arrays_go_to_the_device_that_is_named(path):
    pytest.importorskip("array_api_strict")
    ad.save({"w": ad.ones(2)}, path)
    assert str(ad.load(path, backend="strict", device="device1")["w"].device).endswith("device1')")


# --- what cannot be saved ---


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "bad",
    [object(), {1, 2}, b"bytes", Colour.RED, np.asarray(["text"]), np.asarray([None]), np.ma.masked_array([1], [True]),
     np.float32, lambda: None, ad.nn.Linear(1, 1), {(1, 2): 3}],
)  # fmt: skip
def test_what_a_file_cannot_hold_is_named_with_its_place(path, bad):
    ad.save({"old": 1}, path)
    with pytest.raises(ArgumentTypeError, match=r"\['a'\]\[0\]"):
        ad.save({"a": [bad]}, path)
    assert ad.load(path) == {"old": 1}


def test_a_tree_that_holds_itself_is_an_error(path):
    tree = []
    tree.append(tree)
    with pytest.raises(ArgumentError, match="hold itself"):
        ad.save(tree, path)


def test_a_module_is_told_of_its_state_dict(path):
    with pytest.raises(TypeError, match="state_dict"):
        ad.save(ad.nn.Linear(1, 1), path)


@pytest.mark.parametrize("name", ["model.pt", "model", "model.pkl"])
def test_another_suffix_is_an_error(tmp_path, name):
    for use in (lambda path: ad.save({}, path), ad.load):
        with pytest.raises(ArgumentError, match=r"\.npz, \.safetensors"):
            use(tmp_path / name)


def test_a_missing_file_is_pythons_own_error(path):
    with pytest.raises(FileNotFoundError):
        ad.load(path)
    with pytest.raises(FileNotFoundError):
        ad.save({}, path.parent / "no such folder" / path.name)


def test_a_defaultdict_is_saved_as_a_dict(path):
    ad.save(defaultdict(list, a=1), path)
    assert type(ad.load(path)) is dict


# --- others' files ---


def test_numpy_reads_ours_and_we_read_numpys(tmp_path):
    path = tmp_path / "a.npz"
    ad.save({"0.weight": ad.ones((2, 3)), "step": 1}, path)
    with np.load(path) as file:
        assert file["0.weight"].tolist() == [[1.0] * 3] * 2
    for write in (np.savez, np.savez_compressed):
        write(path, w=np.arange(6.0).reshape(2, 3).T, many=np.zeros(100_000))
        found = ad.load(path)
        assert isinstance(found["w"], ad.Tensor) and found["w"].tolist() == np.arange(6.0).reshape(2, 3).T.tolist()
        assert found["many"].shape == (100_000,)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_the_formats_own_library_reads_ours_and_we_read_its(tmp_path, metadata):
    library = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "a.safetensors"
    ad.save({"0.weight": ad.ones((2, 3)).mT, "0.bias": ad.zeros(()), "none": None, "empty": ad.zeros((0, 2))}, path)
    theirs = library.load_file(path)
    assert theirs["0.weight"].tolist() == [[1.0] * 2] * 3 and theirs["0.bias"].shape == ()
    library.save_file({"0.weight": np.arange(6.0).reshape(2, 3), "0.bias": np.ones(3, np.float16)}, path, metadata)
    ours = ad.load(path)
    assert ours["0.weight"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] and ours["0.bias"].dtype == np.float16


def test_a_state_dict_of_pytorchs_predicts_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    library.save_file(theirs.state_dict(), tmp_path / "a.safetensors")
    library.save_file({"x": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "b.safetensors")
    ours = ad.nn.Sequential(ad.nn.Linear(3, 4), ad.nn.ReLU(), ad.nn.Linear(4, 1))
    ours.load_state_dict(ad.load(tmp_path / "a.safetensors"))
    x = np.ones((2, 3), dtype=np.float32)
    np.testing.assert_allclose(ours(ad.tensor(x)).tolist(), theirs(torch.from_numpy(x)).tolist(), rtol=1e-5)
    assert ad.load(tmp_path / "b.safetensors")["x"].dtype == np.float32
    ad.save(ours.state_dict(), tmp_path / "c.safetensors")
    assert set(library.load_file(tmp_path / "c.safetensors")) == set(theirs.state_dict())
