"""`compile` of training steps: models and optimizers go in and come out as an eager step leaves them."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn, optim

rng = np.random.default_rng(3)
DATA = [(rng.normal(size=(4, 3)), rng.normal(size=(4, 2))) for _ in range(6)]

KINDS = {
    "Adam": lambda p: optim.Adam(p, lr=0.05),
    "Adam amsgrad": lambda p: optim.Adam(p, lr=0.05, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.05, betas=(0.8, 0.99)),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01),
    "RMSprop all": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True, weight_decay=0.01),
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "SGD nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
}


class Net(nn.Module):
    """Two layers, a buffer that follows the mean of the inputs, and one that counts."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 2)
        self.mean = nn.Parameter(ad.zeros(3), requires_grad=False)
        self.register_buffer("running", ad.zeros(3, dtype=ad.float64))
        self.register_buffer("count", ad.asarray(0))

    def forward(self, x):
        if self.training:
            self.running = 0.9 * self.running + 0.1 * ad.mean(x.detach(), axis=0)
            self.count += 1
        return self.second(ad.tanh(self.first(x - self.running)))


def net():
    model = Net().to(dtype=ad.float64)
    for k, p in enumerate(model.parameters()):
        with ad.no_grad():
            p[...] = ad.asarray(np.random.default_rng(k).normal(size=p.shape) * 0.5)
    return model


def data(k):
    return tuple(map(ad.asarray, DATA[k % len(DATA)]))


def pair(kind):
    """Return two models that are equal, each with an optimizer."""
    models = [net(), net()]
    return [(m, KINDS[kind](m.parameters())) for m in models]


def step_of(model, optimizer, set_to_none=True):
    def step(x, y):
        optimizer.zero_grad(set_to_none=set_to_none)
        loss = ad.mean((model(x) - y) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return step


def close(a, b, rtol=1e-9):
    np.testing.assert_allclose(ad.asarray(a).detach().numpy(), ad.asarray(b).detach().numpy(), rtol=rtol, atol=1e-12)


def alike(one, other):
    """Check that two models with their optimizers are in the same state."""
    (a, opt_a), (b, opt_b) = one, other
    for (name, x), (_, y) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        assert x.dtype == y.dtype, name
        close(x, y)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert type(p) is type(q)
        assert p.is_leaf
        assert p.requires_grad == q.requires_grad
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            close(p.grad, q.grad)
            assert not p.grad.requires_grad
        kept, other_kept = opt_a.state.get(p, {}), opt_b.state.get(q, {})
        assert kept.keys() == other_kept.keys()
        for key in kept:
            assert isinstance(kept[key], ad.Tensor) == isinstance(other_kept[key], ad.Tensor)
            close(kept[key], other_kept[key])


def picture(model, optimizer):
    """Return all that a failed step must leave as it was."""
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [(id(x), type(x), x.detach().numpy().copy(), x.requires_grad, x.is_leaf) for x in tensors],
        [None if x.grad is None else x.grad.numpy().copy() for x in tensors],
        [(type(x), x.grad_fn) for x in tensors],
        copy.deepcopy(
            {k: {n: np.asarray(v) for n, v in s.items()} for k, s in optimizer.state_dict()["state"].items()}
        ),
        [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups],
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_as_eager_ones(backend, kind):
    if backend == "jax" and kind not in ("Adam", "RMSprop all", "SGD momentum"):
        return  # the engine takes long to compile, and what is written there is the same for all
    eager, compiled = pair(kind)
    step, program = step_of(*eager), ad.compile(step_of(*compiled), state=compiled)
    parameters, counts = list(compiled[0].parameters()), []
    for k in range(5):
        loss, found = step(*data(k)), program(*data(k))
        close(found, loss)
        assert not found.requires_grad
        alike(compiled, eager)
        counts.append(program.traces)
    assert all(p is q for p, q in zip(parameters, compiled[0].parameters(), strict=True))
    assert counts[0] == 1
    assert counts[-1] == counts[-2] <= 3  # at first there are neither gradients nor state


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_set_to_none_or_to_zero(backend, set_to_none):
    eager, compiled = pair("SGD momentum")
    step, program = step_of(*eager, set_to_none), ad.compile(step_of(*compiled, set_to_none), state=compiled)
    for k in range(4):
        step(*data(k)), program(*data(k))
        alike(compiled, eager)
    eager[1].zero_grad(set_to_none), compiled[1].zero_grad(set_to_none)
    alike(compiled, eager)
    program(*data(0)), step(*data(0))
    alike(compiled, eager)


def test_a_learning_rate_is_no_constant(backend):
    eager, compiled = pair("Adam")
    step, program = step_of(*eager), ad.compile(step_of(*compiled), state=compiled)
    counts = []
    for k in range(6):
        for _, optimizer in (eager, compiled):
            optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
        step(*data(k)), program(*data(k))
        alike(compiled, eager)
        assert compiled[1].param_groups[0]["lr"] == 0.1 / (k + 1)
        assert type(compiled[1].param_groups[0]["lr"]) is float
        counts.append(program.traces)
    assert len(set(counts[2:])) == 1


@pytest.mark.parametrize("option", ["momentum", "weight_decay", "nesterov"])
def test_another_option_makes_another_program(option):
    eager, compiled = pair("SGD momentum")
    step, program = step_of(*eager), ad.compile(step_of(*compiled), state=compiled)
    for k in range(6):
        for _, optimizer in (eager, compiled):
            optimizer.param_groups[0][option] = {"nesterov": k >= 3}.get(option, 0.2 if k >= 3 else 0.1)
        step(*data(k)), program(*data(k))
        alike(compiled, eager)


def test_gradients_add_up_over_calls(backend):
    eager, compiled = pair("SGD momentum")

    def add_up(model):
        def backward(x, y):
            loss = ad.mean((model(x) - y) ** 2)
            (loss / 2).backward()
            return loss

        return backward

    def finish(optimizer):
        def update():
            optimizer.step()
            optimizer.zero_grad()

        return update

    back, update = ad.compile(add_up(compiled[0]), state=compiled[0]), ad.compile(finish(compiled[1]), state=compiled)
    for k in range(6):
        close(back(*data(k)), add_up(eager[0])(*data(k)))
        alike(compiled, eager)
        if k % 2:
            update(), finish(eager[1])()
            alike(compiled, eager)


def test_eager_and_compiled_steps_in_turns(backend):
    eager, mixed = pair("Adam")
    step, other, program = step_of(*eager), step_of(*mixed), ad.compile(step_of(*mixed), state=mixed)
    for k in range(5):
        step(*data(k)), (other if k % 3 == 1 else program)(*data(k))
        alike(mixed, eager)


def test_load_state_dict_between_steps(backend):
    eager, compiled = pair("Adam")
    step, program = step_of(*eager), ad.compile(step_of(*compiled), state=compiled)
    for k in range(2):
        step(*data(k)), program(*data(k))
    saved = [copy.deepcopy(part.state_dict()) for part in compiled]
    for k in range(2, 4):
        program(*data(k))
    for part, state in zip(compiled, saved, strict=True):
        part.load_state_dict(state)
    for k in range(2, 5):
        step(*data(k)), program(*data(k))
        for (_, x), (_, y) in zip(compiled[0].state_dict().items(), eager[0].state_dict().items(), strict=True):
            close(x, y)


def test_parameter_groups_have_their_own_options(backend):
    models = [net(), net()]
    pairs = [
        (m, optim.SGD([
            {"params": m.first.parameters(), "lr": 0.3},
            {"params": list(m.second.parameters()), "momentum": 0.5},
        ], lr=0.01)) for m in models
    ]  # fmt: skip
    step, program = step_of(*pairs[0]), ad.compile(step_of(*pairs[1]), state=pairs[1])
    for k in range(4):
        if k == 2:
            for _, optimizer in pairs:
                optimizer.param_groups[1]["lr"] = 0.2
        step(*data(k)), program(*data(k))
        alike(pairs[1], pairs[0])


def test_a_group_added_between_steps(backend):
    pairs = [(m, optim.SGD(m.first.parameters(), lr=0.1, momentum=0.9)) for m in (net(), net())]
    step, program = step_of(*pairs[0]), ad.compile(step_of(*pairs[1]), state=pairs[1])
    for k in range(4):
        if k == 2:
            for model, optimizer in pairs:
                optimizer.add_param_group({"params": model.second.parameters(), "lr": 0.01})
        step(*data(k)), program(*data(k))
        alike(pairs[1], pairs[0])


def test_freezing_a_layer_between_steps(backend):
    eager, compiled = pair("SGD momentum")
    step, program = step_of(*eager), ad.compile(step_of(*compiled), state=compiled)
    for k in range(6):
        for model, _ in (eager, compiled):
            model.first.requires_grad_(k not in (2, 3))
        step(*data(k)), program(*data(k))
        alike(compiled, eager)


def test_train_and_eval_are_two_programs(backend):
    model, other = net(), net()
    program = ad.compile(model)
    for k, training in enumerate([True, False, True, True, False]):
        model.train(training), other.train(training)
        close(program(data(k)[0]), other(data(k)[0]))
        close(model.running, other.running)
        assert int(model.count) == int(other.count)
    assert program.traces == 2


def test_a_parameter_written_to_between_calls(backend):
    model, other = net(), net()
    program = ad.compile(model.eval())
    for k in range(3):
        for m in (model, other.eval()):
            with ad.no_grad():
                m.first.weight *= 1.5
                m.second.bias[0] = float(k)
        close(program(data(0)[0]), other(data(0)[0]))
    model.first = copy.deepcopy(model.first)  # another layer in its place
    other.first.weight.data = other.first.weight.data * 2
    with ad.no_grad():
        model.first.weight *= 2
    close(program(data(0)[0]), other(data(0)[0]))


def test_another_layer_is_seen_without_recording(backend):
    model = net().eval()
    program = ad.compile(model)
    x = data(0)[0]
    with ad.no_grad():
        for _ in range(3):
            program(x)
        model.first = copy.deepcopy(model.first)
        model.first.weight *= 2
        close(program(x), model(x))


@pytest.mark.parametrize("times", [1, 4])
def test_backward_goes_on_from_what_forward_left(times):
    """The second call's forward is not computed again in backward; what it left is let go there."""
    calls = []
    x = ad.tensor(np.linspace(0.1, 1.0, 5), requires_grad=True)

    @ad.compile
    def f(x):
        calls.append(1)
        return (x.exp() * x.sin()).sum(), x.exp()

    expected = np.exp(x.detach().numpy()) * (np.sin(x.detach().numpy()) + np.cos(x.detach().numpy()))
    for _ in range(times):
        x.grad = None
        y, e = f(x)
        y.backward(retain_graph=True)
        close(x.grad, expected)
        y.backward()  # from the beginning: what was left is gone
        close(x.grad, 2 * expected)
        close(e, x.exp())
    assert len(calls) == f.traces == 2
    y, _ = f(x)
    (g,) = ad.autograd.grad(y, x, create_graph=True)
    (h,) = ad.autograd.grad(g.sum(), x)
    close(h, 2 * np.exp(x.detach().numpy()) * np.cos(x.detach().numpy()))


def test_what_forward_left_is_let_go_by_backward():
    x = ad.tensor(np.linspace(0.1, 1.0, 1 << 17), requires_grad=True)
    f = ad.compile(lambda x: (x.exp() * x.sin()).sum())
    for _ in range(3):
        f(x).backward()
    x.grad = None
    tracemalloc.start()
    try:
        y = f(x)
        held = tracemalloc.get_traced_memory()[0]
        y.backward()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    size = x.numel() * 8
    assert held > 0.9 * size  # it has left something
    assert after < 1.1 * size  # the gradient, and no more


def test_backward_is_that_of_the_parameters_before_they_changed():
    """As for eager graphs: arrays that are held are never written into."""
    model, other = net(), net()
    program = ad.compile(model)
    for k in range(3):
        losses = [(f(data(k)[0]) ** 2).sum() for f in (program, other)]
        with ad.no_grad():
            for m in (model, other):
                m.second.weight += 1.0
        for m, loss in zip((model, other), losses, strict=True):
            m.zero_grad()
            loss.backward()
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None)
            if p.grad is not None:
                close(p.grad, q.grad)


def test_hooks_on_saved_tensors_see_all_that_a_compiled_function_keeps():
    x = ad.tensor(np.linspace(0.1, 1.0, 5), requires_grad=True)
    f = ad.compile(lambda x: (x.exp() * x.sin()).sum())
    for _ in range(3):
        f(x).backward()
    seen = []
    with ad.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t.numpy(), ad.asarray):
        y = f(x)
    assert len(seen) == 1 and seen[0].shape == (5,)
    y.backward()


def test_a_compiled_model_is_differentiable_outside(backend):
    """loss.backward() after the call fills .grad of the parameters."""
    eager, compiled = pair("SGD momentum")
    program = ad.compile(compiled[0])
    counts = []
    for k in range(4):
        for (_, optimizer), forward in ((eager, eager[0]), (compiled, program)):
            x, y = data(k)
            optimizer.zero_grad()
            out = forward(x)
            assert out.requires_grad
            ad.mean((out - y) ** 2).backward()
            optimizer.step()
        alike(compiled, eager)
        counts.append(program.traces)
    assert counts[-1] == counts[-2]


def test_the_forward_pass_and_the_input_s_gradient(backend):
    model, other = net().eval(), net().eval()
    program = ad.compile(model)
    found = []
    for forward in (program, other):
        x = data(0)[0].requires_grad_()
        ad.sum(forward(x) ** 2).backward()
        found.append(x.grad)
    close(*found)


@pytest.mark.parametrize("when", ["forward", "backward", "step", "end"])
@pytest.mark.parametrize("after", [0, 2])
def test_an_exception_leaves_state_as_it_was(backend, when, after):
    if backend == "jax" and when in ("backward", "end"):
        return  # the engine takes long to compile
    model, optimizer = pair("Adam")[0]

    def step(x, y, key):
        optimizer.zero_grad()
        out = model(x)
        if key == "forward":
            raise KeyError(key)
        loss = ad.mean((out - y) ** 2)
        loss.backward()
        if key == "backward":
            raise KeyError(key)
        optimizer.step()
        if key == "step":
            bool(loss > 0)
        if key == "end":
            model.first.weight += 1.0  # a leaf that needs a gradient
        return loss

    program = ad.compile(step, state=(model, optimizer))
    for k in range(after):
        program(*data(k), "none")
    before = picture(model, optimizer)
    for _ in range(2):
        with pytest.raises((KeyError, ad.AutodiffError)):
            program(*data(0), when)
        np.testing.assert_equal(picture(model, optimizer), before)
    program(*data(0), "none")


def test_a_compile_error_leaves_an_eager_step_possible(backend):
    eager, compiled = pair("SGD momentum")

    def bad(x, y):
        loss = step_of(*compiled)(x, y)
        return loss if loss > 0 else -loss

    with pytest.raises(ad.CompileError):
        ad.compile(bad, state=compiled)(*data(0))
    step_of(*eager)(*data(0)), step_of(*compiled)(*data(0))
    alike(compiled, eager)


def test_no_grad_outside_a_step(backend):
    """A step that goes backward in no_grad() is an error, compiled or not; a forward pass is none."""
    model, optimizer = pair("SGD")[0]
    program = ad.compile(step_of(model, optimizer), state=(model, optimizer))
    program(*data(0))
    with ad.no_grad(), pytest.raises(ad.AutodiffError):
        program(*data(0))
    program(*data(0))
    forward = ad.compile(model.eval())
    with ad.no_grad():
        assert not forward(data(0)[0]).requires_grad
    assert forward(data(0)[0]).requires_grad


def test_tensors_alone_are_state(backend):
    w, total = ad.asarray([1.0, 2.0], requires_grad=True), ad.zeros(2)

    def add(x):
        nonlocal total
        with ad.no_grad():
            w[...] = w * 2
        total += x
        return ad.sum(w * x)

    held = total
    program = ad.compile(add, state={"w": w, "others": [total]})
    found = [program(ad.asarray([1.0, 1.0])).item() for _ in range(3)]
    assert found == [6.0, 12.0, 24.0]
    assert w.tolist() == [8.0, 16.0]
    assert w.requires_grad
    assert held.tolist() == [3.0, 3.0]
    assert program.traces == 1


def test_views_and_detached_copies_of_a_parameter(backend):
    """Whoever shares memory with a parameter before a step sees of it what an eager step would show."""
    (a, opt_a), (b, opt_b) = pair("SGD")
    step, program = step_of(a, opt_a), ad.compile(step_of(b, opt_b), state=(b, opt_b))
    step(*data(0)), program(*data(0))
    kept = [(m.first.weight.detach().clone(), m.first.weight.detach()) for m in (a, b)]
    step(*data(1)), program(*data(1))
    for x, y in zip(*kept, strict=True):
        close(x, y)


def test_shared_parameters_are_updated_once(backend):
    def tied():
        model = net()
        model.third = nn.Linear(3, 5).to(dtype=ad.float64)
        model.third.weight, model.third.bias = model.first.weight, model.first.bias
        return model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    eager, compiled = tied(), tied()

    def step_with(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = ad.mean((model(x) - y) ** 2) + ad.mean(model.third(x) ** 2)
            loss.backward()
            optimizer.step()
            return loss

        return step

    step, program = step_with(*eager), ad.compile(step_with(*compiled), state=compiled)
    for k in range(3):
        close(program(*data(k)), step(*data(k)))
        alike(compiled, eager)
    assert compiled[0].third.weight is compiled[0].first.weight


def test_float32_stays_float32(backend):
    model = nn.Linear(3, 2).to(dtype=ad.float32)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    program = ad.compile(step_of(model, optimizer), state=(model, optimizer))
    x, y = (ad.astype(t, ad.float32) for t in data(0))
    for _ in range(4):
        assert program(x, y).dtype == ad.float32
        assert model.weight.dtype == model.weight.grad.dtype == ad.float32
        assert all(
            v.dtype == ad.float32 for v in optimizer.state[model.weight].values() if hasattr(v, "shape") and v.shape
        )


def test_a_batch_of_another_size_is_another_program():
    eager, compiled = pair("SGD")
    step, program = step_of(*eager), ad.compile(step_of(*compiled), state=compiled)
    for k, n in enumerate([4, 4, 2, 4, 2, 4]):
        batch = [t[:n] for t in data(k)]
        step(*batch), program(*batch)
        alike(compiled, eager)
        if k == 2:
            count = program.traces
    assert program.traces == count


def test_state_that_a_step_clears_is_cleared():
    w = ad.asarray([1.0, 2.0], requires_grad=True)
    optimizer = ad.optim.SGD([w], lr=0.1, momentum=0.9)

    def step(x):
        optimizer.zero_grad()
        ad.sum(w * x).backward()
        optimizer.step()
        optimizer.state.clear()

    ad.sum(w * 2.0).backward()
    optimizer.step()  # so that there is something to clear
    ad.compile(step, state=(w, optimizer))(ad.ones(2))
    assert not optimizer.state
