"""What PyTorch's users rely on about `detect_anomaly`."""

import warnings

from behaviours.table import Table, leaf

anomaly = Table("detect_anomaly")


def faulty(ag):
    x = leaf(ag, 0.0)
    return x, (ag.sqrt(x) * 0.0).sum()


def quietly(f):
    with warnings.catch_warnings(action="ignore"):
        return f()


@anomaly("without `detect_anomaly` a nan is a number like any other")
def unseen(ag):
    x, y = faulty(ag)
    y.backward()
    return x.grad


@anomaly("`detect_anomaly` makes a nan in backward an error", error="returned nan values in its 0th output")
def seen(ag):
    def run():
        with ag.autograd.detect_anomaly():
            faulty(ag)[1].backward()

    quietly(run)


@anomaly("that names the operation", error="qrt")
def named(ag):
    seen(ag)


@anomaly("and shows the line of the user's that recorded it")
def shown(ag):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with ag.autograd.detect_anomaly():
                faulty(ag)[1].backward()
        except RuntimeError as error:
            text = " ".join([str(error), *[str(w.message) for w in caught]])
            return "ag.sqrt(x) * 0.0" in text


@anomaly("`check_nan=False` lets the nan pass")
def unchecked(ag):
    def run():
        with ag.autograd.detect_anomaly(check_nan=False):
            x, y = faulty(ag)
            y.backward()
            return x.grad

    return quietly(run)


@anomaly("`set_detect_anomaly` is a switch and a context manager")
def switch(ag):
    def run():
        with ag.autograd.set_detect_anomaly(True):
            faulty(ag)[1].backward()

    try:
        quietly(run)
    except RuntimeError:
        return "found"
