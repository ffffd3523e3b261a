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

from headway.guard import judge, wording
from headway.guard.budget import Allowance
from headway.guard.numbers import Numbers, Tick
from headway.guard.panel import Panel
from headway.guard.terms import terms
from headway.model.plan import Guarding, Metric
from headway.model.verdict import Verdict


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

    def sound(self) -> bool:
        """Whether the numbers are such as counters give: finite, and not below 0."""
        sums = (self.canary, self.exposure, self.control, self.control_exposure)
        return all(math.isfinite(value) and value >= 0 for value in sums)


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
    """

    metric: Metric
    guard: Guarding
    allowance: Allowance
    query: str
    look: float
    stretches: tuple[Stretch, ...]


def replay(evidence: Evidence) -> Verdict:
    """The verdict that follows from the evidence, the same however often and wherever."""
    bench = Bench([evidence.metric], [evidence.allowance], evidence.guard)
    for stretch in evidence.stretches:
        before = stretch.before
        bench.begin(stretch.tier, None if before is None else [[row] for row in before])
        for row in stretch.ticks:
            bench.look([row])
    (verdict,) = bench.verdicts(evidence.look)
    return verdict


class Bench:
    """A panel with the metrics that its series stand for: rows in, verdicts out."""

    def __init__(
        self, metrics: Sequence[Metric], allowances: Sequence[Allowance], guard: Guarding
    ) -> None:
        self._metrics = metrics
        self._guard = guard
        self._terms = terms(metrics, allowances)
        self._panel = Panel(self._terms)
        self._tier = ""
        self._rows: Sequence[Row] = ()

    def begin(self, tier: str, before: Iterable[Sequence[Row]] | None) -> None:
        """Begin a step: in a tier of its own, with what was before, or further in the same one."""
        self._tier = tier
        if before is None:
            self._panel.begin_step()
        else:
            self._panel.begin_tier(_tick(rows) for rows in before)

    def look(self, rows: Sequence[Row]) -> None:
        """Take in a tick, a row for each metric."""
        self._rows = rows
        self._panel.look(_tick(rows))

    def verdicts(self, look: float) -> tuple[Verdict, ...]:
        """A verdict on each metric; a look is ``look`` seconds."""
        numbers = self._panel.numbers()
        findings = judge.conclude(self._terms, numbers, self._guard.silence / look)
        return tuple(
            self._verdict(index, numbers.of(index), judge.Finding(int(findings[index])), look)
            for index in range(len(self._metrics))
        )

    def _verdict(
        self, index: int, numbers: Numbers, finding: judge.Finding, look: float
    ) -> Verdict:
        metric = self._metrics[index]
        if self._rows and not self._rows[index].sound():
            what = f"{msgspec.json.encode(self._rows[index]).decode()} is no measurement"
            return wording.broken(metric, self._guard, self._tier, what)
        return wording.verdict(
            metric, self._guard, self._tier, self._terms.of(index), numbers, finding, look
        )


def _tick(rows: Sequence[Row]) -> Tick:
    """One tick of several metrics as arrays; what is no measurement counts as silence."""
    table = np.zeros((5, len(rows)))
    usual = np.full((2, len(rows)), np.nan)
    for index, row in enumerate(rows):
        season = np.nan if row.season is None else row.season
        if row.sound():
            table[:, index] = (row.canary, row.exposure, row.control, row.control_exposure, season)
        if row.usual is not None:
            usual[:, index] = row.usual
    canary, exposure, control, control_exposure, seasons = table
    return Tick(canary, exposure, control, control_exposure, seasons, (usual[0], usual[1]))
