"""What is done to a rollout: the faults that must be found, and what must not be mistaken for one.

A case changes the factors by which a metric's rate, or an arm's traffic, differs from usual.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]

TICK = 20.0
"""Seconds between two looks."""

STAGES = ((0.02, 60), (0.10, 30), (0.25, 30), (0.50, 30), (0.75, 30), (1.0, 15))
"""(share of production, ticks) of each step."""

ERRORS, LATENCY, TRAFFIC, LOG, MEMORY = range(5)
"""The places of the metrics that faults are put into."""

DELAYED = 24
"""The tick of a late fault: eight minutes after the deploy."""

BLIP = 3
"""Ticks after its flip during which a node of a restart blip is not itself."""


class Factors(Struct):
    """Arrays for the rollouts of one case.

    ``canary`` and ``control`` are (rollouts, metrics), ``traffic`` is the canary's alone and
    ``load`` everybody's, ``canary_heard`` and ``control_heard`` what part is scraped.
    """

    canary: Values
    control: Values
    traffic: Values
    load: Values
    canary_heard: Values
    control_heard: Values
    new: float
    """The share of the canary's scraped nodes that flipped at the beginning of this step."""
    since: int
    """Ticks since the step began."""


Change = Callable[[Factors, int, np.random.Generator], None]


class Case(Struct, frozen=True):
    """A kind of rollout: a fault in ``metric`` from tick ``onset`` on, or no fault at all."""

    name: str
    change: Change
    metric: int | None = None
    size: str = ""
    onset: int = 0
    daily: bool = False
    """Whether the same happens every day at this hour."""

    @property
    def touches(self) -> tuple[int, ...]:
        """The metrics that an alarm may rightly name: without traffic the others fall silent."""
        if self.metric == TRAFFIC:
            return (TRAFFIC, ERRORS, LATENCY, LOG)
        return () if self.metric is None else (self.metric,)

    @property
    def bad(self) -> bool:
        """Whether it must be found."""
        return self.metric is not None


def scale(rates: Values, metric: int, factor: float) -> None:
    """Multiply a metric's rates, where there is such a metric."""
    if metric < rates.shape[1]:
        rates[:, metric] *= factor


def times(metric: int, factor: float, onset: int = 0) -> Change:
    """The canary's rate of a metric is ``factor`` times what it should be."""

    def change(factors: Factors, tick: int, _: np.random.Generator) -> None:
        if tick >= onset:
            scale(factors.canary, metric, factor)

    return change


def fewer(factor: float) -> Change:
    """The canary gets ``factor`` of its traffic."""

    def change(factors: Factors, _: int, __: np.random.Generator) -> None:
        factors.traffic *= factor

    return change


def leak(factors: Factors, tick: int, _: np.random.Generator) -> None:
    """Memory grows by 1 % of itself a minute."""
    scale(factors.canary, MEMORY, 1 + 0.01 * (tick + 1) * TICK / 60)


def bad_node(factors: Factors, tick: int, _: np.random.Generator) -> None:
    """One of a hundred nodes has ten times the errors, and is among the canary's."""
    share = _share(tick)
    scale(factors.canary, ERRORS, 1 + 9 / max(100 * share, 1.0))


def nothing(_: Factors, __: int, ___: np.random.Generator) -> None:
    """A healthy deploy on an ordinary day."""


def blip(factors: Factors, _: int, __: np.random.Generator) -> None:
    """For a minute after its flip a node has five times the errors and twice the latency."""
    if factors.since < BLIP:
        scale(factors.canary, ERRORS, 1 + 4 * factors.new)
        scale(factors.canary, LATENCY, 1 + factors.new)


def incident(factors: Factors, tick: int, _: np.random.Generator) -> None:
    """From the tenth minute on the whole site has five times the errors, twice the latency."""
    if tick >= 30:
        for arm in (factors.canary, factors.control):
            scale(arm, ERRORS, 5)
            scale(arm, LATENCY, 2)


def gap(factors: Factors, tick: int, _: np.random.Generator) -> None:
    """For five minutes nothing is scraped."""
    if 20 <= tick < 35:
        factors.canary_heard *= 0
        factors.control_heard *= 0


def reset(factors: Factors, tick: int, source: np.random.Generator) -> None:
    """Every few minutes counters begin anew, and a part of a tick is lost with them."""
    if tick % 10 == 5:
        factors.canary_heard *= source.uniform(0.2, 1.0, len(factors.canary_heard))


def silent(factors: Factors, _: int, __: np.random.Generator) -> None:
    """The source says nothing, of nobody."""
    factors.canary_heard *= 0
    factors.control_heard *= 0


def peak(factors: Factors, tick: int, _: np.random.Generator) -> None:
    """The daily peak: within half an hour everybody has three times the traffic."""
    more = 1 + 2 * min(tick / 90, 1.0)
    factors.load *= more
    for arm in (factors.canary, factors.control):
        scale(arm, LATENCY, 1 + 0.3 * min(tick / 90, 1.0))


FAULTS = (
    *(Case("errors", times(ERRORS, f), ERRORS, f"×{f:g}") for f in (1.2, 1.5, 2.0, 5.0, 10.0)),
    *(
        Case("latency", times(LATENCY, 1 + p / 100), LATENCY, f"+{p} %")
        for p in (5, 10, 20, 50, 100)
    ),
    *(Case("log volume", times(LOG, f), LOG, f"×{f:g}") for f in (0.0, 0.5, 1.5, 3.0, 10.0)),
    *(Case("traffic", fewer(1 - p / 100), TRAFFIC, f"-{p} %") for p in (20, 50, 100)),
    Case("leak", leak, MEMORY, "1 %/min"),
    Case("late errors", times(ERRORS, 2.0, DELAYED), ERRORS, "×2", DELAYED),
    Case("late errors", times(ERRORS, 5.0, DELAYED), ERRORS, "×5", DELAYED),
    Case("bad node", bad_node, ERRORS, "1 of 100, ×10"),
)
"""What must be found."""

HARMLESS = (
    Case("healthy", nothing),
    Case("restart blip", blip),
    Case("incident in both arms", incident),
    Case("scrape gap", gap),
    Case("counter reset", reset),
    Case("silent source", silent),
    Case("daily peak", peak, daily=True),
)
"""What must not be reverted."""


def big_errors(case: Case) -> bool:
    """Whether a case is one of at least twice the errors."""
    return case.metric == ERRORS and case.size in ("×2", "×5", "×10")


def stages() -> list[tuple[float, float, int]]:
    """(share, share of the step before, ticks since the step began) for each tick."""
    found = []
    before = 0.0
    for share, ticks in STAGES:
        found += [(share, before, since) for since in range(ticks)]
        before = share
    return found


def _share(tick: int) -> float:
    return stages()[tick][0]
