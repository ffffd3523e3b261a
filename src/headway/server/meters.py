"""What the control plane counts of itself, for Prometheus.

Counters begin at 0 with the process, as is usual; what stands at a moment is looked up when it is
asked for (``gauges.py``). No label has a value that a stranger can choose.
"""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from headway.core.spans import turns
from headway.model.announcement import Occasion, Span
from headway.model.journal import HEADWAY
from headway.model.plan import AppConfig
from headway.model.rollout import Phase, Rollout
from headway.model.verdict import Outcome
from headway.server.decisions import Step

OUTCOMES = (Phase.SUCCEEDED, Phase.REVERTED, Phase.ABORTED, Phase.SUPERSEDED)
"""How a deploy can end."""

LONG = (5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200)
"""Bounds, in seconds, of what people wait for."""

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds, in seconds, of what machines wait for."""

FEW = (0.01, 0.05, 0.25, 1, 5)
"""The same for what has many labels: each bound is a series for every route."""

# When a counter began is told by its beginning at 0; as a series it would double the page.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Meters:
    """Every counter and histogram, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.deploys = Counter(
            "headway_deploys_total", "Rollouts that ended", ("app", "outcome"), registry=registry
        )
        self.live = Histogram(
            "headway_deploy_seconds",
            "From the beginning of a rollout until its build was live everywhere",
            ("app",),
            buckets=LONG,
            registry=registry,
        )
        self.steps = Histogram(
            "headway_step_seconds",
            "From a step's beginning, or its last retry, to its end; pauses do not count",
            ("app", "tier", "outcome"),
            buckets=LONG,
            registry=registry,
        )
        self.reverts = Counter(
            "headway_reverts_total",
            "Rollouts that turned round; by headway itself, or by a person",
            ("app", "by"),
            registry=registry,
        )
        self.back = Histogram(
            "headway_revert_seconds",
            "From the decision to go back until every node had attested the build before",
            ("app",),
            buckets=LONG,
            registry=registry,
        )
        self.verdicts = Counter(
            "headway_guard_verdicts_total",
            "Verdicts that differ from the one before on the same metric",
            ("app", "outcome"),
            registry=registry,
        )
        self.ticks = Histogram(
            "headway_engine_tick_seconds",
            "One round of the engine over every app that has something to do",
            buckets=SHORT,
            registry=registry,
        )
        self.store = Histogram(
            "headway_signal_store_seconds",
            "Calls to the signal store, also those that failed",
            ("call",),
            buckets=SHORT,
            registry=registry,
        )
        self.store_errors = Counter(
            "headway_signal_store_errors_total",
            "Calls to the signal store that failed",
            ("call", "error"),
            registry=registry,
        )
        self.requests = Histogram(
            "headway_http_request_seconds",
            "How long HTTP requests take, but for streams and for what nodes ask",
            ("method", "route"),
            buckets=FEW,
            registry=registry,
        )
        self.answers = Counter(
            "headway_http_requests_total",
            "The same requests, by how they were answered",
            ("method", "route", "status"),
            registry=registry,
        )
        self.announced = Counter(
            "headway_announcements_total",
            "Tries to tell a place of something",
            ("place", "result"),
            registry=registry,
        )

    def know(self, apps: Iterable[AppConfig]) -> None:
        """Let the apps' counters be there from the beginning, so that their first rise shows."""
        for app in apps:
            for outcome in OUTCOMES:
                self.deploys.labels(app.name, outcome.value)
            for by in ("headway", "person"):
                self.reverts.labels(app.name, by)
            for verdict in Outcome:
                self.verdicts.labels(app.name, verdict.value)

    def decided(self, step: Step, now: float) -> None:
        """Count what was decided, once it is recorded."""
        before, after = step.before, step.decision.state
        for turn in turns(before, after, step.decision.why, now):
            self._turned(turn.occasion, turn.span, after.app, step.actor)
        for outcome in _news(before, after):
            self.verdicts.labels(after.app, outcome.value).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; ``route`` is its template, and routes name their methods."""
        self.requests.labels(method, route).observe(seconds)
        self.answers.labels(method, route, f"{status // 100}xx").inc()

    def _turned(self, occasion: Occasion, span: Span, app: str, actor: str) -> None:
        if span.ended is None:
            if occasion is Occasion.RETURN:
                by = "headway" if actor == HEADWAY else "person"
                self.reverts.labels(app, by).inc()
            return
        took = max(0.0, span.ended - span.began)
        good = span.outcome == Phase.SUCCEEDED
        match occasion:
            case Occasion.DEPLOY:
                self.deploys.labels(app, span.outcome).inc()
                if good:
                    self.live.labels(app).observe(took)
            case Occasion.STEP:
                self.steps.labels(app, span.tiers[0], span.outcome).observe(took)
            case Occasion.RETURN if good:
                self.back.labels(app).observe(took)


def _news(before: Rollout | None, after: Rollout) -> Iterable[Outcome]:
    known = {verdict.metric: verdict.outcome for verdict in before.verdicts} if before else {}
    return [one.outcome for one in after.verdicts if known.get(one.metric) is not one.outcome]
