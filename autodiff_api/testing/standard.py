"""The names of the Array API standard 2025.12, by category, each with its signature.

Facts of the specification (https://data-apis.org/array-api/2025.12/): parameters, kinds and defaults, without
annotations. `MAIN` is the main namespace by category, `LINALG` and `FFT` are the extensions; `FUNCTIONS` has all of
them, extensions under dotted names. A signature is written as in the tables of rules.

>>> len(FUNCTIONS), FUNCTIONS["linalg.svd"]
(174, 'x, /, *, full_matrices=True')
"""

from __future__ import annotations

VERSION = "2025.12"

UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "conj", "cos", "cosh", "exp",
    "expm1", "floor", "imag", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not",
    "negative", "positive", "real", "reciprocal", "round", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan",
    "tanh", "trunc",
)  # fmt: skip
BINARY = (
    "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "copysign", "divide", "equal", "floor_divide", "greater", "greater_equal", "hypot", "less", "less_equal",
    "logaddexp", "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "nextafter",
    "not_equal", "pow", "remainder", "subtract",
)  # fmt: skip

MAIN: dict[str, dict[str, str]] = {
    "creation": {
        "arange": "start, /, stop=None, step=1, *, dtype=None, device=None",
        "asarray": "obj, /, *, dtype=None, device=None, copy=None",
        "empty": "shape, *, dtype=None, device=None",
        "empty_like": "x, /, *, dtype=None, device=None",
        "eye": "n_rows, n_cols=None, /, *, k=0, dtype=None, device=None",
        "from_dlpack": "x, /, *, device=None, copy=None",
        "full": "shape, fill_value, *, dtype=None, device=None",
        "full_like": "x, /, fill_value, *, dtype=None, device=None",
        "linspace": "start, stop, /, num, *, dtype=None, device=None, endpoint=True",
        "meshgrid": '*arrays, indexing="xy"',
        "ones": "shape, *, dtype=None, device=None",
        "ones_like": "x, /, *, dtype=None, device=None",
        "tril": "x, /, *, k=0",
        "triu": "x, /, *, k=0",
        "zeros": "shape, *, dtype=None, device=None",
        "zeros_like": "x, /, *, dtype=None, device=None",
    },
    "data type": {
        "astype": "x, dtype, /, *, copy=True, device=None",
        "can_cast": "from_, to, /",
        "finfo": "type, /",
        "iinfo": "type, /",
        "isdtype": "dtype, kind",
        "result_type": "*arrays_and_dtypes",
    },
    "elementwise": dict.fromkeys(UNARY, "x, /")
    | dict.fromkeys(BINARY, "x1, x2, /")
    | {
        "clip": "x, /, min=None, max=None",
    },
    "indexing": {
        "take": "x, indices, /, *, axis=None",
        "take_along_axis": "x, indices, /, *, axis=-1",
    },
    "linear algebra": {
        "matmul": "x1, x2, /",
        "matrix_transpose": "x, /",
        "tensordot": "x1, x2, /, *, axes=2",
        "vecdot": "x1, x2, /, *, axis=-1",
    },
    "manipulation": {
        "broadcast_arrays": "*arrays",
        "broadcast_shapes": "*shapes",
        "broadcast_to": "x, /, shape",
        "concat": "arrays, /, *, axis=0",
        "expand_dims": "x, /, axis",
        "flip": "x, /, *, axis=None",
        "moveaxis": "x, source, destination, /",
        "permute_dims": "x, /, axes",
        "repeat": "x, repeats, /, *, axis=None",
        "reshape": "x, /, shape, *, copy=None",
        "roll": "x, /, shift, *, axis=None",
        "squeeze": "x, /, axis",
        "stack": "arrays, /, *, axis=0",
        "tile": "x, repetitions, /",
        "unstack": "x, /, *, axis=0",
    },
    "searching": {
        "argmax": "x, /, *, axis=None, keepdims=False",
        "argmin": "x, /, *, axis=None, keepdims=False",
        "count_nonzero": "x, /, *, axis=None, keepdims=False",
        "nonzero": "x, /",
        "searchsorted": 'x1, x2, /, *, side="left", sorter=None',
        "where": "condition, x1, x2, /",
    },
    "set": {
        "isin": "x1, x2, /, *, invert=False",
        "unique_all": "x, /",
        "unique_counts": "x, /",
        "unique_inverse": "x, /",
        "unique_values": "x, /",
    },
    "sorting": {
        "argsort": "x, /, *, axis=-1, descending=False, stable=True",
        "sort": "x, /, *, axis=-1, descending=False, stable=True",
    },
    "statistical": {
        "cumulative_prod": "x, /, *, axis=None, dtype=None, include_initial=False",
        "cumulative_sum": "x, /, *, axis=None, dtype=None, include_initial=False",
        "max": "x, /, *, axis=None, keepdims=False",
        "mean": "x, /, *, axis=None, keepdims=False",
        "min": "x, /, *, axis=None, keepdims=False",
        "prod": "x, /, *, axis=None, dtype=None, keepdims=False",
        "std": "x, /, *, axis=None, correction=0.0, keepdims=False",
        "sum": "x, /, *, axis=None, dtype=None, keepdims=False",
        "var": "x, /, *, axis=None, correction=0.0, keepdims=False",
    },
    "utility": {
        "all": "x, /, *, axis=None, keepdims=False",
        "any": "x, /, *, axis=None, keepdims=False",
        "diff": "x, /, *, axis=-1, n=1, prepend=None, append=None",
    },
}
LINALG = {
    "cholesky": "x, /, *, upper=False",
    "cross": "x1, x2, /, *, axis=-1",
    "det": "x, /",
    "diagonal": "x, /, *, offset=0",
    "eig": "x, /",
    "eigh": "x, /",
    "eigvals": "x, /",
    "eigvalsh": "x, /",
    "inv": "x, /",
    "matmul": "x1, x2, /",
    "matrix_norm": 'x, /, *, keepdims=False, ord="fro"',
    "matrix_power": "x, n, /",
    "matrix_rank": "x, /, *, rtol=None",
    "matrix_transpose": "x, /",
    "outer": "x1, x2, /",
    "pinv": "x, /, *, rtol=None",
    "qr": 'x, /, *, mode="reduced"',
    "slogdet": "x, /",
    "solve": "x1, x2, /",
    "svd": "x, /, *, full_matrices=True",
    "svdvals": "x, /",
    "tensordot": "x1, x2, /, *, axes=2",
    "trace": "x, /, *, offset=0, dtype=None",
    "vecdot": "x1, x2, /, *, axis=-1",
    "vector_norm": "x, /, *, axis=None, keepdims=False, ord=2",
}
ALIASES = ("matmul", "matrix_transpose", "tensordot", "vecdot")  # stand in `linalg` and in the main namespace
FFT = {
    "fft": 'x, /, *, n=None, axis=-1, norm="backward"',
    "fftfreq": "n, /, *, d=1.0, dtype=None, device=None",
    "fftn": 'x, /, *, s=None, axes=None, norm="backward"',
    "fftshift": "x, /, *, axes=None",
    "hfft": 'x, /, *, n=None, axis=-1, norm="backward"',
    "ifft": 'x, /, *, n=None, axis=-1, norm="backward"',
    "ifftn": 'x, /, *, s=None, axes=None, norm="backward"',
    "ifftshift": "x, /, *, axes=None",
    "ihfft": 'x, /, *, n=None, axis=-1, norm="backward"',
    "irfft": 'x, /, *, n=None, axis=-1, norm="backward"',
    "irfftn": 'x, /, *, s=None, axes=None, norm="backward"',
    "rfft": 'x, /, *, n=None, axis=-1, norm="backward"',
    "rfftfreq": "n, /, *, d=1.0, dtype=None, device=None",
    "rfftn": 'x, /, *, s=None, axes=None, norm="backward"',
}

FUNCTIONS: dict[str, str] = (
    {name: signature for category in MAIN.values() for name, signature in category.items()}
    | {f"linalg.{name}": signature for name, signature in LINALG.items()}
    | {f"fft.{name}": signature for name, signature in FFT.items()}
)

CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
DTYPES = (
    "bool", "complex128", "complex64", "float32", "float64", "int16", "int32", "int64", "int8", "uint16", "uint32",
    "uint64", "uint8",
)  # fmt: skip
INFO = {
    "capabilities": "",
    "default_device": "",
    "default_dtypes": "*, device=None",
    "devices": "",
    "dtypes": "*, device=None, kind=None",
}
ATTRIBUTES = ("T", "dtype", "device", "mT", "ndim", "shape", "size")
METHODS = {
    "__abs__": "",
    "__add__": "other, /",
    "__and__": "other, /",
    "__array_namespace__": "*, api_version=None",
    "__bool__": "",
    "__complex__": "",
    "__dlpack__": "*, stream=None, max_version=None, dl_device=None, copy=None",
    "__dlpack_device__": "",
    "__eq__": "other, /",
    "__float__": "",
    "__floordiv__": "other, /",
    "__ge__": "other, /",
    "__getitem__": "key, /",
    "__gt__": "other, /",
    "__index__": "",
    "__int__": "",
    "__invert__": "",
    "__le__": "other, /",
    "__lshift__": "other, /",
    "__lt__": "other, /",
    "__matmul__": "other, /",
    "__mod__": "other, /",
    "__mul__": "other, /",
    "__ne__": "other, /",
    "__neg__": "",
    "__or__": "other, /",
    "__pos__": "",
    "__pow__": "other, /",
    "__rshift__": "other, /",
    "__setitem__": "key, value, /",
    "__sub__": "other, /",
    "__truediv__": "other, /",
    "__xor__": "other, /",
    "to_device": "device, /, *, stream=None",
}
ARITHMETIC = (
    "add", "and", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift", "sub", "truediv",
    "xor",
)  # fmt: skip
