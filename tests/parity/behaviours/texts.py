"""The texts that people search for: the same words, and the same class to catch."""

from behaviours.table import Fails, Table, leaf

texts = Table("Texts")


@texts("several elements and no `gradient`", error="grad can be implicitly created only for scalar outputs")
def implicit_gradient_of_many(ag):
    (leaf(ag) * 2.0).backward()


@texts(
    "a complex output and no `gradient`", error="grad can be implicitly created only for real scalar outputs but got"
)
def implicit_gradient_of_complex(ag):
    ag.tensor(1.0 + 2.0j, requires_grad=True).backward()


@texts("nothing requires grad", error="element 0 of tensors does not require grad and does not have a grad_fn")
def nothing_requires_grad(ag):
    ag.ones(2).sum().backward()


@texts("a `gradient` of another shape", error="Mismatch in shape: grad_output[0] has a shape of ")
def gradient_of_another_shape(ag):
    leaf(ag).backward(ag.ones(3))


@texts("and what the output is", error="and output[0] has a shape of ")
def gradient_of_another_shape_than_the_output(ag):
    leaf(ag).backward(ag.ones(3))


USED = "appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior."


@texts("an input that was not used", error=USED)
def unused(ag):
    ag.autograd.grad(leaf(ag).sum(), leaf(ag))


@texts(
    "and how its text begins",
    ours="the words of the years before, which are those that a search finds",
    torch=Fails(RuntimeError, f"The differentiated Tensor at index 0 {USED}"),
    here=Fails(RuntimeError, f"One of the differentiated Tensors {USED}"),
)
def unused_of_old(ag):
    ag.autograd.grad(leaf(ag).sum(), leaf(ag))


@texts("an input that doesn't require grad", error="One of the differentiated Tensors does not require grad")
def input_does_not_require_grad(ag):
    ag.autograd.grad(leaf(ag).sum(), ag.ones(2))


@texts("no inputs at all", error="cannot be empty")
def empty_inputs(ag):
    leaf(ag).sum().backward(inputs=[])


@texts("a leaf changed in place", error="a leaf Variable that requires grad is being used in an in-place operation.")
def leaf_in_place(ag):
    leaf(ag).mul_(2.0)


@texts(
    "a view of a leaf changed in place",
    error="a view of a leaf Variable that requires grad is being used in an in-place operation.",
)
def view_of_leaf_in_place(ag):
    leaf(ag)[:1].zero_()


@texts("integers", error="Only Tensors of floating point and complex dtype can require gradients")
def integers(ag):
    ag.tensor([1], requires_grad=True)


@texts("a result told not to require grad", error="you can only change requires_grad flags of leaf variables.")
def flag_of_a_result(ag):
    (leaf(ag) * 2.0).requires_grad_(False)


@texts("`numpy()`", error="Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
def numpy(ag):
    leaf(ag).numpy()


@texts("a graph that can't be walked again", error="Trying to backward through the graph a second time")
def second_time(ag):
    x = leaf(ag)
    y = x.exp().sum()
    y.backward()
    with ag.no_grad():
        x.zero_()
    y.backward()
