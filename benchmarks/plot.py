"""Drawing what was measured, as SVG; the dependency group ``bench`` has what it takes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Line(NamedTuple):
    """A name, and points."""

    name: str
    points: Sequence[tuple[float, float]]


class Mark(NamedTuple):
    """A point, with the interval in which each of its coordinates lies."""

    x: float
    x_interval: tuple[float, float]
    y: float
    y_interval: tuple[float, float]


def draw(into: Path, x: str, y: str, lines: Sequence[Line], log_y: bool = False) -> None:
    """Write a plot with a logarithmic x axis, the axes named, a legend for the lines."""

    def fill(axes: Any) -> None:
        for line in lines:
            axes.plot(*zip(*line.points, strict=True), marker="o", label=line.name)
        axes.set_xscale("log")
        if log_y:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)

    _write(into, x, y, fill)


def scatter(into: Path, x: str, y: str, marks: Mapping[str, Mark]) -> None:
    """Write a plot of named points with their intervals; both axes are shares."""

    def fill(axes: Any) -> None:
        for name, (at_x, (left, right), at_y, (low, high)) in marks.items():
            across, up = [[at_x - left], [right - at_x]], [[at_y - low], [high - at_y]]
            axes.errorbar(at_x, at_y, xerr=across, yerr=up, marker="o", ls="none", label=name)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")

    _write(into, x, y, fill)


def _write(into: Path, x: str, y: str, fill: Callable[[Any], None]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only who draws needs it

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "headway", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    figure, axes = plt.subplots(figsize=(7, 4))
    fill(axes)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, color="#ddd")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(into, format="svg", metadata={"Date": None})
    plt.close(figure)
