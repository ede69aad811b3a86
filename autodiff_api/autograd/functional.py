"""PyTorch's `torch.autograd.functional`: derivatives of functions of one tensor or a tuple of them.

The functions of :mod:`autodiff_api.func` do the same for any structure of arguments, and under each other. In all that
is here, `func` takes the tensors in `inputs` and returns a tensor or a tuple of them; results are detached unless
`create_graph` is true. With `strict`, an output or a gradient that does not depend on an input is an error; without it,
the derivative is zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import func as transforms
from ..errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from ..gradients import grad
from ..levels import home, lift
from ..modes import enable_grad
from ..tensors import Tensor
from ..trees import tree_map
from ..values import is_array

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

MODES = {"forward-mode": transforms.jacfwd, "reverse-mode": transforms.jacrev}


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """Return the Jacobian: for each output, and inside for each input, an array with the shapes of both.

    It is a tuple over the outputs if those are a tuple, and of tuples over the inputs if these are. `strategy` is
    "reverse-mode" or "forward-mode". All rows, or columns, are computed together, whatever `vectorize` says.

    >>> import autodiff_api as ad
    >>> ad.autograd.functional.jacobian(lambda x, y: x * y.sum(), (ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0])))
    (tensor([[7., 0.],
            [0., 7.]]), tensor([[1., 1.],
            [2., 2.]]))
    """
    problem = Problem("jacobian", func, inputs, create_graph, strict)
    return problem.finish(_mode("strategy", strategy)(problem.call, problem.argnums)(*problem.inputs))


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Return the Hessian of a function that gives one element: a tuple of tuples if `inputs` is a tuple.

    `outer_jacobian_strategy` is the mode of the second derivative; the first goes in reverse.

    >>> import autodiff_api as ad
    >>> ad.autograd.functional.hessian(lambda x: x.sum() * x[0], ad.tensor([1.0, 2.0]))
    tensor([[2., 1.],
            [1., 0.]])
    """
    problem = Problem("hessian", func, inputs, create_graph, strict, scalar=True)
    inner = transforms.jacrev(problem.call, problem.argnums)
    outer = _mode("outer_jacobian_strategy", outer_jacobian_strategy)
    return problem.finish(outer(inner, problem.argnums)(*problem.inputs))


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return `func(*inputs)`, and the product of `v`, built as the output, with the Jacobian.

    `v` may be left out where the output is one element.

    >>> import autodiff_api as ad
    >>> ad.autograd.functional.vjp(lambda x: x**2, ad.tensor([1.0, 2.0]), ad.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    problem = Problem("vjp", func, inputs, create_graph, strict)
    outputs, pull = transforms.vjp(problem.call, *problem.inputs)
    cotangents = _vector(v, outputs, "the user-provided function returns")
    product = pull(cotangents if isinstance(outputs, tuple) else cotangents[0])
    return problem.finish((outputs, problem.as_given(product)))


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return `func(*inputs)`, and the product of the Jacobian with `v`, built as `inputs`.

    `v` may be left out where the input is one element.

    >>> import autodiff_api as ad
    >>> ad.autograd.functional.jvp(lambda x: x**2, ad.tensor([1.0, 2.0]), ad.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    problem = Problem("jvp", func, inputs, create_graph, strict)
    return problem.finish(transforms.jvp(problem.call, problem.inputs, problem.tangents(v)))


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return `func(*inputs)`, which is one element, and the product of `v` with the Hessian, by two passes backward.

    >>> import autodiff_api as ad
    >>> ad.autograd.functional.vhp(lambda x: (x**3).sum(), ad.tensor([1.0, 2.0]), ad.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    return _second("vhp", func, inputs, v, create_graph, strict)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return `func(*inputs)`, which is one element, and the product of the Hessian with `v`, forward over reverse.

    >>> import autodiff_api as ad
    >>> ad.autograd.functional.hvp(lambda x: (x**3).sum(), ad.tensor([1.0, 2.0]), ad.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    return _second("hvp", func, inputs, v, create_graph, strict)


def _second(name: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool) -> Any:
    problem = Problem(name, func, inputs, create_graph, strict, scalar=True)
    value, product = getattr(transforms, name)(problem.call, problem.inputs, problem.tangents(v))
    return problem.finish((value.reshape(problem.shape), problem.as_given(product)))


class Problem:
    """A function and where it is differentiated: what these functions have in common."""

    def __init__(
        self, name: str, func: Callable[..., Any], inputs: Any, create: bool, strict: bool, scalar: bool = False
    ) -> None:
        self.name, self.func, self.create, self.scalar = name, func, create, scalar
        self.several = isinstance(inputs, tuple)
        given = _arrays(inputs, "inputs given to", name)
        self.inputs = given if create else tuple(x.detach() if isinstance(x, Tensor) else x for x in given)
        self.argnums = tuple(range(len(given))) if self.several else 0
        if strict:
            self.insist()

    def call(self, *args: Any) -> Any:
        """Call the function, and look at what it returns."""
        result = self.func(*args)
        outputs = _arrays(result, "outputs of the user-provided function given to", self.name)
        if not self.scalar:
            return result
        if isinstance(result, tuple):
            raise GradientError(f"The function given to {self.name} should return a single Tensor")
        if outputs[0].size != 1:
            raise GradientError(
                f"The Tensor returned by the function given to {self.name} should contain a single element, got shape "
                f"{tuple(outputs[0].shape)}"
            )
        self.shape = outputs[0].shape
        return outputs[0].reshape(())

    def tangents(self, v: Any) -> tuple[Any, ...]:
        """Return the vectors for the inputs."""
        return _vector(v, self.inputs if self.several else self.inputs[0], "the input to the user-provided function is")

    def as_given(self, found: Any) -> Any:
        """Return what was found for the inputs: bare if the input was."""
        return found if self.several else found[0]

    def finish(self, result: Any) -> Any:
        """Return a result without its history, unless it was asked for."""
        return result if self.create else tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, result)

    @enable_grad()
    def insist(self) -> None:
        """Raise an error if an output does not depend on an input or, where two derivatives are taken, a gradient."""
        xp = home(self.inputs)
        leaves = [lift(x, xp).detach().requires_grad_() for x in self.inputs]
        result = self.call(*leaves)
        for i, y in enumerate(result if isinstance(result, tuple) else (result,)):
            if not y.requires_grad:
                raise GradientError(
                    f"Output {i} of the user-provided function does not require gradients. The outputs must be "
                    "computed in a differentiable manner from the input when running in strict mode."
                )
            found = grad(y, leaves, xp.ones_like(y), create_graph=True, allow_unused=True)
            for j, g in enumerate(found):
                if g is None:
                    raise GradientError(
                        f"Output {i} of the user-provided function is independent of input {j}. This is not allowed in "
                        "strict mode."
                    )
                if self.scalar:
                    self.insist_on_second(j, g, leaves)

    def insist_on_second(self, j: int, g: Any, leaves: list[Any]) -> None:
        """Raise an error if a gradient depends on none of the inputs."""
        ones = g._xp.ones_like(g)
        again = grad(g, leaves, ones, retain_graph=True, allow_unused=True) if g.requires_grad else (None,)
        if all(h is None for h in again):
            raise GradientError(
                f"While computing the hessian, found that the jacobian of the user-provided function with respect to "
                f"input {j} is independent of the input. This is not allowed in strict mode."
            )


def _mode(argument: str, name: str) -> Callable[..., Any]:
    if name not in MODES:
        raise ArgumentError(f'Expected {argument} to be either "forward-mode" or "reverse-mode", got {name!r}')
    return MODES[name]


def _arrays(given: Any, what: str, name: str) -> tuple[Any, ...]:
    """Return one array or a tuple of them as a tuple."""
    must = f"The {what} {name} must be either a Tensor or a tuple of Tensors but"
    if not isinstance(given, tuple):
        if not is_array(given):
            raise ArgumentTypeError(f"{must} the given {what.split(' given')[0]} has type {type(given)}.")
        return (given,)
    for i, x in enumerate(given):
        if not is_array(x):
            raise ArgumentTypeError(f"{must} the value at index {i} has type {type(x)}.")
    return given


def _vector(v: Any, like: Any, where: str) -> tuple[Any, ...]:
    """Return `v` as a tuple that fits `like`; by default a one, where `like` is one element."""
    wanted = like if isinstance(like, tuple) else (like,)
    if v is None:
        if isinstance(like, tuple) or like.size != 1:
            raise GradientError(f"The vector v can only be None if {where} a single Tensor with a single element.")
        return (like.__array_namespace__().ones_like(like),)
    vectors = v if isinstance(v, tuple) else (v,)
    if len(vectors) != len(wanted):
        raise ShapeError(f"v is a tuple of invalid length: should be {len(wanted)} but got {len(vectors)}.")
    for i, (x, y) in enumerate(zip(vectors, wanted, strict=True)):
        if tuple(x.shape) != tuple(y.shape):
            place = f"Entry {i} in v" if isinstance(like, tuple) else "v"
            raise ShapeError(f"{place} has invalid size: should be {tuple(y.shape)} but got {tuple(x.shape)}.")
    return vectors
