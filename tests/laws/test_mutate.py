"""The script that breaks rules on purpose: what it breaks, and that it notices."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from autodiff_api.rules import OPS


@pytest.fixture(scope="module")
def mutate():
    spec = importlib.util.spec_from_file_location("mutate", Path(__file__).with_name("mutate.py"))
    module = sys.modules["mutate"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutate"]


def test_every_breach_of_some_rules_is_noticed(mutate, capsys):
    before = dict(OPS)
    assert mutate.main(["atan2", "floor", "prod", "where"]) == 0
    printed = capsys.readouterr().out
    assert "survived" not in printed and "unexplained survivors: 0" in printed
    assert before == OPS


def test_what_is_not_broken_is_not_noticed(mutate):
    assert mutate.noticed(mutate.Mutant("nothing", {"hypot": OPS["hypot"]})) == ""


def test_every_rule_is_broken_in_each_formula(mutate):
    for name, op in OPS.items():
        if op.rule is not None:
            assert len(list(mutate.wrapped(op))) >= len(op.rule.formulas), name


def test_cuts_drop_terms_factors_signs_and_branches(mutate):
    import ast

    def cuts(text):
        return {ast.unparse(new) for _, new in mutate.pieces(ast.parse(text, mode="eval").body)}

    assert cuts("a + b") == {"a", "b"}
    assert cuts("a - b") == {"a", "-b"}
    assert cuts("a * b") == {"a", "b"}
    assert cuts("a / b") == {"a"}
    assert cuts("-a") == {"a"}
    assert cuts("xp.where(c, a, b)") == {"xp.where(c, b, a)"}
    assert cuts("xp.conj(a)") == {"a"}
    assert cuts("f(a)") == set()
