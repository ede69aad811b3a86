"""`python -m autodiff_api plugins`."""

import json

import pytest

from autodiff_api.__main__ import main


def run(site, *options, **environment):
    done = site.python("-X", "importtime", "-m", "autodiff_api", "plugins", *options, **environment)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.stdout, {line.rpartition("|")[2].strip() for line in lines}


def records(site, *options, **environment):
    found = json.loads(run(site, "--json", *options, **environment)[0])
    assert found["plugin_api"] == [1, 0]
    return {(record["distribution"], record["backend"]): record for record in found["backends"]}


def test_listing_imports_no_engine(good):
    out, imported = run(good)
    assert "numpy  " in out and "good  " in out
    assert not {name.partition(".")[0] for name in imported} & {"jax", "jaxlib", "torch", "dask"}


def test_table(good):
    good.install("bad-dist", "import no_such_module", entry_point="bad")
    header, *rows = run(good)[0].splitlines()
    assert header.split() == ["backend", "distribution", "version", "state", "reason"]
    by_name = {row.split()[0]: row.split(maxsplit=4) for row in rows}
    assert by_name["good"] == ["good", "good", "1.2", "ok", "-"]
    assert by_name["bad"][:4] == ["bad", "bad-dist", "1.2", "broken"]
    assert "No module named 'no_such_module'" in by_name["bad"][4]


def test_states(good):
    plugin = """
        from autodiff_api.backends import BackendSpec, hookimpl, requires
        REQUIRES_PLUGIN_API = (1, 0)
        @hookimpl
        def autodiff_api_backends():
            yield BackendSpec(name="lacking", load="a:b", probe=requires("no_engine", "pip install it"))
            yield BackendSpec(name="numpy", load="a:b")
        @hookimpl
        def autodiff_api_ops():
            return []
    """
    good.install("bad-dist", "def (:", entry_point="bad")
    good.install("mixed", plugin)
    good.install("only-kernels", plugin.replace("autodiff_api_backends()", "autodiff_api_kernels()"))
    found = records(good, AUTODIFF_API_DISABLE_PLUGINS="only-kernels,jax")
    mine = {key: found[key] for key in found if key[0] != "autodiff-api" or key[1] in ("numpy", "jax")}
    assert {key: record["state"] for key, record in mine.items()} == {
        ("autodiff-api", "numpy"): "ok",
        ("autodiff-api", "jax"): "blocked",
        ("bad-dist", "bad"): "broken",
        ("good", "good"): "ok",
        ("mixed", "lacking"): "unavailable",
        ("mixed", "numpy"): "duplicate",
        ("only-kernels", "only_kernels"): "blocked",
    }
    assert "pip install it" in found["mixed", "lacking"]["reason"]
    assert "autodiff-api" in found["mixed", "numpy"]["reason"]
    assert all(record["devices"] is None for record in found.values())


def test_a_plugin_without_backends(site):
    site.install(
        "only-kernels",
        """
        from autodiff_api.backends import hookimpl
        REQUIRES_PLUGIN_API = (1, 0)
        @hookimpl
        def autodiff_api_kernels():
            return {}
    """,
    )
    record = records(site)["only-kernels", ""]
    assert record["state"] == "ok" and "autodiff_api_kernels" in record["reason"]


def test_probe(good):
    good.install(
        "no-engine",
        """
        from autodiff_api.backends import BackendSpec, hookimpl
        REQUIRES_PLUGIN_API = (1, 0)
        @hookimpl
        def autodiff_api_backends():
            yield BackendSpec(name="lost", load="no_such_engine:BACKEND")
    """,
    )
    found = records(good, "--probe", AUTODIFF_API_PLUGINS="good,no-engine")
    assert found["autodiff-api", "numpy"]["devices"] == ["cpu"]
    assert found["good", "good"]["devices"] == ["cpu"]
    assert found["no-engine", "lost"]["state"] == "unavailable"
    assert records(good, AUTODIFF_API_PLUGINS="good,no-engine")["no-engine", "lost"]["state"] == "ok"


def test_probe_of_jax(site):
    pytest.importorskip("jax")
    assert records(site, "--probe")["autodiff-api", "jax"]["devices"]


def test_commands_are_listed(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "plugins" in capsys.readouterr().out


def test_rich_on_a_terminal(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["plugins"]) == 0
    assert "┃" in capsys.readouterr().out
