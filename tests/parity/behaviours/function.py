"""What PyTorch's users rely on about `torch.autograd.Function`."""

from behaviours.table import Fails, Table, leaf

function = Table("Function")


def cube(ag):
    """Give x³ as a Function whose backward is differentiable."""

    class Cube(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3.0 * x * x

    return Cube


def modern_cube(ag):
    """Give x³ with a forward that knows no ctx."""

    class Cube(ag.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3.0 * x * x

        @staticmethod
        def jvp(ctx, t):
            (x,) = ctx.saved_tensors
            return t * 3.0 * x * x

        @staticmethod
        def vmap(info, in_dims, x):
            return Cube.apply(x), in_dims[0]

    return Cube


def once(ag, backward=None):
    """Give 3x² by a backward that may be differentiated only once."""

    class Square(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @ag.autograd.function.once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2.0 * x

    return Square


@function("`forward(ctx, ...)` and `backward(ctx, g)` make an operation")
def with_ctx(ag):
    x = leaf(ag)
    y = cube(ag).apply(x)
    y.sum().backward()
    return y.detach(), y.requires_grad, x.grad


@function("so do a `forward` without ctx and `setup_context`")
def with_setup_context(ag):
    x = leaf(ag)
    y = modern_cube(ag).apply(x)
    y.sum().backward()
    return y.detach(), x.grad


@function("`grad_fn` has the class's name")
def name_of_node(ag):
    return cube(ag).apply(leaf(ag)).grad_fn.name()


@function("a `backward` made of differentiable operations can be differentiated")
def double_backward(ag):
    x = leaf(ag)
    (g,) = ag.autograd.grad(cube(ag).apply(x).sum(), x, create_graph=True)
    return ag.autograd.grad(g.sum(), x)


@function("`forward` runs without recording, `backward` records only with `create_graph`")
def modes_inside(ag):
    seen = []

    class Twice(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append(ag.is_grad_enabled())
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            seen.append(ag.is_grad_enabled())
            return g * 2.0

    x = leaf(ag)
    y = Twice.apply(x).sum()
    ag.autograd.grad(y, x, create_graph=True)
    ag.autograd.grad(y, x)
    return seen


@function("without an input that requires grad, nothing is recorded")
def plain_inputs(ag):
    y = cube(ag).apply(ag.ones(2))
    return y.requires_grad, y.grad_fn


@function("`save_for_backward` takes None")
def saved_none(ag):
    seen = []

    class Twice(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(None, x)
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            none, x = ctx.saved_tensors
            seen.append(none)
            return g * x

    x = leaf(ag)
    Twice.apply(x).sum().backward()
    return seen, x.grad


@function("its saved tensors are gone with the graph", error="Trying to backward through the graph a second time")
def saved_tensors_are_freed(ag):
    y = cube(ag).apply(leaf(ag)).sum()
    y.backward()
    y.backward()


@function("`ctx` keeps any attribute")
def attributes(ag):
    class Power(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x, n):
            ctx.n = n
            ctx.save_for_backward(x)
            return x**n

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * ctx.n * x ** (ctx.n - 1), None

    x = leaf(ag)
    Power.apply(x, 3).sum().backward()
    return x.grad


@function("`needs_input_grad` says which gradients are wanted")
def needs_input_grad(ag):
    seen = []

    class Product(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, n):
            return x * y * n

        @staticmethod
        def backward(ctx, g):
            seen.append(list(ctx.needs_input_grad))
            return g, None, None

    Product.apply(leaf(ag), ag.ones(2), 3).sum().backward()
    return seen


@function("outputs that are no tensors pass through")
def other_outputs(ag):
    class Both(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0, "text", None

        @staticmethod
        def backward(ctx, g, *others):
            return g * 2.0

    x = leaf(ag)
    y, text, none = Both.apply(x)
    y.sum().backward()
    return text, none, x.grad


def two_outputs(ag, seen, materialize=True):
    class Pair(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 2.0, x * 3.0

        @staticmethod
        def backward(ctx, g1, g2):
            seen.extend([g1, g2])
            return g1 * 2.0

    return Pair


@function("the gradient of an output that was not used is zeros")
def materialized(ag):
    seen = []
    two_outputs(ag, seen).apply(leaf(ag))[0].sum().backward()
    return seen


@function("or None, after `set_materialize_grads(False)`")
def not_materialized(ag):
    seen = []
    two_outputs(ag, seen, materialize=False).apply(leaf(ag))[0].sum().backward()
    return seen


@function("`mark_non_differentiable` outputs require no grad")
def non_differentiable(ag):
    class Sorted(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            mask = x > 1.0
            count = x * 0.0 + 1.0
            ctx.mark_non_differentiable(mask, count)
            return x * 2.0, mask, count

        @staticmethod
        def backward(ctx, g, *others):
            return g * 2.0

    x = leaf(ag)
    y, mask, count = Sorted.apply(x)
    y.sum().backward()
    return y.requires_grad, mask.requires_grad, count.requires_grad, x.grad


@function("`mark_dirty`: an input changed in place is the output")
def dirty(ag):
    class Double(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2.0)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2.0

    x = leaf(ag)
    y = x * 1.0
    z = Double.apply(y)
    (z * z).sum().backward()
    return z is y, y.detach(), x.grad


@function("`once_differentiable`: a first derivative")
def once_differentiable(ag):
    x = leaf(ag)
    once(ag).apply(x).sum().backward()
    return x.grad


@function("and an error at the second", error="once_differentiable")
def once_differentiable_twice(ag):
    x = leaf(ag)
    (g,) = ag.autograd.grad((once(ag).apply(x) ** 2).sum(), x, create_graph=True)
    g.sum().backward()


@function(
    "also where the cotangent is a constant",
    ours="a second derivative that is missing is always an error; PyTorch leaves it out without a word",
    torch=[1.0, 1.0],
    here=Fails(RuntimeError, "once_differentiable"),
)
def once_differentiable_missed(ag):
    x = leaf(ag)
    (g,) = ag.autograd.grad(once(ag).apply(x).sum(), x, create_graph=True)
    (g.sum() + x.sum()).backward()
    return x.grad


def wrong(ag, answer):
    class Wrong(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            return answer(g)

    return Wrong.apply(leaf(ag)).sum()


@function("too many gradients are an error", error="returned an incorrect number of gradients (expected 1, got 2)")
def too_many_gradients(ag):
    wrong(ag, lambda g: (g, g)).backward()


@function("so is one of a wrong shape", error="returned an invalid gradient at index 0")
def gradient_of_wrong_shape(ag):
    wrong(ag, lambda g: ag.ones(3)).backward()


@function("a gradient of None counts as zeros")
def gradient_of_none(ag):
    x = leaf(ag)

    class Cut(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            return None

    (Cut.apply(x) + x).sum().backward()
    return x.grad


@function("what `backward` raises comes out as it is", error="my own words")
def exception_of_backward(ag):
    def fail(g):
        raise KeyError("my own words")

    wrong(ag, fail).backward()


@function("and its traceback shows the user's function")
def traceback_of_backward(ag):
    def fail(g):
        raise KeyError

    y = wrong(ag, fail)
    try:
        y.backward()
    except KeyError as error:
        trace, names = error.__traceback__, []
        while trace:
            names.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        return names[-1]


@function("without a `backward`, going backward is an error", error="backward")
def no_backward(ag):
    class Half(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 0.5

    Half.apply(leaf(ag)).sum().backward()


@function("it is applied, not called", error="static forward method")
def called(ag):
    cube(ag)()(leaf(ag))


@function("`jvp` is its rule in forward mode")
def forward_mode(ag):
    return ag.func.jvp(modern_cube(ag).apply, (ag.tensor([1.0, 2.0]),), (ag.tensor([1.0, 10.0]),))


@function("`vmap` is its rule for batches")
def batches(ag):
    return ag.func.vmap(modern_cube(ag).apply)(ag.tensor([[1.0, 2.0], [3.0, 4.0]]))


@function("with `generate_vmap_rule` it needs none")
def generated_vmap(ag):
    class Twice(ag.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x * 2.0

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g * 2.0

    x = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    return ag.func.vmap(Twice.apply)(x), ag.func.vmap(ag.func.grad(lambda x: Twice.apply(x).sum()))(x)


@function("it works under `func.grad`")
def under_grad(ag):
    return ag.func.grad(lambda x: modern_cube(ag).apply(x).sum())(ag.tensor([1.0, 2.0]))


@function(
    "and without `setup_context`",
    ours="it works where it can",
    torch=Fails(RuntimeError, "setup_context"),
    here=[3.0, 12.0],
)
def under_grad_with_ctx(ag):
    return ag.func.grad(lambda x: cube(ag).apply(x).sum())(ag.tensor([1.0, 2.0]))


@function(
    "under `func.vmap`, without `setup_context` or a rule",
    ours="it works where it can",
    torch=Fails(RuntimeError, "setup_context"),
    here=[[1.0, 8.0], [27.0, 64.0]],
)
def under_vmap_with_ctx(ag):
    return ag.func.vmap(cube(ag).apply)(ag.tensor([[1.0, 2.0], [3.0, 4.0]]))
