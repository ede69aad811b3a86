"""Modules: registration, walks, state dicts, modes, moving, printing; side by side with PyTorch where it matters."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn


def network(lib):
    """Build the same module with PyTorch or with autodiff_api: nested, with buffers, a shared layer, a None."""

    class Net(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = lib.nn.Linear(3, 4)
            self.scale = lib.nn.Parameter(lib.ones((4,)))
            self.rest = lib.nn.Sequential(lib.nn.ReLU(), lib.nn.Linear(4, 4, bias=False), lib.nn.Dropout(0.3))
            self.again = self.first
            self.register_buffer("steps", lib.tensor([0]))
            self.register_buffer("cache", lib.zeros((2,)), persistent=False)
            self.register_buffer("nothing", None)
            self.register_parameter("missing", None)
            self.plain = 3

        def forward(self, x):
            return self.rest(self.first(x) * self.scale)

    return Net()


PREFIX, DUPLICATES, FLAT = {"prefix": "net"}, {"remove_duplicate": False}, {"recurse": False}


@pytest.mark.parametrize(
    ("method", "choices"),
    [
        ("named_parameters", [{}, PREFIX, DUPLICATES, FLAT]),
        ("named_buffers", [{}, PREFIX, DUPLICATES, FLAT]),
        ("named_modules", [{}, PREFIX, DUPLICATES]),
        ("named_children", [{}]),
        ("state_dict", [{}, PREFIX]),
    ],
)
def test_names_are_pytorchs(method, choices):
    torch = pytest.importorskip("torch")
    for options in choices:
        found, expected = (dict(getattr(network(lib), method)(**options)) for lib in (ad, torch))
        assert list(found) == list(expected)
        assert found


def test_repr_is_pytorchs():
    torch = pytest.importorskip("torch")

    def build(lib):
        return lib.nn.Sequential(
            lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.ReLU(), lib.nn.Sequential()),
            lib.nn.GELU(),
            lib.nn.GELU(approximate="tanh"),
            lib.nn.Sigmoid(),
            lib.nn.Tanh(),
            lib.nn.Flatten(),
            lib.nn.MSELoss(),
            lib.nn.CrossEntropyLoss(),
        )

    assert repr(build(ad)) == repr(build(torch))


def test_walks_give_each_thing_once():
    net = network(ad)
    assert [type(m).__name__ for m in net.modules()] == ["Net", "Linear", "Sequential", "ReLU", "Linear", "Dropout"]
    assert [type(m).__name__ for m in net.children()] == ["Linear", "Sequential"]
    assert len(list(net.parameters())) == 4
    assert len(list(net.buffers())) == 2
    visited = []
    assert net.apply(lambda module: visited.append(type(module).__name__)) is net
    assert visited == ["Linear", "ReLU", "Linear", "Dropout", "Sequential", "Net"]


def test_modes_and_flags():
    net = network(ad)
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.rest.train() is net.rest
    assert net.rest[2].training
    assert not net.training
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    assert net.requires_grad_() is net
    assert all(p.requires_grad for p in net.parameters())


def test_zero_grad():
    net = network(ad)
    net(ad.ones((2, 3))).sum().backward()
    grads = [p.grad for p in net.parameters()]
    assert all(g is not None for g in grads)
    net.zero_grad(set_to_none=False)
    assert all(p.grad is g and not g.any() for p, g in zip(net.parameters(), grads, strict=True))
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


# State dicts


def test_state_dict_round_trip(backend, tmp_path):
    net, other = network(ad), network(ad)
    net.steps[0] = 7
    saved = pickle.loads(pickle.dumps(net.state_dict()))
    assert not any(tensor.requires_grad for tensor in saved.values())
    held = dict(other.named_parameters())
    assert repr(other.load_state_dict(saved)) == "<All keys matched successfully>"
    for name, value in other.state_dict().items():
        assert value.tolist() == net.state_dict()[name].tolist()
        assert value.dtype == saved[name].dtype
    assert all(parameter is held[name] for name, parameter in other.named_parameters())
    assert all(parameter.requires_grad for parameter in other.parameters())


def test_state_dict_is_live_as_in_pytorch():
    net = network(ad)
    state = net.state_dict()
    with ad.no_grad():
        net.scale += 1
    assert state["scale"].tolist() == [2.0] * 4
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert "outer.scale" in net.state_dict(prefix="outer.")


def test_state_dict_of_another_backend():
    pytest.importorskip("jax")
    net = network(ad)
    with ad.use_backend("jax"):
        other = network(ad)
    other.load_state_dict(net.state_dict())
    np.testing.assert_allclose(other.first.weight.detach().numpy(), net.first.weight.detach().numpy(), rtol=1e-6)
    assert ad.namespace(other.first.weight).__name__ == "autodiff_api.jax"
    net.load_state_dict({name: value.numpy() for name, value in other.state_dict().items()})
    assert net.first.weight.tolist() == other.first.weight.tolist()


def test_loading_copies():
    net, other = network(ad), network(ad)
    other.load_state_dict(net.state_dict())
    with ad.no_grad():
        net.scale *= 5
    assert other.scale.tolist() == [1.0] * 4


def test_loading_casts_and_writes_through():
    net = network(ad)
    seen = net.scale.detach()
    state = {name: value.float() for name, value in network(ad).state_dict().items()} | {"scale": ad.zeros((4,))}
    net.load_state_dict(state)
    assert seen.tolist() == [0.0] * 4
    assert net.first.weight.dtype == ad.float64
    assert net.steps.dtype == ad.int64


def test_what_does_not_fit_is_listed_and_nothing_loaded():
    net = network(ad)
    before = {name: value.tolist() for name, value in net.state_dict().items()}
    wrong = dict(network(ad).state_dict())
    wrong["extra"] = wrong.pop("scale")
    wrong["first.bias"] = ad.ones((9,))
    wrong["steps"] = "seven"
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(wrong)
    for text in (
        "Error(s) in loading state_dict for Net:",
        'Missing key(s) in state_dict: "scale".',
        'Unexpected key(s) in state_dict: "extra".',
        "size mismatch for first.bias: copying a param with shape (9,) from checkpoint, "
        "the shape in current model is (4,).",
        'expected a tensor for "steps" but received str.',
        "strict=False",
    ):
        assert text in str(caught.value)
    assert isinstance(caught.value, ad.StateDictError)
    assert before == {name: value.tolist() for name, value in net.state_dict().items()}


def test_loading_what_is_there():
    net = network(ad)
    result = net.load_state_dict({"scale": ad.zeros((4,)), "extra": ad.zeros((1,))}, strict=False)
    assert result.unexpected_keys == ["extra"]
    assert result.missing_keys == [name for name in net.state_dict() if name != "scale"]
    assert "unexpected_keys=['extra']" in repr(result)
    assert net.scale.tolist() == [0.0] * 4


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copied_module_shares_nothing(backend, twin):
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    other = twin(net)
    x = ad.ones((1, 2))
    assert other(x).tolist() == net(x).tolist()
    assert isinstance(other[0].weight, nn.Parameter)
    with ad.no_grad():
        other[0].weight.zero_()
    assert net[0].weight.any()


# Registration


def test_assigning_registers_and_replaces():
    net = nn.Module()
    net.x = nn.Parameter(ad.ones((2,)))
    assert list(net.state_dict()) == ["x"]
    assert "x" not in vars(net)
    net.x = None
    assert net.x is None
    assert list(net.parameters()) == []
    net.x = nn.Linear(1, 1)
    assert list(net.state_dict()) == ["x.weight", "x.bias"]
    del net.x
    net.x = 3
    assert vars(net)["x"] == 3
    net.x = nn.ReLU()
    assert "x" not in vars(net)
    assert list(net.children()) == [net.x]
    assert "x" in dir(net)


def test_a_buffer_stays_a_buffer():
    net = nn.Module()
    net.register_buffer("mean", ad.zeros((2,)))
    net.register_buffer("seen", ad.zeros((1,)), persistent=False)
    net.mean, net.seen = ad.ones((2,)), ad.ones((1,))
    assert net.state_dict()["mean"].tolist() == [1.0, 1.0]
    assert list(net.state_dict()) == ["mean"]
    assert [name for name, _ in net.named_buffers()] == ["mean", "seen"]


def early(cls, value):
    class Early(cls):
        def __init__(self):
            self.x = value

    return Early


REFUSALS = [
    (lambda net: net.register_parameter("a.b", None), KeyError, "can't be empty or contain '.', got 'a.b'"),
    (lambda net: net.register_buffer("", None), KeyError, "buffer name can't be empty"),
    (lambda net: net.add_module(3, None), TypeError, "module name should be a string, got int"),
    (lambda net: net.register_parameter("forward", None), KeyError, "attribute 'forward' already exists in Net"),
    (lambda net: net.register_parameter("x", ad.ones((1,))), TypeError, "'Tensor' object to parameter 'x' of Net"),
    (lambda net: net.add_module("x", 3), TypeError, "'int' object to module 'x' of Net"),
    (lambda net: setattr(net, "scale", ad.ones((4,))), TypeError, "'Tensor' object to parameter 'scale'"),
    (lambda net: setattr(net, "first", 3), TypeError, "'int' object to module 'first'"),
    (lambda net: setattr(net, "steps", 3), TypeError, "'int' object to buffer 'steps'"),
    (lambda net: net.absent, AttributeError, "'Net' object has no attribute 'absent'"),
    (lambda net: nn.Module()(1), NotImplementedError, 'missing the required "forward" function'),
    (lambda net: early(nn.Module, nn.Parameter(ad.ones((1,))))(), AttributeError, "before Module.__init__"),
    (lambda net: early(nn.Module, nn.ReLU())(), AttributeError, "before Module.__init__"),
    (lambda net: net.to(ad.int64), TypeError, "only accepts floating point or complex dtypes"),
]


@pytest.mark.parametrize(("call", "builtin", "text"), REFUSALS)
def test_refusals(call, builtin, text):
    with pytest.raises(builtin, match=text) as caught:
        call(network(ad))
    assert isinstance(caught.value, ad.AutodiffError) or builtin is NotImplementedError
    assert not str(caught.value).startswith('"')


def test_a_missing_attribute_is_the_one_that_is_named():
    """A property that fails inside must not be reported as missing, nor copying recurse."""
    assert not hasattr(nn.Module.__new__(nn.Module), "anything")
    assert hasattr(network(ad), "first")


# Moving


def test_to_casts_parameters_gradients_and_floating_buffers(backend):
    xp = ad.namespace()
    net = network(ad)
    assert net.scale.dtype == xp.float64
    held = dict(net.named_parameters())
    net(ad.ones((2, 3))).sum().backward()
    assert net.to(xp.float32) is net
    assert all(p is held[name] and p.dtype == xp.float32 and p.requires_grad for name, p in net.named_parameters())
    assert all(p.grad.dtype == xp.float32 for p in net.parameters())
    assert net.cache.dtype == xp.float32
    assert net.steps.dtype == xp.int64
    net.zero_grad()
    out = net(ad.ones((2, 3)).to(xp.float32))
    out.sum().backward()
    assert out.dtype == xp.float32
    assert net.scale.grad.dtype == xp.float32
    net.requires_grad_(False).to(dtype=xp.float64)
    assert net.scale.dtype == xp.float64
    assert not net.scale.requires_grad


def test_to_takes_a_device_and_a_tensor(backend):
    net = nn.Linear(2, 1)
    device = net.weight.device
    assert net.to(device).weight.device == device
    assert net.to("cpu").weight.dtype == ad.namespace().float64
    assert net.to(ad.ones((1,)).float()).weight.dtype == ad.namespace().float32
    assert nn.ReLU().to("cpu")(ad.ones((1,))).tolist() == [1.0]


def test_an_optimizer_follows_a_moved_module():
    net = nn.Linear(2, 1)
    optimizer = ad.optim.SGD(net.parameters(), lr=0.5)
    net.to(ad.float32)
    net(ad.ones((1, 2), dtype=ad.float32)).sum().backward()
    before = net.bias.item()
    optimizer.step()
    assert net.bias.item() == pytest.approx(before - 0.5)
    assert net.bias.dtype == ad.float32
