"""A custom function under transformations: every level sees its rule, in any order of nesting."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import autodiff_api as ad

X = np.asarray([0.3, -0.7, 1.1])
DEEP = ["grad", "jvp", "jacfwd", "jacrev", "vmap"]


def honest(style, methods=()):
    """Make y = sin(x) * w, two outputs, whose derivatives are the true ones, in one of two styles."""

    def compute(x, w):
        return ad.sin(x) * w, ad.cos(x)

    def setup(ctx, inputs, output):
        x, w = inputs
        ctx.save_for_backward(x, w, output[1])
        ctx.save_for_forward(x, w)

    def old(ctx, x, w):
        output = compute(x, w)
        setup(ctx, (x, w), output)
        return output

    def backward(ctx, g, h):
        x, w, c = ctx.saved_tensors
        return g * w * c - h * ad.sin(x), g * ad.sin(x)

    def jvp(ctx, t, u):
        x, w = ctx.saved_tensors
        return t * w * ad.cos(x) + u * ad.sin(x), -t * ad.sin(x)

    def vmap(info, in_dims, x, w):
        assert all(d in (0, None) for d in in_dims) and info.randomness == "error"
        if in_dims[1] is not None:  # a number for each of the batch, beside a vector for each or for all
            w = w[:, None] if x.ndim == 2 or in_dims[0] is None else w
        y, c = made.apply(x, w)
        return (y, c), (0, in_dims[0])

    body = {"forward": compute if style == "new" else old, "backward": backward}
    if style == "new":
        body["setup_context"] = setup
    if "jvp" in methods:
        body["jvp"] = jvp
    if "vmap" in methods:
        body["vmap"] = vmap
    made = type("Honest", (ad.autograd.Function,), {name: staticmethod(m) for name, m in body.items()})
    return made


def deep(names, f):
    """Compose transformations of a function of one vector; each keeps a vector in and something out."""
    for name in names:
        f = {
            "grad": lambda f: ad.grad(lambda x: total(f(x))),
            "jvp": lambda f: lambda x: ad.jvp(f, (x,), (ad.cos(x) + 2 * x,))[1],
            "jacfwd": lambda f: ad.jacfwd(f),
            "jacrev": lambda f: ad.jacrev(f),
            "vmap": lambda f: lambda x: ad.vmap(lambda s: f(s * x))(ad.asarray([0.5, 2.0])),
        }[name](f)
    return f


def total(y):
    return (ad.asarray(y) ** 2).sum()


def plain(x, w):
    return ad.sin(x) * w, ad.cos(x)


def around(f):
    """A function of one vector that uses a function of two, closes over a constant, and mixes its outputs."""

    def g(x):
        y, c = f(x, x[0] * 0.5 + 1)
        return y * y[1] + c * ad.exp(x)

    return g


@pytest.mark.parametrize("methods", [(), ("jvp",), ("vmap",), ("jvp", "vmap")], ids=lambda m: "+".join(m) or "bare")
@pytest.mark.parametrize("style", ["new", "old"])
@pytest.mark.parametrize("names", [n for k in (1, 2) for n in itertools.product(DEEP, repeat=k)], ids="-".join)
def test_two_deep(names, style, methods):
    f = honest(style, methods)
    with ad.use_backend("numpy"):
        found, wanted = deep(names, around(f.apply))(X), deep(names, around(plain))(X)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("style", ["new", "old"])
@pytest.mark.parametrize("names", [*itertools.product(["grad", "jvp", "vmap"], repeat=3)], ids="-".join)
def test_three_deep(names, style, backend):
    x = ad.namespace(backend)._backend.namespace.asarray(X)
    found, wanted = deep(names, around(honest(style).apply))(x), deep(names, around(plain))(x)
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-9, atol=1e-12)


def made(**methods):
    return type("Made", (ad.autograd.Function,), {name: staticmethod(m) for name, m in methods.items()})


def test_what_forward_computes_besides_is_differentiated_on_other_levels(backend):
    """An intermediate that forward saves is a constant of its own level, as in PyTorch, and of no other."""

    def forward(ctx, x):
        ctx.save_for_backward(ad.cos(x) * 2)
        return 2 * ad.sin(x)

    f = made(forward=forward, backward=lambda ctx, g: g * ctx.saved_tensors[0])
    x = ad.namespace(backend)._backend.namespace.asarray(X)
    for names in (["jvp", "grad"], ["grad", "jvp"], ["jvp", "jvp"], ["vmap", "jvp", "grad"], ["grad", "vmap", "jvp"]):
        found, wanted = deep(names, f.apply)(x), deep(names, lambda x: 2 * ad.sin(x))(x)
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-9, err_msg="-".join(names))


def test_transformations_inside_of_the_methods(backend):
    """Each method works on its own level, so a transformation in it gives what that level understands."""

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return ad.grad(lambda x: (x**3).sum())(x)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return ad.vjp(lambda x: 3 * x**2, x)[1](g)[0]

    f = made(forward=forward, backward=backward)
    x = ad.namespace(backend)._backend.namespace.asarray(X)
    for names in [n for k in (1, 2) for n in itertools.product(["grad", "jvp", "vmap"], repeat=k)]:
        found, wanted = deep(names, f.apply)(x), deep(names, lambda x: 3 * x**2)(x)
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-9, err_msg="-".join(names))
    mapped = deep(["vmap"], ad.sin)
    g = made(
        forward=lambda ctx, x: (ctx.save_for_backward(x), mapped(x))[1],
        backward=lambda ctx, g: ad.vjp(mapped, *ctx.saved_tensors)[1](g)[0],
    )
    np.testing.assert_allclose(np.asarray(ad.jacrev(g.apply)(x)), np.asarray(ad.jacrev(mapped)(x)), rtol=1e-9)


@pytest.mark.parametrize("mode", [ad.no_grad, ad.inference_mode])
def test_in_modes_that_record_nothing(mode, backend):
    f = around(honest("old").apply)
    g = ad.custom_jvp(lambda x: ad.sin(x))
    g.defjvps(lambda t, out, x: t * ad.cos(x))
    with mode():
        x = ad.asarray(X)
        for h, k in ((f, around(plain)), (g, ad.sin), (lambda s: f(s * x), lambda s: around(plain)(s * x))):
            for names in (["grad"], ["jvp"], ["vmap"], ["jvp", "grad"], ["grad", "jvp"]):
                found, wanted = deep(names, h)(x), deep(names, k)(x)
                assert not found.requires_grad
                np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-9, err_msg="-".join(names))


def test_arrays_without_tensors_on_top(backend):
    xp = ad.namespace(backend)
    raw = xp._backend.namespace.asarray(X)
    for over in (xp._over("dual"), xp._beside("dual")):
        make = (lambda x: xp.asarray(x)) if over is xp._over("dual") else (lambda x: x)
        y, c = honest("new").apply(over.dual(make(raw), make(raw)), over.dual(make(raw)))
        assert isinstance(y, over.array_class) and isinstance(c, over.array_class)
        np.testing.assert_allclose(host(y._value), np.sin(X) * X)
        np.testing.assert_allclose(host(y._tangent), np.cos(X) * X * X)
        np.testing.assert_allclose(host(c._tangent), -np.sin(X) * X)


def host(x):
    return x.numpy(force=True) if isinstance(x, ad.Tensor) else np.asarray(x)


class Times(ad.autograd.Function):
    """A product that only NumPy computes, and a derivative that is made of such products."""

    @staticmethod
    def forward(x, y):
        return ad.asarray(x.numpy() * y.numpy())

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return Times.apply(g, y), Times.apply(g, x)

    @staticmethod
    def jvp(ctx, t, u):
        x, y = ctx.saved_tensors
        return Times.apply(t, y) + Times.apply(u, x)

    @staticmethod
    def vmap(info, in_dims, x, y):
        x, y = (a[None] if d is None else ad.moveaxis(a, d, 0) for a, d in zip((x, y), in_dims, strict=True))
        return Times.apply(x, y), 0


class TimesBack(Times):
    """The same, going forward by its backward."""

    jvp = ad.autograd.Function.jvp


@pytest.mark.parametrize("product", [Times, TimesBack], ids=lambda f: f.__name__)
@pytest.mark.parametrize("names", [*itertools.product(["grad", "jvp", "vmap"], repeat=3)], ids="-".join)
def test_what_numpy_computes_in_every_nesting(names, product):
    def transformed(f):
        for name in names:
            f = {
                "grad": lambda f: ad.grad(lambda x: (f(x) ** 2).sum()),
                "jvp": lambda f: lambda x: ad.jvp(f, (x,), (2 * x + 1,))[1],
                "vmap": ad.vmap,
            }[name](f)
        return f

    x = np.arange(1.0, 1 + 2 ** names.count("vmap")).reshape((2,) * names.count("vmap"))
    with ad.use_backend("numpy"):
        x = ad.asarray(x)
        found = transformed(lambda x: product.apply(product.apply(x, x), x))(x)
        np.testing.assert_allclose(found.numpy(), transformed(lambda x: x**3)(x).numpy(), rtol=1e-9)


def test_what_can_not_be_mapped_says_what_to_write(backend):
    f = made(forward=lambda ctx, x: ad.asarray(x.numpy(force=True)), backward=lambda ctx, g: g)
    with pytest.raises(ad.BatchingError) as caught:
        ad.vmap(f.apply)(ad.asarray(X))
    assert any("Made has no vmap of its own" in note for note in caught.value.__notes__)


def test_what_all_share_gets_the_sum_over_the_batch(backend):
    """Also of a gradient that is the same for each of them."""
    f = made(forward=lambda ctx, x, w: x + w, backward=lambda ctx, g: (g, ad.asarray([1.0, 2.0, 3.0])))
    xs, w = ad.zeros((4, 3)), ad.asarray(X)
    found = ad.grad(lambda w: ad.vmap(lambda x: f.apply(x, w))(xs).sum())(w)
    np.testing.assert_allclose(found.numpy(), [4, 8, 12])


def test_once_differentiable_refuses_every_second_derivative(backend):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    once = ad.autograd.function.once_differentiable
    f = made(forward=forward, backward=once(lambda ctx, g: 2 * g * ctx.saved_tensors[0])).apply
    x = ad.asarray(X)
    first = ad.grad(lambda x: f(x).sum())
    np.testing.assert_allclose(first(x).numpy(), 2 * X)
    np.testing.assert_allclose(ad.vmap(ad.grad(f))(x).numpy(), 2 * X)
    for second in (
        lambda: ad.jvp(first, (x,), (x,)),
        lambda: ad.grad(lambda x: first(x).sum())(x),
        lambda: ad.jvp(f, (x,), (x,)),  # which has nothing but backward's transpose
        lambda: ad.grad(lambda x: ad.vmap(ad.grad(f))(x).sum())(x),
    ):
        with pytest.raises(ad.GraphError, match="once_differentiable"):
            second()


def test_dirty_inputs_under_transformations(backend):
    def forward(ctx, x, k):
        ctx.mark_dirty(x)
        return x.mul_(k)

    def doubled(x):
        y = x * 1
        z = made(forward=forward, backward=lambda ctx, g: (g * 2, None)).apply(y, 2.0)
        return z + y  # which was changed

    x = ad.namespace(backend)._backend.namespace.asarray(X)
    for names in (["grad"], ["jvp"], ["vmap"], ["vmap", "grad"], ["grad", "vmap"], ["jvp", "grad"], ["grad", "jvp"]):
        found, wanted = deep(names, doubled)(x), deep(names, lambda x: 4 * x)(x)
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-9, err_msg="-".join(names))
    with pytest.raises(ad.BatchingError, match="changes argument 0 in place, which all share"):
        f = made(forward=forward, backward=lambda ctx, g: g)
        shared = ad.asarray([1.0])
        ad.vmap(lambda k: f.apply(shared.clone(), k))(ad.asarray([1.0, 2.0]))


BAD = {
    "captured": (
        lambda x: ad.jvp(
            lambda x: made(forward=lambda ctx, y: y * x, backward=lambda ctx, g: g).apply(x * 2), (x,), (x,)
        ),
        "by another way than",
    ),
    "jvp count": (
        lambda x: ad.jvp(made(forward=lambda ctx, x: (x, x * 2), jvp=lambda ctx, t: t).apply, (x,), (x,)),
        "expected 2 but got 1",
    ),
    "jvp shape": (
        lambda x: ad.jvp(made(forward=lambda ctx, x: x * 2, jvp=lambda ctx, t: t.sum()).apply, (x,), (x,)),
        "forward gradient that has a different size",
    ),
    "jvp type": (
        lambda x: ad.jvp(made(forward=lambda ctx, x: x * 2, jvp=lambda ctx, t: 3.0).apply, (x,), (x,)),
        "expected a tensor or None for output 0, got float",
    ),
    "vmap and rule": (
        lambda x: ad.vmap(type("F", (ad.autograd.Function,), {"generate_vmap_rule": True, "vmap": print}).apply)(x),
        "both generate_vmap_rule=True and an overridden vmap",
    ),
    "vmap dims": (
        lambda x: ad.vmap(made(forward=lambda ctx, x: x, vmap=lambda i, d, x: (x, (0, 0))).apply)(x),
        "2 entries for 1",
    ),
    "vmap no pair": (
        lambda x: ad.vmap(made(forward=lambda ctx, x: x, vmap=lambda i, d, x: x).apply)(x),
        r"expected \(output, out_dims\)",
    ),
    "vmap no tensor": (
        lambda x: ad.vmap(made(forward=lambda ctx, x: x, vmap=lambda i, d, x: (3, 0)).apply)(x),
        "which is no tensor",
    ),
    "vmap size": (
        lambda x: ad.vmap(made(forward=lambda ctx, x: x, vmap=lambda i, d, x: (x[:2], 0)).apply)(x),
        "where the batch has 3",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_function(name, backend):
    run, message = BAD[name]
    with pytest.raises(ad.AutodiffError, match=message):
        run(ad.asarray(X))


# --- a rule that is wrong on purpose tells which levels have seen it ---


def dishonest(lib, vmap=False):
    """Make y = x ** 2 with a backward of 3 g x, and a jvp of 5 t x."""

    def setup(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    body = {
        "forward": lambda x: x * x,
        "setup_context": setup,
        "backward": lambda ctx, g: 3 * g * ctx.saved_tensors[0],
        "jvp": lambda ctx, t: 5 * t * ctx.saved_tensors[0],
    }
    if vmap:
        body["vmap"] = lambda info, in_dims, x: (7 * made.apply(x), in_dims[0])
    body = {name: staticmethod(m) for name, m in body.items()}
    made = type("Dishonest", (lib.autograd.Function,), {**body, "generate_vmap_rule": not vmap})
    return made


NAMES = [n for k in (1, 2, 3) for n in itertools.product(["grad", "jvp", "vmap"], repeat=k)]


# PyTorch's jvp of a jvp through a Function is zero, even where the rule is true.
@pytest.mark.parametrize("vmap", [False, True])
@pytest.mark.parametrize("names", [n for n in NAMES if n.count("jvp") < 2], ids="-".join)
def test_every_level_sees_the_rule_as_in_torch_func(names, vmap):
    torch = pytest.importorskip("torch")

    def transformed(lib, transforms, f):
        for name in names:
            f = {
                "grad": lambda f: transforms.grad(lambda x: (f(x) ** 2).sum()),
                "jvp": lambda f: lambda x: transforms.jvp(f, (x,), (2 * x + 1,))[1],
                "vmap": lambda f: lambda x: transforms.vmap(f)(x),
            }[name](f)
        return f

    x = np.arange(1.0, 1 + 2 ** names.count("vmap")).reshape((2,) * names.count("vmap"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, about its parts
        theirs = transformed(torch, torch.func, dishonest(torch, vmap).apply)(torch.asarray(x))
    ours = transformed(ad, ad, dishonest(ad, vmap).apply)(ad.asarray(x))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9)
