"""Real server series as the shape of everything that is simulated, in two halves kept apart.

The series are those of the Numenta Anomaly Benchmark: five-minute steps of two weeks and more. The
first half was looked at while settings were chosen; what is reported comes from the second.
"""

import csv
import os
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

STEP = 300.0
"""Seconds between two values of a series."""

FAMILIES = ("realAWSCloudwatch", "realKnownCause", "realTweets", "realTraffic", "realAdExchange")
"""Folders of the data; in each, every second series belongs to the other half."""

DAY = 288
"""Values a day."""

DAYS = range(1, 8)
"""How many days before a window are known."""

FEWEST = 1500
"""Values that a series must have."""

LOW, HIGH = 0.2, 5.0
"""A shape is held within these multiples of its median."""


class Half(StrEnum):
    """Which part of the series."""

    TUNE = "tune"
    """For choosing settings."""
    REPORT = "report"
    """For the figures."""


def home() -> Path:
    """Where the data lies: under ``HEADWAY_DATA``, else in the nearest ``shared/data`` above."""
    above = [place / "shared" / "data" for place in Path(__file__).resolve().parents]
    beside = next((place for place in above if (place / "nab").is_dir()), above[2])
    return Path(os.environ.get("HEADWAY_DATA", beside)) / "nab" / "data"


def shapes(half: Half) -> list[Values]:
    """The series of a half, each divided by its median. Raises FileNotFoundError."""
    names = [path for family in FAMILIES for path in sorted((home() / family).glob("*.csv"))]
    if not names:
        raise FileNotFoundError(f"no series in {home()}; set HEADWAY_DATA to where nab/ lies")
    mine = names[0::2] if half is Half.TUNE else names[1::2]
    return [shape for path in mine if len(shape := _read(path)) >= FEWEST]


def windows(
    source: np.random.Generator, half: Half, number: int, seconds: float
) -> tuple[Values, Values]:
    """(number, seconds / 20) windows at random places, a value each 20 s, interpolated.

    And the same hours of the seven days before, (number, 7, steps), a value each five minutes; NaN
    where the series had not begun.
    """
    series = shapes(half)
    steps = int(seconds / STEP) + 2
    ticks = np.arange(int(seconds / 20)) * 20 / STEP
    whole, part = ticks.astype(int), ticks % 1
    rows, earlier = [], []
    for index in source.integers(len(series), size=number):
        first = source.integers(len(series[index]) - steps)
        piece = series[index][first : first + steps + 1]
        rows.append(piece[whole] * (1 - part) + piece[np.minimum(whole + 1, steps)] * part)
        earlier.append([_step_means(series[index], int(first) - day * DAY, steps) for day in DAYS])
    return np.array(rows), np.array(earlier)


def _step_means(series: Values, first: int, steps: int) -> Values:
    places = np.arange(first, first + steps)
    inside = (places >= 0) & (places + 1 < len(series))
    safe = np.clip(places, 0, len(series) - 2)
    return np.where(inside, (series[safe] + series[safe + 1]) / 2, np.nan)


def _read(path: Path) -> Values:
    with path.open() as lines:
        values = np.array([float(row["value"]) for row in csv.DictReader(lines)])
    middle = np.median(values[values > 0]) if np.any(values > 0) else 1.0
    return np.clip(values / middle, LOW, HIGH)
