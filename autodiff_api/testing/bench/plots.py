"""Plots of the ratios, as SVG, where matplotlib is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from .rows import COMPILED, COMPILED_JAX, EAGER, EAGER_JAX, IMPORT, IMPORT_NUMPY, JAX, JIT, TORCH, Ratio, Result

# Which pairs are drawn, how, and how the legend calls them.
PAIRS = {
    (EAGER, TORCH): ("o", "#1f77b4"),
    (COMPILED, TORCH): ("s", "#17becf"),
    (COMPILED, JIT): ("D", "#2ca02c"),
    (EAGER_JAX, JAX): ("^", "#9467bd"),
    (COMPILED_JAX, JIT): ("v", "#d62728"),
    (IMPORT, IMPORT_NUMPY): ("*", "#7f7f7f"),
}


def draw(page: Path, results: Sequence[Result]) -> Mapping[str, Path]:
    """Draw a plot for each setting of the threads, beside the page; return their paths, none without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return {}
    found = {}
    for threads in dict.fromkeys(result.threads for result in results):
        path = page.with_name(f"{page.stem}-{threads}.svg")
        _draw(path, [result for result in results if result.threads == threads])
        found[threads] = path
    return found


def _draw(path: Path, results: Sequence[Result]) -> None:
    """Draw each ratio as a point with its quartiles, a line for each work, on a logarithmic axis."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.26 * len(results)), layout="constrained")
    axes = figure.subplots()
    for (ours, peer), (marker, colour) in PAIRS.items():
        points = [(place, ratio) for place, result in enumerate(results) for ratio in _of(result, ours, peer)]
        if points:
            middles = [ratio.median or 0 for _, ratio in points]
            spread = [
                [middle - (ratio.low or 0), (ratio.high or 0) - middle]
                for middle, (_, ratio) in zip(middles, points, strict=True)
            ]
            axes.errorbar(
                middles,
                [place for place, _ in points],
                xerr=[list(side) for side in zip(*spread, strict=True)],
                fmt=marker,
                color=colour,
                markersize=5,
                label=f"{ours} / {peer}",
            )
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set(
        xscale="log",
        xlabel="ratio, ours / peer; left of the line is faster or smaller",
        ylim=(len(results) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(results)), [result.name for result in results])
    axes.grid(axis="x", which="both", linewidth=0.3)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    with matplotlib.rc_context({"svg.hashsalt": "autodiff_api", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def _of(result: Result, ours: str, peer: str) -> list[Ratio]:
    return [ratio for ratio in result.ratios if (ratio.ours, ratio.peer) == (ours, peer) and ratio.median is not None]
