"""Drawing measured lines, as SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "headway"
mpl.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what draws


class Line(NamedTuple):
    """A name, and points."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(into: Path, x: str, y: str, lines: Sequence[Line], log_y: bool = False) -> None:
    """Write a plot with a logarithmic x axis, the axes named, a legend for the lines."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for line in lines:
        axes.plot(*zip(*line.points, strict=True), marker="o", label=line.name)
    axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, color="#ddd")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(into, format="svg", metadata={"Date": None})
    plt.close(figure)
