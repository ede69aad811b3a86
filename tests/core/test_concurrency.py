"""Threads share leaves exactly; modes stay in their thread, task and generator."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

import autodiff_api as ad


@pytest.fixture
def rapid_switching():
    """Let threads switch as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def run_threads(work, n=4):
    errors = []

    def guarded():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []


def test_four_threads_accumulate_into_one_leaf(rapid_switching):
    x = ad.tensor([1.0, 2.0], requires_grad=True)

    def work():
        for _ in range(500):
            ad.sum(x * 3).backward()

    run_threads(work)
    assert x.grad.tolist() == [6000.0, 6000.0]


def test_threads_go_backward_through_one_retained_graph(rapid_switching):
    x = ad.tensor([2.0], requires_grad=True)
    y = ad.exp(x) * x

    def work():
        for _ in range(50):
            y.backward(retain_graph=True)

    run_threads(work)
    (once,) = ad.autograd.grad(y, x)
    assert x.grad.item() == pytest.approx(200 * once.item(), rel=1e-12)


def test_threads_that_ask_first_get_one_namespace():
    found = []
    run_threads(lambda: found.append(ad.namespace("numpy")), 8)
    assert len(set(map(id, found))) == 1


def test_no_grad_stays_in_its_task():
    seen = {}

    async def quiet(started, checked):
        with ad.no_grad():
            started.set()
            await checked.wait()
            seen["quiet"] = ad.is_grad_enabled()

    async def other(started, checked):
        await started.wait()
        seen["other"] = ad.is_grad_enabled()
        checked.set()

    async def both():
        started, checked = asyncio.Event(), asyncio.Event()
        await asyncio.gather(quiet(started, checked), other(started, checked))

    asyncio.run(both())
    assert seen == {"quiet": False, "other": True}


def test_no_grad_stays_in_its_thread():
    seen = []
    with ad.no_grad():
        run_threads(lambda: seen.append(ad.is_grad_enabled()), 1)
    assert seen == [True]
