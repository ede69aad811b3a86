"""Where autodiff_api differs from PyTorch on purpose, each difference beside what PyTorch does instead.

1. A second backward through a freed graph recomputes, says so, and is right; it fails only where a leaf was
   changed in place in between. 2. Backward is atomic. 3. Modes belong to the asyncio task.
"""

import asyncio
import warnings

import pytest

TWICE = "Trying to backward through the graph a second time"


def leaf(torch, *values):
    """Give a leaf that requires grad."""
    return torch.tensor(list(values) or [1.0, 2.0], requires_grad=True)


# A freed graph is a checkpointed graph ------------------------------------------------------------------


def twice(torch, y, **options):
    """Go backward through `y` a second time, letting the RecomputeWarning of ours pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y.backward(**options)


PROGRAMS = {
    "product": lambda x: (x * x).sum(),
    "exp": lambda x: x.exp().sum(),
    "chain": lambda x: (x.exp().sin() * x).tanh().sum(),
    "shared": lambda x: ((x.exp() + 1.0) * (x.exp() * x)).sum(),
    "reductions": lambda x: (x * x).prod() * x.mean(),
    "matmul": lambda x: (x.reshape((2, 1)) @ x.reshape((1, 2))).exp().sum(),
    "index": lambda x: (x[0] * x[1:]).exp().sum(),
    "buffer": lambda x: ((x * 1.0).exp() * x.flatten()[1]).sum(),
    "max": lambda x: (x * x).max() * x.sum(),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_second_backward_recomputes(torch, log, name):
    x = leaf(torch, 0.5, 1.25)
    y = PROGRAMS[name](x)
    y.backward()
    log(x.grad)
    first = x.grad.tolist()
    log.declared(
        "a freed graph is recomputed",
        lambda: twice(torch, y),
        torch=(RuntimeError, TWICE),
        ours=None,
    )
    if log.engine != "torch":
        assert x.grad.tolist() == pytest.approx([2.0 * g for g in first], rel=1e-12)


def test_recompute_warning(ad):
    x = leaf(ad)
    y = x.exp().sum()
    y.backward()
    with pytest.warns(ad.RecomputeWarning, match="retain_graph=True") as caught:
        y.backward()
    assert TWICE in str(caught[0].message)
    with pytest.warns(ad.RecomputeWarning):
        ad.autograd.grad(y, x)


def test_recompute_warning_points_at_the_caller(ad):
    x = leaf(ad)
    y = x.exp().sum()
    y.backward()
    with pytest.warns(ad.RecomputeWarning) as caught:
        y.backward()
    assert caught[0].filename == __file__


def test_retained_graph_does_not_warn(ad):
    x = leaf(ad)
    y = x.exp().sum()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y.backward(retain_graph=True)
        y.backward()


def test_tutorial_without_retain_graph(ad):
    x, y = ad.tensor([2.0], requires_grad=True), ad.tensor([3.0], requires_grad=True)
    z = (x**2) * y
    z.backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([12.0], [4.0])
    with pytest.warns(ad.RecomputeWarning):
        z.backward(retain_graph=True)
    assert (x.grad.tolist(), y.grad.tolist()) == ([24.0], [8.0])


def test_many_backwards_through_a_freed_graph(ad):
    x = leaf(ad, 0.5, 1.25)
    y = (x.exp() * x).sum()
    y.backward()
    once = x.grad.tolist()
    for n in range(2, 5):
        with pytest.warns(ad.RecomputeWarning):
            y.backward()
        assert x.grad.tolist() == pytest.approx([n * g for g in once], rel=1e-12)


def test_freed_part_of_a_graph(ad):
    """Two outputs share a part; going backward through one frees it for the other."""
    x = leaf(ad, 0.5, 1.25)
    shared = x.exp()
    a, b = shared.sum(), (shared * shared).sum()
    a.backward()
    with pytest.warns(ad.RecomputeWarning):
        b.backward()
    e = shared.detach().tolist()
    assert x.grad.tolist() == pytest.approx([e[0] + 2 * e[0] ** 2, e[1] + 2 * e[1] ** 2], rel=1e-12)


def test_recomputed_create_graph(ad):
    x = leaf(ad, 0.5, 1.25)
    y = (x**3.0).sum()
    y.backward()
    with pytest.warns(ad.RecomputeWarning):
        (g,) = ad.autograd.grad(y, x, create_graph=True)
    (h,) = ad.autograd.grad(g.sum(), x)
    assert h.tolist() == pytest.approx([3.0, 7.5], rel=1e-12)


def test_leaf_changed_in_between_is_an_error(ad):
    x = leaf(ad)
    y = x.exp().sum()
    y.backward()
    before = x.grad.tolist()
    with ad.no_grad():
        x.mul_(2.0)
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match=TWICE):
        warnings.simplefilter("ignore")
        y.backward()
    assert x.grad.tolist() == before


@pytest.mark.parametrize("change", ["detach", "data", "view", "assign", "data set"])
def test_leaf_changed_by_any_road_is_an_error(ad, change):
    x = leaf(ad)
    y = x.exp().sum()
    y.backward()
    with ad.no_grad():
        match change:
            case "detach":
                x.detach()[0] = 5.0
            case "data":
                x.data.zero_()
            case "view":
                x[:1].fill_(3.0)
            case "assign":
                x[0] = 3.0
            case "data set":
                x.data = ad.tensor([3.0, 4.0])
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match=TWICE):
        warnings.simplefilter("ignore")
        y.backward()


def test_unrelated_leaf_changed_in_between_is_fine(ad):
    x, w = leaf(ad, 0.5, 1.25), leaf(ad)
    y = x.exp().sum()
    y.backward()
    once = x.grad.tolist()
    with ad.no_grad():
        w.mul_(2.0)
    with pytest.warns(ad.RecomputeWarning):
        y.backward()
    assert x.grad.tolist() == pytest.approx([2 * g for g in once], rel=1e-12)


def test_leaf_changed_with_a_retained_graph_is_fine(ad):
    """Nothing was dropped, so nothing need be recomputed: the values are those of the time of recording."""
    x = leaf(ad)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    with ad.no_grad():
        x.mul_(100.0)
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_changed_constant_does_not_spoil_recomputation(ad):
    """A constant on an edge is a value, not a tensor: changing the tensor later changes nothing."""
    x, c = leaf(ad, 0.5, 1.25), ad.tensor([2.0, 3.0])
    y = ((x * c).exp()).sum()
    y.backward()
    once = x.grad.tolist()
    c.zero_()
    with pytest.warns(ad.RecomputeWarning):
        y.backward()
    assert x.grad.tolist() == pytest.approx([2 * g for g in once], rel=1e-12)


def test_changed_intermediate_does_not_spoil_recomputation(ad):
    x = leaf(ad, 0.5, 1.25)
    h = x.exp()
    y = (h * h).sum()
    h.zero_()
    y.backward()
    once = x.grad.tolist()
    with pytest.warns(ad.RecomputeWarning):
        y.backward()
    assert x.grad.tolist() == pytest.approx([2 * g for g in once], rel=1e-12)


def test_filled_buffer_is_recomputed(ad):
    w = leaf(ad, 0.5, 1.25)
    x = ad.zeros((3, 2))
    for i in range(3):
        x[i] = (w * float(i + 1)).exp()
    y = (x * x).sum()
    y.backward()
    once = w.grad.tolist()
    with pytest.warns(ad.RecomputeWarning):
        y.backward()
    assert w.grad.tolist() == pytest.approx([2 * g for g in once], rel=1e-12)


def test_recomputation_of_a_long_chain(ad):
    x = ad.tensor([0.5], requires_grad=True)
    y = x
    for _ in range(1500):
        y = (y * 1.0).tanh() + 0.01
    y = y.sum()
    y.backward()
    once = x.grad.tolist()
    with pytest.warns(ad.RecomputeWarning):
        y.backward()
    assert x.grad.tolist() == pytest.approx([2 * once[0]], rel=1e-10)


def test_unused_input_text_of_old(ad):
    """The words that people search for (PyTorch 2.13 names an index instead)."""
    x, y = leaf(ad), leaf(ad)
    text = "One of the differentiated Tensors appears to not have been used in the graph"
    with pytest.raises(RuntimeError, match=text):
        ad.autograd.grad(x.sum(), [x, y])


def test_post_accumulate_hook_returning_a_tensor(torch, log):
    x = leaf(torch)
    x.register_post_accumulate_grad_hook(lambda p: p)
    log.declared(
        "any return value but None is an error",
        lambda: x.sum().backward(),
        torch=None,
        ours=(Exception, "None"),
    )


# NumPy's rule where the two vocabularies differ ----------------------------------------------------------


def test_int_and_int_array_apart(torch, log):
    """An integer beside an integer array is an index array too; the two are apart, so theirs comes first."""
    x = torch.arange(24.0).reshape((2, 3, 4)).requires_grad_()
    key = (1, slice(None), torch.tensor([3, 3]))
    log.declared("subscripts are NumPy's", lambda: list(x[key].shape), torch=[3, 2], ours=[2, 3])
    x[key].sum().backward()
    log(x.grad)


def test_results_are_contiguous(torch, log):
    """A result owns its data in order, on every backend; PyTorch's may keep the layout of its operand."""
    x = torch.arange(6.0).reshape((2, 3))
    for result in (x.T.clone(), x.T * 1.0):
        log.declared(
            "a result counts as contiguous, so it has flat views",
            lambda result=result: result.view(-1).tolist(),
            torch=(RuntimeError, "view size is not compatible"),
            ours=[0.0, 3.0, 1.0, 4.0, 2.0, 5.0],
        )
        flat = result.reshape(6)
        flat.zero_()
        log.declared(
            "and writes to them reach it",
            lambda result=result: result.sum().item(),
            torch=15.0,
            ours=0.0,
        )


# Backward is atomic -------------------------------------------------------------------------------------


class Trouble(Exception):
    """What a user's hook raises."""


def network(torch):
    """Give the leaves, the tensors in between and the loss of a small program."""
    w, b = leaf(torch, 0.5, -0.25), leaf(torch, 0.1, 0.2)
    h = (w * 3.0 + b).tanh()
    g = h.exp() * w
    return [w, b], [h, g], (g * g).sum()


@pytest.mark.parametrize("where", ["leaf 0", "leaf 1", "middle 0", "middle 1"])
@pytest.mark.parametrize("retain", [False, True])
def test_raising_hook_changes_nothing(ad, where, retain):
    """Whatever hook raises, no `.grad` has changed, and going backward again gives the exact gradient."""
    leaves, middles, loss = network(ad)
    right = [g.tolist() for g in ad.autograd.grad(loss, leaves, retain_graph=True)]
    leaves[0].grad = ad.tensor([100.0, 200.0])
    kept = leaves[0].grad
    kind, k = where.split()
    tensor = (leaves if kind == "leaf" else middles)[int(k)]

    def hook(g):
        raise Trouble("stop")

    handle = tensor.register_hook(hook)
    with pytest.raises(Trouble, match="stop"):
        loss.backward(retain_graph=retain)
    assert leaves[0].grad is kept
    assert kept.tolist() == [100.0, 200.0]
    assert leaves[1].grad is None
    handle.remove()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss.backward()
    assert (leaves[0].grad - ad.tensor([100.0, 200.0])).tolist() == pytest.approx(right[0], rel=1e-9)
    assert leaves[1].grad.tolist() == pytest.approx(right[1], rel=1e-12)


def test_keyboard_interrupt_changes_nothing(ad):
    leaves, middles, loss = network(ad)
    right = [g.tolist() for g in ad.autograd.grad(loss, leaves, retain_graph=True)]

    def hook(g):
        raise KeyboardInterrupt

    handle = middles[0].register_hook(hook)
    with pytest.raises(KeyboardInterrupt):
        loss.backward()
    assert [p.grad for p in leaves] == [None, None]
    handle.remove()
    loss.backward()
    assert [p.grad.tolist() for p in leaves] == right


def test_wrong_hook_result_changes_nothing(ad):
    leaves, _, loss = network(ad)
    handle = leaves[1].register_hook(lambda g: ad.ones(7))
    with pytest.raises(RuntimeError, match=r"shape|size"):
        loss.backward()
    assert [p.grad for p in leaves] == [None, None]
    handle.remove()
    loss.backward()
    assert all(p.grad is not None for p in leaves)


def test_retained_grad_is_atomic_too(ad):
    _, middles, loss = network(ad)
    middles[1].retain_grad()

    def hook(g):
        raise Trouble

    handle = middles[0].register_hook(hook)
    with pytest.raises(Trouble):
        loss.backward()
    assert middles[1].grad is None
    handle.remove()
    loss.backward()
    assert middles[1].grad is not None


def test_only_a_leaf_with_a_post_hook_is_committed_early(ad):
    """Its own gradient is complete when its hook runs; a later failure leaves the others alone."""
    early, late = leaf(ad), leaf(ad)
    middle = late * 2.0
    seen = []
    early.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))

    def hook(g):
        raise Trouble

    late.register_hook(hook)
    loss = (middle * 3.0).sum() + (early * 5.0).sum()
    with pytest.raises(Trouble):
        loss.backward()
    assert late.grad is None
    assert seen in ([], [[5.0, 5.0]])
    assert (early.grad is None) == (not seen)


def test_failed_backward_inside_a_hook(ad):
    """A backward inside a hook is atomic on its own."""
    x, w = leaf(ad), leaf(ad)
    y = x * 2.0

    def bad(g):
        raise Trouble

    def outer(g):
        with ad.enable_grad():
            inner = w * 3.0
            inner.register_hook(bad)
            with pytest.raises(Trouble):
                inner.sum().backward()

    y.register_hook(outer)
    y.sum().backward()
    assert w.grad is None
    assert x.grad.tolist() == [2.0, 2.0]


# Modes -------------------------------------------------------------------------------------------------


def test_one_mode_object_nested(torch, log):
    mode = torch.no_grad()
    with mode:
        with mode:
            log(torch.is_grad_enabled())
        log(torch.is_grad_enabled())
    log.declared(
        "a mode object may be entered again before it is left",
        torch.is_grad_enabled,
        torch=False,
        ours=True,
    )


# Modes belong to the task -------------------------------------------------------------------------------


def test_no_grad_in_one_task_is_invisible_in_another(torch, log):
    async def quiet(entered, leave):
        with torch.no_grad():
            entered.set()
            await leave.wait()
            return torch.is_grad_enabled()

    async def loud(entered, leave):
        await entered.wait()
        seen = torch.is_grad_enabled()
        leave.set()
        return seen

    async def main():
        entered, leave = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(quiet(entered, leave), loud(entered, leave))

    log.declared(
        "modes live in a ContextVar, not in the thread",
        lambda: list(asyncio.run(main())),
        torch=[False, False],
        ours=[False, True],
    )
    log(torch.is_grad_enabled())


def test_tasks_that_finish_out_of_order_leave_no_trace(torch, log):
    async def hold(mode, seconds):
        with mode():
            await asyncio.sleep(seconds)
            return torch.is_grad_enabled()

    async def main():
        seen = await asyncio.gather(hold(torch.no_grad, 0.01), hold(torch.enable_grad, 0.03))
        return [*seen, torch.is_grad_enabled()]

    def run():
        try:
            return [*asyncio.run(main()), torch.is_grad_enabled()]
        finally:
            torch.set_grad_enabled(True)

    log.declared(
        "each task restores its own mode",
        run,
        torch=[True, True, False, False],
        ours=[False, True, True, True],
    )


def test_decorated_coroutine(torch, log):
    @torch.no_grad()
    async def work():
        first = torch.is_grad_enabled()
        await asyncio.sleep(0)
        return [first, torch.is_grad_enabled()]

    async def main():
        return [*(await work()), torch.is_grad_enabled()]

    log.declared(
        "a decorated coroutine runs in its mode",
        lambda: asyncio.run(main()),
        torch=[True, True, True],
        ours=[False, False, True],
    )


def test_decorated_async_generator(torch, log):
    @torch.no_grad()
    async def work():
        for _ in range(2):
            yield torch.is_grad_enabled()

    async def main():
        return [(inside, torch.is_grad_enabled()) async for inside in work()]

    log.declared(
        "a decorated async generator runs in its mode",
        lambda: asyncio.run(main()),
        torch=[[True, True], [True, True]],
        ours=[[False, True], [False, True]],
    )
