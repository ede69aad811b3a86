"""Autograd, line by line as PyTorch: requires_grad, grad, backward, hooks, modes, and the texts of errors.

What differs on purpose stands in `test_ours.py`.
"""

import asyncio
import copy
import gc
import pickle
import threading
import warnings
import weakref

import numpy as np
import pytest


def leaf(torch, *values):
    """Give a leaf that requires grad."""
    return torch.tensor(list(values) or [1.0, 2.0], requires_grad=True)


# requires_grad and is_leaf ------------------------------------------------------------------------------


def test_requires_grad_defaults_to_false(torch, log):
    x = torch.ones(2)
    log(x.requires_grad, x.is_leaf, x.grad, x.grad_fn)


@pytest.mark.parametrize(
    "factory", ["tensor", "zeros", "ones", "full", "arange", "eye", "linspace", "asarray", "empty"]
)
def test_factories_accept_requires_grad(torch, log, factory):
    arguments = {
        "tensor": ([1.0],),
        "full": ((2,), 3.0),
        "arange": (3.0,),
        "linspace": (0.0, 1.0, 3),
        "asarray": ([1.0, 2.0],),
    }
    x = getattr(torch, factory)(*arguments.get(factory, (2,)), requires_grad=True)
    log(x.requires_grad, x.is_leaf, x.grad_fn, tuple(x.shape))


def test_random_factories_accept_requires_grad(torch, log):
    for x in (torch.randn(2, 3, requires_grad=True), torch.rand(2, requires_grad=True)):
        log(x.requires_grad, x.is_leaf, tuple(x.shape))


@pytest.mark.parametrize("factory", ["zeros_like", "ones_like"])
def test_like_factories_drop_requires_grad(torch, log, factory):
    x = leaf(torch)
    make = getattr(torch, factory)
    log(make(x).requires_grad, make(x, requires_grad=True).requires_grad, make(x))


def test_results_require_grad_iff_an_input_does(torch, log):
    a, b = leaf(torch), torch.ones(2)
    log((a + b).requires_grad, (b + a).requires_grad, (b + b).requires_grad, (a * 2.0).requires_grad)
    log((a + b).is_leaf, (b + b).is_leaf, a.is_leaf, (a + b).grad_fn is None, (b + b).grad_fn is None)
    log((2.0 - a).requires_grad, (-a).requires_grad, a.sum().requires_grad, a[0].requires_grad)


@pytest.mark.parametrize("name", ["int64", "int32", "uint8", "bool"])
def test_only_floats_and_complex_require_grad(torch, log, name):
    dtype = getattr(torch, name)
    text = "ensors of floating point"
    log.error(lambda: torch.zeros(2, dtype=dtype, requires_grad=True), text, "can require gradients")
    log.error(lambda: torch.ones(2, dtype=dtype).requires_grad_(), text, "can require gradients")
    log.error(lambda: setattr(torch.ones(2, dtype=dtype), "requires_grad", True), text, "can require gradients")
    x = torch.ones(2, dtype=dtype)
    x.requires_grad_(False)
    x.requires_grad = False
    log(x.requires_grad)


def test_integer_data_may_not_require_grad(torch, log):
    text = "Only Tensors of floating point and complex dtype can require gradients"
    log.error(lambda: torch.tensor([1, 2], requires_grad=True), text)
    log.error(lambda: torch.tensor(True, requires_grad=True), text)
    log(torch.tensor([1.0 + 2.0j], requires_grad=True).requires_grad)


def test_requires_grad_setters(torch, log):
    x = torch.ones(2)
    log(x.requires_grad_() is x, x.requires_grad)
    log(x.requires_grad_(False) is x, x.requires_grad)
    x.requires_grad = True
    log(x.requires_grad, x.is_leaf)
    x.requires_grad = False
    log(x.requires_grad)
    log.error(lambda: delattr(x, "requires_grad"))


def test_requires_grad_of_a_result_cannot_be_unset(torch, log):
    y = leaf(torch) * 2.0
    text = "you can only change requires_grad flags of leaf variables."
    log.error(lambda: setattr(y, "requires_grad", False), text)
    log.error(lambda: y.requires_grad_(False), text)
    log.error(lambda: setattr(y, "requires_grad", True), text)
    y.requires_grad_()
    log(y.requires_grad, y.is_leaf)


def test_frozen_leaf_keeps_its_grad(torch, log):
    x = leaf(torch)
    x.sum().backward()
    x.requires_grad_(False)
    log(x.grad, (x * 2.0).requires_grad)
    x.requires_grad_()
    (x * x).sum().backward()
    log(x.grad)


def test_results_without_a_derivative(torch, log):
    x = leaf(torch, 1.5, -2.5)
    log((x > 0).requires_grad, (x == 1.5).requires_grad, x.argmax().requires_grad, x.long().requires_grad)
    log(torch.isfinite(x).requires_grad, torch.isfinite(x).is_leaf, x.bool().requires_grad)


def test_float_to_int_to_float_cuts(torch, log):
    x = leaf(torch, 1.5)
    y = x.long().double()
    log(y, y.requires_grad)


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc", "sign"])
def test_piecewise_constant_functions(torch, log, name):
    x = leaf(torch, 1.5, -2.5, 0.0)
    y = getattr(torch, name)(x)
    log(y, y.requires_grad)
    y.sum().backward()
    log(x.grad)


def test_detach(torch, log):
    x = leaf(torch)
    y = x * 2.0
    d = y.detach()
    log(d.requires_grad, d.is_leaf, d.grad_fn, d)
    (d * x).sum().backward()
    log(x.grad)


def test_clone_is_differentiable(torch, log):
    x = leaf(torch)
    c = x.clone()
    log(c.requires_grad, c.is_leaf, c is x)
    (c * c).sum().backward()
    log(x.grad)


def test_grad_fn_links(torch, log):
    x, y = leaf(torch), torch.ones(2)
    z = x * y
    log(isinstance(z.grad_fn.name(), str), len(z.grad_fn.next_functions))
    node, _ = z.grad_fn.next_functions[0]
    log(node is None, z.grad_fn.next_functions[1][0] is None, len(node.next_functions))
    w = (x + x).sum()
    log(len(w.grad_fn.next_functions), [n is None for n, _ in w.grad_fn.next_functions[0][0].next_functions])


# .grad --------------------------------------------------------------------------------------------------


def test_grad_is_none_until_accumulated(torch, log):
    x, unused = leaf(torch), leaf(torch)
    log(x.grad)
    y = (x * x).sum()
    log(x.grad)
    y.backward()
    log(x.grad, unused.grad, x.grad.requires_grad, x.grad.is_leaf)


def test_grad_accumulates(torch, log):
    x = leaf(torch)
    for _ in range(3):
        (x * x).sum().backward()
        log(x.grad)
    x.grad.zero_()
    log(x.grad)
    x.grad = None
    log(x.grad)
    (x * x).sum().backward()
    log(x.grad)


def test_accumulation_keeps_the_object(torch, log):
    x = leaf(torch)
    (x * x).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    log(first is x.grad, first)


def test_accumulation_with_create_graph_makes_a_new_object(torch, log):
    x = leaf(torch)
    (x * x).sum().backward()
    first = x.grad
    warns_of_cycle(log, lambda: (x * x * x).sum().backward(create_graph=True))
    log(first is x.grad, first, x.grad, x.grad.requires_grad)
    x.grad = None


def test_grad_with_create_graph_does_not_warn(torch, log):
    x = leaf(torch)
    log.warning(lambda: torch.autograd.grad((x * x).sum(), x, create_graph=True)[0])


def test_grad_may_be_assigned(torch, log):
    x = leaf(torch)
    g = torch.tensor([5.0, 6.0])
    x.grad = g
    log(x.grad is g)
    x.sum().backward()
    log(x.grad, x.grad is g, g)
    x.grad = None
    log(x.grad, g)


def test_grad_may_be_deleted(torch, log):
    x = leaf(torch)
    x.sum().backward()
    del x.grad
    log(x.grad)
    x.sum().backward()
    log(x.grad)


def test_grad_of_a_plain_tensor_may_be_assigned(torch, log):
    x = torch.ones(2)
    x.grad = torch.zeros(2)
    log(x.grad, x.requires_grad)


def test_grad_refuses_what_does_not_fit(torch, log):
    x = leaf(torch)
    log.error(lambda: setattr(x, "grad", torch.ones(3)), "assign")
    log.error(lambda: setattr(x, "grad", torch.ones(2, dtype=torch.float32)), "assign", "dtype")
    log.error(lambda: setattr(x, "grad", x), "own grad")
    log.error(lambda: setattr(x, "grad", 1.0), "assigned grad expected to be a Tensor or None")
    log.error(lambda: setattr(x, "grad", [1.0, 1.0]), "assigned grad expected to be a Tensor or None")
    log(x.grad)


def test_grad_of_a_result_warns(torch, log):
    x = leaf(torch)
    y = x * 2.0
    log.warning(lambda: y.grad, "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed")
    y.retain_grad()
    log.warning(lambda: y.grad)
    log.warning(lambda: x.grad)
    log.warning(lambda: y.detach().grad)


def test_grads_of_two_leaves_do_not_share(torch, log):
    a, b = leaf(torch), leaf(torch)
    (a + b).sum().backward()
    a.grad.add_(10.0)
    log(a.grad, b.grad)


def test_grad_does_not_share_with_gradient_argument(torch, log):
    x, g = leaf(torch), torch.tensor([1.0, 10.0])
    (x + 0.0).backward(gradient=g)
    (x + 0.0).backward(gradient=g)
    log(g, x.grad)
    x.grad.zero_()
    log(g)
    g.fill_(7.0)
    log(x.grad)


def test_leaf_backward_copies_its_gradient(torch, log):
    x, g = leaf(torch), torch.tensor([1.0, 10.0])
    x.backward(g)
    x.backward(g)
    log(x.grad, g)


def test_retained_grad_does_not_share(torch, log):
    x = leaf(torch)
    y = x + 0.0
    y.retain_grad()
    (y * 2.0).sum().backward()
    y.grad.zero_()
    log(x.grad, y.grad)


def test_zero_grad_then_none_grad(torch, log):
    x = leaf(torch)
    x.sum().backward()
    g = x.grad
    x.grad.zero_()
    x.sum().backward()
    log(x.grad is g, g)


# backward -----------------------------------------------------------------------------------------------


def test_tutorial(torch, log):
    x, y = torch.tensor([2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    z = (x**2) * y
    z.backward(retain_graph=True)
    log(x.grad, y.grad)
    z.backward(retain_graph=True)
    log(x.grad, y.grad)
    x.grad.zero_()
    y.grad.zero_()
    log(x.grad, y.grad)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_implicit_gradient_for_one_element(torch, log, shape):
    x = torch.ones(shape, requires_grad=True)
    (x * 3.0).backward()
    log(x.grad)


def test_implicit_gradient_needs_one_element(torch, log):
    x = leaf(torch)
    log.error(lambda: (x * 2.0).backward(), "grad can be implicitly created only for scalar outputs")
    log.error(lambda: torch.autograd.grad(x * 2.0, x), "grad can be implicitly created only for scalar outputs")
    log.error(lambda: x[:0].backward(), "grad can be implicitly created only for scalar outputs")
    log(x.grad)


def test_implicit_gradient_needs_a_real_output(torch, log):
    z = torch.tensor(1.0 + 2.0j, requires_grad=True)
    log.error(lambda: (z * z).backward(), "grad can be implicitly created only for real scalar outputs but got")
    (z * z).backward(torch.tensor(1.0 + 0.0j))
    log(z.grad)


def test_nothing_requires_grad(torch, log):
    text = "element 0 of tensors does not require grad and does not have a grad_fn"
    log.error(lambda: torch.tensor(1.0).backward(), text)
    x = leaf(torch)
    log.error(lambda: x.sum().detach().backward(), text)
    log.error(lambda: torch.autograd.grad(torch.tensor(1.0), x), text)
    log.error(lambda: torch.autograd.backward([x.sum(), torch.tensor(1.0)]), "element 1 of tensors does not require")
    log(x.grad)


def test_gradient_of_wrong_shape(torch, log):
    x = leaf(torch)
    text = ("Mismatch in shape: grad_output[0] has a shape of", "and output[0] has a shape of")
    log.error(lambda: (x * 2.0).backward(torch.ones(3)), *text)
    log.error(lambda: (x * 2.0).backward(torch.ones((1, 2))), *text)
    log.error(lambda: torch.autograd.grad(x * 2.0, x, torch.ones(1)), *text)
    log(x.grad)


def test_gradient_argument_weights_the_elements(torch, log):
    x = leaf(torch)
    (x * x).backward(torch.tensor([1.0, 10.0]))
    log(x.grad)
    (x * x).backward(gradient=torch.tensor([[1.0, 10.0]])[0])
    log(x.grad)


def test_gradient_of_another_precision(torch, log):
    x = leaf(torch)
    (x * x).backward(torch.ones(2, dtype=torch.float32))
    log(x.grad)


def test_gradient_none_for_a_scalar(torch, log):
    x = leaf(torch)
    x.sum().backward(None)
    log(x.grad)


def test_backward_of_a_leaf(torch, log):
    x = torch.tensor(3.0, requires_grad=True)
    x.backward()
    log(x.grad)
    x.backward()
    log(x.grad)


def test_retain_graph(torch, log):
    x = leaf(torch)
    y = (x.exp() * x).sum()
    y.backward(retain_graph=True)
    log(x.grad)
    y.backward(retain_graph=True)
    log(x.grad)
    y.backward()
    log(x.grad)


def test_second_backward_where_nothing_was_saved(torch, log):
    x = leaf(torch)
    y = (x + 1.0).sum()
    y.backward()
    y.backward()
    log(x.grad)


def test_shared_subgraph_with_retain(torch, log):
    x = leaf(torch)
    shared = x.exp()
    a, b = shared.sum(), (shared * shared).sum()
    a.backward(retain_graph=True)
    log(x.grad)
    b.backward()
    log(x.grad)


def test_retain_graph_defaults_to_create_graph(torch, log):
    x = leaf(torch)
    y = (x * x).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (h,) = torch.autograd.grad(y, x)
    log(g, h)


def test_inputs_limits_accumulation(torch, log):
    a, b = leaf(torch), leaf(torch)
    (a * b).sum().backward(inputs=[a])
    log(a.grad, b.grad)
    (a * b).sum().backward(inputs=b)
    log(a.grad, b.grad)


def test_inputs_may_name_results(torch, log):
    x = leaf(torch)
    y = x * 3.0
    (y * y).sum().backward(inputs=[y], retain_graph=True)
    log(x.grad)
    log.warning(lambda: y.grad)
    (y * y).sum().backward(inputs=[y, x])
    log(x.grad)


def test_inputs_may_not_be_empty(torch, log):
    x = leaf(torch)
    log.error(lambda: x.sum().backward(inputs=[]), "inputs", "argument to", "backward()", "cannot be empty")
    log(x.grad)


def warns_of_cycle(log, f):
    """Run f, in which PyTorch warns; that we make no cycle is tests/core/test_memory.py's to show."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f()
    log.declared(
        "a gradient's graph holds its leaves weakly, so there is no cycle to warn of",
        lambda: any("create_graph=True" in str(w.message) and "cycle" in str(w.message) for w in caught),
        torch=True,
        ours=False,
    )


def test_backward_warns_about_the_cycle(torch, log):
    x = leaf(torch)
    warns_of_cycle(log, lambda: (x * x).sum().backward(create_graph=True))
    log(x.grad, x.grad.requires_grad)
    g = x.grad
    x.grad = None
    g.sum().backward()
    log(x.grad)


def test_several_roots_add_up(torch, log):
    x = leaf(torch)
    a, b = (x * x).sum(), (x * 3.0).sum()
    torch.autograd.backward([a, b])
    log(x.grad)


def test_repeated_roots_add_up(torch, log):
    x = leaf(torch)
    y = (x * x).sum()
    torch.autograd.backward([y, y, y])
    log(x.grad)


def test_dependent_roots_add_up(torch, log):
    x = leaf(torch)
    y = x * x
    z = y * y
    torch.autograd.backward([z.sum(), y.sum()])
    log(x.grad)
    x.grad = None
    w = x * 2.0
    torch.autograd.backward([w, (w * w).sum()], [torch.ones(2), None])
    log(x.grad)


def test_roots_with_gradients(torch, log):
    x = leaf(torch)
    torch.autograd.backward([x * x, x * 3.0], [torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])])
    log(x.grad)
    torch.autograd.backward((x * x).sum())
    log(x.grad)
    torch.autograd.backward((x * x).sum(), torch.tensor(2.0))
    log(x.grad)
    log.error(
        lambda: torch.autograd.backward([x.sum(), x.sum()], [torch.tensor(1.0)]),
        "got 2 tensors and 1 gradients",
    )


def test_root_that_is_a_leaf_among_roots(torch, log):
    x = torch.tensor(2.0, requires_grad=True)
    torch.autograd.backward([x, x * x])
    log(x.grad)


def test_diamond(torch, log):
    x = leaf(torch)
    a = x * 2.0
    b, c = a * a, a + 1.0
    ((b * c) + a).sum().backward()
    log(x.grad)


def test_reused_operand(torch, log):
    x = leaf(torch)
    (x * x * x + x / x - (x - x)).sum().backward()
    log(x.grad)


def test_partly_unused_graph(torch, log):
    x, y = leaf(torch), leaf(torch)
    _ = x * y
    (x * 2.0).sum().backward()
    log(x.grad, y.grad)


def test_deep_chain(torch, log):
    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(5000):
        y = y + 1.0
    y.backward()
    log(y, x.grad)
    del y


def test_long_chain_of_products(torch, log):
    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(400):
        y = y * 1.001
    y.backward()
    log(y, x.grad)


def test_deep_diamond_is_linear(torch, log):
    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    log(x.grad)


# grad() -------------------------------------------------------------------------------------------------


def test_grad_gives_a_tuple(torch, log):
    x, y = leaf(torch), leaf(torch)
    out = torch.autograd.grad((x * y).sum(), [x, y])
    log(isinstance(out, tuple), len(out), *out)
    out = torch.autograd.grad((x * x).sum(), x)
    log(isinstance(out, tuple), len(out), *out)
    log(x.grad, y.grad)


def test_grad_accepts_a_dict(torch, log):
    x, y = leaf(torch), leaf(torch)
    out = torch.autograd.grad((x * y * y).sum(), {"y": y, "x": x})
    log(out, x.grad)


def test_grad_of_several_outputs(torch, log):
    x = leaf(torch)
    log(*torch.autograd.grad([(x * x).sum(), x.sum()], x))
    log(*torch.autograd.grad([x * x, x], x, [torch.ones(2), torch.tensor([5.0, 6.0])]))
    log(*torch.autograd.grad((x * x, x.sum()), (x,), grad_outputs=(torch.ones(2), None)))


def test_grad_of_unused_input(torch, log):
    x, y = leaf(torch), leaf(torch)
    text = "appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior."
    log.error(lambda: torch.autograd.grad(x.sum(), [x, y]), text)
    log.error(lambda: torch.autograd.grad(x.sum(), y), text)
    log(*torch.autograd.grad(x.sum(), [x, y], allow_unused=True))
    log(*torch.autograd.grad(x.sum(), [x, y], materialize_grads=True))
    log.error(lambda: torch.autograd.grad(x.sum(), [x, y], allow_unused=False, materialize_grads=True))


def test_grad_of_plain_input(torch, log):
    x = leaf(torch)
    text = "One of the differentiated Tensors does not require grad"
    log.error(lambda: torch.autograd.grad(x.sum(), torch.ones(2)), text)
    log.error(lambda: torch.autograd.grad(x.sum(), x.detach()), text)


def test_grad_of_no_inputs(torch, log):
    x = leaf(torch)
    log.error(lambda: torch.autograd.grad(x.sum(), []), "inputs", "cannot be empty")


def test_grad_with_respect_to_a_result(torch, log):
    x = leaf(torch)
    y = x * 3.0
    z = (y * y).sum()
    log(*torch.autograd.grad(z, [y, x]))


def test_grad_with_respect_to_the_output(torch, log):
    x = torch.tensor(2.0, requires_grad=True)
    y = x * x
    log(*torch.autograd.grad(y, [y, x]))
    log(*torch.autograd.grad(x, x))


def test_grad_with_repeated_inputs(torch, log):
    x = leaf(torch)
    log(*torch.autograd.grad((x * x).sum(), [x, x]))


def test_grad_of_an_input_before_another(torch, log):
    x = leaf(torch)
    y = x.exp()
    z = (y * x).sum()
    log(*torch.autograd.grad(z, [x, y, z]))


def test_grad_leaves_grad_alone(torch, log):
    x, y = leaf(torch), leaf(torch)
    x.grad = torch.tensor([7.0, 8.0])
    torch.autograd.grad((x * y).sum(), x)
    log(x.grad, y.grad)


def test_grad_retain_graph(torch, log):
    x = leaf(torch)
    y = x.exp().sum()
    log(*torch.autograd.grad(y, x, retain_graph=True))
    log(*torch.autograd.grad(y, x))


def test_unneeded_nodes_are_not_executed(torch, log):
    x, w = leaf(torch), leaf(torch)
    a = x * 2.0
    b = w * 3.0
    a.register_hook(lambda g: log("a"))
    b.register_hook(lambda g: log("b"))
    torch.autograd.grad((a * b).sum(), w, retain_graph=True)
    (a * b).sum().backward(inputs=[x])
    log("end")


def test_hooks_under_grad(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: g * 10.0)
    x.register_post_accumulate_grad_hook(lambda p: log("accumulated"))
    log(*torch.autograd.grad((x * x).sum(), x))
    log("now backward")
    (x * x).sum().backward()
    log(x.grad)


def test_grad_result_is_detached(torch, log):
    x = leaf(torch)
    (g,) = torch.autograd.grad((x * x).sum(), x)
    log(g.requires_grad, g.is_leaf)
    (g,) = torch.autograd.grad((x * x).sum(), x, create_graph=True)
    log(g.requires_grad, g.is_leaf)
    (g,) = torch.autograd.grad((x * 3.0).sum(), x, create_graph=True)
    log(g, g.requires_grad)


def test_grad_outputs_that_require_grad(torch, log):
    x, v = leaf(torch), torch.tensor([5.0, 7.0], requires_grad=True)
    (g,) = torch.autograd.grad(x * x, x, v, create_graph=True)
    log(g, *torch.autograd.grad((g * g).sum(), [x, v]))


def test_double_backward_trick(torch, log):
    """A forward derivative out of two reverse ones."""
    x, v = leaf(torch), torch.tensor([1.0, 1.0], requires_grad=True)
    (vjp,) = torch.autograd.grad(x.exp() * x, x, v, create_graph=True)
    log(*torch.autograd.grad(vjp, v, torch.tensor([2.0, 3.0])))


# higher order -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0, 2.5])
def test_third_order_power(torch, log, power):
    x = torch.tensor([1.5, 2.0], requires_grad=True)
    y = x**power
    for _ in range(3):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True, allow_unused=True)
        log(y)
        if y is None or not y.requires_grad:
            break


HIGHER = {
    "exp": lambda x: x.exp(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tanh": lambda x: x.tanh(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "sigmoid": lambda x: x.sigmoid(),
    "division": lambda x: (x + 1.0) / x,
    "product": lambda x: x * x * x,
    "softmax": lambda x: x.exp() / x.exp().sum(),
    "self power": lambda x: x**x,
    "prod": lambda x: x.prod() * x,
    "mean": lambda x: (x - x.mean()) ** 2,
    "norm": lambda x: (x * x).sum().sqrt() * x,
    "quotient of sums": lambda x: x * x.sum() / (x * x).sum(),
}


@pytest.mark.parametrize("name", HIGHER)
def test_four_orders(torch, log, name):
    x = torch.tensor([0.7, 1.3], requires_grad=True)
    y = HIGHER[name](x).sum()
    for order in range(4):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        log(g, g.requires_grad)
        if not g.requires_grad:
            break
        y = (g * torch.tensor([1.0, 2.0])).sum() * (order + 1.0)


def test_hessian_row_by_row(torch, log):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    f = (x[0] * x[1] ** 2 * x[2]).exp() * 1e-3 + (x * x.sum()).sum()
    (g,) = torch.autograd.grad(f, x, create_graph=True)
    for row in range(3):
        log(*torch.autograd.grad(g[row], x, retain_graph=True))


def test_gradient_penalty(torch, log):
    w = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    x = torch.tensor([0.3, 0.7], requires_grad=True)
    y = (w @ x).tanh().sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    ((g * g).sum() + y).backward()
    log(w.grad, x.grad)


def test_create_graph_under_no_grad(torch, log):
    x = leaf(torch)
    y = (x * x).sum()
    with torch.no_grad():
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        log(g, g.requires_grad, torch.is_grad_enabled())


def test_backward_under_no_grad(torch, log):
    x = leaf(torch)
    y = (x * x).sum()
    with torch.no_grad():
        y.backward()
    log(x.grad)


# retain_grad --------------------------------------------------------------------------------------------


def test_retain_grad(torch, log):
    x = leaf(torch)
    y = x * 3.0
    log(y.retains_grad, x.retains_grad)
    y.retain_grad()
    y.retain_grad()
    log(y.retains_grad)
    (y * y).sum().backward()
    log(y.grad, x.grad, y.is_leaf)


def test_retain_grad_on_a_leaf_is_no_op(torch, log):
    x = leaf(torch)
    x.retain_grad()
    log(x.retains_grad)
    (x * x).sum().backward()
    log(x.grad)


def test_retain_grad_needs_requires_grad(torch, log):
    log.error(lambda: torch.ones(2).retain_grad(), "can't retain_grad on Tensor that has requires_grad=False")


def test_retain_grad_sees_hooks_before_and_after(torch, log):
    x = leaf(torch)
    y = x * 3.0
    y.register_hook(lambda g: g * 2.0)
    y.retain_grad()
    y.register_hook(lambda g: g + 1.0)
    y.sum().backward()
    log(y.grad, x.grad)


def test_retained_grad_accumulates(torch, log):
    x = leaf(torch)
    y = x * 3.0
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    first = y.grad
    y.sum().backward()
    log(y.grad, x.grad, first is y.grad, first)


def test_retain_grad_of_the_root(torch, log):
    x = leaf(torch)
    y = (x * x).sum()
    y.retain_grad()
    y.backward()
    log(y.grad)


def test_retain_grad_after_in_place(torch, log):
    x = leaf(torch)
    y = x * 3.0
    y.retain_grad()
    y *= 2.0
    y.sum().backward()
    log(y.grad, x.grad)


def test_retain_grad_makes_no_cycle(torch, log):
    x = leaf(torch)
    y = x * 3.0
    y.retain_grad()
    (y * y).sum().backward()
    dead = weakref.ref(y)
    gc.disable()
    try:
        del y
        log(dead() is None)
    finally:
        gc.enable()


# tensor hooks -------------------------------------------------------------------------------------------


def test_hook_sees_the_total_gradient_once(torch, log):
    x = leaf(torch)
    y = x * 2.0
    y.register_hook(lambda g: log("y", g))
    x.register_hook(lambda g: log("x", g))
    ((y * y) + y * 3.0 + x).sum().backward()
    log(x.grad)


def test_hook_may_replace(torch, log):
    x = leaf(torch)
    y = x * 2.0
    y.register_hook(lambda g: g * 100.0)
    y.sum().backward()
    log(x.grad)


def test_hooks_run_in_order(torch, log):
    x = leaf(torch)
    for k in range(3):
        x.register_hook(lambda g, k=k: (log(k, g), g + float(k))[1])
    (x * 2.0).sum().backward()
    log(x.grad)


def test_hook_returning_none_changes_nothing(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: None)
    (x * 2.0).sum().backward()
    log(x.grad)


def test_hook_removal(torch, log):
    x = leaf(torch)
    handle = x.register_hook(lambda g: g * 10.0)
    x.sum().backward()
    handle.remove()
    handle.remove()
    x.sum().backward()
    log(x.grad)


def test_hook_removes_itself_during_backward(torch, log):
    x = leaf(torch)
    y = x * 1.0
    handles = []

    def once(g):
        log("once")
        handles[0].remove()
        return g * 10.0

    handles.append(y.register_hook(once))
    y.register_hook(lambda g: log("second"))
    for _ in range(2):
        y.sum().backward(retain_graph=True)
        log(x.grad)


def test_hook_removes_a_later_one_during_backward(torch, log):
    x = leaf(torch)
    y = x * 2.0
    handle = x.register_hook(lambda g: g * 1000.0)
    y.register_hook(lambda g: handle.remove())
    y.sum().backward()
    log(x.grad)


def test_hook_handle_is_a_context_manager(torch, log):
    x = leaf(torch)
    with x.register_hook(lambda g: g * 10.0):
        x.sum().backward()
    x.sum().backward()
    log(x.grad)


def test_same_hook_twice(torch, log):
    x = leaf(torch)

    def double(g):
        return g * 2.0

    x.register_hook(double)
    x.register_hook(double)
    x.sum().backward()
    log(x.grad)


def test_hook_needs_requires_grad(torch, log):
    log.error(lambda: torch.ones(2).register_hook(print), "cannot register a hook on a tensor that doesn't require")


def test_hook_off_the_path_is_not_called(torch, log):
    x = leaf(torch)
    y = x * 2.0
    y.register_hook(lambda g: log("called"))
    (x * 3.0).sum().backward()
    log(x.grad)


def test_hook_that_returns_nonsense(torch, log):
    def attempt(hook):
        x = leaf(torch)
        x.register_hook(hook)
        x.sum().backward()

    log.error(lambda: attempt(lambda g: torch.ones(3)))
    log.error(lambda: attempt(lambda g: g.to(torch.float32)))
    log.error(lambda: attempt(lambda g: 3.0))


def test_hook_exception_comes_through(torch, log):
    x = leaf(torch)

    class Trouble(KeyError):
        pass

    def hook(g):
        raise Trouble("my own words")

    x.register_hook(hook)
    log.error(lambda: x.sum().backward(), "my own words")
    try:
        x.sum().backward()
    except Trouble as problem:
        log(problem.__traceback__ is not None)
    log(x.grad)


def test_hook_gradient_has_no_graph(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: log(g.requires_grad, torch.is_grad_enabled()))
    (x * x).sum().backward()


def test_hook_gradient_has_a_graph_with_create_graph(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: (log(g.requires_grad, torch.is_grad_enabled()), g * g)[1])
    (g,) = torch.autograd.grad((x * x).sum(), x, create_graph=True)
    log(g, *torch.autograd.grad(g.sum(), x))


def test_hook_stays_with_its_version(torch, log):
    x = leaf(torch)
    y = x * 2.0
    y.register_hook(lambda g: log("before", g))
    y *= 3.0
    y.register_hook(lambda g: log("after", g))
    (y * 5.0).sum().backward()
    log(x.grad)


def test_leaf_hook_stays_after_a_no_grad_update(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: g * 10.0)
    with torch.no_grad():
        x.mul_(2.0)
    (x * x).sum().backward()
    log(x.grad)


def test_hooks_outlive_a_freeze(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: g * 10.0)
    x.register_post_accumulate_grad_hook(lambda p: log("accumulated", p.grad))
    x.requires_grad_(False)
    x.requires_grad_()
    x.sum().backward()
    log(x.grad)


def test_hook_changes_its_argument_in_place(torch, log):
    x = leaf(torch)
    y = x * 2.0
    y.register_hook(lambda g: (g.mul_(10.0), None)[1])
    (y * 1.0).sum().backward()
    log(x.grad)


def test_post_accumulate_hook_changes_leaf_and_grad(torch, log):
    x = leaf(torch)
    x.register_post_accumulate_grad_hook(lambda p: (p.grad.mul_(5.0), p.sub_(p.grad), None)[2])
    for _ in range(2):
        (x * x).sum().backward()
        log(x, x.grad, x.is_leaf)


def test_hook_on_a_version_before_a_write(torch, log):
    x = leaf(torch)
    y = x * 1.0
    y.register_hook(lambda g: g * 10.0)
    v = y[0]
    v.mul_(3.0)
    (y * 2.0).sum().backward()
    log(x.grad)


def test_deepcopy_leaves_hooks_behind(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: log("not on the copy"))
    y = copy.deepcopy(x)
    (y * 2.0).sum().backward()
    log(y.grad)


def test_data_replaced_after_recording(torch, log):
    x = leaf(torch)
    y = (x * 3.0).sum()
    x.data = torch.tensor([5.0, 6.0])
    y.backward()
    log(x.grad, x)


def test_only_numbers_make_a_tensor(torch, log):
    log.error(lambda: torch.tensor("a"))
    log.error(lambda: torch.tensor([1.0, [2.0]]))
    log.error(lambda: torch.tensor([1.0]) + "a")
    log.error(lambda: torch.tensor([1.0]) + None)


def test_hook_on_a_view(torch, log):
    x = leaf(torch)
    v = x[0]
    v.register_hook(lambda g: g * 10.0)
    (v * 3.0 + x.sum()).backward()
    log(x.grad)


def test_hook_registered_during_backward(torch, log):
    x = leaf(torch)
    y = x * 2.0
    y.register_hook(lambda g: x.register_hook(lambda h: log("late", h)) and None)
    y.sum().backward()
    log(x.grad)


def test_hook_may_not_change_its_argument_elsewhere(torch, log):
    a, b = leaf(torch), leaf(torch)
    a.register_hook(lambda g: g.clone().mul_(5.0))
    (a + b).sum().backward()
    log(a.grad, b.grad)


def test_hook_runs_before_accumulation(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: log(x.grad))
    x.sum().backward()
    x.sum().backward()
    log(x.grad)


def test_backward_inside_a_hook(torch, log):
    x, w = leaf(torch), leaf(torch)

    def inner(g):
        with torch.enable_grad():
            (w * w * 3.0).sum().backward()

    y = x * 2.0
    y.register_hook(inner)
    (y * y).sum().backward()
    log(x.grad, w.grad)


def test_backward_inside_a_hook_into_the_same_leaf(torch, log):
    x = leaf(torch)
    y = x * 2.0

    def inner(g):
        with torch.enable_grad():
            (x * 100.0).sum().backward()

    y.register_hook(inner)
    y.sum().backward()
    log(x.grad)


# post-accumulate hooks ----------------------------------------------------------------------------------


def test_post_accumulate_hook(torch, log):
    x = leaf(torch)
    x.register_post_accumulate_grad_hook(lambda p: log(p is x, p.grad))
    (x * 2.0).sum().backward()
    (x * 3.0).sum().backward()
    log(x.grad)


def test_post_accumulate_runs_once_per_backward(torch, log):
    x = leaf(torch)
    x.register_post_accumulate_grad_hook(lambda p: log("once", p.grad))
    (x * x + x * 2.0 + x).sum().backward()


def test_post_accumulate_hooks_run_in_order(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: log("tensor hook", x.grad))
    first = x.register_post_accumulate_grad_hook(lambda p: log("first", p.grad))
    x.register_post_accumulate_grad_hook(lambda p: log("second", p.grad))
    x.sum().backward()
    first.remove()
    x.sum().backward()


def test_post_accumulate_needs_a_leaf(torch, log):
    x = leaf(torch)
    log.error(lambda: (x * 2.0).register_post_accumulate_grad_hook(print), "post accumulate grad hooks", "leaf")
    log.error(lambda: torch.ones(2).register_post_accumulate_grad_hook(print))


def test_post_accumulate_may_not_return_a_value(torch, log):
    x = leaf(torch)
    x.register_post_accumulate_grad_hook(lambda p: 1)
    log.error(lambda: x.sum().backward())


def test_post_accumulate_with_inputs(torch, log):
    a, b = leaf(torch), leaf(torch)
    a.register_post_accumulate_grad_hook(lambda p: log("a"))
    b.register_post_accumulate_grad_hook(lambda p: log("b"))
    (a * b).sum().backward(inputs=[b])
    log(a.grad, b.grad)


def test_optimizer_in_backward(torch, log):
    w = [torch.tensor([1.0, -1.0], requires_grad=True), torch.tensor([2.0, 0.5], requires_grad=True)]

    def step(p):
        with torch.no_grad():
            p -= 0.1 * p.grad
        p.grad = None

    for p in w:
        p.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        loss = ((w[0] * w[0]).sum() * w[1].sum()) ** 2
        loss.backward()
        log(loss, w[0], w[1], w[0].grad, w[1].grad)


# modes --------------------------------------------------------------------------------------------------


def state(torch):
    """Tell what is recorded now, by the flag and in fact."""
    return [torch.is_grad_enabled(), (torch.ones(1, requires_grad=True) * 2.0).requires_grad]


def test_modes_as_context_managers(torch, log):
    log(state(torch))
    with torch.no_grad():
        log(state(torch))
        with torch.enable_grad():
            log(state(torch))
            with torch.set_grad_enabled(False):
                log(state(torch))
            log(state(torch))
        log(state(torch))
        with torch.set_grad_enabled(True):
            log(state(torch))
    log(state(torch))


def test_factories_under_no_grad(torch, log):
    with torch.no_grad():
        x = torch.ones(2, requires_grad=True)
        y = x * 2.0
        log(x.requires_grad, y.requires_grad, y.is_leaf)
    (x * x).sum().backward()
    log(x.grad)


def test_mode_is_restored_after_an_exception(torch, log):
    for mode in (torch.no_grad, torch.inference_mode):
        try:
            with mode():
                raise KeyError("x")
        except KeyError:
            log(state(torch))


def test_set_grad_enabled_as_a_call(torch, log):
    torch.set_grad_enabled(False)
    try:
        log(state(torch))
    finally:
        torch.set_grad_enabled(True)
    log(state(torch))


def test_modes_as_decorators(torch, log):
    @torch.no_grad()
    def with_parentheses():
        return state(torch)

    @torch.no_grad
    def without(a, *, b):
        """Say so."""
        return [*state(torch), a, b]

    @torch.set_grad_enabled(False)
    def by_flag():
        return state(torch)

    log(torch.is_grad_enabled())
    with torch.no_grad():

        @torch.enable_grad()
        def enabled():
            return state(torch)

        log(enabled(), state(torch))
    log(with_parentheses(), without(1, b=2), by_flag(), state(torch), without.__name__, without.__doc__)


def test_decorated_function_may_recurse(torch, log):
    @torch.no_grad()
    def down(n):
        return [] if n == 0 else [torch.is_grad_enabled(), *down(n - 1), torch.is_grad_enabled()]

    log(down(3), torch.is_grad_enabled())


def test_decorated_function_that_raises(torch, log):
    @torch.no_grad()
    def fails():
        raise ValueError("inside")

    log.error(fails, "inside")
    log(torch.is_grad_enabled())


def test_decorated_method(torch, log):
    class Model:
        @torch.no_grad()
        def evaluate(self, x):
            return (x * 2.0).requires_grad

        @staticmethod
        @torch.no_grad()
        def still(x):
            return (x * 2.0).requires_grad

    log(Model().evaluate(leaf(torch)), Model.still(leaf(torch)))


def test_decorating_a_class_warns(torch, log):
    class Model:
        pass

    log.warning(lambda: torch.no_grad()(Model) is None)


def test_decorated_generator(torch, log):
    @torch.no_grad()
    def numbers():
        log("in", torch.is_grad_enabled())
        got = yield 1
        log("in", torch.is_grad_enabled(), got)
        try:
            yield 2
        except KeyError:
            log("caught", torch.is_grad_enabled())
            yield 3
        finally:
            log("finally", torch.is_grad_enabled())
        return 4

    steps = numbers()
    log("out", torch.is_grad_enabled(), next(steps), torch.is_grad_enabled())
    log(steps.send("hello"), torch.is_grad_enabled())
    log(steps.throw(KeyError("k")), torch.is_grad_enabled())
    try:
        next(steps)
    except StopIteration as stop:
        log(stop.value, torch.is_grad_enabled())


def test_decorated_generator_closed(torch, log):
    @torch.no_grad()
    def numbers():
        try:
            yield 1
            yield 2
        finally:
            log("closing", torch.is_grad_enabled())

    steps = numbers()
    next(steps)
    steps.close()
    log(torch.is_grad_enabled())


def test_enable_grad_generator_inside_no_grad(torch, log):
    @torch.enable_grad()
    def numbers():
        for _ in range(2):
            yield torch.is_grad_enabled()

    with torch.no_grad():
        for inside in numbers():
            log(inside, torch.is_grad_enabled())


def test_two_generators_interleaved(torch, log):
    @torch.no_grad()
    def off():
        for _ in range(2):
            yield torch.is_grad_enabled()

    @torch.enable_grad()
    def on():
        for _ in range(2):
            yield torch.is_grad_enabled()

    for a, b in zip(off(), on(), strict=True):
        log(a, b, torch.is_grad_enabled())


def test_inference_mode(torch, log):
    x = leaf(torch)
    log(torch.is_inference_mode_enabled())
    with torch.inference_mode():
        y = x * 2.0
        log(torch.is_inference_mode_enabled(), state(torch), y.requires_grad, y.is_leaf, y.is_inference())
    log(torch.is_inference_mode_enabled(), x.is_inference(), y.is_inference(), (y * 2.0).requires_grad)
    with torch.inference_mode(False):
        log(torch.is_inference_mode_enabled(), state(torch))
    with torch.inference_mode(), torch.inference_mode(False):
        log(torch.is_inference_mode_enabled(), state(torch))


def test_inference_tensors_stay_out_of_graphs(torch, log):
    x = leaf(torch)
    with torch.inference_mode():
        c = torch.ones(2)
    log.error(lambda: c * x, "Inference tensors cannot be saved for backward")
    log.error(lambda: c.requires_grad_(), "Setting requires_grad=True on inference tensor outside InferenceMode")
    log.error(lambda: c.add_(1.0), "Inplace update to inference tensor outside InferenceMode is not allowed")
    log.declared(
        "what is refused changes nothing; PyTorch has changed it before it refuses",
        c.tolist,
        torch=[2.0, 2.0],
        ours=[1.0, 1.0],
    )
    with torch.inference_mode():
        c.fill_(1.0)
    log((c + x).requires_grad)
    (c.clone() * x).sum().backward()
    log(x.grad)
    with torch.inference_mode():
        c.add_(1.0)
        log((c * x).requires_grad, c)


def test_inference_mode_as_decorator(torch, log):
    @torch.inference_mode()
    def f(x):
        return x * 2.0

    @torch.inference_mode
    def g(x):
        return x * 2.0

    x = leaf(torch)
    log(f(x).requires_grad, f(x).is_inference(), g(x).is_inference(), torch.is_inference_mode_enabled())


def test_a_new_thread_starts_enabled(torch, log):
    x = leaf(torch)
    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.extend([torch.is_grad_enabled(), (x * 2.0).requires_grad]))
        thread.start()
        thread.join()
        log(seen, torch.is_grad_enabled())


def test_a_thread_keeps_its_mode_to_itself(torch, log):
    def work():
        torch.set_grad_enabled(False)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    log(torch.is_grad_enabled())


def test_threads_accumulate_into_one_leaf(torch, log):
    x = leaf(torch)

    def work():
        for _ in range(50):
            (x * 2.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log(x.grad)


def test_graph_crosses_threads(torch, log):
    x = leaf(torch)
    y = (x * x).sum()
    thread = threading.Thread(target=y.backward)
    thread.start()
    thread.join()
    log(x.grad)


def test_no_grad_around_an_await(torch, log):
    async def task():
        with torch.no_grad():
            await asyncio.sleep(0)
            inside = torch.is_grad_enabled()
        return inside, torch.is_grad_enabled()

    log(list(asyncio.run(task())))


# leaving the graph --------------------------------------------------------------------------------------

EXPORT = "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."


def test_numpy_refuses_while_recording(torch, log):
    x = leaf(torch)
    for array in (x, x * 2.0):
        log.error(lambda array=array: array.numpy(), EXPORT)
        log.error(lambda array=array: np.asarray(array), EXPORT)


def test_numpy_of_what_needs_no_gradient(torch, log):
    x = leaf(torch)
    log(torch.ones(2).numpy().tolist(), x.detach().numpy().tolist(), np.asarray(x.detach()).tolist())
    log(x.numpy(force=True).tolist(), np.asarray(torch.ones(2), dtype="float32").dtype.name)
    with torch.no_grad():
        log(x.numpy().tolist(), np.asarray(x).tolist())


def test_numpy_of_detach_shares_memory(torch, log):
    x = torch.ones(3)
    log(np.shares_memory(np.asarray(x), np.asarray(x.detach())))
    log(np.shares_memory(x.numpy(), np.asarray(x)))


def test_scalars_detach(torch, log):
    x = torch.tensor(2.75, requires_grad=True)
    log(x.item(), bool(x), x.tolist(), x.detach().item(), int(x.detach()))
    log(float(x.detach()), complex(x.detach()), bool(x > 3.0))


def test_float_of_what_requires_grad_warns(torch, log):
    x = torch.tensor(2.75, requires_grad=True)
    log.warning(lambda: float(x))
    log.warning(lambda: complex(x))
    log.warning(lambda: int(x))
    log.warning(lambda: bool(x))
    log.warning(lambda: x.item())


def test_scalars_need_one_element(torch, log):
    x = torch.ones(2)
    log.error(lambda: x.item())
    log.error(lambda: bool(x))
    log.error(lambda: float(x))
    log.error(lambda: int(x))
    log(torch.ones((1, 1)).item(), float(torch.ones(1)), bool(torch.zeros(1)))


def test_index_of_an_integer(torch, log):
    log([10, 20, 30][torch.tensor(1)], list(range(torch.tensor(3))))
    log.error(lambda: [10][torch.tensor(0.0)])


def test_deepcopy_of_a_leaf(torch, log):
    x = leaf(torch)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    log(y, y.requires_grad, y.is_leaf, y.grad, y is x, y.grad is x.grad)
    y.grad.zero_()
    y.detach().zero_()
    log(x, x.grad)


def test_deepcopy_of_a_plain_tensor(torch, log):
    x = torch.ones(2)
    y = copy.deepcopy(x)
    y += 1.0
    log(x, y, y.requires_grad)


def test_deepcopy_keeps_sharing_within(torch, log):
    x = leaf(torch)
    pair = copy.deepcopy([x, x])
    log(pair[0] is pair[1], pair[0] is x)


def test_deepcopy_of_a_result_is_refused(torch, log):
    y = leaf(torch) * 2.0
    log.error(lambda: copy.deepcopy(y), "Only Tensors created explicitly by the user")


def test_pickle(torch, log):
    x = leaf(torch)
    (x * x).sum().backward()
    y = pickle.loads(pickle.dumps(x))
    log(y, y.requires_grad, y.is_leaf, y.grad)
    log(pickle.loads(pickle.dumps(torch.ones(2))))
    y = pickle.loads(pickle.dumps(torch.tensor([1, 2])))
    log(y, y.requires_grad)


def test_pickle_of_a_result_drops_the_graph(torch, log):
    y = pickle.loads(pickle.dumps(leaf(torch) * 2.0))
    log(y, y.requires_grad, y.is_leaf, y.grad_fn)


# dtypes, shapes, complex --------------------------------------------------------------------------------


def test_mixed_precision_gradients_have_their_leafs_dtype(torch, log):
    a = torch.tensor([1.5, 2.0], dtype=torch.float32, requires_grad=True)
    b = torch.tensor([3.0, 0.5], dtype=torch.float64, requires_grad=True)
    y = a * b
    log(y)
    y.sum().backward()
    log(a.grad, b.grad)


def test_casts_are_differentiable(torch, log):
    x = torch.tensor([1.5, 2.0], dtype=torch.float32, requires_grad=True)
    y = x.double()
    log(y, y.requires_grad)
    (y * y).sum().backward()
    log(x.grad)
    z = leaf(torch).to(torch.float32)
    log(z, z.requires_grad, z.is_leaf)


def test_integers_meet_floats(torch, log):
    x, n = leaf(torch), torch.tensor([2, 3])
    y = x * n
    log(y)
    y.sum().backward()
    log(x.grad)
    (x**n).sum().backward()
    log(x.grad)


def test_python_scalars_keep_the_dtype(torch, log):
    x = torch.tensor([1.5, 2.0], dtype=torch.float32, requires_grad=True)
    y = 2.0 * x + 1 - x / 3 + 2**x
    log(y)
    y.sum().backward()
    log(x.grad)


def test_bool_meets_float(torch, log):
    x = leaf(torch)
    y = x * (x > 1.5)
    log(y)
    y.sum().backward()
    log(x.grad)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_zero_size(torch, log, shape):
    x = torch.zeros(shape, requires_grad=True)
    ((x * 2.0).sum() + (x.exp() * x).sum()).backward()
    log(x.grad)
    x.grad = None
    (x + x).backward(torch.ones(shape))
    log(x.grad)


def test_zero_dimensional(torch, log):
    x = torch.tensor(2.0, requires_grad=True)
    y = x * x
    log(tuple(y.shape), y)
    y.backward()
    log(x.grad, tuple(x.grad.shape))


@pytest.mark.parametrize(
    "shapes",
    [
        ((), (3,)),
        ((1,), (3,)),
        ((2, 1), (3,)),
        ((2, 3), ()),
        ((2, 1, 3), (4, 1)),
        ((1, 1), (1,)),
        ((0,), (1,)),
    ],
)
def test_gradients_of_broadcast_operands(torch, log, shapes):
    a = torch.full(shapes[0], 2.0, requires_grad=True)
    b = torch.full(shapes[1], 3.0, requires_grad=True)
    y = a * b + a / b - a
    log(y)
    (y * y).sum().backward()
    log(a.grad, b.grad)


def test_broadcast_in_second_order(torch, log):
    a = torch.full((2, 1), 2.0, requires_grad=True)
    b = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (g,) = torch.autograd.grad((a * b * b).exp().sum() * 1e-6, a, create_graph=True)
    log(g)
    log(*torch.autograd.grad((g * g).sum(), [a, b]))


COMPLEX = {
    "real": lambda torch, z: torch.real(z),
    "imag": lambda torch, z: torch.imag(z),
    "abs": lambda torch, z: torch.abs(z),
    "abs squared": lambda torch, z: torch.real(z * torch.conj(z)),
    "real of square": lambda torch, z: torch.real(z * z),
    "imag of square": lambda torch, z: torch.imag(z * z),
    "real of exp": lambda torch, z: torch.real(torch.exp(z)),
    "real of quotient": lambda torch, z: torch.real((z + 1.0) / z),
    "imag of log": lambda torch, z: torch.imag(torch.log(z)),
    "real of power": lambda torch, z: torch.real(z**3.0),
    "real of sqrt": lambda torch, z: torch.real(torch.sqrt(z)),
    "real times complex": lambda torch, z: torch.imag(z * 2.0j) * torch.real(z),
    "sum of conj": lambda torch, z: torch.imag(torch.conj(z)),
    "real of sign": lambda torch, z: torch.real(z / torch.abs(z)),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients(torch, log, name):
    z = torch.tensor([3.0 + 4.0j, -1.0 + 0.5j], requires_grad=True)
    y = COMPLEX[name](torch, z)
    log(y)
    (g,) = torch.autograd.grad(y.sum(), z, create_graph=True)
    log(g)
    if g.requires_grad:
        log(*torch.autograd.grad((torch.real(g) * 2.0 + torch.imag(g)).sum(), z, allow_unused=True))


def test_complex_descent(torch, log):
    z = torch.tensor(3.0 + 4.0j, requires_grad=True)
    for _ in range(3):
        loss = torch.abs(z - (1.0 - 1.0j)) ** 2
        loss.backward()
        with torch.no_grad():
            z -= 0.1 * z.grad
        log(loss, z, z.grad)
        z.grad = None


def test_real_leaf_in_a_complex_expression(torch, log):
    x = leaf(torch)
    z = x * (1.0 + 2.0j)
    log(z)
    torch.abs(z).sum().backward()
    log(x.grad)


def test_complex_and_real_leaves_together(torch, log):
    x, z = leaf(torch), torch.tensor([1.0 + 1.0j, 2.0 - 1.0j], requires_grad=True)
    y = torch.real(x * z * z) + torch.imag(z / x)
    y.sum().backward()
    log(x.grad, z.grad)


# what does not fit --------------------------------------------------------------------------------------

MISFITS = {
    "add": lambda torch, x: x + torch.ones(2),
    "add in place": lambda torch, x: x.__iadd__(torch.ones(2)),
    "assign": lambda torch, x: x.__setitem__(0, torch.ones(2)),
    "axis": lambda torch, x: x.sum(5),
    "broadcast_to": lambda torch, x: torch.broadcast_to(x, (3, 2)),
    "concat": lambda torch, x: torch.concat((x, torch.ones((3, 2)))),
    "index": lambda torch, x: x[2],
    "item": lambda torch, x: x.item(),
    "mask": lambda torch, x: x[torch.tensor([True])],
    "matmul": lambda torch, x: x @ x,
    "mm": lambda torch, x: x.mm(x),
    "permute": lambda torch, x: x.permute(0, 0),
    "reshape": lambda torch, x: x.reshape((4,)),
    "stack": lambda torch, x: torch.stack((x, torch.ones(3))),
    "unsqueeze": lambda torch, x: x.unsqueeze(5),
    "where": lambda torch, x: torch.where(x > 0, x, torch.ones(2)),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit(torch, log, name):
    log.error(lambda: MISFITS[name](torch, torch.ones((2, 3))))
    x = torch.ones((2, 3), requires_grad=True)
    log.error(lambda: MISFITS[name](torch, x * 1.0))


# programs -----------------------------------------------------------------------------------------------


def test_branches_and_loops(torch, log):
    x = torch.tensor([0.5, -0.3], requires_grad=True)
    y = x
    while float((y * y).sum().detach()) < 100.0:
        y = y * 2.0 if float(y.sum().detach()) > 0 else y - 1.0
    y.backward(torch.tensor([0.1, 1.0]))
    log(y, x.grad)


def test_gradient_accumulation_over_batches(torch, log):
    w = torch.tensor([[0.5, -0.2], [0.1, 0.3]], requires_grad=True)
    data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    for k in range(2):
        part = data[2 * k : 2 * k + 2]
        (((part @ w).tanh() ** 2).mean() / 2.0).backward()
        log(w.grad)


def test_small_network(torch, log):
    x = torch.tensor([[0.1, 0.2], [0.3, -0.4], [-0.5, 0.6]])
    t = torch.tensor([[1.0], [0.0], [1.0]])
    w1 = torch.tensor([[0.5, -0.2, 0.1], [0.3, 0.8, -0.7]], requires_grad=True)
    b1 = torch.zeros(3, requires_grad=True)
    w2 = torch.tensor([[0.2], [0.4], [-0.6]], requires_grad=True)
    for _ in range(3):
        loss = (((x @ w1 + b1).tanh() @ w2).sigmoid() - t).pow(2).mean()
        loss.backward()
        log(loss, w1.grad, b1.grad, w2.grad)
        with torch.no_grad():
            for p in (w1, b1, w2):
                p -= 0.5 * p.grad
                p.grad.zero_()


def test_truncated_backpropagation(torch, log):
    a = torch.tensor(0.9, requires_grad=True)
    h = torch.tensor(1.0)
    for _ in range(3):
        h = h.detach()
        for _ in range(2):
            h = (h * a).tanh()
        h.backward()
        log(h, a.grad)


def test_straight_through(torch, log):
    x = leaf(torch, 0.2, 0.7)
    hard = torch.round(x)
    y = x + (hard - x).detach()
    (y * y).sum().backward()
    log(y, x.grad)


def test_implicit_differentiation_by_hook(torch, log):
    a = torch.tensor(2.0, requires_grad=True)
    with torch.no_grad():
        z = a * 0.0 + 1.0
        for _ in range(30):
            z = 0.5 * (z + a / z)
    z = 0.5 * (z + a / z)
    z.register_hook(lambda g: g * 1.0)
    z.backward()
    log(z, a.grad)


# memory -------------------------------------------------------------------------------------------------


def test_graph_dies_with_its_output(torch, log):
    gc.collect()
    gc.disable()
    try:
        x = leaf(torch)
        hidden = x.exp()
        alive = weakref.ref(hidden)
        y = (hidden * hidden).sum()
        del hidden
        y.backward()
        del y
        log(alive() is None, x.grad)
    finally:
        gc.enable()


def test_leaf_dies_with_its_graph(torch, log):
    gc.disable()
    try:
        x = leaf(torch)
        dead = weakref.ref(x)
        y = (x * x).sum()
        y.backward()
        del x, y
        log(dead() is None)
    finally:
        gc.enable()


def test_dropped_leaf_does_not_break_its_graph(torch, log):
    x, w = leaf(torch), leaf(torch)
    y = (x * w).sum()
    del x
    y.backward()
    log(w.grad)
