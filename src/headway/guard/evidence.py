"""What a verdict was made of, in full: stored with it, and replayed to the same verdict.

A record holds a metric's settings and every tick that was looked at; replaying it is what the
guard did in the first place, on one series instead of many. All arithmetic is elementwise, so the
number of series beside it changes no bit.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.guard import judge, wording
from headway.guard.budget import Allowance
from headway.guard.numbers import Numbers, Tick
from headway.guard.panel import Panel
from headway.guard.terms import terms
from headway.model.plan import Guarding, Metric
from headway.model.verdict import Verdict

Values = NDArray[np.float64]

WIDTH = 7
"""Numbers in a row."""


class Row(Struct, frozen=True, array_like=True):
    """One tick of one metric: sums and exposures of both arms.

    With them the seasonal score, and the (lower, upper) thresholds of the same time of earlier
    days, from sources that reach back far enough.
    """

    canary: float
    exposure: float
    control: float
    control_exposure: float
    season: float | None = None
    usual: tuple[float, float] | None = None


def table(rows: Sequence[Row]) -> Values:
    """Rows as an array (N, 7), with NaN for what is not known."""
    nothing = (math.nan, math.nan)
    return np.array(
        [
            (
                row.canary,
                row.exposure,
                row.control,
                row.control_exposure,
                math.nan if row.season is None else row.season,
                *(row.usual or nothing),
            )
            for row in rows
        ],
        dtype=np.float64,
    ).reshape(-1, WIDTH)


def row(values: Values) -> Row:
    """One line of such an array as a row."""
    canary, exposure, control, control_exposure, season, low, high = values.tolist()
    known = not (math.isnan(low) and math.isnan(high))
    return Row(
        canary,
        exposure,
        control,
        control_exposure,
        None if math.isnan(season) else season,
        (low, high) if known else None,
    )


class Stretch(Struct, frozen=True):
    """One step of a rollout: its tier, and the ticks that were looked at in it.

    ``before`` holds the ticks from before the deploy where the tier is a new one, None where the
    step goes on with the tier of the step before.
    """

    tier: str
    ticks: tuple[Row, ...]
    before: tuple[Row, ...] | None = None


class Evidence(Struct, frozen=True):
    """All that a verdict follows from.

    ``query`` says where the numbers came from, ``look`` how many seconds the last tick spans.
    ``trouble`` is what a source said instead of numbers.
    """

    metric: Metric
    guard: Guarding
    allowance: Allowance
    query: str
    look: float
    stretches: tuple[Stretch, ...]
    trouble: str = ""


def replay(evidence: Evidence) -> Verdict:
    """The verdict that follows from the evidence, the same however often and wherever."""
    bench = Bench([evidence.metric], [evidence.allowance], evidence.guard)
    for stretch in evidence.stretches:
        before = stretch.before
        bench.begin(stretch.tier, None if before is None else [table([one]) for one in before])
        for one in stretch.ticks:
            bench.look(table([one]))
    (verdict,) = bench.verdicts(evidence.look, [evidence.trouble])
    return verdict


class Bench:
    """A panel with the metrics that its series stand for: tables of rows in, verdicts out."""

    def __init__(
        self, metrics: Sequence[Metric], allowances: Sequence[Allowance], guard: Guarding
    ) -> None:
        self._metrics = metrics
        self._guard = guard
        self.terms = terms(metrics, allowances)
        self._panel = Panel(self.terms)
        self._tier = ""
        self._last: Values = np.zeros((len(metrics), WIDTH))

    def begin(self, tier: str, before: Iterable[Values] | None) -> None:
        """Begin a step: in a tier of its own, with what was before, or further in the same one."""
        self._tier = tier
        if before is None:
            self._panel.begin_step()
        else:
            self._panel.begin_tier(_tick(rows) for rows in before)

    def look(self, rows: Values) -> None:
        """Take in a tick: an array (N, 7), a row for each metric as in `table`."""
        self._last = rows
        self._panel.look(_tick(rows))

    def findings(self, look: float) -> judge.Codes:
        """A `judge.Finding` on each metric, without words."""
        return judge.conclude(self.terms, self._panel.numbers(), self._guard.silence / look)

    def numbers(self) -> Numbers:
        """Where everything stands."""
        return self._panel.numbers()

    def verdicts(self, look: float, troubles: Sequence[str] = ()) -> tuple[Verdict, ...]:
        """A verdict on each metric; a look is ``look`` seconds.

        ``troubles`` says of each metric what its source said instead of numbers, or nothing.
        """
        numbers = self._panel.numbers()
        findings = judge.conclude(self.terms, numbers, self._guard.silence / look)
        sound = _sound(self._last)
        return tuple(
            self._verdict(
                index,
                numbers.of(index),
                judge.Finding(int(findings[index])),
                look,
                troubles[index] if troubles else "",
                bool(sound[index]),
            )
            for index in range(len(self._metrics))
        )

    def _verdict(
        self, index: int, numbers: Numbers, finding: judge.Finding, look: float, what: str, ok: bool
    ) -> Verdict:
        metric = self._metrics[index]
        if not ok:
            shown = msgspec.json.encode(row(self._last[index])).decode()
            what = f"{shown} is no measurement"
        if what:
            return wording.broken(metric, self._guard, self._tier, what)
        return wording.verdict(
            metric, self._guard, self._tier, self.terms.of(index), numbers, finding, look
        )


def _sound(rows: Values) -> NDArray[np.bool_]:
    """Which rows are such as counters give: finite, and not below 0."""
    sums = rows[:, :4]
    return np.asarray((np.isfinite(sums) & (sums >= 0)).all(axis=1), dtype=bool)


def _tick(rows: Values) -> Tick:
    """One tick of several metrics; what is no measurement counts as silence."""
    sound = _sound(rows)
    canary, exposure, control, control_exposure = np.where(sound[:, None], rows[:, :4], 0.0).T
    season = np.where(sound, rows[:, 4], 0.0)
    usual = rows[:, 5], rows[:, 6]
    return Tick(canary, exposure, control, control_exposure, season, usual)
