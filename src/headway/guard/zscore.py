"""Evidence A: how many standard deviations a value is from its trailing window.

z = (x - mean) / s, the rule of Slack's ReleaseBot (S. Kaplan, "The Scary Thing About Automating
Deploys", slack.engineering, 2023). Mean and deviation are exponentially weighted (J. M. Lucas and
M. S. Saccucci, "Exponentially weighted moving average control schemes", Technometrics 32, 1990;
T. Finch, "Incremental calculation of weighted mean and variance", Cambridge, 2009), so a window
costs two numbers a series. It is frozen when a deploy begins: a slow fault must not become its
own normal.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]

FEWEST = 6.0
"""How many ticks a window needs before it has a score."""


class Window(Struct, frozen=True):
    """Weight, mean and variance of what was seen; arrays of N."""

    ticks: Values
    mean: Values
    variance: Values


def begin(series: int) -> Window:
    """Nothing seen yet."""
    return Window(np.zeros(series), np.zeros(series), np.zeros(series))


def add(before: Window, value: Values, length: float) -> Window:
    """Add a tick's values to windows of ``length`` ticks; NaN adds nothing."""
    seen = np.isfinite(value)
    ticks = before.ticks + seen
    share = np.maximum(1.0 / np.maximum(ticks, 1.0), 2.0 / (length + 1.0))
    off = np.where(seen, value - before.mean, 0.0)
    mean = before.mean + share * off
    variance = np.where(seen, (1.0 - share) * (before.variance + share * off**2), before.variance)
    return Window(ticks, mean, variance)


def choose(which: NDArray[np.bool_], yes: Window, no: Window) -> Window:
    """The window of ``yes`` where ``which`` holds, else that of ``no``."""
    return Window(
        np.where(which, yes.ticks, no.ticks),
        np.where(which, yes.mean, no.mean),
        np.where(which, yes.variance, no.variance),
    )


def score(window: Window, value: Values, chance: Values) -> Values:
    """z of each value; NaN where the window is too short or the value is missing.

    ``chance`` is the standard error of the value itself: a quiet window or little traffic must
    not make chance look like a change.
    """
    scale = np.sqrt(np.maximum(window.variance + chance**2, 1e-24))
    return np.where(window.ticks >= FEWEST, (value - window.mean) / scale, np.nan)


def beyond(
    score: Values, limit: Values, up: NDArray[np.bool_], down: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether a score is past its limit in a direction that is bad; NaN is not."""
    return (up & (score >= limit)) | (down & (score <= -limit))
