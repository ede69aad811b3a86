"""What PyTorch's users rely on about a tensor's flags and its gradient."""

import warnings

from behaviours.table import Table, gradient, leaf

flags = Table("Flags and leaves")
gradients = Table("`.grad`")


# Flags and leaves


@flags("`requires_grad` is False unless asked for")
def requires_grad_default(ag):
    return ag.ones(2).requires_grad, ag.tensor([1.0]).requires_grad


@flags("an operation is recorded if one of its inputs requires grad")
def recorded_if_an_input_does(ag):
    return (leaf(ag) + ag.ones(2)).requires_grad, (ag.ones(2) * leaf(ag)).requires_grad


@flags("and not otherwise")
def recorded_only_if_an_input_does(ag):
    y = ag.ones(2) + ag.ones(2)
    return y.requires_grad, y.grad_fn


@flags("nothing is recorded while recording is off")
def recorded_only_when_on(ag):
    with ag.no_grad():
        y = leaf(ag) * 2.0
    return y.requires_grad, y.grad_fn


@flags("integers can't require grad", error="Only Tensors of floating point and complex dtype can require gradients")
def integers_do_not(ag):
    ag.tensor([1, 2], requires_grad=True)


@flags("nor can booleans", error="floating point")
def booleans_do_not(ag):
    ag.tensor([True]).requires_grad_()


@flags("complex numbers can")
def complex_numbers_do(ag):
    return ag.tensor([1.0 + 2.0j], requires_grad=True).requires_grad


@flags("a comparison, an index or a cast to integers is not recorded")
def no_derivative_no_record(ag):
    x = leaf(ag)
    return (x > 0).requires_grad, x.argmax().requires_grad, x.long().requires_grad


@flags("a function that is constant piece by piece is recorded, with a gradient of zeros")
def piecewise_constant(ag):
    return gradient(ag, lambda x: ag.floor(x) + ag.sign(x), 1.5, -0.5)


@flags("a factory's `requires_grad=True` is honoured inside `no_grad`")
def factory_inside_no_grad(ag):
    with ag.no_grad():
        return ag.ones(2, requires_grad=True).requires_grad


@flags("a result's can't be set to False", error="you can only change requires_grad flags of leaf variables.")
def result_keeps_requiring(ag):
    (leaf(ag) * 2.0).requires_grad = False


@flags("`requires_grad_()` returns the tensor itself")
def requires_grad_returns_self(ag):
    x = ag.ones(2)
    return x.requires_grad_() is x, x.requires_grad, x.requires_grad_(False).requires_grad


@flags("a frozen leaf keeps its gradient")
def frozen_leaf(ag):
    x = leaf(ag)
    x.sum().backward()
    x.requires_grad_(False)
    return x.grad


@flags("`del x.requires_grad` is an error", error="requires_grad")
def requires_grad_is_not_deleted(ag):
    x = leaf(ag)
    del x.requires_grad


@flags("a leaf has no `grad_fn`, a recorded result has one")
def leaf_without_grad_fn(ag):
    x = leaf(ag)
    y = x * 2.0
    return x.is_leaf, x.grad_fn, y.is_leaf, y.grad_fn is None


@flags("every tensor that doesn't require grad is a leaf")
def plain_is_leaf(ag):
    return (ag.ones(2) * 2.0).is_leaf, (leaf(ag) > 0).is_leaf


@flags("`detach()` gives a leaf with the same values")
def detach_gives_leaf(ag):
    d = (leaf(ag) * 2.0).detach()
    return d.is_leaf, d.requires_grad, d.grad_fn, d


# `.grad`


@gradients("`.grad` is None until a gradient is first accumulated")
def grad_is_none_first(ag):
    x = leaf(ag)
    before = x.grad
    x.sum().backward()
    return before, x.grad


@gradients("it is never zeroed by itself: gradients add up")
def grad_adds_up(ag):
    x = leaf(ag)
    for _ in range(3):
        (x * x).sum().backward()
    return x.grad


@gradients("None may be assigned to it")
def grad_assigned_none(ag):
    x = leaf(ag)
    x.sum().backward()
    x.grad = None
    return x.grad


@gradients("a tensor may be assigned to it, and the next gradient is added")
def grad_assigned(ag):
    x = leaf(ag)
    x.grad = ag.tensor([10.0, 20.0])
    x.sum().backward()
    return x.grad


@gradients("but not one of another shape", error="attempting to assign a gradient of")
def grad_assigned_of_another_shape(ag):
    leaf(ag).grad = ag.ones(3)


@gradients("nor of another dtype", error="dtype")
def grad_assigned_of_another_dtype(ag):
    leaf(ag).grad = ag.ones(2, dtype=ag.float32)


@gradients("nor a number", error="assigned grad expected to be a Tensor or None but got grad of type")
def grad_assigned_a_number(ag):
    leaf(ag).grad = 1.0


@gradients("nor the tensor itself", error="can't assign Variable as its own grad")
def grad_assigned_itself(ag):
    x = leaf(ag)
    x.grad = x


@gradients("`del x.grad` gives None")
def grad_deleted(ag):
    x = leaf(ag)
    x.sum().backward()
    del x.grad
    return x.grad


@gradients("reading the `.grad` of a result warns", warning="The .grad attribute of a Tensor that is not a leaf Tensor")
def grad_of_a_result(ag):
    return (leaf(ag) * 2.0).grad


@gradients("unless `retain_grad()` was called")
def grad_of_a_retained_result(ag):
    y = leaf(ag) * 2.0
    y.retain_grad()
    (y * y).sum().backward()
    return y.grad


@gradients("accumulation keeps the same `.grad` object")
def accumulation_keeps_the_object(ag):
    x = leaf(ag)
    x.sum().backward()
    first = x.grad
    x.sum().backward()
    return first is x.grad, first


@gradients("and makes a new one with `create_graph`")
def accumulation_with_create_graph(ag):
    x = leaf(ag)
    x.sum().backward()
    first = x.grad
    with warnings.catch_warnings(action="ignore"):  # PyTorch's, of a cycle
        (x * x).sum().backward(create_graph=True)
    return first is x.grad, first, x.grad, x.grad.requires_grad


@gradients("a gradient has the shape of its leaf, whatever was broadcast")
def gradient_has_the_leafs_shape(ag):
    bias, scale = leaf(ag), ag.tensor([[3.0]], requires_grad=True)
    (ag.ones((3, 2)) * scale + bias).sum().backward()
    return bias.grad, scale.grad


@gradients("and its dtype")
def gradient_has_the_leafs_dtype(ag):
    x = ag.tensor([1.0, 2.0], dtype=ag.float32, requires_grad=True)
    (x * ag.ones(2, dtype=ag.float64)).sum().backward()
    return x.grad


@gradients("a real leaf in a complex expression has a real gradient")
def gradient_of_a_real_leaf(ag):
    x = leaf(ag)
    y = x * ag.tensor([1.0 + 2.0j, 3.0j])
    ag.real(y * ag.conj(y)).sum().backward()
    return x.grad


@gradients("a complex gradient points uphill: `z - lr * z.grad` descends")
def complex_gradient(ag):
    z = ag.tensor([3.0 + 4.0j], requires_grad=True)
    ag.abs(z).sum().backward()
    return z.grad


@gradients("the caller's `gradient=` is never changed")
def gradient_argument_is_left_alone(ag):
    x, v = leaf(ag), ag.tensor([1.0, 10.0])
    for _ in range(2):
        (x * 1.0).backward(v)
    x.grad.zero_()
    return v


@gradients("two leaves never share the memory of their gradients")
def grads_do_not_share(ag):
    x, y = leaf(ag), leaf(ag)
    (x + y).sum().backward()
    x.grad.zero_()
    return y.grad
