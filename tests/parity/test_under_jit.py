"""Programs that write through views and go backward, traced whole by `jax.jit`: PyTorch's numbers."""

import pytest

X = [[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]]


def fill(torch, x):
    """Fill the rows of a buffer."""
    out = torch.zeros((2, 3))
    for i in range(2):
        out[i] = (x[i] * float(i + 1)).tanh()
    return (out * out).sum()


def views(torch, x):
    """Write through views of views, read through others."""
    y = x * 1.0
    v, w = y.T, y[:, 1:]
    v[0] += w.sum()
    w *= v[1].sum().detach()
    y.reshape(6)[::2] -= x[0].sum()
    return (v * v.detach()).sum() + w.sum()


def masks(torch, x):
    """Write where a condition holds, by a number."""
    y = x * 2.0
    y[y > 0.6] = 1.5
    return (y * y).sum()


def gather(torch, x):
    """Read by repeated indices and write by others."""
    y = x[:, torch.tensor([2, 0, 2])] * x
    y[torch.tensor([1, 0]), torch.tensor([0, 0])] = x[0, :2].sum()
    return (y * y).sum()


def detached(torch, x):
    """Write behind the graph's back."""
    y = x * 1.0
    y.detach()[0] = 4.0
    return (y * y).sum()


def penalty(torch, x):
    """Differentiate a gradient."""
    (g,) = torch.autograd.grad((x * x * x).sum(), x, create_graph=True)
    y = g * 1.0
    y[0].mul_(2.0)
    return (y * g).sum()


@pytest.mark.parametrize("program", [fill, views, masks, gather, detached, penalty], ids=lambda f: f.__name__)
def test_traced_program_agrees(program, rehearsal, jax_ad):
    import jax
    import numpy as np

    ad = jax_ad

    def step(x):
        x = x.detach().requires_grad_()
        loss = program(ad, x)
        loss.backward()
        return loss.detach(), x.grad

    with rehearsal() as torch:
        x = torch.tensor(X, requires_grad=True)
        loss = program(torch, x)
        loss.backward()
        wanted = loss.item(), x.grad.tolist()
    for run in (step, jax.jit(step)):
        loss, grad = run(ad.tensor(X))
        np.testing.assert_allclose(loss.numpy(), wanted[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(grad.numpy(), wanted[1], rtol=1e-12, atol=1e-12)
