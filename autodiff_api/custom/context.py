"""What a custom function's methods talk to: `ctx`, which carries things from forward to backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from ..errors import ArgumentTypeError, GraphError, InplaceError
from ..graph import Freed, Leaf
from ..modes import MODE, Mode, mode, replace_mode
from ..tensors import Tensor
from ..walks import SECOND_TIME


class Opened:
    """A block in which a list has an item more. To enter and leave a generator's block takes three times as long."""

    __slots__ = ("item", "items")

    def __init__(self, items: list[Any], item: Any) -> None:
        self.items, self.item = items, item

    def __enter__(self) -> None:
        self.items.append(self.item)

    def __exit__(self, *error: object) -> None:
        self.items.pop()


class Unrecorded:
    """A block of `no_grad`, for what is called again and again: in a third of the time."""

    __slots__ = ("token",)

    def __enter__(self) -> None:
        now = mode()
        self.token = MODE.set(Mode(False, now.inference, now.transforming, now.watchers)) if now.recording else None

    def __exit__(self, *error: object) -> None:
        if self.token is not None:
            MODE.reset(self.token)


class FunctionCtx:
    """The first argument of a custom function's methods: PyTorch's `ctx`.

    `forward` or `setup_context` tell it what to keep, `backward` and `jvp` read that again. Anything else may be kept
    as an attribute; tensors that backward needs go through `save_for_backward`, so that they are freed with the graph.
    """

    needs_input_grad: tuple[bool, ...] = ()
    materialize_grads = True
    _wanted = True  # whether this context will be used, by backward or by jvp
    _recorded = True  # whether the call will have a node, so that its leaves may not be changed in place
    _node: Callable[[], Any] = staticmethod(lambda: None)

    def __init__(self) -> None:
        self.to_save: tuple[Any, ...] = ()
        self.saved_for_forward: tuple[Any, ...] | None = None
        self.dirty_tensors: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self._open: list[tuple[tuple[Any, ...], bool]] = []  # by each pass that runs `backward` now

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for `backward`, which finds them in `saved_tensors`."""
        self.to_save = self._checked(tensors, "save_for_backward")

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for `jvp`, which finds them in `saved_tensors`."""
        self.saved_for_forward = self._checked(tensors, "save_for_forward")

    def mark_dirty(self, *tensors: Any) -> None:
        """Say which inputs `forward` changes in place; each must be among its outputs.

        Raises InplaceError for a leaf that requires grad while recording.
        """
        for x in tensors if self._recorded else ():
            if isinstance(x, Tensor) and isinstance(x._node, Leaf):
                raise InplaceError(
                    "a leaf Variable that requires grad has been used in an in-place operation, by a custom Function "
                    "that marks it dirty; clone() it first, or call the Function under no_grad()"
                )
        self.dirty_tensors = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say which outputs have no gradient; `backward` still gets an argument for each, which is zeros."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether gradients that are zero because nothing depends on them arrive as zeros (True) or as None."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved, connected to the graph as it was. GraphError once a pass backward has freed it."""
        if self._open:
            return self._open[-1][0]
        node = self._node()
        if node is None:
            return self.to_save
        if isinstance(node.saved, Freed):
            raise GraphError(SECOND_TIME)
        saved = node.saved if isinstance(node.saved, tuple) else node.saved.values(node, None)
        return node.recipe.unpack(saved)  # type: ignore[no-any-return]

    def _opened(self, saved: tuple[Any, ...], create: bool = False) -> Opened:
        """Let `saved_tensors` be these. Two threads may be inside at once: then they find the same values."""
        return Opened(self._open, (saved, create))

    @property
    def _create(self) -> bool:
        """Whether the pass that runs `backward` is recorded itself."""
        return bool(self._open) and self._open[-1][1]

    def _checked(self, tensors: tuple[Any, ...], method: str) -> tuple[Any, ...]:
        for i, x in enumerate(tensors if self._wanted else ()):
            if x is not None and not isinstance(x, Tensor):
                raise ArgumentTypeError(
                    f"{method} can only save variables, but argument {i} is of type {type(x).__name__}; "
                    "keep anything else as an attribute of ctx"
                )
        return tensors

    def name(self) -> str:
        """Return the name that the node of this call has."""
        return type(self).__name__


@contextmanager
def transposing() -> Iterator[None]:
    """Record whatever the user's mode is: what is recorded here is only a means to transpose it."""
    token = MODE.set(replace_mode(mode(), recording=True, inference=False, transforming=True))
    try:
        yield
    finally:
        MODE.reset(token)


@cache
def ctx_class(name: str) -> type[FunctionCtx]:
    """Return the class of a function's contexts, called as PyTorch calls it: errors about attributes show it."""
    return type(name, (FunctionCtx,), {"__module__": FunctionCtx.__module__})
