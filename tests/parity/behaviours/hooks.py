"""What PyTorch's users rely on about `retain_grad` and hooks of tensors."""

import gc
import weakref

from behaviours.table import Fails, Table, leaf

hooks = Table("Hooks")


@hooks("`retain_grad()` may be called twice")
def retain_grad_is_idempotent(ag):
    y = leaf(ag) * 2.0
    y.retain_grad()
    y.retain_grad()
    y.sum().backward()
    return y.retains_grad, y.grad


@hooks("`retain_grad()` does nothing to a leaf")
def retain_grad_of_a_leaf(ag):
    x = leaf(ag)
    x.retain_grad()
    x.sum().backward()
    return x.retains_grad, x.grad


@hooks("`retain_grad()` of what doesn't require grad is an error", error="can't retain_grad on Tensor")
def retain_grad_of_a_plain_tensor(ag):
    ag.ones(2).retain_grad()


@hooks("`retain_grad()` makes no reference cycle: the tensor is freed without the garbage collector")
def retain_grad_makes_no_cycle(ag):
    gc.collect()
    gc.disable()
    try:
        y = leaf(ag) * 2.0
        y.retain_grad()
        y.sum().backward()
        alive = weakref.ref(y)
        del y
        return alive() is None
    finally:
        gc.enable()


@hooks("a retained gradient has been through the tensor's hooks, whenever they were registered")
def retained_grad_sees_hooks(ag):
    y = leaf(ag) * 2.0
    y.register_hook(lambda g: g * 10.0)
    y.retain_grad()
    y.register_hook(lambda g: g + 1.0)
    y.sum().backward()
    return y.grad


@hooks("a hook runs once, when the total gradient is known")
def hook_sees_the_total(ag):
    x, seen = leaf(ag), []
    x.register_hook(seen.append)
    (x * x + x).sum().backward()
    return seen


@hooks("a hook may replace the gradient")
def hook_replaces(ag):
    x = leaf(ag)
    x.register_hook(lambda g: g * 10.0)
    x.sum().backward()
    return x.grad


@hooks("a hook that returns None changes nothing")
def hook_returns_none(ag):
    x = leaf(ag)
    x.register_hook(lambda g: None)
    x.sum().backward()
    return x.grad


@hooks("hooks run in the order of their registration")
def hooks_in_order(ag):
    x = leaf(ag)
    x.register_hook(lambda g: g + 1.0)
    x.register_hook(lambda g: g * 10.0)
    x.sum().backward()
    return x.grad


@hooks("a hook's handle removes it")
def hook_removed(ag):
    x = leaf(ag)
    x.register_hook(lambda g: g * 10.0).remove()
    x.sum().backward()
    return x.grad


@hooks("even during backward, from the hook itself")
def hook_removes_itself(ag):
    x, seen = leaf(ag), []

    def once(g):
        seen.append(g)
        handle.remove()

    handle = x.register_hook(once)
    for _ in range(2):
        x.sum().backward()
    return seen, x.grad


@hooks("a hook stays with the version of the tensor that it was registered on")
def hook_stays_with_its_version(ag):
    y, seen = leaf(ag) * 2.0, []
    y.register_hook(seen.append)
    y.mul_(3.0)
    (y * y).sum().backward()
    return seen


@hooks("a hook needs a tensor that requires grad", error="cannot register a hook on a tensor that doesn't require")
def hook_needs_requires_grad(ag):
    ag.ones(2).register_hook(lambda g: None)


@hooks("a hook's exception comes out of `backward()` as it is", error="stop")
def hook_raises(ag):
    def hook(g):
        raise RuntimeError("stop")

    x = leaf(ag)
    x.register_hook(hook)
    x.sum().backward()


@hooks(
    "`.grad` after a backward that failed on the way",
    ours="`backward()` changes all gradients or none",
    torch=[[2.0, 4.0], None],
    here=[None, None],
)
def backward_is_atomic(ag):
    def hook(g):
        raise RuntimeError("stop")

    x, y = leaf(ag), leaf(ag)
    late = y * 1.0
    late.register_hook(hook)
    try:
        (late + x * x).sum().backward()
    except RuntimeError:
        return [None if p.grad is None else p.grad.tolist() for p in (x, y)]


@hooks("a post-accumulate hook runs when `.grad` has been changed")
def post_hook_sees_grad(ag):
    x, seen = leaf(ag), []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    for _ in range(2):
        x.sum().backward()
    return seen


@hooks("a post-accumulate hook is for leaves", error="post accumulate grad hooks cannot be registered on non-leaf")
def post_hook_is_for_leaves(ag):
    (leaf(ag) * 2.0).register_post_accumulate_grad_hook(lambda p: None)


@hooks(
    "a post-accumulate hook that returns something",
    ours="it is an error that says so, and not a value that is quietly dropped",
    torch=None,
    here=Fails(TypeError, "None"),
)
def post_hook_returns_nothing(ag):
    x = leaf(ag)
    x.register_post_accumulate_grad_hook(lambda p: p)
    x.sum().backward()


@hooks("an optimizer can make its step in a post-accumulate hook")
def optimizer_in_backward(ag):
    def step(p):
        with ag.no_grad():
            p -= 0.1 * p.grad
        p.grad = None

    x = leaf(ag)
    x.register_post_accumulate_grad_hook(step)
    for _ in range(2):
        (x * x).sum().backward()
    return x.detach(), x.grad
