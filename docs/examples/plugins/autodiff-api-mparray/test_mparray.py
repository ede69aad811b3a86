from autodiff_api.testing.conformance import Conformance


class TestMPArray(Conformance):
    backend = "mparray"
    dtypes = ("float64",)
