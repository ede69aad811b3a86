"""Seeded random numbers: the same seed gives the same numbers on every backend.

The numbers are drawn on the host by NumPy's PCG64 and then placed on the backend and device asked for. A function
that `ad.compile` compiles draws anew at each call, as it does uncompiled. Inside `jax.jit` itself they are constants of
the compiled program, the same at every call: there draw outside and pass them in as arguments.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from operator import index
from typing import Any, TypeAlias

import numpy as np

from autodiff_api import levels
from autodiff_api.binding import namespace
from autodiff_api.errors import ArgumentError, ArgumentTypeError
from autodiff_api.tensors import Tensor

__all__ = [
    "Generator",
    "default_generator",
    "initial_seed",
    "manual_seed",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
]

Shape: TypeAlias = int | Sequence[int]
HostArray: TypeAlias = "np.ndarray[Any, Any]"
Numbers: TypeAlias = "Callable[[tuple[int, ...]], HostArray]"
Draw: TypeAlias = "Callable[[Generator, tuple[int, ...], float, int], HostArray]"


class Generator:
    """A seeded source of random numbers on the host; draws NumPy arrays.

    Without a seed the operating system chooses one. Generators can be pickled and copied, and are safe
    to share between threads (which thread gets which numbers is then a matter of timing).

    >>> Generator(0).random(2)
    array([0.63696169, 0.26978671])
    """

    def __init__(self, seed: int | None = None) -> None:
        self.manual_seed(secrets.randbits(63) if seed is None else seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed` and return the generator itself.

        Raises `ArgumentTypeError` for anything but an integer.
        """
        try:
            self._seed = index(seed) % 2**64  # as PyTorch: -1 is the largest seed
        except TypeError:
            raise ArgumentTypeError(
                f"manual_seed() expected an integer, got {type(seed).__name__}. Pass a seed such as 0."
            ) from None
        self._source = np.random.Generator(np.random.PCG64(self._seed))
        return self

    def seed(self) -> int:
        """Start again from a seed that the operating system chooses, and return it."""
        return self.manual_seed(secrets.randbits(63)).initial_seed()

    def initial_seed(self) -> int:
        """Return the seed that the generator last started from."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """Return the state, which `set_state` takes; a dictionary that can be pickled.

        >>> generator = Generator(0)
        >>> state = generator.get_state()
        >>> first = generator.random(3)
        >>> generator.set_state(state)
        >>> bool((generator.random(3) == first).all())
        True
        """
        return {"seed": self._seed, "source": deepcopy(dict(self._source.bit_generator.state))}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of `get_state`."""
        try:
            seed, source = state["seed"], state["source"]
            self._source.bit_generator.state = source
        except (KeyError, TypeError, ValueError) as error:
            raise ArgumentError(
                f"set_state() needs what get_state() returned, unchanged; got something else ({error})."
            ) from error
        self._seed = seed

    def random(self, shape: Shape = ()) -> HostArray:
        """Draw float64 numbers from [0, 1)."""
        return np.asarray(self._source.random(shape))

    def standard_normal(self, shape: Shape = ()) -> HostArray:
        """Draw float64 numbers from the standard normal distribution."""
        return np.asarray(self._source.standard_normal(shape))

    def integers(self, low: int, high: int, shape: Shape = ()) -> HostArray:
        """Draw int64 numbers from [low, high)."""
        return np.asarray(self._source.integers(low, high, shape))

    def permutation(self, n: int) -> HostArray:
        """Draw an order of the int64 numbers 0 to n - 1."""
        return self._source.permutation(n)


default_generator = Generator()
"""What draws where no `generator=` is given."""


def manual_seed(seed: int) -> Generator:
    """Start the default generator again from `seed`, and return it.

    >>> import autodiff_api as ad
    >>> _ = ad.manual_seed(0)
    >>> ad.rand(3)[1:]
    tensor([0.2698, 0.0410])
    """
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """Return the seed that the default generator last started from."""
    return default_generator.initial_seed()


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw a tensor of numbers from [0, 1).

    `size` is one integer per axis or one sequence of them. The backend is the default one; `dtype`, real
    or complex floating, defaults to its default. Complex numbers have both parts in [0, 1).

    >>> import autodiff_api as ad
    >>> ad.rand(2, 3).shape, ad.rand((2, 3)).shape
    ((2, 3), (2, 3))
    """
    shape = _shape(size, "rand")
    return _floats(namespace(), "rand", _uniform, generator, shape, dtype, device, requires_grad)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw a tensor of standard normal numbers; arguments as for `rand`.

    Complex numbers have variance 1 too, half in each part.

    >>> import autodiff_api as ad
    >>> ad.randn(2, generator=ad.Generator(0))
    tensor([ 0.1257, -0.1321])
    """
    shape = _shape(size, "randn")
    return _floats(namespace(), "randn", _normal, generator, shape, dtype, device, requires_grad)


def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw numbers from [0, 1) with the shape, dtype, backend and device of `input`."""
    return _like(input, "rand_like", _uniform, generator, dtype, device, requires_grad)


def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw standard normal numbers with the shape, dtype, backend and device of `input`."""
    return _like(input, "randn_like", _normal, generator, dtype, device, requires_grad)


def randint(
    low: int = 0,
    high: Any = None,
    size: Shape | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw a tensor of integers from [low, high); `randint(high, size)` starts at 0.

    `dtype` defaults to the backend's default integer. Raises `ArgumentError` for an empty range.

    >>> import autodiff_api as ad
    >>> ad.randint(10, (3,), generator=ad.Generator(0))
    tensor([8, 6, 5])
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise ArgumentTypeError("randint() got no size. Call randint(low, high, size).")
    if low >= high:
        raise ArgumentError(
            f"randint() expects 'low' to be less than 'high', but got low={low} >= high={high}. "
            "The upper bound itself is never drawn."
        )
    source, shape = generator or default_generator, _shape((size,), "randint")
    return _integers(lambda shape: source.integers(low, high, shape), shape, dtype, device, requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Draw an order of the numbers 0 to n - 1, as a 1-D tensor of the backend's default integer.

    >>> import autodiff_api as ad
    >>> ad.randperm(4, generator=ad.Generator(0))
    tensor([2, 0, 1, 3])
    """
    if n < 0:
        raise ArgumentError(f"randperm() got n={n}. The number of elements cannot be negative.")
    source = generator or default_generator

    def draw(shape: tuple[int, ...]) -> HostArray:
        orders = [source.permutation(n) for _ in range(math.prod(shape[:-1]))]
        return np.asarray(orders).reshape(shape)

    return _integers(draw, (n,), dtype, device, requires_grad)


def _like(
    input: Tensor,
    name: str,
    draw: Draw,
    generator: Generator | None,
    dtype: Any,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    """Return drawn numbers in the likeness of `input`, except for what is given."""
    if not isinstance(input, Tensor):
        raise ArgumentTypeError(
            f"{name}() needs a tensor, got {type(input).__name__}. Use {name.removesuffix('_like')}(shape)."
        )
    xp = input.__array_namespace__()
    dtype = input.dtype if dtype is None else dtype
    device = input.device if device is None else device
    return _floats(xp, name, draw, generator, input.shape, dtype, device, requires_grad)


def _floats(
    xp: Any,
    name: str,
    draw: Draw,
    generator: Generator | None,
    shape: tuple[int, ...],
    dtype: Any,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    """Return drawn numbers as a floating-point tensor; the parts of complex ones are two draws."""
    if dtype is None:
        dtype = _default_dtype(xp, "real floating", device)
    elif not xp.isdtype(dtype, ("real floating", "complex floating")):
        raise ArgumentTypeError(f"{name}() draws floating-point numbers, got dtype={dtype}. Use randint().")
    source, eps = generator or default_generator, float(xp.finfo(dtype).eps)

    def numbers(shape: tuple[int, ...]) -> HostArray:
        if xp.isdtype(dtype, "complex floating"):
            return draw(source, shape, eps, 2) + 1j * draw(source, shape, eps, 2)
        return draw(source, shape, eps, 1)

    return drawn(xp, numbers, shape, dtype, device, requires_grad)


def _uniform(generator: Generator, shape: tuple[int, ...], eps: float, parts: int) -> HostArray:
    """Draw from [0, 1) numbers that a dtype of this `eps` holds exactly.

    Rounding a float64 to float32 would turn one number in 30 million into 1.0.
    """
    step = eps / 2
    return np.asarray(np.floor(generator.random(shape) / step) * step)


def _normal(generator: Generator, shape: tuple[int, ...], eps: float, parts: int) -> HostArray:
    """Draw normal numbers of variance 1 / `parts`."""
    return np.asarray(generator.standard_normal(shape) * parts**-0.5)


def _integers(draw: Numbers, shape: tuple[int, ...], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """Return drawn integers on the default backend."""
    xp = namespace()
    dtype = _default_dtype(xp, "integral", device) if dtype is None else dtype
    return drawn(xp, draw, shape, dtype, device, requires_grad)


def _default_dtype(xp: Any, kind: str, device: Any) -> Any:
    return xp.__array_namespace_info__().default_dtypes(device=device)[kind]


def drawn(
    xp: Any, draw: Numbers, shape: tuple[int, ...], dtype: Any, device: Any, requires_grad: bool = False
) -> Tensor:
    """Return drawn numbers as a tensor: under :func:`vmap`, each member draws its own if it is asked to."""
    apart = levels.apart()
    if apart:  # they are drawn together, as tensors below all transformations
        xp = levels.ground(xp)
    whole = (*[draws.members for draws in apart], *shape)
    anew = levels.ANEW.get()
    if anew is None:
        tensor: Tensor = xp.asarray(draw(whole), dtype=dtype, device=device, requires_grad=requires_grad)
    else:
        lowest = namespace(xp._backend.name)  # of arrays, whatever the compiler makes of them
        tensor = anew(lambda: lowest.asarray(draw(whole), dtype=dtype, device=device)._value).requires_grad_(
            requires_grad
        )
    for draws in apart:
        tensor = draws.hide(tensor)
    return tensor


def _shape(size: tuple[Any, ...], name: str) -> tuple[int, ...]:
    """Return the shape that `size` spells: integers, or one sequence of them."""
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    try:
        shape = tuple(index(length) for length in size)
    except TypeError:
        raise ArgumentTypeError(
            f"{name}() got the size {size}. Give one integer per axis, or one tuple of them."
        ) from None
    if any(length < 0 for length in shape):
        raise ArgumentError(f"{name}() got the size {shape}. No length can be negative.")
    return shape
