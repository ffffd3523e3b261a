"""The guard catches what is bad, and does not cry wolf over chance."""

import random

import numpy as np
import pytest

from headway.guard.detectors import wilson, zscore
from headway.guard.judge import Guard
from headway.model.plan import Action, AppConfig, Direction, Metric, Step
from headway.model.rollout import Phase, Rollout
from headway.model.verdict import Outcome
from tests.unit.guard.test_counters import NEW, OLD, report

APP = AppConfig("web")


def rollout() -> Rollout:
    return Rollout(
        id="r",
        app="web",
        base=OLD,
        target=NEW,
        plan=(Step("canary"),),
        by="alice",
        started_at=0.0,
        phase=Phase.SOAKING,
        step=0,
        since=0.0,
        step_since=0.0,
        epoch=1,
        attempt=1,
        fractions={"canary": 1.0},
        why="",
    )


class Traffic:
    """Canary and control under random traffic, one report per second."""

    def __init__(self, seed: int, canary_rate: float = 20.0, control_rate: float = 100.0) -> None:
        self.random = np.random.default_rng(seed)
        self.guard = Guard()
        self.rates = {"canary": canary_rate, "production": control_rate}
        self.totals = {tier: {"requests": 0.0, "errors": 0.0} for tier in self.rates}
        self.now = 0.0

    def run(self, seconds: int, canary: float, control: float) -> None:
        for _ in range(seconds):
            self.now += 1.0
            for tier, build, bad in (("canary", NEW, canary), ("production", OLD, control)):
                requests = self.random.poisson(self.rates[tier])
                self.totals[tier]["requests"] += requests
                self.totals[tier]["errors"] += self.random.binomial(requests, bad)
                said = report(build, node=tier, **self.totals[tier])
                self.guard.ingest(said, tier, self.now)

    def outcome(self, app: AppConfig = APP) -> Outcome:
        (verdict,) = self.guard.judge(app, rollout(), self.now)
        self.sentence = verdict.sentence
        return verdict.outcome


def test_a_canary_full_of_errors_fails_with_its_number() -> None:
    traffic = Traffic(1)
    traffic.run(30, canary=0.3, control=0.0)
    assert traffic.outcome() is Outcome.FAIL
    assert "above 2 %" in traffic.sentence
    assert "errors on canary" in traffic.sentence


def test_a_small_rise_is_caught_by_the_zscore() -> None:
    traffic = Traffic(2, canary_rate=400)
    traffic.run(60, canary=0.015, control=0.001)
    assert traffic.outcome() is Outcome.FAIL
    assert "standard deviations above the old build" in traffic.sentence


def test_too_little_traffic_is_no_data_and_never_a_pass() -> None:
    traffic = Traffic(3, canary_rate=0.3)
    traffic.run(60, canary=0.0, control=0.0)
    assert traffic.outcome() is Outcome.NO_DATA


def test_silence_is_no_data() -> None:
    assert Traffic(4).outcome() is Outcome.NO_DATA


def test_a_zscore_alone_needs_a_control() -> None:
    metric = Metric("errors", "errors", per="requests", zscore=3.0)
    traffic = Traffic(5)
    traffic.run(10, canary=0.0, control=0.0)
    assert traffic.outcome(AppConfig("web", metrics=(metric,))) is Outcome.NO_DATA
    traffic.run(60, canary=0.0, control=0.0)
    assert traffic.outcome(AppConfig("web", metrics=(metric,))) is Outcome.PASS


def test_a_healthy_canary_is_left_alone() -> None:
    """200 seeds, 20 looks each, at a canary as good as the control: 0.5 % errors both."""
    alarms = 0
    for seed in range(200):
        traffic = Traffic(seed)
        for _ in range(20):
            traffic.run(15, canary=0.005, control=0.005)
            if traffic.outcome() is Outcome.FAIL:
                alarms += 1
                break
    assert alarms <= 2


def test_traffic_that_vanishes_is_seen_by_a_rate() -> None:
    metric = Metric(
        "traffic", "requests", below=1.0, direction=Direction.DOWN, action=Action.PAUSE, min_count=5
    )
    traffic = Traffic(7, canary_rate=0.0)
    traffic.run(60, canary=0.0, control=0.0)
    assert traffic.outcome(AppConfig("web", metrics=(metric,))) is Outcome.FAIL


def test_the_old_builds_errors_are_not_the_new_ones() -> None:
    traffic = Traffic(8)
    traffic.run(60, canary=0.0, control=0.3)
    assert traffic.outcome() is Outcome.PASS


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_the_wilson_interval_covers(share: float) -> None:
    """99.9 % on each side, so of 2,000 draws some four may miss; ten would be a wrong formula."""
    source = random.Random(9)
    misses = 0
    for _ in range(2000):
        hits = sum(source.random() < share for _ in range(100))
        low, high = wilson(hits, 100)
        misses += not low - 1e-12 <= share <= high + 1e-12
    assert misses <= 25


@pytest.mark.parametrize(
    ("direction", "shift", "failed"),
    [
        (Direction.UP, 10.0, True),
        (Direction.UP, -10.0, False),
        (Direction.DOWN, -10.0, True),
        (Direction.DOWN, 10.0, False),
        (Direction.BOTH, 10.0, True),
        (Direction.BOTH, -10.0, True),
        (Direction.BOTH, 0.5, False),
    ],
)
def test_the_direction_counts(direction: Direction, shift: float, failed: bool) -> None:
    control = np.array([9.0, 10.0, 11.0, 10.0, 9.0, 11.0, 10.0])
    canary = np.full(4, 10.0 + shift)
    found = zscore(canary, np.zeros(4), control, 3.0, direction)
    assert found is not None
    assert found.failed is failed


def test_one_odd_bucket_is_not_a_trend() -> None:
    control = np.array([9.0, 10.0, 11.0, 10.0, 9.0, 11.0, 10.0])
    found = zscore(np.array([10.0, 10.0, 90.0]), np.zeros(3), control, 3.0, Direction.UP)
    assert found is not None
    assert not found.failed
