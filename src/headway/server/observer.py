"""What the engine goes by: the fleet, held against the latest rollout, and what the guard says."""

from collections.abc import Callable
from typing import Protocol

from headway.core.signalling import signal_of
from headway.model.plan import AppConfig
from headway.model.report import Report
from headway.model.rollout import FleetView, Observed, Rollout
from headway.model.signal import NodeRecord
from headway.model.verdict import Verdict
from headway.server.fleet import Fleet
from headway.server.situation import Situation
from headway.server.trips import barred


class Judge(Protocol):
    """The guard, as the engine sees it."""

    def ingest(self, report: Report, tier: str, now: float) -> None:
        """Take in the counters of a report."""

    def forget(self, app: str, node: str) -> None:
        """Drop a node that is no longer enrolled."""

    def watched(self, app: AppConfig) -> AppConfig:
        """The app with those metrics that can be judged."""

    def judge(self, app: AppConfig, rollout: Rollout, now: float) -> tuple[Verdict, ...]:
        """What the metrics say about a rollout."""


class Observer:
    """Looks at the fleet; without ``judge``, metrics are not heard and say nothing."""

    def __init__(self, fleet: Fleet, judge: Judge | None, clock: Callable[[], float]) -> None:
        self._fleet = fleet
        self._judge = judge
        self._clock = clock
        self._began = clock()

    def hear(self, report: Report) -> None:
        """Take in what a node has counted."""
        record = self._fleet.record(report.node)
        if self._judge is not None and record is not None:
            self._judge.ingest(report, record.seats[report.app].tier, self._clock())

    def forget(self, record: NodeRecord) -> None:
        """Drop what a node that is no longer enrolled has counted."""
        if self._judge is not None:
            for app in record.seats:
                self._judge.forget(app, record.node)

    def watched(self, app: AppConfig) -> AppConfig:
        """The app with those metrics that can be judged."""
        return self._judge.watched(app) if self._judge is not None else app

    def view(self, known: Situation, now: float) -> FleetView:
        """The app's nodes, held against its latest rollout."""
        signal = signal_of(known.latest) if known.latest else None
        return self._fleet.view(known.config.name, signal, now, known.config.silent_after)

    def observe(self, known: Situation, rollout: Rollout, now: float) -> Observed | None:
        """What there is to see of a rollout; None until the fleet had its chance to speak.

        Before that, the time that the control plane was away would count against the nodes.
        """
        waited = now - self._began >= known.config.silent_after
        if not waited and not self._fleet.all_heard_since(known.config.name, self._began):
            return None
        verdicts = self._judge.judge(known.config, rollout, now) if self._judge is not None else ()
        fleet = self.view(known, now)
        return Observed(fleet, verdicts, known.holds, barred(known, fleet, now))
