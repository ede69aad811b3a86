"""Arrays over several devices: a mesh of them, and trees of arrays laid out over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from .arrays import Array
from .backends import Backend, backend_of, default_backend, get_backend
from .errors import ArgumentError, ArgumentTypeError, BackendUnavailableError
from .nn import Module
from .nn.placement import move_parameter, moved
from .trees import Tree, flatten, unflatten

Spec: TypeAlias = tuple["str | tuple[str, ...] | None", ...]
"""How an array lies over a mesh: for each of its axes the name of the mesh's axis that it is divided along, several
names, or None where it is not. Axes that are left out are not divided; ``()`` is an array that each device has whole.
"""


@dataclass(frozen=True)
class Mesh:
    """A grid of devices, whose axes have names and lengths: the engine's own mesh, and which backend it is of.

    `devices` are those to use, by default the first of the backend's. `explicit` makes layouts a part of the types of
    arrays, on an engine that has such: JAX's ``AxisType.Explicit``. Raises ArgumentError where there are too few
    devices, and BackendUnavailableError for a backend whose engine has no meshes.

    >>> import autodiff_api as ad
    >>> ad.Mesh({"data": 2}, backend="numpy")
    Traceback (most recent call last):
    autodiff_api.errors.BackendUnavailableError: Mesh: backend 'numpy' has no meshes of devices; ...
    """

    axes: Mapping[str, int]
    backend: str = ""
    devices: Sequence[Any] | None = None
    explicit: bool = False

    def __post_init__(self) -> None:
        backend = get_backend(self.backend or default_backend())
        if backend.mesh is None:
            raise _without_meshes("Mesh", backend)
        object.__setattr__(self, "backend", backend.name)
        object.__setattr__(self, "engine", backend.mesh(dict(self.axes), self.devices, self.explicit))

    engine: Any = None

    def layout(self, *spec: str | tuple[str, ...] | None) -> Any:
        """Return how arrays lie over the mesh by a spec: what `device=` takes, in every function that makes arrays."""
        return _layout(get_backend(self.backend), self.engine, spec, "Mesh.layout")


def place(tree: Any, mesh: Any, spec: Spec | Mapping[str, Spec]) -> Any:
    """Return a tree of arrays laid out over a mesh, or lay out a module where it is and return it.

    `mesh` is a :class:`Mesh` or an engine's own. `spec` says for each axis of an array the mesh's axis that it is
    divided along, several, or None; it holds for every array of the tree, or, as a mapping from names, for each of its
    own: dotted paths, such as those of a state dict, in which ``*`` stands for anything. The first that fits counts,
    and what none fits every device has whole. Gradients return to where a tensor comes from. Leaves that are no
    arrays stay what they are.

    Raises ArgumentError for an axis that the mesh doesn't have, for a spec that is longer than an array has axes, and
    for a name that fits nothing.

    >>> import autodiff_api as ad
    >>> ad.place(ad.ones(2), object(), ())
    Traceback (most recent call last):
    autodiff_api.errors.BackendUnavailableError: place: backend 'numpy' has no meshes of devices; ...
    """
    if isinstance(tree, Module):
        entries = {**dict(tree.named_parameters()), **dict(tree.named_buffers())}
        names, leaves = list(entries), list(entries.values())
    else:
        leaves, structure = flatten(tree)
        names = _names(structure)
    layouts = [
        None if there is None else _layout_for(x, mesh, there, name)
        for x, name, there in zip(leaves, names, _specs(names, leaves, spec), strict=True)
    ]
    if isinstance(tree, Module):
        return _module(tree, dict(zip(names, layouts, strict=True)))
    return unflatten(structure, [_placed(x, there, mesh) for x, there in zip(leaves, layouts, strict=True)])


def _module(module: Module, layouts: Mapping[str, Any]) -> Module:
    """Move a module's parameters, with their gradients, and its buffers."""
    for name, parameter in module.named_parameters():
        move_parameter(parameter, None, layouts[name])
    for path, part in module.named_modules():
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = moved(buffer, None, layouts[f"{path}.{name}" if path else name])
    return module


def _specs(names: Sequence[str], leaves: Sequence[Any], spec: Any) -> list[Spec | None]:
    """Return the spec of each leaf; None for what is no array."""
    if isinstance(spec, Mapping):
        idle = [pattern for pattern in spec if not any(fnmatchcase(name, pattern) for name in names)]
        if idle:
            raise ArgumentError(f"place: no array is called {idle[0]!r}; there are {', '.join(names)}")
        found = [next((s for pattern, s in spec.items() if fnmatchcase(name, pattern)), ()) for name in names]
    else:
        found = [spec] * len(names)
    for s in found:
        if not isinstance(s, tuple):
            raise ArgumentTypeError(
                f"place: a spec is a tuple with the name of an axis of the mesh, a tuple of names, or None for each "
                f"axis of an array, and not {s!r}"
            )
    return [s if hasattr(x, "shape") and hasattr(x, "dtype") else None for x, s in zip(leaves, found, strict=True)]


def _layout_for(x: Any, mesh: Any, spec: Spec, name: str) -> Any:
    """Return the layout of one array over a mesh."""
    if len(spec) > len(x.shape):
        raise ArgumentError(
            f"place: the spec {spec} is for {len(spec)} axes, and {name or 'the array'} has shape {tuple(x.shape)}; "
            "give a spec by name for those that are laid out in another way"
        )
    if isinstance(mesh, Mesh):
        return _layout(get_backend(mesh.backend), mesh.engine, spec, "place")
    backend = x._xp._backend if isinstance(x, Array) else backend_of(x)
    if backend is None:
        raise ArgumentTypeError(f"place: no installed backend claims {type(x).__name__}; pass tensors or arrays")
    return _layout(backend, mesh, spec, "place")


def _layout(backend: Backend, mesh: Any, spec: Spec, where: str) -> Any:
    if backend.layout is None:
        raise _without_meshes(where, backend)
    given = [n for part in spec for n in ((part,) if isinstance(part, str) else part or ())]
    known = [str(n) for n in getattr(mesh, "axis_names", given)]
    for n in given:
        if n not in known or given.count(n) > 1:
            fact = "names an axis twice" if n in known else f"names an axis {n!r}"
            raise ArgumentError(
                f"{where}: the spec {spec} {fact}; the mesh has {', '.join(known)}, each to be used once"
            )
    return backend.layout(mesh, spec)


def _placed(x: Any, there: Any, mesh: Any) -> Any:
    if there is None:
        return x
    if isinstance(x, Array):
        return x._xp.to_device(x, there)
    backend = get_backend(mesh.backend) if isinstance(mesh, Mesh) else backend_of(x)
    assert backend is not None
    return backend.place(x, there)


def _names(tree: Tree, start: str = "") -> list[str]:
    """Return the dotted path of each leaf."""
    if tree.make is None:
        return [start]
    steps = zip(tree.keys, tree.children, strict=True)
    return [name for key, child in steps for name in _names(child, f"{start}.{key}" if start else str(key))]


def _without_meshes(where: str, backend: Backend) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{where}: backend {backend.name!r} has no meshes of devices; use one that has, such as JAX: "
        "backend='jax', or ad.use_backend('jax')"
    )
