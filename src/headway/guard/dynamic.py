"""Evidence A: thresholds taken from the same time of earlier days and weeks.

For the time of the tick, the values at that time of day on each of the last days, and at that
time of the same weekday in the last weeks, within a few minutes either way; the threshold is
their mean plus or minus three standard deviations, as in Slack's ReleaseBot (slack.engineering,
2023). Key metrics use the higher of the static and the dynamic threshold, so that a busy hour
does not trip a line drawn on a quiet one.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

DAY = 86400.0
WEEK = 7 * DAY

DEVIATIONS = 3.0
"""How far from the mean of earlier times the threshold lies."""

FEWEST = 4
"""How many earlier values it takes."""


def same_time(
    history: Values, begin: float, step: float, at: float, days: int, weeks: int, slack: int
) -> Values:
    """The values of earlier days and weeks at the time ``at``, as an array (N, times).

    ``history`` is (N, T), a value each ``step`` seconds from ``begin``; times before it are NaN.
    ``slack`` is how many neighbours on either side count too.
    """
    offsets = {day * DAY for day in range(1, days + 1)} | {w * WEEK for w in range(1, weeks + 1)}
    centres = [round((at - offset - begin) / step) for offset in sorted(offsets)]
    index = np.array([c + near for c in centres for near in range(-slack, slack + 1)], dtype=int)
    inside = (index >= 0) & (index < history.shape[1])
    picked = history[:, np.where(inside, index, 0)]
    return np.where(inside, picked, np.nan)


def thresholds(earlier: Values) -> tuple[Values, Values]:
    """(lower, upper) threshold of each series from its values at earlier times; NaN if too few."""
    count = np.isfinite(earlier).sum(axis=1)
    filled = np.where(np.isfinite(earlier), earlier, 0.0)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    off = np.where(np.isfinite(earlier), earlier - mean[:, None], 0.0)
    spread = np.sqrt((off**2).sum(axis=1) / np.maximum(count - 1, 1))
    enough = count >= FEWEST
    lower = np.where(enough, mean - DEVIATIONS * spread, np.nan)
    upper = np.where(enough, mean + DEVIATIONS * spread, np.nan)
    return lower, upper


def higher(static: Values, dynamic: Values) -> Values:
    """The threshold of a key metric: the higher of both, or the one that there is."""
    return np.fmax(static, dynamic)


def lower(static: Values, dynamic: Values) -> Values:
    """The same for a threshold from below: the one that is harder to break."""
    return np.fmin(static, dynamic)
