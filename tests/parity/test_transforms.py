"""Programs with `torch.func`, run on PyTorch and on autodiff_api: histories, modes, changes in place, modules."""

import pytest

pytestmark = [  # PyTorch's own, of itself
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
]


def points(torch):
    return torch.tensor([0.5, 1.25, -0.75]), torch.tensor([2.0, 3.0, 4.0], requires_grad=True)


def cubes(w):
    return lambda x: (w * x**3).sum()


def transformed(torch, w, x):
    """Yield the result of each transformation of a function that closes over `w`."""
    func, f = torch.func, cubes(w)
    many = torch.stack([x, x * 2])
    yield func.grad(f)(x)
    yield func.grad_and_value(f)(x)[1]
    yield func.hessian(f)(x)
    yield func.jacfwd(lambda a: w * a**3)(x)
    yield func.jacrev(lambda a: w * a**3)(x)
    yield func.jvp(f, (x,), (x * 2,))[0]
    yield func.jvp(f, (x,), (x * 2,))[1]
    yield func.vjp(lambda a: w * a**3, x)[0]
    yield func.vjp(lambda a: w * a**3, x)[1](x)[0]
    yield func.vmap(f)(many)
    yield func.vmap(func.grad(f))(many)
    yield func.grad(lambda a: func.jvp(f, (a,), (x,))[1])(x)
    yield func.jvp(func.grad(f), (x,), (x,))[1]
    yield func.grad(lambda a: (f(a), w * a), has_aux=True)(x)[1]


def test_closures_over_what_requires_grad(torch, log):
    x, w = points(torch)
    for i in range(14):
        w.grad = None
        result = list(transformed(torch, w, x))[i]
        result.sum().backward()
        log(result, w.grad)


def test_arguments_that_require_grad(torch, log):
    x, w = points(torch)
    for i in range(13):
        v = x.clone().requires_grad_()
        result = list(transformed(torch, w.detach(), v))[i]
        result.sum().backward()
        log(result, v.grad)


def test_under_no_grad(torch, log):
    x, w = points(torch)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            for result in transformed(torch, w, x):
                log(result.requires_grad, result)


def test_no_grad_inside(torch, log):
    x, _ = points(torch)

    def f(a):
        with torch.no_grad():
            scale = a**2
        return (a * scale).sum()

    func = torch.func
    log(func.grad(f)(x), func.jacfwd(f)(x), func.hessian(f)(x), func.jvp(f, (x,), (x,)))
    log(func.grad(lambda a: func.jvp(f, (a,), (x,))[1])(x))


def test_detach_inside(torch, log):
    x, _ = points(torch)
    func = torch.func
    f = lambda a: (a * a.detach() ** 2).sum()  # noqa: E731
    log(func.grad(f)(x), func.jacfwd(f)(x), func.hessian(f)(x), func.jvp(f, (x,), (x,)))
    log(func.grad(lambda a: func.grad(lambda b: (b**2 * a.detach()).sum())(a).sum())(x))
    log(func.vmap(func.grad(f))(torch.stack([x, x])))


def test_changes_in_place_inside(torch, log):
    x, _ = points(torch)
    func = torch.func

    def f(a):
        y = a * 1
        y[0] = a[1] * 5
        view = y[1:]
        view *= 2
        y += a
        return (y**2).sum()

    log(func.grad(f)(x), func.hessian(f)(x), func.jacfwd(f)(x), func.jvp(f, (x,), (x,)))
    log(func.vmap(f)(torch.stack([x, x * 2])), func.vmap(func.grad(f))(torch.stack([x, x * 2])), x)


def test_hooks_inside(torch, log):
    x, _ = points(torch)

    def f(a):
        y = a * 3
        y.register_hook(lambda g: g * 2)
        return (y * y).sum()

    log(torch.func.grad(f)(x), torch.func.jacrev(f)(x))


def test_autograd_grad_inside(torch, log):
    x, _ = points(torch)

    def f(a):
        (slope,) = torch.autograd.grad((a**3).sum(), a, create_graph=True)
        return (slope**2).sum()

    log(torch.func.grad(f)(x), torch.func.vjp(f, x)[0])


def test_functions_of_a_vjp(torch, log):
    x, _ = points(torch)
    func = torch.func
    y, pull = func.vjp(lambda a: a**3 * a[0], x)
    log(y, pull(x), pull(x * 2))
    log(func.vmap(pull)(torch.stack([x, x * 2])))
    log(func.jacrev(lambda t: pull(t)[0])(x))
    log(func.jvp(lambda t: pull(t)[0], (x,), (x,)))
    _, push = func.linearize(lambda a: a**3 * a[0], x)
    log(push(x), func.vmap(push)(torch.stack([x, x * 2])))


def test_trees_and_argnums(torch, log):
    x, w = points(torch)
    w = w.detach()
    func = torch.func
    f = lambda p, a, b=None: (p["w"] * a).sum() + p["s"][0] ** 2  # noqa: E731
    params = {"w": w, "s": [x[0], x[1]]}
    log(func.grad(f)(params, x), func.grad(f, argnums=1)(params, x), func.grad(f, argnums=(1, 0))(params, x))
    log(func.grad(f, argnums=-1)(params, x), func.hessian(lambda p: f(p, x) ** 2)(params))
    log(func.jacrev(lambda p: {"y": p["w"] * x, "z": p["s"][1] ** 2})(params))
    for argnums in ((0, 0), (0, -2), 5, "x"):
        log.error(lambda n=argnums: func.grad(f, argnums=n)(params, x))


def test_what_is_refused(torch, log):
    x, _ = points(torch)
    func = torch.func
    log.error(lambda: func.grad(lambda a: a)(x), "to return a scalar")
    log.error(lambda: func.grad(lambda a: (a.sum(), a))(x))
    log.error(lambda: func.grad(lambda a: None)(x))
    log.error(lambda: func.jvp(lambda a: a, (x,), (x[:2],)))
    log.error(lambda: func.jvp(lambda a: a, x, x))
    log.error(lambda: func.vjp(lambda a: (a, a), x)[1](x))
    log.error(lambda: func.jacrev(lambda a: a, chunk_size=0)(x))
    log.error(lambda: func.grad(lambda a: a.sum())(torch.arange(3)))


def linear(torch, weight, bias):
    """Return a layer with given weights: the libraries draw others."""
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def test_gradients_of_each_sample_through_a_module(torch, log):
    model = linear(torch, [[0.1, 0.2, 0.3], [-0.5, 0.4, 0.0]], [0.1, -0.1])
    params = {name: p.detach() for name, p in model.named_parameters()}
    x = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]])

    def loss(params, sample):
        return (torch.tanh(torch.func.functional_call(model, params, (sample,))) ** 2).sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(params, x)
    log(each["weight"], each["bias"], [p.grad for p in model.parameters()])
    total = loss(dict(model.named_parameters()), x)
    total.backward()
    log(each["weight"].sum(0), model.weight.grad)


def test_an_ensemble(torch, log):
    models = [linear(torch, [[0.1 * i, 0.2, 0.3], [-0.5, 0.4 * i, 0.0]], [0.1, -0.1 * i]) for i in range(3)]
    params, buffers = torch.func.stack_module_state(models)
    x = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]])

    def run(params, buffers, x):
        return torch.func.functional_call(models[0], (params, buffers), (x,))

    out = torch.func.vmap(run, in_dims=(0, 0, None))(params, buffers, x)
    out.sum().backward()
    log(out, params["weight"].grad, params["bias"].grad)


def test_learning_inside_what_learns(torch, log):
    x, w = points(torch)

    def inner(w, x):
        return ((w * x).sum() - 1) ** 2

    def outer(w):
        for _ in range(3):
            w = w - 0.05 * torch.func.grad(inner)(w, x)
        return inner(w, x * 2)

    log(torch.func.grad(outer)(w.detach()))
    outer(w).backward()
    log(w.grad)


def test_a_penalty_on_the_gradient(torch, log):
    x, w = points(torch)
    many = torch.stack([x, x * 2])
    slopes = torch.func.vmap(torch.func.grad(lambda a: (w * a**2).sum()))(many)
    ((slopes - 1) ** 2).sum().backward()
    log(w.grad)
