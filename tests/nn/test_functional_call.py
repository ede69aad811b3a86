"""Modules as functions of their parameters, as `torch.func` has them."""

import pytest

import autodiff_api as ad


@pytest.fixture(params=["torch", "numpy", "jax"])
def lib(request):
    """PyTorch, or autodiff_api on a backend: what holds for one holds for the other."""
    if request.param == "torch":
        yield pytest.importorskip("torch")
        return
    if request.param == "jax":
        pytest.importorskip("jax")
    with ad.use_backend(request.param):
        yield ad


def new(lib, name, *args):
    """Make a module of one of the classes below."""
    return CLASSES[name](lib)(*args)


def tied(lib):
    class Tied(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = lib.nn.Parameter(lib.tensor(2.0))
            self.b = self.a

        def forward(self, x):
            return self.a * x + self.b

    return Tied


def counting(lib, in_place=True):
    class Counting(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("n", lib.tensor(0.0))

        def forward(self, x):
            if in_place:
                self.n += 1.0
            else:
                self.n = self.n + 1.0
            return x + self.n

    return Counting


def failing(lib):
    class Failing(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = lib.nn.Parameter(lib.tensor(1.0))

        def forward(self, x):
            raise KeyError(float(self.w.detach()))

    return Failing


CLASSES = {
    "counting": counting,
    "counting anew": lambda lib: counting(lib, in_place=False),
    "failing": failing,
    "tied": tied,
}


def line(lib):
    """A linear layer, tensors for it, and an input."""
    values = {"weight": lib.tensor([[3.0, 4.0]]), "bias": lib.tensor([5.0])}
    return lib.nn.Linear(2, 1), values, lib.tensor([1.0, 2.0])


@pytest.mark.parametrize("how", ["tuple", "bare", "keyword", "two dicts"])
def test_the_given_tensors_are_used(lib, how):
    model, values, x = line(lib)
    call = lib.func.functional_call
    before = dict(model.named_parameters())
    match how:
        case "tuple":
            got = call(model, values, (x,))
        case "bare":
            got = call(model, values, x)
        case "keyword":
            got = call(model, values, None, {"input": x})
        case "two dicts":
            got = call(model, [{"weight": values["weight"]}, {"bias": values["bias"]}], x)
    assert got.tolist() == [16.0]
    assert all(parameter is before[name] for name, parameter in model.named_parameters())


def test_what_is_not_given_stays(lib):
    model, values, x = line(lib)
    got = lib.func.functional_call(model, {"bias": values["bias"]}, x)
    assert got.tolist() == pytest.approx((model(x) - model.bias + 5.0).tolist(), rel=1e-6)


def test_names_have_dots(lib):
    model = lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.Linear(2, 1))
    values = {"0.weight": lib.eye(2), "0.bias": lib.zeros(2), "1.weight": lib.ones((1, 2)), "1.bias": lib.ones(1)}
    assert lib.func.functional_call(model, values, lib.tensor([1.0, 2.0])).tolist() == [4.0]


def test_gradients_by_given_tensors(lib):
    model, values, x = line(lib)
    got = lib.func.grad(lambda p: lib.func.functional_call(model, p, x).sum())(values)
    assert {name: g.tolist() for name, g in got.items()} == {"weight": [[1.0, 2.0]], "bias": [1.0]}
    assert all(p.grad is None for p in model.parameters())


def test_gradients_by_backward(lib):
    model, values, x = line(lib)
    values = {name: value.requires_grad_() for name, value in values.items()}
    lib.func.functional_call(model, values, x).sum().backward()
    assert values["weight"].grad.tolist() == [[1.0, 2.0]]


def test_tied_weights(lib):
    model, one = new(lib, "tied"), lib.tensor(1.0)
    call = lib.func.functional_call
    assert call(model, {"a": lib.tensor(10.0)}, one).item() == 20.0
    assert call(model, {"b": lib.tensor(10.0)}, one).item() == 20.0
    assert call(model, {"a": lib.tensor(10.0)}, one, tie_weights=False).item() == 12.0
    assert call(model, {"a": lib.tensor(10.0), "b": lib.tensor(3.0)}, one, tie_weights=False).item() == 13.0
    with pytest.raises(ValueError, match="tie"):
        call(model, {"a": lib.tensor(10.0), "b": lib.tensor(3.0)}, one)


@pytest.mark.parametrize("name", ["counting", "counting anew"])
def test_buffers_are_changed_in_the_dict(lib, name):
    model, buffers = new(lib, name), {"n": lib.tensor(5.0)}
    assert lib.func.functional_call(model, buffers, lib.tensor(1.0)).item() == 7.0
    assert (buffers["n"].item(), model.n.item()) == (6.0, 0.0)


def test_an_exception_restores_the_module(lib):
    model = new(lib, "failing")
    before = model.w
    with pytest.raises(KeyError, match="7"):
        lib.func.functional_call(model, {"w": lib.tensor(7.0)}, lib.tensor(1.0))
    assert model.w is before


def test_names(lib):
    model, values, x = line(lib)
    call = lib.func.functional_call
    assert call(model, {**values, "other": x}, x).tolist() == [16.0]
    with pytest.raises(RuntimeError, match=r"Error\(s\) in reparametrizing for Linear:\s+Missing key\(s\): 'bias'"):
        call(model, {"weight": values["weight"]}, x, strict=True)
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\): 'other'"):
        call(model, {**values, "other": x}, x, strict=True)
    assert call(new(lib, "tied"), {"a": x}, x, strict=True).tolist() == [2.0, 6.0]


def test_what_is_refused(lib):
    model, values, x = line(lib)
    call = lib.func.functional_call
    with pytest.raises(ValueError, match="dictionaries"):
        call(model, [values["weight"]], x)
    with pytest.raises(ValueError, match="multiple dictionaries"):
        call(model, [values, values], x)
    with pytest.raises(TypeError, match="is not an instance of"):
        call(model, {"weight": 3.0}, x)


def test_an_ensemble(lib):
    models = [lib.nn.Linear(2, 1) for _ in range(3)]
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0]])
    parameters, buffers = lib.func.stack_module_state(models)
    assert buffers == {} and tuple(parameters["weight"].shape) == (3, 1, 2)
    assert all(p.requires_grad and p.is_leaf for p in parameters.values())

    def run(parameters, buffers, x):
        return lib.func.functional_call(models[0], (parameters, buffers), (x,))

    got = lib.func.vmap(run, in_dims=(0, 0, None))(parameters, buffers, x)
    for k, model in enumerate(models):
        assert got[k].flatten().tolist() == pytest.approx(model(x).flatten().tolist(), rel=1e-5)
    got.sum().backward()
    assert tuple(parameters["weight"].grad.shape) == (3, 1, 2)
    assert all(p.grad is None for model in models for p in model.parameters())


def test_per_sample_gradients_of_a_module(lib):
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.Tanh(), lib.nn.Linear(3, 1))
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    inputs, targets = lib.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]]), lib.tensor([[1.0], [0.0], [2.0]])

    def loss(parameters, x, y):
        return ((lib.func.functional_call(model, parameters, (x,)) - y) ** 2.0).sum()

    got = lib.func.vmap(lib.func.grad(loss), in_dims=(None, 0, 0))(parameters, inputs, targets)
    for k in range(3):
        model.zero_grad()
        ((model(inputs[k]) - targets[k]) ** 2.0).sum().backward()
        for name, p in model.named_parameters():
            assert got[name][k].flatten().tolist() == pytest.approx(p.grad.flatten().tolist(), rel=1e-4, abs=1e-5)


def test_what_does_not_stack(lib):
    stack, linear = lib.func.stack_module_state, lib.nn.Linear
    frozen = linear(2, 1)
    frozen.weight.requires_grad_(False)
    for models, words in (
        ([], "at least one model"),
        ([linear(2, 1), lib.nn.ReLU()], "the same class"),
        ([linear(2, 1), linear(2, 1).eval()], "mode"),
        ([linear(2, 1), linear(3, 1)], "equal size"),
        ([linear(2, 1), frozen], "requires_grad"),
    ):
        with pytest.raises(RuntimeError, match=words):
            stack(models)
