"""Evidence B: a robust residual from the season, with a baseline frozen when the deploy begins.

The season at a time is the median of the values at that time of earlier days and weeks, scaled to
the level just before the deploy; the residual's scale is the median absolute deviation times
1.4826 (F. R. Hampel, "The Influence Curve and its Role in Robust Estimation", Journal of the
American Statistical Association 69, 1974). Medians are used because history holds incidents: the
approach of J. Hochenbaum, O. Vallis and A. Kejariwal, "Automatic Anomaly Detection in the Cloud
Via Statistical Learning", arXiv 1704.07706 (2017). It fires when the plain score (`zscore`) and the
seasonal one both exceed, for several ticks: the plain one does not know the daily peak, the
seasonal one does not know today.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]

CONSISTENT = 1.4826
"""Makes the median absolute deviation estimate a normal standard deviation."""

FEWEST = 4
"""How many earlier days it takes to know a season."""


class Season(Struct, frozen=True):
    """What the hours after the start of a deploy should look like: (N, T) centre, (N,) scale."""

    centre: Values
    scale: Values


def freeze(earlier: Values, recent: Values, recent_earlier: Values) -> Season:
    """Learn the season when the deploy begins; nothing that follows changes it.

    ``earlier`` is (N, days, T), the T ticks that follow now as they were on earlier days;
    ``recent`` is (N, R), the ticks before now, and ``recent_earlier`` (N, days, R) the same
    ticks on earlier days. NaN where there is none.
    """
    centre = _median(earlier, axis=1)
    before = _median(recent_earlier, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = _median(recent / before, axis=1)
    level = np.where(np.isfinite(level), np.clip(level, 0.2, 5.0), 1.0)
    residual = recent - before * level[:, None]
    days = np.concatenate([earlier, recent_earlier], axis=2)
    spread = np.abs(days - _median(days, axis=1)[:, None, :]).reshape(len(days), -1)
    scale = CONSISTENT * np.fmax(_median(np.abs(residual), axis=1), _median(spread, axis=1))
    enough = np.isfinite(earlier).any(axis=2).sum(axis=1) >= FEWEST
    return Season(centre * level[:, None], np.where(enough, np.maximum(scale, 1e-12), np.nan))


def score(season: Season, tick: int, value: Values, chance: Values) -> Values:
    """The seasonal score of a tick's values; NaN where there is no season."""
    if tick >= season.centre.shape[1]:
        return np.full(len(value), np.nan)
    return np.asarray((value - season.centre[:, tick]) / np.hypot(season.scale, chance))


def both(plain: Values, seasonal: Values, limit: Values) -> NDArray[np.bool_]:
    """Whether both scores exceed on the same side; where there is no season the plain one rules."""
    alone = np.isnan(seasonal)
    same = np.sign(plain) == np.sign(seasonal)
    exceed = (np.abs(plain) >= limit) & (alone | (same & (np.abs(seasonal) >= limit)))
    return np.asarray(exceed, dtype=bool)


def _median(values: Values, axis: int) -> Values:
    """The median of what is there; NaN where nothing is."""
    ordered = np.sort(values, axis=axis)
    count = np.isfinite(values).sum(axis=axis)
    low = np.take_along_axis(
        ordered, np.expand_dims(np.maximum(count - 1, 0) // 2, axis), axis=axis
    )
    high = np.take_along_axis(
        ordered, np.expand_dims(np.minimum(count // 2, np.maximum(count - 1, 0)), axis), axis=axis
    )
    middle = np.squeeze(0.5 * (low + high), axis=axis)
    return np.where(count > 0, middle, np.nan)
