"""The conformance kit: it passes what is right, and names what lies, one lie at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import autodiff_api as ad
from autodiff_api.__main__ import main
from autodiff_api.binding import make_namespace
from autodiff_api.testing.census import KINDS, census, kinds_of
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.contract import broken_promises
from autodiff_api.testing.laws import LAWS
from autodiff_api.testing.report import Report
from autodiff_api.testing.standard import FUNCTIONS

NUMPY = ad.get_backend("numpy")
SVD = NUMPY.kernels.get("linalg.svd", NUMPY.namespace.linalg.svd)


def lying(kernels=None, dtypes=("float32", "float64"), **fields):
    """Return the checks of a backend that is NumPy's but for some kernels or other fields."""
    backend = replace(NUMPY, **{"name": "lying", "kernels": {**NUMPY.kernels, **(kernels or {})}, **fields})
    return Checks(make_namespace(backend), dtypes=dtypes)


LIES = {  # what a kernel does: the op, the kernel, the law that finds it first, and what is said
    "values": ("exp", lambda x: np.exp(x) * (1 + 1e-4), "value", r"the output at \[0, 0\] is .*, and must be "),
    "a sign": ("tanh", lambda x: np.where(np.abs(x) > 99, 1.0, np.tanh(x)).astype(x.dtype), "value", "is 1.0, and"),
    "shape": ("sum", lambda x, **k: np.sum(x, **{**k, "keepdims": True}), "value", r"shape of the output is \(1, 1\)"),
    "a dimension more": ("matmul", lambda a, b: np.matmul(a, b)[None], "value", r"shape of the output is \(1, 2, 2\)"),
    "dtype": ("sin", lambda x: np.sin(x).astype("float64"), "value", "dtype of the output is float64, and must be "),
    "another backend's arrays": ("cos", lambda x: memoryview(np.cos(x)), "value", "memoryview"),
    "Python numbers": ("max", lambda x, **k: float(np.max(x)), "value", "float"),
    "number of outputs": ("linalg.svd", lambda x, **k: tuple(SVD(x, **k))[:2], "value", "svd"),
    "order of outputs": ("linalg.svd", lambda x, **k: tuple(SVD(x, **k))[::-1], "value", "svd"),
    "one axis": ("cumulative_sum", lambda x, **k: np.cumsum(x, axis=0), "value", "cumulative_sum"),
    "a keyword ignored": ("sort", lambda x, **k: np.sort(x, axis=k.get("axis", -1)), "value", "descending=True"),
    "a keyword refused": ("roll", lambda x, shift: np.roll(x, shift), "value", "roll"),
    "repeated indices": ("scatter_add", lambda x, key, v: _written(x, key, v), "value", "scatter_add"),
    "memory kept": ("multiply", None, "value", "multiply"),
    "its argument overwritten": ("exp", lambda x: np.exp(x, out=x) if np.ndim(x) else np.exp(x), "value", "wrote into"),
    "of no elements": ("exp", lambda x: np.exp(x) if np.size(x) else np.ones(1, x.dtype), "value", r"must be \(0, 3\)"),
    "of some layouts": ("exp", lambda x: np.exp(x) if np.asarray(x).flags.c_contiguous else +x, "value", "strided"),
    "half the precision": ("sin", lambda x: np.sin(x.astype("f2")).astype(x.dtype), "value", "within"),
    "nan where it is delicate": ("log", lambda x: np.where(x > 0, np.log(abs(x)), np.nan), "value", "nan, and must"),
}  # fmt: skip


def _written(x, key, values):
    out = np.array(x)
    out[key] += values
    return out


class Buffered:
    """A kernel that gives out the same memory each time."""

    def __init__(self):
        self.buffer = {}

    def __call__(self, x1, x2):
        out = np.multiply(x1, x2)
        if not isinstance(out, np.ndarray):
            return out
        kept = self.buffer.setdefault((out.shape, out.dtype), out)
        kept[...] = out
        return kept


@pytest.mark.parametrize("lie", LIES)
def test_a_kernel_that_lies_is_caught_and_named(lie):
    op, kernel, law, text = LIES[lie]
    checks = lying({op: kernel or Buffered()})
    outcomes = [checks.check(op, one, dtype) for one in LAWS for dtype in checks.dtypes]
    found = [o.text for o in outcomes if o.state == "fail"]
    assert found, "no law noticed"
    assert all(f"{op} on lying" in one for one in found)
    import re

    if lie != "memory kept":
        assert any(o.law == law for o in outcomes if o.state == "fail")
        assert any(re.search(text, one) for one in found), found[0]


def _negated(x, out=None):
    return np.negative(np.exp(x), out=out)


def _doubled(kept, *args, **options):
    found = NUMPY.keeping["nn.layer_norm"].backward(kept, *args, **options)
    return tuple(None if g is None else 2 * g for g in found)


ASIDE = {  # a lie that is not in the kernels: the op, the fields, the law that finds it
    "in memory that is there": ("exp", {"into": {**NUMPY.into, "exp": _negated}}, "compiled"),
    "in what is kept": (
        "nn.layer_norm",
        {"keeping": {"nn.layer_norm": replace(NUMPY.keeping["nn.layer_norm"], backward=_doubled)}},
        "kernels",
    ),
}


@pytest.mark.parametrize("lie", ASIDE)
def test_a_lie_beside_the_kernels_is_caught(lie):
    op, fields, law = ASIDE[lie]
    outcome = lying(dtypes=("float64",), **fields).check(op, law, "float64")
    assert outcome.state == "fail" and f"{op} on lying" in outcome.text
    assert lying(dtypes=("float64",)).check(op, law, "float64").state == "pass"


PROMISES = {
    "array_types": ({"array_types": (list,)}, "array_types"),
    "to_numpy": ({"to_numpy": lambda x: np.asarray(x) * 2}, "to_numpy"),
    "to_numpy's shape": ({"to_numpy": lambda x: np.atleast_1d(np.asarray(x))[:1]}, "to_numpy"),
    "devices": ({"devices": list}, "devices"),
    "place": ({"devices": lambda: ["cpu", "gpu"]}, "gpu"),
    "kernels": ({"kernels": {**NUMPY.kernels, "expp": np.exp}}, "'expp' (did you mean 'exp'?)"),
}


@pytest.mark.parametrize("field", PROMISES)
def test_a_backend_that_lies_of_itself_is_caught(field):
    fields, text = PROMISES[field]
    assert any(text in broken for broken in broken_promises(lying(**fields)))


def test_what_is_true_is_no_lie():
    assert broken_promises(lying()) == []


def test_a_device_that_is_not_kept_is_named(strict):
    """Results must be where the arguments are: array-api-strict has more than one device to show it."""
    import array_api_strict as xp

    other = xp.Device("device1")
    honest = Checks(strict, device=other, dtypes=["float64"])
    assert honest.check("exp", "devices", "float64").state == "pass"
    home = strict._backend.namespace.Device("CPU_DEVICE")
    kernels = {"exp": lambda x: xp.exp(x).to_device(home)}
    backend = replace(strict._backend, name="homing", kernels=kernels)
    outcome = Checks(make_namespace(backend), dtypes=["float64"]).check("exp", "devices", "float64")
    assert outcome.state == "fail" and "device1" in outcome.text


TWO_DEVICES = """
import autodiff_api as ad
from autodiff_api.testing.checks import Checks
checks = Checks(ad.namespace("jax"), dtypes=["float32"])
print(len(checks.backend.devices()))
for name in ("exp", "linalg.matrix_power", "scatter_add", "sort"):
    outcome = checks.check(name, "devices", "float32")
    print(name, outcome.state, outcome.text)
"""


def test_jax_stays_on_its_device():
    """With two devices made of one processor, results and gradients are where the arguments are."""
    pytest.importorskip("jax")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", TWO_DEVICES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines == ["2", "exp pass", "linalg.matrix_power pass", "scatter_add pass", "sort pass"], done.stderr


def without_sort(x, **options):
    raise NotImplementedError("this engine can't sort")


def test_a_declared_gap_is_no_failure():
    checks = lying({"sort": without_sort}, gaps={"sort": "the engine can't sort"}, dtypes=["float64"])
    assert {checks.check("sort", law, "float64").state for law in LAWS} <= {"gap", "none"}
    assert checks.closed("sort") == ""


def test_a_gap_that_has_closed_says_which_line_to_delete():
    gaps = {"sort": "once", "exp:vjp": "once", "sin:value:float32": "once"}
    checks = lying(gaps=gaps, dtypes=["float32"])
    for gap in gaps:
        assert f"delete {gap!r} from the gaps of 'lying'" in checks.closed(gap)


@pytest.mark.parametrize("gap", ["sorting", "sort:values", "sort:value:int8"])
def test_a_gap_that_names_nothing_is_named(gap):
    assert "names no check" in lying(gaps={gap: "?"}).closed(gap)


def test_some_functions_only():
    checks = Checks.of("numpy", dtypes=["float64"], only=["exp", "sin"])
    assert checks.functions == ("exp", "sin") and {o.function for o in checks.all()} == {"exp", "sin"}
    with pytest.raises(ad.ArgumentError, match=r"no function 'expp' can be checked \(did you mean 'exp'\?\)"):
        Checks.of("numpy", only=["expp"])


def test_gaps_are_a_table_of_texts():
    with pytest.raises(TypeError, match="gaps must be a mapping of names to reasons"):
        replace(NUMPY, gaps=["sort"])


def test_the_report_counts_and_names():
    checks = lying({"exp": lambda x: -np.exp(x), "sort": without_sort}, gaps={"sort": "no sort", "sin": "?"})
    functions = ("exp", "sin", "sort", "argmax")
    checks.functions = functions
    report = Report(checks)
    assert report.state("exp", "value") == "fail" and report.state("sort", "vjp") == "gap"
    assert report.state("argmax", "vjp") == "none" and report.state("sin", "jvp") == "pass"
    assert report.dtypes("exp") == [] and report.dtypes("sin") == ["float32", "float64"]
    assert any("delete 'sin'" in text for text in report.failures)
    page, data = report.as_markdown(), json.loads(report.as_json())
    assert "| `exp` | NO | NO |" in page and "- `sort`: no sort" in page
    assert data["functions"]["exp"]["value"] == "fail" and data["gaps"]["sort"] == "no sort"


def test_the_command(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(Checks, "functions", ("exp", "linalg.qr"))
    file = tmp_path / "matrix.json"
    assert main(["conformance", "numpy", "--dtypes", "float64", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "exp        yes    yes  yes  yes           yes   yes       f64     cpu" in printed
    assert printed.splitlines()[-1].startswith("numpy: 2 functions, 10 laws, ")
    assert json.loads(file.read_text())["functions"]["exp"]["vjp"] == "pass"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nampy"], "did you mean 'numpy'?"),
        (["numpy", "--device", "gpu"], "backend 'numpy' has no device 'gpu', only cpu"),
        (["numpy", "--functions", "xp"], "no function 'xp' can be checked (did you mean 'exp'?)"),
        (
            ["numpy", "--dtypes", "float31"],
            "float31 can't be checked on backend 'numpy', which has float32, float64, c",
        ),
    ],
)
def test_the_command_says_what_is_not_there(capsys, arguments, text):
    assert main(["conformance", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_every_function_of_the_standard_is_in_one_place(capsys):
    assert {name: kinds for name in FUNCTIONS if len(kinds := kinds_of(name)) != 1} == {}
    assert sum(census().values()) == len(FUNCTIONS) == 174
    assert main(["census"]) == 0
    printed = capsys.readouterr().out
    assert "together      174 of the standard's 174" in printed and all(kind in printed for kind in KINDS)


def test_an_op_that_a_plugin_brings_is_checked_by_its_samples(monkeypatch):
    from autodiff_api import binding, fixed
    from autodiff_api.rules import Elementwise, Op
    from autodiff_api.testing import checks as checking
    from autodiff_api.testing import samples

    def cubed(slope, **fields):
        rule = Elementwise(x=slope)
        return Op("cubed", "x, /", rule, kernel=lambda x, /, *, xp: x * x * x, **fields)

    def some(draw):
        yield samples.Sample((draw.normal(2, 3),))

    for name, op, states in [
        ("right", cubed(lambda t, x: t * (3 * x * x), samples=some), {"pass", "none"}),
        ("wrong", cubed(lambda t, x: t * (2 * x * x), samples=some), {"pass", "none", "fail"}),
        ("without", cubed(lambda t, x: t * (3 * x * x)), {"fail"}),
    ]:
        samples.samples_of.cache_clear()
        monkeypatch.setattr(binding, "_namespaces", {})  # as in a process that begins with the plugin installed
        for module in (binding, fixed, checking, samples):
            monkeypatch.setattr(module, "extra_ops", lambda op=op: [op])
        checks = Checks(make_namespace(replace(NUMPY, name=name)), dtypes=["float64"])
        outcomes = [checks.check("cubed", law, "float64") for law in LAWS]
        assert {o.state for o in outcomes} == states, name
    assert "Op(..., samples=...)" in outcomes[0].text
    samples.samples_of.cache_clear()


def test_pytest_runs_the_kit_from_anywhere(tmp_path):
    """A test file of four lines, and no file at all."""
    (tmp_path / "test_numpy.py").write_text(
        "from autodiff_api.testing.conformance import Conformance\n\n\n"
        "class TestNumPy(Conformance):\n    backend = 'numpy'\n"
    )
    alone = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    for arguments, count in [
        (["test_numpy.py", "-k", "exp-value or contract or gaps"], "5 passed"),
        (
            ["-p", "autodiff_api.testing.plugin", "--pyargs", "autodiff_api.testing.conformance", "--ad-backend",
             "numpy", "--ad-dtypes", "float32", "--ad-json", "matrix.json", "-k", "[sin-vjp or contract"], "2 passed",
        ),
    ]:  # fmt: skip
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True)
        assert done.returncode == 0 and count in done.stdout, done.stdout + done.stderr
    matrix = json.loads((tmp_path / "matrix.json").read_text())
    assert list(matrix["functions"]) == ["sin"] and matrix["functions"]["sin"]["vjp"] == "pass"


def test_a_matrix_is_written_by_one_process(tmp_path):
    pytest.importorskip("xdist")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "autodiff_api.testing.plugin",
        "--ad-json",
        "matrix.json",
        "-n",
        "2",
    ]
    alone = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True)
    assert done.returncode == 4 and "leave -n out" in done.stderr
    assert not (tmp_path / "matrix.json").exists()
