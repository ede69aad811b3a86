"""`fft.fftfreq` and `fft.rfftfreq`: they create arrays, so they are no ops, yet have their place in `fft`."""

from __future__ import annotations

from typing import Any


class Frequencies:
    """What a namespace's `fft` has beside its ops: methods called `_fft_` and the function's name."""

    _home: Any
    _lower: Any
    _new: Any

    def _fft_fftfreq(
        self,
        n: int,
        /,
        *,
        d: float = 1.0,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return the frequencies that `fft` of `n` samples, `d` apart, has: zero, rising, then the negative ones.

        >>> import autodiff_api as ad
        >>> ad.fft.fftfreq(4, d=0.5)
        tensor([ 0.0,  0.5, -1.0, -0.5])
        """
        return self._new(self._lower.fft.fftfreq(n, d=d, dtype=dtype), self._home(device), requires_grad)

    def _fft_rfftfreq(
        self,
        n: int,
        /,
        *,
        d: float = 1.0,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        """Return the frequencies that `rfft` of `n` samples, `d` apart, has: zero and rising.

        >>> import autodiff_api as ad
        >>> ad.fft.rfftfreq(4, d=0.5)
        tensor([0.0, 0.5, 1.0])
        """
        return self._new(self._lower.fft.rfftfreq(n, d=d, dtype=dtype), self._home(device), requires_grad)

    _fft_fftfreq.__name__, _fft_rfftfreq.__name__ = "fftfreq", "rfftfreq"
