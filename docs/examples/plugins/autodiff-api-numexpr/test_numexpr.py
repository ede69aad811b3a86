import autodiff_api_numexpr

from autodiff_api.testing.conformance import Conformance

autodiff_api_numexpr.LARGE = 1  # so that the kit's small samples meet numexpr


class TestKernels(Conformance):
    backend = "numpy"
    functions = tuple(autodiff_api_numexpr.FORMULAS)
