"""The built-in metrics: what agents and other sources tell, summed per build and tier in time.

Fine buckets reach back half an hour, bounded in time and in keys; slots of five minutes are handed
on for keeping (`Counters.news`), as long as is configured. After a restart of the control plane
both come back from what was kept.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Mapping
from math import inf

from msgspec import Struct

from headway.model.report import Report
from headway.model.source import REPORTED

BUCKET = 5.0
"""Seconds per bucket."""

KEPT = 360
"""Buckets kept per arm: half an hour."""

SLOT = 300.0
"""Seconds per slot of what is kept for long."""

SECONDS = "seconds"
"""The counter of node-seconds that every bucket carries, for rates per second and node."""

RESTARTS = "restarts"
"""How often a node's counters began anew without a change of build."""

WITH, WITHOUT = "with", "without"
"""The two arms of a change that is no build."""

_MOST_ARMS = 500
_MOST_NAMES = 2000


class Arm(Struct, frozen=True):
    """The nodes of one tier that run one build; or, of a change, those with or without it."""

    app: str
    tier: str
    build: str


class Bucket(Struct):
    """Increments of every counter over one span of time, summed over an arm's nodes."""

    begin: float
    sums: dict[str, float]


class Slot(Struct, frozen=True):
    """Five minutes of one tier, whatever it ran."""

    app: str
    tier: str
    begin: float


class Sample(Struct, frozen=True):
    """What one node told of one app by way of one source.

    ``totals`` rise until the application restarts; ``counts`` are what happened since the sample
    before; ``levels`` are what something stands at. With ``anew`` it is not known what lies
    between it and the sample before, and nothing of that is counted.
    """

    app: str
    node: str
    tier: str
    build: str | None
    totals: dict[str, float] = {}
    counts: dict[str, float] = {}
    levels: dict[str, float] = {}
    source: str = REPORTED
    anew: bool = False

    def silent(self) -> bool:
        """Whether it tells nothing at all."""
        return not (self.totals or self.counts or self.levels)


class _Last(Struct):
    at: float
    build: str | None
    totals: dict[str, float]
    warm_at: float


class _Split(Struct):
    """Who has a change: since when, node by node; None: everybody."""

    app: str
    since: dict[str, float] | None


class News(Struct):
    """What has changed since it was last asked for."""

    buckets: dict[tuple[Arm, float], dict[str, float]]
    slots: dict[Slot, dict[str, float]]


def seconds_of(source: str) -> str:
    """The counter of node-seconds of what a source tells."""
    return SECONDS if source == REPORTED else f"{SECONDS}@{source}"


class Counters:
    """Turns samples into increments per arm and bucket."""

    def __init__(self) -> None:
        self._arms: OrderedDict[Arm, deque[Bucket]] = OrderedDict()
        self._last: dict[tuple[str, str, str], _Last] = {}
        self._splits: dict[str, _Split] = {}
        self._slots: dict[Slot, dict[str, float]] = {}
        self._fresh: dict[tuple[Arm, float], dict[str, float]] = {}
        self._fresh_slots: dict[Slot, dict[str, float]] = {}
        self._known: dict[str, set[str]] = {}

    def ingest(
        self,
        report: Report,
        tier: str,
        now: float,
        warmup: float = 0.0,
        levels: Collection[str] = (),
    ) -> None:
        """Add a report; those of its numbers that are named in ``levels`` are levels."""
        said = report.counters
        if levels:
            totals = {name: value for name, value in said.items() if name not in levels}
            stands = {name: value for name, value in said.items() if name in levels}
        else:
            totals, stands = said, {}
        sample = Sample(report.app, report.node, tier, report.running, totals, {}, stands)
        self.take(sample, now, warmup)

    def take(self, sample: Sample, now: float, warmup: float = 0.0) -> None:
        """Add a sample's increments since the node's last one that said anything.

        A total that fell was reset: it counts from 0. Increments that span a change of build
        belong to neither build, unless the counters started anew with it. For ``warmup`` seconds
        after either nothing counts: a process that has just begun is not like itself later. A
        sample that is silent is a gap in the scraping; the next one covers it.
        """
        key = (sample.app, sample.source, sample.node)
        last = self._last.get(key)
        if last is not None and sample.silent() and sample.build == last.build:
            return
        totals = last.totals if last else {}
        changed = last is not None and sample.build != last.build
        reset = any(total < totals.get(name, 0.0) for name, total in sample.totals.items())
        warm_at = last.warm_at if last else now
        if changed or reset:
            warm_at = now + warmup
        self._last[key] = _Last(now, sample.build, sample.totals, warm_at)
        if last is None or sample.anew or sample.build is None or now <= last.at:
            return
        if reset and not changed and sample.source == REPORTED and RESTARTS not in sample.totals:
            self._count(sample, {RESTARTS: 1.0}, last.at, now)
        if now < warm_at or (changed and not reset):
            return
        span = now - last.at
        sums = {seconds_of(sample.source): span}
        for name, total in sample.totals.items():
            before = totals.get(name, 0.0)
            if total < before:
                sums[name] = total
            elif not changed and name in totals:
                sums[name] = total - before
        sums |= sample.counts
        for name, level in sample.levels.items():
            sums[name] = level * span
        self._count(sample, sums, last.at, now)

    def forget(self, app: str, node: str) -> None:
        """Drop a node that is no longer enrolled."""
        for key in [key for key in self._last if (key[0], key[2]) == (app, node)]:
            del self._last[key]

    def split(self, change: str, app: str, nodes: Collection[str] | None, now: float) -> None:
        """From now on tell the nodes that have a change from those that have not; None: all."""
        if nodes is None:
            self._splits[change] = _Split(app, None)
            return
        before = self._splits.get(change)
        since = before.since if before is not None and before.since is not None else {}
        self._splits[change] = _Split(app, {node: since.get(node, now) for node in nodes})

    def unsplit(self, change: str) -> None:
        """The change is no longer looked at."""
        self._splits.pop(change, None)

    def buckets(self, arms: list[Arm], since: float, until: float = inf) -> list[Bucket]:
        """The arms' buckets that begin in [since, until), added up, oldest first."""
        merged: dict[float, Bucket] = {}
        for bucket in self.pieces(arms, since, until):
            into = merged.setdefault(bucket.begin, Bucket(bucket.begin, {}))
            add(into.sums, bucket.sums)
        return [merged[begin] for begin in sorted(merged)]

    def pieces(self, arms: list[Arm], since: float, until: float = inf) -> list[Bucket]:
        """The same, not yet added up."""
        found: list[Bucket] = []
        for arm in arms:
            # From the newest back: what is asked for is mostly the last one.
            for bucket in reversed(self._arms.get(arm, ())):
                if bucket.begin < since:
                    break
                if bucket.begin < until:
                    found.append(bucket)
        return found

    def arms(self, app: str, build: str | None = None, tier: str | None = None) -> list[Arm]:
        """The arms of a build, in one tier or in all; without a build, of whatever builds."""
        return [
            arm
            for arm in self._arms
            if arm.app == app
            and build in (None, arm.build)
            and tier in (None, arm.tier)
            and (build is not None or arm.build not in (WITH, WITHOUT))
        ]

    def sides(self, change: str) -> tuple[list[Arm], list[Arm]]:
        """(the arm with a change, the arm without it)."""
        mine = [arm for arm in self._arms if arm.tier == _place(change)]
        return [arm for arm in mine if arm.build == WITH], [a for a in mine if a.build == WITHOUT]

    def known(self, app: str) -> set[str]:
        """The counters that were ever heard of an app."""
        return self._known.get(app, set())

    def news(self) -> News:
        """Buckets and slots that have changed since the last call."""
        news = News(self._fresh, self._fresh_slots)
        self._fresh, self._fresh_slots = {}, {}
        latest = max((slot.begin for slot in self._slots), default=0.0)
        self._slots = {s: sums for s, sums in self._slots.items() if s.begin > latest - 2 * SLOT}
        return news

    def again(self, news: News) -> None:
        """Those could not be kept; they are news again, if they have not changed anew."""
        self._fresh = news.buckets | self._fresh
        self._fresh_slots = news.slots | self._fresh_slots

    def restore(self, kept: Mapping[tuple[Arm, float], dict[str, float]]) -> None:
        """Take in again what was kept of buckets, oldest first."""
        for (arm, begin), sums in kept.items():
            buckets = self._arms.setdefault(arm, deque(maxlen=KEPT))
            buckets.append(Bucket(begin, sums))
            self._note(arm.app, sums)

    def restore_slots(self, kept: Mapping[Slot, dict[str, float]]) -> None:
        """Take in again the slots that are still being filled, and what was ever heard."""
        for slot, sums in kept.items():
            self._slots[slot] = sums
            self._note(slot.app, sums)

    def _count(self, sample: Sample, sums: dict[str, float], since: float, now: float) -> None:
        assert sample.build is not None  # noqa: S101 - for the type checker
        self._note(sample.app, sums)
        self._add(Arm(sample.app, sample.tier, sample.build), sums, now)
        self._add_slot(Slot(sample.app, sample.tier, now // SLOT * SLOT), sums)
        for change, split in self._splits.items():
            if split.app != sample.app:
                continue
            began = None if split.since is None else split.since.get(sample.node, inf)
            # What spans the moment at which a node got it belongs to neither side.
            if began is None or began <= since:
                self._add(Arm(sample.app, _place(change), WITH), sums, now)
            elif began >= now:
                self._add(Arm(sample.app, _place(change), WITHOUT), sums, now)

    def _add(self, arm: Arm, sums: dict[str, float], now: float) -> None:
        begin = now // BUCKET * BUCKET
        buckets = self._arms.setdefault(arm, deque(maxlen=KEPT))
        self._arms.move_to_end(arm)
        if len(self._arms) > _MOST_ARMS:
            self._arms.popitem(last=False)
        if not buckets or buckets[-1].begin < begin:
            buckets.append(Bucket(begin, {}))
        elif buckets[-1].begin > begin:
            # A source that is late; what is older than the arm is left out.
            into = next((bucket for bucket in buckets if bucket.begin == begin), None)
            if into is not None:
                add(into.sums, sums)
                self._fresh[arm, begin] = into.sums
            return
        add(buckets[-1].sums, sums)
        self._fresh[arm, begin] = buckets[-1].sums

    def _add_slot(self, slot: Slot, sums: dict[str, float]) -> None:
        into = self._slots.setdefault(slot, {})
        add(into, sums)
        self._fresh_slots[slot] = into

    def _note(self, app: str, sums: Mapping[str, float]) -> None:
        known = self._known.setdefault(app, set())
        if len(known) < _MOST_NAMES:
            known.update(sums)


def add(into: dict[str, float], sums: Mapping[str, float]) -> None:
    """Add sums to others."""
    for name, value in sums.items():
        into[name] = into.get(name, 0.0) + value


def _place(change: str) -> str:
    return f"change:{change}"
