"""Plugins as their users meet them: real distributions in a folder on `sys.path`, and a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Site:
    """A folder to install distributions into, and Python processes that see it."""

    folder: Path

    def install(self, name, code="", *, version="1.2", entry_point=None, target=None, entry_points=None):
        """Install the distribution `name`, as an installer would: one module, the metadata, one entry point."""
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code))
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        line = f"{entry_point or module} = {target or module}"
        text = f"[autodiff_api.backends]\n{line}\n" if entry_points is None else entry_points
        info.joinpath("entry_points.txt").write_text(text)
        info.joinpath("RECORD").write_text("")

    def python(self, *arguments, **environment):
        """Run Python on `arguments` where these distributions are installed beside those of the tests."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTODIFF_API_")}
        path = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, *arguments],
            env={**clean, "PYTHONPATH": path, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def run(self, code, *options, **environment):
        """Run a program, which must succeed; return what it printed and what it reported."""
        done = self.python(*options, "-c", textwrap.dedent(code), **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr


@pytest.fixture
def site(tmp_path):
    """Give an empty folder to install plugins into."""
    return Site(tmp_path)


@pytest.fixture
def good(site):
    """Install a healthy stranger's plugin, whose backend `good` is NumPy under another name."""
    site.install("good", GOOD)
    return site


GOOD = """
    from dataclasses import replace
    from autodiff_api.backends import BackendSpec, get_backend, hookimpl

    REQUIRES_PLUGIN_API = (1, 0)
    loads = []

    def load():
        loads.append("good")
        return replace(get_backend("numpy"), name="good", array_types=())

    @hookimpl
    def autodiff_api_backends():
        yield BackendSpec(name="good", load=load)
"""
