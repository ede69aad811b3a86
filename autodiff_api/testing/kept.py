"""What a kernel keeps for its backward: a part of the law "kernels"."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..rules.kinds import invoker_of
from .derivatives import as_tuple, cotangents
from .samples import Sample
from .setting import Call, Setting
from .verdicts import close, same


def kept(setting: Setting, name: str, sample: Sample) -> bool:
    """Check that a kernel that keeps something returns what the plain one does, and so does the backward that uses it.

    That is called twice, as by two passes over a graph that is retained.
    """
    call, lower = Call(setting, name, sample), setting.lower
    keeping = None if call.op is None else lower.keeping(call.op)
    if keeping is None:
        return False
    args, kwargs = call.arguments(lower, call.raws())
    out, what = keeping.forward(*args, **kwargs)
    agree(setting, sample, out, lower.kernel(name)(*args, **kwargs), f"{name}, from the kernel that keeps something,")
    (w,) = cotangents(call, [out])
    op = setting.xp._ops[keeping.backward_op]
    invoke, bound = invoker_of(op), call.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    words = {n: bound.arguments[n] if n in bound.arguments else setting.raw(w) for n in op.parameters}  # or `grad`
    a, p = (tuple([words[n] for n in names]) for names in (op.arrays, op.statics))
    plain = as_tuple(invoke(lower.kernel(op.name), a, p))
    for _ in range(2 if what is not None else 0):
        found = as_tuple(invoke(partial(keeping.backward, what), a, p))
        for i, (y, z) in enumerate(zip(found, plain, strict=True)):
            agree(setting, sample, y, z, f"output {i} of {op.name}, from what was kept,")
    return True


def agree(setting: Setting, sample: Sample, found: Any, plain: Any, what: str) -> None:
    """Raise if two raw arrays differ."""
    same(f"dtype of {what}", found.dtype, plain.dtype)
    close(setting, sample, found, setting.host(plain), what)
