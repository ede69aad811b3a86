"""The law of compilation: a program does what the function does, also with other numbers than it was traced with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..compiler import compile
from ..errors import CompileError
from .derivatives import cotangents, directions, has_derivative, tensors
from .mapped import MASKED, Mapped, placed
from .samples import Array, Sample
from .setting import Call, Setting
from .verdicts import LawError, about, close, same


def compiled(setting: Setting, name: str, sample: Sample) -> bool:
    """Check a compiled call, with its vjp and its jvp, against the eager one."""
    if not sample.traceable and setting.backend.compile is not None:
        return False
    call, plain = Mapped(setting, name, sample), Call(setting, name, sample)
    if not call.leaves:
        return False
    with about(setting, name, sample, "compiled"):
        given, others = tensors(call), tensors(call)
        chosen = [i for i, x in enumerate(call.leaves) if not (call.differs((i,)) or is_mask(name, x))]
        for i in chosen:
            others[i] = placed(setting, call.other(i))
        moves = has_derivative(plain) and not sample.refuses
        ws = cotangents(call, call(setting.xp, given)) if moves else []
        function = call.derived(ws, directions(plain) if moves else [])
        if any(call.differs((i,)) for i in range(len(given))):
            refusal(compile(function), given)
        if not chosen:
            return True
        program = compile(_of(function, given, chosen))
        program(*[others[i] for i in chosen])
        found = program(*[given[i] for i in chosen])
        if program.traces > 1:
            raise LawError("the second call, with arrays of the same shapes and dtypes, was traced again")
        for i, (y, z) in enumerate(zip(found, function(*given), strict=True)):
            same(f"dtype of result {i} of the program", y.dtype, z.dtype)
            same(f"shape of result {i} of the program", tuple(y.shape), tuple(z.shape))
            close(setting, sample, y, setting.host(z), f"result {i} of the program", slack=10)
    return True


def is_mask(name: str, x: Array) -> bool:
    """Tell whether an array is a mask as a key, whose gradient has a size that depends on values."""
    return name in MASKED and x.dtype.kind == "b"


def _of(function: Callable[..., Any], arrays: Sequence[Any], chosen: Sequence[int]) -> Callable[..., Any]:
    """Return the function of some of its arrays; the others are constants."""

    def run(*some: Any) -> Any:
        given = list(arrays)
        for i, x in zip(chosen, some, strict=True):
            given[i] = x
        return function(*given)

    return run


def refusal(program: Callable[..., Any], given: Sequence[Any]) -> None:
    """Check that what depends on values is an error that says what to do."""
    try:
        program(*given)
    except CompileError as error:
        if "Remedies" not in str(error):
            raise LawError(f"the error must say what to do, and says: {error}") from None
    else:
        raise LawError("there is a result; it must be a CompileError, since its shape depends on values")
