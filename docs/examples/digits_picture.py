"""Paint one picture of a network that reads digits: how it learned, what it reads, where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")  # writes files, needs no screen

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

INK, SOFT, FAINT, TILE, PAPER = "#1b2a41", "#66758c", "#dbe1ea", "#f2f5f9", "#ffffff"
BLUE, RED = "#2f6fde", "#cf2e49"
PEN = LinearSegmentedColormap.from_list("pen", [TILE, INK])
RED_PEN = LinearSegmentedColormap.from_list("red pen", ["#fdeef0", RED])
BLUE_TO_RED = LinearSegmentedColormap.from_list("blue to red", ["#1d4e9e", "#8db4e6", PAPER, "#f0a397", "#b3243c"])
STYLE = {
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.color": SOFT,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}

# The page, in inches, and where things stand on it: left, bottom, width, height.
PAGE = (13.0, 8.5)
MARGIN = 0.6
LOSS = (0.95, 3.28, 3.7, 3.22)
READINGS = (5.35, 3.05, 7.05, 3.45)
GRADIENTS = (0.6, 0.55, 10.95, 1.0)
SCALE = (11.85, 0.6, 0.09, 0.9)
ROWS, COLUMNS = 5, 12  # of the grid of readings
EXPLAINED = 5  # digits shown with their gradient

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What the network made of the test digits.

    Images (n, 8, 8) between 0 and 1, their labels and what was read (n,), and the gradients of the winning
    scores with respect to the pixels (n, 8, 8).
    """

    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    gradients: np.ndarray

    @property
    def right(self) -> np.ndarray:
        return np.flatnonzero(self.predicted == self.labels)

    @property
    def wrong(self) -> np.ndarray:
        return np.flatnonzero(self.predicted != self.labels)


def paint(
    file: str,
    title: str,
    subtitle: str,
    step_loss: Sequence[float],
    test_loss: Sequence[float],
    readings: Readings,
) -> None:
    """Write the picture to `file`."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=PAGE)
        write(figure, MARGIN, 7.92, title, fontsize=22, fontweight="bold")
        write(figure, MARGIN, 7.58, subtitle, fontsize=11, color=SOFT)
        paint_loss(figure, step_loss, test_loss)
        paint_readings(figure, readings)
        paint_gradients(figure, readings)
        figure.savefig(file, dpi=150)
        plt.close(figure)


def write(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    figure.text(x / PAGE[0], y / PAGE[1], text, **style)


def heading(figure: Figure, x: float, y: float, text: str, remark: str) -> None:
    write(figure, x, y + 0.22, text, fontsize=13, fontweight="bold")
    write(figure, x, y, remark, color=SOFT)


def axes_at(figure: Figure, box: Box) -> Axes:
    left, bottom, width, height = box
    return figure.add_axes((left / PAGE[0], bottom / PAGE[1], width / PAGE[0], height / PAGE[1]))


def square(figure: Figure, left: float, bottom: float, side: float, **picture: Any) -> tuple[Axes, AxesImage]:
    """Paint a picture of 8x8 pixels as a square without a frame."""
    axes = axes_at(figure, (left, bottom, side, side))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    image = axes.imshow(**picture)
    axes.set_autoscale_on(False)
    return axes, image


def paint_loss(figure: Figure, step_loss: Sequence[float], test_loss: Sequence[float]) -> None:
    heading(figure, MARGIN, 6.75, "How it learned", "the loss at every step, on a logarithmic scale")
    axes = axes_at(figure, LOSS)
    steps = np.arange(1, len(step_loss) + 1)
    epochs = np.array_split(np.asarray(step_loss), len(test_loss))
    ends = np.cumsum([len(epoch) for epoch in epochs])
    axes.plot(steps, step_loss, color=BLUE, linewidth=0.5, alpha=0.3)
    axes.plot(ends, [epoch.mean() for epoch in epochs], color=BLUE, linewidth=2, label="digits to learn from")
    axes.plot(ends, test_loss, color=INK, linewidth=2, label="digits never seen")
    axes.set(xlim=(0, len(step_loss)), yscale="log", xlabel="steps")
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.tick_params(which="minor", labelleft=False)
    axes.legend(loc="upper right", labelcolor="linecolor", handlelength=1.4, borderaxespad=0)


def paint_digit(figure: Figure, x: float, y: float, side: float, readings: Readings, index: int, label: str) -> None:
    """Paint one digit with a label under it, in red if it was misread."""
    good = readings.predicted[index] == readings.labels[index]
    pen, style = (PEN, {"color": SOFT}) if good else (RED_PEN, {"color": RED, "fontweight": "bold"})
    axes, _ = square(figure, x, y, side, X=readings.images[index], vmin=0, vmax=1, cmap=pen)
    axes.set_xlabel(label, labelpad=1.5, **style)


def paint_readings(figure: Figure, readings: Readings) -> None:
    """Paint test digits with the reading of each; the mistakes are among them, last and in red."""
    left, bottom, width, height = READINGS
    wrong = readings.wrong[: ROWS * COLUMNS]
    right = readings.right[: ROWS * COLUMNS - len(wrong)]
    heading(figure, left, 6.75, "What it reads", remark_on_mistakes(len(readings.labels), len(readings.wrong)))
    side = 0.47
    for place, index in enumerate([*right, *wrong]):
        row, column = divmod(place, COLUMNS)
        x = left + column * (width - side) / (COLUMNS - 1)
        y = bottom + height - side - row * (height - side - 0.2) / (ROWS - 1)
        read, truth = readings.predicted[index], readings.labels[index]
        label = f"{read}" if read == truth else f"{read} ({truth})"
        paint_digit(figure, x, y, side, readings, index, label)


def remark_on_mistakes(digits: int, mistakes: int) -> str:
    seen = f"some of {digits} digits it has never seen"
    if mistakes == 0:
        return f"{seen}, all of which it read correctly"
    which = "its only mistake" if mistakes == 1 else f"its {mistakes} mistakes"
    return f"{seen}; {which} in red, with the truth in brackets"


def paint_gradients(figure: Figure, readings: Readings) -> None:
    """Paint a few digits, each beside the gradient of its score."""
    remark = "the gradient of the winning score with respect to each pixel, beside the digit and with its outline"
    heading(figure, MARGIN, 1.8, "Where it looks", remark)
    left, bottom, width, side = GRADIENTS
    chosen = explained(readings)
    strongest = np.quantile(np.abs(readings.gradients[chosen]), 0.99)
    colours = {"vmin": -strongest, "vmax": strongest, "cmap": BLUE_TO_RED}
    around = np.arange(-1, 9)  # a margin of paper closes the outline
    for place, index in enumerate(chosen):
        x = left + place * (width - 2.0 * side - 0.06) / (EXPLAINED - 1)
        read, truth = readings.predicted[index], readings.labels[index]
        label = f"read as {read}" if read == truth else f"read as {read}, is {truth}"
        paint_digit(figure, x, bottom, side, readings, index, label)
        axes, heat = square(figure, x + side + 0.06, bottom, side, X=readings.gradients[index], **colours)
        outline = np.pad(readings.images[index], 1)
        axes.contour(around, around, outline, levels=[0.45], colors=INK, linewidths=1.0, alpha=0.8)
    scale = figure.colorbar(heat, cax=axes_at(figure, SCALE), ticks=[-strongest, strongest])
    scale.outline.set_visible(False)
    scale.ax.set_yticklabels(["ink lowers", "ink raises"])


def explained(readings: Readings) -> list[int]:
    """Choose digits to explain: the first of some kinds that were read correctly, and one mistake if any."""
    _, firsts = np.unique(readings.labels[readings.right], return_index=True)
    return [*readings.right[np.sort(firsts)][: EXPLAINED - len(readings.wrong[:1])], *readings.wrong[:1]]
