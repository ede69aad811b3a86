"""What PyTorch's users rely on about `torch.func` and `torch.autograd.functional`."""

from behaviours.table import Fails, Table, leaf

transforms = Table("Transforms")
nesting = Table("Nesting")


def point(ag):
    return ag.tensor([1.0, 2.0])


def cubes(x):
    return x * x * x


def total(x):
    """A function whose Hessian is not diagonal: (x₁ + x₂)(x₁² + x₂²)."""
    return x.sum() * (x * x).sum()


# grad and vjp


@transforms("`grad(f)` gives the gradient, and plain tensors suffice")
def grad(ag):
    g = ag.func.grad(total)(point(ag))
    return g, g.requires_grad


@transforms("`argnums` says which arguments")
def argnums(ag):
    def f(x, y):
        return (x * x * y).sum()

    x, y = point(ag), ag.tensor([3.0, 4.0])
    return ag.func.grad(f, argnums=1)(x, y), ag.func.grad(f, argnums=(0, 1))(x, y)


@transforms("`has_aux=True` passes on what f returns beside its value")
def has_aux(ag):
    return ag.func.grad(lambda x: (total(x), x * 2.0), has_aux=True)(point(ag))


@transforms("arguments may be nested dicts, lists and tuples, and the gradient has their shape")
def trees(ag):
    def f(p):
        return (p["w"] * p["rest"][0]).sum() + (p["rest"][1][0] ** 2).sum()

    return ag.func.grad(f)({"w": point(ag), "rest": [ag.ones(2), (point(ag),)]})


@transforms("a function that doesn't give one number is refused", error="scalar")
def grad_needs_a_scalar(ag):
    ag.func.grad(cubes)(point(ag))


@transforms("or gives a complex number", error="real")
def grad_needs_a_real_number(ag):
    ag.func.grad(lambda z: z * z)(ag.tensor(1.0 + 2.0j))


@transforms("integers are refused", error="dtype")
def grad_of_integers(ag):
    ag.func.grad(lambda n: (n * n).sum())(ag.tensor([1, 2]))


@transforms("changes in place are differentiated")
def grad_in_place(ag):
    def f(x):
        y = x * 1.0
        y[0] = y[1] * 3.0
        y *= 2.0
        return (y * y).sum()

    return ag.func.grad(f)(point(ag)), ag.func.jvp(f, (point(ag),), (ag.ones(2),))


@transforms(
    "a result of one element that is no scalar",
    ours="an axis of length 1 is no reason to refuse, in `backward()` neither",
    torch=Fails(RuntimeError, "Expected f(*args) to return a scalar Tensor"),
    here=[1.0, 1.0],
)
def grad_of_one_element(ag):
    return ag.func.grad(lambda x: x.sum().reshape((1,)))(point(ag))


@transforms(
    "numbers and None among the arguments",
    ours="a number is differentiated as an array is, and None has None",
    torch=Fails(ValueError, "must be Tensor"),
    here=[4.0, None],
)
def grad_of_numbers(ag):
    g = ag.func.grad(lambda p: p["x"] * p["x"])({"x": 2.0, "none": None})
    return [float(g["x"]), g["none"]]


@transforms("`grad_and_value` gives both")
def grad_and_value(ag):
    return ag.func.grad_and_value(total)(point(ag))


@transforms("an argument that was not used has a gradient of zeros")
def grad_of_unused(ag):
    return ag.func.grad(lambda x, y: y.sum())(point(ag), point(ag))


@transforms("`vjp` gives the value, and a function of cotangents")
def vjp(ag):
    y, pull = ag.func.vjp(cubes, point(ag))
    return y, pull(ag.tensor([1.0, 10.0])), pull(ag.tensor([0.0, 1.0]))


@transforms("`vjp` of several arguments and outputs")
def vjp_of_trees(ag):
    y, pull = ag.func.vjp(lambda x, y: {"a": x * y, "b": y * 2.0}, point(ag), ag.tensor([3.0, 4.0]))
    return y, pull({"a": ag.ones(2), "b": point(ag)})


@transforms("`vjp` with `has_aux`")
def vjp_with_aux(ag):
    y, pull, aux = ag.func.vjp(lambda x: (cubes(x), x + 1.0), point(ag), has_aux=True)
    return y, pull(ag.ones(2)), aux


# forward mode


@transforms("`jvp` gives the value and how it moves along the tangents")
def jvp(ag):
    return ag.func.jvp(cubes, (point(ag),), (ag.tensor([1.0, 10.0]),))


@transforms("`jvp` of several arguments, with `has_aux`")
def jvp_with_aux(ag):
    def f(x, y):
        return x * y, x + y

    return ag.func.jvp(f, (point(ag), ag.ones(2)), (ag.ones(2), ag.ones(2)), has_aux=True)


@transforms("`linearize` gives the value, and the tangent map to be used again")
def linearize(ag):
    y, push = ag.func.linearize(cubes, point(ag))
    return y, push(ag.tensor([1.0, 0.0])), push(ag.tensor([0.0, 1.0]))


# Jacobians and Hessians


@transforms("`jacrev` gives the Jacobian, rows first")
def jacrev(ag):
    a = ag.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return ag.func.jacrev(lambda x: a @ (x * x))(point(ag))


@transforms("`jacfwd` gives the same")
def jacfwd(ag):
    a = ag.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return ag.func.jacfwd(lambda x: a @ (x * x))(point(ag))


@transforms("`jacrev` and `jacfwd` take `argnums` and `has_aux`")
def jacobian_options(ag):
    def f(x, y):
        return x * y, y

    x, y = point(ag), ag.tensor([3.0, 4.0])
    return [jac(f, argnums=(0, 1), has_aux=True)(x, y) for jac in (ag.func.jacrev, ag.func.jacfwd)]


@transforms("`chunk_size` bounds the memory of `jacrev`, and changes no result")
def jacobian_in_chunks(ag):
    return ag.func.jacrev(cubes, chunk_size=1)(point(ag))


@transforms("a Jacobian of trees is a tree of trees")
def jacobian_of_trees(ag):
    return ag.func.jacrev(lambda p: {"y": p["a"] * p["b"]})({"a": point(ag), "b": ag.ones(2)})


@transforms("`hessian`")
def hessian(ag):
    return ag.func.hessian(total)(point(ag))


@transforms("`hessian` with `argnums`")
def hessian_of_second(ag):
    return ag.func.hessian(lambda x, y: total(x * y), argnums=1)(point(ag), point(ag))


@transforms("`autograd.functional.jacobian` and `hessian` of several inputs: tuples of tuples")
def functional(ag):
    def f(x, y):
        return (x * x * y).sum()

    x, functional = point(ag), ag.autograd.functional
    return functional.jacobian(f, (x, x)), functional.hessian(f, (x, x))


@transforms("they are detached, unless `create_graph=True`")
def functional_create_graph(ag):
    x, jacobian = leaf(ag), ag.autograd.functional.jacobian
    jacobian(cubes, x, create_graph=True).sum().backward()
    return jacobian(cubes, x).requires_grad, x.grad


@transforms("`autograd.functional.vjp` and `jvp`: the value and the product")
def functional_products(ag):
    v, functional = ag.tensor([1.0, 10.0]), ag.autograd.functional
    return functional.vjp(cubes, point(ag), v), functional.jvp(cubes, point(ag), v)


@transforms("`strict=True`: what does not depend on an input is an error", error="is independent of input 1")
def functional_strict(ag):
    ag.autograd.functional.jacobian(lambda x, y: x * 2.0, (point(ag), point(ag)), strict=True)


@transforms("`functional.hvp(f, x, v)` gives f(x) and the Hessian's product with v")
def hvp(ag):
    return ag.autograd.functional.hvp(total, point(ag), ag.tensor([1.0, 10.0]))


@transforms("`functional.vhp(f, x, v)` gives f(x) and v's with the Hessian")
def vhp(ag):
    return ag.autograd.functional.vhp(total, point(ag), ag.tensor([1.0, 10.0]))


# vmap


@transforms("`vmap` maps over the first axis")
def vmap(ag):
    x = ag.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return ag.func.vmap(total)(x), ag.func.vmap(lambda a, b: (a * b).sum())(x, x)


@transforms("`in_dims` says which axis of which argument, None for none")
def in_dims(ag):
    x = ag.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    return ag.func.vmap(lambda a, b: a * b, in_dims=(1, None))(x, point(ag))


@transforms("`in_dims` may follow the shape of the arguments")
def in_dims_of_trees(ag):
    x = {"a": ag.ones((3, 2)), "b": ag.ones((2, 3))}
    return ag.func.vmap(lambda p: p["a"] + p["b"], in_dims=({"a": 0, "b": 1},))(x)


@transforms("`out_dims` says where the axis goes")
def out_dims(ag):
    return ag.func.vmap(lambda a: a * 2.0, out_dims=1)(ag.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))


@transforms("`chunk_size` bounds the memory of `vmap`, and changes no result")
def vmap_in_chunks(ag):
    return ag.func.vmap(cubes, chunk_size=2)(ag.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))


@transforms("axes of different lengths are refused", error="size")
def vmap_of_different_sizes(ag):
    ag.func.vmap(lambda a, b: a * b)(ag.ones(2), ag.ones(3))


@transforms("keyword arguments are not mapped, but shared")
def vmap_keywords(ag):
    return ag.func.vmap(lambda a, b: a * b)(point(ag), b=ag.tensor([3.0, 4.0]))


@transforms("random numbers under `vmap` are an error", error="called random operation while in randomness error mode")
def vmap_random(ag):
    ag.func.vmap(lambda a: a * ag.rand(2))(ag.ones((3, 2)))


def different_rows(ag, randomness):
    """Count the members of a batch whose numbers differ."""
    masks = ag.func.vmap(lambda a: ag.nn.functional.dropout(a), randomness=randomness)(ag.ones((4, 64)))
    return len({tuple(mask) for mask in masks.tolist()})


@transforms("or the same for all, with `randomness='same'`")
def vmap_same(ag):
    return different_rows(ag, "same")


@transforms("or different for each, with `randomness='different'`")
def vmap_different(ag):
    return different_rows(ag, "different")


@transforms(
    "`vmap` of a function that changes its argument in place",
    ours="the function sees the change, and the caller's array stays as it was",
    torch=[[2.0, 4.0], [2.0, 4.0]],
    here=[[2.0, 4.0], [1.0, 2.0]],
)
def vmap_in_place(ag):
    x = ag.tensor([[1.0, 2.0]])
    y = ag.func.vmap(lambda a: a.add_(a))(x)
    return y[0].tolist(), x[0].tolist()


@transforms("axes count from the end as well")
def negative_dims(ag):
    return ag.func.vmap(lambda a: a * a, in_dims=-1, out_dims=-1)(ag.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))


@transforms("each output may have its own `out_dims`")
def out_dims_of_several(ag):
    x = ag.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    return ag.func.vmap(lambda a: (a * 2.0, a.sum()), out_dims=(1, 0))(x)


@transforms("an output that is the same for all is repeated")
def vmap_of_constant(ag):
    return ag.func.vmap(lambda a: ag.tensor([7.0, 8.0]))(point(ag))


@transforms("a branch on the values of a batch is refused", error="vmap")
def vmap_of_a_branch(ag):
    ag.func.vmap(lambda a: a if a > 1.5 else -a)(point(ag))


@transforms("what is not mapped may be any object")
def vmap_passes_on(ag):
    return ag.func.vmap(lambda x, n: x * n, in_dims=(0, None))(point(ag), 3)


@transforms("per-sample gradients: `vmap(grad(loss))`")
def per_sample_gradients(ag):
    def loss(w, x, y):
        return ((w * x).sum() - y) ** 2.0

    inputs, targets = ag.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), ag.tensor([1.0, 2.0, 5.0])
    return ag.func.vmap(ag.func.grad(loss), in_dims=(None, 0, 0))(point(ag), inputs, targets)


@transforms("`functional_call` runs a module with other parameters")
def functional_call(ag):
    module = ag.nn.Linear(2, 1)
    parameters = {"weight": ag.tensor([[3.0, 4.0]]), "bias": ag.tensor([5.0])}

    def f(p):
        return ag.func.functional_call(module, p, (point(ag),)).sum()

    return f(parameters), ag.func.grad(f)(parameters)


@transforms("`stack_module_state` stacks modules built alike, for `vmap`")
def stack_module_state(ag):
    parameters, buffers = ag.func.stack_module_state([ag.nn.Linear(2, 1) for _ in range(3)])
    return {name: list(p.shape) for name, p in parameters.items()}, buffers, parameters["bias"].is_leaf


# nesting


def compose(ag, names, f=total):
    for name in reversed(names.split()):
        f = getattr(ag.func, name)(f)
    return f(point(ag))


@nesting("a gradient of a gradient")
def grad_of_grad(ag):
    return ag.func.grad(lambda x: ag.func.grad(total)(x).sum())(point(ag))


COMPOSITIONS = (
    "jacfwd grad", "jacrev grad", "jacfwd jacrev", "jacrev jacfwd", "jacfwd jacfwd", "jacrev jacrev", "hessian grad",
    "jacfwd jacfwd grad", "jacrev jacfwd grad",
)  # fmt: skip

for names in COMPOSITIONS:

    @nesting(f"`{'('.join(names.split())}(f{')' * len(names.split())}`")
    def composition(ag, names=names):
        return compose(ag, names)


@nesting("`jvp` of `grad` is a Hessian-vector product")
def jvp_of_grad(ag):
    return ag.func.jvp(ag.func.grad(total), (point(ag),), (ag.tensor([1.0, 10.0]),))


@nesting("`grad` of `jvp`")
def grad_of_jvp(ag):
    v = ag.tensor([1.0, 10.0])
    return ag.func.grad(lambda x: ag.func.jvp(total, (x,), (v,))[1])(point(ag))


@nesting("`vmap` of `jvp` over tangents")
def vmap_of_jvp(ag):
    return ag.func.vmap(lambda v: ag.func.jvp(cubes, (point(ag),), (v,))[1])(ag.eye(2))


@nesting("`vmap` of `vmap`")
def vmap_of_vmap(ag):
    x = ag.tensor([1.0, 2.0, 3.0])
    return ag.func.vmap(lambda a: ag.func.vmap(lambda b: a * b)(x))(x)


@nesting("`grad` of `vmap`")
def grad_of_vmap(ag):
    return ag.func.grad(lambda x: ag.func.vmap(cubes)(x).sum())(point(ag))


@nesting("perturbation confusion: d/dx x · d/dy (x + y)")
def confusion_of_jvp(ag):
    one = ag.tensor(1.0)

    def f(x):
        return x * ag.func.jvp(lambda y: x + y, (one,), (one,))[1]

    return ag.func.jvp(f, (one,), (one,))


@nesting("perturbation confusion: the same with `grad`")
def confusion_of_grad(ag):
    def f(x):
        return x * ag.func.grad(lambda y: x * y)(x)

    return ag.func.grad(f)(ag.tensor(3.0))


@nesting("an inner function may use variables of an outer one under `vmap` and `grad`")
def closures(ag):
    return ag.func.vmap(lambda a: ag.func.grad(lambda x: (a * x * x).sum())(point(ag)))(ag.tensor([1.0, 2.0, 3.0]))


@nesting("`.backward()` goes through a transform")
def backward_through_a_transform(ag):
    x = leaf(ag)
    ag.func.grad(total)(x).sum().backward()
    return x.grad


@nesting("and through `vmap` and `jvp`")
def backward_through_vmap_and_jvp(ag):
    x = leaf(ag)
    (ag.func.vmap(cubes)(x) + ag.func.jvp(cubes, (x,), (ag.ones(2),))[1]).sum().backward()
    return x.grad


@nesting(
    "`.backward()` inside a transform",
    ours="it goes through what the function has recorded itself",
    torch=Fails(RuntimeError, "backward() called inside a functorch transform"),
    here=[2.0, 2.0],
)
def backward_inside_a_transform(ag):
    def f(x):
        w = ag.ones(2, requires_grad=True)
        (w * 2.0).sum().backward()
        return (x * w.grad).sum()

    return ag.func.grad(f)(point(ag))


@nesting("a transform inside `no_grad` still differentiates")
def transform_under_no_grad(ag):
    with ag.no_grad():
        g = ag.func.grad(total)(leaf(ag))
    return g, g.requires_grad


@nesting("`no_grad` inside a transform cuts")
def no_grad_under_a_transform(ag):
    def f(x):
        with ag.no_grad():
            shift = x * x
        return (x * shift).sum()

    return ag.func.grad(f)(point(ag))
