"""Past rollouts again: with the settings of then, bit for bit, or with others."""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct, structs

from headway.guard.budget import split
from headway.guard.evidence import Bench, Values
from headway.guard.judge import FAILURES, Finding
from headway.guard.record import Record
from headway.model.plan import Action, Guarding, Importance, Metric
from headway.model.verdict import Outcome, Verdict


class Replayed(Struct, frozen=True):
    """A verdict as it was given ``after`` seconds, and as it comes out again."""

    metric: str
    after: float
    said: Verdict
    again: Verdict

    @property
    def same(self) -> bool:
        """Whether they are the same to the last bit."""
        return self.said == self.again


class Fate(Struct, frozen=True):
    """What becomes of a rollout, by its first failure that leads to more than an alert.

    ``after`` is in seconds since its first look; ``passed_after`` when every metric that a step may
    require had first passed together, None where that never came.
    """

    action: Action | None = None
    after: float | None = None
    sentence: str = ""
    passed_after: float | None = None


class Variation(Struct, frozen=True):
    """Other settings, and what they are called."""

    name: str
    metrics: tuple[Metric, ...]
    guard: Guarding


def replayed(record: Record, latest: Sequence[Verdict]) -> tuple[Replayed, ...]:
    """Every verdict that was kept, again: those that were news, then the last ones."""
    settings = record.settings
    bench = Bench(settings.metrics, settings.allowances, settings.guard)
    names = [metric.name for metric in settings.metrics]
    found: list[Replayed] = []
    told = sorted(record.told, key=lambda one: (one.look, one.step))
    for looks, step in _stations(record, bench):
        here = [one for one in told if (one.look, one.step) == (looks, step)]
        last = looks == len(record.looks) and step == len(record.marks)
        if not here and not last:
            continue
        span = record.spans[looks - 1] if looks else settings.look
        again = bench.verdicts(span, record.trouble(looks - 1))
        after = sum(record.spans[:looks])
        for one in here:
            verdict = again[names.index(one.verdict.metric)]
            found.append(Replayed(one.verdict.metric, after, one.verdict, verdict))
        if last:
            pairs = zip(latest, again, strict=False)
            found += [Replayed(said.metric, after, said, new) for said, new in pairs]
    return tuple(found)


def fate(record: Record, metrics: Sequence[Metric], guard: Guarding) -> Fate:
    """What these settings would have done; metrics that the record does not know are left out.

    A rollout that was stopped has no numbers from later on: who fails later cannot be seen.
    """
    known = {_source(metric): index for index, metric in enumerate(record.settings.metrics)}
    chosen = [metric for metric in metrics if _source(metric) in known]
    columns = np.array([known[_source(metric)] for metric in chosen], dtype=int)
    bench = Bench(chosen, split(chosen, guard.false_alarms, record.settings.steps), guard)
    required = np.array([m.importance is not Importance.WATCH for m in chosen], dtype=bool)
    elapsed, passed = 0.0, None
    for looks, _ in _stations(record, bench, columns):
        if not looks:
            continue
        span = record.spans[looks - 1]
        elapsed = sum(record.spans[:looks])
        findings = bench.findings(span)
        if passed is None and required.any() and (findings[required] == Finding.PASSES).all():
            passed = elapsed
        failed = np.isin(findings, FAILURES) & required
        if failed.any():
            acts = [
                verdict
                for verdict in bench.verdicts(span)
                if verdict.outcome is Outcome.FAIL and verdict.action is not Action.ALERT
            ]
            if acts:
                worst = max(acts, key=lambda one: one.action is Action.REVERT)
                return Fate(worst.action, elapsed, worst.sentence, passed)
    return Fate(passed_after=passed)


def variations(metrics: tuple[Metric, ...], guard: Guarding) -> tuple[Variation, ...]:
    """Settings one step to either side of the present ones, each changed alone."""

    def each(name: str, field: str, value: object) -> Variation:
        changed = tuple(structs.replace(metric, **{field: value}) for metric in metrics)
        return Variation(name, changed, guard)

    alarms = guard.false_alarms
    return (
        Variation("as it is", metrics, guard),
        *(
            Variation(
                f"false_alarms = {value:g}", metrics, structs.replace(guard, false_alarms=value)
            )
            for value in (alarms / 10, min(alarms * 5, 0.5))
        ),
        *(each(f"min_effect = {value:g}", "min_effect", value) for value in (0.0, 0.05, 0.1, 0.25)),
        *(each(f"detect = {value:g}", "detect", value) for value in (1.5, 2.0, 3.0)),
    )


def _stations(
    record: Record, bench: Bench, columns: Values | None = None
) -> Iterator[tuple[int, int]]:
    """Play a record to a bench: (looks, steps) so far, after each."""
    looks = steps = 0
    yield looks, steps
    for mark, look in record.course():
        if mark is not None:
            before = record.befores[mark.tier] if mark.fresh else None
            if before is not None and columns is not None:
                before = before[:, columns]
            bench.begin(mark.tier, before)
            steps += 1
        if look is not None:
            bench.look(look if columns is None else look[columns])
            looks += 1
        yield looks, steps


def _source(metric: Metric) -> tuple[str, str | None, str]:
    """What a metric's numbers depend on."""
    return metric.counter, metric.per, metric.kind
