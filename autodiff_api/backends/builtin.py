"""The way to NumPy that needs neither package metadata nor pluggy.

NumPy is the default of almost every process, so its first tensor should not wait for a search for plugins:
importing importlib.metadata and pluggy and asking each of 60 distributions takes 60 ms (8 where the former is
imported already), half of what NumPy itself takes. The plugin is known by name, as any other is by its
entry point; all that is left to find out is whether some other distribution has plugins, and a look at file
names tells that in 1 ms.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from autodiff_api.backends.backend import BackendSpec

DISTRIBUTION = "autodiff-api"
GROUP = "autodiff_api.backends"
NAME = "numpy"
MODULE = "autodiff_api_numpy"


def plugin_module() -> ModuleType:
    """Import NumPy's plugin: as installed, else from the source tree that this file is part of."""
    try:
        return import_module(MODULE)
    except ModuleNotFoundError as error:
        tree = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        path = os.path.join(tree, "plugins", NAME, MODULE, "__init__.py")
        if error.name != MODULE or not os.path.exists(path):
            raise
        found = spec_from_file_location(MODULE, path)
        assert found is not None and found.loader is not None
        module = sys.modules[MODULE] = module_from_spec(found)
        found.loader.exec_module(module)
        return module


def spec() -> BackendSpec:
    """Return the card of the NumPy backend."""
    (card,) = plugin_module().autodiff_api_backends()
    assert isinstance(card, BackendSpec)
    return card


def needs_discovery() -> bool:
    """Tell whether anything but the host's own plugins, as they come, could concern NumPy.

    True if a list in the environment might block NumPy, if another distribution on `sys.path` registers in
    the group, or if that can't be seen from file names (a zip file, a custom finder). First-party
    plugins offer kernels and ops for their own backend only, so they need no look.
    """
    if os.environ.get("AUTODIFF_API_DISABLE_PLUGINS"):
        return True
    if os.environ.get("AUTODIFF_API_PLUGINS") == "":
        return False
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    return any(_has_plugins(folder) for folder in dict.fromkeys(sys.path))


def _has_plugins(folder: str) -> bool:
    try:
        names = os.listdir(folder or ".")
    except NotADirectoryError:
        return True
    except OSError:
        return False
    return any(
        name.endswith((".dist-info", ".egg-info", "EGG-INFO"))
        and name.removesuffix(".egg-info").partition("-")[0] != GROUP.partition(".")[0]
        and _mentions_group(os.path.join(folder, name, "entry_points.txt"))
        for name in names
    )


def _mentions_group(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return GROUP.encode() in file.read()
    except OSError:
        return False
