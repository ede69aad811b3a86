"""What `test_sharding.py` lets run on eight imitated devices, in one process: a check is a function, and fails alone.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python tests/plugins/on_eight_devices.py
"""

from __future__ import annotations

import json
import re
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn, optim
from autodiff_api.errors import ArgumentError, ArgumentTypeError, DeviceMismatchError
from autodiff_api.nn import functional as F

jax = pytest.importorskip("jax")
P, NamedSharding = jax.sharding.PartitionSpec, jax.sharding.NamedSharding
AXES = {"data": 4, "model": 2}
COLLECTIVES = re.compile(r" (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(")


class MLP(nn.Module):
    """Two layers, divided along the inner axis as tensor parallelism has it."""

    SPEC: ClassVar = {"0.weight": ("model", None), "0.bias": ("model",), "2.weight": (None, "model")}

    def __init__(self):
        super().__init__()
        for name, layer in (("0", nn.Linear(16, 32)), ("1", nn.GELU()), ("2", nn.Linear(32, 8))):
            setattr(self, name, layer)

    def forward(self, x):
        return getattr(self, "2")(getattr(self, "1")(getattr(self, "0")(x)))

    @staticmethod
    def data(rng):
        return rng.standard_normal((8, 16)).astype(np.float32), rng.integers(0, 8, 8)


class Transformer(nn.Module):
    """A block with an embedding: heads and the inner layer are divided."""

    SPEC: ClassVar = {
        "table": (None, "model"), "qkv.weight": ("model", None), "qkv.bias": ("model",), "out.weight": (None, "model"),
        "up.weight": ("model", None), "up.bias": ("model",), "down.weight": (None, "model"),
    }  # fmt: skip

    def __init__(self, vocabulary=8, width=16, heads=4):
        super().__init__()
        self.heads, self.width = heads, width
        self.table = nn.Parameter(ad.randn(vocabulary, width))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale, self.shift = nn.Parameter(ad.ones(width)), nn.Parameter(ad.zeros(width))

    def forward(self, tokens):
        x = self.table[tokens]
        n, length, width = x.shape
        y = F.layer_norm(x, (width,), self.scale, self.shift)
        y = self.qkv(y).reshape((n, length, self.heads, 3, width // self.heads))
        q, k, v = (ad.permute(y[:, :, :, i], (0, 2, 1, 3)) for i in range(3))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(ad.permute(y, (0, 2, 1, 3)).reshape((n, length, width)))
        x = x + self.down(F.gelu(self.up(x)))
        return (x @ self.table.T).reshape((n * length, -1))

    @staticmethod
    def data(rng):
        return rng.integers(0, 8, (8, 6)), rng.integers(0, 8, 48)


def same_layout(a, b):
    """Tell whether two arrays lie over the same mesh in the same way."""
    return a.device.mesh == b.device.mesh and a.device.is_equivalent_to(b.device, a.ndim)


def build(kind, mesh):
    """Return a model laid out over a mesh with its data, and the same on NumPy."""
    ad.manual_seed(0)
    data, far = kind.data(np.random.default_rng(0)), kind()
    with ad.use_backend("numpy"):
        near = kind()
        near.load_state_dict(far.state_dict())
        given = tuple(map(ad.tensor, data))
    return (ad.place(far, mesh, kind.SPEC), *ad.place(tuple(map(ad.tensor, data)), mesh, ("data",))), (near, *given)


def loss_of(model, x, y):
    return F.cross_entropy(model(x), y)


def close(a, b, tolerance=5e-6):
    a, b = (np.asarray(x.detach() if hasattr(x, "detach") else x) for x in (a, b))
    np.testing.assert_allclose(a, b, atol=tolerance, rtol=1e-5)


@contextmanager
def programs():
    """Collect what the backend compiles, as (program, arguments)."""
    backend, found = ad.namespace("jax")._compiled._backend, []
    compile = backend.compile

    def spy(function, **options):
        run = compile(function, **options)

        def call(*args):
            found.append((run, args))
            return run(*args)

        return call

    backends = {id(b): b for b in (backend, ad.namespace("jax")._backend)}.values()
    for b in backends:
        object.__setattr__(b, "compile", spy)
    try:
        yield found
    finally:
        for b in backends:
            object.__setattr__(b, "compile", compile)


@contextmanager
def transfers():
    """Count what brings an array's values to Python."""
    kind, counts = type(jax.numpy.ones(())), Counter()
    names = ("__array__", "__bool__", "__complex__", "__float__", "__index__", "__int__", "item", "tolist")
    own, asarray, to_numpy = {n: getattr(kind, n) for n in names}, np.asarray, ad.get_backend("jax").to_numpy
    backends = {id(b): b for b in (ad.get_backend("jax"), ad.namespace("jax")._backend)}.values()

    def counted(name, function):
        def call(x, *args, **kwargs):
            counts[name] += isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)
            return function(x, *args, **kwargs)

        return call

    try:
        for name, function in own.items():
            setattr(kind, name, counted(name, function))
        np.asarray = counted("np.asarray", asarray)
        for b in backends:
            object.__setattr__(b, "to_numpy", counted("to_numpy", to_numpy))
        yield counts
    finally:
        np.asarray = asarray
        for name, function in own.items():
            setattr(kind, name, function)
        for b in backends:
            object.__setattr__(b, "to_numpy", to_numpy)


# --- the checks ---


def check_devices():
    """There are eight, by name and by object; gradients return; mixed ones are an error."""
    devices = ad.devices("jax")
    assert len(devices) == 8 and devices == ad.namespace("jax").__array_namespace_info__().devices()
    x = ad.tensor([1.0, 2.0], device="cpu:3", requires_grad=True)
    w = ad.tensor([1.0, 2.0], device=devices[5], requires_grad=True)
    assert x.device == devices[3] and ad.zeros(2, device=str(devices[3])).device == devices[3]
    (x.to_device(devices[5]) * w).sum().backward()
    assert (x.grad.device, w.grad.device) == (devices[3], devices[5])
    for mixed in (lambda: x * w, lambda: ad.concat([x, w]), lambda: x @ w, lambda: (x * 1).backward(w.detach())):
        with pytest.raises(DeviceMismatchError, match=r"cpu.*5|cpu.*3"):
            mixed()
    with ad.use_device("cpu:6"):
        model = nn.Linear(2, 2)
        made = [
            model.weight,
            ad.zeros(2),
            ad.arange(3),
            ad.eye(2),
            ad.linspace(0, 1, 3),
            ad.full((2,), 1.0),
            ad.randn(3),
        ]
        made += [
            ad.tensor([1.0]),
            ad.tensor(np.ones(2)),
            ad.fft.fftfreq(4),
            ad.compile(lambda x: x + ad.zeros(2))(made[1]),
        ]
        assert {m.device for m in made} == {devices[6]}
        assert (ad.zeros(2) + x.to("cpu:6")).device == devices[6]


def check_factories(mesh):
    """`device=` takes a layout in every factory, and so does the default."""
    there = mesh.layout("data")
    for name, args in {
        "arange": (8,), "asarray": (np.ones(8),), "empty": ((8,),), "eye": (8,), "full": ((8,), 2.0),
        "linspace": (0.0, 1.0, 8), "ones": ((8,),), "tensor": (list(range(8)),), "zeros": ((8,),), "randn": (8,),
    }.items():  # fmt: skip
        x = getattr(ad, name)(*args, device=there)
        assert x.device.is_equivalent_to(there, x.ndim), name
        with ad.use_device(there):
            assert getattr(ad, name)(*args).device.is_equivalent_to(there, x.ndim), name
    assert ad.zeros_like(x).device == ad.rand_like(x).device == x.device


def check_place(mesh):
    """Trees, raw arrays, modules and state dicts are laid out by name, gradients return, mistakes are errors."""
    source = ad.tensor(np.arange(8.0), requires_grad=True)
    tree = ad.place(
        {"a": [source, 3], "b": jax.numpy.ones((4, 2)), "c": None}, mesh, {"a.0": ("data",), "*": ("data", "model")}
    )
    assert tree["a"][1] == 3 and tree["c"] is None and isinstance(tree["b"], jax.Array)
    assert tree["a"][0].device.is_equivalent_to(mesh.layout("data"), 1) and tree["b"].sharding.spec[:2] == (
        "data",
        "model",
    )
    both = ad.place(source, mesh, (("data", "model"),))
    assert both.device.spec == P(("data", "model"))
    (both * tree["a"][0].detach().to_device(both.device)).sum().backward()
    assert source.grad.device == source.device and source.grad.tolist() == list(range(8))
    engine = ad.place(source.detach(), mesh.engine, ("data",))
    assert same_layout(engine, tree["a"][0])
    assert isinstance(ad.place(np.ones(8), mesh, ("data",)), jax.Array)
    model = nn.Linear(4, 2)
    state = ad.place(model.state_dict(), mesh, {"weight": (None, "data")})
    ad.place(model, mesh, {"weight": (None, "data")})
    model.load_state_dict(state)
    assert same_layout(model.weight, state["weight"]) and state["bias"].device.is_fully_replicated
    for spec, error, match in (
        (("nothing",), ArgumentError, "'nothing'.*data, model"), (("data", "data"), ArgumentError, "2 axes.*shape"),
        (["data"], ArgumentTypeError, "a spec is a tuple"), ({"x.*": ()}, ArgumentError, r"x\.\*"),
        ((("data", "data"),), ArgumentError, "twice"), (("model",), ValueError, "partitioned 2 times"),
    ):  # fmt: skip
        with pytest.raises(error, match=match):
            ad.place(ad.ones(7 if spec == ("model",) else 8), mesh, spec)
    with pytest.raises(ArgumentError, match="9 devices and there are 8"):
        ad.Mesh({"data": 9})
    assert ad.Mesh({"data": 2}, devices=ad.devices()[4:6]).engine.devices.tolist() == list(ad.devices()[4:6])
    assert "shape" not in repr(engine) and "0." in repr(engine)


def check_layouts(mesh, kind):
    """Gradients lie as what they belong to, in all ways to get them, and are those of one device."""
    (model, x, y), (near, a, b) = build(kind, mesh)
    names = [name for name, _ in model.named_parameters()]
    expected = ad.autograd.grad(loss_of(near, a, b), list(near.parameters()))
    params = list(model.parameters())
    loss_of(model, x, y).backward()
    grad = second = [p.grad for p in params]
    if kind is MLP:
        grad = ad.autograd.grad(loss_of(model, x, y), params, create_graph=True)
        second = ad.autograd.grad(sum((g * g).sum() for g in grad), params)

    def loss(values):
        return loss_of(lambda x: ad.func.functional_call(model, values, (x,)), x, y)

    values = {name: p.detach() for name, p in model.named_parameters()}
    compiled = ad.compile(ad.grad(loss))(values)
    by_function = ad.grad(loss)(values) if kind is MLP else compiled
    for i, (name, p) in enumerate(zip(names, params, strict=True)):
        for g in (p.grad, grad[i], by_function[name], compiled[name]):
            assert same_layout(g, p), (name, g.device, p.device)
            close(g, expected[i])
        assert same_layout(second[i], p), (name, second[i].device, p.device)


def check_training(mesh, kind):
    """Eager and compiled steps keep parameters and state where they are, and train as one device does."""
    for compiled in (False, True):
        (model, x, y), (near, a, b) = build(kind, mesh)
        layouts = [p.device for p in model.parameters()]
        for m, inputs in ((model, (x, y)), (near, (a, b))):
            optimizer = optim.Adam(m.parameters(), lr=0.01, eps=0.01)

            def step(x, y, m=m, optimizer=optimizer):
                optimizer.zero_grad()
                loss = loss_of(m, x, y)
                loss.backward()
                optimizer.step()
                return loss

            take = ad.compile(step, state=[m, optimizer]) if compiled else step
            for _ in range(3):
                take(*inputs)
            if m is model:
                state = optimizer.state
                saved = optimizer.state_dict()
        for p, q, there in zip(model.parameters(), near.parameters(), layouts, strict=True):
            assert p.device.is_equivalent_to(there, p.ndim), (p.device, there)
            assert all(same_layout(v, p) for k, v in state[p].items() if k != "step")
            close(p, q, 2e-5)
        again = optim.Adam(model.parameters())
        again.load_state_dict(saved)
        assert all(same_layout(v, p) for p in model.parameters() for k, v in again.state[p].items() if k != "step")


def check_alien_layouts(mesh):
    """A parameter that is laid out as no formula would: what it gets is laid out so all the same."""
    x = ad.place(ad.randn(8, 16), mesh, ("data",))
    for spec in (("data",), (("data", "model"),), (None, ("model", "data"))):
        w = ad.place(ad.randn(16, 8), mesh, spec)

        def f(w, x=x):
            return ((x @ w) ** 2).sum() + w[0].sum() + ad.sum(w[[1, 1]])

        expected = ad.grad(f)(np.asarray(w), np.asarray(x))
        leaf = w.clone().requires_grad_()
        f(leaf).backward()
        for g in (ad.grad(f)(w), ad.compile(ad.grad(f))(w), leaf.grad):
            assert same_layout(g, w), (spec, g.device)
            close(g, expected, 1e-4)


def check_user_mesh():
    """JAX's own mesh with Explicit axes, which is JAX's default, and what is refused there elsewhere."""
    mesh = jax.make_mesh((8,), ("d",))
    w = ad.place(ad.ones((8, 8)), mesh, ("d",)).requires_grad_()
    functions = (
        lambda w: (w @ w).sum(), lambda w: (w.T @ w).sum(), lambda w: w[1:3].sum(), lambda w: w[0].sum(),
        lambda w: ad.sort(w, axis=0).sum(), lambda w: ad.cumulative_sum(w, axis=0).sum(),
        lambda w: ad.take(w, ad.asarray([0, 5, 5]), axis=0).sum(), lambda w: ad.tensordot(w, w).sum(),
        lambda w: ad.einsum("ij,ik->jk", w, w).sum(), lambda w: w[ad.asarray([3, 3]), ad.asarray([0, 1])].sum(),
    )  # fmt: skip
    with ad.use_backend("numpy"):
        expected = [ad.grad(f)(ad.ones((8, 8))) for f in functions]
    for f, numbers in zip(functions, expected, strict=True):
        (g,) = ad.autograd.grad(f(w), w)
        assert same_layout(g, w)
        close(g, numbers)
    (g,) = ad.autograd.grad(ad.compile(lambda w: sum(f(w) for f in functions))(w), w)
    assert same_layout(g, w)
    close(g, sum(expected))
    other = ad.place(ad.ones((8, 8)), mesh, (None, "d"))
    with pytest.raises(Exception, match="illegally sharded"):
        w + other


def check_collectives():
    """A compiled data-parallel gradient communicates as JAX's own does, and needs the memory that needs."""
    mesh = ad.Mesh({"data": 8})
    rng = np.random.default_rng(0)
    x = ad.place(ad.tensor(rng.standard_normal((1024, 128)).astype(np.float32)), mesh, ("data",))
    y = ad.place(ad.tensor(rng.standard_normal((1024, 64)).astype(np.float32)), mesh, ("data",))
    w = ad.place(ad.tensor(rng.standard_normal((128, 64)).astype(np.float32)), mesh, ())

    def loss(w, x, y):
        return ((x @ w - y) ** 2).mean()

    raw = [t._value for t in (w, x, y)]
    theirs = jax.jit(jax.grad(loss)).lower(*raw).compile()
    with programs() as found:
        g = ad.compile(ad.grad(loss))(w, x, y)
    ours = found[-1][0].lower(*found[-1][1]).compile()
    close(g, ad.tensor(np.asarray(theirs(*raw))), 1e-5)
    assert collectives(ours) == collectives(theirs) == {"all-reduce": 1}, (collectives(ours), collectives(theirs))
    size = bytes_of(ours), bytes_of(theirs)
    assert size[0] <= 1.1 * size[1], size
    return f"collectives {dict(collectives(ours))}, bytes per device {size[0]} and JAX's own {size[1]}"


def check_collectives_of_a_step():
    """A compiled step of training: as many all-reduces as JAX's own step has, and nothing else."""
    mesh = ad.Mesh({"data": 8})
    (model, x, y), _ = build(type("Replicated", (MLP,), {"SPEC": ()}), mesh)
    y = F.one_hot(y, 8).to(x.dtype)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    values = [p._value for p in model.parameters()]

    def step(x, y):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()  # or gradients would be results of the program
        return loss

    def theirs(values, x, y):
        def loss(values):
            w, b, v, c = values
            return ((jax.nn.gelu(x @ w.T + b, approximate=False) @ v.T + c - y) ** 2).mean()

        value, grads = jax.value_and_grad(loss)(values)
        return value, [p - 0.1 * g for p, g in zip(values, grads, strict=True)]

    jitted = jax.jit(theirs).lower(values, x._value, y._value).compile()
    with programs() as found:
        ad.compile(step, state=[model, optimizer])(x, y)
    ours = found[0][0].lower(*jax.tree.map(alive, found[0][1])).compile()
    assert collectives(ours) == collectives(jitted) and set(collectives(ours)) == {"all-reduce"}, (
        collectives(ours), collectives(jitted),
    )  # fmt: skip
    size = bytes_of(ours), bytes_of(jitted)
    assert size[0] <= 1.1 * size[1], size
    return f"collectives {dict(collectives(ours))}, bytes per device {size[0]} and JAX's own {size[1]}"


def alive(x):
    """Return an argument that was given away as the shape, dtype and layout of it."""
    if isinstance(x, jax.Array) and x.is_deleted():
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
    return x


def bytes_of(program):
    """Return what a device needs for a compiled program: arguments, results, unless they take over those, the rest."""
    m = program.memory_analysis()
    whole = m.argument_size_in_bytes + m.output_size_in_bytes + m.temp_size_in_bytes
    return whole - m.alias_size_in_bytes


def collectives(program):
    """Count the collective operations of a compiled program."""
    return Counter(COLLECTIVES.findall(program.as_text()))


def check_transfers(mesh):
    """No value comes to the host in a step, eager or compiled."""
    (model, x, y), _ = build(MLP, mesh)
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        loss.backward()
        optimizer.step()
        return loss

    compiled = ad.compile(step, state=[model, optimizer])
    for take in (step, compiled):
        take(x, y)
        take(x, y)
        with transfers() as counts:
            loss = take(x, y)
        assert not any(counts.values()), counts
        with transfers() as counts:
            loss.item()
        assert any(counts.values())


def main():
    ad.set_default_backend("jax")
    checks = {
        "collectives": check_collectives,
        "collectives of a step": check_collectives_of_a_step,
        "devices": check_devices,
        "user mesh": check_user_mesh,
    }
    for explicit in (False, True):
        mesh, axes = ad.Mesh(AXES, explicit=explicit), "Explicit" if explicit else "Auto"
        for check in (check_alien_layouts, check_factories, check_place, check_transfers):
            checks[f"{check.__name__[6:].replace('_', ' ')}, {axes}"] = lambda check=check, mesh=mesh: check(mesh)
        for check, kind in ((check_layouts, MLP), (check_layouts, Transformer), (check_training, MLP)):
            name = f"{check.__name__[6:]} of {kind.__name__}, {axes}"
            checks[name] = lambda check=check, mesh=mesh, kind=kind: check(mesh, kind)
    results = {}
    for name, check in checks.items():
        start = time.perf_counter()
        try:
            results[name] = "ok", check() or f"{time.perf_counter() - start:.1f} s"
        except Exception:
            results[name] = "failed", traceback.format_exc(limit=-12)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
