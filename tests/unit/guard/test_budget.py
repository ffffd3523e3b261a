"""The budget is spent once, whatever the metrics are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.guard.budget import split
from headway.model.plan import Importance, Kind, Metric

METRICS = st.builds(
    Metric,
    name=st.just("m"),
    counter=st.just("c"),
    kind=st.sampled_from(Kind),
    importance=st.sampled_from(Importance),
    compare=st.booleans(),
    above=st.none() | st.just(1.0),
)


def spent(metric: Metric, control: float, sequence: float, line: float, steps: int) -> float:
    """The chance of blaming a healthy build, by the tests that the metric's kind has."""
    counts = metric.kind is Kind.COUNTS
    total = control * metric.compare
    total += 0 if counts else sequence * steps * metric.compare
    return total + (line if counts and metric.above is not None else 0.0)


@given(st.lists(METRICS, min_size=1, max_size=40), st.floats(1e-6, 0.5), st.integers(1, 9))
def test_metrics_and_steps_together_never_spend_more(
    metrics: list[Metric], budget: float, steps: int
) -> None:
    shares = [
        (metric.importance, spent(metric, a.control, a.sequence, a.line, steps))
        for metric, a in zip(metrics, split(metrics, budget, steps), strict=True)
    ]
    blamed = sum(share for importance, share in shares if importance is not Importance.WATCH)
    watched = sum(share for importance, share in shares if importance is Importance.WATCH)
    assert blamed <= budget * (1 + 1e-9)
    assert watched <= budget * (1 + 1e-9)


def test_the_critical_ones_share_half() -> None:
    ordinary = [Metric(f"m{i}", "c") for i in range(9)]
    critical = Metric("errors", "errors", importance=Importance.CRITICAL)
    first, *others = split([critical, *ordinary], 0.01, 5)
    assert first.control == pytest.approx(0.005)
    assert others[0].control == pytest.approx(0.005 / 9)


def test_one_class_alone_has_all_of_it() -> None:
    for importance in Importance:
        (only,) = split([Metric("m", "c", importance=importance)], 0.01, 5)
        assert only.control == pytest.approx(0.01)
