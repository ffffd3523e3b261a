"""Arms that are as good as each other, in many series at once; seeded, of fixed size."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headway.guard.numbers import Tick
from headway.guard.panel import Panel
from headway.guard.terms import Terms

Values = NDArray[np.float64]
NO_SEASON = np.nan


def ticks(
    seed: int,
    series: int,
    number: int,
    *,
    requests: float = 20_000.0,
    share: float = 0.02,
    rate: float = 0.005,
    worse: float = 1.0,
    noise: float = 0.0,
    cluster: int = 1,
) -> Iterator[Tick]:
    """Counts of both arms, tick by tick.

    ``worse`` times the control's rate on the canary; ``noise`` is the standard deviation of each
    arm's own rate from tick to tick, and events come in lots of ``cluster``.
    """
    random = np.random.default_rng(seed)

    def arm(exposure: Values, rates: Values | float) -> Values:
        own = rates * np.exp(random.normal(0.0, noise, series) - noise**2 / 2)
        return cluster * random.poisson(own * exposure / cluster).astype(float)

    for _ in range(number):
        common = rate * np.exp(random.normal(0.0, 0.3, series))
        exposure = random.poisson(requests * share, series).astype(float)
        control = random.poisson(requests * (1 - share), series).astype(float)
        events, others = arm(exposure, common * worse), arm(control, common)
        yield Tick(events, exposure, others, control, np.full(series, NO_SEASON))


def quantities(
    seed: int,
    series: int,
    number: int,
    *,
    worse: float = 1.0,
    noise: float = 0.05,
    memory: float = 0.0,
    heavy: bool = False,
) -> Iterator[Tick]:
    """Means of both arms: the log-ratio has deviation ``noise`` and autocorrelation ``memory``."""
    random = np.random.default_rng(seed)
    off = random.normal(0.0, noise, series)
    for _ in range(number):
        fresh = random.standard_t(4, series) / np.sqrt(2) if heavy else random.normal(size=series)
        off = memory * off + noise * np.sqrt(1 - memory**2) * fresh
        common = np.exp(random.normal(0.0, 0.2, series))
        weight = np.full(series, 400.0)
        yield Tick(
            common * worse * np.exp(off) * weight,
            weight,
            common * 49 * weight,
            49 * weight,
            np.full(series, NO_SEASON),
        )


def ever_worse(terms: Terms, before: list[Tick], during: Iterator[Tick], steps: int = 1) -> float:
    """The share of series whose canary is called worse at any look."""
    panel = Panel(terms)
    panel.begin_tier(before)
    called = np.zeros(len(terms.counts), dtype=bool)
    looks = list(during)
    for index, tick in enumerate(looks):
        if index and index % (len(looks) // steps) == 0:
            panel.begin_step()
        panel.look(tick)
        n = panel.numbers()
        bound = (terms.up & (n.low > n.margin)) | (terms.down & (n.high < -n.margin))
        called |= (n.log_e >= terms.log_limit) | (~terms.counts & bound)
    return float(called.mean())
