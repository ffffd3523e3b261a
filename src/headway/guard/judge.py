"""The guard's judgement: each metric of the app, the new build's arm against the old one's."""

import numpy as np

from headway.guard.counters import BUCKET, SECONDS, Bucket, Counters
from headway.guard.detectors import Finding, Values, beyond_share, beyond_value, zscore
from headway.model.plan import AppConfig, Direction, Metric
from headway.model.report import Report
from headway.model.rollout import Rollout
from headway.model.verdict import Outcome, Verdict

WINDOW = 60.0
"""Seconds of the canary's data that a static threshold looks at."""

TRAILING = 900.0
"""Seconds of the control's data that a z-score looks at."""


class Guard:
    """Takes in reports, and says of each metric: pass, fail, or no data."""

    def __init__(self) -> None:
        self._counters = Counters()

    def ingest(self, report: Report, tier: str, now: float) -> None:
        """Add what a node's report says about its app. ``now`` is when it arrived."""
        self._counters.ingest(report, tier, now)

    def forget(self, app: str, node: str) -> None:
        """Drop a node that is no longer enrolled."""
        self._counters.forget(app, node)

    def judge(self, app: AppConfig, rollout: Rollout, now: float) -> tuple[Verdict, ...]:
        """A verdict on each metric, for the nodes of the current step's tier."""
        tier = rollout.plan[rollout.step].tier
        arms = self._counters.arms(app.name, rollout.target, tier)
        canary = self._counters.buckets(arms, max(rollout.started_at, now - WINDOW))
        control: list[Bucket] = []
        if rollout.base is not None and rollout.base != rollout.target:
            base = self._counters.arms(app.name, rollout.base)
            control = self._counters.buckets(base, now - TRAILING)
        whole = [bucket for bucket in canary if bucket.begin + BUCKET <= now]
        return tuple(_judge(metric, tier, canary, whole, control) for metric in app.metrics)


def _judge(
    metric: Metric, tier: str, canary: list[Bucket], whole: list[Bucket], control: list[Bucket]
) -> Verdict:
    per = metric.per or SECONDS
    trials = sum(bucket.sums.get(per, 0.0) for bucket in canary)
    hits = sum(bucket.sums.get(metric.counter, 0.0) for bucket in canary)
    if trials < metric.min_count:
        sentence = (
            f"{metric.name} on {tier}: {trials:.0f} {per} so far, {metric.min_count:.0f} needed"
        )
        return Verdict(metric.name, Outcome.NO_DATA, sentence, metric.action)
    value = hits / trials
    is_share = metric.per is not None and hits <= trials
    static = (
        beyond_share(hits, trials, metric.above, metric.below)
        if is_share
        else beyond_value(value, metric.above, metric.below)
    )
    if static.failed:
        side = "above" if static.value > static.reference else "below"
        sentence = (
            f"{metric.name} on {tier} {_show(value, metric)} of {trials:.0f} {per}, "
            f"{side} {_show(static.reference, metric)}"
        )
        return Verdict(metric.name, Outcome.FAIL, sentence, metric.action, value)
    against = _against_control(metric, per, whole, control)
    if against is not None and against.failed:
        side = "above" if against.value > against.reference else "below"
        sentence = (
            f"{metric.name} on {tier} {_show(against.value, metric)}, {abs(against.score):.1f} "
            f"standard deviations {side} the old build's {_show(against.reference, metric)}"
        )
        return Verdict(metric.name, Outcome.FAIL, sentence, metric.action, against.value)
    if metric.above is None and metric.below is None and against is None:
        sentence = f"{metric.name} on {tier}: too little of the old build to compare with"
        return Verdict(metric.name, Outcome.NO_DATA, sentence, metric.action)
    sentence = f"{metric.name} on {tier} {_show(value, metric)} of {trials:.0f} {per}, in line"
    return Verdict(metric.name, Outcome.PASS, sentence, metric.action, value)


def _against_control(
    metric: Metric, per: str, canary: list[Bucket], control: list[Bucket]
) -> Finding | None:
    if metric.zscore is None:
        return None
    values, weights = _values(metric, per, canary)
    old, old_weights = _values(metric, per, control)
    if not len(values) or not len(old):
        return None
    if metric.per is not None:
        # Laplace's rule of succession keeps the error positive where no hit was seen at all.
        pooled = (float(old @ old_weights) + 1) / (float(old_weights.sum()) + 2)
        pooled = min(max(pooled, 0.0), 1.0)
        noise = np.sqrt(pooled * (1 - pooled) / weights)
    else:
        noise = np.sqrt(np.maximum(values, 1e-12) / weights)
    return zscore(values, noise, old, metric.zscore, metric.direction)


def _values(metric: Metric, per: str, buckets: list[Bucket]) -> tuple[Values, Values]:
    """(value, weight) per bucket that has anything of ``per`` at all."""
    pairs = [
        (bucket.sums.get(metric.counter, 0.0) / weight, weight)
        for bucket in buckets
        if (weight := bucket.sums.get(per, 0.0)) > 0
    ]
    array = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _show(value: float, metric: Metric) -> str:
    """A share as a percentage, everything else as a plain number."""
    if metric.per is not None and value <= 1.0 and metric.direction is not Direction.BOTH:
        return f"{value * 100:.3g} %"
    return f"{value:.3g}"
