"""The guard of the control plane: counters in, a verdict on each metric of a rollout out."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from headway.guard.budget import split
from headway.guard.counters import BUCKET, WITH, Arm, Counters, Sample, seconds_of
from headway.guard.course import BEFORE, Before, Course, Scene
from headway.guard.curves import Curves, curves
from headway.guard.evidence import Evidence
from headway.guard.fire import Fire, News, Patrol
from headway.guard.record import Record, Settings
from headway.guard.season import Seasons, Slots
from headway.guard.whereabouts import Whereabouts
from headway.model.plan import AppConfig, Checks, Guarding, Kind, Metric
from headway.model.report import Report
from headway.model.rollout import Phase, Rollout
from headway.model.source import REPORTED, STATSD
from headway.model.verdict import Verdict

WATCHED = 8
"""Rollouts whose evidence is kept in memory at a time."""

MOST_LATE = 60.0
"""How many seconds a look waits for a source that has not answered yet."""


class Change(Struct, frozen=True):
    """A change of an app that is no build: a flag, a configuration. It began ``at``.

    ``nodes`` have it, and are compared with those that have not; None: all have it, and they are
    compared with the time before. ``step`` counts how often it was widened.
    """

    id: str
    app: str
    at: float
    nodes: frozenset[str] | None = None
    step: int = 0


class Guard:
    """Takes in reports, and says of each metric of a rollout: pass, fail, no data or error."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.whereabouts = Whereabouts()
        self._apps: dict[str, AppConfig] = {}
        self._levels: dict[str, frozenset[str]] = {}
        self._courses: OrderedDict[str, Course] = OrderedDict()
        self._patrols: dict[str, Patrol] = {}
        self._sources: dict[tuple[str, str], tuple[float, str]] = {}
        self._began: float | None = None

    def configure(self, app: AppConfig) -> None:
        """How an app is judged from now on."""
        if self._apps.get(app.name) != app:
            self._apps[app.name] = app
            self._levels[app.name] = frozenset(app.levels)

    def ingest(self, report: Report, tier: str, now: float) -> None:
        """Add what a node's report says about its app. ``now`` is when it arrived."""
        self._began = now if self._began is None else self._began
        self.whereabouts.note(report.app, report.node, tier, report.running, now)
        levels = self._levels.get(report.app, frozenset())
        self.counters.ingest(report, tier, now, self._warmup(report.app), levels)

    def take(self, samples: Iterable[tuple[float, Sample]]) -> None:
        """Add what other sources tell, each with its time."""
        for at, sample in samples:
            self.counters.take(sample, at, self._warmup(sample.app))

    def heard_from(self, app: str, source: str, reached: float, trouble: str) -> None:
        """A source has been read up to a time, or said why not."""
        self._sources[app, source] = reached, trouble

    def forget(self, app: str, node: str) -> None:
        """Drop a node that is no longer enrolled."""
        self.counters.forget(app, node)
        self.whereabouts.forget(app, node)

    def watched(self, app: AppConfig) -> AppConfig:
        """The app without those optional metrics whose counter was never heard."""
        known = self.counters.known(app.name)
        metrics = tuple(m for m in app.metrics if not m.optional or m.counter in known)
        return app if metrics == app.metrics else structs.replace(app, metrics=metrics)

    def judge(self, app: AppConfig, rollout: Rollout, now: float) -> tuple[Verdict, ...]:
        """A verdict on each metric, for the nodes of the current step's tier."""
        self.configure(app)
        if not self.watched(app).metrics:
            return ()
        course = self._courses.get(rollout.id)
        if course is None or not _fits(course, app):
            began = max(rollout.started_at, now if self._began is None else self._began)
            settings = self._settings(app, rollout.id, began, _judged_steps(rollout))
            course = Course(Record(settings), self._befores(rollout))
        self._remember(rollout.id, course)
        control = _control(self.counters, rollout)
        tier = rollout.plan[rollout.step].tier
        canary = self.counters.arms(app.name, rollout.target, tier)
        arrived = rollout.phase is not Phase.ROLLING
        return self._followed(course, Scene(rollout.step, tier, canary, control, arrived), now)

    def judge_change(self, app: AppConfig, change: Change, now: float) -> tuple[Verdict, ...]:
        """A verdict on each metric for a change that is no build, as of now.

        Call it again and again, with more ``nodes`` and a higher ``step`` as the change widens,
        and `end_change` in the end.
        """
        self.configure(app)
        if not self.watched(app).metrics:
            return ()
        self.counters.split(change.id, change.app, change.nodes, change.at)
        course = self._courses.get(change.id)
        if course is None or not _fits(course, app):
            settings = self._settings(app, change.id, change.at, 1)
            everybody = self.counters.arms(change.app)
            span = (change.at - BEFORE, change.at - BUCKET)
            before = Before([], self.counters.pieces(everybody, *span))
            course = Course(Record(settings), {WITH: before})
        self._remember(change.id, course)
        canary, control = self.counters.sides(change.id)
        return self._followed(course, Scene(change.step, WITH, canary, control, True), now)

    def end_change(self, change: str) -> None:
        """The change is judged no longer; what was seen of it stays until it makes room."""
        self.counters.unsplit(change)

    def patrol(self, app: AppConfig, now: float) -> tuple[News, ...]:
        """Watch an app without a rollout: what is news about fires, oldest first."""
        self.configure(app)
        watched = self.watched(app)
        patrol = self._patrols.get(app.name)
        if patrol is None or not patrol.fits(watched):
            exposures = self._exposures(watched)
            patrol = Patrol(watched, exposures, now, patrol.fire if patrol else None)
            self._patrols[app.name] = patrol
        return patrol.go_on(self.counters, self._until(app.name, now))

    def rekindle(self, app: AppConfig, fire: Fire, now: float) -> None:
        """There was a fire when the last control plane ended."""
        watched = self.watched(app)
        self._patrols[app.name] = Patrol(watched, self._exposures(watched), now, fire)

    def fire(self, app: str) -> Fire | None:
        """The fire in an app, if there is one."""
        patrol = self._patrols.get(app)
        return patrol.fire if patrol else None

    def curves(self, app: AppConfig, rollout: Rollout | None, since: float, step: float) -> Curves:
        """What each watched metric came to on the new build in the step's tier, and beside it."""
        watched = self.watched(app)
        exposures = self._exposures(watched)
        pairs = [(m.counter, e) for m, e in zip(watched.metrics, exposures, strict=True)]
        every = self.counters.arms(app.name)
        if rollout is None:
            return curves(self.counters, pairs, ([], every), since, step)
        tier, *ahead = (one.tier for one in rollout.plan[rollout.step :])
        new = [arm for arm in every if arm.build == rollout.target and arm.tier == tier]
        old = [a for a in every if a.build != rollout.target and a.tier in (tier, *ahead)]
        return curves(self.counters, pairs, (new, old), since, step)

    def evidence(self, course: str) -> tuple[Evidence, ...]:
        """All that the verdicts on a rollout follow from, metric by metric; empty if unknown."""
        record = self.record(course)
        if record is None:
            return ()
        return tuple(record.evidence(index) for index in range(len(record.settings.metrics)))

    def course(self, name: str) -> Course | None:
        """A rollout or a change as it was followed."""
        return self._courses.get(name)

    def record(self, name: str) -> Record | None:
        """What there is to keep of a rollout or a change."""
        course = self._courses.get(name)
        return course.record if course else None

    def courses(self) -> tuple[Course, ...]:
        """All that are in memory."""
        return tuple(self._courses.values())

    def resume(self, record: Record) -> None:
        """Go on with a rollout that was judged before the control plane was restarted."""
        self._remember(record.settings.id, Course.resumed(record))

    def learn_season(self, course: str, slots: Slots) -> None:
        """Let a rollout or a change know the same hours of earlier days."""
        found = self._courses.get(course)
        if found is not None:
            settings = found.record.settings
            seasons = _seasons(settings.metrics, settings.exposures, slots, settings.began)
            found.seasons = seasons

    def learn_day(self, app: str, slots: Slots, now: float) -> None:
        """The same for the watch over an app, from now on."""
        patrol = self._patrols.get(app)
        if patrol is not None:
            patrol.seasons = _seasons(patrol.metrics, patrol.exposures, slots, now)

    def _followed(self, course: Course, scene: Scene, now: float) -> tuple[Verdict, ...]:
        app = course.record.settings.app

        def trouble(source: str) -> str:
            return self._sources.get((app, source), (0.0, ""))[1]

        course.follow(self.counters, scene, self._until(app, now), trouble)
        return course.verdicts()

    def _until(self, app: str, now: float) -> float:
        """Up to when all sources have been read; one that does not answer is not waited for."""
        config = self._apps[app]
        reached = [self._sources.get((app, s.name), (0.0, ""))[0] for s in config.sources]
        return min(now, max(min(reached, default=now), now - MOST_LATE)) if reached else now

    def _remember(self, name: str, course: Course) -> None:
        self._courses[name] = course
        self._courses.move_to_end(name)
        if len(self._courses) > WATCHED:
            self._courses.popitem(last=False)

    def _warmup(self, app: str) -> float:
        config = self._apps.get(app)
        return (config.guard if config else Guarding()).warmup

    def _settings(self, app: AppConfig, name: str, began: float, steps: int) -> Settings:
        watched = self.watched(app)
        sources = self._origins(watched)
        return Settings(
            id=name,
            app=app.name,
            began=began,
            metrics=watched.metrics,
            guard=app.guard,
            allowances=split(watched.metrics, app.guard.false_alarms, steps),
            queries=tuple(query_of(app, metric) for metric in watched.metrics),
            sources=sources,
            exposures=self._exposures(watched),
            look=max([BUCKET, *(source.every for source in app.sources)]),
            steps=steps,
        )

    def _origins(self, app: AppConfig) -> tuple[str, ...]:
        """The source of each metric's counter."""
        places = {name: source.name for source in app.sources for name in source.queries}
        places |= dict.fromkeys(app.statsd, STATSD)
        return tuple(places.get(metric.counter, REPORTED) for metric in app.metrics)

    def _exposures(self, app: AppConfig) -> tuple[str, ...]:
        origins = self._origins(app)
        return tuple(
            metric.per or seconds_of(source)
            for metric, source in zip(app.metrics, origins, strict=True)
        )

    def _befores(self, rollout: Rollout) -> dict[str, Before]:
        """How every tier did before the deploy, while the counters reach back that far."""
        found: dict[str, Before] = {}
        for index, step in enumerate(rollout.plan):
            if step.tier not in found:
                there = structs.replace(rollout, step=index)
                found[step.tier] = self._before(there, step.tier)
        return found

    def _before(self, rollout: Rollout, tier: str) -> Before:
        """The tier's nodes and the others before the deploy, all on the old build."""
        if rollout.base is None:
            return Before([], [])
        others = [arm for arm in _control(self.counters, rollout) if arm.tier != tier]
        own = self.counters.arms(rollout.app, rollout.base, tier)
        if not others:
            own, others = [], own
        span = (rollout.started_at - BEFORE, rollout.started_at - BUCKET)
        return Before(self.counters.pieces(own, *span), self.counters.pieces(others, *span))


def _fits(course: Course, app: AppConfig) -> bool:
    """Whether the app is still judged by the same settings."""
    settings = course.record.settings
    mine = set(settings.metrics)
    same = all(m in mine or m.optional for m in app.metrics) and mine <= set(app.metrics)
    return same and app.guard == settings.guard


def _seasons(
    metrics: Sequence[Metric], exposures: Sequence[str], slots: Slots, began: float
) -> Seasons | None:
    pairs = [(m.counter, exposure) for m, exposure in zip(metrics, exposures, strict=True)]
    if not pairs:
        return None
    seasons = Seasons.learn(pairs, [m.kind is Kind.COUNTS for m in metrics], slots, began)
    return seasons if seasons.known() else None


def _judged_steps(rollout: Rollout) -> int:
    return sum(step.checks is not Checks.NONE for step in rollout.plan)


def query_of(app: AppConfig, metric: Metric) -> str:
    """Where a metric's numbers come from, in words."""
    queries = {n: f"{s.name}: {q}" for s in app.sources for n, q in s.queries.items()}
    names = [metric.counter, *([metric.per] if metric.per else [])]
    if not any(name in queries for name in names):
        return f"built-in counters: {metric.counter} over {metric.per or 'seconds'}"
    told = [queries.get(name, f"built-in counter {name}") for name in names]
    return " over ".join(told) + ("" if metric.per else " over seconds")


def _control(counters: Counters, rollout: Rollout) -> list[Arm]:
    """The old build where it can be compared: in this step's tier and those after it, else all."""
    if rollout.base is None or rollout.base == rollout.target:
        return []
    arms = counters.arms(rollout.app, rollout.base)
    ahead = {step.tier for step in rollout.plan[rollout.step :]}
    return [arm for arm in arms if arm.tier in ahead] or arms
