"""The running evidence on many series at once: one update a tick, memory that does not grow.

A panel sees the time before the deploy (``begin_tier``) and the deploy (``begin_step``, ``look``).
It only counts; what follows from the numbers is `headway.guard.judge`'s business.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from headway.guard import (
    confidence,
    dispersion,
    dynamic,
    poisson,
    products,
    reach,
    seasonal,
    shift,
    static,
    zscore,
)
from headway.guard.numbers import Numbers, Tick
from headway.guard.terms import Terms

Values = NDArray[np.float64]

WINDOW = 180.0
"""Ticks of the window that plain scores look back on."""

RECENT = 0.8
"""What of a recent sum is left after a tick: it spans some five."""

APART = 3.0
"""Standard errors by which arms must have differed before the deploy for it to be allowed for."""

PRIOR_EVENTS = 20.0
"""Events at equal rates that are assumed of the time before the deploy."""


class Panel:
    """N series with one canary and one control arm each."""

    def __init__(self, terms: Terms) -> None:
        series = len(terms.counts)
        self._terms = terms
        self._size = series
        self._control = products.begin(len(terms.log_theta), series)
        self._line = products.begin(len(terms.log_theta), series)
        self._shift = products.begin(len(terms.shifts), series)
        self._dispersion = dispersion.begin(series)
        self._differences = confidence.begin(series)
        self._canary_window = zscore.begin(series)
        self._control_window = zscore.begin(series)
        self._before = np.zeros((4, series))
        self._sums = np.zeros((4, series))
        self._recent = np.zeros((4, series))
        self._looks = np.zeros(series)
        self._above, self._below = terms.above, terms.below
        self._offset = np.zeros(series)
        self._unsure = np.zeros(series)
        self._streaks = np.zeros((3, series))
        self._silent = np.zeros((2, series))
        self._scores = np.full((2, series), np.nan)

    def learn(self, tick: Tick) -> None:
        """Take in a tick from before the deploy, when both arms ran the old build."""
        self._note_noise(tick)
        canary, control = tick.values()
        self._canary_window = zscore.add(self._canary_window, canary, WINDOW)
        self._control_window = zscore.add(self._control_window, control, WINDOW)
        self._before += tick.stacked()

    def begin_tier(self, history: Iterable[Tick]) -> None:
        """The rollout comes to other nodes. ``history`` is how they and the control did before.

        What was gathered against the old build stays: the budget is the rollout's.
        """
        self._differences = confidence.begin(self._size)
        self._canary_window = zscore.begin(self._size)
        self._control_window = zscore.begin(self._size)
        self._before = np.zeros((4, self._size))
        for tick in history:
            self.learn(tick)
        self._differences = confidence.baseline(self._differences)
        self._offset, self._unsure = self._difference_before()
        self._sums = np.zeros((4, self._size))
        self._recent = np.zeros((4, self._size))
        self._looks = np.zeros(self._size)
        self._streaks = np.zeros((3, self._size))
        self._silent = np.zeros((2, self._size))

    def begin_step(self) -> None:
        """More nodes of the same tier move: those that differed before are a part of them now."""
        self._differences = confidence.anew(self._differences)
        self._offset, self._unsure = np.zeros(self._size), np.zeros(self._size)

    def look(self, tick: Tick) -> None:
        """Take in a tick of the deploy. ``tick.season`` is the control's seasonal score, if any."""
        terms = self._terms
        self._move_lines(tick)
        # Counts are compared as if the canary had the traffic that makes its old rate equal.
        counts = poisson.Counts(
            tick.canary * terms.counts,
            tick.exposure * np.exp(self._offset),
            tick.control * terms.counts,
            tick.control_exposure,
        )
        phi = poisson.overdispersion(self._dispersion, counts)
        self._control = poisson.against_control(
            self._control, counts, terms.log_theta, terms.tolerance + self._unsure, terms.cap, phi
        )
        self._line = poisson.against_line(
            self._line,
            tick.canary,
            tick.exposure * terms.counts,
            np.nan_to_num(np.where(terms.log_theta > 0, self._above, self._below)),
            terms.log_theta,
            terms.line_cap,
            phi,
        )
        self._shift = shift.against_control(
            self._shift,
            np.where(terms.counts, np.nan, self._log_ratio(tick) - self._offset),
            terms.shifts,
            terms.tolerance + self._unsure,
            confidence.deviation(self._differences),
            terms.cap,
        )
        self._note_noise(tick)
        self._note_scores(tick, phi)
        self._sums += tick.stacked()
        self._recent = self._recent * RECENT + tick.stacked()
        self._looks = self._looks + (tick.exposure > 0)
        gone = np.array([tick.exposure <= 0, tick.control_exposure <= 0])
        self._silent = np.where(gone, self._silent + 1.0, 0.0)

    def numbers(self) -> Numbers:
        """Where everything stands."""
        terms, sums = self._terms, self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            value, control = self._recent[0] / self._recent[1], self._recent[2] / self._recent[3]
        two_sided = terms.up & terms.down
        low, high = confidence.bounds(self._differences, terms.alpha, two_sided)
        offset = np.where(terms.counts, 0.0, self._offset)
        log_e = np.where(
            terms.counts,
            products.log_evidence(self._control, terms.log_weight),
            products.log_evidence(self._shift, terms.shift_weight),
        )
        return Numbers(
            looks=self._looks,
            canary=sums[0],
            exposure=sums[1],
            control=sums[2],
            control_exposure=sums[3],
            value=value,
            control_value=control,
            log_e=log_e,
            line_log_e=products.log_evidence(self._line, terms.line_weight),
            low=low - offset,
            high=high - offset,
            margin=terms.tolerance + self._unsure,
            needed=self._needed(),
            line_needed=self._line_needed(),
            phi=self._phi(),
            canary_score=self._scores[0],
            control_score=self._scores[1],
            canary_streak=self._streaks[0],
            control_streak=self._streaks[1],
            line_streak=self._streaks[2],
            canary_before=self._usual().mean,
            control_before=np.where(
                self._control_window.ticks >= zscore.FEWEST, self._control_window.mean, np.nan
            ),
            canary_silent=self._silent[0],
            control_silent=self._silent[1],
            above=self._above,
            below=self._below,
        )

    def _move_lines(self, tick: Tick) -> None:
        """A fixed line gives way to the same time of earlier days where that is harder to break."""
        above, below = self._terms.above, self._terms.below
        if tick.usual is not None:
            low, high = tick.usual
            above = np.where(np.isfinite(above), dynamic.higher(above, high), np.nan)
            below = np.where(np.isfinite(below), dynamic.lower(below, low), np.nan)
        self._above, self._below = above, below

    def _note_noise(self, tick: Tick) -> None:
        self._dispersion = dispersion.add(
            self._dispersion, tick.canary, tick.exposure, tick.control, tick.control_exposure
        )
        self._differences = confidence.add(self._differences, self._log_ratio(tick))

    def _log_ratio(self, tick: Tick) -> Values:
        return confidence.log_ratio(tick.canary, tick.exposure, tick.control, tick.control_exposure)

    def _note_scores(self, tick: Tick, phi: Values) -> None:
        terms = self._terms
        canary, control = tick.values()
        windows = (self._usual(), self._control_window)
        exposures = (tick.exposure, tick.control_exposure)
        streaks: list[Values] = []
        scores: list[Values] = []
        for window, value, exposure in zip(windows, (canary, control), exposures, strict=True):
            weight = np.where(exposure > 0, exposure, 1.0)
            rate = np.maximum(window.mean, 0.5 / weight)
            chance = np.where(terms.counts, np.sqrt(phi * rate / weight), 0.0)
            plain = zscore.score(window, value, chance)
            far = zscore.beyond(plain, terms.z_limit, terms.up, terms.down)
            far &= seasonal.both(plain, tick.season, terms.z_limit)
            streak = self._streaks[len(streaks)]
            streaks.append(static.persistent(streak, far, np.isfinite(value)))
            scores.append(np.where(np.isfinite(plain), plain, self._scores[len(scores)]))
        outside = static.outside(canary, self._below, self._above) & ~terms.counts
        streaks.append(static.persistent(self._streaks[2], outside, np.isfinite(canary)))
        self._streaks, self._scores = np.array(streaks), np.array(scores)

    def _usual(self) -> zscore.Window:
        """The canary's own window, or the control's where its nodes were not apart before."""
        short = self._canary_window.ticks < zscore.FEWEST
        return zscore.choose(short, self._control_window, self._canary_window)

    def _difference_before(self) -> tuple[Values, Values]:
        """(log of how the canary's nodes stood to the others, its standard error): the first is
        0 where chance explains the difference, and the second where there is none."""
        canary, exposure, control, control_exposure = self._before
        live = (exposure > 0) & (control_exposure > 0)
        expected = np.where(live, exposure * control / np.maximum(control_exposure, 1e-300), 0.0)
        counted = np.log((canary + PRIOR_EVENTS) / (expected + PRIOR_EVENTS))
        error = np.sqrt(self._phi() / (canary + PRIOR_EVENTS))
        quantity = confidence.log_ratio(canary, exposure, control, control_exposure)
        ticks = np.maximum(self._canary_window.ticks, 1.0)
        deviation = np.sqrt(np.maximum(self._differences.noise, 0.0) / ticks)
        offset = np.where(self._terms.counts, counted, np.nan_to_num(quantity))
        unsure = np.where(self._terms.counts, error, deviation / np.sqrt(ticks))
        apart = live & (np.abs(offset) > APART * unsure)
        return np.where(apart, offset, 0.0), np.where(apart, 2.0 * unsure, 0.0)

    def _phi(self) -> Values:
        return self._dispersion.phi(np.zeros(self._size))

    def _needed(self) -> Values:
        """How many times the present traffic the metric's ``detect`` takes; see `reach`."""
        terms, sums = self._terms, self._sums
        rate = (sums[2] + 0.5) / np.maximum(sums[3], 1e-300)
        with np.errstate(divide="ignore"):
            theta = np.fmax(terms.detect, terms.floor / rate)
        counted = reach.needed(
            np.where(terms.up, theta, 1.0 / terms.detect),
            rate,
            sums[1] * np.exp(self._offset),
            sums[3],
            terms.tolerance + self._unsure,
            self._phi(),
            terms.log_limit,
        )
        count = np.maximum(self._differences.count, 1.0)
        width = confidence.radius(count, terms.alpha, terms.up & terms.down)
        width = width + reach.CERTAIN / np.sqrt(count)
        room = np.maximum(np.log(theta) - terms.tolerance - self._unsure, 1e-9)
        measured = (confidence.deviation(self._differences) * width / room) ** 2
        return np.where(terms.counts, counted, measured)

    def _line_needed(self) -> Values:
        """The same for the fixed line alone; infinite where there is none."""
        terms = self._terms
        above = np.isfinite(terms.above)
        return reach.needed_beyond(
            np.where(above, terms.detect, 1.0 / terms.detect),
            np.where(above, terms.above, terms.below),
            self._sums[1],
            self._phi(),
            terms.line_limit,
        )
