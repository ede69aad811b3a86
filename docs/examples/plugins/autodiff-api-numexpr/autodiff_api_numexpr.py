"""Kernels of numexpr for the NumPy backend of autodiff_api: formulas in cache-sized blocks, on all cores.

Here are the functions for which that is worth it; for most, NumPy's own loops are the faster ones.
"""

from autodiff_api.backends import hookimpl

REQUIRES_PLUGIN_API = (1, 0)
LARGE = 50_000  # elements: with fewer, reading the formula takes longer than computing it
FORMULAS = {  # for positive numbers
    "special.rel_entr": "x * log(x / y)",
    "special.xlogy": "x * log(y)",
}


@hookimpl
def autodiff_api_kernels(backend):
    """Lend kernels to NumPy; each leaves what it is not made for to the kernel that was there."""
    if backend.name != "numpy":
        return None
    import numpy as np
    from numexpr import evaluate

    def is_fit(x):
        """Tell whether an argument is large, floating-point and positive; a nan is not."""
        large = isinstance(x, np.ndarray) and x.size >= LARGE and x.dtype in (np.float32, np.float64)
        return large and x.min() > 0

    def lent(formula, plain):
        def kernel(x, y, /):
            if is_fit(x) and is_fit(y) and x.dtype == y.dtype:
                return evaluate(formula, {"x": x, "y": y})
            return plain(x, y)

        return kernel

    return {name: lent(text, backend.kernels[name]) for name, text in FORMULAS.items() if name in backend.kernels}
