"""`detect_anomaly`: which operation made a nan in the pass backward, and which line of the user's recorded it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from .backends import backend_of
from .errors import AnomalyError
from .graph import NOTHING, Edge, Node
from .modes import Mode, Switch, Watcher, mode, use_rare
from .places import user_places
from .rules import Elementwise
from .values import arrays_in, engine_arrays
from .walks import settle

PARENT: ContextVar[Node | None] = ContextVar("autodiff_api.parent", default=None)  # whose pull is being recorded


class Trail:
    """What was seen of one pass: which nodes sent a cotangent to which, and whether they made zeros of it."""

    def __init__(self) -> None:
        self.senders: dict[Edge, list[tuple[Node, bool]]] = {}

    def add(self, node: Node, edge: Edge, t: Any, g: Any) -> None:
        """Note that `node`, with the cotangent `t`, sent `g` to an edge."""
        self.senders.setdefault(edge, []).append((node, makes_zeros(t, g)))

    def origin_of_zeros(self, node: Node) -> Node | None:
        """Return the nearest node on the way to `node` that made zeros of a cotangent that was none."""
        near: list[Edge] = [node]
        seen = set(near)
        for edge in near:  # which grows
            for sender, zeroes in self.senders.get(edge, ()):
                if zeroes:
                    return sender
                if sender not in seen:
                    seen.add(sender)
                    near.append(sender)
        return None


class Anomaly(Watcher):
    """Notes where each node was recorded, and looks at what each node of a pass gives."""

    def __init__(self, check_nan: bool) -> None:
        self.check_nan = check_nan

    def recorded(self, node: Node) -> None:
        """Keep the user's place with a node, by the names that PyTorch has for it."""
        node.metadata["traceback_"] = user_places()
        if (parent := PARENT.get()) is not None:
            node.metadata["parent_"] = parent

    def around(self, walk: Any, node: Node, t: Any, targets: tuple[int, ...], pull: Callable[..., Any]) -> Any:
        """Look at what a node's pull gives; an exception there is told where the node was recorded."""

        def watched(given: Any, saved: tuple[Any, ...], xp: Any) -> list[Any]:
            token = PARENT.set(node)
            try:
                found = list(pull(given, saved, xp))
            except AnomalyError:  # of a pass inside: it says all there is to say
                raise
            except Exception as error:
                error.add_note(f"This happened in the derivative of {node.name()!r} {recorded_at(node)}".rstrip())
                raise
            finally:
                PARENT.reset(token)
            trail = walk.notes.setdefault(self, Trail())
            for i, g in zip(targets, found, strict=True):
                edge = node.edges[i]
                if g is NOTHING or not self.check_nan:
                    continue
                if has_nan(g) or (g.shape != edge.shape and has_nan(settle(g, edge, xp, node.recipe))):
                    raise AnomalyError(report(node, i, t, g, trail))
                trail.add(node, edge, t, g)
            return found

        return watched


def recorded_at(node: Node) -> str:
    """Say, if it is known, in which line of the user's a node was recorded, and as part of which derivative."""
    places = node.metadata.get("traceback_")
    if not places:
        return ""
    text = f"recorded at\n{places[-1]}\n"
    parent = node.metadata.get("parent_")
    return text if parent is None else f"{text}as part of the derivative of {parent.name()!r}, {recorded_at(parent)}"


def report(node: Node, i: int, t: Any, g: Any, trail: Trail) -> str:
    """Say which node gave nan, where it comes from, and what can be done."""
    where = recorded_at(node)
    text = f"Function {node.name()!r} returned nan values in its {i}th output."
    if where:
        text += f" It was {where}"
    else:
        text += " To see which line recorded it, enable detect_anomaly during the forward pass, too. "
    if has_nan(t):
        return f"{text}The gradient that came to it was nan already."
    if not zero_where_nan(t, g):
        infinite = any(any_of(lambda xp, raw: xp.isinf(raw), raw) for raw in parts(t))
        return f"{text}The gradient that came to it is infinite." if infinite else text.rstrip()
    text += "The gradient that came to it is exactly zero there, and 0 * inf is nan. "
    origin = trail.origin_of_zeros(node)
    if origin is not None:
        where = recorded_at(origin)
        text += f"The zeros come from {origin.name()!r}" + (f", {where}" if where else ". ")
    op = node.recipe.op.name
    text += f"Give {op} another input where its result is not used, as in where(m, {op}(where(m, x, 1)), 0)"
    if isinstance(node.recipe.op.rule, Elementwise):
        text += ", or go backward in autograd.zero_safe(), where a gradient that is zero stays zero"
    return f"{text}."


# --- looking at values ---


def truth(x: Any) -> bool:
    """Return the truth of one value; AnomalyError if it isn't there yet."""
    try:
        return bool(x)
    except TypeError as error:
        raise AnomalyError(
            "detect_anomaly looks at values, and there are none while a function is compiled: call it without the "
            "compiler, or with check_nan=False"
        ) from error


def any_of(test: Callable[..., Any], *arrays: Any) -> bool:
    """Tell whether a test of engine arrays holds anywhere."""
    backend = backend_of(arrays[0])
    assert backend is not None
    return truth(backend.namespace.any(test(backend.namespace, *arrays)))


def parts(x: Any) -> Iterable[Any]:
    """Return the engine's arrays in a cotangent, which may be a tuple."""
    return [raw for array in arrays_in(x) for raw in engine_arrays(array)]


def has_nan(x: Any) -> bool:
    """Tell whether a cotangent has a nan anywhere, at any level."""
    return any(any_of(lambda xp, raw: xp.isnan(raw), raw) for raw in parts(x))


def zero_where_nan(t: Any, g: Any) -> bool:
    """Tell whether `g` is nan where `t` is zero."""
    given = [*parts(t)]
    if len(given) == 0 or getattr(t, "shape", None) != getattr(g, "shape", None):
        return False
    return any(any_of(lambda xp, zero, raw: (zero == 0) & xp.isnan(raw), given[0], raw) for raw in parts(g))


def makes_zeros(t: Any, g: Any) -> bool:
    """Tell whether `g` is zero where `t` is not, or has more zeros for its size if it has another shape."""
    given, made = [*parts(t)], [*parts(g)]
    if given and getattr(t, "shape", None) == getattr(g, "shape", None):
        return any_of(lambda xp, a, b: (a != 0) & (b == 0), given[0], made[0])
    return max(map(share_of_zeros, made)) > max(map(share_of_zeros, given), default=0.0)


def share_of_zeros(raw: Any) -> float:
    """Return how many of an engine array's elements are zero, as a part of one."""
    backend = backend_of(raw)
    assert backend is not None
    xp = backend.namespace
    zeros: int = int(xp.sum(xp.astype(raw == 0, xp.int32)))
    return zeros / max(math.prod(map(int, raw.shape)), 1)


# --- the modes ---


def detector() -> Anomaly | None:
    """Return what looks for anomalies here."""
    return next((w for w in mode().watchers if isinstance(w, Anomaly)), None)


def is_anomaly_enabled() -> bool:
    """Tell whether anomalies are being looked for."""
    return detector() is not None


def is_anomaly_check_nan_enabled() -> bool:
    """Tell whether a nan in a pass backward is an error here."""
    found = detector()
    return found is not None and found.check_nan


class detect_anomaly(Switch):
    """Let a nan in the pass backward be an error that names the operation, and the line that recorded it.

    What is recorded in this mode knows its line; what a pass computes in this mode is looked at, unless `check_nan` is
    false. Other exceptions in the pass are told the line as well. Raises AnomalyError. Where the nan is 0 * inf, the
    error names the operation that made the zeros, and what can be done. It is slow: meant for finding a fault.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([0.0, 4.0], requires_grad=True)
    >>> with ad.autograd.detect_anomaly():
    ...     ad.where(x > 0, ad.sqrt(x), 0.0).sum().backward()
    Traceback (most recent call last):
    autodiff_api.errors.AnomalyError: Function 'Sqrt' returned nan values in its 0th output. ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__()
        self.enabled, self.check_nan = True, check_nan

    def _changed(self, now: Mode) -> Mode:
        use_rare()
        others = tuple(w for w in now.watchers if not isinstance(w, Anomaly))
        return replace(now, watchers=(*others, Anomaly(self.check_nan)) if self.enabled else others)

    def _again(self) -> detect_anomaly:
        return detect_anomaly(self.check_nan)


class set_detect_anomaly(detect_anomaly):
    """Look for anomalies or not: at once when called, and until the end of the block as a context manager.

    >>> import autodiff_api as ad
    >>> with ad.autograd.set_detect_anomaly(True):
    ...     ad.autograd.is_anomaly_enabled()
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__(check_nan)
        self.enabled = bool(mode)
        super().__enter__()

    def __enter__(self) -> None:
        """Leave the mode as the call itself has set it."""
