"""The built-in metrics: what agents scrape, summed per build and tier in buckets of time.

Bounded in time and in keys, and kept in memory: after a restart of the control plane the guard
says "no data" until agents have reported again.
"""

from collections import OrderedDict, deque
from math import inf

from msgspec import Struct

from headway.model.report import Report

BUCKET = 5.0
"""Seconds per bucket."""

KEPT = 360
"""Buckets kept per arm: half an hour."""

SECONDS = "seconds"
"""The counter of node-seconds that every bucket carries, for rates per second and node."""

_MOST_ARMS = 500


class Arm(Struct, frozen=True):
    """The nodes of one tier that run one build."""

    app: str
    tier: str
    build: str


class Bucket(Struct):
    """Increments of every counter over one span of time, summed over an arm's nodes."""

    begin: float
    sums: dict[str, float]


class _Last(Struct):
    at: float
    running: str | None
    totals: dict[str, float]
    warm_at: float


class Counters:
    """Turns the running totals in reports into increments per arm and bucket."""

    def __init__(self) -> None:
        self._arms: OrderedDict[Arm, deque[Bucket]] = OrderedDict()
        self._last: dict[tuple[str, str], _Last] = {}

    def ingest(self, report: Report, tier: str, now: float, warmup: float = 0.0) -> None:
        """Add a report's increments since the node's last one that had any totals.

        A total that fell was reset: it counts from 0. Increments that span a change of build
        belong to neither build, unless the counters started anew with it. For ``warmup`` seconds
        after either nothing counts: a process that has just begun is not like itself later. A
        report without totals is a gap in the scraping; the next one covers it.
        """
        key = (report.app, report.node)
        last = self._last.get(key)
        if last is not None and not report.counters and report.running == last.running:
            return
        totals = last.totals if last else {}
        changed = last is not None and report.running != last.running
        reset = any(total < totals.get(name, 0.0) for name, total in report.counters.items())
        warm_at = last.warm_at if last else now
        if changed or reset:
            warm_at = now + warmup
        self._last[key] = _Last(now, report.running, report.counters, warm_at)
        if last is None or report.running is None or now <= last.at or now < warm_at:
            return
        sums = {SECONDS: now - last.at}
        for name, total in report.counters.items():
            before = totals.get(name, 0.0)
            if total < before:
                sums[name] = total
            elif not changed and name in totals:
                sums[name] = total - before
        self._add(Arm(report.app, tier, report.running), sums, now)

    def forget(self, app: str, node: str) -> None:
        """Drop a node that is no longer enrolled."""
        self._last.pop((app, node), None)

    def buckets(self, arms: list[Arm], since: float, until: float = inf) -> list[Bucket]:
        """The arms' buckets that begin in [since, until), added up, oldest first."""
        merged: dict[float, Bucket] = {}
        for arm in arms:
            for bucket in self._arms.get(arm, ()):
                if since <= bucket.begin < until:
                    into = merged.setdefault(bucket.begin, Bucket(bucket.begin, {}))
                    _sum(into.sums, bucket.sums)
        return [merged[begin] for begin in sorted(merged)]

    def arms(self, app: str, build: str, tier: str | None = None) -> list[Arm]:
        """The arms of a build, in one tier or in all."""
        return [
            arm
            for arm in self._arms
            if arm.app == app and arm.build == build and tier in (None, arm.tier)
        ]

    def _add(self, arm: Arm, sums: dict[str, float], now: float) -> None:
        begin = now // BUCKET * BUCKET
        buckets = self._arms.setdefault(arm, deque(maxlen=KEPT))
        self._arms.move_to_end(arm)
        if len(self._arms) > _MOST_ARMS:
            self._arms.popitem(last=False)
        if not buckets or buckets[-1].begin < begin:
            buckets.append(Bucket(begin, {}))
        _sum(buckets[-1].sums, sums)


def _sum(into: dict[str, float], sums: dict[str, float]) -> None:
    for name, value in sums.items():
        into[name] = into.get(name, 0.0) + value
