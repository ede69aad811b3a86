"""What PyTorch's users rely on about going backward, through tensors and through `torch.autograd`."""

import threading

from behaviours.table import Fails, Table, Warns, leaf

backward = Table("`backward()`")
autograd = Table("autograd")
freed = Table("A freed graph")
checkpoints = Table("checkpoint")


# `backward()`


@backward("`backward()` needs no gradient where there is one real element")
def implicit_gradient(ag):
    x = ag.tensor([[3.0]], requires_grad=True)
    (x * x).backward()
    return x.grad


@backward("`backward(gradient)` weights the elements")
def explicit_gradient(ag):
    x = leaf(ag)
    (x * x).backward(ag.tensor([1.0, 10.0]))
    return x.grad


@backward("`inputs=` limits where gradients accumulate")
def inputs_limit(ag):
    x, y = leaf(ag), leaf(ag)
    (x * y).sum().backward(inputs=[x])
    return x.grad, y.grad


@backward("and may name results")
def inputs_may_be_results(ag):
    x = leaf(ag)
    y = x * 2.0
    y.retain_grad()
    (y * y).sum().backward(inputs=[y])
    return x.grad, y.grad


@backward("`retain_graph=True` keeps the graph for a second pass")
def retain_graph(ag):
    x = leaf(ag)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@backward("`create_graph=True` retains the graph too")
def create_graph_retains(ag):
    x = leaf(ag)
    y = (x * x * x).sum()
    (g,) = ag.autograd.grad(y, x, create_graph=True)
    (h,) = ag.autograd.grad(y, x)
    return g, h


@backward(
    "`backward(create_graph=True)` and reference cycles",
    ours="there is no cycle to warn of: a leaf's node holds its tensor weakly",
    torch=Warns("Using backward() with create_graph=True will create a reference cycle", True),
    here=True,
)
def backward_with_create_graph(ag):
    x = leaf(ag)
    (x * x).sum().backward(create_graph=True)
    return x.grad.requires_grad


@backward("`autograd.grad(create_graph=True)` doesn't warn of a cycle")
def grad_with_create_graph(ag):
    x = leaf(ag)
    (g,) = ag.autograd.grad((x * x).sum(), x, create_graph=True)
    return g.requires_grad


# autograd


@autograd("`autograd.backward` of several roots adds up")
def several_roots(ag):
    x = leaf(ag)
    ag.autograd.backward([(x * x).sum(), (3.0 * x).sum()])
    return x.grad


@autograd("also if one depends on another")
def dependent_roots(ag):
    x = leaf(ag)
    y = (x * x).sum()
    ag.autograd.backward([y, y * y])
    return x.grad


@autograd("or is there twice")
def repeated_roots(ag):
    x = leaf(ag)
    y = (x * x).sum()
    ag.autograd.backward([y, y])
    return x.grad


@autograd("`grad_tensors` weights the roots")
def weighted_roots(ag):
    x = leaf(ag)
    ag.autograd.backward([x * x, x.sum()], [ag.tensor([1.0, 10.0]), None])
    return x.grad


@autograd("`inputs=` limits where `autograd.backward` accumulates")
def backward_inputs(ag):
    x, y = leaf(ag), leaf(ag)
    ag.autograd.backward([(x * y).sum()], inputs=[y])
    return x.grad, y.grad


@autograd("`autograd.grad` gives a tuple, one gradient for each input")
def grad_gives_a_tuple(ag):
    x, y = leaf(ag), leaf(ag, 3.0, 4.0)
    got = ag.autograd.grad((x * y).sum(), [x, y])
    return isinstance(got, tuple), got


@autograd("a dict of inputs gives a dict")
def grad_of_a_dict(ag):
    x, y = leaf(ag), leaf(ag, 3.0, 4.0)
    return ag.autograd.grad((x * y).sum(), {"x": x, "y": y})


@autograd("`autograd.grad` touches no `.grad`")
def grad_touches_no_grad(ag):
    x = leaf(ag)
    ag.autograd.grad((x * x).sum(), x)
    return x.grad


@autograd("its inputs may be results")
def grad_of_a_result(ag):
    y = leaf(ag) * 3.0
    return ag.autograd.grad((y * y).sum(), y)


@autograd("its outputs may be several, weighted by `grad_outputs`")
def grad_of_several_outputs(ag):
    x = leaf(ag)
    return ag.autograd.grad([x * x, x.sum()], x, [ag.tensor([1.0, 10.0]), None])


@autograd("hooks of leaves run under `autograd.grad`")
def leaf_hooks_under_grad(ag):
    x = leaf(ag)
    x.register_hook(lambda g: g * 10.0)
    return ag.autograd.grad((x * x).sum(), x)


@autograd("post-accumulate hooks don't")
def post_hooks_under_grad(ag):
    x, seen = leaf(ag), []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(1))
    ag.autograd.grad((x * x).sum(), x)
    return seen


@autograd("nodes that lead to no input are not executed")
def unneeded_nodes(ag):
    x, y, seen = leaf(ag), leaf(ag), []
    aside = y * 2.0
    aside.register_hook(lambda g: seen.append(1))
    ag.autograd.grad((x * aside).sum(), x)
    return seen


@autograd("an input that was not used is an error", error="appears to not have been used in the graph")
def unused_input(ag):
    ag.autograd.grad(leaf(ag).sum(), leaf(ag))


@autograd("or None with `allow_unused=True`")
def unused_input_allowed(ag):
    x = leaf(ag)
    return ag.autograd.grad(x.sum(), [x, leaf(ag)], allow_unused=True)


@autograd("or zeros with `materialize_grads=True`")
def unused_input_materialized(ag):
    x = leaf(ag)
    return ag.autograd.grad(x.sum(), [x, leaf(ag)], materialize_grads=True)


@autograd("`is_grads_batched=True` takes many `grad_outputs` at once")
def batched_grad_outputs(ag):
    x = leaf(ag)
    return ag.autograd.grad(x * x, x, ag.eye(2), is_grads_batched=True)


@autograd("with `create_graph=True` the gradient can be differentiated, to any order")
def higher_orders(ag):
    x = leaf(ag, 2.0)
    y, found = x**5.0, []
    for _ in range(4):
        (y,) = ag.autograd.grad(y.sum(), x, create_graph=True)
        found.append(y.detach())
    return found


@autograd("without it, the gradient requires no grad")
def gradient_is_detached(ag):
    x = leaf(ag)
    (g,) = ag.autograd.grad((x * x).sum(), x)
    return g.requires_grad, g.grad_fn


@autograd("a gradient can be in the loss that is differentiated")
def gradient_penalty(ag):
    x = leaf(ag)
    (g,) = ag.autograd.grad((x * x * x).sum(), x, create_graph=True)
    ((g * g).sum() + x.sum()).backward()
    return x.grad


@autograd("backward inside backward works, in a hook")
def backward_inside_backward(ag):
    x, w = leaf(ag), leaf(ag)

    def inner(g):
        with ag.enable_grad():
            (w * w).sum().backward()

    y = x * 2.0
    y.register_hook(inner)
    y.sum().backward()
    return x.grad, w.grad


@autograd("outputs of an operation that are not used count as zeros")
def unused_outputs(ag):
    x = ag.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
    values, _ = ag.linalg.eigh(x)
    (values * values).sum().backward()
    return x.grad


@autograd("a long chain needs no recursion")
def long_chain(ag):
    x = leaf(ag)
    y = x
    for _ in range(5000):
        y = y + 1.0
    y.sum().backward()
    return x.grad


@autograd("backward under `no_grad` works, once the graph is recorded")
def backward_under_no_grad(ag):
    x = leaf(ag)
    y = (x * x).sum()
    with ag.no_grad():
        y.backward()
    return x.grad


@autograd("graphs in several threads accumulate into one leaf")
def threads_accumulate(ag):
    x = leaf(ag)

    def work():
        for _ in range(10):
            (x * 2.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return x.grad


# A freed graph


TWICE = "Trying to backward through the graph a second time"


@freed("a graph that saved nothing can be walked twice")
def nothing_saved(ag):
    x = leaf(ag)
    y = (x + 1.0).sum()
    y.backward()
    y.backward()
    return x.grad


@freed(
    "a second backward through a freed graph",
    ours="what was freed is recomputed, with a warning that names `retain_graph=True`",
    torch=Fails(RuntimeError, TWICE),
    here=Warns(TWICE, [4.0, 8.0]),
)
def second_backward(ag):
    x = leaf(ag)
    y = (x * x).sum()
    y.backward()
    y.backward()
    return x.grad


@freed("and if a leaf changed in place since", error=TWICE)
def second_backward_after_a_change(ag):
    x = leaf(ag)
    y = x.exp().sum()
    y.backward()
    with ag.no_grad():
        x.mul_(2.0)
    y.backward()


# Checkpoints


@checkpoints("`checkpoint(f, x)` gives f(x), and the gradient by running f a second time")
def checkpoint(ag):
    x, runs = leaf(ag), []

    def f(x):
        runs.append(1)
        return x.exp().sin()

    y = ag.utils.checkpoint.checkpoint(f, x, use_reentrant=False)
    forward = len(runs)
    y.sum().backward()
    return y.detach(), forward, len(runs), x.grad


@checkpoints("with `create_graph` too")
def checkpoint_twice(ag):
    x = leaf(ag)
    y = ag.utils.checkpoint.checkpoint(lambda x: x * x * x, x, use_reentrant=False).sum()
    (g,) = ag.autograd.grad(y, x, create_graph=True)
    return ag.autograd.grad(g.sum(), x)


@checkpoints("a second run that does something else is an error", error="different metadata")
def checkpoint_of_another_function(ag):
    x, runs = leaf(ag), []

    def f(x):
        runs.append(1)
        return x.exp() if len(runs) == 1 else x.reshape((2, 1)).exp().flatten()

    ag.utils.checkpoint.checkpoint(f, x, use_reentrant=False).sum().backward()


@checkpoints("`checkpoint_sequential` runs a sequence in segments")
def checkpoint_sequential(ag):
    x = leaf(ag)
    layers = [lambda x: x.exp(), lambda x: x.sin(), lambda x: x * x]
    ag.utils.checkpoint.checkpoint_sequential(layers, 2, x, use_reentrant=False).sum().backward()
    return x.grad
