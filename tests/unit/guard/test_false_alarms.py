"""The budget holds at every look: of arms that are alike, few are ever told apart.

Each case draws thousands of series with a fixed seed and looks at them after every tick; the
share that is ever blamed must stay within the allowance and what chance adds to it.
"""

import numpy as np
import pytest

from headway.guard import confidence
from headway.guard.budget import Allowance
from headway.guard.dispersion import Dispersion
from headway.guard.terms import Terms, terms
from headway.model.plan import Direction, Kind, Metric
from tests.unit.guard.healthy import ever_worse, quantities, ticks

SERIES = 1500
ALPHA = 0.05
ALLOWED = ALPHA + 3 * float(np.sqrt(ALPHA * (1 - ALPHA) / SERIES))


def known(metric: Metric, series: int = SERIES, alpha: float = ALPHA, steps: int = 1) -> Terms:
    each = alpha if metric.kind is Kind.COUNTS else alpha / 2
    return terms([metric] * series, [Allowance(each, each / steps, each)] * series)


ERRORS = Metric("errors", "errors", per="requests", min_effect=0.0)
BOTH = Metric("log", "log", per="requests", min_effect=0.0, direction=Direction.BOTH)


@pytest.mark.parametrize(
    ("metric", "shape"),
    [
        (ERRORS, {}),
        (ERRORS, {"share": 0.5}),
        (ERRORS, {"requests": 200.0, "share": 0.1}),
        (BOTH, {"rate": 0.2}),
        (ERRORS, {"cluster": 8}),
        (ERRORS, {"noise": 0.3}),
        (BOTH, {"rate": 1.0, "noise": 0.05, "share": 0.5}),
    ],
    ids=["plain", "halves", "sparse", "both ways", "in lots", "noisy", "busy and noisy"],
)
def test_counts(metric: Metric, shape: dict[str, float]) -> None:
    before = list(ticks(1, SERIES, 60, **shape))  # type: ignore[arg-type]
    during = ticks(2, SERIES, 150, **shape)  # type: ignore[arg-type]
    assert ever_worse(known(metric), before, during) <= ALLOWED


def test_counts_without_any_history() -> None:
    assert ever_worse(known(ERRORS), [], ticks(3, SERIES, 150, noise=0.2)) <= ALLOWED


def test_noise_that_grows_with_the_share_of_traffic() -> None:
    """Learned at 2 %, where chance hides it; judged at half of the traffic, where it does not."""
    before = list(ticks(4, SERIES, 90, rate=0.05, noise=0.1))
    during = ticks(5, SERIES, 100, rate=0.05, noise=0.1, share=0.5)
    metric = Metric("errors", "errors", per="requests")
    assert ever_worse(known(metric), before, during) <= ALLOWED


LATENCY = Metric("latency", "seconds", per="requests", kind=Kind.CONTINUOUS, min_effect=0.0)
SWAY = Metric("queue", "queue", kind=Kind.CONTINUOUS, min_effect=0.0, direction=Direction.BOTH)


@pytest.mark.parametrize(
    ("metric", "shape"),
    [
        (LATENCY, {}),
        (SWAY, {"noise": 0.2}),
        (LATENCY, {"memory": 0.5}),
        (LATENCY, {"heavy": True}),
    ],
    ids=["plain", "both ways", "with memory", "heavy tails"],
)
def test_quantities(metric: Metric, shape: dict[str, float]) -> None:
    before = list(quantities(6, SERIES, 120, **shape))  # type: ignore[arg-type]
    during = quantities(7, SERIES, 150, **shape)  # type: ignore[arg-type]
    assert ever_worse(known(metric, steps=3), before, during, steps=3) <= ALLOWED


def test_a_rollout_of_a_hundred_metrics_keeps_to_one_budget() -> None:
    """300 rollouts of 100 metrics with a budget of 5 % each: some 15 may be blamed, not 300."""
    rollouts, metrics = 300, 100
    each = ALPHA / metrics
    shared = terms(
        [ERRORS] * (rollouts * metrics), [Allowance(each, each, each)] * rollouts * metrics
    )
    share = ever_worse(
        shared,
        list(ticks(8, rollouts * metrics, 20)),
        ticks(9, rollouts * metrics, 40),
    )
    assert share * metrics <= 0.09


def test_events_in_lots_would_be_blamed_without_the_correction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cases above are no easy ones: with every φ taken for 1, they break the budget."""
    monkeypatch.setattr(Dispersion, "phi", lambda self, spread: np.ones_like(spread))
    before, during = list(ticks(1, SERIES, 60, cluster=8)), ticks(2, SERIES, 150, cluster=8)
    assert ever_worse(known(ERRORS), before, during) > 2 * ALLOWED


def test_memory_would_be_blamed_without_the_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidence, "MOST_CORRELATION", 0.0)
    before = list(quantities(6, SERIES, 120, memory=0.5))
    during = quantities(7, SERIES, 150, memory=0.5)
    assert ever_worse(known(LATENCY, steps=3), before, during, steps=3) > 2 * ALLOWED


@pytest.mark.parametrize("worse", [2.0, 5.0])
def test_a_fault_is_found(worse: float) -> None:
    before = list(ticks(10, 500, 60))
    during = ticks(11, 500, 60, worse=worse)
    assert ever_worse(known(ERRORS, 500, alpha=0.0001), before, during) >= 0.99


def test_a_late_fault_is_found() -> None:
    before = list(quantities(12, 500, 60))
    late = [*quantities(13, 500, 60), *quantities(14, 500, 10, worse=1.5)]
    metric = Metric("latency", "seconds", per="requests", kind=Kind.CONTINUOUS)
    assert ever_worse(known(metric, 500, alpha=0.0001), before, iter(late)) >= 0.99
