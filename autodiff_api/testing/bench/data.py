"""Real data where scikit-learn is installed, and generated data of the same shapes where it is not."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def digits() -> tuple[np.ndarray, np.ndarray, str]:
    """Return images (1797, 8, 8) between 0 and 1 as float32, labels (1797,), and where they are from."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        rng = np.random.default_rng(0)
        return rng.random((1797, 8, 8), dtype=np.float32), rng.integers(0, 10, 1797), "generated images"
    data = load_digits()
    return (data.images / 16).astype(np.float32), data.target, "the digits of scikit-learn"


@cache
def tumours() -> tuple[np.ndarray, np.ndarray, str]:
    """Return features (569, 30), of mean 0 and variance 1, signs (569,), -1 or 1, and where they are from."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((569, 30))
        return x, np.sign(x @ rng.standard_normal(30) + rng.standard_normal(569)), "generated data"
    data = load_breast_cancer()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    return x, 2.0 * data.target - 1.0, "scikit-learn's breast cancer data"
