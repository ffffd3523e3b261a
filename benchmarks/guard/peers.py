"""The rules of others, from their published definitions, all on the numbers the guard sees.

- *z ≥ 3*: a value three standard deviations off its trailing window, the rule that Slack's
  ReleaseBot began with (slack.engineering, "The Scary Thing About Automating Deploys", 2023).
- *Mann-Whitney*: Kayenta's default judge. The values of a step, canary against baseline: the 98 %
  confidence interval of the Hodges-Lehmann shift must lie beyond 0.25 times the estimate itself
  (kayenta, MannWhitneyClassifier.scala and NetflixACAJudge.scala). A step is judged at its end.
- *thresholds*: a maximum or minimum, measured once a minute; Argo Rollouts fails a metric once more
  than ``failureLimit`` (3) measurements failed, Flagger once ``threshold`` (5) checks did. The line
  is a multiple of what the canary's nodes had before the deploy; which one was fixed on the first
  half of the data.
- *repeated binomial*: the test of two proportions (for continuous metrics: of two means) on all
  numbers since the deploy, p < 0.01, repeated at every look.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headway.guard.numbers import Tick
from headway.guard.terms import Terms

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

TRAILING = 90
"""Ticks of the trailing window of plain scores: half an hour."""

CONFIDENCE_98 = 2.3263
"""The normal quantile of a two-sided 98 %."""

ONE_SIDED_99 = 2.3263
"""The normal quantile of p < 0.01, one-sided."""


class Rule(Protocol):
    """A judge of many series: fed each tick, it says which of them fail."""

    def learn(self, tick: Tick) -> None:
        """A tick before the deploy."""

    def look(self, tick: Tick, ends_step: bool) -> Flags:
        """A tick of the deploy; whether each series fails now."""


class Plain:
    """z ≥ 3 on the canary's value."""

    def __init__(self, terms: Terms, limit: float = 3.0) -> None:
        self._terms, self._limit = terms, limit
        self._window = np.full((TRAILING, len(terms.up)), np.nan)
        self._next = 0

    def learn(self, tick: Tick) -> None:
        """Fill the window."""
        self._window[self._next] = tick.values()[0]
        self._next = (self._next + 1) % TRAILING

    def look(self, tick: Tick, ends_step: bool) -> Flags:
        """Compare, then move the window on."""
        value = tick.values()[0]
        seen = np.isfinite(self._window)
        count = np.maximum(seen.sum(axis=0), 2)
        filled = np.where(seen, self._window, 0.0)
        mean = filled.sum(axis=0) / count
        spread = np.sqrt((np.where(seen, filled - mean, 0.0) ** 2).sum(axis=0) / (count - 1))
        self.learn(tick)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (value - mean) / spread
        return _bad(self._terms, z >= self._limit, z <= -self._limit)


class MannWhitney:
    """Kayenta's classifier at the end of each step."""

    def __init__(self, terms: Terms, tolerance: float = 0.25) -> None:
        self._terms, self._tolerance = terms, tolerance
        self._values: list[tuple[Values, Values]] = []

    def learn(self, tick: Tick) -> None:
        """Nothing before the deploy is used."""

    def look(self, tick: Tick, ends_step: bool) -> Flags:
        """Collect, and judge when the step ends."""
        self._values.append(tick.values())
        none = np.zeros(len(self._terms.up), dtype=bool)
        if not ends_step:
            return none
        canary, control = (np.array(arm) for arm in zip(*self._values, strict=True))
        self._values = []
        whole = np.isfinite(canary).sum(axis=0) >= 4
        whole &= np.isfinite(control).sum(axis=0) >= 4
        high, low = none.copy(), none.copy()
        for begin in range(0, len(whole), 2000):
            part = slice(begin, begin + 2000)
            bounds = shift_interval(canary[:, part], control[:, part])
            estimate, lower, upper = (np.where(whole[part], bound, 0.0) for bound in bounds)
            line = self._tolerance * estimate
            high[part], low[part] = lower > np.abs(line), upper < -np.abs(line)
        return _bad(self._terms, high, low)


def shift_interval(canary: Values, control: Values) -> tuple[Values, Values, Values]:
    """(estimate, lower, upper) of each column's shift, canary less control, by Hodges and Lehmann.

    The interval comes from the order statistics of all differences, with the normal
    approximation to the rank-sum statistic (Hollander and Wolfe, "Nonparametric Statistical
    Methods", section 4.3). Missing values are left out.
    """
    differences = canary[:, None, :] - control[None, :, :]
    ordered = np.sort(differences.reshape(-1, canary.shape[1]), axis=0)
    m, n = np.isfinite(canary).sum(axis=0), np.isfinite(control).sum(axis=0)
    pairs = m * n
    reach = CONFIDENCE_98 * np.sqrt(m * n * (m + n + 1) / 12)
    first = np.clip(np.round(pairs / 2 - reach), 0, np.maximum(pairs - 1, 0)).astype(int)
    last = np.maximum(pairs - 1 - first, 0)
    columns = np.arange(canary.shape[1])
    middle = 0.5 * (
        ordered[np.maximum(pairs - 1, 0) // 2, columns]
        + ordered[pairs // 2 % len(ordered), columns]
    )
    return middle, ordered[first, columns], ordered[last, columns]


class Thresholds:
    """A fixed line, and a number of failed checks that is allowed."""

    def __init__(self, terms: Terms, multiple: float, limit: int, every: int = 3) -> None:
        self._terms, self._multiple, self._limit, self._every = terms, multiple, limit, every
        size = len(terms.up)
        self._before = np.zeros((2, size))
        self._since = np.zeros((2, size))
        self._ticks = 0
        self._failed = np.zeros(size)

    def learn(self, tick: Tick) -> None:
        """The line stands where the nodes' own past puts it."""
        self._before += np.array([tick.canary, tick.exposure])

    def look(self, tick: Tick, ends_step: bool) -> Flags:
        """Check once a minute, and count."""
        self._since += np.array([tick.canary, tick.exposure])
        self._ticks += 1
        if self._ticks % self._every == 0:
            with np.errstate(divide="ignore", invalid="ignore"):
                usual = self._before[0] / self._before[1]
                value = self._since[0] / self._since[1]
            high, low = value > usual * self._multiple, value < usual / self._multiple
            self._failed += _bad(self._terms, high, low)
            self._since[:] = 0
        return self._failed > self._limit


class Repeated:
    """A fixed-sample test at every look."""

    def __init__(self, terms: Terms, quantile: float = ONE_SIDED_99) -> None:
        self._terms, self._quantile = terms, quantile
        size = len(terms.up)
        self._sums = np.zeros((4, size))
        self._moments = np.zeros((2, 3, size))

    def learn(self, tick: Tick) -> None:
        """Nothing before the deploy is used."""

    def look(self, tick: Tick, ends_step: bool) -> Flags:
        """Add up, and test."""
        self._sums += tick.stacked()
        for arm, value in enumerate(tick.values()):
            seen = np.isfinite(value)
            known = np.where(seen, value, 0.0)
            self._moments[arm] += np.array([seen, known, known**2])
        z = np.where(self._terms.counts, self._proportions(), self._means())
        return _bad(self._terms, z >= self._quantile, z <= -self._quantile)

    def _proportions(self) -> Values:
        events, exposure, others, control = self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            share = exposure / (exposure + control)
            total = events + others
            z = (events - total * share) / np.sqrt(total * share * (1 - share))
        return np.where(total >= 10, np.nan_to_num(z), 0.0)

    def _means(self) -> Values:
        count, total, squares = self._moments.transpose(1, 0, 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total / count
            variance = np.maximum(squares / count - mean**2, 0.0) / (count - 1)
            z = (mean[0] - mean[1]) / np.sqrt(variance.sum(axis=0))
        return np.where(count.min(axis=0) >= 5, np.nan_to_num(z), 0.0)


def _bad(terms: Terms, high: Flags, low: Flags) -> Flags:
    return (terms.up & high) | (terms.down & low)
