"""Plays rollouts to every judge, and counts at the level that people feel: the rollout."""

import itertools
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from benchmarks.guard.cases import HARMLESS, STAGES, TICK, Case, stages
from benchmarks.guard.peers import MannWhitney, Plain, Repeated, Rule, Thresholds
from benchmarks.guard.shapes import Half
from benchmarks.guard.traffic import Batch, play, sorts
from headway.guard.budget import split
from headway.guard.judge import Finding, conclude
from headway.guard.numbers import Tick
from headway.guard.panel import Panel
from headway.guard.terms import Terms, terms
from headway.model.plan import Guarding, Importance

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

NEVER = 10_000
"""The tick of what did not happen."""

GUARD = "headway"

LINE = 1.5
"""The multiple of the peers' thresholds that did best on the first half of the data."""

PEERS: dict[str, Callable[[Terms], Rule]] = {
    "z >= 3": Plain,
    "mann-whitney": MannWhitney,
    "argo thresholds": lambda terms: Thresholds(terms, LINE, limit=3),
    "flagger thresholds": lambda terms: Thresholds(terms, LINE, limit=4),
    "repeated binomial": Repeated,
}


class Judged(Struct, frozen=True):
    """What one judge did to each rollout of a batch.

    ``first`` is the tick of the first alarm that would revert, ``right`` whether it named a
    metric that the fault touches, ``paused`` the tick of the first pause. ``ready`` says whether
    traffic sufficed, by the guard's own account at the end of the canary step.
    """

    first: NDArray[np.int64]
    right: Flags
    paused: NDArray[np.int64]
    ready: Flags


FINER = "headway, min_effect 2 %"
"""The guard once more, told to speak of smaller differences."""


class Finer:
    """The guard with a smaller least effect, as one more rule; its pauses do not count."""

    def __init__(self, terms: Terms) -> None:
        tolerance = np.full_like(terms.tolerance, np.log1p(0.02))
        self._terms = structs.replace(terms, tolerance=tolerance)
        self._panel = Panel(self._terms)
        self._before: list[Tick] | None = []
        self._ended = False

    def learn(self, tick: Tick) -> None:
        """A tick from before the deploy."""
        if self._before is not None:
            self._before.append(tick)

    def look(self, tick: Tick, ends_step: bool) -> Flags:
        """Which series would revert."""
        if self._before is not None:
            self._panel.begin_tier(self._before)
            self._before = None
        elif self._ended:
            self._panel.begin_step()
        self._ended = ends_step
        self._panel.look(tick)
        found = conclude(self._terms, self._panel.numbers(), Guarding().silence / TICK)
        stops = (Finding.WORSE, Finding.BEYOND, Finding.CANARY_SILENT)
        return np.asarray(np.isin(found, stops), dtype=bool)


class Guarded:
    """The guard as one more rule; it can pause besides."""

    def __init__(self, batch: Batch) -> None:
        metrics = [sort.metric for sort in sorts(batch.metrics)]
        allowances = split(metrics, Guarding().false_alarms, len(STAGES))
        self._terms = terms(metrics * batch.rollouts, list(allowances) * batch.rollouts)
        critical = [metric.importance is Importance.CRITICAL for metric in metrics]
        self._critical = np.tile(np.array(critical), batch.rollouts)
        self._panel = Panel(self._terms)
        self._silence = Guarding().silence / TICK

    def begin(self, before: Sequence[Tick]) -> None:
        """The deploy begins."""
        self._panel.begin_tier(before)

    def look(self, tick: Tick, begins_step: bool) -> tuple[Flags, Flags]:
        """(which series would revert, which would only pause)."""
        if begins_step:
            self._panel.begin_step()
        self._panel.look(tick)
        found = conclude(self._terms, self._panel.numbers(), self._silence)
        revert = (found == Finding.WORSE) | (found == Finding.BEYOND)
        revert |= (found == Finding.CANARY_SILENT) & self._critical
        pause = (found == Finding.INCIDENT) | (found == Finding.CHANGED)
        return revert, pause & self._critical

    def ready(self) -> Flags:
        """Whether the traffic so far suffices to see what must be seen."""
        return self._panel.numbers().needed <= 1.0


def judge(batch: Batch, peers: Sequence[str] = tuple(PEERS)) -> dict[str, Judged]:
    """Let the guard and the peers judge the same rollouts."""
    size, metrics = batch.rollouts, batch.metrics
    guard = Guarded(batch)
    known = {**PEERS, FINER: Finer}
    rules = {name: known[name](guard._terms) for name in peers}
    cases = [batch.cases[index] for index in batch.case_of()]
    touched = np.array([[m in case.touches for m in range(metrics)] for case in cases])
    first = {name: np.full(size, NEVER) for name in (GUARD, *peers)}
    right = {name: np.zeros(size, dtype=bool) for name in first}
    paused, ready = np.full(size, NEVER), np.zeros((size, metrics), dtype=bool)
    schedule = stages()
    before: list[Tick] = []
    for index, tick in play(batch):
        if index < 0:
            before.append(tick)
            for rule in rules.values():
                rule.learn(tick)
            continue
        if index == 0:
            guard.begin(before)
            before = []
        ends = index + 1 == len(schedule) or schedule[index + 1][2] == 0
        revert, pause = guard.look(tick, index > 0 and schedule[index][2] == 0)
        alarms = {GUARD: revert} | {name: rule.look(tick, ends) for name, rule in rules.items()}
        for name, alarm in alarms.items():
            table = alarm.reshape(size, metrics)
            new = table.any(axis=1) & (first[name] == NEVER)
            first[name][new] = index
            right[name][new] = (table & touched).any(axis=1)[new]
        stopped = pause.reshape(size, metrics).any(axis=1)
        paused = np.where(stopped & (paused == NEVER), index, paused)
        if index + 1 == STAGES[0][1]:
            ready = guard.ready().reshape(size, metrics)
    chosen = [ready[row, case.metric or 0] for row, case in enumerate(cases)]
    sufficient = np.array(chosen, dtype=bool)
    return {
        name: Judged(
            first[name],
            right[name],
            paused if name == GUARD else np.full(size, NEVER),
            sufficient,
        )
        for name in first
    }


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, Journal of the American Statistical Association 22)."""
    if not trials:
        return 0.0, 1.0
    z2, share = 1.96**2, hits / trials
    middle = share + z2 / (2 * trials)
    spread = 1.96 * float(np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)))
    low, high = ((middle + side * spread) / (1 + z2 / trials) for side in (-1, 1))
    # Rounding must not leave the share itself outside.
    return max(min(low, share), 0.0), min(max(high, share), 1.0)


class Faults(Struct, frozen=True):
    """How a judge did on bad rollouts. Times in minutes; None where more were never found."""

    rollouts: int
    found: int
    interval: tuple[float, float]
    delay_p50: float | None
    delay_p90: float | None
    share_p90: float | None
    exposure_minutes: float

    @property
    def recall(self) -> float:
        """The share found, by an alarm after the onset that named a metric touched."""
        return self.found / self.rollouts if self.rollouts else float("nan")


def faults(judged: Judged, cases: Sequence[Case], rows: Flags) -> Faults:
    """Over the bad rollouts in ``rows``; an undetected one counts as later than any other."""
    schedule = stages()
    onset = np.array([case.onset for case in cases])[rows]
    first, right = judged.first[rows], judged.right[rows]
    found = right & (first >= onset) & (first != NEVER)
    delay = np.where(found, (first - onset + 1) * TICK / 60, np.inf)
    shares = np.array([*(share for share, _, _ in schedule), 1.0])
    at = shares[np.minimum(np.where(found, first, NEVER), len(schedule))]
    exposed = np.concatenate([[0.0], np.cumsum(shares[:-1])]) * TICK / 60
    until = np.where(found, first + 1, len(schedule))
    return Faults(
        int(rows.sum()),
        int(found.sum()),
        wilson(int(found.sum()), int(rows.sum())),
        _quantile(delay, 0.5),
        _quantile(delay, 0.9),
        _quantile(np.where(found, at, np.inf), 0.9),
        float(np.mean(exposed[until] - exposed[onset])) if rows.any() else 0.0,
    )


def _quantile(values: Values, share: float) -> float | None:
    if not len(values):
        return None
    found = float(np.sort(values)[min(int(np.ceil(share * len(values))) - 1, len(values) - 1)])
    return found if np.isfinite(found) else None


def growth(series: int = 5000, ticks: int = 1000) -> float:
    """By how many kB the memory of so many series grows over so many ticks, once it has begun."""
    metrics = 10
    batch = Batch(1, Half.REPORT, HARMLESS[:1], (1000.0,), series // metrics, metrics)
    guard = Guarded(batch)
    guard.begin([])
    some = [tick for _, tick in itertools.islice(play(batch), 10)]
    tracemalloc.start()
    try:
        for tick in some:
            guard.look(tick, begins_step=False)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(ticks):
            guard.look(some[number % len(some)], begins_step=False)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / 1000


def milliseconds(series: int = 5000, looks: int = 40) -> float:
    """How long a tick of that many series takes, in milliseconds: median, on one core."""
    metrics = 10
    batch = Batch(1, Half.REPORT, HARMLESS[:1], (1000.0,), series // metrics, metrics)
    guard = Guarded(batch)
    guard.begin([])
    times: list[float] = []
    for _, tick in itertools.islice(play(batch), looks):
        began = time.perf_counter()
        guard.look(tick, begins_step=False)
        times.append((time.perf_counter() - began) * 1000)
    return float(np.median(times))
