"""What is being recorded right now: one ContextVar, so that threads, tasks and generators keep their own."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Watcher:
    """What a rare mode does: it sees each node that is recorded in it, and stands beside each node of a pass in it."""

    def recorded(self, node: Any) -> None:
        """See a node, right after it was recorded."""

    def around(self, walk: Any, node: Any, t: Any, targets: tuple[int, ...], pull: Callable[..., Any]) -> Any:
        """Return what a pass is to call in place of a node's `pull`, for the inputs at the places `targets`."""
        return pull


@dataclass(frozen=True, slots=True)
class Mode:
    """The state that decides what an operation records, and who watches."""

    recording: bool = True
    inference: bool = False
    transforming: bool = False  # a function of one of the transformations that go backward is running
    watchers: tuple[Watcher, ...] = ()


MODE: ContextVar[Mode] = ContextVar("autodiff_api.mode", default=Mode())  # noqa: B039 (frozen)
mode = MODE.get


BOTH = False, True
UNWATCHED = {(r, i, t): Mode(r, i, t) for r in BOTH for i in BOTH for t in BOTH}  # made once: blocks are entered often


def replace_mode(
    now: Mode,
    *,
    recording: bool | None = None,
    inference: bool | None = None,
    transforming: bool | None = None,
    watchers: tuple[Watcher, ...] | None = None,
) -> Mode:
    """Return a mode with some of its fields changed."""
    recording = now.recording if recording is None else recording
    inference = now.inference if inference is None else inference
    transforming = now.transforming if transforming is None else transforming
    if watchers := now.watchers if watchers is None else watchers:
        return Mode(recording, inference, transforming, watchers)
    return UNWATCHED[recording, inference, transforming]


rare_used: list[bool] = []  # not empty once a rare mode, inference or a watcher, was entered: till then nobody asks


def mark(tensor: Any) -> None:
    """Mark a tensor that was made in inference mode."""
    if mode().inference:
        tensor._inference = True


def recorded(node: Any) -> None:
    """Show a node that was just recorded to all who watch; ask `rare_used` first, where it matters."""
    for watcher in mode().watchers:
        watcher.recorded(node)


class Switch:
    """A mode change that works as a context manager and as a decorator, with or without parentheses."""

    changes: dict[str, Any]

    def __init__(self) -> None:
        self._previous: list[Mode] = []

    def _changed(self, now: Mode) -> Mode:
        return replace_mode(now, **self.changes)

    def __enter__(self) -> None:
        now = mode()
        MODE.set(self._changed(now))
        self._previous.append(now)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        MODE.set(self._previous.pop())

    def _again(self) -> Switch:
        """Return a fresh manager: a decorated function may run in many threads at once."""
        return type(self)()

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        if inspect.isclass(function):
            warnings.warn(
                f"decorating the class {function.__name__} changes only its constructor's mode; "
                "decorate the methods instead",
                FutureWarning,
                stacklevel=2,
            )
        decorated: F = _decorate(function, self._again)
        return decorated


def _decorate(function: Any, manager: Callable[[], Switch]) -> Any:
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _each_step(function(*args, **kwargs), manager))

        return generator
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            steps = function(*args, **kwargs)
            resume: Callable[[], Any] = steps.__anext__
            while True:
                try:
                    with manager():
                        item = await resume()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                    resume = functools.partial(steps.asend, sent)
                except GeneratorExit:
                    with manager():
                        await steps.aclose()
                    raise
                except BaseException as error:
                    resume = functools.partial(steps.athrow, error)

        return async_generator
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with manager():
                return await function(*args, **kwargs)

        return coroutine

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with manager():
            return function(*args, **kwargs)

    return call


def _each_step(steps: Generator[Any, Any, Any], manager: Callable[[], Switch]) -> Generator[Any, Any, Any]:
    """Run a generator under `manager` only while it runs, and not while its consumer does."""
    resume: Callable[[], Any] = functools.partial(next, steps)
    while True:
        try:
            with manager():
                item = resume()
        except StopIteration as stop:
            return stop.value
        try:
            sent = yield item
            resume = functools.partial(steps.send, sent)
        except GeneratorExit:
            with manager():
                steps.close()
            raise
        except BaseException as error:
            resume = functools.partial(steps.throw, error)


class BareDecorator(type):
    """Let `@no_grad` stand without parentheses."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the manager or, given a function alone, decorate it."""
        if args and callable(args[0]):
            return super().__call__()(args[0])
        return super().__call__(*args, **kwargs)


class no_grad(Switch, metaclass=BareDecorator):
    """Record nothing: as a context manager or a decorator, for functions, generators and coroutines.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([1.0], requires_grad=True)
    >>> with ad.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    changes = {"recording": False}  # noqa: RUF012


class enable_grad(Switch, metaclass=BareDecorator):
    """Record again inside :class:`no_grad`.

    >>> import autodiff_api as ad
    >>> with ad.no_grad(), ad.enable_grad():
    ...     ad.is_grad_enabled()
    True
    """

    changes = {"recording": True}  # noqa: RUF012


class inference_mode(Switch, metaclass=BareDecorator):  # (PyTorch's name)
    """Record nothing, and promise that no gradient will be asked for; `inference_mode(False)` records.

    Tensors made in it can't be saved for backward, made to require grad or changed in place outside it.

    >>> import autodiff_api as ad
    >>> with ad.inference_mode():
    ...     y = ad.ones(2)
    >>> y.is_inference()
    True
    """

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.changes = {"recording": not mode, "inference": bool(mode)}

    def __enter__(self) -> None:
        super().__enter__()
        use_rare()

    def _again(self) -> inference_mode:
        return inference_mode(self.changes["inference"])


def use_rare() -> None:
    """Let operations ask for rare modes from now on."""
    if not rare_used:
        rare_used.append(True)


class watching(Switch):
    """Let a watcher see what is recorded, and every pass backward, until the end of the block."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.watcher = watcher

    def _changed(self, now: Mode) -> Mode:
        use_rare()
        return replace_mode(now, watchers=(*now.watchers, self.watcher))

    def _again(self) -> watching:
        return watching(self.watcher)


class set_grad_enabled(Switch):
    """Turn recording on or off: at once when called, and until the end of the block as a context manager.

    >>> import autodiff_api as ad
    >>> with ad.set_grad_enabled(False):
    ...     ad.is_grad_enabled()
    False
    """

    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self.changes = {"recording": bool(enabled)}
        self._previous.append(mode())
        MODE.set(replace_mode(mode(), **self.changes))

    def __enter__(self) -> None:
        """Keep the state that the call itself replaced, for the first block; later blocks stack."""
        if mode().recording != self.changes["recording"] or len(self._previous) != 1:
            super().__enter__()

    def _again(self) -> set_grad_enabled:
        return set_grad_enabled(self.changes["recording"])

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        MODE.set(self._previous.pop())  # a decorator changes nothing until the function runs
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Tell whether operations are being recorded."""
    return mode().recording


def is_inference_mode_enabled() -> bool:
    """Tell whether :class:`inference_mode` is on."""
    return mode().inference
