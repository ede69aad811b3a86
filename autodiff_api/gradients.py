"""`backward` and `grad`: seeds in, one walk, gradients out, all of them or none.

A walk computes every gradient before any `.grad` changes, so an exception on the way (a kernel that fails, a
hook that raises, Ctrl-C) leaves every tensor as it was. Only a leaf with a post-accumulate hook is committed
early, as soon as its own gradient is complete: that is what such a hook is for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap
from typing import Any

from .errors import DeviceMismatchError, GradientError, HookError
from .graph import Edge, Leaf, hooks_of, sharers
from .modes import MODE, mode, no_grad, replace_mode
from .walks import Walk, laid_out

_commit_lock = threading.RLock()


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` to the `.grad` of the leaves they came from.

    `tensors` is a tensor or a sequence; `grad_tensors` the cotangents, of the same shapes (None for a tensor
    of one real element means 1). `inputs` limits accumulation to these tensors, which may be non-leaves.
    Raises GradientError for what has no gradient; an exception changes no `.grad`.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([2.0, 3.0], requires_grad=True)
    >>> ad.autograd.backward((x * x).sum())
    >>> x.grad
    tensor([4., 6.])
    """
    roots = _sequence(tensors)
    targets = None if inputs is None else _sequence(inputs)
    if targets is not None and not targets:
        raise GradientError("inputs argument to backward() cannot be empty; leave it out to reach every leaf")
    wanted = None if targets is None else [_node_of(x, "inputs") for x in targets]
    walk = Walk(
        _keep(retain_graph, create_graph),
        create_graph,
        wanted,
        lambda leaf, t: _finish(leaf, t, create_graph),
    )
    found = _run(walk, roots, grad_tensors)
    owners: list[tuple[Any, Any]] = [*walk.retained]
    for node, t in found.items():
        if node.__class__ is Leaf:
            owners.append((node.tensor(), t))
    if targets is not None:
        inner = [x for x in targets if x._node in found and not x.is_leaf]
        owners += [(x, laid_out(found[x._node], x._value, x._xp._backend)) for x in inner]
    t = None
    found.clear()
    accumulate(owners, create_graph)
    walk.freed.done = True


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """Return the gradients of `outputs` with respect to `inputs`; no `.grad` is touched.

    Returns a tuple in the order of `inputs`, or a dict for a dict. An input that no output depends on is an
    error unless `allow_unused`, which gives None for it, or `materialize_grads`, which gives zeros. With
    `is_grads_batched`, `grad_outputs` and the gradients have one more axis, first: many passes in one.

    >>> import autodiff_api as ad
    >>> x = ad.tensor(3.0, requires_grad=True)
    >>> (g,) = ad.autograd.grad(x**3, x, create_graph=True)
    >>> ad.autograd.grad(g, x)
    (tensor(18.),)
    """
    if isinstance(inputs, Mapping):
        values = list(inputs.values())
        options = retain_graph, create_graph, allow_unused, is_grads_batched, materialize_grads
        return dict(zip(inputs, grad(outputs, values, grad_outputs, *options), strict=True))
    if materialize_grads and allow_unused is False:
        raise ValueError("materialize_grads=True makes zeros for unused inputs: leave allow_unused out")
    targets = _sequence(inputs)
    if not targets:
        raise GradientError("inputs argument to grad() cannot be empty")
    roots = _sequence(outputs)
    nodes = [_node_of(x, "inputs") for x in targets]
    over = _batched_over(roots, create_graph) if is_grads_batched else None
    walk = Walk(_keep(retain_graph, create_graph), create_graph, nodes, over=over)
    found = _run(walk, roots, grad_outputs)
    many = (next(n for t in _sequence(grad_outputs) for n in getattr(t, "shape", ())[:1]),) if over is not None else ()
    results = []
    for x in targets:
        t = found.get(x._node)
        if t is not None:
            t = laid_out(t, x._value, x._xp._backend)
            if over is not None:
                t = t._value if t._hidden else over._lower.broadcast_to(t._value, (*many, *t.shape))
            results.append(t if create_graph else x._xp.array_class._make(t))
        elif materialize_grads:
            results.append(x._xp.zeros((*many, *x.shape), dtype=x.dtype) if many else x._xp.zeros_like(x))
        elif allow_unused:
            results.append(None)
        else:
            raise GradientError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
    walk.freed.done = True
    return tuple(results)


def accumulate(owners: list[tuple[Any, Any]], create: bool) -> None:
    """Add cotangents to the `.grad` of tensors: first compute all sums, then store all of them. The list is emptied.

    A leaf's sum goes into the same `.grad` object, except when the pass was recorded. Storing is one call into
    C, so that a signal can't come between two stores.
    """
    with _commit_lock:
        sums: dict[int, Any] = {}  # by id of the `.grad`: two leaves may have been given the same one
        stores: list[tuple[Any, str, Any]] = []
        owners.reverse()
        while owners:
            tensor, t = owners.pop()
            if tensor is None:  # the leaf's tensor is gone, and nobody can ask for its gradient
                continue
            old, make = tensor._grad_or_none(), tensor._xp.array_class._make
            if create:
                stores.append((tensor, "_grad", t if old is None else old + t))
            elif old is None:
                stores.append((tensor, "_grad", make(t)))
            elif not tensor.is_leaf:
                stores.append((tensor, "_grad", make(old._value + t)))
            else:
                last, one = sums.get(id(old), old._value), [t]
                t = None
                # Popped, it is held by nobody else, if it was unshared: NumPy then adds to large ones in place.
                total = sums[id(old)] = one.pop() + last
                stores += [(twin, "_value", total) for twin in sharers(old)]
        deque(starmap(setattr, stores), maxlen=0)


def _finish(leaf: Leaf, t: Any, create: bool) -> None:
    tensor = leaf.tensor()
    if tensor is None:
        return
    accumulate([(tensor, t)], create)
    with no_grad():
        for hook in list(hooks_of(leaf).after.values()):
            if hook(tensor) is not None:
                raise HookError("a post-accumulate-grad hook returned a value; it must return None")


def _run(walk: Walk, roots: Sequence[Any], grad_tensors: Any) -> dict[Edge, Any]:
    cotangents = _sequence(grad_tensors) if grad_tensors is not None else (None,) * len(roots)
    if len(cotangents) != len(roots):
        raise GradientError(f"got {len(roots)} tensors and {len(cotangents)} gradients; pass one for each (or None)")
    seeds = [
        (node, _seed(i, x, t, walk.create, walk.over))
        for i, (x, t) in enumerate(zip(roots, cotangents, strict=True))
        if (node := _root_node(i, x)) is not None
    ]
    if not seeds:
        return {}
    token = MODE.set(replace_mode(mode(), recording=True)) if walk.create else None
    try:
        with roots[0]._xp._quiet():
            return walk.run(seeds)
    finally:
        if token is not None:
            MODE.reset(token)


def _root_node(i: int, x: Any) -> Edge:
    node: Edge | None = getattr(x, "_node", None)
    if node is None:
        raise GradientError(
            f"element {i} of tensors does not require grad and does not have a grad_fn; nothing that it was "
            "computed from requires grad, or it was computed under no_grad"
        )
    return node


def _batched_over(roots: Sequence[Any], create: bool) -> Any:
    """Return the namespace of arrays with a hidden axis that many cotangents are carried back in."""
    xp = roots[0]._xp
    return xp._over("batched") if create else xp._beside("batched")


def _seed(i: int, x: Any, t: Any, create: bool, over: Any) -> Any:
    xp, value = x._xp, x._value
    if t is None and over is not None:
        raise GradientError(
            f"is_grads_batched=True needs grad_outputs for every output, and there is none for output {i}"
        )
    if t is None:
        if x.size != 1:
            raise GradientError(
                "grad can be implicitly created only for scalar outputs, but got an output of shape "
                f"{tuple(x.shape)}; pass gradient=, or reduce it first, for example with .sum()"
            )
        if x.dtype in xp._lower.complexes:  # isdtype asks NumPy at length: a tenth of a small step of training
            raise GradientError(
                f"grad can be implicitly created only for real scalar outputs but got {x.dtype}; pass gradient="
            )
        seed = xp._lower.ones_like(value)
        return xp.array_class._make(seed) if create else seed
    t = t if isinstance(t, xp.array_class) else xp.asarray(t)
    if over is not None and not t.shape:
        raise GradientError(f"is_grads_batched=True: grad_output[{i}] has no axis for the many")
    if tuple(t.shape[1:] if over is not None else t.shape) != tuple(x.shape):
        raise GradientError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {tuple(t.shape)} and output[{i}] has a shape of "
            f"{tuple(x.shape)}."
        )
    if t.dtype != x.dtype:
        if xp.isdtype(t.dtype, "complex floating") and not xp.isdtype(x.dtype, "complex floating"):
            raise GradientError(
                f"grad_output[{i}] is {t.dtype} but output[{i}] is {x.dtype}; a real output has a real gradient"
            )
        t = xp.astype(t, x.dtype)
    if over is None and None not in (t.device, x.device) and t.device != x.device:
        _check_device(i, x, t)
    t = t if create else t._value
    return t if over is None else over.array_class._make(t, True)


def _check_device(i: int, x: Any, t: Any) -> None:
    """Raise for a cotangent that an engine can't compute with, where the output is; some arrays go with all."""
    try:
        x._xp._lower.add(x._value, t._value)
    except (RuntimeError, ValueError) as error:
        raise DeviceMismatchError(
            f"grad_output[{i}] is on device {t.device} and output[{i}] on {x.device}; move it there with "
            "gradient.to_device(output.device)"
        ) from error


def _node_of(x: Any, where: str) -> Edge:
    node: Edge | None = getattr(x, "_node", None)
    if node is None:
        raise GradientError(
            f"One of the differentiated Tensors does not require grad ({where}: {type(x).__name__}); "
            "set requires_grad=True on it before the computation"
        )
    return node


def _keep(retain_graph: bool | None, create_graph: bool) -> bool:
    return create_graph if retain_graph is None else retain_graph


def _sequence(x: Any) -> Sequence[Any]:
    if isinstance(x, (list, tuple)):
        return x
    # An array is asked for its shape first: to ask whether it is Iterable takes longer.
    return (x,) if hasattr(x, "shape") or not isinstance(x, Iterable) else tuple(x)
