"""No plugin, however broken, takes the host or another backend down; each failure names its distribution."""

import textwrap

import pytest

HEAD = """
from autodiff_api.backends import Availability, BackendSpec, hookimpl, requires
REQUIRES_PLUGIN_API = (1, 0)
"""


def backend(**fields):
    """Write a plugin whose only backend is `bad`, with these fields of its card, as code."""
    card = ", ".join(f"{name}={value}" for name, value in {"load": "'bad_dist:BACKEND'", **fields}.items())
    return HEAD + f"@hookimpl\ndef autodiff_api_backends():\n    yield BackendSpec(name='bad', {card})\n"


def hook(signature, body):
    """Write a plugin that implements one hook."""
    return HEAD + f"@hookimpl\ndef {signature}:\n    {body}\n"


# kind: (the plugin's code, the error for who asks for it, what the error must say)
AT_DISCOVERY = {
    "import error": ("import no_such_module", "PluginLoadError", "No module named 'no_such_module'"),
    "syntax error": ("def (:", "PluginLoadError", "SyntaxError"),
    "exit": ("raise SystemExit(3)", "PluginLoadError", "SystemExit: 3"),
    "unknown argument": (
        hook("autodiff_api_backends(nonsense)", "return []"), "PluginLoadError", "'nonsense'"
    ),
    "unknown hook": (hook("autodiff_api_backend()", "return []"), "PluginLoadError", "autodiff_api_backend'"),
    "no hook": (HEAD, "PluginContractError", "@hookimpl"),
    "no version": ("", "PluginVersionError", "REQUIRES_PLUGIN_API = None"),
    "minor too new": ("REQUIRES_PLUGIN_API = (1, 99)", "PluginVersionError", "Update autodiff-api,"),
    "major too new": ("REQUIRES_PLUGIN_API = (2, 0)", "PluginVersionError", "Update autodiff-api,"),
    "too old": ("REQUIRES_PLUGIN_API = (0, 9)", "PluginVersionError", "Update bad-dist,"),
    "raising hook": (hook("autodiff_api_backends()", "yield 1 / 0"), "PluginLoadError", "ZeroDivisionError"),
    "exiting hook": (hook("autodiff_api_backends()", "exit(2)"), "PluginLoadError", "SystemExit: 2"),
    "no answer": (hook("autodiff_api_backends()", "pass"), "PluginLoadError", "NoneType"),
    "garbage": (
        hook("autodiff_api_backends()", "return ['bad']"), "PluginLoadError", "BackendSpecs, not 'bad'"
    ),
    "twice": (backend() + "    yield BackendSpec(name='bad', load='a:b')", "PluginLoadError", "twice"),
    "impossible name": (backend().replace("'bad'", "'not good'"), "PluginLoadError", "Python identifier"),
    "string for a tuple": (backend(claims="'jax'"), "PluginLoadError", "claims must be a tuple"),
}  # fmt: skip
ON_USE = {
    "engine missing": (
        backend(probe="requires('no_engine', install='pip install engine')"),
        "BackendUnavailableError", "'no_engine' is not installed. Install it: pip install engine",
    ),
    "engine broken": (
        backend(load="'no_engine:BACKEND'"), "BackendUnavailableError", "No module named 'no_engine'"
    ),
    "loads garbage": (backend(load="lambda: 5"), "PluginContractError", "not 5"),
    "loads no attribute": (backend(load="'bad_dist:nothing'"), "PluginLoadError", "AttributeError"),
    "loads and exits": (backend(load="lambda: exit(4)"), "PluginLoadError", "SystemExit: 4"),
    "raising probe": (backend(probe="lambda: 1 / 0"), "PluginLoadError", "ZeroDivisionError"),
    "lying probe": (backend(probe="lambda: True"), "PluginContractError", "an Availability, not True"),
}  # fmt: skip

USE = """
import autodiff_api as ad
from autodiff_api.backends import get_backend

x = ad.tensor([2.0], requires_grad=True)
(x * x).backward()
assert x.grad.tolist() == [4.0]
assert get_backend("good").name == "good"
for attempt in range(2):
    try:
        get_backend("bad")
    except ad.BackendError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("kind", [*AT_DISCOVERY, *ON_USE])
def test_it_is_isolated_and_named(good, kind):
    code, error, words = {**AT_DISCOVERY, **ON_USE}[kind]
    good.install("bad-dist", code, entry_point="bad")
    out, err = good.run(USE, "-W", "error")
    first, second = out.splitlines()
    assert first == second
    assert first.startswith(f"{error} ")
    assert words in first
    assert "plugin bad-dist==1.2 (entry point 'bad')" in first
    # Reported once and on one line when it was found; what only asking can tell is only told then.
    assert err.count("plugin bad-dist==1.2 (entry point 'bad') was left out") == (kind in AT_DISCOVERY)
    assert len(err.splitlines()) == (kind in AT_DISCOVERY)


SPEAKS = """
import autodiff_api.backends.hookspecs as contract
contract.SPOKEN = ((2, 0), (1, 3))
from autodiff_api.backends import get_backend
import autodiff_api as ad
for name in ("good", "new", "bad"):
    try:
        print(get_backend(name).name)
    except ad.BackendError as error:
        print(type(error).__name__, error)
"""


def test_the_major_before_is_spoken_and_reported(good):
    """A plugin works for a while after the contract has changed, and its users hear of it in time."""
    code = backend(load="rename").replace("'bad'", "'new'")
    new = RENAMED + code.replace("(1, 0)", "(2, 0)")
    good.install("new-dist", new, entry_point="new")
    good.install("bad-dist", backend().replace("(1, 0)", "(1, 4)"), entry_point="bad")
    out, err = good.run(SPEAKS)
    first, second, third = out.splitlines()
    assert (first, second) == ("good", "new")
    assert third.startswith("PluginVersionError") and "(1, 4) and the host speaks (2, 0) or (1, 3)" in third
    told = "plugin good==1.2 (entry point 'good') has REQUIRES_PLUGIN_API = (1, 0); a coming release speaks (2, 0) only"
    assert err.count(told) == 1 and "Update good\n" in err and "new-dist" not in err


RENAMED = """
def rename():
    from dataclasses import replace
    return replace(__import__('good').load(), name='new')
"""


def test_entry_point_to_a_missing_attribute(good):
    good.install("bad-dist", HEAD, entry_point="bad", target="bad_dist:nothing")
    out, err = good.run(USE)
    assert out.startswith("PluginLoadError plugin bad-dist==1.2 (entry point 'bad')")
    assert "AttributeError" in out and err.count("bad-dist==1.2") == 1


def test_unreadable_entry_points(good):
    good.install("bad-dist", entry_points="[autodiff_api.backends]\nthis line has no equals sign\n")
    out, err = good.run(USE)
    assert "bad-dist==1.2" in out and "BackendNotFoundError" in out
    assert err.count("bad-dist==1.2") == 1


def test_two_strangers_with_one_name(good):
    good.install("bad-one", backend(), entry_point="bad")
    good.install("bad-two", backend(), entry_point="bad")
    out, err = good.run(USE)
    both = "bad-one==1.2 (entry point 'bad') and by bad-two==1.2 (entry point 'bad')"
    assert out.count("DuplicateBackendError") == 2 and both in out
    assert err.count(both) == 1


def test_nobody_takes_a_name_of_the_host(good):
    good.install("squatter", backend().replace("'bad'", "'numpy'"), entry_point="numpy")
    out, err = good.run(USE)
    assert "BackendNotFoundError" in out  # for "bad"; the program went on with the true NumPy
    assert "squatter==1.2" in err and "is used" in err


def test_keyboard_interrupt_is_the_users(good):
    good.install("bad-dist", "raise KeyboardInterrupt", entry_point="bad")
    out, _ = good.run("""
        from autodiff_api.backends import get_backend
        try:
            get_backend("good")
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert out == "interrupted\n"


def test_failing_kernels_leave_the_backend_as_it_was(good):
    raising = hook("autodiff_api_kernels(backend)", "raise RuntimeError(backend.name)")
    good.install("bad-dist", raising, entry_point="bad")
    good.install("bad-two", hook("autodiff_api_kernels(backend)", "return {'exp': 5}"))
    good.install("bad-three", hook("autodiff_api_ops()", "return [object()]"))
    out, err = good.run(USE)
    assert out.startswith("PluginLoadError plugin bad-dist==1.2 (entry point 'bad')")
    assert all(err.count(f"plugin {name}==1.2") == 1 for name in ("bad-dist", "bad-two", "bad-three"))


def test_own_failing_kernels_are_raised(good):
    code = textwrap.dedent(backend(load="lambda: __import__('good').load()").replace("'bad'", "'good'"))
    code += "@hookimpl\ndef autodiff_api_kernels(backend):\n"
    code += "    return {'exp': 1 / 0} if backend.name == 'good' else None\n"
    good.install("bad-dist", code, entry_point="bad")
    _, err = good.run(
        """
        import autodiff_api as ad
        from autodiff_api.backends import get_backend
        for attempt in range(2):
            try:
                get_backend("good")
            except ad.BackendError:
                pass
            else:
                raise SystemExit("a broken plugin's backend was handed out")
    """,
        AUTODIFF_API_DISABLE_PLUGINS="good",
    )
    assert err.count("ZeroDivisionError") == 1


LYING_KERNEL = """
    import numpy as np
    from autodiff_api.backends import hookimpl
    REQUIRES_PLUGIN_API = (1, 0)

    @hookimpl
    def autodiff_api_kernels(backend):
        if backend.name == "numpy":
            return {"exp": lambda x, /: np.exp(x) * 1.001, "expp": np.exp}
"""


def test_lent_kernels_that_lie_are_named_by_the_kit(site):
    """Also on NumPy, which the kit compares others with."""
    site.install("bad-dist", LYING_KERNEL, entry_point="bad")
    done = site.python("-m", "autodiff_api", "conformance", "numpy", "--functions", "exp", "sin", "--dtypes", "float64")
    whose = "plugin bad-dist==1.2 (entry point 'bad')"
    assert done.returncode == 1
    assert f"exp on numpy (its kernel is of {whose}), value, float64: exp(float64[2, 3]): the output" in done.stdout
    assert f"no function is called like its kernel 'expp', of {whose} (did you mean 'exp'?)" in done.stdout
    assert "exp       NO     yes" in done.stdout and "sin       yes    yes" in done.stdout


def test_lent_kernels_hold_in_compiled_programs(site):
    site.install("bad-dist", LYING_KERNEL)
    out, _ = site.run("""
        import autodiff_api as ad
        x = ad.zeros(3)
        f = lambda x: ad.exp(x + 0.0) * 2.0 + x
        compiled = ad.compile(f)
        for function in (compiled, compiled, f):  # traced, then run as a program
            print(f"{function(x)[0].item():.4f}")
    """)
    assert out == "2.0020\n" * 3
