"""What PyTorch's users rely on about modes."""

import asyncio
import threading

from behaviours.table import Table, leaf

modes = Table("Modes")


@modes("`no_grad` stops recording for a stretch of code")
def no_grad_in_with(ag):
    with ag.no_grad():
        inside = ag.is_grad_enabled()
    return inside, ag.is_grad_enabled()


@modes("`no_grad` decorates a function, with parentheses and without")
def no_grad_as_decorator(ag):
    @ag.no_grad()
    def first():
        return ag.is_grad_enabled()

    @ag.no_grad
    def second():
        return ag.is_grad_enabled()

    return first(), second(), ag.is_grad_enabled()


@modes("`enable_grad` records inside `no_grad`")
def enable_grad_inside(ag):
    with ag.no_grad(), ag.enable_grad():
        return (leaf(ag) * 2.0).requires_grad


@modes("`enable_grad` decorates too")
def enable_grad_as_decorator(ag):
    @ag.enable_grad()
    def f():
        return ag.is_grad_enabled()

    with ag.no_grad():
        return f(), ag.is_grad_enabled()


@modes("`set_grad_enabled(b)` is a context manager")
def set_grad_enabled_in_with(ag):
    with ag.set_grad_enabled(False):
        inside = ag.is_grad_enabled()
    return inside, ag.is_grad_enabled()


@modes("and a decorator")
def set_grad_enabled_as_decorator(ag):
    @ag.set_grad_enabled(False)
    def f():
        return ag.is_grad_enabled()

    return ag.is_grad_enabled(), f(), ag.is_grad_enabled()


@modes("and a plain call")
def set_grad_enabled_as_call(ag):
    ag.set_grad_enabled(False)
    off = ag.is_grad_enabled()
    ag.set_grad_enabled(True)
    return off, ag.is_grad_enabled()


@modes("an exception restores the mode")
def mode_after_an_exception(ag):
    try:
        with ag.no_grad():
            raise KeyError
    except KeyError:
        return ag.is_grad_enabled()


@modes("in `inference_mode` nothing is recorded")
def inference_mode_records_nothing(ag):
    x = leaf(ag)
    with ag.inference_mode():
        y = x * 2.0
        return y.requires_grad, ag.is_grad_enabled(), ag.is_inference_mode_enabled()


@modes("it decorates, too")
def inference_mode_as_decorator(ag):
    @ag.inference_mode()
    def f():
        return ag.is_inference_mode_enabled()

    return f(), ag.is_inference_mode_enabled()


@modes("its tensors may not be saved for backward", error="Inference tensors cannot be saved for backward.")
def inference_tensors_are_not_saved(ag):
    with ag.inference_mode():
        y = ag.ones(2) * 2.0
    leaf(ag) * y


@modes("nor made to require grad", error="inference")
def inference_tensors_do_not_require_grad(ag):
    with ag.inference_mode():
        y = ag.ones(2) * 2.0
    y.requires_grad_()


@modes("a generator enters its own mode at each resume")
def generator_resumes(ag):
    @ag.no_grad()
    def numbers():
        yield ag.is_grad_enabled()
        yield ag.is_grad_enabled()

    seen = []
    for inside in numbers():
        seen += [inside, ag.is_grad_enabled()]
    return seen


@modes("also where something is thrown into it")
def generator_throw(ag):
    @ag.no_grad()
    def numbers():
        try:
            yield 1
        except KeyError:
            yield ag.is_grad_enabled()

    g = numbers()
    next(g)
    return g.throw(KeyError()), ag.is_grad_enabled()


@modes("and where it is closed")
def generator_close(ag):
    seen = []

    @ag.no_grad()
    def numbers():
        try:
            yield 1
        finally:
            seen.append(ag.is_grad_enabled())

    g = numbers()
    next(g)
    g.close()
    return seen, ag.is_grad_enabled()


@modes(
    "a decorated coroutine",
    ours="it runs in its mode, as a decorated function does",
    torch=[True, True],
    here=[False, True],
)
def coroutine(ag):
    @ag.no_grad()
    async def work():
        await asyncio.sleep(0)
        return ag.is_grad_enabled()

    return asyncio.run(work()), ag.is_grad_enabled()


@modes(
    "`no_grad` around an `await`, seen from another task",
    ours="a mode belongs to its task",
    torch=[False, False],
    here=[False, True],
)
def mode_of_a_task(ag):
    async def quiet(entered, leave):
        with ag.no_grad():
            entered.set()
            await leave.wait()
            return ag.is_grad_enabled()

    async def loud(entered, leave):
        await entered.wait()
        seen = ag.is_grad_enabled()
        leave.set()
        return seen

    async def main():
        entered, leave = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(quiet(entered, leave), loud(entered, leave))

    return list(asyncio.run(main()))


@modes("a new thread starts with recording on")
def new_thread(ag):
    seen = []
    with ag.no_grad():
        thread = threading.Thread(target=lambda: seen.append(ag.is_grad_enabled()))
        thread.start()
        thread.join()
    return seen


@modes("decorating a class warns", warning="class")
def decorated_class(ag):
    class Model:
        pass

    ag.no_grad()(Model)
