"""Random expressions over leaves of several shapes and dtypes: value, gradients and second order as PyTorch's."""

import random

import pytest

UNARY = (
    lambda torch, x: x.sin(),
    lambda torch, x: x.tanh(),
    lambda torch, x: (x * x + 1.0) ** -0.5,
    lambda torch, x: (x * 0.1).exp(),
    lambda torch, x: torch.abs(x + 0.25),
    lambda torch, x: -x,
    lambda torch, x: torch.real(x) * 2.0,
    lambda torch, x: torch.conj(x) + 1.0,
    lambda torch, x: torch.square(x),
    lambda torch, x: 1.5 - x,
    lambda torch, x: x / 3,
    lambda torch, x: 2 * x,
    lambda torch, x: x**2,
    lambda torch, x: (x * (0.5 + 0.25j)) if "complex" in str(x.dtype) else x.sigmoid(),
)
SHAPES = (
    lambda torch, x: x.sum(),
    lambda torch, x: x.sum(-1) if x.ndim else x * 1.0,
    lambda torch, x: torch.mean(
        x, **({"keepdims": True} if torch.__name__ != "torch" else {"keepdim": True, "dim": ()})
    ),
    lambda torch, x: x.reshape((-1,)),
    lambda torch, x: x.T if x.ndim == 2 else x[None],
    lambda torch, x: x[..., None] if x.ndim < 3 else x[0],
    lambda torch, x: x[-1] if x.ndim else x + 0.5,
    lambda torch, x: x[..., ::2] if x.ndim else x + 0.5,
    lambda torch, x: x[torch.tensor([0, -1, 0])] if x.ndim else x - 0.5,
    lambda torch, x: torch.stack((x, x * 2.0)) if x.ndim < 3 else x[:1],
    lambda torch, x: torch.concat((x, x)) if x.ndim else x * 1.0,
    lambda torch, x: torch.broadcast_to(x, (2, *x.shape)) if x.ndim < 3 else x,
    lambda torch, x: x.prod() if 0 < x.ndim < 3 and x.shape[-1] < 4 else x,
    lambda torch, x: x.double() if "complex" not in str(x.dtype) else x,
    lambda torch, x: torch.where(torch.real(x) > 0.1, x, x * 0.5),
    lambda torch, x: x.clone(),
)
BINARY = (
    lambda torch, x, y: x + y,
    lambda torch, x, y: x - y,
    lambda torch, x, y: x * y,
    lambda torch, x, y: x / (torch.abs(y) + 1.0),
    lambda torch, x, y: x * y + x,
    lambda torch, x, y: (x - y) * y,
    lambda torch, x, y: torch.where(torch.real(x) > torch.real(y), x, y) if x.dtype == y.dtype else x + y,
)


def grow(torch, leaves, choose, steps):
    """Combine the leaves into ever larger expressions, as `choose` says, and give them all."""
    pool = list(leaves)
    for _ in range(steps):
        kind = choose.random()
        x, y = choose.choice(pool[-6:]), choose.choice(pool)
        f, g, h = choose.choice(UNARY), choose.choice(SHAPES), choose.choice(BINARY)
        if kind < 0.35:
            new = f(torch, x)
        elif kind < 0.6:
            new = g(torch, x)
        else:
            try:
                new = h(torch, x, y)
            except (RuntimeError, ValueError, TypeError):
                new = h(torch, x, y.sum())
        size = 1
        for n in new.shape:
            size *= n
        pool.append(new if size <= 60 else new.sum())
    return pool


def play(torch, log, seed, steps):
    """Log every value, the gradients of a weighted sum of them, and the gradients of those."""
    choose = random.Random(seed)
    single = torch.float32 if seed % 3 == 0 else torch.float64
    complex_ = seed % 4 == 1
    leaves = [
        torch.tensor([[0.5, -1.0, 0.75], [0.2, 0.9, -0.3]], requires_grad=True),
        torch.tensor([0.4, -0.6, 1.1], dtype=single, requires_grad=True),
        torch.tensor(0.7, requires_grad=True),
        torch.tensor([[0.3], [-0.8]], requires_grad=True),
    ]
    if complex_:
        leaves.append(torch.tensor([0.3 + 0.4j, -0.2 + 0.1j, 0.6 - 0.5j], requires_grad=True))
    # Double precision from here on: PyTorch's promotion of 0-d tensors is not the standard's.
    starts = [x.double() if x.dtype == torch.float32 else x for x in leaves]
    pool = grow(torch, starts, choose, steps)
    for x in pool:
        log(x + 0.0, x.requires_grad)
    total = torch.tensor(0.0)
    for k, x in enumerate(pool):
        total = total + (torch.real(x) * (0.1 + 0.05 * k)).sum()
    first = torch.autograd.grad(total, leaves, create_graph=True, materialize_grads=True)
    log(*[g + 0.0 for g in first])
    again = torch.tensor(0.0)
    for k, g in enumerate(first):
        again = again + (torch.real(g) * (1.0 - 0.3 * k)).sum()
    if again.requires_grad:
        second = torch.autograd.grad(again, leaves, materialize_grads=True)
        log(*[g + 0.0 for g in second])  # PyTorch's zeros of no memory have no elements to log


@pytest.mark.parametrize("engine", ["numpy"], indirect=True)
@pytest.mark.parametrize("seed", range(100))
def test_random_expression(torch, log, seed):
    play(torch, log, seed, 12)


@pytest.mark.parametrize("engine", ["jax"], indirect=True)
@pytest.mark.parametrize("seed", range(4))
def test_random_expression_on_jax(torch, log, seed):
    play(torch, log, seed, 12)
