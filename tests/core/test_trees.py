"""Trees: what is a container, what is a leaf, and what comes back is built as what went in."""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict, defaultdict, namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff_api as ad
from autodiff_api.trees import flatten, matching, paths, prefix, tree_map, unflatten

jax = pytest.importorskip("jax")
optree = pytest.importorskip("optree")

Pair = namedtuple("Pair", ("left", "right"))


@dataclasses.dataclass
class Layer:
    weight: Any
    name: str = "layer"


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    weight: Any
    made: Any = dataclasses.field(init=False, default=None)

    def __post_init__(self) -> None:
        if isinstance(self.weight, str):
            raise TypeError("no text")


@jax.tree_util.register_pytree_node_class
class OfJax:
    """JAX knows it: one child, and a note that belongs to the structure."""

    def __init__(self, child: Any, note: str) -> None:
        self.child, self.note = child, note

    def tree_flatten(self) -> Any:
        return (self.child,), self.note

    @classmethod
    def tree_unflatten(cls, note: str, children: Any) -> Any:
        return cls(*children, note)

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)


class OfOptree:
    """Only optree knows it."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)


optree.register_pytree_node(
    OfOptree,
    lambda x: (x.parts, None),
    lambda note, parts: OfOptree(*parts),
    namespace=optree.registry.__GLOBAL_NAMESPACE,
)

TREES: dict[str, tuple[Any, list[Any], list[str]]] = {  # a tree, its leaves, and where they are
    "dataclass": (Layer(1.0), [1.0, "layer"], [".weight", ".name"]),
    "defaultdict": (defaultdict(list, {"a": 1.0}), [1.0], ["['a']"]),
    "dict": ({"b": 1.0, "a": 2.0}, [1.0, 2.0], ["['b']", "['a']"]),
    "empty": ({"a": (), "b": [], "c": {}}, [], []),
    "frozen dataclass": (Frozen(1.0), [1.0], [".weight"]),
    "jax": (OfJax([1.0, 2.0], "note"), [1.0, 2.0], ["[0][0]", "[0][1]"]),
    "leaf": (3.0, [3.0], [""]),
    "list": ([1.0, [2.0]], [1.0, 2.0], ["[0]", "[1][0]"]),
    "namedtuple": (Pair(1.0, (2.0,)), [1.0, 2.0], [".left", ".right[0]"]),
    "none": (None, [], []),
    "none inside": ({"w": 1.0, "b": None}, [1.0], ["['w']"]),
    "optree": (OfOptree(1.0, {"a": 2.0}), [1.0, 2.0], ["[0]", "[1]['a']"]),
    "ordered dict": (OrderedDict([("b", 1.0), ("a", 2.0)]), [1.0, 2.0], ["['b']", "['a']"]),
    "text": ({"kind": "text", "raw": b"1", "type": float}, ["text", b"1", float], ["['kind']", "['raw']", "['type']"]),
}


@pytest.mark.parametrize("name", TREES)
def test_apart_and_together(name):
    tree, leaves, places = TREES[name]
    found, structure = flatten(tree)
    assert found == leaves and paths(structure) == places and structure.size == len(leaves)
    again = unflatten(structure, found)
    assert again == tree and type(again) is type(tree)
    assert structure.same(flatten(again)[1])
    assert matching(structure, again, "here") == leaves


def test_dicts_keep_their_order_and_are_matched_by_key():
    _, structure = flatten({"b": 1, "a": 2})
    assert list(unflatten(structure, [1, 2])) == ["b", "a"]
    assert matching(structure, {"a": 20, "b": 10}, "here") == [10, 20]
    assert tree_map(lambda x, y: (x, y), {"b": 1, "a": 2}, {"a": 20, "b": 10}) == {"b": (1, 10), "a": (2, 20)}


def test_a_default_factory_comes_back():
    again = tree_map(lambda x: x + 1, defaultdict(list, {"a": 1}))
    assert again["new"] == [] and again["a"] == 2


@pytest.mark.parametrize("x", [np.ones((2, 2)), Counter("ab"), range(3), {1, 2}, iter([1]), 1 + 2j, True])
def test_leaves(x):
    leaves, structure = flatten(x)
    assert leaves[0] is x and repr(structure) == "Tree(*)"


def test_tensors_are_leaves_though_they_have_a_length_and_jax_knows_them(backend):
    x = ad.ones((2, 3), requires_grad=True)
    assert flatten([x])[0][0] is x


def test_a_dataclass_is_put_together_without_being_constructed():
    """What a transformation puts into it for a moment need not pass its checks, and fields may be no arguments."""
    made = tree_map(lambda x: "text", Frozen(1.0))
    assert made.weight == "text" and made.made is None


OTHERS: dict[str, tuple[Any, str]] = {
    "a leaf": (1.0, "got * in place of dict(a: *, b: list(0: *))"),
    "a missing key": ({"a": 1.0}, "got dict(a: *) in place of dict(a: *, b: list(0: *))"),
    "another key": ({"a": 1.0, "c": [2.0]}, "got dict(a: *, c: list(0: *))"),
    "another kind": ({"a": 1.0, "b": (2.0,)}, "got tuple(0: *) in place of list(0: *)"),
    "another length": ({"a": 1.0, "b": [2.0, 3.0]}, "got list(0: *, 1: *) in place of list(0: *)"),
    "another mapping": (OrderedDict(a=1.0, b=[2.0]), "got OrderedDict(a: *, b: list(0: *))"),
    "none": (None, "got NoneType()"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_trees_that_are_not_built_alike(name):
    other, told = OTHERS[name]
    _, structure = flatten({"a": 1.0, "b": [2.0]})
    with pytest.raises(ad.TreeError) as caught:
        matching(structure, other, "here")
    text = str(caught.value)
    assert text.startswith("here: expected a tree built as dict(a: *, b: list(0: *))") and told in text
    assert isinstance(caught.value, TypeError | ValueError)


PREFIXES: dict[str, tuple[Any, list[Any]]] = {
    "all": (0, [0, 0, 0]),
    "each": (({"a": 1, "b": None}, -1), [1, None, -1]),
    "none": (None, [None, None, None]),
    "one for a tree": ((2, None), [2, 2, None]),
}


@pytest.mark.parametrize("name", PREFIXES)
def test_prefix(name):
    given_dims, spread = PREFIXES[name]
    assert prefix(given_dims, flatten(({"a": 1.0, "b": 2.0}, 3.0))[1], "dims") == spread


@pytest.mark.parametrize("dims", [(0,), (0, 0, 0), ({"a": 0}, 0), ((0, 0), 0), "text", 1.5])
def test_a_prefix_that_does_not_fit(dims):
    with pytest.raises(ad.TreeError, match=r"dims: .* does not fit"):
        prefix(dims, flatten(({"a": 1.0, "b": 2.0}, 3.0))[1], "dims")


trees = st.recursive(
    st.floats(allow_nan=False) | st.text() | st.none(),
    lambda x: st.lists(x) | st.tuples(x, x) | st.dictionaries(st.text(), x) | st.builds(Pair, x, x),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(trees)
def test_any_tree(tree):
    """Apart and together is what it was, and the leaves are those that JAX finds, which sorts the keys of a dict."""
    leaves, structure = flatten(tree)
    assert unflatten(structure, leaves) == tree
    assert sorted(map(repr, leaves)) == sorted(map(repr, jax.tree.leaves(tree)))
    assert len(paths(structure)) == len(leaves) == structure.size


@pytest.mark.parametrize("name", ["dict", "namedtuple", "jax", "optree", "frozen dataclass", "ordered dict"])
def test_gradients_come_in_the_tree_of_the_argument(backend, name):
    tree, leaves, _ = TREES[name]

    def total(t):
        return sum((i + 1) * x**2 for i, x in enumerate(flatten(t)[0]))

    grads = ad.grad(total)(tree)
    assert type(grads) is type(tree)
    assert [float(g) for g in flatten(grads)[0]] == [2 * (i + 1) * x for i, x in enumerate(leaves)]
    value, moved = ad.jvp(total, (tree,), (tree,))
    assert float(moved) == 2 * float(value)
