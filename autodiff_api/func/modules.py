"""Modules as functions of their parameters: `functional_call`, `stack_module_state`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import ArgumentError, ArgumentTypeError, ShapeError, StateDictError
from ..values import is_array

Dicts = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Places = dict[str, tuple[dict[str, Any], str]]  # where a module keeps a parameter or buffer


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Dicts,
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Return `module(*args, **kwargs)` with other parameters and buffers in the place of its own.

    They come by their dotted names, in one dict or several; `args` that is no tuple is the only argument. The module is
    left as it was, and a buffer that it assigns anew is assigned in the dict. A tensor that the module has under two
    names is replaced under both, unless `tie_weights` is False. Names that the module doesn't know are passed over;
    with `strict` they raise StateDictError, as do those that are missing.

    >>> import autodiff_api as ad
    >>> model = ad.nn.Linear(2, 1)
    >>> inputs = ad.tensor([1.0, 2.0])
    >>> def f(parameters):
    ...     return ad.func.functional_call(model, parameters, inputs).sum()
    >>> ad.grad(f)({"weight": ad.tensor([[3.0, 4.0]]), "bias": ad.tensor([5.0])})
    {'weight': tensor([[1., 2.]]), 'bias': tensor([1.])}
    """
    dicts = parameter_and_buffer_dicts
    several = [dicts] if isinstance(dicts, Mapping) else list(dicts)
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, _merged(several), several, tie_weights, strict):
        return module(*positional, **(kwargs or {}))


def _merged(dicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the dicts have together; no name may be in two of them."""
    merged: dict[str, Any] = {}
    for found in dicts:
        if not isinstance(found, Mapping):
            raise ArgumentError(
                f"functional_call: expected all elements of parameter_and_buffer_dicts to be dictionaries, got "
                f"{type(found).__name__}"
            )
        if twice := merged.keys() & found.keys():
            raise ArgumentError(
                f"functional_call: {sorted(twice)} appeared in multiple dictionaries; leave each name in one of them"
            )
        merged.update(found)
    for name, value in merged.items():
        if not is_array(value):
            raise ArgumentTypeError(
                f"functional_call: {name!r} is {type(value).__name__}, which is not an instance of Tensor"
            )
    return merged


@contextmanager
def _replaced(
    module: Any, given: dict[str, Any], dicts: Sequence[Mapping[str, Any]], tie_weights: bool, strict: bool
) -> Iterator[None]:
    """Put what is given in its places for the time of a `with` block."""
    places = _places(module)
    before = {name: registry[key] for name, (registry, key) in places.items()}
    wanted = _tied(given, before) if tie_weights else {name: given[name] for name in given if name in places}
    if strict:
        _insist(type(module).__name__, before.keys() - wanted.keys(), given.keys() - before.keys())
    try:
        for name, value in wanted.items():
            registry, key = places[name]
            registry[key] = value
        yield
        now = {name: registry[key] for name, (registry, key) in places.items()}
    finally:
        for name, value in before.items():
            registry, key = places[name]
            registry[key] = value
    for found in dicts:
        for name in found.keys() & now.keys():
            if now[name] is not found[name]:
                found[name] = now[name]  # type: ignore[index]  # a mapping that can't change has buffers that don't


def _places(module: Any) -> Places:
    """Return where a module and those below it keep their parameters and buffers, under all their names."""
    places: Places = {}
    for path, part in module.named_modules(remove_duplicate=False):
        for registry in (part._parameters, part._buffers):
            for key, member in registry.items():
                if member is not None:
                    places[f"{path}.{key}" if path else key] = registry, key
    return places


def _tied(given: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return a value for each name that has one of its own, or one under another name of the same tensor."""
    values: dict[int, dict[str, Any]] = {}
    for name in given.keys() & before.keys():
        values.setdefault(id(before[name]), {})[name] = given[name]
    for names in values.values():
        if len({id(value) for value in names.values()}) > 1:
            raise ArgumentError(
                f"functional_call got multiple values for keys {sorted(names)}, which are tied. "
                "Consider using tie_weights=False"
            )
    return {name: next(iter(values[id(x)].values())) for name, x in before.items() if id(x) in values}


def _insist(owner: str, missing: set[str], unexpected: set[str]) -> None:
    problems = [
        f"\n\t{word} key(s): {', '.join(map(repr, sorted(names)))}."
        for word, names in (("Unexpected", unexpected), ("Missing", missing))
        if names
    ]
    if problems:
        raise StateDictError(f"Error(s) in reparametrizing for {owner}:{''.join(problems)}")


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters and the buffers of modules that are built alike, each stacked along a new first axis.

    They are leaves of their own. With :func:`vmap` and :func:`functional_call` an ensemble runs as one. Raises
    ShapeError where there is no model, or where they differ in class, mode, names, shapes or what requires grad.

    >>> import autodiff_api as ad
    >>> models = [ad.nn.Linear(2, 1) for _ in range(3)]
    >>> parameters, buffers = ad.func.stack_module_state(models)
    >>> parameters["weight"].shape
    (3, 1, 2)
    >>> def run(parameters, x):
    ...     return ad.func.functional_call(models[0], parameters, x)
    >>> ad.vmap(run, in_dims=(0, None))(parameters, ad.tensor([1.0, 2.0])).shape
    (3, 1)
    """
    models = list(models)
    if not models:
        raise ShapeError("stack_module_state: Expected at least one model, got 0.")
    if len({type(model) for model in models}) > 1:
        raise ShapeError("stack_module_state: Expected all models to be of the same class.")
    if len({model.training for model in models}) > 1:
        raise ShapeError("stack_module_state: Expected all models to have the same training/eval mode.")
    return _stacked([dict(m.named_parameters()) for m in models]), _stacked([dict(m.named_buffers()) for m in models])


def _stacked(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if any(state.keys() != states[0].keys() for state in states):
        raise ShapeError("stack_module_state: Expected all models to have parameters and buffers of the same names.")
    return {name: _stack(name, [state[name] for state in states]) for name in states[0]}


def _stack(name: str, tensors: Sequence[Any]) -> Any:
    if len({tuple(x.shape) for x in tensors}) > 1:
        raise ShapeError(
            f"stack_module_state: stack expects each tensor to be equal size, but {name} has "
            f"{', '.join(str(tuple(x.shape)) for x in tensors)}"
        )
    if len({x.requires_grad for x in tensors}) > 1:
        raise ShapeError(f"stack_module_state: Expected {name} from each model to have the same .requires_grad")
    xp = tensors[0].__array_namespace__()
    return xp.stack([x.detach() for x in tensors]).requires_grad_(tensors[0].requires_grad)
