"""Every differentiable op, by the standard's name, beside PyTorch's: value, first and second derivative.

A case is data: a name, the op in the standard's words, the op in PyTorch's, and the domains and shapes of its
inputs. Each is computed in float64, and in complex128 where the standard permits. The same table then serves
laws that need no PyTorch: central differences, and that it makes no odds which inputs require grad.
"""

import functools
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest


class Case(NamedTuple):
    """An op on sample inputs. An input is (domain, *shape); see `draw`."""

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    inputs: tuple[tuple[Any, ...], ...]
    kinds: str = "rc"  # real, complex


def draw(domain, shape, seed, complex_):
    """Give distinct values: (r)eal of either sign, (p)ositive, in the (u)nit interval, (g)reater than 1.

    None lies within 0.05 of zero or of another: no kink and no tie is near.
    """
    rng = np.random.default_rng(seed)
    n = math.prod(shape)
    low, high = {"r": (0.3, 1.9), "p": (0.4, 1.9), "u": (0.1, 0.8), "g": (1.2, 2.4)}[domain]
    values = rng.permutation(np.linspace(low, high, n + 1)[:n] + 0.01 * rng.random(n))
    if domain in "ru":
        values = values * rng.choice([-1.0, 1.0], n)
    if complex_:
        values = values + 1j * rng.uniform(0.2, 0.9, n) * rng.choice([-1.0, 1.0], n)
    return values.reshape(shape)


def samples(case, kind):
    """Give the inputs of `case` as NumPy arrays: (r)eal, (c)omplex, or real in (s)ingle precision."""
    seed = zlib.crc32(case.name.encode())
    arrays = [draw(d, shape, seed + k, kind == "c") for k, (d, *shape) in enumerate(case.inputs)]
    return [a.astype("float32") for a in arrays] if kind == "s" else arrays


def cotangent(shape, dtype, seed):
    """Give a random array for a value of this shape, complex where the value is."""
    rng = np.random.default_rng(seed)
    c = rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    return c + 1j * rng.uniform(-1.0, 1.0, shape) if "complex" in str(dtype) else c


def listed(outputs):
    """Give what an op returned as a list."""
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def dot(torch, a, w):
    """Give the real inner product that gradients are dual to."""
    return torch.sum(torch.real(torch.conj(w) * a)) if "complex" in str(a.dtype) else torch.sum(a * w)


def host(x):
    """Give a tensor's elements as a NumPy array."""
    return x.numpy(force=True)


def study(torch, f, arrays):
    """Give value, gradient and second-order gradient of f(*arrays) as lists of NumPy arrays.

    The second order is the gradient of <first gradient, w>, by the inputs and by the cotangents.
    """
    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    ys = listed(f(*xs))
    cs = [torch.tensor(cotangent(tuple(y.shape), y.dtype, 7 + k), requires_grad=True) for k, y in enumerate(ys)]
    cs = [c.to(y.dtype).detach().requires_grad_() for c, y in zip(cs, ys, strict=True)]
    options = {"materialize_grads": True}
    plain = torch.autograd.grad(ys, xs, cs, retain_graph=True, **options)
    first = torch.autograd.grad(ys, xs, cs, create_graph=True, **options)
    for a, b in zip(plain, first, strict=True):
        rounding = 1e-6 if a.dtype in (torch.float32, torch.complex64) else 1e-13
        np.testing.assert_allclose(host(a), host(b), rtol=rounding, err_msg="create_graph changes the gradient")
    s = functools.reduce(
        lambda a, b: a + b,
        [
            dot(torch, g, torch.tensor(cotangent(tuple(g.shape), g.dtype, 99 + k)).to(g.dtype))
            for k, g in enumerate(first)
        ],
    )
    if s.requires_grad:
        second = torch.autograd.grad(s, [*xs, *cs], **options)
    else:
        second = [torch.zeros_like(x) for x in [*xs, *cs]]
    return [[host(y) for y in part] for part in (ys, first, second)]


# The table ----------------------------------------------------------------------------------------------

UNARY = {  # name: (domain, kinds, PyTorch's name where it is another)
    "abs": ("r", "rc"),
    "acos": ("u", "rc"),
    "acosh": ("g", "rc"),
    "asin": ("u", "rc"),
    "asinh": ("r", "rc"),
    "atan": ("r", "rc"),
    "atanh": ("u", "rc"),
    "ceil": ("r", "r"),
    "conj": ("r", "rc"),
    "cos": ("r", "rc"),
    "cosh": ("r", "rc"),
    "exp": ("r", "rc"),
    "expm1": ("r", "rc"),
    "floor": ("r", "r"),
    "imag": ("r", "c"),
    "log": ("p", "rc"),
    "log10": ("p", "rc"),
    "log1p": ("u", "rc"),
    "log2": ("p", "rc"),
    "negative": ("r", "rc"),
    "positive": ("r", "rc"),
    "real": ("r", "rc"),
    "reciprocal": ("r", "rc"),
    "round": ("r", "r"),
    "sign": ("r", "rc", "sgn"),
    "sin": ("r", "rc"),
    "sinh": ("r", "rc"),
    "sqrt": ("p", "rc"),
    "square": ("r", "rc"),
    "tan": ("u", "rc"),
    "tanh": ("r", "rc"),
    "trunc": ("r", "r"),
}
BINARY = {  # name: (domain of x1, of x2, kinds)
    "add": ("r", "r", "rc"),
    "atan2": ("r", "r", "r"),
    "copysign": ("r", "r", "r"),
    "divide": ("r", "r", "rc"),
    "floor_divide": ("r", "r", "r"),
    "hypot": ("r", "r", "r"),
    "logaddexp": ("r", "r", "r"),
    "maximum": ("r", "r", "r"),
    "minimum": ("r", "r", "r"),
    "multiply": ("r", "r", "rc"),
    "pow": ("p", "r", "rc"),
    "remainder": ("g", "r", "r"),
    "subtract": ("r", "r", "rc"),
}
BROADCASTS = [((), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((3,), (2, 1))]


def torch_binary(torch, name):
    """Give PyTorch's binary function; its floor_divide refuses tensors that require grad."""
    return (lambda a, b: torch.floor(a / b)) if name == "floor_divide" else getattr(torch, name)


def unary_cases():
    """Give a case for each unary function."""
    for name, (domain, kinds, *other) in UNARY.items():
        torch_name = other[0] if other else name
        yield Case(
            name,
            lambda xp, x, name=name: getattr(xp, name)(x),
            lambda torch, x, name=torch_name: getattr(torch, name)(x),
            ((domain, 2, 3),),
            kinds,
        )
        yield Case(
            f"{name} 0-d",
            lambda xp, x, name=name: getattr(xp, name)(x),
            lambda torch, x, name=torch_name: getattr(torch, name)(x),
            ((domain,),),
            kinds,
        )


def binary_cases():
    """Give cases for each binary function: each way of broadcasting, and a Python number on either side."""
    for name, (d1, d2, kinds) in BINARY.items():
        for s1, s2 in BROADCASTS:
            yield Case(
                f"{name} {s1} {s2}",
                lambda xp, a, b, name=name: getattr(xp, name)(a, b),
                lambda torch, a, b, name=name: torch_binary(torch, name)(a, b),
                ((d1, *s1), (d2, *s2)),
                kinds,
            )
        yield Case(
            f"{name} x, number",
            lambda xp, x, name=name: getattr(xp, name)(x, 1.25),
            lambda torch, x, name=name: torch_binary(torch, name)(x, torch.tensor(1.25)),
            ((d1, 2, 3),),
            kinds,
        )
        yield Case(
            f"{name} number, x",
            lambda xp, x, name=name: getattr(xp, name)(1.25, x),
            lambda torch, x, name=name: torch_binary(torch, name)(torch.tensor(1.25), x),
            ((d2, 2, 3),),
            kinds,
        )


OPERATORS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "a ** b": lambda a, b: a**b,
    "2 + a": lambda a, b: 2 + a,
    "2 - a": lambda a, b: 2 - a,
    "2 * a": lambda a, b: 2 * a,
    "2 / a": lambda a, b: 2 / a,
    "2 ** a": lambda a, b: 2**a,
    "a ** 2": lambda a, b: a**2,
    "a ** 3": lambda a, b: a**3,
    "a ** -1": lambda a, b: a**-1,
    "a ** 0.5": lambda a, b: a**0.5,
    "a ** 0": lambda a, b: a**0,
    "a ** 1": lambda a, b: a**1,
    "-a, +a": lambda a, b: (-a, +a),
    "abs(a)": lambda a, b: abs(a),
    "a @ b.T": lambda a, b: a @ b.T,
    "a.mT @ b": lambda a, b: a.mT @ b,
    "shared": lambda a, b: (a * b + a) * (a - b),
}


def operator_cases():
    """Give a case for each operator: the same words in both libraries."""
    for name, f in OPERATORS.items():
        g = functools.partial(lambda f, lib, a, b: f(a, b), f)
        yield Case(name, g, g, (("p", 2, 3), ("p", 2, 3)))


AXES = [None, 0, -1, (0,), (0, 2), (0, 1, 2), ()]


def over_axes(reduce_one):
    """Give a reduction over any axes, out of one over the last."""

    def reduce(torch, x, axis, keepdims):
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(a % x.ndim for a in axes)
        rest = tuple(a for a in range(x.ndim) if a not in axes)
        y = x.permute(*rest, *axes).reshape([x.shape[a] for a in rest] + [-1])
        y = reduce_one(torch, y)
        return y.reshape([1 if a in axes else n for a, n in enumerate(x.shape)]) if keepdims else y

    return reduce


REDUCTIONS = {
    "sum": (lambda torch, y: torch.sum(y, -1), "rc"),
    "mean": (lambda torch, y: torch.mean(y, -1), "rc"),
    "prod": (lambda torch, y: torch.prod(y, -1), "rc"),
    "max": (lambda torch, y: torch.amax(y, -1), "r"),
    "min": (lambda torch, y: torch.amin(y, -1), "r"),
    "std": (lambda torch, y: torch.std(y, -1, correction=0), "r"),
    "var": (lambda torch, y: torch.var(y, -1, correction=0), "r"),
}


def reduction_cases():
    """Give cases for each reduction: every kind of axis, with and without keepdims."""
    for name, (one, kinds) in REDUCTIONS.items():
        theirs = over_axes(one)
        for axis in AXES:
            if axis == () and name in ("std", "var"):
                continue  # of single elements: not differentiable
            for keepdims in (False, True):
                yield Case(
                    f"{name} {axis} {keepdims}",
                    lambda xp, x, name=name, a=axis, k=keepdims: getattr(xp, name)(x, axis=a, keepdims=k),
                    lambda torch, x, f=theirs, a=axis, k=keepdims: f(torch, x, a, k),
                    (("r", 2, 3, 2),),
                    kinds,
                )
    for name in ("std", "var"):
        yield Case(
            f"{name} correction",
            lambda xp, x, name=name: getattr(xp, name)(x, axis=0, correction=1.0),
            lambda torch, x, name=name: getattr(torch, name)(x, 0, correction=1.0),
            (("r", 4, 2),),
            "r",
        )


def c(name, ours, theirs, *inputs, kinds="rc"):
    """Give one case."""
    return Case(name, ours, theirs, inputs, kinds)


PRODUCTS = [
    *[
        c(
            f"matmul {a} {b}",
            lambda xp, x, y: xp.matmul(x, y),
            lambda t, x, y: t.matmul(x, y),
            ("r", *a),
            ("r", *b),
        )
        for a, b in [
            ((3,), (3,)),
            ((2, 3), (3,)),
            ((3,), (3, 2)),
            ((2, 3), (3, 2)),
            ((4, 2, 3), (3, 2)),
            ((4, 2, 3), (4, 3, 2)),
            ((2, 3), (4, 3, 2)),
            ((1, 2, 3), (4, 3, 2)),
            ((2, 1, 2, 3), (4, 3, 1)),
            ((3,), (4, 3, 2)),
            ((4, 2, 3), (3,)),
            ((0, 3), (3, 2)),
            ((2, 0), (0, 3)),
        ]
    ],
    *[
        c(
            f"tensordot {axes} {a} {b}",
            lambda xp, x, y, axes=axes: xp.tensordot(x, y, axes=axes),
            lambda t, x, y, axes=axes: t.tensordot(x, y, dims=axes),
            ("r", *a),
            ("r", *b),
        )
        for axes, a, b in [
            (0, (2,), (3,)),
            (0, (2, 2), (3,)),
            (1, (2, 3), (3, 2)),
            (2, (2, 3), (2, 3)),
            (2, (2, 2, 3), (2, 3, 2)),
            (((0,), (1,)), (2, 3), (3, 2)),
            (((0, 2), (1, 0)), (2, 3, 4), (4, 2)),
            (((-1,), (-2,)), (2, 3), (3, 2)),
        ]
    ],
    *[
        c(
            f"vecdot {axis} {a} {b}",
            lambda xp, x, y, axis=axis: xp.vecdot(x, y, axis=axis),
            lambda t, x, y, axis=axis: t.linalg.vecdot(x, y, dim=axis),
            ("r", *a),
            ("r", *b),
        )
        for axis, a, b in [
            (-1, (3,), (3,)),
            (-1, (2, 3), (2, 3)),
            (-2, (2, 3), (2, 3)),
            (-1, (2, 3), (3,)),
            (-1, (2, 1, 3), (4, 3)),
        ]
    ],
    c("outer", lambda xp, x, y: xp.linalg.outer(x, y), lambda t, x, y: t.outer(x, y), ("r", 2), ("r", 3)),
    c("matrix_transpose", lambda xp, x: xp.matrix_transpose(x), lambda t, x: x.mT, ("r", 2, 3, 2)),
]

NORMS = [
    *[
        c(
            f"vector_norm {ord} {axis} {keepdims}",
            lambda xp, x, o=ord, a=axis, k=keepdims: xp.linalg.vector_norm(x, ord=o, axis=a, keepdims=k),
            lambda t, x, o=ord, a=axis, k=keepdims: t.linalg.vector_norm(x, ord=o, dim=a, keepdim=k),
            ("r", 2, 3),
        )
        for ord, axis, keepdims in [
            (2, None, False),
            (2, -1, True),
            (1, 0, False),
            (3, None, True),
            (1.5, 1, False),
            (0.5, (0, 1), False),
            (math.inf, -1, False),
            (-math.inf, None, False),
            (0, 0, False),
        ]
    ],
    c("cross", lambda xp, x, y: xp.linalg.cross(x, y), lambda t, x, y: t.linalg.cross(x, y), ("r", 2, 3), ("r", 2, 3)),
    c(
        "cross axis",
        lambda xp, x, y: xp.linalg.cross(x, y, axis=0),
        lambda t, x, y: t.linalg.cross(x, y, dim=0),
        ("r", 3, 2),
        ("r", 3, 1),
    ),
    *[
        c(
            f"diagonal {k}",
            lambda xp, x, k=k: xp.linalg.diagonal(x, offset=k),
            lambda t, x, k=k: t.linalg.diagonal(x, offset=k),
            ("r", 2, 3, 4),
        )
        for k in (0, 1, -1)
    ],
    *[
        c(
            f"trace {k}",
            lambda xp, x, k=k: xp.linalg.trace(x, offset=k),
            lambda t, x, k=k: t.linalg.diagonal(x, offset=k).sum(-1),
            ("r", 2, 3, 4),
        )
        for k in (0, -2)
    ],
]

ELEMENT = [
    c(
        "where",
        lambda xp, x, y: xp.where(x > xp.asarray(0.1), x * x, y),
        lambda t, x, y: t.where(x > 0.1, x * x, y),
        ("r", 2, 3),
        ("r", 2, 3),
        kinds="r",
    ),
    c(
        "where broadcast",
        lambda xp, x, y: xp.where(xp.asarray([True, False, True]), x, y),
        lambda t, x, y: t.where(t.tensor([True, False, True]), x, y),
        ("r", 2, 1),
        ("r", 3),
    ),
    c(
        "where number",
        lambda xp, x: (xp.where(x > 0, x, 2.0), xp.where(x > 0, 2.0, x)),
        lambda t, x: (t.where(x > 0, x, 2.0), t.where(x > 0, 2.0, x)),
        ("r", 2, 3),
        kinds="r",
    ),
    c(
        "clip",
        lambda xp, x: xp.clip(x, -1.0, 1.0),
        lambda t, x: t.clamp(x, -1.0, 1.0),
        ("r", 2, 3),
        kinds="r",
    ),
    c("clip min", lambda xp, x: xp.clip(x, 0.5), lambda t, x: t.clamp(x, 0.5), ("r", 2, 3), kinds="r"),
    c(
        "clip max",
        lambda xp, x: xp.clip(x, max=0.5),
        lambda t, x: t.clamp(x, max=0.5),
        ("r", 2, 3),
        kinds="r",
    ),
    c(
        "clip arrays",
        lambda xp, x, lo, hi: xp.clip(x, -lo, hi),
        lambda t, x, lo, hi: t.clamp(x, -lo, hi),
        ("r", 2, 3),
        ("p", 3),
        ("p", 2, 1),
        kinds="r",
    ),
    c(
        "astype float32",
        lambda xp, x: xp.astype(x * x, xp.float32),
        lambda t, x: (x * x).to(t.float32),
        ("r", 2, 3),
        kinds="r",
    ),
    c(
        "astype complex",
        lambda xp, x: xp.astype(x * x, xp.complex128),
        lambda t, x: (x * x).to(t.complex128),
        ("r", 2, 3),
    ),
    c("sigmoid", lambda xp, x: x.sigmoid(), lambda t, x: t.sigmoid(x), ("r", 2, 3), kinds="r"),
    c("relu", lambda xp, x: x.relu() * x, lambda t, x: t.relu(x) * x, ("r", 2, 3), kinds="r"),
]

SCANS = [
    *[
        c(
            f"cumulative_sum {axis} {initial}",
            lambda xp, x, a=axis, i=initial: xp.cumulative_sum(x, axis=a, include_initial=i),
            lambda t, x, a=axis, i=initial: scan(t, t.cumsum, x, a, i, 0.0),
            ("r", 2, 4),
        )
        for axis in (0, 1, -1)
        for initial in (False, True)
    ],
    *[
        c(
            f"cumulative_prod {axis} {initial}",
            lambda xp, x, a=axis, i=initial: xp.cumulative_prod(x, axis=a, include_initial=i),
            lambda t, x, a=axis, i=initial: scan(t, t.cumprod, x, a, i, 1.0),
            ("r", 2, 4),
        )
        for axis in (0, 1, -1)
        for initial in (False, True)
    ],
    c("cumulative_sum 1-d", lambda xp, x: xp.cumulative_sum(x), lambda t, x: t.cumsum(x, 0), ("r", 5)),
    c("cumulative_prod 1-d", lambda xp, x: xp.cumulative_prod(x), lambda t, x: t.cumprod(x, 0), ("r", 5)),
    *[
        c(
            f"sort {axis} {down}",
            lambda xp, x, a=axis, d=down: xp.sort(x, axis=a, descending=d) * 2.0,
            lambda t, x, a=axis, d=down: t.sort(x, dim=a, descending=d, stable=True).values * 2.0,
            ("r", 3, 4),
            kinds="r",
        )
        for axis in (0, -1)
        for down in (False, True)
    ],
    *[
        c(
            f"diff {n} {axis}",
            lambda xp, x, n=n, a=axis: xp.diff(x, n=n, axis=a),
            lambda t, x, n=n, a=axis: t.diff(x, n=n, dim=a),
            ("r", 3, 4),
        )
        for n, axis in [(1, -1), (1, 0), (2, -1), (2, 0)]
    ],
    c(
        "diff ends",
        lambda xp, x, a, b: xp.diff(x, axis=1, prepend=a, append=b),
        lambda t, x, a, b: t.diff(x, dim=1, prepend=a, append=b),
        ("r", 2, 3),
        ("r", 2, 1),
        ("r", 2, 2),
    ),
]


def scan(torch, f, x, axis, initial, unit):
    """Give PyTorch's cumulative sum or product, with the standard's `include_initial`."""
    y = f(x, axis)
    if not initial:
        return y
    shape = list(x.shape)
    shape[axis] = 1
    return torch.concat((torch.full(shape, unit, dtype=x.dtype), y), dim=axis)


SHAPES = [
    c("reshape", lambda xp, x: xp.reshape(x, (3, 2)), lambda t, x: t.reshape(x, (3, 2)), ("r", 2, 3)),
    c("reshape -1", lambda xp, x: xp.reshape(x, (-1,)), lambda t, x: t.reshape(x, (-1,)), ("r", 2, 3)),
    c("reshape to 0-d", lambda xp, x: xp.reshape(x, ()), lambda t, x: t.reshape(x, ()), ("r", 1, 1)),
    c(
        "permute_dims",
        lambda xp, x: xp.permute_dims(x, (2, 0, 1)),
        lambda t, x: t.permute(x, (2, 0, 1)),
        ("r", 2, 3, 4),
    ),
    c(
        "permute_dims negative",
        lambda xp, x: xp.permute_dims(x, (-1, 0, 1)),
        lambda t, x: t.permute(x, (-1, 0, 1)),
        ("r", 2, 3, 4),
    ),
    c("moveaxis", lambda xp, x: xp.moveaxis(x, 0, -1), lambda t, x: t.moveaxis(x, 0, -1), ("r", 2, 3, 4)),
    c(
        "moveaxis two",
        lambda xp, x: xp.moveaxis(x, (0, 2), (1, 0)),
        lambda t, x: t.moveaxis(x, (0, 2), (1, 0)),
        ("r", 2, 3, 4),
    ),
    c("expand_dims", lambda xp, x: xp.expand_dims(x, axis=1), lambda t, x: t.unsqueeze(x, 1), ("r", 2, 3)),
    c(
        "expand_dims last",
        lambda xp, x: xp.expand_dims(x, axis=-1),
        lambda t, x: t.unsqueeze(x, -1),
        ("r", 2, 3),
    ),
    c("squeeze", lambda xp, x: xp.squeeze(x, axis=1), lambda t, x: t.squeeze(x, 1), ("r", 2, 1, 3)),
    c(
        "squeeze two",
        lambda xp, x: xp.squeeze(x, axis=(0, -1)),
        lambda t, x: t.squeeze(x, (0, -1)),
        ("r", 1, 3, 1),
    ),
    c(
        "broadcast_to",
        lambda xp, x: xp.broadcast_to(x, (4, 2, 3)),
        lambda t, x: t.broadcast_to(x, (4, 2, 3)),
        ("r", 2, 1),
    ),
    c(
        "broadcast_to 0-d",
        lambda xp, x: xp.broadcast_to(x, (2, 3)),
        lambda t, x: t.broadcast_to(x, (2, 3)),
        ("r",),
    ),
    c(
        "broadcast_arrays",
        lambda xp, x, y: xp.broadcast_arrays(x, y),
        lambda t, x, y: t.broadcast_tensors(x, y),
        ("r", 2, 1),
        ("r", 3),
    ),
    c(
        "meshgrid xy",
        lambda xp, x, y: xp.meshgrid(x, y),
        lambda t, x, y: t.meshgrid(x, y, indexing="xy"),
        ("r", 2),
        ("r", 3),
    ),
    c(
        "meshgrid ij",
        lambda xp, x, y: xp.meshgrid(x, y, indexing="ij"),
        lambda t, x, y: t.meshgrid(x, y, indexing="ij"),
        ("r", 2),
        ("r", 3),
    ),
    c(
        "concat 0",
        lambda xp, x, y: xp.concat((x, y)),
        lambda t, x, y: t.concat((x, y)),
        ("r", 1, 3),
        ("r", 2, 3),
    ),
    c(
        "concat -1",
        lambda xp, x, y: xp.concat([x, y, x], axis=-1),
        lambda t, x, y: t.concat([x, y, x], dim=-1),
        ("r", 2, 3),
        ("r", 2, 1),
    ),
    c(
        "concat None",
        lambda xp, x, y: xp.concat((x, y), axis=None),
        lambda t, x, y: t.concat((x.flatten(), y.flatten())),
        ("r", 2, 3),
        ("r", 2),
    ),
    c(
        "stack 0",
        lambda xp, x, y: xp.stack((x, y)),
        lambda t, x, y: t.stack((x, y)),
        ("r", 2, 3),
        ("r", 2, 3),
    ),
    c(
        "stack -1",
        lambda xp, x, y: xp.stack([x, y, x], axis=-1),
        lambda t, x, y: t.stack([x, y, x], dim=-1),
        ("r", 2, 3),
        ("r", 2, 3),
    ),
    c("unstack", lambda xp, x: xp.unstack(x), lambda t, x: t.unbind(x), ("r", 2, 3)),
    c("unstack one", lambda xp, x: xp.unstack(x, axis=1)[1], lambda t, x: t.unbind(x, 1)[1], ("r", 2, 3)),
    c("flip", lambda xp, x: xp.flip(x), lambda t, x: t.flip(x, (0, 1)), ("r", 2, 3)),
    c("flip axis", lambda xp, x: xp.flip(x, axis=-1), lambda t, x: t.flip(x, (-1,)), ("r", 2, 3)),
    c("flip axes", lambda xp, x: xp.flip(x, axis=(0, 2)), lambda t, x: t.flip(x, (0, 2)), ("r", 2, 3, 2)),
    c("roll", lambda xp, x: xp.roll(x, 2), lambda t, x: t.roll(x, 2), ("r", 2, 3)),
    c("roll axis", lambda xp, x: xp.roll(x, -1, axis=1), lambda t, x: t.roll(x, -1, 1), ("r", 2, 3)),
    c(
        "roll axes",
        lambda xp, x: xp.roll(x, (1, -4), axis=(0, 1)),
        lambda t, x: t.roll(x, (1, -4), (0, 1)),
        ("r", 2, 3),
    ),
    c(
        "roll one axis twice",
        lambda xp, x: xp.roll(x, (1, 1), axis=(1, 1)),
        lambda t, x: t.roll(x, 2, 1),
        ("r", 2, 3),
    ),
    c("repeat", lambda xp, x: xp.repeat(x, 2), lambda t, x: t.repeat_interleave(x, 2), ("r", 2, 3)),
    c(
        "repeat axis",
        lambda xp, x: xp.repeat(x, 3, axis=1),
        lambda t, x: t.repeat_interleave(x, 3, 1),
        ("r", 2, 3),
    ),
    c(
        "repeat counts",
        lambda xp, x: xp.repeat(x, xp.asarray([2, 0, 3]), axis=1),
        lambda t, x: t.repeat_interleave(x, t.tensor([2, 0, 3]), 1),
        ("r", 2, 3),
    ),
    c("tile", lambda xp, x: xp.tile(x, (2, 2)), lambda t, x: t.tile(x, (2, 2)), ("r", 2, 3)),
    c("tile more", lambda xp, x: xp.tile(x, (2, 1, 2)), lambda t, x: t.tile(x, (2, 1, 2)), ("r", 2, 3)),
    c("tile fewer", lambda xp, x: xp.tile(x, (2,)), lambda t, x: t.tile(x, (2,)), ("r", 2, 3)),
    c("tril", lambda xp, x: xp.tril(x), lambda t, x: t.tril(x), ("r", 3, 4)),
    c("tril k", lambda xp, x: xp.tril(x, k=-1), lambda t, x: t.tril(x, -1), ("r", 2, 3, 4)),
    c("triu", lambda xp, x: xp.triu(x), lambda t, x: t.triu(x), ("r", 3, 4)),
    c("triu k", lambda xp, x: xp.triu(x, k=1), lambda t, x: t.triu(x, 1), ("r", 2, 3, 4)),
    c("T", lambda xp, x: x.T, lambda t, x: x.T, ("r", 2, 3)),
    c("mT", lambda xp, x: x.mT, lambda t, x: x.mT, ("r", 2, 3, 4)),
    c("full", lambda xp, x: xp.full((2, 3), x[0]) * x, lambda t, x: x[0].expand(2, 3) * x, ("r", 3)),
]

INDEXING = [
    c(
        "take",
        lambda xp, x: xp.take(x, xp.asarray([2, 0, 2]), axis=1),
        lambda t, x: x[:, t.tensor([2, 0, 2])],
        ("r", 2, 3),
    ),
    c(
        "take negative axis",
        lambda xp, x: xp.take(x, xp.asarray([1, 1, 0]), axis=-2),
        lambda t, x: x[t.tensor([1, 1, 0])],
        ("r", 2, 3),
    ),
    c(
        "take 1-d",
        lambda xp, x: xp.take(x, xp.asarray([3, 3, 0])),
        lambda t, x: x[t.tensor([3, 3, 0])],
        ("r", 5),
    ),
    c(
        "take_along_axis",
        lambda xp, x: xp.take_along_axis(x, xp.asarray([[0, 2, 2, 1], [1, 1, 1, 0]]), axis=1),
        lambda t, x: t.take_along_dim(x, t.tensor([[0, 2, 2, 1], [1, 1, 1, 0]]), 1),
        ("r", 2, 3),
    ),
    c(
        "take_along_axis 0",
        lambda xp, x: xp.take_along_axis(x, xp.asarray([[0, 1, 1]]), axis=0),
        lambda t, x: t.take_along_dim(x, t.tensor([[0, 1, 1]]), 0),
        ("r", 2, 3),
    ),
    c(
        "take_along_axis broadcast",
        lambda xp, x: xp.take_along_axis(x, xp.asarray([[2, 0]]), axis=1),
        lambda t, x: t.take_along_dim(x, t.tensor([[2, 0]]), 1),
        ("r", 2, 3),
    ),
]
KEYS = {  # a function of what makes an index tensor
    "int": lambda ix: 1,
    "negative": lambda ix: -2,
    "two ints": lambda ix: (1, 2),
    "all ints": lambda ix: (1, 2, 0),
    "slice": lambda ix: slice(1, None),
    "step": lambda ix: (slice(None), slice(None, None, 2)),
    "bounds": lambda ix: (..., slice(-3, -1), 1),
    "ellipsis": lambda ix: ...,
    "None": lambda ix: None,
    "None between": lambda ix: (0, None, ..., None),
    "empty tuple": lambda ix: (),
    "array": lambda ix: ix([1, 0, 1]),
    "array second": lambda ix: (slice(None), ix([2, 2, 0])),
    "array 2-d": lambda ix: (slice(None), ix([[2, 2], [0, -1]])),
    "two arrays": lambda ix: (ix([0, 1, 0]), ix([2, 2, 2])),
    "two arrays apart": lambda ix: (ix([0, 1]), slice(None), ix([3, -1])),
    "two arrays behind": lambda ix: (slice(None), ix([0, 1]), ix([3, -1])),
    "broadcast arrays": lambda ix: (ix([[0], [1]]), ix([2, 0])),
    "array and None": lambda ix: (ix([1, 1]), None, slice(0, 2)),
    "array and ellipsis": lambda ix: (..., ix([1, 1])),
    "mask": lambda ix: ix([[[k % 3 == 0 for k in range(4)] for _ in range(3)], [[k == 2 for k in range(4)]] * 3]),
    "row mask": lambda ix: ix([False, True]),
    "mask second": lambda ix: (slice(None), ix([True, False, True])),
    "mask 2-d": lambda ix: ix([[True, False, True], [False, False, True]]),
    "mask last": lambda ix: (..., ix([True, False, True, True])),
    "nothing": lambda ix: slice(2, 2),
    "beyond": lambda ix: slice(5, 9),
}


def indexing_cases():
    """Give a case for each form of subscript."""
    for name, key in KEYS.items():
        yield Case(
            f"x[{name}]",
            lambda xp, x, key=key: x[key(xp.asarray)],
            lambda torch, x, key=key: x[key(torch.tensor)],
            (("r", 2, 3, 4),),
        )


METHODS = {
    "sum": lambda x: x.sum(),
    "sum axis": lambda x: x.sum(axis=0),
    "sum positional": lambda x: x.sum(1),
    "sum tuple": lambda x: x.sum((0, 1)),
    "sum dim keepdim": lambda x: x.sum(dim=1, keepdim=True),
    "mean": lambda x: x.mean(),
    "mean axis": lambda x: x.mean(axis=-1),
    "mean dim keepdim": lambda x: x.mean(dim=-1, keepdim=True),
    "prod": lambda x: x.prod(),
    "max": lambda x: x.max(),
    "min": lambda x: x.min(),
    "var": lambda x: x.var(correction=0),
    "std": lambda x: x.std(correction=1),
    "cumsum": lambda x: x.cumsum(0),
    "abs": lambda x: x.abs(),
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "sin, cos": lambda x: (x.sin(), x.cos()),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "pow": lambda x: x.pow(2),
    "pow tensor": lambda x: x.pow(x),
    "clip": lambda x: x.clip(0.6, 1.1),
    "clamp": lambda x: x.clamp(0.6, 1.1),
    "clamp min": lambda x: x.clamp(min=0.6),
    "reshape": lambda x: x.reshape(3, 2),
    "reshape tuple": lambda x: x.reshape((3, -1)),
    "view": lambda x: x.view(6),
    "flatten": lambda x: x.flatten(),
    "squeeze": lambda x: x[None].squeeze(0),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "permute": lambda x: x.permute(1, 0),
    "t": lambda x: x.t(),
    "matmul": lambda x: x.matmul(x.T),
    "mm": lambda x: x.T.mm(x),
    "clone": lambda x: x.clone(),
    "to": lambda x: x.to(x.dtype),
    "double": lambda x: x.double(),
    "cpu": lambda x: x.cpu() * 2.0,
    "all together": lambda x: (x.exp().sum(1) / x.mean()).log().reshape(2, 1) * x.T.flatten().max(),
}


def method_cases():
    """Give a case for each method: the same words in both libraries."""
    for name, f in METHODS.items():
        g = functools.partial(lambda f, lib, x: f(x), f)
        yield Case(f".{name}", g, g, (("p", 2, 3),), "r")


CASES = [
    *unary_cases(),
    *binary_cases(),
    *operator_cases(),
    *reduction_cases(),
    *PRODUCTS,
    *NORMS,
    *ELEMENT,
    *SCANS,
    *SHAPES,
    *INDEXING,
    *indexing_cases(),
    *method_cases(),
]
TABLE = {f"{case.name} {kind}": (case, kind) for case in CASES for kind in case.kinds}
assert len(TABLE) == sum(len(case.kinds) for case in CASES), "two cases have one name"
SINGLE = [case for case in CASES if "r" in case.kinds]


# Beside PyTorch -----------------------------------------------------------------------------------------


@functools.cache
def expected(name, rehearsal):
    """Give what PyTorch gives for a case."""
    case, kind = TABLE[name] if name in TABLE else (next(c for c in SINGLE if c.name == name), "s")
    with rehearsal() as torch:
        return study(torch, functools.partial(case.theirs, torch), samples(case, kind))


def compare(name, part, got, wanted):
    """Check that the arrays agree in number, shape, dtype and elements."""
    assert len(got) == len(wanted), part
    for k, (a, b) in enumerate(zip(got, wanted, strict=True)):
        where = f"{name}: {part} {k}"
        assert a.shape == b.shape, where
        assert a.dtype == b.dtype, where
        loose = 3e-5 if a.dtype in (np.float32, np.complex64) or "float32" in name else 1e-10
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=0, atol=loose * scale, err_msg=where)


def on_jax(name):
    """Tell whether a case is run on JAX too.

    JAX compiles every op anew for every shape and dtype, 20 ms each: of each family it gets a selection. The
    rules are the same ones, and the kernels are all met.
    """
    case, kind = TABLE[name]
    family, _, variant = case.name.partition(" ")
    if kind == "c":
        return case.name in COMPLEX_ON_JAX
    return variant in ON_JAX[family] if family in ON_JAX else variant != "0-d" and family[0] != "."


COMPLEX_ON_JAX = (
    *("abs", "acos", "conj", "exp", "imag", "log", "real", "sign", "sqrt", "tan"),
    *("a ** b", "a / b", "cumulative_prod 1-d", "matmul (2, 3) (3, 2)", "prod None False", "vecdot -1 (2, 3) (3,)"),
)
ON_JAX = {  # of the large families, these variants
    **dict.fromkeys(BINARY, ("(2, 3) (3,)", "x, number")),
    **dict.fromkeys(REDUCTIONS, ("None False", "-1 True", "(0, 2) False", "correction")),
    "cumulative_prod": ("1 False", "-1 True"),
    "cumulative_sum": ("1 False", "-1 True"),
    "matmul": ("(3,) (3,)", "(2, 3) (3,)", "(2, 3) (3, 2)", "(1, 2, 3) (4, 3, 2)", "(3,) (4, 3, 2)"),
    "tensordot": ("0 (2,) (3,)", "2 (2, 3) (2, 3)", "((0, 2), (1, 0)) (2, 3, 4) (4, 2)"),
    "vecdot": ("-1 (3,) (3,)", "-1 (2, 3) (3,)"),
    "vector_norm": ("2 None False", "1.5 1 False", "inf -1 False"),
}


@pytest.mark.parametrize("name", TABLE)
def test_agrees_with_torch_on_numpy(name, numpy_ad, rehearsal):
    """Value, gradient and second-order gradient are PyTorch's."""
    check(name, numpy_ad, rehearsal)


@pytest.mark.parametrize("name", [name for name in TABLE if on_jax(name)])
def test_agrees_with_torch_on_jax(name, jax_ad, rehearsal):
    """Value, gradient and second-order gradient are PyTorch's."""
    check(name, jax_ad, rehearsal)


@pytest.mark.parametrize("case", SINGLE, ids=lambda case: case.name)
def test_single_precision_stays_single(case, numpy_ad, rehearsal):
    """No constant of a rule, and no 0-d value, promotes float32 on its way forward or back."""
    check(case.name, numpy_ad, rehearsal)


@pytest.mark.parametrize(
    "case",
    [case for case in SINGLE if case.name in (*UNARY, *OPERATORS) or case.name.endswith(" (2, 3) (3,)")],
    ids=lambda case: case.name,
)
def test_jax_as_it_comes(case, jax_single, rehearsal):
    """Without x64 everything is float32, and JAX has no reason to warn of truncation."""
    check(case.name, jax_single, rehearsal)


def check(name, ad, rehearsal):
    """Check one case against PyTorch."""
    case, kind = TABLE[name] if name in TABLE else (next(c for c in SINGLE if c.name == name), "s")
    wanted = expected(name, rehearsal)
    got = study(ad, functools.partial(case.ours, ad), samples(case, kind))
    for part, a, b in zip(("value", "gradient", "second-order gradient"), got, wanted, strict=True):
        compare(name, part, a, b)


# Laws ---------------------------------------------------------------------------------------------------


def along(xs, d, h):
    """Give xs + h*d."""
    return [x + h * e for x, e in zip(xs, d, strict=True)]


def inner(a, b):
    """Give the real inner product of two lists of arrays."""
    return sum(float(np.sum(np.real(np.conj(x) * y))) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", [name for name in TABLE if "float32" not in name])  # rounding hides them
def test_central_differences(name, numpy_ad):
    """The gradient, and the gradient of the gradient, are what differences of the value say."""
    ad = numpy_ad
    case, kind = TABLE[name]
    xs = samples(case, kind)
    f = functools.partial(case.ours, ad)
    directions = [cotangent(x.shape, x.dtype, 31 + k) for k, x in enumerate(xs)]
    values, first, second = study(ad, f, xs)
    cs = [cotangent(y.shape, y.dtype, 7 + k) for k, y in enumerate(values)]
    ws = [cotangent(g.shape, g.dtype, 99 + k) for k, g in enumerate(first)]

    def value(points):
        return inner(cs, [host(y) for y in listed(f(*[ad.tensor(p) for p in points]))])

    def slope(points):
        return inner(ws, study(ad, f, points)[1])

    h = 1e-5
    for part, function, gradient in (("first", value, first), ("second", slope, second[: len(xs)])):
        difference = (function(along(xs, directions, h)) - function(along(xs, directions, -h))) / (2 * h)
        assert inner(gradient, directions) == pytest.approx(difference, rel=2e-6, abs=2e-6), part


@pytest.mark.parametrize("name", [name for name, (case, _) in TABLE.items() if len(case.inputs) > 1])
def test_it_makes_no_odds_which_inputs_require_grad(name, numpy_ad):
    """The gradient of one input is the same whether or not the others require grad."""
    ad = numpy_ad
    case, kind = TABLE[name]
    arrays = samples(case, kind)
    _, together, _ = study(ad, functools.partial(case.ours, ad), arrays)
    for k in range(len(arrays)):
        xs = [ad.tensor(a, requires_grad=(j == k)) for j, a in enumerate(arrays)]
        ys = listed(case.ours(ad, *xs))
        cs = [ad.tensor(cotangent(tuple(y.shape), y.dtype, 7 + j)) for j, y in enumerate(ys)]
        live = [j for j, y in enumerate(ys) if y.requires_grad]
        if not live:
            assert not np.any(together[k])
            continue
        (alone,) = ad.autograd.grad([ys[j] for j in live], xs[k], [cs[j] for j in live])
        np.testing.assert_allclose(host(alone), together[k], rtol=1e-12, atol=1e-12)


# Values only --------------------------------------------------------------------------------------------

INTEGERS = ([[5, -7, 0], [3, 2, -1]], [[2, 3, 4], [-2, 5, 3]])
FLOATS = (
    [[0.5, -0.0, 2.5], [float("inf"), float("nan"), -1.5]],
    [[0.5, 0.0, -2.5], [1.0, 2.0, float("-inf")]],
)
BOOLS = ([[True, True, False]], [[True, False, False]])
VALUES = {
    **{
        name: (
            lambda lib, a, b, name=name: getattr(lib, name)(a, b),
            lambda lib, a, b, name=name: getattr(lib, torch_name(name))(a, b),
            data,
        )
        for name, data in {
            "equal": "ifb",
            "not_equal": "ifb",
            "less": "if",
            "less_equal": "if",
            "greater": "if",
            "greater_equal": "if",
            "logical_and": "b",
            "logical_or": "b",
            "logical_xor": "b",
            "bitwise_and": "ib",
            "bitwise_or": "ib",
            "bitwise_xor": "ib",
            "add": "if",
            "subtract": "if",
            "multiply": "if",
            "floor_divide": "i",
            "remainder": "i",
            "maximum": "if",
            "minimum": "if",
        }.items()
    },
    **{
        name: (
            lambda lib, a, b, name=name: getattr(lib, name)(a),
            lambda lib, a, b, name=name: getattr(lib, torch_name(name))(a),
            data,
        )
        for name, data in {
            "isfinite": "f",
            "isinf": "f",
            "isnan": "f",
            "signbit": "f",
            "logical_not": "b",
            "bitwise_invert": "ib",
            "negative": "if",
            "abs": "if",
            "sign": "i",
            "square": "if",
            "floor": "if",
            "round": "if",
        }.items()
    },
    "bitwise_left_shift": (
        lambda xp, a, b: xp.bitwise_left_shift(a, abs(b)),
        lambda t, a, b: t.bitwise_left_shift(a, abs(b)),
        "i",
    ),
    "bitwise_right_shift": (
        lambda xp, a, b: xp.bitwise_right_shift(a, abs(b)),
        lambda t, a, b: t.bitwise_right_shift(a, abs(b)),
        "i",
    ),
    "pow": (lambda xp, a, b: xp.pow(a, abs(b)), lambda t, a, b: t.pow(a, abs(b)), "i"),
    "operators": (
        lambda xp, a, b: (a // b, a % b, a & b, a | b, a ^ b, ~a, a < b, a == b, -a),
        lambda t, a, b: (a // b, a % b, a & b, a | b, a ^ b, ~a, a < b, a == b, -a),
        "i",
    ),
    "any": (
        lambda xp, a, b: (xp.any(a), xp.any(a, axis=0), xp.any(a, axis=(0, 1), keepdims=True)),
        lambda t, a, b: (t.any(a), t.any(a, dim=0), t.any(a, dim=(0, 1), keepdim=True)),
        "b",
    ),
    "all": (
        lambda xp, a, b: (xp.all(a), xp.all(a, axis=0), xp.all(a, axis=(0, 1), keepdims=True)),
        lambda t, a, b: (t.all(a), t.all(a, dim=0), t.all(a, dim=(0, 1), keepdim=True)),
        "b",
    ),
    "argmax": (
        lambda xp, a, b: (xp.argmax(a), xp.argmax(a, axis=1), xp.argmax(a, axis=0, keepdims=True)),
        lambda t, a, b: (t.argmax(a), t.argmax(a, dim=1), t.argmax(a, dim=0, keepdim=True)),
        "i",
    ),
    "argmin": (
        lambda xp, a, b: (xp.argmin(a), xp.argmin(a, axis=1), xp.argmin(a, axis=0, keepdims=True)),
        lambda t, a, b: (t.argmin(a), t.argmin(a, dim=1), t.argmin(a, dim=0, keepdim=True)),
        "i",
    ),
    "argsort": (
        lambda xp, a, b: (xp.argsort(a), xp.argsort(a, axis=0, descending=True)),
        lambda t, a, b: (t.argsort(a, stable=True), t.argsort(a, dim=0, descending=True, stable=True)),
        "i",
    ),
    "sort": (
        lambda xp, a, b: (xp.sort(a), xp.sort(a, axis=0, descending=True)),
        lambda t, a, b: (t.sort(a).values, t.sort(a, dim=0, descending=True).values),
        "i",
    ),
    "sum": (
        lambda xp, a, b: (xp.sum(a), xp.sum(a, axis=0)),
        lambda t, a, b: (t.sum(a), t.sum(a, dim=0)),
        "i",
    ),
    "prod": (
        lambda xp, a, b: (xp.prod(a), xp.prod(a, axis=0)),
        lambda t, a, b: (t.prod(a), t.prod(a, dim=0)),
        "i",
    ),
    "max": (
        lambda xp, a, b: (xp.max(a), xp.max(a, axis=0), xp.min(a)),
        lambda t, a, b: (t.amax(a), t.amax(a, dim=0), t.amin(a)),
        "if",
    ),
    "count_nonzero": (
        lambda xp, a, b: (xp.count_nonzero(a), xp.count_nonzero(a, axis=0)),
        lambda t, a, b: (t.count_nonzero(a), t.count_nonzero(a, dim=0)),
        "ib",
    ),
    "nonzero": (lambda xp, a, b: xp.nonzero(a), lambda t, a, b: t.nonzero(a, as_tuple=True), "ib"),
    "isin": (lambda xp, a, b: xp.isin(a, b), lambda t, a, b: t.isin(a, b), "i"),
    "searchsorted": (
        lambda xp, a, b: xp.searchsorted(xp.sort(xp.reshape(a, (6,))), b, side="right"),
        lambda t, a, b: t.searchsorted(t.sort(t.reshape(a, (6,))).values, b, side="right"),
        "i",
    ),
    "cumulative_sum": (lambda xp, a, b: xp.cumulative_sum(a, axis=1), lambda t, a, b: t.cumsum(a, 1), "i"),
    "where": (lambda xp, a, b: xp.where(a > b, a, b), lambda t, a, b: t.where(a > b, a, b), "if"),
    "matmul": (lambda xp, a, b: xp.matmul(a, b.T), lambda t, a, b: t.matmul(a, b.T), "i"),
}


def torch_name(name):
    """Give PyTorch's name of a function that has another."""
    return {
        "equal": "eq",
        "not_equal": "ne",
        "less": "lt",
        "less_equal": "le",
        "greater": "gt",
        "greater_equal": "ge",
        "bitwise_invert": "bitwise_not",
    }.get(name, name)


DATA = {"i": INTEGERS, "f": FLOATS, "b": BOOLS}


@pytest.mark.parametrize("name", [f"{name} {kind}" for name, (_, _, kinds) in VALUES.items() for kind in kinds])
def test_values_agree_with_torch(name, ad, rehearsal):
    """Integers, booleans, infinities and nans: value and dtype are PyTorch's."""
    op, kind = name.split(" ")
    ours, theirs, _ = VALUES[op]
    with rehearsal() as torch:
        wanted = [host(y) for y in listed(theirs(torch, *[torch.tensor(d) for d in DATA[kind]]))]
    got = [host(y) for y in listed(ours(ad, *[ad.asarray(d) for d in DATA[kind]]))]
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# Ties and zeros -----------------------------------------------------------------------------------------

DELICATE = {
    "max ties": (lambda xp, x: xp.max(x), lambda t, x: t.amax(x), [1.0, 3.0, 3.0, 2.0]),
    "min ties": (lambda xp, x: xp.min(x), lambda t, x: t.amin(x), [1.0, 3.0, 1.0, 2.0]),
    "max ties axis": (lambda xp, x: xp.max(x, axis=1), lambda t, x: t.amax(x, 1), [[1.0, 1.0], [2.0, 3.0]]),
    "max all equal": (
        lambda xp, x: xp.max(x, axis=(0, 1)),
        lambda t, x: t.amax(x, (0, 1)),
        [[1.0, 1.0], [1.0, 1.0]],
    ),
    "prod one zero": (lambda xp, x: xp.prod(x), lambda t, x: t.prod(x), [0.0, 2.0, 3.0]),
    "prod two zeros": (lambda xp, x: xp.prod(x), lambda t, x: t.prod(x), [0.0, 0.0, 3.0]),
    "prod zero in axis": (
        lambda xp, x: xp.prod(x, axis=1),
        lambda t, x: t.prod(x, 1),
        [[0.0, 2.0, 3.0], [1.0, 2.0, 3.0]],
    ),
    "cumulative_prod zero": (
        lambda xp, x: xp.cumulative_prod(x),
        lambda t, x: t.cumprod(x, 0),
        [2.0, 0.0, 3.0, 4.0],
    ),
    "cumulative_prod two zeros": (
        lambda xp, x: xp.cumulative_prod(x),
        lambda t, x: t.cumprod(x, 0),
        [2.0, 0.0, 3.0, 0.0, 5.0],
    ),
    "maximum ties": (lambda xp, x: xp.maximum(x, x[::2]), lambda t, x: t.maximum(x, x[::2]), [[1.0, 2.0]]),
    "clip at the bounds": (
        lambda xp, x: xp.clip(x, -1.0, 1.0),
        lambda t, x: t.clamp(x, -1.0, 1.0),
        [-1.0, 1.0, 2.0],
    ),
    "sort ties": (lambda xp, x: xp.sort(x), lambda t, x: t.sort(x, stable=True).values, [2.0, 1.0, 2.0, 1.0]),
    "sort ties down": (
        lambda xp, x: xp.sort(x, descending=True),
        lambda t, x: t.sort(x, descending=True, stable=True).values,
        [2.0, 1.0, 2.0, 1.0],
    ),
    "abs at zero": (lambda xp, x: xp.abs(x), lambda t, x: t.abs(x), [0.0, -0.0, 1.0]),
    "sqrt at zero": (lambda xp, x: xp.sqrt(x), lambda t, x: t.sqrt(x), [0.0, 1.0]),
    "relu at zero": (lambda xp, x: x.relu(), lambda t, x: t.relu(x), [0.0, 1.0, -1.0]),
    "pow at zero": (lambda xp, x: x**2.0, lambda t, x: x**2.0, [0.0, -2.0]),
    "pow 3 at zero": (lambda xp, x: x**3, lambda t, x: x**3, [0.0, -2.0]),
    "std of a constant": (
        lambda xp, x: xp.std(x, correction=0),
        lambda t, x: t.std(x, correction=0),
        [2.0, 2.0],
    ),
    "logaddexp equal": (lambda xp, x: xp.logaddexp(x, x), lambda t, x: t.logaddexp(x, x), [1.0, 2.0]),
}
SECOND_ORDER_UNDEFINED = {"sqrt at zero", "std of a constant"}


@pytest.mark.parametrize("name", DELICATE)
def test_ties_and_zeros_agree_with_torch(name, ad, rehearsal):
    """At the points where a derivative is a matter of convention, the convention is PyTorch's."""
    ours, theirs, point = DELICATE[name]
    with rehearsal() as torch:
        wanted = study(torch, functools.partial(theirs, torch), [np.asarray(point)])
    got = study(ad, functools.partial(ours, ad), [np.asarray(point)])
    orders = 2 if name in SECOND_ORDER_UNDEFINED else 3
    for part, a, b in list(zip(("value", "gradient", "second-order gradient"), got, wanted, strict=True))[:orders]:
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12, err_msg=part)
