"""`Function`: a user's own operation with its own derivative, PyTorch's way."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from ..errors import ArgumentTypeError, GradientError, GraphError
from ..graph import Edge
from ..modes import mode, no_grad
from ..tensors import Tensor
from . import applying
from .context import FunctionCtx
from .definition import Definition
from .nodes import refused
from .stacked import VmapInfo

__all__ = ["Function", "FunctionCtx", "VmapInfo", "once_differentiable"]


class Function:
    """Base of custom operations: subclass it, write static `forward` and `backward`, and call `apply`.

    Either `forward(ctx, *args)`, or `forward(*args)` with `setup_context(ctx, inputs, output)`. `backward(ctx, *grads)`
    gets a gradient for each output and returns one for each input (None for those that have none). What these methods
    compute is computed with tensors; `backward` that does so can be differentiated again.

    Under transformations every level sees the custom rule. Forward mode uses a static `jvp(ctx, *tangents)` if there
    is one, else the transpose of `backward`. vmap uses a static `vmap(info, in_dims, *args)` if there is one, which
    returns (output, out_dims), else maps `forward` and `backward` themselves.

    >>> import autodiff_api as ad
    >>> class Exp(ad.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         result = ad.exp(x)
    ...         ctx.save_for_backward(result)
    ...         return result
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (result,) = ctx.saved_tensors
    ...         return grad * result
    >>> x = ad.tensor([0.0, 1.0], requires_grad=True)
    >>> Exp.apply(x).sum().backward()
    >>> x.grad
    tensor([1.0000, 2.7183])
    """

    _defined: tuple[tuple[Any, ...], Definition]
    generate_vmap_rule = False  # (PyTorch's) here vmap works either way
    boxed_grads_call = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a function is applied by its class."""
        raise GraphError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            f"function with static forward method: {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs: a tensor, or a tuple of tensors and anything else. To be overridden."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save what backward needs, for a `forward` without `ctx`. To be overridden, or left out."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return the gradient of each input, given that of each output. To be overridden; `vjp` is another name."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Return the tangent of each output, given that of each input (None where there is none)."""
        raise NotImplementedError("jvp is not implemented.")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """Return (output, out_dims), given arguments with an axis more, at `in_dims` (None where there is none)."""
        raise NotImplementedError("vmap is not implemented.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the function on arguments and record it as one operation, called `<name>Backward` in the graph."""
        definition = cls._definition()
        if kwargs or (definition.setup is not None and len(args) != definition.arity):
            forward = (
                definition.forward if definition.setup is not None else functools.partial(definition.forward, None)
            )
            bound = inspect.signature(forward).bind(*args, **kwargs)
            if definition.setup is not None:
                bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        if kwargs:
            raise ArgumentTypeError(
                f"{cls.__name__}.apply() got keyword-only arguments {sorted(kwargs)}; backward returns a gradient by "
                "position, so let forward take them by position too"
            )
        return applying.call(definition, args).returned()

    @classmethod
    def _definition(cls) -> Definition:
        """Return what there is now: methods may be replaced at any time."""
        now = (
            cls.forward, cls.setup_context, cls.backward, cls.vjp, cls.jvp, cls.vmap, cls.boxed_grads_call,
            cls.generate_vmap_rule,
        )  # fmt: skip
        if "_defined" not in cls.__dict__ or cls._defined[0] != now:
            cls._defined = now, cls._define()
        return cls._defined[1]

    @classmethod
    def _define(cls) -> Definition:
        def own(name: str) -> Any:
            method = getattr(cls, name)
            return None if method is getattr(Function, name) else method

        backward = own("backward") or own("vjp") or cls.backward
        if own("backward") is not None and own("vjp") is not None and cls.vjp is not cls.backward:
            raise GradientError(
                f"{cls.__name__}: Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
                "should only implement one of them."
            )
        if cls.boxed_grads_call:
            backward = _boxed(backward)
        if cls.generate_vmap_rule and own("vmap") is not None:
            raise GraphError(
                f"{cls.__name__} has both generate_vmap_rule=True and an overridden vmap staticmethod. Please set "
                "generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid ambiguity."
            )
        return Definition(cls.__name__, cls.forward, own("setup_context"), backward, own("jvp"), own("vmap"))


def _boxed(backward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda ctx, *grads: backward(ctx, list(grads))


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `backward` whose own derivative is not known: going backward through it raises GraphError.

    It runs without recording. Under `create_graph=True` its gradients require grad, but refuse to be differentiated.

    >>> import autodiff_api as ad
    >>> class Double(ad.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, grad):
    ...         return 2 * grad
    >>> x = ad.tensor(3.0, requires_grad=True)
    >>> (g,) = ad.autograd.grad(Double.apply(x), x, create_graph=True)
    >>> g
    tensor(2., grad_fn=<Error>)
    """

    @functools.wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        message = (
            "trying to differentiate twice a function that was marked with @once_differentiable: "
            f"{ctx.name()}; remove the mark if its backward computes with tensors throughout"
        )
        given = [x for x in (*grads, *ctx.saved_tensors) if isinstance(x, Tensor)]
        if any(_moves_below(x) for x in given):
            raise GraphError(message)
        with no_grad():
            found = backward(ctx, *grads)
        if not ctx._create or not mode().recording:
            return found
        node = ctx._node()
        edges = [x._node for x in given if x._node is not None]
        if node is not None:
            edges += [edge for edge in node.edges if isinstance(edge, Edge)]
        outputs = refused(message, found if isinstance(found, tuple) else (found,), dict.fromkeys(edges))
        return outputs if isinstance(found, tuple) else outputs[0]

    return once


def _moves_below(x: Any) -> bool:
    """Tell whether a tensor's value has a tangent, or a history on a level below."""
    while isinstance(x, Tensor) or hasattr(type(x), "_xp"):
        x = x._value
        if getattr(x, "_tangent", None) is not None:
            return True
        if isinstance(x, Tensor) and x._node is not None and mode().recording:
            return True
    return False
