"""Break every rule on purpose, and count how many breaches a law or a convention notices.

    python tests/laws/mutate.py [OP ...]

Three kinds of mutants. *Wrapped*: a formula's result with its sign turned, doubled, or zero, for each parameter and
each mode. *Cut*: the source of the rules with one term of a sum or difference dropped, one factor of a product or one
divisor dropped, one minus sign or `conj` dropped, the branches of one `where` exchanged; these are tried on the ops
that use the function they are in. *Batched*: a batching law that moves no axis, and the source of batching laws cut
alike, shapes and axes too. A mutant is caught if a law for its op fails on NumPy, or a row of the conventions
does. The exit status is 1 if one survives that EXPLAINED does not explain.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import signal
import sys
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import autodiff_api as ad
from autodiff_api import rules
from autodiff_api.binding import make_namespace
from autodiff_api.rules import CHAPTERS, OPS, General, Op, batched_keys, batched_networks, batches
from autodiff_api.rules.batching import EACH, Shifted, Stacked
from autodiff_api.rules.kinds import Rule, invoker_of
from autodiff_api.testing import laws
from autodiff_api.testing import setting as settings
from autodiff_api.testing.checks import Checks
from autodiff_api.testing.conventions import FIRST, SECOND, singular_logabsdet
from autodiff_api.testing.verdicts import LawError

LAWS = ("vjp", "jvp", "second order")
BROADCAST = "broadcasting does it anyway"
POINTS = "tests/core/test_linalg_points.py notices"
THIRD = "shows in third derivatives only"
PERIOD = "the cosine has the same period; this is for the accuracy of large arguments"
NIL = "this derivative is zero, and so is any multiple of it"
NOT_STANDARD = "beyond the standard, which samples keep to: tests/core/test_batched.py notices"
EXPLAINED: dict[str, str] = {  # the mutant's name: why no law here can notice it
    "batches.from_the_end: -len(longest) alone of one_axis('an operation along one axis', axis, longest) - "
    "len(longest)": NOT_STANDARD,
    "batches.from_the_end: one_axis('an operation along one axis', axis, longest) alone of "
    "one_axis('an operation along one axis', axis, longest) - len(longest)": NOT_STANDARD,
    "batches.reshape: no minus in -math.prod(shape)": "NumPy takes any negative length for -1",
    "batches.take: (1,) alone of (1,) * (indices.ndim - 1)": NOT_STANDARD,
    "eigenvalues.order_of: turned xp.where(stays, on_diagonal(distance, xp), first)": POINTS,
    "inverses.left_out: s[..., :, None] alone of s[..., :, None] + xp.zeros_like(s)[..., None, :]": BROADCAST,
    "inverses.left_out: s[..., None, :] alone of s[..., None, :] + xp.zeros_like(s)[..., :, None]": BROADCAST,
    **{
        f"nn.max_pool_{op}: vjp at {what}": NIL
        for op in ("backward", "select")
        for what in ("negated", "doubled", "lost")
    },
    "singular_values.svd_core: left alone of left + right": "equal where they are used, and their scale cancels",
    "singular_values.svd_core: right alone of left + right": "equal where they are used, and their scale cancels",
    "special.conjugate: no conj in xp.conj(x)": "of the kernels, only NumPy's takes complex numbers",
    "special.exp_shares: undivided terms / xp.sum(b * terms, axis=axis, keepdims=True)": "it is 1, but for rounding",
    "special.gamma_density: undivided zero ** (a - 1) * xp.exp(-zero) / xp.special.gamma(a)": THIRD,
    "special.logsumexp_jvp: t[0] alone of t[0] * factors": "without weights the factors are 1",
    "special.sinc_x: 2 alone of 2 * xp.round(x / 2)": PERIOD,
    "special.sinc_x: undivided x / 2": PERIOD,
    "special.sinc_x: x alone of x - 2 * xp.round(x / 2)": PERIOD,
    "statistical.affine_scan: -d alone of n - d": "slices to -d and to n - d are the same",
}


@dataclass(frozen=True)
class Mutant:
    """A broken rule: what was done to it, and the ops to try it on, by name."""

    name: str
    ops: dict[str, Op]
    kind: str = "wrapped"


# --- wrapped: the result of a formula is turned, doubled or lost ---

CHANGES: dict[str, Callable[[Any], Any]] = {
    "negated": lambda g: -g,
    "doubled": lambda g: 2 * g,
    "lost": lambda g: 0 * g,
}


def changed(formula: Callable[..., Any], change: Callable[[Any], Any], which: int | None = None) -> Callable[..., Any]:
    """Return a formula of the same parameters whose result is changed; `which` of several, or all."""

    @functools.wraps(formula)
    def mutated(*args: Any, **kwargs: Any) -> Any:
        out = formula(*args, **kwargs)
        if not isinstance(out, tuple | list):
            return change(out)
        parts = [change(g) if g is not None and which in (None, i) else g for i, g in enumerate(out)]
        return type(out)(parts) if type(out) in (tuple, list) else tuple(parts)

    mutated.__signature__ = inspect.signature(formula)  # type: ignore[attr-defined]
    return mutated


def wrapped(op: Op) -> Iterator[Mutant]:
    rule = op.rule
    assert rule is not None
    for what, change in CHANGES.items():
        if isinstance(rule, General):
            several = len(rule.formulas) > 1
            for i, name in enumerate(rule.formulas if several else [None]):
                vjp = changed(rule.vjp, change, i if several else None)
                broken = General(vjp, rule.jvp, tuple(rule.formulas))
                yield Mutant(f"{op.name}: vjp {name or ''} {what}", {op.name: replace(op, rule=broken)})
            broken = General(rule.vjp, changed(rule.jvp, change), tuple(rule.formulas))
            yield Mutant(f"{op.name}: jvp {what}", {op.name: replace(op, rule=broken)})
        else:
            for name, formula in rule.formulas.items():
                if is_zero(formula) and what != "lost":
                    continue
                broken: Rule = type(rule)(**{**rule.formulas, name: changed(formula, change)})
                if is_zero(formula):
                    broken = type(rule)(**{**rule.formulas, name: lambda t: t})
                    yield Mutant(f"{op.name}: {name} passes", {op.name: replace(op, rule=broken)})
                else:
                    yield Mutant(f"{op.name}: {name} {what}", {op.name: replace(op, rule=broken)})


def is_zero(formula: Any) -> bool:
    return formula is rules.kinds.zero


# --- cut: the source with one piece missing ---


def pieces(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what an expression becomes with a term, a factor, a divisor or a sign dropped, or a condition turned."""
    match node:
        case ast.BinOp(left=a, op=ast.Add() | ast.Sub(), right=b) if not is_number(a) or not is_number(b):
            yield f"{ast.unparse(a)} alone of {ast.unparse(node)}", a
            other = ast.UnaryOp(ast.USub(), b) if isinstance(node.op, ast.Sub) else b
            yield f"{ast.unparse(other)} alone of {ast.unparse(node)}", other
        case ast.BinOp(left=a, op=ast.Mult(), right=b):
            yield f"{ast.unparse(a)} alone of {ast.unparse(node)}", a
            yield f"{ast.unparse(b)} alone of {ast.unparse(node)}", b
        case ast.BinOp(left=a, op=ast.Div(), right=_):
            yield f"undivided {ast.unparse(node)}", a
        case ast.UnaryOp(op=ast.USub(), operand=x) if not is_number(x):
            yield f"no minus in {ast.unparse(node)}", x
        case ast.Call(func=ast.Attribute(attr="where"), args=[condition, yes, no]):
            turned = ast.Call(node.func, [condition, no, yes], [])
            yield f"turned {ast.unparse(node)}", turned
        case ast.Call(func=ast.Attribute(attr="conj"), args=[x]):
            yield f"no conj in {ast.unparse(node)}", x


def is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)


BOUNDS = {  # what decides where a branch begins
    "active", "between_equals", "insist", "insisted", "is_noise", "noise", "scale_of", "tie", "without_phase",
}  # fmt: skip
SIZES = {"amount", "bound", "eps", "equal", "idle", "near", "nil"}  # and what its bounds are made of


def left_alone(tree: ast.AST) -> set[int]:
    """Return the ids of what is no formula: shapes, axes and keys, where a cut would crash, and bounds on rounding.

    A bound says where a branch begins, and a factor of it moves that place by a few digits: the tests of delicate
    points, tests/core/test_linalg_points.py, are about these.
    """
    found: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        match node:
            case ast.Subscript(slice=key):
                parts = [key]
            case ast.keyword(value=value):
                parts = [value]
            case ast.Compare(left=left, comparators=right):
                parts = [left, *right]
            case ast.Call(func=ast.Name(id=name), args=args) if name in BOUNDS:
                parts = [*args]
            case ast.BinOp(left=a, right=b) if any(calls_bound(x) for x in (a, b)):
                parts = [node]
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in SIZES:
                parts = [value]
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                pairs = zip(names, values, strict=True)
                parts = [value for target, value in pairs if isinstance(target, ast.Name) and target.id in SIZES]
        for part in parts:
            found |= {id(n) for n in ast.walk(part)}
    return found


def calls_bound(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BOUNDS


class Swap(ast.NodeTransformer):
    """Put one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def cut(module: types.ModuleType) -> Iterator[Mutant]:
    """Yield the mutants of a chapter's source, each with the ops that it concerns."""
    path = Path(str(module.__file__))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    users = users_of(tree)
    for place in tree.body:
        owner = getattr(place, "name", None) if isinstance(place, ast.FunctionDef) else None
        if isinstance(place, ast.FunctionDef):
            scopes = [(place, users.get(place.name, set()))]
        elif isinstance(place, ast.AnnAssign | ast.Assign) and isinstance(place.value, ast.Dict) and is_rules(place):
            pairs = zip(place.value.keys, place.value.values, strict=True)
            scopes = [(value, {key.value}) for key, value in pairs if isinstance(key, ast.Constant)]
        else:
            continue
        for scope, ops in scopes:
            skipped = left_alone(scope)
            for node in ast.walk(scope):
                if id(node) in skipped:
                    continue
                for what, new in pieces(node):
                    name = f"{path.stem}.{owner or '/'.join(sorted(ops))}: {what}"
                    yield Mutant(name, ops_from(module, mutated_tree(path, node, new), ops), "cut")


def mutated_tree(path: Path, node: ast.AST, new: ast.AST) -> ast.Module:
    """Return the module's tree with the piece at the place of `node` exchanged."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = (type(node), node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    for old in ast.walk(tree):
        if isinstance(old, ast.expr):
            here = (type(old), old.lineno, old.col_offset, old.end_lineno, old.end_col_offset)
            if here == place:
                return ast.fix_missing_locations(Swap(old, new).visit(tree))
    raise AssertionError("the place is gone")


def is_rules(place: ast.AST) -> bool:
    target = place.target if isinstance(place, ast.AnnAssign) else place.targets[0]  # type: ignore[attr-defined]
    return isinstance(target, ast.Name) and target.id == "RULES"


def users_of(tree: ast.Module) -> dict[str, set[str]]:
    """Return, for each function of a module, the ops whose rules come to it."""
    names: dict[str, set[str]] = {}
    for place in tree.body:
        if isinstance(place, ast.FunctionDef):
            names[place.name] = {n.id for n in ast.walk(place) if isinstance(n, ast.Name)}
    found: dict[str, set[str]] = {name: set() for name in names}
    for place in tree.body:
        if isinstance(place, ast.AnnAssign | ast.Assign) and isinstance(place.value, ast.Dict) and is_rules(place):
            for key, value in zip(place.value.keys, place.value.values, strict=True):
                reached, waiting = set(), {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
                while waiting:
                    name = waiting.pop()
                    if name in names and name not in reached:
                        reached.add(name)
                        waiting |= names[name]
                for name in reached:
                    found[name].add(key.value)  # type: ignore[union-attr]
    return found


# --- batched: a batching law that moves no axis, or with one piece missing ---


def unmoved(op: Op) -> Iterator[Mutant]:
    """Yield the op with a law that takes the hidden axis for one of its own."""
    if isinstance(op.batch, Shifted):
        yield Mutant(f"{op.name}: no axis is moved", {op.name: replace(op, batch=EACH)}, "batched")
    elif isinstance(op.batch, Stacked) and len(op.arrays) > 1:
        same = functools.partial(_as_they_are, invoker_of(op))
        yield Mutant(f"{op.name}: ranks stay", {op.name: replace(op, batch=Bare(same))}, "batched")


@dataclass(frozen=True)
class Bare:
    """A law that is code already."""

    run: Any

    def bind(self, op: Op) -> Any:
        return self.run


def _as_they_are(invoke: Any, kernel: Any, arrays: Any, hidden: Any, statics: Any, xp: Any) -> Any:
    return invoke(kernel, arrays, statics)


def cut_batches(module: types.ModuleType) -> Iterator[Mutant]:
    """Yield the mutants of a module of batching laws, each with the ops whose law comes to it."""
    path = Path(str(module.__file__))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    reached = reached_from(tree)
    laws_of = {name: op.batch.__name__ for name, op in OPS.items() if inspect.isfunction(op.batch)}
    for place in tree.body:
        if not isinstance(place, ast.FunctionDef):
            continue
        ops = {name for name, law in laws_of.items() if law in reached and place.name in reached[law]}
        bound = {id(n) for c in ast.walk(place) if isinstance(c, ast.Compare | ast.Raise) for n in ast.walk(c)}
        for node in ast.walk(place):
            for what, new in pieces(node) if id(node) not in bound and ops else ():
                fresh = types.ModuleType(module.__name__)
                fresh.__dict__.update(__package__=module.__package__, __file__=module.__file__)
                sys.modules["mutated"] = fresh  # where dataclasses look their module up
                fresh.__name__ = "mutated"
                exec(compile(mutated_tree(path, node, new), str(path), "exec"), fresh.__dict__)
                broken = {name: replace(OPS[name], batch=getattr(fresh, laws_of[name])) for name in ops}
                yield Mutant(f"{path.stem}.{place.name}: {what}", broken, "batched")


def reached_from(tree: ast.Module) -> dict[str, set[str]]:
    """Return, for each function of a module, the functions of the module that it comes to, itself included."""
    calls = {f.name: {n.id for n in ast.walk(f) if isinstance(n, ast.Name)} for f in functions_of(tree)}
    found = {}
    for name in calls:
        seen, waiting = set(), {name}
        while waiting:
            one = waiting.pop()
            seen.add(one)
            waiting |= (calls[one] & set(calls)) - seen
        found[name] = seen
    return found


def functions_of(tree: ast.Module) -> list[ast.FunctionDef]:
    return [place for place in tree.body if isinstance(place, ast.FunctionDef)]


def ops_from(module: types.ModuleType, tree: ast.Module, ops: set[str]) -> dict[str, Op]:
    """Return the named ops with the rules of a mutated module."""
    fresh = types.ModuleType(module.__name__)
    fresh.__dict__.update(__package__=module.__package__, __file__=module.__file__)
    exec(compile(tree, str(module.__file__), "exec"), fresh.__dict__)
    return {name: replace(OPS[name], rule=fresh.RULES[name]) for name in ops}


# --- trying them ---


@contextmanager
def in_place_of(ops: dict[str, Op]) -> Iterator[None]:
    """Let the library use other ops for a while."""
    before = {name: OPS[name] for name in ops}
    OPS.update(ops)
    try:
        yield
    finally:
        OPS.update(before)
        settings._made.clear()
        settings._kept.clear()


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Stop what runs for ever: a mutant of a loop may."""

    def stop(*_: Any) -> None:
        raise TimeoutError("it runs for ever")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def noticed(mutant: Mutant) -> str:
    """Return what notices a mutant first: a law and an op, or a case of the conventions; '' if it survives."""
    try:
        with limited(60):
            return _noticed(mutant)
    except TimeoutError as error:
        return str(error)


def _noticed(mutant: Mutant) -> str:
    with in_place_of(mutant.ops), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        xp = make_namespace(ad.get_backend("numpy"))
        checks = Checks(xp, dtypes=("float64", "complex128"))
        for name in sorted(mutant.ops):
            for law in ("vmap",) if mutant.kind == "batched" else LAWS:
                for dtype in checks.dtypes:
                    for sample in checks.samples(name, law, dtype):
                        try:
                            laws.LAWS[law](settings.Setting(xp, dtype), name, sample)
                        except LawError:
                            return f"{law}, {name}"
        return "" if mutant.kind == "batched" else unconventional(xp)


def unconventional(xp: Any) -> str:
    """Return the first convention that does not hold."""
    for case, (function, points, expected) in FIRST.items():
        xs = [xp.asarray(p, requires_grad=True) for p in points]
        try:
            y = function(xp, *xs)
            found = ad.autograd.grad(y, xs, xp.ones_like(y), materialize_grads=True)
        except Exception:
            return case
        if not all(_close(g, e) for g, e in zip(found, expected, strict=True)):
            return case
    x = xp.asarray([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    try:
        (g,) = ad.autograd.grad(singular_logabsdet(xp, x), x)
    except Exception:
        return "logabsdet of a singular matrix"
    if np.any(np.isfinite(g.numpy(force=True))):
        return "logabsdet of a singular matrix"
    for case, (function, points, expected) in SECOND.items():
        x = xp.asarray(points, requires_grad=True)
        try:
            (g,) = ad.autograd.grad(xp.sum(function(xp, x)), x, create_graph=True)
            rows = [
                ad.autograd.grad(g[k], x, retain_graph=True, materialize_grads=True)[0].tolist()
                if g.requires_grad
                else [0.0] * len(points)
                for k in range(len(points))
            ]
        except Exception:
            return case
        if not np.allclose(rows, expected, rtol=1e-10, atol=1e-12, equal_nan=True):
            return case
    return ""


def _close(g: Any, e: Any) -> bool:
    return np.allclose(g.numpy(force=True), np.asarray(e), rtol=1e-10, atol=1e-12, equal_nan=True)


def mutants(names: list[str]) -> Iterator[Mutant]:
    for name, op in OPS.items():
        if op.rule is not None and (not names or name in names):
            yield from wrapped(op)
        if not names or name in names:
            yield from unmoved(op)
    for module in (batches, batched_keys, batched_networks):
        for mutant in cut_batches(module):
            if not names or set(names) & set(mutant.ops):
                yield mutant
    for chapter in modules():
        for mutant in cut(chapter):
            if mutant.ops and (not names or set(names) & set(mutant.ops)):
                yield mutant


def modules() -> list[types.ModuleType]:
    """Return the chapters whose source has a table of rules."""
    return [importlib.import_module(chapter.__name__) for chapter in CHAPTERS]


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in OPS or OPS[name].rule is None]:
        print(f"no rule of {', '.join(unknown)}")
        return 2
    for name in names or [name for name, op in OPS.items() if op.rule is not None]:
        if by := noticed(Mutant("nothing is broken", {name: OPS[name]})):
            print(f"the laws fail without a mutant: {by}; mend that first")
            return 2
    counts: Counter[tuple[str, bool]] = Counter()
    unexplained = 0
    for mutant in mutants(names):
        caught = bool(noticed(mutant))
        counts[mutant.kind, caught] += 1
        if not caught:
            reason = EXPLAINED.get(mutant.name, "")
            unexplained += not reason
            print("survived:", mutant.name, f"({reason})" if reason else "", flush=True)
    for kind in ("wrapped", "cut", "batched"):
        print(f"{kind}: caught {counts[kind, True]} of {counts[kind, True] + counts[kind, False]}")
    print(f"unexplained survivors: {unexplained}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
