"""How everything stands at the moment when Prometheus asks.

Everything is looked up once, in one read of the database and one walk over the nodes' states; a
scrape costs the same however much has happened before.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

import headway
from headway.core.goal import wanted
from headway.core.signalling import signal_of
from headway.model.build import Build
from headway.model.hold import Hold, Scope
from headway.model.plan import AppConfig
from headway.model.rollout import LIVE, FleetView, NodeState, Phase, Rollout
from headway.model.signal import Seat
from headway.model.verdict import Outcome

SHOWN = 12
"""So many characters of a build's id are shown, as everywhere."""

OTHER = "other"
"""Every build that is neither the old one nor the new one; every app that is none."""

_LAST = 1.0 - 2.0**-53
"""The position behind which there is no node."""


class Stand(Struct, frozen=True):
    """One app: its latest rollout, its nodes, the builds they may run, and whether it burns."""

    app: AppConfig
    latest: Rollout | None
    builds: Mapping[str, Build]
    on_fire: bool
    fleet: FleetView = FleetView()


class Moment(Struct, frozen=True):
    """All that is shown. ``queued`` by place, and whether it was given up; ``places`` are those
    that are configured. ``effects`` were decided and are still to be run. ``trouble`` is what is
    wrong with the signal store.
    """

    stands: tuple[Stand, ...]
    holds: tuple[Hold, ...]
    queued: Mapping[tuple[str, bool], int]
    places: tuple[str, ...]
    journal: int
    effects: int
    watches: int
    trouble: str = ""


class Gauges(Collector):
    """Shows one moment."""

    def __init__(self, seen: Moment) -> None:
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """Every family, also those that have nothing to show."""
        seen = self._seen
        yield _gauge("info", "Headway's version", {(headway.__version__,): 1}, "version")
        yield from _of_apps(seen.stands)
        yield from _of_fleet(seen.stands)
        yield _gauge("holds", "Holds in force", _holds(seen), "app", "scope")
        yield _gauge(
            "signal_store_up", "Whether the signal store answers", {(): float(not seen.trouble)}
        )
        yield _gauge(
            "announcements_queued",
            "What has not arrived: it waits for another try, or was given up",
            _queued(seen),
            "place",
            "state",
        )
        yield _gauge("effects_pending", "What was decided and not done yet", {(): seen.effects})
        yield _gauge("watches", "Connections on which nodes wait for signals", {(): seen.watches})
        yield CounterMetricFamily("headway_journal_entries", "Journal entries", seen.journal)


def _of_apps(stands: Iterable[Stand]) -> Iterator[Metric]:
    phases: dict[tuple[str, ...], float] = {}
    began: dict[tuple[str, ...], float] = {}
    shares: dict[tuple[str, ...], float] = {}
    verdicts: dict[tuple[str, ...], float] = {}
    fires: dict[tuple[str, ...], float] = {}
    for stand in stands:
        app, latest = stand.app.name, stand.latest
        fires[app,] = stand.on_fire
        if latest is None:
            continue
        began[app,] = latest.started_at
        phases |= {(app, phase.value): latest.phase is phase for phase in Phase}
        for tier in dict.fromkeys(step.tier for step in latest.plan):
            shares[app, tier] = latest.fractions.get(tier, 0.0)
        for verdict in latest.verdicts if latest.phase in LIVE else ():
            for outcome in Outcome:
                verdicts[app, verdict.metric, outcome.value] = verdict.outcome is outcome
    yield _gauge("rollout_phase", "1 for the phase of the latest rollout", phases, "app", "phase")
    yield _gauge("rollout_started_timestamp_seconds", "When the latest rollout began", began, "app")
    yield _gauge("rollout_share", "How much of a tier is to run the target", shares, "app", "tier")
    yield _gauge(
        "guard_verdict",
        "1 for what the guard says of a metric of the rollout under way",
        verdicts,
        "app",
        "metric",
        "outcome",
    )
    yield _gauge("on_fire", "Whether the watch says that the site is on fire", fires, "app")


def _of_fleet(stands: Iterable[Stand]) -> Iterator[Metric]:
    nodes: dict[tuple[str, ...], float] = {}
    running: Counter[tuple[str, ...]] = Counter()
    infos: dict[tuple[str, ...], float] = {}
    for stand in stands:
        app, latest = stand.app.name, stand.latest
        told = {b: b[:SHOWN] for b in (latest.base, latest.target) if b} if latest else {}
        for tier, members in stand.fleet.tiers.items():
            states = Counter(node.state for node in members)
            nodes |= {(app, tier, state.value): states[state] for state in NodeState}
            for build, count in Counter(node.running for node in members).items():
                shown = told.get(build, OTHER) if build else "none"
                running[app, tier, shown] += count
            live = wanted(signal_of(latest), Seat(tier, _LAST))[0] if latest else None
            if live is not None:
                found = stand.builds.get(live)
                infos[app, tier, live[:SHOWN], found.commit if found else ""] = 1
    yield _gauge("nodes", "Nodes by what the engine sees", nodes, "app", "tier", "state")
    yield _gauge(
        "nodes_running", "Nodes by the build that they attest", running, "app", "tier", "build"
    )
    yield _gauge(
        "build_info",
        "1 for the build that the whole of a tier is to run; for joins",
        infos,
        "app",
        "tier",
        "build",
        "commit",
    )


def _holds(seen: Moment) -> Counter[tuple[str, ...]]:
    known = {stand.app.name for stand in seen.stands}
    held: Counter[tuple[str, ...]] = Counter({(app, Scope.APP.value): 0 for app in known})
    for hold in seen.holds:
        app = hold.on.partition("/")[0] if hold.scope is not Scope.NODE else ""
        held[app if app in known else OTHER, hold.scope.value] += 1
    return held


def _queued(seen: Moment) -> dict[tuple[str, ...], float]:
    places = {*seen.places, *(place for place, _ in seen.queued)}
    return {
        (place, state): seen.queued.get((place, dead), 0)
        for place in sorted(places)
        for state, dead in (("waiting", False), ("dead", True))
    }


def _gauge(
    name: str, meaning: str, values: Mapping[tuple[str, ...], float], *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"headway_{name}", meaning, labels=labels)
    for values_of, value in values.items():
        family.add_metric(values_of, value)
    return family
