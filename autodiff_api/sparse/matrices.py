"""`jacobian` and `hessian` as sparse matrices, and the pattern they are computed by."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import func, levels
from ..arrays import Array
from ..errors import ArgumentError, ArgumentTypeError, BatchingError, DetachWarning, GradientError, OutputError
from ..func.calls import Call
from ..func.reverse import Tape
from ..modes import mode
from ..places import user_level
from ..values import is_array
from .coloring import Coloring, as_pattern, color, scipy_sparse
from .patterns import pattern_of

ROOM = 2**22  # numbers in the directions, or in the products, of passes that run at once

Function = Callable[..., Any]


def sparsity(f: Function, argnums: int = 0) -> Function:
    """Return a function that gives the pattern of the Jacobian of `f`: a sparse matrix of True.

    It has a row for each element of the result and a column for each of the argument, both in C order. `f` runs once,
    recorded, and the pattern is found in the graph: from what each operation does with elements, whatever their values.
    So what is not in it is zero wherever `f` runs the same operations, and what is in it may yet be zero: `where` has
    both its branches, an operation that is not known to keep elements apart mixes them all, and what `f` decides with
    a Python `if` is as it was here. Raises MissingExtraError without SciPy.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.sparse.sparsity(lambda x: x[1:] * x[:-1])(np.ones(4)).astype(int).toarray()
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    scipy_sparse()

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        return _Products(f, argnums, args, kwargs).pattern()

    return transformed


def jacobian(
    f: Function,
    sparsity: Any = None,
    *,
    coloring: Coloring | None = None,
    argnums: int = 0,
    chunk_size: int | None = None,
    check: bool = False,
) -> Function:
    """Return a function that gives the Jacobian of `f` as a sparse matrix, a `scipy.sparse.csr_array`.

    It has a row for each element of the result and a column for each of the argument `argnums`, both in C order.
    The pattern is found at each call, unless `sparsity` gives it: a matrix whose nonzeros include those of the
    Jacobian, such as :func:`sparsity` finds; or `coloring`, a pattern with its colours, as :func:`color` finds them.
    A pattern that lacks an entry gives a wrong matrix: with `check` one more pass along a random direction finds that
    out, and raises GradientError. By columns the passes go forward, by rows backward; they run at once, or `chunk_size`
    at a time: 1 is a plain loop, for operations that have no batching law.

    The matrix carries no gradient itself: an argument that requires grad brings a DetachWarning, and inside `jvp` or
    `vmap` there is no such matrix.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.sparse.jacobian(lambda x: x[1:] * x[:-1])(np.asarray([1.0, 2.0, 3.0])).toarray()
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    found = _prepared(sparsity, coloring, None, chunk_size)

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        products = _Products(f, argnums, args, kwargs)
        return products.matrix(found or color(products.pattern()), chunk_size, check)

    return transformed


def hessian(
    f: Function,
    sparsity: Any = None,
    *,
    coloring: Coloring | None = None,
    argnums: int = 0,
    chunk_size: int | None = None,
    check: bool = False,
) -> Function:
    """Return a function that gives the Hessian of `f`, which returns one number, as a sparse matrix.

    The pattern is that of the gradient, `ad.sparse.sparsity(ad.grad(f))`; each pass goes forward over reverse, and
    since the matrix is symmetric, fewer are needed than for a Jacobian. The rest is as for :func:`jacobian`.

    >>> import autodiff_api as ad, numpy as np
    >>> ad.sparse.hessian(lambda x: (x[1:] * x[:-1] ** 2).sum())(np.asarray([1.0, 2.0, 3.0])).toarray()
    array([[4., 2., 0.],
           [2., 6., 4.],
           [0., 4., 0.]])
    """
    found = _prepared(sparsity, coloring, "symmetric", chunk_size)
    slope = func.grad(f, argnums)

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        products = _Products(slope, argnums, args, kwargs)
        colors = found
        if colors is None:
            pattern = products.pattern()
            colors = color(pattern.multiply(pattern.T), "symmetric")  # what either half says is zero, is
        return products.matrix(colors, chunk_size, check)

    return transformed


def _prepared(pattern: Any, coloring: Any, by: str | None, chunk_size: int | None) -> Coloring | None:
    """Return the colouring that a user gave, or that of the pattern; None if it is to be found."""
    scipy_sparse()
    if chunk_size is not None and chunk_size < 1:
        raise ArgumentError(f"chunk_size={chunk_size}; it must be 1 or more")
    if coloring is not None and pattern is not None:
        raise ArgumentError("give sparsity or coloring, not both: a coloring has its pattern")
    if coloring is not None and not isinstance(coloring, Coloring):
        raise ArgumentTypeError(f"coloring: expected what ad.sparse.color gives, got {type(coloring).__name__}")
    if callable(pattern):
        raise ArgumentTypeError("sparsity: expected a matrix, got a function; ad.sparse.sparsity(f)(x) is one")
    return coloring if pattern is None else color(as_pattern(pattern), by)


class _Products:
    """A call of a function, its Jacobian's pattern, and its products with vectors."""

    def __init__(self, f: Function, argnums: int, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.call = Call("sparse", f, args, kwargs, argnums)
        if len(self.call.variables) != 1:
            raise ArgumentTypeError(
                f"sparse: argument {argnums} is a tree of {len(self.call.variables)} arrays; concatenate them to one"
            )
        self.x = self.call.variables[0].detach()
        self._refuse_complex(self.x, "argument")

    def _leave(self) -> None:
        """Say so where a matrix of numbers ends a derivative."""
        (x,) = self.call.variables
        if isinstance(x._value, Array):
            raise GradientError(
                "sparse: inside jvp or vmap an array is more than its numbers, which is all that a matrix of SciPy's "
                "holds; compute the matrix outside"
            )
        if x.requires_grad and mode().recording:
            warnings.warn(
                "sparse: the argument requires grad, and the gradient stops at a matrix of SciPy's. Use detach() to "
                "say so.",
                DetachWarning,
                stacklevel=user_level(),
            )

    def _refuse_complex(self, x: Any, what: str) -> None:
        if x._is_complex():
            raise ArgumentTypeError(f"sparse: the {what} is {x.dtype}; take its real and imaginary parts apart")

    def function(self, x: Any) -> Any:
        """Call the function with another argument, and see that it returns one real array."""
        y = self.call.run([x])
        if not is_array(y):
            raise OutputError(f"sparse: expected the function to return one array, got {type(y).__name__}")
        y = levels.lift(y, x._xp)
        self._refuse_complex(y, "result")
        return y

    def pattern(self) -> Any:
        """Record the function and return the pattern of its Jacobian."""
        tape = Tape(Call("sparse", self.function, (self.x,), {}, 0))
        return pattern_of(tape.outputs, tape.nodes)

    def forward(self, v: Any) -> Any:
        """Return the Jacobian's product with a vector."""
        return func.jvp(self.function, (self.x,), (v,))[1]

    def many(self, seeds: Any, by: str) -> Any:
        """Return the Jacobian's products with some vectors, or of the vectors with it, as rows of a NumPy array."""
        product, like = self.forward, self.x
        if by == "rows":
            like, pull = func.vjp(self.function, self.x)
            product = lambda v: pull(v)[0]  # noqa: E731
        if seeds.shape[1] != like.size:
            raise ArgumentError(
                f"sparse: the pattern has {seeds.shape[1]} {'rows' if by == 'rows' else 'columns'}, but the "
                f"{'result' if by == 'rows' else 'argument'} has {like.size} elements; they must agree"
            )
        vectors = like._xp.asarray(seeds.reshape(len(seeds), *like.shape), dtype=like.dtype, device=like.device)
        try:
            found = product(vectors[0])[None] if len(seeds) == 1 else func.vmap(product)(vectors)
        except BatchingError as error:
            error.add_note("ad.sparse: chunk_size=1 runs the passes one by one, and needs no batching")
            raise
        return found.numpy(force=True).reshape(len(seeds), -1)

    def matrix(self, colors: Coloring, chunk_size: int | None, check: bool) -> Any:
        """Run the passes, some at a time, and return the matrix of what they found."""
        self._leave()
        height, width = colors.pattern.shape
        passes, places = colors.shown
        order = np.argsort(passes, kind="stable")
        nonzeros = np.zeros(len(passes), dtype=self.x.numpy(force=True).dtype)
        step = chunk_size or max(1, ROOM // max(height, width, 1))
        for start in range(0, colors.count, step):
            stop = min(colors.count, start + step)
            found = self.many(colors.seeds(bool, start, stop), colors.by)
            if found.shape[1] != (width if colors.by == "rows" else height):
                raise ArgumentError(
                    f"sparse: the pattern is {height} x {width}, but a pass gave {found.shape[1]} elements"
                )
            here = order[slice(*np.searchsorted(passes, (start, stop), sorter=order))]
            nonzeros = nonzeros.astype(found.dtype, copy=False)
            nonzeros[here] = found[passes[here] - start, places[here]]
        result = colors.matrix(nonzeros)
        if check:
            self._check(result)
        return result

    def _check(self, matrix: Any) -> None:
        """Raise if the matrix does not do to a random direction what the function does."""
        v = np.random.default_rng(0).normal(size=(1, matrix.shape[1]))
        (expected,), found, size = self.many(v, "columns"), matrix @ v[0], abs(matrix) @ abs(v[0])
        wrong = np.abs(found - expected) > np.sqrt(np.finfo(expected.dtype).eps) * (size + np.abs(expected))
        if wrong.any():
            raise GradientError(
                f"sparse: the matrix is wrong in row {int(np.flatnonzero(wrong)[0])} ({int(wrong.sum())} rows in all): "
                "the pattern that was given lacks entries"
            )
