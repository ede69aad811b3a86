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
from ..namespaces import Namespace
from .engines import Donation, Drawing, Flat, Options, Run, build


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
        self._floats: list[bool] = []  # of the outputs: which have a derivative

    def __call__(self, *values: Any) -> Sequence[Any]:
        """Return the outputs for raw arrays and Python numbers."""
        return self.program(values)[1]

    def program(self, values: Sequence[Any], donation: Donation | None = None) -> tuple[Run, Sequence[Any]]:
        """Return the program for values of this kind, and its outputs; `donation` names those that it may take over."""
        kinds = tuple([(v.shape, v.dtype) if hasattr(v, "shape") else v.__class__ for v in values])
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
        sources = [getattr(run, "source", None) for run in dict.fromkeys(self.runs.values())]
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

        def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            arrays = [x for x in inputs if isinstance(x, Array)]
            ctx.save_for_backward(*arrays)
            ctx.save_for_forward(*arrays)
            ctx.others = [None if isinstance(x, Array) else x for x in inputs]
            if moving is not None:
                ctx.mark_non_differentiable(*[y for k, y in enumerate(output) if k not in moving])

        definition = Definition(self.name, self._forward, setup, self._backward, self._jvp, self._vmap)
        return call(definition, list(tensors)).outputs

    def _forward(self, *args: Any) -> tuple[Any, ...]:
        make = self.xp.array_class._make
        return tuple(map(make, self(*[x._value if isinstance(x, Array) else x for x in args])))

    def _inputs(self, ctx: Any) -> list[Any]:
        saved = iter(ctx.saved_tensors)
        return [next(saved) if x is None else x for x in ctx.others]

    def _backward(self, ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        inputs, needs = self._inputs(ctx), tuple(ctx.needs_input_grad)
        given = [t for t, own in zip(cotangents, self._floats, strict=True) if own]
        found = iter(self._vjp_of(needs).apply([*inputs, *given]))
        return tuple([next(found) if need else None for need in needs])

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

    def _moving(self, inputs: Sequence[Any], moving: Sequence[bool]) -> tuple[Callable[..., Any], list[Any]]:
        """Return the outputs that have a derivative as a function of the inputs that move, and these inputs."""

        def function(*variables: Any) -> list[Any]:
            given = iter(variables)
            outputs = self.flat([next(given) if moves else x for x, moves in zip(inputs, moving, strict=True)])
            return [y for y, own in zip(outputs, self._floats, strict=True) if own]

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
