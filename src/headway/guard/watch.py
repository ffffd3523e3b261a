"""The guard of the control plane: counters in, a verdict on each metric of a rollout out."""

from collections import OrderedDict

from msgspec import structs

from headway.guard.budget import split
from headway.guard.counters import BUCKET, KEPT, SECONDS, Arm, Bucket, Counters
from headway.guard.evidence import Bench, Evidence, Row, Stretch
from headway.model.plan import AppConfig, Checks, Guarding, Metric
from headway.model.report import Report
from headway.model.rollout import Phase, Rollout
from headway.model.verdict import Verdict

BEFORE = 1800.0
"""Seconds before the deploy that the guard learns from."""

FIRST_LOOKS = 720
"""Looks, one each bucket, after which it looks once a minute: an hour, at five seconds."""

LATER = 60.0
"""Seconds between looks after that."""

WATCHED = 8
"""Rollouts whose evidence is kept at a time."""

QUERY = "built-in counters: {counter} over {per}"


class Guard:
    """Takes in reports, and says of each metric of a rollout: pass, fail, no data or error."""

    def __init__(self) -> None:
        self._counters = Counters()
        self._courses: OrderedDict[str, Course] = OrderedDict()
        self._warmups: dict[str, float] = {}
        self._began: float | None = None

    def ingest(self, report: Report, tier: str, now: float) -> None:
        """Add what a node's report says about its app. ``now`` is when it arrived."""
        warmup = self._warmups.get(report.app, Guarding().warmup)
        self._began = now if self._began is None else self._began
        self._counters.ingest(report, tier, now, warmup)

    def forget(self, app: str, node: str) -> None:
        """Drop a node that is no longer enrolled."""
        self._counters.forget(app, node)

    def judge(self, app: AppConfig, rollout: Rollout, now: float) -> tuple[Verdict, ...]:
        """A verdict on each metric, for the nodes of the current step's tier."""
        self._warmups[app.name] = app.guard.warmup
        course = self._courses.get(rollout.id)
        if course is None or not course.fits(app):
            began = max(rollout.started_at, now if self._began is None else self._began)
            course = self._courses[rollout.id] = Course(app, rollout, began)
        self._courses.move_to_end(rollout.id)
        if len(self._courses) > WATCHED:
            self._courses.popitem(last=False)
        course.follow(self._counters, rollout, now)
        return course.verdicts()

    def evidence(self, rollout: str) -> tuple[Evidence, ...]:
        """All that the verdicts on a rollout follow from, metric by metric; empty if unknown."""
        course = self._courses.get(rollout)
        return course.evidence() if course else ()


class Course:
    """One rollout as the guard has seen it so far."""

    def __init__(self, app: AppConfig, rollout: Rollout, began: float) -> None:
        self._app = app.name
        self._metrics = app.metrics
        self._guard = app.guard
        steps = sum(step.checks is not Checks.NONE for step in rollout.plan)
        self._allowances = split(app.metrics, app.guard.false_alarms, steps)
        self._bench = Bench(app.metrics, self._allowances, app.guard)
        self._since = began // BUCKET * BUCKET
        self._looks = 0
        self._step: int | None = None
        self._history: dict[str, list[list[Row]]] = {}
        self._tier = ""
        self._verdicts: tuple[Verdict, ...] | None = None
        self._stretches: list[tuple[str, list[list[Row]] | None, list[list[Row]]]] = []

    def fits(self, app: AppConfig) -> bool:
        """Whether the app is still judged by the same settings."""
        return app.metrics == self._metrics and app.guard == self._guard

    def follow(self, counters: Counters, rollout: Rollout, now: float) -> None:
        """Take in every look that has become due."""
        if self._step is None:
            self._remember(counters, rollout)
        if rollout.step != self._step:
            self._begin(rollout)
        self._since = max(self._since, (now - KEPT * BUCKET) // BUCKET * BUCKET)
        while self._since + self._look <= now:
            until = self._since + self._look
            canary = counters.arms(self._app, rollout.target, self._tier)
            rows = self._rows(counters, canary, _control(counters, rollout), self._since, until)
            self._since = until
            # Until the first of its nodes has come, a step has no canary that could be silent.
            if rollout.phase is not Phase.ROLLING or any(row.exposure > 0 for row in rows):
                self._bench.look(rows)
                self._verdicts = None
                self._stretches[-1][2].append(rows)
                self._looks += 1

    def verdicts(self) -> tuple[Verdict, ...]:
        """A verdict on each metric, as of the last look."""
        if self._verdicts is None:
            self._verdicts = self._bench.verdicts(self._look)
        return self._verdicts

    def evidence(self) -> tuple[Evidence, ...]:
        """What the verdicts follow from."""
        return tuple(
            Evidence(
                metric,
                self._guard,
                self._allowances[index],
                QUERY.format(counter=metric.counter, per=metric.per or SECONDS),
                self._look,
                tuple(
                    Stretch(
                        tier,
                        tuple(rows[index] for rows in ticks),
                        None if before is None else tuple(rows[index] for rows in before),
                    )
                    for tier, before, ticks in self._stretches
                ),
            )
            for index, metric in enumerate(self._metrics)
        )

    @property
    def _look(self) -> float:
        return BUCKET if self._looks < FIRST_LOOKS else LATER

    def _remember(self, counters: Counters, rollout: Rollout) -> None:
        """Note how every tier did before the deploy, while the counters reach back that far."""
        for index, step in enumerate(rollout.plan):
            if step.tier not in self._history:
                there = structs.replace(rollout, step=index)
                self._history[step.tier] = self._before(counters, there, step.tier)

    def _begin(self, rollout: Rollout) -> None:
        self._step = rollout.step
        tier = rollout.plan[rollout.step].tier
        before = None if tier == self._tier else self._history[tier]
        self._tier = tier
        self._bench.begin(tier, before)
        self._verdicts = None
        self._stretches.append((tier, before, []))

    def _before(self, counters: Counters, rollout: Rollout, tier: str) -> list[list[Row]]:
        """How the tier's nodes and the others did before the deploy, all on the old build."""
        if rollout.base is None:
            return []
        others = [arm for arm in _control(counters, rollout) if arm.tier != tier]
        own = counters.arms(self._app, rollout.base, tier)
        if not others:
            own, others = [], own
        span = (rollout.started_at - BEFORE, rollout.started_at - BUCKET)
        old = {bucket.begin: bucket.sums for bucket in counters.buckets(others, *span)}
        new = {bucket.begin: bucket.sums for bucket in counters.buckets(own, *span)}
        return [
            [_row(metric, new.get(begin, {}), sums) for metric in self._metrics]
            for begin, sums in old.items()
        ]

    def _rows(
        self,
        counters: Counters,
        canary: list[Arm],
        control: list[Arm],
        since: float,
        until: float,
    ) -> list[Row]:
        new = _total(counters.buckets(canary, since, until))
        old = _total(counters.buckets(control, since, until))
        return [_row(metric, new, old) for metric in self._metrics]


def _control(counters: Counters, rollout: Rollout) -> list[Arm]:
    """The old build where it can be compared: in this step's tier and those after it, else all."""
    if rollout.base is None or rollout.base == rollout.target:
        return []
    arms = counters.arms(rollout.app, rollout.base)
    ahead = {step.tier for step in rollout.plan[rollout.step :]}
    return [arm for arm in arms if arm.tier in ahead] or arms


def _total(buckets: list[Bucket]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for bucket in buckets:
        for name, value in bucket.sums.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _row(metric: Metric, new: dict[str, float], old: dict[str, float]) -> Row:
    """A metric's tick; a counter that is absent where there was traffic counted nothing."""
    per = metric.per or SECONDS
    return Row(
        new.get(metric.counter, 0.0),
        new.get(per, 0.0),
        old.get(metric.counter, 0.0),
        old.get(per, 0.0),
    )
