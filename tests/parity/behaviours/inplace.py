"""What PyTorch's users rely on about changes in place, indexing and views."""

from behaviours.table import Fails, Table, gradient, leaf

inplace = Table("Changes in place, and views")


@inplace("a leaf refuses changes in place", error="a leaf Variable that requires grad is being used in an in-place")
def leaf_refuses(ag):
    leaf(ag).add_(1.0)


@inplace("so does a view of one", error="a view of a leaf Variable that requires grad is being used in an in-place")
def view_of_a_leaf_refuses(ag):
    leaf(ag)[0].mul_(2.0)


@inplace("`a += b` makes a plain `a` differentiable")
def in_place_makes_differentiable(ag):
    a, b = ag.ones(2), leaf(ag)
    a += b * b
    a.sum().backward()
    return a.requires_grad, a.is_leaf, b.grad


@inplace("a plain buffer that is filled by `x[0] = y` becomes differentiable")
def assignment_makes_differentiable(ag):
    buffer, y = ag.zeros(3), leaf(ag, 2.0)
    buffer[0] = (y * y)[0]
    (buffer * ag.tensor([5.0, 6.0, 7.0])).sum().backward()
    return buffer.requires_grad, y.grad


@inplace("under `no_grad` a leaf may change, and stays a leaf")
def leaf_changes_under_no_grad(ag):
    x = leaf(ag)
    with ag.no_grad():
        x -= 1.0
    return x.is_leaf, x.requires_grad, x.detach()


@inplace("an operation after a change in place sees the new value, one before it the old")
def versions(ag):
    x = leaf(ag)
    y = x * 1.0
    before = y + 0.0
    y.mul_(10.0)
    (before + y).sum().backward()
    return x.grad


KEYS = {
    "an integer": lambda ag: 1,
    "a slice": lambda ag: slice(1, None, 2),
    "a mask": lambda ag: ag.tensor([True, False, True, True]),
    "integers": lambda ag: ag.tensor([3, 0]),
    "`None`": lambda ag: (None, 2),
    "`...`": lambda ag: (..., 0),
}

for name, key in KEYS.items():

    @inplace(f"indexing by {name}: value and gradient")
    def indexing(ag, key=key):
        weights = ag.tensor([1.0, 10.0, 100.0, 1000.0])
        x = leaf(ag, 1.0, 2.0, 3.0, 4.0)
        y = (x * weights)[key(ag)]
        (y * y).sum().backward()
        return y.detach(), x.grad

    @inplace(f"assignment through {name}: value and gradients")
    def assignment(ag, key=key):
        x, v = leaf(ag, 1.0, 2.0, 3.0, 4.0), ag.tensor(7.0, requires_grad=True)
        y = x * 1.0
        y[key(ag)] = v * v
        (y * y).sum().backward()
        return y.detach(), x.grad, v.grad


@inplace("integers that repeat in an index add up in the gradient")
def repeated_integers(ag):
    return gradient(ag, lambda x: x[ag.tensor([0, 0, 1])])


@inplace("a write to the base shows in its view")
def base_to_view(ag):
    base = ag.zeros(4)
    view = base[1:3]
    base[2] = 5.0
    return view


@inplace("a write to a view shows in its base")
def view_to_base(ag):
    base = ag.zeros(4)
    base[1:3].fill_(5.0)
    return base


@inplace("and through a view of a view")
def view_of_view(ag):
    base = ag.zeros((2, 3))
    base.mT[1:][0].add_(1.0)
    return base


@inplace("gradients follow a write to a view: it rewires the history of the base")
def view_rewires(ag):
    x, v = leaf(ag, 1.0, 2.0, 3.0), leaf(ag, 10.0)
    base = x * x
    base[1:2].mul_(v)
    (base * base).sum().backward()
    return base.detach(), x.grad, v.grad


@inplace("and a write to the base rewires the history of its views")
def base_rewires(ag):
    x = leaf(ag, 1.0, 2.0, 3.0)
    base = x * x
    view = base[1:]
    base.mul_(2.0)
    (view * view).sum().backward()
    return view.detach(), x.grad


@inplace(
    "changing in place what a graph has saved",
    ours="a saved value is a value, and is never written to",
    torch=Fails(RuntimeError, "modified by an inplace operation"),
    here=[2.0, 4.0],
)
def saved_values_are_values(ag):
    x = leaf(ag)
    y = x * 1.0
    z = (y * y).sum()
    y.mul_(100.0)
    z.backward()
    return x.grad
