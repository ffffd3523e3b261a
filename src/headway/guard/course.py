"""One rollout, or one change, as the guard follows it: look by look, into a record."""

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from headway.guard.counters import BUCKET, KEPT, Arm, Bucket, Counters, add
from headway.guard.evidence import WIDTH, Bench, Values
from headway.guard.record import Mark, Record, Told
from headway.guard.season import Seasons
from headway.model.verdict import Verdict

BEFORE = 1800.0
"""Seconds before the deploy that the guard learns from."""

FIRST_LOOKS = 720
"""Looks, one each bucket, after which it looks once a minute: an hour, at five seconds."""

LATER = 60.0
"""Seconds between looks after that."""


class Scene(Struct, frozen=True):
    """Who stands against whom at the moment.

    ``part`` counts the steps. Until it has ``arrived`` a canary that says nothing is still to come.
    """

    part: int
    tier: str
    canary: list[Arm]
    control: list[Arm]
    arrived: bool


class Before(Struct, frozen=True):
    """What there is of the time before, for one tier: buckets of its own nodes, and of others."""

    own: list[Bucket]
    others: list[Bucket]


class Course:
    """Looks at the counters as time goes by."""

    def __init__(self, record: Record, befores: dict[str, Before]) -> None:
        self.record = record
        settings = record.settings
        self._pairs = [
            (metric.counter, exposure)
            for metric, exposure in zip(settings.metrics, settings.exposures, strict=True)
        ]
        self._bench = Bench(settings.metrics, settings.allowances, settings.guard)
        self._befores = befores
        self._since = settings.began // BUCKET * BUCKET
        self._part: int | None = None
        self._tier = ""
        self._verdicts: tuple[Verdict, ...] | None = None
        self._said: dict[str, Verdict] = {}
        self.seasons: Seasons | None = None

    @classmethod
    def resumed(cls, record: Record) -> "Course":
        """Go on with what was kept: the same numbers give the same state, bit for bit."""
        course = cls(record, {})
        for mark, look in record.course():
            if mark is not None:
                course._tier = mark.tier
                course._bench.begin(mark.tier, record.befores[mark.tier] if mark.fresh else None)
            if look is not None:
                course._bench.look(look)
        course._since += sum(record.spans)
        course._part = record.marks[-1].part if record.marks else None
        course._said = {told.verdict.metric: told.verdict for told in record.told}
        return course

    def follow(
        self,
        counters: Counters,
        scene: Scene,
        until: float,
        troubles: Callable[[str], str] = lambda _: "",
    ) -> None:
        """Take in every look that has become due; numbers are complete up to ``until``."""
        if scene.part != self._part:
            self._begin(scene)
        self._since = max(self._since, (until - KEPT * BUCKET) // BUCKET * BUCKET)
        while self._since + self._look <= until:
            end = self._since + self._look
            rows = self._rows(counters, scene, self._since, end)
            # Until the first of its nodes has come, a step has no canary that could be silent.
            if scene.arrived or rows[:, 1].any():
                self._take(rows, troubles)
            self._since = end

    def verdicts(self) -> tuple[Verdict, ...]:
        """A verdict on each metric, as of the last look."""
        if self._verdicts is None:
            record, last = self.record, len(self.record.looks)
            span = record.spans[-1] if record.spans else record.settings.look
            self._verdicts = self._bench.verdicts(span, record.trouble(last - 1))
            for verdict in self._verdicts:
                said = self._said.get(verdict.metric)
                if said is None or (said.outcome, said.action) != (verdict.outcome, verdict.action):
                    self._said[verdict.metric] = verdict
                    record.told.append(Told(last, len(record.marks), verdict))
        return self._verdicts

    def bench(self) -> Bench:
        """Where the evidence stands."""
        return self._bench

    def unlearned(self) -> tuple[str, ...]:
        """The tiers whose time before is not part of the record yet."""
        return tuple(self._befores)

    def learn(self, tier: str) -> None:
        """Make a tier's time before a part of the record."""
        self._before(tier)

    @property
    def _look(self) -> float:
        least = self.record.settings.look
        return least if len(self.record.looks) < FIRST_LOOKS else max(LATER, least)

    def _begin(self, scene: Scene) -> None:
        self._part = scene.part
        fresh = scene.tier != self._tier
        self._tier = scene.tier
        self._bench.begin(scene.tier, self._before(scene.tier) if fresh else None)
        self._verdicts = None
        self.record.marks.append(Mark(len(self.record.looks), scene.tier, fresh, scene.part))

    def _take(self, rows: Values, troubles: Callable[[str], str]) -> None:
        record = self.record
        if self.seasons is not None:
            rows[:, 4:] = self.seasons.look(self._since + 0.5 * self._look, rows, self._look)
        for index, source in enumerate(record.settings.sources):
            if said := troubles(source):
                record.troubles.append((len(record.looks), index, said))
        self._bench.look(rows)
        self._verdicts = None
        record.spans.append(self._look)
        record.looks.append(rows)

    def _before(self, tier: str) -> Values:
        """Rows of the time before, for the nodes of a tier."""
        before = self._befores.pop(tier, None)
        if before is not None:
            self.record.befores[tier] = self._table(before)
        empty = np.zeros((0, len(self._pairs), WIDTH))
        return self.record.befores.setdefault(tier, empty)

    def _table(self, before: Before) -> Values:
        step = self.record.settings.look
        old, new = _gathered(before.others, step), _gathered(before.own, step)
        ticks = [self._row(new.get(begin, {}), sums) for begin, sums in sorted(old.items())]
        return np.array(ticks).reshape(len(ticks), len(self._pairs), WIDTH)

    def _rows(self, counters: Counters, scene: Scene, since: float, until: float) -> Values:
        new = _total(counters.pieces(scene.canary, since, until))
        old = _total(counters.pieces(scene.control, since, until))
        return self._row(new, old)

    def _row(self, new: dict[str, float], old: dict[str, float]) -> Values:
        """A tick; a counter that is absent where there was traffic counted nothing."""
        rows = np.full((len(self._pairs), WIDTH), np.nan)
        for place, sums in ((0, new), (2, old)):
            rows[:, place] = [sums.get(counter, 0.0) for counter, _ in self._pairs]
            rows[:, place + 1] = [sums.get(exposure, 0.0) for _, exposure in self._pairs]
        return rows


def _gathered(buckets: Sequence[Bucket], step: float) -> dict[float, dict[str, float]]:
    """Buckets added up in ticks of ``step`` seconds."""
    found: dict[float, dict[str, float]] = {}
    for bucket in buckets:
        add(found.setdefault(bucket.begin // step * step, {}), bucket.sums)
    return found


def _total(buckets: Sequence[Bucket]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for bucket in buckets:
        add(sums, bucket.sums)
    return sums
