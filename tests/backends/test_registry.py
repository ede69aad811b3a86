"""Finding and loading backends: when, by whom, how often."""

import asyncio
import shutil
import threading
from pathlib import Path

import array_api_compat
import numpy as np
import pytest

import autodiff_api
import autodiff_api as ad
from autodiff_api.backends import backend_of, default_backend, get_backend, list_backends, use_backend

SOURCES = Path(autodiff_api.__file__).parents[1]


def test_numpy_needs_no_search_for_plugins(site):
    out, _ = site.run("""
        import sys
        import autodiff_api as ad
        ad.tensor([1.0]) + 1.0
        print(sorted({"pluggy", "autodiff_api.backends.host", "autodiff_api_jax"} & set(sys.modules)))
    """)
    assert out == "[]\n"


def test_numpy_needs_no_metadata(site):
    # Nothing is on the path but this source tree and two packages: no dist-info, no pluggy.
    for name in ("autodiff_api", "plugins"):
        shutil.copytree(SOURCES / name, site.folder / "tree" / name)
    bare = site.folder / "bare"
    bare.mkdir()
    for package in (np, array_api_compat):
        folder = Path(package.__file__).parent
        for path in (folder, folder.with_name(f"{folder.name}.libs")):
            if path.exists():
                (bare / path.name).symlink_to(path)
    out, _ = site.run(
        """
        import autodiff_api as ad
        x = ad.tensor([2.0], requires_grad=True)
        (x * x).backward()
        print(x.grad, ad.__file__)
        try:
            import pluggy
        except ImportError:
            print("bare")
        """,
        "-S",
        PYTHONPATH=f"{site.folder / 'tree'}:{bare}",
    )
    assert out == f"tensor([4.]) {site.folder / 'tree' / 'autodiff_api' / '__init__.py'}\nbare\n"


def test_import_brings_no_engine_but_numpy(site):
    done = site.python("-X", "importtime", "-c", "import autodiff_api")
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "numpy" in imported
    assert not imported & {"jax", "jaxlib", "torch", "dask", "cupy", "array_api_strict", "pluggy"}


LOADED = """
    import sys
    {program}
    mine = {{name for name in sys.modules if name.partition(".")[0] == "autodiff_api" and "backends" not in name}}
    print(sorted(mine if {own} else mine & {{f"autodiff_api.{{name}}" for name in {late}}}))
    others = {others}
    print(sorted(others & set(sys.modules)))
"""
HEAVY = {
    "array_api_compat",
    "difflib",
    "fractions",
    "hashlib",
    "numpy.random",
    "numpy.testing",
    "pathlib",
    "pluggy",
    "secrets",
}


def test_import_brings_what_makes_no_tensor_later(site):
    out, _ = site.run(LOADED.format(program="import numpy, autodiff_api", own=True, late=(), others=HEAVY))
    assert out == "['autodiff_api', 'autodiff_api.errors', 'autodiff_api.modes']\n[]\n"


def test_a_gradient_needs_little_more(site):
    program = "import autodiff_api as ad; x = ad.tensor([1.0], requires_grad=True); ad.autograd.grad((x * x).sum(), x)"
    late = ("anomaly", "checkpointing", "custom", "drawing", "duals", "func", "gradcheck", "nn", "random", "saved")
    out, _ = site.run(LOADED.format(program=program, own=False, late=late, others=HEAVY))
    assert out == "[]\n[]\n"


def test_only_the_backend_that_is_asked_for_is_imported(good):
    good.install("other", GOOD_ON_ENGINE)
    out, _ = good.run("""
        import sys
        from autodiff_api.backends import get_backend
        get_backend("good")
        print("other" in sys.modules, "json.tool" in sys.modules)
        print(get_backend("other").name, "json.tool" in sys.modules)
    """)
    assert out == "True False\nother True\n"


GOOD_ON_ENGINE = """
    from dataclasses import replace
    from autodiff_api.backends import BackendSpec, get_backend, hookimpl
    REQUIRES_PLUGIN_API = (1, 0)

    def load():
        import json.tool
        return replace(get_backend("numpy"), name="other")

    @hookimpl
    def autodiff_api_backends():
        yield BackendSpec(name="other", load=load)
"""


def test_of_a_distribution_that_is_there_twice_the_first_is_taken(good, tmp_path_factory):
    """As in an environment that sees another's packages: what the second would add can't be imported."""
    second = type(good)(tmp_path_factory.mktemp("second"))
    second.install("good", entry_points="[autodiff_api.backends]\ngood = good\nolder = good_in_older_times\n")
    out, err = good.run(
        """
        from autodiff_api.backends import get_backend, list_backends
        print(get_backend("good").name, [r.entry_point for r in list_backends() if r.distribution == "good"])
        """,
        PYTHONPATH=f"{good.folder}:{second.folder}",
    )
    assert (out, err) == ("good ['good']\n", "")


KERNELS = """
    import numpy as np
    from autodiff_api.backends import hookimpl
    REQUIRES_PLUGIN_API = (1, 0)

    @hookimpl
    def autodiff_api_kernels(backend):
        if backend.name == "numpy":
            return {"exp": lambda x: np.full_like(x, %s)}
"""


def test_kernels_for_somebody_elses_backend(site):
    site.install("fast-exp", KERNELS % 42.0)
    out, _ = site.run("""
        import autodiff_api as ad
        print(ad.exp(ad.tensor([0.0])), ad.sin(ad.tensor([0.0])))
    """)
    assert out == "tensor([42.]) tensor([0.])\n"


def test_of_two_kernels_the_first_by_name_is_taken(site):
    site.install("b-kernels", KERNELS % 2.0)
    site.install("a-kernels", KERNELS % 1.0)
    out, err = site.run("import autodiff_api as ad; print(ad.exp(ad.tensor([0.0])))")
    assert out == "tensor([1.])\n"
    assert err.count("\n") == 1
    assert "b-kernels==1.2 (entry point 'b_kernels') offers kernel for 'numpy' 'exp'" in err


def test_ops_with_rules(site):
    site.install(
        "cubes",
        """
        from autodiff_api.backends import hookimpl
        from autodiff_api.rules import Elementwise, Op
        REQUIRES_PLUGIN_API = (1, 0)

        @hookimpl
        def autodiff_api_ops():
            rule = Elementwise(x=lambda t, x: 3 * x**2 * t)
            yield Op("cube", "x, /", rule, kernel=lambda x, /, *, xp: x * x * x)
    """,
    )
    out, _ = site.run("""
        import autodiff_api as ad
        x = ad.tensor([2.0], requires_grad=True)
        y = ad.namespace("numpy").cube(x)
        y.backward()
        print(y.tolist(), x.grad)
    """)
    assert out == "[8.0] tensor([12.])\n"


@pytest.mark.parametrize(
    ("variable", "value", "state"),
    [
        ("AUTODIFF_API_PLUGINS", "", "blocked"),
        ("AUTODIFF_API_PLUGINS", "jax, other", "blocked"),
        ("AUTODIFF_API_PLUGINS", "jax, GOOD", "ok"),
        ("AUTODIFF_API_DISABLE_PLUGINS", "", "ok"),
        ("AUTODIFF_API_DISABLE_PLUGINS", "other", "ok"),
        ("AUTODIFF_API_DISABLE_PLUGINS", "other,good", "blocked"),
    ],
)
def test_lists_of_plugins(good, variable, value, state):
    code = """
        import sys
        import autodiff_api as ad
        from autodiff_api.backends import get_backend, list_backends
        get_backend("numpy")
        (record,) = [record for record in list_backends() if record.distribution == "good"]
        print(record.state, "good" in sys.modules)
        try:
            get_backend("good")
        except ad.BackendUnavailableError as error:
            print(error)
    """
    out, err = good.run(code, **{variable: value})
    assert out.splitlines()[0] == f"{state} {state == 'ok'}"
    if state == "blocked":
        assert "good==1.2 (entry point 'good')" in out and variable in out
    assert not err


def test_a_list_can_block_numpy(site):
    out, _ = site.run(
        """
        import autodiff_api as ad
        try:
            ad.tensor([1.0])
        except ad.BackendUnavailableError as error:
            print(error)
    """,
        AUTODIFF_API_DISABLE_PLUGINS="numpy",
    )
    assert "AUTODIFF_API_DISABLE_PLUGINS names it" in out


def test_default_from_the_environment(good):
    code = "import autodiff_api as ad; print(ad.default_backend(), ad.namespace().__name__)"
    assert good.run(code, AUTODIFF_API_BACKEND="good")[0] == "good autodiff_api.good\n"
    assert good.run(code, AUTODIFF_API_BACKEND="")[0] == "numpy autodiff_api.numpy\n"
    done = good.python("-c", code, AUTODIFF_API_BACKEND="goot")
    assert "the backend 'goot', which AUTODIFF_API_BACKEND asks for (did you mean 'good'?)" in done.stderr


def test_threads_load_it_once(good):
    out, err = good.run("""
        import sys, threading
        sys.setswitchinterval(1e-6)
        from autodiff_api.backends import get_backend
        barrier, seen = threading.Barrier(16), []

        def use():
            barrier.wait()
            seen.append(get_backend("good"))

        threads = [threading.Thread(target=use) for _ in range(16)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        import good
        print(len(seen), len({id(backend) for backend in seen}), len(good.loads))
    """)
    assert (out, err) == ("16 1 1\n", "")


def test_unknown_backend_says_what_there_is():
    with pytest.raises(ad.BackendNotFoundError, match="did you mean 'numpy'") as caught:
        get_backend("nunpy")
    assert isinstance(caught.value, LookupError)
    assert "Installed: " in str(caught.value) and "pip install" in str(caught.value)


def test_backend_by_import():
    from autodiff_api.backends import numpy as xp

    assert xp is ad.namespace("numpy")
    assert not hasattr(ad.backends, "no_such_backend")
    with pytest.raises(AttributeError, match="no_such_backend"):
        _ = ad.backends.no_such_backend
    with pytest.raises(ImportError):
        from autodiff_api.backends import no_such_backend  # noqa: F401


@pytest.mark.parametrize("array", [np.ones(2), np.float32(1.0), np.ma.ones(2)], ids=type)
def test_arrays_of_numpy(array):
    backend = backend_of(array)
    assert backend is not None and backend.name == "numpy"


@pytest.mark.parametrize("thing", [1.0, [1.0], None, np.dtype(float), np, threading.Lock()], ids=type)
def test_what_is_no_array(thing):
    assert backend_of(thing) is None


def test_subclasses_belong_to_the_backend():
    class Mine(np.ndarray):
        pass

    assert backend_of(np.ones(2).view(Mine)) is get_backend("numpy")


def test_use_backend_nests_and_restores(monkeypatch):
    monkeypatch.setattr("autodiff_api.backends.registry.get_backend", lambda name: None)
    before = default_backend()
    with use_backend("one"):
        with pytest.raises(ZeroDivisionError), use_backend("two"):
            assert default_backend() == "two"
            _ = 1 / 0
        assert default_backend() == "one"
    assert default_backend() == before
    assert use_backend("three")(default_backend)() == "three"


def test_use_backend_is_seen_by_its_own_task_only(monkeypatch):
    monkeypatch.setattr("autodiff_api.backends.registry.get_backend", lambda name: None)

    async def ask(name):
        with use_backend(name):
            await asyncio.sleep(0.01)
            return default_backend()

    async def main():
        return await asyncio.gather(*(ask(name) for name in "abc"), asyncio.to_thread(default_backend))

    assert asyncio.run(main()) == ["a", "b", "c", default_backend()]


def test_use_backend_refuses_on_entering():
    with pytest.raises(ad.BackendNotFoundError), use_backend("nunpy"):
        pass
    assert default_backend() != "nunpy"


def test_default_of_the_process(monkeypatch):
    registry = "autodiff_api.backends.registry"
    monkeypatch.setattr(f"{registry}.get_backend", lambda name: None)
    monkeypatch.setattr(f"{registry}._default", default_backend())
    ad.set_default_backend("one")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(default_backend()))
    thread.start()
    thread.join()
    assert seen == ["one"]
    with use_backend("two"):
        assert default_backend() == "two"


def test_records_of_the_host():
    states = {record.backend: record for record in list_backends() if record.distribution == "autodiff-api"}
    assert states["numpy"].state == "ok" and states["numpy"].entry_point == "numpy"
    assert states["jax"].state in ("ok", "unavailable")
