"""What the packages import late: the same for people, for tools that only read, and at run time."""

import ast
import importlib
import inspect

import pytest

import autodiff_api as ad

PACKAGES = (ad, ad.autograd)


def said_to_tools(package):
    """Return the names that a package imports where types are checked, and the module of each."""
    tree = ast.parse(inspect.getsource(package))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    found = {}
    for line in block.body:
        home = "." * line.level + (line.module or "")
        for alias in line.names:
            module = importlib.import_module(home, package.__name__) if alias.name == "*" else None
            found.update(dict.fromkeys(module.__all__ if module else [alias.name], home))
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_tools_are_told_what_there_is(package):
    up = ".." if package is ad.autograd else "."
    late = {name: f"{up}{home}" for name, home in package._HOMES.items()} | dict.fromkeys(package._PACKAGES, ".")
    assert said_to_tools(package) == late


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_comes_late_is_there(package):
    for name in (*package._HOMES, *package._PACKAGES, *package.__all__):
        assert name in dir(package)
        assert getattr(package, name) is getattr(package, name)


def test_a_module_of_the_package_is_no_function_of_it():
    with pytest.raises(AttributeError, match=r"import autodiff_api\.__main__"):
        ad.__getattr__("__main__")
    with pytest.raises(AttributeError, match="did you mean 'exp'"):
        _ = ad.expp
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ad.autograd.nothing
