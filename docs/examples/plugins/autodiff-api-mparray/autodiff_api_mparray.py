"""Arrays of mparray for autodiff_api: numbers of as many digits as you like, and derivatives of as many."""

from autodiff_api.backends import Backend, BackendSpec, hookimpl, requires

REQUIRES_PLUGIN_API = (1, 0)

NO_LINALG = "mparray 0.2 has no linalg"
NO_FFT = "mparray 0.2 has no fft"
GAPS = {
    "einsum": "a diagonal, as in 'ii->i', is one of linalg",
    "fft.fftshift": NO_FFT,
    "fft.ifftshift": NO_FFT,
    "fft.ihfft": NO_FFT,
    "fft.rfft": NO_FFT,
    "fft.rfftn": NO_FFT,
    "linalg.adjugate": NO_LINALG,
    "linalg.cholesky": NO_LINALG,
    "linalg.cross": NO_LINALG,
    "linalg.det": NO_LINALG,
    "linalg.diagonal": NO_LINALG,
    "linalg.eig": NO_LINALG,
    "linalg.eigh": NO_LINALG,
    "linalg.eigvals": NO_LINALG,
    "linalg.eigvalsh": NO_LINALG,
    "linalg.inv": NO_LINALG,
    "linalg.matrix_norm": NO_LINALG,
    "linalg.matrix_power": NO_LINALG,
    "linalg.matrix_rank": NO_LINALG,
    "linalg.outer": NO_LINALG,
    "linalg.pinv": NO_LINALG,
    "linalg.qr": NO_LINALG,
    "linalg.slogdet": NO_LINALG,
    "linalg.solve": NO_LINALG,
    "linalg.solve_triangular": NO_LINALG,
    "linalg.svd": NO_LINALG,
    "linalg.svdvals": NO_LINALG,
    "linalg.trace": NO_LINALG,
    "linalg.vector_norm": NO_LINALG,
    "maximum": "mparray fails where the numbers are integers",
    "minimum": "mparray fails where the numbers are integers",
    "nextafter": "mparray takes the logarithm of the number, which may be negative",
    "signbit": "the numbers of mpmath have no negative zero",
}


def load():
    """Return the backend; called when somebody asks for it."""
    from types import SimpleNamespace

    import mparray
    import numpy as np
    from mpmath import mp

    sums = np.vectorize(mp.fdot, signature="(k),(k)->()", otypes=[object])

    def floor_divide(x1, x2, /):
        """Round x1 / x2 down; mpmath's numbers have no ``//``."""
        return mparray.floor(mparray.divide(x1, x2))

    def log2(x, /):
        """Return the logarithm to the base of 2, which mpmath has under another name."""
        return mparray.asarray(np.vectorize(lambda v: mp.log(v, 2), otypes=[object])(x._data), dtype=x.dtype)

    def matmul(x1, x2, /):
        """Multiply matrices in mpmath's own loop, which rounds each sum once: faster, and more exact."""
        if min(x1.ndim, x2.ndim) < 2:
            return mparray.matmul(x1, x2)
        rows, columns = x1._data[..., :, None, :], np.swapaxes(x2._data, -2, -1)[..., None, :, :]
        return mparray.asarray(sums(rows, columns), dtype=mparray.result_type(x1, x2))

    def real(x, /):
        """Return the real parts; of real numbers themselves, which mparray makes float32."""
        return mparray.real(x) if x.dtype.kind == "c" else x

    def place(x, device, /, *, stream=None):
        """Return `x`: there is one device."""
        return x

    return Backend(
        name="mparray",
        # The standard's constants are Python's numbers; mparray has mpmath's.
        namespace=SimpleNamespace(**{**vars(mparray), "inf": float("inf"), "nan": float("nan")}),
        array_types=(mparray.MPArray,),
        kernels={
            "floor_divide": floor_divide,
            "log2": log2,
            "matmul": matmul,
            "real": real,
            "to_device": place,
        },
        devices=lambda: ["cpu"],
        place=place,
        to_numpy=lambda x: np.asarray(x._data, dtype=x.dtype),
        gaps=GAPS,
    )


@hookimpl
def autodiff_api_backends():
    """Bring the backend `mparray`."""
    yield BackendSpec(
        name="mparray",
        load=load,
        claims=("mparray",),
        probe=requires("mparray", install="pip install mparray"),
    )
