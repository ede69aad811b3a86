"""The page of the reference with what was measured: the bars, the ratios, the times, and plots beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from .plots import draw
from .report import amount, interval, remarks, summary
from .rows import FORWARD, HIPS, IMPORT, JAX, JIT, NUMPY, OURS, TORCH, Ratio, Result

PEERS = (NUMPY, FORWARD, TORCH, HIPS, JAX, JIT)

INTRODUCTION = """\
# Performance

What the library costs, beside its peers. This page is written by the command

```bash
{command}
```

which anybody can run (`pip install "autodiff-api[bench]"`); `--list` names the works, `--only` picks some, `--check`
turns a missed bar into an exit status. It was run on:

{machine}

In each round the contenders take turns, in one process, and a ratio is our time over the peer's in the same round:
below 1 is in our favour. A cell has the median of the rounds, and the quartiles in brackets. On one thread it is
processor time that counts, on all threads the time on the wall. Contenders must agree in their results before they are
timed. A time says little about another machine; a ratio says more, and its quartiles say how much.

- *{numpy}* is written as a careful user writes it, without `out=` buffers; *{forward}* takes no notes and does
  not go backward: what is left of the ratio is what any eager library pays.
- *PyTorch* is eager, *autograd* is HIPS autograd, *jax.grad* runs without `jit`, *jax.jit* compiles and gets its state
  donated.
- *eager* is `backward()` on tensors, *compiled* is `ad.compile`: of a step that changes a module by an optimizer or,
  where it says *pure*, of a function from parameters to parameters, which is what `jax.jit` is given.
- What loads and traces is not in a row's time, but in those of first calls.
"""


def write(path: Path, results: Sequence[Result], facts: Mapping[str, str], command: str) -> None:
    """Write the page, and its plots beside it."""
    plots = draw(path, results)
    path.write_text("\n".join(lines(results, facts, command, plots)) + "\n", encoding="utf-8")


def lines(
    results: Sequence[Result], facts: Mapping[str, str], command: str, plots: Mapping[str, Path]
) -> Iterator[str]:
    """Yield the lines of the page."""
    machine = "\n".join(f"- {name}: {fact}" for name, fact in facts.items())
    yield INTRODUCTION.format(command=command, machine=machine, numpy=NUMPY, forward=FORWARD)
    yield f"## Bars\n\nThe largest ratios that we accept: {summary(results)}.\n"
    yield from _table(["work", "threads", "ours", "peer", "ratio", "bar", ""], _bars(results))
    for threads, told in (("1", "one thread"), ("all", "all threads")):
        chosen = [result for result in results if result.threads == threads]
        if chosen:
            yield f"\n## Ratios on {told}\n"
            if threads in plots:
                yield f"![Ratios by work, on {told}]({plots[threads].name})\n"
            yield from _table(["work", "ours", "takes", *PEERS], _ratios(chosen))
            yield f"\n## Times on {told}\n"
            yield from _table(["work", "dtype", *OURS, *PEERS], _times(chosen))
    if notes := remarks(results):
        yield "\n## Notes\n"
        yield from (f"- {note}" for note in notes)


def _bars(results: Iterable[Result]) -> Iterator[list[str]]:
    for result in results:
        for ratio in result.ratios:
            if ratio.bar is not None:
                verdict = "ok" if ratio.passed else "missed"
                cells = [result.title, result.threads, ratio.ours, ratio.peer, interval(ratio)]
                yield [*cells, f"≤ {ratio.bar:g}", verdict]


def _ratios(results: Iterable[Result]) -> Iterator[list[str]]:
    for result in results:
        for ours in OURS:
            found: dict[str, Ratio] = {ratio.peer: ratio for ratio in result.ratios if ratio.ours == ours}
            if ours in result.medians and found:
                cells = [interval(found[peer]) if peer in found else "" for peer in PEERS]
                yield [result.title, ours, amount(result.medians[ours], result.unit), *cells]


def _times(results: Iterable[Result]) -> Iterator[list[str]]:
    for result in results:
        medians = result.medians
        if IMPORT not in medians:
            names = (*OURS, *PEERS)
            cells = [amount(medians[name], result.unit) if name in medians else "" for name in names]
            yield [result.title, result.dtype, *cells]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
