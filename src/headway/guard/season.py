"""What the hours after a deploy began should look like, from the same hours of earlier days.

Values are those of five-minute slots. The last seven days and the day two weeks ago count, as far
as they are known; the level is that of the half hour before the deploy (`seasonal.freeze`).
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from headway.guard import dynamic, seasonal
from headway.guard.counters import SLOT
from headway.guard.evidence import Values

DAYS = (1, 2, 3, 4, 5, 6, 7, 14)
"""How many days ago counts."""

AHEAD = 72
"""Slots that a season reaches ahead: six hours."""

BACK = 6
"""Slots before the deploy that the level comes from: half an hour."""

NEAR = 1
"""Slots to either side that count as the same time, for thresholds."""

Slots = Mapping[float, Mapping[str, float]]
"""Sums of every counter by the beginning of their slot."""


def spans(began: float) -> list[tuple[float, float]]:
    """(begin, end) of the times that a season is made of, today's first."""
    now = began // SLOT * SLOT
    first, last = now - (BACK + NEAR) * SLOT, now + (AHEAD + NEAR) * SLOT
    earlier = [(first - day * dynamic.DAY, last - day * dynamic.DAY) for day in DAYS]
    return [(first, now), *earlier]


class Seasons:
    """The season of each metric, frozen when the deploy began at ``now``, a slot's beginning.

    ``usual`` holds the (lower, upper) thresholds as (slots, 2, N).
    """

    def __init__(
        self, season: seasonal.Season, usual: Values, counts: Sequence[bool], now: float
    ) -> None:
        self._season = season
        self._usual = usual
        self._counts = np.array(counts, dtype=bool)
        self._now = now
        self._sums = np.zeros((2, len(counts)))

    @classmethod
    def learn(
        cls, pairs: Sequence[tuple[str, str]], counts: Sequence[bool], slots: Slots, began: float
    ) -> "Seasons":
        """From what each pair of counters came to in earlier slots."""
        now = began // SLOT * SLOT

        def values(begins: Iterable[float]) -> Values:
            return np.array([[_value(slots, pair, begin) for begin in begins] for pair in pairs])

        def day(ago: int, first: int, last: int) -> list[float]:
            back = ago * dynamic.DAY
            return [now + index * SLOT - back for index in range(first, last)]

        wide = np.stack([values(day(ago, -NEAR, AHEAD + NEAR)) for ago in DAYS], axis=1)
        before = np.stack([values(day(ago, -BACK, 0)) for ago in DAYS], axis=1)
        recent = values(day(0, -BACK, 0))
        return cls.of(wide, recent, before, counts, now)

    @classmethod
    def of(
        cls, wide: Values, recent: Values, before: Values, counts: Sequence[bool], now: float
    ) -> "Seasons":
        """From values of N metrics by slot, NaN where there is none.

        ``wide`` is (N, days, slots ahead and NEAR on either side), ``recent`` (N, slots before),
        ``before`` (N, days, slots before).
        """
        ahead = wide.shape[2] - 2 * NEAR
        season = seasonal.freeze(wide[:, :, NEAR : NEAR + ahead], recent, before)
        thresholds = [
            dynamic.thresholds(wide[:, :, index : index + 2 * NEAR + 1].reshape(len(wide), -1))
            for index in range(ahead)
        ]
        return cls(season, np.array(thresholds).reshape(ahead, 2, len(wide)), counts, now)

    def known(self) -> bool:
        """Whether there is a season for any metric."""
        return bool(np.isfinite(self._season.scale).any() or np.isfinite(self._usual).any())

    def look(self, at: float, rows: Values, span: float) -> Values:
        """(seasonal score of the control, lower, upper threshold) of each metric, as (N, 3).

        A look of a few seconds is noisier than the slots that the season is known by, so recent
        looks count together, over about one slot.
        """
        kept = max(1.0 - span / SLOT, 0.0)
        heard = (rows[:, 3] > 0) & np.isfinite(rows[:, 2:4]).all(axis=1)
        self._sums = np.where(heard, self._sums * kept + rows[:, 2:4].T, self._sums)
        index = int((at - self._now) // SLOT)
        found = np.full((len(rows), 3), np.nan)
        if not 0 <= index < len(self._usual):
            return found
        total, weight = self._sums
        safe = np.maximum(weight, 1e-300)
        value = np.where(weight > 0, total / safe, np.nan)
        chance = np.where(self._counts, np.sqrt(np.maximum(total, 0.5)) / safe, 0.0)
        found[:, 0] = seasonal.score(self._season, index, value, chance)
        found[:, 1:] = self._usual[index].T
        return found


def _value(slots: Slots, pair: tuple[str, str], begin: float) -> float:
    sums = slots.get(begin)
    if sums is None or not sums.get(pair[1], 0.0) > 0:
        return np.nan
    return sums.get(pair[0], 0.0) / sums[pair[1]]
