"""What optimizers share: parameter groups, state, and the step that is taken whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autodiff_api.errors import ArgumentError, ArgumentTypeError, StateDictError
from autodiff_api.modes import enable_grad
from autodiff_api.nn.state import clear_gradients, counterpart
from autodiff_api.tensors import Tensor

from .moves import moves, settle
from .types import Array, Group, Params, State


class Optimizer:
    """Base of the optimizers; a subclass says in `update` how one parameter moves.

    `params` is an iterable of tensors, or of dictionaries with the key "params" and options of their own;
    `defaults` are the options of a group that has none of its own. As in PyTorch `param_groups` is a list of
    dictionaries, whose options may be changed between steps, and `state` a dictionary by parameter.

    In a function that an engine compiles, state must go in and out like the parameters: make the optimizer
    there, give it the state with `load_state_dict`, step, and return `state_dict()["state"]`. The options
    become constants of the program; the number of steps, which is part of the state, does not.
    """

    def __init__(self, params: Params, defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.check(self.defaults)
        self.state: dict[Tensor, State] = {}
        self.param_groups: list[Group] = []
        if isinstance(params, Tensor):
            raise ArgumentTypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but "
                f"{self._name}() got a tensor. Pass a list: [tensor]."
            )
        groups: list[Any] = list(params)
        if not groups:
            raise ArgumentError(
                f"optimizer got an empty parameter list in {self._name}(). "
                "A generator such as model.parameters() serves one optimizer only: call it again."
            )
        for group in groups if isinstance(groups[0], Mapping) else [{"params": groups}]:
            self.add_param_group(group)

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `ArgumentError` for an option that makes no sense."""

    def update(self, param: Array, grad: Array, state: State, options: Group) -> tuple[Array, State]:
        """Return the parameter and its state after one step, all as new tensors.

        `state` is empty at the first step. Nothing is recorded. An update must not look at the values of
        arrays, so that a step can be compiled; options and a step count that are Python numbers may be.
        """
        raise NotImplementedError(f"{self._name} doesn't say how a parameter moves. Define update().")

    @property
    def _name(self) -> str:
        return type(self).__name__

    # Groups

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own, "params" among the keys.

        Raises `ArgumentTypeError` for what is no tensor, and `ArgumentError` for a non-leaf or a tensor that
        the optimizer has already.
        """
        if not isinstance(param_group, Mapping):
            raise ArgumentTypeError(
                f"param_group must be a dict, but got {type(param_group).__name__} in {self._name}. "
                'Write {"params": [...], ...}.'
            )
        if "params" not in param_group:
            raise ArgumentError(
                f'param_group has no "params" in {self._name}, only {sorted(param_group)}. Add the list.'
            )
        group = {**self.defaults, **param_group, "params": self._checked(param_group["params"])}
        self.check(group)
        self.param_groups.append(group)

    def _checked(self, params: Any) -> list[Tensor]:
        """Return the tensors of a new group as a list, if they are what they must be."""
        if isinstance(params, set | frozenset):
            raise ArgumentTypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of "
                f"tensors in sets will change between runs. Please use a list instead in {self._name}()."
            )
        checked: list[Tensor] = [params] if isinstance(params, Tensor) else list(params)
        present = {id(param) for param in self._params()}
        for param in checked:
            if not isinstance(param, Tensor):
                raise ArgumentTypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__} "
                    f"in {self._name}(). Pass tensors, for example model.parameters()."
                )
            if not param.is_leaf:
                raise ArgumentError(
                    f"can't optimize a non-leaf Tensor, and {self._name}() got one made by {param.grad_fn}. "
                    "Pass the leaf that it was computed from, or detach() it."
                )
            if id(param) in present:
                raise ArgumentError(
                    "some parameters appear in more than one parameter group, or twice in one: "
                    f"{self._name}() got one of shape {param.shape} again. Pass each parameter once."
                )
            present.add(id(param))
        return checked

    def _params(self) -> Iterator[Tensor]:
        return (param for group in self.param_groups for param in group["params"])

    # Stepping

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; return what `closure` returns, if there is one.

        `closure` clears the gradients, computes the loss, goes backward and returns the loss. The step is
        taken whole: if an update fails, no parameter and no state has changed.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        settle([move for group in self.param_groups for move in moves(self.update, group, self.state)], self.state)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set every parameter's `grad` to None, or to zeros."""
        clear_gradients(self._params(), set_to_none)

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """Return the state and the options, with numbers in place of the parameters.

        The tensors are the optimizer's own; later steps make new ones and don't change these.
        """
        numbers = {id(param): number for number, param in enumerate(self._params())}
        groups = [{**g, "params": [numbers[id(param)] for param in g["params"]]} for g in self.param_groups]
        state = {numbers[id(p)]: dict(kept) for p, kept in self.state.items() if id(p) in numbers}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned, here or on another backend or device; all or nothing.

        Raises `ArgumentError` where the groups don't match, `StateDictError` where a state's shape doesn't.
        """
        saved, own = list(state_dict["param_groups"]), self.param_groups
        if len(saved) != len(own):
            raise ArgumentError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, where this "
                f"{self._name} has {len(own)}. Add groups in the same order first."
            )
        owners: dict[Any, Tensor] = {}
        for number, (theirs, mine) in enumerate(zip(saved, own, strict=True)):
            if len(theirs["params"]) != len(mine["params"]):
                raise ArgumentError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
                    f"group: group {number} has {len(theirs['params'])} parameters, in this {self._name} "
                    f"{len(mine['params'])}. Load the state of an optimizer over the same parameters."
                )
            owners.update(zip(theirs["params"], mine["params"], strict=True))
        groups = [{**m, **t, "params": m["params"]} for t, m in zip(saved, own, strict=True)]
        for group in groups:
            self.check(group)
        kept = {owners[n]: values for n, values in state_dict["state"].items() if n in owners}
        self.state = {p: fitting(kept[p], p) for p in kept}
        self.param_groups[:] = groups

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for number, group in enumerate(self.param_groups):
            options = sorted((key, value) for key, value in group.items() if key != "params")
            lines += [f"Parameter Group {number}", *(f"    {key}: {value}" for key, value in options)]
        return "\n".join([*lines, ")"])


def fitting(state: Mapping[str, Any], param: Tensor) -> State:
    """Return loaded state as tensors beside `param`; PyTorch writes None for what isn't there."""
    return {key: piece(key, value, param) for key, value in state.items() if value is not None}


def piece(key: str, value: Any, param: Tensor) -> Any:
    """Return one piece of state: the step count, or a tensor of the parameter's backend, device and dtype."""
    if key == "step":
        try:
            return int(value)
        except TypeError:  # a traced number, inside a function that is being compiled
            return value
    if tuple(value.shape) != param.shape:
        raise StateDictError(
            f"size mismatch for {key}: the loaded state has shape {tuple(value.shape)}, its parameter "
            f"{param.shape}. Load the state of an optimizer over the same parameters."
        )
    return counterpart(value, param)


def refuse_negative(owner: str, options: Mapping[str, Any], **words: str) -> None:
    """Refuse options below 0 and nan, among those named; a traced number can't be looked at."""
    for option, word in words.items():
        value = options[option]
        if isinstance(value, int | float) and not value >= 0:
            raise ArgumentError(f"Invalid {word}: {value} in {owner}(). {option} must be at least 0.")
