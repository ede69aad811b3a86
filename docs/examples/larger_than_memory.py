"""Fit a logistic regression to data that no worker could hold, and check its gradient on a part that NumPy can.

    python docs/examples/larger_than_memory.py                  # 3 GB of data, two workers with 1.5 GB each
    python docs/examples/larger_than_memory.py --gigabytes 0.3 --limit 0.6

The data are made by the workers, chunk by chunk, as they would be read from files; Dask lets go of each chunk when the
gradient has what it needs of it. A worker that goes beyond its limit is stopped, and the example fails.
"""

from __future__ import annotations

import argparse
import resource

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import autodiff_api as ad

FEATURES = 100
STEPS = 3


def data(gigabytes: float) -> tuple[da.Array, da.Array]:
    """Return rows of features, lazily, and the class of each, which a sum of the features tells."""
    rows = int(gigabytes * 1e9 / 8 / FEATURES)
    random = da.random.default_rng(0)
    x = random.standard_normal((rows, FEATURES), chunks=(40_000, FEATURES))
    weights = np.linspace(2, -2, FEATURES)
    score = x @ weights + random.logistic(size=rows, chunks=40_000)
    return x, (score > 0).astype(np.float64)


def loss(w, x, y):
    """Return the mean negative log-likelihood of classes y, 0 or 1."""
    xp = ad.namespace(w)
    scores = xp.matmul(x, w)
    return xp.mean(xp.logaddexp(xp.zeros_like(scores), scores) - y * scores)


def peak() -> float:
    """Return the largest amount of memory that this process ever had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main(gigabytes: float, limit: float) -> None:
    """Go some steps downhill, and print what the gradients and the memory were."""
    workers = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": limit * 1e9}
    with LocalCluster(**workers, dashboard_address=None) as cluster, Client(cluster) as client:
        xp = ad.namespace("dask")
        x, y = map(xp.asarray, data(gigabytes))
        print(f"{x.shape[0]:,} rows, {x._value.nbytes / 1e9:.1f} GB")
        w = xp.zeros((FEATURES,), requires_grad=True)
        for _ in range(STEPS):
            w.grad = None
            value = loss(w, x, y)
            value.backward()  # adds tasks, and computes nothing
            with ad.no_grad():
                w -= 2.0 * w.grad
            ad.synchronize(value, w)  # computes the step
            print(f"loss {value.item():.4f}")

        some = slice(0, 50_000)
        ours = ad.grad(loss)(w.detach()._value, x._value[some], y._value[some]).compute()
        theirs = ad.grad(loss)(w.detach().numpy(), x[some].numpy(), y[some].numpy())
        print(f"a part of it by NumPy: the gradients differ by {np.max(np.abs(ours - theirs)):.0e}")
        peaks = client.run(peak)
        print(f"each worker had {max(peaks.values()):.2f} GB at most, of {limit:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--limit", type=float, default=1.5, help="memory of each worker, in GB")
    main(**vars(parser.parse_args()))
