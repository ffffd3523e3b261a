"""Rollouts in numbers: what both arms of each metric would have counted, tick by tick.

Everything follows a real shape; what is per request, its square root, as shares move less than
volumes. Requests follow one, and the canary's are drawn from them binomially, by its share of
production; so are errors from requests. Every node has noise of its own beside that of the counts,
from tick to tick and partly remembered, so that an arm of few nodes is noisier than one of many.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.guard.cases import TICK, Case, Factors, stages
from benchmarks.guard.shapes import Half, windows
from headway.guard.counters import SLOT
from headway.guard.evidence import WIDTH
from headway.guard.numbers import Tick
from headway.guard.season import BACK, NEAR, Seasons
from headway.model.plan import Direction, Importance, Kind, Metric

Values = NDArray[np.float64]

NODES = 100.0
"""Nodes of production."""

BEFORE = 90
"""Ticks before the deploy that a judge may learn from: half an hour."""

WARMUP = 2
"""Ticks after its flip during which a node's counters are left out, for every judge."""

SHARED_SHAPES = 40
"""Windows of real series that the metrics of a batch draw their shapes from."""


class Sort(Struct, frozen=True):
    """A sort of metric: what the guard is told of it, and what its numbers are like.

    ``level`` is its usual value, ``noise`` the deviation of one node's logarithm from tick to
    tick, ``memory`` how much of it remains, ``lot`` how many events come at a time.
    """

    metric: Metric
    level: float
    noise: float
    memory: float = 0.3
    lot: float = 1.0
    spread: float = 0.0


CRITICAL = Importance.CRITICAL
PRIMARY = (
    Sort(Metric("errors", "errors", per="requests", importance=CRITICAL), 0.01, 0.3),
    Sort(
        Metric("latency", "latency", per="requests", importance=CRITICAL, kind=Kind.CONTINUOUS),
        0.15,
        0.10,
        spread=1.0,
    ),
    Sort(Metric("traffic", "requests", importance=CRITICAL, direction=Direction.DOWN), 1.0, 0.05),
    Sort(Metric("log", "log", per="requests", direction=Direction.BOTH), 4.0, 0.2, lot=10),
    Sort(Metric("memory", "memory", kind=Kind.CONTINUOUS), 1.0, 0.05, memory=0.6),
)
"""Errors, latency, traffic, log volume, memory: those that faults are put into."""

FURTHER = (
    Sort(Metric("cpu", "cpu", kind=Kind.CONTINUOUS), 0.4, 0.2, memory=0.5),
    Sort(Metric("queue", "queue", kind=Kind.CONTINUOUS), 20.0, 0.5, memory=0.5),
    Sort(Metric("restarts", "restarts"), 1e-4, 0.0),
    Sort(Metric("queries", "queries", per="requests", direction=Direction.BOTH), 8.0, 0.1, lot=4),
    Sort(Metric("timeouts", "timeouts", per="requests"), 0.001, 0.4, lot=3),
)
"""What else an application is watched by; more metrics are more of these."""


def sorts(number: int) -> tuple[Sort, ...]:
    """That many metrics."""
    more = [FURTHER[i % len(FURTHER)] for i in range(max(0, number - len(PRIMARY)))]
    return (*PRIMARY, *more)[:number]


class Batch(Struct, frozen=True):
    """Rollouts of some cases: ``each`` of every case at every traffic, in that order."""

    seed: int
    half: Half
    cases: Sequence[Case]
    rates: Sequence[float]
    each: int
    metrics: int
    history: bool = False
    """Whether the season is known, from the same hours of the days before."""

    @property
    def rollouts(self) -> int:
        """How many there are."""
        return len(self.cases) * len(self.rates) * self.each

    def case_of(self) -> NDArray[np.int64]:
        """The index of each rollout's case."""
        return np.repeat(np.arange(len(self.cases)), len(self.rates) * self.each)

    def rate_of(self) -> Values:
        """Each rollout's requests per second."""
        return np.tile(np.repeat(np.array(self.rates), self.each), len(self.cases))


def play(batch: Batch) -> Iterator[tuple[int, Tick]]:
    """(ticks since the deploy, negative before it; all series of all rollouts, rollout-major)."""
    source = np.random.default_rng(batch.seed)
    kinds, size = sorts(batch.metrics), batch.rollouts
    schedule = stages()
    seconds = (BEFORE + len(schedule)) * TICK
    pool, days = windows(source, batch.half, SHARED_SHAPES, seconds)
    whose = source.integers(len(pool), size=size)
    usual = pool[whose, :BEFORE].mean(axis=1, keepdims=True)
    load = pool[whose] / usual
    own_of = source.integers(len(pool), size=(batch.metrics, size))
    own = pool[own_of]
    calm = np.array([0.5 if sort.metric.per else 1.0 for sort in kinds])
    level = np.exp(source.uniform(-1.1, 1.1, (batch.metrics, size)))
    off = source.normal(size=(2, batch.metrics, size))
    cases, rates = batch.case_of(), batch.rate_of()
    known: _History | None = None
    if batch.history:
        loads = days[whose] / usual[:, :, None]
        known = _History(_earlier(batch, kinds, loads, days[own_of], level, calm), kinds, size)
    for tick in range(-BEFORE, len(schedule)):
        share, before, since = schedule[max(tick, 0)]
        since = since if tick >= 0 else BEFORE
        new = 1 - before / share if since >= WARMUP else float(before == 0)
        factors = _factors(batch, cases, tick, new, since, source)
        nodes = np.array([share, 1 - share]) * NODES
        total = source.poisson(rates * TICK * load[:, tick + BEFORE] * factors.load)
        drawn = source.binomial(total, share)
        served = np.array([source.poisson(drawn * factors.traffic), total - drawn])
        heard = np.array(
            [factors.canary_heard * _warm(share, before, since), factors.control_heard]
        )
        table = np.full((5, size, batch.metrics), np.nan)
        for index, sort in enumerate(kinds):
            kept = np.sqrt(1 - sort.memory**2)
            off[:, index] = sort.memory * off[:, index] + kept * source.normal(size=(2, size))
            strange = np.exp(sort.noise * off[:, index] / np.sqrt(np.maximum(nodes, 1))[:, None])
            changed = np.array([factors.canary[:, index], factors.control[:, index]])
            exposure = np.broadcast_to(nodes[:, None] * TICK, (2, size))
            if sort.metric.counter == "requests":
                events = source.poisson(served * strange).astype(float)
            else:
                exposure = served * 1.0 if sort.metric.per else exposure
                mean = sort.level * level[index] * changed * strange
                mean = mean * own[index][:, tick + BEFORE] ** calm[index]
                events = _events(sort, mean, exposure, source)
            table[0, :, index], table[2, :, index] = events * heard
            table[1, :, index], table[3, :, index] = exposure * heard
        canary, exposure, control, control_exposure, season = table.reshape(5, -1)
        if known is not None:
            season = known.score(tick, control, control_exposure)
        yield tick, Tick(canary, exposure, control, control_exposure, season)


class _History:
    """Earlier days of all series, (series, days, slots), and what they say of a tick."""

    def __init__(self, earlier: Values, kinds: Sequence[Sort], size: int) -> None:
        self._earlier = earlier
        self._counts = [sort.metric.kind is Kind.COUNTS for _ in range(size) for sort in kinds]
        self._recent: list[Values] = []
        self._seasons: Seasons | None = None

    def score(self, tick: int, control: Values, exposure: Values) -> Values:
        """The control's seasonal score; the season is frozen at the deploy."""
        if tick < 0:
            self._recent.append(np.array([control, exposure]))
            return np.full(len(control), np.nan)
        if self._seasons is None:
            slots = np.array(self._recent).reshape(BACK, -1, 2, len(control)).sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                recent = (slots[:, 0] / slots[:, 1]).T
            ahead, before = self._earlier[:, :, BACK - NEAR :], self._earlier[:, :, :BACK]
            self._seasons = Seasons.of(ahead, recent, before, self._counts, 0.0)
        rows = np.full((len(control), WIDTH), np.nan)
        rows[:, 2:4] = np.array([control, exposure]).T
        return self._seasons.look(tick * TICK, rows, TICK)[:, 0]


def _earlier(
    batch: Batch,
    kinds: Sequence[Sort],
    loads: Values,
    own: Values,
    level: Values,
    calm: Values,
) -> Values:
    """What each series came to in the slots of the days before: (series, days, slots).

    What happens every day at this hour (the daily peak) has happened then, too.
    """
    size, slots = batch.rollouts, loads.shape[2]
    values = np.empty((size, batch.metrics, loads.shape[1], slots))
    rates, each = batch.rate_of(), len(batch.rates) * batch.each
    for slot in range(slots):
        tick = (slot - BACK) * int(SLOT / TICK) + int(SLOT / TICK) // 2
        whole = [
            np.ones((size, batch.metrics)),
            np.ones((size, batch.metrics)),
            *np.ones((4, size)),
        ]
        for index, case in enumerate(batch.cases):
            if case.daily and tick >= 0:
                a, b, c, d, e, f = (w[index * each : (index + 1) * each] for w in whole)
                factors = Factors(a, b, c, d, e, f, 0.0, BEFORE)
                case.change(factors, tick, np.random.default_rng(0))
        rates_now, changed = rates * whole[3] / NODES, whole[1]
        for index, sort in enumerate(kinds):
            if sort.metric.counter == "requests":
                found = rates_now[:, None] * loads[:, :, slot]
            else:
                shape = own[index][:, :, slot] ** calm[index]
                found = (sort.level * level[index] * changed[:, index])[:, None] * shape
            values[:, index, :, slot] = found
    return values.reshape(size * batch.metrics, -1, slots)


def _events(sort: Sort, mean: Values, exposure: Values, source: np.random.Generator) -> Values:
    if sort.metric.kind is Kind.CONTINUOUS:
        chance = sort.spread / np.sqrt(np.maximum(exposure, 1.0))
        luck = np.exp(chance * source.normal(size=mean.shape))
        return np.asarray(mean * exposure * luck, dtype=np.float64)
    if sort.metric.name in ("errors", "timeouts") and sort.lot == 1:
        return source.binomial(exposure.astype(int), np.minimum(mean, 1.0)).astype(float)
    return np.asarray(sort.lot * source.poisson(mean * exposure / sort.lot), dtype=np.float64)


def _warm(share: float, before: float, since: int) -> float:
    """The part of the canary's nodes whose counters count: those just flipped are warming up."""
    return before / share if since < WARMUP else 1.0


def _factors(
    batch: Batch,
    cases: NDArray[np.int64],
    tick: int,
    new: float,
    since: int,
    source: np.random.Generator,
) -> Factors:
    size, metrics = batch.rollouts, batch.metrics
    whole = [np.ones((size, metrics)), np.ones((size, metrics)), *np.ones((4, size))]
    for index, case in enumerate(batch.cases if tick >= 0 else ()):
        rows = np.flatnonzero(cases == index)
        a, b, c, d, e, f = (array[rows[0] : rows[-1] + 1] for array in whole)
        case.change(Factors(a, b, c, d, e, f, new, since), tick, source)
    a, b, c, d, e, f = whole
    return Factors(a, b, c, d, e, f, new, since)
