"""Functions behind layers: `linear`, `layer_norm`, `dropout`, `one_hot`."""

from __future__ import annotations

from collections.abc import Sequence

from autodiff_api.errors import ArgumentError, ArgumentTypeError, ShapeError
from autodiff_api.namespaces import Namespace
from autodiff_api.random import Generator, default_generator, drawn

from .common import Array, as_index, is_real_floating, namespace_of, refuse_where
from .special import network


def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """Return input @ weight.mT + bias.

    Shapes: input (..., in), weight (out, in) or (in,), bias (out,) or ().

    >>> import autodiff_api as ad
    >>> linear(ad.tensor([1.0, 2.0]), ad.tensor([[1.0, 1.0], [0.0, 3.0]]), ad.tensor([0.5, 0.5]))
    tensor([3.5, 6.5])
    """
    xp = namespace_of(input, "linear")
    shape = weight.shape
    plain = len(shape) == 2 and input.shape[-1:] == shape[1:] and isinstance(xp, Namespace)
    if plain and (bias is None or getattr(bias, "shape", None) == shape[:1]):
        return xp.nn.linear(input, weight, bias)
    product = xp.matmul(input, weight if weight.ndim == 1 else weight.mT)
    return product if bias is None else product + bias


def layer_norm(
    input: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-05,
) -> Array:
    """Return `input` with mean 0 and variance 1 over its last axes, times `weight`, plus `bias`.

    `normalized_shape` is the shape of those axes, and of `weight` and `bias`; the variance is the biased one, and
    `eps` is added to it. float16 is computed in float32. Raises `ShapeError` where a shape differs, and
    `ArgumentTypeError` for what is not real floating.

    >>> import autodiff_api as ad
    >>> layer_norm(ad.tensor([[1.0, 3.0], [0.0, 8.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    check_normalized(input, shape, weight, bias)
    if getattr(input.dtype, "itemsize", 4) < 4:
        xp = namespace_of(input, "layer_norm")
        single = [None if x is None else xp.astype(x, xp.float32) for x in (input, weight, bias)]
        return xp.astype(layer_norm(single[0], shape, single[1], single[2], eps), input.dtype)
    if weight is not None:
        return network("layer_norm", input, "layer_norm")(input, weight, bias, len(shape), eps)
    out = network("normalize", input, "layer_norm")(input, len(shape), eps)
    return out if bias is None else out + bias


def check_normalized(input: Array, shape: tuple[int, ...], weight: Array | None, bias: Array | None) -> None:
    """Refuse what `layer_norm` can't normalise."""
    xp = namespace_of(input, "layer_norm")
    if not is_real_floating(xp, input.dtype):
        raise ArgumentTypeError(
            f"layer_norm() needs a real floating-point tensor, got {input.dtype}. Convert it with .float()."
        )
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            f"got input of size {list(input.shape)} in layer_norm(). It names the last axes of the input, one at least."
        )
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None and tuple(x.shape) != shape:
            raise ShapeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(x.shape)} "
                f"and normalized_shape = {list(shape)} in layer_norm(). Reshape it."
            )


def dropout(input: Array, p: float = 0.5, training: bool = True, *, generator: Generator | None = None) -> Array:
    """Zero each element with probability `p` and scale the others by 1 / (1 - p).

    Returns `input` itself when not `training`. The mask is drawn on the host from `generator`, the default
    one if none is given: under a JAX trace it becomes a constant of the compiled program, the same at
    every call. Where that matters draw a mask outside and pass it in as an argument.

    >>> import autodiff_api as ad
    >>> dropout(ad.ones(5), p=0.5, generator=ad.Generator(0))
    tensor([2., 0., 0., 0., 2.])
    """
    check_probability(p)
    if not training or p == 0:
        return input
    xp = namespace_of(input, "dropout")
    source, scale = generator or default_generator, 0.0 if p == 1 else 1 / (1 - p)
    mask = drawn(xp, lambda shape: (source.random(shape) >= p) * scale, input.shape, input.dtype, input.device)
    return input * mask


def check_probability(p: float) -> None:
    """Refuse a probability of dropout outside [0, 1]."""
    if not 0 <= p <= 1:
        raise ArgumentError(
            f"dropout probability has to be between 0 and 1, but got {p}. 0 keeps everything, 1 nothing."
        )


def one_hot(input: Array, num_classes: int = -1) -> Array:
    """Return an array of 0s with a 1 where the last, new axis equals the class.

    `input` has an integer dtype, which the result keeps, and any shape. `num_classes=-1` takes the
    largest class plus one, which needs values: not possible in a compiled function.
    Raises `ArgumentIndexError` for a class outside [0, num_classes); where no values can be seen the row
    is all 0s.

    >>> import autodiff_api as ad
    >>> one_hot(ad.tensor([0, 2]), num_classes=3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    xp = namespace_of(input, "one_hot")
    index = as_index(input, "one_hot")
    if num_classes == -1:
        num_classes = int(xp.max(index)) + 1
    refuse_where(index < 0, "Class values must be non-negative in one_hot(). Check the labels.")
    refuse_where(
        index >= num_classes,
        f"Class values must be smaller than num_classes={num_classes} in one_hot(). "
        "Raise num_classes or check the labels.",
    )
    classes = xp.arange(num_classes, dtype=index.dtype, device=input.device)
    return xp.astype(xp.expand_dims(index, axis=-1) == classes, input.dtype)
