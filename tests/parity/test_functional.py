"""`torch.autograd.functional`, line by line as PyTorch."""

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # PyTorch's own, of itself


def point(torch):
    return torch.tensor([1.0, 2.0])


def other(torch):
    return torch.tensor([3.0, -4.0])


def cube(x):
    return x**3


def total(x):
    return x.sum() * (x * x).sum()


def both(x, y):
    return x * y, y.sum()


def mixed(x, y):
    return (x * y * x).sum()


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian(torch, log, strategy):
    x, y, jacobian = point(torch), other(torch), torch.autograd.functional.jacobian
    how = {"strategy": strategy, "vectorize": True}
    log(jacobian(cube, x, **how), jacobian(cube, (x,), **how), jacobian(both, (x, y), **how))
    log(jacobian(lambda x, y: x * 2.0, (x, y), **how), jacobian(lambda x: torch.ones(2), x, **how))
    log(jacobian(lambda x: (x.sum(),), x, **how))
    log(jacobian(lambda x: x.reshape((2, 1)) * x, x.reshape((1, 2)), **how))


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_hessian(torch, log, strategy):
    x, y, hessian = point(torch), other(torch), torch.autograd.functional.hessian
    how = {"outer_jacobian_strategy": strategy, "vectorize": True}
    log(hessian(total, x, **how), hessian(total, (x,), **how), hessian(mixed, (x, y), **how))
    log(hessian(lambda x: total(x).reshape((1,)), x, **how), hessian(lambda x: x.sum(), x, **how))


def test_products(torch, log):
    x, y, functional = point(torch), other(torch), torch.autograd.functional
    log(functional.vjp(cube, x, y), functional.vjp(total, x), functional.vjp(both, (x, y), (x, x[0])))
    log(functional.jvp(cube, x, y), functional.jvp(both, (x, y), (y, x)))
    log(functional.jvp(lambda s: s * x, torch.tensor(2.0)), functional.jvp(cube, (x,), (y,)))
    for second in (functional.hvp, functional.vhp):
        log(second(total, x, y), second(total, (x,), (y,)), second(mixed, (x, y), (y, x)))
        log(second(lambda x: x.sum(), x, y), second(lambda x: total(x).reshape((1,)), x, y))


FUNCTIONS = {
    "jacobian": lambda f, x, v, **how: f.jacobian(total, x, **how),
    "hessian": lambda f, x, v, **how: f.hessian(total, x, **how),
    "vjp": lambda f, x, v, **how: f.vjp(cube, x, v, **how)[1],
    "jvp": lambda f, x, v, **how: f.jvp(cube, x, v, **how)[1],
    "vhp": lambda f, x, v, **how: f.vhp(total, x, v, **how)[1],
    "hvp": lambda f, x, v, **how: f.hvp(total, x, v, **how)[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_create_graph(torch, log, name):
    x, functional = point(torch).requires_grad_(), torch.autograd.functional
    plain = FUNCTIONS[name](functional, x, other(torch))
    log(plain.requires_grad, plain.is_leaf, x.grad)
    y = FUNCTIONS[name](functional, x, other(torch), create_graph=True)
    log(y.requires_grad)
    (y * y).sum().backward()
    log(x.grad)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_variables_from_outside(torch, log, name):
    """They are constants, and have no gradient but with `create_graph`."""
    x, w = point(torch), torch.tensor(3.0, requires_grad=True)
    functional = torch.autograd.functional

    def f(x):
        return (x * x * x * w).sum()

    found = {
        "jacobian": lambda **how: functional.jacobian(f, x, **how),
        "hessian": lambda **how: functional.hessian(f, x, **how),
        "vjp": lambda **how: functional.vjp(f, x, **how)[1],
        "jvp": lambda **how: functional.jvp(f, x, x, **how)[1],
        "vhp": lambda **how: functional.vhp(f, x, x, **how)[1],
        "hvp": lambda **how: functional.hvp(f, x, x, **how)[1],
    }[name]
    log(found().requires_grad)
    found(create_graph=True).sum().backward()
    log(w.grad)


def test_strict(torch, log):
    x, y, functional = point(torch), other(torch), torch.autograd.functional
    log(functional.jacobian(both, (x, x), strict=False), functional.hessian(total, x, strict=True))
    log(functional.hvp(total, x, y, strict=True), functional.jvp(cube, x, y, strict=True))
    independent = "Output 0 of the user-provided function is independent of input 1."
    log.error(lambda: functional.jacobian(lambda x, y: x * 2.0, (x, y), strict=True), independent, "strict mode")
    log.error(lambda: functional.vjp(lambda x, y: x * 2.0, (x, y), y, strict=True), "is independent of input 1.")
    constant = "Output 0 of the user-provided function does not require gradients."
    log.error(lambda: functional.jacobian(lambda x: torch.ones(2), x, strict=True), constant)
    linear = "the jacobian of the user-provided function with respect to input 0 is independent of the input."
    log.error(lambda: functional.hessian(lambda x: x.sum(), x, strict=True), linear)
    log.error(lambda: functional.vhp(lambda x: x.sum(), x, y, strict=True), linear)


def test_what_is_refused(torch, log):
    x, y, functional = point(torch), other(torch), torch.autograd.functional
    inputs = "The inputs given to jacobian must be either a Tensor or a tuple of Tensors but the "
    log.error(lambda: functional.jacobian(cube, 1.0), inputs + "given inputs has type <class 'float'>.")
    log.error(lambda: functional.jacobian(cube, [x]), inputs + "given inputs has type <class 'list'>.")
    log.error(lambda: functional.jacobian(cube, (x, 1.0)), inputs + "value at index 1 has type <class 'float'>.")
    outputs = "The outputs of the user-provided function given to vjp must be either a Tensor or a tuple of Tensors but"
    log.error(lambda: functional.vjp(lambda x: 1.0, x), outputs, "has type <class 'float'>.")
    log.error(lambda: functional.vjp(lambda x: [x], x), outputs, "has type <class 'list'>.")
    for name in ("hessian", "hvp", "vhp"):
        f = getattr(functional, name)
        arguments = (x, y)[: 1 if name == "hessian" else 2]
        text = f"The Tensor returned by the function given to {name} should contain a single element"
        log.error(lambda f=f, a=arguments: f(cube, *a), text)
        text = f"The function given to {name} should return a single Tensor"
        log.error(lambda f=f, a=arguments: f(lambda x: (x.sum(),), *a), text)
    none = "The vector v can only be None if the"
    log.error(lambda: functional.vjp(cube, x), none, "user-provided function returns a single Tensor with a single el")
    for name in ("jvp", "hvp", "vhp"):
        text = "input to the user-provided function is a single Tensor with a single element."
        log.error(lambda name=name: getattr(functional, name)(total, x), none, text)
    log.error(lambda: functional.vjp(cube, x, torch.ones(3)), "v has invalid size: should be")
    log.error(lambda: functional.hvp(total, x, torch.ones(3)), "v has invalid size: should be")
    log.error(lambda: functional.jvp(both, (x, y), (x, torch.ones(3))), "Entry 1 in", "has invalid size")
    log.error(lambda: functional.jvp(both, (x, y), x), "v is a tuple of invalid length: should be 2 but got 1.")
