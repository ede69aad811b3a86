"""`gradcheck` and `gradgradcheck`: PyTorch's checks of derivatives against finite differences.

What disagrees is reported entry by entry: which element of which output, by which element of which input, both
values and how far they are apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import ArgumentError, BatchingError, GradcheckError
from .gradients import grad
from .jacobians import Host, Study, Table, View, by_columns, by_rows, host, part_name

WORST = 5  # entries that a report shows of each Jacobian


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Check the gradients of `func` at `inputs` against central differences with step `eps`; return True.

    `func` takes the inputs and returns a tensor or several; Jacobians by the inputs that require grad are compared,
    real and complex, and must agree within `atol + rtol * |numerical|`. Inputs should be float64 or complex128: a
    warning says so. `check_forward_ad` compares forward mode too, on dual arrays. `fast_mode` compares one random
    combination of all entries, `check_batched_grad` and `check_batched_forward_grad` many passes in one with a pass
    for each, `check_undefined_grad` the gradients of several outputs together with those of each, and two passes must
    agree within `nondet_tol`. Raises GradcheckError with the entries that disagree; returns False instead if
    `raise_exception` is False.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([0.5, 1.0], dtype=ad.float64, requires_grad=True)
    >>> ad.autograd.gradcheck(lambda x: ad.sin(x) * x, x, check_forward_ad=True)
    True
    """
    if not (check_backward_ad or check_forward_ad):
        raise ArgumentError("gradcheck: expected at least one of check_forward_ad and check_backward_ad to be True")
    _refuse(masked)
    if check_batched_forward_grad and not check_forward_ad:
        raise ArgumentError("gradcheck: check_batched_forward_grad=True asks for check_forward_ad=True")
    arrays = _sequence(inputs)
    _check_inputs(arrays)
    checker = Checker(func, arrays, eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes)
    forward = Study.push if check_forward_ad else None
    batched = check_batched_grad, check_batched_forward_grad
    return checker.passes(check_backward_ad, forward, fast_mode, batched, raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Check the gradients of the gradients of `func`, by `inputs` and by `grad_outputs`; return True.

    `grad_outputs` are cotangents for the outputs, by default random ones (`gen_non_contig_grad_outputs` lays them out
    with gaps where the engine has strides). The rest is as for :func:`gradcheck`; `check_fwd_over_rev` compares forward
    mode over the backward pass.

    >>> import autodiff_api as ad
    >>> x = ad.tensor([0.5, 1.0], dtype=ad.float64, requires_grad=True)
    >>> ad.autograd.gradgradcheck(lambda x: ad.sin(x) * x, x)
    True
    """
    if not (check_rev_over_rev or check_fwd_over_rev):
        raise ArgumentError(
            "gradgradcheck: expected at least one of check_fwd_over_rev and check_rev_over_rev to be True"
        )
    _refuse(masked)
    arrays = _sequence(inputs)
    _check_inputs(arrays)
    study = Study(func, arrays, eps)
    if grad_outputs is None:
        outputs = [study.outputs[i] for i in study.live]
        cotangents = [_random_like(y, i, gen_non_contig_grad_outputs) for i, y in enumerate(outputs)]
    else:
        cotangents = [w for w in _sequence(grad_outputs) if w is not None]
    if len(cotangents) != len(study.live):
        raise ArgumentError(
            f"gradgradcheck: {len(study.live)} outputs require grad, got {len(cotangents)} grad_outputs"
        )

    def gradients(*args: Any) -> tuple[Any, ...]:
        leaves, w = args[: len(arrays)], args[len(arrays) :]
        outputs = [y for y in study.run(leaves) if y.requires_grad]
        wanted = [leaves[j] for j in study.active]
        found = grad(outputs, wanted, w, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    together = (*arrays, *cotangents)
    checker = Checker(gradients, together, eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes)
    forward = Study.push_through_gradients if check_fwd_over_rev else None
    return checker.passes(check_rev_over_rev, forward, fast_mode, (check_batched_grad, False), raise_exception)


def _check_inputs(inputs: Sequence[Any]) -> None:
    """Refuse inputs none of which requires grad, and warn of single precision."""
    active = {i: x for i, x in enumerate(inputs) if getattr(x, "requires_grad", False)}
    if not active:
        raise ArgumentError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i, x in active.items():
        if x.dtype not in (x._xp.float64, x._xp.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex, but "
                f"{x.dtype}. This check will likely fail if all the inputs are not of double precision.",
                UserWarning,
                stacklevel=3,
            )


def _refuse(masked: bool | None) -> None:
    if masked:
        raise ArgumentError("gradcheck: masked=True is about sparse tensors, and there are none here; leave it out")


def _sequence(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, list | tuple) else (x,)


def _random_like(y: Any, seed: int, gaps: bool) -> Any:
    """Return a random cotangent for an output; with gaps, every second element of a larger array."""
    rng, xp = np.random.default_rng(seed), y._xp
    shape = (*y.shape, 2) if gaps else y.shape
    w = rng.uniform(-1, 1, size=shape)
    if xp.isdtype(y.dtype, "complex floating"):
        w = w + 1j * rng.uniform(-1, 1, size=shape)
    w = xp.asarray(w, dtype=y.dtype, device=y.device)
    return xp.array_class._make(w._value[..., 0] if gaps else w._value).requires_grad_()


class Checker:
    """One check: a function at a point, the tolerances, and what is asked for."""

    def __init__(
        self,
        func: Callable[..., Any],
        inputs: Sequence[Any],
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
        undefined: bool,
        dtypes: bool,
    ) -> None:
        self.study = Study(func, inputs, eps)
        self.atol, self.rtol, self.nondet_tol = atol, rtol, nondet_tol
        self.undefined, self.dtypes = undefined, dtypes

    def passes(self, backward: bool, forward: Any, fast: bool, batched: tuple[bool, bool], raises: bool) -> bool:
        """Run the check, also of many passes at once `(backward, forward)`; raise what it finds, or say False."""
        try:
            self.check_repeatable()
            if not self.study.live:
                self.check_constant()
                return True
            self.check_jacobians(backward, forward, fast)
            if backward:
                self.check_linear()
            for ahead, wanted in enumerate(batched):
                if wanted:
                    self.check_batched(bool(ahead))
        except GradcheckError:
            if raises:
                raise
            return False
        return True

    def check_repeatable(self) -> None:
        """Run the function a second time on the same inputs."""
        for i, y in enumerate(self.study.run(self.study.fresh())):
            self.check_same(f"output {i} of the function", self.study.values[i], host(y))

    def check_same(self, what: str, once: Host, again: Host) -> None:
        """Compare what came of doing the same thing twice."""
        if once.dtype.kind in "fc" and once.shape == again.shape:
            same = np.allclose(once, again, rtol=0, atol=self.nondet_tol, equal_nan=True)
        else:
            same = np.array_equal(once, again)
        if not same:
            raise GradcheckError(
                f"{what} is not deterministic: the same computation gave other values the second time, and the "
                f"tolerance for that is nondet_tol={self.nondet_tol}"
            )

    def check_constant(self) -> None:
        """Check that a function whose outputs don't require grad has no derivative."""
        for j in self.study.active:
            view = View(self.study, fast=False)
            for d in view.columns[j]:
                changes = self.study.differences(j, d)
                for i, change in changes.items():
                    if not np.all(np.abs(change) <= self.atol):
                        raise GradcheckError(
                            f"Numerical gradient for function expected to be zero: output {i} does not require grad, "
                            f"but it changes with input {j} by up to {np.max(np.abs(change)):.3g} per unit"
                        )

    def check_jacobians(self, backward: bool, forward: Any, fast: bool) -> None:
        """Compare the Jacobians of each mode with the numerical ones."""
        study, view = self.study, View(self.study, fast)
        numerical = by_columns(study, view, study.differences)
        found = {}
        if backward:
            found["backward"] = by_rows(study, view, self.gradients)
        if forward is not None:
            found["forward"] = by_columns(study, view, lambda j, d: forward(study, j, d))
        for mode, analytical in found.items():
            wrong = self.compare(view, analytical, numerical)
            if not wrong:
                continue
            if fast:
                self.check_jacobians(mode == "backward", forward if mode == "forward" else None, False)
            raise GradcheckError(self.report(mode, view, wrong, analytical, numerical))

    def gradients(self, cotangents: dict[int, Host]) -> dict[int, Host]:
        """Return gradients on the host, after a look at what can be wrong with them beside their values."""
        study = self.study
        raw = study.pull(cotangents)
        for j, g in raw.items():
            x = study.inputs[j]
            if g is not None and self.dtypes and g.dtype != x.dtype:
                raise GradcheckError(f"the gradient of input {j} is {g.dtype}, but the input is {x.dtype}")
            if g is not None and g.shape != x.shape:
                raise GradcheckError(f"the gradient of input {j} has shape {g.shape}, but the input has {x.shape}")
        once, again = study.to_host(raw), study.to_host(study.pull(cotangents))
        for j, g in once.items():
            self.check_same(f"Backward is not reentrant: the gradient of input {j}", g, again[j])
        return once

    def compare(self, view: View, analytical: Table, numerical: Table) -> dict[tuple[int, int], Host]:
        """Return by how much entries exceed their tolerance, for the Jacobians in which some do."""
        wrong = {}
        for (i, j), a in analytical.items():
            n = numerical[i, j]
            with np.errstate(invalid="ignore"):
                excess = np.abs(a - n) - (self.atol * view.scale(i, j) + self.rtol * np.abs(n))
            excess = np.where(np.isfinite(excess), excess, np.inf)
            if np.any(excess > 0):
                wrong[i, j] = excess
        return wrong

    def report(self, mode: str, view: View, wrong: Any, analytical: Table, numerical: Table) -> str:
        """Return the text of a mismatch."""
        lines = []
        for (i, j), excess in wrong.items():
            a, n = analytical[i, j], numerical[i, j]
            bad = np.argsort(-excess, axis=None, kind="stable")[: int(np.sum(excess > 0))]
            lines.append(
                f"Jacobian mismatch for output {i} with respect to input {j} in {mode} mode: {len(bad)} of {a.size} "
                f"entries differ by more than {self.atol:g} + {self.rtol:g} * |numerical|"
            )
            if view.fast:
                lines.append("(all entries agree one by one: only a random combination of them does not; raise atol)")
            names = [self.entry(i, j, *np.unravel_index(k, a.shape)) for k in bad[:WORST]]
            width = max(map(len, names))
            lines.append(f"  {'entry':{width}}  {'analytical':>14}  {'numerical':>14}  {'difference':>11}")
            for name, k in zip(names, bad, strict=False):
                x, y = a.flat[k], n.flat[k]
                lines.append(f"  {name:{width}}  {x:14.7g}  {y:14.7g}  {x - y:11.3g}")
            lines += [f"  and {len(bad) - WORST} more"] * (len(bad) > WORST) + _hint(a.flat[bad], n.flat[bad])
        return "\n".join(lines)

    def entry(self, i: int, j: int, row: Any, column: Any) -> str:
        """Name an entry of a Jacobian."""
        (part, place), (by, where) = part_name(self.study.values[i], row), part_name(self.study.points[j], column)
        return f"d {part}output {i}{place} / d {by}input {j}{where}"

    def check_linear(self) -> None:
        """Check that the backward pass is linear: zeros give zeros, and outputs together the sum of each."""
        study, rng = self.study, np.random.default_rng(1)
        for i in study.live:
            for j, g in study.pulled({i: np.zeros_like(study.values[i])}).items():
                if np.any(g != 0):
                    raise GradcheckError(
                        f"backward not multiplied by grad_output: zeros for output {i} give input {j} a gradient that "
                        "is not zero"
                    )
        if not self.undefined or len(study.live) < 2:
            return
        w = {i: rng.uniform(0.5, 1.5, size=study.values[i].shape) for i in study.live}
        together = study.pulled(w)
        apart = [study.pulled({i: c}) for i, c in w.items()]
        for j, g in together.items():
            total = sum(part[j] for part in apart)
            if not np.allclose(g, total, rtol=self.rtol, atol=self.atol, equal_nan=True):
                raise GradcheckError(
                    f"the gradient of input {j} from all outputs together is not the sum of those from each: the "
                    "backward pass treats an output without a gradient (None, undefined) other than one with zeros"
                )

    def check_batched(self, forward: bool) -> None:
        """Check that many passes in one give what a pass for each gives."""
        study, rng = self.study, np.random.default_rng(2)
        for i in study.active if forward else study.live:
            like = (study.points if forward else study.values)[i]
            each = [rng.uniform(0.5, 1.5, size=like.shape) for _ in range(2)]
            what = f"batched tangents of input {i}" if forward else f"batched gradients of output {i}"
            try:
                together = (study.pushed_at_once if forward else study.pulled_at_once)(i, np.stack(each))
            except BatchingError as error:
                raise GradcheckError(f"{what}: {error}") from error
            apart = [study.push(i, d) if forward else study.pulled({i: d}) for d in each]
            for j, g in together.items():
                if not np.allclose(g, np.stack([one[j] for one in apart]), self.rtol, self.atol, equal_nan=True):
                    other = f"the tangents of output {j}" if forward else f"the gradients of input {j}"
                    raise GradcheckError(f"{what}: {other} by one pass for many are not those of a pass for each")


def _hint(a: Host, n: Host) -> list[str]:
    """Say so if what is wrong is wrong by one factor."""
    with np.errstate(all="ignore"):
        ratio = a / n
    if not len(a) or not np.all(np.isfinite(ratio)) or np.ptp(ratio) > 1e-3 * np.abs(ratio[0]):
        return []
    return [f"  each is {ratio[0]:.4g} times the numerical one"]
