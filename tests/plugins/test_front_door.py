"""First-party plugins are written as a stranger would write them, and packed with the core."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

import autodiff_api

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PLUGINS = sorted(path for path in (ROOT / "plugins").iterdir() if path.is_dir())
PUBLIC = {"autodiff_api", "autodiff_api.backends", "autodiff_api.errors", "autodiff_api.rules"}


def imports(path):
    """Yield (module, name or None) for every import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_only_public_names(plugin):
    found = [(path, *item) for path in plugin.rglob("*.py") for item in imports(path)]
    ours = [item for item in found if item[1].partition(".")[0] == "autodiff_api"]
    assert ours
    for path, module, name in ours:
        assert module in PUBLIC, f"{path} imports {module}"
        assert name in importlib.import_module(module).__all__, f"{path} imports {name} from {module}"
    for path, module, _ in found:
        other = module.partition(".")[0]
        assert not other.startswith("autodiff_api_") or other == f"autodiff_api_{plugin.name}", path


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_packed_and_registered(plugin):
    package = f"autodiff_api_{plugin.name}"
    assert PROJECT["project"]["entry-points"]["autodiff_api.backends"][plugin.name] == package
    assert f"plugins/{plugin.name}/{package}" in PACKAGES
    assert (plugin / package / "py.typed").exists()


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_they_bring_backends_only(plugin):
    # NumPy is used without looking for plugins if there are none but these: so these must not concern it.
    module = importlib.import_module(f"autodiff_api_{plugin.name}")
    hooks = [name for name, value in vars(module).items() if getattr(value, "autodiff_api_hook", False)]
    assert hooks == ["autodiff_api_backends"]


def test_nothing_is_registered_that_is_not_there():
    names = {path.name for path in PLUGINS}
    assert set(PROJECT["project"]["entry-points"]["autodiff_api.backends"]) == names
    assert len(PACKAGES) == len(names) + 1


def test_one_version():
    assert PROJECT["project"]["version"] == autodiff_api.__version__
