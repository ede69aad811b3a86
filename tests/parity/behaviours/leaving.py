"""What PyTorch's users rely on about tensors that are copied, cast, or leave the library."""

import copy
import pickle

import numpy as np

from behaviours.table import Table, gradient, leaf

copies = Table("Copies and casts")
exports = Table("Leaving the library")


# Copies and casts


@copies("no gradient passes `detach()`")
def detach_cuts(ag):
    return gradient(ag, lambda x: x * x.detach())


@copies("`detach_()` makes a leaf of a result, in place")
def detach_in_place(ag):
    y = leaf(ag) * 2.0
    return y.detach_() is y, y.is_leaf, y.requires_grad


@copies("`clone()` is differentiable, and no leaf")
def clone_is_recorded(ag):
    return leaf(ag).clone().is_leaf, gradient(ag, lambda x: x.clone() * 3.0)


@copies("`to(dtype)` is differentiable, and the gradient comes back in the source's dtype")
def cast_is_differentiable(ag):
    y = leaf(ag).to(ag.float32)
    return y.requires_grad, ag.float32 == y.dtype, gradient(ag, lambda x: x.to(ag.float32) * 3.0)


@copies("`to(dtype)` that changes nothing gives the tensor itself")
def cast_to_its_own_dtype(ag):
    x = leaf(ag)
    return x.to(ag.float64) is x


@copies("`to(device)` gives what requires grad, and the gradient comes back")
def to_device(ag):
    return gradient(ag, lambda x: x.to(x.device) * 3.0)


# Leaving the library


@exports("`numpy()` refuses a tensor that requires grad", error="Can't call numpy() on Tensor that requires grad.")
def numpy_refuses(ag):
    leaf(ag).numpy()


@exports("`np.asarray` refuses it too", error="Can't call numpy() on Tensor that requires grad.")
def asarray_refuses(ag):
    np.asarray(leaf(ag))


@exports("and DLPack", error="require")
def dlpack_refuses(ag):
    np.from_dlpack(leaf(ag))


@exports("`numpy()` is allowed under `no_grad`")
def numpy_under_no_grad(ag):
    with ag.no_grad():
        return leaf(ag).numpy().tolist()


@exports("`numpy(force=True)` detaches")
def numpy_by_force(ag):
    return leaf(ag).numpy(force=True).tolist()


@exports("`item()`, `int()`, `bool()` detach")
def scalars_detach(ag):
    x = leaf(ag, 2.0)
    return x.item(), int(x), bool(x)


@exports("`float()` does too, and warns", warning="detach()")
def float_warns(ag):
    return float(leaf(ag, 2.0))


@exports("`copy.deepcopy` of a leaf keeps `.grad`")
def deepcopy_keeps_grad(ag):
    x = leaf(ag)
    x.sum().backward()
    twin = copy.deepcopy(x)
    x.grad.zero_()
    return twin.requires_grad, twin.grad, twin is x


@exports("`copy.deepcopy` of a result is refused", error="Only Tensors created explicitly by the user")
def deepcopy_of_a_result(ag):
    copy.deepcopy(leaf(ag) * 2.0)


@exports("pickling keeps `requires_grad` and drops `.grad`")
def pickle_drops_grad(ag):
    x = leaf(ag)
    x.sum().backward()
    twin = pickle.loads(pickle.dumps(x))
    return twin.requires_grad, twin.grad, twin.detach()


@exports("the graph is never serialised")
def pickle_drops_the_graph(ag):
    twin = pickle.loads(pickle.dumps(leaf(ag) * 2.0))
    return twin.is_leaf, twin.grad_fn, twin.detach()
