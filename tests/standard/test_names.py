"""Every name of the standard is there, with the standard's signature: in each namespace, and in the package."""

from __future__ import annotations

import inspect
import math

import pytest

import autodiff_api as ad
from autodiff_api.rules.kinds import signature_of
from autodiff_api.testing.standard import ARITHMETIC, ATTRIBUTES, CONSTANTS, DTYPES, FUNCTIONS, INFO, MAIN, METHODS

CREATION = {*MAIN["creation"], "fft.fftfreq", "fft.rfftfreq"} - {"from_dlpack", "meshgrid", "tril", "triu"}


def found(xp, name):
    for part in name.split("."):
        xp = getattr(xp, part)
    return xp


def parameters(function, drop=0):
    """Return what a caller can see of a function's parameters."""
    return [(p.name, p.kind, p.default) for p in list(inspect.signature(function).parameters.values())[drop:]]


def standard(text):
    return parameters(signature_of(text))


def check_function(space, name):
    mine = parameters(found(space, name))
    if name in CREATION:
        assert mine.pop() == ("requires_grad", inspect.Parameter.KEYWORD_ONLY, False)
    assert mine == standard(FUNCTIONS[name])
    assert found(space, name).__name__ == name.rpartition(".")[2]
    assert found(space, name).__doc__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(xp, name):
    check_function(xp, name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_of_the_package(name):
    check_function(ad, name)


@pytest.mark.parametrize("name", METHODS)
def test_method(xp, name):
    mine = parameters(getattr(type(xp.ones(())), name), drop=1)
    wanted = standard(METHODS[name])
    if not name.startswith("__") or "*" in METHODS[name]:
        assert mine == wanted
    else:  # what an operator calls its operand, nobody can say
        assert [rest for _, *rest in mine] == [rest for _, *rest in wanted] or name in ("__getitem__", "__setitem__")
        assert len(mine) == len(wanted)


@pytest.mark.parametrize("name", ARITHMETIC)
def test_reflected_and_in_place_operators(xp, name):
    kind = type(xp.ones(()))
    for prefix in ("r", "i"):
        assert len(parameters(getattr(kind, f"__{prefix}{name}__"))) == 2


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attribute(xp, name):
    getattr(xp.ones((2, 2)), name)


@pytest.mark.parametrize("name", INFO)
def test_inspection(xp, name):
    for space in (xp, ad):
        assert parameters(getattr(space.__array_namespace_info__(), name)) == standard(INFO[name])


@pytest.mark.parametrize("name", CONSTANTS)
def test_constant(xp, name):
    wanted = {"e": math.e, "inf": math.inf, "pi": math.pi, "newaxis": None}
    for space in (xp, ad):
        value = getattr(space, name)
        assert value != value if name == "nan" else value == wanted[name]


@pytest.mark.parametrize("name", DTYPES)
def test_dtype(xp, name):
    dtype = getattr(xp, name)
    assert xp.zeros(1, dtype=dtype).dtype == dtype
    assert [other for other in DTYPES if getattr(xp, other) == dtype] == [name]


def test_dir_lists_the_standard(xp):
    main = {name for name in FUNCTIONS if "." not in name}
    for space in (xp, ad):
        assert {*main, *CONSTANTS, *DTYPES, "linalg", "fft"} <= set(dir(space))
        for extension in ("linalg", "fft"):
            names = {name.partition(".")[2] for name in FUNCTIONS if name.startswith(extension)}
            assert names <= set(dir(getattr(space, extension)))


def test_an_extension_has_no_more_of_the_main_namespace_than_the_standard_says(xp):
    for space in (xp, ad):
        assert space.linalg.matmul and not hasattr(space.linalg, "sin") and not hasattr(space.fft, "sum")


def test_the_namespace_is_one_object(xp):
    x = xp.ones(2)
    assert x.__array_namespace__() is xp
    for version in (None, "2021.12", "2022.12", "2023.12", "2024.12", "2025.12"):
        assert x.__array_namespace__(api_version=version) is xp
    unknown = "1999.12"
    with pytest.raises(ValueError, match=f"'{unknown}' of the standard is not known here.*2025.12"):
        x.__array_namespace__(api_version=unknown)
    assert xp.__array_api_version__ == ad.__array_api_version__ == "2025.12"
    assert hash(xp) == hash(xp)
