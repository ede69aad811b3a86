"""Whole Jacobians and Hessians: many tangents or cotangents in one pass, as arrays with a hidden axis.

An entry is the derivative of one output element by one input element. Where both are complex it is f'(z) of a
holomorphic f; the entry of a real output by a complex input is its gradient, in the conjugate convention, and the
others follow: `jacfwd` and `jacrev` agree for every function.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ArgumentError
from ..modes import mode
from ..namespaces import Namespace
from ..trees import unflatten
from .calls import Argnums, Call, ones_like
from .forward import Moving, jvp
from .reverse import Reach, Tape, grad_and_value, value_and_grad, vjp, walk_back


def pieces(n: int, chunk_size: int | None) -> Iterator[tuple[int, int]]:
    """Yield where each chunk of n directions begins and ends."""
    if chunk_size is not None and chunk_size < 1:
        raise ArgumentError(f"chunk_size={chunk_size}; it must be 1 or more")
    step = chunk_size or max(n, 1)
    for start in range(0, max(n, 1), step):
        yield start, min(start + step, n)


def units(xp: Any, like: Any, rows: tuple[int, int], at: int, turned: int | None) -> Any:
    """Return part of the basis of the space of `like`: row r has a one for element r - at.

    If `turned` is given, row r also has an i for element r - turned: complex numbers have two directions.
    """
    count, n = rows[1] - rows[0], math.prod(like.shape)
    where = {"device": like.device} if like.device is not None else {}
    eye = xp.eye(count, n, k=rows[0] - at, dtype=like.dtype, **where)
    if turned is not None:
        eye = eye + xp.eye(count, n, k=rows[0] - turned, dtype=like.dtype, **where) * 1j
    return xp.reshape(eye, (count, *like.shape))


def directions(x: Any, both: bool) -> int:
    """Return how many directions the space of `x` has; complex elements have two if `both` are wanted."""
    n: int = math.prod(x.shape)
    return 2 * n if both and x._is_complex() else n


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """Return the Jacobian of `func` as a function, by forward mode: best where there are fewer inputs than outputs.

    Each entry of the result has the shape of an output followed by that of an input, in the structure of the outputs
    and, inside it, of the arguments that `argnums` names. With `has_aux` it comes as `(jacobian, aux)`. `chunk_size`
    limits how many directions go forward at once. Raw arrays in, raw arrays out.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.jacfwd(lambda x: x**2)(np.asarray([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        call = Call("jacfwd", func, args, kwargs, argnums)
        xp, variables = call.xp, call.variables
        sizes = [directions(x, both=True) for x in variables]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        make = xp._over("batched").array_class._make
        parts = []
        for rows in pieces(sum(sizes), chunk_size):
            tangents = [
                make(units(xp, x, rows, start, start + math.prod(x.shape) if x._is_complex() else None), True)
                for x, start in zip(variables, starts, strict=True)
            ]
            moving = Moving(call, "duals", tangents, has_aux)
            parts.append(
                [_whole(t, y, rows[1] - rows[0], xp) for t, y in zip(moving.moved, moving.values, strict=True)]
            )
        columns = [xp.concat(group) if len(group) > 1 else group[0] for group in zip(*parts, strict=True)]
        entries = [
            call.chosen(
                [call.finish(_column(t[a : a + n], x, xp)) for x, a, n in zip(variables, starts, sizes, strict=True)]
            )
            for t in columns
        ]
        result = unflatten(moving.tree, entries)
        return (result, moving.passed_on(call.finish)) if has_aux else result

    return transformed


def _whole(t: Any, y: Any, n: int, xp: Namespace) -> Any:
    """Return tangents with their hidden axis in sight, zeros where an output does not move."""
    if t is None:
        return xp.zeros((n, *y.shape), dtype=y.dtype)
    return t._value if t._hidden else xp.broadcast_to(t._value, (n, *y.shape))


def _column(t: Any, x: Any, xp: Namespace) -> Any:
    """Return the entries by `x`, given the tangents along each of its directions."""
    if not t._is_float():  # of what can't move
        t = xp.astype(t, x.dtype)
    elif x._is_complex():
        n = math.prod(x.shape)
        along, across = t[:n], t[n:]
        t = xp.real(along) - 1j * xp.real(across) if t._is_complex() else along + 1j * across
    return xp.reshape(xp.moveaxis(t, 0, -1), (*t.shape[1:], *x.shape))


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """Return the Jacobian of `func` as a function, by reverse mode: best where there are fewer outputs than inputs.

    `func` runs once, and all rows go back together. `chunk_size` limits how many do. The rest is as for
    :func:`jacfwd`.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.jacrev(lambda x: x**2)(np.asarray([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        call = Call("jacrev", func, args, kwargs, argnums)
        tape = Tape(call, has_aux)
        outside = tape.outside()
        last = len(tape.outputs) - 1
        entries = []
        for i, y in enumerate(tape.outputs):
            rows = _rows(tape, y, outside, i < last, chunk_size)
            entries.append(call.chosen([call.finish(g) for g in rows]))
        result = unflatten(tape.tree, entries)
        return (result, tape.aux) if has_aux else result

    return transformed


def _rows(tape: Tape, y: Any, outside: Reach, keep: bool, chunk_size: int | None) -> list[Any]:
    """Return the entries of one output, by each variable."""
    xp = tape.xp
    if y._node is None:
        return [xp.zeros((*y.shape, *x.shape), dtype=_entry_dtype(y, x, xp)) for x in tape.sources]
    both = y._is_complex() and not all(x._is_complex() for x in tape.sources)
    n = directions(y, both)
    create = outside.history and mode().recording
    over = xp._over("batched") if create else xp._beside("batched")
    lower = xp if create else xp._lower
    parts = []
    spans = list(pieces(n, chunk_size))
    for rows in spans:
        kept = keep or rows is not spans[-1]
        like = y if create else _Lower(y)
        seed = units(lower, like, rows, 0, math.prod(y.shape) if both else None)
        parts.append(_pulled(tape, y, seed, over, outside, kept, create))
    joined = [xp.concat(group) if len(group) > 1 else group[0] for group in zip(*parts, strict=True)]
    return [_row(g, x, y, both, xp) for g, x in zip(joined, tape.sources, strict=True)]


class _Lower:
    """What `units` wants to know of an output, when it makes raw arrays."""

    def __init__(self, y: Any) -> None:
        self.shape, self.dtype, self.device = y.shape, y.dtype, y.device


def _pulled(tape: Tape, y: Any, seed: Any, over: Any, outside: Reach, keep: bool, create: bool) -> list[Any]:
    """Carry many cotangents back at once; return tensors with an axis for them first."""
    xp, n = tape.xp, seed.shape[0]
    if n == 1:  # one row is no many
        over, cotangent = None, (xp if create else xp._lower).reshape(seed, y.shape)
    else:
        cotangent = over.array_class._make(seed, True)
    found = walk_back(xp, [y], [cotangent], tape.nodes if outside.others else None, keep, create, over)
    make, rows = xp.array_class._make, []
    for x, node in zip(tape.sources, tape.nodes, strict=True):
        g = found.get(node)
        if g is None:
            rows.append(xp.zeros((n, *x.shape), dtype=x.dtype))
            continue
        hidden = over is not None and g._hidden
        value = g if over is None else g._value
        value = value if create else make(value)
        rows.append(value if hidden else xp.broadcast_to(value, (n, *x.shape)))
    return rows


def _row(g: Any, x: Any, y: Any, both: bool, xp: Namespace) -> Any:
    """Return the entries by `x`, given its cotangents from each direction of `y`."""
    if y._is_complex():
        m = math.prod(y.shape)
        if x._is_complex():
            g = xp.conj(g[:m])
        elif both:
            g = g[:m] + 1j * g[m:]
    return xp.reshape(g, (*y.shape, *x.shape))


def _entry_dtype(y: Any, x: Any, xp: Namespace) -> Any:
    return xp.result_type(y, x) if y._is_float() else x.dtype


def hessian(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return the Hessian of `func` as a function: forward over reverse, in one pass.

    `func` may have any output; entries have its shape, then twice that of the arguments that `argnums` names.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.hessian(lambda x: (x**3).sum())(np.asarray([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums, has_aux), argnums, has_aux)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None) -> tuple[Any, Any]:
    """Return `func(*inputs)` and the product of its Hessian with `v`, by forward over reverse.

    `inputs` is one argument, or a tuple of them, `v` is built alike; it may be left out for one element. The output is
    one real element. The cost is a few times that of `func`, whatever the size of the Hessian.

    >>> import autodiff_api as ad, numpy as np
    >>> y, product = ad.hvp(lambda x: (x**3).sum(), np.asarray([1.0, 2.0]), np.asarray([1.0, 10.0]))
    >>> product
    array([  6., 120.])
    """
    primals, vectors = _pair("hvp", inputs, v)
    both = value_and_grad(func, tuple(range(len(primals))))
    (value, _), (_, product) = jvp(both, primals, vectors)
    return value, product if isinstance(inputs, tuple) else product[0]


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None) -> tuple[Any, Any]:
    """Return `func(*inputs)` and the product of `v` with its Hessian, by reverse over reverse.

    The arguments are those of :func:`hvp`, which is faster.

    >>> import autodiff_api as ad, numpy as np
    >>> y, product = ad.vhp(lambda x: (x**3).sum(), np.asarray([1.0, 2.0]), np.asarray([1.0, 10.0]))
    >>> product
    array([  6., 120.])
    """
    primals, vectors = _pair("vhp", inputs, v)
    _, pull, value = vjp(grad_and_value(func, tuple(range(len(primals)))), *primals, has_aux=True)
    product = pull(vectors)
    return value, product if isinstance(inputs, tuple) else product[0]


def _pair(name: str, inputs: Any, v: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    primals = inputs if isinstance(inputs, tuple) else (inputs,)
    if v is None:
        if len(primals) != 1 or getattr(primals[0], "shape", ()) not in ((), (1,)):
            raise ArgumentError(f"{name}: v may be left out only for one input of one element; give it as `inputs`")
        return primals, (ones_like(primals[0]),)
    return primals, v if isinstance(inputs, tuple) else (v,)
