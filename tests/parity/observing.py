"""What parity tests have in common: the libraries they run on, and what they can observe there.

Everything computes in double precision: PyTorch's default dtype is set so, JAX gets x64.
"""

import contextlib
import math
import re

import pytest

TOLERANCE = {"float64": 1e-10, "complex128": 1e-10, "float32": 2e-6, "complex64": 2e-6}


@contextlib.contextmanager
def engine_torch():
    """Give PyTorch with double precision as its default and every warning shown every time."""
    torch = pytest.importorskip("torch")
    dtype, always = torch.get_default_dtype(), torch.is_warn_always_enabled()
    torch.set_default_dtype(torch.float64)
    torch.set_warn_always(True)
    try:
        yield torch
    finally:
        torch.set_grad_enabled(True)  # a scenario may have shown that PyTorch does not restore it
        torch.set_default_dtype(dtype)
        torch.set_warn_always(always)


@contextlib.contextmanager
def engine_numpy():
    """Give autodiff_api on NumPy."""
    import autodiff_api as ad

    with ad.use_backend("numpy"):
        yield ad


@contextlib.contextmanager
def engine_jax():
    """Give autodiff_api on JAX in double precision, by global switches: threads must see them."""
    jax = pytest.importorskip("jax")
    import autodiff_api as ad

    switches = ("jax_enable_x64", "jax_disable_most_optimizations")
    before = {name: jax.config.values[name] for name in switches}
    try:
        for name in switches:
            jax.config.update(name, True)
        with ad.use_backend("jax"):
            yield ad
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@contextlib.contextmanager
def engine_jax_single():
    """Give autodiff_api on JAX as it comes: float32."""
    jax = pytest.importorskip("jax")
    import autodiff_api as ad

    assert not jax.config.jax_enable_x64
    with ad.use_backend("jax"):
        yield ad


OPEN = {"torch": engine_torch, "numpy": engine_numpy, "jax": engine_jax}


def dtype_name(dtype):
    """Give 'float64' for anybody's double precision."""
    return re.search(r"bool|u?int\d+|b?float\d+|complex\d+", str(dtype)).group()


class Seen(tuple):
    """A tensor as observed: its shape, dtype and elements."""


class Raised(tuple):
    """An exception as observed: its built-in classes and which of the fragments its text contains."""


def observe(value):
    """Give plain data for `value`, equal for both libraries when they agree."""
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value
    if isinstance(value, dict):
        return {str(k): observe(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [observe(v) for v in value]
    if hasattr(value, "tolist"):
        return Seen((tuple(value.shape), dtype_name(value.dtype), value.tolist()))
    raise TypeError(f"a scenario may not log a {type(value).__name__}")


def caught_as(kind):
    """Name the built-in classes of `kind`'s family, nearest first: what a user may catch."""
    return [c.__name__ for c in kind.__mro__ if c.__module__ == "builtins"]


def same(a, b, tolerance=1e-10):
    """Tell whether two observations agree, numbers within `tolerance` relative to max(1, |a|)."""
    if isinstance(a, Seen) and isinstance(b, Seen):
        return a[:2] == b[:2] and same(a[2], b[2], TOLERANCE.get(a[1], 0))
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, complex):
        return same(a.real, b.real, tolerance) and same(a.imag, b.imag, tolerance)
    if isinstance(a, float):
        if not (math.isfinite(a) and math.isfinite(b)):
            return a == b or (math.isnan(a) and math.isnan(b))
        return abs(a - b) <= tolerance * max(1.0, abs(a))
    return a == b
