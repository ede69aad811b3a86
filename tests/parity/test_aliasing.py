"""In place and aliasing, line by line as PyTorch: views, writes, the gradients that follow them.

autodiff_api never writes into memory: it rebinds. So each scenario must hold on NumPy and on JAX alike. Where
PyTorch gives up ("modified by an inplace operation") autodiff_api gives the gradient of the value that was
recorded; those lines are declared differences.
"""

import pytest

SAVED = "a saved value is a value: later mutation cannot reach it"
CLOBBERED = (RuntimeError, "modified by an inplace operation")


def base(torch, requires_grad=False):
    """Give [[0, 1, 2], [3, 4, 5]] as a tensor that is not a leaf where it requires grad."""
    x = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], requires_grad=requires_grad)
    return x, (x * 1.0 if requires_grad else x)


VIEWS = {
    "row": lambda x: x[1],
    "negative row": lambda x: x[-2],
    "rows": lambda x: x[1:],
    "every other row": lambda x: x[::2],
    "column": lambda x: x[:, 1],
    "negative column": lambda x: x[:, -1],
    "columns": lambda x: x[:, 1:],
    "every other column": lambda x: x[:, ::2],
    "negative bounds": lambda x: x[:, -2:-1],
    "empty slice": lambda x: x[:, 3:],
    "element": lambda x: x[1, 2],
    "ellipsis": lambda x: x[...],
    "ellipsis column": lambda x: x[..., 2],
    "row ellipsis": lambda x: x[0, ...],
    "new first axis": lambda x: x[None],
    "new axis between": lambda x: x[:, None, 1:],
    "new last axis": lambda x: x[..., None],
    "reshape": lambda x: x.reshape((3, 2)),
    "reshape by numbers": lambda x: x.reshape(6),
    "reshape with -1": lambda x: x.reshape((-1, 1, 2)),
    "view": lambda x: x.view(-1),
    "flatten": lambda x: x.flatten(),
    "permute": lambda x: x.permute(1, 0),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "t": lambda x: x.t(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0),
    "squeeze all": lambda x: x.reshape((2, 1, 3, 1)).squeeze(),
    "row of rows": lambda x: x[0:][1],
    "element of row": lambda x: x[1][0],
    "transpose of columns": lambda x: x[:, 1:].T,
    "row of transpose": lambda x: x.T[2],
    "slice of reshape": lambda x: x.reshape(6)[1:5:2],
    "reshape of row": lambda x: x[1].reshape((3, 1)),
    "three deep": lambda x: x.T[1:].mT[0],
    "detach": lambda x: x.detach(),
    "row of detach": lambda x: x.detach()[1],
    "data": lambda x: x.data,
}
DIFFERENTIABLE = [name for name in VIEWS if "detach" not in name and name != "data"]


@pytest.mark.parametrize("name", VIEWS)
def test_writes_pass_in_both_directions(torch, log, name):
    """A write to the base is seen by a view taken before, a write to the view by the base and a sibling."""
    _, x = base(torch)
    v, sibling = VIEWS[name](x), x[:, 1:]
    log(v)
    x[1, 1:] = 40.0
    log(v, sibling)
    x *= 2.0
    log(v, sibling)
    v += 100.0
    log(x, v, sibling)
    sibling.zero_()
    log(x, v)
    v[...] = 7.0
    log(x, v, sibling)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_follow_writes(torch, log, name):
    """In place on a view rewires the history of its base; in place on the base that of its view."""
    leaf, x = base(torch, requires_grad=True)
    w = torch.tensor([[1.0, 2.0, 3.0], [5.0, 7.0, 11.0]])
    v = VIEWS[name](x)
    v.mul_(3.0)
    log(x, x.requires_grad, v.requires_grad, x.is_leaf, v.is_leaf)
    (x * w).sum().backward()
    log(leaf.grad)

    leaf, x = base(torch, requires_grad=True)
    v = VIEWS[name](x)
    x *= w
    log(v)
    (v * v).sum().backward()
    log(leaf.grad)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_buffer_becomes_differentiable_through_view(torch, log, name):
    """A plain buffer written through a view with a differentiable value becomes differentiable."""
    _, x = base(torch)
    s = torch.tensor(2.0, requires_grad=True)
    v = VIEWS[name](x)
    v.mul_(s)
    log(x, x.requires_grad, v.requires_grad, x.is_leaf, v.is_leaf)
    (x * x).sum().backward()
    log(s.grad)


@pytest.mark.parametrize("value", [1.5, float("inf"), float("nan")])
def test_infinities_and_nans_stay_where_they_are(torch, log, value):
    """A write through a view does not spread what is not finite, in it or beside it."""
    for name in ("column", "every other column", "transpose of columns", "element", "slice of reshape", "row"):
        leaf, x = base(torch, requires_grad=True)
        x[0, 1], x[1, 0] = float("inf"), float("nan")
        VIEWS[name](x).fill_(value)
        log(x)
        (x * 2.0).sum().backward()
        log(leaf.grad)


def test_infinities_beside_the_real_part_stay(torch, log):
    z = torch.tensor([complex(1.0, float("inf")), complex(float("inf"), 2.0)])
    torch.real(z).add_(1.0)
    log(z)
    torch.imag(z).fill_(3.0)
    log(z)


# Keys of assignment -------------------------------------------------------------------------------------

KEYS = {
    "int": lambda torch: 1,
    "negative int": lambda torch: -1,
    "slice": lambda torch: slice(0, 1),
    "stepped slice": lambda torch: (slice(None), slice(None, None, 2)),
    "column": lambda torch: (slice(None), 1),
    "element": lambda torch: (1, -1),
    "ellipsis": lambda torch: ...,
    "ellipsis column": lambda torch: (..., 0),
    "None": lambda torch: None,
    "None and int": lambda torch: (None, 0),
    "mask": lambda torch: torch.tensor([[True, False, True], [False, False, True]]),
    "empty mask": lambda torch: torch.tensor([[False] * 3] * 2),
    "row mask": lambda torch: torch.tensor([False, True]),
    "column mask": lambda torch: (slice(None), torch.tensor([True, False, True])),
    "0-d True": lambda torch: torch.tensor(True),
    "int array": lambda torch: torch.tensor([1, 0]),
    "negative int array": lambda torch: (slice(None), torch.tensor([-1, 0])),
    "two int arrays": lambda torch: (torch.tensor([0, 1]), torch.tensor([2, 0])),
    "broadcast int arrays": lambda torch: (torch.tensor([[0], [1]]), torch.tensor([2, 0])),
    "int and int array": lambda torch: (1, torch.tensor([2, 0])),
    "list": lambda torch: [1],
    "0-d int tensor": lambda torch: torch.tensor(1),
}


@pytest.mark.parametrize("name", KEYS)
def test_read_by_key(torch, log, name):
    """Indexing gives PyTorch's elements and its gradient."""
    leaf, x = base(torch, requires_grad=True)
    y = x[KEYS[name](torch)]
    log(y, y.requires_grad)
    (y * y).sum().backward()
    log(leaf.grad)


@pytest.mark.parametrize("name", KEYS)
def test_assign_scalar_by_key(torch, log, name):
    """Assignment of a number takes the gradient away from what it overwrites."""
    leaf, x = base(torch, requires_grad=True)
    x[KEYS[name](torch)] = 9.0
    log(x, x.requires_grad, x.is_leaf)
    (x * x).sum().backward()
    log(leaf.grad)


@pytest.mark.parametrize("name", KEYS)
def test_assign_differentiable_by_key(torch, log, name):
    """Assignment of a differentiable tensor (broadcast) carries its gradient into a plain buffer."""
    _, x = base(torch)
    v = torch.tensor(3.0, requires_grad=True)
    x[KEYS[name](torch)] = v * 2.0
    log(x, x.requires_grad)
    (x * x * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    log(v.grad)


@pytest.mark.parametrize("name", ["int", "slice", "column", "element", "None", "mask", "int array", "two int arrays"])
def test_augmented_assign_by_key(torch, log, name):
    """`x[key] += v` reads, adds and writes back."""
    leaf, x = base(torch, requires_grad=True)
    v = torch.tensor(3.0, requires_grad=True)
    key = KEYS[name](torch)
    x[key] += v
    x[key] *= v
    log(x)
    (x * x).sum().backward()
    log(leaf.grad, v.grad)


# Repeated and overlapping indices -----------------------------------------------------------------------


def test_gather_adds_repeated_indices(torch, log):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x[torch.tensor([0, 0, 2, 0])]
    log(y)
    (y * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    log(x.grad)


def test_int_array_reads_copy(torch, log):
    x = torch.tensor([1.0, 2.0, 3.0])
    y = x[torch.tensor([0, 1])]
    y += 5.0
    log(x, y)
    x.zero_()
    log(x, y)


def test_mask_reads_copy(torch, log):
    x = torch.tensor([1.0, 2.0, 3.0])
    y = x[x > 1.5]
    y += 5.0
    log(x, y)
    x.zero_()
    log(x, y)


def test_mask_of_nothing(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x[x > 5.0]
    log(y)
    y.sum().backward()
    log(x.grad)


def test_mask_assign_tensor_of_matching_length(torch, log):
    x = torch.zeros(4)
    v = torch.tensor([1.0, 2.0], requires_grad=True)
    x[torch.tensor([True, False, False, True])] = v
    log(x)
    (x * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    log(v.grad)


def test_mask_assign_where_the_mask_depends_on_the_value(torch, log):
    x = torch.tensor([-1.0, 2.0, -3.0], requires_grad=True)
    y = x * 1.0
    y[y < 0] = 0.0
    log(y)
    (y * y).sum().backward()
    log(x.grad)


def test_int_array_assign_vector(torch, log):
    x = torch.zeros((3, 2))
    v = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x[torch.tensor([2, 0])] = v
    log(x)
    (x * torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).sum().backward()
    log(v.grad)


def test_assign_overlapping_slice_of_itself(torch, log):
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    x[1:] = x[:-1].clone()
    log(x)


def test_assign_tensor_to_itself(torch, log):
    leaf, x = base(torch, requires_grad=True)
    x[...] = x
    log(x)
    (x * x).sum().backward()
    log(leaf.grad)


# Broadcasting assignment --------------------------------------------------------------------------------


def test_assign_broadcasts_a_row(torch, log):
    x, v = torch.zeros((2, 3)), torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[:] = v
    log(x)
    (x * torch.tensor([[1.0], [10.0]])).sum().backward()
    log(v.grad)


def test_assign_broadcasts_a_column(torch, log):
    x, v = torch.zeros((2, 3)), torch.tensor([[1.0], [2.0]], requires_grad=True)
    x[:, 1:] = v
    log(x)
    x.sum().backward()
    log(v.grad)


def test_assign_drops_leading_ones(torch, log):
    x, v = torch.zeros(3), torch.tensor([[1.0, 2.0]], requires_grad=True)
    x[:2] = v
    log(x)
    x.sum().backward()
    log(v.grad)


def test_assign_of_wrong_shape(torch, log):
    x = torch.zeros((2, 3))
    log.error(lambda: x.__setitem__(0, torch.ones(2)))
    log.error(lambda: x.__setitem__(slice(None), torch.ones((3, 2))))
    log(x)


def test_index_out_of_range(torch, log):
    x = torch.zeros((2, 3))
    log.error(lambda: x[2])
    log.error(lambda: x[0, -4])
    log.error(lambda: x[0, 0, 0])
    log.error(lambda: x.__setitem__(5, 1.0))
    log(x)


def test_assign_casts_to_the_base(torch, log):
    x = torch.zeros(2, dtype=torch.float32)
    v = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    x[:] = v
    log(x, x.requires_grad)
    (x * 3.0).sum().backward()
    log(v.grad)


def test_assign_float_to_int_truncates(torch, log):
    x = torch.tensor([1, 2, 3])
    x[0] = 7.9
    log(x)


def test_assign_differentiable_into_int_keeps_no_history(torch, log):
    x = torch.tensor([1, 2, 3])
    v = torch.tensor(7.5, requires_grad=True)
    x[0] = v * 1.0
    log(x, x.requires_grad, x.is_leaf)


# Filling buffers ----------------------------------------------------------------------------------------


def test_buffer_filled_by_int(torch, log):
    x, y = torch.zeros(3), torch.tensor(2.0, requires_grad=True)
    log(x.requires_grad, x.is_leaf)
    x[0] = y * y
    log(x, x.requires_grad, x.is_leaf)
    x.sum().backward()
    log(y.grad)


def test_buffer_filled_row_by_row(torch, log):
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    x = torch.zeros((3, 2))
    for i in range(3):
        x[i] = w * float(i + 1)
    log(x)
    (x * x).sum().backward()
    log(w.grad)


def test_buffer_filled_as_a_recurrence(torch, log):
    a = torch.tensor(0.5, requires_grad=True)
    x = torch.zeros(5)
    x[0] = 1.0
    for i in range(1, 5):
        x[i] = x[i - 1].clone() * a + 1.0
    log(x)
    x[4].backward()
    log(a.grad)


def test_recurrence_without_clone(torch, log):
    a = torch.tensor(0.5, requires_grad=True)
    x = torch.zeros(4)
    x[0] = 1.0
    for i in range(1, 4):
        x[i] = x[i - 1] * a + 1.0
    log(x)
    log.declared(SAVED, lambda: torch.autograd.grad(x[3], a)[0].tolist(), torch=CLOBBERED, ours=2.75)


def test_buffer_filled_through_iteration(torch, log):
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    x = torch.zeros((2, 2))
    rows = [x[0], x[1]]
    for k, row in enumerate(rows):
        assert row.is_leaf == (k == 0)  # PyTorch refuses the second copy_ unless somebody has looked
        row.copy_(w * float(k + 1))
    log(x, x.requires_grad)
    (x * x).sum().backward()
    log(w.grad)


def test_second_old_view_of_a_buffer_is_writable(torch, log):
    w, x = torch.tensor([1.0, 2.0], requires_grad=True), torch.zeros((2, 2))
    first, second = x[0], x[1]
    first.copy_(w)
    log.declared(
        "PyTorch has not yet noticed that the second view has a history",
        lambda: second.copy_(w).tolist(),
        torch=(RuntimeError, "a leaf Variable"),
        ours=[1.0, 2.0],
    )


def test_buffer_overwritten_forgets(torch, log):
    x, y = torch.zeros(2), torch.tensor(2.0, requires_grad=True)
    x[0] = y
    x[0] = 5.0
    x[1] = y * 3.0
    x.sum().backward()
    log(x, y.grad)


def test_buffer_read_before_and_after_the_fill(torch, log):
    x, y = torch.ones(2), torch.tensor(2.0, requires_grad=True)
    before = x * 1.0
    x[0] = y
    after = x * 1.0
    log(before.requires_grad, after.requires_grad)
    (before + after).sum().backward()
    log(y.grad)


def test_old_view_of_a_buffer_becomes_differentiable(torch, log):
    x, y = torch.zeros(4), torch.tensor(2.0, requires_grad=True)
    v = x[1:3]
    log(v.requires_grad)
    x[2] = y * y
    log(v, v.requires_grad, v.is_leaf)
    (v * v).sum().backward()
    log(y.grad)


def test_unrelated_view_of_a_differentiable_buffer(torch, log):
    x, y = torch.zeros(4), torch.tensor(2.0, requires_grad=True)
    v = x[:2]
    x[3] = y
    log(v, v.requires_grad)
    v.sum().backward()
    log(y.grad)


# detach and data ----------------------------------------------------------------------------------------


def test_detach_shares_writes_both_ways(torch, log):
    leaf, x = base(torch, requires_grad=True)
    d = x.detach()
    log(d.requires_grad, d.is_leaf, d.grad_fn is None)
    d[0] = 50.0
    log(x, d)
    x[1] = 60.0
    log(x, d, d.requires_grad)
    x.sum().backward()
    log(leaf.grad)


def test_detach_of_a_leaf_writes_the_leaf(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    x.detach()[0] = 5.0
    log(x, x.is_leaf, x.requires_grad)
    (x * x).sum().backward()
    log(x.grad)


def test_detach_requires_grad_is_a_leaf_of_its_own(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    d = x.detach().requires_grad_()
    log(d.is_leaf, d.requires_grad)
    (d * d * x).sum().backward()
    log(x.grad, d.grad)
    with torch.no_grad():
        x.mul_(10.0)
    log(x, d, d.is_leaf)
    with torch.no_grad():
        d.add_(1.0)
    log(x, d)


def test_detach_of_detach(torch, log):
    x = torch.zeros(2)
    d = x.detach().detach()
    d += 1.0
    log(x, d)


def test_detach_of_a_view(torch, log):
    leaf, x = base(torch, requires_grad=True)
    d = x[1].detach()
    d.fill_(8.0)
    log(x, d.requires_grad)
    (x * x).sum().backward()
    log(leaf.grad)


def test_view_of_a_detach_given_a_gradient(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = torch.tensor(3.0, requires_grad=True)
    d = x.detach()
    d[0] = v
    log(d.requires_grad, x)
    d.sum().backward()
    log(v.grad, leaf.grad)


def test_detach_in_place_cuts_history(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2.0
    log(y.detach_() is y, y.requires_grad, y.is_leaf, y.grad_fn is None)
    log.error(lambda: y.sum().backward(), "does not require grad and does not have a grad_fn")


def test_detach_in_place_of_a_view(torch, log):
    _, x = base(torch, requires_grad=True)
    log.error(lambda: x[0].detach_())


def test_data_is_a_detached_alias(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    d = x.data
    log(d.requires_grad, d.is_leaf)
    d.mul_(3.0)
    log(x, x.requires_grad, x.is_leaf)
    x.data[0] = 9.0
    log(x)


def test_data_can_be_replaced(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    x.data = torch.tensor([5.0, 6.0])
    log(x, x.requires_grad, x.is_leaf)
    (x * x).sum().backward()
    log(x.grad)


def test_clone_does_not_alias(torch, log):
    leaf, x = base(torch, requires_grad=True)
    c = x.clone()
    c.zero_()
    log(x, c)
    x.add_(1.0)
    log(c)
    (x * x).sum().backward()
    log(leaf.grad)


def test_tensor_copies_asarray_shares(torch, log):
    x = torch.tensor([1.0, 2.0])
    shared = torch.asarray(x)
    shared += 1.0
    log(x, shared)


# What may not be written --------------------------------------------------------------------------------

LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
VIEW_OF_LEAF = "a view of a leaf Variable that requires grad is being used in an in-place operation."

WRITES = {
    "+=": lambda x: x.__iadd__(1.0),
    "-=": lambda x: x.__isub__(1.0),
    "*=": lambda x: x.__imul__(2.0),
    "/=": lambda x: x.__itruediv__(2.0),
    "**=": lambda x: x.__ipow__(2.0),
    "[...] =": lambda x: x.__setitem__(..., 1.0),
    "[0] =": lambda x: x.__setitem__(0, 1.0),
    "zero_": lambda x: x.zero_(),
    "fill_": lambda x: x.fill_(2.0),
    "copy_": lambda x: x.copy_(x.detach() * 2.0),
    "add_": lambda x: x.add_(1.0),
    "sub_": lambda x: x.sub_(1.0),
    "mul_": lambda x: x.mul_(2.0),
    "div_": lambda x: x.div_(2.0),
}


@pytest.mark.parametrize("name", WRITES)
def test_leaf_refuses_writes(torch, log, name):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    if name == "[0] =":
        log.error(lambda: WRITES[name](x), VIEW_OF_LEAF)
    elif name != "[...] =":
        log.error(lambda: WRITES[name](x), LEAF)
    else:
        log.error(
            lambda: WRITES[name](x),
            "leaf Variable that requires grad is being used in an in-place operation.",
        )
    log(x, x.is_leaf, x.requires_grad)


@pytest.mark.parametrize("name", WRITES)
def test_view_of_leaf_refuses_writes(torch, log, name):
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    log.error(lambda: WRITES[name](x[0]), VIEW_OF_LEAF)
    log.error(lambda: WRITES[name](x.T), VIEW_OF_LEAF)
    log(x)


@pytest.mark.parametrize("name", WRITES)
def test_no_grad_writes_keep_a_leaf(torch, log, name):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    alias = x
    with torch.no_grad():
        WRITES[name](x)
    log(x, x.is_leaf, x.requires_grad, alias is x)
    (x * x).sum().backward()
    log(x.grad)


@pytest.mark.parametrize("name", WRITES)
def test_writes_on_a_result(torch, log, name):
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 3.0
    view = x[1:]
    WRITES[name](x)
    log(x, view, x.requires_grad, x.is_leaf)
    (x * torch.tensor([1.0, 10.0])).sum().backward()
    log(leaf.grad)


def test_augmented_assignment_keeps_identity(torch, log):
    x = torch.ones(2)
    same = x
    x += 1.0
    x -= 0.5
    x *= 3.0
    x /= 2.0
    x **= 2.0
    log(x is same, x, same)


@pytest.mark.parametrize("name", ["zero_", "fill_", "copy_", "add_", "sub_", "mul_", "div_"])
def test_in_place_methods_return_self(torch, log, name):
    x = torch.ones(2)
    log(WRITES[name](x) is x)


def test_plain_leaf_becomes_differentiable(torch, log):
    a, b = torch.ones(2), torch.tensor([2.0, 3.0], requires_grad=True)
    a += b
    log(a, a.requires_grad, a.is_leaf)
    (a * a).sum().backward()
    log(b.grad)


def test_matmul_in_place(torch, log):
    a = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = a * 1.0
    x = x @ a
    log(x)
    x.sum().backward()
    log(a.grad)


def test_integer_in_place(torch, log):
    x = torch.tensor([5, 6, 7])
    v = x[1:]
    x += 1
    x *= 2
    x //= 3
    log(x, v)
    x %= 3
    x <<= 2
    x |= 1
    x &= 5
    x ^= 2
    x >>= 1
    log(x, v)


def test_in_place_on_a_broadcast_operand(torch, log):
    x = torch.zeros((2, 3))
    b = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x += b
    log(x)
    (x * x).sum().backward()
    log(b.grad)


def test_in_place_may_not_grow(torch, log):
    x = torch.zeros(3)
    log.error(lambda: x.__iadd__(torch.ones((2, 3))))
    log.error(lambda: x.mul_(torch.ones((2, 1))))
    log.error(lambda: x.copy_(torch.ones((2, 3))))
    log(x)


def test_in_place_may_not_change_kind(torch, log):
    x = torch.tensor([1, 2])
    log.error(lambda: x.__iadd__(0.5))
    log.error(lambda: x.__itruediv__(2))
    log.error(lambda: x.mul_(torch.tensor([0.5, 0.5])))
    y = torch.tensor([1.0, 2.0])
    log.error(lambda: y.__iadd__(1j))
    b = torch.tensor([True, False])
    log.error(lambda: b.__iadd__(1))
    log(x, y, b)


def test_in_place_keeps_the_narrow_dtype(torch, log):
    x = torch.ones(2, dtype=torch.float32)
    b = torch.tensor([0.5, 0.25], requires_grad=True)
    x += b
    log(x, x.dtype == torch.float32)
    (x * x).sum().backward()
    log(b.grad)


def test_copy_casts_both_ways(torch, log):
    x = torch.zeros(2, dtype=torch.float32)
    b = torch.tensor([0.5, 0.25], requires_grad=True)
    x.copy_(b)
    log(x, x.requires_grad)
    (x * 3.0).sum().backward()
    log(b.grad)
    n = torch.zeros(2, dtype=torch.int64)
    n.copy_(torch.tensor([1.7, -1.7]))
    log(n)


def test_copy_broadcasts(torch, log):
    x, b = torch.zeros((2, 2)), torch.tensor([1.0, 2.0], requires_grad=True)
    x.copy_(b)
    log(x)
    x.sum().backward()
    log(b.grad)


def test_fill_with_a_tensor(torch, log):
    x, s = torch.zeros(3), torch.tensor(4.0, requires_grad=True)
    x.fill_(s)
    log(x, x.requires_grad)
    (x * x).sum().backward()
    log(s.grad)


def test_zero_cuts_the_gradient(torch, log):
    leaf, x = base(torch, requires_grad=True)
    x.zero_()
    log(x, x.requires_grad)
    (x + 1.0).sum().backward()
    log(leaf.grad)


def test_zero_on_half(torch, log):
    leaf, x = base(torch, requires_grad=True)
    x[0].zero_()
    (x * x).sum().backward()
    log(x, leaf.grad)


# Writes on views of results -----------------------------------------------------------------------------


def test_in_place_on_view_and_then_on_base(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = x[0]
    v *= 2.0
    x *= 3.0
    v += 1.0
    log(x, v)
    (x * x).sum().backward()
    log(leaf.grad)


def test_two_sibling_views_written(torch, log):
    leaf, x = base(torch, requires_grad=True)
    a, b = x[0], x[:, 1]
    a *= 2.0
    b *= 5.0
    log(x, a, b)
    (a * b[0]).sum().backward()
    log(leaf.grad)


def test_view_of_view_written_with_a_gradient(torch, log):
    leaf, x = base(torch, requires_grad=True)
    s = torch.tensor(2.0, requires_grad=True)
    x.T[1:][0].mul_(s)
    log(x)
    (x * x).sum().backward()
    log(leaf.grad, s.grad)


def test_view_gradient_after_base_was_overwritten(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = x[1]
    x[1] = torch.tensor([7.0, 8.0, 9.0])
    log(v)
    (v + x).sum().backward()
    log(leaf.grad)


def test_view_keeps_nothing_of_what_was_zeroed(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = x[0]
    v.zero_()
    (v * v + v).sum().backward()
    log(leaf.grad)


def test_gradient_with_respect_to_a_rewired_base(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = x[0]
    v.mul_(2.0)
    log(*torch.autograd.grad((x * x).sum(), [x, v, leaf], allow_unused=True))


def test_gradient_with_respect_to_a_view(torch, log):
    _, x = base(torch, requires_grad=True)
    v = x[0]
    log(*torch.autograd.grad((v * v).sum(), [v]))
    log(*torch.autograd.grad((x * x).sum(), [v], allow_unused=True))


def test_second_order_through_a_written_view(torch, log):
    leaf, x = base(torch, requires_grad=True)
    x[:, 1].mul_(leaf[:, 0])
    (g,) = torch.autograd.grad((x * x * x).sum(), leaf, create_graph=True)
    log(g)
    (h,) = torch.autograd.grad((g * g).sum(), leaf)
    log(h)


def test_setitem_on_a_tensor_used_twice(torch, log):
    leaf, x = base(torch, requires_grad=True)
    first = x + 1.0
    x[0] = 10.0
    second = x + 2.0
    log(first, second)
    (first + second).sum().backward()
    log(leaf.grad)


def test_write_under_no_grad_on_a_result(torch, log):
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 3.0
    with torch.no_grad():
        x.mul_(10.0)
        x[0] = -1.0
    log(x, x.requires_grad, x.is_leaf)
    x.sum().backward()
    log(leaf.grad)


def test_view_made_under_no_grad_of_a_result_may_not_be_rewired(torch, log):
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 3.0
    with torch.no_grad():
        v = x[0]
    log.error(lambda: v.add_(1.0))
    with torch.no_grad():
        v.add_(5.0)
    log(x, v, x.requires_grad)
    x.sum().backward()
    log(leaf.grad)


def test_view_of_leaf_written_under_no_grad(torch, log):
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    with torch.no_grad():
        x[0] = 7.0
        x.T[0] += 1.0
        for row in x:
            row -= 0.5
    log(x, x.is_leaf, x.requires_grad, x.grad_fn is None)
    (x * x).sum().backward()
    log(x.grad)


def test_view_of_leaf_made_before_an_update(torch, log):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    v = x[1:]
    log(v.requires_grad, v.is_leaf)
    with torch.no_grad():
        x *= 10.0
    log(v, v.requires_grad)
    (v * v).sum().backward()
    log(x.grad)


def test_training_step_in_place(torch, log):
    w = torch.tensor([1.0, -2.0], requires_grad=True)
    for _ in range(3):
        loss = (w * w).sum()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
            w.grad.zero_()
        log(loss, w, w.grad)


def test_grad_is_an_alias_too(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    g, part, alias, data = x.grad, x.grad[0], x.grad.detach(), x.grad.data
    (x * x).sum().backward()
    log(g is x.grad, g, part, alias, data)
    x.grad.zero_()
    log(g, part, alias, data)
    part += 5.0
    log(x.grad, alias, data)


def test_grads_in_one_buffer(torch, log):
    buffer = torch.zeros(4)
    a, b = (torch.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    a.grad, b.grad = buffer[:2], buffer[2:]
    for _ in range(2):
        (a * 2.0 + b * 3.0).sum().backward()
        log(buffer, a.grad, b.grad)
    buffer.zero_()
    log(a.grad, b.grad)


def test_two_leaves_may_share_one_grad(torch, log):
    g = torch.zeros(2)
    a, b = (torch.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    a.grad = b.grad = g
    (a * 2.0 + b * 3.0).sum().backward()
    log(g, a.grad is g, b.grad is g)


# requires_grad_ and views -------------------------------------------------------------------------------


def test_requires_grad_on_a_view_of_a_plain_base(torch, log):
    x = torch.zeros(3)
    v = x[1:]
    v.requires_grad_()
    log(v.is_leaf, v.requires_grad, x.requires_grad)
    (v * 2.0).sum().backward()
    log(v.grad)
    log.error(lambda: v.mul_(2.0), "leaf Variable that requires grad is being used in an in-place operation.")


def test_requires_grad_set_on_base_after_the_view(torch, log):
    x = torch.ones(3)
    v = x[1:]
    x.requires_grad_()
    log(x.requires_grad, x[1:].requires_grad)
    log.declared(
        "the view was taken before: no gradient flows through it, whatever PyTorch's flag says",
        lambda: v.requires_grad,
        torch=True,
        ours=False,
    )
    log.error(lambda: v.add_(1.0), VIEW_OF_LEAF)
    with torch.no_grad():
        v.add_(1.0)
    log(x, v)


def test_requires_grad_off_and_written(torch, log):
    x = torch.ones(3, requires_grad=True)
    x.requires_grad_(False)
    x += 1.0
    log(x, x.requires_grad)


def test_requires_grad_off_for_a_result(torch, log):
    x = torch.ones(3, requires_grad=True)
    y = x * 2.0
    log.error(lambda: y.requires_grad_(False), "you can only change requires_grad flags of leaf variables.")


# Iteration and several views at once --------------------------------------------------------------------


def test_iteration_gives_views(torch, log):
    x = torch.zeros((2, 2))
    for k, row in enumerate(x):
        row += float(k)
    log(x)
    a, b = x
    a[0] = 9.0
    log(x, b)


def test_iteration_of_a_result_carries_gradients(torch, log):
    leaf, x = base(torch, requires_grad=True)
    first, second = x
    log(first, second, first.requires_grad)
    (first * second).sum().backward()
    log(leaf.grad)


def test_iteration_over_nothing(torch, log):
    log([row.tolist() for row in torch.zeros((0, 2))])
    log.error(lambda: list(torch.tensor(1.0)))
    log(len(torch.zeros((4, 2))))
    log.error(lambda: len(torch.tensor(1.0)))


def test_negative_and_stepped_slices_overlap(torch, log):
    x = torch.arange(8.0)
    even, tail = x[::2], x[-3:]
    even += 100.0
    log(x, tail)
    tail *= -1.0
    log(x, even)


def test_moveaxis_is_a_view(torch, log):
    x = torch.zeros((2, 3))
    v = torch.moveaxis(x, 0, 1)
    v[2] = 5.0
    log(x)
    x[0] = 1.0
    log(v)


def test_broadcast_view_reads_its_base(torch, log):
    x = torch.tensor([1.0, 2.0])
    v = torch.broadcast_to(x, (3, 2))
    x += 10.0
    log(v)


def test_broadcast_view_refuses_writes(torch, log):
    x = torch.tensor([1.0, 2.0])
    v = torch.broadcast_to(x, (3, 2))
    log.error(lambda: v.add_(1.0))
    log.error(lambda: v.mul_(2.0))
    log(x)


def test_real_part_is_a_view(torch, log):
    z = torch.tensor([1 + 2j, 3 + 4j])
    torch.real(z).mul_(10.0)
    torch.imag(z)[0] = -1.0
    log(z)


def test_real_part_carries_gradients(torch, log):
    leaf = torch.tensor([1 + 2j, 3 + 4j], requires_grad=True)
    z = leaf * 1.0
    torch.real(z).mul_(10.0)
    log(z)
    (torch.real(z) * torch.imag(z)).sum().backward()
    log(leaf.grad)


def test_reshape_of_a_transpose_copies(torch, log):
    _, x = base(torch)
    y = x.T.reshape(6)
    y.zero_()
    log(x, y)


def test_flatten_of_a_transpose_copies(torch, log):
    _, x = base(torch)
    y = x.T.flatten()
    y.zero_()
    log(x)


def test_view_of_a_transpose_is_refused(torch, log):
    _, x = base(torch)
    log.error(lambda: x.T.view(6))


def test_results_do_not_alias(torch, log):
    x = torch.tensor([1.0, -2.0])
    results = [x + 0.0, x * 1.0, x.clone(), torch.abs(x), torch.where(x < 9.0, x, x), x.sum(0), x[x < 9.0]]
    x.zero_()
    log(*results)


def test_conversion_to_the_same_dtype_is_the_tensor(torch, log):
    x = torch.tensor([1.0, 2.0])
    y = x.to(torch.float64)
    y += 1.0
    log(x, y is x)
    z = x.to(torch.float32)
    z += 1.0
    log(x, z)


def test_concat_and_stack_copy(torch, log):
    x = torch.tensor([1.0, 2.0])
    c, s = torch.concat((x, x)), torch.stack((x, x))
    x += 1.0
    log(c, s)
    c.zero_()
    log(x)


def test_tensor_of_a_tensor_copies(torch, log):
    import numpy as np

    raw = np.asarray([1.0, 2.0])
    x = torch.tensor(raw)
    raw[0] = 9.0
    log(x)
    x[1] = 7.0
    log(raw.tolist())


# Programs that people write ----------------------------------------------------------------------------


def test_view_of_a_base_written_through_its_transpose(torch, log):
    x = torch.zeros((3, 2))
    v = x.view(-1)
    x.T.add_(torch.arange(6.0).reshape((2, 3)))
    log(x, v, x.view(6), x.reshape(6))
    x.view(-1)[0] = 9.0
    log(x, v)


def test_running_total(torch, log):
    w = torch.tensor([2.0], requires_grad=True)
    total, count = torch.tensor(0.0), 0
    for k in range(3):
        loss = (w * float(k)).sum()
        total += loss
        count += loss
    log(total, total.requires_grad, count)
    total.backward(retain_graph=True)
    log(w.grad)


def test_running_total_of_detached_losses(torch, log):
    w = torch.tensor([2.0], requires_grad=True)
    total = torch.zeros(())
    for k in range(3):
        total += (w * float(k)).sum().detach()
    log(total, total.requires_grad)


def test_operand_is_the_target(torch, log):
    leaf, x = base(torch, requires_grad=True)
    x += x
    x -= x[0].clone()
    x.mul_(x.detach().clone())
    log(x)
    x.sum().backward()
    log(leaf.grad)


def test_rows_swapped(torch, log):
    leaf, x = base(torch, requires_grad=True)
    x[0], x[1] = x[1].clone(), x[0].clone()
    log(x)
    (x * torch.tensor([[1.0], [10.0]])).sum().backward()
    log(leaf.grad)


def test_rows_added_to_each_other(torch, log):
    leaf, x = base(torch, requires_grad=True)
    a, b = x[0], x[1]
    a += b
    b += a
    log(x)
    (x * torch.tensor([[1.0], [10.0]])).sum().backward()
    log(leaf.grad)


def test_mask_from_one_tensor_on_another(torch, log):
    leaf, x = base(torch, requires_grad=True)
    y = leaf * 2.0
    mask = x > 2.0
    x[mask] = y[mask]
    x[~mask] += 1.0
    log(x)
    (x * x.detach()).sum().backward()
    log(leaf.grad)


def test_slices_with_tensor_bounds(torch, log):
    x = torch.arange(6.0)
    log(x[torch.tensor(1) : torch.tensor(4)], x[torch.tensor(2)], x[:: torch.tensor(2)])


def test_python_booleans_as_keys(torch, log):
    x = torch.arange(3.0)
    log(x[True], x[False])
    x[True] = 5.0
    log(x)
    x[False] = 7.0
    log(x)


def test_gradient_to_an_older_version(torch, log):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2.0
    z = (y + 1.0).sum()
    y.add_(1.0)
    log.error(lambda: torch.autograd.grad(z, y, retain_graph=True), "appears to not have been used in the graph")
    log(*torch.autograd.grad(z, x))


def test_window_over_a_signal(torch, log):
    kernel = torch.tensor([0.5, 1.0, -0.5], requires_grad=True)
    signal = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], requires_grad=True)
    out = torch.zeros(3)
    for i in range(3):
        out[i] = (signal[i : i + 3] * kernel).sum()
    log(out)
    (out * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    log(kernel.grad, signal.grad)


def test_accumulation_in_blocks(torch, log):
    a = torch.arange(12.0).reshape((3, 4)).requires_grad_()
    out = torch.zeros((2, 2))
    out[0] += a[:, :2].sum(0)
    out[1] += a[:, 2:].sum(0)
    out[:, 0] -= a[0, 0] * a[2, 3]
    log(out)
    (out * out.detach()).sum().backward()
    log(a.grad)


def test_power_iteration_in_place(torch, log):
    a = torch.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
    v = torch.tensor([1.0, 1.0])
    for _ in range(3):
        v = a @ v
        v /= (v * v).sum().sqrt().detach()
    log(v)
    v.sum().backward()
    log(a.grad)


def test_cumulative_products_by_hand(torch, log):
    x = torch.tensor([2.0, 3.0, 4.0], requires_grad=True)
    out = torch.ones(4)
    for k in range(3):
        out[k + 1 :] *= x[k]
    log(out)
    log(*torch.autograd.grad(out.sum(), x))


def test_weights_clamped_after_a_step(torch, log):
    w = torch.tensor([1.0, -2.0], requires_grad=True)
    (w * w).sum().backward()
    with torch.no_grad():
        w -= w.grad
        w[w < 0] = 0.0
        w[...] = w * 2.0
        w.grad = None
    log(w, w.is_leaf, w.requires_grad, w.grad)
    (w * w * w).sum().backward()
    log(w.grad)


def test_moving_average_in_place(torch, log):
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    average = w.detach().clone()
    for _ in range(2):
        (w * w).sum().backward()
        with torch.no_grad():
            w.sub_(w.grad * 0.1)
            average.mul_(0.9).add_(w * 0.1)
        w.grad.zero_()
    log(w, average, average.requires_grad)


def test_gradient_clipped_in_place(torch, log):
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    (w * w).sum().backward()
    norm = (w.grad * w.grad).sum().sqrt()
    w.grad.mul_(1.0 / norm)
    log(w.grad, norm.requires_grad)
    w.grad[0] = 0.0
    w.grad.detach().add_(1.0)
    log(w.grad)


def test_chained_in_place_methods(torch, log):
    leaf, x = base(torch, requires_grad=True)
    log(x.mul_(2.0).add_(1.0).sub_(leaf).div_(4.0))
    x[0].mul_(2.0)[1:].add_(1.0)
    log(x)
    x.sum().backward()
    log(leaf.grad)


def test_copies_of_views_stand_alone(torch, log):
    import copy
    import pickle

    x = torch.arange(4.0)
    clones = [
        copy.deepcopy(x[1:]),
        pickle.loads(pickle.dumps(x[1:])),
        copy.deepcopy(x.detach()),
        x[1:].clone(),
    ]
    x.zero_()
    log(*clones)


def test_views_outlive_their_base(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = x[1]
    w = x.T
    del x
    v.mul_(3.0)
    log(w, v)
    (w * w).sum().backward()
    log(leaf.grad)


def test_deep_chain_of_views(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = x
    for _ in range(300):
        v = v.T
        v = v[...]
    v.mul_(2.0)
    log(x)
    x.sum().backward()
    log(leaf.grad)


# Saved values survive -----------------------------------------------------------------------------------

MUTATIONS = {
    "+=": lambda x: x.__iadd__(100.0),
    "*=": lambda x: x.__imul__(0.0),
    "[0] =": lambda x: x.__setitem__(0, 100.0),
    "[1:] =": lambda x: x.__setitem__(slice(1, None), 100.0),
    "zero_": lambda x: x.zero_(),
    "copy_": lambda x: x.copy_(x.detach() + 9.0),
    "through a view": lambda x: x[1:].fill_(100.0),
    "through a view of a view": lambda x: x.reshape((2, 1))[0].zero_(),
    "through detach": lambda x: x.detach().zero_(),
}
SAVERS = {  # f(x), and what it saves
    "square": (lambda x: x * x, [4.0, 6.0]),
    "exp": (lambda x: x.exp(), [7.38905609893065, 20.085536923187668]),
    "sqrt": (lambda x: x.sqrt(), [0.35355339059327373, 0.2886751345948129]),
    "divisor": (lambda x: (x.detach() * 0.0 + 1.0) / x, [-0.25, -1 / 9]),
    "sigmoid": (lambda x: x.sigmoid(), [0.10499358540350662, 0.045176659730912]),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("saver", ["square", "divisor"])
def test_saved_input_survives(torch, log, saver, mutation):
    """y = f(x); mutate x; the gradient is that of the value x had (PyTorch: an error)."""
    leaf = torch.tensor([2.0, 3.0], requires_grad=True)
    x = leaf * 1.0
    f, gradient = SAVERS[saver]
    y = f(x)
    MUTATIONS[mutation](x)
    log(x)
    log.declared(SAVED, lambda: torch.autograd.grad(y.sum(), leaf)[0], torch=CLOBBERED, ours=gradient)


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("saver", ["exp", "sqrt", "sigmoid"])
def test_saved_output_survives(torch, log, saver, mutation):
    """y = f(x) saves y; mutate y; the gradient of what y was is right (PyTorch: an error)."""
    leaf = torch.tensor([2.0, 3.0], requires_grad=True)
    f, gradient = SAVERS[saver]
    y = f(leaf)
    kept = y * 1.0
    MUTATIONS[mutation](y)
    log(y, kept)
    log.declared(SAVED, lambda: torch.autograd.grad(kept.sum(), leaf)[0], torch=CLOBBERED, ours=gradient)


def test_saved_leaf_survives_an_update(torch, log):
    w = torch.tensor([2.0, 3.0], requires_grad=True)
    loss = (w * w).sum()
    with torch.no_grad():
        w.add_(100.0)
    log(w)
    log.declared(SAVED, lambda: torch.autograd.grad(loss, w)[0], torch=CLOBBERED, ours=[4.0, 6.0])


def test_saved_constant_survives(torch, log):
    w, c = torch.tensor([2.0, 3.0], requires_grad=True), torch.tensor([5.0, 7.0])
    y = (w * c).sum()
    c.zero_()
    log.declared(SAVED, lambda: torch.autograd.grad(y, w)[0], torch=CLOBBERED, ours=[5.0, 7.0])


def test_saved_mask_and_index_survive(torch, log):
    w = torch.tensor([2.0, 3.0, 4.0], requires_grad=True)
    index = torch.tensor([0, 2])
    y = w[index]
    index.zero_()
    log.declared(SAVED, lambda: torch.autograd.grad(y.sum(), w)[0], torch=CLOBBERED, ours=[1.0, 0.0, 1.0])


def test_saved_matmul_operand_survives(torch, log):
    a, b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.ones((2, 2), requires_grad=True)
    y = (a @ b).sum()
    a[0] = 0.0
    log.declared(SAVED, lambda: torch.autograd.grad(y, b)[0], torch=CLOBBERED, ours=[[4.0, 4.0], [6.0, 6.0]])


def test_saved_view_survives_a_write_to_its_base(torch, log):
    leaf, x = base(torch, requires_grad=True)
    v = x[1]
    y = (v * v).sum()
    x.zero_()
    log.declared(
        SAVED,
        lambda: torch.autograd.grad(y, leaf)[0],
        torch=CLOBBERED,
        ours=[[0.0, 0.0, 0.0], [6.0, 8.0, 10.0]],
    )


def test_in_place_on_something_not_saved_is_fine(torch, log):
    leaf, x = base(torch, requires_grad=True)
    y = x + 1.0
    x.zero_()
    y *= 2.0
    log(y)
    y.sum().backward()
    log(leaf.grad)


# What PyTorch has no word for ---------------------------------------------------------------------------


def test_negative_step_is_a_view(ad):
    """`x[::-1]` aliases as NumPy's does (PyTorch refuses negative steps)."""
    leaf = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = leaf * 1.0
    v = x[::-1]
    v[0] = 30.0
    assert x.tolist() == [1.0, 2.0, 30.0]
    x[0] = 10.0
    assert v.tolist() == [30.0, 2.0, 10.0]
    v *= v
    assert x.tolist() == [100.0, 4.0, 900.0]
    x.sum().backward()
    assert leaf.grad.tolist() == [0.0, 4.0, 0.0]


def test_outside_data_is_copied_in(ad):
    """A NumPy array given to `asarray` and changed afterwards does not change the tensor."""
    import numpy as np

    raw = np.asarray([1.0, 2.0])
    for x in (ad.asarray(raw), ad.tensor(raw)):
        raw[0] += 9.0
        assert x.tolist()[0] != raw[0]


def test_numpy_export_is_read_only(ad):
    """`np.asarray(x)` cannot be used to write behind the tensor's back, and does not move with it."""
    import numpy as np

    x = ad.tensor([1.0, 2.0])
    a = np.asarray(x)
    with pytest.raises(ValueError):
        a[0] = 5.0
    kept = a.tolist()
    x += 1.0
    assert a.tolist() in (kept, x.tolist())
    assert x.tolist() == [2.0, 3.0]
