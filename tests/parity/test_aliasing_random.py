"""Random programs of views, writes and reads: each must agree with PyTorch after every step.

A program owns a result of a leaf, a plain buffer and whatever views and detached aliases it takes of them.
All operations are affine, so that PyTorch never finds a saved value overwritten.
"""

import random

import pytest

SHAPE = (4, 3)
VIEWS = (
    lambda t: t[-1],
    lambda t: t[1:],
    lambda t: t[:1],
    lambda t: t[::2],
    lambda t: t[..., 0],
    lambda t: t[..., 1:],
    lambda t: t[None],
    lambda t: t[..., None],
    lambda t: t.T if t.ndim == 2 else t[...],
    lambda t: t.mT if t.ndim > 1 else t[...],
    lambda t: t.unsqueeze(0),
    lambda t: t.squeeze(),
    lambda t: t.reshape((-1,)),
    lambda t: t.reshape((*t.shape, 1)),
    lambda t: t.flatten(),
    lambda t: t.permute(tuple(range(t.ndim)[::-1])),
    lambda t: t.detach(),
    lambda t: t.view(-1),
    lambda t: t.clone(),
    lambda t: t * 2.0,
)


def weights(torch, t):
    """Give distinct constants in the shape of `t`."""
    n = 1
    for size in t.shape:
        n *= size
    return torch.arange(1.0, n + 1.0).reshape(tuple(t.shape)) if n else torch.zeros(tuple(t.shape))


def writes(torch, pool, s, choose):
    """Give the ways to write to a tensor `t`."""
    other = choose.choice(pool)
    mask = choose.random() < 0.5
    return (
        lambda t: t.zero_(),
        lambda t: t.fill_(2.0),
        lambda t: t.add_(1.0),
        lambda t: t.mul_(3.0),
        lambda t: t.sub_(weights(torch, t)),
        lambda t: t.div_(2.0),
        lambda t: t.add_(s),
        lambda t: t.add_(weights(torch, t) * s),
        lambda t: t.copy_(weights(torch, t)),
        lambda t: t.copy_(weights(torch, t) * s),
        lambda t: t.add_(other.sum()),
        lambda t: t.copy_(other.clone().sum() * weights(torch, t)),
        lambda t: t.__setitem__(..., 4.0),
        lambda t: t.__setitem__(..., s),
        lambda t: t.__setitem__(0, 5.0),
        lambda t: t.__setitem__((..., -1), s * 2.0),
        lambda t: t.__setitem__(slice(None, None, 2), other.sum()),
        lambda t: t.__setitem__(t.detach() > 1.0, s if mask else 0.5),
        lambda t: t.__setitem__(torch.tensor([0, -1]), 6.0),
        lambda t: t.__imul__(2.0),
        lambda t: t.__iadd__(weights(torch, t)),
        lambda t: t.__isub__(s),
    )


def attempt(f):
    """Give f(), or None where it raises."""
    try:
        return f()
    except (RuntimeError, IndexError, ValueError, TypeError):
        return None


def play(torch, log, seed, steps):
    """Run the program of this seed and log every tensor after every step, and the gradients at the end."""
    choose = random.Random(seed)
    leaf = (torch.arange(12.0).reshape(SHAPE) - 5.0).requires_grad_()
    s = torch.tensor(3.0, requires_grad=True)
    pool = [leaf * 1.0, torch.zeros(SHAPE)]
    total = leaf.sum() * 0.0
    for _ in range(steps):
        move = choose.random()
        t = choose.choice(pool)
        if move < 0.35:
            view = choose.choice(VIEWS)
            t = attempt(lambda t=t, f=view: f(t))
            log(t is None)
            if t is not None:
                pool.append(t)
        elif move < 0.85:
            write = choose.choice(writes(torch, pool, s, choose))
            quiet = choose.random() < 0.2
            with torch.set_grad_enabled(not quiet):
                log(attempt(lambda t=t, f=write: f(t)) is None)
        else:
            total = total + (t * weights(torch, t)).sum()
        for t in pool:
            log(t, t.requires_grad, t.is_leaf)
    for t in pool:
        total = total + (t * weights(torch, t)).sum()
    log(total, *torch.autograd.grad(total, [leaf, s], materialize_grads=True))


@pytest.mark.parametrize("engine", ["numpy"], indirect=True)
@pytest.mark.parametrize("seed", range(200))
def test_random_program(torch, log, seed):
    play(torch, log, seed, 14)


@pytest.mark.parametrize("engine", ["jax"], indirect=True)
@pytest.mark.parametrize("seed", range(5))
def test_random_program_on_jax(torch, log, seed):
    play(torch, log, seed, 14)
