"""Pure functions of arrays, compiled; the derivative of one is another, which is compiled too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import levels
from ..arrays import Array
from ..custom.applying import call
from ..custom.definition import Definition
from ..errors import CompileError
from ..func import jvp, vjp, vmap
from ..modes import mode
from ..namespaces import Namespace
from ..saved import innermost
from .engines import Donation, Drawing, Flat, Halves, Options, Run, build, by_halves, kinds_of


class Pure:
    """A flat function, of a list of tensors to a list of tensors, with a program for each kind of arguments.

    Called with raw arrays it runs; `apply` takes tensors of any level, and is one operation in their graph. `traces`
    counts how often the function was traced.
    """

    def __init__(self, name: str, flat: Flat, xp: Namespace, labels: Sequence[str], options: Options) -> None:
        self.name, self.flat, self.xp, self.labels, self.options = name, flat, xp, labels, options
        self.runs: dict[Any, Run] = {}
        self.traces = 0
        self._derived: dict[Any, Pure] = {}
        self._halves: dict[Any, Halves] = {}
        self._floats: list[bool] = []  # of the outputs: which have a derivative

    def __call__(self, *values: Any) -> Sequence[Any]:
        """Return the outputs for raw arrays and Python numbers."""
        return self.program(values)[1]

    def program(self, values: Sequence[Any], donation: Donation | None = None) -> tuple[Run, Sequence[Any]]:
        """Return the program for values of this kind, and its outputs; `donation` names those that it may take over."""
        kinds = kinds_of(values)
        key = kinds, donation is not None
        run = self.runs.get(key)
        if run is not None:
            return run, run(*values)
        self.traces += 1
        run, outputs = build(self.flat, values, self.xp, self.labels, self.options, donation)
        self.runs[key] = run
        if donation is not None and not donation.places:  # it may be run by anybody
            self.runs[kinds, False] = run
        floats = ("real floating", "complex floating")
        self._floats = [hasattr(y, "dtype") and self.xp.isdtype(y.dtype, floats) for y in outputs]
        return run, outputs

    def all_traces(self) -> int:
        """Return how often it was traced, with its derivatives."""
        return self.traces + sum(pure.all_traces() for pure in self._derived.values())

    def source(self) -> str:
        """Return its programs as Python."""
        runs = [*self.runs.values(), *[run for halves in self._halves.values() for run in halves]]
        sources = [getattr(run, "source", None) for run in dict.fromkeys(runs)]
        if None in sources:
            raise CompileError(
                f"compile: {self.xp._backend.name} compiles {self.name} itself; there is no source to show"
            )
        return "\n\n".join(map(str, sources))

    # --- as an operation in a graph, and under transformations ---

    def apply(self, tensors: Sequence[Any], moving: Sequence[int] | None = None) -> Sequence[Any]:
        """Return the outputs for tensors, of whatever level, connected to them: all of them, or those that move.

        What the function draws is drawn before, so that its derivatives have the same numbers.
        """
        drawing = next((run for run in self.runs.values() if isinstance(run, Drawing)), None)
        if drawing is not None:
            drawn = [self.xp.array_class._make(value) for value in drawing.drawn()]
            return self._with_draws(len(tensors), len(drawn)).apply([*tensors, *drawn], moving)

        halves, left = None, list[Any]()
        if moving is not None and self._has_halves and mode().recording and innermost() is None:
            needs = tuple([isinstance(x, Array) and x.requires_grad for x in tensors])
            halves = self._halves.get((needs, kinds_of(raw(tensors))))

        def forward(*args: Any) -> tuple[Any, ...]:
            if halves is None:
                return self._made(self(*raw(args)))
            found, count = halves.forward(*raw(args)), len(self._floats)
            left[:] = found[count:]
            return self._made(found[:count])

        def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            arrays = [x for x in inputs if isinstance(x, Array)]
            ctx.save_for_backward(*arrays)
            ctx.save_for_forward(*arrays)
            ctx.others = [None if isinstance(x, Array) else x for x in inputs]
            ctx.left = (halves, left.copy()) if left else None
            left.clear()  # the context alone has it, and lets it go
            if moving is not None:
                ctx.mark_non_differentiable(*[y for k, y in enumerate(output) if k not in moving])

        def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
            inputs, needs = self._inputs(ctx), tuple(ctx.needs_input_grad)
            given = [t for t, own in zip(cotangents, self._floats, strict=True) if own]
            plain = moving is not None and self._has_halves and not mode().recording
            if plain and all(x._xp is self.xp for x in (*inputs, *given) if isinstance(x, Array)):
                ctx.left, there = None, ctx.left  # a second pass computes it anew
                found = iter(self._made(self._back(raw(inputs), needs, raw(given), there)))
            else:
                found = iter(self._vjp_of(needs).apply([*inputs, *given]))
            return tuple([next(found) if need else None for need in needs])

        definition = Definition(self.name, forward, setup, backward, self._jvp, self._vmap)
        return call(definition, list(tensors)).outputs

    @property
    def _has_halves(self) -> bool:
        """Whether it is a program of our own writing."""
        return self.options.engine is None and self.xp._backend.compile is None

    def _made(self, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(map(self.xp.array_class._make, values))

    def _back(self, values: list[Any], needs: tuple[bool, ...], given: list[Any], there: Any) -> Sequence[Any]:
        """Return gradients for raw arrays: from what forward left or, the first time, from the beginning."""
        if there is not None:
            halves, left = there
            return halves.backward(*left, *given)  # type: ignore[no-any-return]
        key, n = (needs, kinds_of(values)), len(values)
        if key not in self._halves:
            self.traces += 1

            def joint(tensors: list[Any]) -> list[Any]:
                function, variables = self._moving(tensors[:n], needs, aux=True)
                _, pull, outputs = vjp(function, *variables, has_aux=True)
                return [*outputs, *pull(tensors[n:])]

            labels = [*self.labels, *[f"grad_{k}" for k in range(len(given))]]
            self._halves[key], found = by_halves(
                joint, [*values, *given], len(given), len(self._floats), self.xp, labels, self.options
            )
            return found
        halves = self._halves[key]
        return halves.backward(*halves.forward(*values)[len(self._floats) :], *given)

    def _inputs(self, ctx: Any) -> list[Any]:
        saved = iter(ctx.saved_tensors)
        return [next(saved) if x is None else x for x in ctx.others]

    def _jvp(self, ctx: Any, *tangents: Any) -> tuple[Any, ...]:
        moving = tuple([t is not None for t in tangents])
        found = iter(self._jvp_of(moving).apply([*self._inputs(ctx), *[t for t in tangents if t is not None]]))
        return tuple([next(found) if own else None for own in self._floats])

    def _vmap(self, info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        outputs = self._vmap_of(in_dims).apply(args)
        return tuple(outputs), (0,) * len(outputs)

    # --- its derivatives ---

    def _derive(self, key: Any, flat: Flat, more: Sequence[str]) -> Pure:
        if key not in self._derived:
            self._derived[key] = Pure(f"{key[0]}_{self.name}", flat, self.xp, [*self.labels, *more], self.options)
        return self._derived[key]

    def _moving(
        self, inputs: Sequence[Any], moving: Sequence[bool], aux: bool = False
    ) -> tuple[Callable[..., Any], list[Any]]:
        """Return the outputs that have a derivative as a function of the inputs that move, and these inputs.

        With `aux` the function gives all outputs beside them.
        """

        def function(*variables: Any) -> Any:
            given = iter(variables)
            outputs = self.flat([next(given) if moves else x for x, moves in zip(inputs, moving, strict=True)])
            floats = [y for y, own in zip(outputs, self._floats, strict=True) if own]
            return (floats, outputs) if aux else floats

        return function, [x for x, moves in zip(inputs, moving, strict=True) if moves]

    def _vjp_of(self, needs: tuple[bool, ...]) -> Pure:
        n = len(needs)

        def flat(tensors: list[Any]) -> list[Any]:
            function, variables = self._moving(tensors[:n], needs)
            return list(vjp(function, *variables)[1](tensors[n:]))

        labels = [f"grad_{k}" for k in range(sum(self._floats))]
        return self._derive(("vjp", needs), flat, labels)

    def _jvp_of(self, moving: tuple[bool, ...]) -> Pure:
        n = len(moving)

        def flat(tensors: list[Any]) -> list[Any]:
            function, variables = self._moving(tensors[:n], moving)
            return list(jvp(function, tuple(variables), tuple(tensors[n:]))[1])

        labels = [f"tangent_{label}" for label, moves in zip(self.labels, moving, strict=True) if moves]
        return self._derive(("jvp", moving), flat, labels)

    def _with_draws(self, n: int, count: int) -> Pure:
        """Return the function of its arguments, and of the random numbers that it draws."""

        def flat(tensors: list[Any]) -> list[Any]:
            drawn = iter(tensors[n:])
            token = levels.ANEW.set(lambda make: next(drawn))
            try:
                return self.flat(tensors[:n])
            finally:
                levels.ANEW.reset(token)

        return self._derive(("drawn", count), flat, [f"drawn_{k}" for k in range(count)])

    def _vmap_of(self, in_dims: tuple[Any, ...]) -> Pure:
        def flat(tensors: list[Any]) -> list[Any]:
            return list(vmap(lambda *given: self.flat(list(given)), in_dims, randomness="same")(*tensors))

        return self._derive(("vmap", in_dims), flat, [])


def raw(tensors: Sequence[Any]) -> list[Any]:
    """Return the arrays in tensors, and numbers as they are."""
    return [x._value if isinstance(x, Array) else x for x in tensors]
