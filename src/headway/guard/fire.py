"""The watch without a rollout: is the site on fire?

All nodes of an app are looked at together, whatever they run, in ticks of twenty seconds. A metric
burns when for a minute, tick by tick, it has been beyond its fixed line by more than chance, or has
moved to twice or half of the trailing half hour at a z-score beyond its limit (evidence A; where
the season is known, the seasonal score must be beyond it too). What burns is not learned from, so
that a fire does not become its own normal; after an hour it counts as what is usual now. The fire
is over when everything has been calm for two minutes.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.guard import seasonal, static, zscore
from headway.guard.counters import Counters, add
from headway.guard.evidence import WIDTH, Values
from headway.guard.judge import MOVED
from headway.guard.season import Seasons
from headway.guard.terms import PLAIN_LIMIT
from headway.guard.wording import show, times_of
from headway.model.plan import AppConfig, Direction, Importance, Kind

TICK = 20.0
"""Seconds between two looks."""

WINDOW = 90.0
"""Ticks that a metric's normal comes from."""

CALM = 6
"""Calm ticks in a row after which a fire is over."""

USUAL = 180
"""Ticks after which a lasting change counts as usual: an hour."""

BEYOND_CHANCE = 4.0
"""Standard errors by which a count must be beyond its line."""

NOISE = 2.0
"""What the variance of counts is taken to be, in multiples of Poisson's."""


class Fire(Struct, frozen=True):
    """A fire, with the normal from before it: (ticks, mean, variance) of each metric by name."""

    since: float
    sentence: str
    metrics: tuple[str, ...]
    normal: dict[str, tuple[float, float, float]]


class News(Struct, frozen=True):
    """A fire that was seen (``began``), or is over. ``metric`` is the first that burnt."""

    at: float
    began: bool
    metric: str
    sentence: str


class Patrol:
    """One app's watch."""

    def __init__(
        self, app: AppConfig, exposures: Sequence[str], now: float, fire: Fire | None = None
    ) -> None:
        self._app = app
        chosen = [
            (metric, exposure)
            for metric, exposure in zip(app.metrics, exposures, strict=True)
            if _chosen(app, metric.name, metric.importance)
        ]
        self.metrics = self._metrics = [metric for metric, _ in chosen]
        self.exposures = [exposure for _, exposure in chosen]
        self._pairs = [(metric.counter, exposure) for metric, exposure in chosen]
        size = len(chosen)
        self._counts = np.array([m.kind is Kind.COUNTS for m in self._metrics], dtype=bool)
        self._up = np.array([m.direction is not Direction.DOWN for m in self._metrics], dtype=bool)
        self._down = np.array([m.direction is not Direction.UP for m in self._metrics], dtype=bool)
        self._above = np.array([_or_nan(metric.above) for metric in self._metrics])
        self._below = np.array([_or_nan(metric.below) for metric in self._metrics])
        self._limit = np.array([metric.zscore or PLAIN_LIMIT for metric in self._metrics])
        self._window = zscore.begin(size)
        self._streak = np.zeros(size)
        self._long = np.zeros(size)
        self._calm = 0
        self._every = max([TICK, *(source.every for source in app.sources)])
        self._since = now // self._every * self._every
        self.seasons: Seasons | None = None
        self.fire = fire
        if fire is not None:
            known = [fire.normal.get(metric.name, (0.0, 0.0, 0.0)) for metric in self._metrics]
            self._window = zscore.Window(*np.array(known).reshape(-1, 3).T)

    def fits(self, app: AppConfig) -> bool:
        """Whether the app is still watched in the same way."""
        mine = self._app
        return (app.metrics, app.watch, app.sources) == (mine.metrics, mine.watch, mine.sources)

    def go_on(self, counters: Counters, until: float) -> tuple[News, ...]:
        """Look at what has become due; numbers are complete up to ``until``."""
        news: list[News] = []
        # After a pause of the control plane only what is recent says what is now.
        self._since = max(self._since, (until - 1800.0) // self._every * self._every)
        while self._since + self._every <= until:
            end = self._since + self._every
            arms = counters.arms(self._app.name)
            sums: dict[str, float] = {}
            for bucket in counters.pieces(arms, self._since, end):
                add(sums, bucket.sums)
            self._since = end
            news += self.look(self._rows(sums), end)
        return tuple(news)

    def look(self, rows: Values, now: float) -> list[News]:
        """Take in a tick: a row for each metric, of which the control's columns are looked at."""
        counted, exposure = rows[:, 2], rows[:, 3]
        heard = (exposure > 0) & np.isfinite(rows[:, 2:4]).all(axis=1)
        weight = np.where(heard, exposure, 1.0)
        value = np.where(heard, counted / weight, np.nan)
        burns = self._lined(counted, weight, value) | self._moved(rows, weight, value)
        burns &= heard
        self._streak = static.persistent(self._streak, burns, heard)
        self._long = np.where(burns, self._long + 1.0, 0.0)
        # Until the window is filled everything is learned, or there would never be a normal.
        learned = heard & (~burns | (self._long > USUAL) | (self._window.ticks < zscore.FEWEST))
        self._window = zscore.add(self._window, np.where(learned, value, np.nan), WINDOW)
        return self._conclude(value, now)

    def _conclude(self, value: Values, now: float) -> list[News]:
        burning = np.flatnonzero(self._streak >= static.PERSISTENT)
        self._calm = 0 if (self._streak > 0).any() else self._calm + 1
        if self.fire is None and len(burning):
            told = "; ".join(self._sentence(index, float(value[index])) for index in burning[:3])
            names = tuple(self._metrics[index].name for index in burning)
            normal = np.array([self._window.ticks, self._window.mean, self._window.variance]).T
            self.fire = Fire(
                now,
                f"{self._app.name} is on fire: {told}",
                names,
                {
                    metric.name: (float(a), float(b), float(c))
                    for metric, (a, b, c) in zip(self._metrics, normal, strict=True)
                },
            )
            return [News(now, True, names[0], self.fire.sentence)]
        if self.fire is not None and self._calm >= CALM:
            before, self.fire = self.fire, None
            lasted = max(now - before.since, 0.0) / 60
            told = f"the fire in {self._app.name} is over after {lasted:.0f} min"
            return [News(now, False, before.metrics[0], f"{told}; it was: {before.sentence}")]
        return []

    def _lined(self, counted: Values, weight: Values, value: Values) -> NDArray[np.bool_]:
        """Beyond the fixed line, and for counts by more than chance."""
        found = static.outside(value, self._below, self._above)
        line = np.where(value > self._above, self._above, self._below)
        expected = np.maximum(np.nan_to_num(line) * weight, 1.0)
        sure = np.abs(counted - expected) >= BEYOND_CHANCE * np.sqrt(NOISE * expected)
        return np.asarray(found & (sure | ~self._counts), dtype=bool)

    def _moved(self, rows: Values, weight: Values, value: Values) -> NDArray[np.bool_]:
        """Twice or half of what was usual, and far from it; from nothing at all, more than once."""
        window = self._window
        rate = np.maximum(window.mean, 1.0 / weight)
        chance = np.where(self._counts, np.sqrt(NOISE * rate / weight), 0.0)
        plain = zscore.score(window, value, chance)
        far = zscore.beyond(plain, self._limit, self._up, self._down)
        if self.seasons is not None:
            season = self.seasons.look(self._since - 0.5 * self._every, rows, self._every)[:, 0]
            far &= seasonal.both(plain, season, self._limit)
        with np.errstate(divide="ignore", invalid="ignore"):
            by = np.log(value / np.maximum(window.mean, 1e-300))
        return far & (np.abs(by) >= MOVED)

    def _rows(self, sums: dict[str, float]) -> Values:
        rows = np.full((len(self._pairs), WIDTH), np.nan)
        for index, (counter, per) in enumerate(self._pairs):
            rows[index, 2:4] = sums.get(counter, 0.0), sums.get(per, 0.0)
        return rows

    def _sentence(self, index: int, value: float) -> str:
        metric = self._metrics[index]
        mean = float(self._window.mean[index])
        told = f"{metric.name} is {show(value, metric)}"
        if metric.above is not None and value > metric.above:
            return f"{told}, above {show(metric.above, metric)}"
        if metric.below is not None and value < metric.below:
            return f"{told}, below {show(metric.below, metric)}"
        if mean > 0:
            return f"{told}, {times_of(value / mean)} what it was in the half hour before"
        return f"{told}, where there was none in the half hour before"


def _chosen(app: AppConfig, name: str, importance: Importance) -> bool:
    if app.watch.metrics:
        return name in app.watch.metrics
    return importance is Importance.CRITICAL


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
