"""Arrays on chosen devices: array-api-strict imagines several, and refuses to mix them. No hardware is needed."""

from __future__ import annotations

import operator
import threading

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api import nn
from autodiff_api.errors import DeviceMismatchError, DeviceNotFoundError

pytest.importorskip("array_api_strict")
xp = ad.namespace("strict")
HERE, THERE, ELSEWHERE = ad.devices("strict")[:3]

FACTORIES = {
    "arange": lambda ns, **d: ns.arange(3, **d),
    "asarray": lambda ns, **d: ns.asarray([1.0, 2.0], **d),
    "asarray of NumPy's": lambda ns, **d: ns.asarray(np.ones(2), **d),
    "empty": lambda ns, **d: ns.empty((2, 3), **d),
    "eye": lambda ns, **d: ns.eye(3, **d),
    "fft.fftfreq": lambda ns, **d: ns.fft.fftfreq(4, **d),
    "fft.rfftfreq": lambda ns, **d: ns.fft.rfftfreq(4, **d),
    "full": lambda ns, **d: ns.full((2,), 3.0, **d),
    "linspace": lambda ns, **d: ns.linspace(0.0, 1.0, 5, **d),
    "ones": lambda ns, **d: ns.ones((2,), **d),
    "tensor": lambda ns, **d: ns.tensor([1.0], **d),
    "zeros": lambda ns, **d: ns.zeros((2,), **d),
}
RANDOM = {
    "rand": lambda ns, **d: ad.rand(3, **d),
    "randint": lambda ns, **d: ad.randint(5, (3,), **d),
    "randn": lambda ns, **d: ad.randn(3, **d),
    "randperm": lambda ns, **d: ad.randperm(3, **d),
}
LIKE = ("empty_like", "ones_like", "zeros_like")
MIXED = {
    "add": lambda x, y: x + y,
    "concat": lambda x, y: xp.concat([x, y]),
    "equal": lambda x, y: x == y,
    "getitem": lambda x, y: x[xp.argsort(y)],
    "linalg.solve": lambda x, y: xp.linalg.solve(x[:, None] * xp.eye(3), y),
    "matmul": operator.matmul,
    "stack": lambda x, y: xp.stack([x, y]),
    "vecdot": lambda x, y: xp.vecdot(x, y),
    "where": lambda x, y: xp.where(x > 0, x, y),
}


@pytest.fixture(autouse=True)
def strict():
    with ad.use_backend("strict"):
        yield


@pytest.mark.parametrize("name", [*FACTORIES, *RANDOM])
def test_every_factory_takes_a_device(name):
    make = (FACTORIES | RANDOM)[name]
    assert make(xp).device == HERE
    assert make(xp, device=THERE).device == make(xp, device=str(THERE)).device == THERE
    with ad.use_device(THERE):
        assert make(xp).device == THERE
        assert make(xp, device=ELSEWHERE).device == ELSEWHERE
    assert make(xp).device == HERE


@pytest.mark.parametrize("name", sorted(FACTORIES.keys() - {"asarray of NumPy's"}))
def test_every_factory_knows_the_default_inside_transformations(name):
    """Where the arrays in use are of another type, over those of the backend."""
    seen = []

    def f(x):
        seen.append(FACTORIES[name](ad).device)
        return x

    with ad.use_device(THERE):
        x = ad.ones(2)
        ad.jvp(f, (x,), (x,))
        ad.vmap(f)(x)
    assert seen == [THERE, THERE]


def test_what_is_like_an_array_is_where_it_is():
    x = ad.ones(2, device=THERE)
    with ad.use_device(ELSEWHERE):
        assert {getattr(ad, name)(x).device for name in LIKE} == {THERE}
        assert ad.full_like(x, 2.0).device == ad.asarray(x).device == (x * 2).device == x.clone().device == THERE
        assert ad.rand_like(x).device == THERE
        assert ad.tensor(x).device == THERE and ad.asarray(x._value).device == THERE  # data that has a place already


class TestDefault:
    def test_it_nests_and_ends_with_an_error(self):
        with ad.use_device(THERE):
            with pytest.raises(KeyError), ad.use_device(ELSEWHERE):
                assert ad.get_default_device() == ELSEWHERE
                raise KeyError
            assert ad.get_default_device() == ad.zeros(1).device == THERE
        assert ad.get_default_device() == ad.zeros(1).device == HERE

    def test_a_process_has_one_too(self):
        ad.set_default_device("device1")
        try:
            assert ad.zeros(1).device == ad.get_default_device() == THERE
            with ad.use_device(ELSEWHERE):
                assert ad.zeros(1).device == ELSEWHERE
        finally:
            ad.set_default_device(None)
        assert ad.zeros(1).device == HERE

    def test_it_is_a_decorator_and_a_device_of_pytorch(self):
        @ad.use_device("device1")
        def make():
            return ad.zeros(1)

        assert make().device == make().device == THERE
        with ad.device("device1"):
            assert ad.zeros(1).device == THERE
        assert ad.device("cuda", 1) == "cuda:1" and ad.device("cuda:1").index == 1 and ad.device("cpu").type == "cpu"
        assert ad.device(THERE) is THERE

    def test_it_is_of_one_backend_and_one_thread(self):
        found = []

        def look():
            with ad.use_backend("strict"):
                found.append(ad.zeros(1).device)

        with ad.use_device(THERE):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            with ad.use_backend("numpy"):
                assert ad.zeros(1).device == ad.get_default_device() == "cpu"
        assert found == [HERE]
        with ad.use_backend("numpy"), ad.use_device(THERE, backend="strict"):
            assert xp.zeros(1).device == THERE

    def test_the_namespace_says_so(self):
        info = xp.__array_namespace_info__()
        assert info.default_device() == HERE
        with ad.use_device("device2"):
            info = xp.__array_namespace_info__()
            assert info.default_device() == ELSEWHERE
            assert ad.rand(2).dtype == xp.float32  # that of the device

    def test_a_name_that_there_is_not(self):
        for enter in (ad.set_default_device, lambda name: ad.use_device(name).__enter__(), ad.devices):
            with pytest.raises((DeviceNotFoundError, ad.BackendNotFoundError), match="no_such"):
                enter("no_such")
        with pytest.raises(DeviceNotFoundError, match="no_such"):
            ad.zeros(1, device="no_such")
        assert ad.zeros(1).device == HERE

    def test_modules_are_made_there(self):
        with ad.use_device(THERE):
            layer = nn.Linear(3, 2)
            loss = layer(ad.ones((4, 3))).sum()
        loss.backward()
        assert {p.device for p in layer.parameters()} == {p.grad.device for p in layer.parameters()} == {THERE}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_devices_are_one_error(name):
    x, y = ad.ones(3, requires_grad=True), ad.ones(3, device=THERE)
    with pytest.raises(DeviceMismatchError) as caught:
        MIXED[name](x, y)
    text = str(caught.value)
    assert text.startswith(f"{name}: ") and str(HERE) in text and str(THERE) in text and "to_device" in text
    assert isinstance(caught.value, ValueError) and x.grad is None
    assert MIXED[name](x, y.to_device(HERE)) is not None


def test_shapes_that_do_not_fit_come_first():
    with pytest.raises(ad.ShapeError):
        ad.ones(3) + ad.ones(2, device=THERE)


def test_gradients_return_to_their_device():
    x, w = ad.tensor([1.0, 2.0], requires_grad=True), ad.tensor([3.0, 4.0], device=THERE, requires_grad=True)
    y = (x.to_device(THERE) * w).to(ELSEWHERE)
    (y * y).sum().backward()
    assert (x.grad.device, w.grad.device, y.device) == (HERE, THERE, ELSEWHERE)
    np.testing.assert_array_equal(x.grad.numpy(), [18.0, 64.0])
    np.testing.assert_array_equal(w.grad.numpy(), [6.0, 32.0])
    (g,) = ad.autograd.grad((x.to_device(THERE) ** 3).sum(), x, create_graph=True)
    (h,) = ad.autograd.grad(g.sum(), x)
    assert g.device == h.device == HERE and h.tolist() == [6.0, 12.0]
    assert ad.grad(lambda x: (x.to_device(THERE) ** 2).sum())(x.detach()).device == HERE


def test_a_gradient_from_another_device():
    x = ad.ones(2, requires_grad=True)
    y = x * 2
    with pytest.raises(DeviceMismatchError, match="grad_output"):
        y.backward(ad.ones(2, device=THERE))
    assert x.grad is None
    y.backward(ad.ones(2))
    assert x.grad.tolist() == [2.0, 2.0]
